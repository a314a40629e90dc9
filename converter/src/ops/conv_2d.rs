//! CONV_2D, with groups. Source followed: TFLM `kernels/conv_common.cc`.

use ferrolite_graph::float::{elementwise, window};
use ferrolite_runtime::ops::conv_2d::{can_be_packed, scratch_bytes};
use ferrolite_runtime::packing::Packing;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{self, Conv2dParams};

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{int16, pack, segments, stage, types, wide, winograd, work};
use crate::error::Result;
use crate::graph::{Activation, Conv2d, DType, Graph, Node, Value, Window};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[(
    "CONV_2D",
    &[
        OpCode::Conv2d,
        OpCode::Conv2dWinograd,
        OpCode::Conv2dSegments,
        OpCode::Conv2dWide,
        OpCode::Conv2dInt16,
    ],
)];

impl Operator for Conv2d {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (image, [out, kh, kw, depth]) = (check.image(0)?, check.image(1)?);
        check.window(&self.window, [kh, kw])?;
        let groups = image[3] / depth;
        check.ensure(groups > 0 && image[3] % depth == 0 && out % groups == 0, || {
            format!("a filter of depth {depth} with {out} outputs for {} channels", image[3])
        })?;
        check.bias(out)?;
        check.windowed(image, &self.window, out)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::weighted(inputs, outputs, 0)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let out = window::conv2d(x.get(0), x.get(1), x.optional(2), &self.window, x.shape());
        vec![elementwise::clamped(out, self.activation)]
    }

    fn macs(&self, graph: &Graph, node: &Node) -> u64 {
        // Each result takes one filter.
        work::results(graph, node).saturating_mul(work::elements(graph, node, 1, 1))
    }

    fn channel_axis(&self) -> Option<usize> {
        Some(0)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.output(node, 0)?.1.dtype {
            DType::Int16 => int16::conv_2d(cx, node, &self.window, self.activation),
            _ => lower(cx, node, &self.window, self.activation),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &Conv2d { ref window, activation } = self;
        let (padding, mut inputs) = tflite::windowed(w, node, window, None);
        if inputs.len() == 2 {
            inputs.push(tflite::zero_bias(w, node));
        }
        let ([stride_h, stride_w], [dilation_h, dilation_w]) = (window.stride, window.dilation);
        let options = tflite::options(Kind::Conv2DOptions, move |fbb| {
            schema::Conv2DOptions::create(
                fbb,
                &schema::Conv2DOptionsArgs {
                    padding,
                    stride_w: stride_w as i32,
                    stride_h: stride_h as i32,
                    fused_activation_function: tflite::fused(activation),
                    dilation_w_factor: dilation_w as i32,
                    dilation_h_factor: dilation_h as i32,
                    ..Default::default()
                },
            )
        });
        tflite::push(w, node, Code::CONV_2D, 3, options, inputs)
    }

    fn ties(&self, _: &Graph, _: &Node) -> Option<Ties> {
        Some(Vec::new())
    }

    fn scores(&self) -> Scores {
        if self.activation == Activation::None { Scores::Own } else { Scores::None }
    }
}

