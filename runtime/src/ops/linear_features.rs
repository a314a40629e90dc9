//! Weighted sums of features as they are: linear models of raw numbers, whose features may be of very different size.
//!
//! ```text
//! sum[o]   = bias[o] + sum over f of weight[o, f] * x[f]             in steps of 2^-fraction, 64 bits, saturating
//! score[o] = round(sum[o] / 2^shift)                                 or round((sum[o] - largest sum) / 2^shift)
//! ```
//! A float32 feature is its fraction of 24 bits and its exponent, so each product is one of integers that is shifted: no
//! feature is rounded before, and no float routine is linked. NaN counts as 0, infinity as the largest number. Integers with
//! a scale are features, too: their scale is part of the weights, their zero point of the biases.
//!
//! Scores are int32, or int16 for the function behind them; both saturate.
//!
//! Source followed: ONNX `ai.onnx.ml` LinearClassifier and LinearRegressor; the fixed point is our own.

use core::cell::Cell;

use ferrolite_schema::params::LinearFeaturesParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{Element, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::LinearFeatures as u16, check, eval, lead: no_overlap }
}

/// No product is larger, so that some of them can be added.
const LARGEST: i64 = 1 << 60;

/// What the exponent of a float32 is above that of its fraction as an integer.
const BIAS: i32 = 150;

/// A feature: a whole number of at most 24 bits, and the power of two that it is multiplied with.
pub trait Feature: Element {
    /// Both.
    fn parts(self) -> (i32, i32);
}

impl Feature for f32 {
    #[inline(always)]
    fn parts(self) -> (i32, i32) {
        let bits = self.to_bits();
        let (exponent, fraction) = ((bits >> 23) as i32 & 0xFF, bits as i32 & 0x7F_FFFF);
        let (fraction, exponent) = match exponent {
            0 => (fraction, 1),
            0xFF if fraction != 0 => (0, 1),
            0xFF => (0xFF_FFFF, 0xFE),
            _ => (fraction | 0x80_0000, exponent),
        };
        let fraction = if bits >> 31 == 0 { fraction } else { fraction.wrapping_neg() };
        (fraction, exponent.wrapping_sub(BIAS))
    }
}

impl Feature for i8 {
    #[inline(always)]
    fn parts(self) -> (i32, i32) {
        (self.into(), 0)
    }
}

impl Feature for i16 {
    #[inline(always)]
    fn parts(self) -> (i32, i32) {
        (self.into(), 0)
    }
}

/// `product * 2^by`, to the nearest whole number, halves upwards, within [`LARGEST`].
#[inline(always)]
fn shifted(product: i64, by: i32) -> i64 {
    if by < 0 {
        return half_up(product, by.wrapping_neg() as u32);
    }
    // How far a product can be shifted follows from its leading bits.
    let room = product.unsigned_abs().leading_zeros() as i32;
    if room.wrapping_sub(by) < 4 {
        return if product < 0 {
            -LARGEST
        } else if product == 0 {
            0
        } else {
            LARGEST
        };
    }
    product.wrapping_shl(by as u32)
}

/// `x / 2^by` to the nearest whole number, halves upwards.
#[inline(always)]
fn half_up(x: i64, by: u32) -> i64 {
    match by {
        0 => x,
        // Halves of numbers up to 2^62 in magnitude: no sum overflows.
        1..=62 => (x >> (by.wrapping_sub(1))).wrapping_add(1) >> 1,
        _ => 0,
    }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &LinearFeaturesParams = node.params()?;
    node.expect_operands(1, 1)?;
    if [p.rows, p.features, p.outputs].contains(&0)
        || p.relative > 1
        || p.shift > 62
        || !(-1024..=1024).contains(&p.exponent)
    {
        return Err(Fault::Parameters);
    }
    let product = |a: u32, b: u32| a.checked_mul(b).ok_or(Fault::Parameters);
    let expect = |tensor: &ferrolite_schema::Tensor, columns, types: &[DType]| match tensor.dtype() {
        Some(dtype) if types.contains(&dtype) => node.expect_tensor(tensor, dtype, product(p.rows, columns)?),
        _ => Err(Fault::Operands),
    };
    expect(node.input(0)?, p.features, &[DType::Int8, DType::Int16, DType::Float32])?;
    expect(node.output(0)?, p.outputs, &[DType::Int16, DType::Int32])?;
    node.expect_constants::<i32>(p.weights, product(p.outputs, p.features)?)?;
    node.expect_constants::<i64>(p.bias, p.outputs)
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<LinearFeaturesParams>() else { return };
    let (Ok(weights), Ok(bias)) =
        (node.constants(p.weights, p.outputs.wrapping_mul(p.features)), node.constants(p.bias, p.outputs))
    else {
        return;
    };
    let model = Linear { p, weights, bias };
    let dtype = node.input(0).ok().and_then(|input| input.dtype());
    match (dtype, node.output(0).ok().and_then(|output| output.dtype())) {
        (Some(DType::Float32), Some(DType::Int16)) => model.run::<f32, i16>(eval.input(0), eval.output(0)),
        (Some(DType::Float32), _) => model.run::<f32, i32>(eval.input(0), eval.output(0)),
        (Some(DType::Int16), Some(DType::Int16)) => model.run::<i16, i16>(eval.input(0), eval.output(0)),
        (Some(DType::Int16), _) => model.run::<i16, i32>(eval.input(0), eval.output(0)),
        (_, Some(DType::Int16)) => model.run::<i8, i16>(eval.input(0), eval.output(0)),
        _ => model.run::<i8, i32>(eval.input(0), eval.output(0)),
    }
}

/// A type of scores.
pub trait Score: Element {
    /// The nearest of its numbers.
    fn saturated(x: i64) -> Self;
}

