//! Channels that always hold the same integer and have to stay, because channels go in fours: their numbers become
//! usual ones.
//!
//! Such a channel may hold its integer by numbers that no fast kernel takes, a bias beyond all sums or a multiplier
//! that scales everything away, and one channel keeps a layer from the order of weights that these kernels read. It
//! gives the same without weights, with a small bias and, where channels have scales of their own, another scale.

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

/// Gives constant channels with unusual numbers usual ones; returns how many.
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

/// A bias says its scale, too, where files of other formats are written: that of the weights times the input's.
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
