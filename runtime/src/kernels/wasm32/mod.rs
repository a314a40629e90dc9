//! WebAssembly with vectors of 128 bits, for browsers. The weights are in the host's packing: blocks of eight channels
//! and groups of four weights.
//!
//! ```text
//! tile of 16-bit elements; 2 channels x 4 weights widened, i32x4.dot_i16x8_s by a pixel's four elements
//! -> (c0: k0 k1) (c0: k2 k3) (c1: k0 k1) (c1: k2 k3); neighbours are added once, at the end
//! ```
//! A depthwise layer multiplies eight adjacent channels of two taps at a time. All else is portable.

mod simd;

use core::cell::Cell;

use super::{Band, Kernels, Lines, Policy, Stage, Unprepared, portable};
use crate::packing::{Matrix, Shape};

/// The set for WebAssembly with `simd128`.
#[derive(Debug)]
pub struct Wasm;

impl Kernels for Wasm {
    const POLICY: Policy = Policy::HOST;
    const CLEARED_TILES: bool = true;

    type Tiled<'a> = Unprepared<'a, Self>;

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        simd::load_lines(tile, shape, lines);
    }

    fn matmul_packed(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        simd::matmul(tile, pixels, &exact(weights), stage, out, out_stride);
    }

    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        simd::dense(input, &exact(weights), stage, out);
    }

    fn matmul_general(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        simd::matmul(tile, pixels, &exact(weights), stage, out, out_stride);
    }

    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        simd::dense(input, &exact(weights), stage, out);
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let weights = exact(weights);
        if !simd::depthwise(band, &weights, stage, out) {
            portable::depthwise_band(band, &weights, stage, out);
        }
    }
}

/// The weights without the bytes after them, because the loops recognise the last block by its size.
fn exact<'a>(weights: &Matrix<'a>) -> Matrix<'a> {
    let size = weights.shape.bytes().unwrap_or(0) as usize;
    Matrix { shape: weights.shape, bytes: weights.bytes.get(..size).unwrap_or(weights.bytes) }
}
