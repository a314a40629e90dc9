//! MEAN and SUM over some dimensions: `out[i] = clamp(requantize(sum + bias, multiplier) + zero_point)`.
//!
//! The converter puts the division of a mean into the multiplier and the input's zero point into the
//! bias, so both are one op. Source followed: TFLM `kernels/reduce_common.cc` and
//! `QuantizedMeanOrSum` in `reference/reduce.h`.

use core::cell::Cell;

use ferrolite_schema::params::{ReduceDim, ReduceParams, Reduction};
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Reduce as u16, check, eval, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ReduceParams = node.params()?;
    check_multiplier(&p.multiplier)?;
    check_shape(node, &p.shape)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ReduceParams>() {
        reduce(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Sums and rescales. `out` has one element per step of the kept loops.
pub fn reduce(p: &ReduceParams, rounding: Rounding, input: &[Cell<i8>], out: &[Cell<i8>]) {
    fold(&p.shape, input, out, p.bias, i32::wrapping_add, |sum| {
        let scaled = requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point);
        scaled.clamp(-128, 127) as i8
    });
}

/// Checks that a reduction reads every element of an int8 input once and makes every element of an
/// int8 output.
pub(super) fn check_shape(node: &Node<'_>, shape: &Reduction) -> Result<(), Fault> {
    let (inputs, outputs) = elements(shape).ok_or(Fault::Parameters)?;
    node.expect_int8(inputs, outputs)
}

/// Elements of input and output, if no step leads out of the input.
fn elements(shape: &Reduction) -> Option<(u32, u32)> {
    let product = |dims: &[ReduceDim]| dims.iter().try_fold(1u32, |n, dim| n.checked_mul(dim.count));
    let outputs = product(&shape.kept)?;
    let inputs = outputs.checked_mul(product(&shape.reduced)?)?;
    let mut last = 0u32;
    for dim in shape.kept.iter().chain(&shape.reduced) {
        last = last.checked_add(dim.count.checked_sub(1)?.checked_mul(dim.stride)?)?;
    }
    (last < inputs).then_some((inputs, outputs))
}

/// For each output, folds the elements that become it, then finishes it.
#[inline(always)]
pub(super) fn fold(
    shape: &Reduction,
    input: &[Cell<i8>],
    out: &[Cell<i8>],
    start: i32,
    step: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32) -> i8,
) {
    let ([a, b, c], [x, y, z]) = (shape.kept, shape.reduced);
    let mut out = out.iter();
    for at in steps(a, 0) {
        for at in steps(b, at) {
            for at in steps(c, at) {
                let mut state = start;
                for at in steps(x, at) {
                    for at in steps(y, at) {
                        for at in steps(z, at) {
                            if let Some(element) = input.get(at) {
                                state = step(state, element.get().into());
                            }
                        }
                    }
                }
                if let Some(out) = out.next() {
                    out.set(finish(state));
                }
            }
        }
    }
}

/// The positions of one loop.
#[inline(always)]
fn steps(dim: ReduceDim, start: usize) -> impl Iterator<Item = usize> {
    let mut next = start;
    (0..dim.count).map(move |_| {
        let at = next;
        next = next.wrapping_add(dim.stride as usize);
        at
    })
}

/// Any shape, and the elements of input and output, for tests.
#[cfg(feature = "cases")]
pub(super) fn any_shape(random: &mut crate::cases::Random) -> (Reduction, u32, u32) {
    use ferrolite_schema::params::ReduceDim;

    use crate::cases::dim;

    let dims = [(); 3].map(|_| dim(random, 5));
    let mask = random.below(8);
    let none = ReduceDim { count: 1, stride: 0 };
    let mut shape = Reduction { kept: [none; 3], reduced: [none; 3] };
    let (mut stride, mut inputs, mut outputs) = (1, 1, 1);
    for axis in (0..3).rev() {
        let own = ReduceDim { count: dims[axis], stride };
        if mask & (1 << axis) == 0 {
            shape.kept[axis] = own;
            outputs *= dims[axis];
        } else {
            shape.reduced[axis] = own;
        }
        stride *= dims[axis];
        inputs *= dims[axis];
    }
    (shape, inputs, outputs)
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, factor, zero_point};

    let (shape, inputs, outputs) = any_shape(random);
    let multiplier = factor(random, -((inputs / outputs).ilog2() as i32));
    let p = ReduceParams { shape, bias: zero_point(random), multiplier, zero_point: zero_point(random) / 4 };
    let case = Case::of(OpCode::Reduce, &p, Constants::default()).rounding(random);
    case.int8(random, inputs, outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::multiplier;

    const ONE: ReduceDim = ReduceDim { count: 1, stride: 0 };

    fn dim(count: u32, stride: u32) -> ReduceDim {
        ReduceDim { count, stride }
    }

    #[test]
    fn means_over_an_image() {
        // [1, 2, 2, 2] over height and width; zero point 1, both scales equal.
        let shape = Reduction { kept: [ONE, ONE, dim(2, 1)], reduced: [ONE, ONE, dim(4, 2)] };
        assert_eq!(elements(&shape), Some((8, 2)));
        let p = ReduceParams { shape, bias: -4, multiplier: multiplier(0.25), zero_point: 1 };
        let mut input = [1i8, -8, 3, -6, 5, -7, 7, -7];
        let mut out = [0i8; 2];
        reduce(
            &p,
            Rounding::Double,
            Cell::from_mut(&mut input[..]).as_slice_of_cells(),
            Cell::from_mut(&mut out[..]).as_slice_of_cells(),
        );
        assert_eq!(out, [4, -7]);
    }

    #[test]
    fn absurd_shapes_are_refused() {
        let shape = |kept, reduced| Reduction { kept: [ONE, ONE, kept], reduced: [ONE, ONE, reduced] };
        assert!(elements(&shape(dim(2, 1), dim(4, 3))).is_none());
        assert!(elements(&shape(dim(0, 1), dim(4, 2))).is_none());
        assert!(elements(&shape(dim(u32::MAX, 1), dim(u32::MAX, 1))).is_none());
        assert!(elements(&shape(dim(2, u32::MAX), dim(4, 2))).is_none());
    }
}
