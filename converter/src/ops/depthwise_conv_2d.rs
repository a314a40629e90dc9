//! DEPTHWISE_CONV_2D. Source followed: TFLM `kernels/depthwise_conv_common.cc`.

use ferrolite_graph::float::{elementwise, window};
use ferrolite_runtime::kernels::Windows;
use ferrolite_runtime::ops::depthwise_conv_2d::{can_be_packed, scratch_bytes};
use ferrolite_runtime::ops::{depthwise_3x3, depthwise_taps};
use ferrolite_runtime::packing::{Order, Packing, Shape};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{self, DepthwiseConv2dParams};

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{channels, int16, pack, stage, types, wide, work};
use crate::error::Result;
use crate::graph::{Activation, DType, DepthwiseConv2d, Graph, Node, Value, Window};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[(
    "DEPTHWISE_CONV_2D",
    &[
        OpCode::DepthwiseConv2d,
        OpCode::Depthwise3x3,
        OpCode::DepthwiseTaps,
        OpCode::DepthwiseWide,
        OpCode::Conv2dInt16,
    ],
)];

impl Operator for DepthwiseConv2d {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (image, [one, kh, kw, out]) = (check.image(0)?, check.image(1)?);
        check.window(&self.window, [kh, kw])?;
        check.ensure(one == 1 && image[3].checked_mul(self.multiplier) == Some(out), || {
            format!("a filter with {out} outputs for {} channels times {}", image[3], self.multiplier)
        })?;
        check.bias(out)?;
        check.windowed(image, &self.window, out)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::weighted(inputs, outputs, 3)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let (input, filter, bias) = (x.get(0), x.get(1), x.optional(2));
        let out = window::depthwise(input, filter, bias, &self.window, self.multiplier, x.shape());
        vec![elementwise::clamped(out, self.activation)]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        work::results(graph, node).saturating_mul(work::count(&self.window.kernel))
    }

    fn channel_axis(&self) -> Option<usize> {
        Some(3)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.output(node, 0)?.1.dtype {
            DType::Int16 => int16::depthwise(cx, node, &self.window, self.multiplier, self.activation),
            _ => lower(cx, node, &self.window, self.multiplier, self.activation),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &DepthwiseConv2d { ref window, multiplier, activation } = self;
        let (padding, mut inputs) = tflite::windowed(w, node, window, None);
        if inputs.len() == 2 {
            inputs.push(tflite::zero_bias(w, node));
        }
        let ([stride_h, stride_w], [dilation_h, dilation_w]) = (window.stride, window.dilation);
        let options = tflite::options(Kind::DepthwiseConv2DOptions, move |fbb| {
            schema::DepthwiseConv2DOptions::create(
                fbb,
                &schema::DepthwiseConv2DOptionsArgs {
                    padding,
                    stride_w: stride_w as i32,
                    stride_h: stride_h as i32,
                    depth_multiplier: multiplier as i32,
                    fused_activation_function: tflite::fused(activation),
                    dilation_w_factor: dilation_w as i32,
                    dilation_h_factor: dilation_h as i32,
                },
            )
        });
        tflite::push(w, node, Code::DEPTHWISE_CONV_2D, 3, options, inputs)
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let (input, &output) = (node.input(0)?, node.outputs.first()?);
        let outputs = 0..channels::channels(graph, output);
        Some(outputs.map(|c| ((input, c / self.multiplier), (output, c))).collect())
    }

    fn scores(&self) -> Scores {
        if self.activation == Activation::None { Scores::Own } else { Scores::None }
    }
}

