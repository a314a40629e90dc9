//! Sums and products of two tensors, four elements at a time.
//!
//! ```text
//! sum:  y = (s (x_e - z_e) 2^19 + s' round(x_r))        one operand has the scale of the sum, half of 2^20
//! ```
//! ADD brings both operands to twice the larger of their scales, so one of them is scaled by exactly one
//! half: this needs no rounding, only one multiply-accumulate. All values are kept doubled, as the rounding
//! high multiply needs them.

use core::cell::Cell;

use ferrolite_schema::Rounding;
#[cfg(any(kernels = "armv7m", not(device)))]
use ferrolite_schema::params::Product;
use ferrolite_schema::params::{Multiplier, Sum, Term};

use super::portable;
use crate::tensor::{TensorView, zip_with};

/// The instructions of a core that the loops use.
pub(super) trait Instructions {
    /// The upper word of a product, rounded.
    fn high_product(a: i32, b: i32) -> i32;

    /// The same and a term.
    #[inline(always)]
    fn high_product_and(a: i32, b: i32, term: i32) -> i32 {
        Self::high_product(a, b).wrapping_add(term)
    }

    /// Half of a number, saturated to 8 bits.
    fn halve_to_int8(a: i32) -> i32;
}

/// Scaling by a right shift of 1 to 22 bits with two roundings.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Scale {
    pub mantissa: i32,
    /// The right shift minus one.
    pub shift: u32,
    /// The term that is added before the shift.
    pub round: i32,
}

impl Scale {
    pub(super) fn new(multiplier: Multiplier, zero_point: i32) -> Option<Scale> {
        if !(-22..=-1).contains(&multiplier.shift) {
            return None;
        }
        let shift = !multiplier.shift as u32;
        let round = zero_point.wrapping_mul(2).wrapping_add(1).wrapping_shl(shift);
        Some(Scale { mantissa: multiplier.mantissa, shift, round })
    }

    /// Twice the scaled number, given twice the number, before the last bit is dropped. Negative products round as
    /// positive ones by a term of -1; it has the sign of the factor, since a product that rounds to zero from below
    /// differs then in nothing but that last bit.
    #[inline(always)]
    pub(super) fn twice<I: Instructions>(&self, doubled: i32) -> i32 {
        let y = I::high_product_and(doubled, self.mantissa, self.round);
        y.wrapping_add(doubled >> 31) >> self.shift
    }
}

/// `x * factor + constant`.
#[derive(Clone, Copy)]
struct Line {
    factor: i32,
    constant: i32,
}

impl Line {
    /// `(x - zero_point) * factor`.
    fn through(zero_point: i32, factor: i32) -> Line {
        Line { factor, constant: zero_point.wrapping_mul(factor).wrapping_neg() }
    }

    #[inline(always)]
    fn at(&self, x: i8) -> i32 {
        i32::from(x).wrapping_mul(self.factor).wrapping_add(self.constant)
    }
}

/// Whether an operand is scaled by one half, which needs no rounding.
fn is_half(term: &Term) -> bool {
    term.multiplier == Multiplier { mantissa: 1 << 30, shift: 0 }
}

/// `out[i] = f(a[i], b[i])`; a shorter operand is repeated. What `f` knows is its own: what is written could be what it refers
/// to, which would have to be read again for each element.
#[inline(always)]
fn pairs(a: TensorView<'_, i8>, b: TensorView<'_, i8>, out: &[Cell<i8>], f: impl Fn(i8, i8) -> i32 + Copy) {
    portable::cycles(a, b, out, |a, b, out| run(a, b, out, f));
}

/// A function of its own, so that the walk over runs takes no registers.
#[inline(never)]
fn run(a: TensorView<'_, i8>, b: TensorView<'_, i8>, out: &[Cell<i8>], f: impl Fn(i8, i8) -> i32 + Copy) {
    zip_with(a, b, out, |a, b| f(a, b) as i8);
}

/// See [`Kernels::add`](crate::kernels::Kernels::add).
pub(super) fn add<I: Instructions>(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    sum: &Sum,
    rounding: Rounding,
    out: &[Cell<i8>],
) {
    if rounding == Rounding::Double && fast_add::<I>(a, b, sum, out).is_some() {
        clamp_to(sum.min, sum.max, out);
    } else {
        portable::add(a, b, sum, rounding, out);
    }
}

/// `None` for sums that it does not serve.
fn fast_add<I: Instructions>(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    sum: &Sum,
    out: &[Cell<i8>],
) -> Option<()> {
    let scale = Scale::new(sum.multiplier, sum.zero_point)?;
    // The operand with the sum's scale comes first; each operand keeps its sign.
    let ((half, of_half, sign), (other, of_other, other_sign)) = match (is_half(&sum.a), is_half(&sum.b)) {
        (true, _) => ((a, &sum.a, 1), (b, &sum.b, sum.sign)),
        (false, true) => ((b, &sum.b, sum.sign), (a, &sum.a, 1)),
        _ => return None,
    };
    let line = Line::through(of_half.zero_point, sign << 20);
    if is_half(of_other) {
        let other_line = Line::through(of_other.zero_point, other_sign << 20);
        pairs(half, other, out, move |x, y| {
            I::halve_to_int8(scale.twice::<I>(line.at(x).wrapping_add(other_line.at(y))))
        });
        return Some(());
    }
    let other_scale = Scale::new(of_other.multiplier, 0)?;
    let other_line = Line::through(of_other.zero_point, 1 << 21);
    pairs(half, other, out, move |x, y| {
        let scaled = other_scale.twice::<I>(other_line.at(y)) >> 1;
        let doubled = line.at(x).wrapping_add(scaled.wrapping_mul(2 * other_sign));
        I::halve_to_int8(scale.twice::<I>(doubled))
    });
    Some(())
}

/// See [`Kernels::mul`](crate::kernels::Kernels::mul).
#[cfg(any(kernels = "armv7m", not(device)))]
pub(super) fn mul<I: Instructions>(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    product: &Product,
    rounding: Rounding,
    out: &[Cell<i8>],
) {
    match Scale::new(product.multiplier, product.zero_point) {
        Some(scale) if rounding == Rounding::Double => {
            let (of_a, of_b) =
                (Line::through(product.a_zero_point, 2), Line::through(product.b_zero_point, 1));
            pairs(a, b, out, move |a, b| {
                I::halve_to_int8(scale.twice::<I>(of_a.at(a).wrapping_mul(of_b.at(b))))
            });
            clamp_to(product.min, product.max, out);
        }
        _ => portable::mul(a, b, product, rounding, out),
    }
}

/// Whether a clamp is narrower than int8.
#[inline(always)]
pub(super) fn is_narrow(min: i32, max: i32) -> bool {
    // Both are int8 values, as was checked, so one number tells whether both bounds are the widest.
    min.wrapping_add(128) | max.wrapping_sub(127) != 0
}

/// Clamps to less than int8, to which the loops already saturate. This is rare enough for a separate pass.
#[inline(always)]
pub(super) fn clamp_to(min: i32, max: i32, out: &[Cell<i8>]) {
    if is_narrow(min, max) {
        clamp(min, max, out);
    }
}

/// Clamps all elements.
#[cold]
#[inline(never)]
pub(super) fn clamp(min: i32, max: i32, out: &[Cell<i8>]) {
    for y in out {
        y.set(i32::from(y.get()).max(min).min(max) as i8);
    }
}
