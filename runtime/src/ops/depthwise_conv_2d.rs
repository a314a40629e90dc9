//! DEPTHWISE_CONV_2D: `out[y, x, c] = stage(sum over ky, kx of in[y', x', c / m] * weights[ky, kx, c])`
//! with `m` output channels per input channel.
//!
//! The patch of one output pixel is gathered into scratch memory, then a kernel makes all its
//! channels. Source followed: TFLM `kernels/depthwise_conv.cc`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DepthwiseConv2dParams;

use super::Operator;
use super::window::{self, Image};
use crate::error::Fault;
use crate::kernels::{Kernels, Stage};
use crate::node::{Eval, Node, check_int8};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::DepthwiseConv2d, check, eval: eval::<K>, lead }
}

fn taps(params: &DepthwiseConv2dParams) -> Option<u32> {
    params.window.kernel_h.checked_mul(params.window.kernel_w)
}

fn out_channels(params: &DepthwiseConv2dParams) -> Option<u32> {
    params.in_channels.checked_mul(params.multiplier).filter(|&channels| channels != 0)
}

/// Bytes of scratch memory that an op with these parameters needs.
pub fn scratch_bytes(params: &DepthwiseConv2dParams) -> Option<u32> {
    taps(params)?.checked_mul(params.in_channels)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseConv2dParams = node.params()?;
    let channels = out_channels(p).ok_or(Fault::Parameters)?;
    window::check_op(node, &p.window, p.batches, p.in_channels, channels)?;
    check_int8(p.input_zero_point)?;
    let count = taps(p).and_then(|taps| taps.checked_mul(channels)).ok_or(Fault::Parameters)?;
    node.weights(p.packing, p.weights, count)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, channels)
}

fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &DepthwiseConv2dParams = node.params().ok()?;
    if p.batches == 1 { window::lead(&p.window, p.in_channels, out_channels(p)?) } else { None }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<DepthwiseConv2dParams>() else { return };
    let channels = out_channels(p).unwrap_or(0);
    let count = taps(p).unwrap_or(0).wrapping_mul(channels);
    let (Ok(weights), Ok(stage)) =
        (node.weights(p.packing, p.weights, count), node.stage(&p.stage, channels))
    else {
        return;
    };
    depthwise_conv_2d::<K>(p, eval.input(0), weights, &stage, eval.scratch(), eval.output(0));
}

/// Convolves a batch of images channel by channel. `input` is `[batches, in_h, in_w, in_channels]`,
/// `weights` `[kernel_h, kernel_w, in_channels * multiplier]`, `out` `[batches, out_h, out_w,
/// in_channels * multiplier]`, `scratch` has [`scratch_bytes`] bytes. What does not fit is not
/// computed.
pub fn depthwise_conv_2d<K: Kernels>(
    p: &DepthwiseConv2dParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    scratch: &[Cell<i8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let (channels, multiplier) = (p.in_channels as usize, p.multiplier as usize);
    let out_pixel = channels.wrapping_mul(multiplier).max(1);
    let patch = scratch.get(..scratch_bytes(p).unwrap_or(0) as usize).unwrap_or(&[]);
    for (cells, out) in window::images(w, input, channels, out, out_pixel) {
        let image =
            Image { cells, pixel: channels, first: 0, channels, zero_point: p.input_zero_point as i8 };
        let (mut oy, mut ox) = (0, 0);
        for out in out.chunks_exact(out_pixel) {
            window::gather(w, &image, oy, ox, patch, 1);
            K::depthwise(patch, channels, multiplier, weights, stage, out);
            ox += 1;
            if ox == w.out_w {
                (oy, ox) = (oy + 1, 0);
            }
        }
    }
}
