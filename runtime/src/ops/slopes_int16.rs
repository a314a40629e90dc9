//! Slopes of int16: elements of at least the zero point times one factor, those below it times another: RELU, RELU6,
//! LEAKY_RELU and ABS.
//!
//! ```text
//! x >= 0:  out = clamp(scale(x, above) + zero_point)                       x = input - input_zero_point
//! x < 0:   out = clamp(scale(sign * x, below) + zero_point)
//! ```
//! Source followed: TFLM `kernels/activations_common.cc`, `leaky_relu_common.cc`, `elementwise.cc`.

use core::cell::Cell;

use ferrolite_schema::params::SlopesInt16Params;
use ferrolite_schema::{OpCode, Rounding};

use super::int16::{self, check_clamp, check_int16};
use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::{Left, Right, requantize};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::SlopesInt16 as u16, check, eval, lead: in_place }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SlopesInt16Params = node.params()?;
    int16::expect_pairs(node)?;
    check_int16(p.input_zero_point)?;
    check_int16(p.zero_point)?;
    check_multiplier(&p.above)?;
    check_multiplier(&p.below)?;
    if p.sign != 1 && p.sign != -1 {
        return Err(Fault::Parameters);
    }
    check_clamp(p.min, p.max)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        slopes_int16(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Computes all elements. `out` may lie over `input`.
pub fn slopes_int16(p: &SlopesInt16Params, rounding: Rounding, input: &[Cell<i16>], out: &[Cell<i16>]) {
    // Elements without their zero point have 17 bits.
    let is_double = rounding == Rounding::Double;
    let right = |multiplier| Right::new(multiplier, p.zero_point).filter(|_| is_double);
    let left = |multiplier| Left::new(multiplier, p.zero_point).filter(|_| is_double);
    match ((left(p.above), left(p.below)), (right(p.above), right(p.below))) {
        // RELU and ABS have one factor.
        ((Some(above), Some(below)), _) => {
            each(p, input, out, move |x| above.scale(x), move |x| below.scale(x))
        }
        (_, (Some(above), Some(below))) => {
            each(p, input, out, move |x| above.scale(x), move |x| below.scale(x))
        }
        ((Some(above), _), (_, Some(below))) => {
            each(p, input, out, move |x| above.scale(x), move |x| below.scale(x));
        }
        _ => {
            for (x, place) in input.iter().zip(out) {
                let x = i32::from(x.get()).wrapping_sub(p.input_zero_point);
                let (x, multiplier) = if x >= 0 { (x, p.above) } else { (x.wrapping_mul(p.sign), p.below) };
                let y = requantize(x, multiplier, rounding).wrapping_add(p.zero_point);
                place.set(y.max(p.min).min(p.max) as i16);
            }
        }
    }
}

/// Scales elements of at least the zero point, and those below it.
#[inline(never)]
fn each(
    p: &SlopesInt16Params,
    input: &[Cell<i16>],
    out: &[Cell<i16>],
    above: impl Fn(i32) -> i32,
    below: impl Fn(i32) -> i32,
) {
    // What is written could be what a reference leads to.
    let &SlopesInt16Params { input_zero_point, sign, min, max, .. } = p;
    for (x, place) in input.iter().zip(out) {
        let x = i32::from(x.get()).wrapping_sub(input_zero_point);
        let y = if x >= 0 { above(x) } else { below(x.wrapping_mul(sign)) };
        place.set(y.max(min).min(max) as i16);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, factor};
    use ferrolite_schema::DType;

    let p = SlopesInt16Params {
        input_zero_point: i32::from(random.element()) * 64,
        above: factor(random, 0),
        below: factor(random, -1),
        sign: [1, -1][random.below(2)],
        zero_point: i32::from(random.element()) * 16,
        min: i16::MIN.into(),
        max: i16::MAX.into(),
    };
    let bytes = 2 * dim(random, 90);
    let case = Case::of(OpCode::SlopesInt16, &p, Constants::default()).rounding(random);
    case.input(random, DType::Int16, bytes).output(DType::Int16, bytes)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

    fn run(p: &SlopesInt16Params, mut x: [i16; 6]) -> [i16; 6] {
        let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
        slopes_int16(p, Rounding::Double, cells, cells);
        x
    }

    #[test]
    fn each_side_of_zero_has_a_slope_of_its_own() {
        let (above, below) = (multiplier(0.5), multiplier(0.25));
        let p = SlopesInt16Params {
            input_zero_point: 1,
            above,
            below,
            sign: 1,
            zero_point: 3,
            min: -32_768,
            max: 16_000,
        };
        assert_eq!(run(&p, [1, 3, -1, -7, 32_767, -32_768]), [3, 4, 2, 1, 16_000, -8189]);
        // Magnitudes: the smallest number has none in int16.
        let one = multiplier(1.0);
        let p = SlopesInt16Params {
            input_zero_point: 0,
            above: one,
            below: one,
            sign: -1,
            zero_point: 0,
            max: 32_767,
            ..p
        };
        assert_eq!(run(&p, [0, 3, -3, -32_767, -32_768, 32_767]), [0, 3, 3, 32_767, 32_767, 32_767]);
    }

    proptest! {
        /// Prepared or not.
        #[test]
        fn slopes_are_those_of_the_definition(
            x: [i16; 6],
            multipliers in prop::array::uniform2((1i32 << 29..=i32::MAX, -20i32..10)),
            (input_zero_point, zero_point, negative) in (-300i32..300, -300i32..300, any::<bool>()),
        ) {
            let [above, below] = multipliers.map(|(mantissa, shift)| Multiplier { mantissa, shift });
            let sign = if negative { -1 } else { 1 };
            let (min, max) = (-30_000, 32_767);
            let p = SlopesInt16Params { input_zero_point, above, below, sign, zero_point, min, max };
            let wanted = x.map(|x| {
                let x = i32::from(x) - input_zero_point;
                let (x, multiplier) = if x >= 0 { (x, above) } else { (x * sign, below) };
                let y = requantize(x, multiplier, Rounding::Double).wrapping_add(zero_point);
                y.clamp(min, max) as i16
            });
            prop_assert_eq!(run(&p, x), wanted);
        }
    }
}
