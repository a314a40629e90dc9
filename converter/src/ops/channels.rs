//! Channels, and how operators pass them on.

use crate::graph::{Graph, Node, ValueId};

/// A channel (index of the last dimension) of an activation.
pub(crate) type Channel = (ValueId, usize);

/// Channels of operands and of results that stand or fall together.
pub(crate) type Ties = Vec<(Channel, Channel)>;

/// Number of channels of a value.
pub(crate) fn channels(graph: &Graph, id: ValueId) -> usize {
    graph.value(id).shape.last().copied().unwrap_or(0)
}

/// `n` channels of `from` from the first on, which are those of `to` from `begin` on.
pub(super) fn run(
    from: ValueId,
    to: ValueId,
    begin: usize,
    n: usize,
) -> impl Iterator<Item = (Channel, Channel)> {
    (0..n).map(move |c| ((from, c), (to, begin + c)))
}

/// Each channel of the operand is that of the result.
pub(super) fn same(graph: &Graph, node: &Node) -> Option<Ties> {
    let (input, &output) = (node.input(0)?, node.outputs.first()?);
    Some(run(input, output, 0, channels(graph, input)).collect())
}

/// Whether an axis of the operand counts its channels.
pub(super) fn is_last(graph: &Graph, node: &Node, axis: usize) -> bool {
    node.input(0).is_some_and(|id| axis + 1 == graph.value(id).shape.len())
}
