//! RSQRT of int16, whose zero points are 0.
//!
//! ```text
//! (m, s) = 1 / sqrt(x);   out = clamp(scale(scale(1, (m, s + 20)), multiplier));   the largest number for x of 0 and below
//! ```
//! The root is gemmlowp's. TFLM refuses to run where a number is negative. Source followed: TFLM `kernels/elementwise.cc`.

use core::cell::Cell;

use ferrolite_schema::params::{Multiplier, RsqrtInt16Params};
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, in_place, int16};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::{inverse_sqrt, requantize};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::RsqrtInt16 as u16, check, eval, lead: in_place }
}

/// Bits that keep a root an integer; the multiplier is smaller by as many.
pub const BITS: i32 = 20;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &RsqrtInt16Params = node.params()?;
    int16::expect_pairs(node)?;
    check_multiplier(&p.multiplier)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        rsqrt_int16(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Computes all elements. `out` may lie over `input`.
pub fn rsqrt_int16(p: &RsqrtInt16Params, rounding: Rounding, input: &[Cell<i16>], out: &[Cell<i16>]) {
    for (x, place) in input.iter().zip(out) {
        let x = x.get();
        if x <= 0 {
            place.set(i16::MAX);
            continue;
        }
        let (mantissa, shift) = inverse_sqrt(x.into());
        let root = requantize(1, Multiplier { mantissa, shift: shift.wrapping_add(BITS) }, rounding);
        let y = requantize(root, p.multiplier, rounding);
        place.set(y.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, factor};
    use ferrolite_schema::DType;

    let p = RsqrtInt16Params { multiplier: factor(random, -3) };
    let bytes = 2 * dim(random, 90);
    let case = Case::of(OpCode::RsqrtInt16, &p, Constants::default()).rounding(random);
    case.input(random, DType::Int16, bytes).output(DType::Int16, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::multiplier;

    #[test]
    fn roots_are_near_the_real_ones() {
        // Outputs in steps of 1/20,000 of the integers' roots.
        let p = RsqrtInt16Params { multiplier: multiplier(20_000.0 / f64::from(1 << BITS)) };
        for x in 1..=i16::MAX {
            let mut number = [x];
            let cells = Cell::from_mut(&mut number[..]).as_slice_of_cells();
            rsqrt_int16(&p, Rounding::Double, cells, cells);
            let real = 20_000.0 / libm::sqrt(x.into());
            assert!((f64::from(number[0]) - real).abs() < 0.6, "{x}: {} for {real}", number[0]);
        }
        let mut rest = [0, -1, i16::MIN];
        let cells = Cell::from_mut(&mut rest[..]).as_slice_of_cells();
        rsqrt_int16(&p, Rounding::Double, cells, cells);
        assert_eq!(rest, [i16::MAX; 3]);
    }
}
