//! Bias correction: rounding of weights and inputs moves the mean of a layer's results, and the bias moves it
//! back.
//!
//! The expected error of an output channel is the mean, over samples and positions, of what the layer
//! computes from the quantized input with quantized weights, minus what it computes from the real input with
//! real weights (Nagel et al., "Data-free quantization through weight equalization and bias correction",
//! 2019, the empirical form). A layer is linear up to its activation, so two means of its input are enough:
//! that of the real numbers, and that of the same numbers rounded and saturated.

use super::ask::{Answer, ask};
use super::range::{self, is_real};
use super::samples::{Samples, run};
use crate::error::Result;
use crate::graph::{Activation, Constant, DType, Graph, Node, Op, Quantization, Value, ValueId};
use crate::graph::{Conv2d, DepthwiseConv2d, FullyConnected, TransposeConv};
use crate::ops::channel_axis;
use crate::parallel::by_worker;
use crate::reference::{Executor, execute_node};

/// Fractions of a step in which real numbers are summed: the sum of integers does not depend on their order.
const FRACTIONS: f32 = 65536.0;

/// A layer whose bias can be corrected.
struct Layer {
    /// Index in the quantized graph.
    node: usize,
    /// The same layer in the float graph, linear and without bias.
    linear: Node,
    /// The input in the float graph.
    input: ValueId,
    /// Scale and zero point of the layer's input.
    params: (f32, i32),
}

/// Sums over samples of a layer's input.
#[derive(Clone, Default)]
struct Sums {
    /// Sum of the real numbers, in [`FRACTIONS`] of a step. Sums wrap where numbers are absurd, since saturated ones
    /// would depend on the order.
    real: Vec<i64>,
    /// Sum of the integers minus the zero point.
    integer: Vec<i64>,
    /// Samples that have reached the layer: not all where it is in a branch.
    samples: usize,
}

/// Corrects the biases of `quantized`, which was made from `float` with these values; returns how many layers
/// changed. Layers whose weights the author quantized stay as they are.
pub fn correct(float: &Graph, quantized: &mut Graph, samples: &dyn Samples) -> Result<usize> {
    let layers = layers(float, quantized);
    if layers.is_empty() || samples.total() == 0 {
        return Ok(0);
    }
    let executor = Executor::new(float)?;
    let fresh = || {
        let zeros = |layer: &Layer| vec![0; float.value(layer.input).elements()];
        layers
            .iter()
            .map(|layer| Sums { real: zeros(layer), integer: zeros(layer), samples: 0 })
            .collect::<Vec<_>>()
    };
    let params = |layer: &Layer| {
        let (scale, zero_point) = layer.params;
        [layer.input.0 as u64, u64::from(scale.to_bits()), zero_point as u64]
    };
    let extra: Vec<u64> = layers.iter().flat_map(params).collect();
    let sums = ask(samples, ("sums", float, &extra), AllSums(fresh()), || {
        let parts = by_worker(0..samples.len(), fresh, |sums, sample| {
            run(&executor, samples, sample, &mut |id, data| {
                for (layer, sums) in layers.iter().zip(sums.iter_mut()) {
                    if layer.input == id {
                        sums.add(data, layer.params);
                    }
                }
            })
            .map(drop)
        })?;
        let mut whole = AllSums(fresh());
        parts.into_iter().for_each(|part| whole.add(AllSums(part)));
        Ok(whole)
    })?;
    let mut corrected = 0;
    for (layer, sums) in layers.iter().zip(&sums.0) {
        corrected += usize::from(sums.samples > 0 && layer.correct(float, quantized, sums)?);
    }
    Ok(corrected)
}

/// The layers, in both graphs, whose weights were real numbers.
fn layers(float: &Graph, quantized: &Graph) -> Vec<Layer> {
    let by_output = float.producers();
    let of = |(index, node): (usize, &Node)| {
        channel_axis(&node.op)?;
        let original = float.nodes.get(*by_output.get(node.outputs.first()?)?)?;
        let (input, weights) = (original.input(0)?, original.input(1)?);
        let real = float.value(weights).constant.as_ref()?.as_f32().is_some() && is_real(float, input);
        let params = quantized.value(node.input(0)?).quantization.as_ref()?.tensor()?;
        let linear =
            Node { op: linear(&original.op), inputs: vec![Some(input), Some(weights)], ..original.clone() };
        real.then_some(Layer { node: index, linear, input, params })
    };
    quantized.nodes.iter().enumerate().filter_map(of).collect()
}

/// The operator without its activation.
fn linear(op: &Op) -> Op {
    let mut op = op.clone();
    match &mut op {
        Op::Conv2d(Conv2d { activation, .. })
        | Op::DepthwiseConv2d(DepthwiseConv2d { activation, .. })
        | Op::TransposeConv(TransposeConv { activation, .. })
        | Op::FullyConnected(FullyConnected { activation }) => *activation = Activation::None,
        _ => {}
    }
    op
}

