//! Operators on int16, in TFLM's arithmetic: an operator of the graph chooses them by the type of its result.
//!
//! Sources followed: TFLM `kernels/activations_common.cc`, `leaky_relu_common.cc`, `elementwise.cc`,
//! `logistic_common.cc`, `tanh.cc`, `mul_common.cc`, `conv_common.cc`, `fully_connected_common.cc`, `transpose_conv.cc`,
//! `batch_matmul.cc`, `softmax_common.cc`, `pooling_common.cc`; TFLite `internal/common.h` (`gen_lut`).

use ferrolite_runtime::ops::gate_int16::MOST;
use ferrolite_runtime::ops::recurrent::table;
use ferrolite_runtime::ops::rsqrt_int16::BITS;
use ferrolite_runtime::ops::softmax_from_int16::MOST as LONGEST;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{
    self, BatchMatMulParams, Conv2dInt16Params, GateInt16Params, MulParams, Multiplier, Product,
    RsqrtInt16Params, SlopesInt16Params, SoftmaxFromInt16Params,
};

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use super::stage::{self, Quantized};
use crate::error::Result;
use crate::graph::{Activation, Constant, DType, Node, UnaryKind, Value, Window};

/// Functions of one number that have kernels for int16.
pub(super) fn has_kernel(kind: UnaryKind) -> bool {
    use UnaryKind::{Abs, LeakyRelu, Logistic, Relu, Relu6, ReluN1To1, Rsqrt, Tanh};
    matches!(kind, Abs | LeakyRelu { .. } | Logistic | Relu | Relu6 | ReluN1To1 | Rsqrt | Tanh)
}

/// The int16 activation at an operand position.
pub(super) fn input<'a>(cx: &Lowering<'a>, node: &Node, position: usize) -> Result<Quantized<'a>> {
    let (id, value) = cx.input(node, position)?;
    if value.constant.is_some() {
        return Err(
            cx.unsupported(node, format_args!("operand {position}, tensor `{}`, is a constant", value.name))
        );
    }
    stage::quantized(cx, node, id, value, DType::Int16)
}

/// The int16 tensor at an operand position, an activation or a constant.
fn operand<'a>(cx: &Lowering<'a>, node: &Node, position: usize) -> Result<Quantized<'a>> {
    let (id, value) = cx.input(node, position)?;
    stage::quantized(cx, node, id, value, DType::Int16)
}

/// The int16 result.
pub(super) fn output<'a>(cx: &Lowering<'a>, node: &Node) -> Result<Quantized<'a>> {
    let (id, value) = cx.output(node, 0)?;
    stage::quantized(cx, node, id, value, DType::Int16)
}

/// Refuses zero points other than 0, which TFLM's kernel does not have.
fn expect_symmetric(cx: &Lowering<'_>, node: &Node, tensors: &[&Quantized<'_>]) -> Result<()> {
    match tensors.iter().find(|tensor| tensor.zero_point != 0) {
        None => Ok(()),
        Some(tensor) => Err(cx.unsupported(
            node,
            format_args!(
                "tensor `{}` is int16 with zero point {}; 0 is supported",
                tensor.value.name, tensor.zero_point
            ),
        )),
    }
}

