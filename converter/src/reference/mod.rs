//! The float reference: executes a [`Graph`] in f32 on the host.
//!
//! Quantization is calibrated on it, constants are folded with it, and the integer interpreter is measured
//! against it. The semantics are those of TFLite's float kernels; the matrix products underneath are the
//! `ndarray` crate's.
//!
//! A quantized graph can be executed, too: its constants are turned into the real numbers that they
//! represent. At QUANTIZE and DEQUANTIZE, numbers saturate at the range of the integers, because authors rely
//! on it: ONNX Runtime removes a RELU before integers that end at zero. Nothing is rounded, because the
//! reference serves to measure what rounding costs, including the author's. Integers without quantization,
//! such as the indices that ARG_MAX finds, are stored as f32 like all other values. Of an IF only the branch that
//! is taken is executed, and only its values are observed.
//!
//! ```
//! use ferrolite::graph::{DType, Graph, Node, Op, UnaryKind, Value};
//! use ferrolite::reference::Executor;
//!
//! let mut graph = Graph::default();
//! let value = |name: &str| Value {
//!     name: name.into(),
//!     shape: vec![1, 3],
//!     dtype: DType::Float32,
//!     quantization: None,
//!     constant: None,
//! };
//! let x = graph.add_value(value("x"));
//! let y = graph.add_value(value("y"));
//! graph.nodes.push(Node {
//!     name: "relu".into(),
//!     op: Op::Unary(UnaryKind::Relu),
//!     inputs: vec![Some(x)],
//!     outputs: vec![y],
//! });
//! graph.inputs = vec![x];
//! graph.outputs = vec![y];
//!
//! let outputs = Executor::new(&graph)?.run(&[&[-1.0, 0.0, 2.0]])?;
//! assert_eq!(outputs, [[0.0, 0.0, 2.0]]);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod check;

pub use crate::ops::{check_node, infer_shape, no_such_index};
pub use ferrolite_graph::float::elementwise::{integers, unary};
pub use ferrolite_graph::float::strided::broadcast_shape;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ferrolite_graph::float::Tensor;

use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, Node, Quantization, State, ValueId};
use crate::ops::branches::{Branch, branches};
use crate::ops::check::error;
use crate::ops::operands::Operands;
use crate::ops::{self, channel_axis};

/// A graph that is ready to run: its shapes were checked, and its constants turned into real numbers.
///
/// It is `Sync`; several threads may run samples on one executor at the same time.
pub struct Executor<'g> {
    graph: &'g Graph,
    /// The constants by value, as real numbers.
    constants: Vec<Option<Cow<'g, [f32]>>>,
    /// For each node, the values that no later node reads; their memory is freed after the node.
    dead_after: Vec<Vec<ValueId>>,
    /// The branches that each node is in.
    branches: Vec<Vec<Branch>>,
}

/// What the states of a graph hold, as real numbers, in the graph's order; see [`Executor::start`].
pub type States = Vec<Vec<f32>>;

