//! Integers: arithmetic, comparisons and logic of two tensors of plain integers, which stand for themselves: index
//! sums, masks, truth values.
//!
//! | function | result | |
//! |---|---|---|
//! | 0, 1, 2 | sum, difference, product | modulo the type's range |
//! | 3, 4, 5 | quotient towards zero, quotient rounded down, what remains of that | 0 where the divisor is 0 |
//! | 6, 7 | larger, smaller | of truth values: or, and |
//! | 8 | square of the difference | |
//! | 9, 10, 11, 12 | less, less or equal, equal, not equal | of type bool; of real numbers, too; of truth values 12 is either |
//!
//! All is computed with 64 bits, and the lower ones are the result; quotients of int64 there are none. Sources followed: TFLM `kernels/{add,sub,mul,div}.cc`,
//! `comparisons.cc`, `maximum_minimum.h`, `squared_difference.cc`, `logical_common.cc`; TFLite `reference/floor_div.h`,
//! `floor_mod.h`.

use core::cell::Cell;

use ferrolite_schema::params::IntegersParams;
use ferrolite_schema::{DType, OpCode, Tensor};

use super::Operator;
use super::broadcast::{self, Row};
use super::number::{BLOCK, load, load_block, store, store_block};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Integers as u16, check, eval, lead }
}

/// The first function whose results are truth values, and the number of functions.
const FIRST_TRUTH: u32 = 9;
const FUNCTIONS: u32 = 13;

/// Functions that divide, which is done with 32 bits.
const FIRST_QUOTIENT: u32 = 3;
const LAST_QUOTIENT: u32 = 5;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &IntegersParams = node.params()?;
    node.expect_operands(2, 1)?;
    let [total, of_a, of_b] = broadcast::elements(&p.shape)?;
    if p.function >= FUNCTIONS {
        return Err(Fault::Parameters);
    }
    let compared = p.function >= FIRST_TRUTH;
    let dtype = node.input(0)?.dtype().filter(|&dtype| compared || dtype != DType::Float32);
    let dtype = dtype.ok_or(Fault::Operands)?;
    if dtype == DType::Int64 && (FIRST_QUOTIENT..=LAST_QUOTIENT).contains(&p.function) {
        return Err(Fault::Operands);
    }
    for (position, elements) in [(0, of_a), (1, of_b)] {
        let operand = node.input(position)?;
        if operand.dtype != dtype as u8 {
            return Err(Fault::Operands);
        }
        if elements.checked_mul(dtype.size() as u32) != Some(operand.bytes) {
            return Err(Fault::Sizes);
        }
        node.expect_known::<u8>(operand)?;
    }
    let result = if compared { DType::Bool } else { dtype };
    node.expect_tensor(node.output(0)?, result, total)
}

