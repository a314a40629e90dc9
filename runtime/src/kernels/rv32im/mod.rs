//! RISC-V cores with 32 bits and the multiplication instructions: RV32IM and its extensions.
//!
//! These cores have 28 usable registers. A matrix product keeps the sums of four pixels by four channels in
//! them, and reads each element once for four products, with the offset in the instruction: 2.5 instructions
//! per product. Weights are in blocks of channels, interleaved weight by weight; pixels stay bytes. A
//! depthwise layer keeps the nine weights of a channel and three unfinished outputs, so that each element is
//! read once for three products, directly from rows of pixels.
//!
//! The leaves are assembly (`asm.rs`); on the host, the same contracts are in plain Rust (`emulated.rs`).
//! `leaf.rs` is the safe interface of both. MULHSU by the doubled mantissa is the requantization's high
//! multiply.

#[cfg(kernels = "rv32im")]
pub(super) mod asm;
mod conv;
#[cfg(not(kernels = "rv32im"))]
mod emulated;
mod leaf;

use core::cell::Cell;

use ferrolite_schema::params::Multiplier;

use super::{Band, Kernels, Lines, Planes, Policy, Stage, TILE, taps};
use crate::packing::{Matrix, Shape};
use crate::tensor::{cells_of, copy, fill};

/// The set for RV32IM.
#[derive(Debug)]
pub struct Rv32im;

impl Kernels for Rv32im {
    const POLICY: Policy = Policy::RV32IM;

    type Tiled<'a> = conv::Tiled<'a>;

    fn copy_row(source: &[Cell<i8>], target: &[Cell<i8>]) {
        leaf::copy(source, target);
    }

    /// The patches of the pixels are stored one after the other.
    #[inline(never)]
    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        let line = shape.line as usize;
        let depth = line.wrapping_mul(shape.lines as usize);
        let tile = bytes(tile).get(lines.lanes.start.wrapping_mul(depth)..).unwrap_or(&[]);
        let count = lines.lanes.len();
        if depth == line && lines.step == line {
            let size = count.wrapping_mul(line);
            leaf::copy(lines.source.get(..size).unwrap_or(&[]), tile);
            return;
        }
        let first = lines.lines.start.wrapping_mul(line);
        for (lane, patch) in tile.chunks(depth.max(1)).take(count).enumerate() {
            let source = lines.source.get(lane.wrapping_mul(lines.step)..).unwrap_or(&[]);
            let target = patch.get(first..).unwrap_or(&[]);
            leaf::copy_lines(source, lines.pitch, target, line, lines.lines.len());
        }
    }

    #[inline(never)]
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

    #[inline(always)]
    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        leaf::dense::<false>(input, weights.bytes, &Channels::all(stage), out);
    }

    fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
        let bounds = Channels { min: i16::MIN.into(), max: i16::MAX.into(), ..Channels::all(stage) };
        leaf::dense_int16(input, weights.bytes, &bounds, out);
    }

    #[inline(never)]
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

    #[inline(never)]
    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        leaf::dense::<true>(input, weights.bytes, &Channels::all(stage), out);
    }

    /// Pixels are adjacent, as in the image.
    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        let pixels = |count: usize| count.wrapping_mul(band.channels);
        let line = bytes(band.slot(slot));
        let line = line.get(..pixels(band.width)).unwrap_or(line);
        let (before, rest) = line.split_at_checked(pixels(left)).unwrap_or((line, &[]));
        let (inside, behind) = rest.split_at_checked(row.len()).unwrap_or((rest, &[]));
        fill(before, zero_point);
        copy(row, inside);
        fill(behind, zero_point);
    }

    fn load_planes(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        taps::load(planes, slot, left, row, zero_point);
    }

    fn depthwise_taps(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        taps::row(planes, weights, stage, out);
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let done = match (band.rows, band.columns, band.stride) {
            (3, 3, stride @ (1 | 2)) => {
                leaf::depthwise_3x3(band, weights.bytes, &Channels::of(stage, 0, band.channels), stride, out)
            }
            _ => false,
        };
        if !done {
            depthwise_any(band, weights, stage, out);
        }
    }
}

