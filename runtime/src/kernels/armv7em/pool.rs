//! Pooling: four channels in a word at a time; channels that do not fill a word, one at a time.

use core::cell::Cell;

use super::intrinsics::{max8, sadd16, sxtb16, sxtb16_ror8};
use crate::kernels::Cells;
use crate::kernels::elementwise::clamp_to;
use crate::kernels::mean::Mean;
use crate::tensor::TensorView;

/// Most cells whose sum fits a halfword: 256 times -128 does.
const MOST_CELLS: i32 = 256;

/// The largest element, over all cells, of four channels, starting with channel `first`.
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
    let blocks = if cells.count() > MOST_CELLS { &[] } else { out.as_chunks::<4>().0 };
    let mut first = 0usize;
    for block in blocks {
        block
            .iter()
            .zip(sums_of_four(cells, first))
            .for_each(|(out, sum)| out.set(mean.of_few(sum.into()) as i8));
        first = first.wrapping_add(4);
    }
    for out in out.get(first..).unwrap_or(&[]) {
        out.set(mean.of_sum(sum_of_channel(cells, first)) as i8);
        first = first.wrapping_add(1);
    }
    clamp_to(min, max, out);
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
    let (blocks, rest) = out.as_chunks::<4>();
    let mut first = 0usize;
    for block in blocks {
        let largest = largest_of_four(cells, first).to_le_bytes();
        block.iter().zip(largest).for_each(|(out, x)| out.set(x as i8));
        first = first.wrapping_add(4);
    }
    for out in rest {
        out.set(fold_channel(cells, first, i8::MIN, i8::max));
        first = first.wrapping_add(1);
    }
    clamp_to(min, max, out);
}

/// See [`Kernels::extreme`](crate::kernels::Kernels::extreme).
pub(super) fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
    // The smaller of two numbers is the larger of their complements.
    let turn = if largest { 0 } else { -1 };
    let whole = run.len() & !3;
    let words = run.whole_words().fold(i32::from_le_bytes([0x80; 4]), |most, x| max8(most, x as i32 ^ turn));
    let halves = max8(words, words >> 16);
    let most = i32::from((halves as i8).max((halves >> 8) as i8));
    let rest = run.range(whole, 3).iter();
    (rest.fold(most, |most, x| most.max(i32::from(x) ^ turn)) ^ turn) as i8
}
