//! Broadcasting: how the elements of two operands meet, for all operators of two operands.
//!
//! The converter has merged neighbouring dimensions that behave alike, so that most networks need
//! one run (equal shapes, a scalar) or one run per pixel (a vector of channels):
//!
//! ```text
//!  out [8, 8, 16] = a [8, 8, 16] op b [16]    dims [1, 1, 1, 1, 64, 16], b repeated along 64
//! ```

use core::cell::Cell;

use ferrolite_schema::params::Broadcast;
use ferrolite_schema::{DType, Tensor};

use crate::error::Fault;
use crate::kernels::{COPIES_OF_SHORT_RUNS, cycles};
use crate::node::Node;
use crate::tensor::{Element, TensorView, copy_short, fill_short, runs as tensor_runs, zip_with};

fn is_repeated(mask: u32, axis: u32) -> bool {
    mask & 1u32.wrapping_shl(axis) != 0
}

/// Elements of the output and of both operands, or a fault where dimensions are zero, too large, or
/// repeated on both sides.
#[inline]
pub fn elements(shape: &Broadcast) -> Result<[u32; 3], Fault> {
    // One by one: as an array they would lie in memory, and this runs for every such op at start.
    let (mut total, mut of_a, mut of_b) = (1u32, 1u32, 1u32);
    for (axis, &dim) in (0..).zip(&shape.dims) {
        // Most are, and change nothing.
        if dim == 1 {
            continue;
        }
        let (in_a, in_b) = (!is_repeated(shape.repeat_a, axis), !is_repeated(shape.repeat_b, axis));
        let times = |size: u32| size.checked_mul(dim).ok_or(Fault::Parameters);
        if dim == 0 || !(in_a || in_b) {
            return Err(Fault::Parameters);
        }
        total = times(total)?;
        // None is larger than the whole.
        if in_a {
            of_a = of_a.wrapping_mul(dim);
        }
        if in_b {
            of_b = of_b.wrapping_mul(dim);
        }
    }
    Ok([total, of_a, of_b])
}

/// Checks an int8 operand, in the arena or constant.
#[inline]
pub fn expect_operand(tensor: &Tensor, elements: Option<u32>) -> Result<(), Fault> {
    if tensor.dtype != DType::Int8 as u8 {
        return Err(Fault::Operands);
    }
    if elements == Some(tensor.bytes) { Ok(()) } else { Err(Fault::Sizes) }
}

/// Checks the operands of an op of two int8 inputs, in the arena or constant, and one int8 output.
#[inline]
pub fn check(node: &Node<'_>, shape: &Broadcast) -> Result<(), Fault> {
    let [a, b, out] = node.two_to_one()?;
    let [total, of_a, of_b] = elements(shape)?;
    expect_operand(a, Some(of_a))?;
    expect_operand(b, Some(of_b))?;
    node.expect_tensor(out, DType::Int8, total)
}

/// The lead of an op of two operands: element by element in place over an operand of the output's
/// own size; never over one that is repeated, since its elements are read again later.
#[inline]
pub fn lead(node: &Node<'_>, position: usize) -> Option<u32> {
    let (input, output) = (node.input(position).ok()?, node.output(0).ok()?);
    (input.bytes == output.bytes).then_some(0)
}

/// One dimension: where the walk stands in it, and how far each operand moves.
struct Axis {
    dim: u32,
    at: u32,
    step_a: usize,
    step_b: usize,
}

/// All dimensions of a shape, at their starts.
fn axes(shape: &Broadcast) -> [Axis; 6] {
    let mut axes = shape.dims.map(|dim| Axis { dim, at: 0, step_a: 0, step_b: 0 });
    let (mut size_a, mut size_b) = (1usize, 1usize);
    for (index, axis) in (0..6).zip(&mut axes).rev() {
        if !is_repeated(shape.repeat_a, index) {
            axis.step_a = size_a;
            size_a = size_a.wrapping_mul(axis.dim as usize);
        }
        if !is_repeated(shape.repeat_b, index) {
            axis.step_b = size_b;
            size_b = size_b.wrapping_mul(axis.dim as usize);
        }
    }
    axes
}

