//! Lowering of operators: each node of a quantized graph becomes ops of the device with finished
//! numbers. One file per operator, of the same name as the one in the runtime that runs it.

mod add;
mod broadcast;
mod conv_2d;
mod depthwise_conv_2d;
mod fully_connected;
mod lookup;
mod pool_2d;
mod softmax;
mod stage;
#[cfg(test)]
mod tests;

use crate::emit::{Lowered, Lowering};
use crate::error::{Error, Result};
use crate::graph::{BinaryKind, Node, Op, ValueId};

/// Lowers one node. An empty list says that the result is the operand itself, byte for byte. A node
/// whose form the device cannot run is an error that names the layer.
pub fn lower(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    match &node.op {
        Op::Conv2d { window, activation } => conv_2d::lower(cx, node, window, *activation),
        Op::DepthwiseConv2d { window, multiplier, activation } => {
            depthwise_conv_2d::lower(cx, node, window, *multiplier, *activation)
        }
        Op::FullyConnected { activation } => fully_connected::lower(cx, node, *activation),
        Op::Reshape => Ok(Vec::new()),
        Op::Unsupported { reason, .. } if !reason.is_empty() => Err(cx.unsupported(node, reason)),
        Op::Pool2d { kind, window, activation } => pool_2d::lower(cx, node, *kind, window, *activation),
        Op::Softmax { beta } => softmax::lower(cx, node, *beta),
        Op::Binary { kind: BinaryKind::Add, activation } => add::lower(cx, node, false, *activation),
        Op::Binary { kind: BinaryKind::Sub, activation } => add::lower(cx, node, true, *activation),
        _ => Err(cx.unsupported(node, "the operator is not supported in int8")),
    }
}

/// An op that copies the bytes of one value to another of the same type and size.
pub fn copy(cx: &mut Lowering<'_>, from: ValueId, to: ValueId) -> Result<Lowered> {
    let value = cx.graph.value(from);
    if value.dtype.size() != 1 || value.constant.is_some() {
        return Err(Error::input(format!(
            "output `{}` is a {} that no layer computes; only int8 inputs can be outputs",
            value.name,
            value.dtype.name()
        )));
    }
    lookup::table(cx, from, to, |x| x)
}
