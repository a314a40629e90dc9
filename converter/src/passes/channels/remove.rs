//! Takes channels out of a layer and of everything behind it, after the survey has allowed it.

use super::super::rewrite::{add_constant, only_reader};
use super::ranges::{Layer, Range, constant, readers};
use crate::graph::{Constant, Graph, Op, Quantization, ValueId};

/// Removes the marked output channels of the node at `index`. `None` when a bias would overflow;
/// the graph is unchanged then.
pub(super) fn channels(
    graph: &mut Graph,
    index: usize,
    removed: &[bool],
    ranges: &[Vec<Range>],
) -> Option<()> {
    // On a copy, so that a bias that overflows leaves the original alone.
    let mut changed = graph.clone();
    outputs(&mut changed, index, removed)?;
    let value = changed.nodes[index].outputs[0];
    let constants: Vec<Option<i32>> = (0..removed.len()).map(|c| constant(&ranges[value.0], c)).collect();
    behind(&mut changed, value, removed, &constants, ranges)?;
    *graph = changed;
    Some(())
}

/// Shortens the results of a layer: weights, bias, scales, shape.
fn outputs(graph: &mut Graph, index: usize, removed: &[bool]) -> Option<()> {
    let node = &graph.nodes[index];
    let depthwise = matches!(node.op, Op::DepthwiseConv2d { .. });
    let (weights, bias) = (node.input(1)?, node.input(2));
    let axis = if depthwise { 3 } else { 0 };
    shorten_constant(graph, index, 1, weights, axis, removed);
    if let Some(bias) = bias {
        let axis = graph.value(bias).shape.len().checked_sub(1)?;
        shorten_constant(graph, index, 2, bias, axis, removed);
    }
    Some(())
}

/// Shortens a value and all its readers, whose layers lose or absorb the channels.
fn behind(
    graph: &mut Graph,
    value: ValueId,
    removed: &[bool],
    constants: &[Option<i32>],
    ranges: &[Vec<Range>],
) -> Option<()> {
    let all: Vec<usize> = readers(graph, value).map(|(index, _)| index).collect();
    for index in all {
        let output = graph.nodes[index].outputs[0];
        match graph.nodes[index].op.clone() {
            Op::Conv2d { .. } | Op::FullyConnected { .. } => absorb(graph, index, removed, constants)?,
            Op::DepthwiseConv2d { multiplier, .. } => {
                let wide: Vec<bool> =
                    removed.iter().flat_map(|&r| std::iter::repeat_n(r, multiplier)).collect();
                outputs(graph, index, &wide)?;
                let constants: Vec<_> = (0..wide.len()).map(|c| constant(&ranges[output.0], c)).collect();
                behind(graph, output, &wide, &constants, ranges)?;
            }
            Op::Reshape => {
                let row = *graph.value(output).shape.last()?;
                let wide: Vec<bool> = removed.iter().copied().cycle().take(row).collect();
                let constants: Vec<_> = constants.iter().copied().cycle().take(row).collect();
                behind(graph, output, &wide, &constants, ranges)?;
            }
            // Pooling.
            _ => {
                let constants: Vec<_> = (0..removed.len()).map(|c| constant(&ranges[output.0], c)).collect();
                behind(graph, output, removed, &constants, ranges)?;
            }
        }
    }
    let kept = removed.iter().filter(|&&r| !r).count();
    let tensor = graph.value_mut(value);
    *tensor.shape.last_mut()? = kept;
    let name = format!("{}/active", tensor.name.trim_end_matches("/active"));
    tensor.name = name;
    for node in &mut graph.nodes {
        if node.outputs.contains(&value) {
            node.name = format!("{}/active", node.name.trim_end_matches("/active"));
        }
    }
    Some(())
}

/// Moves the removed input channels of a layer into its bias.
fn absorb(graph: &mut Graph, index: usize, removed: &[bool], constants: &[Option<i32>]) -> Option<()> {
    let layer = Layer::new(graph, &graph.nodes[index])?;
    let mut bias = layer.bias.clone();
    for (i, &weight) in layer.weights.iter().enumerate() {
        let (output, channel) = layer.place(i);
        if removed[channel] && weight != 0 {
            bias[output] += i64::from(weight) * i64::from(constants[channel]? - layer.zero_point);
        }
    }
    let changed = bias != layer.bias;
    let bias: Vec<i32> = bias.into_iter().map(|b| i32::try_from(b).ok()).collect::<Option<_>>()?;
    let node = &graph.nodes[index];
    let weights = node.input(1)?;
    let axis = graph.value(weights).shape.len() - 1;
    // Dense weights may see each channel once per pixel.
    let row = *graph.value(weights).shape.last()?;
    let wide: Vec<bool> = removed.iter().copied().cycle().take(row).collect();
    shorten_constant(graph, index, 1, weights, axis, &wide);
    if changed {
        set_bias(graph, index, bias);
    }
    Some(())
}

/// Gives a layer a new bias.
fn set_bias(graph: &mut Graph, index: usize, bias: Vec<i32>) {
    let old = graph.nodes[index].input(2);
    let constant = Constant::I32(bias);
    if let Some(id) = old.filter(|&id| only_reader(graph, id).is_some()) {
        graph.value_mut(id).constant = Some(constant);
        return;
    }
    let quantization = old.and_then(|id| graph.value(id).quantization.clone());
    let name = format!("{}/bias", graph.nodes[index].name);
    let new = add_constant(graph, name, vec![constant.len()], constant, quantization);
    let inputs = &mut graph.nodes[index].inputs;
    inputs.resize(inputs.len().max(3), None);
    inputs[2] = Some(new);
}

/// Removes the marked indices of `axis` from the constant that a node reads at `position`.
fn shorten_constant(
    graph: &mut Graph,
    index: usize,
    position: usize,
    id: ValueId,
    axis: usize,
    removed: &[bool],
) {
    let shared = only_reader(graph, id).is_none();
    let mut value = graph.value(id).clone();
    let inner: usize = value.shape[axis + 1..].iter().product();
    let kept = |i: &usize| !removed[i / inner % removed.len()];
    value.constant = value.constant.map(|constant| match constant {
        Constant::I8(v) => Constant::I8((0..v.len()).filter(kept).map(|i| v[i]).collect()),
        Constant::I32(v) => Constant::I32((0..v.len()).filter(kept).map(|i| v[i]).collect()),
        other => other,
    });
    value.shape[axis] = removed.iter().filter(|&&r| !r).count();
    value.quantization = value.quantization.map(|q| shorten_scales(q, axis, removed));
    if shared {
        value.name =
            format!("{}/{}", graph.nodes[index].name, if position == 1 { "weights" } else { "bias" });
        let new = graph.add_value(value);
        graph.nodes[index].inputs[position] = Some(new);
    } else {
        *graph.value_mut(id) = value;
    }
}

fn shorten_scales(q: Quantization, axis: usize, removed: &[bool]) -> Quantization {
    if q.is_per_tensor() || q.axis != axis || q.scale.len() != removed.len() {
        return q;
    }
    let kept = |i: &usize| !removed[*i];
    Quantization {
        scale: (0..removed.len()).filter(kept).map(|i| q.scale[i]).collect(),
        zero_point: (0..removed.len()).filter(kept).map(|i| q.zero_point[i]).collect(),
        axis,
    }
}
