//! The leaves in plain Rust, word for word as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::super::emulated::{smlad, sxtb16, word};
use super::Channels;

/// Adds the products of two elements with both weights of two halfwords.
fn add(sums: &mut [i32; 2], weights: u32, x: i32) {
    sums[0] = smlad(sxtb16(weights as i32), x, sums[0]);
    sums[1] = smlad(sxtb16(weights.rotate_right(8) as i32), x, sums[1]);
}

pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    let groups = input.len().div_ceil(4);
    for (pair, cells) in out.chunks(2).enumerate() {
        let block = pair / 4 * 4;
        let pairs = (out.len().div_ceil(2) - block).min(4);
        let words = weights.get(2 * groups * block..).unwrap_or(&[]);
        let mut words = words.iter().skip(pair - block).step_by(pairs);
        let mut sums = [channels.bias(2 * pair), channels.bias(2 * pair + 1)];
        for x in input.chunks(4).map(word) {
            for x in [sxtb16(x), sxtb16(x.rotate_right(8))] {
                add(&mut sums, words.next().copied().unwrap_or(0), x);
            }
        }
        for ((channel, sum), out) in (2 * pair..).zip(sums).zip(cells) {
            out.set(channels.finish_general(channel, sum));
        }
    }
}
