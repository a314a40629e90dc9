//! The portable kernels: plain Rust for every core. They define the meaning of [`Kernels`].
//!
//! Loops run over iterators and fixed-size blocks, so that bounds are checked once. Blocks are
//! sized for the 12 free registers of an Arm or RISC-V core: four pixels by one channel for the matrix
//! product, four channels for the depthwise one.

mod elementwise;
mod gates;
mod packed;
mod planes;
mod pool;
mod softmax;
mod tiles;

use core::cell::Cell;

use super::{Kernels, Stage, TILE, Unprepared};
use crate::tensor::TensorView;

pub(crate) use elementwise::cycles;
#[cfg(any(kernels = "armv6m", not(device)))]
pub(super) use elementwise::weighted_sum_by;
pub(super) use elementwise::{add, min_max, mul, weighted_sum};
pub(super) use gates::{delays, delays_int16, lstm};
pub(super) use packed::{
    dense_int16, dense_packed, depthwise_3x3, depthwise_band, load_band, load_line, matmul_packed,
};
pub(super) use planes::{depthwise_taps, load_planes};
pub(super) use pool::{average_pool, max_pool};
#[cfg(kernels = "mve")]
pub(super) use softmax::Divisor;
#[cfg(any(kernels = "armv7em", kernels = "mve"))]
pub(super) use softmax::for_each_row;
pub(super) use softmax::softmax;
pub(crate) use softmax::softmax_int16;
#[cfg(kernels = "armv7em")]
pub(super) use softmax::softmax_of_row;
pub(super) use tiles::{load_tiles, matmul_tiles};

/// The set that overrides no kernel.
#[derive(Debug)]
pub struct Portable;

impl Kernels for Portable {
    type Tiled<'a> = Unprepared<'a, Self>;
}

#[inline(always)]
fn product(x: &Cell<i8>, w: i8) -> i32 {
    i32::from(x.get()) * i32::from(w)
}

/// Products of the pixels of a tile with one channel.
#[inline(always)]
fn dot_tile(tile: &[[Cell<i8>; TILE]], weights: &[i8]) -> [i32; TILE] {
    let mut acc = [0i32; TILE];
    for (pixels, w) in tile.iter().zip(weights) {
        for (acc, x) in acc.iter_mut().zip(pixels) {
            *acc = acc.wrapping_add(product(x, *w));
        }
    }
    acc
}

/// Products of one row with two channels.
#[inline(always)]
fn dot_1x2(x: &[Cell<i8>], w0: &[i8], w1: &[i8]) -> [i32; 2] {
    let mut acc = [0i32; 2];
    for ((x, w0), w1) in x.iter().zip(w0).zip(w1) {
        acc[0] = acc[0].wrapping_add(product(x, *w0));
        acc[1] = acc[1].wrapping_add(product(x, *w1));
    }
    acc
}

/// Products of a vector with four others, for [`Kernels::dot_rows`](crate::kernels::Kernels::dot_rows).
pub(super) fn dots(x: &[Cell<i16>], y: [&[Cell<i8>]; 4]) -> [i32; 4] {
    let [a, b, c, d] = y;
    let mut sums = [0i32; 4];
    for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
        let x = i32::from(x.get());
        for (sum, y) in sums.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(x.wrapping_mul(i32::from(y.get())));
        }
    }
    sums
}

/// See [`Kernels::matmul`].
pub(super) fn matmul(
    tile: &[Cell<i8>],
    pixels: usize,
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let (tile, _) = tile.as_chunks::<TILE>();
    for (channel, weights) in weights.chunks(tile.len().max(1)).enumerate() {
        let (bias, multiplier) = stage.channel(channel);
        let acc = dot_tile(tile, weights);
        let mut place = channel;
        for acc in acc.iter().take(pixels) {
            if let Some(out) = out.get(place) {
                out.set(stage.apply(acc.wrapping_add(bias), multiplier));
            }
            place = place.wrapping_add(out_stride);
        }
    }
}

/// See [`Kernels::dense`]. Computes two channels at a time; an odd last one is computed together with itself.
pub(super) fn dense(input: &[Cell<i8>], weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
    let depth = input.len();
    let mut channel = 0usize;
    let mut rows = weights.chunks(depth.wrapping_mul(2).max(1));
    // Not zipped: that counts chunks by a division, which is a panic path if the compiler does not see that
    // the divisor is not 0.
    for out in out.chunks(2) {
        let Some(weights) = rows.next() else { break };
        let (w0, w1) = weights.split_at_checked(depth).unwrap_or((weights, &[]));
        let acc = dot_1x2(input, w0, if w1.is_empty() { w0 } else { w1 });
        for (acc, out) in acc.iter().zip(out) {
            let (bias, multiplier) = stage.channel(channel);
            out.set(stage.apply_called(acc.wrapping_add(bias), multiplier));
            channel = channel.wrapping_add(1);
        }
    }
}

