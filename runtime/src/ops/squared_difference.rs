//! SQUARED_DIFFERENCE of int8 or int16, element by element.
//!
//! ```text
//! out = clamp(scale((a' - b')^2, multiplier) + zero_point),   x' = scale((x - zero point of x) * 2^7, multiplier of x)
//! ```
//! Of int16 there is no `2^7`. Source followed: TFLM `kernels/squared_difference.cc`.

use core::cell::Cell;

use ferrolite_schema::params::{SquaredDifferenceParams, Term};
use ferrolite_schema::{DType, OpCode, Rounding, Tensor};

use super::number::{load, store};
use super::{Operator, broadcast};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize;
use crate::tensor::{TensorView, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::SquaredDifference as u16, check, eval, lead: broadcast::lead }
}

/// Bits that elements of int8 gain before they are scaled: the square of 9 and 7 bits fits 32.
const LEFT_SHIFT: u32 = 7;

/// The type of an operand, and its smallest and largest number.
fn range(tensor: &Tensor) -> Result<(DType, i32, i32), Fault> {
    match tensor.dtype() {
        Some(DType::Int8) => Ok((DType::Int8, i8::MIN.into(), i8::MAX.into())),
        Some(DType::Int16) => Ok((DType::Int16, i16::MIN.into(), i16::MAX.into())),
        _ => Err(Fault::Operands),
    }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SquaredDifferenceParams = node.params()?;
    node.expect_operands(2, 1)?;
    let [total, of_a, of_b] = broadcast::elements(&p.shape)?;
    let (dtype, min, max) = range(node.input(0)?)?;
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
    for number in [p.a.zero_point, p.b.zero_point, p.zero_point] {
        if number < min || number > max {
            return Err(Fault::Parameters);
        }
    }
    [&p.a.multiplier, &p.b.multiplier, &p.multiplier].into_iter().try_for_each(check_multiplier)?;
    node.expect_tensor(node.output(0)?, dtype, total)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    if let Ok((dtype, min, max)) = eval.node().input(0).and_then(range) {
        let rounding = eval.node().rounding();
        squared_difference(p, rounding, (dtype, min, max), eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Computes all elements of a type with this range; the tensors are seen as bytes, their shapes are those of `p.shape`.
/// `out` may lie over an operand of its own size.
#[inline]
pub fn squared_difference(
    p: &SquaredDifferenceParams,
    rounding: Rounding,
    (dtype, min, max): (DType, i32, i32),
    a: TensorView<'_, u8>,
    b: TensorView<'_, u8>,
    out: &[Cell<u8>],
) {
    let bits = if dtype == DType::Int8 { LEFT_SHIFT } else { 0 };
    let term = |x: i64, term: &Term| {
        let x = (x as i32).wrapping_sub(term.zero_point).wrapping_shl(bits);
        requantize(x, term.multiplier, rounding)
    };
    let mut places = runs(out, dtype.size());
    broadcast::positions(&p.shape, |at_a, at_b| {
        let Some(place) = places.next() else { return };
        let difference = term(load(a, dtype, at_a), &p.a).wrapping_sub(term(load(b, dtype, at_b), &p.b));
        let square = difference.wrapping_mul(difference);
        let y = requantize(square, p.multiplier, rounding).wrapping_add(p.zero_point);
        store(place, y.max(min).min(max).into());
    });
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, factor, zero_point};
    use ferrolite_schema::Storage;

    let (shape, output, [of_a, of_b]) = broadcast(random);
    let dtype = [DType::Int8, DType::Int16][random.below(2)];
    let mut term = || Term { zero_point: zero_point(random), multiplier: factor(random, -1) };
    let (a, b) = (term(), term());
    let shift = if dtype == DType::Int8 { -20 } else { -14 };
    let (multiplier, zero_point) = (factor(random, shift), zero_point(random) / 8);
    let p = SquaredDifferenceParams { shape, a, b, multiplier, zero_point };
    let case = Case::of(OpCode::SquaredDifference, &p, Constants::default()).rounding(random);
    let size = dtype.size() as u32;
    let case = case.input(random, dtype, size * of_a).input(random, dtype, size * of_b);
    let mut case = case.output(dtype, size * output);
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
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Broadcast;

    #[test]
    fn squares_are_those_of_the_real_numbers() {
        let shape = Broadcast { dims: [1, 1, 1, 1, 1, 3], repeat_a: 0, repeat_b: 1 << 5 };
        // Scales 0.5 and 0.25, and 4 for the output.
        let (a, b) = (multiplier(0.5), multiplier(0.25));
        let p = SquaredDifferenceParams {
            shape,
            a: Term { zero_point: 1, multiplier: a },
            b: Term { zero_point: -1, multiplier: b },
            multiplier: multiplier(1.0 / f64::from(1 << 14) / 4.0),
            zero_point: -10,
        };
        let (x, y) = ([9i8, 1, -128], [7i8]);
        let mut out = [0u8; 3];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let [x, y] = [&x[..], &y[..]].map(|x| TensorView::from_slice(bytemuck::cast_slice(x)));
        squared_difference(&p, Rounding::Double, (DType::Int8, -128, 127), x, y, cells);
        // (4 - 2)^2 / 4, (0 - 2)^2 / 4, (-64.5 - 2)^2 / 4.
        assert_eq!(out.map(|x| x as i8), [-9, -9, 127]);
    }
}
