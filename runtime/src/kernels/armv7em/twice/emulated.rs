//! The leaf in plain Rust, on the same words, for tests on the host.

use core::cell::Cell;

use super::super::emulated::Pair;
use super::{BLOCK, WORDS};
use crate::kernels::channels::Channels;

/// See [`asm::dense_int16`](super::asm): channels in whole blocks.
pub(super) fn dense_int16(
    tile: &[Cell<i32>],
    groups: usize,
    weights: &[u32],
    channels: &Channels<'_>,
    out: [&[Cell<i16>]; 2],
) {
    for (row, out) in out.into_iter().enumerate() {
        for (number, cells) in out.chunks(2).enumerate() {
            // Pairs of a block lie side by side.
            let pairs = BLOCK / 2;
            let mut words =
                weights[2 * groups * (number / pairs * pairs)..].iter().skip(number % pairs).step_by(pairs);
            let mut acc = Pair::new(channels, 2 * number);
            for x in tile[..groups * WORDS].iter().skip(row).step_by(2) {
                acc.add(words.next().copied().unwrap_or(0), x.get());
            }
            for (cell, y) in cells.iter().zip(acc.finish_int16(channels, 2 * number)) {
                cell.set(y);
            }
        }
    }
}
