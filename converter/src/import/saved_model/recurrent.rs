//! Loops over time whose body is a recurrent cell become one layer.
//!
//! How Keras writes a cell differs between versions, so the body is not compared with a pattern but put to
//! the proof:
//!
//! 1. one round is built aside, as a graph of an input row and the states; every other round has to
//!    give exactly the same graph, read row `t`, and write its result to place `t` (or always to place 0);
//! 2. matrices that multiply the row are the weights, the others the recurrent weights; constants that are
//!    added are biases. That says how many gates there are, and so which cells it can be;
//! 3. with random numbers in place of the weights, each candidate is computed by the float reference beside the
//!    round. The one that agrees on all samples is the cell; if none does, the loop stays unrolled.

use std::collections::HashMap;
use std::rc::Rc;

use super::evaluate::{Evaluator, Tensor};
use super::known::{MOST, count};
use super::library::{Attributes, Body, reference};
use super::lists::List;
use super::loops::{MOST_ROUNDS, holds};
use super::proto::NodeDef;
use crate::error::Result;
use crate::graph::{BinaryKind, Cell, Constant, DType, Graph, Op, Recurrent, ValueId};
use crate::import::build::Builder;
use crate::reference::Executor;

/// Samples on which a candidate has to agree, each of all units.
const SAMPLES: usize = 4;

/// Largest difference of two ways to compute the same sums of products of numbers around one.
const CLOSE: f32 = 2e-5;

/// What each variable of a loop is.
enum Role {
    /// Stays what it is.
    Same,
    /// An integer that is known in each round.
    Counter,
    /// A state of the cell.
    State,
    /// The list of results.
    Results,
}

/// The results of a loop, if it is a recurrent layer.
pub(super) fn recognise<'m>(
    e: &mut Evaluator<'m>,
    node: &'m NodeDef,
    inputs: &[Tensor],
) -> Result<Option<Vec<Tensor>>> {
    let Some(plan) = Plan::new(e, node, inputs) else { return Ok(None) };
    let Some(rounds) = plan.all_rounds(e) else { return Ok(None) };
    let Some(cell) = find_cell(&rounds.graph, plan.states.len()) else { return Ok(None) };
    emit(e, node, &plan, &rounds, &cell).map(Some)
}

/// Integers that each round knows, by the position of their variable.
type Counters = HashMap<usize, Tensor>;

/// A round's graph, the place of its result, and the counters behind it.
type Round = (Graph, Option<usize>, Counters);

/// A loop of the right form.
struct Plan<'m, 'a> {
    condition: &'m Body<'m>,
    body: &'m Body<'m>,
    inputs: &'a [Tensor],
    roles: Vec<Role>,
    /// Position and tensor of the sequence, `[steps, batch, features]`.
    sequence: (usize, ValueId),
    /// Shape of it.
    shape: [usize; 3],
    states: Vec<usize>,
    results: Option<(usize, usize)>,
}

/// What running the loop aside has shown.
struct Rounds {
    /// One round: inputs are row and states, outputs the new states and, if any, the result.
    graph: Graph,
    /// The counters at the end, by position.
    counters: Counters,
    /// Whether each round has its own place in the list of results.
    every_step: bool,
}

impl<'m, 'a> Plan<'m, 'a> {
    fn new(e: &Evaluator<'m>, node: &'m NodeDef, inputs: &'a [Tensor]) -> Option<Plan<'m, 'a>> {
        let function = |name| e.library.functions.get(node.function(name)?);
        let (condition, body) = (function("cond")?, function("body")?);
        let fits = body.parameters.len() == inputs.len() && body.results.len() == inputs.len();
        if !fits || condition.parameters.len() != inputs.len() {
            return None;
        }
        let (mut roles, mut sequences, mut states, mut results) = (vec![], vec![], vec![], vec![]);
        for (position, tensor) in inputs.iter().enumerate() {
            let same = passed(body, body.results[position]) == Some(body.parameters[position]);
            roles.push(match tensor {
                Tensor::List(list) => match (&**list, same) {
                    (List::Rows(id), true) => {
                        sequences.push((position, *id));
                        Role::Same
                    }
                    (List::Items(items), false) if items.iter().all(Option::is_none) => {
                        results.push((position, items.len()));
                        Role::Results
                    }
                    _ => return None,
                },
                Tensor::Known(_) | Tensor::Variable(_) if same => Role::Same,
                Tensor::Known(known) if known.dtype() != DType::Float32 => Role::Counter,
                Tensor::Known(_) | Tensor::Value(_) if !same => {
                    states.push(position);
                    Role::State
                }
                _ => return None,
            });
        }
        let &[sequence] = sequences.as_slice() else { return None };
        let &[steps, batch, features] = e.builder.shape(sequence.1) else { return None };
        let flat = |&at: &usize| e.shape(&inputs[at]).is_some_and(|s| s.len() == 2 && s[0] == batch);
        (results.len() <= 1 && matches!(states.len(), 1 | 2) && states.iter().all(flat)).then_some(Plan {
            condition,
            body,
            inputs,
            roles,
            sequence,
            shape: [steps, batch, features],
            states,
            results: results.first().copied(),
        })
    }

