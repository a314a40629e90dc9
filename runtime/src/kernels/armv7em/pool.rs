//! Pooling, four channels in a word at a time.

use core::cell::Cell;

use super::intrinsics::{max8, sadd16, sxtb16, sxtb16_odd};
use crate::kernels::{Cells, portable};

/// Cells whose sum fits a halfword.
const MOST_CELLS: i32 = 255;

/// The words of four channels from `first` on, of all cells.
#[inline(always)]
fn words<'a>(cells: &Cells<'a>, first: usize) -> impl Iterator<Item = i32> + 'a {
    let channels = cells.channels.max(4);
    cells.rows().flat_map(move |row| {
        row.chunks_exact(channels).filter_map(move |cell| {
            let [a, b, c, d] = cell.get(first..)?.first_chunk()?;
            Some(i32::from_le_bytes([a, b, c, d].map(|x| x.get() as u8)))
        })
    })
}

/// See [`Kernels::average_pool`](crate::kernels::Kernels::average_pool).
pub(super) fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let count = cells.count();
    if count > MOST_CELLS || cells.channels & 3 != 0 || out.len() != cells.channels {
        portable::average_pool(cells, min, max, out);
        return;
    }
    let half = count / 2;
    let mean = |sum: i32| {
        let away = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
        away.checked_div(count).unwrap_or(0).max(min).min(max) as i8
    };
    for (block, out) in out.as_chunks::<4>().0.iter().enumerate() {
        let (mut even, mut odd) = (0, 0);
        for word in words(cells, block.wrapping_mul(4)) {
            even = sadd16(even, sxtb16(word));
            odd = sadd16(odd, sxtb16_odd(word));
        }
        let sums = [even as i16, odd as i16, (even >> 16) as i16, (odd >> 16) as i16];
        for (out, sum) in out.iter().zip(sums) {
            out.set(mean(sum.into()));
        }
    }
}

/// See [`Kernels::max_pool`](crate::kernels::Kernels::max_pool).
pub(super) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    if cells.channels & 3 != 0 || out.len() != cells.channels {
        portable::max_pool(cells, min, max, out);
        return;
    }
    for (block, out) in out.as_chunks::<4>().0.iter().enumerate() {
        let largest = words(cells, block.wrapping_mul(4)).fold(i32::from_le_bytes([0x80; 4]), max8);
        for (out, x) in out.iter().zip(largest.to_le_bytes()) {
            out.set(i32::from(x as i8).max(min).min(max) as i8);
        }
    }
}
