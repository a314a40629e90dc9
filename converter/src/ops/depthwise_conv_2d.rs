//! DEPTHWISE_CONV_2D. Source followed: TFLM `kernels/depthwise_conv_common.cc`.

use ferrolite_runtime::ops::depthwise_conv_2d::scratch_bytes;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::DepthwiseConv2dParams;

use super::stage;
use crate::emit::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::{Activation, Node, Window};

/// Lowers the node. Weights stay in the order of the graph, `[kernel_h, kernel_w, in * multiplier]`.
pub fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    window: &Window,
    multiplier: usize,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let input = stage::int8_input(cx, node, 0)?;
    let output = stage::int8_output(cx, node, 0)?;
    let (filter, weights, quantization) = stage::weights(cx, node, 1)?;
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
    let window = stage::window(cx, node, window, in_shape, out_shape)?;
    let mut sums = vec![0i32; channels];
    for tap in weights.chunks_exact(channels) {
        for (sum, &w) in sums.iter_mut().zip(tap) {
            *sum += i32::from(w);
        }
    }
    let bias = stage::bias(cx, node, 2, channels)?;
    let factors = stage::factors(&input, quantization, &output);
    let stage = stage::Channels { bias, sums, factors };
    let params = DepthwiseConv2dParams {
        window,
        batches: cx.word(node, batches)?,
        in_channels: cx.word(node, in_channels)?,
        multiplier: cx.word(node, multiplier)?,
        input_zero_point: input.zero_point,
        packing: 0,
        weights: cx.constants.add(weights, 16)?,
        stage: stage::output_stage(cx, node, stage, &input, &output, activation)?,
    };
    let scratch = scratch_bytes(&params)
        .ok_or_else(|| cx.unsupported(node, format_args!("filter {:?} is too large", filter.shape)))?;
    let macs = (output.value.elements() as u64).saturating_mul((kernel_h * kernel_w) as u64);
    let lowered = Lowered::new(OpCode::DepthwiseConv2d, vec![input.id], vec![output.id], &params);
    Ok(vec![lowered.scratch(scratch).macs(macs)])
}
