//! The portable kernels: plain Rust for every core, and the meaning of [`Kernels`].
//!
//! Loops run over iterators and fixed-size blocks, so that bounds are checked once. Blocks are
//! sized for the 12 free registers of an Arm or RISC-V core: two rows by two channels for the matrix
//! product, four channels for the depthwise one.

mod elementwise;
mod pool;

use core::cell::Cell;

use super::{Kernels, Stage};

pub(super) use elementwise::{add, min_max, mul};
pub(super) use pool::{average_pool, max_pool};

/// The set that overrides nothing.
pub struct Portable;

impl Kernels for Portable {}

#[inline(always)]
fn product(x: &Cell<i8>, w: i8) -> i32 {
    i32::from(x.get()) * i32::from(w)
}

/// Products of two rows with two channels, `[x0*w0, x0*w1, x1*w0, x1*w1]`.
#[inline(always)]
fn dot_2x2(x0: &[Cell<i8>], x1: &[Cell<i8>], w0: &[i8], w1: &[i8]) -> [i32; 4] {
    let mut acc = [0i32; 4];
    for (((x0, x1), w0), w1) in x0.iter().zip(x1).zip(w0).zip(w1) {
        acc[0] = acc[0].wrapping_add(product(x0, *w0));
        acc[1] = acc[1].wrapping_add(product(x0, *w1));
        acc[2] = acc[2].wrapping_add(product(x1, *w0));
        acc[3] = acc[3].wrapping_add(product(x1, *w1));
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

fn put(out: &[Cell<i8>], index: usize, value: i8) {
    if let Some(cell) = out.get(index) {
        cell.set(value);
    }
}

/// See [`Kernels::matmul`].
pub(super) fn matmul(
    rows: &[Cell<i8>],
    depth: usize,
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let block = depth.wrapping_mul(2).max(1);
    for (pair, weights) in weights.chunks(block).enumerate() {
        let c = pair * 2;
        let (w0, w1) = weights.split_at_checked(depth).unwrap_or((weights, &[]));
        let ((bias0, m0), (bias1, m1)) = (stage.channel(c), stage.channel(c + 1));
        let two = !w1.is_empty();
        for (pair, rows) in rows.chunks(block).enumerate() {
            let place = pair.wrapping_mul(2).wrapping_mul(out_stride).wrapping_add(c);
            let (x0, x1) = rows.split_at_checked(depth).unwrap_or((rows, &[]));
            // A missing second channel or row makes its products sums over nothing.
            let acc = if x1.is_empty() || !two {
                let second = if two { w1 } else { w0 };
                let [a, b] = dot_1x2(x0, w0, second);
                let [c, d] = if x1.is_empty() { [0; 2] } else { dot_1x2(x1, w0, second) };
                [a, b, c, d]
            } else {
                dot_2x2(x0, x1, w0, w1)
            };
            put(out, place, stage.apply(acc[0].wrapping_add(bias0), m0));
            if two {
                put(out, place + 1, stage.apply(acc[1].wrapping_add(bias1), m1));
            }
            if !x1.is_empty() {
                let place = place.wrapping_add(out_stride);
                put(out, place, stage.apply(acc[2].wrapping_add(bias0), m0));
                if two {
                    put(out, place + 1, stage.apply(acc[3].wrapping_add(bias1), m1));
                }
            }
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
    let taps = || patch.chunks_exact(channels).zip(weights.chunks_exact(outputs));
    if multiplier == 1 {
        for (block, out) in out.chunks(4).enumerate() {
            let c = block * 4;
            let mut acc = [0i32; 4];
            for (x, w) in taps() {
                if let (Some([x0, x1, x2, x3]), Some([w0, w1, w2, w3])) = (x.get(c..c + 4), w.get(c..c + 4)) {
                    acc[0] = acc[0].wrapping_add(product(x0, *w0));
                    acc[1] = acc[1].wrapping_add(product(x1, *w1));
                    acc[2] = acc[2].wrapping_add(product(x2, *w2));
                    acc[3] = acc[3].wrapping_add(product(x3, *w3));
                } else {
                    for ((acc, x), w) in acc.iter_mut().zip(x.iter().skip(c)).zip(w.iter().skip(c)) {
                        *acc = acc.wrapping_add(product(x, *w));
                    }
                }
            }
            for ((i, acc), out) in acc.iter().enumerate().zip(out) {
                let (bias, m) = stage.channel(c + i);
                out.set(stage.apply(acc.wrapping_add(bias), m));
            }
        }
        return;
    }
    for (input, out) in out.chunks(multiplier.max(1)).enumerate() {
        for (i, out) in out.iter().enumerate() {
            let c = input * multiplier + i;
            let (bias, m) = stage.channel(c);
            let mut acc = bias;
            for (x, w) in taps() {
                if let (Some(x), Some(w)) = (x.get(input), w.get(c)) {
                    acc = acc.wrapping_add(product(x, *w));
                }
            }
            out.set(stage.apply(acc, m));
        }
    }
}

/// See [`Kernels::lookup`].
pub(super) fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
    for (input, out) in input.iter().zip(out) {
        out.set(table[usize::from(input.get() as u8)] as i8);
    }
}
