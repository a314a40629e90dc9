//! FULLY_CONNECTED: `out[r, c] = stage(sum over k of in[r, k] * weights[c, k])`, per tensor or per
//! channel. Source followed: TFLM `reference/integer_ops/fully_connected.h`, which rounds twice.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::FullyConnectedParams;

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{General, Kernels, Portable, Stage};
use crate::node::{Eval, Node};
use crate::packing::{Order, Packing, Shape};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::FullyConnected as u16, check: check::<K>, eval: eval::<K>, lead: no_overlap }
}

/// The operator for plain weights, and no others.
pub const fn plain_operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::FullyConnected as u16,
        check: |node| check_plain(node, node.params()?),
        eval: eval_plain::<K>,
        lead: no_overlap,
    }
}

/// The operator for weights that were packed for the kernels `K`, and no others.
pub const fn tuned_operator<K: Kernels>() -> Operator {
    match K::POLICY.dense.order {
        Order::Plain => operator::<K>(),
        _ => Operator {
            code: OpCode::FullyConnected as u16,
            check: check_tuned::<K>,
            eval: eval_tuned::<K>,
            lead: no_overlap,
        },
    }
}

/// The operator for weights that were packed for the kernels `K`, with numbers that keep to their bounds or with any,
/// and no others.
pub const fn general_operator<K: Kernels>() -> Operator {
    match K::POLICY.dense.order {
        Order::Plain => operator::<K>(),
        _ => Operator {
            code: OpCode::FullyConnected as u16,
            check: check_both::<K>,
            eval: eval_both::<K>,
            lead: no_overlap,
        },
    }
}

/// The operator for weights of four bits, and no others.
pub const fn nibbles_operator() -> Operator {
    Operator {
        code: OpCode::FullyConnected as u16,
        check: |node| check_nibbles(node, node.params()?),
        eval: |eval| {
            if let Ok(p) = eval.node().params::<FullyConnectedParams>() {
                eval_nibbles(eval, p);
            }
        },
        lead: no_overlap,
    }
}

/// The weights as a matrix.
fn shape(p: &FullyConnectedParams, packing: Packing) -> Shape {
    Shape { packing, channels: p.outputs, lines: 1, line: p.inputs }
}

/// A product of dimensions, above 0.
#[inline]
fn size(a: u32, b: u32) -> Result<u32, Fault> {
    a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters)
}

/// First what the converter has packed for this core, which is checked faster.
fn check<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &FullyConnectedParams = node.params()?;
    if K::POLICY.dense.order != Order::Plain && p.packing == K::POLICY.dense.tag() {
        check_packed(node, p, K::POLICY.dense)
    } else {
        check_any(node, p)
    }
}

#[inline(never)]
fn check_any(node: &Node<'_>, p: &FullyConnectedParams) -> Result<(), Fault> {
    if p.packing == Packing::NIBBLES {
        return check_nibbles(node, p);
    }
    match Packing::from_tag(p.packing).ok_or(Fault::Packing)? {
        Packing::PLAIN => check_plain(node, p),
        packing => check_packed(node, p, packing),
    }
}

#[inline]
fn check_plain(node: &Node<'_>, p: &FullyConnectedParams) -> Result<(), Fault> {
    node.expect_int8(size(p.rows, p.inputs)?, size(p.rows, p.outputs)?)?;
    // None of them is zero, as just found.
    node.weights(p.packing, p.weights, p.inputs.checked_mul(p.outputs).ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, p.outputs)
}

#[inline]
fn check_nibbles(node: &Node<'_>, p: &FullyConnectedParams) -> Result<(), Fault> {
    if p.packing != Packing::NIBBLES {
        return Err(Fault::Packing);
    }
    node.expect_int8(size(p.rows, p.inputs)?, size(p.rows, p.outputs)?)?;
    let weights = p.inputs.checked_mul(p.outputs).ok_or(Fault::Parameters)?;
    node.expect_constants::<u8>(p.weights, weights.div_ceil(2))?;
    node.expect_stage(&p.stage, p.outputs)
}

fn check_tuned<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &FullyConnectedParams = node.params()?;
    if p.packing != K::POLICY.dense.tag() {
        return Err(Fault::Packing);
    }
    check_packed(node, p, K::POLICY.dense)
}