impl Score for i32 {
    #[inline(always)]
    fn saturated(x: i64) -> i32 {
        x.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

impl Score for i16 {
    #[inline(always)]
    fn saturated(x: i64) -> i16 {
        x.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

/// An op with its constants.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// Its numbers.
    pub p: &'a LinearFeaturesParams,
    /// `[outputs, features]`.
    pub weights: &'a [i32],
    /// In the steps of sums.
    pub bias: &'a [i64],
}

impl Linear<'_> {
    /// Scores of all rows: `x` is `[rows, features]`, `scores` `[rows, outputs]`.
    pub fn run<T: Feature, S: Score>(&self, x: &[Cell<T>], scores: &[Cell<S>]) {
        let (features, outputs) = (self.p.features as usize, self.p.outputs as usize);
        for (row, scores) in runs(x, features).zip(runs(scores, outputs)) {
            let mut most = 0;
            if self.p.relative == 1 {
                most = self.sums(row).max().unwrap_or(0);
            }
            for (score, sum) in scores.iter().zip(self.sums(row)) {
                score.set(S::saturated(half_up(sum.saturating_sub(most), self.p.shift)));
            }
        }
    }

    fn sums<T: Feature>(&self, row: &[Cell<T>]) -> impl Iterator<Item = i64> {
        // Not `chunks`, which divides by the size where it is zipped.
        let (mut rest, features) = (self.weights, self.p.features as usize);
        self.bias.iter().map_while(move |&bias| {
            let (weights, behind) = rest.split_at_checked(features)?;
            rest = behind;
            Some(self.sum(row, weights, bias))
        })
    }

    /// The sum of one output, within twice [`LARGEST`] so that differences are.
    #[inline(never)]
    fn sum<T: Feature>(&self, row: &[Cell<T>], weights: &[i32], bias: i64) -> i64 {
        let mut sum = bias;
        for (x, &weight) in row.iter().zip(weights) {
            let (fraction, exponent) = x.get().parts();
            let product = i64::from(fraction).wrapping_mul(weight.into());
            sum = sum.saturating_add(shifted(product, exponent.wrapping_add(self.p.exponent)));
        }
        sum.clamp(-2 * LARGEST, 2 * LARGEST)
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use std::vec::Vec;

    let (rows, features, outputs) = (dim(random, 3), dim(random, 9), dim(random, 4));
    let dtype = [DType::Int8, DType::Int16, DType::Float32][random.below(3)];
    let scores = [DType::Int16, DType::Int32][random.below(2)];
    let weights: Vec<i32> = (0..outputs * features).map(|_| random.next() as i32 >> 4).collect();
    let bias: Vec<i64> = (0..outputs).map(|_| i64::from(random.next() as i32) << random.below(12)).collect();
    let mut constants = Constants::default();
    let p = LinearFeaturesParams {
        rows,
        features,
        outputs,
        relative: random.below(2) as u32,
        exponent: if dtype == DType::Float32 { random.below(40) as i32 } else { random.below(20) as i32 - 4 },
        shift: if scores == DType::Int16 { 20 + random.below(8) as u32 } else { random.below(24) as u32 },
        weights: constants.push(&weights),
        bias: constants.push(&bias),
    };
    let case = Case::of(OpCode::LinearFeatures, &p, constants);
    let case = case.input(random, dtype, rows * features * dtype.size() as u32);
    case.output(scores, rows * outputs * scores.size() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T: Feature, S: Score + Default>(p: &LinearFeaturesParams, weights: &[i32], x: &mut [T]) -> [S; 2] {
        let mut scores = [S::default(); 2];
        let model = Linear { p, weights, bias: &[1 << 20, -3 << 20] };
        model.run(Cell::from_mut(x).as_slice_of_cells(), Cell::from_mut(&mut scores[..]).as_slice_of_cells());
        scores
    }

    #[test]
    fn sums_are_those_of_real_numbers() {
        // Weights in steps of 2^-10, sums of 2^-20.
        let p = LinearFeaturesParams {
            rows: 1,
            features: 3,
            outputs: 2,
            exponent: 10,
            shift: 10,
            ..bytemuck::Zeroable::zeroed()
        };
        let weights = [1024, -512, 1 << 30, 3072, 1, 0];
        let found: [i32; 2] = run(&p, &weights, &mut [2.5f32, -1.0, 0.0]);
        assert_eq!(found, [4 * 1024, (4.5 * 1024.0 - 1.0) as i32]);
        // What is relative to the largest, and what saturates.
        let relative = LinearFeaturesParams { relative: 1, ..p };
        assert_eq!(run::<f32, i16>(&relative, &weights, &mut [2.5, -1.0, 0.0]), [-511, 0]);
        assert_eq!(run::<f32, i32>(&p, &weights, &mut [0.0, 0.0, f32::INFINITY]), [i32::MAX, -3 * 1024]);
        assert_eq!(run::<f32, i16>(&p, &weights, &mut [0.0, 0.0, -1e30]), [i16::MIN, -3 * 1024]);
        assert_eq!(run::<f32, i32>(&p, &weights, &mut [f32::NAN, f32::from_bits(1), 0.0]), [1024, -3 * 1024]);
        assert_eq!(run::<i8, i32>(&p, &weights, &mut [3, -2, 0]), [5 * 1024, 6 * 1024 - 2]);
    }

    #[test]
    fn shifts_round_and_saturate() {
        assert_eq!([5, 6, -5, -6, -7].map(|x| shifted(x, -2)), [1, 2, -1, -1, -2]);
        assert_eq!(
            [(3, -63), (-3, -200), (1, 59), (1, 60), (-1, 200), (0, 500)].map(|(x, by)| shifted(x, by)),
            [0, 0, 1 << 59, LARGEST, -LARGEST, 0]
        );
    }
}
