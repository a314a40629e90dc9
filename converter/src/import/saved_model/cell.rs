//! Finds out which cell one round of a loop computes, by trial with random numbers in place of its weights.

use super::known::{MOST, count};
use crate::error::Result;
use crate::graph::{Binary, BinaryKind, Cell, Constant, DType, Graph, Op, Recurrent, ValueId};
use crate::import::build::Builder;
use crate::reference::Executor;

/// Samples on which a candidate has to agree in all units.
const SAMPLES: usize = 4;

/// Largest difference between two ways to compute the same sums of products of numbers around one.
const CLOSE: f32 = 2e-5;

/// The cell that a round computes, and its parameters in the round's graph.
pub(super) struct Found {
    pub attributes: Recurrent,
    units: usize,
    weights: Vec<ValueId>,
    recurrent: Vec<ValueId>,
    bias: Vec<ValueId>,
    recurrent_bias: Vec<ValueId>,
}

/// Several constants, stacked to one parameter.
fn stacked(graph: &Graph, parts: &[ValueId]) -> Vec<f32> {
    parts.iter().filter_map(|&id| graph.value(id).constant.as_ref()?.as_f32()).flatten().copied().collect()
}

pub(super) fn find_cell(graph: &Graph, states: usize) -> Option<Found> {
    if graph.nodes.iter().any(|node| matches!(node.op, Op::Unsupported(_))) {
        return None;
    }
    if graph.values.iter().any(|v| count(&v.shape).is_none_or(|n| n > MOST)) {
        return None;
    }
    let (&row, &hidden) = (graph.inputs.first()?, graph.inputs.get(1)?);
    let &units = graph.value(hidden).shape.last()?;
    let (mut weights, mut recurrent, mut added, mut kinds) = (vec![], vec![], vec![], vec![]);
    for node in &graph.nodes {
        let constant = |at: usize| node.input(at).filter(|&id| graph.value(id).constant.is_some());
        match &node.op {
            Op::FullyConnected(_) => {
                let matrix = constant(1)?;
                if node.input(0) == Some(row) { weights.push(matrix) } else { recurrent.push(matrix) }
            }
            Op::Binary(Binary { kind: BinaryKind::Add, .. }) => {
                added.extend(constant(1).or(constant(0)).filter(|&id| graph.value(id).elements() >= units));
            }
            Op::Unary(kind) if !kinds.contains(kind) => kinds.push(*kind),
            _ => (),
        }
    }
    let rows = |list: &[ValueId]| {
        list.iter().map(|&id| graph.value(id).shape.first().copied().unwrap_or(0)).sum::<usize>()
    };
    let (width, wide) = (rows(&weights), rows(&recurrent));
    if units == 0 || width % units != 0 || width != wide || kinds.len() > 4 {
        return None;
    }
    let cells: &[Cell] = match (states, width / units) {
        (1, 1) => &[Cell::Simple],
        (1, 3) => &[Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }],
        (2, 4) => &[Cell::Lstm],
        _ => return None,
    };
    let groups = group(graph, &added, width)?;
    let biases: Vec<[Vec<ValueId>; 2]> = match groups.as_slice() {
        [] => vec![[vec![], vec![]]],
        [one] => vec![[one.clone(), vec![]], [vec![], one.clone()]],
        [one, two] => vec![[one.clone(), two.clone()], [two.clone(), one.clone()]],
        _ => return None,
    };
    let trial = Trial::new(graph)?;
    for &cell in cells {
        for &activation in &kinds {
            for &gate_activation in &kinds {
                for [bias, recurrent_bias] in &biases {
                    let attributes = Recurrent {
                        cell,
                        activation,
                        gate_activation,
                        output_activation: activation,
                        reverse: false,
                        cell_clip: 0.0,
                        sum_clip: 0.0,
                        time_major: false,
                        zero_masked: false,
                        integer: None,
                    };
                    let found = Found {
                        attributes,
                        units,
                        weights: weights.clone(),
                        recurrent: recurrent.clone(),
                        bias: bias.clone(),
                        recurrent_bias: recurrent_bias.clone(),
                    };
                    if trial.agrees(&found).is_some_and(|agrees| agrees) {
                        return Some(found);
                    }
                }
            }
        }
    }
    None
}

