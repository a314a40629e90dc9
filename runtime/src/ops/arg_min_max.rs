//! ARG_MAX and ARG_MIN: the index of the largest or smallest of some int8 elements, the first of them
//! where several are equal. Source followed: TFLM `reference/arg_min_max.h`.

use core::cell::Cell;

use ferrolite_schema::params::ArgMinMaxParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::Kernels;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, runs};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::ArgMinMax as u16, check, eval: eval::<K>, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ArgMinMaxParams = node.params()?;
    let outputs = p.outer.checked_mul(p.inner).ok_or(Fault::Parameters)?;
    let inputs = outputs.checked_mul(p.count).ok_or(Fault::Parameters)?;
    if inputs == 0 || p.largest > 1 {
        return Err(Fault::Parameters);
    }
    node.expect_operands(1, 1)?;
    node.expect_tensor(node.input(0)?, DType::Int8, inputs)?;
    let output = node.output(0)?;
    match output.dtype() {
        Some(dtype @ (DType::Int32 | DType::Int64)) => node.expect_tensor(output, dtype, outputs),
        _ => Err(Fault::Operands),
    }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let (Ok(p), Ok(output)) = (eval.node().params::<ArgMinMaxParams>(), eval.node().output(0)) else {
        return;
    };
    if output.dtype == DType::Int64 as u8 {
        arg_min_max::<K, i64>(p, eval.input(0), eval.output(0));
    } else {
        arg_min_max::<K, i32>(p, eval.input(0), eval.output(0));
    }
}

/// An element type that indices have.
pub trait Index: crate::tensor::Element + From<i32> {}
impl Index for i32 {}
impl Index for i64 {}

/// Finds the indices. `input` is `[outer, count, inner]`, `out` `[outer, inner]`.
pub fn arg_min_max<K: Kernels, I: Index>(p: &ArgMinMaxParams, input: &[Cell<i8>], out: &[Cell<I>]) {
    let inner = (p.inner as usize).max(1);
    let block = inner.wrapping_mul(p.count as usize).max(1);
    if inner == 1 && block < SHORT && !cfg!(kernels = "armv6m") {
        return short_rows(p.largest == 1, input, block, out);
    }
    let turn = if p.largest == 1 { 0 } else { -1 };
    for (input, out) in runs(input, block).zip(runs(out, inner)) {
        if let [out] = out {
            let run = TensorView::from_cells(input);
            out.set(position(run, K::extreme(run, p.largest == 1)).into());
            continue;
        }
        for (i, out) in out.iter().enumerate() {
            let column = TensorView::from_cells(input).every(i, inner, p.count as usize);
            out.set(first_largest(column, turn).into());
        }
    }
}

/// Elements of a row from which on kernels take less time.
const SHORT: usize = 24;

/// The places of the extremes of rows of so many elements.
#[inline(never)]
fn short_rows<I: Index>(largest: bool, input: &[Cell<i8>], count: usize, out: &[Cell<I>]) {
    let turn = if largest { 0 } else { -1 };
    for (row, out) in runs(input, count).zip(out) {
        out.set(first_largest(row.iter().map(Cell::get), turn).into());
    }
}

/// The place of the first of the largest elements, or, of their complements, the smallest ones.
#[inline(always)]
fn first_largest(elements: impl Iterator<Item = i8>, turn: i32) -> i32 {
    let mut best = (i32::MIN, 0i32);
    for (x, index) in elements.zip(0i32..) {
        let x = i32::from(x) ^ turn;
        best = if x > best.0 { (x, index) } else { best };
    }
    best.1
}

/// The index of the first element of a value, which is among them: four at a time.
#[inline(never)]
fn position(run: TensorView<'_, i8>, value: i8) -> i32 {
    const EACH: u32 = 0x0101_0101;
    let wanted = u32::from(value as u8).wrapping_mul(EACH);
    let is_there = |four: [i8; 4]| {
        if cfg!(any(kernels = "armv6m", kernels = "rv32im")) {
            // These read bytes one by one.
            return four.contains(&value);
        }
        // Only a byte that is zero, or above one, borrows.
        let word = u32::from_le_bytes(four.map(|x| x as u8)) ^ wanted;
        word.wrapping_sub(EACH) & !word & (EACH << 7) != 0
    };
    let at = run.arrays().take_while(|&four| !is_there(four)).count().wrapping_mul(4);
    let rest = run.range(at, 4).iter().take_while(|&x| x != value).count();
    at.wrapping_add(rest) as i32
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};

    let (outer, count, inner) = (dim(random, 4), dim(random, 40), dim(random, 4));
    let p = ArgMinMaxParams { outer, count, inner, largest: random.below(2) as u32 };
    let to = [DType::Int32, DType::Int64][random.below(2)];
    let case = Case::of(OpCode::ArgMinMax, &p, Constants::default());
    case.input(random, DType::Int8, outer * count * inner).output(to, outer * inner * to.size() as u32)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn first_of_equals() {
        let mut input = [-128i8, 127, 3, -128, 127, 3, 0, 0];
        for (largest, outer, count, inner, expected) in [
            (1, 1, 8, 1, &[1i64][..]),
            (0, 1, 8, 1, &[0]),
            (1, 2, 4, 1, &[1, 0]),
            (1, 1, 2, 4, &[1, 0, 0, 1]),
            (0, 2, 2, 2, &[0, 1, 1, 1]),
        ] {
            let mut out = [9i64; 4];
            let cells = Cell::from_mut(&mut out[..expected.len()]).as_slice_of_cells();
            let p = ArgMinMaxParams { outer, count, inner, largest };
            arg_min_max::<crate::kernels::Portable, _>(
                &p,
                Cell::from_mut(&mut input[..]).as_slice_of_cells(),
                cells,
            );
            assert_eq!(&out[..expected.len()], expected, "{p:?}");
        }
    }

    proptest! {
        /// Of short rows and long ones, and along any dimension.
        #[test]
        fn places_are_those_of_the_first_extremes(
            (outer, count, inner) in (1usize..4, 1usize..40, 1usize..4),
            seed: u32,
            (few, largest) in any::<(bool, bool)>(),
        ) {
            let mut state = seed;
            let mut x: Vec<i8> = (0..outer * count * inner)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as i8 / if few { 60 } else { 1 }
                })
                .collect();
            let mut out = vec![0i32; outer * inner];
            let sizes = [outer, count, inner].map(|n| n as u32);
            let p = ArgMinMaxParams { outer: sizes[0], count: sizes[1], inner: sizes[2], largest: largest.into() };
            let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
            arg_min_max::<crate::kernels::Portable, _>(&p, cells, Cell::from_mut(&mut out[..]).as_slice_of_cells());
            for (at, &out) in out.iter().enumerate() {
                let column = |k: usize| x[(at / inner * count + k) * inner + at % inner];
                let key = |k: &usize| (if largest { -i32::from(column(*k)) } else { column(*k).into() }, *k);
                prop_assert_eq!(Some(out as usize), (0..count).min_by_key(key));
            }
        }
    }
}