/// Lowers a function of one number.
pub(super) fn unary(cx: &mut Lowering<'_>, node: &Node, kind: UnaryKind) -> Result<Vec<Lowered>> {
    let (x, y) = (input(cx, node, 0)?, output(cx, node)?);
    if x.value.elements() != y.value.elements() {
        return Err(cx.unsupported(node, format_args!("it makes {:?} of {:?}", y.value.shape, x.value.shape)));
    }
    let factor = multiplier(x.scale / y.scale);
    let slopes = |below: Multiplier, sign: i32, activation: Activation| {
        let (min, max) = stage::activation_range(activation, &y);
        SlopesInt16Params {
            input_zero_point: x.zero_point,
            above: factor,
            below,
            sign,
            zero_point: y.zero_point,
            min,
            max,
        }
    };
    let params = match kind {
        UnaryKind::Relu => slopes(factor, 1, Activation::Relu),
        UnaryKind::ReluN1To1 => slopes(factor, 1, Activation::ReluN1To1),
        // TFLM clamps on the input's grid and does not scale.
        UnaryKind::Relu6 => {
            let ((min, max), one) = (stage::activation_range(Activation::Relu6, &x), multiplier(1.0));
            let zero_point = x.zero_point;
            let same = slopes(one, 1, Activation::None);
            SlopesInt16Params { above: one, zero_point, min, max, ..same }
        }
        UnaryKind::LeakyRelu { alpha } => {
            let below = x.scale * f64::from(alpha) / y.scale;
            slopes(multiplier(below.abs()), if below < 0.0 { -1 } else { 1 }, Activation::None)
        }
        UnaryKind::Abs => slopes(factor, -1, Activation::None),
        UnaryKind::Logistic | UnaryKind::Tanh => {
            return gate(cx, node, kind == UnaryKind::Tanh, &x, &y);
        }
        UnaryKind::Rsqrt => return rsqrt(cx, node, &x, &y),
        _ => return Err(cx.unsupported(node, "it computes with int16")),
    };
    Ok(vec![Lowered::new(OpCode::SlopesInt16, vec![x.id], vec![y.id], &params)])
}

/// LOGISTIC and TANH. Inputs become `1 / (3 * 4096)`; those whose scale is a power of two near that without rounding.
fn gate(
    cx: &mut Lowering<'_>,
    node: &Node,
    tangent: bool,
    x: &Quantized<'_>,
    y: &Quantized<'_>,
) -> Result<Vec<Lowered>> {
    expect_symmetric(cx, node, &[x, y])?;
    if y.scale != 1.0 / 32_768.0 {
        return Err(
            cx.unsupported(node, format_args!("its output has scale {}; 1/32768 is supported", y.scale))
        );
    }
    let (mantissa, exponent) = libm::frexp(x.scale);
    // Bits by which a number with 12 behind the point is short.
    let left = exponent - 1 + 12;
    let exact = mantissa == 0.5 && (left == 0 || tangent && left == 1);
    let (factor, shift) = if exact {
        (3 << left, 0)
    } else {
        let (mut real, mut shift) = (x.scale * 4096.0 * 3.0, 0);
        while real <= 32_767.0 / 2.0 && shift <= 30 {
            shift += 1;
            real *= 2.0;
        }
        if real >= f64::from(MOST) + 1.0 {
            return Err(
                cx.unsupported(node, format_args!("its input has scale {}, which is too large", x.scale))
            );
        }
        (real as u32, shift)
    };
    let params = GateInt16Params {
        table: cx.constants.add(&table(), 4)?,
        multiplier: factor,
        shift,
        tangent: tangent.into(),
    };
    Ok(vec![Lowered::new(OpCode::GateInt16, vec![x.id], vec![y.id], &params)])
}

/// Lowers MUL.
pub(super) fn mul(cx: &Lowering<'_>, node: &Node, activation: Activation) -> Result<Vec<Lowered>> {
    let (a, b, out) = (operand(cx, node, 0)?, operand(cx, node, 1)?, output(cx, node)?);
    let (min, max) = stage::activation_range(activation, &out);
    let params = MulParams {
        shape: broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?,
        product: Product {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            multiplier: multiplier(a.scale * b.scale / out.scale),
            zero_point: out.zero_point,
            min,
            max,
        },
    };
    Ok(vec![Lowered::new(OpCode::MulInt16, vec![a.id, b.id], vec![out.id], &params)])
}

/// What TFLM's kernels begin sums with: one number for each channel, and how wide their sums are.
enum Bias {
    Short(Vec<i32>),
    Long(Vec<i64>),
}

