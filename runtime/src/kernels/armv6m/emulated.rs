//! The leaves in plain Rust, step by step as in `asm.rs`, for tests on the host.

use core::cell::Cell;

use super::{BLOCK, Band, Channels, PAIRS, PIXEL_SHIFT, Pixels, TILE, Tile};

/// The upper word of a product, rounded, computed from products of 32 bits.
fn high_product(a: i32, m: i32) -> i32 {
    let (low, high) = (a & 0xFFFF, a >> 16);
    let (m_low, m_high) = (m & 0xFFFF, ((m as u32) >> 16) as i32);
    let middle = high.wrapping_mul(m_low).wrapping_add((low.wrapping_mul(m_low) as u32 >> 16) as i32);
    let carry = (low.wrapping_mul(m_high) as u32).wrapping_add((middle & 0xFFFF) as u32).wrapping_add(0x8000);
    high.wrapping_mul(m_high).wrapping_add(middle >> 16).wrapping_add((carry >> 16) as i32)
}

/// A product, rounded and without its lower 31 bits, computed from products of 32 bits.
fn scaled(a: i32, m: i32) -> i32 {
    let (low, high) = (a & 0xFFFF, a >> 16);
    let (m_low, m_high) = (m & 0xFFFF, ((m as u32) >> 16) as i32);
    let middle = high.wrapping_mul(m_low).wrapping_add((low.wrapping_mul(m_low) as u32 >> 16) as i32);
    let carry = (low.wrapping_mul(m_high) as u32).wrapping_add((middle & 0xFFFF) as u32).wrapping_add(0x4000);
    (high.wrapping_mul(m_high).wrapping_add(middle >> 16) << 1).wrapping_add((carry >> 15) as i32)
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

pub(super) fn products<const GENERAL: bool>(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let block = (tile.depth + tile.chunks) * BLOCK;
    for channel in 0..channels.bias.len() {
        let lane = channel % BLOCK;
        let block = weights.get(channel / BLOCK * block..).unwrap_or(&[]);
        let mut lengths = block.iter().skip(lane * tile.chunks);
        let mut weights = block.iter().skip(tile.chunks * BLOCK + lane).step_by(BLOCK);
        let mut words = tile.words.chunks_exact(PAIRS).take(tile.depth);
        let mut acc = [channels.bias(channel); TILE];
        while words.len() != 0 {
            let length = lengths.next().map_or(0, |&length| usize::from(length & 15)) + 1;
            let mut sums = [0i32; PAIRS];
            for (words, &w) in words.by_ref().take(length).zip(weights.by_ref()) {
                for (sum, word) in sums.iter_mut().zip(words) {
                    *sum = sum.wrapping_add(word.get().wrapping_mul(i32::from(w as i8)));
                }
            }
            for (acc, sum) in acc.chunks_exact_mut(2).zip(sums) {
                let first = i32::from(sum as i16);
                let second = sum.wrapping_sub(first) >> PIXEL_SHIFT;
                for (acc, sum) in acc.iter_mut().zip([first, second]) {
                    *acc = acc.wrapping_add(sum);
                }
            }
        }
        for (lane, acc) in acc.into_iter().enumerate().take(tile.pixels) {
            if let Some(out) = out.get(lane * out_stride + channel) {
                out.set(match GENERAL {
                    true => channels.finish_general_by(scaled, channel, acc),
                    false => channels.finish_by(high_product, channel, acc << 1),
                });
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
    padding: u8,
) {
    for (channel, plane) in planes.chunks_exact(width).enumerate().take(channels) {
        for (x, place) in plane.iter().enumerate() {
            let inside = x >= left && x < left + pixels;
            let at = if inside { (x - left) * channels + channel } else { usize::MAX };
            place.set(row.get(at).map_or(padding, |x| x.get() as u8 ^ 0x80));
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
            let sum: i32 = weights.iter().map(|&w| i32::from(w as i8)).sum();
            let mut acc = channels.bias(channel).wrapping_sub(sum << 7);
            for (k, &w) in weights.iter().enumerate() {
                let at = channel * band.width + x * stride + k % 3;
                let x = band.line(k / 3).get(at).map_or(0, |x| x.get());
                acc = acc.wrapping_add(i32::from(x) * i32::from(w as i8));
            }
            out.set(channels.finish_by(high_product, channel, acc << 1));
        }
    }
}
