//! Weights and biases of the layers that multiply: symmetric int8 per output channel, and int32
//! with the scale of the products.

use super::range::{Range, to_int8};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, Node, Op, Quantization, Value, ValueId};

/// Largest magnitude of a quantized bias: half of what int32 holds, so that the sum of products
/// and the input's zero point times the weights still fit beside it.
const BIAS_LIMIT: f64 = (1u32 << 30) as f64;

/// Smallest weight scale of a channel relative to the largest one of the layer. Below it a channel
/// is dead, and its scale would only make multipliers that cannot be represented.
const SMALLEST_RELATIVE_SCALE: f32 = 1.0 / (1 << 24) as f32;

/// Whether the operator has weights at operand 1 and perhaps a bias at operand 2, and the
/// dimension of its weights that counts output channels.
pub fn channel_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv2d { .. } | Op::TransposeConv { .. } | Op::FullyConnected { .. } => Some(0),
        Op::DepthwiseConv2d { .. } => Some(3),
        _ => None,
    }
}

/// A layer's quantized weights and bias, and how many channels' scales were widened for the bias.
pub struct Quantized {
    /// int8 weights with their scales.
    pub weights: Value,
    /// int32 bias with its scales, if the layer has one.
    pub bias: Option<Value>,
    /// Channels whose weights are coarser than they could be, so that their bias fits int32.
    pub widened: usize,
}

/// The real numbers of a constant operand.
fn real(graph: &Graph, node: &Node, id: ValueId, what: &str) -> Result<Vec<f32>> {
    let value = graph.value(id);
    let constant = value.constant.as_ref().ok_or_else(|| {
        Error::input(format!(
            "layer `{}` ({}): its {what} `{}` are computed by the network",
            node.name,
            node.op.name(),
            value.name
        ))
        .help("only constant weights can be quantized; a product of two activations is BATCH_MATMUL")
    })?;
    let real = constant.to_real(value.quantization.as_ref(), &value.shape);
    if Range::of(&real).is_none() {
        return Err(Error::input(format!(
            "layer `{}` ({}): its {what} `{}` contain NaN, infinity or numbers beyond 1e18",
            node.name,
            node.op.name(),
            value.name
        ))
        .help("export the model again from a checkpoint whose numbers are finite"));
    }
    Ok(real)
}

/// Quantizes the weights and the bias of a node whose channels lie along `axis`, for an input of
/// scale `input_scale`.
pub fn quantize(graph: &Graph, node: &Node, axis: usize, input_scale: f32) -> Result<Quantized> {
    let Some(weights_id) = node.input(1) else {
        return Err(Error::input(format!("layer `{}` ({}): it has no weights", node.name, node.op.name())));
    };
    let weights = real(graph, node, weights_id, "weights")?;
    let shape = graph.value(weights_id).shape.clone();
    let channels = shape.get(axis).copied().unwrap_or(1);
    let inner: usize = shape.iter().skip(axis + 1).product();
    let channel = |i: usize| i / inner % channels;
    let bias = node.input(2).map(|id| Ok((id, real(graph, node, id, "biases")?))).transpose()?;

    let mut ranges = vec![Range::default(); channels];
    for (i, &weight) in weights.iter().enumerate() {
        let range = &mut ranges[channel(i)];
        *range = Range { min: range.min.min(weight), max: range.max.max(weight) };
    }
    let mut scales: Vec<f32> = ranges.iter().map(|range| range.symmetric()).collect();
    let largest = scales.iter().copied().fold(0.0, f32::max);
    let smallest = if largest > 0.0 { largest * SMALLEST_RELATIVE_SCALE } else { 1.0 };
    let mut widened = 0;
    for (c, scale) in scales.iter_mut().enumerate() {
        // A channel of zeros is a constant: any scale will do, and a common one is best.
        *scale = if *scale == 0.0 { largest.max(smallest) } else { scale.max(smallest) };
        let bias = bias.as_ref().and_then(|(_, bias)| bias.get(c)).copied().unwrap_or(0.0);
        let needed = (f64::from(bias).abs() / f64::from(input_scale) / BIAS_LIMIT) as f32;
        if needed > *scale {
            *scale = needed;
            widened += 1;
        }
    }

    let integers: Vec<i8> = weights
        .iter()
        .enumerate()
        .map(|(i, &weight)| to_int8(weight, scales[channel(i)], 0).max(-127))
        .collect();
    let bias = bias.map(|(id, bias)| {
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let integers = bias
            .iter()
            .zip(&scales)
            .map(|(&x, &scale)| {
                let step = f64::from(input_scale) * f64::from(scale);
                (f64::from(x) / step).round().clamp(-BIAS_LIMIT, BIAS_LIMIT) as i32
            })
            .collect();
        Value {
            dtype: DType::Int32,
            quantization: Some(Quantization::per_channel(bias_scales, 0)),
            constant: Some(Constant::I32(integers)),
            ..graph.value(id).clone()
        }
    });
    let weights = Value {
        dtype: DType::Int8,
        quantization: Some(Quantization::per_channel(scales, axis)),
        constant: Some(Constant::I8(integers)),
        ..graph.value(weights_id).clone()
    };
    Ok(Quantized { weights, bias, widened })
}
