//! LOG_SOFTMAX over the last dimension: `x - max - ln(sum(exp(x - max)))`, at scale 1/16 and zero point 127.
//!
//! The exponentials of all differences from a row's maximum are a table of the file; the logarithm is gemmlowp's, a
//! quotient of polynomials. Source followed: TFLM `kernels/log_softmax.cc`, `reference/log_softmax.h`,
//! `internal/common.h` (`log_x_for_x_greater_than_or_equal_to_1_impl`).

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::LogSoftmaxParams;

use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::{
    one_over_one_plus, requantize_double, rounding_divide_by_power_of_two as divide,
    saturating_rounding_doubling_high_mul as multiply,
};
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    // A row is summed up before it is written.
    Operator { code: OpCode::LogSoftmax as u16, check, eval, lead: in_place }
}

/// Elements of a row at most: the sum of their exponentials, of which `2^19` is 1.0, fits 31 bits.
pub const MAX_DEPTH: u32 = 4095;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &LogSoftmaxParams = node.params()?;
    let elements = p.rows.checked_mul(p.depth).filter(|&elements| elements != 0 && p.depth <= MAX_DEPTH);
    let elements = elements.ok_or(Fault::Parameters)?;
    check_multiplier(&p.multiplier)?;
    check_multiplier(&p.reverse)?;
    if p.entries == 0 || p.entries > 256 {
        return Err(Fault::Parameters);
    }
    node.expect_constants::<i32>(p.table, p.entries)?;
    node.expect_int8(elements, elements)
}

fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<LogSoftmaxParams>() else { return };
    if let Ok(table) = eval.node().constants(p.table, p.entries) {
        log_softmax(p, table, eval.input(0), eval.output(0));
    }
}

/// Bits of a difference behind the point that the output, in steps of 1/16, does not have.
const BITS: u32 = 22;

/// Computes all rows. `table[d]` is the exponential of a difference of `d` below the maximum, `2^19` for 1.0. `out` may lie
/// over `input`.
pub fn log_softmax(p: &LogSoftmaxParams, table: &[i32], input: &[Cell<i8>], out: &[Cell<i8>]) {
    let depth = p.depth as usize;
    for (input, out) in runs(input, depth).zip(runs(out, depth)) {
        let most = input.iter().fold(i8::MIN, |most, x| most.max(x.get()));
        let below = |x: &Cell<i8>| i32::from(most).wrapping_sub(x.get().into());
        let exponential = |x: &Cell<i8>| table.get(below(x) as usize).copied();
        let sum = input.iter().filter_map(exponential).fold(0i32, i32::wrapping_add);
        let log = logarithm(sum);
        // What is further below would not fit a difference.
        let least = requantize_double(log.wrapping_add(i32::MIN), p.reverse);
        for (x, place) in input.iter().zip(out) {
            let difference = below(x).wrapping_neg();
            if exponential(x).is_none() || difference <= least {
                place.set(i8::MIN);
                continue;
            }
            let y = requantize_double(difference, p.multiplier).wrapping_sub(log);
            place.set(divide(y, BITS).wrapping_add(127).clamp(-128, 127) as i8);
        }
    }
}

/// The natural logarithm of a number of at least 1, with 12 bits before the point and the sign, with 5.
fn logarithm(x: i32) -> i32 {
    // In Q0.31: the logarithm of 2, the roots of 1/2, and the polynomials' coefficients.
    const LOG_2: i32 = 1_488_522_236;
    const ROOT_HALF: i32 = 1_518_500_250;
    const FOURTH_ROOT_HALF: i32 = 1_805_811_301;
    const ALPHA_N: i32 = 117_049_297;
    const ALPHA_D: i32 = 127_690_142;
    const ALPHA_I: i32 = 1_057_819_769;
    const ALPHA_F: i32 = 638_450_708;
    // A whole number and a quarter with 6 bits before the point.
    let whole = |n: u32| 12i32.wrapping_sub(n as i32).wrapping_shl(25);
    const QUARTER: i32 = 1 << 23;
    let shifted = |x: i32, bits: u32| {
        let shifted = i64::from(x).wrapping_shl(bits);
        shifted.clamp(i32::MIN.into(), i32::MAX.into()) as i32
    };
    // The number as a power of two and a fraction, in two ways: of that which is near a power, one is.
    let zeroes = x.leading_zeros();
    let a = shifted(multiply(shifted(x, zeroes.wrapping_sub(1)), ROOT_HALF), 1);
    let power_a = whole(zeroes).saturating_add(QUARTER);
    let zeroes = multiply(x, ROOT_HALF).leading_zeros().wrapping_sub(1);
    let b = shifted(x, zeroes);
    let power_b = whole(zeroes).saturating_sub(QUARTER);
    let (r, power) = (a.min(b), power_a.max(power_b));
    // Around the fourth root of a half.
    let both = i64::from(r) + i64::from(FOURTH_ROOT_HALF);
    let p = ((both + if both >= 0 { 1 } else { -1 }) / 2) as i32;
    let q = r.wrapping_sub(FOURTH_ROOT_HALF).wrapping_mul(2);
    let square = multiply(q, q);
    let numerator = multiply(q, r).wrapping_add(multiply(multiply(q, square), ALPHA_N));
    let sum = ALPHA_I.wrapping_add(q).wrapping_add(multiply(ALPHA_D, square));
    let denominator = multiply(p, sum).wrapping_add(multiply(ALPHA_F, q));
    let rest = multiply(divide(numerator, 6), one_over_one_plus(denominator));
    shifted(multiply(power, LOG_2).wrapping_add(rest), 1)
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use crate::quant::multiplier;
    use std::vec::Vec;

    let (rows, depth) = (dim(random, 4), dim(random, 12));
    let mut constants = Constants::default();
    let entries = dim(random, 256);
    let table: Vec<i32> = (0..entries).map(|d| (1 << 19) >> (d / 8).min(31)).collect();
    let p = LogSoftmaxParams {
        rows,
        depth,
        table: constants.push(&table),
        entries,
        multiplier: multiplier(0.1 * f64::from(1 << 26)),
        reverse: multiplier(10.0 / f64::from(1 << 26)),
    };
    Case::of(OpCode::LogSoftmax, &p, constants).int8(random, rows * depth, rows * depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_near_the_real_ones() {
        for x in (1 << 19..i32::MAX - 99_991).step_by(99_991) {
            let (real, found) = (libm::log(f64::from(x) / 524_288.0), f64::from(logarithm(x)) / 67_108_864.0);
            assert!((found - real).abs() < 1e-6, "{x}: {found} for {real}");
        }
    }
}
