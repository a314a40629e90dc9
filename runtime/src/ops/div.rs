//! DIV of int8: the quotient of two tensors, element by element.
//!
//! ```text
//! out = clamp(scale(a / b, multiplier) + zero_point)         a, b without their zero points
//! ```
//! The reciprocal of `b` is taken in fixed point, and kept for the elements that follow while `b` stays the same. What is
//! divided by 0 is as small or as large as the output says. Source followed: TFLM `kernels/div.cc`, `reference/div.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{DivParams, Product};

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::node::{Eval, Node, check_clamp, check_int8, check_multiplier};
use crate::quant::{reciprocal, rounding_divide_by_power_of_two, saturating_rounding_doubling_high_mul};
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Div as u16, check, eval, lead: broadcast::lead }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DivParams = node.params()?;
    broadcast::check(node, &p.shape)?;
    let Product { a_zero_point, b_zero_point, multiplier, zero_point, min, max } = p.quotient;
    [a_zero_point, b_zero_point, zero_point].into_iter().try_for_each(check_int8)?;
    check_multiplier(&multiplier)?;
    check_clamp(min, max)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        div(p, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Computes all elements; shapes are those of `p.shape`. `out` may lie over an operand of its own size.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn div(p: &DivParams, a: TensorView<'_, i8>, b: TensorView<'_, i8>, out: &[Cell<i8>]) {
    let q = p.quotient;
    let (mut divisor, mut inverse) = (0, (0, 0));
    broadcast::each(&p.shape, a, b, out, move |a: i8, b: i8| {
        let a = i32::from(a).wrapping_sub(q.a_zero_point);
        let b = i32::from(b).wrapping_sub(q.b_zero_point);
        if b != divisor {
            let (factor, bits) = reciprocal(b.unsigned_abs(), 31);
            (divisor, inverse) = (b, (if b < 0 { factor.wrapping_neg() } else { factor }, bits));
        }
        let quotient = match b {
            // Beyond any output.
            0 => a.signum().wrapping_shl(16),
            _ => scaled(a, inverse, &q),
        };
        quotient.wrapping_add(q.zero_point).max(q.min).min(q.max) as i8
    });
}

/// The product of a dividend and the reciprocal of its divisor, scaled; nearly all its bits are kept in between.
#[inline]
fn scaled(a: i32, (inverse, bits): (i32, i32), q: &Product) -> i32 {
    let headroom = headroom(a);
    let quotient = saturating_rounding_doubling_high_mul(a.wrapping_shl(headroom), inverse);
    let scaled = saturating_rounding_doubling_high_mul(quotient, q.multiplier.mantissa);
    // What is not divided at all is beyond any output.
    let right = bits.wrapping_add(headroom as i32).wrapping_sub(q.multiplier.shift).max(0) as u32;
    let y = match right {
        0..=31 => rounding_divide_by_power_of_two(scaled, right),
        // TFLM's bytes, not the quotient, which is nearly 0: of an exponent that does not fit, its processor takes the
        // lower 5 bits, while all bits count as the remainder.
        _ => scaled.wrapping_shr(right).wrapping_add(i32::from(scaled >= 0)),
    };
    y.clamp(-(1 << 16), 1 << 16)
}

/// By how many bits a number can be shifted to the left without a change of its sign.
#[inline]
fn headroom(a: i32) -> u32 {
    (a ^ (a >> 31)).leading_zeros().wrapping_sub(1)
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, product, two_operands};

    let (shape, output, operands) = broadcast(random);
    let p = DivParams { shape, quotient: product(random, 5) };
    two_operands(Case::of(OpCode::Div, &p, Constants::default()), random, operands, output)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Broadcast;
    use proptest::prelude::*;

    fn divided(scale: f64, zero_points: [i32; 3], a: i8, b: i8) -> i8 {
        let shape = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
        let [a_zero_point, b_zero_point, zero_point] = zero_points;
        let multiplier = multiplier(scale);
        let quotient = Product { a_zero_point, b_zero_point, multiplier, zero_point, min: -128, max: 127 };
        let mut out = [0i8];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let (a, b) = ([a], [b]);
        div(&DivParams { shape, quotient }, TensorView::from_slice(&a), TensorView::from_slice(&b), cells);
        out[0]
    }

    proptest! {
        #[test]
        fn quotients_are_near_the_real_ones(
            scale in 1e-4f64..1e4,
            a: i8,
            b: i8,
            zero_points in prop::array::uniform3(-128i32..128),
        ) {
            let [x, y] = [(a, zero_points[0]), (b, zero_points[1])].map(|(x, zero)| f64::from(i32::from(x) - zero));
            let found = divided(scale, zero_points, a, b);
            // Quotients that are not shifted too far; there, the vectors have TFLM's bytes.
            let (x_bits, y_bits) = (headroom(x as i32) as i32, reciprocal(y.abs() as u32, 31).1);
            prop_assume!(y == 0.0 || x_bits + y_bits - multiplier(scale).shift <= 31);
            let exact = match y {
                0.0 => if x == 0.0 { 0.0 } else { x.signum() * 1e9 },
                _ => x / y * scale,
            };
            let exact = (exact + f64::from(zero_points[2])).clamp(-128.0, 127.0);
            prop_assert!((f64::from(found) - exact).abs() <= 0.5001, "{found} for {exact}");
        }
    }
}
