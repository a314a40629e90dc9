//! The leaves in plain Rust, word for word as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::super::emulated::{Pair, smlad, sxtb16, widen};
use super::super::intrinsics::smmlar;
use super::super::{Channels, TILE, Tile};
use super::Tiled;
use crate::kernels::Patches;

pub(super) fn lane(conv: &Tiled<'_>, patches: &Patches<'_>, lane: usize, pixel: usize) {
    for number in 0..conv.lines {
        let (first, row) = match number.checked_sub(patches.until_end) {
            None => (patches.start, number),
            Some(behind) => (patches.again, behind),
        };
        let start = first + pixel * conv.step + row * conv.pitch;
        let target = &conv.tile[number * conv.len.div_ceil(4) * 2 * TILE + lane..];
        widen(&patches.cells[start..][..conv.len], target);
    }
}

pub(super) fn pairs(
    tile: &Tile<'_>,
    weights: &[u32],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    for (pair, weights) in weights.chunks(2 * tile.groups).enumerate().take(count.div_ceil(2)) {
        for lane in 0..tile.pixels {
            let mut acc = Pair::new(channels, 2 * pair);
            let pixel = tile.words.iter().skip(lane).step_by(TILE);
            for (&w, x) in weights.iter().zip(pixel) {
                acc.add(w, x.get());
            }
            // The last channel may have no pair.
            let both = acc.finish(channels, 2 * pair).into_iter().take(count - 2 * pair);
            for (half, y) in both.enumerate() {
                if let Some(out) = out.get(lane * out_stride + 2 * pair + half) {
                    out.set(y);
                }
            }
        }
    }
}

pub(super) fn general_pairs(
    tile: &Tile<'_>,
    weights: &[u32],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    // With the mantissa doubled modulo 2^32.
    let scaled = |acc: i32, mantissa: i32| {
        let doubled = mantissa << 1;
        smmlar(acc, doubled, acc & doubled >> 31)
    };
    let count = channels.bias.len();
    for (first, weights) in (0..count).step_by(2).zip(weights.chunks(2 * tile.groups)) {
        for lane in 0..tile.pixels {
            let mut sums = [channels.bias(first), channels.bias(first + 1)];
            for (&w, x) in weights.iter().zip(tile.words.iter().skip(lane).step_by(TILE)) {
                sums[0] = smlad(sxtb16(w as i32), x.get(), sums[0]);
                sums[1] = smlad(sxtb16(w.rotate_right(8) as i32), x.get(), sums[1]);
            }
            for (channel, sum) in (first..count).zip(sums) {
                out[lane * out_stride + channel].set(channels.finish_general_by(scaled, channel, sum));
            }
        }
    }
}
