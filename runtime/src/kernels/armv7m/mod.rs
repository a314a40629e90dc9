//! Cores with SMLAL but without the DSP extension: Cortex-M3.
//!
//! A 32-by-32-bit product that is added to 64 bits has room for two products of bytes. Two pixels share the
//! word `a + b * 2^23`, and each weight is multiplied with both at once. A dense layer has only one row of
//! input, so two channels share the word `u + w * 2^24` with `u` = weight + 128, which costs one AND. The
//! converter has proved that the lower sum does not reach the upper one. This halves the number of
//! instructions. It saves fewer cycles, because SMLAL takes four to seven of them and MLA two.
//!
//! Depthwise layers keep planes of bytes, one for each channel, and use MLA: making pairs would cost more
//! than they save over nine taps.
//!
//! The leaves are assembly (`asm.rs`); on the host, the same contracts are in Rust (`emulated.rs`). `leaf.rs`
//! is the safe interface of both.

#[cfg(kernels = "armv7m")]
mod asm;
#[cfg(not(kernels = "armv7m"))]
mod emulated;
mod general;
mod intrinsics;
mod leaf;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{Product, Sum};

use super::channels::Channels;
use super::elementwise::{self, Instructions, clamp_to};
use super::{Band, Between, Kernels, Lines, Planes, Policy, Stage, TILE, Unprepared, taps, thumb2};
use crate::packing::{Matrix, Shape};
use crate::tensor::{TensorView, cells_of};

/// The set for cores with SMLAL.
#[derive(Debug)]
pub struct Armv7m;

/// Pairs of pixels in a tile.
const PAIRS: usize = TILE / 2;

/// Position of the second pixel's lowest bit in the word of a pair. The leaves in assembly have it in their text.
#[cfg(not(kernels = "armv7m"))]
const PIXEL_SHIFT: u32 = 23;

/// Channels in a word of a dense layer's weights.
const QUAD: usize = 4;

impl Kernels for Armv7m {
    const POLICY: Policy = Policy::ARMV7M;
    const PLAIN_APART: bool = false;

    type Tiled<'a> = Unprepared<'a, Self>;

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

    #[inline(always)]
    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        let channels = weights.shape.channels as usize;
        let depth = weights.shape.depth().unwrap_or(0) as usize;
        let tile = Tile { words: words(tile), depth, pixels };
        let even = channels & !1;
        let (now, rest) = weights.bytes.split_at_checked(even.wrapping_mul(depth)).unwrap_or_default();
        if even != 0 {
            leaf::products(&tile, now, &Channels::of(stage, 0, even), out, out_stride);
        }
        if even < channels {
            last_channel(&tile, rest, stage, even, out, out_stride);
        }
        for out in out.chunks(out_stride.max(1)).take(pixels) {
            clamp(stage, out.get(..channels).unwrap_or(out));
        }
    }

    #[inline(always)]
    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let words: &[u32] = bytemuck::try_cast_slice(weights.bytes).unwrap_or(&[]);
        let channels = Channels::all(stage);
        leaf::dense(input, words, &channels, out);
        clamp(stage, out);
    }

    fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
        let words: &[u32] = bytemuck::try_cast_slice(weights.bytes).unwrap_or(&[]);
        leaf::dense_int16(input, words, &Channels::all(stage), out);
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
        let depth = weights.shape.depth().unwrap_or(0) as usize;
        let tile = Tile { words: words(tile), depth, pixels };
        let channels = Channels::of(stage, 0, weights.shape.channels as usize);
        general::matmul(&tile, weights.bytes, &channels, out, out_stride);
        for out in out.chunks(out_stride.max(1)).take(pixels) {
            clamp(stage, out.get(..weights.shape.channels as usize).unwrap_or(out));
        }
    }

    #[inline(never)]
    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let words: &[u32] = bytemuck::try_cast_slice(weights.bytes).unwrap_or(&[]);
        general::dense(input, words, &Channels::all(stage), out);
        clamp(stage, out);
    }

    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        let width = band.width;
        let left = left.min(width);
        let pixels = row.len().checked_div(band.channels).unwrap_or(0).min(width - left);
        let planes = band.slot(slot);
        if band.channels & 3 == 0 {
            leaf::planes(planes, width, left, pixels, band.channels, row, zero_point);
            return;
        }
        for (channel, plane) in planes.chunks_exact(width.max(1)).take(band.channels).enumerate() {
            let mut taps =
                row.get(channel..).unwrap_or(&[]).iter().step_by(band.channels.max(1)).take(pixels);
            for (x, place) in plane.iter().enumerate() {
                let x = if x < left { None } else { taps.next() };
                place.set(x.map_or(zero_point, Cell::get) as u8);
            }
        }
    }

    fn load_planes(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        taps::load(planes, slot, left, row, zero_point);
    }

    fn depthwise_taps(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        taps::row(planes, weights, stage, out);
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let leaf = match (band.rows, band.columns, band.stride) {
            (3, 3, stride @ (1 | 2)) => {
                leaf::depthwise_3x3(band, weights.bytes, &Channels::of(stage, 0, band.channels), stride, out)
            }
            _ => false,
        };
        if !leaf {
            depthwise_any(band, weights.bytes, stage, out);
        }
        clamp(stage, out);
    }

    fn resize_row(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
        thumb2::resize_row(between, rounding, out);
    }

    fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
        thumb2::lookup(input, table, out);
    }

    fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, rounding: Rounding, out: &[Cell<i8>]) {
        elementwise::add::<Self>(a, b, sum, rounding, out);
    }

    fn mul(
        a: TensorView<'_, i8>,
        b: TensorView<'_, i8>,
        product: &Product,
        rounding: Rounding,
        out: &[Cell<i8>],
    ) {
        elementwise::mul::<Self>(a, b, product, rounding, out);
    }
}

impl Instructions for Armv7m {
    #[inline(always)]
    fn high_product(a: i32, b: i32) -> i32 {
        intrinsics::smmulr(a, b)
    }

    #[inline(always)]
    fn halve_to_int8(a: i32) -> i32 {
        intrinsics::halve_to_int8(a)
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
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

fn words(bytes: &[Cell<u8>]) -> &[Cell<i32>] {
    cells_of(bytes).unwrap_or(&[])
}

/// Clamps to less than int8, to which the leaves already saturate. This is rare enough for a separate pass.
fn clamp(stage: &Stage<'_>, out: &[Cell<i8>]) {
    clamp_to(stage.min, stage.max, out);
}

/// Computes the last channel of an odd number of channels.
#[inline(never)]
fn last_channel(
    tile: &Tile<'_>,
    weights: &[u8],
    stage: &Stage<'_>,
    channel: usize,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let out = out.get(channel..).unwrap_or(&[]);
    leaf::last(tile, weights, &Channels::of(stage, channel, 1), out, out_stride);
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
                    acc = acc.wrapping_add(i32::from(x.get() as i8) * i32::from(w as i8));
                }
            }
            out.set(stage.apply_called(acc, multiplier));
        }
    }
}
