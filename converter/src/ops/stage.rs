//! What lowerings of layers with weights share: int8 operands, weights, and the output stage
//! `clamp(requantize(acc + bias[c], multiplier[c]) + zero_point)`.
//!
//! With `real = scale * (q - zero_point)` and symmetric weights, a layer is
//!
//! ```text
//! acc[c]    = sum of x * w[c]  +  bias[c] - input.zero_point * sum of w[c]     (x, w: stored integers)
//! output[c] = output.zero_point + acc[c] * input.scale * weights.scale[c] / output.scale
//! ```
//! The part of `acc` that does not depend on `x` is the bias in the file, and the real factor is
//! its multiplier. Source followed: TFLite `kernel_util.cc` (`PopulateConvolutionQuantizationParams`,
//! `CalculateActivationRangeQuantized`); double factors from float scales, in its order.

use ferrolite_runtime::quant::{multiplier, quantize};
use ferrolite_schema::params::{Multiplier, OutputStage, Window};

use super::lowering::Lowering;
use crate::error::Result;
use crate::graph::{self, Activation, Constant, DType, Graph, Node, Quantization, Value, ValueId};

/// What is said of windows beyond what the file holds.
pub(super) const WINDOW_LIMITS: &str =
    "images and kernels of 1 to 65,535, strides and dilations of 1 to 4,096 are supported";

/// A tensor of integers with its quantization: int8, where nothing else is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantized<'a> {
    /// Its id.
    pub id: ValueId,
    /// The value.
    pub value: &'a Value,
    /// Scale, finite and above 0; a float32 number.
    pub scale: f64,
    /// Zero point, in the range of the tensor's type.
    pub zero_point: i32,
}

/// The int8 activation at an operand position.
pub(super) fn int8_input<'a>(cx: &Lowering<'a>, node: &Node, position: usize) -> Result<Quantized<'a>> {
    let (id, value) = cx.input(node, position)?;
    if value.constant.is_some() {
        return Err(cx.unsupported(
            node,
            format_args!(
                "operand {position}, tensor `{}`, is a constant; an activation is needed",
                value.name
            ),
        ));
    }
    int8(cx, node, id, value)
}

/// The int8 tensor at an operand position, an activation or a constant.
pub(super) fn int8_operand<'a>(cx: &Lowering<'a>, node: &Node, position: usize) -> Result<Quantized<'a>> {
    let (id, value) = cx.input(node, position)?;
    int8(cx, node, id, value)
}

/// The int8 activation at a result position.
pub(super) fn int8_output<'a>(cx: &Lowering<'a>, node: &Node, position: usize) -> Result<Quantized<'a>> {
    let (id, value) = cx.output(node, position)?;
    int8(cx, node, id, value)
}

fn int8<'a>(cx: &Lowering<'a>, node: &Node, id: ValueId, value: &'a Value) -> Result<Quantized<'a>> {
    quantized(cx, node, id, value, DType::Int8)
}

/// A tensor of this type, which is int8 or int16.
pub(super) fn quantized<'a>(
    cx: &Lowering<'a>,
    node: &Node,
    id: ValueId,
    value: &'a Value,
    dtype: DType,
) -> Result<Quantized<'a>> {
    if value.dtype != dtype {
        return Err(cx.unsupported(
            node,
            format_args!("tensor `{}` is {}; {} is supported", value.name, value.dtype.name(), dtype.name()),
        ));
    }
    let (scale, zero_point) = cx.quantization(node, value)?;
    let (low, high) = limits(dtype);
    if !(scale.is_finite() && scale > 0.0 && (low..=high).contains(&zero_point)) {
        return Err(cx.unsupported(
            node,
            format_args!(
                "tensor `{}` has scale {scale} and zero point {zero_point}; a scale above 0 and a zero point \
                 from {low} to {high} are supported",
                value.name
            ),
        ));
    }
    Ok(Quantized { id, value, scale, zero_point })
}

/// The smallest and the largest number of int8 or int16.
fn limits(dtype: DType) -> (i32, i32) {
    match dtype {
        DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        _ => (i8::MIN.into(), i8::MAX.into()),
    }
}

/// The constant int8 weights at an operand position and their quantization, whose zero points are 0.
pub(super) fn weights<'a>(
    cx: &Lowering<'a>,
    node: &Node,
    position: usize,
) -> Result<(&'a Value, &'a [i8], &'a Quantization)> {
    let (value, elements, quantization) = quantized_weights(cx, node, position)?;
    match quantization.zero_point.iter().find(|&&zero_point| zero_point != 0) {
        None => Ok((value, elements, quantization)),
        Some(zero_point) => Err(cx.unsupported(
            node,
            format_args!(
                "weights `{}` have zero point {zero_point}, which this form of the layer cannot take",
                value.name
            ),
        )),
    }
}

