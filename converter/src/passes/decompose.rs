//! Layers of a float graph that have no int8 kernel on the device are replaced by several that have one.
//! | layer | becomes |
//! |---|---|
//! | SQUARED_DIFFERENCE | `square(a - b)` |
//! | DIV | `a * reciprocal(b)` |
//! | PRELU | LEAKY_RELU for one slope, else `relu(x) + (-slope) * relu(-x)` |
//! | TRANSPOSE_CONV with gaps in its filter | one whose filter has zeros there |
//! | LOG_SOFTMAX | `d - log(sum(exp(d)))` of `d = x - max(x)` |
//!
//! The last part keeps the layer's name and its result, so that the layer is still found by its name. This
//! pass does not run on every graph, because the float reference computes these layers as they are.

use super::rewrite::add_constant;
use crate::graph::{
    Activation, Binary, BinaryKind, Constant, DType, Graph, Node, Op, Reduce, ReduceKind, TransposeConv,
    UnaryKind, Value, ValueId, Window,
};

/// Decomposes layers; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    for node in std::mem::take(&mut graph.nodes) {
        let real = node.outputs.iter().all(|&id| graph.value(id).dtype == DType::Float32);
        let mut parts = Parts { graph, layer: &node };
        let done = real && parts.write().is_some();
        count += usize::from(done);
        if !done {
            graph.nodes.push(node);
        }
    }
    count
}

/// The parts of one layer, while they are added to the graph.
struct Parts<'g> {
    graph: &'g mut Graph,
    layer: &'g Node,
}

impl Parts<'_> {
    /// Writes the layer in parts; `None` if it stays as it is.
    fn write(&mut self) -> Option<()> {
        let (first, &[result]) = (self.layer.input(0)?, self.layer.outputs.as_slice()) else { return None };
        let shape = self.graph.value(result).shape.clone();
        let is_real = self.graph.value(result).dtype == DType::Float32;
        if !is_real && matches!(self.layer.op, Op::Binary(_)) {
            return None;
        }
        match self.layer.op {
            Op::Binary(Binary { kind: BinaryKind::SquaredDifference, activation: Activation::None }) => {
                let difference =
                    self.part("difference", binary(BinaryKind::Sub), &[first, self.layer.input(1)?], shape);
                self.last(Op::Unary(UnaryKind::Square), &[difference]);
            }
            Op::Binary(Binary { kind: BinaryKind::Div, activation }) => {
                let divisor = self.layer.input(1)?;
                let inverse = match self.graph.constant(Some(divisor)).and_then(Constant::as_f32) {
                    Some(values) => {
                        let inverse = values.iter().map(|x| 1.0 / x).collect();
                        let shape = self.graph.value(divisor).shape.clone();
                        let name = format!("{}/reciprocal", self.layer.name);
                        add_constant(self.graph, name, shape, Constant::F32(inverse), None)
                    }
                    None => {
                        let shape = self.graph.value(divisor).shape.clone();
                        self.part("reciprocal", Op::Unary(UnaryKind::Reciprocal), &[divisor], shape)
                    }
                };
                self.last(Op::Binary(Binary { kind: BinaryKind::Mul, activation }), &[first, inverse]);
            }
            Op::TransposeConv(TransposeConv { window, activation }) if window.dilation != [1; 2] => {
                let filter = self.layer.input(1)?;
                let &[outs, height, width, ins] = self.graph.value(filter).shape.as_slice() else {
                    return None;
                };
                let taps = self.graph.constant(Some(filter))?.as_f32()?;
                let kernel = [0, 1].map(|d| (window.kernel[d] - 1) * window.dilation[d] + 1);
                let mut spaced =
                    vec![0.0; outs.checked_mul(kernel[0])?.checked_mul(kernel[1])?.checked_mul(ins)?];
                for (i, row) in taps.chunks_exact(ins.max(1)).enumerate() {
                    let (out, y, x) = (i / width / height, i / width % height, i % width);
                    let at = (out * kernel[0] + y * window.dilation[0]) * kernel[1] + x * window.dilation[1];
                    spaced[at * ins..][..ins].copy_from_slice(row);
                }
                let shape = vec![outs, kernel[0], kernel[1], ins];
                let name = format!("{}/filter", self.layer.name);
                let filter = add_constant(self.graph, name, shape, Constant::F32(spaced), None);
                let window = Window { kernel, dilation: [1; 2], ..window };
                let inputs = [vec![Some(first), Some(filter)], self.layer.inputs[2..].to_vec()].concat();
                let (name, outputs) = (self.layer.name.clone(), self.layer.outputs.clone());
                self.graph.nodes.push(Node {
                    name,
                    op: Op::TransposeConv(TransposeConv { window, activation }),
                    inputs,
                    outputs,
                });
            }
            Op::Prelu => {
                let slope = self.layer.input(1)?;
                let slopes = self.graph.constant(Some(slope))?.as_f32()?.to_vec();
                if let Some(&alpha) = slopes.first().filter(|&first| slopes.iter().all(|s| s == first)) {
                    self.last(Op::Unary(UnaryKind::LeakyRelu { alpha }), &[first]);
                    return Some(());
                }
                let negated = slopes.iter().map(|s| -s).collect();
                let slope_shape = self.graph.value(slope).shape.clone();
                let name = format!("{}/slope", self.layer.name);
                let slope = add_constant(self.graph, name, slope_shape, Constant::F32(negated), None);
                let above = self.part("above", Op::Unary(UnaryKind::Relu), &[first], shape.clone());
                let minus = self.part("minus", Op::Unary(UnaryKind::Neg), &[first], shape.clone());
                let below = self.part("below", Op::Unary(UnaryKind::Relu), &[minus], shape.clone());
                let scaled = self.part("scaled", binary(BinaryKind::Mul), &[below, slope], shape);
                self.last(binary(BinaryKind::Add), &[above, scaled]);
            }
            Op::LogSoftmax => {
                let axis = shape.len().checked_sub(1)?;
                let mut column = shape.clone();
                column[axis] = 1;
                let over = |kind| Op::Reduce(Reduce { kind, axes: vec![axis], keep_dims: true });
                let max = self.part("max", over(ReduceKind::Max), &[first], column.clone());
                let distance = self.part("distance", binary(BinaryKind::Sub), &[first, max], shape.clone());
                let exp = self.part("exp", Op::Unary(UnaryKind::Exp), &[distance], shape);
                let sum = self.part("sum", over(ReduceKind::Sum), &[exp], column.clone());
                let log = self.part("log", Op::Unary(UnaryKind::Log), &[sum], column);
                self.last(binary(BinaryKind::Sub), &[distance, log]);
            }
            _ => return None,
        }
        Some(())
    }

    /// Adds a part before the last.
    fn part(&mut self, word: &str, op: Op, inputs: &[ValueId], shape: Vec<usize>) -> ValueId {
        let name = format!("{}/{word}", self.layer.name);
        let value =
            Value { name: name.clone(), shape, dtype: DType::Float32, quantization: None, constant: None };
        let result = self.graph.add_value(value);
        self.node(name, op, inputs, result);
        result
    }

    /// Adds the last part, which writes the layer's result.
    fn last(&mut self, op: Op, inputs: &[ValueId]) {
        let result = self.layer.outputs[0];
        self.graph.authored.entry(result).or_insert_with(|| self.layer.op.name().to_string());
        self.node(self.layer.name.clone(), op, inputs, result);
    }

    fn node(&mut self, name: String, op: Op, inputs: &[ValueId], result: ValueId) {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![result] });
    }
}

