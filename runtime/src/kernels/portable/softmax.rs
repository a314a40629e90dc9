//! Portable body of the kernel of SOFTMAX's rows: a sum, one reciprocal by Newton's method, and one product per element.
//!
//! Exponentials are not negative, and neither are their products, so that roundings are a term and a cut: one half of what
//! is cut off, or both halves of what two roundings cut off.
//! Source followed: TFLM `reference/softmax.h`, `internal/common.h`, gemmlowp `fixedpoint.h`.

use core::cell::Cell;

use crate::quant::reciprocal;
use crate::tensor::{TensorView, runs};

/// Integer bits of the sum of exponentials, Q12.19.
const SUM_INTEGER_BITS: u32 = 12;

/// The reciprocal of a sum: products with `scale / 2^31 / 2^exponent` are outputs.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Divisor {
    /// At least 2^30, or zero.
    pub scale: i32,
    /// 3 to 31.
    pub exponent: u32,
}

impl Divisor {
    /// That for outputs of 8 bits.
    #[inline]
    pub(in crate::kernels) fn of(sum: u32) -> Divisor {
        Divisor::of_bits(sum, 8)
    }

    /// That for outputs of so many bits.
    #[inline(always)]
    fn of_bits(sum: u32, outputs: i32) -> Divisor {
        // The sum is at least the maximum's own 1.0, which leaves a fraction of at most 12 zero bits.
        let (scale, bits) = reciprocal(sum, SUM_INTEGER_BITS as i32);
        // Q0.31 to the bits of an output. Beyond 31 everything rounds to zero; TFLM stops the program there. Below 2 no table of a softmax comes.
        let exponent = bits.wrapping_add(31).wrapping_sub(outputs) as u32;
        if (2..=31).contains(&exponent) {
            Divisor { scale, exponent }
        } else {
            Divisor { scale: 0, exponent: 31 }
        }
    }
}

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax). `#[inline]` has it compiled with the firmware, for size.
#[inline]
pub(in crate::kernels) fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    for_each_row(depth, rows, out, |row, out| softmax_of_row(row, table, out));
}

/// A row of them.
#[inline]
pub(in crate::kernels) fn softmax_of_row(row: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    let largest = row.iter().map(i32::from).fold(-128, i32::max) as i8;
    normalise(row, table, largest, Divisor::of(exponentials(row, table, largest)), out);
}

/// Calls `f` with all whole rows, and where their outputs are.
#[inline(always)]
pub(in crate::kernels) fn for_each_row(
    depth: usize,
    rows: TensorView<'_, i8>,
    out: &[Cell<i8>],
    mut f: impl FnMut(TensorView<'_, i8>, &[Cell<i8>]),
) {
    let mut at = 0usize;
    for out in runs(out, depth) {
        let row = rows.range(at, out.len());
        if row.len() != out.len() {
            return;
        }
        f(row, out);
        at = at.wrapping_add(out.len());
    }
}

/// The exponential of a number's difference from the maximum.
#[inline(always)]
fn exponential(x: i8, table: &[i32], largest: i8) -> u32 {
    table.get(usize::from(largest.wrapping_sub(x) as u8)).map_or(0, |&e| e as u32)
}

/// The sum of the exponentials of a row, each rounded to nearest.
#[inline(always)]
fn exponentials(row: TensorView<'_, i8>, table: &[i32], largest: i8) -> u32 {
    let rounded =
        |x: i8| exponential(x, table, largest).wrapping_add(1 << (SUM_INTEGER_BITS - 1)) >> SUM_INTEGER_BITS;
    row.iter().fold(0, |sum: u32, x| sum.wrapping_add(rounded(x)))
}

/// The outputs of a row.
#[inline(always)]
fn normalise(
    row: TensorView<'_, i8>,
    table: &[i32],
    largest: i8,
    Divisor { scale, exponent }: Divisor,
    out: &[Cell<i8>],
) {
    let halves = u64::from(1u32.wrapping_shl(exponent.wrapping_sub(2))) << 32 | 1 << 30;
    for (x, out) in row.iter().zip(out) {
        let product = u64::from(scale as u32) * u64::from(exponential(x, table, largest));
        let y = (product.wrapping_add(halves) >> 32) as u32;
        let y = y.wrapping_shr(exponent.wrapping_sub(1)).min(255);
        out.set((y as u8 ^ 0x80) as i8);
    }
}

/// A row of [`softmax`] with results of 16 bits.
#[inline]
pub(crate) fn softmax_int16(row: TensorView<'_, i8>, table: &[i32], out: &[Cell<i16>]) {
    let largest = row.iter().map(i32::from).fold(-128, i32::max) as i8;
    let sum = exponentials(row, table, largest);
    let Divisor { scale, exponent } = Divisor::of_bits(sum, 16);
    let halves = u64::from(1u32.wrapping_shl(exponent.wrapping_sub(2))) << 32 | 1 << 30;
    for (x, out) in row.iter().zip(out) {
        let product = u64::from(scale as u32) * u64::from(exponential(x, table, largest));
        let y = (product.wrapping_add(halves) >> 32) as u32;
        let y = y.wrapping_shr(exponent.wrapping_sub(1)).min(65535);
        out.set((y as u16 ^ 0x8000) as i16);
    }
}
