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
    Operator { code: OpCode::DepthwiseConv2d, check, eval: eval::<K>, lead }
}

fn taps(params: &DepthwiseConv2dParams) -> Option<u32> {
    params.window.kernel_h.checked_mul(params.window.kernel_w)
}

fn out_channels(params: &DepthwiseConv2dParams) -> Option<u32> {
    params.in_channels.checked_mul(params.multiplier).filter(|&channels| channels != 0)
}

/// The weights as a matrix of one row per channel; `None` for an unknown packing.
fn shape(p: &DepthwiseConv2dParams) -> Option<Shape> {
    Some(Shape {
        packing: Packing::from_tag(p.packing)?,
        channels: out_channels(p)?,
        lines: 1,
        line: taps(p)?,
    })
}

/// Pixels of a row in the ring: those that windows read.
fn band_width(p: &DepthwiseConv2dParams) -> Option<u32> {
    let w = &p.window;
    w.out_w.checked_sub(1)?.checked_mul(w.stride_w)?.checked_add(w.kernel_w)
}

/// Bytes of a row in the ring.
fn band_row(p: &DepthwiseConv2dParams) -> Option<u32> {
    Band::row_bytes(Packing::from_tag(p.packing)?, band_width(p)?, p.in_channels)
}

/// Bytes of scratch memory that an op with these parameters needs: a patch, or a ring of rows.
pub fn scratch_bytes(params: &DepthwiseConv2dParams) -> Option<u32> {
    if params.packing == Packing::PLAIN.tag() {
        return taps(params)?.checked_mul(params.in_channels);
    }
    band_row(params)?.checked_mul(params.window.kernel_h)?.checked_add(BAND_SLACK as u32)
}

/// Whether a depthwise convolution can have packed weights.
pub fn can_be_packed(p: &DepthwiseConv2dParams) -> bool {
    p.multiplier == 1 && p.window.dilation_h == 1 && p.window.dilation_w == 1
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &DepthwiseConv2dParams = node.params()?;
    let channels = out_channels(p).ok_or(Fault::Parameters)?;
    window::check_op(node, &p.window, p.batches, p.in_channels, channels)?;
    check_int8(p.input_zero_point)?;
    let shape = shape(p).ok_or(Fault::Packing)?;
    if shape.packing.order == Order::Plain {
        let count = taps(p).and_then(|taps| taps.checked_mul(channels)).ok_or(Fault::Parameters)?;
        node.weights(p.packing, p.weights, count)?;
    } else if can_be_packed(p) {
        node.matrix(shape, p.weights)?;
    } else {
        return Err(Fault::Packing);
    }
    node.expect_stage(&p.stage, channels)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
}

fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &DepthwiseConv2dParams = node.params().ok()?;
    if p.batches != 1 {
        return None;
    }
    if p.packing == Packing::PLAIN.tag() {
        return window::lead(&p.window, p.in_channels, out_channels(p)?);
    }
    window::band_lead(&p.window, p.in_channels, p.in_channels)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<DepthwiseConv2dParams>() else { return };
    let channels = out_channels(p).unwrap_or(0);
    let (Some(shape), Ok(stage)) = (shape(p), node.stage(&p.stage, channels)) else { return };
    if shape.packing.order == Order::Plain {
        let count = taps(p).unwrap_or(0).wrapping_mul(channels);
        let Ok(weights) = node.weights(p.packing, p.weights, count) else { return };
        depthwise_conv_2d::<K>(p, eval.input(0), weights, &stage, eval.scratch(), eval.output(0));
        return;
    }
    let Ok(weights) = node.matrix(shape, p.weights) else { return };
    let native = shape.packing == K::POLICY.depthwise;
    let run = if native { depthwise_by_rows::<K> } else { depthwise_by_rows::<Portable> };
    run(p, eval.input(0), &weights, &stage, eval.scratch(), eval.output(0));
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
        width: band_width(p).unwrap_or(0) as usize,
        rows: w.kernel_h as usize,
        first: 0,
        columns: w.kernel_w as usize,
        stride: w.stride_w as usize,
        channels,
        row_bytes: band_row(p).unwrap_or(0) as usize,
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
