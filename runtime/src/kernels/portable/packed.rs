//! Portable bodies of the kernels with packed weights. They run every packing, weight by weight. On a core
//! that has a set of its own, they serve files made for another core.

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use super::{TILE, product};
use crate::kernels::{Band, Stage, Strips};
use crate::packing::{Matrix, Packing, Shape};
use crate::quant::requantize;

/// See [`Kernels::load_line`](crate::kernels::Kernels::load_line). For each `k`, the pixels are adjacent.
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
    let (tile, _) = tile.as_chunks::<TILE>();
    for channel in 0..weights.shape.channels {
        let mut acc = [0i32; TILE];
        for (w, pixels) in weights.row(channel).zip(tile) {
            for (acc, x) in acc.iter_mut().zip(pixels) {
                *acc = acc.wrapping_add(i32::from(x.get() as i8) * i32::from(w));
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
        for (w, x) in weights.row(channel).zip(input) {
            acc = acc.wrapping_add(product(x, w));
        }
        out.set(stage.apply_called(acc, multiplier));
    }
}

/// See [`Kernels::dense_int16`](crate::kernels::Kernels::dense_int16).
pub(in crate::kernels) fn dense_int16(
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i16>],
) {
    if weights.shape.packing == Packing::PLAIN {
        return plain_int16(input, bytemuck::cast_slice(weights.bytes), stage, out);
    }
    for (channel, out) in (0..weights.shape.channels).zip(out) {
        let (mut acc, multiplier) = stage.channel(channel as usize);
        for (w, x) in weights.row(channel).zip(input) {
            acc = acc.wrapping_add(product(x, w));
        }
        out.set(to_int16(acc, multiplier, stage.rounding));
    }
}

/// The same for plain weights, which cores without a packing of their own have, and layers with numbers beyond a bound:
/// four rows at a time, so that each element is loaded once for them.
fn plain_int16(input: &[Cell<i8>], weights: &[i8], stage: &Stage<'_>, out: &[Cell<i16>]) {
    let depth = input.len();
    let (fours, rest) = out.as_chunks::<4>();
    let mut weights = weights;
    let mut channel = 0usize;
    let mut next_row = || {
        let (row, behind) = weights.split_at_checked(depth).unwrap_or((&[], &[]));
        weights = behind;
        row
    };
    for four in fours {
        let [a, b, c, d] = [(); 4].map(|()| next_row());
        let mut sums = [0i32; 4];
        for ((((x, a), b), c), d) in input.iter().zip(a).zip(b).zip(c).zip(d) {
            let x = i32::from(x.get());
            for (sum, &w) in sums.iter_mut().zip([a, b, c, d]) {
                *sum = sum.wrapping_add(x.wrapping_mul(i32::from(w)));
            }
        }
        for (out, sum) in four.iter().zip(sums) {
            let (bias, multiplier) = stage.channel(channel);
            out.set(to_int16(sum.wrapping_add(bias), multiplier, stage.rounding));
            channel = channel.wrapping_add(1);
        }
    }
    for out in rest {
        let (mut acc, multiplier) = stage.channel(channel);
        for (x, &w) in input.iter().zip(next_row()) {
            acc = acc.wrapping_add(product(x, w));
        }
        out.set(to_int16(acc, multiplier, stage.rounding));
        channel = channel.wrapping_add(1);
    }
}

#[inline(always)]
fn to_int16(acc: i32, multiplier: Multiplier, rounding: Rounding) -> i16 {
    requantize(acc, multiplier, rounding).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// See [`Kernels::load_band`](crate::kernels::Kernels::load_band). Pixels are adjacent.
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
    for channel in 0..band.channels {
        let (bias, multiplier) = stage.channel(channel);
        let row = weights.row(channel as u32);
        let places = out.get(channel..).unwrap_or(&[]).iter().step_by(channels);
        for (x, out) in places.enumerate() {
            let start = x.wrapping_mul(band.stride).wrapping_mul(channels).wrapping_add(channel);
            let (mut acc, mut row) = (bias, row.clone());
            for ky in 0..band.rows {
                let taps = band.line(ky).get(start..).unwrap_or(&[]).iter().step_by(channels);
                for (x, w) in taps.take(band.columns).zip(&mut row) {
                    acc = acc.wrapping_add(i32::from(x.get() as i8) * i32::from(w));
                }
            }
            out.set(stage.apply_called(acc, multiplier));
        }
    }
}

