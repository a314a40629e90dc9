//! REDUCE_MAX and REDUCE_MIN: the largest or smallest element over some dimensions. Input and output
//! share their quantization. Source followed: TFLM `kernels/reduce_common.cc`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::ReduceMinMaxParams;

use super::reduce::{check_shape, fold};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::ReduceMinMax as u16, check, eval, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ReduceMinMaxParams = node.params()?;
    if p.largest > 1 {
        return Err(Fault::Parameters);
    }
    check_shape(node, &p.shape)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ReduceMinMaxParams>() {
        reduce_min_max(p, eval.input(0), eval.output(0));
    }
}

/// Finds the extremes. `out` has one element per step of the kept loops.
pub fn reduce_min_max(p: &ReduceMinMaxParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    // The smallest element is the negative of the largest negative: one loop serves both.
    let sign = if p.largest == 1 { 1 } else { -1 };
    fold(
        &p.shape,
        input,
        out,
        i32::MIN,
        |max, x| max.max(x.wrapping_mul(sign)),
        |max| max.wrapping_mul(sign) as i8,
    );
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants};

    let (shape, inputs, outputs) = super::reduce::any_shape(random);
    let p = ReduceMinMaxParams { shape, largest: random.below(2) as u32 };
    Case::of(OpCode::ReduceMinMax, &p, Constants::default()).int8(random, inputs, outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite_schema::params::{ReduceDim, Reduction};

    #[test]
    fn finds_both_extremes() {
        let one = ReduceDim { count: 1, stride: 0 };
        let shape = Reduction {
            kept: [one, one, ReduceDim { count: 2, stride: 3 }],
            reduced: [one, one, ReduceDim { count: 3, stride: 1 }],
        };
        let mut input = [-128i8, 5, 127, -3, -128, -2];
        for (largest, expected) in [(1, [127, -2]), (0, [-128, -128])] {
            let mut out = [0i8; 2];
            reduce_min_max(
                &ReduceMinMaxParams { shape, largest },
                Cell::from_mut(&mut input[..]).as_slice_of_cells(),
                Cell::from_mut(&mut out[..]).as_slice_of_cells(),
            );
            assert_eq!(out, expected);
        }
    }
}