/// The bias at an operand position. Where it is of 32 bits, so are the sums of the layers that `short` says it of.
fn bias(cx: &Lowering<'_>, node: &Node, position: usize, channels: usize, short: bool) -> Result<Bias> {
    let Some(id) = node.input(position) else { return Ok(Bias::Long(vec![0; channels])) };
    let value = cx.graph.value(id);
    let found = match &value.constant {
        Some(Constant::I64(bias)) => Some(Bias::Long(bias.clone())),
        Some(Constant::I32(bias)) if short => Some(Bias::Short(bias.clone())),
        // TRANSPOSE_CONV of older converters.
        Some(Constant::I16(bias)) => Some(Bias::Long(bias.iter().map(|&bias| bias.into()).collect())),
        _ => None,
    };
    let len = match &found {
        Some(Bias::Long(bias)) => bias.len(),
        Some(Bias::Short(bias)) => bias.len(),
        None => 0,
    };
    match found {
        Some(bias) if len == channels => Ok(bias),
        _ => Err(cx.unsupported(
            node,
            format_args!(
                "bias `{}` is {} with {} elements; constant int64 for {channels} channels is supported",
                value.name,
                value.dtype.name(),
                value.elements()
            ),
        )),
    }
}

/// A layer with weights as a convolution.
struct Layer<'a> {
    x: Quantized<'a>,
    y: Quantized<'a>,
    params: Conv2dInt16Params,
    /// `[out_channels, kernel_h, kernel_w, in_channels / groups]`.
    weights: Vec<i8>,
    bias: Bias,
    factors: Vec<f64>,
    macs: u64,
}

/// Writes the constants of a layer.
fn layer(
    cx: &mut Lowering<'_>,
    node: &Node,
    layer: Layer<'_>,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let Layer { x, y, mut params, weights, bias, factors, macs } = layer;
    expect_symmetric(cx, node, &[&x, &y])?;
    let channels = params.out_channels as usize;
    if factors.len() != 1 && factors.len() != channels {
        return Err(cx.unsupported(
            node,
            format_args!("the weights have {} scales for {channels} channels", factors.len()),
        ));
    }
    let multipliers: Vec<Multiplier> =
        factors.iter().map(|&factor| stage::channel_multiplier(factor)).collect();
    let (min, max) = stage::activation_range(activation, &y);
    (params.min, params.max) = (min, max);
    params.weights = cx.constants.add(&weights, 4)?;
    (params.bias, params.long) = match bias {
        Bias::Short(bias) => (cx.constants.add(&bias, 4)?, 0),
        Bias::Long(bias) => {
            if let Some(large) = multipliers.iter().find(|multiplier| multiplier.shift > MOST_LEFT) {
                return Err(cx.unsupported(
                    node,
                    format_args!(
                        "its sums are scaled up by 2^{}; up to 2^{MOST_LEFT} is supported",
                        large.shift
                    ),
                ));
            }
            (cx.constants.add(&bias, 8)?, 1)
        }
    };
    params.multiplier_count = cx.word(node, multipliers.len())?;
    params.multipliers = cx.constants.add(&multipliers, 4)?;
    Ok(vec![Lowered::new(OpCode::Conv2dInt16, vec![x.id], vec![y.id], &params).macs(macs)])
}

/// By how many bits TFLM's kernels shift sums of 64 bits to the left, at most.
const MOST_LEFT: i32 = 7;

/// Lowers CONV_2D.
pub(super) fn conv_2d(
    cx: &mut Lowering<'_>,
    node: &Node,
    geometry: &Window,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (x, y) = (input(cx, node, 0)?, output(cx, node)?);
    let (filter, weights, quantization) = stage::weights(cx, node, 1)?;
    let (from, to) = (stage::nhwc(cx, node, x.value)?, stage::nhwc(cx, node, y.value)?);
    let [filters, kernel_h, kernel_w, depth] = stage::nhwc(cx, node, filter)?;
    let groups = from[3].checked_div(depth).unwrap_or(0);
    let fits = groups != 0
        && groups * depth == from[3]
        && to[3].is_multiple_of(groups)
        && filters == to[3]
        && [kernel_h, kernel_w] == geometry.kernel
        && from[0] == to[0];
    if !fits {
        return Err(mismatch(cx, node, filter, &x, &y));
    }
    let params =
        Conv2dInt16Params { groups: cx.word(node, groups)?, ..shapes(cx, node, geometry, from, to)? };
    let bias = bias(cx, node, 2, filters, true)?;
    let (factors, weights) = (stage::factors(cx, &x, quantization, &y), weights.to_vec());
    let macs = (y.value.elements() as u64).saturating_mul((kernel_h * kernel_w * depth) as u64);
    layer(cx, node, Layer { x, y, params, weights, bias, factors, macs }, activation)
}

