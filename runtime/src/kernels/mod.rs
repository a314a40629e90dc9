//! Kernels: inner loops over slices, below the operators that know shapes and borders.
//!
//! [`Kernels`] is a set of tile-level methods. The body of each default method is portable Rust and
//! *is the specification*: integer for integer, wrapping and rounding included. A set for one kind
//! of core overrides what it makes faster and must equal the default on every input.
//!
//! All choice of architecture is in this file and in the folders below it.

mod portable;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use crate::quant::requantize;

pub use portable::Portable;

/// The kernels that suit the core this is compiled for.
pub type Native = Portable;

/// Pixels that a convolution gathers before it computes them. The overlap of its output with its
/// input rests on this number: every kernel set reads all of a tile before it writes any of it.
pub const TILE: usize = 4;

/// How accumulators become int8: `clamp(requantize(acc + bias[c], multiplier[c]) + zero_point)`.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// One bias per channel; holds the input's zero point too.
    pub bias: &'a [i32],
    /// One multiplier per channel, or one for all.
    pub multipliers: &'a [Multiplier],
    /// How multipliers round.
    pub rounding: Rounding,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest output, at least -128.
    pub min: i32,
    /// Largest output, at most 127.
    pub max: i32,
}

impl Stage<'_> {
    /// Bias and multiplier of a channel; zeroes for a channel that is not there.
    #[inline(always)]
    pub fn channel(&self, channel: usize) -> (i32, Multiplier) {
        let bias = self.bias.get(channel).copied().unwrap_or(0);
        let multiplier = match self.multipliers {
            [one] => Some(one),
            all => all.get(channel),
        };
        (bias, multiplier.copied().unwrap_or_default())
    }

    /// The int8 value of an accumulator that already holds the bias.
    #[inline(always)]
    pub fn apply(&self, acc: i32, multiplier: Multiplier) -> i8 {
        let scaled = requantize(acc, multiplier, self.rounding).wrapping_add(self.zero_point);
        // Not `clamp`, which panics where min > max.
        scaled.max(self.min).min(self.max) as i8
    }

    /// The stage for the channels from `first` on.
    pub fn skip(&self, first: usize) -> Self {
        let multipliers = match self.multipliers {
            [_] => self.multipliers,
            all => all.get(first..).unwrap_or(&[]),
        };
        Stage { bias: self.bias.get(first..).unwrap_or(&[]), multipliers, ..*self }
    }
}

/// A set of kernels for one kind of core. Accumulators wrap modulo 2^32.
pub trait Kernels: 'static {
    /// Matrix product of gathered rows with the weights of some channels:
    /// `out[r * out_stride + c] = stage(sum over k of rows[r][k] * weights[c][k])`.
    ///
    /// `rows` holds at most [`TILE`] rows of `depth` elements, `weights` one row of `depth` elements
    /// per channel. `rows` and `out` do not overlap.
    fn matmul(
        rows: &[Cell<i8>],
        depth: usize,
        weights: &[i8],
        stage: &Stage<'_>,
        out: &[Cell<i8>],
        out_stride: usize,
    ) {
        portable::matmul(rows, depth, weights, stage, out, out_stride);
    }

    /// One pixel of a depthwise convolution:
    /// `out[c] = stage(sum over t of patch[t][c / multiplier] * weights[t][c])`.
    ///
    /// `patch` holds `channels` elements per tap, `weights` `channels * multiplier`, `out` as many.
    /// `patch` and `out` do not overlap.
    fn depthwise(
        patch: &[Cell<i8>],
        channels: usize,
        multiplier: usize,
        weights: &[i8],
        stage: &Stage<'_>,
        out: &[Cell<i8>],
    ) {
        portable::depthwise(patch, channels, multiplier, weights, stage, out);
    }

    /// `out[i] = table[input[i] as u8]`; `out` may lie over `input`.
    fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
        portable::lookup(input, table, out);
    }
}
