//! Constant channels that cannot be removed, because channels go in fours: their numbers are replaced by
//! usual ones.
//!
//! Such a channel may get its integer from numbers that no fast kernel accepts: a bias larger than any sum,
//! or a multiplier that scales everything to zero. One such channel prevents the packing that these kernels
//! read. It has the same value without weights, with a small bias and, if channels have separate scales, with
//! another scale.

use super::super::rewrite::only_reader;
use super::layer::{Layer, constant};
use super::ranges;
use super::remove::set_bias;
use crate::graph::{Constant, Graph};

/// New numbers of one output channel.
struct Numbers {
    output: usize,
    scale: Option<f32>,
    bias: i32,
}

/// Replaces the numbers of constant channels that are unusual; returns how many channels.
pub(super) fn run(graph: &mut Graph) -> usize {
    let ranges = ranges::channels(graph);
    let mut count = 0;
    for index in 0..graph.nodes.len() {
        let found = {
            let node = &graph.nodes[index];
            let (Some(layer), Some(output)) = (Layer::new(graph, node), node.outputs.first()) else {
                continue;
            };
            unusual(&layer, &ranges[output.0])
        };
        if !found.is_empty() {
            count += found.len();
            renumber(graph, index, &found);
        }
    }
    count
}

fn unusual(layer: &Layer<'_>, ranges: &[super::layer::Range]) -> Vec<Numbers> {
    let numbers = |output: usize| {
        let (scale, bias) = layer.numbers_of(constant(ranges, output)?)?;
        Some(Numbers { output, scale, bias })
    };
    let unusual = layer.usual().into_iter().enumerate().filter(|(_, usual)| !usual);
    unusual.filter_map(|(output, _)| numbers(output)).collect()
}

/// Writes new numbers into a layer: weights of zero, bias and scale.
fn renumber(graph: &mut Graph, index: usize, found: &[Numbers]) {
    let node = &graph.nodes[index];
    let Some(layer) = Layer::new(graph, node) else { return };
    let mut weights = layer.weights.to_vec();
    let mut bias: Vec<i32> = layer.bias.iter().map(|&b| b as i32).collect();
    let mut emptied = vec![false; layer.outputs];
    found.iter().for_each(|numbers| emptied[numbers.output] = true);
    for (i, weight) in weights.iter_mut().enumerate() {
        if emptied[layer.place(i).0] {
            *weight = 0;
        }
    }
    let own_scales = layer.has_own_scales();
    let Some(id) = node.input(1) else { return };
    let mut value = graph.value(id).clone();
    value.constant = Some(Constant::I8(weights));
    for numbers in found {
        bias[numbers.output] = numbers.bias;
        let scales = value.quantization.as_mut().filter(|_| own_scales).map(|q| &mut q.scale);
        if let (Some(scales), Some(scale)) = (scales, numbers.scale) {
            scales[numbers.output] = scale;
        }
    }
    if only_reader(graph, id).is_some() {
        *graph.value_mut(id) = value;
    } else {
        value.name = format!("{}/weights", graph.nodes[index].name);
        let new = graph.add_value(value);
        graph.nodes[index].inputs[1] = Some(new);
    }
    set_bias(graph, index, bias);
    scale_bias(graph, index, found);
}

/// In files of other formats, a bias has a scale, too: that of the weights times that of the input.
fn scale_bias(graph: &mut Graph, index: usize, found: &[Numbers]) {
    let node = &graph.nodes[index];
    let tensor = |position: usize| graph.value(node.input(position)?).quantization.as_ref()?.tensor();
    let (Some((input, _)), Some(id)) = (tensor(0), node.input(2)) else { return };
    let outputs = graph.value(id).shape.iter().product::<usize>();
    let Some(quantization) = &mut graph.value_mut(id).quantization else { return };
    if quantization.scale.len() != outputs {
        return;
    }
    for numbers in found {
        if let Some(scale) = numbers.scale {
            quantization.scale[numbers.output] = input * scale;
        }
    }
}
