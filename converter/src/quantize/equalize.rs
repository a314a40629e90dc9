//! Cross-layer equalisation: the channels of an activation, which is quantized with one scale, are brought to
//! similar ranges by factors in the weights of the layers on both sides.
//!
//! A rectifier, and everything that moves or averages elements, commutes with a factor above zero. So between
//! two linear layers `y = W2 relu(W1 x + b1)` equals `(W2 S) relu(S⁻¹ W1 x + S⁻¹ b1)` (Nagel et al.,
//! "Data-free quantization through weight equalization and bias correction", 2019). The paper balances
//! weights that are quantized per tensor. Here weights already have a scale for each output channel, so the
//! ranges of the activation's channels are balanced against the weights that read them. A RELU6 does not
//! commute, because its bound would have to differ from channel to channel, so layers with one are left
//! alone.

use super::ask::{Answer, ask};
use super::calibrate::Chosen;
use super::range::is_real;
use super::samples::{Samples, run};
use crate::error::Result;
use crate::graph::{
    Activation, Constant, Conv2d, DepthwiseConv2d, FullyConnected, Graph, Node, Op, Pad, Pool2d, Reduce,
    ReduceKind, ValueId,
};
use crate::parallel::by_worker;
use crate::reference::Executor;

/// Factors outside of `1 / LARGEST..=LARGEST` are not needed, and would only cost precision of float32.
const LARGEST: f32 = 256.0;

/// Two linear layers and the values between them: the results of the first, and values computed from them.
struct Pair {
    first: usize,
    second: usize,
    between: Vec<ValueId>,
    channels: usize,
}

/// Equalises all pairs of layers that it can; returns their number. `samples` show the ranges of channels.
pub fn equalize(graph: &mut Graph, samples: &dyn Samples) -> Result<usize> {
    let pairs = pairs(graph);
    if pairs.is_empty() {
        return Ok(0);
    }
    let ranges = channel_ranges(graph, &pairs, samples)?;
    apply(graph, &pairs, &ranges);
    Ok(pairs.len())
}

/// For each part of the samples, given by their numbers, the graph equalised by all others. Empty if there is
/// nothing to equalise.
pub fn without_each(graph: &Graph, samples: &dyn Samples, parts: &[Vec<usize>]) -> Result<Vec<Graph>> {
    let pairs = pairs(graph);
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let shown = parts
        .iter()
        .map(|numbers| channel_ranges(graph, &pairs, &Chosen { of: samples, numbers }))
        .collect::<Result<Vec<_>>>()?;
    let without = |index: usize| {
        let mut merged = nothing(&pairs);
        for (_, part) in shown.iter().enumerate().filter(|(part, _)| *part != index) {
            widen(&mut merged, part);
        }
        let mut graph = graph.clone();
        apply(&mut graph, &pairs, &merged);
        graph
    };
    Ok((0..parts.len()).map(without).collect())
}

fn apply(graph: &mut Graph, pairs: &[Pair], ranges: &[Vec<f32>]) {
    for (pair, ranges) in pairs.iter().zip(ranges) {
        pair.apply(graph, ranges);
    }
}

/// Ranges of channels before any sample was run.
fn nothing(pairs: &[Pair]) -> Vec<Vec<f32>> {
    pairs.iter().map(|pair| vec![0.0; pair.channels]).collect()
}

fn widen(ranges: &mut [Vec<f32>], more: &[Vec<f32>]) {
    for (range, more) in ranges.iter_mut().flatten().zip(more.iter().flatten()) {
        *range = range.max(*more);
    }
}

/// The largest magnitude of each channel of each pair's activation.
fn channel_ranges(graph: &Graph, pairs: &[Pair], samples: &dyn Samples) -> Result<Vec<Vec<f32>>> {
    let fresh = Channels(nothing(pairs));
    let here = || gather(graph, pairs, samples).map(Channels);
    Ok(ask(samples, ("channels", graph, &[]), fresh, here)?.0)
}