fn check_both<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &FullyConnectedParams = node.params()?;
    check_packed(node, p, own::<K>(p.packing).ok_or(Fault::Packing)?)
}

/// The packing with this tag, if it is one of the set's own.
fn own<K: Kernels>(tag: u32) -> Option<Packing> {
    let own = K::POLICY.dense;
    own.own(tag).or_else(|| own.general().own(tag))
}

/// In line, as the packing is a constant in most cases.
#[inline(always)]
fn check_packed(node: &Node<'_>, p: &FullyConnectedParams, packing: Packing) -> Result<(), Fault> {
    node.expect_int8(size(p.rows, p.inputs)?, size(p.rows, p.outputs)?)?;
    // None of them is zero, as just found.
    let (bytes, _) = shape(p, packing).used_sizes().ok_or(Fault::Parameters)?;
    node.expect_matrix(bytes, p.weights)?;
    node.expect_stage(&p.stage, p.outputs)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<FullyConnectedParams>() else { return };
    // First what the converter has packed for this core: small layers take little longer than this choice.
    if K::POLICY.dense.tag() != Packing::PLAIN.tag() && p.packing == K::POLICY.dense.tag() {
        eval_packed::<K>(eval, p, K::POLICY.dense);
    } else {
        eval_other::<K>(eval);
    }
}

#[inline(never)]
fn eval_other<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<FullyConnectedParams>() else { return };
    if p.packing == Packing::PLAIN.tag() {
        eval_plain::<K>(eval);
    } else if p.packing == K::POLICY.dense.general().tag() {
        eval_general::<K>(eval, p);
    } else {
        eval_foreign(eval, p);
    }
}

/// Weights that were packed for this core, with any numbers.
#[inline(never)]
fn eval_general<K: Kernels>(eval: &Eval<'_>, p: &FullyConnectedParams) {
    eval_packed::<General<K>>(eval, p, K::POLICY.dense.general());
}

fn eval_both<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<FullyConnectedParams>() else { return };
    let Some(packing) = own::<K>(p.packing) else { return };
    eval_packed::<General<K>>(eval, p, packing);
}

#[inline(never)]
fn eval_plain<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<FullyConnectedParams>() else { return };
    let weights = node.weights(p.packing, p.weights, p.inputs.wrapping_mul(p.outputs));
    let (Ok(weights), Ok(stage)) = (weights, node.stage(&p.stage, p.outputs)) else { return };
    fully_connected::<K>(p, eval.input(0), weights, &stage, eval.output(0));
}

fn eval_tuned<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<FullyConnectedParams>() else { return };
    eval_packed::<K>(eval, p, K::POLICY.dense);
}

/// Weights that were packed for another core, or have four bits.
#[inline(never)]
fn eval_foreign(eval: &Eval<'_>, p: &FullyConnectedParams) {
    match Packing::from_tag(p.packing) {
        Some(packing) => eval_packed::<Portable>(eval, p, packing),
        None => eval_nibbles(eval, p),
    }
}

#[inline(never)]
fn eval_nibbles(eval: &Eval<'_>, p: &FullyConnectedParams) {
    let node = eval.node();
    let weights = node.constants(p.weights, p.inputs.wrapping_mul(p.outputs).div_ceil(2));
    let (Ok(weights), Ok(stage)) = (weights, node.stage(&p.stage, p.outputs)) else { return };
    for_rows(p, eval.input(0), eval.output(0), |row, out| dense_of_nibbles(row, weights, &stage, out));
}

#[inline(always)]
fn eval_packed<K: Kernels>(eval: &Eval<'_>, p: &FullyConnectedParams, packing: Packing) {
    let node = eval.node();
    let Some((input, out)) = eval.pair_in_line() else { return };
    let Ok(weights) = node.checked_matrix(shape(p, packing), p.weights) else { return };
    let Ok(stage) = node.stage(&p.stage, p.outputs) else { return };
    for_rows(p, input, out, |row, out| K::dense_packed(row, &weights, &stage, out));
}

/// Calls `make` with each row of the input and its row of outputs.
#[inline(always)]
fn for_rows(
    p: &FullyConnectedParams,
    mut input: &[Cell<i8>],
    mut out: &[Cell<i8>],
    mut make: impl FnMut(&[Cell<i8>], &[Cell<i8>]),
) {
    // No row of a checked op is empty.
    while !out.is_empty() {
        let Some((row, next)) = input.split_at_checked(p.inputs as usize) else { return };
        let Some((line, below)) = out.split_at_checked(p.outputs as usize) else { return };
        make(row, line);
        (input, out) = (next, below);
    }
}