/// Splits constants, in their order, into groups of `width` elements.
fn group(graph: &Graph, constants: &[ValueId], width: usize) -> Option<Vec<Vec<ValueId>>> {
    let (mut groups, mut open, mut filled) = (vec![], vec![], 0);
    for &id in constants {
        open.push(id);
        filled += graph.value(id).elements();
        if filled == width {
            groups.push(std::mem::take(&mut open));
            filled = 0;
        }
    }
    open.is_empty().then_some(groups)
}

/// A round with random numbers in place of its weights, and its results for random inputs.
struct Trial {
    graph: Graph,
    samples: Vec<Vec<Vec<f32>>>,
    expected: Vec<Vec<Vec<f32>>>,
}

impl Trial {
    fn new(graph: &Graph) -> Option<Trial> {
        let mut graph = graph.clone();
        let mut state = 0x2545_f491_4f6c_dd1du64;
        // xorshift64*, scaled to -1..1.
        let mut random = move || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        for value in &mut graph.values {
            // Single numbers belong to the functions of the cell, so they stay.
            if let Some(Constant::F32(data)) = value.constant.as_mut().filter(|c| c.len() > 1) {
                data.iter_mut().for_each(|x| *x = random());
            }
        }
        let mut sample = || -> Vec<Vec<f32>> {
            let size = |id: &ValueId| graph.value(*id).elements();
            graph.inputs.iter().map(|id| (0..size(id)).map(|_| random()).collect()).collect()
        };
        let samples: Vec<Vec<Vec<f32>>> = (0..SAMPLES).map(|_| sample()).collect();
        let expected = {
            let executor = Executor::new(&graph).ok()?;
            let run = |sample: &Vec<Vec<f32>>| {
                executor.run(&sample.iter().map(Vec::as_slice).collect::<Vec<_>>()).ok()
            };
            samples.iter().map(run).collect::<Option<_>>()?
        };
        Some(Trial { graph, samples, expected })
    }

    /// Whether a cell with these parameters computes the same as the round.
    fn agrees(&self, found: &Found) -> Option<bool> {
        let graph = &self.graph;
        let shape = |at: usize| graph.inputs.get(at).map(|&id| graph.value(id).shape.clone());
        let &[batch, features] = shape(0)?.as_slice() else { return None };
        let mut builder = Builder::new("cell");
        let x = builder.input("x", &[batch, 1, features], DType::Float32);
        let mut operands = parameters(&mut builder, graph, found, "cell").ok()?;
        operands.insert(0, Some(x));
        for at in 1..graph.inputs.len() {
            operands.push(Some(builder.input("state", &shape(at)?, DType::Float32)));
        }
        let ids = builder.recurrent("cell", found.attributes, operands).ok()?;
        // The round returns its states and, if it has a result, the hidden state again.
        let states = graph.inputs.len() - 1;
        let outputs: Vec<ValueId> = (0..graph.outputs.len())
            .map(|i| ids.get(if i < states { i + 1 } else { 0 }).copied())
            .collect::<Option<_>>()?;
        let cell = builder.finish(outputs);
        let executor = Executor::new(&cell).ok()?;
        for (sample, expected) in self.samples.iter().zip(&self.expected) {
            let slices: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
            let results = executor.run(&slices).ok()?;
            let pairs = results.iter().flatten().zip(expected.iter().flatten());
            // This comparison is false for NaN.
            if !pairs.into_iter().all(|(a, b)| (a - b).abs() <= CLOSE * b.abs().max(1.0)) {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// The weights, recurrent weights and biases of a cell as operands.
pub(super) fn parameters(
    builder: &mut Builder,
    graph: &Graph,
    found: &Found,
    layer: &str,
) -> Result<Vec<Option<ValueId>>> {
    let width = found.attributes.cell.gates() * found.units;
    let mut add = |parts: &[ValueId], word: &str, matrix: bool| -> Result<Option<ValueId>> {
        let data = stacked(graph, parts);
        if parts.is_empty() {
            return Ok(None);
        }
        let shape = if matrix { vec![width, data.len() / width.max(1)] } else { vec![width] };
        // A parameter that consists of one variable keeps the author's name.
        let name = match parts {
            &[one] => graph.value(one).name.clone(),
            _ => format!("{layer}/{word}"),
        };
        builder.float(&name, &shape, data).map(Some)
    };
    Ok(vec![
        add(&found.weights, "kernel", true)?,
        add(&found.recurrent, "recurrent_kernel", true)?,
        add(&found.bias, "bias", false)?,
        add(&found.recurrent_bias, "recurrent_bias", false)?,
    ])
}
