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
//!
//! A loop with a mask is tested with one that holds in all rounds; a round that it leaves out must change no state, and give
//! the result of the round before, or zero.

use std::collections::HashMap;
use std::rc::Rc;

use super::cell::{Found, find_cell, parameters};
use super::evaluate::{Evaluator, MOST_ROUNDS};
use super::known::Known;
use super::library::{Attributes, Body, reference};
use super::proto::NodeDef;
use super::tensor::{List, Tensor, holds};
use crate::error::Result;
use crate::graph::{Constant, DType, Graph, Op, Slice, ValueId};
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
    /// The result of the round before, which only rounds that a mask leaves out read.
    Previous,
}

/// The results of a loop, if it is a recurrent layer.
pub(super) fn recognise<'m>(
    e: &mut Evaluator<'m>,
    node: &'m NodeDef,
    inputs: &[Tensor],
) -> Result<Option<Vec<Tensor>>> {
    let Some(plan) = Plan::new(e, node, inputs).and_then(|plan| plan.without_result(e)) else {
        return Ok(None);
    };
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
    /// Position and tensor of truth values, `[steps, batch, 1]`, if some rounds are left out.
    mask: Option<(usize, ValueId)>,
    /// Rounds that are left out give zero, not the result before.
    zero_masked: bool,
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
        let mut masks = vec![];
        for (position, tensor) in inputs.iter().enumerate() {
            let same = passed(body, body.results[position]) == Some(body.parameters[position]);
            roles.push(match tensor {
                Tensor::List(list) => match (&**list, same) {
                    (List::Rows(id), true) => {
                        let truth = e.builder.graph().value(*id).dtype == DType::Bool;
                        if truth { &mut masks } else { &mut sequences }.push((position, *id));
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
        let mask = masks.first().copied();
        let fits = mask.is_none_or(|(_, id)| e.builder.shape(id).iter().product::<usize>() == steps * batch);
        let most = if mask.is_some() { 3 } else { 2 };
        let few = results.len() <= 1 && masks.len() <= 1 && (1..=most).contains(&states.len());
        (few && fits && states.iter().all(flat)).then_some(Plan {
            mask,
            zero_masked: false,
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

    /// Sets apart what only rounds read that a mask leaves out, and finds out what these give; `None` if they do more than to
    /// leave the states as they are.
    fn without_result(mut self, e: &mut Evaluator<'m>) -> Option<Self> {
        if self.mask.is_none() {
            return Some(self);
        }
        let counters = self.counters();
        let (graph, ..) = self.round(e, 0, &counters)?;
        let read = |id: &ValueId| graph.nodes.iter().any(|node| node.inputs.contains(&Some(*id)));
        // The first input is the row.
        let unread = graph.inputs.iter().skip(1).zip(&self.states).filter(|(id, _)| !read(id));
        let unread: Vec<usize> = unread.map(|(_, &state)| state).collect();
        if unread.len() > 1 {
            return None;
        }
        for state in unread {
            self.roles[state] = Role::Previous;
            self.states.retain(|&other| other != state);
        }
        if self.states.len() > 2 {
            return None;
        }
        let mut builder = Builder::new("left_out");
        let given = self.given(e, &mut builder, (0, false), &counters)?;
        let of = |position: usize| match given.get(self.body.parameters[position]) {
            Some(Tensor::Value(id)) => Some(*id),
            _ => None,
        };
        let before: Vec<Option<ValueId>> = self.states.iter().map(|&state| of(state)).collect();
        let previous = self.roles.iter().position(|role| matches!(role, Role::Previous)).and_then(of);
        let (result, _) = e.aside(builder, |e| e.evaluate(self.body, given, &self.body.results));
        let results = result.ok()?;
        let is = |tensor: Option<&Tensor>, id: Option<ValueId>| match tensor {
            Some(Tensor::Value(found)) => Some(*found) == id,
            _ => false,
        };
        if !self.states.iter().zip(before).all(|(&state, id)| is(results.get(state), id)) {
            return None;
        }
        if let Some((position, _)) = self.results {
            let Tensor::List(list) = results.get(position)? else { return None };
            let List::Items(items) = &**list else { return None };
            let item = items.iter().flatten().next()?;
            let zero = |known: &Known| known.data.as_f32().is_some_and(|v| v.iter().all(|&x| x == 0.0));
            self.zero_masked = match item {
                Tensor::Known(known) if zero(known) => true,
                _ if previous.is_some() && is(Some(item), previous) => false,
                _ => return None,
            };
        }
        Some(self)
    }

    /// What integers are before the first round.
    fn counters(&self) -> Counters {
        let mut counters: Counters = HashMap::new();
        for (position, role) in self.roles.iter().enumerate() {
            if let Role::Counter = role {
                counters.insert(position, self.inputs[position].clone());
            }
        }
        counters
    }

    /// What a round is given: its row, and whether its mask holds.
    fn given(
        &self,
        e: &Evaluator<'m>,
        builder: &mut Builder,
        (step, computed): (usize, bool),
        counters: &Counters,
    ) -> Option<HashMap<&'m str, Tensor>> {
        let [steps, batch, features] = self.shape;
        let row = builder.input("row", &[batch, features], DType::Float32);
        // The round may read no row but its own, so the others are opaque.
        let rows = |own: Tensor| {
            let mut rows = vec![Some(Tensor::Opaque); steps];
            *rows.get_mut(step)? = Some(own);
            Some(Tensor::List(Rc::new(List::Items(rows))))
        };
        let mut given = HashMap::new();
        for (position, &parameter) in self.body.parameters.iter().enumerate() {
            let tensor = match self.roles[position] {
                _ if position == self.sequence.0 => rows(Tensor::Value(row))?,
                _ if self.mask.is_some_and(|(mask, _)| mask == position) => {
                    let shape = e.builder.shape(self.mask?.1).get(1..)?.to_vec();
                    let truth = Constant::Bool(vec![computed; shape.iter().product()]);
                    rows(Tensor::Known(Known::new("mask", shape, truth)))?
                }
                Role::Counter => counters.get(&position)?.clone(),
                Role::Previous if computed => Tensor::Opaque,
                Role::State | Role::Previous => {
                    let shape = e.shape(&self.inputs[position])?;
                    Tensor::Value(builder.input(&format!("state_{position}"), &shape, DType::Float32))
                }
                Role::Same | Role::Results => self.inputs[position].clone(),
            };
            given.insert(parameter, tensor);
        }
        Some(given)
    }

    /// Builds every round separately; `None` unless all are the same.
    fn all_rounds(&self, e: &mut Evaluator<'m>) -> Option<Rounds> {
        let [steps, ..] = self.shape;
        let mut counters = self.counters();
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
        let mut builder = Builder::new("round");
        let given = self.given(e, &mut builder, (step, true), counters)?;
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
    let mut attributes = found.attributes;
    if let Some((_, mask)) = plan.mask {
        let [steps, batch, _] = plan.shape;
        let rows = e.builder.reshape(&format!("{layer}/mask"), mask, &[steps, batch])?;
        operands.resize(7, None);
        operands.push(Some(e.builder.transpose(&format!("{layer}/mask_of_batch"), rows, &[1, 0])?));
        attributes.zero_masked = plan.zero_masked;
    }
    let ids = e.builder.recurrent(&layer, attributes, operands)?;
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
            Role::Previous => Tensor::Opaque,
            Role::Results => {
                let mut items = vec![None; plan.results.map_or(0, |(_, n)| n)];
                if let Some(first) = items.first_mut() {
                    // With a mask, the last result may be zero where the state is not.
                    *first = Some(Tensor::Value(match plan.mask {
                        None => states[0],
                        Some(_) => last_result(e, &layer, all)?,
                    }));
                }
                Tensor::List(Rc::new(List::Items(items)))
            }
        });
    }
    Ok(results)
}

/// The result of the last step, `[batch, units]`.
fn last_result(e: &mut Evaluator<'_>, layer: &str, all: ValueId) -> Result<ValueId> {
    let shape = e.builder.shape(all).to_vec();
    let &[batch, steps, units] = shape.as_slice() else { return Ok(all) };
    let op =
        Op::Slice(Slice { begin: vec![0, steps - 1, 0], size: vec![batch, 1, units], stride: vec![1; 3] });
    e.builder.op_shaped(&format!("{layer}/last_step"), op, &[all], &[batch, units])
}
