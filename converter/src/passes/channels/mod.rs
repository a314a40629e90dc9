//! Output channels that always hold the same integer are not computed: they are removed, and what
//! they contributed to the next layer moves into its bias, `bias += sum of w * (c - zero_point)`.
//!
//! Training with weight decay leaves many such channels (all weights of the channel are zero, or so small
//! that the clamp removes their effect). Every accumulator of the remaining layers keeps its value, so the
//! pass is exact. A channel is removed together with those that it is tied to (`ties`), when
//! - each of them is made by CONV_2D, FULLY_CONNECTED, or a PAD of channels, which can leave it out, or
//!   passed on by depthwise convolutions, poolings, functions of one or two tensors, reductions over the
//!   image, and data movement, which then have one channel less to process;
//! - each CONV_2D and FULLY_CONNECTED that reads one of them either has no weights for it, or reads a
//!   constant (`ranges`) that adds the same to an accumulator wherever the window is: any constant if no
//!   window meets padding, the zero point in any case, since that is what padding holds.
//!
//! Channels are removed in fours: kernels read four at a time, and three dead channels cost less than pixels
//! that are not a whole number of words (a person model with 40 % of its channels dead, modelled Cortex-M4
//! cycles: 10.7 million in fours; 56 million in twos and 62 million one by one, whose depthwise layers leave
//! the fast path). A tensor that lost channels is no longer the same tensor, so its name gets the suffix
//! `/active`. The channels that stay get numbers that the fast kernels take (`still`).

mod layer;
mod probe;
mod ranges;
mod remove;
mod still;
mod ties;

#[cfg(test)]
mod tests;

use crate::graph::{Graph, Op, ValueId};
use layer::{Layer, Range, constant};
use ties::{Groups, activations, channels};

/// The number of channels that a tensor keeps is a multiple of this, or all of them.
const GRAIN: usize = 4;

/// Removes constant channels; returns how many were removed from the layers that made them.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    loop {
        // After a channel is removed, another one may have no readers left.
        while let Some(found) = find(graph) {
            count += remove::channels(graph, &found);
        }
        // The same holds after a channel has lost its weights.
        match still::run(graph) {
            0 => return count,
            settled => count += settled,
        }
    }
}

/// What is known about the channels of each value.
struct Found {
    /// Channels that can be removed; empty for values that no node writes.
    removed: Vec<Vec<bool>>,
    /// The integers that each channel can hold.
    ranges: Vec<Vec<Range>>,
}

/// The channels that can be removed, if there are any.
fn find(graph: &Graph) -> Option<Found> {
    let layers: Vec<Option<Layer<'_>>> = graph.nodes.iter().map(|node| Layer::new(graph, node)).collect();
    if layers.iter().all(Option::is_none) {
        return None;
    }
    let ranges = ranges::channels(graph);
    let mut groups = Groups::new(graph);
    let mut needed = Vec::new();
    for (node, layer) in graph.nodes.iter().zip(&layers) {
        match (ties::of(graph, node, layer.as_ref()), layer) {
            (None, _) => {
                needed.extend(
                    activations(graph, node)
                        .chain(node.outputs.iter().copied())
                        .flat_map(|id| all(graph, id)),
                );
            }
            (Some(_), Some(layer)) if !matches!(node.op, Op::DepthwiseConv2d(_)) => {
                let reads = layer.reads();
                needed.extend(activations(graph, node).flat_map(|id| all(graph, id)).filter(
                    |&(id, channel)| !spares(layer, &reads, constant(&ranges[id.0], channel), channel),
                ));
            }
            (Some(ties), _) => ties.into_iter().for_each(|(from, to)| groups.tie(from, to)),
        }
    }
    needed.extend(graph.sources().chain(graph.results()).flat_map(|id| all(graph, id)));
    let mut kept = vec![false; groups.len()];
    for channel in needed {
        if graph.value(channel.0).constant.is_none() {
            kept[groups.of(channel)] = true;
        }
    }
    let removed = in_fours(graph, &mut groups, &mut kept);
    removed.iter().flatten().any(|&r| r).then_some(Found { removed, ranges })
}

/// All channels of a value.
fn all(graph: &Graph, id: ValueId) -> impl Iterator<Item = (ValueId, usize)> + use<> {
    (0..channels(graph, id)).map(move |channel| (id, channel))
}

/// Whether a layer can do without an input channel.
fn spares(layer: &Layer<'_>, reads: &[bool], constant: Option<i32>, channel: usize) -> bool {
    let absorbs = |constant| constant == layer.zero_point || layer.contribution(channel).is_some();
    !reads[channel] || constant.is_some_and(absorbs)
}

/// The channels of each value that are removed. Some more are kept, so that the number of channels that each
/// value keeps is a multiple of [`GRAIN`].
fn in_fours(graph: &Graph, groups: &mut Groups, kept: &mut [bool]) -> Vec<Vec<bool>> {
    let written: Vec<ValueId> = graph.nodes.iter().flat_map(|node| node.outputs.iter().copied()).collect();
    let mut settled = false;
    while !settled {
        settled = true;
        for &id in &written {
            let count = channels(graph, id);
            loop {
                let left = all(graph, id).filter(|&channel| kept[groups.of(channel)]).count();
                if left == left.max(1).next_multiple_of(GRAIN).min(count) {
                    break;
                }
                let Some(channel) = all(graph, id).find(|&channel| !kept[groups.of(channel)]) else { break };
                kept[groups.of(channel)] = true;
                settled = false;
            }
        }
    }
    let mut removed = vec![Vec::new(); graph.values.len()];
    for id in written {
        removed[id.0] = all(graph, id).map(|channel| !kept[groups.of(channel)]).collect();
    }
    removed
}