/// Channels in a block of a matrix product; the packing of [`Policy::RV32IM`] must agree.
const BLOCK: usize = 4;

/// Channels in a block of a dense layer.
#[cfg(not(kernels = "rv32im"))]
const DENSE_BLOCK: usize = 8;

/// A tile: the patches of [`TILE`] pixels, one after the other.
#[derive(Clone, Copy)]
struct Tile<'a> {
    bytes: &'a [Cell<i8>],
    /// Elements of a patch.
    depth: usize,
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

/// The parameters of some channels for a leaf.
#[derive(Clone, Copy)]
struct Channels<'a> {
    bias: &'a [i32],
    /// One for each bias, or one for all.
    multipliers: &'a [Multiplier],
    /// Twice the zero point plus one. Shifted left by the multiplier's right shift minus one, it rounds and
    /// adds the zero point in one addition.
    half: i32,
    min: i32,
    max: i32,
}

impl<'a> Channels<'a> {
    /// `count` channels, starting with channel `first`.
    fn of(stage: &Stage<'a>, first: usize, count: usize) -> Channels<'a> {
        let multipliers = match stage.multipliers {
            one @ [_] => one,
            all => all.get(first..first.wrapping_add(count)).unwrap_or(&[]),
        };
        let bias = stage.bias.get(first..first.wrapping_add(count)).unwrap_or(&[]);
        Channels { bias, multipliers, half: half(stage), min: stage.min, max: stage.max }
    }

    /// All channels of a layer.
    #[inline(always)]
    fn all(stage: &Stage<'a>) -> Channels<'a> {
        let &Stage { bias, multipliers, min, max, .. } = stage;
        Channels { bias, multipliers, half: half(stage), min, max }
    }

    /// Whether there are parameters for `count` channels.
    fn cover(&self, count: usize) -> bool {
        self.bias.len() == count && (self.multipliers.len() == 1 || self.multipliers.len() == count)
    }
}

/// A matrix product, with any multipliers if `GENERAL`.
#[inline(always)]
fn matmul<const GENERAL: bool>(
    tile: &[Cell<u8>],
    pixels: usize,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let depth = weights.shape.depth().unwrap_or(0) as usize;
    let channels = Channels::of(stage, 0, weights.shape.channels as usize);
    leaf::blocks::<GENERAL>(
        &Tile { bytes: bytes(tile), depth, pixels },
        weights.bytes,
        &channels,
        out,
        out_stride,
    );
}

fn half(stage: &Stage<'_>) -> i32 {
    stage.zero_point.wrapping_mul(2).wrapping_add(1)
}

fn bytes(bytes: &[Cell<u8>]) -> &[Cell<i8>] {
    cells_of(bytes).unwrap_or(&[])
}

fn dot<'a>(start: i32, x: impl Iterator<Item = &'a Cell<i8>>, weights: impl Iterator<Item = i8>) -> i32 {
    x.zip(weights).fold(start, |acc, (x, w)| acc.wrapping_add(i32::from(x.get()) * i32::from(w)))
}

/// A row of a depthwise convolution with any kernel and stride.
#[inline(never)]
fn depthwise_any(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
    let channels = band.channels.max(1);
    let taps = band.rows.wrapping_mul(band.columns).max(1);
    for (channel, row) in weights.bytes.chunks(taps).enumerate().take(channels) {
        let (bias, multiplier) = stage.channel(channel);
        let places = out.get(channel..).unwrap_or(&[]).iter().step_by(channels);
        for (x, out) in places.enumerate() {
            let first = x.wrapping_mul(band.stride).wrapping_mul(channels).wrapping_add(channel);
            let mut acc = bias;
            for (ky, line) in row.chunks(band.columns.max(1)).enumerate() {
                let pixels = bytes(band.line(ky)).get(first..).unwrap_or(&[]).iter().step_by(channels);
                acc = dot(acc, pixels, line.iter().map(|&w| w as i8));
            }
            out.set(stage.apply_called(acc, multiplier));
        }
    }
}