impl<'g> Executor<'g> {
    /// Checks the graph and prepares its constants.
    ///
    /// # Errors
    /// If layers are unsupported (all of them are named), if the shapes of a layer contradict one
    /// another, or if a value is read before it is written.
    pub fn new(graph: &'g Graph) -> Result<Executor<'g>> {
        check::supported(graph)?;
        check::order(graph)?;
        for node in &graph.nodes {
            check_node(graph, node)?;
        }
        let mut constants: Vec<Option<Cow<'g, [f32]>>> = vec![None; graph.values.len()];
        for (index, value) in graph.values.iter().enumerate() {
            let Some(constant) = &value.constant else { continue };
            check::constant(value)?;
            constants[index] = Some(match constant {
                Constant::F32(v) => Cow::Borrowed(v.as_slice()),
                integers => Cow::Owned(integers.to_real(value.quantization.as_ref(), &value.shape)),
            });
        }
        for node in &graph.nodes {
            if let Some((bias, real)) = bias_by_convention(graph, node) {
                constants[bias.0] = Some(Cow::Owned(real));
            }
        }
        Ok(Executor { graph, constants, dead_after: dead_after(graph), branches: branches(graph) })
    }

    /// The graph that it executes.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// The states before the first inference.
    pub fn start(&self) -> States {
        let real = |state: &State| {
            let value = self.graph.value(state.value);
            match &state.initial {
                Constant::F32(real) => real.clone(),
                integers => integers.to_real(value.quantization.as_ref(), &value.shape),
            }
        };
        self.graph.states.iter().map(real).collect()
    }

    /// Runs one sample, which begins with fresh states: the model's inputs in, the model's outputs out, both in the
    /// graph's order. What the states hold at the beginning may follow the inputs.
    ///
    /// # Errors
    /// If the number of inputs or the number of elements of one is not the model's.
    pub fn run(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        self.run_transformed(inputs, &mut |_, _| ())
    }

    /// Like [`run`](Executor::run), and passes every model input and every layer's outputs to `observe`, in
    /// the order of execution.
    pub fn run_observed(
        &self,
        inputs: &[&[f32]],
        observe: &mut dyn FnMut(ValueId, &[f32]),
    ) -> Result<Vec<Vec<f32>>> {
        self.run_transformed(inputs, &mut |id, data| observe(id, data))
    }

    /// Like [`run_observed`](Executor::run_observed), but the function may change the values before anything
    /// else reads them: round them to a quantization's grid, or inject faults.
    pub fn run_transformed(
        &self,
        inputs: &[&[f32]],
        transform: &mut dyn FnMut(ValueId, &mut [f32]),
    ) -> Result<Vec<Vec<f32>>> {
        let graph = self.graph;
        // A sample of a sequence has what the states hold then behind its inputs.
        match inputs.split_at_checked(graph.inputs.len()) {
            Some((inputs, states)) if !states.is_empty() && states.len() == graph.states.len() => {
                let mut states: States = states.iter().map(|state| state.to_vec()).collect();
                self.run_next(&mut states, inputs, transform)
            }
            _ => self.run_next(&mut self.start(), inputs, transform),
        }
    }

    /// Like [`run_transformed`](Executor::run_transformed), for a sample of a sequence: it begins with the states that
    /// the sample before has left, and leaves its own.
    pub fn run_next(
        &self,
        states: &mut States,
        inputs: &[&[f32]],
        transform: &mut dyn FnMut(ValueId, &mut [f32]),
    ) -> Result<Vec<Vec<f32>>> {
        let graph = self.graph;
        if inputs.len() != graph.inputs.len() {
            return Err(Error::input(format!(
                "the model has {} inputs, but {} were given",
                graph.inputs.len(),
                inputs.len()
            )));
        }
        let mut values: Vec<Option<Vec<f32>>> = vec![None; graph.values.len()];
        for (&id, &data) in graph.inputs.iter().zip(inputs) {
            let value = graph.value(id);
            if data.len() != value.elements() {
                return Err(Error::input(format!(
                    "input `{}` has {} elements (shape {:?}), but {} were given",
                    value.name,
                    value.elements(),
                    value.shape,
                    data.len()
                )));
            }
            let mut data = data.to_vec();
            transform(id, &mut data);
            values[id.0] = Some(data);
        }
        for (state, data) in graph.states.iter().zip(&*states) {
            let mut data = data.clone();
            transform(state.value, &mut data);
            values[state.value.0] = Some(data);
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            // Where a condition is not known yet, the node is computed, whether it matters or not.
            let taken = |branch: &Branch| {
                let condition = values[branch.condition.0].as_ref().and_then(|truth| truth.first());
                condition.is_none_or(|&truth| (truth != 0.0) == branch.holds)
            };
            if !self.branches[index].iter().all(taken) {
                continue;
            }
            let operands: Vec<Option<Tensor>> = node
                .inputs
                .iter()
                .map(|&id| {
                    let id = id?;
                    let data = self.constants[id.0].as_deref().or(values[id.0].as_deref())?;
                    Some(Tensor { shape: &graph.value(id).shape, data })
                })
                .collect();
            let operator = ops::of(&node.op);
            let operands = Operands { graph, node, tensors: &operands };
            operator.check_values(&operands)?;
            let results = operator.eval(&operands);
            for (&id, mut data) in node.outputs.iter().zip(results) {
                transform(id, &mut data);
                values[id.0] = Some(data);
            }
            for dead in &self.dead_after[index] {
                values[dead.0] = None;
            }
        }
        // `check::order` has found a writer for every result.
        let result =
            |id: ValueId| self.constants[id.0].as_deref().or(values[id.0].as_deref()).unwrap_or_default();
        for (state, data) in graph.states.iter().zip(states) {
            let kept = result(state.next).iter().skip(state.from).take(data.len());
            *data = kept.copied().collect();
        }
        Ok(graph.outputs.iter().map(|&id| result(id).to_vec()).collect())
    }
}

/// Executes one node on real numbers, one slice for each operand; the slice of an absent optional operand is
/// empty. The shapes are those of the graph's values.
///
/// # Errors
/// If the operator is unsupported, its shapes contradict one another, or a slice and its value have different
/// numbers of elements.
pub fn execute_node(graph: &Graph, node: &Node, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
    check_node(graph, node)?;
    if inputs.len() != node.inputs.len() {
        return Err(error(
            node,
            format!("it has {} operands, but {} were given", node.inputs.len(), inputs.len()),
        ));
    }
    let mut operands = Vec::with_capacity(inputs.len());
    for (&id, &data) in node.inputs.iter().zip(inputs) {
        operands.push(match id {
            None => None,
            Some(id) if graph.value(id).elements() == data.len() => {
                Some(Tensor { shape: &graph.value(id).shape, data })
            }
            Some(id) => {
                let value = graph.value(id);
                return Err(error(
                    node,
                    format!("`{}` of shape {:?} was given {} elements", value.name, value.shape, data.len()),
                ));
            }
        });
    }
    Ok(ops::of(&node.op).eval(&Operands { graph, node, tensors: &operands }))
}

/// For each node, the values that no node after it reads.
fn dead_after(graph: &Graph) -> Vec<Vec<ValueId>> {
    let mut last_use: Vec<Option<usize>> = vec![None; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for id in node.outputs.iter().chain(node.inputs.iter().flatten()) {
            last_use[id.0] = Some(index);
        }
    }
    let mut dead = vec![Vec::new(); graph.nodes.len()];
    for (index, last) in last_use.into_iter().enumerate() {
        if let (Some(last), false) = (last, graph.is_output(ValueId(index))) {
            dead[last].push(ValueId(index));
        }
    }
    dead
}

/// The real numbers of an int32 bias without a quantization of its own: by TFLite's rule, its scale is that
/// of the input times that of the weights.
fn bias_by_convention(graph: &Graph, node: &Node) -> Option<(ValueId, Vec<f32>)> {
    channel_axis(&node.op)?;
    let bias = node.input(2)?;
    let value = graph.value(bias);
    if value.dtype == DType::Float32 || value.quantization.is_some() {
        return None;
    }
    let (input_scale, _) = graph.value(node.input(0)?).quantization.as_ref()?.tensor()?;
    let weights = graph.value(node.input(1)?).quantization.as_ref()?;
    let scale = weights.scale.iter().map(|scale| scale * input_scale).collect();
    let quantization = Quantization::per_channel(scale, 0);
    Some((bias, value.constant.as_ref()?.to_real(Some(&quantization), &value.shape)))
}