/// In place over an operand that is not repeated: its elements are at least as large as those of the output.
fn lead(node: &Node<'_>, position: usize) -> Option<u32> {
    let elements = |tensor: &Tensor| tensor.bytes.checked_div(tensor.dtype()?.size() as u32);
    (elements(node.input(position).ok()?)? == elements(node.output(0).ok()?)?).then_some(0)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    if let Some(dtype) = eval.node().input(0).ok().and_then(Tensor::dtype) {
        integers(p, dtype, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Computes the results. The operands, of this type, and `out` are seen as bytes; their shapes are those of `p.shape`.
/// `out` may lie over an operand of as many elements: each element is read before it is written.
/// Computes all elements; the tensors are seen as bytes, their shapes are those of `p.shape`. `out` may lie over an operand
/// of as many elements.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn integers(
    p: &IntegersParams,
    dtype: DType,
    a: TensorView<'_, u8>,
    b: TensorView<'_, u8>,
    out: &[Cell<u8>],
) {
    let size = if p.function >= FIRST_TRUTH { 1 } else { dtype.size() };
    let mut rest = out;
    let (mut of_a, mut of_b) = ([0; BLOCK], [0; BLOCK]);
    broadcast::rows(&p.shape, |Row { first: [mut at_a, mut at_b], step: [step_a, step_b], count }| {
        let mut left = count;
        while left != 0 {
            let some = left.min(BLOCK);
            let (now, behind) = rest.split_at_checked(some.wrapping_mul(size)).unwrap_or((rest, &[]));
            // A Cortex-M0 has little flash.
            if dtype == DType::Int64 || cfg!(kernels = "armv6m") {
                for (place, i) in runs(now, size).zip(0usize..) {
                    let number = |view, at: usize, step: usize| {
                        load(view, dtype, at.wrapping_add(step.wrapping_mul(i)))
                    };
                    store(place, compute(p.function, number(a, at_a, step_a), number(b, at_b, step_b)));
                }
            } else {
                let (x, y) =
                    (of_a.get_mut(..some).unwrap_or(&mut []), of_b.get_mut(..some).unwrap_or(&mut []));
                load_block(a, dtype, at_a, step_a, x);
                load_block(b, dtype, at_b, step_b, y);
                compute_block(p.function, x, y);
                store_block(now, size, x);
            }
            (at_a, at_b) =
                (at_a.wrapping_add(step_a.wrapping_mul(some)), at_b.wrapping_add(step_b.wrapping_mul(some)));
            (rest, left) = (behind, left.wrapping_sub(some));
        }
    });
}

/// What [`compute`] makes of pairs of numbers of 32 bits, in place of the first ones.
#[inline(never)]
fn compute_block(function: u32, a: &mut [i32], b: &[i32]) {
    #[inline(always)]
    fn each(a: &mut [i32], b: &[i32], f: impl Fn(i32, i32) -> i32) {
        a.iter_mut().zip(b).for_each(|(a, &b)| *a = f(*a, b));
    }
    match function {
        0 => each(a, b, i32::wrapping_add),
        1 => each(a, b, i32::wrapping_sub),
        2 => each(a, b, i32::wrapping_mul),
        6 => each(a, b, i32::max),
        7 => each(a, b, i32::min),
        8 => each(a, b, |a, b| a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b))),
        9 => each(a, b, |a, b| (a < b).into()),
        10 => each(a, b, |a, b| (a <= b).into()),
        11 => each(a, b, |a, b| (a == b).into()),
        FIRST_QUOTIENT..=LAST_QUOTIENT => {
            a.iter_mut().zip(b).for_each(|(a, &b)| *a = compute(function, (*a).into(), b.into()) as i32);
        }
        _ => each(a, b, |a, b| (a != b).into()),
    }
}

