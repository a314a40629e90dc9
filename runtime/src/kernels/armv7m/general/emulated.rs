//! The leaves in plain Rust, part by part as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::{Channels, PAIRS, PIXEL_SHIFT, QUAD, TILE, Tile};

/// Splits 64 bits into the signed sum in the lower `bits` bits and the sum above it.
fn split(acc: i64, bits: u32) -> [i32; 2] {
    let first = (acc as i32) << (32 - bits) >> (32 - bits);
    [first, (acc.wrapping_sub(first.into()) >> bits) as i32]
}

pub(super) fn matmul(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    for channel in 0..count {
        let width = (count - channel / 2 * 2).min(2);
        let weights = weights.get(channel / 2 * 2 * tile.depth + channel % 2..).unwrap_or(&[]);
        let mut weights = weights.iter().step_by(width);
        let mut sums = [channels.bias(channel); TILE];
        for part in tile.words[..tile.depth * PAIRS].chunks(248 * PAIRS) {
            let mut acc = [0i64; PAIRS];
            for words in part.chunks_exact(PAIRS) {
                let w = weights.next().map_or(0, |&w| i64::from(w as i8));
                for (acc, word) in acc.iter_mut().zip(words) {
                    *acc += i64::from(word.get()) * w;
                }
            }
            let parts = acc.map(|acc| split(acc, PIXEL_SHIFT));
            for (sum, part) in sums.iter_mut().zip(parts.as_flattened()) {
                *sum = sum.wrapping_add(*part);
            }
        }
        for (lane, sum) in sums.into_iter().enumerate().take(tile.pixels) {
            out[lane * out_stride + channel].set(channels.finish_general(channel, sum));
        }
    }
}

pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    const MASK: u32 = 0xFF00_00FF;
    let sum: i32 = input.iter().map(|x| i32::from(x.get())).fold(0, i32::wrapping_add);
    let surplus = sum.wrapping_mul(-128);
    for (quad, out) in out.chunks(QUAD).enumerate() {
        let weights = weights.get(quad * input.len()..).unwrap_or(&[]);
        for pair in 0..2 {
            let channel = QUAD * quad + 2 * pair;
            let mut sums = [channels.bias(channel).wrapping_add(surplus), channels.bias(channel + 1)];
            for (weights, input) in weights.chunks(256).zip(input.chunks(256)) {
                let mut acc = 0i64;
                for (&word, x) in weights.iter().zip(input) {
                    let pair = (word.rotate_right(16 * pair as u32) & MASK) as i32;
                    acc += i64::from(pair) * i64::from(x.get());
                }
                for (sum, part) in sums.iter_mut().zip(split(acc, 24)) {
                    *sum = sum.wrapping_add(part);
                }
            }
            for (half, sum) in sums.into_iter().enumerate() {
                if let Some(out) = out.get(2 * pair + half) {
                    out.set(channels.finish_general(channel + half, sum));
                }
            }
        }
    }
}
