//! GATHER: the rows of a table that some int32 indices name, as an embedding looks them up, or runs along
//! any other dimension. Bytes are moved, whatever they stand for. Source followed: TFLM `kernels/gather.cc`,
//! which reads beyond its table where an index is not in it; here such an index means the nearest run.

use core::cell::Cell;

use ferrolite_schema::params::GatherParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, copy_run, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Gather as u16, check, eval, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &GatherParams = node.params()?;
    let rows = p.batch.checked_mul(p.outer).ok_or(Fault::Parameters)?;
    let bytes = |runs: u32| rows.checked_mul(runs)?.checked_mul(p.run).filter(|&bytes| bytes != 0);
    let (from, to) = (bytes(p.count).ok_or(Fault::Parameters)?, bytes(p.indices).ok_or(Fault::Parameters)?);
    // `indices` is at most the output's bytes, but `batch` times it times 4 may be more.
    let places = p.batch.checked_mul(p.indices).and_then(|places| places.checked_mul(4));
    node.expect_operands(2, 1)?;
    let (data, indices, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let int32 = indices.dtype == DType::Int32 as u8;
    if !int32 || data.dtype != output.dtype || !output.in_arena() {
        return Err(Fault::Operands);
    }
    if data.bytes != from || output.bytes != to || Some(indices.bytes) != places {
        return Err(Fault::Sizes);
    }
    node.expect_known::<u8>(data)?;
    node.expect_known::<i32>(indices)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<GatherParams>() {
        gather(p, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Copies the runs. `data` is `[batch, outer, count]` and `out` `[batch, outer, indices]` runs of bytes,
/// `indices` is `[batch, indices]`.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn gather(p: &GatherParams, data: TensorView<'_, u8>, indices: TensorView<'_, i32>, out: &[Cell<u8>]) {
    let [outer, run, places] = [p.outer, p.run, p.indices].map(|n| n as usize);
    let block = run.wrapping_mul(p.count as usize);
    let last = (p.count as i32).wrapping_sub(1).max(0);
    let mut start = 0usize;
    let mut rows = runs(out, run.wrapping_mul(places));
    for batch in 0..p.batch as usize {
        let indices = indices.range(batch.wrapping_mul(places), places);
        for row in rows.by_ref().take(outer) {
            // A Cortex-M0 has little flash.
            if run == 1 && !cfg!(kernels = "armv6m") {
                elements(data.range(start, block), last, indices, row);
            } else {
                for (index, target) in indices.iter().zip(runs(row, run)) {
                    let at = index.clamp(0, last) as usize;
                    copy_run(data.range(start.wrapping_add(at.wrapping_mul(run)), run), target);
                }
            }
            start = start.wrapping_add(block);
        }
    }
}

/// Single bytes. A function of its own: in the walk over rows, registers did not suffice.
#[inline(never)]
fn elements(data: TensorView<'_, u8>, last: i32, indices: TensorView<'_, i32>, out: &[Cell<u8>]) {
    for (target, [index]) in out.iter().zip(indices.arrays()) {
        target.set(data.at(index.max(0).min(last) as usize));
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, Operand, dim};
    use ferrolite_schema::Storage;
    use std::vec::Vec;

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let mut next = |most: usize| dim(random, most);
    let (batch, outer, count, indices) = (next(2), next(3), next(5), next(5));
    let run = next(4) * dtype.size() as u32;
    let p = GatherParams { batch, outer, count, run, indices };
    let case = Case::of(OpCode::Gather, &p, Constants::default());
    let mut case = case.input(random, dtype, batch * outer * count * run);
    let numbers: Vec<i32> =
        (0..batch * indices).map(|_| random.below(count as usize + 2) as i32 - 1).collect();
    let data = bytemuck::cast_slice(&numbers).to_vec();
    // At most one of both: a program has an input.
    case.inputs.push(Operand { dtype: DType::Int32, data, storage: Storage::Arena });
    if let Some(operand) = case.inputs.get_mut(random.below(3)) {
        operand.storage = Storage::Constant;
    }
    case.output(dtype, batch * outer * indices * run)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All `N` bytes of an output.
    fn gathered<const N: usize>(p: &GatherParams, data: &[u8], indices: &[i32]) -> [u8; N] {
        assert_eq!(N, (p.batch * p.outer * p.indices * p.run) as usize);
        let mut out = [99u8; N];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        gather(p, TensorView::from_slice(data), TensorView::from_slice(indices), cells);
        out
    }

    #[test]
    fn rows_of_a_table() {
        let p = GatherParams { batch: 1, outer: 1, count: 3, run: 2, indices: 4 };
        assert_eq!(gathered(&p, &[1, 2, 3, 4, 5, 6], &[2, 0, 0, 1]), [5, 6, 1, 2, 1, 2, 3, 4]);
    }

    #[test]
    fn indices_beyond_the_ends_mean_the_nearest() {
        let p = GatherParams { batch: 1, outer: 1, count: 3, run: 1, indices: 4 };
        assert_eq!(gathered(&p, &[1, 2, 3], &[-1, 3, i32::MIN, i32::MAX]), [1, 3, 1, 3]);
    }

    #[test]
    fn runs_of_any_length() {
        let data: [u8; 14] = core::array::from_fn(|i| i as u8);
        let p = GatherParams { batch: 1, outer: 1, count: 2, run: 7, indices: 3 };
        assert_eq!(
            gathered(&p, &data, &[1, 0, 1]),
            [7, 8, 9, 10, 11, 12, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
        );
    }

    #[test]
    fn other_dimensions() {
        let data = [0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let p = GatherParams { batch: 1, outer: 2, count: 3, run: 2, indices: 2 };
        assert_eq!(gathered(&p, &data, &[2, 0]), [4, 5, 0, 1, 10, 11, 6, 7]);
        let p = GatherParams { batch: 2, outer: 1, count: 3, run: 2, indices: 2 };
        assert_eq!(gathered(&p, &data, &[2, 0, 1, 1]), [4, 5, 0, 1, 8, 9, 8, 9]);
        let p = GatherParams { batch: 2, outer: 2, count: 3, run: 1, indices: 1 };
        assert_eq!(gathered(&p, &data, &[2, 0]), [2, 5, 6, 9]);
    }
}
