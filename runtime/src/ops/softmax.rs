//! SOFTMAX over the last dimension: `out = exp(x - max) / sum(exp(x - max))`, at scale 1/256 and zero
//! point -128.
//!
//! The converter tabulates the exponential of each difference from the row's maximum; what is left
//! is a sum, one reciprocal per row by Newton's method, and one product per element.
//! Source followed: TFLM `reference/softmax.h`, `internal/common.h`, gemmlowp `fixedpoint.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::SoftmaxParams;

use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::quant::{reciprocal, rounding_divide_by_power_of_two, saturating_rounding_doubling_high_mul};

/// Longest row: each element adds at most 2^19 to a sum of 32 bits.
pub const MAX_DEPTH: u32 = 8191;

/// Integer bits of the sum of exponentials, Q12.19.
const SUM_INTEGER_BITS: u32 = 12;

/// The operator. A row is read whole before any of it is written, and element by element after
/// that: it works in place.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Softmax, check, eval, lead: in_place }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SoftmaxParams = node.params()?;
    if p.depth == 0 || p.depth > MAX_DEPTH || p.entries == 0 || p.entries > 256 {
        return Err(Fault::Parameters);
    }
    let elements = p.rows.checked_mul(p.depth).ok_or(Fault::Parameters)?;
    node.expect_int8(elements, elements)?;
    node.constants::<i32>(p.table, p.entries).map(|_| ())
}

fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<SoftmaxParams>() else { return };
    let Ok(table) = eval.node().constants(p.table, p.entries) else { return };
    softmax(p.depth as usize, table, eval.input(0), eval.output(0));
}

/// Normalises rows of `depth` elements. `table[d]` is the exponential of a difference of `-d` in
/// Q0.31, zero behind its end. `input` and `out` have the same number of elements.
pub fn softmax(depth: usize, table: &[i32], input: &[Cell<i8>], out: &[Cell<i8>]) {
    let depth = depth.max(1);
    for (input, out) in input.chunks_exact(depth).zip(out.chunks_exact(depth)) {
        let largest = input.iter().map(Cell::get).fold(i8::MIN, i8::max);
        let exponential = |x: &Cell<i8>| table.get(usize::from(largest.wrapping_sub(x.get()) as u8));
        let mut sum = 0u32;
        for x in input {
            if let Some(&e) = exponential(x) {
                sum = sum.wrapping_add(rounding_divide_by_power_of_two(e, SUM_INTEGER_BITS) as u32);
            }
        }
        // The sum is at least the maximum's own 1.0, which leaves a fraction of at most 12 zero bits.
        let (scale, bits) = reciprocal(sum, SUM_INTEGER_BITS as i32);
        // Q0.31 to 8 bits. Beyond 31 everything rounds to zero; TFLM stops the program there.
        let exponent = bits.wrapping_add(31 - 8);
        for (x, out) in input.iter().zip(out) {
            let y = match exponential(x) {
                Some(&e) if (0..=31).contains(&exponent) => {
                    let product = saturating_rounding_doubling_high_mul(scale, e);
                    rounding_divide_by_power_of_two(product, exponent as u32)
                }
                _ => 0,
            };
            out.set(y.wrapping_sub(128).clamp(-128, 127) as i8);
        }
    }
}
