//! FULLY_CONNECTED: `out[r, c] = stage(sum over k of in[r, k] * weights[c, k])`, per tensor or per
//! channel. Source followed: TFLM `reference/integer_ops/fully_connected.h`, which rounds twice.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::FullyConnectedParams;

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{Kernels, Stage};
use crate::node::{Eval, Node};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::FullyConnected, check, eval: eval::<K>, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &FullyConnectedParams = node.params()?;
    let size = |a: u32, b: u32| a.checked_mul(b).filter(|&n| n != 0).ok_or(Fault::Parameters);
    node.expect_int8(size(p.rows, p.inputs)?, size(p.rows, p.outputs)?)?;
    node.weights(p.packing, p.weights, size(p.inputs, p.outputs)?)?;
    node.expect_stage(&p.stage, p.outputs)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<FullyConnectedParams>() else { return };
    let (Ok(weights), Ok(stage)) = (
        node.weights(p.packing, p.weights, p.inputs.wrapping_mul(p.outputs)),
        node.stage(&p.stage, p.outputs),
    ) else {
        return;
    };
    fully_connected::<K>(p, eval.input(0), weights, &stage, eval.output(0));
}

/// A dense layer. `input` is `[rows, inputs]`, `weights` `[outputs, inputs]`, `out` `[rows, outputs]`.
pub fn fully_connected<K: Kernels>(
    p: &FullyConnectedParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let (inputs, outputs) = (p.inputs as usize, p.outputs as usize);
    let rows = input.chunks_exact(inputs.max(1));
    for (row, out) in rows.zip(out.chunks_exact(outputs.max(1))) {
        K::dense(row, weights, stage, out);
    }
}
