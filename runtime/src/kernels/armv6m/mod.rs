//! Cores with 32-bit products only: Cortex-M0 and M0+.
//!
//! Two pixels share the word `a + b * 2^16`, so that one MULS multiplies a weight with both. The lower sum
//! has room for one chunk of a channel's weights; the converter determines the lengths of the chunks
//! ([`Order::Chunks`](crate::packing::Order::Chunks)). After each chunk, the two sums are added to separate
//! accumulators. The weights of eight channels are interleaved: an element of a pair of pixels takes eight
//! bytes of the tile and eight bytes of the weights, so one register serves as the index into both.
//!
//! Depthwise layers keep planes of bytes, one for each channel, with 128 added to each byte, because only
//! unsigned bytes can be loaded by one instruction with an offset; the bias is reduced by what this adds to a
//! sum.
//!
//! Scaling needs a product of 64 bits, which is computed from four products of 16-bit halves.
//!
//! The leaves are assembly (`asm.rs`); on the host, the same contracts are in Rust (`emulated.rs`). `leaf.rs`
//! is the safe interface of both.
//! safe face of both.

#[cfg(kernels = "armv6m")]
pub(super) mod asm;
#[cfg(not(kernels = "armv6m"))]
mod emulated;
mod leaf;

use core::cell::Cell;

use ferrolite_schema::params::Weighted;

use super::channels::Channels;
use super::{Band, Kernels, Lines, Planes, Policy, Stage, TILE, Unprepared, portable, taps};
use crate::packing::{Matrix, Shape};
use crate::tensor::{TensorView, cells_of};

/// The set for cores with MULS.
#[derive(Debug)]
pub struct Armv6m;

/// Pairs of pixels in a tile.
const PAIRS: usize = TILE / 2;

/// Position of the second pixel's lowest bit in the word of a pair.
#[cfg(not(kernels = "armv6m"))]
const PIXEL_SHIFT: u32 = 16;

/// Channels of a block of weights.
const BLOCK: usize = 8;

impl Kernels for Armv6m {
    const POLICY: Policy = Policy::ARMV6M;

    type Tiled<'a> = Unprepared<'a, Self>;

    fn weighted_sum(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Weighted, out: &[Cell<i8>]) {
        // There are no products of more than 32 bits: the factor's low byte is a factor of its own.
        portable::weighted_sum_by(a, b, sum, out, |x, factor| {
            let (x, low) = (i32::from(x), factor & 0xFF);
            x.wrapping_mul(factor >> 8).wrapping_add(x.wrapping_mul(low) >> 8)
        });
    }

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        let len = shape.line as usize;
        let line = len.wrapping_mul(PAIRS);
        let (mut lane, mut source) = (lines.lanes.start, lines.source);
        while lane < lines.lanes.end {
            // The word of a pair of pixels holds the first pixel's element until the second one's is added.
            let (pixels, count) = match (lane & 1, lines.lanes.end.wrapping_sub(lane)) {
                (0, 1) => (Pixels::First, 1),
                (0, _) => (Pixels::Both, 2),
                _ => (Pixels::Second, 1),
            };
            let first = lines.lines.start.wrapping_mul(line).wrapping_add(lane / 2);
            leaf::enter(pixels, source, len, lines, words(tile).get(first..).unwrap_or(&[]));
            lane = lane.wrapping_add(count);
            source = source.get(lines.step.wrapping_mul(count)..).unwrap_or(&[]);
        }
    }

    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        matmul::<false>(tile, pixels, weights, stage, out, out_stride);
    }

    fn matmul_general(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        matmul::<true>(tile, pixels, weights, stage, out, out_stride);
    }

    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        let left = left.min(band.width);
        let pixels = row.len().checked_div(band.channels).unwrap_or(0).min(band.width - left);
        leaf::planes(band.slot(slot), band.width, left, pixels, band.channels, row, zero_point);
    }

    fn load_planes(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        taps::load(planes, slot, left, row, zero_point);
    }

    fn depthwise_taps(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        taps::row(planes, weights, stage, out);
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let channels = Channels::all(stage);
        let leaf = match (band.rows, band.columns, band.stride) {
            (3, 3, stride @ (1 | 2)) => leaf::depthwise_3x3(band, weights.bytes, &channels, stride, out),
            _ => false,
        };
        if !leaf {
            depthwise_any(band, weights.bytes, stage, out);
        }
        clamp(stage, out);
    }
}

/// A matrix product, with any sums and multipliers if `GENERAL`.
#[inline(always)]
fn matmul<const GENERAL: bool>(
    tile: &[Cell<u8>],
    pixels: usize,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let channels = weights.shape.channels as usize;
    let tile = Tile {
        words: words(tile),
        depth: weights.shape.depth().unwrap_or(0) as usize,
        chunks: weights.shape.packing.lengths() as usize,
        pixels,
    };
    let of_group = Channels::of(stage, 0, channels);
    leaf::products::<GENERAL>(&tile, weights.bytes, &of_group, out, out_stride);
    for out in out.chunks(out_stride.max(1)).take(pixels) {
        clamp(stage, out.get(..channels).unwrap_or(out));
    }
}

/// Which pixels of a pair are loaded into a tile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pixels {
    First,
    Second,
    Both,
}

/// A tile of pairs of pixels: the words of all pairs for each element.
#[derive(Clone, Copy)]
struct Tile<'a> {
    words: &'a [Cell<i32>],
    /// Elements of a pixel.
    depth: usize,
    /// Number of chunk lengths of each channel of the weights.
    chunks: usize,
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

fn words(bytes: &[Cell<u8>]) -> &[Cell<i32>] {
    cells_of(bytes).unwrap_or(&[])
}

/// Clamps to less than int8, to which the leaves already saturate. This is rare enough for a separate pass.
fn clamp(stage: &Stage<'_>, out: &[Cell<i8>]) {
    if stage.min > -128 || stage.max < 127 {
        for y in out {
            y.set(i32::from(y.get()).max(stage.min).min(stage.max) as i8);
        }
    }
}

/// A row of a depthwise convolution with any kernel and stride.
#[inline(never)]
fn depthwise_any(band: &Band<'_>, weights: &[u8], stage: &Stage<'_>, out: &[Cell<i8>]) {
    let taps = band.rows.wrapping_mul(band.columns).max(1);
    for (channel, weights) in weights.chunks_exact(taps).take(band.channels).enumerate() {
        let (bias, multiplier) = stage.channel(channel);
        let places = out.get(channel..).unwrap_or(&[]).iter().step_by(band.channels.max(1));
        let plane = channel.wrapping_mul(band.width);
        for (x, out) in places.enumerate() {
            let first = plane.wrapping_add(x.wrapping_mul(band.stride));
            let mut acc = bias;
            for (ky, weights) in weights.chunks_exact(band.columns.max(1)).enumerate() {
                let pixels = band.line(ky).get(first..).unwrap_or(&[]);
                for (x, &w) in pixels.iter().zip(weights) {
                    acc = acc.wrapping_add((i32::from(x.get()) - 128).wrapping_mul(i32::from(w as i8)));
                }
            }
            out.set(stage.apply_called(acc, multiplier));
        }
    }
}
