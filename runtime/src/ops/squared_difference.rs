//! SQUARED_DIFFERENCE of int8 or int16, element by element.
//!
//! ```text
//! out = clamp(scale((a' - b')^2, multiplier) + zero_point),   x' = scale((x - zero point of x) * 2^7, multiplier of x)
//! ```
//! Of int16 there is no `2^7`. Source followed: TFLM `kernels/squared_difference.cc`.

use core::cell::Cell;

use ferrolite_schema::params::{SquaredDifferenceParams, Term};
use ferrolite_schema::{DType, OpCode, Rounding, Tensor};

use super::Operator;
use super::broadcast::{self, Copies};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::{HALF, Right, requantize_called};
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::SquaredDifference as u16, check, eval, lead: broadcast::lead }
}

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

/// An element of the operands.
pub trait Number: Copies + Into<i32> {
    /// Bits that it gains before it is scaled.
    const LEFT_SHIFT: u32;

    /// The nearest to a number.
    fn nearest(number: i32) -> Self;
}

impl Number for i8 {
    /// The square of 9 and 7 bits fits 32.
    const LEFT_SHIFT: u32 = 7;

    fn nearest(number: i32) -> i8 {
        number.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    }
}

impl Number for i16 {
    const LEFT_SHIFT: u32 = 0;

    fn nearest(number: i32) -> i16 {
        number.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

fn eval(eval: &Eval<'_>) {
    let (Ok(p), Ok((dtype, ..))) = (eval.node().params(), eval.node().input(0).and_then(range)) else {
        return;
    };
    let rounding = eval.node().rounding();
    if dtype == DType::Int8 {
        squared_difference::<i8>(p, rounding, eval.view(0), eval.view(1), eval.output(0));
    } else {
        squared_difference::<i16>(p, rounding, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Computes all elements; the tensors have the shapes of `p.shape`. `out` may lie over an operand of its own size.
#[cfg_attr(kernels = "armv6m", inline)]
#[cfg_attr(not(kernels = "armv6m"), inline(never))]
pub fn squared_difference<T: Number>(
    p: &SquaredDifferenceParams,
    rounding: Rounding,
    a: TensorView<'_, T>,
    b: TensorView<'_, T>,
    out: &[Cell<T>],
) {
    let p = *p;
    let shifted = |x: T, term: &Term| x.into().wrapping_sub(term.zero_point).wrapping_shl(T::LEFT_SHIFT);
    let square = |difference: i32| difference.wrapping_mul(difference);
    // Halves of 16 bits, with which numbers of int8 are even: their square is at most 2^30.
    let right = |term: &Term| {
        let right = if term.multiplier == HALF { Some(Right::HALF) } else { Right::new(term.multiplier, 0) };
        right.filter(|_| rounding == Rounding::Double && T::LEFT_SHIFT != 0)
    };
    if let (Some(of_a), Some(of_b), Some(of_square)) =
        (right(&p.a), right(&p.b), Right::new(p.multiplier, p.zero_point))
    {
        broadcast::each(&p.shape, a, b, out, move |x, y| {
            let (x, y) = (of_a.scale(shifted(x, &p.a)), of_b.scale(shifted(y, &p.b)));
            T::nearest(of_square.scale(square(x.wrapping_sub(y))))
        });
        return;
    }
    let term = move |x: T, term: &Term| requantize_called(shifted(x, term), term.multiplier, rounding);
    broadcast::each(&p.shape, a, b, out, move |x, y| {
        let y = requantize_called(square(term(x, &p.a).wrapping_sub(term(y, &p.b))), p.multiplier, rounding);
        T::nearest(y.wrapping_add(p.zero_point))
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
    extern crate std;
    use super::*;
    use crate::quant::{multiplier, requantize};
    use ferrolite_schema::params::Broadcast;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

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
        let mut out = [0i8; 3];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        squared_difference(
            &p,
            Rounding::Double,
            TensorView::from_slice(&x),
            TensorView::from_slice(&y),
            cells,
        );
        // (4 - 2)^2 / 4, (0 - 2)^2 / 4, (-64.5 - 2)^2 / 4.
        assert_eq!(out, [-9, -9, 127]);
    }

    proptest! {
        /// Prepared or not, with one half or without.
        #[test]
        fn squares_are_those_of_the_definition(
            (x, y) in any::<(i8, i8)>(),
            multipliers in prop::array::uniform3((1i32 << 30..=i32::MAX, -20i32..1)),
            half in 0usize..4,
            zero_points in prop::array::uniform3(-128i32..128),
        ) {
            let mut multipliers = multipliers.map(|(mantissa, shift)| Multiplier { mantissa, shift });
            (0..2).filter(|i| half >> i & 1 != 0).for_each(|i| multipliers[i] = HALF);
            let [a, b] = [0, 1].map(|i| Term { zero_point: zero_points[i], multiplier: multipliers[i] });
            let (multiplier, zero_point) = (multipliers[2], zero_points[2]);
            let shape = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
            let p = SquaredDifferenceParams { shape, a, b, multiplier, zero_point };
            let mut out = [0i8];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            let (xs, ys) = ([x], [y]);
            let (xs, ys) = (TensorView::from_slice(&xs), TensorView::from_slice(&ys));
            squared_difference(&p, Rounding::Double, xs, ys, cells);
            let term = |x: i8, term: &Term| {
                requantize((i32::from(x) - term.zero_point) << 7, term.multiplier, Rounding::Double)
            };
            let difference = term(x, &a).wrapping_sub(term(y, &b));
            let square = requantize(difference.wrapping_mul(difference), multiplier, Rounding::Double);
            prop_assert_eq!(i32::from(out[0]), square.wrapping_add(zero_point).clamp(-128, 127));
        }
    }
}
