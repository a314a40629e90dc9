//! The leaves in plain Rust, word for word as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::{Band, Channels, PAIRS, PIXEL_SHIFT, Pixels, QUAD, TILE, Tile};

/// Splits 64 bits into the signed sum in the lower `bits` bits and the sum above it; both are doubled.
fn split(acc: i64, bits: u32) -> [i32; 2] {
    let low = acc as i32;
    let first = low << (32 - bits) >> (31 - bits);
    // A negative lower sum has borrowed from the upper one; the last bit that is shifted out adds it back.
    let carry = low >> (bits - 1) & 1;
    let second = ((acc >> bits) as i32).wrapping_add(carry);
    [first, second << 1]
}

pub(super) fn enter(pixels: Pixels, source: &[Cell<i8>], len: usize, step: usize, target: &[Cell<i32>]) {
    let second = source.get(step..).unwrap_or(&[]);
    for ((x, y), word) in source.iter().zip(second).zip(target.iter().step_by(PAIRS)).take(len) {
        let (x, y) = (i32::from(x.get()), i32::from(y.get()) << PIXEL_SHIFT);
        word.set(match pixels {
            Pixels::First => x,
            Pixels::Second => word.get().wrapping_add(y),
            Pixels::Both => x.wrapping_add(y),
        });
    }
}

pub(super) fn products(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    // A pair, or one channel.
    let width = count.min(2);
    for (pair, weights) in weights.chunks_exact(width * tile.depth).enumerate().take(count / width) {
        for half in 0..width {
            let channel = width * pair + half;
            let bias = i64::from(channels.bias(channel));
            let mut acc = [bias + (bias << PIXEL_SHIFT); PAIRS];
            for (w, words) in weights.iter().skip(half).step_by(width).zip(tile.words.chunks_exact(PAIRS)) {
                for (acc, word) in acc.iter_mut().zip(words) {
                    *acc = acc.wrapping_add(i64::from(word.get()) * i64::from(*w as i8));
                }
            }
            let doubled = acc.map(|acc| split(acc, PIXEL_SHIFT));
            for (lane, &doubled) in doubled.as_flattened().iter().enumerate().take(TILE.min(tile.pixels)) {
                if let Some(out) = out.get(lane * out_stride + channel) {
                    out.set(channels.finish(channel, doubled));
                }
            }
        }
    }
}

pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    dense_by(input, weights, channels, out, |channel, doubled| channels.finish(channel, doubled));
}

pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i16>]) {
    dense_by(input, weights, channels, out, |channel, doubled| channels.finish_int16(channel, doubled));
}

fn dense_by<T>(
    input: &[Cell<i8>],
    weights: &[u32],
    channels: &Channels<'_>,
    out: &[Cell<T>],
    finish: impl Fn(usize, i32) -> T,
) {
    const MASK: u32 = 0xFF00_00FF;
    let sum: i32 = input.iter().map(|x| i32::from(x.get())).fold(0, i32::wrapping_add);
    let offset = sum.wrapping_mul(-128);
    for (quad, out) in out.chunks(QUAD).enumerate() {
        let weights = weights.get(quad * input.len()..).unwrap_or(&[]);
        for pair in 0..2 {
            let channel = QUAD * quad + 2 * pair;
            let low = i64::from(channels.bias(channel).wrapping_add(offset));
            let mut acc = low + (i64::from(channels.bias(channel + 1)) << 24);
            for (&word, x) in weights.iter().zip(input) {
                let pair = (word.rotate_right(16 * pair as u32) & MASK) as i32;
                acc = acc.wrapping_add(i64::from(pair) * i64::from(x.get()));
            }
            for (half, doubled) in split(acc, 24).into_iter().enumerate() {
                if let Some(out) = out.get(2 * pair + half) {
                    out.set(finish(channel + half, doubled));
                }
            }
        }
    }
}

pub(super) fn planes(
    planes: &[Cell<u8>],
    width: usize,
    left: usize,
    pixels: usize,
    channels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    for (channel, plane) in planes.chunks_exact(width).enumerate().take(channels) {
        for (x, place) in plane.iter().enumerate() {
            let inside = x >= left && x < left + pixels;
            let at = if inside { (x - left) * channels + channel } else { usize::MAX };
            place.set(row.get(at).map_or(zero_point, Cell::get) as u8);
        }
    }
}

pub(super) fn depthwise_3x3(
    band: &Band<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    stride: usize,
    out: &[Cell<i8>],
) {
    for (x, out) in out.chunks_exact(band.channels).enumerate() {
        for ((channel, out), weights) in out.iter().enumerate().zip(weights.chunks_exact(9)) {
            let mut acc = channels.bias(channel);
            for (k, &w) in weights.iter().enumerate() {
                let at = channel * band.width + x * stride + k % 3;
                let x = band.line(k / 3).get(at).map_or(0, |x| x.get() as i8);
                acc = acc.wrapping_add(i32::from(x) * i32::from(w as i8));
            }
            out.set(channels.finish(channel, acc << 1));
        }
    }
}