/// Lowers DEPTHWISE_CONV_2D, whose weights are `[1, kernel_h, kernel_w, out_channels]`.
pub(super) fn depthwise(
    cx: &mut Lowering<'_>,
    node: &Node,
    geometry: &Window,
    multiplier: usize,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (x, y) = (input(cx, node, 0)?, output(cx, node)?);
    let (filter, weights, quantization) = stage::weights(cx, node, 1)?;
    let (from, to) = (stage::nhwc(cx, node, x.value)?, stage::nhwc(cx, node, y.value)?);
    let [one, kernel_h, kernel_w, channels] = stage::nhwc(cx, node, filter)?;
    let fits = one == 1
        && channels == to[3]
        && from[3].checked_mul(multiplier) == Some(channels)
        && channels != 0
        && [kernel_h, kernel_w] == geometry.kernel
        && from[0] == to[0];
    if !fits {
        return Err(mismatch(cx, node, filter, &x, &y));
    }
    let params =
        Conv2dInt16Params { groups: cx.word(node, from[3])?, ..shapes(cx, node, geometry, from, to)? };
    let bias = bias(cx, node, 2, channels, false)?;
    let factors = stage::factors(cx, &x, quantization, &y);
    let weights =
        (0..channels).flat_map(|channel| weights.iter().skip(channel).step_by(channels).copied()).collect();
    let macs = (y.value.elements() as u64).saturating_mul((kernel_h * kernel_w) as u64);
    layer(cx, node, Layer { x, y, params, weights, bias, factors, macs }, activation)
}

/// Lowers TRANSPOSE_CONV: a convolution with the kernel turned around, over the input with gaps.
pub(super) fn transpose_conv(
    cx: &mut Lowering<'_>,
    node: &Node,
    geometry: &Window,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (x, y) = (input(cx, node, 0)?, output(cx, node)?);
    let (filter, weights, quantization) = stage::weights(cx, node, 1)?;
    let (from, to) = (stage::nhwc(cx, node, x.value)?, stage::nhwc(cx, node, y.value)?);
    let [filters, kernel_h, kernel_w, depth] = stage::nhwc(cx, node, filter)?;
    let kernel = [kernel_h, kernel_w];
    let fits =
        filters == to[3] && depth == from[3] && depth != 0 && kernel == geometry.kernel && from[0] == to[0];
    if !fits || geometry.dilation != [1; 2] {
        return Err(mismatch(cx, node, filter, &x, &y));
    }
    let turned = |d: usize| kernel[d].checked_sub(1)?.checked_sub(geometry.pad_before[d]);
    let (Some(pad_top), Some(pad_left)) = (turned(0), turned(1)) else {
        return Err(cx.unsupported(node, "it crops more than its kernel has"));
    };
    let [stride_h, stride_w] = geometry.stride;
    let outside = |numbers: &[usize], most: usize| numbers.iter().any(|&n| n == 0 || n > most);
    let sizes = [from[1], from[2], to[1], to[2], kernel_h, kernel_w];
    if outside(&sizes, 0xFFFF) || outside(&geometry.stride, 4096) {
        return Err(cx.unsupported(node, stage::WINDOW_LIMITS));
    }
    let word = |n: usize| cx.word(node, n);
    let window = params::Window {
        in_h: word(from[1])?,
        in_w: word(from[2])?,
        out_h: word(to[1])?,
        out_w: word(to[2])?,
        kernel_h: word(kernel_h)?,
        kernel_w: word(kernel_w)?,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: word(pad_top)?,
        pad_left: word(pad_left)?,
    };
    let params = Conv2dInt16Params {
        window,
        batches: word(from[0])?,
        in_channels: word(from[3])?,
        out_channels: word(to[3])?,
        groups: 1,
        gap_h: word(stride_h)?,
        gap_w: word(stride_w)?,
        ..Conv2dInt16Params::default()
    };
    let bias = bias(cx, node, 2, filters, false)?;
    let factors = stage::factors(cx, &x, quantization, &y);
    let macs = ((from[0] * from[1] * from[2]) as u64).saturating_mul(weights.len() as u64);
    let taps = |filter: &[i8]| filter.chunks_exact(depth).rev().flatten().copied().collect::<Vec<i8>>();
    let weights = weights.chunks_exact(kernel_h * kernel_w * depth).flat_map(taps).collect();
    layer(cx, node, Layer { x, y, params, weights, bias, factors, macs }, activation)
}

