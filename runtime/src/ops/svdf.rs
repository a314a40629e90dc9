//! SVDF: a dense layer over the latest inputs of a stream, as a sum of products of one factor over features and one over
//! time. From int8 to int8, with a state of int8.
//!
//! ```text
//! p[f] = clamp(scale(sum over k of (x[k] - zero point) * feature[f, k]))      of each filter, once for each input
//! y[u] = stage(sum over the filters f of unit u, over t of p[f, t] * time[f, t])
//! ```
//! The latest numbers `p` of each filter are its state, which is kept from one inference to the next, the oldest first.
//! Source followed: TFLM `kernels/svdf_common.cc`.

use core::cell::Cell;

use ferrolite_schema::params::SvdfParams;
use ferrolite_schema::{DType, OpCode};

use super::recurrent::{Product, check_gates};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{Kernels, Stage};
use crate::node::{Eval, Node, check_int8};
use crate::tensor::{Element, cells_of, runs};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Svdf as u16, check: check_as::<i8>, eval: eval_as::<i8, K>, lead: no_overlap }
}

/// Bytes of scratch memory that an op needs: a number for each filter.
pub fn scratch_bytes(p: &SvdfParams) -> Option<u32> {
    p.units.checked_mul(p.rank)?.checked_mul(2)
}

/// A number that a filter keeps.
pub(super) trait Remembered: Element + Into<i32> {
    /// What is kept of a sum of int16.
    fn of(sum: i16, zero_point: i32) -> Self;

    /// Takes one number for each filter into its line, and makes the outputs. Functions of their own, so that they are
    /// compiled for speed.
    fn advance(layer: &Time<'_, Self>, sums: &[Cell<i16>], state: &[Cell<Self>], out: &[Cell<i8>]);
}

impl Remembered for i8 {
    #[inline(always)]
    fn of(sum: i16, zero_point: i32) -> i8 {
        // The zero point is added after the clamp, in eight bits, as TFLM does.
        i32::from(sum.clamp(-128, 127)).wrapping_add(zero_point) as i8
    }

    #[inline(never)]
    fn advance(layer: &Time<'_, i8>, sums: &[Cell<i16>], state: &[Cell<i8>], out: &[Cell<i8>]) {
        layer.advance(sums, state, out);
    }
}

pub(super) fn check_as<T: Remembered>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &SvdfParams = node.params()?;
    let product = |a: u32, b: u32| a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters);
    let filters = product(p.units, p.rank)?;
    let elements = product(filters, p.memory)?;
    check_gates(node, &p.feature, filters, p.features)?;
    node.expect_constants::<T>(p.time, elements)?;
    node.expect_stage(&p.stage, p.units)?;
    check_int8(p.stage.zero_point)?;
    check_int8(p.state_zero_point)?;
    node.expect_operands(2, 1)?;
    node.expect_tensor(node.input(0)?, DType::Int8, product(p.batches, p.features)?)?;
    node.expect_tensor(node.output(0)?, DType::Int8, product(p.batches, p.units)?)?;
    let state = product(p.batches, elements)?.checked_mul(size_of::<T>() as u32).ok_or(Fault::Sizes)?;
    node.expect_state(1, state)?;
    if node.input(1)?.dtype != T::DTYPE as u8 {
        return Err(Fault::Operands);
    }
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
}

pub(super) fn eval_as<T: Remembered, K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<SvdfParams>() else { return };
    let filters = p.units.wrapping_mul(p.rank);
    let Some(feature) = Product::of(node, &p.feature, filters, p.features) else { return };
    let Ok(weights) = node.constants::<T>(p.time, filters.wrapping_mul(p.memory)) else { return };
    let Ok(stage) = node.stage(&p.stage, p.units) else { return };
    let time = Time {
        rank: p.rank as usize,
        memory: p.memory as usize,
        zero_point: p.state_zero_point,
        weights,
        stage,
    };
    run::<T, K>(&feature, &time, eval.input(0), eval.input(1), eval.scratch(), eval.output(0));
}

