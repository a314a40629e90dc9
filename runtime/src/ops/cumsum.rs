//! CUMSUM: running sums of int8 elements along one dimension.
//!
//! ```text
//! sum = start + sum of (x - input_zero_point) so far     with the element itself, or without (exclusive)
//! y   = clamp(scale(sum << shift, multiplier) + zero_point)
//! ```
//! Sums that `shift` bits would carry out of 32 stay at the last that does not: the output cannot say them.
//! Source followed: TFLM `reference/cumsum.h`, where such sums overflow.

use core::cell::Cell;

use ferrolite_schema::params::CumsumParams;
use ferrolite_schema::{OpCode, Rounding};

use super::Operator;
use crate::error::Fault;
use crate::node::{Eval, Node, check_int8, check_multiplier};
use crate::quant::requantize;
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Cumsum as u16, check, eval, lead }
}

/// Elements of a sum at most, and what it may begin with: 32 bits hold it.
const MOST: u32 = 1 << 22;

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &CumsumParams = node.params()?;
    let elements = p.outer.checked_mul(p.count).and_then(|rows| rows.checked_mul(p.inner));
    let elements = elements.filter(|&elements| elements != 0).ok_or(Fault::Parameters)?;
    if p.count > MOST || p.start.unsigned_abs() > MOST || p.exclusive > 1 || p.reverse > 1 || p.shift > 30 {
        return Err(Fault::Parameters);
    }
    check_int8(p.input_zero_point)?;
    check_multiplier(&p.multiplier)?;
    check_int8(p.zero_point)?;
    node.expect_int8(elements, elements)
}

/// Sums of one column after the other are written: a row above, or below, is not read yet.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &CumsumParams = node.params().ok()?;
    if p.inner == 1 && p.reverse == 0 {
        return Some(0);
    }
    let rows = p.count.saturating_sub(1);
    rows.checked_mul(p.inner)?.checked_add(if rows == 0 { 0 } else { p.reverse })
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<CumsumParams>() {
        cumsum(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Makes the sums. `input` and `out` are `[outer, count, inner]`.
pub fn cumsum(p: &CumsumParams, rounding: Rounding, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let (count, inner) = (p.count as usize, p.inner as usize);
    let block = count.wrapping_mul(inner);
    let (low, high) = (i32::MIN.wrapping_shr(p.shift), i32::MAX.wrapping_shr(p.shift));
    let scaled = |sum: i32| {
        let sum = sum.max(low).min(high).wrapping_shl(p.shift);
        let y = requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point);
        y.clamp(-128, 127) as i8
    };
    for (input, out) in runs(input, block).zip(runs(out, block)) {
        for column in 0..inner {
            let mut sum = p.start;
            for step in 0..count {
                let row = if p.reverse == 1 { count.wrapping_sub(1).wrapping_sub(step) } else { step };
                let at = row.wrapping_mul(inner).wrapping_add(column);
                let (Some(x), Some(y)) = (input.get(at), out.get(at)) else { return };
                let before = sum;
                sum = sum.wrapping_add(i32::from(x.get()).wrapping_sub(p.input_zero_point));
                y.set(scaled(if p.exclusive == 1 { before } else { sum }));
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, factor, zero_point};

    let (outer, count, inner) = (dim(random, 3), dim(random, 9), dim(random, 4));
    let p = CumsumParams {
        outer,
        count,
        inner,
        exclusive: random.below(2) as u32,
        reverse: random.below(2) as u32,
        start: zero_point(random),
        input_zero_point: zero_point(random),
        shift: 19,
        multiplier: factor(random, -19),
        zero_point: zero_point(random),
    };
    let elements = outer * count * inner;
    let case = Case::of(OpCode::Cumsum, &p, Constants::default()).rounding(random);
    case.int8(random, elements, elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::multiplier;

    fn sums<const N: usize>(p: &CumsumParams, mut input: [i8; N]) -> [i8; N] {
        let mut out = [99i8; N];
        let cells = Cell::from_mut(&mut input[..]).as_slice_of_cells();
        cumsum(p, Rounding::Double, cells, Cell::from_mut(&mut out[..]).as_slice_of_cells());
        out
    }

    /// Input and output in one scale.
    fn params(outer: u32, count: u32, inner: u32) -> CumsumParams {
        let multiplier = multiplier(1.0 / f64::from(1 << 19));
        CumsumParams { outer, count, inner, shift: 19, multiplier, ..CumsumParams::default() }
    }

    #[test]
    fn sums_run_along_each_dimension() {
        let x = [1, 2, 3, 4, 5, 6];
        assert_eq!(sums(&params(1, 6, 1), x), [1, 3, 6, 10, 15, 21]);
        assert_eq!(sums(&params(2, 3, 1), x), [1, 3, 6, 4, 9, 15]);
        assert_eq!(sums(&params(1, 2, 3), x), [1, 2, 3, 5, 7, 9]);
    }

    #[test]
    fn sums_without_the_element_and_backwards() {
        let p = CumsumParams { exclusive: 1, ..params(1, 4, 1) };
        assert_eq!(sums(&p, [1, 2, 3, 4]), [0, 1, 3, 6]);
        let p = CumsumParams { reverse: 1, ..params(1, 4, 1) };
        assert_eq!(sums(&p, [1, 2, 3, 4]), [10, 9, 7, 4]);
        let p = CumsumParams { reverse: 1, exclusive: 1, ..params(1, 2, 2) };
        assert_eq!(sums(&p, [1, 2, 3, 4]), [3, 4, 0, 0]);
    }

    #[test]
    fn sums_begin_where_they_are_told_and_saturate() {
        let p = CumsumParams { start: -3, input_zero_point: 3, zero_point: 1, ..params(1, 3, 1) };
        assert_eq!(sums(&p, [3, 4, 3]), [-2, -1, -1]);
        assert_eq!(sums(&params(1, 4, 1), [100; 4]), [100, 127, 127, 127]);
        // 20 * 255 steps do not fit 12 bits.
        let p = CumsumParams { input_zero_point: -128, ..params(1, 20, 1) };
        assert_eq!(sums(&p, [127; 20]), [127; 20]);
    }
}
