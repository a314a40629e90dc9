//! SELECT, SELECT_V2: elements of one tensor or of another, as truth values say.
//!
//! ```text
//! out[i] = condition[i] ? x[i] : y[i]       each operand is repeated along the dimensions in which it has 1
//! ```
//! Bytes are moved, whatever they stand for, in runs for which one truth value chooses. Sources followed: TFLM
//! `kernels/select.cc`, TFLite `reference/select.h`.

use core::cell::Cell;

use ferrolite_schema::params::SelectParams;
use ferrolite_schema::{DType, OpCode};

use super::Operator;
use super::broadcast::lead;
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, copy_run, runs};

/// The operator.
pub const fn operator() -> Operator {
    // Each run is read before it is written, its condition, too.
    Operator { code: OpCode::Select as u16, check, eval, lead }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SelectParams = node.params()?;
    node.expect_operands(3, 1)?;
    let runs = |mask: u32| {
        let kept = p.dims.iter().zip(0u32..).filter(|(_, axis)| mask.wrapping_shr(*axis) & 1 == 0);
        kept.map(|(&dim, _)| dim).try_fold(1u32, u32::checked_mul).ok_or(Fault::Parameters)
    };
    let bytes = |mask: u32| runs(mask)?.checked_mul(p.run).ok_or(Fault::Parameters);
    let [of_condition, of_x, of_y] = p.repeat;
    let [condition, x, y] = [node.input(0)?, node.input(1)?, node.input(2)?];
    let output = node.output(0)?;
    if bytes(0)? == 0 {
        return Err(Fault::Parameters);
    }
    let one_type = x.dtype == output.dtype && y.dtype == output.dtype;
    if condition.dtype != DType::Bool as u8 || !one_type || !output.in_arena() {
        return Err(Fault::Operands);
    }
    let sizes = [bytes(0)?, runs(of_condition)?, bytes(of_x)?, bytes(of_y)?];
    if sizes != [output.bytes, condition.bytes, x.bytes, y.bytes] {
        return Err(Fault::Sizes);
    }
    [condition, x, y].into_iter().try_for_each(|operand| node.expect_known::<u8>(operand))
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        select(p, eval.view(0), eval.view(1), eval.view(2), eval.output(0));
    }
}

/// One dimension: where the walk stands in it, and how far each operand moves, in runs.
struct Axis {
    dim: u32,
    at: u32,
    steps: [usize; 3],
}

/// Chooses all runs. Shapes of the operands, seen as bytes, and of `out` are those of `p`; any byte but 0 is true.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn select(
    p: &SelectParams,
    condition: TensorView<'_, u8>,
    x: TensorView<'_, u8>,
    y: TensorView<'_, u8>,
    out: &[Cell<u8>],
) {
    let mut axes = p.dims.map(|dim| Axis { dim, at: 0, steps: [0; 3] });
    let mut sizes = [1usize; 3];
    for (number, axis) in (0u32..6).zip(&mut axes).rev() {
        for ((step, size), mask) in axis.steps.iter_mut().zip(&mut sizes).zip(p.repeat) {
            if mask.wrapping_shr(number) & 1 == 0 {
                *step = *size;
                *size = size.wrapping_mul(axis.dim as usize);
            }
        }
    }
    // The innermost dimension that is one.
    let last = p.dims.iter().rposition(|&dim| dim != 1).unwrap_or(0);
    let Some((inner, outer)) = axes.get_mut(..=last).and_then(|axes| axes.split_last_mut()) else { return };
    let (run, count) = (p.run as usize, inner.dim as usize);
    let row = run.wrapping_mul(count);
    let mut places = [0usize; 3];
    for out in runs(out, row) {
        // What the row has of an operand, one element or as many as there are.
        let [of_condition, of_x, of_y] = places;
        let part =
            |step: usize, all: usize| if step == 0 { all.checked_div(count).unwrap_or(0) } else { all };
        let [step, step_x, step_y] = inner.steps;
        let condition = condition.range(of_condition, part(step, count));
        let x = x.range(of_x.wrapping_mul(run), part(step_x, row));
        let y = y.range(of_y.wrapping_mul(run), part(step_y, row));
        // A Cortex-M0 has little flash.
        if run == 1 && !cfg!(kernels = "armv6m") {
            bytes(condition, x, y, out)
        } else {
            choose(run, condition, x, y, out)
        }
        // Counts like an odometer, the innermost dimension first.
        for axis in outer.iter_mut().rev() {
            axis.at = axis.at.wrapping_add(1);
            let ends = axis.at >= axis.dim;
            for (place, step) in places.iter_mut().zip(axis.steps) {
                *place = place.wrapping_add(step);
                if ends {
                    *place = place.wrapping_sub(step.wrapping_mul(axis.at as usize));
                }
            }
            if !ends {
                break;
            }
            axis.at = 0;
        }
    }
}

