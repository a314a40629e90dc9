//! L2_NORMALIZATION: each row divided by the root of the sum of its squares. The output has scale 1/128 and zero point 0.
//!
//! ```text
//! x = input - input_zero_point;   (m, s) = 1 / sqrt(sum of x^2 over the row);   out = clamp(scale(x, (m, s + 7)))
//! ```
//! The root is gemmlowp's, by five of Newton's steps. Source followed: TFLM `kernels/l2norm.cc`,
//! `reference/integer_ops/l2normalization.h`.

use core::cell::Cell;

use ferrolite_schema::params::{L2NormalizationParams, Multiplier};
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node, check_int8};
use crate::quant::{Right, inverse_sqrt, requantize};
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    // A row is summed up before it is written.
    Operator { code: OpCode::L2Normalization as u16, check, eval, lead: in_place }
}

/// Elements of a row at most: the sum of their squares fits 31 bits.
pub const MOST: u32 = 33_025;

/// Bits of the output behind the point.
const BITS: i32 = 7;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &L2NormalizationParams = node.params()?;
    let elements = p.rows.checked_mul(p.depth).filter(|&elements| elements != 0 && p.depth <= MOST);
    let elements = elements.ok_or(Fault::Parameters)?;
    check_int8(p.input_zero_point)?;
    node.expect_int8(elements, elements)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<L2NormalizationParams>() {
        l2_normalization(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Divides all rows. `out` may lie over `input`.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn l2_normalization(p: &L2NormalizationParams, rounding: Rounding, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let zero_point = p.input_zero_point;
    let number = move |x: &Cell<i8>| i32::from(x.get()).wrapping_sub(zero_point);
    let depth = p.depth as usize;
    for (input, out) in runs(input, depth).zip(runs(out, depth)) {
        let square = |x: i32| x.wrapping_mul(x);
        let sum = input.iter().fold(0i32, |sum, x| sum.wrapping_add(square(number(x))));
        let (mantissa, shift) = inverse_sqrt(sum);
        let multiplier = Multiplier { mantissa, shift: shift.wrapping_add(BITS) };
        // Without its zero point, an element has 9 bits.
        if let Some(right) = Right::new(multiplier, 0).filter(|_| rounding == Rounding::Double) {
            for (x, place) in input.iter().zip(out) {
                place.set(right.scale(number(x)).clamp(-128, 127) as i8);
            }
            continue;
        }
        for (x, place) in input.iter().zip(out) {
            place.set(requantize(number(x), multiplier, rounding).clamp(-128, 127) as i8);
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, zero_point};

    let (rows, depth) = (dim(random, 4), dim(random, 12));
    let p = L2NormalizationParams { rows, depth, input_zero_point: zero_point(random) };
    let case = Case::of(OpCode::L2Normalization, &p, Constants::default()).rounding(random);
    case.int8(random, rows * depth, rows * depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_of_length_one() {
        let p = L2NormalizationParams { rows: 3, depth: 2, input_zero_point: -1 };
        let mut x = [2, 3, -1, -1, 4, -1];
        let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
        l2_normalization(&p, Rounding::Double, cells, cells);
        // 3 and 4 of 5, a row of zeroes, and one number.
        assert_eq!(x, [77, 102, 0, 0, 127, 0]);
    }
}
