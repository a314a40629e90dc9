//! DEPTHWISE_CONV_2D of any window, tap by tap: any kernel size, strides, dilations, several output channels per
//! input channel, any number of channels, and any numbers of the output stage.
//!
//! The result is that of [`DEPTHWISE_CONV_2D`](super::depthwise_conv_2d). The input rows under a row of outputs are
//! kept in scratch memory, padding included, a plane for each input channel ([`Planes`]); a kernel walks the taps
//! of a channel, each for several outputs at once. All rows under a row of outputs are read before that row is
//! written, so it may lie over the input rows that are in the planes already.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DepthwiseConv2dParams;

use super::Operator;
use super::window;
use crate::error::Fault;
use crate::kernels::{Kernels, Planes, Size, Stage};
use crate::node::{Eval, Node, check_int8};
use crate::packing::Packing;

/// The order of the weights: the taps of a channel side by side.
pub const PACKING: Packing = Packing::blocks(1, 1, 1);

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::DepthwiseTaps as u16, check, eval: eval::<K>, lead }
}

/// Bytes of scratch memory that an op with these parameters needs; `None` where a plane is larger than 2^15 - 1
/// bytes, which is beyond this operator.
pub fn scratch_bytes(p: &DepthwiseConv2dParams) -> Option<u32> {
    window::check(&p.window).ok()?;
    Size::of(p)?.scratch_bytes()
}

fn out_channels(p: &DepthwiseConv2dParams) -> Option<u32> {
    p.in_channels.checked_mul(p.multiplier)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseConv2dParams = node.params()?;
    let channels = out_channels(p).ok_or(Fault::Parameters)?;
    window::check_op(node, &p.window, p.batches, p.in_channels, channels)?;
    if p.packing != PACKING.tag() {
        return Err(Fault::Packing);
    }
    check_int8(p.input_zero_point)?;
    let size = Size::of(p).ok_or(Fault::Parameters)?;
    // As many rows of the ring as there are rows of the kernel at least, so this fits 32 bits if they do.
    let weights = channels.checked_mul(size.taps() as u32).and_then(|count| count.checked_add(3));
    node.expect_matrix(weights.ok_or(Fault::Parameters)? & !3, p.weights)?;
    node.expect_scratch(size.scratch_bytes().ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, channels)
}

/// That of a convolution by rows, with the rows that a kernel with gaps reaches.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    lead_of(node.checked_params()?)
}

#[inline(always)]
pub(super) fn lead_of(p: &DepthwiseConv2dParams) -> Option<u32> {
    if p.batches != 1 {
        return None;
    }
    let mut w = p.window;
    w.kernel_h = w.kernel_h.checked_sub(1)?.checked_mul(w.dilation_h)?.checked_add(1)?;
    window::band_lead(&w, p.in_channels, out_channels(p)?)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<DepthwiseConv2dParams>() else { return };
    let Some(layer) = eval.layer(&p.stage, p.weights, out_channels(p).unwrap_or(0)) else { return };
    depthwise_taps::<K>(
        p,
        layer.input,
        bytemuck::cast_slice(layer.weights),
        &layer.stage,
        layer.scratch,
        layer.out,
    );
}

/// Convolves a batch of images. `input` is `[batches, in_h, in_w, in_channels]`, `weights`
/// `[in_channels * multiplier, kernel_h, kernel_w]`, `out` `[batches, out_h, out_w, in_channels * multiplier]`,
/// `scratch` has [`scratch_bytes`] bytes and starts at a multiple of 4. What does not fit is not computed.
pub fn depthwise_taps<K: Kernels>(
    p: &DepthwiseConv2dParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let Some(size) = Size::of(p) else { return };
    let Some(planes) = Planes::new(size, scratch) else { return };
    walk::<K>(p, planes, |_| {}, input, weights, stage, out);
}