    /// Builds every round aside; `None` unless all are the same one.
    fn all_rounds(&self, e: &mut Evaluator<'m>) -> Option<Rounds> {
        let [steps, ..] = self.shape;
        let mut counters: Counters = HashMap::new();
        for (position, role) in self.roles.iter().enumerate() {
            if let Role::Counter = role {
                counters.insert(position, self.inputs[position].clone());
            }
        }
        let (mut first, mut places): (Option<Graph>, Vec<usize>) = (None, vec![]);
        for step in 0..=MOST_ROUNDS.min(steps) {
            if !self.again(e, &counters)? {
                let every_step = match self.results {
                    _ if step != steps => return None,
                    None => false,
                    Some((_, n)) if places.iter().copied().eq(0..steps) && n == steps => true,
                    Some(_) if places.iter().all(|&p| p == 0) => false,
                    Some(_) => return None,
                };
                return Some(Rounds { graph: first?, counters, every_step });
            }
            let (graph, place, next) = self.round(e, step, &counters)?;
            match &first {
                None => first = Some(graph),
                Some(first) if same(first, &graph) => (),
                Some(_) => return None,
            }
            places.extend(place);
            counters = next;
        }
        None
    }

    /// Whether the loop goes on, which only counters may say.
    fn again(&self, e: &mut Evaluator<'m>, counters: &Counters) -> Option<bool> {
        let given = (0..self.inputs.len()).map(|position| {
            let tensor = match self.roles[position] {
                Role::Counter => counters.get(&position).cloned().unwrap_or(Tensor::Opaque),
                Role::Same => self.inputs[position].clone(),
                _ => Tensor::Opaque,
            };
            (self.condition.parameters[position], tensor)
        });
        let given = given.collect();
        let (result, _) =
            e.aside(Builder::default(), |e| e.evaluate(self.condition, given, &self.condition.results));
        holds(result.ok()?.first())
    }

    /// One round aside: its graph, the place of its result, and the counters behind it.
    fn round(&self, e: &mut Evaluator<'m>, step: usize, counters: &Counters) -> Option<Round> {
        let [steps, batch, features] = self.shape;
        let mut builder = Builder::new("round");
        let row = builder.input("row", &[batch, features], DType::Float32);
        // Another row than that of the step is nothing that can be computed with.
        let mut rows = vec![Some(Tensor::Opaque); steps];
        *rows.get_mut(step)? = Some(Tensor::Value(row));
        let mut given = HashMap::new();
        for (position, &parameter) in self.body.parameters.iter().enumerate() {
            let tensor = match self.roles[position] {
                _ if position == self.sequence.0 => {
                    Tensor::List(Rc::new(List::Items(std::mem::take(&mut rows))))
                }
                Role::Counter => counters.get(&position)?.clone(),
                Role::State => {
                    let shape = e.shape(&self.inputs[position])?;
                    Tensor::Value(builder.input(&format!("state_{position}"), &shape, DType::Float32))
                }
                Role::Same | Role::Results => self.inputs[position].clone(),
            };
            given.insert(parameter, tensor);
        }
        let (result, builder) = e.aside(builder, |e| e.evaluate(self.body, given, &self.body.results));
        let results = result.ok()?;
        let mut outputs = Vec::new();
        for &state in &self.states {
            let Tensor::Value(id) = results.get(state)? else { return None };
            outputs.push(*id);
        }
        let mut place = None;
        if let Some((position, _)) = self.results {
            let Tensor::List(list) = results.get(position)? else { return None };
            let List::Items(items) = &**list else { return None };
            let mut set = items.iter().enumerate().filter_map(|(i, item)| Some((i, item.as_ref()?)));
            let (at, Tensor::Value(id)) = set.next()? else { return None };
            if set.next().is_some() {
                return None;
            }
            place = Some(at);
            outputs.push(*id);
        }
        let next = counters.keys().map(|&at| match results.get(at)? {
            known @ Tensor::Known(_) => Some((at, known.clone())),
            _ => None,
        });
        Some((builder.finish(outputs), place, next.collect::<Option<_>>()?))
    }
}

/// The parameter that a result is, through copies.
fn passed<'m>(body: &Body<'m>, result: &'m str) -> Option<&'m str> {
    let mut name = reference(result)?.0;
    for _ in 0..8 {
        match body.nodes.get(name) {
            Some(node) if node.op == "Identity" => name = reference(node.inputs.first()?)?.0,
            Some(_) => return None,
            None => return Some(name),
        }
    }
    None
}

