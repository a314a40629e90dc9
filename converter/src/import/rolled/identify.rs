//! Which cell a step is.

use super::affine::{Class, Sums, classes, sums};
use super::cell::Cell;
use super::trial;
use crate::graph::{self, Graph, Op, Recurrent, UnaryKind, ValueId};

/// Most inputs of a cell, row and hidden state together; each is a run of the step.
const MOST: usize = 2048;

/// Most functions of affine sums, in blocks of as many elements as the state has.
const MOST_BLOCKS: usize = 5;

/// One function of affine sums, as many as the state has elements.
struct Block {
    kind: UnaryKind,
    sums: Sums,
    /// The function's result, and the first of its elements.
    result: ValueId,
}

/// What a step has inside.
struct Inside {
    blocks: Vec<Block>,
    /// Functions of what is no affine sum, each once.
    later: Vec<UnaryKind>,
    /// Where there are two blocks: for each as the gate that resets, the function and the sums of the candidate, with the
    /// gate at one, and its constant terms with the gate at zero.
    candidates: Vec<(usize, UnaryKind, Sums, Vec<f32>)>,
}

/// A way to read a step as a cell.
#[derive(Clone, Copy, Debug)]
enum Way {
    Simple,
    /// The blocks of the gates input, forget, candidate, output; where one number is there twice, one gate is one minus
    /// the other: the first where this says so, else the second.
    Lstm([usize; 4], bool),
    /// Number of the candidate; whether the update gate weighs the candidate, not the state; whether it resets after the
    /// product.
    Gru(usize, bool, bool),
}

/// The cell that agrees with a step.
pub(super) fn identify(step: &Graph) -> Option<Cell> {
    let sizes: Vec<usize> = step.inputs.iter().map(|&id| step.value(id).elements()).collect();
    let &[features, units, ..] = sizes.as_slice() else { return None };
    // One sequence: what has rows of its own is not one state.
    let is_one = |&id: &ValueId| step.value(id).shape.last() == Some(&step.value(id).elements());
    if features + units > MOST || units < 2 || !step.inputs[1..].iter().all(is_one) {
        return None;
    }
    let random = trial::with_other_numbers(step);
    let other = Inside::of(&random, units)?;
    let mut own = None;
    let ways = other.ways(sizes.len() - 1);
    let kinds: &[UnaryKind] = if other.later.is_empty() { &[UnaryKind::Tanh] } else { &other.later };
    for (way, &output) in ways.iter().flat_map(|way| kinds.iter().map(move |kind| (way, kind))) {
        let Some(cell) = other.read(*way, output, [features, units]) else { continue };
        if !trial::agrees(&random, &cell) {
            continue;
        }
        if own.is_none() {
            own = Inside::of(step, units);
        }
        let cell = own.as_ref()?.read(*way, output, [features, units])?;
        if trial::agrees(step, &cell) {
            return Some(cell);
        }
    }
    None
}

impl Inside {
    fn of(step: &Graph, units: usize) -> Option<Inside> {
        let class = classes(step, &[]);
        let (mut found, mut later) = (Vec::new(), Vec::new());
        for node in &step.nodes {
            let (Op::Unary(kind), Some(x)) = (&node.op, node.input(0)) else { continue };
            let result = node.outputs[0];
            match class[x.0] {
                Class::Affine
                    if *kind != UnaryKind::Neg && step.value(x).elements().is_multiple_of(units) =>
                {
                    found.push((*kind, x, result));
                }
                Class::Other if !later.contains(kind) => later.push(*kind),
                _ => {}
            }
        }
        let count: usize = found.iter().map(|&(_, x, _)| step.value(x).elements() / units).sum();
        if count == 0 || count > MOST_BLOCKS {
            return None;
        }
        let targets: Vec<ValueId> = found.iter().map(|&(_, x, _)| x).collect();
        let all = sums(step, &targets, &[])?;
        let mut blocks = Vec::new();
        for &(kind, x, result) in &found {
            for _ in 0..step.value(x).elements() / units {
                let sums = all.range(blocks.len() * units, units);
                blocks.push(Block { kind, sums, result });
            }
        }
        let mut inside = Inside { blocks, later, candidates: Vec::new() };
        if inside.blocks.len() == 2 && step.inputs.len() == 2 {
            inside.candidates = inside.candidates(step, units);
        }
        Some(inside)
    }

