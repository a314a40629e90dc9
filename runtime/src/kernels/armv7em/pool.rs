//! Pooling: four channels in a word at a time; channels that do not fill a word, one at a time.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::intrinsics::{max8, sadd16, sxtb16, sxtb16_ror8};
use crate::kernels::Cells;
use crate::kernels::elementwise::clamp_to;
use crate::kernels::mean::Mean;
use crate::tensor::TensorView;

/// Most cells whose sum fits a halfword: 256 times -128 does.
const MOST_CELLS: i32 = 256;

/// The largest element, over all cells, of four channels, starting with channel `first`.
#[cfg(not(kernels = "armv7em"))]
#[inline(always)]
fn largest_of_four(cells: &Cells<'_>, first: usize) -> i32 {
    let mut largest = i32::from_le_bytes([0x80; 4]);
    each_word(cells, first, |word| largest = max8(largest, word));
    largest
}

/// The sums, over at most [`MOST_CELLS`] cells, of four channels, starting with channel `first`.
#[inline(always)]
fn sums_of_four(cells: &Cells<'_>, first: usize) -> [i16; 4] {
    let (mut even, mut odd) = (0, 0);
    each_word(cells, first, |word| {
        even = sadd16(even, sxtb16(word));
        odd = sadd16(odd, sxtb16_ror8(word));
    });
    [even as i16, odd as i16, (even >> 16) as i16, (odd >> 16) as i16]
}

/// The elements of four channels, starting with channel `first`, of each cell.
#[inline(always)]
fn each_word(cells: &Cells<'_>, first: usize, mut f: impl FnMut(i32)) {
    let (rows, columns) = ((cells.height, cells.stride), (cells.width, cells.channels));
    TensorView::from_cells(cells.image).grid(first, rows, columns, |word| f(word as i32));
}

/// See [`Kernels::average_pool`](crate::kernels::Kernels::average_pool).
#[inline(never)]
pub(super) fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let mean = Mean::of(cells.count());
    let words = if cells.count() > MOST_CELLS { 0 } else { words(cells, out) };
    let done = words.wrapping_mul(4);
    if words != 0 {
        #[cfg(kernels = "armv7em")]
        {
            let mut work = asm::Window::of(cells, words, mean.numbers(), out);
            // SAFETY: `words` has found that all cells have so many words of elements, and the output, too. It is written
            // through a shared reference to cells; no unique reference to them exists.
            unsafe { asm::average_pool(&raw mut work) }
        }
        #[cfg(not(kernels = "armv7em"))]
        for (at, block) in out.as_chunks::<4>().0.iter().enumerate() {
            let sums = sums_of_four(cells, at.wrapping_mul(4));
            block.iter().zip(sums).for_each(|(out, sum)| out.set(mean.of_few(sum.into()) as i8));
        }
    }
    for (channel, out) in out.iter().enumerate().skip(done) {
        out.set(mean.of_sum(sum_of_channel(cells, channel)) as i8);
    }
    clamp_to(min, max, out);
}

/// Words of channels that all cells and the output have, if there is a cell.
#[inline(always)]
fn words(cells: &Cells<'_>, out: &[Cell<i8>]) -> usize {
    let &Cells { image, height, width, channels, stride } = cells;
    // Offsets are below the bytes of the image, or one of the factors is too large.
    let rows = u64::from(height.wrapping_sub(1) as u32).wrapping_mul(stride as u64);
    let columns = u64::from(width.wrapping_sub(1) as u32).wrapping_mul(channels as u64);
    let reach = rows.saturating_add(columns).saturating_add(out.len() as u64);
    if height != 0 && width != 0 && reach <= image.len() as u64 { out.len() / 4 } else { 0 }
}

/// See [`Kernels::average_pool_of_many`](crate::kernels::Kernels::average_pool_of_many).
#[inline]
pub(super) fn average_pool_of_many(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let mean = Mean::of(cells.count());
    let whole = if cells.count() > MOST_CELLS { 0 } else { out.len() & !3 };
    let mut sums = [0; 4];
    for (channel, out) in out.iter().enumerate() {
        let sum = if channel >= whole {
            sum_of_channel(cells, channel)
        } else {
            if channel & 3 == 0 {
                sums = sums_of_four(cells, channel);
            }
            let [sum, b, c, d] = sums;
            sums = [b, c, d, 0];
            sum.into()
        };
        out.set(mean.of_sum(sum).max(min).min(max) as i8);
    }
}

#[inline(always)]
fn sum_of_channel(cells: &Cells<'_>, channel: usize) -> i32 {
    fold_channel(cells, channel, 0i32, |sum, x| sum.wrapping_add(x.into()))
}

/// Folds one channel over all cells.
#[inline(always)]
fn fold_channel<T>(cells: &Cells<'_>, channel: usize, start: T, step: impl Fn(T, i8) -> T) -> T {
    let (mut state, mut row) = (start, channel);
    for _ in 0..cells.height {
        let mut at = row;
        for _ in 0..cells.width {
            state = step(state, cells.image.get(at).map_or(0, Cell::get));
            at = at.wrapping_add(cells.channels);
        }
        row = row.wrapping_add(cells.stride);
    }
    state
}

/// See [`Kernels::max_pool`](crate::kernels::Kernels::max_pool).
#[inline(never)]
pub(super) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let words = words(cells, out);
    let done = words.wrapping_mul(4);
    if words != 0 {
        #[cfg(kernels = "armv7em")]
        {
            let mut work = asm::Window::of(cells, words, (0, 0, 0), out);
            // SAFETY: as above.
            unsafe { asm::max_pool(&raw mut work) }
        }
        #[cfg(not(kernels = "armv7em"))]
        for (at, block) in out.as_chunks::<4>().0.iter().enumerate() {
            let largest = largest_of_four(cells, at.wrapping_mul(4)).to_le_bytes();
            block.iter().zip(largest).for_each(|(out, x)| out.set(x as i8));
        }
    }
    for (channel, out) in out.iter().enumerate().skip(done) {
        out.set(fold_channel(cells, channel, i8::MIN, i8::max));
    }
    clamp_to(min, max, out);
}

