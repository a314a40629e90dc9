//! Weights and biases of layers with weights: symmetric int8 per output channel, and int32 with the scale of
//! the products.

use super::authored;
use super::range::{BIAS_LIMIT, Range, to_int8};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, Node, Quantization, Value, ValueId};

/// Smallest weight scale of a channel relative to the largest one of the layer. A channel below it is dead,
/// and its own scale would only give multipliers that cannot be represented.
const SMALLEST_RELATIVE_SCALE: f32 = 1.0 / (1 << 24) as f32;

/// A layer's quantized weights and bias, and how many channels' scales were widened for the bias.
pub struct Quantized {
    /// int8 weights with their scales.
    pub weights: Value,
    /// int32 bias with its scales, if the layer has one.
    pub bias: Option<Value>,
    /// Channels whose weights are coarser than necessary, so that their bias fits int32.
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

/// Quantizes the weights and the bias of a node whose output channels lie along `axis`, for an input of scale
/// `input_scale`. With `clip`, the scale of a channel is the one with the least squared error, which may
/// saturate its largest weights. Integers of the author are kept if possible.
pub fn quantize(graph: &Graph, node: &Node, axis: usize, input_scale: f32, clip: bool) -> Result<Quantized> {
    let Some(weights_id) = node.input(1) else {
        return Err(Error::input(format!("layer `{}` ({}): it has no weights", node.name, node.op.name())));
    };
    let weights = real(graph, node, weights_id, "weights")?;
    let shape = graph.value(weights_id).shape.clone();
    let channels = shape.get(axis).copied().unwrap_or(1);
    let inner: usize = shape.iter().skip(axis + 1).product();
    let channel = |i: usize| i / inner % channels;
    let bias = node.input(2).map(|id| Ok((id, real(graph, node, id, "biases")?))).transpose()?;
    let bias_of = |c: usize| bias.as_ref().and_then(|(_, bias)| bias.get(c)).copied().unwrap_or(0.0);
    // The least scale of a channel for which its bias fits.
    let needed = |c: usize| (f64::from(bias_of(c)).abs() / f64::from(input_scale) / BIAS_LIMIT) as f32;

    let (mut widened, mut integers) = (0, None);
    let mut scales = authored_scales(graph.value(weights_id), axis, channels);
    scales = scales.filter(|scales| scales.iter().enumerate().all(|(c, &scale)| scale >= needed(c)));
    let mut zero_points = vec![0; channels];
    if scales.is_some() {
        integers = graph.value(weights_id).constant.clone();
        let own = graph.value(weights_id).quantization.as_ref().map_or(&[][..], |q| &q.zero_point);
        for (c, zero_point) in zero_points.iter_mut().enumerate() {
            *zero_point = own.get(c).or(own.first()).copied().unwrap_or(0);
        }
    }
    let scales = scales.unwrap_or_else(|| {
        let mut scales = channel_scales(&weights, channels, channel);
        if clip {
            clip_scales(&weights, &mut scales, channel);
        }
        for (c, scale) in scales.iter_mut().enumerate() {
            if needed(c) > *scale {
                *scale = needed(c);
                widened += 1;
            }
        }
        scales
    });
    let integers = integers.unwrap_or_else(|| {
        let of = |(i, &weight): (usize, &f32)| to_int8(weight, scales[channel(i)], 0).max(-127);
        Constant::I8(weights.iter().enumerate().map(of).collect())
    });
    let bias = bias.map(|(id, bias)| {
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let value = graph.value(id);
        let integers = authored_bias(value, &bias_scales).unwrap_or_else(|| {
            let pairs = bias.iter().zip(&scales);
            let steps = pairs.map(|(&x, &scale)| (x, f64::from(input_scale) * f64::from(scale)));
            let rounded = steps.map(|(x, step)| (f64::from(x) / step).round());
            Constant::I32(rounded.map(|x| x.clamp(-BIAS_LIMIT, BIAS_LIMIT) as i32).collect())
        });
        Value {
            dtype: DType::Int32,
            quantization: Some(Quantization::per_channel(bias_scales, 0)),
            constant: Some(integers),
            ..value.clone()
        }
    });
    let weights = Value {
        dtype: DType::Int8,
        quantization: Some(Quantization {
            zero_point: zero_points,
            ..Quantization::per_channel(scales, axis)
        }),
        constant: Some(integers),
        ..graph.value(weights_id).clone()
    };
    Ok(Quantized { weights, bias, widened })
}

/// The scales of weights that are already integers, one for each channel.
fn authored_scales(weights: &Value, axis: usize, channels: usize) -> Option<Vec<f32>> {
    let scales = &weights.quantization.as_ref().filter(|_| authored::keeps_weights(weights, axis))?.scale;
    Some(match scales[..] {
        [one] => vec![one; channels],
        _ => scales.clone(),
    })
}

/// A bias of integers, if its scales are, up to rounding, those of the products.
fn authored_bias(bias: &Value, scales: &[f32]) -> Option<Constant> {
    let own = &bias.quantization.as_ref().filter(|_| authored::keeps_bias(bias))?.scale;
    let of = |c: usize| if own.len() == 1 { own.first() } else { own.get(c) };
    let same =
        scales.iter().enumerate().all(|(c, &scale)| of(c).is_some_and(|&x| (x / scale - 1.0).abs() < 1e-5));
    let fits = |x: &i64| x.unsigned_abs() as f64 <= BIAS_LIMIT;
    let constant = bias.constant.as_ref()?;
    (same && constant.to_i64()?.iter().all(fits)).then(|| constant.clone())
}

/// Scales by the largest magnitude of each channel.
fn channel_scales(weights: &[f32], channels: usize, channel: impl Fn(usize) -> usize) -> Vec<f32> {
    let mut ranges = vec![Range::default(); channels];
    for (i, &weight) in weights.iter().enumerate() {
        let range = &mut ranges[channel(i)];
        *range = Range { min: range.min.min(weight), max: range.max.max(weight) };
    }
    let mut scales: Vec<f32> = ranges.iter().map(|range| range.symmetric()).collect();
    let largest = scales.iter().copied().fold(0.0, f32::max);
    let smallest = if largest > 0.0 { largest * SMALLEST_RELATIVE_SCALE } else { 1.0 };
    for scale in &mut scales {
        // A channel of zeros is constant, so any scale will do; a common one is best.
        *scale = if *scale == 0.0 { largest.max(smallest) } else { scale.max(smallest) };
    }
    scales
}

/// Replaces each channel's scale by the one with the least squared error among 1, 0.99, … 0.5 times it.
fn clip_scales(weights: &[f32], scales: &mut [f32], channel: impl Fn(usize) -> usize) {
    let mut best = vec![f64::INFINITY; scales.len()];
    let mut chosen = scales.to_vec();
    for percent in (50..=100u8).rev() {
        let tried: Vec<f32> = scales.iter().map(|scale| scale * (f32::from(percent) / 100.0)).collect();
        let mut errors = vec![0.0f64; scales.len()];
        for (i, &weight) in weights.iter().enumerate() {
            let c = channel(i);
            let q = f32::from(to_int8(weight, tried[c], 0).max(-127));
            errors[c] += f64::from(weight - q * tried[c]).powi(2);
        }
        for (c, &error) in errors.iter().enumerate() {
            if error < best[c] {
                (best[c], chosen[c]) = (error, tried[c]);
            }
        }
    }
    scales.copy_from_slice(&chosen);
}
