//! The leaves in plain Rust, word for word as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::{Band, Channels, TILE, halfwords};
use crate::packing::{Matrix, Packing, Shape};

pub(super) fn low(word: i32) -> i32 {
    i32::from(word as i16)
}

pub(super) fn high(word: i32) -> i32 {
    word >> 16
}

pub(super) fn smlad(a: i32, b: i32, acc: i32) -> i32 {
    acc.wrapping_add(low(a).wrapping_mul(low(b))).wrapping_add(high(a).wrapping_mul(high(b)))
}

pub(super) fn sxtb16(word: i32) -> i32 {
    halfwords(word as i8, (word >> 16) as i8)
}

pub(super) fn word(bytes: &[Cell<i8>]) -> i32 {
    let byte = |k: usize| bytes.get(k).map_or(0, |x| x.get() as u8);
    i32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)])
}

pub(super) fn set(cells: &[Cell<i32>], at: usize, word: i32) {
    if let Some(cell) = cells.get(at) {
        cell.set(word);
    }
}

/// `P` and `P + 256 Q` of a pair of channels.
#[derive(Clone, Copy, Default)]
pub(super) struct Pair {
    p: i32,
    r: i32,
}

impl Pair {
    pub(super) fn new(channels: &Channels<'_>, channel: usize) -> Pair {
        let p = channels.bias(channel);
        Pair { p, r: p.wrapping_add(channels.bias(channel + 1) << 8) }
    }

    pub(super) fn add(&mut self, weights: u32, x: i32) {
        self.r = smlad(weights as i32, x, self.r);
        self.p = smlad(sxtb16(weights as i32), x, self.p);
    }

    pub(super) fn finish(&self, channels: &Channels<'_>, channel: usize) -> [i8; 2] {
        self.finish_int16(channels, channel).map(|y| y.clamp(-128, 127) as i8)
    }

    pub(super) fn finish_int16(&self, channels: &Channels<'_>, channel: usize) -> [i16; 2] {
        let doubled = self.r.wrapping_sub(self.p) >> 7;
        [channels.finish_int16(channel, self.p << 1), channels.finish_int16(channel + 1, doubled)]
    }
}

pub(super) fn sadd16(a: i32, b: i32) -> i32 {
    low(a).wrapping_add(low(b)) & 0xFFFF | high(a).wrapping_add(high(b)) << 16
}

pub(super) fn widen(line: &[Cell<i8>], target: &[Cell<i32>]) {
    for (number, group) in line.chunks(4).enumerate() {
        let x = word(group);
        set(target, number * 2 * TILE, sxtb16(x));
        set(target, number * 2 * TILE + TILE, sxtb16(x.rotate_right(8)));
    }
}

pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    dense_by(input, weights, channels, out, Pair::finish);
}

pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i16>]) {
    dense_by(input, weights, channels, out, Pair::finish_int16);
}

fn dense_by<T: Copy>(
    input: &[Cell<i8>],
    weights: &[u32],
    channels: &Channels<'_>,
    out: &[Cell<T>],
    finish: impl Fn(&Pair, &Channels<'_>, usize) -> [T; 2],
) {
    let groups = input.len().div_ceil(4);
    for (pair, cells) in out.chunks(2).enumerate() {
        let block = pair / 4 * 4;
        let pairs = (out.len().div_ceil(2) - block).min(4);
        let words = weights.get(2 * groups * block..).unwrap_or(&[]);
        let mut words = words.iter().skip(pair - block).step_by(pairs);
        let mut acc = Pair::new(channels, 2 * pair);
        for x in input.chunks(4).map(word) {
            for x in [sxtb16(x), sxtb16(x.rotate_right(8))] {
                acc.add(words.next().copied().unwrap_or(0), x);
            }
        }
        for (y, out) in finish(&acc, channels, 2 * pair).into_iter().zip(cells) {
            out.set(y);
        }
    }
}

pub(super) fn widen_band(
    planes: &[Cell<i32>],
    width: usize,
    left: usize,
    pixels: usize,
    channels: usize,
    row: &[Cell<i8>],
    padding: i32,
) {
    for (group, planes) in planes.chunks_exact(2 * width).enumerate().take(channels / 4) {
        for cell in planes {
            cell.set(padding);
        }
        for (x, pixel) in row.chunks_exact(channels).enumerate().take(pixels) {
            let x4 = pixel.get(4 * group..).map_or(0, word);
            set(planes, left + x, sxtb16(x4));
            set(planes, width + left + x, sxtb16(x4.rotate_right(8)));
        }
    }
}

pub(super) fn depthwise_3x3(
    band: &Band<'_>,
    weights: &[u32],
    channels: &Channels<'_>,
    stride: usize,
    out: &[Cell<i8>],
) {
    let shape =
        Shape { packing: Packing::blocks(4, 1, 2), channels: band.channels as u32, lines: 1, line: 9 };
    let weights = Matrix { shape, bytes: bytemuck::cast_slice(weights) };
    for (x, out) in out.chunks_exact(band.channels).enumerate() {
        for (channel, out) in out.iter().enumerate().take(band.channels & !3) {
            let plane = channel / 4 * 2 + channel % 2;
            let mut acc = channels.bias(channel);
            for k in 0..9 {
                let at = plane * band.width + x * stride + k % 3;
                let word = super::words(band.line(k / 3)).get(at).map_or(0, Cell::get);
                let x = if channel % 4 < 2 { low(word) } else { high(word) };
                acc = acc.wrapping_add(x * i32::from(weights.weight(channel as u32, k as u32)));
            }
            out.set(channels.finish(channel, acc << 1));
        }
    }
}
