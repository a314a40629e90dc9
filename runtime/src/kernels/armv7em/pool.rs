//! Pooling: four channels in a word at a time; channels that do not fill a word, one at a time.

use core::cell::Cell;

use super::intrinsics::max8;
use super::leaf;
use crate::kernels::Cells;
use crate::tensor::TensorView;

/// Most cells whose sum fits a halfword: 256 times -128 does.
const MOST_CELLS: i32 = 256;

/// The largest element, over all cells, of four channels, starting with channel `first`.
#[inline(always)]
fn largest_of_four(cells: &Cells<'_>, first: usize) -> i32 {
    let mut largest = i32::from_le_bytes([0x80; 4]);
    let mut row = first;
    for _ in 0..cells.height {
        for word in TensorView::from_cells(cells.image).words(row, cells.channels, cells.width) {
            largest = max8(largest, word as i32);
        }
        row = row.wrapping_add(cells.stride);
    }
    largest
}

/// See [`Kernels::average_pool`](crate::kernels::Kernels::average_pool).
#[inline]
pub(super) fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let count = cells.count().max(1);
    let half = count / 2;
    let mean = |sum: i32| {
        let away = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
        (away / count).max(min).min(max) as i8
    };
    let whole = if count > MOST_CELLS { 0 } else { out.len() & !3 };
    let mut sums = [0; 4];
    for (channel, out) in out.iter().enumerate() {
        let sum = if channel >= whole {
            fold_channel(cells, channel, 0i32, |sum, x| sum.wrapping_add(x.into()))
        } else {
            if channel & 3 == 0 {
                sums = leaf::sum_cells(cells, channel);
            }
            let [sum, b, c, d] = sums;
            sums = [b, c, d, 0];
            sum.into()
        };
        out.set(mean(sum));
    }
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
pub(super) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let clamp = |x: i8| i32::from(x).max(min).min(max) as i8;
    let (blocks, rest) = out.as_chunks::<4>();
    let mut first = 0usize;
    for out in blocks {
        for (out, x) in out.iter().zip(largest_of_four(cells, first).to_le_bytes()) {
            out.set(clamp(x as i8));
        }
        first = first.wrapping_add(4);
    }
    for out in rest {
        out.set(clamp(fold_channel(cells, first, i8::MIN, i8::max)));
        first = first.wrapping_add(1);
    }
}