/// Lowers FULLY_CONNECTED: a convolution of one tap over rows.
pub(super) fn fully_connected(
    cx: &mut Lowering<'_>,
    node: &Node,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (x, y) = (input(cx, node, 0)?, output(cx, node)?);
    let (matrix, weights, quantization) = stage::weights(cx, node, 1)?;
    let &[outputs, inputs] = &matrix.shape[..] else { return Err(mismatch(cx, node, matrix, &x, &y)) };
    let rows = x.value.elements().checked_div(inputs).unwrap_or(0);
    let fits = outputs != 0
        && rows != 0
        && rows.checked_mul(inputs) == Some(x.value.elements())
        && rows.checked_mul(outputs) == Some(y.value.elements());
    if !fits {
        return Err(mismatch(cx, node, matrix, &x, &y));
    }
    let one =
        Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad_before: [0; 2], pad_after: [0; 2] };
    let params = Conv2dInt16Params {
        groups: 1,
        ..shapes(cx, node, &one, [rows, 1, 1, inputs], [rows, 1, 1, outputs])?
    };
    let bias = bias(cx, node, 2, outputs, false)?;
    let factors = match quantization.scale[..] {
        // With one scale TFLite multiplies the scales in float32, unlike everywhere else.
        [scale] => vec![stage::single(&x, scale, &y)],
        _ => stage::factors(cx, &x, quantization, &y),
    };
    let macs = (rows as u64).saturating_mul(weights.len() as u64);
    let weights = weights.to_vec();
    layer(cx, node, Layer { x, y, params, weights, bias, factors, macs }, activation)
}

fn mismatch(
    cx: &Lowering<'_>,
    node: &Node,
    filter: &Value,
    x: &Quantized<'_>,
    y: &Quantized<'_>,
) -> crate::error::Error {
    cx.unsupported(
        node,
        format_args!("weights {:?} do not make {:?} of {:?}", filter.shape, y.value.shape, x.value.shape),
    )
}

/// Window, batch and channels of a layer without gaps.
fn shapes(
    cx: &Lowering<'_>,
    node: &Node,
    geometry: &Window,
    from: [usize; 4],
    to: [usize; 4],
) -> Result<Conv2dInt16Params> {
    Ok(Conv2dInt16Params {
        window: stage::window(cx, node, geometry, from, to)?,
        batches: cx.word(node, from[0])?,
        in_channels: cx.word(node, from[3])?,
        out_channels: cx.word(node, to[3])?,
        gap_h: 1,
        gap_w: 1,
        ..Conv2dInt16Params::default()
    })
}

