//! Lowering of a node, whatever it computes.

use super::lowering::{Lowered, Lowering};
use super::operator::FLOAT_ONLY;
use super::{check_node, of};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, Unsupported};
use crate::unsupported::{UnsupportedLayer, refusal};

/// Lowers one node. An empty list says that the result is the operand itself, byte for byte. A node
/// whose form the device cannot run is an error that names the layer. Shapes and attributes are
/// checked against one another first, so that lowerings may index by them.
pub fn lower(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    if let Op::Unsupported(Unsupported { reason, .. }) = &node.op
        && !reason.is_empty()
    {
        return Err(cx.unsupported(node, reason));
    }
    check_node(cx.graph, node)?;
    of(&node.op).lower(cx, node)
}

/// Passes when no layer is one that only the float reference knows.
///
/// # Errors
/// One error that lists every such layer by name.
pub fn refuse_float_only(graph: &Graph) -> Result<()> {
    let layers = graph.nodes.iter().filter(|node| is_float_only(&node.op));
    let layers = layers.map(|node| UnsupportedLayer {
        name: node.name.clone(),
        op: node.op.name().to_string(),
        reason: FLOAT_ONLY.to_string(),
    });
    match layers.collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        layers => Err(refusal(layers)),
    }
}

/// Whether the device has no kernel for an operator in any form.
pub(crate) fn is_float_only(op: &Op) -> bool {
    of(op).is_float_only()
}