impl Sums {
    fn add(&mut self, data: &[f32], (scale, zero_point): (f32, i32)) {
        let zero = zero_point as f32;
        let (low, high) = (-128.0 - zero, 127.0 - zero);
        self.samples += 1;
        for ((&x, real), integer) in data.iter().zip(&mut self.real).zip(&mut self.integer) {
            let steps = x / scale;
            *real = real.wrapping_add((steps * FRACTIONS) as i64);
            *integer += steps.round().clamp(low, high) as i64;
        }
    }

    fn merge(&mut self, other: &Sums) {
        self.samples += other.samples;
        for (sum, more) in self.real.iter_mut().zip(&other.real) {
            *sum = sum.wrapping_add(*more);
        }
        for (sum, more) in self.integer.iter_mut().zip(&other.integer) {
            *sum = sum.wrapping_add(*more);
        }
    }
}

/// The sums of all layers.
struct AllSums(Vec<Sums>);

impl Answer for AllSums {
    fn to_words(&self) -> Vec<u64> {
        let of = |sums: &Sums| {
            let elements = sums.real.iter().chain(&sums.integer).map(|&sum| sum as u64);
            [sums.samples as u64].into_iter().chain(elements).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    fn of_words(&self, words: &[u64]) -> Option<AllSums> {
        let mut words = words.iter().copied();
        let mut sums = self.0.clone();
        for sums in &mut sums {
            sums.samples = words.next()? as usize;
            for sum in sums.real.iter_mut().chain(&mut sums.integer) {
                *sum = words.next()? as i64;
            }
        }
        words.next().is_none().then_some(AllSums(sums))
    }

    fn add(&mut self, other: AllSums) {
        self.0.iter_mut().zip(&other.0).for_each(|(sums, other)| sums.merge(other));
    }
}

impl Layer {
    /// Moves the expected error into the bias; returns whether that changed anything.
    fn correct(&self, float: &Graph, quantized: &mut Graph, sums: &Sums) -> Result<bool> {
        let node = &quantized.nodes[self.node];
        let (weights_id, bias_id) = (node.input(1), node.input(2));
        let Some(weights) = weights_id.map(|id| quantized.value(id)) else { return Ok(false) };
        let (Some(integers), Some(scales)) = (&weights.constant, &weights.quantization) else {
            return Ok(false);
        };
        let rounded = integers.to_real(Some(scales), &weights.shape);
        let steps = scales.scale.iter().map(|scale| scale * self.params.0).collect::<Vec<f32>>();
        let Some(real) = float.constant(self.linear.input(1)).and_then(Constant::as_f32) else {
            return Ok(false);
        };
        let step = f64::from(self.params.0) / sums.samples as f64;
        let mean = |sums: &[i64], unit: f64| -> Vec<f32> {
            sums.iter().map(|&sum| (sum as f64 * unit) as f32).collect()
        };
        let (x, q) = (mean(&sums.real, step / f64::from(FRACTIONS)), mean(&sums.integer, step));
        let apply = |input: &[f32], weights: &[f32]| execute_node(float, &self.linear, &[input, weights]);
        let (wanted, found) = (apply(&x, real)?.concat(), apply(&q, &rounded)?.concat());

        let channels = steps.len();
        let mut errors = vec![0.0f64; channels];
        for (i, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            errors[i % channels] += f64::from(found - wanted);
        }
        let positions = (wanted.len() / channels).max(1) as f64;
        let shifts: Vec<i64> = errors
            .iter()
            .zip(&steps)
            .map(|(error, &step)| (error / positions / f64::from(step)).round() as i64)
            .collect();
        if shifts.iter().all(|&shift| shift == 0) {
            return Ok(false);
        }
        let old = bias_id.and_then(|id| quantized.value(id).constant.as_ref()).and_then(Constant::to_i64);
        if bias_id.is_some() && old.as_ref().is_none_or(|old| old.len() != channels) {
            return Ok(false);
        }
        let old = old.unwrap_or_else(|| vec![0; channels]);
        let limit = range::BIAS_LIMIT as i64;
        let moved = old.iter().zip(&shifts).map(|(bias, shift)| (bias - shift).clamp(-limit, limit) as i32);
        let constant = Some(Constant::I32(moved.collect()));
        match bias_id {
            Some(id) => quantized.value_mut(id).constant = constant,
            None => {
                let bias = quantized.add_value(Value {
                    name: format!("{}_bias", self.linear.name),
                    shape: vec![channels],
                    dtype: DType::Int32,
                    quantization: Some(Quantization::per_channel(steps, 0)),
                    constant,
                });
                let inputs = &mut quantized.nodes[self.node].inputs;
                inputs.resize(3, None);
                inputs[2] = Some(bias);
            }
        }
        Ok(true)
    }
}