/// Chooses the runs of a row. Operands have as many as the row, or one.
#[cfg_attr(kernels = "armv6m", inline)]
#[cfg_attr(not(kernels = "armv6m"), inline(never))]
fn choose(
    run: usize,
    condition: TensorView<'_, u8>,
    x: TensorView<'_, u8>,
    y: TensorView<'_, u8>,
    out: &[Cell<u8>],
) {
    let step = |x: TensorView<'_, u8>, all: usize, step: usize| if x.len() == all { step } else { 0 };
    let (step_x, step_y) = (step(x, out.len(), run), step(y, out.len(), run));
    // One truth value for several runs is the same as one for each.
    let step = if condition.len() == 1 { 0 } else { 1 };
    let (mut at, mut of_x, mut of_y) = (0usize, 0usize, 0usize);
    for target in runs(out, run) {
        let (values, first) = if condition.at(at) != 0 { (x, of_x) } else { (y, of_y) };
        match (values.array::<4>(first), target) {
            // What elements of 32 bits, and pixels, often are.
            (Some(four), [a, b, c, d]) => {
                [a, b, c, d].into_iter().zip(four).for_each(|(cell, x)| cell.set(x))
            }
            _ => copy_run(values.range(first, run), target),
        }
        (at, of_x, of_y) = (at.wrapping_add(step), of_x.wrapping_add(step_x), of_y.wrapping_add(step_y));
    }
}

