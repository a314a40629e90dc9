//! Portable bodies of the kernels with packed weights: they run every packing, weight by weight. On a core
//! that has a set of its own they serve files made for another core.

use core::cell::Cell;

use super::{TILE, product};
use crate::kernels::{Band, Stage};
use crate::packing::{Matrix, Shape};

/// See [`Kernels::load_line`](crate::kernels::Kernels::load_line): the pixels of each `k` side by side.
pub(in crate::kernels) fn load_line(
    tile: &[Cell<u8>],
    lane: usize,
    line: usize,
    shape: &Shape,
    source: &[Cell<i8>],
) {
    let first = line.wrapping_mul(shape.line as usize).wrapping_mul(TILE).wrapping_add(lane);
    let places = tile.get(first..).unwrap_or(&[]).iter().step_by(TILE);
    for (place, x) in places.zip(source) {
        place.set(x.get() as u8);
    }
}

/// See [`Kernels::matmul_packed`](crate::kernels::Kernels::matmul_packed).
pub(in crate::kernels) fn matmul_packed(
    tile: &[Cell<u8>],
    pixels: usize,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let depth = weights.shape.depth().unwrap_or(0) as usize;
    let (tile, _) = tile.as_chunks::<TILE>();
    for channel in 0..weights.shape.channels {
        let mut acc = [0i32; TILE];
        for (k, pixels) in (0..).zip(tile.iter().take(depth)) {
            let w = i32::from(weights.weight(channel, k));
            for (acc, x) in acc.iter_mut().zip(pixels) {
                *acc = acc.wrapping_add(i32::from(x.get() as i8) * w);
            }
        }
        let (bias, multiplier) = stage.channel(channel as usize);
        let places = out.get(channel as usize..).unwrap_or(&[]).iter().step_by(out_stride.max(1));
        for (acc, out) in acc.iter().take(pixels).zip(places) {
            out.set(stage.apply_called(acc.wrapping_add(bias), multiplier));
        }
    }
}

/// See [`Kernels::dense_packed`](crate::kernels::Kernels::dense_packed).
pub(in crate::kernels) fn dense_packed(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    for (channel, out) in (0..weights.shape.channels).zip(out) {
        let (mut acc, multiplier) = stage.channel(channel as usize);
        for (k, x) in (0..).zip(input) {
            acc = acc.wrapping_add(product(x, weights.weight(channel, k)));
        }
        out.set(stage.apply_called(acc, multiplier));
    }
}

/// See [`Kernels::load_band`](crate::kernels::Kernels::load_band): pixels side by side.
pub(in crate::kernels) fn load_band(
    band: &Band<'_>,
    slot: usize,
    left: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let left = left.wrapping_mul(band.channels);
    let places = band.slot(slot).iter().take(band.width.wrapping_mul(band.channels));
    for (at, place) in places.enumerate() {
        let x = at.checked_sub(left).and_then(|at| row.get(at)).map_or(zero_point, Cell::get);
        place.set(x as u8);
    }
}

/// See [`Kernels::depthwise_band`](crate::kernels::Kernels::depthwise_band).
pub(in crate::kernels) fn depthwise_band(
    band: &Band<'_>,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let channels = band.channels.max(1);
    for (x, out) in out.chunks_exact(channels).enumerate() {
        for (channel, out) in out.iter().enumerate() {
            let (mut acc, multiplier) = stage.channel(channel);
            let start = x.wrapping_mul(band.stride).wrapping_mul(channels).wrapping_add(channel);
            let mut k = 0u32;
            for ky in 0..band.rows {
                let taps = band.line(ky).get(start..).unwrap_or(&[]).iter().step_by(channels);
                for x in taps.take(band.columns) {
                    let w = i32::from(weights.weight(channel as u32, k));
                    acc = acc.wrapping_add(i32::from(x.get() as i8) * w);
                    k = k.wrapping_add(1);
                }
            }
            out.set(stage.apply_called(acc, multiplier));
        }
    }
}
