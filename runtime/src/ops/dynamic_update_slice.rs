//! DYNAMIC_UPDATE_SLICE: a copy of a tensor in which a box of elements, whose place is computed, has been replaced.
//!
//! ```text
//! first[d] = clamp(start[d], 0, dims[d] - update[d])         the box never sticks out
//! out[first + i] = update[i]   for all i of the box;   out[i] = data[i]   elsewhere
//! ```
//! Bytes are moved, whatever they stand for. Source followed: TFLM `kernels/dynamic_update_slice.cc`.

use core::cell::Cell;

use ferrolite_schema::params::DynamicUpdateSliceParams;
use ferrolite_schema::{DType, OpCode};

use super::Operator;
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, copy_run};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::DynamicUpdateSlice as u16, check, eval, lead }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DynamicUpdateSliceParams = node.params()?;
    let fits = p.dims.iter().zip(&p.update).all(|(dim, update)| (1..=*dim).contains(update));
    let named = 6u32.checked_sub(p.first).ok_or(Fault::Parameters)?;
    let unnamed = p.dims.iter().zip(0..).all(|(&dim, at)| dim == 1 || at >= p.first);
    if !fits || !unnamed || p.starts < named || p.starts > 6 || p.starts == 0 || p.run == 0 {
        return Err(Fault::Parameters);
    }
    let bytes = |dims: &[u32; 6]| {
        let bytes = dims.iter().try_fold(p.run, |bytes, &dim| bytes.checked_mul(dim));
        bytes.ok_or(Fault::Parameters)
    };
    let (whole, part) = (bytes(&p.dims)?, bytes(&p.update)?);
    node.expect_operands(3, 1)?;
    let [data, update, start] = [node.input(0)?, node.input(1)?, node.input(2)?];
    let output = node.output(0)?;
    let one_type = data.dtype == update.dtype && data.dtype == output.dtype;
    if !one_type || start.dtype != DType::Int32 as u8 || !output.in_arena() {
        return Err(Fault::Operands);
    }
    if data.bytes != whole || output.bytes != whole || update.bytes != part || start.bytes != 4 * p.starts {
        return Err(Fault::Sizes);
    }
    node.expect_known::<u8>(data)?;
    node.expect_known::<u8>(update)?;
    node.expect_known::<i32>(start)
}

/// All of the data is copied first, from its start on; then the box is read.
fn lead(_: &Node<'_>, position: usize) -> Option<u32> {
    if position == 0 { Some(0) } else { None }
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<DynamicUpdateSliceParams>() {
        dynamic_update_slice(p, eval.view(0), eval.view(1), eval.view(2), eval.output(0));
    }
}

