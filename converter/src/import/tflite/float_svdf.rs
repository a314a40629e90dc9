//! SVDF of float32, written out, so that quantizing finds the ranges of its parts:
//!
//! ```text
//! now = input * features          [1, batches, filters]
//! all = concat(state, now)        [memory, batches, filters], of which the state keeps all but the first
//! y   = sum over memory of all * time, sum over the filters of a unit, + bias, activation
//! ```
//! Operands: input, weights over features, weights over time, bias, and the state, a variable. Source:
//! `EvalFloatSvdfReference` in TFLM's `kernels/svdf_common.cc`.

use super::builder::Builder;
use super::layer::{Reason, activation, options};
use crate::graph::{
    Activation, Binary, BinaryKind, Concat, Constant, DType, FullyConnected, Node, Op, Reduce, ReduceKind,
    State, Unsupported, Value, ValueId,
};
use crate::tflite as schema;

impl Builder {
    /// Whether an SVDF computes in float32.
    pub(super) fn is_float_svdf(&self, node: &Node) -> bool {
        let float = |at: usize| node.input(at).is_some_and(|id| self.graph.value(id).dtype == DType::Float32);
        float(0) && float(1) && float(2)
    }

    /// Writes an SVDF of float32 out.
    pub(super) fn translate_float_svdf(&mut self, operator: schema::Operator<'_>, node: Node) {
        if let Err(reason) = self.float_svdf(operator, &node) {
            let op = Op::Unsupported(Unsupported { code: "SVDF".into(), reason });
            self.graph.nodes.push(Node { op, ..node });
        }
    }

    fn float_svdf(&mut self, operator: schema::Operator<'_>, node: &Node) -> Result<(), Reason> {
        let o = options(operator.builtin_options_as_svdfoptions())?;
        let &[Some(input), Some(features), Some(time), bias, _] = &node.inputs[..] else {
            return Err("it has not five operands".into());
        };
        let &[output] = &node.outputs[..] else { return Err("it has not one result".into()) };
        let shapes = [input, features, time, output].map(|id| self.graph.value(id).shape.clone());
        let [&[batches, depth], &[filters, width], &[kept, memory], out] =
            shapes.each_ref().map(Vec::as_slice)
        else {
            return Err(format!("with operands of shapes {:?}", &shapes[..3]));
        };
        let rank = usize::try_from(o.rank()).ok().filter(|&rank| rank > 0 && filters.is_multiple_of(rank));
        let rank = rank.ok_or_else(|| format!("of rank {} with {filters} filters", o.rank()))?;
        let units = filters / rank;
        if depth != width || kept != filters || memory < 2 || out != [batches, units] {
            return Err(format!(
                "with operands of shapes {:?}, rank {rank} and a result of {out:?}",
                &shapes[..3]
            ));
        }
        let (clamp, then) = activation(o.fused_activation_function())?;
        if then.is_some() {
            return Err(format!("fused activation {:?}", o.fused_activation_function()));
        }
        let Some(Constant::F32(weights)) = self.graph.constant(Some(time)) else {
            return Err("its weights over time are no constants".into());
        };
        let turned: Vec<f32> =
            (0..memory).flat_map(|at| weights.iter().skip(at).step_by(memory).copied()).collect();
        let part = |word: &str, shape: &[usize], constant: Option<Constant>| Value {
            name: format!("{}/{word}", node.name),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant,
        };
        let time = self.value(part("time", &[memory, 1, filters], Some(Constant::F32(turned))));
        let old = self.value(part("state", &[memory - 1, batches, filters], None));

        let none = Activation::None;
        let filtered = part("features", &[batches, filters], None);
        let op = Op::FullyConnected(FullyConnected { activation: none });
        let now = self.svdf_step(op, &[input, features], filtered);
        let now = self.svdf_step(Op::Reshape, &[now], part("now", &[1, batches, filters], None));
        let op = Op::Concat(Concat { axis: 0, activation: none });
        let all = self.svdf_step(op, &[old, now], part("memory", &[memory, batches, filters], None));
        let initial = Constant::F32(vec![0.0; (memory - 1) * batches * filters]);
        let name = format!("{}/state", node.name);
        self.graph.states.push(State { name, value: old, initial, next: all, from: batches * filters });

        let multiply = Op::Binary(Binary { kind: BinaryKind::Mul, activation: none });
        let mut y =
            self.svdf_step(multiply, &[all, time], part("weighted", &[memory, batches, filters], None));
        let sum = |axes: Vec<usize>| Op::Reduce(Reduce { kind: ReduceKind::Sum, axes, keep_dims: false });
        y = self.svdf_step(sum(vec![0]), &[y], part("sum", &[batches, filters], None));
        if rank > 1 {
            y = self.svdf_step(Op::Reshape, &[y], part("ranks", &[batches, units, rank], None));
            y = self.svdf_step(sum(vec![2]), &[y], part("units", &[batches, units], None));
        }
        // The last one makes the layer's own result.
        let bias = match bias {
            Some(bias) => bias,
            None => self.value(part("bias", &[units], Some(Constant::F32(vec![0.0; units])))),
        };
        let op = Op::Binary(Binary { kind: BinaryKind::Add, activation: clamp });
        let inputs = vec![Some(y), Some(bias)];
        self.graph.nodes.push(Node { name: node.name.clone(), op, inputs, outputs: vec![output] });
        Ok(())
    }

    fn svdf_step(&mut self, op: Op, inputs: &[ValueId], made: Value) -> ValueId {
        let name = made.name.clone();
        let id = self.value(made);
        let inputs = inputs.iter().map(|&id| Some(id)).collect();
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![id] });
        id
    }
}
