//! WebAssembly with vectors of 128 bits, for browsers. The weights are in the host's packing: blocks of eight channels
//! and groups of four weights.
//!
//! ```text
//! tile of 16-bit elements; 2 channels x 4 weights widened, i32x4.dot_i16x8_s by a pixel's four elements
//! -> (c0: k0 k1) (c0: k2 k3) (c1: k0 k1) (c1: k2 k3); neighbours are added once, at the end
//! ```
//! A depthwise layer multiplies eight adjacent channels of two taps at a time, for two pixels. All is 128 bits wide and
//! in the proposal `simd128` that all browsers have; weights are widened where they are read, since that takes two of
//! the 22 instructions of 64 products. All else is portable.

mod add;
mod memory;
mod products;
mod scale;
mod taps;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Sum;

use super::{Band, Kernels, Lines, Policy, Stage, Unprepared, portable};
use crate::packing::{Matrix, Shape};
use crate::tensor::{TensorView, cells_of};

/// The set for WebAssembly with `simd128`.
#[derive(Debug)]
pub struct Wasm;

impl Kernels for Wasm {
    const POLICY: Policy = Policy::HOST;
    const CLEARED_TILES: bool = true;

    type Tiled<'a> = Unprepared<'a, Self>;

    fn copy_row(source: &[Cell<i8>], target: &[Cell<i8>]) {
        memory::copy(source, target);
    }

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        products::load_lines(tile, shape, lines);
    }

    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        products::matmul::<false>(tile, pixels, &exact(weights), stage, out, out_stride);
    }

    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        products::dense::<false>(input, &exact(weights), stage, out);
    }

    fn dense_int16(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i16>]) {
        products::dense_int16(input, &exact(weights), stage, out);
    }

    fn matmul_general(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        products::matmul::<true>(tile, pixels, &exact(weights), stage, out, out_stride);
    }

    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        products::dense::<true>(input, &exact(weights), stage, out);
    }

    /// Pixels are adjacent, as in the image.
    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        let pixels = |count: usize| count.wrapping_mul(band.channels);
        let line: &[Cell<i8>] = cells_of(band.slot(slot)).unwrap_or(&[]);
        let line = line.get(..pixels(band.width)).unwrap_or(line);
        let (before, rest) = line.split_at_checked(pixels(left)).unwrap_or((line, &[]));
        let (inside, behind) = rest.split_at_checked(row.len()).unwrap_or((rest, &[]));
        memory::fill(before, zero_point);
        memory::copy(row, inside);
        memory::fill(behind, zero_point);
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let weights = exact(weights);
        if !taps::depthwise(band, &weights, stage, out) {
            portable::depthwise_band(band, &weights, stage, out);
        }
    }

    fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, rounding: Rounding, out: &[Cell<i8>]) {
        if rounding != Rounding::Double || !add::add(a, b, sum, out) {
            portable::add(a, b, sum, rounding, out);
        }
    }
}

/// The weights without the bytes after them, because the loops recognise the last block by its size.
fn exact<'a>(weights: &Matrix<'a>) -> Matrix<'a> {
    let size = weights.shape.bytes().unwrap_or(0) as usize;
    Matrix { shape: weights.shape, bytes: weights.bytes.get(..size).unwrap_or(weights.bytes) }
}
