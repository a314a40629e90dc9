//! SOFTMAX from int16 to int16, at scale 1/32,768 and zero point 0.
//!
//! Exponentials of the differences from a row's maximum, and the reciprocal of their sum, come from two tables of straight
//! lines, with 15 bits behind the point. Exponentials lie in the output until they are divided.
//! Source followed: TFLM `kernels/softmax_common.cc`, `reference/softmax.h` (`SoftmaxInt16`), `internal/common.h`.

use core::cell::Cell;

use ferrolite_schema::params::SoftmaxFromInt16Params;
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, in_place, int16};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize;
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    // A row's maximum is found before the row is written, and each element is read before its place is.
    Operator { code: OpCode::SoftmaxFromInt16 as u16, check, eval, lead: in_place }
}

/// Elements of a row at most: the sum of their exponentials fits 31 bits.
pub const MOST: u32 = 65_536;

/// Entries of a table: one for each 128 of int16, and the last one's neighbour.
pub const ENTRIES: usize = 513;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SoftmaxFromInt16Params = node.params()?;
    let elements = p.rows.checked_mul(p.depth).filter(|&elements| elements != 0 && p.depth <= MOST);
    let elements = elements.ok_or(Fault::Parameters)?;
    check_multiplier(&p.multiplier)?;
    node.expect_constants::<i16>(p.tables, 2 * ENTRIES as u32)?;
    int16::expect(node, elements, elements)
}

fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<SoftmaxFromInt16Params>() else { return };
    if let Ok(tables) = eval.node().constants(p.tables, 2 * ENTRIES as u32) {
        softmax_from_int16(p, eval.node().rounding(), tables, eval.input(0), eval.output(0));
    }
}

/// Makes shares of all rows. `tables` are `exp(x)` from -10 on, then `1 / (1 + x)` from 0 to 1. `out` may lie over `input`.
pub fn softmax_from_int16(
    p: &SoftmaxFromInt16Params,
    rounding: Rounding,
    tables: &[i16],
    input: &[Cell<i16>],
    out: &[Cell<i16>],
) {
    let (exponentials, reciprocals) = tables.split_at_checked(ENTRIES).unwrap_or_default();
    let depth = p.depth as usize;
    for (input, out) in runs(input, depth).zip(runs(out, depth)) {
        let most = input.iter().fold(i16::MIN, |most, x| most.max(x.get()));
        let mut sum = 0i32;
        for (x, place) in input.iter().zip(out) {
            let below = i32::from(x.get()).wrapping_sub(most.into());
            // 65,535 steps for 10.
            let steps = requantize(below, p.multiplier, rounding);
            let exponential = look_up(exponentials, steps.saturating_add(i32::from(i16::MAX)));
            sum = sum.wrapping_add(exponential.into());
            place.set(exponential);
        }
        // The sum as a number from 1 to 2, less 1, around the middle of the table.
        let zeroes = (sum as u32).leading_zeros();
        let shifted =
            (i64::from(sum).wrapping_shl(zeroes.wrapping_sub(1)).wrapping_add(1 << 13) >> 14) as i32;
        let reciprocal = look_up(reciprocals, shifted.wrapping_sub((1 << 15) + (1 << 16)));
        let right = 31u32.wrapping_sub(zeroes);
        let half = 1i64.wrapping_shl(right.wrapping_sub(1));
        for place in out {
            let product = i64::from(i32::from(place.get()).wrapping_mul(reciprocal.into()));
            let share = product.wrapping_add(half).wrapping_shr(right) as i32;
            place.set(share.clamp(0, i16::MAX.into()) as i16);
        }
    }
}

/// What a table has for a number, which saturates to int16; between two entries it is a straight line.
fn look_up(table: &[i16], x: i32) -> i16 {
    let x = x.clamp(i16::MIN.into(), i16::MAX.into());
    let at = (x >> 7).wrapping_add(256) as usize;
    let entry = |at: usize| i32::from(table.get(at).copied().unwrap_or(0));
    let base = entry(at);
    let slope = entry(at.wrapping_add(1)).wrapping_sub(base) as i16;
    let more = i32::from(slope).wrapping_mul(x & 0x7F).wrapping_add(64) >> 7;
    base.wrapping_add(more) as i16
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, factor};
    use ferrolite_schema::DType;
    use std::vec::Vec;

    let mut constants = Constants::default();
    let line = |i: usize, from: i32, to: i32| (from + (to - from) * i as i32 / 512) as i16;
    let tables: Vec<i16> = (0..ENTRIES)
        .map(|i| line(i, 2, 32_767))
        .chain((0..ENTRIES).map(|i| line(i, 32_767, 16_384)))
        .collect();
    let (rows, depth) = (dim(random, 4), dim(random, 12));
    let p = SoftmaxFromInt16Params {
        rows,
        depth,
        multiplier: factor(random, 0),
        tables: constants.push(&tables),
    };
    let case = Case::of(OpCode::SoftmaxFromInt16, &p, constants).rounding(random);
    case.input(random, DType::Int16, 2 * rows * depth).output(DType::Int16, 2 * rows * depth)
}