/// See [`Kernels::depthwise`].
pub(super) fn depthwise(
    patch: &[Cell<i8>],
    channels: usize,
    multiplier: usize,
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let (channels, outputs) = (channels.max(1), channels.wrapping_mul(multiplier).max(1));
    let mut c = 0usize;
    if multiplier == 1 {
        // Four channels at a time, which are adjacent in each tap.
        while let (Some(out), Some((bias, multipliers))) =
            (out.get(c..c.wrapping_add(4)), stage.four_channels(c))
        {
            let acc = four_channels(patch, weights, c, channels, *bias);
            for ((out, acc), multiplier) in out.iter().zip(acc).zip(multipliers) {
                out.set(stage.apply(acc, *multiplier));
            }
            c = c.wrapping_add(4);
        }
    }
    let mut input = c.checked_div(multiplier).unwrap_or(0);
    let mut copies = 0;
    for out in out.iter().skip(c) {
        let taps = patch.get(input..).unwrap_or(&[]).chunks(channels);
        let weights = weights.get(c..).unwrap_or(&[]).chunks(outputs);
        let (mut acc, multiplier_of_channel) = stage.channel(c);
        for (x, w) in taps.zip(weights) {
            if let (Some(x), Some(w)) = (x.first(), w.first()) {
                acc = acc.wrapping_add(product(x, *w));
            }
        }
        out.set(stage.apply_called(acc, multiplier_of_channel));
        (c, copies) = (c.wrapping_add(1), copies + 1);
        if copies == multiplier {
            (input, copies) = (input.wrapping_add(1), 0);
        }
    }
}

/// Adds the products of channels `c` to `c + 3` of each tap to `acc`; taps are `stride` elements apart.
#[inline(always)]
fn four_channels(patch: &[Cell<i8>], weights: &[i8], c: usize, stride: usize, mut acc: [i32; 4]) -> [i32; 4] {
    // Cut to the same length, both slices share a bounds check.
    let len = patch.len().min(weights.len());
    let (patch, weights) = (patch.get(..len).unwrap_or(&[]), weights.get(..len).unwrap_or(&[]));
    let mut at = c;
    // Not a `for` over `chunks`: the compiler would unroll that until registers spill.
    while let (Some([x0, x1, x2, x3]), Some([w0, w1, w2, w3])) =
        (patch.get(at..at.wrapping_add(4)), weights.get(at..at.wrapping_add(4)))
    {
        acc[0] = acc[0].wrapping_add(product(x0, *w0));
        acc[1] = acc[1].wrapping_add(product(x1, *w1));
        acc[2] = acc[2].wrapping_add(product(x2, *w2));
        acc[3] = acc[3].wrapping_add(product(x3, *w3));
        at = at.wrapping_add(stride);
    }
    acc
}

/// See [`Kernels::lookup`]. Eight elements at a time: reads in a row, then writes in a row.
pub(super) fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
    let find = |x: &Cell<i8>| table[usize::from(x.get() as u8)] as i8;
    let len = input.len().min(out.len());
    let (input, out) = (input.get(..len).unwrap_or(input), out.get(..len).unwrap_or(out));
    let ((input, rest), (out, rest_out)) = (input.as_chunks::<8>(), out.as_chunks::<8>());
    for (input, out) in input.iter().zip(out) {
        let found = input.each_ref().map(find);
        for (out, found) in out.iter().zip(found) {
            out.set(found);
        }
    }
    for (input, out) in rest.iter().zip(rest_out) {
        out.set(find(input));
    }
}

/// See [`Kernels::extreme`]. Four elements at a time: reads in a row.
pub(super) fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
    let fold = |most: i32, f: fn(i32, i32) -> i32| {
        let four = |most, four: [i8; 4]| four.into_iter().map(i32::from).fold(most, f);
        let most = run.arrays().fold(most, four);
        run.range(run.len() & !3, 3).iter().map(i32::from).fold(most, f) as i8
    };
    if largest { fold(-128, i32::max) } else { fold(127, i32::min) }
}
