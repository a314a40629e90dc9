//! ADD and SUB of int16: as those of int8, with 15 more bits in place of 20.
//!
//! ```text
//! out = clamp(scale(a' + sign * b', multiplier) + zero_point),   x' = scale((x - zero_point of x) * 2^15, multiplier of x)
//! ```
//! An operator of its own, with a code of its own: firmware links it where a model adds int16, and an int8 model does not
//! know of it. Source followed: TFLM `kernels/add_common.cc`, `reference/add.h` (`AddElementwise`), `reference/sub.h`.

use core::cell::Cell;

use ferrolite_schema::params::{AddParams, Broadcast, Sum, Term};
use ferrolite_schema::{OpCode, Rounding};

use super::int16::{self, check_int16};
use super::{Operator, broadcast};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::{HALF, Right, requantize_called};
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::AddInt16 as u16, check, eval, lead: broadcast::lead }
}

/// Bits that operands gain before they are scaled: with 16 of their own and one of the difference they fit 32.
const LEFT_SHIFT: u32 = 15;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &AddParams = node.params()?;
    int16::check(node, &p.shape)?;
    let Sum { a, b, sign, multiplier, zero_point, min, max } = &p.sum;
    for Term { zero_point, multiplier } in [a, b] {
        check_int16(*zero_point)?;
        check_multiplier(multiplier)?;
    }
    if *sign != 1 && *sign != -1 || min > max {
        return Err(Fault::Parameters);
    }
    check_multiplier(multiplier)?;
    [zero_point, min, max].into_iter().try_for_each(|&number| check_int16(number))
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        add_int16(p, eval.node().rounding(), eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Adds or subtracts two tensors, whose shapes and that of `out` are those of `p.shape`. `out` may lie over an operand of
/// its own size: each element is read before it is written.
pub fn add_int16(
    p: &AddParams,
    rounding: Rounding,
    a: TensorView<'_, i16>,
    b: TensorView<'_, i16>,
    out: &[Cell<i16>],
) {
    let sum = p.sum;
    let clamped = move |y: i32| y.max(sum.min).min(sum.max) as i16;
    // Without zero points, terms are at most 2^30 before they are scaled, and half of that then. The operand with the larger
    // scale, which is halved exactly, comes first.
    let is_half = |term: &Term| term.multiplier == HALF && term.zero_point == 0;
    let swapped = Broadcast { repeat_a: p.shape.repeat_b, repeat_b: p.shape.repeat_a, ..p.shape };
    let (shape, half, other, other_term, signs) = match (is_half(&sum.a), is_half(&sum.b)) {
        (true, _) => (p.shape, a, b, sum.b, (1, sum.sign)),
        _ => (swapped, b, a, sum.a, (sum.sign, 1)),
    };
    let of_other =
        if is_half(&other_term) { Some(Right::HALF) } else { Right::new(other_term.multiplier, 0) };
    if let (Some(of_other), Some(of_sum)) = (of_other, Right::new(sum.multiplier, sum.zero_point))
        && (is_half(&sum.a) || is_half(&sum.b))
        && other_term.zero_point == 0
        && rounding == Rounding::Double
    {
        broadcast::each(&shape, half, other, out, move |x: i16, y: i16| {
            let half = i32::from(x).wrapping_shl(LEFT_SHIFT - 1).wrapping_mul(signs.0);
            let other = of_other.scale(i32::from(y).wrapping_shl(LEFT_SHIFT)).wrapping_mul(signs.1);
            clamped(of_sum.scale(half.wrapping_add(other)))
        });
        return;
    }
    let term = move |x: i16, term: &Term| {
        let x = i32::from(x).wrapping_sub(term.zero_point).wrapping_shl(LEFT_SHIFT);
        requantize_called(x, term.multiplier, rounding)
    };
    broadcast::each(&p.shape, a, b, out, move |a: i16, b: i16| {
        let b = term(b, &sum.b).wrapping_mul(sum.sign);
        let raw = requantize_called(term(a, &sum.a).wrapping_add(b), sum.multiplier, rounding);
        clamped(raw.wrapping_add(sum.zero_point))
    });
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, factor, int16_operands};

    let (shape, output, operands) = broadcast(random);
    let zero_point =
        |random: &mut crate::cases::Random| [0, random.next() as i16 / 16][random.below(2)].into();
    let mut term = || Term { zero_point: zero_point(random), multiplier: factor(random, 0) };
    let (a, b) = (term(), term());
    let sign = [1, -1][random.below(2)];
    let (multiplier, zero_point) = (factor(random, -14), zero_point(random));
    let sum = Sum { a, b, sign, multiplier, zero_point, min: i16::MIN.into(), max: i16::MAX.into() };
    let case = Case::of(OpCode::AddInt16, &AddParams { shape, sum }, Constants::default()).rounding(random);
    int16_operands(case, random, operands, output)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::quant::{multiplier, requantize};
    use ferrolite_schema::params::{Broadcast, Multiplier};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn params(count: usize, scales: [f64; 3], zero_points: [i32; 3], sign: i32) -> AddParams {
        let twice = 2.0 * scales[0].max(scales[1]);
        let term = |i: usize| Term { zero_point: zero_points[i], multiplier: multiplier(scales[i] / twice) };
        AddParams {
            shape: Broadcast { dims: [1, 1, 1, 1, 1, count as u32], repeat_a: 0, repeat_b: 0 },
            sum: Sum {
                a: term(0),
                b: term(1),
                sign,
                multiplier: multiplier(twice / (f64::from(1 << LEFT_SHIFT) * scales[2])),
                zero_point: zero_points[2],
                min: -30_000,
                max: 32_767,
            },
        }
    }

    proptest! {
        #[test]
        fn sums_are_near_the_real_ones(
            pairs in prop::collection::vec(any::<(i16, i16)>(), 1..50),
            scales in prop::array::uniform3(0.01f64..1.0),
            zero_points in prop::array::uniform3(-32_768i32..32_768),
            subtract: bool,
        ) {
            let sign = if subtract { -1 } else { 1 };
            let p = params(pairs.len(), scales, zero_points, sign);
            let (mut a, mut b): (Vec<i16>, Vec<i16>) = pairs.iter().copied().unzip();
            let cells = Cell::from_mut(&mut a[..]).as_slice_of_cells();
            let mut out = vec![0i16; pairs.len()];
            // A step of a sum is 2^-15 of an operand's, twice the larger: that of the output may be 100 times smaller.
            let step = 0.51 + 4.0 * scales[0].max(scales[1]) / f64::from(1 << LEFT_SHIFT) / scales[2];
            for rounding in [Rounding::Double, Rounding::Single] {
                let (a, b) = (TensorView::from_cells(cells), TensorView::from_slice(&b));
                add_int16(&p, rounding, a, b, Cell::from_mut(&mut out[..]).as_slice_of_cells());
                for ((a, b), out) in pairs.iter().zip(&out) {
                    let real = |x: i16, i: usize| scales[i] * f64::from(i32::from(x) - zero_points[i]);
                    let sum = real(*a, 0) + f64::from(sign) * real(*b, 1);
                    let exact = (sum / scales[2] + f64::from(zero_points[2])).clamp(-30_000.0, 32_767.0);
                    prop_assert!((f64::from(*out) - exact).abs() < step, "{out} for {exact}");
                }
            }
            // In place over either operand.
            let over_b = Cell::from_mut(&mut b[..]).as_slice_of_cells();
            let (view_a, view_b) = (TensorView::from_cells(cells), TensorView::from_cells(over_b));
            add_int16(&p, Rounding::Single, view_a, view_b, over_b);
            prop_assert_eq!(&b, &out);
        }
    }

    /// The scaling of TFLM's `MultiplyByQuantizedMultiplierSmallerThanOneExp`, by its definitions in gemmlowp: divisions
    /// that truncate, a nudge by the product's sign, a remainder against a threshold.
    fn smaller_than_one(x: i32, multiplier: Multiplier) -> i32 {
        let product = i64::from(x) * i64::from(multiplier.mantissa);
        let nudge = if product >= 0 { 1i64 << 30 } else { 1 - (1i64 << 30) };
        let high = (product + nudge) / (1i64 << 31);
        let exponent = -multiplier.shift;
        let mask = (1i64 << exponent) - 1;
        let threshold = (mask >> 1) + i64::from(high < 0);
        ((high >> exponent) + i64::from(high & mask > threshold)) as i32
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_reference(
            pairs in prop::collection::vec(any::<(i16, i16)>(), 1..50),
            scales in prop::array::uniform3(0.001f64..1.0),
            zero_points in prop::array::uniform3(-32_768i32..32_768),
            subtract: bool,
        ) {
            // An output that is not so fine that a sum would have to be shifted to the left.
            let scales = [scales[0], scales[1], scales[2].max(scales[0].max(scales[1]) / 10_000.0)];
            let sign = if subtract { -1 } else { 1 };
            let p = params(pairs.len(), scales, zero_points, sign);
            let (a, b): (Vec<i16>, Vec<i16>) = pairs.iter().copied().unzip();
            let mut out = vec![0i16; pairs.len()];
            let (view_a, view_b) = (TensorView::from_slice(&a), TensorView::from_slice(&b));
            add_int16(&p, Rounding::Double, view_a, view_b, Cell::from_mut(&mut out[..]).as_slice_of_cells());
            for ((&a, &b), &out) in a.iter().zip(&b).zip(&out) {
                let shifted = |x: i16, term: &Term| (i32::from(x) - term.zero_point) * (1 << 15);
                let scaled = |x: i16, term: &Term| smaller_than_one(shifted(x, term), term.multiplier);
                let raw = scaled(a, &p.sum.a) + sign * scaled(b, &p.sum.b);
                let raw = smaller_than_one(raw, p.sum.multiplier) + p.sum.zero_point;
                prop_assert_eq!(i32::from(out), raw.max(p.sum.min).min(p.sum.max));
            }
        }
    }

    #[test]
    fn ties_round_as_in_tflm_and_extremes_fit() {
        let add = |p: &AddParams, a: [i16; 4], b: [i16; 4]| {
            let mut out = [0i16; 4];
            let (a, b) = (TensorView::from_slice(&a), TensorView::from_slice(&b));
            add_int16(p, Rounding::Double, a, b, Cell::from_mut(&mut out[..]).as_slice_of_cells());
            out
        };
        // Equal scales and an output of twice the scale: halves.
        let halves = params(4, [0.5, 0.5, 1.0], [0; 3], 1);
        assert_eq!(add(&halves, [1, -1, 3, -3], [0; 4]), [1, -1, 2, -2]);
        let far = params(4, [0.5; 3], [32_767, -32_768, 0], -1);
        assert_eq!(
            add(&far, [-32_768, 32_767, 0, 1], [32_767, -32_768, 0, 1]),
            [-30_000, 0, -30_000, -30_000]
        );
        let apart = params(4, [0.5; 3], [-32_768, 32_767, 0], -1);
        assert_eq!(add(&apart, [32_767; 4], [-32_768; 4]), [32_767; 4]);
    }

    proptest! {
        /// Prepared or not, with one half or without.
        #[test]
        fn sums_are_those_of_the_definition(
            pairs in prop::collection::vec(any::<(i16, i16)>(), 1..9),
            multipliers in prop::array::uniform3((1i32 << 30..=i32::MAX, -20i32..1)),
            half in 0usize..4,
            (zero_points, subtract) in (prop_oneof![Just([0; 3]), Just([0, 0, 5]), Just([3, 0, -1])], any::<bool>()),
        ) {
            let mut terms = [0, 1].map(|i| Term {
                zero_point: zero_points[i],
                multiplier: Multiplier { mantissa: multipliers[i].0, shift: multipliers[i].1 },
            });
            terms.iter_mut().enumerate().filter(|(i, _)| half >> i & 1 != 0).for_each(|(_, term)| term.multiplier = HALF);
            let [a, b] = terms;
            let multiplier = Multiplier { mantissa: multipliers[2].0, shift: multipliers[2].1 };
            let sign = if subtract { -1 } else { 1 };
            let sum = Sum { a, b, sign, multiplier, zero_point: zero_points[2], min: -32_768, max: 32_767 };
            let p = AddParams { sum, ..params(pairs.len(), [1.0; 3], [0; 3], 1) };
            let (x, y): (Vec<i16>, Vec<i16>) = pairs.iter().copied().unzip();
            let mut out = vec![0i16; pairs.len()];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            add_int16(&p, Rounding::Double, TensorView::from_slice(&x), TensorView::from_slice(&y), cells);
            for ((&x, &y), &out) in x.iter().zip(&y).zip(&out) {
                let term = |x: i16, term: &Term| {
                    requantize((i32::from(x) - term.zero_point) << LEFT_SHIFT, term.multiplier, Rounding::Double)
                };
                let both = term(x, &a).wrapping_add(term(y, &b).wrapping_mul(sign));
                let wanted = requantize(both, multiplier, Rounding::Double).wrapping_add(zero_points[2]);
                prop_assert_eq!(i32::from(out), wanted.clamp(-32_768, 32_767));
            }
        }
    }
}
