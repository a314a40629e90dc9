//! FULLY_CONNECTED: `out[r, c] = stage(sum over k of in[r, k] * weights[c, k])`, per tensor or per
//! channel. Source followed: TFLM `reference/integer_ops/fully_connected.h`, which rounds twice.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::FullyConnectedParams;

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{Kernels, Portable, Stage};
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

fn check_tuned<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &FullyConnectedParams = node.params()?;
    if p.packing != K::POLICY.dense.tag() {
        return Err(Fault::Packing);
    }
    check_packed(node, p, K::POLICY.dense)
}

/// In line, as the packing is a constant in most cases.
#[inline(always)]
fn check_packed(node: &Node<'_>, p: &FullyConnectedParams, packing: Packing) -> Result<(), Fault> {
    node.expect_int8(size(p.rows, p.inputs)?, size(p.rows, p.outputs)?)?;
    // None of them is zero, as just found.
    let (bytes, _) = shape(p, packing).sizes().ok_or(Fault::Parameters)?;
    node.expect_matrix(bytes, p.weights)?;
    node.expect_stage(&p.stage, p.outputs)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<FullyConnectedParams>() else { return };
    // First what the converter has packed for this core: small layers take little longer than this choice.
    if K::POLICY.dense.tag() != Packing::PLAIN.tag() && p.packing == K::POLICY.dense.tag() {
        eval_packed::<K>(eval, p, K::POLICY.dense);
    } else if p.packing == Packing::PLAIN.tag() {
        eval_plain::<K>(eval);
    } else {
        eval_foreign(eval, p);
    }
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

/// Weights that were packed for another core.
#[inline(never)]
fn eval_foreign(eval: &Eval<'_>, p: &FullyConnectedParams) {
    if let Some(packing) = Packing::from_tag(p.packing) {
        eval_packed::<Portable>(eval, p, packing);
    }
}

#[inline(always)]
fn eval_packed<K: Kernels>(eval: &Eval<'_>, p: &FullyConnectedParams, packing: Packing) {
    let node = eval.node();
    let Some((input, out)) = eval.pair() else { return };
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

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, packing};
    use crate::kernels::policy;

    let (rows, inputs, outputs) = (dim(random, 3), dim(random, 20), dim(random, 20));
    let packing = packing(random, |target| policy(target).dense);
    let mut constants = Constants::default();
    let p = FullyConnectedParams {
        rows,
        inputs,
        outputs,
        packing: packing.tag(),
        weights: constants.weights(random, Shape { packing, channels: outputs, lines: 1, line: inputs }),
        stage: constants.stage(random, inputs, outputs),
    };
    Case::of(OpCode::FullyConnected, &p, constants).int8(random, rows * inputs, rows * outputs)
}
