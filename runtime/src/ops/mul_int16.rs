//! MUL of int16: as that of int8, an operator of its own for firmware of models that multiply int16.
//!
//! ```text
//! out = clamp(scale((a - a_zero_point) * (b - b_zero_point), multiplier) + zero_point)
//! ```
//! Source followed: TFLM `kernels/mul_common.cc`, `reference/integer_ops/mul.h`.

use core::cell::Cell;

use ferrolite_schema::params::MulParams;
use ferrolite_schema::{OpCode, Rounding};

use super::int16::{self, check_clamp, check_int16};
use super::{Operator, broadcast};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::{Right, requantize};
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::MulInt16 as u16, check, eval, lead: broadcast::lead }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let MulParams { shape, product: p } = node.params()?;
    int16::check(node, shape)?;
    [p.a_zero_point, p.b_zero_point, p.zero_point].into_iter().try_for_each(check_int16)?;
    check_multiplier(&p.multiplier)?;
    check_clamp(p.min, p.max)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        mul_int16(p, eval.node().rounding(), eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Multiplies two tensors, whose shapes and that of `out` are those of `p.shape`. `out` may lie over an operand of its own
/// size: each element is read before it is written.
pub fn mul_int16(
    p: &MulParams,
    rounding: Rounding,
    a: TensorView<'_, i16>,
    b: TensorView<'_, i16>,
    out: &[Cell<i16>],
) {
    let product = p.product;
    let clamped = move |y: i32| y.max(product.min).min(product.max) as i16;
    let factors = move |a: i16, b: i16| {
        let a = i32::from(a).wrapping_sub(product.a_zero_point);
        a.wrapping_mul(i32::from(b).wrapping_sub(product.b_zero_point))
    };
    // Without zero points, products are at most 2^30.
    if rounding == Rounding::Double
        && product.a_zero_point == 0
        && product.b_zero_point == 0
        && let Some(right) = Right::new(product.multiplier, product.zero_point)
    {
        broadcast::each(&p.shape, a, b, out, move |a: i16, b: i16| {
            clamped(right.scale(i32::from(a).wrapping_mul(b.into())))
        });
        return;
    }
    broadcast::each(&p.shape, a, b, out, move |a: i16, b: i16| {
        let y = requantize(factors(a, b), product.multiplier, rounding);
        clamped(y.wrapping_add(product.zero_point))
    });
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, factor, int16_operands};
    use ferrolite_schema::params::Product;

    let (shape, output, operands) = broadcast(random);
    let product = Product {
        a_zero_point: 0,
        b_zero_point: i32::from(random.element()),
        multiplier: factor(random, -14),
        zero_point: i32::from(random.element()),
        min: i16::MIN.into(),
        max: i16::MAX.into(),
    };
    let case = Case::of(OpCode::MulInt16, &MulParams { shape, product }, Constants::default());
    int16_operands(case.rounding(random), random, operands, output)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Multiplier;
    use ferrolite_schema::params::{Broadcast, Product};
    use proptest::prelude::*;

    #[test]
    fn products_are_scaled_and_clamped() {
        let shape = Broadcast { dims: [1, 1, 1, 1, 2, 3], repeat_a: 0, repeat_b: 1 << 4 };
        let product = Product {
            a_zero_point: 0,
            b_zero_point: 0,
            multiplier: multiplier(1.0 / 32_768.0),
            zero_point: 0,
            min: -30_000,
            max: 32_767,
        };
        let (a, b) = ([32_767, -32_768, 256, 1000, -256, 0], [32_767, 16_384, -128]);
        let mut out = [0i16; 6];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let (a, b) = (TensorView::from_slice(&a), TensorView::from_slice(&b));
        mul_int16(&MulParams { shape, product }, Rounding::Double, a, b, cells);
        assert_eq!(out, [32_766, -16_384, -1, 1000, -128, 0]);
    }

    proptest! {
        /// Prepared or not.
        #[test]
        fn products_are_those_of_the_definition(
            (a, b) in any::<(i16, i16)>(),
            (mantissa, shift) in (1i32 << 30..=i32::MAX, -20i32..2),
            zero_points in prop_oneof![Just([0; 3]), Just([0, 0, 5]), Just([3, 0, -1])],
        ) {
            let [a_zero_point, b_zero_point, zero_point] = zero_points;
            let multiplier = Multiplier { mantissa, shift };
            let product = Product { a_zero_point, b_zero_point, multiplier, zero_point, min: -32_768, max: 32_767 };
            let shape = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
            let mut out = [0i16];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            let (x, y) = ([a], [b]);
            let (x, y) = (TensorView::from_slice(&x), TensorView::from_slice(&y));
            mul_int16(&MulParams { shape, product }, Rounding::Double, x, y, cells);
            let exact = (i32::from(a) - a_zero_point).wrapping_mul(i32::from(b) - b_zero_point);
            let wanted = requantize(exact, multiplier, Rounding::Double).wrapping_add(zero_point);
            prop_assert_eq!(i32::from(out[0]), wanted.clamp(-32_768, 32_767));
        }
    }
}
