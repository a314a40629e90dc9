//! Removes channels from a graph, after `find` has shown that no layer needs them.

use super::super::rewrite::{add_constant, only_reader};
use super::Found;
use super::layer::{Layer, Range, constant};
use super::ties::channels as channel_count;
use crate::graph::{Constant, Graph, Op, Pad, Quantization, Slice, ValueId};

/// Removes the marked channels of each value; returns how many were removed from the nodes that made them.
pub(super) fn channels(graph: &mut Graph, Found { removed, ranges }: &Found) -> usize {
    let marked = |id: ValueId| removed.get(id.0).filter(|marks| marks.contains(&true)).map(Vec::as_slice);
    let kept = |marks: &[bool]| marks.iter().filter(|&&mark| !mark).count();
    let mut count = 0;
    for index in 0..graph.nodes.len() {
        let Some(&output) = graph.nodes[index].outputs.first() else { continue };
        let (input, gone) = (graph.nodes[index].input(0), marked(output));
        match graph.nodes[index].op {
            Op::Conv2d(_) | Op::FullyConnected(_) => {
                if let Some((input, marks)) = input.and_then(|id| Some((id, marked(id)?))) {
                    absorb(graph, index, marks, &ranges[input.0]);
                }
                if let Some(marks) = gone {
                    shorten_outputs(graph, index, 0, marks);
                    count += marks.len() - kept(marks);
                }
            }
            Op::DepthwiseConv2d(_) => {
                if let Some(marks) = gone {
                    shorten_outputs(graph, index, 3, marks);
                }
            }
            Op::Binary(_) => {
                for position in 0..2 {
                    let Some((id, marks)) = graph.nodes[index].input(position).zip(gone) else { continue };
                    if graph.value(id).constant.is_some() && channel_count(graph, id) == marks.len() {
                        let axis = graph.value(id).shape.len() - 1;
                        shorten_constant(graph, index, position, id, axis, marks);
                    }
                }
            }
            Op::Pad(_) => {
                if let Some((input, marks)) = input.zip(gone) {
                    count += shorten_padding(graph, index, channel_count(graph, input), marks);
                }
            }
            Op::Slice(Slice { ref mut size, .. }) => {
                if let Some((last, marks)) = size.last_mut().zip(gone) {
                    *last = kept(marks);
                }
            }
            _ => {}
        }
    }
    for (index, marks) in removed.iter().enumerate().filter(|(_, marks)| marks.contains(&true)) {
        let value = graph.value_mut(ValueId(index));
        if let Some(last) = value.shape.last_mut() {
            *last = kept(marks);
        }
        value.name = active(&value.name);
        for node in graph.nodes.iter_mut().filter(|node| node.outputs.contains(&ValueId(index))) {
            node.name = active(&node.name);
        }
    }
    count
}

/// The name of a tensor that lost channels.
fn active(name: &str) -> String {
    format!("{}/active", name.trim_end_matches("/active"))
}

/// Shortens a layer's weights along their output axis, and its bias.
fn shorten_outputs(graph: &mut Graph, index: usize, axis: usize, removed: &[bool]) {
    let node = &graph.nodes[index];
    let (weights, bias) = (node.input(1), node.input(2));
    if let Some(weights) = weights {
        shorten_constant(graph, index, 1, weights, axis, removed);
    }
    if let Some((bias, axis)) = bias.and_then(|id| Some((id, graph.value(id).shape.len().checked_sub(1)?))) {
        shorten_constant(graph, index, 2, bias, axis, removed);
    }
}

/// Removes channels that a PAD adds; returns how many. The input of the PAD has `channels` channels.
fn shorten_padding(graph: &mut Graph, index: usize, channels: usize, removed: &[bool]) -> usize {
    let Op::Pad(Pad { amounts, .. }) = &mut graph.nodes[index].op else { return 0 };
    let Some((before, after)) = amounts.last_mut() else { return 0 };
    let count = |marks: &[bool]| marks.iter().filter(|&&mark| mark).count();
    let behind = removed.get(*before + channels..).unwrap_or_default();
    let (first, last) = (count(&removed[..*before]), count(behind));
    (*before, *after) = (*before - first, *after - last);
    first + last
}

/// Moves the removed input channels of a layer into its bias. The sums wrap as the device's do.
fn absorb(graph: &mut Graph, index: usize, removed: &[bool], ranges: &[Range]) {
    let Some(layer) = Layer::new(graph, &graph.nodes[index]) else { return };
    let mut bias = layer.bias.clone();
    let gone = removed.iter().enumerate().filter(|&(_, &removed)| removed);
    for (channel, constant) in gone.filter_map(|(c, _)| Some((c, constant(ranges, c)?))) {
        let step = i64::from(constant - layer.zero_point);
        // A channel that holds the zero point adds nothing, even if padding makes sums depend on the place.
        let Some(sums) = (step != 0).then(|| layer.contribution(channel)).flatten() else { continue };
        bias.iter_mut().zip(sums).for_each(|(bias, sum)| *bias += sum * step);
    }
    let changed = bias != layer.bias;
    let node = &graph.nodes[index];
    if let Some(weights) = node.input(1) {
        let axis = graph.value(weights).shape.len() - 1;
        // A dense layer may read each channel once for each pixel.
        let row = graph.value(weights).shape[axis];
        let wide: Vec<bool> = removed.iter().copied().cycle().take(row).collect();
        shorten_constant(graph, index, 1, weights, axis, &wide);
    }
    if changed {
        set_bias(graph, index, bias.into_iter().map(|b| b as i32).collect());
    }
}

/// Gives a layer a new bias.
pub(super) fn set_bias(graph: &mut Graph, index: usize, bias: Vec<i32>) {
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