/// The largest magnitude of each channel, by pair.
struct Channels(Vec<Vec<f32>>);

impl Answer for Channels {
    fn to_words(&self) -> Vec<u64> {
        self.0.iter().flatten().map(|x| u64::from(x.to_bits())).collect()
    }

    fn of_words(&self, words: &[u64]) -> Option<Channels> {
        let mut words = words.iter().map(|&word| f32::from_bits(word as u32));
        let ranges = self.0.iter().map(|range| range.iter().map(|_| words.next()).collect::<Option<_>>());
        let ranges = ranges.collect::<Option<_>>()?;
        words.next().is_none().then_some(Channels(ranges))
    }

    fn add(&mut self, other: Channels) {
        widen(&mut self.0, &other.0);
    }
}

fn gather(graph: &Graph, pairs: &[Pair], samples: &dyn Samples) -> Result<Vec<Vec<f32>>> {
    let executor = Executor::new(graph)?;
    let parts = by_worker(
        0..samples.len(),
        || nothing(pairs),
        |ranges, sample| {
            run(&executor, samples, sample, &mut |id, data| {
                for (pair, range) in pairs.iter().zip(ranges.iter_mut()) {
                    if pair.between.first() == Some(&id) {
                        for pixel in data.chunks_exact(pair.channels) {
                            for (largest, x) in range.iter_mut().zip(pixel) {
                                *largest = largest.max(x.abs());
                            }
                        }
                    }
                }
            })
            .map(drop)
        },
    )?;
    let mut merged = nothing(pairs);
    parts.iter().for_each(|part| widen(&mut merged, part));
    Ok(merged)
}

/// All pairs of layers between which everything commutes with factors.
fn pairs(graph: &Graph) -> Vec<Pair> {
    let consumers = graph.consumers();
    let only_reader = |id: ValueId| match consumers.get(&id).map(Vec::as_slice) {
        Some(&[one]) if !graph.is_output(id) && is_real(graph, id) => Some(one),
        _ => None,
    };
    let pair = |(first, node): (usize, &Node)| {
        let activation = match node.op {
            Op::Conv2d(Conv2d { activation, .. })
            | Op::DepthwiseConv2d(DepthwiseConv2d { activation, .. })
            | Op::FullyConnected(FullyConnected { activation }) => activation,
            _ => return None,
        };
        let weights = graph.value(node.input(1)?);
        let bias_is_real = node.input(2).is_none_or(|id| as_f32(graph, id).is_some());
        let clean = matches!(activation, Activation::None | Activation::Relu) && bias_is_real;
        as_f32(graph, node.input(1)?).filter(|_| clean)?;
        let channels = match node.op {
            Op::DepthwiseConv2d(_) => *weights.shape.last()?,
            _ => *weights.shape.first()?,
        };
        let mut value = *node.outputs.first()?;
        let mut between = vec![value];
        // Every value has one reader, so the walk ends at the end of the graph at the latest.
        loop {
            let second = only_reader(value)?;
            let reader = graph.nodes.get(second)?;
            if reader.input(0) != Some(value) {
                return None;
            }
            if reads_channels(graph, reader, channels) {
                return Some(Pair { first, second, between, channels });
            }
            let result = *reader.outputs.first()?;
            let innermost = |id: ValueId| graph.value(id).shape.last() == Some(&channels);
            // After a reshape, only a dense layer can still find the channels, since it counts them itself.
            let kept = innermost(value) && innermost(result);
            (commutes(reader) && (kept || reader.op == Op::Reshape)).then_some(())?;
            value = result;
            between.push(value);
        }
    };
    graph.nodes.iter().enumerate().filter_map(pair).collect()
}

fn as_f32(graph: &Graph, id: ValueId) -> Option<&[f32]> {
    graph.value(id).constant.as_ref().and_then(Constant::as_f32)
}

