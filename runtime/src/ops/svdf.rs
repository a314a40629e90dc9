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

use super::recurrent::{Product, apply_int8, check_gates};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{Delays, Kernels};
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
pub(super) trait Remembered: Element {
    /// Makes the newest number of each filter.
    fn product<K: Kernels>(feature: &Product<'_>, input: &[Cell<i8>], out: &[Cell<Self>]);

    /// Takes these numbers into the lines of the filters, and makes the outputs.
    fn delays<K: Kernels>(
        delays: &Delays<'_, Self>,
        newest: &[Cell<Self>],
        state: &[Cell<Self>],
        out: &[Cell<i8>],
    );
}

impl Remembered for i8 {
    fn product<K: Kernels>(feature: &Product<'_>, input: &[Cell<i8>], out: &[Cell<i8>]) {
        // What is kept has eight bits, so the kernels for layers of int8 do. The zero point is added after the clamp, in
        // eight bits, as TFLM does.
        apply_int8::<K>(feature, input, out);
    }

    fn delays<K: Kernels>(
        delays: &Delays<'_, i8>,
        newest: &[Cell<i8>],
        state: &[Cell<i8>],
        out: &[Cell<i8>],
    ) {
        K::delays(delays, newest, state, out);
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
    let delays = Delays {
        rank: p.rank as usize,
        memory: p.memory as usize,
        zero_point: p.state_zero_point,
        weights,
        stage,
    };
    run::<T, K>(&feature, &delays, eval.input(0), eval.input(1), eval.scratch(), eval.output(0));
}

/// Computes the next output of each stream. `input` is `[batches, features]`, `state` `[batches, filters, memory]`, `out`
/// `[batches, units]`; `scratch` has [`scratch_bytes`].
fn run<T: Remembered, K: Kernels>(
    feature: &Product<'_>,
    delays: &Delays<'_, T>,
    input: &[Cell<i8>],
    state: &[Cell<T>],
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let shape = &feature.weights.shape;
    let size = (shape.channels as usize).wrapping_mul(size_of::<T>());
    let Some(newest) = scratch.get(..size).and_then(cells_of) else { return };
    let streams = runs(state, delays.weights.len()).zip(runs(out, delays.stage.bias.len()));
    for (input, (state, out)) in runs(input, shape.line as usize).zip(streams) {
        T::product::<K>(feature, input, newest);
        T::delays::<K>(delays, newest, state, out);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    case_as::<i8>(random, OpCode::Svdf)
}

/// Any op with such a state.
#[cfg(feature = "cases")]
pub(super) fn case_as<T: Remembered>(random: &mut crate::cases::Random, code: OpCode) -> crate::cases::Case {
    use crate::cases::{Case, Constants, any_packing, batches, dim, packing, zero_point};
    use crate::kernels::policy;
    use crate::ops::recurrent::{any_rounding, gates_packed};
    use ferrolite_schema::Storage;

    let (units, rank, memory, features) = (dim(random, 9), dim(random, 3), dim(random, 11), dim(random, 9));
    let (filters, batches) = (units * rank, batches(random));
    let mut constants = Constants::default();
    let packing = match code {
        OpCode::Svdf => any_packing(random, |target| policy(target).dense),
        _ => packing(random, |target| policy(target).dense),
    };
    let feature = gates_packed(random, &mut constants, packing, filters, features);
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
