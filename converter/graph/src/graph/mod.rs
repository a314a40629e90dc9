//! The graph that every importer builds and every later step reads: values, nodes, and the
//! attributes of the operators in between.
//!
//! Conventions, those of TFLite:
//! - activations are NHWC, shapes are static and row-major;
//! - convolution filters are `[out_channels, kernel_h, kernel_w, in_channels / groups]`, depthwise
//!   filters `[1, kernel_h, kernel_w, in_channels * multiplier]`, transposed convolution filters
//!   `[out_channels, kernel_h, kernel_w, in_channels]`, dense weights `[outputs, inputs]`;
//! - `real = scale * (q - zero_point)`;
//! - padding is explicit: importers resolve SAME and VALID, since all shapes are known.
//!
//! A graph is *float* (activations `Float32` without [`Quantization`]) or *quantized* (activations
//! `Int8` with it); the quantizer turns the first kind into the second, and lowering takes only the
//! second. Nodes are kept in an order in which every value is written before it is read.
//!
//! ```
//! use ferrolite_graph::graph::{DType, Graph, Node, Op, UnaryKind, Value};
//!
//! let mut graph = Graph::default();
//! let value = |name: &str| Value {
//!     name: name.into(),
//!     shape: vec![1, 3],
//!     dtype: DType::Float32,
//!     quantization: None,
//!     constant: None,
//! };
//! let (x, y) = (graph.add_value(value("x")), graph.add_value(value("y")));
//! let op = Op::Unary(UnaryKind::Relu);
//! graph.nodes.push(Node { name: "relu".into(), op, inputs: vec![Some(x)], outputs: vec![y] });
//! (graph.inputs, graph.outputs) = (vec![x], vec![y]);
//! for node in &graph.nodes {
//!     println!("{} ({}) makes {:?}", node.name, node.op.name(), graph.value(node.outputs[0]).shape);
//! }
//! ```

mod attributes;
pub mod custom;
mod op;
mod tensor;
mod window;

pub use attributes::{
    Activation, BinaryKind, Cell, CompareKind, IntegerCell, LogicKind, PoolKind, Recurrent, ReduceKind,
    UnaryKind,
};
pub use custom::Custom;
pub use op::*;
pub use tensor::{Constant, Quantization};
pub use window::{Padding, Window};

use std::collections::{HashMap, HashSet};

pub use ferrolite_schema::DType;

/// Index of a [`Value`] in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// A tensor of the graph: an activation, or a constant when `constant` is set.
#[derive(Clone, Debug)]
pub struct Value {
    /// The author's name for it.
    pub name: String,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// How integers stand for real numbers, when they do.
    pub quantization: Option<Quantization>,
    /// The elements, if they are known before inference.
    pub constant: Option<Constant>,
}

impl Value {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

/// One operation of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// The author's name for the layer; names what errors and reports speak of.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Operands by position; an optional operand that is absent is `None`.
    pub inputs: Vec<Option<ValueId>>,
    /// Results by position.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// The operand at `position`, if it is present.
    pub fn input(&self, position: usize) -> Option<ValueId> {
        self.inputs.get(position).copied().flatten()
    }
}

/// A value that one inference leaves to the next: a variable of the author's.
///
/// ```text
/// value:  at first `initial`, then what the inference before kept of its `next`
/// next:   what is kept, from element `from` on, as many elements as `value` has
/// ```
/// No node writes `value`, and it is no input. All nodes that read it see what the inference began with.
#[derive(Clone, Debug)]
pub struct State {
    /// The author's name.
    pub name: String,
    /// The value at the beginning of an inference.
    pub value: ValueId,
    /// What it is before the first inference, in its own type.
    pub initial: Constant,
    /// The value whose elements are kept, of the same type and quantization.
    pub next: ValueId,
    /// The first element that is kept.
    pub from: usize,
}

/// What is known of a variable that other programs of the same file have, too.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SharedState {
    /// The least and the largest number that the others leave in it.
    pub range: (f32, f32),
    /// The quantization that it has there, if that is settled.
    pub quantization: Option<(f32, i32)>,
    /// Whether it has to be int8, whatever layer keeps it.
    pub plain: bool,
}