fn binary(kind: BinaryKind) -> Op {
    Op::Binary(Binary { kind, activation: Activation::None })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Build, random_inputs};
    use super::*;
    use crate::reference::Executor;

    /// Checks that both forms give the same numbers; returns the operators of the decomposed form.
    fn equal(graph: Graph) -> Vec<String> {
        let mut parts = graph.clone();
        assert_eq!(run(&mut parts), 1);
        let input = random_inputs(&graph, 3);
        let input: Vec<&[f32]> = input.iter().map(Vec::as_slice).collect();
        let wanted = Executor::new(&graph).unwrap().run(&input).unwrap();
        let found = Executor::new(&parts).unwrap().run(&input).unwrap();
        for (a, b) in wanted.concat().iter().zip(found.concat()) {
            assert!((a - b).abs() < 1e-5, "{wanted:?} became {found:?}");
        }
        let last = parts.nodes.last().unwrap();
        assert_eq!((&last.name, parts.kind(last)), (&graph.nodes[0].name, graph.nodes[0].op.name()));
        parts.nodes.iter().map(|node| node.op.name().to_string()).collect()
    }

    #[test]
    fn gaps_of_a_transposed_filter_hold_zeros() {
        let mut b = Build::new(&[1, 3, 4, 2]);
        let filter = b.constant(&[3, 2, 3, 2], |i| (i as f32 * 0.7).sin());
        let window = Window {
            kernel: [2, 3],
            stride: [2, 1],
            dilation: [3, 2],
            pad_before: [1, 0],
            pad_after: [0, 1],
        };
        let op = Op::TransposeConv(TransposeConv { window, activation: Activation::Relu });
        // (input - 1) * stride + (kernel - 1) * dilation + 1 - padding
        let y = b.node(op, &[b.input(), filter], &[1, 7, 7, 3]);
        assert_eq!(equal(b.finish(y)), ["TRANSPOSE_CONV"]);
    }

    #[test]
    fn parts_compute_what_the_layer_did() {
        let squared = |b: &mut Build| {
            let c = b.constant(&[3], |i| i as f32 - 0.5);
            let op = binary(BinaryKind::SquaredDifference);
            b.node(op, &[b.input(), c], &[2, 3])
        };
        let div = |b: &mut Build| {
            let c = b.constant(&[3], |i| i as f32 + 1.5);
            b.node(binary(BinaryKind::Div), &[b.input(), c], &[2, 3])
        };
        let inverse = |b: &mut Build| {
            let c = b.constant(&[2, 3], |i| i as f32 + 1.5);
            b.node(binary(BinaryKind::Div), &[c, b.input()], &[2, 3])
        };
        let prelu = |b: &mut Build| {
            let c = b.constant(&[3], |i| i as f32 * 0.25);
            b.node(Op::Prelu, &[b.input(), c], &[2, 3])
        };
        let leaky = |b: &mut Build| {
            let c = b.constant(&[3], |_| 0.25);
            b.node(Op::Prelu, &[b.input(), c], &[2, 3])
        };
        let log_softmax = |b: &mut Build| b.node(Op::LogSoftmax, &[b.input()], &[2, 3]);
        type Layer<'a> = &'a dyn Fn(&mut Build) -> ValueId;
        let cases: [(Layer<'_>, &[&str]); 6] = [
            (&squared, &["SUB", "SQUARE"]),
            (&div, &["MUL"]),
            (&inverse, &["RECIPROCAL", "MUL"]),
            (&prelu, &["RELU", "NEG", "RELU", "MUL", "ADD"]),
            (&leaky, &["LEAKY_RELU"]),
            (&log_softmax, &["REDUCE_MAX", "SUB", "EXP", "SUM", "LOG", "SUB"]),
        ];
        for (layer, ops) in cases {
            let mut b = Build::new(&[2, 3]);
            let y = layer(&mut b);
            assert_eq!(equal(b.finish(y)), ops);
        }
    }
}
