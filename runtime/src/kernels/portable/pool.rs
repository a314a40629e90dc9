//! Portable bodies of the pooling kernels: they process blocks of four channels over all cells of a window.

use core::cell::Cell;

use crate::kernels::Cells;

/// Channels that are reduced together: four accumulators and four addresses fit into the registers.
const BLOCK: usize = 4;

/// Reduces each channel of the cells with `combine`, starting from `start`, and writes `finish` of the
/// result.
#[inline(always)]
fn pool(
    cells: &Cells<'_>,
    start: i32,
    combine: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32) -> i8,
    out: &[Cell<i8>],
) {
    for (block, out) in out.chunks(BLOCK).enumerate() {
        let first = block.wrapping_mul(BLOCK);
        let mut acc = [start; BLOCK];
        for row in cells.rows() {
            for cell in row.chunks_exact(cells.channels.max(1)) {
                if let Some([x0, x1, x2, x3]) = cell.get(first..first.wrapping_add(BLOCK)) {
                    acc[0] = combine(acc[0], x0.get().into());
                    acc[1] = combine(acc[1], x1.get().into());
                    acc[2] = combine(acc[2], x2.get().into());
                    acc[3] = combine(acc[3], x3.get().into());
                } else {
                    for (acc, x) in acc.iter_mut().zip(cell.iter().skip(first)) {
                        *acc = combine(*acc, x.get().into());
                    }
                }
            }
        }
        for (acc, out) in acc.iter().zip(out) {
            out.set(finish(*acc));
        }
    }
}

/// See [`Kernels::average_pool`](crate::kernels::Kernels::average_pool).
pub(in crate::kernels) fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    let count = cells.count();
    let half = count / 2;
    let round = |sum: i32| {
        let away = if sum > 0 { sum.wrapping_add(half) } else { sum.wrapping_sub(half) };
        away.checked_div(count).unwrap_or(0).max(min).min(max) as i8
    };
    pool(cells, 0, i32::wrapping_add, round, out);
}

/// See [`Kernels::max_pool`](crate::kernels::Kernels::max_pool).
pub(in crate::kernels) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    pool(cells, i8::MIN.into(), i32::max, |largest| largest.max(min).min(max) as i8, out);
}