/// See [`Kernels::depthwise_3x3`](crate::kernels::Kernels::depthwise_3x3). Works channel by channel, with a
/// byte for each pixel of a ring row.
pub(in crate::kernels) fn depthwise_3x3(
    strips: &Strips<'_>,
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let Strips { image, ring, height, width, channels, top, left, zero_point } = *strips;
    let padded = width.wrapping_add(2);
    // Rows are numbered from the first row of the padding.
    let line = |row: usize| ring.get((row % 3).wrapping_mul(padded)..).unwrap_or(&[]);
    let place = |y: usize, x: usize| y.wrapping_mul(width).wrapping_add(x).wrapping_mul(channels);
    for channel in 0..channels {
        let (bias, multiplier) = stage.channel(channel);
        let row = weights.row(channel as u32);
        let mut next = 0;
        for oy in 0..height {
            while next < oy.wrapping_add(3) {
                let y = next.checked_sub(top).filter(|&y| y < height);
                for (x, place_in_ring) in line(next).iter().take(padded).enumerate() {
                    let x = x.checked_sub(left).filter(|&x| x < width);
                    let element = y.zip(x).and_then(|(y, x)| image.get(place(y, x).wrapping_add(channel)));
                    place_in_ring.set(element.map_or(zero_point, Cell::get) as u8);
                }
                next = next.wrapping_add(1);
            }
            for ox in 0..width {
                let (mut acc, mut row) = (bias, row.clone());
                for ky in 0..3usize {
                    let taps = line(oy.wrapping_add(ky)).get(ox..).unwrap_or(&[]);
                    for (x, w) in taps.iter().take(3).zip(&mut row) {
                        acc = acc.wrapping_add(i32::from(x.get() as i8) * i32::from(w));
                    }
                }
                if let Some(out) = out.get(place(oy, ox).wrapping_add(channel)) {
                    out.set(stage.apply_called(acc, multiplier));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn plain_rows_are_their_definition() {
        for (inputs, outputs) in [(1usize, 1usize), (3, 4), (5, 7), (8, 9), (13, 3)] {
            let mut input: Vec<i8> = (0..inputs).map(|k| (k * 37 % 251) as u8 as i8).collect();
            let weights: Vec<i8> = (0..inputs * outputs).map(|k| (k * 91 % 255) as u8 as i8).collect();
            let bias: Vec<i32> = (0..outputs as i32).map(|c| 1000 * c - 2500).collect();
            let multipliers = [Multiplier { mantissa: 1_500_000_000, shift: 1 }];
            let stage = Stage {
                bias: &bias,
                multipliers: &multipliers,
                rounding: Rounding::Double,
                zero_point: 0,
                min: i16::MIN.into(),
                max: i16::MAX.into(),
            };
            let shape =
                Shape { packing: Packing::PLAIN, channels: outputs as u32, lines: 1, line: inputs as u32 };
            let matrix = Matrix { shape, bytes: bytemuck::cast_slice(&weights) };
            let mut out = vec![0i16; outputs];
            let sums: Vec<i32> = weights
                .chunks(inputs)
                .zip(&bias)
                .map(|(row, bias)| {
                    row.iter().zip(&input).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum::<i32>() + bias
                })
                .collect();
            let input = Cell::from_mut(&mut input[..]).as_slice_of_cells();
            dense_int16(input, &matrix, &stage, Cell::from_mut(&mut out[..]).as_slice_of_cells());
            let wanted: Vec<i16> =
                sums.iter().map(|&sum| to_int16(sum, multipliers[0], Rounding::Double)).collect();
            assert_eq!(out, wanted, "{inputs} x {outputs}");
        }
    }
}
