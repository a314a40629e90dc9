//! Weighted sums of features as they are, for linear models of raw numbers: in 64 bits, so that no feature has to be rounded
//! to a scale that another one needs.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::LinearFeaturesParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::types;
use crate::error::Result;
use crate::graph::{DType, Graph, LinearFeatures, Node, Quantization, Value};

/// No operator of TensorFlow Lite becomes it.
pub(super) const RUN_AS: RunAs = &[];

/// Bits of weights: the largest one has these.
const WEIGHT_BITS: i32 = 30;

/// Bits of sums behind those of the largest weight: so many are left before it.
const SUM_BITS: i32 = 38;

impl Operator for LinearFeatures {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        let Some((&features, lead)) = input.split_last() else { return Err(check.error("a scalar operand")) };
        let outputs = self.bias.len();
        check.ensure(outputs != 0 && self.weights.len() == outputs * features, || {
            format!("{} weights for {features} features and {outputs} outputs", self.weights.len())
        })?;
        check.ensure(self.weights.iter().chain(&self.bias).all(|x| x.is_finite()), || {
            "weights that are no finite numbers".into()
        })?;
        check.output(&[lead, &[outputs]].concat())
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        let input = check.inputs.first().copied().flatten().ok_or_else(|| check.unknown())?;
        let Some((_, lead)) = input.split_last() else { return Err(check.unknown()) };
        Ok([lead, &[self.bias.len()]].concat())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        if !matches!(outputs[0].dtype, DType::Int16 | DType::Int32) {
            return Err(format!("scores of type {}", outputs[0].dtype.name()));
        }
        types::per_tensor(outputs[0])?;
        match inputs[0].dtype {
            DType::Float32 | DType::Int8 | DType::Int16 => types::per_tensor(inputs[0]),
            other => Err(format!("features of type {}", other.name())),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let features = x.get(0);
        let mut scores = Vec::new();
        for row in features.data.chunks_exact(features.depth()) {
            let sum = |(weights, bias): (&[f64], &f64)| {
                weights.iter().zip(row).map(|(w, &x)| w * f64::from(x)).sum::<f64>() + bias
            };
            let sums: Vec<f64> = self.weights.chunks_exact(row.len()).zip(&self.bias).map(sum).collect();
            let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let from = if self.relative { most } else { 0.0 };
            scores.extend(sums.into_iter().map(|sum| (sum - from) as f32));
        }
        vec![scores]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        let rows = node
            .input(0)
            .map(|id| graph.value(id))
            .map_or(0, |input| input.elements() / input.shape.last().copied().unwrap_or(1).max(1));
        (rows * self.weights.len()) as u64
    }

    fn scores(&self) -> Scores {
        if self.bias.len() > 1 { Scores::Own } else { Scores::None }
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        let features = input.shape.last().copied().unwrap_or(1);
        // Integers of a scale: `scale * (q - zero_point)`.
        let (scale, zero_point) = match input.quantization.as_ref().and_then(Quantization::tensor) {
            Some((scale, zero_point)) if input.dtype != DType::Float32 => {
                (f64::from(scale), f64::from(zero_point))
            }
            _ => (1.0, 0.0),
        };
        let weights: Vec<f64> = self.weights.iter().map(|w| w * scale).collect();
        let biases = self.bias.iter().zip(weights.chunks_exact(features));
        let biases: Vec<f64> = biases.map(|(bias, w)| bias - zero_point * w.iter().sum::<f64>()).collect();
        let most = |all: &[f64]| all.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let magnitude = |x: f64| if x > 0.0 { x.log2().ceil().clamp(-120.0, 120.0) as i32 } else { 0 };
        let weight_bits = WEIGHT_BITS - magnitude(most(&weights));
        // Biases take part of what is left before the largest weight.
        let largest = most(&weights).max(most(&biases) / f64::from(1 << 20));
        let fraction = SUM_BITS - magnitude(largest);
        let (step, _) = cx.quantization(node, output)?;
        let shift = fraction + step.log2().round() as i32;
        if step.log2().fract() != 0.0 || !(0..=62).contains(&shift) {
            return Err(
                cx.unsupported(node, format!("weights up to {largest} with scores in steps of {step}"))
            );
        }
        let integers: Vec<i32> = weights.iter().map(|w| scaled(*w, weight_bits) as i32).collect();
        let bias: Vec<i64> = biases.iter().map(|x| scaled(*x, fraction) as i64).collect();
        let params = LinearFeaturesParams {
            rows: cx.word(node, input.elements() / features)?,
            features: cx.word(node, features)?,
            outputs: cx.word(node, bias.len())?,
            relative: self.relative.into(),
            exponent: fraction - weight_bits,
            shift: shift.unsigned_abs(),
            weights: cx.constants.add(&integers, 4)?,
            bias: cx.constants.add(&bias, 8)?,
        };
        let op = Lowered::new(OpCode::LinearFeatures, vec![input_id], vec![output_id], &params);
        Ok(vec![op.macs(self.macs(cx.graph, node))])
    }
}