/// The same with any zero points.
pub(super) fn quantized_weights<'a>(
    cx: &Lowering<'a>,
    node: &Node,
    position: usize,
) -> Result<(&'a Value, &'a [i8], &'a Quantization)> {
    let (_, value) = cx.input(node, position)?;
    let Some(Constant::I8(elements)) = &value.constant else {
        let found = match &value.constant {
            None => "not constant",
            Some(constant) => constant.dtype().name(),
        };
        return Err(cx.unsupported(
            node,
            format_args!("weights `{}` are {found}; constant int8 weights are supported", value.name),
        ));
    };
    let quantization =
        value.quantization.as_ref().filter(|q| !q.scale.is_empty()).ok_or_else(|| {
            cx.unsupported(node, format_args!("weights `{}` have no quantization", value.name))
        })?;
    if let Some(scale) = quantization.scale.iter().find(|scale| !(scale.is_finite() && **scale >= 0.0)) {
        return Err(cx.unsupported(
            node,
            format_args!("weights `{}` have scale {scale}; finite scales are supported", value.name),
        ));
    }
    Ok((value, elements, quantization))
}

/// The int32 bias at an operand position: `channels` numbers, zeroes where the operand is absent.
pub(super) fn bias(cx: &Lowering<'_>, node: &Node, position: usize, channels: usize) -> Result<Vec<i32>> {
    let Some(id) = node.input(position) else { return Ok(vec![0; channels]) };
    let value = cx.graph.value(id);
    match &value.constant {
        Some(Constant::I32(bias)) if bias.len() == channels => Ok(bias.clone()),
        Some(Constant::I32(bias)) => Err(cx.unsupported(
            node,
            format_args!("bias `{}` has {} elements for {channels} channels", value.name, bias.len()),
        )),
        Some(other) => Err(cx.unsupported(
            node,
            format_args!("bias `{}` is {}; int32 is supported", value.name, other.dtype().name()),
        )),
        None => Err(cx.unsupported(node, format_args!("bias `{}` is not constant", value.name))),
    }
}

/// `input.scale * weights.scale[c] / output.scale` for each scale of the weights.
pub(super) fn factors(
    cx: &Lowering<'_>,
    input: &Quantized<'_>,
    weights: &Quantization,
    output: &Quantized<'_>,
) -> Vec<f64> {
    match weights.scale[..] {
        // TFLite multiplies the scales of uint8 in float32 (`GetQuantizedConvolutionMultipler`).
        [scale] if cx.graph.from_uint8.contains(&output.id) => return vec![single(input, scale, output)],
        _ => {}
    }
    weights.scale.iter().map(|&scale| input.scale * f64::from(scale) / output.scale).collect()
}

/// The factor of weights of one scale, where scales are multiplied in float32.
pub(super) fn single(input: &Quantized<'_>, scale: f32, output: &Quantized<'_>) -> f64 {
    f64::from(input.scale as f32 * scale) / output.scale
}

/// What belongs to the channels of a layer.
pub(super) struct Channels {
    /// Bias of each.
    pub bias: Vec<i32>,
    /// Sum of the weights of each.
    pub sums: Vec<i32>,
    /// Real factor of each, or one for all.
    pub factors: Vec<f64>,
}

/// Writes the biases, with the input's zero point folded into them, and the multipliers.
pub(super) fn output_stage(
    cx: &mut Lowering<'_>,
    node: &Node,
    channels: Channels,
    input: &Quantized<'_>,
    output: &Quantized<'_>,
    activation: Activation,
) -> Result<OutputStage> {
    let Channels { mut bias, sums, factors } = channels;
    // Accumulators wrap modulo 2^32 on the device, and so does what is folded into them.
    for (bias, &sum) in bias.iter_mut().zip(&sums) {
        *bias = bias.wrapping_sub(input.zero_point.wrapping_mul(sum));
    }
    folded_stage(cx, node, &bias, bias.len(), &factors, output, activation)
}

