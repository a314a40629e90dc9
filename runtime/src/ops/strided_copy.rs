//! Strided copy: boxes of bytes from inputs to outputs. PAD, PADV2, TRANSPOSE, CONCATENATION, SPLIT,
//! SPLIT_V, SLICE, STRIDED_SLICE, PACK, UNPACK, RESHAPE and its relatives, of any element type.
//!
//! ```text
//! output[target + sum of i_d * target_stride_d ..][..run] = input[source + sum of i_d * source_stride_d ..][..run]
//! ```
//! for all `i_d < count_d` of five loops. The converter merges dimensions, so that most copies need
//! no more than two loops around long runs; elements wider than a byte are runs. A pad is a fill of
//! the whole output before the copy. The order of the loops is not said: no op of the converter copies a byte of the output
//! twice with one segment. Without a fill, segments copy every byte of the outputs, once: so a result
//! never depends on what was in the arena.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{CopyDim, CopySegment, StridedCopyParams};

use super::Operator;
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{Runs, TensorView, copy_runs, fill};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::StridedCopy as u16, check, eval, lead }
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

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let (head, segments) = params(node)?;
    if head.fill > 1 || node.outputs() == 0 {
        return Err(Fault::Parameters);
    }
    // No byte is copied twice: that bounds the time by the size of the outputs.
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
    // And none is left as it was in the arena.
    if head.fill == 0 {
        // Behind those that fill the outputs there are no others: they would exceed the budget.
        let mut left = segments;
        for position in 0..node.outputs() {
            left = fill_up(left, position as u32, node.output(position)?.bytes).ok_or(Fault::Unwritten)?;
        }
    }
    Ok(())
}

/// Walks the segments of an output, which copy each of its `bytes` bytes once, and gives those behind them; `None`
/// where they leave bytes out or are not in order.
///
/// Where a loop begins, the bytes up to its first step are filled by its own segment and those that follow, which
/// all have that loop; then the output goes on behind its last step:
/// ```text
///  |a a b b b|a a b b b|c c c c c|    a: 2 bytes, b: 3 bytes, two steps of 5 bytes; c: 5 bytes
/// ```
/// Segments come in the order of their first bytes, loops from the outermost on.
pub fn fill_up(segments: &[CopySegment], output: u32, bytes: u32) -> Option<&[CopySegment]> {
    // The loops that are open, and of each: where its first step ends, and its last one.
    let mut open = [CopyDim::default(); 5];
    let mut ends = [<(u32, u32)>::default(); 5];
    let (mut depth, mut at) = (0usize, 0u32);
    let mut rest = segments;
    while at != bytes {
        let (segment, behind) = rest.split_first()?;
        rest = behind;
        let mut level = 0;
        for dim in segment.dims.iter().filter(|dim| dim.count != 1) {
            let (step, all) = (dim.target_stride as u32, dim.count.checked_mul(dim.target_stride as u32)?);
            if level < depth {
                let own = open.get(level)?;
                if (own.count, own.target_stride) != (dim.count, dim.target_stride) {
                    return None;
                }
            } else {
                // A step of zero or of less ends before anything is copied, or beyond the output. A loop that ends
                // beyond the step around it, or beyond the output, is found there: places only grow.
                let end = at.checked_add(all)?;
                *open.get_mut(depth)? = *dim;
                *ends.get_mut(depth)? = (at.wrapping_add(step), end);
                depth += 1;
            }
            level += 1;
        }
        if segment.output != output || segment.target != at || level != depth {
            return None;
        }
        at = at.checked_add(segment.run)?;
        // Where the first step of a loop is full, the others are.
        while let Some(&(first, last)) = ends.get(depth.wrapping_sub(1))
            && at >= first
        {
            if at != first {
                return None;
            }
            at = last;
            depth -= 1;
        }
    }
    if depth == 0 { Some(rest) } else { None }
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

#[inline]
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

/// Copies one box of bytes, the longest of its loops innermost: in which order does not matter, as no byte is copied
/// twice and the output does not lie over the input. Runs of a loop that leads out of the input or the output are not
/// copied.
#[inline]
pub fn strided_copy(segment: &CopySegment, input: TensorView<'_, u8>, output: &[Cell<u8>]) {
    let [first, ..] = &segment.dims;
    let (mut longest, mut inner) = (0, first);
    for (index, dim) in segment.dims.iter().enumerate() {
        if dim.count > inner.count {
            (longest, inner) = (index, dim);
        }
    }
    let step = (inner.source_stride as isize, inner.target_stride as isize);
    let mut runs = Runs { count: inner.count as usize, bytes: segment.run as usize, first: (0, 0), step };
    let (mut from, mut to) = (segment.source as usize, segment.target as usize);
    let mut counts = [0u32; 5];
    'boxes: loop {
        runs.first = (from, to);
        copy_runs(input, output, &runs);
        // Counts like an odometer.
        for (index, (dim, count)) in segment.dims.iter().zip(&mut counts).enumerate().rev() {
            if index == longest || dim.count == 1 {
                continue;
            }
            *count = count.wrapping_add(1);
            from = from.wrapping_add(dim.source_stride as usize);
            to = to.wrapping_add(dim.target_stride as usize);
            if *count < dim.count {
                continue 'boxes;
            }
            from = from.wrapping_sub((dim.source_stride as usize).wrapping_mul(*count as usize));
            to = to.wrapping_sub((dim.target_stride as usize).wrapping_mul(*count as usize));
            *count = 0;
        }
        return;
    }
}