/// `x * 2^bits`, to the nearest integer.
fn scaled(x: f64, bits: i32) -> f64 {
    (x * f64::from(bits).exp2()).round()
}

/// The step of int32 scores: the largest weight has 18 bits of them, and 13 are left before it.
pub(crate) fn step(weights: &[f64], bias: &[f64]) -> f64 {
    let most = |all: &[f64]| all.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let largest = most(weights).max(most(bias) / 4096.0);
    let magnitude = if largest > 0.0 { largest.log2().ceil().clamp(-100.0, 100.0) } else { 0.0 };
    (magnitude - 18.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Op;

    /// The device's sums for random models and rows of very different sizes, against those in float64.
    #[test]
    fn the_device_adds_up_what_the_reference_does() {
        use ferrolite_runtime::ops::linear_features::Linear;
        use std::cell::Cell;

        let mut state = 7u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
        };
        for round in 0..200 {
            let (features, outputs) = (1 + round % 7, 1 + round % 3);
            let sizes: Vec<f64> = (0..features).map(|_| (random() * 8.0).exp2()).collect();
            let weights: Vec<f64> = (0..outputs * features).map(|i| random() / sizes[i % features]).collect();
            let bias: Vec<f64> = (0..outputs).map(|_| random() * 4.0).collect();
            let relative = round % 2 == 0;
            let step = step(&weights, &bias);
            let op = LinearFeatures { weights, bias, relative };
            let mut graph = Graph::default();
            let value = |name: &str, columns, dtype, quantization| Value {
                name: name.into(),
                shape: vec![1, columns],
                dtype,
                quantization,
                constant: None,
            };
            let x = graph.add_value(value("x", features, DType::Float32, None));
            let scale = Quantization::per_tensor(step as f32, 0);
            let y = graph.add_value(value("y", outputs, DType::Int32, Some(scale)));
            let node = Node {
                name: "sum".into(),
                op: Op::LinearFeatures(op.clone()),
                inputs: vec![Some(x)],
                outputs: vec![y],
            };
            let (lowered, constants) = Lowering::alone(&graph, |cx| {
                let lowered = op.lower(cx, &node).unwrap().remove(0);
                (lowered, cx.constants.bytes().to_vec())
            });
            let p: LinearFeaturesParams = *bytemuck::from_bytes(bytemuck::cast_slice(&lowered.params));
            let words = |offset: u32, bytes: usize| constants[offset as usize..][..bytes].to_vec();
            let integers: Vec<i32> = words(p.weights, 4 * outputs * features)
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().unwrap()))
                .collect();
            let bias: Vec<i64> = words(p.bias, 8 * outputs)
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
                .collect();
            let mut row: Vec<f32> = sizes.iter().map(|size| (random() * size) as f32).collect();
            let wanted = crate::reference::execute_node(
                &{
                    graph.nodes.push(node.clone());
                    graph
                },
                &node,
                &[&row],
            )
            .unwrap()
            .remove(0);
            let mut found = vec![0i32; outputs];
            Linear { p: &p, weights: &integers, bias: &bias }.run(
                Cell::from_mut(&mut row[..]).as_slice_of_cells(),
                Cell::from_mut(&mut found[..]).as_slice_of_cells(),
            );
            for (found, wanted) in found.iter().zip(&wanted) {
                let found = f64::from(*found) * step;
                assert!((found - f64::from(*wanted)).abs() < 2.0 * step, "round {round}: {found} {wanted}");
            }
        }
    }
}
