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
    Operator { code: OpCode::FullyConnected, check, eval: eval::<K>, lead: no_overlap }
}

/// The weights as a matrix; `None` for an unknown packing.
fn shape(p: &FullyConnectedParams) -> Option<Shape> {
    Some(Shape { packing: Packing::from_tag(p.packing)?, channels: p.outputs, lines: 1, line: p.inputs })
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &FullyConnectedParams = node.params()?;
    let size = |a: u32, b: u32| a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters);
    node.expect_int8(size(p.rows, p.inputs)?, size(p.rows, p.outputs)?)?;
    let shape = shape(p).ok_or(Fault::Packing)?;
    if shape.packing.order == Order::Plain {
        node.weights(p.packing, p.weights, size(p.inputs, p.outputs)?)?;
    } else {
        node.matrix(shape, p.weights)?;
    }
    node.expect_stage(&p.stage, p.outputs)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<FullyConnectedParams>() else { return };
    let (Some(shape), Ok(stage)) = (shape(p), node.stage(&p.stage, p.outputs)) else { return };
    if shape.packing.order == Order::Plain {
        let count = p.inputs.wrapping_mul(p.outputs);
        let Ok(weights) = node.weights(p.packing, p.weights, count) else { return };
        fully_connected::<K>(p, eval.input(0), weights, &stage, eval.output(0));
        return;
    }
    let Ok(weights) = node.matrix(shape, p.weights) else { return };
    let native = shape.packing == K::POLICY.dense;
    let dense = if native { K::dense_packed } else { Portable::dense_packed };
    for (row, out) in rows(p, eval.input(0), eval.output(0)) {
        dense(row, &weights, &stage, out);
    }
}

/// The rows of input and output.
fn rows<'a>(
    p: &FullyConnectedParams,
    input: &'a [Cell<i8>],
    out: &'a [Cell<i8>],
) -> impl Iterator<Item = (&'a [Cell<i8>], &'a [Cell<i8>])> {
    let (inputs, outputs) = (p.inputs as usize, p.outputs as usize);
    input.chunks_exact(inputs.max(1)).zip(out.chunks_exact(outputs.max(1)))
}

/// A dense layer. `input` is `[rows, inputs]`, `weights` `[outputs, inputs]`, `out` `[rows, outputs]`.
pub fn fully_connected<K: Kernels>(
    p: &FullyConnectedParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    for (row, out) in rows(p, input, out) {
        K::dense(row, weights, stage, out);
    }
}