/// Whether a layer's weights can take the factors of its input's channels.
fn reads_channels(graph: &Graph, node: &Node, channels: usize) -> bool {
    let Some(weights) = node.input(1).filter(|&id| as_f32(graph, id).is_some()) else { return false };
    let shape = &graph.value(weights).shape;
    match node.op {
        Op::Conv2d(_) => shape.last() == Some(&channels) && last_dimension(graph, node) == channels,
        Op::DepthwiseConv2d(_) => last_dimension(graph, node) == channels,
        // Flattened images keep their channels innermost.
        Op::FullyConnected(_) => shape.last().is_some_and(|inputs| inputs.is_multiple_of(channels)),
        _ => false,
    }
}

fn last_dimension(graph: &Graph, node: &Node) -> usize {
    node.input(0).and_then(|id| graph.value(id).shape.last().copied()).unwrap_or(0)
}

/// Whether a node with one input tensor commutes with a factor above zero for each innermost channel.
fn commutes(node: &Node) -> bool {
    match &node.op {
        Op::Pool2d(Pool2d { activation, .. }) => matches!(activation, Activation::None | Activation::Relu),
        Op::Pad(Pad { value: None, .. }) | Op::Reshape => true,
        Op::Unary(crate::graph::UnaryKind::Relu) => true,
        // Reductions over rows and columns do, over channels not.
        Op::Reduce(Reduce { kind: ReduceKind::Mean | ReduceKind::Max, axes, .. }) => axes[..] == [1, 2],
        _ => false,
    }
}

impl Pair {
    fn apply(&self, graph: &mut Graph, ranges: &[f32]) {
        let depthwise = match graph.nodes[self.second].op {
            Op::DepthwiseConv2d(DepthwiseConv2d { multiplier, .. }) => Some(multiplier),
            _ => None,
        };
        let (first, second) = (&graph.nodes[self.first], &graph.nodes[self.second]);
        let (own, bias, next) = (first.input(1), first.input(2), second.input(1));
        let (Some(own), Some(next)) = (own, next) else { return };
        // The channel of the activation that a weight of the second layer reads.
        let channels = self.channels;
        let reads = move |i: usize| match depthwise {
            Some(multiplier) => i / multiplier % channels,
            None => i % channels,
        };
        let mut weights = vec![0.0f32; channels];
        for (i, w) in as_f32(graph, next).unwrap_or_default().iter().enumerate() {
            weights[reads(i)] = weights[reads(i)].max(w.abs());
        }
        let largest = |all: &[f32]| all.iter().copied().fold(0.0, f32::max);
        let (range, weight) = (largest(ranges), largest(&weights));
        // A depthwise layer has a scale for each channel anyway, so any factor of its weights costs nothing.
        let factors: Vec<f32> = ranges
            .iter()
            .zip(&weights)
            .map(|(r, w)| match (*r > 0.0 && *w > 0.0, depthwise) {
                (false, _) => 1.0,
                (true, Some(_)) => (r / range).clamp(1.0 / LARGEST, 1.0),
                (true, None) => ((r / range) / (w / weight)).sqrt().clamp(1.0 / LARGEST, LARGEST),
            })
            .collect();
        let per_channel = match graph.nodes[self.first].op {
            Op::DepthwiseConv2d(_) => 1,
            _ => graph.value(own).elements() / channels,
        };
        let divide = |graph: &mut Graph, id: ValueId, inner: usize| {
            change(graph, id, |i, x| *x /= factors[i / inner % channels]);
        };
        divide(graph, own, per_channel);
        if let Some(bias) = bias {
            divide(graph, bias, 1);
        }
        change(graph, next, |i, x| *x *= factors[reads(i)]);
        // These values no longer equal those of the author's model, so they must not have the same names.
        for &id in &self.between {
            graph.value_mut(id).name += "_equalized";
        }
    }
}

fn change(graph: &mut Graph, id: ValueId, f: impl Fn(usize, &mut f32)) {
    if let Some(Constant::F32(data)) = &mut graph.value_mut(id).constant {
        data.iter_mut().enumerate().for_each(|(i, x)| f(i, x));
    }
}