/// Lowers BATCH_MATMUL with these shapes.
pub(super) fn batch_matmul(
    cx: &Lowering<'_>,
    node: &Node,
    shapes: BatchMatMulParams,
    macs: u64,
) -> Result<Vec<Lowered>> {
    let (a, b, y) = (operand(cx, node, 0)?, operand(cx, node, 1)?, output(cx, node)?);
    expect_symmetric(cx, node, &[&a, &b, &y])?;
    let multiplier = multiplier(f64::from(a.scale as f32 * b.scale as f32) / y.scale);
    if multiplier.shift > MOST_LEFT {
        return Err(cx.unsupported(node, format_args!("its result's scale {} is too small", y.scale)));
    }
    let (min, max) = stage::activation_range(Activation::None, &y);
    let product = Product { multiplier, min, max, ..Product::default() };
    let params = BatchMatMulParams { product, ..shapes };
    Ok(vec![Lowered::new(OpCode::BatchMatMulInt16, vec![a.id, b.id], vec![y.id], &params).macs(macs)])
}

/// Lowers SOFTMAX.
pub(super) fn softmax(cx: &mut Lowering<'_>, node: &Node, beta: f32) -> Result<Vec<Lowered>> {
    let (x, y) = (input(cx, node, 0)?, output(cx, node)?);
    let shape = &x.value.shape;
    let depth = shape.last().copied().unwrap_or(1);
    if depth == 0 || depth > LONGEST as usize || *shape != y.value.shape {
        return Err(cx.unsupported(
            node,
            format_args!(
                "it makes {:?} of {shape:?}; equal shapes and rows of 1 to {LONGEST} elements are supported",
                y.value.shape
            ),
        ));
    }
    // TFLM takes a scale that is a thousandth off.
    if (y.scale * 32_768.0 - 1.0).abs() > 0.001 || y.zero_point != 0 {
        return Err(cx.unsupported(
            node,
            format_args!(
                "its output has scale {} and zero point {}; 1/32768 and 0 are supported",
                y.scale, y.zero_point
            ),
        ));
    }
    let exponential = |x: f32| libm::exp(x.into()) as f32;
    let mut tables = lines(exponential, -10.0, 0.0);
    tables.extend(lines(|x| 1.0 / (1.0 + x), 0.0, 1.0));
    let params = SoftmaxFromInt16Params {
        rows: cx.word(node, x.value.elements() / depth)?,
        depth: cx.word(node, depth)?,
        multiplier: multiplier(x.scale * f64::from(beta) / (10.0 / 65_535.0)),
        tables: cx.constants.add(&tables, 4)?,
    };
    Ok(vec![Lowered::new(OpCode::SoftmaxFromInt16, vec![x.id], vec![y.id], &params)])
}

/// A function from `low` to `high` at 513 places, with 15 bits behind the point. Each but the last is moved by half of what
/// the straight line to the next one is off in the middle, all in float32, as TensorFlow Lite's `gen_lut` has it.
fn lines(function: impl Fn(f32) -> f32, low: f32, high: f32) -> Vec<i16> {
    let (step, scale) = ((high - low) / 512.0, 32_768.0f32);
    let half = step / 2.0;
    let at = |i: u16| function(low + f32::from(i) * step);
    let limited = |x: f32| x.clamp(-32_768.0, 32_767.0) as i16;
    let entry = |i: u16| {
        let (value, next) = ((at(i) * scale).round(), at(i + 1) * scale);
        let middle = (function(low + f32::from(i) * step + half) * scale).round();
        let off = ((next + value) / 2.0).round() - middle;
        limited(value - (off / 2.0).round())
    };
    (0..512).map(entry).chain([limited((function(high) * scale).round())]).collect()
}

/// Lowers RSQRT.
fn rsqrt(cx: &Lowering<'_>, node: &Node, x: &Quantized<'_>, y: &Quantized<'_>) -> Result<Vec<Lowered>> {
    expect_symmetric(cx, node, &[x, y])?;
    let factor = multiplier(1.0 / (x.scale.sqrt() * y.scale));
    let multiplier = Multiplier { shift: (factor.shift - BITS).max(-31), ..factor };
    Ok(vec![Lowered::new(OpCode::RsqrtInt16, vec![x.id], vec![y.id], &RsqrtInt16Params { multiplier })])
}
