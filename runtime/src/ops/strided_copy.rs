//! Strided copy: boxes of bytes from inputs to outputs. PAD, PADV2, TRANSPOSE, CONCATENATION, SPLIT,
//! SPLIT_V, SLICE, STRIDED_SLICE, PACK, UNPACK, RESHAPE and its relatives, of any element type.
//!
//! ```text
//! output[target + sum of i_d * target_stride_d ..][..run] = input[source + sum of i_d * source_stride_d ..][..run]
//! ```
//! for all `i_d < count_d` of five loops. The converter merges dimensions, so that most copies need
//! no more than two loops around long runs; elements wider than a byte are runs. A pad is a fill of
//! the whole output before the copy.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{CopyDim, CopySegment, StridedCopyParams};

use super::Operator;
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, fill};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::StridedCopy, check, eval, lead }
}

const HEAD_WORDS: usize = size_of::<StridedCopyParams>() / size_of::<u32>();

fn params<'a>(node: &Node<'a>) -> Result<(&'a StridedCopyParams, &'a [CopySegment]), Fault> {
    let words: &[u32] = node.params_list()?;
    let (head, segments) = words.split_at_checked(HEAD_WORDS).ok_or(Fault::Parameters)?;
    match (bytemuck::try_cast_slice(head), bytemuck::try_cast_slice(segments)) {
        (Ok([head]), Ok(segments)) => Ok((head, segments)),
        _ => Err(Fault::Parameters),
    }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let (head, segments) = params(node)?;
    if head.fill > 1 || node.outputs() == 0 {
        return Err(Fault::Parameters);
    }
    // No element is written twice: that bounds the time by the size of the outputs.
    let mut budget = 0u64;
    for position in 0..node.outputs() {
        budget += u64::from(node.output(position)?.bytes);
    }
    for segment in segments {
        let input = node.input(segment.input as usize)?.bytes;
        let output = node.output(segment.output as usize)?.bytes;
        let copied = check_segment(segment, input, output).ok_or(Fault::Sizes)?;
        budget = budget.checked_sub(copied).ok_or(Fault::Sizes)?;
    }
    Ok(())
}

/// Bytes that a segment copies, if all of them lie within an input and an output of these sizes.
pub fn check_segment(segment: &CopySegment, input_bytes: u32, output_bytes: u32) -> Option<u64> {
    let mut copied = u64::from(segment.run);
    for dim in &segment.dims {
        copied = copied.checked_mul(dim.count.into())?;
    }
    let source = segment.dims.iter().map(|dim| (dim.count, dim.source_stride));
    let target = segment.dims.iter().map(|dim| (dim.count, dim.target_stride));
    let fits = copied != 0
        && within(segment.source, segment.run, source, input_bytes)?
        && within(segment.target, segment.run, target, output_bytes)?;
    fits.then_some(copied)
}

/// Whether the first and the last byte that a walk reaches lie within `0 .. bytes`.
fn within(start: u32, run: u32, steps: impl Iterator<Item = (u32, i32)>, bytes: u32) -> Option<bool> {
    let (mut low, mut high) = (i64::from(start), i64::from(start) + i64::from(run));
    for (count, stride) in steps {
        let reach = (i64::from(count) - 1).checked_mul(stride.into())?;
        low = low.checked_add(reach.min(0))?;
        high = high.checked_add(reach.max(0))?;
    }
    Some(low >= 0 && high <= bytes.into())
}

/// Whether the op is one copy of all of its input to all of its output.
fn is_whole(node: &Node<'_>) -> bool {
    let (Ok((head, [segment])), Ok(input), Ok(output)) = (params(node), node.input(0), node.output(0)) else {
        return false;
    };
    let all = node.expect_operands(1, 1).is_ok() && input.bytes == output.bytes;
    all && head.fill == 0 && segment.run == input.bytes
}

fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    is_whole(node).then_some(0)
}

fn eval(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok((head, segments)) = params(node) else { return };
    if is_whole(node)
        && let (Ok(input), Ok(output)) = (node.input(0), node.output(0))
        && input.in_arena()
        && input.offset == output.offset
    {
        return;
    }
    if head.fill != 0 {
        for position in 0..node.outputs() {
            fill_pattern(head.pattern, eval.output(position));
        }
    }
    for segment in segments {
        strided_copy(segment, eval.view(segment.input as usize), eval.output(segment.output as usize));
    }
}

/// Repeats eight bytes, given as two little-endian words, over the target.
pub fn fill_pattern(pattern: [u32; 2], target: &[Cell<u8>]) {
    let [[a, b, c, d], [e, f, g, h]] = pattern.map(u32::to_le_bytes);
    let bytes = [a, b, c, d, e, f, g, h];
    if bytes == [a; 8] {
        return fill(target, a);
    }
    for target in target.chunks(8) {
        for (cell, byte) in target.iter().zip(bytes) {
            cell.set(byte);
        }
    }
}