    /// What the function of a GRU's candidate is applied to.
    fn candidates(&self, step: &Graph, units: usize) -> Vec<(usize, UnaryKind, Sums, Vec<f32>)> {
        let held: Vec<ValueId> = self.blocks.iter().map(|block| block.result).collect();
        let class = classes(step, &held);
        let candidate = step.nodes.iter().find_map(|node| {
            let (Op::Unary(kind), Some(x)) = (&node.op, node.input(0)) else { return None };
            let fits = class[x.0] == Class::Affine && step.value(x).elements() == units;
            (fits && !held.contains(&node.outputs[0])).then_some((*kind, x))
        });
        let Some((kind, x)) = candidate else { return Vec::new() };
        let with = |number: f32| {
            let held: Vec<(ValueId, f32)> = held.iter().map(|&id| (id, number)).collect();
            sums(step, &[x], &held)
        };
        // The gate that updates has no part in the candidate, so both may be held at the same number.
        let (Some(open), Some(closed)) = (with(1.0), with(0.0)) else { return Vec::new() };
        (0..2).map(|reset| (reset, kind, open.clone(), closed.bias.clone())).collect()
    }

    /// All ways to read a step with so many states.
    fn ways(&self, states: usize) -> Vec<Way> {
        let count = self.blocks.len();
        let mut ways = Vec::new();
        match (states, count) {
            (1, 1) => ways.push(Way::Simple),
            (1, 2) => {
                for number in 0..self.candidates.len() {
                    for (weighs, after) in [(false, false), (false, true), (true, false), (true, true)] {
                        ways.push(Way::Gru(number, weighs, after));
                    }
                }
            }
            (2, 3..) => {
                for code in 0..count.pow(4) {
                    let gates = [0, 1, 2, 3].map(|at| code / count.pow(at) % count);
                    let [i, f, g, o] = gates;
                    let kinds = [i, f, o].map(|gate| self.blocks[gate].kind);
                    let apart = ![i, f, o].contains(&g) && o != i && o != f;
                    if apart && kinds.iter().all(|kind| *kind == kinds[0]) {
                        ways.extend((i != f).then_some(Way::Lstm(gates, false)));
                        ways.extend(
                            (i == f)
                                .then_some([false, true])
                                .into_iter()
                                .flatten()
                                .map(|first| Way::Lstm(gates, first)),
                        );
                    }
                }
            }
            _ => {}
        }
        ways
    }

    /// The cell that a step is when it is read in this way.
    fn read(&self, way: Way, output: UnaryKind, [features, units]: [usize; 2]) -> Option<Cell> {
        let block = |at: usize| self.blocks.get(at);
        let (kind, activation, gate_activation, gates, recurrent_bias) = match way {
            Way::Simple => {
                let only = block(0)?;
                (graph::Cell::Simple, only.kind, only.kind, vec![only.sums.clone()], None)
            }
            Way::Lstm([i, f, g, o], first) => {
                let mut gates = [i, f, g, o].map(|gate| block(gate).map(|block| block.sums.clone()));
                if i == f {
                    // One minus a logistic function is that of the number with the other sign.
                    let coupled = &mut gates[usize::from(!first)];
                    *coupled = coupled.as_ref().map(Sums::negated);
                    if block(i)?.kind != UnaryKind::Logistic {
                        return None;
                    }
                }
                let gates = gates.into_iter().collect::<Option<_>>()?;
                (graph::Cell::Lstm, block(g)?.kind, block(i)?.kind, gates, None)
            }
            Way::Gru(number, weighs, reset_after) => {
                let (reset, kind, candidate, closed) = self.candidates.get(number)?;
                let (update, reset) = (block(1 - reset)?, block(*reset)?);
                if update.kind != reset.kind || weighs && update.kind != UnaryKind::Logistic {
                    return None;
                }
                let z = if weighs { update.sums.negated() } else { update.sums.clone() };
                let mut bias = vec![0.0; 2 * units];
                bias.extend(candidate.bias.iter().zip(closed).map(|(open, closed)| open - closed));
                let state = bias.iter().any(|&x| x != 0.0).then_some(bias);
                let n = Sums { bias: closed.clone(), ..candidate.clone() };
                let cell = graph::Cell::Gru { reset_after };
                (cell, *kind, reset.kind, vec![z, reset.sums.clone(), n], state)
            }
        };
        let attributes = Recurrent {
            cell: kind,
            activation,
            gate_activation,
            output_activation: if kind == graph::Cell::Lstm { output } else { activation },
            reverse: false,
            cell_clip: 0.0,
            sum_clip: 0.0,
            time_major: false,
            zero_masked: false,
            integer: None,
        };
        let all =
            |part: fn(&Sums) -> &Vec<Vec<f32>>| gates.iter().flat_map(part).flatten().copied().collect();
        Some(Cell {
            attributes,
            features,
            units,
            weights: all(|sums| &sums.weights),
            recurrent: all(|sums| &sums.recurrent),
            bias: gates.iter().flat_map(|sums| &sums.bias).copied().collect(),
            recurrent_bias,
        })
    }
}