/// Writes finished biases, one or several for each of some channels, and the multipliers.
pub(super) fn folded_stage(
    cx: &mut Lowering<'_>,
    node: &Node,
    bias: &[i32],
    channels: usize,
    factors: &[f64],
    output: &Quantized<'_>,
    activation: Activation,
) -> Result<OutputStage> {
    if factors.len() != 1 && factors.len() != channels {
        return Err(cx.unsupported(
            node,
            format_args!("the weights have {} scales for {channels} channels", factors.len()),
        ));
    }
    let mut multipliers: Vec<Multiplier> = factors.iter().map(|&factor| channel_multiplier(factor)).collect();
    if multipliers.iter().all(|m| *m == multipliers[0]) {
        multipliers.truncate(1);
    }
    let (min, max) = activation_range(activation, output);
    Ok(OutputStage {
        bias: cx.constants.add(bias, 4)?,
        multipliers: cx.constants.add(&multipliers, 4)?,
        multiplier_count: cx.word(node, multipliers.len())?,
        zero_point: output.zero_point,
        min,
        max,
    })
}

/// The multiplier of a factor. Zero shifts by one: that makes no difference, and the short way of packed
/// layers shifts always.
pub(super) fn channel_multiplier(factor: f64) -> Multiplier {
    match multiplier(factor) {
        Multiplier { mantissa: 0, .. } => Multiplier { mantissa: 0, shift: -1 },
        multiplier => multiplier,
    }
}

/// The bounds of a clamp in real numbers, as integers of the result.
pub(super) fn activation_range(activation: Activation, output: &Quantized<'_>) -> (i32, i32) {
    let (low, high) = activation.range();
    let (least, most) = limits(output.value.dtype);
    let bound = |real: f32| quantize(real, output.scale as f32, output.zero_point, least, most);
    let min = if low.is_finite() { bound(low) } else { least };
    let max = if high.is_finite() { bound(high) } else { most };
    (min, max.max(min))
}

/// Batches, height, width and channels of an image, or an error that names the layer.
pub(super) fn nhwc(cx: &Lowering<'_>, node: &Node, value: &Value) -> Result<[usize; 4]> {
    <[usize; 4]>::try_from(&value.shape[..]).map_err(|_| {
        cx.unsupported(
            node,
            format_args!("tensor `{}` has shape {:?}; 4 dimensions are needed", value.name, value.shape),
        )
    })
}

/// The window of an op from `input` to `output` images, checked against both.
pub(super) fn window(
    cx: &Lowering<'_>,
    node: &Node,
    window: &graph::Window,
    input: [usize; 4],
    output: [usize; 4],
) -> Result<Window> {
    for axis in 0..2 {
        let (size, out) = (input[axis + 1], output[axis + 1]);
        let padded = size.saturating_add(window.pad_before[axis]).saturating_add(window.pad_after[axis]);
        let reach = window.kernel[axis].saturating_sub(1).saturating_mul(window.dilation[axis]);
        let last = out.saturating_sub(1).saturating_mul(window.stride[axis]);
        if out == 0 || last.saturating_add(reach) >= padded {
            return Err(cx.unsupported(
                node,
                format_args!(
                    "a window of {:?} with stride {:?}, dilation {:?} and padding {:?} before and {:?} behind \
                     does not make {:?} of {:?}",
                    window.kernel,
                    window.stride,
                    window.dilation,
                    window.pad_before,
                    window.pad_after,
                    &output[1..3],
                    &input[1..3],
                ),
            ));
        }
    }
    let dims = [input[1], input[2], output[1], output[2]];
    let outside = |numbers: &[usize], most: usize| numbers.iter().any(|&n| n == 0 || n > most);
    let steps = [window.stride, window.dilation];
    if outside(&dims, 0xFFFF) || outside(&window.kernel, 0xFFFF) || outside(steps.as_flattened(), 4096) {
        return Err(cx.unsupported(node, WINDOW_LIMITS));
    }
    let word = |n: usize| cx.word(node, n);
    Ok(Window {
        in_h: word(input[1])?,
        in_w: word(input[2])?,
        out_h: word(output[1])?,
        out_w: word(output[2])?,
        kernel_h: word(window.kernel[0])?,
        kernel_w: word(window.kernel[1])?,
        stride_h: word(window.stride[0])?,
        stride_w: word(window.stride[1])?,
        dilation_h: word(window.dilation[0])?,
        dilation_w: word(window.dilation[1])?,
        pad_top: word(window.pad_before[0])?,
        pad_left: word(window.pad_before[1])?,
    })
}

/// The scale of a value that is quantized as a whole, infinite where it is not.
pub(super) fn scale(graph: &Graph, id: Option<ValueId>) -> f32 {
    id.and_then(|id| graph.value(id).quantization.as_ref()?.tensor())
        .map_or(f32::INFINITY, |(scale, _)| scale)
}
