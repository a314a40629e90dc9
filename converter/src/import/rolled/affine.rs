//! Which values of a step are affine functions of its row and its hidden state, and their numbers.
//!
//! The numbers are not gathered from the nodes, which may write a sum of products in many ways, but asked for: without
//! its constant terms, the step is run for each unit vector, which gives the products with one and the sums with zeros,
//! so exactly the author's weights.

use std::collections::HashMap;

use crate::graph::{
    Activation, Binary, BinaryKind, Concat, Constant, FullyConnected, Graph, Op, UnaryKind, Value, ValueId,
};
use crate::passes::{constants, dead};
use crate::reference::Executor;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// It depends on no input.
    Constant,
    /// It is an affine function of row and hidden state.
    Affine,
    /// Something else, or dependent on the cell state.
    Other,
}

/// The class of each value of a step, where these values are held, as if they were constants.
pub(super) fn classes(graph: &Graph, held: &[ValueId]) -> Vec<Class> {
    let mut classes = vec![Class::Constant; graph.values.len()];
    for (position, id) in graph.inputs.iter().enumerate() {
        classes[id.0] = if position < 2 { Class::Affine } else { Class::Other };
    }
    for node in &graph.nodes {
        let of = |position: usize| node.input(position).map_or(Class::Constant, |id| classes[id.0]);
        let all = (0..node.inputs.len()).map(of).max().unwrap_or(Class::Constant);
        let scaled = |x: usize, by: usize| if of(by) == Class::Constant { of(x) } else { Class::Other };
        let class = match &node.op {
            _ if all == Class::Constant => Class::Constant,
            Op::FullyConnected(FullyConnected { activation: Activation::None })
                if of(2) == Class::Constant =>
            {
                scaled(0, 1)
            }
            Op::BatchMatMul(_) => scaled(0, 1).min(scaled(1, 0)),
            Op::Binary(Binary { kind, activation: Activation::None }) => match kind {
                BinaryKind::Add | BinaryKind::Sub => all,
                BinaryKind::Mul => scaled(0, 1).min(scaled(1, 0)),
                BinaryKind::Div => scaled(0, 1),
                _ => Class::Other,
            },
            Op::Gather(_) => scaled(0, 1),
            Op::Concat(Concat { activation: Activation::None, .. })
            | Op::Reshape
            | Op::Slice(_)
            | Op::Split(_)
            | Op::Transpose(_)
            | Op::Pack(_)
            | Op::Unpack(_)
            | Op::Unary(UnaryKind::Neg) => all,
            _ => Class::Other,
        };
        for output in &node.outputs {
            classes[output.0] = if held.contains(output) { Class::Constant } else { class };
        }
    }
    classes
}

/// Affine functions: for each sum its weights for the row and the hidden state, and its constant term.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub weights: Vec<Vec<f32>>,
    pub recurrent: Vec<Vec<f32>>,
    pub bias: Vec<f32>,
}

impl Sums {
    /// What is at these places.
    pub(super) fn range(&self, start: usize, len: usize) -> Sums {
        let cut = |rows: &[Vec<f32>]| rows[start..start + len].to_vec();
        Sums {
            weights: cut(&self.weights),
            recurrent: cut(&self.recurrent),
            bias: self.bias[start..start + len].to_vec(),
        }
    }

    /// The sums with the other sign.
    pub(super) fn negated(&self) -> Sums {
        let rows = |rows: &[Vec<f32>]| rows.iter().map(|row| row.iter().map(|x| -x).collect()).collect();
        Sums {
            weights: rows(&self.weights),
            recurrent: rows(&self.recurrent),
            bias: self.bias.iter().map(|x| -x).collect(),
        }
    }
}

/// All elements of values that are affine where others are held at these numbers.
pub(super) fn sums(graph: &Graph, targets: &[ValueId], held: &[(ValueId, f32)]) -> Option<Sums> {
    let mut graph = graph.clone();
    for &(id, number) in held {
        graph.nodes.retain(|node| !node.outputs.contains(&id));
        let value = graph.value_mut(id);
        value.constant = Some(Constant::F32(vec![number; value.elements()]));
    }
    graph.outputs = targets.to_vec();
    dead::run(&mut graph);
    constants::run(&mut graph);
    let sizes: Vec<usize> = graph.inputs.iter().map(|&id| graph.value(id).elements()).collect();
    let bias = unit(&Executor::new(&graph).ok()?, &sizes, None)?;
    without_terms(&mut graph);
    let executor = Executor::new(&graph).ok()?;
    let mut found = Sums { bias, ..Sums::default() };
    for (input, rows) in [&mut found.weights, &mut found.recurrent].into_iter().enumerate() {
        *rows = vec![Vec::with_capacity(sizes[input]); found.bias.len()];
        for at in 0..sizes[input] {
            let column = unit(&executor, &sizes, Some((input, at)))?;
            rows.iter_mut().zip(column).for_each(|(row, x)| row.push(x));
        }
    }
    Some(found)
}

/// All results for inputs of zeros, but for a one.
fn unit(executor: &Executor<'_>, sizes: &[usize], one: Option<(usize, usize)>) -> Option<Vec<f32>> {
    let mut inputs: Vec<Vec<f32>> = sizes.iter().map(|&size| vec![0.0; size]).collect();
    if let Some((input, at)) = one {
        inputs[input][at] = 1.0;
    }
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    Some(executor.run(&inputs).ok()?.concat())
}

/// Makes what is added zero.
fn without_terms(graph: &mut Graph) {
    let mut zeros: HashMap<ValueId, ValueId> = HashMap::new();
    for index in 0..graph.nodes.len() {
        let positions = match graph.nodes[index].op {
            Op::FullyConnected(_) => 2..3,
            Op::Binary(Binary { kind: BinaryKind::Add | BinaryKind::Sub, .. }) => 0..2,
            Op::Concat(_) | Op::Pack(_) => 0..graph.nodes[index].inputs.len(),
            _ => continue,
        };
        for position in positions {
            let Some(id) = graph.nodes[index].input(position) else { continue };
            let value = graph.value(id);
            if value.constant.is_none() {
                continue;
            }
            let zero = Value { constant: Some(Constant::F32(vec![0.0; value.elements()])), ..value.clone() };
            let zero = *zeros.entry(id).or_insert_with(|| graph.add_value(zero));
            graph.nodes[index].inputs[position] = Some(zero);
        }
    }
}
