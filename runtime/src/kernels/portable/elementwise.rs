//! Portable bodies of the kernels that combine two operands element by element.

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::{Product, Sum, Term};

use crate::quant::requantize;
use crate::tensor::TensorView;

/// Applies `f` to pairs of elements. An operand with one element is repeated.
#[inline(always)]
fn zip(a: TensorView<'_, i8>, b: TensorView<'_, i8>, out: &[Cell<i8>], f: impl Fn(i8, i8) -> i8) {
    if a.len() == b.len() {
        for ((a, b), out) in a.iter().zip(b.iter()).zip(out) {
            out.set(f(a, b));
        }
        return;
    }
    // One loop for both cases keeps the code small; repetition is rare in real networks.
    let (step_a, step_b) = (usize::from(a.len() > 1), usize::from(b.len() > 1));
    for (index, out) in out.iter().enumerate() {
        out.set(f(a.at(index.wrapping_mul(step_a)), b.at(index.wrapping_mul(step_b))));
    }
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
