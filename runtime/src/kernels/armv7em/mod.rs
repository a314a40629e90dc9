//! Cores with the DSP extension: Cortex-M4, M7 and M33 (with `-C target-cpu=cortex-m33`).
//!
//! One SMLAD computes two products, so pixels are widened to 16 bits once, when they are loaded into a tile
//! or a band, and weights are packed in halfwords that hold two channels
//! ([`Order::Pairs`](crate::packing::Order::Pairs)): a product with the raw word adds `P + 256 Q`, a product
//! with its SXTB16 adds `P`. `Q = (R - P) >> 8`, where `R` is the sum of the products with raw words, is
//! exact while `|Q| < 2^23`, which the converter has proved.
//!
//! The leaves are assembly (`asm.rs`): almost all time is spent in their loops, and so they keep their speed
//! at every `opt-level`. On the host, the same contracts are in plain Rust on the same words (`emulated.rs`),
//! so that packing, blocking and tails are tested there. `leaf.rs` is the safe interface of both.

#[cfg(kernels = "armv7em")]
mod asm;
mod conv;
mod delay;
mod depthwise;
mod dots;
#[cfg(not(kernels = "armv7em"))]
mod emulated;
mod gates;
mod general;
mod intrinsics;
mod leaf;
mod lines;
mod mul;
#[cfg(all(kernels = "armv7em", target_abi = "eabihf"))]
mod near;
mod pool;
mod resize;
mod running;
mod softmax;
mod strips;
mod twice;
mod winograd;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{CumsumParams, Product, Sum, Weighted};

use super::channels::{Channels, half};
use super::elementwise::{self, Instructions, clamp_to};
use intrinsics::{scale_to_int8, smlawb, smlawt};

use super::{
    Band, Between, Cells, Column, Delays, Kernels, Lines, Outputs, Planes, Policy, Rows, Stage, Strips, TILE,
    Tiles, portable, taps, thumb2,
};
use crate::gates::{GruStep, LstmStep, Table};
use crate::packing::{Matrix, Shape};
use crate::tensor::{TensorView, cells_of, zip_words};
use crate::winograd::Filters;

/// The set for cores with SMLAD. `#[inline]` makes the code around the leaves be compiled with the firmware,
/// for size.
#[derive(Debug)]
pub struct Armv7em;

impl Kernels for Armv7em {
    const POLICY: Policy = Policy::ARMV7EM;
    const WIDE_POOLS: bool = true;
    const SWAPPED: bool = true;
    const TWICE: bool = true;

    type Tiled<'a> = conv::Tiled<'a>;