/// See [`Kernels::extreme`](crate::kernels::Kernels::extreme).
pub(super) fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
    // The smaller of two numbers is the larger of their complements.
    let turn = if largest { 0 } else { -1 };
    let larger = |most: i32, x: u32| max8(most, x as i32 ^ turn);
    // Four words at once: loads in a row.
    let (blocks, whole) = (run.len() & !15, run.len() & !3);
    let words = run.arrays::<16>().fold(i32::from_le_bytes([0x80; 4]), |most, block: [i8; 16]| {
        bytemuck::cast::<_, [u32; 4]>(block).into_iter().fold(most, larger)
    });
    let words = run.range(blocks, 15).whole_words().fold(words, larger);
    let halves = max8(words, words >> 16);
    let most = i32::from((halves as i8).max((halves >> 8) as i8));
    let rest = run.range(whole, 3).iter();
    (rest.fold(most, |most, x| most.max(i32::from(x) ^ turn)) ^ turn) as i8
}

#[cfg(kernels = "armv7em")]
mod asm {
    use core::cell::Cell;

    use super::Cells;
    use crate::kernels::fields::{in_order, leaf};

    /// Arguments of the leaves.
    #[repr(C)]
    pub(super) struct Window {
        /// Those of [`Mean::numbers`](super::Mean::numbers).
        even: i32,
        more: i32,
        reciprocal: u32,
        /// The first cell.
        image: *const i8,
        /// Bytes from one cell to the next.
        channels: usize,
        /// Bytes behind the last cell of a row to the first one of the next.
        skip: usize,
        width: usize,
        height: usize,
        out: *mut i8,
        words: usize,
    }

    in_order!(first 3 words of Window: even, more, reciprocal);
    in_order!(5 words of Window: image, channels, skip, width, height);

    impl Window {
        /// So many words of channels.
        #[inline(always)]
        pub(super) fn of(
            cells: &Cells<'_>,
            words: usize,
            (even, more, reciprocal): (i32, i32, u32),
            out: &[Cell<i8>],
        ) -> Window {
            Window {
                even,
                more,
                reciprocal,
                image: cells.image.as_ptr().cast(),
                channels: cells.channels,
                skip: cells.stride.wrapping_sub(cells.width.wrapping_mul(cells.channels)),
                width: cells.width,
                height: cells.height,
                out: out.as_ptr().cast_mut().cast(),
                words,
            }
        }
    }

    /// Walks the cells of a window with each word of channels: r6 holds a word of a cell, r4 and r5 what is made of all
    /// of them, from which the last lines make r6, the word of the output.
    macro_rules! walk {
        ($start:literal, [$($each:literal),+], [$($last:literal),+]) => {
            leaf!(
                [Window: image, out, words],
                concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
                "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                "add.w r7, r0, #{image}",
                // r8 image, r9 from cell to cell, r10 from row to row, r11 columns, r12 rows
                "ldm.w r7, {{r8, r9, r10, r11, r12}}",
                "ldr.w lr, [r0, #{out}]",
                "1:",
                "mov.w r1, r8",
                "mov.w r3, r12",
                $start,
                "mov.w r5, r4",
                ".p2align 2",
                "2:",
                "mov.w r2, r11",
                "3:",
                "ldr.w r6, [r1]",
                "add.w r1, r1, r9",
                $($each,)+
                "subs.w r2, r2, #1",
                "bne.w 3b",
                "subs.w r3, r3, #1",
                "add.w r1, r1, r10",
                "bne.w 2b",
                $($last,)+
                "str.w r6, [lr], #4",
                "ldr.w r1, [r0, #{words}]",
                "add.w r8, r8, #4",
                "subs.w r1, r1, #1",
                "str.w r1, [r0, #{words}]",
                "bne.w 1b",
                "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            )
        };
    }
    /// The means of at most 256 elements each.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn average_pool(work: *mut Window) {
        walk!(
            "movs r4, #0",
            ["sxtab16 r4, r4, r6", "sxtab16 r5, r5, r6, ror #8"],
            [
                ".macro FERROLITE_MEAN sum
                 and.w r7, r1, \\sum, asr #31
                 add.w \\sum, \\sum, r7
                 add.w \\sum, r2, \\sum, lsl #1
                 umull r7, \\sum, \\sum, r3
                 .endm",
                // r1 even, r2 more, r3 reciprocal
                "ldm.w r0, {{r1, r2, r3}}",
                "sxth.w r6, r4",
                "asr.w r4, r4, #16",
                "FERROLITE_MEAN r6",
                "FERROLITE_MEAN r4",
                "orr.w r6, r6, r4, lsl #16",
                "sxth.w r4, r5",
                "asr.w r5, r5, #16",
                "FERROLITE_MEAN r4",
                "FERROLITE_MEAN r5",
                "orr.w r6, r6, r4, lsl #8",
                "orr.w r6, r6, r5, lsl #24",
                // Means are 128 too large.
                "eor.w r6, r6, #0x80808080",
                ".purgem FERROLITE_MEAN"
            ]
        )
    }

    /// The largest elements.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn max_pool(work: *mut Window) {
        walk!("mov.w r4, #0x80808080", ["ssub8 r7, r4, r6", "sel r4, r4, r6"], ["mov.w r6, r4"])
    }
}
