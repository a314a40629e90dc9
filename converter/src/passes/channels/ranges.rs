//! Which integers each channel of each activation can hold, for any input.
//!
//! The range of an accumulator is the sum over its taps of `w * (q - zero_point)` at the worst ends of the
//! channel's range. A padded tap reads the zero point, which therefore widens the range that a padded window
//! sees. Scaling down is monotone, so an output channel is constant exactly when both ends of its range give
//! the same integer. If everything that a padded window reads is constant, and for operators without weights,
//! the node itself is run (`probe`).

use super::layer::{FULL, Layer, Range, constant};
use super::{probe, ties};
use crate::graph::{Graph, Node, Op, Pad, ValueId};

/// The ranges of each value's channels (its last dimension); empty for values without known ranges.
pub(super) fn channels(graph: &Graph) -> Vec<Vec<Range>> {
    let mut ranges: Vec<Vec<Range>> = vec![Vec::new(); graph.values.len()];
    for node in &graph.nodes {
        let layer = Layer::new(graph, node);
        let found = match (&layer, node.input(0)) {
            (Some(layer), Some(input)) => {
                let mut found = layer.outputs(&ranges[input.0]);
                sharpen(graph, node, layer, &ranges, &mut found);
                vec![found]
            }
            _ => passed_on(graph, node, &ranges).unwrap_or_default(),
        };
        for (&output, found) in node.outputs.iter().zip(found) {
            ranges[output.0] = found;
        }
    }
    ranges
}

/// Narrows the ranges of results that read only constants. Near the padding, their sums cannot be computed
/// from the ends of each tap's range alone.
fn sharpen(graph: &Graph, node: &Node, layer: &Layer<'_>, ranges: &[Vec<Range>], found: &mut [Range]) {
    let Some(input) = node.input(0).filter(|_| layer.padded) else { return };
    let mut determined = vec![true; layer.outputs];
    for (i, _) in layer.weights.iter().enumerate().filter(|(_, w)| **w != 0) {
        let (output, channel) = layer.place(i);
        determined[output] &= constant(&ranges[input.0], channel).is_some();
    }
    let open = |(c, &(low, high)): (usize, &Range)| determined[c] && low != high;
    if !found.iter().enumerate().any(open) {
        return;
    }
    let Some(results) = probe::constants(graph, node, ranges) else { return };
    for ((range, result), determined) in found.iter_mut().zip(results.iter().flatten()).zip(determined) {
        if determined {
            *range = *result;
        }
    }
}

/// The ranges of the results of a node that passes channels on.
fn passed_on(graph: &Graph, node: &Node, ranges: &[Vec<Range>]) -> Option<Vec<Vec<Range>>> {
    let pads =
        matches!(&node.op, Op::Pad(Pad { amounts, .. }) if amounts.last().is_some_and(|&a| a != (0, 0)));
    let known = |id: ValueId| ranges[id.0].iter().any(|&range| range != FULL);
    if !pads && !ties::activations(graph, node).any(known) {
        return None;
    }
    let ties = ties::of(graph, node, None)?;
    let (mut found, monotone) = probe::ends(graph, node, ranges)?;
    if !monotone {
        // Results that are made only of constants are known nevertheless.
        for ((from, channel), (to, result)) in ties {
            if constant(&ranges[from.0], channel).is_none()
                && let Some(position) = node.outputs.iter().position(|&output| output == to)
            {
                found[position][result] = FULL;
            }
        }
    }
    Some(found)
}
