//! What each layer costs alone. The float model runs with one layer rounded to its int8 grid, and its outputs
//! are compared with those of the unchanged float model.
//!
//! A layer's grid is that of the file: its weights are rounded to the steps that the file's multipliers
//! imply, and its outputs to their scale and zero point, with saturation at the ends. Biases stay as they
//! are, since their steps are much finer than what they are added to. A layer that copies or selects numbers
//! of inputs on the same grid (data movement, maxima) rounds nothing and costs nothing.

use std::collections::HashMap;

use ferrolite_runtime::{Model, OpCode};
use rayon::prelude::*;

use super::grid::{self, Grid};
use super::{Comparison, InputComparison, LayerComparison, layer_values};
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{Constant, DType, Graph, Value, ValueId};
use crate::model_file;
use crate::noise::Noise;
use crate::ops::{self, macs, weights_of};
use crate::parallel::spread;
use crate::passes;
use crate::progress::Progress;
use crate::reference::Executor;

/// Most samples that measure a layer.
const SAMPLES: usize = 64;

/// Most multiply-accumulates that all layers take together. Large models are measured with fewer samples.
const WORK: u64 = 5_000_000_000;

/// What one run quantizes.
struct Trial {
    /// Index of the op; `None` for an input of the model.
    op: Option<usize>,
    /// Outputs that are rounded.
    outputs: HashMap<ValueId, Grid>,
    /// Weights that are rounded: node and operand.
    weights: Option<(usize, Vec<Grid>)>,
}

/// Enters the cost of each input and layer alone into a comparison that already lists the layers of the same
/// model.
///
/// # Errors
/// When the source cannot be executed or the samples do not fit.
pub fn attribute(
    source: &Graph,
    model: &Model<'_>,
    data: &Dataset,
    comparison: &mut Comparison,
    progress: &dyn Progress,
) -> Result<()> {
    let graph = passes::for_quantization(source);
    let trials = trials(&graph, model);
    let work = graph.nodes.iter().fold(0u64, |sum, node| sum.saturating_add(macs(&graph, node)));
    let each = work.saturating_mul(trials.len() as u64).max(1);
    let samples = usize::try_from(WORK / each).unwrap_or(SAMPLES).clamp(1, SAMPLES);
    let samples: Vec<Vec<Vec<f32>>> =
        spread(data.len(), samples).map(|sample| data.real(sample)).collect::<Result<_>>()?;

    let executor = Executor::new(&graph)?;
    let run = |executor: &Executor<'_>, trial: Option<&Trial>, sample: &[Vec<f32>]| {
        let inputs: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
        executor.run_transformed(&inputs, &mut |id, data| {
            if let Some(grid) = trial.and_then(|trial| trial.outputs.get(&id)) {
                data.iter_mut().for_each(|x| *x = grid.round(*x));
            }
        })
    };
    let wanted: Vec<Vec<Vec<f32>>> =
        samples.par_iter().map(|sample| run(&executor, None, sample)).collect::<Result<_>>()?;
    progress.begin("layer by layer", trials.len());
    let noises = trials
        .par_iter()
        .map(|trial| {
            let rounded = trial.weights.as_ref().map(|(node, grids)| with_weights(&graph, *node, grids));
            let own = rounded.as_ref().map(Executor::new).transpose()?;
            let executor = own.as_ref().unwrap_or(&executor);
            let mut noise = Noise::default();
            for (sample, wanted) in samples.iter().zip(&wanted) {
                let found = run(executor, Some(trial), sample)?;
                wanted.iter().zip(&found).for_each(|(wanted, found)| noise.add(wanted, found));
            }
            progress.step();
            Ok(noise)
        })
        .collect::<Result<Vec<Noise>>>();
    progress.end();
    enter(&graph, model, &trials, &noises?, comparison);
    Ok(())
}

/// One trial for each input and each layer that rounds something.
fn trials(graph: &Graph, model: &Model<'_>) -> Vec<Trial> {
    let grids = grid::of_values(graph, model);
    let grid = |id: ValueId| grids[id.0];
    let input = |&id: &ValueId| {
        let outputs = HashMap::from([(id, grid(id)?)]);
        Some(Trial { op: None, outputs, weights: None })
    };
    let producers = graph.producers();
    let layer = |(op, id): (usize, Option<ValueId>)| {
        // Results of DEQUANTIZE are real numbers, which are not rounded again.
        if model.ops().get(op)?.code == OpCode::Dequantize as u16 {
            return None;
        }
        let node = *producers.get(&id?)?;
        let outputs: HashMap<ValueId, Grid> =
            graph.nodes[node].outputs.iter().filter_map(|&id| Some((id, grid(id)?))).collect();
        let weights = weight_grids(graph, model, op, node);
        let rounds = weights.is_some() || rounds(graph, node, &outputs, grid);
        (rounds && !outputs.is_empty()).then_some(Trial {
            op: Some(op),
            outputs,
            weights: weights.map(|grids| (node, grids)),
        })
    };
    let layers = layer_values(graph, model).into_iter().enumerate();
    graph.inputs.iter().filter_map(input).chain(layers.filter_map(layer)).collect()
}

