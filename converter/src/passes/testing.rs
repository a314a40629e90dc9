//! Small graphs and random data for the tests of the passes.

use super::rewrite;
use crate::graph::{Activation, Constant, DType, FullyConnected, Graph, Node, Op, Value, ValueId};

/// Builds a graph node by node. Layers are named after operator and position, such as `relu_2`.
pub(crate) struct Build {
    pub graph: Graph,
}

impl Build {
    pub(crate) fn new(input: &[usize]) -> Build {
        let mut build = Build { graph: Graph { name: "test".into(), ..Graph::default() } };
        let input = build.value("input".into(), input);
        build.graph.inputs.push(input);
        build
    }

    pub(crate) fn input(&self) -> ValueId {
        self.graph.inputs[0]
    }

    pub(crate) fn value(&mut self, name: String, shape: &[usize]) -> ValueId {
        let shape = shape.to_vec();
        self.graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant: None })
    }

    pub(crate) fn constant(&mut self, shape: &[usize], element: impl Fn(usize) -> f32) -> ValueId {
        let data = (0..shape.iter().product()).map(element).collect();
        let name = format!("constant_{}", self.graph.values.len());
        rewrite::add_constant(&mut self.graph, name, shape.to_vec(), Constant::F32(data), None)
    }

    pub(crate) fn node(&mut self, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let name = format!("{}_{}", op.name().to_lowercase(), self.graph.nodes.len());
        let output = self.value(name.clone(), shape);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        output
    }

    pub(crate) fn dense(&mut self, input: ValueId, weights: ValueId, outputs: usize) -> ValueId {
        self.node(
            Op::FullyConnected(FullyConnected { activation: Activation::None }),
            &[input, weights],
            &[1, outputs],
        )
    }

    pub(crate) fn finish(mut self, output: ValueId) -> Graph {
        self.graph.outputs = vec![output];
        self.graph
    }
}

/// A generator of numbers that are the same on every run.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    pub(crate) fn real(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }
}

/// One random sample, in -1..1, for each of the graph's inputs.
pub(crate) fn random_inputs(graph: &Graph, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random(seed);
    let inputs = graph.inputs.iter().map(|&id| graph.value(id).elements());
    inputs.map(|n| (0..n).map(|_| random.real()).collect()).collect()
}
