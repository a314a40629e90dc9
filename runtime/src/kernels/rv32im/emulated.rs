//! The leaves in plain Rust, with the arithmetic of `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::{BLOCK, Band, Channels, DENSE_BLOCK, Tile, bytes};

/// High word of the product of a signed and an unsigned number.
fn mulhsu(a: i32, b: u32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

impl Channels<'_> {
    /// The int8 value of an accumulator.
    fn finish(&self, channel: usize, acc: i32) -> i8 {
        self.scaled(channel, acc) as i8
    }

    /// An accumulator scaled down, within the bounds.
    fn scaled(&self, channel: usize, acc: i32) -> i32 {
        let multiplier = match self.multipliers {
            [one] => Some(one),
            all => all.get(channel),
        };
        let multiplier = multiplier.copied().unwrap_or_default();
        let doubled = (multiplier.mantissa as u32) << 1;
        let low = (acc as u32).wrapping_mul(doubled);
        let high = mulhsu(acc, doubled).wrapping_add((low >> 31) as i32);
        let shift = !multiplier.shift as u32;
        let y = high.wrapping_add(high >> 31).wrapping_add(self.half.wrapping_shl(shift));
        y.wrapping_shr(shift.wrapping_add(1)).max(self.min).min(self.max)
    }

    /// The same for any multiplier.
    fn finish_general(&self, channel: usize, acc: i32) -> i8 {
        let multiplier = match self.multipliers {
            [one] => Some(one),
            all => all.get(channel),
        };
        let multiplier = multiplier.copied().unwrap_or_default();
        let doubled = (multiplier.mantissa as u32) << 1;
        let high = |acc: i32| {
            let low = (acc as u32).wrapping_mul(doubled);
            mulhsu(acc, doubled).wrapping_add((low >> 31) as i32)
        };
        let y = if multiplier.shift < 0 {
            let y = high(acc);
            (y.wrapping_add(y >> 31).wrapping_shr(!multiplier.shift as u32) + 1) >> 1
        } else {
            high(acc.wrapping_shl(multiplier.shift as u32))
        };
        y.wrapping_add(self.half >> 1).max(self.min).min(self.max) as i8
    }

    fn bias(&self, channel: usize) -> i32 {
        self.bias.get(channel).copied().unwrap_or(0)
    }
}

/// Adds the products of some elements with channel `lane` of a block of `width` channels.
fn dot(start: i32, x: &[Cell<i8>], block: &[u8], lane: usize, width: usize) -> i32 {
    let weights = block.iter().skip(lane).step_by(width);
    x.iter()
        .zip(weights)
        .fold(start, |acc, (x, &w)| acc.wrapping_add(i32::from(x.get()) * i32::from(w as i8)))
}

pub(super) fn blocks<const GENERAL: bool>(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    for channel in 0..channels.bias.len() {
        let first = channel / BLOCK * BLOCK;
        let block = weights.get(first * tile.depth..).unwrap_or(&[]);
        let width = (channels.bias.len() - first).min(BLOCK);
        for (pixel, x) in tile.bytes.chunks_exact(tile.depth).enumerate().take(tile.pixels) {
            let acc = dot(channels.bias(channel), x, block, channel - first, width);
            if let Some(out) = out.get(pixel * out_stride + channel) {
                let finish = if GENERAL { Channels::finish_general } else { Channels::finish };
                out.set(finish(channels, channel, acc));
            }
        }
    }
}

pub(super) fn dense<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    for (channel, out) in out.iter().enumerate().take(channels.bias.len()) {
        let first = channel / DENSE_BLOCK * DENSE_BLOCK;
        let block = weights.get(first * input.len()..).unwrap_or(&[]);
        let width = (channels.bias.len() - first).min(DENSE_BLOCK);
        let acc = dot(channels.bias(channel), input, block, channel - first, width);
        let finish = if GENERAL { Channels::finish_general } else { Channels::finish };
        out.set(finish(channels, channel, acc));
    }
}

pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u8], channels: &Channels<'_>, out: &[Cell<i16>]) {
    for (channel, out) in out.iter().enumerate().take(channels.bias.len()) {
        let first = channel / DENSE_BLOCK * DENSE_BLOCK;
        let block = weights.get(first * input.len()..).unwrap_or(&[]);
        let width = (channels.bias.len() - first).min(DENSE_BLOCK);
        let acc = dot(channels.bias(channel), input, block, channel - first, width);
        out.set(channels.scaled(channel, acc) as i16);
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
        for (channel, (out, weights)) in out.iter().zip(weights.chunks_exact(9)).enumerate() {
            let mut acc = channels.bias(channel);
            for (k, &w) in weights.iter().enumerate() {
                let at = (x * stride + k % 3) * band.channels + channel;
                let x = bytes(band.line(k / 3)).get(at).map_or(0, Cell::get);
                acc = acc.wrapping_add(i32::from(x) * i32::from(w as i8));
            }
            out.set(channels.finish(channel, acc));
        }
    }
}