/// The same for runs of one byte, four of them at a time: they are read before they are written.
#[inline(never)]
fn bytes(condition: TensorView<'_, u8>, x: TensorView<'_, u8>, y: TensorView<'_, u8>, out: &[Cell<u8>]) {
    const LOW: u32 = 0x7F7F_7F7F;
    let (words, rest) = out.as_chunks::<4>();
    let operands = [condition, x, y];
    let copies = operands.map(|view| [view.at(0); 4]);
    // One element is read over and over.
    let word = |number: usize| {
        let (view, copy) = (operands[number], TensorView::from_slice(&copies[number]));
        let (view, step) = if view.len() < 4 { (copy, 0) } else { (view, 1) };
        view.groups::<4>(0, step, words.len()).map(u32::from_le_bytes)
    };
    for (((target, truth), x), y) in words.iter().zip(word(0)).zip(word(1)).zip(word(2)) {
        // The upper bit of each byte that is not 0, and all others of it: 128 less 1 for each of them.
        let upper = (((truth & LOW).wrapping_add(LOW)) | truth) & !LOW;
        let mask = upper.wrapping_sub(upper >> 7) | upper;
        let chosen = (y ^ ((x ^ y) & mask)).to_le_bytes();
        target.iter().zip(chosen).for_each(|(cell, byte)| cell.set(byte));
    }
    let mut at = out.len().wrapping_sub(rest.len());
    for cell in rest {
        let byte = |view: TensorView<'_, u8>| view.at(if view.len() == 1 { 0 } else { at });
        cell.set(if byte(condition) != 0 { byte(x) } else { byte(y) });
        at = at.wrapping_add(1);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, dim};
    use ferrolite_schema::Storage;

    let (shape, output, [of_x, of_y]) = broadcast(random);
    let any = [0, random.next() & 63][random.below(2)];
    let kept = shape.dims.iter().enumerate().filter(|(axis, _)| any >> axis & 1 == 0);
    let of_condition: u32 = kept.map(|(_, &dim)| dim).product();
    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let run = dim(random, 3) * dtype.size() as u32;
    let p = SelectParams { dims: shape.dims, repeat: [any, shape.repeat_a, shape.repeat_b], run };
    let case = Case::of(OpCode::Select, &p, Constants::default()).input(random, DType::Bool, of_condition);
    let mut case = case.input(random, dtype, run * of_x).input(random, dtype, run * of_y);
    for byte in &mut case.inputs[0].data {
        *byte = random.below(2) as u8;
    }
    if let Some(operand) = case.inputs.get_mut(random.below(5)) {
        operand.storage = Storage::Constant;
    }
    case.output(dtype, run * output)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn selected<const N: usize>(p: &SelectParams, condition: &[u8], x: &[u8], y: &[u8]) -> [u8; N] {
        let mut out = [99u8; N];
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        let [condition, x, y] = [condition, x, y].map(TensorView::from_slice);
        select(p, condition, x, y, cells);
        out
    }

    #[test]
    fn each_operand_repeats_where_it_has_one_element() {
        let p = SelectParams { dims: [1, 1, 1, 1, 2, 3], repeat: [0, 0b11_0000, 0b01_0000], run: 1 };
        assert_eq!(selected(&p, &[1, 0, 0, 0, 255, 0], &[9], &[1, 2, 3]), [9, 2, 3, 1, 9, 3]);
        let p = SelectParams { dims: [1, 1, 1, 1, 2, 3], repeat: [0b10_0000, 0, 0b11_0000], run: 1 };
        assert_eq!(selected(&p, &[0, 1], &[1, 2, 3, 4, 5, 6], &[9]), [9, 9, 9, 4, 5, 6]);
    }

    #[test]
    fn runs_of_bytes() {
        let p = SelectParams { dims: [1, 1, 1, 1, 1, 2], repeat: [0, 0, 0], run: 2 };
        assert_eq!(selected(&p, &[0, 1], &[1, 2, 3, 4], &[5, 6, 7, 8]), [5, 6, 3, 4]);
    }

    proptest! {
        /// Any shapes, by the places that indices name.
        #[test]
        fn choices_are_those_of_the_definition(
            dims in prop::array::uniform3(prop_oneof![1u32..4, 1u32..20]),
            repeat in prop::array::uniform3(0u32..8),
            (run, seed) in (1u32..6, any::<u32>()),
        ) {
            let all = [1, 1, 1, dims[0], dims[1], dims[2]];
            let repeat = repeat.map(|mask| mask << 3);
            let p = SelectParams { dims: all, repeat, run };
            let place = |mask: u32, mut index: usize| {
                let (mut place, mut size) = (0, 1);
                for axis in (0..6).rev() {
                    let (digit, dim) = (index % all[axis] as usize, all[axis] as usize);
                    index /= dim;
                    if mask >> axis & 1 == 0 {
                        place += digit * size;
                        size *= dim;
                    }
                }
                (place, size)
            };
            let mut state = seed;
            let mut bytes = |count: usize, mask: u8| -> Vec<u8> {
                (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8 & mask
                    })
                    .collect()
            };
            let [sizes, run] = [repeat.map(|mask| place(mask, 0).1), [run as usize; 3]];
            let condition = bytes(sizes[0], [1, 0x81, 0x80][seed as usize % 3]);
            let (x, y) = (bytes(sizes[1] * run[0], 255), bytes(sizes[2] * run[0], 255));
            let total = all.iter().product::<u32>() as usize;
            let mut out = vec![0u8; total * run[0]];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            let [of_condition, of_x, of_y] = [&condition, &x, &y].map(|x| TensorView::from_slice(x));
            select(&p, of_condition, of_x, of_y, cells);
            for (index, out) in out.chunks(run[0]).enumerate() {
                let (from, mask) = if condition[place(repeat[0], index).0] != 0 { (&x, 1) } else { (&y, 2) };
                let at = place(repeat[mask], index).0 * run[0];
                prop_assert_eq!(out, &from[at..at + run[0]]);
            }
        }
    }
}