/// Any op of the operator, for tests. Boxes of bytes, of any element type.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use ferrolite_schema::DType;
    use std::format;
    use std::vec;

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let element = dtype.size() as u32;
    let (rows, columns, parts) = (dim(random, 5), element * dim(random, 5), dim(random, 3));
    let pattern = [(); 2].map(|_| random.next());
    let fill = u32::from(random.below(8) == 0);
    let box_of = |run: u32, dims: &[(u32, u32, u32)]| {
        let mut all = [CopyDim { count: 1, source_stride: 0, target_stride: 0 }; 5];
        for (dim, &(count, source, target)) in all.iter_mut().rev().zip(dims.iter().rev()) {
            *dim = CopyDim { count, source_stride: source as i32, target_stride: target as i32 };
        }
        CopySegment { run, dims: all, ..CopySegment::default() }
    };
    let bytes = rows * columns;
    let (mut inputs, mut outputs) = (vec![bytes], vec![bytes]);
    let segments = match random.below(5) {
        // All of it.
        0 | 1 => vec![box_of(bytes, &[])],
        // Rows become columns.
        2 => vec![box_of(element, &[(columns / element, element, rows * element), (rows, columns, element)])],
        // Rows side by side.
        3 => {
            inputs = vec![bytes; parts as usize];
            outputs = vec![bytes * parts];
            let part = |i: u32| {
                let part = box_of(columns, &[(rows, columns, columns * parts)]);
                CopySegment { input: i, target: i * columns, ..part }
            };
            (0..parts).map(part).collect()
        }
        // And back.
        _ => {
            inputs = vec![bytes * parts];
            outputs = vec![bytes; parts as usize];
            let part = |i: u32| {
                let part = box_of(columns, &[(rows, columns * parts, columns)]);
                CopySegment { output: i, source: i * columns, ..part }
            };
            (0..parts).map(part).collect()
        }
    };
    let p = StridedCopyParams { fill, pattern };
    let mut case = Case::of(OpCode::StridedCopy, &p, Constants::default());
    case.what = format!("{p:?} {segments:?}");
    case.params.extend_from_slice(bytemuck::cast_slice(&segments));
    for bytes in inputs {
        case = case.input(random, dtype, bytes);
    }
    outputs.into_iter().fold(case, |case, bytes| case.output(dtype, bytes))
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

    /// Sizes and places that would be small again, or within bounds, in 64 bits.
    #[test]
    fn segments_that_overflow_are_refused() {
        let most = u32::MAX;
        // The same byte over and over, (2^32 - 1)^3 times.
        assert_eq!(check_segment(&segment(1, 0, 0, &[(most, 0, 0); 3]), 6, 6), None);
        assert_eq!(check_segment(&segment(1, 0, 0, &[(most, 0, 0); 2]), 6, 6), Some(0xFFFF_FFFE_0000_0001));
        // Two loops, each of which nearly reaches 2^63 bytes down or up.
        for stride in [i32::MIN, i32::MAX] {
            assert_eq!(check_segment(&segment(1, 0, 0, &[(most, stride, 0); 2]), 6, 6), None);
            assert_eq!(check_segment(&segment(1, 0, 0, &[(most, 0, stride); 2]), 6, 6), None);
        }
    }

    /// How often each byte of an output is copied.
    fn copies(segments: &[CopySegment], bytes: u32) -> Vec<u32> {
        let mut copies = vec![0; bytes as usize];
        for segment in segments {
            let mut starts = vec![segment.target as i32];
            for dim in segment.dims {
                let steps =
                    |at: &i32| (0..dim.count as i32).map(|i| at + i * dim.target_stride).collect::<Vec<_>>();
                starts = starts.iter().flat_map(steps).collect();
            }
            for at in starts {
                for copies in copies.iter_mut().skip(at as usize).take(segment.run as usize) {
                    *copies += 1;
                }
            }
        }
        copies
    }

    /// Segments that fill the bytes from `at` on, by choices of which there are no more when they end.
    fn divide(at: u32, loops: usize, choices: &mut Vec<u32>, segments: &mut Vec<CopySegment>) -> u32 {
        let mut end = at;
        loop {
            let choice = choices.pop().unwrap_or(0);
            if choice % 3 == 2 && loops < 5 {
                let place = segments.len();
                let step = divide(end, loops + 1, choices, segments) - end;
                let count = 2 + choice / 3 % 2;
                for segment in &mut segments[place..] {
                    segment.dims[loops] = CopyDim { count, source_stride: 0, target_stride: step as i32 };
                }
                end += count * step;
            } else {
                segments.push(segment(1 + choice / 3 % 3, 0, end, &[]));
                end += 1 + choice / 3 % 3;
            }
            if choices.pop().unwrap_or(0).is_multiple_of(2) {
                return end;
            }
        }
    }

    #[test]
    fn outputs_are_copied_whole() {
        let rows = |columns: u32, target: u32| segment(columns, 0, target, &[(3, 0, 5)]);
        let (left, right, below) = (rows(2, 0), rows(3, 2), segment(5, 0, 15, &[]));
        let whole = [left, right, below];
        assert!(fill_up(&whole, 0, 20).is_some_and(|rest| rest.is_empty()));
        // The rest is of another output.
        let other = CopySegment { output: 1, ..below };
        assert_eq!(fill_up(&[left, right, other], 0, 15).map(|rest| rest.len()), Some(1));
        assert_eq!(fill_up(&[left, right, other], 0, 20), None);
        assert_eq!(fill_up(&whole, 1, 20), None);
        for (wrong, why) in [
            (&[left, right][..], "a row is left"),
            (&[left, below, right], "not in order"),
            (&[right, below], "columns are left"),
            (&[left, rows(2, 2), below], "a column is left"),
            (&[rows(3, 0), right, below], "a column is copied twice"),
            (&[left, segment(3, 0, 2, &[(2, 0, 5)]), below], "another number of rows"),
            (&[left, segment(3, 0, 2, &[(3, 0, 4)]), below], "other rows"),
            (&[left, segment(3, 0, 2, &[]), below], "one row"),
            (&[left, segment(1, 0, 2, &[(3, 0, 5), (3, 0, 0)]), below], "the same byte again"),
            (&[left, segment(1, 0, 4, &[(3, 0, 5), (3, 0, -1)]), below], "backwards"),
            (&[segment(20, 0, 0, &[(2, 0, 30)])], "a step beyond the end"),
            (&[segment(20, 0, 0, &[(2, 0, 20)])], "a loop beyond the end"),
            (&[segment(21, 0, 0, &[])], "a run beyond the end"),
            (&[segment(1, 0, 0, &[(4, 0, 5), (6, 0, 1)])], "a loop beyond the step around it"),
            (&whole[..0], "nothing"),
        ] {
            assert_eq!(fill_up(wrong, 0, 20), None, "{why}");
        }
    }

    /// Places that would be at the start again in 32 bits, whence the last segment fills four bytes.
    #[test]
    fn places_only_grow() {
        let last = segment(4, 0, 0, &[]);
        assert!(fill_up(&[last], 0, 4).is_some());
        let (half, quarter) = (1u32 << 31, 1 << 30);
        for (wrong, why) in [
            (&[segment(1 << 16, 0, 0, &[(1 << 16, 0, 1 << 16)]), last][..], "the size of a loop"),
            (
                &[segment(half, 0, 0, &[]), segment(quarter, 0, half, &[(2, 0, quarter as i32)]), last],
                "the end of a loop",
            ),
            (&[segment(half, 0, 0, &[]), segment(half, 0, half, &[]), last], "the end of a run"),
        ] {
            assert_eq!(fill_up(wrong, 0, 4), None, "{why}");
        }
    }

    proptest! {
        /// What is divided into loops and runs is whole; what is called whole has each byte once.
        #[test]
        fn whole_is_each_byte_once(
            mut choices in prop::collection::vec(0u32..30, 1..24),
            (place, field, value) in (0usize..8, 0usize..4, 0u32..12),
        ) {
            let mut segments = Vec::new();
            let bytes = divide(0, 0, &mut choices, &mut segments);
            prop_assert!(copies(&segments, bytes).iter().all(|&n| n == 1), "{:?}", segments);
            prop_assert!(fill_up(&segments, 0, bytes).is_some(), "{:?}", segments);
            let place = place % segments.len();
            let wrong = &mut segments[place];
            match field {
                0 => wrong.run = 1 + value,
                1 => wrong.target = value,
                2 => wrong.dims[value as usize % 5].count = 1 + value % 4,
                _ => wrong.dims[value as usize % 5].target_stride = value as i32 - 3,
            }
            if fill_up(&segments, 0, bytes).is_some_and(|rest| rest.is_empty()) {
                prop_assert!(copies(&segments, bytes).iter().all(|&n| n == 1), "{:?}", segments);
            }
        }

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
                // What is copied twice, which no op of the converter does, may be either.
                let (mut expected, mut found) = ([const { Vec::new() }; 16], [0u8; 16]);
                for &(a, b) in &offsets {
                    for k in 0..run_bytes as usize {
                        expected[b as usize + k].push(input[a as usize + k]);
                    }
                }
                run(&segment, &input, &mut found);
                for (found, expected) in found.iter().zip(&expected) {
                    let untouched = expected.is_empty() && *found == 0;
                    prop_assert!(untouched || expected.contains(found), "{} of {:?}", found, expected);
                }
            }
        }
    }
}