/// Lowers the node. The graph's weights are `[kernel_h, kernel_w, in * multiplier]`; packed ones have a
/// row for each channel.
pub fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    window: &Window,
    multiplier: usize,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let input = stage::int8_input(cx, node, 0)?;
    let output = stage::int8_output(cx, node, 0)?;
    let (_, filter) = cx.input(node, 1)?;
    let in_shape = stage::nhwc(cx, node, input.value)?;
    let out_shape = stage::nhwc(cx, node, output.value)?;
    let [one, kernel_h, kernel_w, channels] = stage::nhwc(cx, node, filter)?;
    let [batches, .., in_channels] = in_shape;
    let fits = one == 1
        && in_channels.checked_mul(multiplier) == Some(channels)
        && out_shape[3] == channels
        && [kernel_h, kernel_w] == window.kernel
        && batches == out_shape[0];
    if !fits {
        return Err(cx.unsupported(
            node,
            format_args!(
                "filter {:?} with multiplier {multiplier} does not make {out_shape:?} of {in_shape:?}",
                filter.shape
            ),
        ));
    }
    let given = stage::window(cx, node, window, in_shape, out_shape)?;
    if wide::is_wide(filter) {
        let taps = (kernel_h * kernel_w) as u64;
        let macs = (output.value.elements() as u64).saturating_mul(taps);
        let params = DepthwiseConv2dParams {
            window: given,
            batches: cx.word(node, batches)?,
            in_channels: cx.word(node, in_channels)?,
            multiplier: cx.word(node, multiplier)?,
            input_zero_point: input.zero_point,
            ..DepthwiseConv2dParams::default()
        };
        let layer = wide::Layer { input, output, filter, activation, macs };
        return Ok(vec![wide::depthwise(cx, node, &layer, params)?]);
    }
    let (_, weights, quantization) = stage::weights(cx, node, 1)?;
    let (window, inside) = within_image(&given);
    // Taps that lie in the padding for every output add nothing but what the bias would take away again.
    let weights: Vec<i8> = weights
        .chunks_exact(channels)
        .zip(inside)
        .filter(|(_, inside)| *inside)
        .flat_map(|(tap, _)| tap.iter().copied())
        .collect();
    let mut sums = vec![0i32; channels];
    for tap in weights.chunks_exact(channels) {
        for (sum, &w) in sums.iter_mut().zip(tap) {
            *sum += i32::from(w);
        }
    }
    let bias = stage::bias(cx, node, 2, channels)?;
    let factors = stage::factors(cx, &input, quantization, &output);
    let mut numbers = stage::Channels { bias, sums, factors };
    let taps = weights.len() / channels;
    let rows: Vec<i8> =
        (0..channels).flat_map(|c| weights.iter().skip(c).step_by(channels)).copied().collect();
    let dims = (cx.word(node, channels)?, 1, cx.word(node, taps)?);
    let mut shape =
        pack::choose(cx, cx.policy.depthwise, dims, &mut numbers, &input, rows.chunks_exact(taps));
    let mut params = DepthwiseConv2dParams {
        window,
        batches: cx.word(node, batches)?,
        in_channels: cx.word(node, in_channels)?,
        multiplier: cx.word(node, multiplier)?,
        input_zero_point: input.zero_point,
        packing: Packing::PLAIN.tag(),
        weights: 0,
        stage: stage::output_stage(cx, node, numbers, &input, &output, activation)?,
    };
    if !can_be_packed(&params) {
        shape.packing = Packing::PLAIN;
    }
    let windows = cx.policy.windows;
    let fast = shape.packing != Packing::PLAIN && windows.has(&window, params.in_channels);
    let by_taps = windows != Windows::All && !fast && depthwise_taps::scratch_bytes(&params).is_some();
    if by_taps {
        shape = Shape { packing: depthwise_taps::PACKING, ..shape };
    }
    params.packing = shape.packing.tag();
    params.weights = match shape.packing.order {
        Order::Plain => cx.constants.add(&weights, 16)?,
        _ => pack::store(cx, &shape, rows.chunks_exact(taps))?,
    };
    let op = |code| Lowered::new(code, vec![input.id], vec![output.id], &params);
    // Faster, with less memory, where it can be done.
    let (lowered, scratch) = if by_taps {
        (op(OpCode::DepthwiseTaps), depthwise_taps::scratch_bytes(&params))
    } else if shape.packing == depthwise_3x3::PACKING && depthwise_3x3::suits(&params) {
        (op(OpCode::Depthwise3x3), depthwise_3x3::scratch_bytes(&params))
    } else {
        (op(OpCode::DepthwiseConv2d), scratch_bytes(&params))
    };
    let scratch = scratch
        .ok_or_else(|| cx.unsupported(node, format_args!("filter {:?} is too large", filter.shape)))?;
    let macs = (output.value.elements() as u64).saturating_mul(taps as u64);
    Ok(vec![lowered.scratch(scratch).macs(macs)])
}

/// The same window without the rows and columns of the kernel that lie in the padding for every output, and which
/// taps are left. An image that is one pixel wide is turned, as its pixels lie in a row either way.
fn within_image(given: &params::Window) -> (params::Window, Vec<bool>) {
    let mut w = *given;
    let rows = touching(w.in_h, w.out_h, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top);
    let columns = touching(w.in_w, w.out_w, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left);
    w.kernel_h = rows.end - rows.start;
    w.kernel_w = columns.end - columns.start;
    w.pad_top -= rows.start * w.dilation_h;
    w.pad_left -= columns.start * w.dilation_w;
    let inside = |ky| (0..given.kernel_w).map(move |kx| (ky, kx));
    let inside = (0..given.kernel_h).flat_map(inside);
    let inside = inside.map(|(ky, kx)| rows.contains(&ky) && columns.contains(&kx)).collect();
    if w.kernel_h == 1 {
        w.dilation_h = 1;
    }
    if w.kernel_w == 1 {
        w.dilation_w = 1;
    }
    if (w.in_w, w.out_w, w.kernel_w, w.pad_left) == (1, 1, 1, 0) && w.in_h > 1 {
        w = params::Window {
            in_h: 1,
            in_w: w.in_h,
            out_h: 1,
            out_w: w.out_h,
            kernel_h: 1,
            kernel_w: w.kernel_h,
            stride_h: 1,
            stride_w: w.stride_h,
            dilation_h: 1,
            dilation_w: w.dilation_h,
            pad_top: 0,
            pad_left: w.pad_top,
        };
    }
    (w, inside)
}

/// The rows, or columns, of a kernel from the first to the last that reads the image for some output, at least one.
/// Before the first one there is as much padding as the kernel loses.
fn touching(
    size: u32,
    outputs: u32,
    kernel: u32,
    stride: u32,
    dilation: u32,
    padding: u32,
) -> std::ops::Range<u32> {
    let touches = |k: &u32| {
        (0..u64::from(outputs)).any(|o| {
            let at = o * u64::from(stride) + u64::from(*k) * u64::from(dilation);
            (u64::from(padding)..u64::from(padding) + u64::from(size)).contains(&at)
        })
    };
    let first = (0..kernel).find(touches).unwrap_or(0).min(padding / dilation.max(1));
    let last = (first..kernel).rfind(touches).unwrap_or(first);
    first..last + 1
}
