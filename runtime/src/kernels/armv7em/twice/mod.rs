//! Two rows of input times one matrix at once: each word of weights is read and widened once for both. The safe interface
//! of the leaf; it checks sizes, and what does not fit is made row by row.
//!
//! Both rows are widened side by side: for each group of four elements, the words `(x0, x2)` of the first and the second
//! row, then their words `(x1, x3)`. The leaf makes four channels in each pass over the weights, which are half of a block
//! of eight; what is left of a matrix without a block of its own goes row by row, too.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;
#[cfg(not(kernels = "armv7em"))]
mod emulated;

use core::cell::Cell;

use super::intrinsics::{sxtb16, sxtb16_ror8};
use super::{Armv7em, Channels, weight_words, words};
use crate::kernels::{Kernels, Stage};
use crate::packing::{Matrix, Shape};

/// Channels of a block.
const BLOCK: usize = 8;
/// Words of the tile for each group of four elements.
const WORDS: usize = 4;

/// See [`Kernels::dense_int16_twice`]. Not inlined, so that it is compiled once.
#[inline(never)]
pub(super) fn dense_int16(
    inputs: [&[Cell<i8>]; 2],
    tile: &[Cell<u8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: [&[Cell<i16>]; 2],
) {
    let [first, second] = inputs;
    let channels = weights.shape.channels as usize;
    let whole = channels & !(BLOCK - 1);
    let groups = (first.len() >> 2).wrapping_add(usize::from(first.len() & 3 != 0));
    let matrix = weight_words(weights);
    let all = Channels::all(stage);
    let fits = stage.zero_point == 0
        && first.len() == second.len()
        && groups != 0
        && words(tile).len() / WORDS >= groups
        && groups.checked_mul(whole).is_some_and(|size| size <= matrix.len())
        && all.cover(channels)
        && out.iter().all(|out| out.len() == channels);
    let made = if fits { whole } else { 0 };
    if made != 0 {
        widen(inputs, words(tile));
        // SAFETY: the sizes were checked above: the tile has four words for each group, of which there is one at least;
        // there are two words of weights for each group and pair of channels, a bias and an output of each row for each
        // channel, and one multiplier, or one for each channel. Cells may be written through a shared reference; no unique
        // reference to them exists.
        #[cfg(kernels = "armv7em")]
        unsafe {
            let tile = words(tile).as_ptr().cast::<i32>();
            let work = asm::Twice {
                tile,
                end: tile.add(groups.wrapping_mul(WORDS)),
                weights: matrix.as_ptr(),
                bias: all.bias.as_ptr(),
                multipliers: all.multipliers.as_ptr(),
                step: all.step(),
                skipped: groups.wrapping_mul(6) & 6,
                to_second: 8usize.wrapping_sub(groups.wrapping_mul(32)),
                count: whole / 4,
                out: out.map(|out| out.as_ptr().cast_mut().cast()),
            };
            asm::dense_int16(&raw const work);
        }
        #[cfg(not(kernels = "armv7em"))]
        emulated::dense_int16(words(tile), groups, matrix, &all, out.map(|out| &out[..whole]));
    }
    if made < channels {
        let bytes = weights.bytes.get(groups.wrapping_mul(made).wrapping_mul(4)..).unwrap_or(&[]);
        let shape = Shape { channels: weights.shape.channels.wrapping_sub(made as u32), ..weights.shape };
        let (rest, stage) = (Matrix { shape, bytes }, stage.skip(made));
        for (input, out) in inputs.into_iter().zip(out) {
            Armv7em::dense_int16(input, &rest, &stage, out.get(made..).unwrap_or(&[]));
        }
    }
}

/// Widens both rows into the tile. Elements behind the last one of a row are zero.
#[inline(always)]
fn widen([first, second]: [&[Cell<i8>]; 2], tile: &[Cell<i32>]) {
    let ((a, a_rest), (b, b_rest)) = (first.as_chunks::<4>(), second.as_chunks::<4>());
    let word = |group: &[Cell<i8>; 4]| i32::from_le_bytes(group.each_ref().map(|x| x.get() as u8));
    let set = |tile: &[Cell<i32>; WORDS], a: i32, b: i32| {
        let [first, second, third, fourth] = tile;
        first.set(sxtb16(a));
        second.set(sxtb16(b));
        third.set(sxtb16_ror8(a));
        fourth.set(sxtb16_ror8(b));
    };
    let tile = tile.as_chunks::<WORDS>().0;
    for ((a, b), tile) in a.iter().zip(b).zip(tile) {
        set(tile, word(a), word(b));
    }
    if let (false, Some(tile)) = (a_rest.is_empty(), tile.get(a.len())) {
        let word =
            |rest: &[Cell<i8>]| rest.iter().rev().fold(0, |word, x| word << 8 | i32::from(x.get() as u8));
        set(tile, word(a_rest), word(b_rest));
    }
}
