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
use crate::quant::requantize;
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
#[inline]
pub fn prelu(
    p: &PreluParams,
    rounding: Rounding,
    input: TensorView<'_, i8>,
    slopes: TensorView<'_, i8>,
    out: &[Cell<i8>],
) {
    let mut places = out.iter();
    broadcast::positions(&p.shape, |at_input, at_slope| {
        let Some(place) = places.next() else { return };
        let x = i32::from(input.at(at_input)).wrapping_sub(p.input_zero_point);
        let slope = i32::from(slopes.at(at_slope)).wrapping_sub(p.slope_zero_point);
        let (x, multiplier) = if x >= 0 { (x, p.above) } else { (x.wrapping_mul(slope), p.below) };
        let y = requantize(x, multiplier, rounding).wrapping_add(p.zero_point);
        place.set(y.clamp(-128, 127) as i8);
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
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Broadcast;

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
}
