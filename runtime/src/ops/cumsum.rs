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
    // The first row, and how far it is to the next.
    let backwards = (block.wrapping_sub(inner), inner.wrapping_neg());
    let (first, step) = if p.reverse == 1 { backwards } else { (0, inner) };
    // The shifts that the converter chooses, where the scale of the output is not far above that of the input.
    // A Cortex-M0 has little flash.
    let is_usual = rounding == Rounding::Double && p.multiplier.shift < 0 && !cfg!(kernels = "armv6m");
    let line = match p.shift {
        20 if is_usual => usual::<20>,
        19 if is_usual => usual::<19>,
        _ => any,
    };
    for (input, out) in runs(input, block).zip(runs(out, block)) {
        for column in 0..inner {
            line(p, rounding, &Line { input, out, first: first.wrapping_add(column), step });
        }
    }
}

/// The elements of one column of a block.
struct Line<'a> {
    input: &'a [Cell<i8>],
    out: &'a [Cell<i8>],
    first: usize,
    /// Elements from one to the next.
    step: usize,
}

/// The sums of a line, with one shift, and a multiplier that shifts right and rounds twice. The product of gemmlowp is the
/// upper word of that with twice the factor, which may lack the bit above a word.
#[inline(never)]
fn usual<const SHIFT: u32>(p: &CumsumParams, _: Rounding, line: &Line<'_>) {
    let (twice, right) = (p.multiplier.mantissa.wrapping_mul(2), !p.multiplier.shift as u32);
    let term = p.zero_point.wrapping_mul(2).wrapping_add(1);
    let lacks = twice >> 31;
    each(p, line, |sum| {
        let sum = sum.clamp(i32::MIN >> SHIFT, i32::MAX >> SHIFT) << SHIFT;
        let high = ((i64::from(sum) * i64::from(twice) + (1 << 31)) >> 32) as i32;
        let high = high.wrapping_add(sum & lacks);
        let half = high.wrapping_add(high >> 31).wrapping_shr(right);
        half.wrapping_add(term) >> 1
    });
}

/// The sums of a line.
#[inline(never)]
fn any(p: &CumsumParams, rounding: Rounding, line: &Line<'_>) {
    let (low, high) = (i32::MIN.wrapping_shr(p.shift), i32::MAX.wrapping_shr(p.shift));
    each(p, line, |sum| {
        let sum = sum.max(low).min(high).wrapping_shl(p.shift);
        requantize(sum, p.multiplier, rounding).wrapping_add(p.zero_point)
    });
}

/// The sums of a line, and outputs of them by `scaled`, saturated.
#[inline(always)]
fn each(p: &CumsumParams, line: &Line<'_>, scaled: impl Fn(i32) -> i32) {
    let &Line { input, out, first, step } = line;
    let (mut sum, mut at, zero_point) = (p.start, first, p.input_zero_point);
    // Without the element itself, it is taken off again.
    let itself = if p.exclusive == 1 { 0 } else { -1 };
    for _ in 0..p.count {
        let (Some(x), Some(y)) = (input.get(at), out.get(at)) else { return };
        let x = i32::from(x.get()).wrapping_sub(zero_point);
        y.set(scaled(sum.wrapping_add(x & itself)).clamp(-128, 127) as i8);
        sum = sum.wrapping_add(x);
        at = at.wrapping_add(step);
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
    extern crate std;
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

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

    proptest! {
        /// As by the definition, whatever the factor.
        #[test]
        fn the_usual_shift_scales_as_any(x: [i8; 24], mantissa in 0..=i32::MAX, shift in -31i32..4, start in -5000i32..5000) {
            let p = CumsumParams { start, multiplier: Multiplier { mantissa, shift }, ..params(1, 24, 1) };
            let mut sum = start;
            let wanted = x.map(|x| {
                sum += i32::from(x);
                requantize(sum.clamp(-4096, 4095) << 19, p.multiplier, Rounding::Double).clamp(-128, 127) as i8
            });
            prop_assert_eq!(sums(&p, x), wanted);
        }
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
