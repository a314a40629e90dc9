//! BATCH_MATMUL of int16, whose zero points are 0: sums are of 64 bits, scaled by the 16 upper bits of a mantissa.
//!
//! ```text
//! out[i, j] = clamp(scale(sum over k of a[i, k] * b[k, j], multiplier))
//! ```
//! Source followed: TFLM `kernels/batch_matmul.cc`, `reference/batch_matmul.h`, `internal/common.cc`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::BatchMatMulParams;

use super::int16::{self, check_clamp};
use super::{Operator, broadcast, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node, check_multiplier};
use crate::quant::requantize_long;
use crate::tensor::{TensorView, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::BatchMatMulInt16 as u16, check, eval, lead: no_overlap }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &BatchMatMulParams = node.params()?;
    node.expect_operands(2, 1)?;
    let zero_points = p.product.a_zero_point | p.product.b_zero_point | p.product.zero_point;
    if p.rows == 0 || p.depth == 0 || p.columns == 0 || p.transpose_a > 1 || p.transpose_b > 1 {
        return Err(Fault::Parameters);
    }
    if zero_points != 0 {
        return Err(Fault::Parameters);
    }
    check_multiplier(&p.product.multiplier)?;
    check_clamp(p.product.min, p.product.max)?;
    let [batches, of_a, of_b] = broadcast::elements(&p.batch)?;
    let size = |batches: u32, a: u32, b: u32| {
        batches.checked_mul(a).and_then(|size| size.checked_mul(b)).ok_or(Fault::Parameters)
    };
    int16::expect_operand(node, node.input(0)?, size(of_a, p.rows, p.depth)?)?;
    int16::expect_operand(node, node.input(1)?, size(of_b, p.depth, p.columns)?)?;
    node.expect_tensor(node.output(0)?, ferrolite_schema::DType::Int16, size(batches, p.rows, p.columns)?)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        batch_matmul_int16(p, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Multiplies all matrices. `a` is `[.., rows, depth]`, `b` `[.., depth, columns]`, or the other way round where they are
/// transposed.
pub fn batch_matmul_int16(
    p: &BatchMatMulParams,
    a: TensorView<'_, i16>,
    b: TensorView<'_, i16>,
    out: &[Cell<i16>],
) {
    let [rows, depth, columns] = [p.rows, p.depth, p.columns].map(|dim| dim as usize);
    // From one row of `a` to the next, and from one term to the next, and so for columns of `b`.
    let (row, term_a) = if p.transpose_a == 1 { (1, rows) } else { (depth, 1) };
    let (column, term_b) = if p.transpose_b == 1 { (depth, 1) } else { (1, columns) };
    let mut matrices = runs(out, rows.wrapping_mul(columns));
    broadcast::positions(&p.batch, |at_a, at_b| {
        let Some(out) = matrices.next() else { return };
        let (at_a, at_b) =
            (at_a.wrapping_mul(rows).wrapping_mul(depth), at_b.wrapping_mul(depth).wrapping_mul(columns));
        for (i, out) in runs(out, columns).enumerate() {
            for (j, place) in out.iter().enumerate() {
                let mut from = at_a.wrapping_add(i.wrapping_mul(row));
                let mut to = at_b.wrapping_add(j.wrapping_mul(column));
                let mut sum = 0i64;
                for _ in 0..depth {
                    let product = i32::from(a.at(from)).wrapping_mul(b.at(to).into());
                    sum = sum.wrapping_add(product.into());
                    (from, to) = (from.wrapping_add(term_a), to.wrapping_add(term_b));
                }
                let y = requantize_long(sum, p.product.multiplier);
                place.set(y.max(p.product.min).min(p.product.max) as i16);
            }
        }
    });
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, dim, factor, int16_operands};
    use ferrolite_schema::params::Product;

    let (batch, batches, [of_a, of_b]) = broadcast(random);
    let [rows, depth, columns] = [(); 3].map(|()| dim(random, 4));
    let p = BatchMatMulParams {
        batch,
        rows,
        depth,
        columns,
        transpose_a: random.below(2) as u32,
        transpose_b: random.below(2) as u32,
        product: Product {
            multiplier: factor(random, -15),
            min: i16::MIN.into(),
            max: i16::MAX.into(),
            ..Product::default()
        },
    };
    let case = Case::of(OpCode::BatchMatMulInt16, &p, Constants::default());
    int16_operands(case, random, [of_a * rows * depth, of_b * depth * columns], batches * rows * columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::multiplier;
    use ferrolite_schema::params::{Broadcast, Product};

    #[test]
    fn matrices_are_multiplied_as_they_are_stored() {
        let product =
            Product { multiplier: multiplier(0.5), min: -32_768, max: 32_767, ..Product::default() };
        let batch = Broadcast { dims: [1; 6], repeat_a: 0, repeat_b: 0 };
        let plain = BatchMatMulParams {
            batch,
            rows: 2,
            depth: 2,
            columns: 2,
            transpose_a: 0,
            transpose_b: 0,
            product,
        };
        let run = |p: &BatchMatMulParams, a: [i16; 4], b: [i16; 4]| {
            let mut out = [0i16; 4];
            let (a, b) = (TensorView::from_slice(&a), TensorView::from_slice(&b));
            batch_matmul_int16(p, a, b, Cell::from_mut(&mut out[..]).as_slice_of_cells());
            out
        };
        let wanted = [19, 22, 43, 50].map(|x| (x + 1) / 2);
        assert_eq!(run(&plain, [1, 2, 3, 4], [5, 6, 7, 8]), wanted);
        let both = BatchMatMulParams { transpose_a: 1, transpose_b: 1, ..plain };
        assert_eq!(run(&both, [1, 3, 2, 4], [5, 7, 6, 8]), wanted);
        // Twice the square of the smallest number needs 32 bits and a sign.
        let largest = run(&plain, [-32_768; 4], [-32_768; 4]);
        assert_eq!(largest, [32_767; 4]);
    }
}
