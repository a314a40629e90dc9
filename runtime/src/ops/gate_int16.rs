//! LOGISTIC and TANH of int16, by the table of an LSTM's gates.
//!
//! ```text
//! t = floor((x * multiplier + 2^(shift - 1)) / 2^shift)     without the power where the shift is 0
//! out = the function at t / 12,288, with 15 bits behind the point
//! ```
//! The core of both functions is that of layers over time (`gates`). Source followed: TFLM
//! `kernels/logistic_common.cc`, `tanh.cc`, `reference/integer_ops/{logistic,tanh}.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::GateInt16Params;

use super::{Operator, in_place, int16};
use crate::error::Fault;
use crate::gates::{self, ENTRIES, Table};
use crate::node::{Eval, Node};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::GateInt16 as u16, check, eval, lead: in_place }
}

/// Largest factor: a product with any int16 number and what rounds it fit 32 bits.
pub const MOST: u32 = 32_767;

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &GateInt16Params = node.params()?;
    int16::expect_pairs(node)?;
    if p.tangent > 1 || p.multiplier > MOST || p.shift > 31 {
        return Err(Fault::Parameters);
    }
    node.expect_constants::<u16>(p.table, ENTRIES)
}

fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<GateInt16Params>() else { return };
    if let Ok([table]) = eval.node().constants::<Table>(p.table, 1) {
        gate_int16(p, table, eval.input(0), eval.output(0));
    }
}

/// Computes all elements. `out` may lie over `input`.
pub fn gate_int16(p: &GateInt16Params, table: &Table, input: &[Cell<i16>], out: &[Cell<i16>]) {
    let half = 1i32.wrapping_shl(p.shift) >> 1;
    for (x, place) in input.iter().zip(out) {
        let x = i32::from(x.get()).wrapping_mul(p.multiplier as i32);
        let x = x.wrapping_add(half).wrapping_shr(p.shift);
        let y = if p.tangent == 1 { gates::tanh_of(table, x) } else { gates::logistic_of(table, x) };
        place.set(y as i16);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use ferrolite_schema::DType;

    let mut constants = Constants::default();
    let p = GateInt16Params {
        table: constants.push(&gates::table()),
        multiplier: 16_384 + random.below(16_384) as u32,
        shift: 12 + random.below(4) as u32,
        tangent: random.below(2) as u32,
    };
    let bytes = 2 * dim(random, 90);
    let case = Case::of(OpCode::GateInt16, &p, constants);
    case.input(random, DType::Int16, bytes).output(DType::Int16, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_the_real_ones() {
        let table = gates::table();
        for (multiplier, shift) in [(3, 0), (6, 0), (25_000, 13), (17_000, 16)] {
            let scale = f64::from(multiplier) / f64::from(12_288 << shift);
            for tangent in [0, 1] {
                let p = GateInt16Params { table: 0, multiplier, shift, tangent };
                for x in (i16::MIN..=i16::MAX).step_by(7) {
                    let mut number = [x];
                    let cells = Cell::from_mut(&mut number[..]).as_slice_of_cells();
                    gate_int16(&p, &table, cells, cells);
                    let real = f64::from(x) * scale;
                    let real = if tangent == 1 { libm::tanh(real) } else { 1.0 / (1.0 + libm::exp(-real)) };
                    let found = f64::from(number[0]) / 32768.0;
                    assert!((found - real).abs() < 3e-4, "{x} {p:?}: {found} for {real}");
                }
            }
        }
    }
}
