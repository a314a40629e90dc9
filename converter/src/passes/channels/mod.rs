//! Output channels that always hold the same integer are not computed: they are removed, and what
//! they contributed to the next layer moves into its bias, `bias += sum of w * (c - zero_point)`.
//!
//! Training with weight decay leaves such channels behind in numbers (all weights of the channel
//! are zero, or so small that the clamp swallows them). Every accumulator of the layers that
//! remain keeps its value, so the pass is exact. It follows these paths from the layer that makes
//! the channel to the layers that can take the constant:
//!
//! - CONV_2D takes a constant when no window meets padding, or the constant is the zero point (which
//!   is what padding holds), or it does not look at the channel;
//! - FULLY_CONNECTED takes any constant, also behind a RESHAPE that flattens the image;
//! - DEPTHWISE_CONV_2D and pooling pass channels on, and lose theirs with them.
//!
//! Any other reader, such as a residual ADD, keeps the channel. A tensor that lost channels is not
//! the tensor it was, so its name gets the suffix `/active`.

mod ranges;
mod remove;

#[cfg(test)]
mod tests;

use crate::graph::{Graph, Op, ValueId};
use ranges::{Layer, Range, constant, readers};

/// Removes constant channels; returns how many were taken from convolutions and dense layers.
pub(super) fn run(graph: &mut Graph) -> usize {
    let (mut count, mut from) = (0, 0);
    while let Some((index, removed, ranges)) = find(graph, from) {
        if remove::channels(graph, index, &removed, &ranges).is_some() {
            count += removed.iter().filter(|&&r| r).count();
        }
        from = index + 1;
    }
    count
}

/// The first node from `from` on that makes channels nobody needs: its index, which of its channels
/// those are, and the ranges of all values.
fn find(graph: &Graph, from: usize) -> Option<(usize, Vec<bool>, Vec<Vec<Range>>)> {
    let survey = Survey::new(graph);
    for index in from..graph.nodes.len() {
        let (Some(layer), Op::Conv2d { .. } | Op::FullyConnected { .. }) =
            (&survey.layers[index], &graph.nodes[index].op)
        else {
            continue;
        };
        let output = graph.nodes[index].outputs[0];
        let mut removed: Vec<bool> = (0..layer.outputs).map(|c| survey.removable(output, c)).collect();
        if removed.iter().all(|&r| r) {
            // A tensor keeps at least one channel.
            removed[0] = false;
        }
        if removed.contains(&true) {
            return Some((index, removed, survey.ranges));
        }
    }
    None
}

/// Answers whether channels can go.
struct Survey<'a> {
    graph: &'a Graph,
    ranges: Vec<Vec<Range>>,
    /// The int8 layers with weights, by node.
    layers: Vec<Option<Layer<'a>>>,
    /// Which input channels each of them has a weight for.
    reads: Vec<Vec<bool>>,
}

impl<'a> Survey<'a> {
    fn new(graph: &'a Graph) -> Survey<'a> {
        let layers: Vec<_> = graph.nodes.iter().map(|node| Layer::new(graph, node)).collect();
        let reads = layers.iter().map(|layer| layer.as_ref().map_or_else(Vec::new, Layer::reads)).collect();
        Survey { graph, ranges: ranges::channels(graph), layers, reads }
    }

    /// Whether every reader of the value can do without the channel.
    fn removable(&self, value: ValueId, channel: usize) -> bool {
        !self.graph.is_output(value)
            && readers(self.graph, value)
                .all(|(index, position)| position == 0 && self.spares(index, value, channel))
    }

    /// Whether the node at `index`, which reads `value`, can do without the channel.
    fn spares(&self, index: usize, value: ValueId, channel: usize) -> bool {
        let node = &self.graph.nodes[index];
        let Some(&output) = node.outputs.first() else { return false };
        match &node.op {
            Op::Conv2d { .. } | Op::FullyConnected { .. } => {
                let Some(layer) = &self.layers[index] else { return false };
                match constant(&self.ranges[value.0], channel) {
                    Some(constant) if !layer.padded || constant == layer.zero_point => true,
                    _ => !self.reads[index][channel],
                }
            }
            Op::DepthwiseConv2d { multiplier, .. } => {
                self.layers[index].is_some()
                    && (0..*multiplier).all(|m| self.removable(output, channel * multiplier + m))
            }
            Op::Pool2d { .. } => self.removable(output, channel),
            Op::Reshape => {
                // Flattened: the last dimension holds whole pixels, and only dense layers read it.
                let (Some(&channels), Some(&row)) =
                    (self.graph.value(value).shape.last(), self.graph.value(output).shape.last())
                else {
                    return false;
                };
                let constant = constant(&self.ranges[value.0], channel);
                row.is_multiple_of(channels)
                    && !self.graph.is_output(output)
                    && constant.is_some()
                    && readers(self.graph, output).all(|(reader, position)| {
                        let dense = matches!(self.graph.nodes[reader].op, Op::FullyConnected { .. });
                        // Rows of the dense layer are rows of the tensor, so that pixels stay whole.
                        let layer = self.layers[reader].as_ref();
                        position == 0 && dense && layer.is_some_and(|l| l.weights.len() == l.outputs * row)
                    })
            }
            _ => false,
        }
    }
}
