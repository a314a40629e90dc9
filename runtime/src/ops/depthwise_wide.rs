//! DEPTHWISE_CONV_2D with weights beyond int8: those of TensorFlow 1's uint8 that are further than an int8 from their
//! zero point.
//!
//! As in [`CONV_2D`](super::conv_2d_wide), such a weight is the sum of several of int8. The kernels that go
//! [tap by tap](super::depthwise_taps) follow a list of steps from tap to tap; here it leads on from the last tap to
//! those that are there again.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DepthwiseWideParams;

use super::Operator;
use super::depthwise_taps::{self, PACKING};
use super::window;
use crate::error::Fault;
use crate::kernels::{Kernels, Planes, Size, Stage};
use crate::node::{Eval, Node, check_int8};

/// Most taps of a channel: the sum of their products is below 2^29.
const MOST: u32 = 1 << 15;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::DepthwiseWide as u16, check, eval: eval::<K>, lead }
}

/// The sizes of the planes, if this operator can run an op with these parameters.
fn size(p: &DepthwiseWideParams) -> Option<Size> {
    let mut size = Size::of(&p.conv)?;
    let taps = (size.taps() as u32).checked_add(p.repeats)?;
    size.repeats = p.repeats as usize;
    (taps <= MOST).then_some(size)
}

/// Bytes of scratch memory that an op with these parameters needs; `None` where a plane is larger than 2^15 - 1
/// bytes or there are more than 2^15 taps, which is beyond this operator.
pub fn scratch_bytes(p: &DepthwiseWideParams) -> Option<u32> {
    window::check(&p.conv.window).ok()?;
    size(p)?.scratch_bytes()
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseWideParams = node.params()?;
    let conv = &p.conv;
    let channels = conv.in_channels.checked_mul(conv.multiplier).ok_or(Fault::Parameters)?;
    window::check_op(node, &conv.window, conv.batches, conv.in_channels, channels)?;
    if conv.packing != PACKING.tag() {
        return Err(Fault::Packing);
    }
    check_int8(conv.input_zero_point)?;
    let size = size(p).ok_or(Fault::Parameters)?;
    let places = node.constants::<u32>(p.places, p.repeats)?;
    let taps = size.taps().wrapping_sub(size.repeats);
    // A step of 0 is the end of the list, so no tap follows itself.
    let mut before = (taps as u32).wrapping_sub(1);
    for &place in places {
        if place as usize >= taps || place == before {
            return Err(Fault::Parameters);
        }
        before = place;
    }
    let weights = channels.checked_mul(size.taps() as u32).and_then(|count| count.checked_add(3));
    node.expect_matrix(weights.ok_or(Fault::Parameters)? & !3, conv.weights)?;
    node.expect_scratch(size.scratch_bytes().ok_or(Fault::Parameters)?)?;
    node.expect_stage(&conv.stage, channels)
}

/// That of the operator without repeats.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    depthwise_taps::lead_of(&node.checked_params::<DepthwiseWideParams>()?.conv)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<DepthwiseWideParams>() else { return };
    let channels = p.conv.in_channels.wrapping_mul(p.conv.multiplier);
    let Some(layer) = eval.layer(&p.conv.stage, p.conv.weights, channels) else { return };
    let Ok(places) = node.constants(p.places, p.repeats) else { return };
    let (weights, stage) = (bytemuck::cast_slice(layer.weights), &layer.stage);
    depthwise_wide::<K>(p, places, layer.input, weights, stage, layer.scratch, layer.out);
}

/// Convolves a batch of images. `weights` are `[in_channels * multiplier, kernel_h * kernel_w + repeats]`, `places` the
/// taps of the repeats. The rest is as for [`depthwise_taps`](depthwise_taps::depthwise_taps). What does not fit is
/// not computed.
pub fn depthwise_wide<K: Kernels>(
    p: &DepthwiseWideParams,
    places: &[u32],
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let Some(size) = size(p) else { return };
    let Some(planes) = Planes::new(size, scratch) else { return };
    depthwise_taps::walk::<K>(&p.conv, planes, |planes| planes.repeat(places), input, weights, stage, out);
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, batches, dim, sizes, window, zero_point};
    use crate::packing::Shape;
    use ferrolite_schema::params::DepthwiseConv2dParams;

    let (mut window, batches) = (window(random), batches(random));
    let (in_channels, multiplier) = (dim(random, 9), if random.below(3) == 0 { dim(random, 3) } else { 1 });
    if random.below(2) == 0 {
        (window.dilation_h, window.dilation_w) = (dim(random, 3), dim(random, 3));
    }
    let taps = window.kernel_h * window.kernel_w;
    let mut places: std::vec::Vec<u32> =
        (0..random.below(6)).map(|_| random.below(taps as usize) as u32).collect();
    // No tap follows itself.
    let mut before = taps - 1;
    places.retain(|&place| place != core::mem::replace(&mut before, place));
    let (channels, line) = (in_channels * multiplier, taps + places.len() as u32);
    let mut constants = Constants::default();
    let repeats = places.len() as u32;
    let places = constants.push(&places);
    let conv = DepthwiseConv2dParams {
        window,
        batches,
        in_channels,
        multiplier,
        input_zero_point: zero_point(random),
        packing: PACKING.tag(),
        weights: constants.weights(random, Shape { packing: PACKING, channels, lines: 1, line }),
        stage: constants.stage(random, line, channels),
    };
    let p = DepthwiseWideParams { conv, repeats, places };
    let (input, output) = sizes(&window, batches, in_channels, channels);
    let case = Case::of(OpCode::DepthwiseWide, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p)).rounding(random)
}
