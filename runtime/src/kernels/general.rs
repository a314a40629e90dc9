//! Any kernel set, for packed weights of both kinds: those that keep to the bounds of the fast kernels, and
//! [general](crate::packing::Packing::general) ones. Only operators that name it link what general weights need.

use core::cell::Cell;
use core::marker::PhantomData;

use super::{Kernels, Lines, OfBothKinds, OfUnusual, Outputs, Policy, Portable, Stage, Tiles};
use crate::packing::{Matrix, Shape};
use crate::winograd::Filters;

/// The products of the set `K` for packed weights of both kinds. Its other kernels are portable: nobody asks for them.
#[derive(Debug)]
pub struct General<K>(PhantomData<K>);

impl<K: Kernels> Kernels for General<K> {
    const POLICY: Policy = K::POLICY;
    const CLEARED_TILES: bool = K::CLEARED_TILES;

    type Tiled<'a> = OfBothKinds<'a, K>;

    #[inline(always)]
    fn copy_row(source: &[Cell<i8>], target: &[Cell<i8>]) {
        K::copy_row(source, target);
    }

    #[inline(always)]
    fn load_lines(tile: &[Cell<u8>], shape: &Shape, lines: &Lines<'_>) {
        K::load_lines(tile, shape, lines);
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
        if weights.shape.packing.general {
            K::matmul_general(tile, pixels, weights, stage, out, out_stride);
        } else {
            K::matmul_packed(tile, pixels, weights, stage, out, out_stride);
        }
    }

    #[inline(always)]
    fn dense_packed(input: &[Cell<i8>], weights: &Matrix<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
        if weights.shape.packing.general {
            K::dense_general(input, weights, stage, out);
        } else {
            K::dense_packed(input, weights, stage, out);
        }
    }

    #[inline(always)]
    fn load_tiles(tiles: &Tiles<'_>, rows: [&[Cell<i8>]; 4], left: usize, zero_point: i8) {
        K::load_tiles(tiles, rows, left, zero_point);
    }

    #[inline(always)]
    fn matmul_tiles(tiles: &Tiles<'_>, filters: &Filters<'_>, stage: &Stage<'_>, out: &Outputs<'_>) {
        if filters.general {
            K::matmul_tiles_general(tiles, filters, stage, out);
        } else {
            K::matmul_tiles(tiles, filters, stage, out);
        }
    }
}

/// Convolutions whose packing is not the usual one of the set `K`: its general packing, and those of other cores. What
/// walks an image is long, and has one copy for both. Its other kernels are portable: nobody asks for them.
#[derive(Debug)]
pub struct Unusual<K>(PhantomData<K>);

impl<K: Kernels> Kernels for Unusual<K> {
    const POLICY: Policy = K::POLICY;
    const CLEARED_TILES: bool = K::CLEARED_TILES || Portable::CLEARED_TILES;

    type Tiled<'a> = OfUnusual<'a, K>;

    #[inline(always)]
    fn copy_row(source: &[Cell<i8>], target: &[Cell<i8>]) {
        K::copy_row(source, target);
    }
}
