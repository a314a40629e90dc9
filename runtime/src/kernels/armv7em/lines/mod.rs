//! Lines of patches into a tile, lane by lane: the safe interface of the leaf. It checks sizes; if they do not fit,
//! nothing is loaded.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;

use core::cell::Cell;

#[cfg(not(kernels = "armv7em"))]
use super::emulated;
use super::{Lines, TILE};

/// Widens lines of `len` elements to 16 bits: each group of four becomes the words `(x0, x2)` and `(x1, x3)`,
/// [`TILE`] words apart. A last group of fewer elements is padded with zeroes. `target` starts with the first
/// word of the first line and pixel.
#[inline(always)]
pub(super) fn widen(lines: &Lines<'_>, len: usize, target: &[Cell<i32>]) {
    let Lines { source, step, pitch, .. } = *lines;
    let (lanes, count) = (lines.lanes.len(), lines.lines.len());
    let line = len.div_ceil(4).wrapping_mul(2 * TILE);
    if lanes == 0 || count == 0 || len == 0 {
        return;
    }
    let before_last = (lanes - 1).wrapping_mul(step).wrapping_add((count - 1).wrapping_mul(pitch));
    // After the last word of a lane, the target may end before the words of the other lanes.
    let fits = source.len() >= before_last.wrapping_add(len)
        && target.len() >= count.wrapping_mul(line).wrapping_add(lanes).wrapping_sub(TILE);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above. Cells may be written through a shared reference; no unique
    // reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        // The last group is read as a whole word if the source contains one.
        let ends = source.len() < before_last.wrapping_add(len.next_multiple_of(4));
        let work = asm::Widen {
            source: source.as_ptr().cast(),
            target: target.as_ptr().cast_mut().cast(),
            len: len >> 2 << 3 | usize::from(ends) << 2 | len & 3,
            lanes,
            step,
            lines: count,
            pitch,
            line: line.wrapping_mul(4),
            mask: !(u32::MAX << (8 * (len & 3))),
        };
        asm::widen(&raw const work);
    }
    #[cfg(not(kernels = "armv7em"))]
    for lane in 0..lanes {
        for number in 0..count {
            let start = lane * step + number * pitch;
            emulated::widen(&source[start..][..len], &target[lane + number * line..]);
        }
    }
}
