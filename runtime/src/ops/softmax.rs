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
use crate::kernels::Kernels;
use crate::node::{Eval, Node};
use crate::tensor::TensorView;

/// Longest row: each element adds at most 2^19 to a sum of 32 bits.
pub const MAX_DEPTH: u32 = 8191;

/// The operator with the kernels `K`. A row is read whole before any of it is written, and element by element after
/// that: it works in place.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Softmax as u16, check, eval: eval::<K>, lead: in_place }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SoftmaxParams = node.params()?;
    if p.depth == 0 || p.depth > MAX_DEPTH || p.entries == 0 || p.entries > 256 {
        return Err(Fault::Parameters);
    }
    let elements = p.rows.checked_mul(p.depth).ok_or(Fault::Parameters)?;
    node.expect_int8(elements, elements)?;
    node.constants::<i32>(p.table, p.entries).map(|_| ())
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<SoftmaxParams>() else { return };
    let Ok(table) = eval.node().constants(p.table, p.entries) else { return };
    let Some((input, out)) = eval.pair() else { return };
    softmax::<K>(p.depth as usize, table, input, out);
}

/// Normalises rows of `depth` elements. `table[d]` is the exponential of a difference of `-d` in
/// Q0.31, zero behind its end. `input` and `out` have the same number of elements.
pub fn softmax<K: Kernels>(depth: usize, table: &[i32], input: &[Cell<i8>], out: &[Cell<i8>]) {
    K::softmax(depth, TensorView::from_cells(input), table, out);
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use std::vec::Vec;

    // Long rows, now and then, for which some kernels make a table.
    let long = random.below(8) == 0;
    let (rows, depth) = if long { (1, 600 + dim(random, 100)) } else { (dim(random, 4), dim(random, 40)) };
    // Tables that end anywhere, and such as the converter makes: whole, or with an entry at the end that counts no more.
    let step = random.up_to(100) as f64 / [2000.0, 100.0][random.below(2)];
    let exp = |d: u32| ((-f64::from(d) * step).exp() * 2f64.powi(31)).min(2147483647.0) as i32;
    let mut constants = Constants::default();
    let entries = [256, dim(random, 256)][random.below(2)];
    let table: Vec<i32> = (0..entries).map(exp).collect();
    let p = SoftmaxParams { rows, depth, table: constants.push(&table), entries };
    Case::of(OpCode::Softmax, &p, constants).int8(random, rows * depth, rows * depth)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::Portable;
    use crate::quant::{reciprocal, rounding_divide_by_power_of_two, saturating_rounding_doubling_high_mul};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn cells(elements: &mut [i8]) -> &[Cell<i8>] {
        Cell::from_mut(elements).as_slice_of_cells()
    }

    proptest! {
        #[test]
        fn rows_are_near_the_real_softmax(
            mut x in prop::collection::vec(any::<i8>(), 1..200),
            scale in 0.001f64..2.0,
            depth in 1usize..40,
        ) {
            let exponential = |d: i32| libm::exp(-scale * f64::from(d));
            let table: Vec<i32> = (0..256).map(|d| (exponential(d) * 2147483647.0).round() as i32).collect();
            let rows = x.len() / depth;
            let mut out = vec![-128i8; x.len()];
            softmax::<Portable>(depth, &table, cells(&mut x), cells(&mut out));
            for (x, out) in x.chunks(depth).zip(out.chunks(depth)).take(rows) {
                let largest = i32::from(*x.iter().max().unwrap());
                let parts: Vec<f64> = x.iter().map(|&x| exponential(largest - i32::from(x))).collect();
                let sum: f64 = parts.iter().sum();
                for (part, out) in parts.iter().zip(out) {
                    let exact = (256.0 * part / sum - 128.0).min(127.0);
                    prop_assert!((f64::from(*out) - exact).abs() < 0.51, "{out} for {exact}");
                }
            }
            let mut in_place = x;
            let shared = cells(&mut in_place);
            softmax::<Portable>(depth, &table, shared, shared);
            let whole = rows * depth;
            prop_assert_eq!(&in_place[..whole], &out[..whole]);
        }
    }

    proptest! {
        /// In the steps of gemmlowp.
        #[test]
        fn roundings_are_gemmlowps(
            mut x in prop_oneof![
                prop::collection::vec(any::<i8>(), 1..60),
                prop::collection::vec(any::<i8>(), 1..MAX_DEPTH as usize),
            ],
            table in prop::collection::vec(0..=i32::MAX, 1..=256),
        ) {
            let mut table = table;
            table[0] = i32::MAX;
            let mut out = vec![0i8; x.len()];
            softmax::<Portable>(x.len(), &table, cells(&mut x), cells(&mut out));
            let largest = *x.iter().max().unwrap();
            let e = |x: i8| table.get(usize::from(largest.wrapping_sub(x) as u8)).copied().unwrap_or(0);
            let sum = x.iter().map(|&x| rounding_divide_by_power_of_two(e(x), 12) as u32).sum();
            let (scale, bits) = reciprocal(sum, 12);
            for (&x, &out) in x.iter().zip(&out) {
                let product = saturating_rounding_doubling_high_mul(scale, e(x));
                let exponent = (bits + 31 - 8) as u32;
                let y = if exponent > 31 { 0 } else { rounding_divide_by_power_of_two(product, exponent) };
                prop_assert_eq!(i32::from(out), (y - 128).min(127));
            }
        }
    }

    #[test]
    fn long_equal_rows_vanish() {
        // 8191 * 1.0 is the largest sum of 32 bits; 256 / 8191 rounds to zero.
        let mut x = vec![5i8; MAX_DEPTH as usize];
        let mut out = x.clone();
        softmax::<Portable>(x.len(), &[i32::MAX], cells(&mut x), cells(&mut out));
        assert!(out.iter().all(|&y| y == -128));
    }
}