/// The part of a layer that reads what was before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time<'a, T> {
    /// Filters of a unit.
    rank: usize,
    /// Numbers that a filter keeps, the newest among them.
    memory: usize,
    /// What stands for zero there.
    zero_point: i32,
    /// `[filters, memory]`.
    weights: &'a [T],
    /// From sums to outputs.
    stage: Stage<'a>,
}

/// Computes the next output of each stream. `input` is `[batches, features]`, `state` `[batches, filters, memory]`, `out`
/// `[batches, units]`; `scratch` has [`scratch_bytes`].
fn run<T: Remembered, K: Kernels>(
    feature: &Product<'_>,
    time: &Time<'_, T>,
    input: &[Cell<i8>],
    state: &[Cell<T>],
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let shape = &feature.weights.shape;
    let filters = shape.channels as usize;
    let Some(sums) = scratch.get(..filters.wrapping_mul(2)).and_then(cells_of) else { return };
    let units = time.stage.bias.len();
    let streams = runs(state, time.weights.len()).zip(runs(out, units));
    for (input, (state, out)) in runs(input, shape.line as usize).zip(streams) {
        feature.apply::<K>(input, sums);
        T::advance(time, sums, state, out);
    }
}

impl<T: Remembered> Time<'_, T> {
    #[inline(always)]
    pub(super) fn advance(&self, sums: &[Cell<i16>], state: &[Cell<T>], out: &[Cell<i8>]) {
        let lines = runs(state, self.memory).zip(self.weights.chunks_exact(self.memory.max(1)));
        let mut filters = sums.iter().zip(lines);
        for (unit, out) in out.iter().enumerate() {
            let (mut acc, multiplier) = self.stage.channel(unit);
            for (sum, (line, weights)) in filters.by_ref().take(self.rank) {
                acc = acc.wrapping_add(next(line, weights, T::of(sum.get(), self.zero_point)));
            }
            out.set(self.stage.apply(acc, multiplier));
        }
    }
}

/// Moves a line on by one number, and weighs it.
#[inline(always)]
fn next<T: Remembered>(line: &[Cell<T>], weights: &[T], newest: T) -> i32 {
    let (Some((last, _)), Some((last_weight, weights))) = (line.split_last(), weights.split_last()) else {
        return 0;
    };
    let mut acc = product(newest, *last_weight);
    for ((place, x), &w) in line.iter().zip(line.iter().skip(1)).zip(weights) {
        let x = x.get();
        place.set(x);
        acc = acc.wrapping_add(product(x, w));
    }
    last.set(newest);
    acc
}

#[inline(always)]
fn product<T: Remembered>(x: T, w: T) -> i32 {
    x.into().wrapping_mul(w.into())
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    case_as::<i8>(random, OpCode::Svdf)
}

/// Any op with such a state.
#[cfg(feature = "cases")]
pub(super) fn case_as<T: Remembered>(random: &mut crate::cases::Random, code: OpCode) -> crate::cases::Case {
    use crate::cases::{Case, Constants, batches, dim, zero_point};
    use crate::ops::recurrent::{any_rounding, gates_case};
    use ferrolite_schema::Storage;

    let (units, rank, memory, features) = (dim(random, 9), dim(random, 3), dim(random, 11), dim(random, 9));
    let (filters, batches) = (units * rank, batches(random));
    let mut constants = Constants::default();
    let feature = gates_case(random, &mut constants, filters, features);
    let time = constants.push(&random.elements((filters * memory) as usize * size_of::<T>()));
    let stage = constants.stage(random, rank * memory, units);
    let state_zero_point = zero_point(random);
    let p = SvdfParams { batches, features, units, rank, memory, feature, time, state_zero_point, stage };
    let case = any_rounding(Case::of(code, &p, constants), random, &[feature]);
    let case = case.input(random, DType::Int8, batches * features);
    let state = batches * filters * memory * size_of::<T>() as u32;
    let mut case = case.input(random, T::DTYPE, state);
    case.inputs[1].storage = Storage::State;
    case.output(DType::Int8, batches * units).scratch(scratch_bytes(&p))
}