    #[inline(never)]
    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        // The words of a lane are TILE words apart, with two words for each group of four elements.
        let line = (shape.line as usize).div_ceil(4).wrapping_mul(2 * TILE);
        let first = lines.lines.start.wrapping_mul(line).wrapping_add(lines.lanes.start);
        lines::widen(lines, shape.line as usize, words(tile).get(first..).unwrap_or(&[]));
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
        let channels = Channels::of(stage, 0, weights.shape.channels as usize);
        conv::Product::new(words(tile), weights, &channels, out_stride).multiply::<false>(pixels, out);
        clamp_rows(stage.min, stage.max, out, pixels, weights.shape.channels as usize, out_stride);
    }

    #[inline(always)]
    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let channels = Channels::all(stage);
        leaf::dense(input, weight_words(weights), &channels, out);
        clamp(stage, out);
    }

    #[inline(never)]
    fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
        leaf::dense_int16(input, weight_words(weights), &Channels::all(stage), out);
    }

    #[inline]
    fn dense_int16_twice(
        inputs: [&[Cell<i8>]; 2],
        tile: &[Cell<u8>],
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: [&[Cell<i16>]; 2],
    ) {
        twice::dense_int16(inputs, tile, weights, stage, out);
    }

    fn lstm(step: &LstmStep<'_>, a: &[Cell<i16>], b: &[Cell<i16>], cell: &[Cell<i16>], hidden: &[Cell<i8>]) {
        gates::lstm(step, a, b, cell, hidden);
    }

    fn gru_after(
        step: &GruStep,
        table: &Table,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        wide: &[Cell<i16>],
        hidden: &[Cell<i8>],
    ) {
        gates::gru_after(step, table, (a, b), wide, hidden);
    }

    fn gru_reset(
        step: &GruStep,
        table: &Table,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        wide: &[Cell<i16>],
        reset: &[Cell<i8>],
    ) {
        gates::gru_reset(step, table, (a, b), wide, reset);
    }

    fn gru_before(
        step: &GruStep,
        table: &Table,
        sums: [&[Cell<i16>]; 3],
        wide: &[Cell<i16>],
        hidden: &[Cell<i8>],
    ) {
        gates::gru_before(step, table, sums, wide, hidden);
    }

    fn delays(delays: &Delays<'_, i8>, newest: &[Cell<i8>], state: &[Cell<i8>], out: &[Cell<i8>]) {
        delay::delays(delays, newest, state, out);
    }

    fn delays_int16(delays: &Delays<'_, i16>, newest: &[Cell<i16>], state: &[Cell<i16>], out: &[Cell<i8>]) {
        delay::delays_int16(delays, newest, state, out);
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
        let channels = Channels::of(stage, 0, weights.shape.channels as usize);
        conv::Product::new(words(tile), weights, &channels, out_stride).multiply::<true>(pixels, out);
        clamp_rows(stage.min, stage.max, out, pixels, weights.shape.channels as usize, out_stride);
    }

    #[inline(never)]
    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        general::dense(input, weight_words(weights), &Channels::all(stage), out);
        clamp(stage, out);
    }

    fn load_tiles(tiles: &Tiles<'_>, rows: [&[Cell<i8>]; 4], left: usize, zero_point: i8) {
        winograd::load(tiles, rows, left, zero_point);
    }

    fn matmul_tiles(tiles: &Tiles<'_>, filters: &Filters<'_>, stage: &Stage<'_>, out: &Outputs<'_>) {
        winograd::multiply::<false>(tiles, filters, stage, out);
        clamp_tiles(stage, out);
    }

    fn matmul_tiles_general(tiles: &Tiles<'_>, filters: &Filters<'_>, stage: &Stage<'_>, out: &Outputs<'_>) {
        winograd::multiply::<true>(tiles, filters, stage, out);
        clamp_tiles(stage, out);
    }

    #[inline]
    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        let width = band.width;
        let left = left.min(width);
        let pixels = row.len().checked_div(band.channels).unwrap_or(0).min(width - left);
        let planes = words(band.slot(slot));
        leaf::widen_band(planes, width, left, pixels, band.channels, row, zero_point);
        if band.channels & 3 != 0 {
            depthwise::load_rest(band, planes, left, pixels, row, zero_point);
        }
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
        mul::mul(a, b, product, rounding, out);
    }

    fn weighted_sum(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Weighted, out: &[Cell<i8>]) {
        let &Weighted { factor_a, factor_b, term, min, max } = sum;
        // Elements in the upper bytes of halfwords: a product with one loses 16 bits, 8 of which are these.
        const UPPER: i32 = 0xFF00_FF00_u32 as i32;
        portable::cycles(a, b, out, |a, b, out| {
            zip_words(a, b, out, |x, y| {
                let (x0, x1, y0, y1) = ((x << 8) & UPPER, x & UPPER, (y << 8) & UPPER, y & UPPER);
                let low = |x, y| smlawb(factor_a, x, smlawb(factor_b, y, term));
                let high = |x, y| smlawt(factor_a, x, smlawt(factor_b, y, term));
                let sums = [low(x0, y0), low(x1, y1), high(x0, y0), high(x1, y1)];
                sums.map(|sum| scale_to_int8(sum) as i8)
            });
        });
        clamp_to(min, max, out);
    }

    fn min_max(a: TensorView<'_, i8>, b: TensorView<'_, i8>, maximum: bool, out: &[Cell<i8>]) {
        // The smaller of two numbers is the larger of their complements.
        let turn = if maximum { 0 } else { -1 };
        portable::cycles(a, b, out, |a, b, out| {
            zip_words(a, b, out, |x, y| {
                let larger = intrinsics::max8(x ^ turn, y ^ turn) ^ turn;
                larger.to_le_bytes().map(|y| y as i8)
            });
        });
    }

    fn dot_rows(x: &[Cell<i16>], rows: &Rows<'_>, out: &[Cell<i8>]) {
        dots::dot_rows(x, rows, out);
    }

    fn resize_row(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
        resize::resize_row(between, rounding, out);
    }

    fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
        thumb2::lookup(input, table, out);
    }

    #[cfg(all(kernels = "armv7em", target_abi = "eabihf"))]
    fn quantize(near: &super::Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
        near::quantize(near, input, out)
    }

    fn running_sums(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
        running::running_sums(p, rounding, column);
    }

    fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
        pool::extreme(run, largest)
    }

    fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
        softmax::softmax(depth, rows, table, out);
    }

    fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        pool::average_pool(cells, min, max, out);
    }

    #[inline]
    fn average_pool_of_many(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        pool::average_pool_of_many(cells, min, max, out);
    }

    fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
        pool::max_pool(cells, min, max, out);
    }

    fn load_planes(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        taps::load(planes, slot, left, row, zero_point);
    }

    fn depthwise_taps(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
        taps::row(planes, weights, stage, out);
    }

    #[inline]
    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let words = weight_words(weights);
        let done = match (band.rows, band.columns, band.stride) {
            (3, 3, stride @ (1 | 2)) => {
                leaf::depthwise_3x3(band, words, &Channels::of(stage, 0, band.channels), stride, out)
            }
            _ => false,
        };
        depthwise::planes::<Self>(band, words, stage, out, if done { band.channels / 4 * 2 } else { 0 });
        clamp(stage, out);
    }

    #[inline(always)]
    fn depthwise_3x3(strips: &Strips<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let channels = Channels::all(stage);
        strips::depthwise(strips, weight_words(weights), &channels, out);
        clamp(stage, out);
    }
}