/// One element.
#[inline]
fn compute(function: u32, a: i64, b: i64) -> i64 {
    match function {
        0 => a.wrapping_add(b),
        1 => a.wrapping_sub(b),
        2 => a.wrapping_mul(b),
        3..=5 => {
            let (a, b) = (a as i32, b as i32);
            let quotient = if b == 0 { return 0 } else { a.wrapping_div(b) };
            let rest = a.wrapping_sub(quotient.wrapping_mul(b));
            let below = function != 3 && rest != 0 && (rest < 0) != (b < 0);
            let result = match function {
                5 => rest.wrapping_add(if below { b } else { 0 }),
                _ => quotient.wrapping_sub(below.into()),
            };
            result.into()
        }
        6 => a.max(b),
        7 => a.min(b),
        8 => a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b)),
        9 => (a < b).into(),
        10 => (a <= b).into(),
        11 => (a == b).into(),
        _ => (a != b).into(),
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast};
    use ferrolite_schema::Storage;

    let (shape, output, [of_a, of_b]) = broadcast(random);
    let function = random.below(FUNCTIONS as usize) as u32;
    let types =
        [DType::Int8, DType::UInt8, DType::Bool, DType::Int16, DType::Int32, DType::Int64, DType::Float32];
    let left_out = if (FIRST_QUOTIENT..=LAST_QUOTIENT).contains(&function) {
        2
    } else {
        usize::from(function < FIRST_TRUTH)
    };
    let dtype = types[random.below(types.len() - left_out)];
    let size = dtype.size() as u32;
    let case = Case::of(OpCode::Integers, &IntegersParams { shape, function }, Constants::default());
    let case = case.input(random, dtype, size * of_a).input(random, dtype, size * of_b);
    let mut case = match function >= FIRST_TRUTH {
        true => case.output(DType::Bool, output),
        false => case.output(dtype, size * output),
    };
    match random.below(4) {
        0 => case.inputs[0].storage = Storage::Constant,
        1 => case.inputs[1].storage = Storage::Constant,
        2 if of_a == of_b => case.twice = true,
        _ => {}
    }
    case
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use ferrolite_schema::params::Broadcast;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn computed(function: u32, a: &[i32], b: &[i32]) -> Vec<i32> {
        let shape = Broadcast { dims: [1, 1, 1, 1, 1, a.len() as u32], repeat_a: 0, repeat_b: 0 };
        let mut out = vec![77u8; if function >= FIRST_TRUTH { a.len() } else { 4 * a.len() }];
        let [a, b] = [a, b].map(|x| TensorView::from_slice(bytemuck::cast_slice(x)));
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        integers(&IntegersParams { shape, function }, DType::Int32, a, b, cells);
        match function >= FIRST_TRUTH {
            true => out.into_iter().map(i32::from).collect(),
            false => out.chunks_exact(4).map(|x| i32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect(),
        }
    }

    #[test]
    fn quotients_round_as_they_are_asked_to() {
        let (a, b) = ([7, -7, 7, -7, 6, 5, i32::MIN], [2, 2, -2, -2, 3, 0, -1]);
        assert_eq!(computed(3, &a, &b), [3, -3, -3, 3, 2, 0, i32::MIN]);
        assert_eq!(computed(4, &a, &b), [3, -4, -4, 3, 2, 0, i32::MIN]);
        assert_eq!(computed(5, &a, &b), [1, 1, -1, -1, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn results_are_those_of_the_type(a: i32, b: i32) {
            let truth = |truth: bool| i32::from(truth);
            let difference = a.wrapping_sub(b);
            let wanted = [
                (0, a.wrapping_add(b)),
                (1, difference),
                (2, a.wrapping_mul(b)),
                (6, a.max(b)),
                (7, a.min(b)),
                (8, difference.wrapping_mul(difference)),
                (9, truth(a < b)),
                (10, truth(a <= b)),
                (11, truth(a == b)),
                (12, truth(a != b)),
            ];
            for (function, wanted) in wanted {
                prop_assert_eq!(computed(function, &[a], &[b]), [wanted]);
            }
            if b != 0 {
                prop_assert_eq!(computed(3, &[a], &[b]), [a.wrapping_div(b)]);
                let (down, rest) = (computed(4, &[a], &[b])[0], computed(5, &[a], &[b])[0]);
                prop_assert_eq!(down.wrapping_mul(b).wrapping_add(rest), a);
                prop_assert!(rest == 0 || (rest < 0) == (b < 0) && rest.unsigned_abs() < b.unsigned_abs());
            }
        }
    }

    proptest! {
        #[test]
        fn real_numbers_compare_by_their_bits(a: f32, b: f32) {
            let bits = |x: f32| [x.to_bits() as i32];
            let shape = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
            let (x, y) = (bits(a), bits(b));
            let holds = |function| {
                let mut out = [9u8];
                let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
                let [x, y] = [&x, &y].map(|x| TensorView::from_slice(bytemuck::cast_slice(&x[..])));
                integers(&IntegersParams { shape, function }, DType::Float32, x, y, cells);
                out[0] == 1
            };
            prop_assert_eq!([9, 10, 11, 12].map(holds), [a < b, a <= b, a == b, a != b]);
        }
    }

    #[test]
    fn truth_values_are_any_bytes() {
        let shape = Broadcast { dims: [1, 1, 1, 1, 1, 3], repeat_a: 0, repeat_b: 0 };
        let (a, b) = ([0u8, 255, 7], [3u8, 0, 9]);
        let logic = |function| {
            let mut out = [9u8; 3];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            let [a, b] = [&a, &b].map(|x| TensorView::from_slice(&x[..]));
            integers(&IntegersParams { shape, function }, DType::Bool, a, b, cells);
            out
        };
        assert_eq!([6, 7, 12].map(logic), [[1, 1, 1], [0, 0, 1], [1, 1, 0]]);
    }
}
