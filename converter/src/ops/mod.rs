//! Lowering of operators: each node of a quantized graph becomes ops of the device with finished
//! numbers. One file per operator, of the same name as the one in the runtime that runs it.

use crate::emit::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::Node;

/// Lowers one node. A node whose form the device cannot run is an error that names the layer.
pub fn lower(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    #[allow(clippy::match_single_binding)]
    match &node.op {
        _ => Err(cx.unsupported(node, "the operator is not supported in int8")),
    }
}