impl Instructions for Armv7em {
    #[inline(always)]
    fn high_product(a: i32, b: i32) -> i32 {
        intrinsics::smmulr(a, b)
    }

    #[inline(always)]
    fn high_product_and(a: i32, b: i32, term: i32) -> i32 {
        intrinsics::smmlar(a, b, term)
    }

    #[inline(always)]
    fn halve_to_int8(a: i32) -> i32 {
        intrinsics::halve_to_int8(a)
    }
}

/// A tile of widened pixels: for each pair of elements, the words of all pixels. The leaf in assembly takes its parts.
#[cfg(not(kernels = "armv7em"))]
#[derive(Clone, Copy, Debug)]
struct Tile<'a> {
    words: &'a [Cell<i32>],
    /// Groups of four elements.
    groups: usize,
    /// Pixels that count, `1 ..= TILE`.
    pixels: usize,
}

fn words(bytes: &[Cell<u8>]) -> &[Cell<i32>] {
    cells_of(bytes).unwrap_or(&[])
}

#[inline(always)]
fn weight_words<'a>(weights: &Matrix<'a>) -> &'a [u32] {
    bytemuck::try_cast_slice(weights.bytes).unwrap_or(&[])
}

/// Groups of four weights in a row.
fn groups(weights: &Matrix<'_>) -> usize {
    // The packing is that of pairs, which is the one that this set reads.
    let Shape { lines, line, .. } = weights.shape;
    (lines as usize).wrapping_mul(line.wrapping_add(3) as usize >> 2)
}

/// The first channel of a plane of a band. The second channel is this plus two.
fn plane_channel(number: usize) -> usize {
    (number >> 1).wrapping_mul(4).wrapping_add(number & 1)
}

/// Two elements as the halfwords of a word.
fn halfwords(low: i8, high: i8) -> i32 {
    i32::from(low) & 0xFFFF | i32::from(high) << 16
}

/// Clamps to less than int8, to which the leaves already saturate. This is rare enough for a separate pass.
fn clamp(stage: &Stage<'_>, out: &[Cell<i8>]) {
    clamp_to(stage.min, stage.max, out);
}

#[inline(always)]
fn clamp_tiles(stage: &Stage<'_>, out: &Outputs<'_>) {
    let width = out.width.wrapping_mul(out.pixel);
    clamp_rows(stage.min, stage.max, out.cells, out.height, width, out.row);
}

/// Clamps the first `width` elements of some rows, which are `stride` elements apart.
#[inline(always)]
fn clamp_rows(min: i32, max: i32, out: &[Cell<i8>], rows: usize, width: usize, stride: usize) {
    if elementwise::is_narrow(min, max) {
        let mut rest = out;
        for _ in 0..rows {
            elementwise::clamp(min, max, rest.get(..width).unwrap_or(rest));
            rest = rest.get(stride..).unwrap_or(&[]);
        }
    }
}
