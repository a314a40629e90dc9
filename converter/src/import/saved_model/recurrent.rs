//! Loops over time whose body is a recurrent cell become one layer.
//!
//! The way in which Keras writes a cell differs between versions, so the body is not compared with a pattern
//! but tested:
//!
//! 1. one round is built separately, as a graph whose inputs are a row and the states; every other round must
//!    give exactly the same graph, read row `t`, and write its result at index `t` (or always at index 0);
//! 2. matrices that multiply the row are the weights, other matrices the recurrent weights; constants that
//!    are added are biases. This gives the number of gates, and so the cells that are possible;
//! 3. with random numbers in place of the weights, the float reference computes each candidate and the round.
//!    The candidate that agrees on all samples is the cell; if none does, the loop stays unrolled.

use std::collections::HashMap;
use std::rc::Rc;

use super::cell::{Found, find_cell, parameters};
use super::evaluate::{Evaluator, MOST_ROUNDS};
use super::library::{Attributes, Body, reference};
use super::proto::NodeDef;
use super::tensor::{List, Tensor, holds};
use crate::error::Result;
use crate::graph::{DType, Graph, ValueId};
use crate::import::build::Builder;

/// The role of each variable of a loop.
enum Role {
    /// It never changes.
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

/// Integers that are known in each round, by the position of their variable.
type Counters = HashMap<usize, Tensor>;

/// A round's graph, the index of its result, and the counters after it.
type Round = (Graph, Option<usize>, Counters);

/// A loop of the right form.
struct Plan<'m, 'a> {
    condition: &'m Body<'m>,
    body: &'m Body<'m>,
    inputs: &'a [Tensor],
    roles: Vec<Role>,
    /// Position and tensor of the sequence, `[steps, batch, features]`.
    sequence: (usize, ValueId),
    /// Shape of the sequence.
    shape: [usize; 3],
    states: Vec<usize>,
    results: Option<(usize, usize)>,
}

/// What a separate run of the loop has shown.
struct Rounds {
    /// One round: the inputs are the row and the states, the outputs the new states and, if there is one, the
    /// result.
    graph: Graph,
    /// The counters at the end, by position.
    counters: Counters,
    /// Whether each round has its own index in the list of results.
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

    /// Builds every round separately; `None` unless all are the same.
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

    /// Whether the loop continues; this may depend on counters only.
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

    /// Builds one round separately: its graph, the index of its result, and the counters after it.
    fn round(&self, e: &mut Evaluator<'m>, step: usize, counters: &Counters) -> Option<Round> {
        let [steps, batch, features] = self.shape;
        let mut builder = Builder::new("round");
        let row = builder.input("row", &[batch, features], DType::Float32);
        // The round may read no row but its own, so the others are opaque.
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

/// The parameter that a result equals, possibly through copies.
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

/// Adds the layer, and returns the values of the loop's variables after it.
fn emit(
    e: &mut Evaluator<'_>,
    node: &NodeDef,
    plan: &Plan<'_, '_>,
    rounds: &Rounds,
    found: &Found,
) -> Result<Vec<Tensor>> {
    let own = e.layer_name(&node.name);
    // The name of the layer that the loop belongs to.
    let layer = own.strip_suffix("/while").unwrap_or(&own).to_string();
    let sequence = e.builder.transpose(&format!("{layer}/batch_major"), plan.sequence.1, &[1, 0, 2])?;
    let mut operands = parameters(&mut e.builder, &rounds.graph, found, &layer)?;
    operands.insert(0, Some(sequence));
    for &state in &plan.states {
        operands.push(match &plan.inputs[state] {
            // Zeros are the initial state in any case.
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
