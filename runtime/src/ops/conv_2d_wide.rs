//! CONV_2D with weights beyond int8: those of TensorFlow 1's uint8 that are further than an int8 from their zero point.
//!
//! A weight `w` of -255 to 255 is the sum of two or three of int8, and `x * w = x * w1 + x * w2`: a patch has the elements
//! under such weights again behind its end, and a row of weights has the second part there. So kernels multiply what
//! they always do, and all that they rest on is proved of rows as long as that.
//!
//! ```text
//!   patch     x0 x1 x2 x3 | x1           places   1
//!   weights   w0 127 w2 w3 | w1 - 127
//! ```
//! Few weights are so far out, so that patches are hardly longer. [`TILE`] of them are gathered side by side, each whole,
//! then loaded into a tile.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Conv2dParams, Conv2dWideParams};

use super::Operator;
use super::conv_2d::pointwise_lead;
use super::segment::Tiles;
use super::window::{self, Image};
use crate::error::Fault;
use crate::kernels::{Kernels, Lines, Stage, TILE};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Matrix, Packing, Shape};
use crate::tensor::{cells_of, fill};

/// Bytes behind the patches that a kernel may read: whole words.
const SLACK: u32 = 4;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Conv2dWide as u16, check, eval: eval::<K>, lead }
}

/// Elements of a patch, without what it has again.
fn patch(p: &Conv2dParams) -> Option<u32> {
    p.window.kernel_h.checked_mul(p.window.kernel_w)?.checked_mul(p.in_channels)
}

/// The weights as a matrix.
pub fn shape(p: &Conv2dWideParams, packing: Packing) -> Option<Shape> {
    let line = patch(&p.conv)?.checked_add(p.repeats)?;
    Some(Shape { packing, channels: p.conv.out_channels, lines: 1, line })
}

/// Bytes of the tile, and of the patches as they are gathered.
fn sizes(shape: &Shape, depth: u32) -> Option<(u32, u32)> {
    let tile = depth.checked_mul(u32::from(shape.packing.element.max(1)) * TILE as u32)?;
    Some((tile, shape.line.checked_mul(TILE as u32)?.checked_add(SLACK)?))
}

/// Bytes of scratch memory that an op with these parameters needs.
pub fn scratch_bytes(p: &Conv2dWideParams) -> Option<u32> {
    let shape = shape(p, Packing::from_tag(p.conv.packing)?)?;
    let (tile, patches) = sizes(&shape, shape.padded_depth()?)?;
    tile.checked_add(patches)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Conv2dWideParams = node.params()?;
    let conv = &p.conv;
    window::check_op(node, &conv.window, conv.batches, conv.in_channels, conv.out_channels)?;
    check_int8(conv.input_zero_point)?;
    let elements = patch(conv).ok_or(Fault::Parameters)?;
    let places = node.constants::<u32>(p.places, p.repeats)?;
    if conv.groups != 1 || places.iter().any(|&place| place >= elements) {
        return Err(Fault::Parameters);
    }
    let packing = Packing::from_tag(conv.packing).ok_or(Fault::Packing)?;
    // None of the dimensions is zero, as just found: no tensor is empty.
    let shape = shape(p, packing).ok_or(Fault::Parameters)?;
    let depth = if packing == Packing::PLAIN {
        let count = shape.line.checked_mul(shape.channels).ok_or(Fault::Parameters)?;
        node.weights(conv.packing, conv.weights, count)?;
        shape.line
    } else {
        let (bytes, depth) = shape.sizes().ok_or(Fault::Parameters)?;
        node.expect_matrix(bytes, conv.weights)?;
        depth
    };
    let scratch = sizes(&shape, depth).and_then(|(tile, patches)| tile.checked_add(patches));
    node.expect_scratch(scratch.ok_or(Fault::Parameters)?)?;
    node.expect_stage(&conv.stage, conv.out_channels)
}

