//! CONV_2D: `out[y, x, c] = stage(sum over ky, kx, k of in[y', x', k] * weights[c, ky, kx, k])`.
//!
//! [`TILE`] output pixels at a time: their patches are gathered side by side into scratch memory, then one
//! matrix product makes all channels of the tile. Groups are convolutions side by side.
//! Source followed: TFLM `kernels/conv.cc`, `reference/integer_ops/conv.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::Conv2dParams;

use super::Operator;
use super::window::{self, Image};
use crate::error::Fault;
use crate::kernels::{Kernels, Stage, TILE};
use crate::node::{Eval, Node, check_int8};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Conv2d, check, eval: eval::<K>, lead }
}

/// Elements of the patch of one pixel in one group; 0 where the parameters make no sense.
#[inline(always)]
fn depth(params: &Conv2dParams) -> Option<u32> {
    let taps = params.window.kernel_h.checked_mul(params.window.kernel_w)?;
    let channels = if params.groups == 1 {
        params.in_channels
    } else {
        params.in_channels.checked_div(params.groups)?
    };
    taps.checked_mul(channels)
}

/// Bytes of scratch memory that an op with these parameters needs.
#[inline]
pub fn scratch_bytes(params: &Conv2dParams) -> Option<u32> {
    depth(params)?.checked_mul(TILE as u32)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Conv2dParams = node.params()?;
    let (groups, out_channels) = (p.groups, p.out_channels);
    window::check_op(node, &p.window, p.batches, p.in_channels, out_channels)?;
    // Divisions take their time, and most convolutions have one group.
    let splits = |channels: u32| channels.checked_rem(groups) == Some(0);
    if groups != 1 && !(splits(p.in_channels) && splits(out_channels)) {
        return Err(Fault::Parameters);
    }
    check_int8(p.input_zero_point)?;
    let depth = depth(p).ok_or(Fault::Parameters)?;
    node.weights(p.packing, p.weights, depth.checked_mul(out_channels).ok_or(Fault::Parameters)?)?;
    node.expect_scratch(depth.checked_mul(TILE as u32).ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, out_channels)
}

/// A tile is gathered whole before any of it is written. A pointwise convolution reads no other
/// pixels, so the output may run ahead of the input's start only by what all tiles but the last
/// have grown; other windows keep the rows that are still to be read.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &Conv2dParams = node.params().ok()?;
    if p.groups != 1 {
        return None;
    }
    if window::is_pointwise(&p.window) {
        if p.out_channels <= p.in_channels {
            return Some(0);
        }
        let pixels = window::elements(p.batches, p.window.out_h, p.window.out_w, 1).ok()?;
        let before_last = pixels.saturating_sub(1) & !(TILE as u32 - 1);
        return before_last.checked_mul(p.out_channels.saturating_sub(p.in_channels));
    }
    if p.batches == 1 { window::lead(&p.window, p.in_channels, p.out_channels) } else { None }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<Conv2dParams>() else { return };
    let depth = depth(p).unwrap_or(0);
    let (Ok(weights), Ok(stage)) = (
        node.weights(p.packing, p.weights, depth.wrapping_mul(p.out_channels)),
        node.stage(&p.stage, p.out_channels),
    ) else {
        return;
    };
    conv_2d::<K>(p, eval.input(0), weights, &stage, eval.scratch(), eval.output(0));
}

/// Convolves a batch of images. `input` is `[batches, in_h, in_w, in_channels]`, `weights`
/// `[out_channels, kernel_h, kernel_w, in_channels / groups]`, `out` `[batches, out_h, out_w,
/// out_channels]`, `scratch` has [`scratch_bytes`] bytes. What does not fit is not computed.
pub fn conv_2d<K: Kernels>(
    p: &Conv2dParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    scratch: &[Cell<i8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let (pixel, out_pixel) = (p.in_channels as usize, p.out_channels as usize);
    let groups = p.groups.max(1) as usize;
    let (channels, out_channels) = (pixel / groups, out_pixel / groups);
    let depth = depth(p).unwrap_or(0).max(1) as usize;
    let pointwise = window::is_pointwise(w);
    for (cells, out) in window::images(w, input, pixel, out, out_pixel) {
        let (mut oy, mut ox) = (0, 0);
        let tiles = out.chunks(TILE.wrapping_mul(out_pixel).max(1));
        for (tile, out) in tiles.enumerate() {
            let count = out.len() / out_pixel.max(1);
            let start = (oy, ox);
            for group in 0..groups {
                let first = group.wrapping_mul(channels);
                let image = Image { cells, pixel, first, channels, zero_point: p.input_zero_point as i8 };
                (oy, ox) = start;
                for lane in 0..count {
                    let lane_of = scratch.get(lane..).unwrap_or(&[]);
                    if pointwise && groups == 1 {
                        let start = tile.wrapping_mul(TILE).wrapping_add(lane).wrapping_mul(pixel);
                        let source = cells.get(start..start.wrapping_add(pixel)).unwrap_or(&[]);
                        window::spread(source, lane_of, TILE);
                    } else {
                        window::gather(w, &image, oy, ox, lane_of, TILE);
                        ox += 1;
                        if ox == w.out_w {
                            (oy, ox) = (oy + 1, 0);
                        }
                    }
                }
                let first = group.wrapping_mul(out_channels);
                let size = depth.wrapping_mul(out_channels);
                K::matmul(
                    scratch.get(..depth.wrapping_mul(TILE)).unwrap_or(&[]),
                    count,
                    weights.get(group.wrapping_mul(size)..).and_then(|w| w.get(..size)).unwrap_or(&[]),
                    &stage.skip(first),
                    out.get(first..).unwrap_or(&[]),
                    out_pixel,
                );
            }
        }
    }
}