/// Copies `data` and puts the box in place. `data` and `out` are `dims` runs of bytes, `update` is `update` of them.
#[inline]
pub fn dynamic_update_slice(
    p: &DynamicUpdateSliceParams,
    data: TensorView<'_, u8>,
    update: TensorView<'_, u8>,
    start: TensorView<'_, i32>,
    out: &[Cell<u8>],
) {
    for (place, byte) in out.iter().zip(data.iter()) {
        place.set(byte);
    }
    // Where the box begins, in bytes.
    let mut begin = 0usize;
    let starts = start.iter().take(p.starts as usize);
    let named = p.dims.iter().zip(&p.update).skip(p.first as usize);
    for ((&dim, &size), index) in named.zip(starts) {
        let last = dim.wrapping_sub(size) as i32;
        begin = begin.wrapping_mul(dim as usize).wrapping_add(index.min(last).max(0) as usize);
    }
    let run = p.run as usize;
    begin = begin.wrapping_mul(run);
    // Rows of the innermost dimension lie side by side in both.
    let [outer @ .., row] = p.update;
    let row = run.wrapping_mul(row as usize);
    let [_, behind @ ..] = p.dims;
    let mut counts = [0u32; 5];
    let mut from = 0usize;
    loop {
        // The row's place, by the numbers of the dimensions around it.
        let place = counts
            .iter()
            .zip(&behind)
            .fold(0usize, |at, (&count, &dim)| at.wrapping_add(count as usize).wrapping_mul(dim as usize));
        let at = begin.wrapping_add(place.wrapping_mul(run));
        let target = out.get(at..at.wrapping_add(row)).unwrap_or(&[]);
        copy_run(update.range(from, row), target);
        from = from.wrapping_add(row);
        // Counts like an odometer, the innermost dimension first.
        let next = counts.iter_mut().zip(&outer).rev().find_map(|(count, &size)| {
            *count = count.wrapping_add(1);
            if *count < size {
                return Some(());
            }
            *count = 0;
            None
        });
        if next.is_none() {
            return;
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, Operand, dim};
    use ferrolite_schema::Storage;
    use std::vec::Vec;

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let first = random.below(7);
    let (mut dims, mut update) = ([1; 6], [1; 6]);
    for at in first..6 {
        dims[at] = if random.below(2) == 0 { 1 } else { dim(random, 3) };
        update[at] = dim(random, dims[at] as usize);
    }
    let starts = (6 - first).max(1) as u32 + random.below(2) as u32;
    let starts = starts.min(6);
    let run = dim(random, 3) * dtype.size() as u32;
    let p = DynamicUpdateSliceParams { dims, update, run, starts, first: first as u32 };
    let (whole, part) = (dims.iter().product::<u32>() * run, update.iter().product::<u32>() * run);
    let case = Case::of(OpCode::DynamicUpdateSlice, &p, Constants::default());
    let mut case = case.input(random, dtype, whole).input(random, dtype, part);
    let start: Vec<i32> = (0..starts).map(|_| random.below(5) as i32 - 1).collect();
    let data = bytemuck::cast_slice(&start).to_vec();
    case.inputs.push(Operand { dtype: DType::Int32, data, storage: Storage::Arena });
    // At most one of them: a program has an input.
    if let Some(operand) = case.inputs.get_mut(random.below(4)) {
        operand.storage = Storage::Constant;
    }
    case.output(dtype, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated<const N: usize>(p: &DynamicUpdateSliceParams, update: &[u8], start: &[i32]) -> [u8; N] {
        let data: [u8; N] = core::array::from_fn(|i| i as u8);
        let mut out = [99u8; N];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let [data, update] = [&data[..], update].map(TensorView::from_slice);
        dynamic_update_slice(p, data, update, TensorView::from_slice(start), cells);
        out
    }

    #[test]
    fn a_box_is_put_in_place() {
        let (dims, update) = ([1, 1, 1, 1, 3, 4], [1, 1, 1, 1, 2, 2]);
        let p = DynamicUpdateSliceParams { dims, update, run: 1, starts: 2, first: 4 };
        assert_eq!(updated(&p, &[50, 51, 52, 53], &[0, 1]), [0, 50, 51, 3, 4, 52, 53, 7, 8, 9, 10, 11]);
        assert_eq!(updated(&p, &[50, 51, 52, 53], &[1, 2]), [0, 1, 2, 3, 4, 5, 50, 51, 8, 9, 52, 53]);
    }

    #[test]
    fn it_never_sticks_out() {
        let (dims, update) = ([1, 1, 1, 1, 3, 4], [1, 1, 1, 1, 2, 2]);
        let p = DynamicUpdateSliceParams { dims, update, run: 1, starts: 2, first: 4 };
        let last = [0, 1, 2, 3, 4, 5, 50, 51, 8, 9, 52, 53];
        assert_eq!(updated(&p, &[50, 51, 52, 53], &[i32::MAX, 9]), last);
        assert_eq!(updated(&p, &[50, 51, 52, 53], &[2, 3]), last);
        let first = [50, 51, 2, 3, 52, 53, 6, 7, 8, 9, 10, 11];
        assert_eq!(updated(&p, &[50, 51, 52, 53], &[i32::MIN, -1]), first);
    }

    #[test]
    fn runs_and_further_starts() {
        // [3, 2] of which whole rows are replaced: the second start says nothing.
        let (dims, update) = ([1, 1, 1, 1, 1, 3], [1, 1, 1, 1, 1, 1]);
        let p = DynamicUpdateSliceParams { dims, update, run: 2, starts: 2, first: 5 };
        assert_eq!(updated(&p, &[50, 51], &[1, 7]), [0, 1, 50, 51, 4, 5]);
        let p = DynamicUpdateSliceParams { dims: [1; 6], update: [1; 6], run: 3, starts: 1, first: 6 };
        assert_eq!(updated(&p, &[50, 51, 52], &[4]), [50, 51, 52]);
    }

    #[test]
    fn dimensions_around_the_rows() {
        let (dims, update) = ([2, 1, 1, 2, 2, 2], [1, 1, 1, 2, 1, 2]);
        let p = DynamicUpdateSliceParams { dims, update, run: 1, starts: 6, first: 0 };
        assert_eq!(
            updated(&p, &[50, 51, 52, 53], &[1, 0, 0, 0, 1, 0]),
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 50, 51, 12, 13, 52, 53]
        );
    }
}