/// Patches are gathered whole before any of their outputs is written, as those of plain weights are.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p = &node.checked_params::<Conv2dWideParams>()?.conv;
    if window::is_pointwise(&p.window) {
        return pointwise_lead(p);
    }
    if p.batches == 1 { window::lead(&p.window, p.in_channels, p.out_channels) } else { None }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<Conv2dWideParams>() else { return };
    let Some(packing) = Packing::from_tag(p.conv.packing) else { return };
    let (Some(shape), Ok(places)) = (shape(p, packing), node.constants(p.places, p.repeats)) else { return };
    let Ok(stage) = node.stage(&p.conv.stage, p.conv.out_channels) else { return };
    let Ok(bytes) = node.constants_from::<u8>(p.conv.weights) else { return };
    let weights = Matrix { shape, bytes };
    let work = Wide { p: &p.conv, places, weights, stage };
    let (input, scratch, out) = (eval.input(0), eval.scratch(), eval.output(0));
    if packing == Packing::PLAIN {
        let plain: &[i8] = bytemuck::cast_slice(bytes);
        let depth = shape.line as usize;
        let plain = plain.get(..depth.wrapping_mul(shape.channels as usize)).unwrap_or(&[]);
        work.run(shape.line, input, scratch, out, |tile, patches, count, out| {
            let tile = cells_of::<i8>(tile).unwrap_or(&[]);
            for (lane, patch) in patches.chunks_exact(depth.max(1)).take(count).enumerate() {
                window::spread(patch, tile.get(lane..).unwrap_or(&[]), TILE);
            }
            let tile = tile.get(..depth.wrapping_mul(TILE)).unwrap_or(&[]);
            K::matmul(tile, count, plain, &work.stage, out, work.p.out_channels as usize);
        });
    } else {
        let Some(depth) = shape.padded_depth() else { return };
        let tiles = Tiles::for_packing::<K>(packing);
        if tiles.cleared && depth != shape.line {
            fill(scratch, 0);
        }
        work.run(depth, input, scratch, out, |tile, patches, count, out| {
            let step = shape.line as usize;
            let lines = Lines { source: patches, lanes: 0..count, step, lines: 0..1, pitch: 0 };
            tiles.enter(tile, &shape, &lines);
            (tiles.multiply)(tile, count, &work.weights, &work.stage, out, work.p.out_channels as usize);
        });
    }
}

/// The layer.
struct Wide<'a> {
    p: &'a Conv2dParams,
    places: &'a [u32],
    weights: Matrix<'a>,
    stage: Stage<'a>,
}

impl Wide<'_> {
    /// Gathers patches, and hands each [`TILE`] of them to `multiply` with the memory for the tile and the place of
    /// their outputs.
    #[inline(always)]
    fn run(
        &self,
        depth: u32,
        input: &[Cell<i8>],
        scratch: &[Cell<u8>],
        out: &[Cell<i8>],
        multiply: impl Fn(&[Cell<u8>], &[Cell<i8>], usize, &[Cell<i8>]),
    ) {
        let p = self.p;
        let Some((tile_bytes, _)) = sizes(&self.weights.shape, depth) else { return };
        let Some((tile, patches)) = scratch.split_at_checked(tile_bytes as usize) else { return };
        let Some(patches) = cells_of::<i8>(patches) else { return };
        let (pixel, out_pixel) = (p.in_channels as usize, p.out_channels as usize);
        let line = (self.weights.shape.line as usize).max(1);
        let elements = line.wrapping_sub(self.places.len());
        for (cells, out) in window::images(&p.window, input, pixel, out, out_pixel) {
            let image =
                Image { cells, pixel, first: 0, channels: pixel, zero_point: p.input_zero_point as i8 };
            let (mut oy, mut ox) = (0, 0);
            for out in out.chunks(TILE.wrapping_mul(out_pixel).max(1)) {
                let count = out.len() / out_pixel.max(1);
                for row in patches.chunks_exact(line).take(count) {
                    let (patch, again) = row.split_at(elements.min(row.len()));
                    window::gather(&p.window, &image, oy, ox, patch, 1);
                    for (cell, &place) in again.iter().zip(self.places) {
                        cell.set(patch.get(place as usize).map_or(0, Cell::get));
                    }
                    ox += 1;
                    if ox == p.window.out_w {
                        (oy, ox) = (oy + 1, 0);
                    }
                }
                multiply(tile, patches, count, out);
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, any_packing, batches, dim, sizes, window, zero_point};
    use crate::kernels::policy;

    let (mut window, batches) = (window(random), batches(random));
    let packing = any_packing(random, |target| policy(target).conv);
    let (in_channels, out_channels) = (dim(random, 8), dim(random, 8));
    (window.dilation_h, window.dilation_w) = (dim(random, 2), dim(random, 2));
    let conv = Conv2dParams {
        window,
        batches,
        in_channels,
        out_channels,
        groups: 1,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        ..Conv2dParams::default()
    };
    let elements = window.kernel_h * window.kernel_w * in_channels;
    let places: std::vec::Vec<u32> =
        (0..random.below(6)).map(|_| random.below(elements as usize) as u32).collect();
    let mut constants = Constants::default();
    let repeats = places.len() as u32;
    let mut p = Conv2dWideParams { conv, repeats, places: constants.push(&places) };
    let matrix = shape(&p, packing).unwrap_or_else(|| unreachable!());
    p.conv.weights = constants.weights(random, matrix);
    p.conv.stage = constants.stage_for(random, packing, matrix.line, out_channels);
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2dWide, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p))
}
