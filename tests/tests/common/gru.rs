//! A GRU, unrolled.

use ferrolite::graph::{
    Activation, Binary, BinaryKind, Constant, DType, FullyConnected, Graph, Node, Op, Pack, Quantization,
    Split, UnaryKind, Unpack, Value, ValueId,
};

/// Elements of a step's input.
pub const FEATURES: usize = 8;
/// Units of the state.
pub const UNITS: usize = 6;

/// Scales of activations: of inputs and states, of gates before their functions, and of gated values.
pub const STATE: f32 = 1.0 / 128.0;
const BEFORE: f32 = 0.05;
const GATE: f32 = 1.0 / 256.0;
const REST: f32 = 1.0 / 120.0;
pub const WEIGHT: f32 = 1.0 / 127.0;

/// Elements of a matrix of weights. They have no pattern, so that exchanging any of them changes the results.
pub fn weights(count: usize, seed: usize) -> Vec<i8> {
    (0..count).map(|at| (((at + seed) * 73 % 251) as i32 - 125) as i8).collect()
}

/// Biases of the three gates.
pub fn bias(seed: usize) -> Vec<i32> {
    (0..3 * UNITS).map(|at| ((at + seed) * 37 % 101) as i32 * 100 - 5000).collect()
}

struct Builder {
    graph: Graph,
}

impl Builder {
    fn value(&mut self, shape: &[usize], scale: f32, zero_point: i32, constant: Option<Constant>) -> ValueId {
        let dtype = constant.as_ref().map_or(DType::Int8, Constant::dtype);
        let name = format!("t{}", self.graph.values.len());
        let quantization = Some(Quantization::per_tensor(scale, zero_point));
        self.graph.add_value(Value { name, shape: shape.into(), dtype, quantization, constant })
    }

    fn node(&mut self, op: Op, inputs: &[ValueId], outputs: &[ValueId]) {
        let name = format!("n{}", self.graph.nodes.len());
        let inputs = inputs.iter().map(|&id| Some(id)).collect();
        self.graph.nodes.push(Node { name, op, inputs, outputs: outputs.into() });
    }

    fn binary(&mut self, kind: BinaryKind, a: ValueId, b: ValueId, scale: f32) -> ValueId {
        let output = self.value(&[1, UNITS], scale, 0, None);
        self.node(Op::Binary(Binary { kind, activation: Activation::None }), &[a, b], &[output]);
        output
    }

    fn unary(&mut self, kind: UnaryKind, a: ValueId, scale: f32, zero_point: i32) -> ValueId {
        let output = self.value(&[1, UNITS], scale, zero_point, None);
        self.node(Op::Unary(kind), &[a], &[output]);
        output
    }

    fn dense(&mut self, input: ValueId, [weights, bias]: [ValueId; 2]) -> ValueId {
        let output = self.value(&[1, 3 * UNITS], BEFORE, 0, None);
        let op = Op::FullyConnected(FullyConnected { activation: Activation::None });
        self.node(op, &[input, weights, bias], &[output]);
        output
    }

    fn gates(&mut self, input: ValueId) -> [ValueId; 3] {
        let outputs = [0; 3].map(|_| self.value(&[1, UNITS], BEFORE, 0, None));
        self.node(Op::Split(Split { axis: 1 }), &[input], &outputs);
        outputs
    }

    fn matrix(&mut self, inputs: usize, seed: usize) -> [ValueId; 2] {
        let elements = weights(3 * UNITS * inputs, seed);
        let shape = [3 * UNITS, inputs];
        let weights = self.value(&shape, WEIGHT, 0, Some(Constant::I8(elements)));
        let bias = self.value(&[3 * UNITS], STATE * WEIGHT, 0, Some(Constant::I32(bias(seed))));
        [weights, bias]
    }
}

/// A GRU of so many steps as frameworks unroll it: all inputs are projected first, then the steps follow one another.
pub fn gru(count: usize) -> Graph {
    let mut b = Builder { graph: Graph { name: "gru".into(), ..Graph::default() } };
    let x = b.value(&[1, count, FEATURES], STATE, 0, None);
    let mut hidden = b.value(&[1, UNITS], STATE, 0, None);
    b.graph.inputs = vec![x, hidden];
    let steps: Vec<ValueId> = (0..count).map(|_| b.value(&[1, FEATURES], STATE, 0, None)).collect();
    b.node(Op::Unpack(Unpack { axis: 1 }), &[x], &steps);
    let (kernel, recurrent) = (b.matrix(FEATURES, 1), b.matrix(UNITS, 2));
    let one = b.value(&[1], STATE * 2.0, 0, Some(Constant::I8(vec![64])));
    let projected: Vec<ValueId> = steps.iter().map(|&step| b.dense(step, kernel)).collect();
    let gates: Vec<[ValueId; 3]> = projected.iter().map(|&step| b.gates(step)).collect();
    let mut all = Vec::new();
    for [xz, xr, xn] in gates {
        let projected = b.dense(hidden, recurrent);
        let [hz, hr, hn] = b.gates(projected);
        let z = b.binary(BinaryKind::Add, xz, hz, BEFORE);
        let z = b.unary(UnaryKind::Logistic, z, GATE, -128);
        let r = b.binary(BinaryKind::Add, xr, hr, BEFORE);
        let r = b.unary(UnaryKind::Logistic, r, GATE, -128);
        let n = b.binary(BinaryKind::Mul, r, hn, BEFORE);
        let n = b.binary(BinaryKind::Add, xn, n, BEFORE);
        let n = b.unary(UnaryKind::Tanh, n, STATE, 0);
        let rest = b.binary(BinaryKind::Sub, one, z, REST);
        let new = b.binary(BinaryKind::Mul, rest, n, STATE);
        let old = b.binary(BinaryKind::Mul, z, hidden, STATE);
        hidden = b.binary(BinaryKind::Add, old, new, STATE);
        all.push(hidden);
    }
    let sequence = b.value(&[1, count, UNITS], STATE, 0, None);
    b.node(Op::Pack(Pack { axis: 1 }), &all, &[sequence]);
    b.graph.outputs = vec![sequence, hidden];
    b.graph
}
