//! Which channels can only be removed together.
//!
//! A convolution or a dense layer computes each output channel from all its input channels, so the channels
//! of its input and output are independent. Every other node passes channels on, and a channel of its result
//! is removed exactly when those of its operands are:
//!
//! ```text
//!  ADD            (a, c) - (result, c) - (b, c)
//!  CONCATENATION  (a, c) - (result, c)       (b, c) - (result, channels of a + c)
//!  depthwise      (x, c) - (result, c * multiplier + m)
//!  flatten        (x, c) - (result, pixel * channels + c)
//! ```
//! Channels that are connected by such ties form one group over the whole graph.

use super::layer::Layer;
use crate::graph::{Graph, Node, ValueId};
use crate::ops;
pub(super) use crate::ops::channels::{Channel, channels};

/// The activations among a node's operands.
pub(super) fn activations<'a>(graph: &'a Graph, node: &'a Node) -> impl Iterator<Item = ValueId> + 'a {
    node.inputs.iter().flatten().copied().filter(|&id| graph.value(id).constant.is_none())
}

/// How a node passes channels on, operand to result. A node that computes each result from all operands, as
/// layers with weights do, has no ties. `None` if the node needs its operands and results unchanged.
pub(super) fn of(graph: &Graph, node: &Node, layer: Option<&Layer<'_>>) -> Option<Vec<(Channel, Channel)>> {
    if node.input(0).is_none() || node.outputs.is_empty() {
        return None;
    }
    let operator = ops::of(&node.op);
    if operator.channel_axis().is_some() {
        layer?;
    }
    operator.ties(graph, node)
}

/// Groups of tied channels.
pub(super) struct Groups {
    /// Index of each value's first channel.
    first: Vec<usize>,
    /// Another channel of the same group, or the channel itself.
    parent: Vec<usize>,
}

impl Groups {
    /// Every channel is a group of its own.
    pub(super) fn new(graph: &Graph) -> Groups {
        let mut first = Vec::with_capacity(graph.values.len());
        let mut count = 0;
        for (index, value) in graph.values.iter().enumerate() {
            first.push(count);
            count += if value.constant.is_none() { channels(graph, ValueId(index)) } else { 0 };
        }
        Groups { first, parent: (0..count).collect() }
    }

    /// Number of channels, which is above every group's number.
    pub(super) fn len(&self) -> usize {
        self.parent.len()
    }

    /// The number of a channel's group.
    pub(super) fn of(&mut self, (value, channel): Channel) -> usize {
        let mut at = self.first[value.0] + channel;
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// Joins two channels' groups.
    pub(super) fn tie(&mut self, a: Channel, b: Channel) {
        let (a, b) = (self.of(a), self.of(b));
        self.parent[a.max(b)] = a.min(b);
    }
}