/// Whether a node computes numbers that are not already on its output's grid.
fn rounds(
    graph: &Graph,
    node: usize,
    outputs: &HashMap<ValueId, Grid>,
    grid: impl Fn(ValueId) -> Option<Grid>,
) -> bool {
    let node = &graph.nodes[node];
    let picks = ops::of(&node.op).picks();
    let same = |id: &ValueId| outputs.values().all(|output| grid(*id) == Some(*output));
    !(picks && node.inputs.iter().flatten().all(same))
}

/// The grids of a layer's float weights, one for each output channel. `None` for a layer without weights, and
/// for weights that the author quantized.
fn weight_grids(graph: &Graph, model: &Model<'_>, op: usize, node: usize) -> Option<Vec<Grid>> {
    let layer = &graph.nodes[node];
    let (weights, axis) = weights_of(graph, layer)?;
    let channels = weights.shape.get(axis).copied()?;
    let data = weights.constant.as_ref()?.as_f32()?;
    let steps = grid::of_weights(model, model.ops().get(op)?)
        .filter(|steps| steps.len() == 1 || steps.len() == channels);
    let inner: usize = weights.shape.iter().skip(axis + 1).product::<usize>().max(1);
    Some(match steps {
        Some(steps) => (0..channels).map(|c| Grid::weights(steps[c % steps.len()])).collect(),
        // Another operator computes the layer on the device, so the file has no steps of these weights: take
        // those that the quantizer chooses by default.
        None => {
            let mut largest = vec![0f32; channels];
            for (i, x) in data.iter().enumerate() {
                let c = i / inner % channels;
                largest[c] = largest[c].max(x.abs());
            }
            largest.iter().map(|largest| Grid::weights(largest / 127.0)).collect()
        }
    })
}

/// A copy of the graph in which the weights of one node are rounded.
fn with_weights(graph: &Graph, node: usize, grids: &[Grid]) -> Graph {
    let mut graph = graph.clone();
    let Some((weights, axis)) = weights_of(&graph, &graph.nodes[node]) else { return graph };
    let inner: usize = weights.shape.iter().skip(axis + 1).product::<usize>().max(1);
    let Some(data) = weights.constant.as_ref().and_then(Constant::as_f32) else { return graph };
    let round = |(i, &x): (usize, &f32)| {
        let grid = grids[i / inner % grids.len()];
        if grid.step() > 0.0 { grid.round(x) } else { x }
    };
    let rounded = data.iter().enumerate().map(round).collect();
    // The node gets a value of its own, because other layers may use the same weights.
    let own = Value {
        name: weights.name.clone(),
        shape: weights.shape.clone(),
        dtype: DType::Float32,
        quantization: None,
        constant: Some(Constant::F32(rounded)),
    };
    let own = graph.add_value(own);
    graph.nodes[node].inputs[1] = Some(own);
    graph
}

fn enter(graph: &Graph, model: &Model<'_>, trials: &[Trial], noises: &[Noise], comparison: &mut Comparison) {
    let layers = model_file::layers(model);
    let all: f64 = noises.iter().map(|noise| noise.noise).sum();
    let share = |noise: &Noise| (all > 0.0).then(|| noise.noise / all);
    let mut inputs = graph.inputs.iter();
    for (trial, noise) in trials.iter().zip(noises) {
        match trial.op {
            None => {
                let named = inputs.by_ref().find(|id| trial.outputs.contains_key(id));
                comparison.inputs.extend(named.map(|&id| InputComparison {
                    name: graph.value(id).name.clone(),
                    alone_sqnr_db: noise.decibels(),
                    alone_share: share(noise),
                }));
            }
            Some(op) => {
                let place = comparison.layers.partition_point(|layer| layer.index < op);
                if comparison.layers.get(place).is_none_or(|layer| layer.index != op) {
                    // The source has this tensor only after the passes.
                    let model_file::Layer { index, name, op, .. } = layers[op].clone();
                    let layer = LayerComparison { index, name, op, ..LayerComparison::default() };
                    comparison.layers.insert(place, layer);
                }
                let layer = &mut comparison.layers[place];
                layer.alone_sqnr_db = noise.decibels();
                layer.alone_share = share(noise);
            }
        }
    }
}
