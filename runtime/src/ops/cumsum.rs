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
use crate::kernels::{Column, Kernels};
use crate::node::{Eval, Node, check_int8, check_multiplier};
use crate::tensor::runs;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Cumsum as u16, check, eval: eval::<K>, lead }
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

fn eval<K: Kernels>(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<CumsumParams>() {
        cumsum::<K>(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Makes the sums. `input` and `out` are `[outer, count, inner]`.
pub fn cumsum<K: Kernels>(p: &CumsumParams, rounding: Rounding, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let (count, inner) = (p.count as usize, p.inner as usize);
    let block = count.wrapping_mul(inner);
    // The first row, and how far it is to the next.
    let backwards = (block.wrapping_sub(inner), inner.wrapping_neg());
    let (first, step) = if p.reverse == 1 { backwards } else { (0, inner) };
    if inner == 1 {
        let (lines, pitch) = (p.outer as usize, block);
        K::running_sums(p, rounding, &Column { input, out, first, step, lines, pitch });
        return;
    }
    for (input, out) in runs(input, block).zip(runs(out, block)) {
        K::running_sums(p, rounding, &Column { input, out, first, step, lines: inner, pitch: 1 });
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
    use crate::kernels::{Armv7em, Portable};
    use crate::quant::{multiplier, requantize};
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

    fn sums<const N: usize>(p: &CumsumParams, mut input: [i8; N]) -> [i8; N] {
        let mut out = [99i8; N];
        let cells = Cell::from_mut(&mut input[..]).as_slice_of_cells();
        cumsum::<Portable>(p, Rounding::Double, cells, Cell::from_mut(&mut out[..]).as_slice_of_cells());
        out
    }

    proptest! {
        /// The set for SMLAD takes another way.
        #[test]
        fn sets_equal_the_portable_one(
            x in proptest::collection::vec(any::<i8>(), 60),
            (mantissa, shift, bits) in (0..=i32::MAX, -31i32..4, 18u32..22),
            (start, input_zero_point, zero_point) in (-5000i32..5000, -128i32..128, -128i32..128),
            (reverse, exclusive, inner) in (0u32..2, 0u32..2, 1u32..4),
        ) {
            let multiplier = Multiplier { mantissa, shift };
            let p = CumsumParams {
                outer: 2, count: x.len() as u32 / 2 / inner, inner, exclusive, reverse, start, input_zero_point,
                shift: bits, multiplier, zero_point,
            };
            let both = [cumsum::<Portable>, cumsum::<Armv7em>].map(|cumsum| {
                let (mut x, mut out) = (x.clone(), [99i8; 60]);
                let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
                cumsum(&p, Rounding::Double, cells, Cell::from_mut(&mut out[..]).as_slice_of_cells());
                out
            });
            prop_assert_eq!(both[0], both[1]);
        }
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
