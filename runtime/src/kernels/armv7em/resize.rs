//! Rows of RESIZE_BILINEAR between which all weights are multiples of 1/16, as where an image becomes two, four or eight
//! times as large: four channels at once, two in the halves of a word.
//!
//! ```text
//! u = x + 128;   S = sum of four u times their weights in 1/256;   y = floor((S + 127 + [S >= 2^15]) / 256) - 128
//! ```
//! Weights sum up to 256, so that `S` has 16 bits; what it has in between does not matter. Below zero, where ties go down,
//! `S` lacks its upper bit.
#![allow(unsafe_code)]

use core::cell::Cell;

use ferrolite_schema::Rounding;

#[cfg(not(kernels = "armv7em"))]
use crate::kernels::resize;
use crate::kernels::{Between, thumb2};

/// See [`Kernels::resize_row`](crate::kernels::Kernels::resize_row).
pub(super) fn resize_row(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
    let pixels = pixels(between, out);
    if rounding != Rounding::Double || pixels == 0 {
        return thumb2::resize_row(between, rounding, out);
    }
    #[cfg(kernels = "armv7em")]
    {
        let &Between { rows: [upper, lower], dy, channels, start, step, width } = between;
        let mut work = asm::Row {
            position: start,
            step,
            last: width as i32 - 1,
            weight: dy >> 6,
            upper: upper.as_ptr().cast(),
            lower: lower.as_ptr().cast(),
            channels,
            out: out.as_ptr().cast_mut().cast(),
            pixels,
        };
        // SAFETY: all pixels are between those of the rows, whose channels are whole words, and so many are in the output, as
        // was just found. Cells may be written through a shared reference; no unique reference to them exists.
        unsafe { asm::resize_row(&raw mut work) }
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated(between, out);
}

/// Channels from which on what is done once for a pixel takes less than columns that serve several.
const CHANNELS: usize = 8;

/// Pixels of the output, if they are between those of the rows at places that suit; else none.
fn pixels(between: &Between<'_>, out: &[Cell<i8>]) -> usize {
    let &Between { rows: [upper, lower], dy, channels, start, step, width } = between;
    let pixels = out.len().checked_div(channels).unwrap_or(0);
    let reach = (pixels as i32).wrapping_sub(1).checked_mul(step).and_then(|reach| reach.checked_add(start));
    let fits = channels & 3 == 0
        && channels >= CHANNELS
        && (start | step | dy) & 63 == 0
        && (1..=0xFFFF).contains(&width)
        && start > -1024
        && step >= 0
        && reach.is_some_and(|reach| reach < (width << 10) as i32)
        && (width as usize).checked_mul(channels).is_some_and(|size| size <= upper.len().min(lower.len()));
    if fits { pixels } else { 0 }
}

/// The leaf in plain Rust, lane by lane, for tests on the host.
#[cfg(not(kernels = "armv7em"))]
fn emulated(between: &Between<'_>, out: &[Cell<i8>]) {
    const BYTES: u32 = 0x00FF_00FF;
    let &Between { rows, dy, channels, start, step, width } = between;
    let (mut x, wy) = (start, dy >> 6);
    for out in out.chunks_exact(channels) {
        let (x0, x1, dx) = resize::neighbours(x, width as i32 - 1);
        x = x.wrapping_add(step);
        let wx = dx >> 6;
        let (both, only_x, only_y) = (wx * wy, 16 * wx - wx * wy, 16 * wy - wx * wy);
        let weights = [256 - only_y - 16 * wx, only_y, only_x, both];
        for (word, out) in out.as_chunks::<4>().0.iter().enumerate() {
            let (mut even, mut odd) = (0u32, 0u32);
            let places = [(0, x0), (1, x0), (0, x1), (1, x1)];
            for ((row, x), weight) in places.into_iter().zip(weights) {
                let bytes = resize::part(rows[row], x, channels).as_chunks::<4>().0;
                let u = u32::from_le_bytes(bytes[word].each_ref().map(|x| x.get() as u8)) ^ 0x8080_8080;
                even = even.wrapping_add((u & BYTES).wrapping_mul(weight as u32));
                odd = odd.wrapping_add((u >> 8 & BYTES).wrapping_mul(weight as u32));
            }
            let rounded = |s: u32| s.wrapping_add(0x007F_007F).wrapping_add(s >> 15 & 0x0001_0001);
            let y = (rounded(even) >> 8 & BYTES) | (rounded(odd) & !BYTES);
            out.iter().zip((y ^ 0x8080_8080).to_le_bytes()).for_each(|(out, y)| out.set(y as i8));
        }
    }
}

#[cfg(kernels = "armv7em")]
mod asm {
    use crate::kernels::fields::{in_order, leaf};

    /// Arguments of the leaf.
    #[repr(C)]
    pub(super) struct Row {
        pub position: i32,
        pub step: i32,
        pub last: i32,
        /// That of the lower row, in 1/16.
        pub weight: i32,
        pub upper: *const i8,
        pub lower: *const i8,
        /// Elements of a pixel: whole words.
        pub channels: usize,
        pub out: *mut i8,
        /// Pixels that are still to come, at least one.
        pub pixels: usize,
    }

    in_order!(first 8 words of Row: position, step, last, weight, upper, lower, channels, out);

    /// The pixels of a row. r0 and r1 are the places of the left elements, upper and lower, r2 how far it is from the next
    /// ones to the right elements, r4 to r7 the weights; lr sums up the even bytes, r12 the odd ones.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn resize_row(work: *mut Row) {
        leaf!(
            [Row: position, out, pixels],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            ".macro FERROLITE_ADD word, weight
             eor.w \\word, \\word, #0x80808080
             uxtb16 r11, \\word
             uxtb16 \\word, \\word, ror #8
             mla lr, r11, \\weight, lr
             mla r12, \\word, \\weight, r12
             .endm
             .macro FERROLITE_ROUND sum
             lsr.w r11, \\sum, #15
             and.w r11, r11, #0x00010001
             add.w \\sum, \\sum, #0x007F007F
             add.w \\sum, \\sum, r11
             .endm",
            "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            ".p2align 2",
            "1:",
            // r1 position, r2 step, r3 last, r4 weight, r5 upper, r6 lower, r7 channels, r8 out
            "ldm.w r0, {{r1, r2, r3, r4, r5, r6, r7, r8}}",
            "add.w r2, r2, r1",
            "str.w r2, [r0, #{position}]",
            // r9 the left pixel, r10 the right one, r11 the weight of that.
            "bic.w r9, r1, r1, asr #31",
            "lsr.w r9, r9, #10",
            "addw r10, r1, #1023",
            "asr.w r10, r10, #10",
            "cmp.w r10, r3",
            "it gt",
            "movgt.w r10, r3",
            "sub.w r11, r1, r9, lsl #10",
            "asr.w r11, r11, #6",
            "sub.w r10, r10, r9",
            "mul r2, r10, r7",
            "mla r0, r9, r7, r5",
            "mla r1, r9, r7, r6",
            "sub.w r2, r2, #4",
            "lsr.w r3, r7, #2",
            "mul r7, r11, r4",
            "rsb.w r6, r7, r11, lsl #4",
            "rsb.w r5, r7, r4, lsl #4",
            "rsb.w r4, r5, #256",
            "sub.w r4, r4, r11, lsl #4",
            ".p2align 2",
            "2:",
            "ldr.w r9, [r0], #4",
            "ldr.w r10, [r1], #4",
            "eor.w r9, r9, #0x80808080",
            "uxtb16 lr, r9",
            "uxtb16 r12, r9, ror #8",
            "mul lr, lr, r4",
            "mul r12, r12, r4",
            "FERROLITE_ADD r10, r5",
            "ldr.w r9, [r0, r2]",
            "ldr.w r10, [r1, r2]",
            "FERROLITE_ADD r9, r6",
            "FERROLITE_ADD r10, r7",
            "FERROLITE_ROUND lr",
            "FERROLITE_ROUND r12",
            "uxtb16 lr, lr, ror #8",
            "and.w r12, r12, #0xFF00FF00",
            "orr.w lr, lr, r12",
            "eor.w lr, lr, #0x80808080",
            "subs.w r3, r3, #1",
            "str.w lr, [r8], #4",
            "bne.w 2b",
            "ldr.w r0, [sp]",
            "ldr.w r1, [r0, #{pixels}]",
            "str.w r8, [r0, #{out}]",
            "subs.w r1, r1, #1",
            "str.w r1, [r0, #{pixels}]",
            "bne.w 1b",
            "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_ADD
             .purgem FERROLITE_ROUND",
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::resize::portable;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn lanes_are_the_means_of_the_definition(
            x in prop::collection::vec(any::<i8>(), 2 * 48),
            (start, step, dy) in (-15i32..40, 0i32..40, 0i32..=16),
            (channels, pixels) in (1usize..3, 1usize..12),
            extreme: bool,
        ) {
            let mut x: Vec<i8> = if extreme { x.iter().map(|&x| if x < 0 { -128 } else { 127 }).collect() } else { x };
            let channels = CHANNELS * channels;
            let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
            let rows = [&cells[..48], &cells[48..]];
            let width = 48 / channels as u32;
            let between = Between { rows, dy: 64 * dy, channels, start: 64 * start, step: 64 * step, width };
            let fits = |pixels: &usize| 64 * (start + (*pixels as i32 - 1) * step) < (width << 10) as i32;
            let Some(count) = (1..=pixels).rev().find(fits) else { return Ok(()) };
            let results = [resize_row, portable].map(|resize| {
                let mut out = vec![99i8; count * channels];
                resize(&between, Rounding::Double, Cell::from_mut(&mut out[..]).as_slice_of_cells());
                out
            });
            prop_assert_eq!(super::pixels(&between, Cell::from_mut(&mut results[0].clone()[..]).as_slice_of_cells()), count);
            prop_assert_eq!(&results[0], &results[1]);
        }
    }

    /// At the borders, where both rows, or both pixels, are one, weights leave 0 to 1.
    #[test]
    fn weights_beyond_the_borders() {
        let mut x = [-128i8, 127, 0, -1, 5, -5, 99, -100];
        let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
        for (start, dy) in [(-512, -512), (-512, 1536), (512, -448), (960, 1088)] {
            let between = Between { rows: [cells; 2], dy, channels: 8, start, step: 0, width: 1 };
            let mut out = [99i8; 16];
            resize_row(&between, Rounding::Double, Cell::from_mut(&mut out[..]).as_slice_of_cells());
            assert_eq!([&out[..8], &out[8..]], [[-128, 127, 0, -1, 5, -5, 99, -100]; 2], "{start} {dy}");
        }
    }
}
