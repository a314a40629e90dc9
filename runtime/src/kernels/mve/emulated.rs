//! The leaves in plain Rust, byte for byte what `asm.rs` does: for tests on the host.

use core::cell::Cell;

use super::{Channels, QUAD, TILE, Tile, VECTOR};
use crate::kernels::{Band, Lines};

fn vqrdmulh(a: i32, b: i32) -> i32 {
    (((i64::from(a) * i64::from(b) << 1) + (1 << 31)) >> 32).min(i32::MAX.into()) as i32
}

fn vrshl(x: i32, shift: i32) -> i32 {
    let right = shift.wrapping_neg();
    if right <= 0 { x << -right } else { ((i64::from(x) + (1 << (right - 1))) >> right) as i32 }
}

impl Channels<'_> {
    /// The int8 value of a sum of products.
    fn finish(&self, channel: usize, sum: i32) -> i8 {
        let place = if self.shared { channel % QUAD } else { channel };
        let multiplier = self.multipliers.get(place).copied().unwrap_or_default();
        let y = vqrdmulh(sum.wrapping_add(self.bias.get(channel).copied().unwrap_or(0)), multiplier.mantissa);
        let y = vrshl(y.wrapping_add(y >> 31), multiplier.shift);
        y.clamp(-32768, 32767).saturating_add(self.zero_point).clamp(-128, 127) as i8
    }
}

fn get(bytes: &[Cell<u8>], at: usize) -> i32 {
    bytes.get(at).map_or(0, |x| i32::from(x.get() as i8))
}

pub(super) fn load(tile: &[Cell<u8>], line: usize, lines: &Lines<'_>) {
    let depth = tile.len() / TILE;
    for (number, lane) in lines.lanes.clone().enumerate() {
        for (row, place) in lines.lines.clone().enumerate() {
            let source = lines.source.get(number * lines.step + row * lines.pitch..).unwrap_or(&[]);
            let target = tile.get(lane * depth + place * line..).unwrap_or(&[]);
            for (x, target) in source.iter().zip(target).take(line) {
                target.set(x.get() as u8);
            }
        }
    }
}

/// The products of a row with a channel of packed weights; `x` is 0 behind the row's end.
fn dot(depth: usize, weights: &[u8], channel: usize, x: impl Fn(usize) -> i32) -> i32 {
    let quad = weights.get(channel / QUAD * QUAD * depth..).unwrap_or(&[]);
    let vectors = quad.chunks_exact(VECTOR).skip(channel % QUAD).step_by(QUAD).take(depth / VECTOR);
    let products = vectors.flatten().enumerate().map(|(k, &w)| x(k).wrapping_mul(i32::from(w as i8)));
    products.fold(0, i32::wrapping_add)
}

pub(super) fn quads(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let depth = tile.bytes.len() / TILE;
    for lane in 0..tile.pixels {
        let out = out.get(lane * out_stride..).unwrap_or(&[]);
        for (channel, out) in out.iter().enumerate().take(channels.count) {
            let sum = dot(depth, weights, channel, |k| get(tile.bytes, lane * depth + k));
            out.set(channels.finish(channel, sum));
        }
    }
}

pub(super) fn dense(input: &[Cell<i8>], weights: &[u8], channels: &Channels<'_>, out: &[Cell<i8>]) {
    let depth = input.len().next_multiple_of(VECTOR);
    for (channel, out) in out.iter().enumerate().take(channels.count) {
        let sum = dot(depth, weights, channel, |k| input.get(k).map_or(0, |x| x.get().into()));
        out.set(channels.finish(channel, sum));
    }
}

pub(super) fn spread(
    band: &Band<'_>,
    slot: usize,
    left: usize,
    pixels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    for channel in 0..band.channels {
        for x in 0..band.width {
            let pixel = x.checked_sub(left).filter(|&x| x < pixels);
            let element = pixel.and_then(|x| row.get(x * band.channels + channel));
            if let Some(place) = band.cells.get((channel * band.width + x) * band.rows + slot) {
                place.set(element.map_or(zero_point, Cell::get) as u8);
            }
        }
    }
}

pub(super) fn depthwise_3x3(
    band: &Band<'_>,
    first: usize,
    weights: &[u8],
    offsets: &[u8; VECTOR],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    for (x, out) in out.chunks(band.channels).enumerate() {
        for (channel, out) in out.iter().enumerate().take(channels.count) {
            let window = ((first + channel) * band.width + x * band.stride) * 3;
            let weight = |offset: u8| weights.get(9 * channel + usize::from(offset)).map_or(0, |&w| w as i8);
            let lanes = offsets.iter().take(9).enumerate();
            let products =
                lanes.map(|(lane, &offset)| get(band.cells, window + lane) * i32::from(weight(offset)));
            out.set(channels.finish(channel, products.sum()));
        }
    }
}