/// Walks the rows of outputs of all images. `turned` is called with the planes whenever their steps have changed.
#[inline(always)]
pub(super) fn walk<K: Kernels>(
    p: &DepthwiseConv2dParams,
    mut planes: Planes<'_>,
    turned: impl Fn(&Planes<'_>),
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let (w, size) = (&p.window, *planes.size());
    let (in_pixel, out_pixel) = (size.channels, size.channels.wrapping_mul(size.multiplier));
    let image_row = (w.in_w as usize).wrapping_mul(in_pixel).max(1);
    let out_row = (w.out_w as usize).wrapping_mul(out_pixel).max(1);
    // With one row in the ring, steps never change.
    planes.turn_to(0);
    turned(&planes);
    for (image, out) in window::images(w, input, in_pixel, out, out_pixel) {
        // Rows are numbered from the first one of the padding; all before `next` have been seen.
        let (mut next, mut slot) = (0, 0);
        for (oy, out) in (0u32..).zip(out.chunks_exact(out_row)) {
            let first = oy * w.stride_h;
            while next < first + size.rows as u32 {
                // A stride larger than the kernel leaves rows out.
                if next >= first {
                    let y = next.checked_sub(w.pad_top).filter(|&y| y < w.in_h);
                    let start = y.map_or(usize::MAX, |y| (y as usize).wrapping_mul(image_row));
                    let row = image.get(start..start.wrapping_add(image_row)).unwrap_or(&[]);
                    K::load_planes(&planes, slot, w.pad_left as usize, row, p.input_zero_point as i8);
                }
                next += 1;
                slot = if slot.wrapping_add(1) == size.rows { 0 } else { slot.wrapping_add(1) };
            }
            // The slot behind the newest row holds the oldest.
            if size.rows != 1 {
                planes.turn_to(slot);
                turned(&planes);
            }
            K::depthwise_taps(&planes, weights, stage, out);
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, batches, dim, sizes, window, zero_point};
    use crate::packing::Shape;

    let (mut window, batches) = (window(random), batches(random));
    let (in_channels, multiplier) = (dim(random, 9), if random.below(3) == 0 { dim(random, 3) } else { 1 });
    // Rows of several blocks of outputs, and kernels with long rows.
    if random.below(2) == 0 {
        (window.in_w, window.out_w, window.kernel_w) = (dim(random, 24), dim(random, 36), dim(random, 9));
    }
    if random.below(2) == 0 {
        (window.dilation_h, window.dilation_w) = (dim(random, 3), dim(random, 3));
    }
    let taps = window.kernel_h * window.kernel_w;
    let channels = in_channels * multiplier;
    let mut constants = Constants::default();
    let p = DepthwiseConv2dParams {
        window,
        batches,
        in_channels,
        multiplier,
        input_zero_point: zero_point(random),
        packing: PACKING.tag(),
        weights: constants.weights(random, Shape { packing: PACKING, channels, lines: 1, line: taps }),
        stage: constants.stage(random, taps, channels),
    };
    // Every other op has channels whose numbers are beyond the short way.
    if random.below(2) == 0 {
        for number in 0..p.stage.multiplier_count.max(channels) as usize {
            let shift = [0, 1, 3, -23, -28][random.below(5)];
            let bias = [i32::MAX, i32::MIN, 1 << 29, 1 - (1 << 29)][random.below(4)];
            match random.below(6) {
                0 if number < p.stage.multiplier_count as usize => {
                    let m = crate::cases::factor(random, shift);
                    let at = p.stage.multipliers as usize + number * size_of_val(&m);
                    constants.0[at..][..size_of_val(&m)].copy_from_slice(bytemuck::bytes_of(&m));
                }
                1 if number < channels as usize => {
                    let at = p.stage.bias as usize + number * 4;
                    constants.0[at..][..4].copy_from_slice(&bias.to_le_bytes());
                }
                _ => {}
            }
        }
    }
    let (input, output) = sizes(&window, batches, in_channels, channels);
    let case = Case::of(OpCode::DepthwiseTaps, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p)).rounding(random)
}
