//! TOPK_V2: the largest elements of each row, the largest first, and their places in the row. Of equal elements the first
//! one comes first. Source followed: TFLite `kernels/topk_v2.cc`.

use core::cell::Cell;

use ferrolite_schema::params::TopKParams;
use ferrolite_schema::{DType, OpCode};

use super::arg_min_max::Index;
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::TopK as u16, check, eval, lead: no_overlap }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &TopKParams = node.params()?;
    node.expect_operands(1, 2)?;
    let product = |a: u32, b: u32| a.checked_mul(b).filter(|&product| product != 0).ok_or(Fault::Parameters);
    let (inputs, outputs) = (product(p.rows, p.depth)?, product(p.rows, p.count)?);
    if p.count > p.depth || p.largest > 1 {
        return Err(Fault::Parameters);
    }
    node.expect_tensor(node.input(0)?, DType::Int8, inputs)?;
    node.expect_tensor(node.output(0)?, DType::Int8, outputs)?;
    let places = node.output(1)?;
    match places.dtype() {
        Some(dtype @ (DType::Int32 | DType::Int64)) => node.expect_tensor(places, dtype, outputs),
        _ => Err(Fault::Operands),
    }
}

fn eval(eval: &Eval<'_>) {
    let (Ok(p), Ok(places)) = (eval.node().params::<TopKParams>(), eval.node().output(1)) else { return };
    if places.dtype == DType::Int64 as u8 {
        top_k::<i64>(p, eval.input(0), eval.output(0), eval.output(1));
    } else {
        top_k::<i32>(p, eval.input(0), eval.output(0), eval.output(1));
    }
}

/// Finds the elements of all rows, one after the other: no memory is needed beside that of the results.
pub fn top_k<I: Index>(p: &TopKParams, input: &[Cell<i8>], values: &[Cell<i8>], places: &[Cell<I>]) {
    let (depth, count) = (p.depth as usize, p.count as usize);
    let found = runs(values, count).zip(runs(places, count));
    for (row, (values, places)) in runs(input, depth).zip(found) {
        // The element that was found last. All that are smaller, or equal and behind it, are left.
        let mut last = (i32::MAX, 0i32);
        for (value, place) in values.iter().zip(places) {
            let mut best = (i32::MIN, 0i32);
            for (index, x) in (0i32..).zip(row) {
                let x = i32::from(x.get());
                let x = if p.largest == 1 { x } else { x.wrapping_neg() };
                let left = x < last.0 || (x == last.0 && index > last.1);
                if left && x > best.0 {
                    best = (x, index);
                }
            }
            let x = if p.largest == 1 { best.0 } else { best.0.wrapping_neg() };
            value.set(x as i8);
            place.set(best.1.into());
            last = best;
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};

    let (rows, depth) = (dim(random, 4), dim(random, 12));
    let count = dim(random, depth as usize);
    let p = TopKParams { rows, depth, count, largest: random.below(2) as u32 };
    let dtype = [DType::Int32, DType::Int64][random.below(2)];
    let case = Case::of(OpCode::TopK, &p, Constants::default());
    case.int8(random, rows * depth, rows * count).output(dtype, rows * count * dtype.size() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_elements_keep_their_order() {
        let find = |largest| {
            let (mut x, mut values, mut places) =
                ([3i8, -128, 3, 127, -128, 5, 5, 5, 5, 5, 5, 5], [0i8; 6], [0i32; 6]);
            let p = TopKParams { rows: 2, depth: 6, count: 3, largest };
            let [x, found] = [&mut x[..], &mut values[..]].map(|x| Cell::from_mut(x).as_slice_of_cells());
            top_k(&p, x, found, Cell::from_mut(&mut places[..]).as_slice_of_cells());
            (values, places)
        };
        assert_eq!(find(1), ([127, 5, 3, 5, 5, 5], [3, 5, 0, 0, 1, 2]));
        assert_eq!(find(0), ([-128, -128, 3, 5, 5, 5], [1, 4, 0, 0, 1, 2]));
    }
}
