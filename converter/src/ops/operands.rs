//! The operands of a node while it is computed in float.

use ferrolite_graph::float::Tensor;

use crate::graph::{Graph, Node, Value};

/// Operands of a node that [`check_node`](super::check_node) has accepted, of the shapes that the graph says.
pub(crate) struct Operands<'a> {
    pub graph: &'a Graph,
    pub node: &'a Node,
    /// By position; none where an optional one is absent.
    pub tensors: &'a [Option<Tensor<'a>>],
}

impl<'a> Operands<'a> {
    /// A required operand.
    pub fn get(&self, position: usize) -> Tensor<'a> {
        let tensor = self.tensors.get(position).copied().flatten();
        tensor.expect("the check has seen every required operand")
    }

    /// The elements of an optional operand.
    pub fn optional(&self, position: usize) -> Option<&'a [f32]> {
        self.tensors.get(position).copied().flatten().map(|tensor| tensor.data)
    }

    /// The elements of all operands.
    pub fn all(&self) -> Vec<&'a [f32]> {
        self.tensors.iter().flatten().map(|tensor| tensor.data).collect()
    }

    /// The value of the first result.
    pub fn result(&self) -> &'a Value {
        self.graph.value(self.node.outputs[0])
    }

    /// Shape of the first result.
    pub fn shape(&self) -> &'a [usize] {
        &self.result().shape
    }

    /// Number of elements of each result.
    pub fn lengths(&self) -> Vec<usize> {
        self.node.outputs.iter().map(|&id| self.graph.value(id).elements()).collect()
    }

    /// Scale and zero point of a quantized operand.
    pub fn quantization(&self, position: usize) -> Option<(f32, i32)> {
        let quantization = self.graph.value(self.node.input(position)?).quantization.as_ref();
        quantization.and_then(|q| q.tensor())
    }
}
