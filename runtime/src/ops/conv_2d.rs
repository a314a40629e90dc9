//! CONV_2D: `out[y, x, c] = stage(sum over ky, kx, k of in[y', x', k] * weights[c, ky, kx, k])`.
//!
//! [`TILE`] output pixels at a time: their patches are gathered side by side into scratch memory, then one
//! matrix product makes all channels of the tile. Groups are convolutions side by side; their weights are
//! plain. Packed weights are read by the kernel set that they were packed for, or by the portable one.
//! Source followed: TFLM `kernels/conv.cc`, `reference/integer_ops/conv.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::Conv2dParams;

use super::Operator;
use super::window::{self, Image};
use crate::error::Fault;
use crate::kernels::{Kernels, Portable, Stage, TILE};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Matrix, Order, Packing, Shape};
use crate::tensor::cells_of;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Conv2d, check, eval: eval::<K>, lead }
}

/// Elements of the patch of one pixel in one group; 0 where the parameters make no sense.
fn depth(params: &Conv2dParams) -> Option<u32> {
    let taps = params.window.kernel_h.checked_mul(params.window.kernel_w)?;
    let channels = if params.groups == 1 {
        params.in_channels
    } else {
        params.in_channels.checked_div(params.groups)?
    };
    taps.checked_mul(channels)
}

/// The weights as a matrix; `None` for an unknown packing.
fn shape(params: &Conv2dParams) -> Option<Shape> {
    Some(Shape {
        packing: Packing::from_tag(params.packing)?,
        channels: params.out_channels,
        lines: params.window.kernel_h,
        line: params.window.kernel_w.checked_mul(params.in_channels)?,
    })
}

/// Bytes of the tile of a packed convolution, in any kernel set.
fn tile_bytes(shape: &Shape) -> Option<u32> {
    shape.padded_depth()?.checked_mul(shape.packing.element.max(1).into())?.checked_mul(TILE as u32)
}

/// Bytes of scratch memory that an op with these parameters needs: a tile; with packed weights also a
/// line of the patch, unless the convolution is pointwise.
pub fn scratch_bytes(params: &Conv2dParams) -> Option<u32> {
    let shape = shape(params)?;
    if shape.packing.order == Order::Plain {
        return depth(params)?.checked_mul(TILE as u32);
    }
    let line = if window::is_pointwise(&params.window) { 0 } else { shape.line };
    tile_bytes(&shape)?.checked_add(line)
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
    let shape = shape(p).ok_or(Fault::Packing)?;
    if shape.packing.order == Order::Plain {
        let count = depth(p).and_then(|depth| depth.checked_mul(out_channels)).ok_or(Fault::Parameters)?;
        node.weights(p.packing, p.weights, count)?;
    } else if groups == 1 {
        node.matrix(shape, p.weights)?;
    } else {
        return Err(Fault::Packing);
    }
    node.expect_stage(&p.stage, out_channels)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
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
    let (Some(shape), Ok(stage)) = (shape(p), node.stage(&p.stage, p.out_channels)) else { return };
    if shape.packing.order == Order::Plain {
        let count = depth(p).unwrap_or(0).wrapping_mul(p.out_channels);
        let Ok(weights) = node.weights(p.packing, p.weights, count) else { return };
        conv_2d::<K>(p, eval.input(0), weights, &stage, eval.scratch(), eval.output(0));
        return;
    }
    let Ok(weights) = node.matrix(shape, p.weights) else { return };
    let run = if shape.packing == K::POLICY.conv { conv_2d_packed::<K> } else { conv_2d_packed::<Portable> };
    run(p, eval.input(0), &weights, &stage, eval.scratch(), eval.output(0));
}

/// Convolves a batch of images with packed weights, which are those of one group. The rest is as for
/// [`conv_2d`].
pub fn conv_2d_packed<K: Kernels>(
    p: &Conv2dParams,
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let (channels, out_pixel) = (p.in_channels as usize, p.out_channels as usize);
    let pointwise = window::is_pointwise(w);
    let size = tile_bytes(&weights.shape).unwrap_or(0) as usize;
    let Some((tile, staging)) = scratch.split_at_checked(size) else { return };
    let staging = cells_of(staging).unwrap_or(&[]);
    for (cells, out) in window::images(w, input, channels, out, out_pixel) {
        let image =
            Image { cells, pixel: channels, first: 0, channels, zero_point: p.input_zero_point as i8 };
        let (mut oy, mut ox) = (0, 0);
        let mut pixels = cells.chunks_exact(channels.max(1));
        for out in out.chunks(TILE.wrapping_mul(out_pixel).max(1)) {
            let count = out.len() / out_pixel.max(1);
            for lane in 0..count {
                if pointwise {
                    let pixel = pixels.next().unwrap_or(&[]);
                    K::load_line(tile, lane, 0, &weights.shape, pixel);
                    continue;
                }
                window::lines(w, &image, oy, ox, staging, |number, line| {
                    K::load_line(tile, lane, number, &weights.shape, line);
                });
                ox += 1;
                if ox == w.out_w {
                    (oy, ox) = (oy + 1, 0);
                }
            }
            K::matmul_packed(tile, count, weights, stage, out, out_pixel);
        }
    }
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