/// A dense layer. `input` is `[rows, inputs]`, `weights` `[outputs, inputs]`, `out` `[rows, outputs]`.
pub fn fully_connected<K: Kernels>(
    p: &FullyConnectedParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    for_rows(p, input, out, |row, out| K::dense(row, weights, stage, out));
}

/// One row of a dense layer whose weights have four bits: in the plain order, two to a byte, the first one in the
/// lower half. TFLM unpacks such weights to bytes before each inference; here they are read as they lie.
pub fn dense_of_nibbles(row: &[Cell<i8>], weights: &[u8], stage: &Stage<'_>, out: &[Cell<i8>]) {
    let mut place = 0usize;
    for (channel, out) in out.iter().enumerate() {
        let (mut acc, multiplier) = stage.channel(channel);
        for x in row {
            let byte = weights.get(place >> 1).copied().unwrap_or(0);
            // Up to the upper half where it is in the lower one, and down again with its sign.
            let upper = if place & 1 == 0 { byte << 4 } else { byte };
            acc = acc.wrapping_add(i32::from(x.get()).wrapping_mul(i32::from(upper as i8 >> 4)));
            place = place.wrapping_add(1);
        }
        out.set(stage.apply(acc, multiplier));
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, any_packing, dim};
    use crate::kernels::policy;

    let (rows, inputs, outputs) = (dim(random, 3), dim(random, 20), dim(random, 20));
    let packing = any_packing(random, |target| policy(target).dense);
    let mut constants = Constants::default();
    let four_bits = random.below(6) == 0;
    let weights = if four_bits {
        constants.push(&random.elements((inputs * outputs).div_ceil(2) as usize))
    } else {
        constants.weights(random, Shape { packing, channels: outputs, lines: 1, line: inputs })
    };
    let p = FullyConnectedParams {
        rows,
        inputs,
        outputs,
        packing: if four_bits { Packing::NIBBLES } else { packing.tag() },
        weights,
        stage: constants.stage_for(random, if four_bits { Packing::PLAIN } else { packing }, inputs, outputs),
    };
    Case::of(OpCode::FullyConnected, &p, constants).int8(random, rows * inputs, rows * outputs)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use ferrolite_schema::Rounding;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nibbles_answer_as_the_bytes_that_they_stand_for(
            (rows, inputs, outputs) in (1usize..4, 1usize..24, 1usize..12),
            seed: u64,
            rounding in prop::sample::select(vec![Rounding::Double, Rounding::Single]),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u32
            };
            let weights: Vec<i8> = (0..inputs * outputs).map(|_| (next() % 16) as i8 - 8).collect();
            // The half behind the last weight may hold anything.
            let halves = |pair: &[i8]| pair[0] as u8 & 15 | (pair.get(1).copied().unwrap_or(5) as u8) << 4;
            let bytes: Vec<u8> = weights.chunks(2).map(halves).collect();
            let mut input: Vec<i8> = (0..rows * inputs).map(|_| next() as i8).collect();
            let bias: Vec<i32> = (0..outputs).map(|_| next() as i32 % 2000).collect();
            let multipliers = vec![Multiplier { mantissa: 1_500_000_000, shift: -4 }; outputs];
            let stage = Stage { bias: &bias, multipliers: &multipliers, rounding, zero_point: -3, min: -120, max: 127 };
            let p = FullyConnectedParams {
                rows: rows as u32,
                inputs: inputs as u32,
                outputs: outputs as u32,
                ..FullyConnectedParams::default()
            };
            let (mut wanted, mut found) = (vec![0i8; rows * outputs], vec![1i8; rows * outputs]);
            let input = Cell::from_mut(&mut input[..]).as_slice_of_cells();
            let cells = Cell::from_mut(&mut wanted[..]).as_slice_of_cells();
            fully_connected::<Portable>(&p, input, &weights, &stage, cells);
            let cells = Cell::from_mut(&mut found[..]).as_slice_of_cells();
            for_rows(&p, input, cells, |row, out| dense_of_nibbles(row, &bytes, &stage, out));
            prop_assert_eq!(wanted, found);
        }
    }
}
