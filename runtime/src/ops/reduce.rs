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
use crate::kernels::Kernels;
use crate::kernels::sums::{self, MOST_WORDS, halves};
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize;
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Reduce as u16, check, eval: eval::<K>, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ReduceParams = node.params()?;
    check_multiplier(&p.multiplier)?;
    check_shape(node, &p.shape)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ReduceParams>() {
        reduce::<K>(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Sums and rescales. `out` has one element per step of the kept loops.
pub fn reduce<K: Kernels>(p: &ReduceParams, rounding: Rounding, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let input = TensorView::from_cells(input);
    let [x, y, z] = p.shape.reduced;
    // A Cortex-M0 has little flash.
    if x.count == 1 && y.count == 1 && z.stride == 1 && !cfg!(kernels = "armv6m") {
        rows::<K>(p, rounding, input, out);
    } else {
        boxes(p, rounding, input, out);
    }
}

/// What lies side by side is added up four elements at a time: those of a run that become one element, or four that
/// become four.
fn boxes(p: &ReduceParams, rounding: Rounding, input: TensorView<'_, i8>, out: &[Cell<i8>]) {
    let ([a, b, c], [x, y, z]) = (p.shape.kept, p.shape.reduced);
    let mut out = out;
    for at in steps(a, 0) {
        for at in steps(b, at) {
            let (mut at, mut left) = (at, c.count);
            while left != 0 {
                let four = c.stride == 1 && left >= 4;
                let mut sums = [p.bias; 4];
                for at in steps(x, at) {
                    for at in steps(y, at) {
                        if four {
                            add_columns(input, at, z, &mut sums);
                        } else if z.stride == 1 {
                            sums[0] = sums[0].wrapping_add(sums::sum(input.range(at, z.count as usize)));
                        } else {
                            for at in steps(z, at) {
                                sums[0] = sums[0].wrapping_add(input.at(at).into());
                            }
                        }
                    }
                }
                let step = if four { 4 } else { 1 };
                let Some((now, behind)) = out.split_at_checked(step) else { return };
                for (out, sum) in now.iter().zip(sums) {
                    let scaled = requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point);
                    out.set(scaled.clamp(-128, 127) as i8);
                }
                (out, left) = (behind, left.wrapping_sub(step as u32));
                at = at.wrapping_add(step.wrapping_mul(c.stride as usize));
            }
        }
    }
}

/// What becomes one element lies side by side.
fn rows<K: Kernels>(p: &ReduceParams, rounding: Rounding, input: TensorView<'_, i8>, out: &[Cell<i8>]) {
    let ([a, b, c], [.., z]) = (p.shape.kept, p.shape.reduced);
    let mut places = out.iter();
    for at in steps(a, 0) {
        for at in steps(b, at) {
            for at in steps(c, at) {
                let Some(out) = places.next() else { return };
                let sum = K::sum(input.range(at, z.count as usize)).wrapping_add(p.bias);
                let scaled = requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point);
                out.set(scaled.clamp(-128, 127) as i8);
            }
        }
    }
}

/// Adds four elements of each step of a loop to four sums.
#[inline(never)]
fn add_columns(input: TensorView<'_, i8>, first: usize, dim: ReduceDim, sums: &mut [i32; 4]) {
    let (mut at, mut left, stride) = (first, dim.count as usize, dim.stride as usize);
    while left != 0 {
        let count = left.min(MOST_WORDS);
        let [even, odd] = halves(input.words(at, stride, count));
        let more = (count as i32).wrapping_mul(128);
        for (sum, half) in sums.iter_mut().zip([even & 0xFFFF, odd & 0xFFFF, even >> 16, odd >> 16]) {
            *sum = sum.wrapping_add(half as i32).wrapping_sub(more);
        }
        at = at.wrapping_add(count.wrapping_mul(stride));
        left = left.wrapping_sub(count);
    }
}

/// Checks that a reduction reads every element of an int8 input once and makes every element of an
/// int8 output.
pub(super) fn check_shape(node: &Node<'_>, shape: &Reduction) -> Result<(), Fault> {
    let (inputs, outputs) = elements(shape).ok_or(Fault::Parameters)?;
    node.expect_int8(inputs, outputs)
}

/// Elements of input and output, if no step leads out of the input.
pub(super) fn elements(shape: &Reduction) -> Option<(u32, u32)> {
    let product = |dims: &[ReduceDim]| dims.iter().try_fold(1u32, |n, dim| n.checked_mul(dim.count));
    let outputs = product(&shape.kept)?;
    let inputs = outputs.checked_mul(product(&shape.reduced)?)?;
    let mut last = 0u32;
    for dim in shape.kept.iter().chain(&shape.reduced) {
        last = last.checked_add(dim.count.checked_sub(1)?.checked_mul(dim.stride)?)?;
    }
    (last < inputs).then_some((inputs, outputs))
}

/// The positions of one loop.
#[inline(always)]
pub(super) fn steps(dim: ReduceDim, start: usize) -> impl Iterator<Item = usize> {
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

    let most = [5, 5, 40][random.below(3)];
    let dims = [dim(random, 5), dim(random, 5), dim(random, most)];
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
        reduce::<crate::kernels::Portable>(
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