/// Copies one box of bytes. What lies outside the input reads as nothing, what lies outside the
/// output is not written.
pub fn strided_copy(segment: &CopySegment, input: TensorView<'_, u8>, output: &[Cell<u8>]) {
    let [a, b, c, d, e] = segment.dims;
    let run = segment.run as usize;
    let start = (segment.source as usize, segment.target as usize);
    for at in steps(a, start) {
        for at in steps(b, at) {
            for at in steps(c, at) {
                for at in steps(d, at) {
                    for (from, to) in steps(e, at) {
                        if run == 1 {
                            if let Some(cell) = output.get(to) {
                                cell.set(input.at(from));
                            }
                        } else {
                            input.range(from, run).copy_to(output.get(to..).unwrap_or(&[]));
                        }
                    }
                }
            }
        }
    }
}

/// The positions of one loop in input and output.
#[inline(always)]
fn steps(dim: CopyDim, start: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    let (mut from, mut to) = start;
    (0..dim.count).map(move |_| {
        let at = (from, to);
        from = from.wrapping_add(dim.source_stride as usize);
        to = to.wrapping_add(dim.target_stride as usize);
        at
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const ONE: CopyDim = CopyDim { count: 1, source_stride: 0, target_stride: 0 };

    fn segment(run: u32, source: u32, target: u32, inner: &[(u32, i32, i32)]) -> CopySegment {
        let mut dims = [ONE; 5];
        for (dim, &(count, source_stride, target_stride)) in dims.iter_mut().rev().zip(inner.iter().rev()) {
            *dim = CopyDim { count, source_stride, target_stride };
        }
        CopySegment { input: 0, output: 0, run, source, target, dims }
    }

    fn run(segment: &CopySegment, input: &[u8], output: &mut [u8]) {
        let cells = Cell::from_mut(output).as_slice_of_cells();
        strided_copy(segment, TensorView::from_slice(input), cells);
    }

    #[test]
    fn transposes_and_reverses() {
        let mut out = [0; 6];
        run(&segment(1, 0, 0, &[(3, 1, 2), (2, 3, 1)]), &[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [1, 4, 2, 5, 3, 6]);
        run(&segment(2, 4, 0, &[(3, -2, 2)]), &[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [5, 6, 3, 4, 1, 2]);
    }

    #[test]
    fn fills_with_wide_elements() {
        let mut out = [0u8; 10];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        fill_pattern([0x0201_0201, 0x0201_0201], cells);
        assert_eq!(out, [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn segments_outside_are_refused() {
        assert_eq!(check_segment(&segment(6, 0, 0, &[]), 6, 6), Some(6));
        assert_eq!(check_segment(&segment(6, 1, 0, &[]), 6, 6), None);
        assert_eq!(check_segment(&segment(6, 0, 1, &[]), 6, 6), None);
        assert_eq!(check_segment(&segment(0, 0, 0, &[]), 6, 6), None);
        assert_eq!(check_segment(&segment(2, 4, 0, &[(3, -2, 2)]), 6, 6), Some(6));
        assert_eq!(check_segment(&segment(2, 3, 0, &[(3, -2, 2)]), 6, 6), None);
        assert_eq!(check_segment(&segment(1, 0, 0, &[(u32::MAX, i32::MAX, 0); 5]), 6, 6), None);
        assert_eq!(check_segment(&segment(1, 0, 0, &[(0, 0, 0)]), 6, 6), None);
    }

    proptest! {
        /// A segment is accepted if and only if every byte that it reaches is in bounds.
        #[test]
        fn bounds_are_exact(
            run_bytes in 1u32..4,
            source in 0u32..12,
            target in 0u32..12,
            dims in prop::collection::vec((1u32..4, -5i32..6, -5i32..6), 0..4),
        ) {
            let segment = segment(run_bytes, source, target, &dims);
            let mut offsets = vec![(i64::from(source), i64::from(target))];
            for &(count, s, t) in &dims {
                offsets = offsets
                    .iter()
                    .flat_map(|&(a, b)| (0..i64::from(count)).map(move |i| (a + i * i64::from(s), b + i * i64::from(t))))
                    .collect();
            }
            let inside = |at: i64| at >= 0 && at + i64::from(run_bytes) <= 16;
            let fits = offsets.iter().all(|&(a, b)| inside(a) && inside(b));
            prop_assert_eq!(check_segment(&segment, 16, 16).is_some(), fits);
            if fits {
                let input: Vec<u8> = (1..17).collect();
                let (mut expected, mut found) = ([0u8; 16], [0u8; 16]);
                for &(a, b) in &offsets {
                    for k in 0..run_bytes as usize {
                        expected[b as usize + k] = input[a as usize + k];
                    }
                }
                run(&segment, &input, &mut found);
                prop_assert_eq!(found, expected);
            }
        }
    }
}
