//! DEPTHWISE_CONV_2D: `out[y, x, c] = stage(sum over ky, kx of in[y', x', c / m] * weights[ky, kx, c])`
//! with `m` output channels per input channel.
//!
//! With plain weights, the patch of one output pixel is gathered into scratch memory, then a kernel makes
//! all its channels. With packed weights (one output channel per input channel, no dilation), the input
//! rows under a row of outputs are kept in scratch memory, padding included, and a kernel makes the row:
//!
//! ```text
//!   image rows   0 1 2 3 4 …        ring of 3 rows   |pad| row 3 |pad|
//!                  +---+            for output row 1 |pad| row 1 |pad|   <- first
//!                                                    |pad| row 2 |pad|
//! ```
//! So a row of outputs may lie over the input rows that are in the ring already.
//! Source followed: TFLM `kernels/depthwise_conv.cc`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DepthwiseConv2dParams;

use super::Operator;
use super::window::{self, Image};
use crate::error::Fault;
use crate::kernels::{BAND_SLACK, Band, Kernels, Portable, Stage};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Matrix, Order, Packing, Shape};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::DepthwiseConv2d as u16, check: check::<K>, eval: eval::<K>, lead }
}

/// The operator for plain weights, and no others.
pub const fn plain_operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::DepthwiseConv2d as u16,
        check: |node| check_plain(node, node.params()?),
        eval: eval_plain::<K>,
        lead: plain_lead,
    }
}

/// The operator for weights that were packed for the kernels `K`, and no others.
pub const fn tuned_operator<K: Kernels>() -> Operator {
    match K::POLICY.depthwise.order {
        Order::Plain => operator::<K>(),
        _ => Operator {
            code: OpCode::DepthwiseConv2d as u16,
            check: check_tuned::<K>,
            eval: eval_tuned::<K>,
            lead: packed_lead,
        },
    }
}

#[inline]
fn taps(params: &DepthwiseConv2dParams) -> Option<u32> {
    params.window.kernel_h.checked_mul(params.window.kernel_w)
}

#[inline]
fn out_channels(params: &DepthwiseConv2dParams) -> Option<u32> {
    params.in_channels.checked_mul(params.multiplier).filter(|&channels| channels != 0)
}

/// Packed weights as a matrix of one row per channel, of which as many come out as go in.
#[inline(always)]
fn shape(p: &DepthwiseConv2dParams, packing: Packing) -> Option<Shape> {
    Some(Shape { packing, channels: p.in_channels, lines: 1, line: taps(p)? })
}

/// Pixels of a row in the ring: those that windows read. They fit 32 bits where [`window::check`] finds no fault.
#[inline(always)]
fn band_width(p: &DepthwiseConv2dParams) -> u32 {
    let w = &p.window;
    w.out_w.wrapping_sub(1).wrapping_mul(w.stride_w).wrapping_add(w.kernel_w)
}

/// Bytes of a row in the ring.
#[inline(always)]
fn band_row(p: &DepthwiseConv2dParams, packing: Packing) -> Option<u32> {
    Band::row_bytes(packing, band_width(p), p.in_channels)
}

/// Bytes of scratch memory that an op with these parameters needs: a patch, or a ring of rows.
pub fn scratch_bytes(params: &DepthwiseConv2dParams) -> Option<u32> {
    match Packing::from_tag(params.packing)? {
        Packing::PLAIN => taps(params)?.checked_mul(params.in_channels),
        packing => packed_scratch_bytes(params, packing),
    }
}

#[inline(always)]
fn packed_scratch_bytes(params: &DepthwiseConv2dParams, packing: Packing) -> Option<u32> {
    let ring = band_row(params, packing)?.checked_mul(params.window.kernel_h)?;
    ring.checked_add(BAND_SLACK as u32)
}

/// Whether a depthwise convolution can have packed weights.
pub fn can_be_packed(p: &DepthwiseConv2dParams) -> bool {
    // Dilations are not 0.
    p.multiplier == 1 && p.window.dilation_h | p.window.dilation_w == 1
}

/// First what the converter has packed for this core, which is checked faster.
fn check<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseConv2dParams = node.params()?;
    if K::POLICY.depthwise.order != Order::Plain && p.packing == K::POLICY.depthwise.tag() {
        check_packed(node, p, K::POLICY.depthwise)
    } else {
        check_any(node, p)
    }
}

#[inline(never)]
fn check_any(node: &Node<'_>, p: &DepthwiseConv2dParams) -> Result<(), Fault> {
    match Packing::from_tag(p.packing).ok_or(Fault::Packing)? {
        Packing::PLAIN => check_plain(node, p),
        packing => check_packed(node, p, packing),
    }
}

#[inline]
fn check_plain(node: &Node<'_>, p: &DepthwiseConv2dParams) -> Result<(), Fault> {
    let channels = out_channels(p).ok_or(Fault::Parameters)?;
    window::check_op(node, &p.window, p.batches, p.in_channels, channels)?;
    check_int8(p.input_zero_point)?;
    let taps = taps(p).ok_or(Fault::Parameters)?;
    node.weights(p.packing, p.weights, taps.checked_mul(channels).ok_or(Fault::Parameters)?)?;
    // There are at least as many output channels as input channels, so this does not overflow.
    node.expect_scratch(taps.wrapping_mul(p.in_channels))?;
    node.expect_stage(&p.stage, channels)
}

fn check_tuned<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseConv2dParams = node.params()?;
    if p.packing != K::POLICY.depthwise.tag() {
        return Err(Fault::Packing);
    }
    check_packed(node, p, K::POLICY.depthwise)
}