/// Visits all positions in order, the last dimension fastest, with the index in each operand.
fn walk(axes: &mut [Axis; 6], mut visit: impl FnMut(usize, usize)) {
    let (mut at_a, mut at_b) = (0usize, 0usize);
    'positions: loop {
        visit(at_a, at_b);
        for axis in axes.iter_mut().rev() {
            axis.at = axis.at.wrapping_add(1);
            at_a = at_a.wrapping_add(axis.step_a);
            at_b = at_b.wrapping_add(axis.step_b);
            if axis.at < axis.dim {
                continue 'positions;
            }
            at_a = at_a.wrapping_sub(axis.step_a.wrapping_mul(axis.at as usize));
            at_b = at_b.wrapping_sub(axis.step_b.wrapping_mul(axis.at as usize));
            axis.at = 0;
        }
        return;
    }
}

/// Visits all positions of the output in order, with the index in each operand.
pub fn positions(shape: &Broadcast, visit: impl FnMut(usize, usize)) {
    walk(&mut axes(shape), visit);
}

/// Elements of the output that lie side by side, and where they are in the operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The first element of each operand.
    pub first: [usize; 2],
    /// How far it is to the next, 0 or 1.
    pub step: [usize; 2],
    /// How many.
    pub count: usize,
}

/// Visits the rows of the output in order.
pub(super) fn rows(shape: &Broadcast, mut visit: impl FnMut(Row)) {
    let mut axes = axes(shape);
    let [.., inner] = &mut axes;
    let (count, step) = (inner.dim as usize, [inner.step_a, inner.step_b]);
    inner.dim = 1;
    walk(&mut axes, |at_a, at_b| visit(Row { first: [at_a, at_b], step, count }));
}

/// `out[i] = f(a[i], b[i])` for all elements, in order: an operand's element is read before any behind it is written.
#[inline(always)]
pub(super) fn each<T: Copies, O: Element>(
    shape: &Broadcast,
    a: TensorView<'_, T>,
    b: TensorView<'_, T>,
    out: &[Cell<O>],
    mut f: impl FnMut(T, T) -> O + Copy,
) {
    // A Cortex-M0 has little flash.
    if cfg!(kernels = "armv6m") {
        let mut places = out.iter();
        return positions(shape, |at_a, at_b| {
            if let Some(place) = places.next() {
                place.set(f(a.at(at_a), b.at(at_b)));
            }
        });
    }
    runs(shape, a, b, out, |a, b, out| pairs(a, b, out, f));
}

/// A run. A function of its own: compiled into the walk over all runs, registers did not suffice. What `f` knows is its
/// own, too: what is written could be what it refers to.
#[inline(never)]
fn pairs<T: Element, O: Element>(
    a: TensorView<'_, T>,
    b: TensorView<'_, T>,
    out: &[Cell<O>],
    mut f: impl FnMut(T, T) -> O + Copy,
) {
    cycles(a, b, out, |a, b, out| zip_with(a, b, out, &mut f));
}

/// Elements that a short operand is repeated to.
const REPEATED: usize = 128;

