//! Portable bodies of the kernels that combine two operands element by element.

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{Product, Sum, Term, Weighted};

use crate::quant::requantize;
use crate::tensor::{Element, TensorView};

/// Parts of the output with the elements of both operands that belong to them: all of it, or as much as a shorter operand
/// has, which is repeated.
#[inline(always)]
pub(crate) fn cycles<T: Element, O>(
    a: TensorView<'_, T>,
    b: TensorView<'_, T>,
    out: &[Cell<O>],
    mut kernel: impl FnMut(TensorView<'_, T>, TensorView<'_, T>, &[Cell<O>]),
) {
    let part = a.len().min(b.len()).max(1);
    let step = |x: TensorView<'_, T>| if x.len() < out.len() { 0 } else { part };
    let (step_a, step_b) = (step(a), step(b));
    let (mut at_a, mut at_b, mut rest) = (0usize, 0usize, out);
    while !rest.is_empty() {
        let (out, behind) = rest.split_at_checked(part).unwrap_or((rest, &[]));
        kernel(a.range(at_a, out.len()), b.range(at_b, out.len()), out);
        (at_a, at_b, rest) = (at_a.wrapping_add(step_a), at_b.wrapping_add(step_b), behind);
    }
}

/// Applies `f` to pairs of elements; a shorter operand is repeated.
#[inline(always)]
fn zip(a: TensorView<'_, i8>, b: TensorView<'_, i8>, out: &[Cell<i8>], f: impl Fn(i8, i8) -> i8) {
    cycles(a, b, out, |a, b, out| {
        for ((a, b), out) in a.iter().zip(b.iter()).zip(out) {
            out.set(f(a, b));
        }
    });
}

/// See [`Kernels::add`](super::Kernels::add).
pub(in crate::kernels) fn add(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    sum: &Sum,
    rounding: Rounding,
    out: &[Cell<i8>],
) {
    let scaled = |x: i8, term: &Term| {
        let shifted = i32::from(x).wrapping_sub(term.zero_point).wrapping_shl(20);
        requantize(shifted, term.multiplier, rounding)
    };
    zip(a, b, out, |a, b| {
        let acc = scaled(a, &sum.a).wrapping_add(scaled(b, &sum.b).wrapping_mul(sum.sign));
        let y = requantize(acc, sum.multiplier, rounding).wrapping_add(sum.zero_point);
        y.max(sum.min).min(sum.max) as i8
    });
}

/// See [`Kernels::weighted_sum`](super::Kernels::weighted_sum).
pub(in crate::kernels) fn weighted_sum(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    sum: &Weighted,
    out: &[Cell<i8>],
) {
    weighted_sum_by(a, b, sum, out, |x, factor| {
        // The upper word of a product is one instruction.
        (((i64::from(x) << 24) * i64::from(factor)) >> 32) as i32
    });
}

/// The same with a function for `x * factor / 2^8`, rounded down.
#[inline(always)]
pub(in crate::kernels) fn weighted_sum_by(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    sum: &Weighted,
    out: &[Cell<i8>],
    part: impl Fn(i8, i32) -> i32,
) {
    zip(a, b, out, |a, b| {
        let y = part(a, sum.factor_a).wrapping_add(part(b, sum.factor_b)).wrapping_add(sum.term) >> 20;
        y.max(sum.min).min(sum.max) as i8
    });
}

/// See [`Kernels::mul`](super::Kernels::mul).
pub(in crate::kernels) fn mul(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    product: &Product,
    rounding: Rounding,
    out: &[Cell<i8>],
) {
    zip(a, b, out, |a, b| {
        let a = i32::from(a).wrapping_sub(product.a_zero_point);
        let b = i32::from(b).wrapping_sub(product.b_zero_point);
        let y = requantize(a.wrapping_mul(b), product.multiplier, rounding).wrapping_add(product.zero_point);
        y.max(product.min).min(product.max) as i8
    });
}

/// See [`Kernels::min_max`](super::Kernels::min_max).
pub(in crate::kernels) fn min_max(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    maximum: bool,
    out: &[Cell<i8>],
) {
    zip(a, b, out, |a, b| if (a > b) == maximum { a } else { b });
}
