//! DEPTHWISE_CONV_2D with a 3x3 kernel and stride 1 that keeps the image's size, four channels at a time.
//!
//! Channels of a depthwise layer know nothing of each other. So the whole image is walked for four of them before
//! it is walked for the next four, and the ring of input rows under a row of outputs holds four channels, not
//! all: a ring of [`DEPTHWISE_CONV_2D`](super::depthwise_conv_2d) is as many times larger as there are blocks.
//!
//! The price is the overlap rule: while one block is written, others are still to be read, so the output lies
//! exactly over its input, each element over its own, or apart from it.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DepthwiseConv2dParams;

use super::Operator;
use super::window;
use crate::error::Fault;
use crate::kernels::{Kernels, Strips};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Matrix, Packing, Shape};

/// The order of the weights: the four channels of a tap in a word.
pub const PACKING: Packing = Packing::blocks(Strips::CHANNELS as u8, 1, 2);

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Depthwise3x3 as u16, check, eval: eval::<K>, lead }
}

/// Whether a depthwise convolution can be made this way. Dimensions and strides are not 0.
pub fn suits(p: &DepthwiseConv2dParams) -> bool {
    let w = &p.window;
    (w.kernel_h, w.kernel_w) == (3, 3)
        && (w.out_h, w.out_w) == (w.in_h, w.in_w)
        && w.in_w >= 2
        && w.stride_h | w.stride_w | w.dilation_h | w.dilation_w | p.batches == 1
        && p.multiplier == 1
        && w.pad_top <= 2
        && w.pad_left <= 2
        && p.in_channels & (Strips::CHANNELS as u32 - 1) == 0
}

/// Bytes of scratch memory that an op with these parameters needs, whose window has passed its check.
pub fn scratch_bytes(p: &DepthwiseConv2dParams) -> Option<u32> {
    Some(Strips::ring_bytes(p.window.in_w))
}

#[inline(always)]
fn shape(p: &DepthwiseConv2dParams) -> Shape {
    Shape { packing: PACKING, channels: p.in_channels, lines: 1, line: 9 }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseConv2dParams = node.params()?;
    window::check_op(node, &p.window, p.batches, p.in_channels, p.in_channels)?;
    if !suits(p) {
        return Err(Fault::Parameters);
    }
    if p.packing != PACKING.tag() {
        return Err(Fault::Packing);
    }
    check_int8(p.input_zero_point)?;
    // Nine weights for each channel, of which there are whole fours, and no more than a tensor's 2^30 bytes.
    let words = (p.in_channels >> 2).wrapping_mul(9);
    node.expect_constants::<u32>(p.weights, words)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, p.in_channels)
}

/// Exactly in place, or not at all.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let (input, output) = node.pair()?;
    if input.offset == output.offset { Some(0) } else { None }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<DepthwiseConv2dParams>() else { return };
    let Some(layer) = eval.layer(&p.stage, p.weights, p.in_channels) else { return };
    let w = &p.window;
    let strips = Strips {
        image: layer.input,
        ring: layer.scratch,
        height: w.in_h as usize,
        width: w.in_w as usize,
        channels: p.in_channels as usize,
        top: w.pad_top as usize,
        left: w.pad_left as usize,
        zero_point: p.input_zero_point as i8,
    };
    let weights = Matrix { shape: shape(p), bytes: layer.weights };
    K::depthwise_3x3(&strips, &weights, &layer.stage, layer.out);
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim, zero_point};
    use ferrolite_schema::params::Window;

    let (in_h, in_w, channels) = (dim(random, 6), 1 + dim(random, 7), 4 * dim(random, 4));
    let [pad_top, pad_left] = [(); 2].map(|_| random.below(3) as u32);
    let window = Window {
        in_h,
        in_w,
        out_h: in_h,
        out_w: in_w,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top,
        pad_left,
    };
    let mut constants = Constants::default();
    let packing = PACKING;
    let p = DepthwiseConv2dParams {
        window,
        batches: 1,
        in_channels: channels,
        multiplier: 1,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        weights: constants.weights(random, Shape { packing, channels, lines: 1, line: 9 }),
        stage: constants.stage(random, 9, channels),
    };
    let bytes = in_h * in_w * channels;
    let case = Case::of(OpCode::Depthwise3x3, &p, constants).int8(random, bytes, bytes);
    case.scratch(scratch_bytes(&p))
}
