//! Which channels stand or fall together.
//!
//! A convolution or a dense layer makes its output channels out of all its input channels: both sides
//! are free of one another. Everything else passes channels on, and a channel of its result is gone
//! exactly when those of its operands are:
//!
//! ```text
//!  ADD            (a, c) - (result, c) - (b, c)
//!  CONCATENATION  (a, c) - (result, c)       (b, c) - (result, channels of a + c)
//!  depthwise      (x, c) - (result, c * multiplier + m)
//!  flatten        (x, c) - (result, pixel * channels + c)
//! ```
//! Channels that hang together through such ties are one group over the whole graph.

use super::layer::Layer;
use crate::graph::{
    Concat, Constant, DepthwiseConv2d, Graph, Node, Op, Pad, Reduce, Slice, Split, Transpose, ValueId,
};

/// A channel (index of the last dimension) of an activation.
pub(super) type Channel = (ValueId, usize);

/// Number of channels of a value.
pub(super) fn channels(graph: &Graph, id: ValueId) -> usize {
    graph.value(id).shape.last().copied().unwrap_or(0)
}

/// The activations among a node's operands.
pub(super) fn activations<'a>(graph: &'a Graph, node: &'a Node) -> impl Iterator<Item = ValueId> + 'a {
    node.inputs.iter().flatten().copied().filter(|&id| graph.value(id).constant.is_none())
}

/// How a node passes channels on, operand to result. Without ties is who computes each result of all
/// operands, as the layers with weights do. `None`: the node needs its operands and results as they are.
pub(super) fn of(graph: &Graph, node: &Node, layer: Option<&Layer<'_>>) -> Option<Vec<(Channel, Channel)>> {
    let (Some(input), Some(&output)) = (node.input(0), node.outputs.first()) else { return None };
    let count = |id| channels(graph, id);
    let rank = |id| graph.value(id).shape.len();
    let last = |axis: usize| axis + 1 == rank(input);
    // `n` channels of `from` from the first on, which are those of `to` from `begin` on.
    let run = |from: ValueId, to: ValueId, begin: usize, n: usize| {
        (0..n).map(move |c| ((from, c), (to, begin + c)))
    };
    let same = || Some(run(input, output, 0, count(input)).collect::<Vec<_>>());
    match &node.op {
        Op::Conv2d(_) | Op::FullyConnected(_) => layer.map(|_| Vec::new()),
        Op::DepthwiseConv2d(DepthwiseConv2d { multiplier, .. }) => {
            layer?;
            Some((0..count(output)).map(|c| ((input, c / multiplier), (output, c))).collect())
        }
        Op::Pool2d(_) | Op::Unary(_) | Op::ResizeNearest(_) | Op::ResizeBilinear(_) => same(),
        Op::Quantize if graph.value(input).dtype.size() == 1 => same(),
        Op::Reduce(Reduce { axes, .. }) if axes.iter().all(|&axis| !last(axis)) => same(),
        Op::Transpose(Transpose { permutation }) if permutation.last().is_some_and(|&axis| last(axis)) => {
            same()
        }
        Op::Slice(Slice { begin, size, stride }) => {
            let whole = begin.last() == Some(&0)
                && size.last() == Some(&count(input))
                && stride.last() == Some(&1)
                && count(output) == count(input);
            if whole { same() } else { None }
        }
        Op::Pad(Pad { amounts, .. }) => Some(run(input, output, amounts.last()?.0, count(input)).collect()),
        Op::Binary(_) => {
            let mut ties = Vec::new();
            for &id in node.inputs.iter().flatten() {
                let repeated = count(id) != count(output);
                match &graph.value(id).constant {
                    // One element for all channels; constants of one element each are shortened.
                    Some(_) if repeated => {}
                    Some(Constant::I8(_)) => {}
                    None if !repeated => ties.extend(run(id, output, 0, count(output))),
                    _ => return None,
                }
            }
            Some(ties)
        }
        Op::Concat(Concat { axis, .. }) => {
            let mut begin = 0;
            let mut ties = Vec::new();
            for &id in node.inputs.iter().flatten() {
                if graph.value(id).constant.is_some() {
                    return None;
                }
                ties.extend(run(id, output, begin, count(id)));
                begin += if last(*axis) { count(id) } else { 0 };
            }
            Some(ties)
        }
        Op::Split(Split { axis }) => {
            let mut begin = 0;
            let mut ties = Vec::new();
            for &part in &node.outputs {
                ties.extend((0..count(part)).map(|c| ((input, begin + c), (part, c))));
                begin += if last(*axis) { count(part) } else { 0 };
            }
            Some(ties)
        }
        Op::Reshape => {
            // The result's rows hold whole pixels.
            let pixel = count(input);
            let whole = pixel != 0 && count(output).is_multiple_of(pixel);
            whole.then(|| (0..count(output)).map(|c| ((input, c % pixel), (output, c))).collect())
        }
        _ => None,
    }
}

/// Groups of tied channels.
pub(super) struct Groups {
    /// Number of a value's first channel.
    first: Vec<usize>,
    /// Another channel of the same group, or itself.
    parent: Vec<usize>,
}

impl Groups {
    /// Every channel by itself.
    pub(super) fn new(graph: &Graph) -> Groups {
        let mut first = Vec::with_capacity(graph.values.len());
        let mut count = 0;
        for (index, value) in graph.values.iter().enumerate() {
            first.push(count);
            count += if value.constant.is_none() { channels(graph, ValueId(index)) } else { 0 };
        }
        Groups { first, parent: (0..count).collect() }
    }

    /// Number of channels, above every group's number.
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