/// In line, as the packing is a constant in most cases.
#[inline(always)]
fn check_packed(node: &Node<'_>, p: &DepthwiseConv2dParams, packing: Packing) -> Result<(), Fault> {
    if !can_be_packed(p) {
        return Err(Fault::Packing);
    }
    window::check_op(node, &p.window, p.batches, p.in_channels, p.in_channels)?;
    check_int8(p.input_zero_point)?;
    // Neither taps nor channels are zero, as just found: no tensor is empty.
    let (bytes, _) = shape(p, packing).and_then(|shape| shape.used_sizes()).ok_or(Fault::Parameters)?;
    node.expect_matrix(bytes, p.weights)?;
    node.expect_scratch(packed_scratch_bytes(p, packing).ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, p.in_channels)
}

#[inline]
fn lead(node: &Node<'_>, position: usize) -> Option<u32> {
    let p: &DepthwiseConv2dParams = node.checked_params()?;
    if p.packing == Packing::PLAIN.tag() { plain_lead(node, position) } else { packed_lead(node, position) }
}

#[inline]
fn plain_lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &DepthwiseConv2dParams = node.checked_params()?;
    if p.batches == 1 { window::lead(&p.window, p.in_channels, out_channels(p)?) } else { None }
}

#[inline]
fn packed_lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &DepthwiseConv2dParams = node.checked_params()?;
    if p.batches == 1 { window::band_lead(&p.window, p.in_channels, p.in_channels) } else { None }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<DepthwiseConv2dParams>() else { return };
    match Packing::from_tag(p.packing) {
        Some(Packing::PLAIN) => eval_plain::<K>(eval),
        Some(packing) if packing == K::POLICY.depthwise => eval_packed::<K>(eval, p, packing),
        Some(packing) => eval_packed::<Portable>(eval, p, packing),
        None => {}
    }
}

#[inline(never)]
fn eval_plain<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<DepthwiseConv2dParams>() else { return };
    let channels = out_channels(p).unwrap_or(0);
    let weights = node.weights(p.packing, p.weights, taps(p).unwrap_or(0).wrapping_mul(channels));
    let (Ok(weights), Ok(stage)) = (weights, node.stage(&p.stage, channels)) else { return };
    depthwise_conv_2d::<K>(p, eval.input(0), weights, &stage, eval.scratch(), eval.output(0));
}

fn eval_tuned<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<DepthwiseConv2dParams>() else { return };
    eval_packed::<K>(eval, p, K::POLICY.depthwise);
}

#[inline(always)]
fn eval_packed<K: Kernels>(eval: &Eval<'_>, p: &DepthwiseConv2dParams, packing: Packing) {
    let Some(layer) = eval.layer(&p.stage, p.weights, p.in_channels) else { return };
    let Some(shape) = shape(p, packing) else { return };
    let weights = Matrix { shape, bytes: layer.weights };
    depthwise_by_rows::<K>(p, layer.input, &weights, &layer.stage, layer.scratch, layer.out);
}

/// Convolves a batch of images with packed weights, row by row. The rest is as for
/// [`depthwise_conv_2d`].
pub fn depthwise_by_rows<K: Kernels>(
    p: &DepthwiseConv2dParams,
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let channels = p.in_channels as usize;
    let mut band = Band {
        cells: scratch,
        width: band_width(p) as usize,
        rows: w.kernel_h as usize,
        first: 0,
        columns: w.kernel_w as usize,
        stride: w.stride_w as usize,
        channels,
        row_bytes: band_row(p, weights.shape.packing).unwrap_or(0) as usize,
    };
    let image_row = (w.in_w as usize).wrapping_mul(channels).max(1);
    let out_row = (w.out_w as usize).wrapping_mul(channels).max(1);
    for (image, out) in window::images(w, input, channels, out, channels) {
        // Rows are numbered from the first one of the padding; all before `next` have been seen.
        let (mut next, mut slot) = (0, 0);
        for (oy, out) in (0u32..).zip(out.chunks_exact(out_row)) {
            let first = oy * w.stride_h;
            while next < first + w.kernel_h {
                // A stride larger than the kernel leaves rows out.
                if next >= first {
                    let y = next.checked_sub(w.pad_top).filter(|&y| y < w.in_h);
                    let start = y.map_or(usize::MAX, |y| (y as usize).wrapping_mul(image_row));
                    let row = image.get(start..start.wrapping_add(image_row)).unwrap_or(&[]);
                    K::load_band(&band, slot, w.pad_left as usize, row, p.input_zero_point as i8);
                }
                next += 1;
                slot = if slot.wrapping_add(1) == band.rows { 0 } else { slot.wrapping_add(1) };
            }
            // The slot behind the newest row holds the oldest.
            band.first = slot;
            K::depthwise_band(&band, weights, stage, out);
        }
    }
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

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, batches, dim, packing, sizes, window, zero_point};
    use crate::kernels::policy;

    let (mut window, batches) = (window(random), batches(random));
    let packing = packing(random, |target| policy(target).depthwise);
    let (in_channels, mut multiplier) = (dim(random, 9), 1);
    if packing == Packing::PLAIN {
        multiplier = dim(random, 3);
        (window.dilation_h, window.dilation_w) = (dim(random, 2), dim(random, 2));
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
        packing: packing.tag(),
        weights: constants.weights(random, Shape { packing, channels, lines: 1, line: taps }),
        stage: constants.stage(random, taps, channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, channels);
    let case = Case::of(OpCode::DepthwiseConv2d, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p))
}
