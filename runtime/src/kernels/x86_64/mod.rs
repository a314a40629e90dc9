//! x86-64 hosts: AVX2 and, if the processor has it, VNNI, which is detected at run time.
//!
//! Weights are in blocks of eight channels and groups of four weights: 32 bytes, each lane of which is
//! multiplied with the same four elements of a pixel.
//!
//! ```text
//! AVX2   tile of 16-bit elements; 4 channels x 4 weights widened, VPMADDWD by the pixel's four elements
//!        -> (c0: k0 k1) (c0: k2 k3) (c1: k0 k1) …; neighbours are added once, at the end
//! VNNI   tile of bytes; VPDPBUSD of unsigned weights `w + 128` by signed elements
//!        -> c0 c1 c2 … c7, from which 128 times the sum of the pixel is taken at the end
//! ```
//! A depthwise layer multiplies two taps at a time, for eight adjacent channels. Without these instructions,
//! the portable kernels run; Miri, which does not support AVX, always uses the portable set.

mod avx2;
mod detect;
mod simd;
mod vnni;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Sum;

use super::{Band, Kernels, Lines, Policy, Portable, Stage, Unprepared, portable};
use crate::packing::{Matrix, Shape};
use crate::tensor::TensorView;
use detect::Level;

/// The set for x86-64, which uses no higher level than `MOST`.
#[derive(Debug)]
pub struct X86<const MOST: u8>;

/// AVX2, if the processor has it.
pub type Avx2 = X86<{ Level::Avx2 as u8 }>;

/// The best level that the processor has.
pub type Host = X86<{ Level::AvxVnni as u8 }>;

impl<const MOST: u8> X86<MOST> {
    fn level() -> Level {
        detect::level().at_most(MOST)
    }

    fn matmul<const GENERAL: bool>(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        let run = match Self::level() {
            Level::Portable => portable::matmul_packed,
            Level::Avx2 => avx2::matmul::<GENERAL>,
            Level::Vnni => vnni::avx512::matmul::<GENERAL>,
            Level::AvxVnni => vnni::avx::matmul::<GENERAL>,
        };
        run(tile, pixels, &exact(weights), stage, out, out_stride);
    }

    fn dense<const GENERAL: bool>(
        input: &[Cell<i8>],
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
    ) {
        let run = match Self::level() {
            Level::Portable => portable::dense_packed,
            Level::Avx2 => avx2::dense::<GENERAL>,
            Level::Vnni => vnni::avx512::dense::<GENERAL>,
            Level::AvxVnni => vnni::avx::dense::<GENERAL>,
        };
        run(input, &exact(weights), stage, out);
    }
}

impl<const MOST: u8> Kernels for X86<MOST> {
    const POLICY: Policy = Policy::HOST;
    const CLEARED_TILES: bool = true;

    type Tiled<'a> = Unprepared<'a, Self>;

    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        match Self::level() {
            Level::Portable => Portable::load_lines(tile, shape, lines),
            Level::Avx2 => avx2::load_lines::<2>(tile, shape, lines),
            Level::Vnni | Level::AvxVnni => avx2::load_lines::<1>(tile, shape, lines),
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
        Self::matmul::<false>(tile, pixels, weights, stage, out, out_stride);
    }

    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        Self::dense::<false>(input, weights, stage, out);
    }

    fn matmul_general(
        tile: &[Cell<u8>],
        pixels: usize,
        weights: &Matrix<'_>,
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        Self::matmul::<true>(tile, pixels, weights, stage, out, out_stride);
    }

    fn dense_general(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        Self::dense::<true>(input, weights, stage, out);
    }

    fn load_band(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
        if Self::level() == Level::Portable {
            portable::load_band(band, slot, left, row, zero_point);
        } else {
            avx2::load_band(band, slot, left, row, zero_point);
        }
    }

    fn depthwise_band(band: &Band<'_>, weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        let weights = exact(weights);
        if Self::level() == Level::Portable || !avx2::depthwise(band, &weights, stage, out) {
            portable::depthwise_band(band, &weights, stage, out);
        }
    }

    fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, rounding: Rounding, out: &[Cell<i8>]) {
        if Self::level() == Level::Portable || rounding != Rounding::Double || !avx2::add(a, b, sum, out) {
            portable::add(a, b, sum, rounding, out);
        }
    }
}

/// The weights without the bytes after them, because the loops recognise the last block by its size.
fn exact<'a>(weights: &Matrix<'a>) -> Matrix<'a> {
    let size = weights.shape.bytes().unwrap_or(0) as usize;
    Matrix { shape: weights.shape, bytes: weights.bytes.get(..size).unwrap_or(weights.bytes) }
}
