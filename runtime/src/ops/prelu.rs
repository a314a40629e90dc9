//! PRELU: negative elements times a slope of their own, which is repeated along some dimensions.
//!
//! ```text
//! x >= 0:  out = clamp(scale(x, above) + zero_point)                       x = input - input_zero_point
//! x < 0:   out = clamp(scale(x * (slope - slope_zero_point), below) + zero_point)
//! ```
//! Source followed: TFLM `kernels/prelu_common.cc`, `reference/prelu.h`.

use core::cell::Cell;

use ferrolite_schema::params::PreluParams;
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, broadcast};
use crate::error::Fault;
use crate::node::{Eval, Node, check_int8, check_multiplier};
use crate::quant::{Left, Right, requantize};
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Prelu as u16, check, eval, lead: broadcast::lead }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &PreluParams = node.params()?;
    broadcast::check(node, &p.shape)?;
    [p.input_zero_point, p.slope_zero_point, p.zero_point].into_iter().try_for_each(check_int8)?;
    check_multiplier(&p.above)?;
    check_multiplier(&p.below)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        prelu(p, eval.node().rounding(), eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Computes all elements; shapes are those of `p.shape`. `out` may lie over an operand of its own size.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn prelu(
    p: &PreluParams,
    rounding: Rounding,
    input: TensorView<'_, i8>,
    slopes: TensorView<'_, i8>,
    out: &[Cell<i8>],
) {
    // Both are products of two numbers of 9 bits at most.
    let right = |multiplier| Right::new(multiplier, p.zero_point).filter(|_| rounding == Rounding::Double);
    if let (Some(above), Some(below)) = (Left::new(p.above, p.zero_point), right(p.below)) {
        each(p, input, slopes, out, move |x, slope| {
            let y = if x >= 0 { above.scale(x) } else { below.scale(x.wrapping_mul(slope)) };
            y.clamp(-128, 127) as i8
        });
        return;
    }
    if let (Some(above), Some(below)) = (right(p.above), right(p.below)) {
        each(p, input, slopes, out, move |x, slope| {
            let y = if x >= 0 { above.scale(x) } else { below.scale(x.wrapping_mul(slope)) };
            y.clamp(-128, 127) as i8
        });
        return;
    }
    let p = *p;
    each(&p, input, slopes, out, move |x, slope| {
        let (x, multiplier) = if x >= 0 { (x, p.above) } else { (x.wrapping_mul(slope), p.below) };
        let y = requantize(x, multiplier, rounding).wrapping_add(p.zero_point);
        y.clamp(-128, 127) as i8
    });
}

/// Each element with its slope, both without their zero points.
#[inline(always)]
fn each(
    p: &PreluParams,
    input: TensorView<'_, i8>,
    slopes: TensorView<'_, i8>,
    out: &[Cell<i8>],
    f: impl Fn(i32, i32) -> i8 + Copy,
) {
    let (of_input, of_slope) = (p.input_zero_point, p.slope_zero_point);
    broadcast::each(&p.shape, input, slopes, out, move |x: i8, slope: i8| {
        f(i32::from(x).wrapping_sub(of_input), i32::from(slope).wrapping_sub(of_slope))
    });
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, factor, two_operands, zero_point};

    let (shape, output, operands) = broadcast(random);
    let p = PreluParams {
        shape,
        input_zero_point: zero_point(random),
        slope_zero_point: zero_point(random),
        above: factor(random, 0),
        below: factor(random, -6),
        zero_point: zero_point(random) / 8,
    };
    let case = Case::of(OpCode::Prelu, &p, Constants::default()).rounding(random);
    two_operands(case, random, operands, output)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Broadcast;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

    #[test]
    fn slopes_belong_to_negative_elements() {
        let shape = Broadcast { dims: [1, 1, 1, 1, 2, 3], repeat_a: 0, repeat_b: 1 << 4 };
        let (above, below) = (multiplier(0.5), multiplier(0.125));
        let p = PreluParams { shape, input_zero_point: 1, slope_zero_point: -2, above, below, zero_point: 3 };
        let (x, slopes) = ([5, 1, -3, -7, 127, 0], [2, -2, 6]);
        let mut out = [0i8; 6];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        prelu(&p, Rounding::Double, TensorView::from_slice(&x), TensorView::from_slice(&slopes), cells);
        assert_eq!(out, [5, 3, -1, -1, 66, 2]);
    }

    proptest! {
        /// Prepared or not.
        #[test]
        fn slopes_are_those_of_the_definition(
            (x, slope) in any::<(i8, i8)>(),
            multipliers in prop::array::uniform2((1i32 << 29..=i32::MAX, -20i32..10)),
            zero_points in prop::array::uniform3(-128i32..128),
        ) {
            let [above, below] = multipliers.map(|(mantissa, shift)| Multiplier { mantissa, shift });
            let [input_zero_point, slope_zero_point, zero_point] = zero_points;
            let shape = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
            let p = PreluParams { shape, input_zero_point, slope_zero_point, above, below, zero_point };
            let mut out = [0i8];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            let (xs, slopes) = ([x], [slope]);
            let (xs, slopes) = (TensorView::from_slice(&xs), TensorView::from_slice(&slopes));
            prelu(&p, Rounding::Double, xs, slopes, cells);
            let x = i32::from(x) - input_zero_point;
            let slope = i32::from(slope) - slope_zero_point;
            let (x, multiplier) = if x >= 0 { (x, above) } else { (x * slope, below) };
            let wanted = requantize(x, multiplier, Rounding::Double).wrapping_add(zero_point);
            prop_assert_eq!(i32::from(out[0]), wanted.clamp(-128, 127));
        }
    }
}