/// A neural network: values, nodes in execution order, and the borders.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name of the model, usually the file's stem.
    pub name: String,
    /// All values; nodes refer to them by [`ValueId`].
    pub values: Vec<Value>,
    /// All nodes, each after the ones whose results it reads.
    pub nodes: Vec<Node>,
    /// Model inputs in the author's order.
    pub inputs: Vec<ValueId>,
    /// Model outputs in the author's order.
    pub outputs: Vec<ValueId>,
    /// What outlives an inference.
    pub states: Vec<State>,
    /// The states, by name, that are those of other programs of the same file, too. They stay as the author has them.
    pub shared_states: HashMap<String, SharedState>,
    /// Constants of int8 that the author stores with four bits each: dense layers keep their weights so.
    pub four_bits: HashSet<ValueId>,
    /// Results of layers that were TensorFlow 1's uint8 before they became int8. Its kernels multiply scales in float32,
    /// and some round in another way.
    pub from_uint8: HashSet<ValueId>,
    /// Results at the end of a model, and features of trees at its beginning, that are real numbers on the device, too.
    pub reals: HashSet<ValueId>,
    /// Names of the classes, in the order of the scores, where the author's file says them.
    pub labels: Vec<String>,
    /// The author's operator, by the first result of nodes that became another one.
    pub authored: HashMap<ValueId, String>,
}

impl Graph {
    /// The value behind an id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The value behind an id, for change.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0]
    }

    /// TFLite name of the operator that the author wrote for a node, which people look for.
    pub fn kind<'a>(&'a self, node: &'a Node) -> &'a str {
        let authored = node.outputs.first().and_then(|output| self.authored.get(output));
        authored.map_or_else(|| node.op.name(), String::as_str)
    }

    /// Adds a value and returns its id.
    pub fn add_value(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// The constant behind an operand, if that operand is present and constant.
    pub fn constant(&self, id: Option<ValueId>) -> Option<&Constant> {
        self.value(id?).constant.as_ref()
    }

    /// Index of the node that writes each value.
    pub fn producers(&self) -> HashMap<ValueId, usize> {
        let mut producers = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for &output in &node.outputs {
                producers.insert(output, index);
            }
        }
        producers
    }

    /// Indices of the nodes that read each value, one entry per reading operand.
    pub fn consumers(&self) -> HashMap<ValueId, Vec<usize>> {
        let mut consumers: HashMap<ValueId, Vec<usize>> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.inputs.iter().flatten() {
                consumers.entry(*input).or_default().push(index);
            }
        }
        consumers
    }

    /// Makes every reader of `from`, the model's outputs and states included, read `to` instead.
    pub fn replace_uses(&mut self, from: ValueId, to: ValueId) {
        for node in &mut self.nodes {
            for input in node.inputs.iter_mut().flatten() {
                if *input == from {
                    *input = to;
                }
            }
        }
        self.replace_result(from, to);
    }

    /// Makes `to` what the model gives, or keeps, instead of `from`.
    pub fn replace_result(&mut self, from: ValueId, to: ValueId) {
        let kept = self.states.iter_mut().map(|state| &mut state.next);
        for result in self.outputs.iter_mut().chain(kept) {
            if *result == from {
                *result = to;
            }
        }
    }

    /// What an inference is for: the model's outputs, and what states keep.
    pub fn results(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.outputs.iter().copied().chain(self.states.iter().map(|state| state.next))
    }

    /// What an inference begins with: the model's inputs, and the values of states.
    pub fn sources(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.inputs.iter().copied().chain(self.states.iter().map(|state| state.value))
    }

    /// Whether a value is one of the model's outputs, or what a state keeps.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.results().any(|result| result == id)
    }

    /// Whether a value is one of the model's inputs, or a state's.
    pub fn is_source(&self, id: ValueId) -> bool {
        self.sources().any(|source| source == id)
    }

    /// Values that some node reads or writes, or that are a border of the model.
    pub fn used_values(&self) -> HashSet<ValueId> {
        let mut used: HashSet<ValueId> = self.sources().chain(self.results()).collect();
        for node in &self.nodes {
            used.extend(node.inputs.iter().flatten());
            used.extend(&node.outputs);
        }
        used
    }
}