/// Whether two graphs compute the same with the same numbers.
fn same(a: &Graph, b: &Graph) -> bool {
    let values = a.values.len() == b.values.len()
        && a.values.iter().zip(&b.values).all(|(x, y)| x.shape == y.shape && x.constant == y.constant);
    let nodes = a.nodes.len() == b.nodes.len()
        && a.nodes
            .iter()
            .zip(&b.nodes)
            .all(|(x, y)| x.op == y.op && x.inputs == y.inputs && x.outputs == y.outputs);
    values && nodes && a.outputs == b.outputs
}

/// The cell that a round is, and where its parameters lie in the round's graph.
struct Found {
    attributes: Recurrent,
    units: usize,
    weights: Vec<ValueId>,
    recurrent: Vec<ValueId>,
    bias: Vec<ValueId>,
    recurrent_bias: Vec<ValueId>,
}

/// The constants that stand, one below the other, for one parameter.
fn stacked(graph: &Graph, parts: &[ValueId]) -> Vec<f32> {
    parts.iter().filter_map(|&id| graph.value(id).constant.as_ref()?.as_f32()).flatten().copied().collect()
}

fn find_cell(graph: &Graph, states: usize) -> Option<Found> {
    if graph.nodes.iter().any(|node| matches!(node.op, Op::Unsupported { .. })) {
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
            Op::FullyConnected { .. } => {
                let matrix = constant(1)?;
                if node.input(0) == Some(row) { weights.push(matrix) } else { recurrent.push(matrix) }
            }
            Op::Binary { kind: BinaryKind::Add, .. } => {
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

/// Constants in their order as groups of `width` elements.
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

/// A round with random numbers in place of its weights, and what it computes of random inputs.
struct Trial {
    graph: Graph,
    samples: Vec<Vec<Vec<f32>>>,
    expected: Vec<Vec<Vec<f32>>>,
}

impl Trial {
    fn new(graph: &Graph) -> Option<Trial> {
        let mut graph = graph.clone();
        let mut state = 0x2545_f491_4f6c_dd1du64;
        // xorshift64*, as -1..1.
        let mut random = move || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        for value in &mut graph.values {
            // Single numbers belong to the functions of the cell.
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

    /// Whether a cell with these parameters computes what the round computes.
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
        // The round gives its states and, where it has a result, the hidden state again.
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
            // Not a number is not close.
            if !pairs.into_iter().all(|(a, b)| (a - b).abs() <= CLOSE * b.abs().max(1.0)) {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// Weights, recurrent weights and biases of a cell as operands.
fn parameters(
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
        // One part keeps the author's name of the variable.
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

/// Adds the layer, and says what the loop's variables are behind it.
fn emit(
    e: &mut Evaluator<'_>,
    node: &NodeDef,
    plan: &Plan<'_, '_>,
    rounds: &Rounds,
    found: &Found,
) -> Result<Vec<Tensor>> {
    let own = format!("{}{}", node.name, e.suffix);
    let layer = own.strip_suffix("/while").unwrap_or(&own).to_string();
    let sequence = e.builder.transpose(&format!("{layer}/batch_major"), plan.sequence.1, &[1, 0, 2])?;
    let mut operands = parameters(&mut e.builder, &rounds.graph, found, &layer)?;
    operands.insert(0, Some(sequence));
    for &state in &plan.states {
        operands.push(match &plan.inputs[state] {
            // Where every state starts.
            Tensor::Known(k) if k.data.as_f32().is_some_and(|v| v.iter().all(|&x| x == 0.0)) => None,
            Tensor::Known(k) => Some(e.builder.constant(&k.name, &k.shape, k.data.clone())?),
            Tensor::Value(id) => Some(*id),
            _ => None,
        });
    }
    let ids = e.builder.recurrent(&layer, found.attributes, operands)?;
    let (all, states) = (ids[0], &ids[1..]);
    let mut results = Vec::with_capacity(plan.inputs.len());
    for (position, role) in plan.roles.iter().enumerate() {
        results.push(match role {
            Role::Same => plan.inputs[position].clone(),
            Role::Counter => rounds.counters.get(&position).cloned().unwrap_or(Tensor::Opaque),
            Role::State => {
                let at = plan.states.iter().position(|&s| s == position).unwrap_or(0);
                Tensor::Value(states[at])
            }
            Role::Results if rounds.every_step => {
                let rows = e.builder.transpose(&format!("{layer}/time_major"), all, &[1, 0, 2])?;
                Tensor::List(Rc::new(List::Rows(rows)))
            }
            Role::Results => {
                let mut items = vec![None; plan.results.map_or(0, |(_, n)| n)];
                if let Some(first) = items.first_mut() {
                    *first = Some(Tensor::Value(states[0]));
                }
                Tensor::List(Rc::new(List::Items(items)))
            }
        });
    }
    Ok(results)
}