/// Lowers the node. The graph's weights are `[out, kernel_h, kernel_w, in / groups]`.
pub fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    window: &Window,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let input = stage::int8_input(cx, node, 0)?;
    let output = stage::int8_output(cx, node, 0)?;
    let (_, filter) = cx.input(node, 1)?;
    let [batches, in_h, in_w, in_channels] = stage::nhwc(cx, node, input.value)?;
    let [out_batches, out_h, out_w, out_channels] = stage::nhwc(cx, node, output.value)?;
    let [filters, kernel_h, kernel_w, depth] = stage::nhwc(cx, node, filter)?;
    let groups = in_channels.checked_div(depth).unwrap_or(0);
    let fits = groups != 0
        && groups * depth == in_channels
        && out_channels % groups == 0
        && filters == out_channels
        && [kernel_h, kernel_w] == window.kernel
        && batches == out_batches;
    if !fits {
        return Err(cx.unsupported(
            node,
            format_args!(
                "filter {:?} does not make {:?} of {:?}",
                filter.shape, output.value.shape, input.value.shape
            ),
        ));
    }
    let window = stage::window(
        cx,
        node,
        window,
        [batches, in_h, in_w, in_channels],
        [out_batches, out_h, out_w, out_channels],
    )?;
    let window = simplified(window);
    let mut params = Conv2dParams {
        window,
        batches: cx.word(node, batches)?,
        in_channels: cx.word(node, in_channels)?,
        out_channels: cx.word(node, out_channels)?,
        groups: cx.word(node, groups)?,
        input_zero_point: input.zero_point,
        packing: Packing::PLAIN.tag(),
        ..Conv2dParams::default()
    };
    let macs = (output.value.elements() as u64).saturating_mul((kernel_h * kernel_w * depth) as u64);
    if groups == 1 && wide::is_wide(filter) {
        let layer = wide::Layer { input, output, filter, activation, macs };
        return Ok(vec![wide::conv_2d(cx, node, &layer, params)?]);
    }
    let (_, weights, quantization) = stage::weights(cx, node, 1)?;
    let size = kernel_h * kernel_w * depth;
    let sums: Vec<i32> = weights.chunks_exact(size).map(|w| w.iter().map(|&w| i32::from(w)).sum()).collect();
    let bias = stage::bias(cx, node, 2, out_channels)?;
    let factors = stage::factors(cx, &input, quantization, &output);
    let mut channels = stage::Channels { bias, sums, factors };
    if segments::suits(&params, cx.policy.conv)
        && let Some(shape) = segments::choose(cx, &params, &mut channels, &input, weights)
    {
        params.stage = stage::output_stage(cx, node, channels, &input, &output, activation)?;
        return Ok(vec![
            segments::lower(cx, node, params, &shape, (input.id, output.id), weights)?.macs(macs),
        ]);
    }
    let dims = (params.out_channels, window.kernel_h, window.kernel_w.saturating_mul(cx.word(node, depth)?));
    let pixels = window.out_h.saturating_mul(window.out_w);
    let by_tiles = cx
        .winograd
        .possible
        .then(|| pack::choose_tiles(cx, dims, &mut channels, &input, weights.chunks_exact(size)))
        .flatten();
    let mut shape = pack::choose_conv(cx, dims, pixels, &mut channels, &input, weights.chunks_exact(size));
    params.stage = stage::output_stage(cx, node, channels, &input, &output, activation)?;
    if !can_be_packed(&params) {
        shape.packing = Packing::PLAIN;
    }
    if let Some(packing) = by_tiles
        && let Some(candidate) = winograd::candidate(&params, shape.packing, output.id)
    {
        cx.winograd.candidates.push(candidate);
        if cx.winograd.chosen.contains(&output.id) {
            let ids = (input.id, output.id);
            if let Some(lowered) = winograd::lower(cx, params, packing, ids, weights.chunks_exact(size))? {
                return Ok(vec![lowered.macs(macs)]);
            }
        }
    }
    params.packing = shape.packing.tag();
    params.weights = pack::store(cx, &shape, weights.chunks_exact(size))?;
    let scratch = scratch_bytes(&params)
        .ok_or_else(|| cx.unsupported(node, format_args!("filter {:?} is too large", filter.shape)))?;
    let lowered = Lowered::new(OpCode::Conv2d, vec![input.id], vec![output.id], &params);
    Ok(vec![lowered.scratch(scratch).macs(macs)])
}

/// The same window where it says more than it does: a single tap has no dilation, and an image of one column
/// is one of one row. Its weights are the same; packed, the taps of a row lie side by side.
fn simplified(mut w: params::Window) -> params::Window {
    if w.kernel_h == 1 {
        w.dilation_h = 1;
    }
    if w.kernel_w == 1 {
        w.dilation_w = 1;
    }
    let column = w.in_w == 1 && w.out_w == 1 && w.kernel_w == 1 && w.pad_left == 0;
    if !column || w.in_h == 1 {
        return w;
    }
    params::Window {
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
    }
}
