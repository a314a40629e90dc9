//! MEAN and SUM of int16: as those of int8. Sums are of 32 bits and wrap.
//!
//! ```text
//! out = clamp(scale(sum of the elements + bias, multiplier) + zero_point)
//! ```
//! Source followed: TFLM `kernels/reduce_common.cc`, `reference/reduce.h`.

use core::cell::Cell;

use ferrolite_schema::params::ReduceParams;
use ferrolite_schema::{OpCode, Rounding};

use super::int16::{self, check_int16};
use super::reduce::{elements, steps};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize;
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::ReduceInt16 as u16, check, eval, lead: no_overlap }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ReduceParams = node.params()?;
    check_multiplier(&p.multiplier)?;
    check_int16(p.zero_point)?;
    let (inputs, outputs) = elements(&p.shape).ok_or(Fault::Parameters)?;
    int16::expect(node, inputs, outputs)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        reduce_int16(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Sums and rescales. `out` has one element per step of the kept loops.
pub fn reduce_int16(p: &ReduceParams, rounding: Rounding, input: &[Cell<i16>], out: &[Cell<i16>]) {
    let input = TensorView::from_cells(input);
    let ([a, b, c], [x, y, z]) = (p.shape.kept, p.shape.reduced);
    let mut places = out.iter();
    for at in steps(a, 0) {
        for at in steps(b, at) {
            for at in steps(c, at) {
                let Some(place) = places.next() else { return };
                let mut sum = p.bias;
                for at in steps(x, at) {
                    for at in steps(y, at) {
                        for at in steps(z, at) {
                            sum = sum.wrapping_add(input.at(at).into());
                        }
                    }
                }
                let scaled = requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point);
                place.set(scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, factor};
    use ferrolite_schema::DType;

    let (shape, inputs, outputs) = super::reduce::any_shape(random);
    let multiplier = factor(random, -((inputs / outputs).ilog2() as i32));
    let zero_point = i32::from(random.element());
    let p = ReduceParams { shape, bias: i32::from(random.element()) * 64, multiplier, zero_point };
    let case = Case::of(OpCode::ReduceInt16, &p, Constants::default()).rounding(random);
    case.input(random, DType::Int16, 2 * inputs).output(DType::Int16, 2 * outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::{ReduceDim, Reduction};

    #[test]
    fn means_over_an_image() {
        let one = ReduceDim { count: 1, stride: 0 };
        let dim = |count, stride| ReduceDim { count, stride };
        let shape = Reduction { kept: [one, one, dim(2, 1)], reduced: [one, one, dim(4, 2)] };
        let p = ReduceParams { shape, bias: 0, multiplier: multiplier(0.25), zero_point: 1 };
        let mut input = [30_000i16, -8, 32_000, -6, 31_000, -7, 32_767, -7];
        let mut out = [0i16; 2];
        let cells = Cell::from_mut(&mut input[..]).as_slice_of_cells();
        reduce_int16(&p, Rounding::Double, cells, Cell::from_mut(&mut out[..]).as_slice_of_cells());
        assert_eq!(out, [31_443, -6]);
    }
}