/// Elements of operands that are repeated. The functions are not generic, so that they are compiled once, for speed.
pub trait Copies: Element {
    /// Makes a run of copies of each element; how many elements that are.
    fn spread(x: TensorView<'_, Self>, run: usize, copies: &[Cell<Self>]) -> usize;

    /// Copies a short operand side by side to `place`, up to a run and in whole copies, if the run is longer; how many
    /// elements that are.
    fn repeat(x: TensorView<'_, Self>, run: usize, place: &[Cell<Self>]) -> usize;
}

impl Copies for i8 {
    fn spread(x: TensorView<'_, i8>, run: usize, copies: &[Cell<i8>]) -> usize {
        spread(x, run, copies)
    }

    fn repeat(x: TensorView<'_, i8>, run: usize, place: &[Cell<i8>]) -> usize {
        repeat(x, run, place)
    }
}

impl Copies for i16 {
    #[inline(never)]
    fn spread(x: TensorView<'_, i16>, run: usize, copies: &[Cell<i16>]) -> usize {
        tensor_runs(copies, run)
            .zip(x.iter())
            .for_each(|(place, x)| place.iter().for_each(|cell| cell.set(x)));
        x.len().wrapping_mul(run)
    }

    #[inline(never)]
    fn repeat(x: TensorView<'_, i16>, run: usize, place: &[Cell<i16>]) -> usize {
        if x.len() > REPEATED / 2 || x.len() >= run || x.is_empty() {
            return 0;
        }
        let copies = tensor_runs(place.get(..run).unwrap_or(place), x.len());
        copies.map(|copy| copy.iter().zip(x.iter()).map(|(cell, x)| cell.set(x)).count()).sum()
    }
}

/// Walks the output in runs and hands `kernel` the elements of both operands that belong to a run: as many as the run
/// has, or fewer, which are then repeated over and over. A run is the innermost dimension, or the two innermost ones
/// where an operand repeats along the outer of them:
/// ```text
/// [8, 8, 16] + [16]    one run of 1024 elements, b repeated 64 times
/// ```
/// What is shorter than half of `REPEATED` comes as some copies side by side, so that kernels have vectors to work on.
/// Where one operand has an element for each run and the other one is as large as the output, some runs come at once, as
/// there is room for copies: `[8, 8, 16] * [8, 8, 1]` is eight times 128 elements.
pub fn runs<T: Copies, O: Element>(
    shape: &Broadcast,
    a: TensorView<'_, T>,
    b: TensorView<'_, T>,
    out: &[Cell<O>],
    mut kernel: impl FnMut(TensorView<'_, T>, TensorView<'_, T>, &[Cell<O>]),
) {
    let mut axes = axes(shape);
    let [.., outer, inner] = &mut axes;
    let mut run = inner.dim.max(1) as usize;
    let len = |step: usize| if step == 0 { 1 } else { run };
    let (mut len_a, mut len_b) = (len(inner.step_a), len(inner.step_b));
    if len_a == len_b && outer.step_a.min(outer.step_b) == 0 {
        // The kernel walks both dimensions.
        run = run.wrapping_mul(outer.dim as usize);
        len_a = if outer.step_a == 0 { len_a } else { run };
        len_b = if outer.step_b == 0 { len_b } else { run };
        outer.dim = 1;
    }
    inner.dim = 1;
    // At most one of the operands is shorter than a run.
    let of_a = len_a < run;
    let (short, mut len, other) = if of_a { (a, len_a, b) } else { (b, len_b, a) };
    let each = len == 1 && run > 1 && short.len().wrapping_mul(run) == out.len() && other.len() == out.len();
    let mut many = run;
    if each {
        // Twice as many runs, as long as there is room.
        let mut groups = short.len();
        while many <= REPEATED / 2 {
            (many, len) = (many.wrapping_mul(2), len.wrapping_mul(2));
            groups = groups.wrapping_add(1) >> 1;
        }
        let (step_a, step_b) = if of_a { (len, many) } else { (many, len) };
        axes.iter_mut().for_each(|axis| axis.dim = 1);
        let [first, ..] = &mut axes;
        *first = Axis { dim: groups as u32, at: 0, step_a, step_b };
    }
    let copies = [(); REPEATED].map(|()| Cell::new(T::zeroed()));
    let mut rest = out;
    walk(&mut axes, |at_a, at_b| {
        let (out, behind) = rest.split_at_checked(many).unwrap_or((rest, &[]));
        let few = short.range(if of_a { at_a } else { at_b }, len);
        let copied = if each && run <= REPEATED / 2 {
            T::spread(few, run, &copies)
        } else {
            T::repeat(few, run, &copies)
        };
        let few = if copied == 0 { few } else { TensorView::from_cells(&copies).range(0, copied) };
        let (x, y) = (a.range(at_a, out.len()), b.range(at_b, out.len()));
        kernel(if of_a { few } else { x }, if of_a { y } else { few }, out);
        rest = behind;
    });
}

/// Makes a run of copies of each element; how many bytes that are.
#[inline(never)]
fn spread(x: TensorView<'_, i8>, run: usize, copies: &[Cell<i8>]) -> usize {
    for (place, x) in tensor_runs(copies, run).zip(x.iter()) {
        let (words, rest) = place.as_chunks::<4>();
        // A product is no value that the compiler sees `memset` in.
        let bytes = u32::from(x as u8).wrapping_mul(0x0101_0101).to_le_bytes();
        for word in words {
            word.iter().zip(bytes).for_each(|(place, x)| place.set(x as i8));
        }
        rest.iter().for_each(|place| place.set(x));
    }
    x.len().wrapping_mul(run)
}

/// Copies a short operand side by side to `place`, up to a run and in whole copies, if the run is longer; how many bytes
/// that are. A short run is worth few copies on some cores.
#[inline(never)]
fn repeat(x: TensorView<'_, i8>, run: usize, place: &[Cell<i8>]) -> usize {
    let len = x.len();
    let most = if run <= REPEATED { COPIES_OF_SHORT_RUNS } else { REPEATED };
    if len > most / 2 || len >= run || len == 0 {
        return 0;
    }
    let place = place.get(..run.min(most)).unwrap_or(place);
    if len == 1 {
        fill_short(place, x.at(0));
        return place.len();
    }
    place.iter().zip(x.iter()).for_each(|(place, x)| place.set(x));
    let mut filled = len;
    while let Some((done, more)) = place.split_at_checked(filled) {
        let step = if more.len() < filled { len } else { filled };
        let Some(more) = more.get(..step) else { break };
        copy_short(done, more);
        filled = filled.wrapping_add(step);
    }
    filled
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Whether each element of the output meets the elements that its index names, found by dividing it.
    fn check_runs(dims: [u32; 6], repeat_a: u32, repeat_b: u32) -> Result<(), TestCaseError> {
        let shape = Broadcast { dims, repeat_a, repeat_b };
        let total: u32 = dims.iter().product();
        let index_of = |mask: u32, mut index: u32| {
            let (mut place, mut size) = (0, 1);
            for axis in (0..6).rev() {
                let (digit, dim) = (index % dims[axis], dims[axis]);
                index /= dim;
                if mask & (1 << axis) == 0 {
                    place += digit * size;
                    size *= dim;
                }
            }
            (place, size)
        };
        let numbers = |mask: u32| -> Vec<i8> { (0..index_of(mask, 0).1).map(|i| i as i8).collect() };
        let (a, b) = (numbers(repeat_a), numbers(repeat_b));
        let mut seen = vec![0i8; total as usize];
        let cells = Cell::from_mut(&mut seen[..]).as_slice_of_cells();
        runs(&shape, TensorView::from_slice(&a), TensorView::from_slice(&b), cells, |a, b, out| {
            for (i, out) in out.iter().enumerate() {
                let pick = |x: TensorView<'_, i8>| x.at(i % x.len());
                out.set(pick(a).wrapping_mul(3).wrapping_sub(pick(b)));
            }
        });
        for index in 0..total {
            let (a, b) = (index_of(repeat_a, index).0, index_of(repeat_b, index).0);
            prop_assert_eq!(seen[index as usize], (a as i8).wrapping_mul(3).wrapping_sub(b as i8));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn runs_pair_the_right_elements(
            dims in prop::array::uniform6(prop_oneof![1u32..4, 1u32..2, 1u32..40]),
            repeat_a in 0u32..64,
            other in 0u32..64,
        ) {
            check_runs(dims, repeat_a, other & !repeat_a)?;
        }

        /// An element for each run, or for each column.
        #[test]
        fn runs_of_two_dimensions_pair_the_right_elements(
            (outer, inner) in (1u32..60, 1u32..150),
            axis in 4u32..6,
            of_a: bool,
        ) {
            let mask = 1 << axis;
            check_runs([1, 1, 1, 1, outer, inner], if of_a { mask } else { 0 }, if of_a { 0 } else { mask })?;
        }
    }
}
