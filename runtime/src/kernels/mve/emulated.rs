//! The leaves in plain Rust, byte for byte as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use ferrolite_schema::params::{Multiplier, Product, Sum};

use super::{Channels, QUAD, TILE, Tile, VECTOR};
use crate::kernels::{Band, Cells, Lines};
use crate::tensor::TensorView;

fn vqrdmulh(a: i32, b: i32) -> i32 {
    ((2 * i64::from(a) * i64::from(b) + (1 << 31)) >> 32).min(i32::MAX.into()) as i32
}

/// As in the instruction, only the lowest byte of `shift` counts; a file may contain any value.
fn vrshl(x: i32, shift: i32) -> i32 {
    match i32::from(shift as i8) {
        32.. | ..=-33 => 0,
        left @ 0.. => x << left,
        right => ((i64::from(x) + (1 << (-right - 1))) >> -right) as i32,
    }
}

impl Channels<'_> {
    /// The int8 value of a sum of products.
    fn finish(&self, channel: usize, sum: i32) -> i8 {
        i32::from(self.finish_int16(channel, sum)).saturating_add(self.zero_point).clamp(-128, 127) as i8
    }

    /// The same within int16, without a zero point.
    fn finish_int16(&self, channel: usize, sum: i32) -> i16 {
        let place = if self.shared { channel % QUAD } else { channel };
        let multiplier = self.multipliers.get(place).copied().unwrap_or_default();
        let y = vqrdmulh(sum.wrapping_add(self.bias.get(channel).copied().unwrap_or(0)), multiplier.mantissa);
        let y = vrshl(y.wrapping_add(y >> 31), multiplier.shift);
        y.clamp(-32768, 32767) as i16
    }

    /// The same for any multiplier.
    fn finish_general(&self, channel: usize, sum: i32) -> i8 {
        let place = if self.shared { channel % QUAD } else { channel };
        let Multiplier { mantissa, shift } = self.multipliers.get(place).copied().unwrap_or_default();
        let (left, right) = (shift.max(0), shift.min(0));
        let y = sum.wrapping_add(self.bias.get(channel).copied().unwrap_or(0));
        let y = vqrdmulh(y << left, mantissa);
        let y = vrshl(y + ((y & right) >> 31), right);
        y.wrapping_add(self.zero_point).clamp(-128, 127) as i8
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

/// Products of a row with a channel of packed weights; `x` is 0 after the row's end.
fn dot(depth: usize, weights: &[u8], channel: usize, x: impl Fn(usize) -> i32) -> i32 {
    let quad = weights.get(channel / QUAD * QUAD * depth..).unwrap_or(&[]);
    let vectors = quad.chunks_exact(VECTOR).skip(channel % QUAD).step_by(QUAD).take(depth / VECTOR);
    let products = vectors.flatten().enumerate().map(|(k, &w)| x(k).wrapping_mul(i32::from(w as i8)));
    products.fold(0, i32::wrapping_add)
}

pub(super) fn quads<const GENERAL: bool>(
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
            let finish = if GENERAL { Channels::finish_general } else { Channels::finish };
            out.set(finish(channels, channel, sum));
        }
    }
}

pub(super) fn dense<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let depth = input.len().next_multiple_of(VECTOR);
    for (channel, out) in out.iter().enumerate().take(channels.count) {
        let sum = dot(depth, weights, channel, |k| input.get(k).map_or(0, |x| x.get().into()));
        let finish = if GENERAL { Channels::finish_general } else { Channels::finish };
        out.set(finish(channels, channel, sum));
    }
}

pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u8], channels: &Channels<'_>, out: &[Cell<i16>]) {
    let depth = input.len().next_multiple_of(VECTOR);
    for (channel, out) in out.iter().enumerate().take(channels.count) {
        let sum = dot(depth, weights, channel, |k| input.get(k).map_or(0, |x| x.get().into()));
        out.set(channels.finish_int16(channel, sum));
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

pub(super) fn depthwise(
    band: &Band<'_>,
    first: usize,
    weights: &[u8],
    offsets: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let taps = band.rows * band.columns;
    for (x, out) in out.chunks(band.channels).enumerate() {
        for (channel, out) in out.iter().enumerate().take(channels.count) {
            let window = ((first + channel) * band.width + x * band.stride) * band.rows;
            let weight =
                |offset: u8| weights.get(taps * channel + usize::from(offset)).map_or(0, |&w| w as i8);
            let lanes = offsets.iter().take(taps).enumerate();
            let products =
                lanes.map(|(lane, &offset)| get(band.cells, window + lane) * i32::from(weight(offset)));
            out.set(channels.finish(channel, products.sum()));
        }
    }
}

/// Scales down. Without a shift, there is no second rounding.
fn scale(x: i32, multiplier: &Multiplier) -> i32 {
    let high = vqrdmulh(x, multiplier.mantissa);
    vrshl(if multiplier.shift < 0 { high.wrapping_add(high >> 31) } else { high }, multiplier.shift)
}

pub(super) fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, out: &[Cell<i8>]) {
    for ((a, b), out) in a.iter().zip(b.iter()).zip(out) {
        let term =
            |x: i8, zero_point: i32| (i32::from(x) << 20).wrapping_add(zero_point.wrapping_neg() << 20);
        let a = scale(term(a, sum.a.zero_point), &sum.a.multiplier);
        let b = scale(term(b, sum.b.zero_point), &sum.b.multiplier);
        let y = scale(a.wrapping_add(b.wrapping_mul(sum.sign)), &sum.multiplier).wrapping_add(sum.zero_point);
        out.set(y.max(sum.min).min(sum.max) as i8);
    }
}

pub(super) fn mul(a: TensorView<'_, i8>, b: TensorView<'_, i8>, product: &Product, out: &[Cell<i8>]) {
    for ((a, b), out) in a.iter().zip(b.iter()).zip(out) {
        let a = i32::from(a).wrapping_sub(product.a_zero_point);
        let b = i32::from(b).wrapping_sub(product.b_zero_point);
        let y = scale(a.wrapping_mul(b), &product.multiplier).wrapping_add(product.zero_point);
        out.set(y.max(product.min).min(product.max) as i8);
    }
}

/// The elements of a channel.
fn channel<'a>(cells: &Cells<'a>, channel: usize) -> impl Iterator<Item = i32> + 'a {
    let channels = cells.channels;
    let elements =
        cells.rows().flat_map(move |row| row.get(channel..).unwrap_or(&[]).iter().step_by(channels));
    elements.map(|x| x.get().into())
}

pub(super) fn average_pool(cells: &Cells<'_>, reciprocal: u32, min: i32, max: i32, out: &[Cell<i8>]) {
    for (number, out) in out.iter().enumerate().take(cells.channels) {
        let sum: i32 = channel(cells, number).sum();
        let dividend = sum.unsigned_abs().wrapping_add(cells.count() as u32 / 2);
        let mean = ((u64::from(dividend) * u64::from(reciprocal)) >> 32) as i32;
        out.set(if sum < 0 { -mean } else { mean }.max(min).min(max) as i8);
    }
}

pub(super) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    for (number, out) in out.iter().enumerate().take(cells.channels) {
        out.set(channel(cells, number).fold(min, i32::max).min(max) as i8);
    }
}
