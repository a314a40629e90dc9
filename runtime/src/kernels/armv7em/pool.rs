//! Pooling: four channels in a word at a time; channels that do not fill a word, one at a time.

use core::cell::Cell;

use super::intrinsics::max8;
use super::leaf;
use crate::kernels::{Cells, portable};

/// Most cells whose sum fits a halfword: 256 times -128 does.
const MOST_CELLS: i32 = 256;

/// The largest element, over all cells, of four channels, starting with channel `first`.
///
/// Rows and cells are counted, because iterators over chunks, if they are not inlined, divide by the chunk
/// size and can panic.
#[inline(always)]
fn largest_of_four(cells: &Cells<'_>, first: usize) -> i32 {
    let mut largest = i32::from_le_bytes([0x80; 4]);
    let mut row = first;
    for _ in 0..cells.height {
        let mut at = row;
        for _ in 0..cells.width {
            if let Some([a, b, c, d]) = cells.image.get(at..).and_then(|rest| rest.first_chunk()) {
                largest = max8(largest, i32::from_le_bytes([a, b, c, d].map(|x| x.get() as u8)));
            }
            at = at.wrapping_add(cells.channels);
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
            channel_sum(cells, channel)
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

/// The sum of one channel over all cells.
#[inline]
fn channel_sum(cells: &Cells<'_>, channel: usize) -> i32 {
    let mut sum = 0i32;
    let mut row = channel;
    for _ in 0..cells.height {
        let mut at = row;
        for _ in 0..cells.width {
            sum = sum.wrapping_add(cells.image.get(at).map_or(0, Cell::get).into());
            at = at.wrapping_add(cells.channels);
        }
        row = row.wrapping_add(cells.stride);
    }
    sum
}

/// See [`Kernels::max_pool`](crate::kernels::Kernels::max_pool).
pub(super) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    if cells.channels & 3 != 0 || out.len() != cells.channels {
        portable::max_pool(cells, min, max, out);
        return;
    }
    for (block, out) in out.as_chunks::<4>().0.iter().enumerate() {
        let largest = largest_of_four(cells, block.wrapping_mul(4));
        for (out, x) in out.iter().zip(largest.to_le_bytes()) {
            out.set(i32::from(x as i8).max(min).min(max) as i8);
        }
    }
}
