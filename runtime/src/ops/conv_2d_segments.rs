//! CONV_2D with packed weights whose taps lie apart, or whose rows are long: with dilation, in groups, along
//! one dimension.
//!
//! Rows of outputs are made in [segments](super::segment): the pixels under some outputs are copied, then, for
//! each group and each [`TILE`] of them, patches are gathered and multiplied as in
//! [`CONV_2D`](super::conv_2d). The weights are a matrix for each group, one behind the other.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::Conv2dParams;

use super::Operator;
use super::segment::{self, Part, Segment, Tiles, Work};
use super::window;
use crate::error::Fault;
use crate::kernels::{Kernels, Stage, TILE};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Matrix, Packing, Shape};
use crate::tensor::fill;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::Conv2dSegments as u16,
        check: |node| check(node, Packing::from_tag(node.params::<Conv2dParams>()?.packing)),
        eval: eval::<K>,
        lead,
    }
}

/// The operator for weights that were packed for the kernels `K`, and no others.
pub const fn tuned_operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::Conv2dSegments as u16,
        check: |node| check(node, K::POLICY.conv.own(node.params::<Conv2dParams>()?.packing)),
        eval: eval_tuned::<K>,
        lead,
    }
}

/// The operator for weights that were packed for the kernels `K`, with numbers that keep to their bounds or with any,
/// and no others.
pub const fn general_operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::Conv2dSegments as u16,
        check: |node| check(node, own::<K>(node.params::<Conv2dParams>()?.packing)),
        eval: eval_both::<K>,
        lead,
    }
}

/// The packing with this tag, if it is one of the set's own.
fn own<K: Kernels>(tag: u32) -> Option<Packing> {
    let own = K::POLICY.conv;
    own.own(tag).or_else(|| own.general().own(tag))
}

/// The weights of one group as a matrix: a line for each kernel row, or for each tap where taps lie apart.
#[inline]
pub fn shape(p: &Conv2dParams, packing: Packing) -> Option<Shape> {
    let w = &p.window;
    let channels = p.in_channels.checked_div(p.groups)?;
    let (lines, line) = if w.dilation_w == 1 {
        (w.kernel_h, w.kernel_w.checked_mul(channels)?)
    } else {
        (w.kernel_h.checked_mul(w.kernel_w)?, channels)
    };
    Some(Shape { packing, channels: p.out_channels.checked_div(p.groups)?, lines, line })
}

/// Bytes of a tile of rows of `depth` weights.
#[inline(always)]
fn tile_bytes(packing: Packing, depth: u32) -> Option<u32> {
    depth.checked_mul(u32::from(packing.element.max(1)) * TILE as u32)
}

/// Bytes of scratch memory that an op with these parameters needs: a tile and a segment.
pub fn scratch_bytes(p: &Conv2dParams) -> Option<u32> {
    let packing = Packing::from_tag(p.packing)?;
    scratch_with(p, tile_bytes(packing, shape(p, packing)?.padded_depth()?)?)
}

#[inline(always)]
fn scratch_with(p: &Conv2dParams, tile: u32) -> Option<u32> {
    tile.checked_add(segment::bytes(&p.window, p.in_channels)?)
}

fn check(node: &Node<'_>, packing: Option<Packing>) -> Result<(), Fault> {
    let p: &Conv2dParams = node.params()?;
    window::check_op(node, &p.window, p.batches, p.in_channels, p.out_channels)?;
    check_int8(p.input_zero_point)?;
    let splits = |channels: u32| channels.checked_rem(p.groups) == Some(0);
    if !(splits(p.in_channels) && splits(p.out_channels)) {
        return Err(Fault::Parameters);
    }
    let packing = packing.filter(|&packing| packing != Packing::PLAIN).ok_or(Fault::Packing)?;
    // None of the dimensions is zero, as just found: no tensor is empty, and groups divide what is not.
    let shape = shape(p, packing).ok_or(Fault::Parameters)?;
    let (bytes, depth) = shape.sizes().ok_or(Fault::Parameters)?;
    node.expect_matrix(bytes.checked_mul(p.groups).ok_or(Fault::Parameters)?, p.weights)?;
    let scratch = tile_bytes(packing, depth).and_then(|tile| scratch_with(p, tile));
    node.expect_scratch(scratch.ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, p.out_channels)
}

/// What lies under a segment is read before any of it is written.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &Conv2dParams = node.checked_params()?;
    if p.batches == 1 { window::lead(&p.window, p.in_channels, p.out_channels) } else { None }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Conv2dParams>() else { return };
    let Some(packing) = Packing::from_tag(p.packing) else { return };
    eval_with(eval, p, packing, Tiles::for_packing::<K>(packing));
}

fn eval_tuned<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Conv2dParams>() else { return };
    let Some(packing) = K::POLICY.conv.own(p.packing) else { return };
    eval_with(eval, p, packing, const { &Tiles::of::<K>() });
}

fn eval_both<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Conv2dParams>() else { return };
    let Some(packing) = own::<K>(p.packing) else { return };
    eval_with(eval, p, packing, const { &Tiles::of_both::<K>() });
}

#[inline(never)]
fn eval_with(eval: &Eval<'_>, p: &Conv2dParams, packing: Packing, tiles: &Tiles) {
    let Some(layer) = eval.layer(&p.stage, p.weights, p.out_channels) else { return };
    let Some(shape) = shape(p, packing) else { return };
    let weights = Matrix { shape, bytes: layer.weights };
    conv_2d_segments(tiles, p, layer.input, &weights, &layer.stage, layer.scratch, layer.out);
}

/// Convolves a batch of images. `weights` are those of the first group, with those of the others behind
/// them. The rest is as for [`conv_2d`](super::conv_2d::conv_2d). What does not fit is not computed.
pub fn conv_2d_segments(
    tiles: &Tiles,
    p: &Conv2dParams,
    input: &[Cell<i8>],
    weights: &Matrix<'_>,
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let shape = &weights.shape;
    let Some((size, depth)) = shape.sizes() else { return };
    let tile = tile_bytes(shape.packing, depth).unwrap_or(0) as usize;
    let Some((tile, behind)) = scratch.split_at_checked(tile) else { return };
    if tiles.cleared && Some(depth) != shape.depth() {
        fill(tile, 0);
    }
    let mut segment = Segment::new(w, (p.in_channels, p.groups), p.input_zero_point, &[], behind);
    let (mut images, mut rest) = (input, out);
    // Outputs follow one another in memory.
    while let Some((image, next)) = images.split_at_checked(segment.elements())
        && !image.is_empty()
    {
        (images, segment.image) = (next, image);
        let work = Work { tiles, segment: &segment, tile, shape };
        for oy in 0..w.out_h {
            let mut ox = 0u32;
            while ox < w.out_w {
                segment.fill(oy, ox);
                let count = segment.outputs().min(w.out_w.wrapping_sub(ox));
                let elements = (count as usize).wrapping_mul(p.out_channels as usize);
                let Some((out, behind)) = rest.split_at_checked(elements) else { return };
                of_groups(&work, p.groups, count as usize, weights.bytes, size as usize, stage, out);
                rest = behind;
                ox = ox.wrapping_add(count);
            }
        }
    }
    Work { tiles, segment: &segment, tile, shape }.finish(stage, out);
}

/// Makes all groups of a segment.
#[inline(always)]
fn of_groups(
    work: &Work<'_>,
    groups: u32,
    count: usize,
    weights: &[u8],
    size: usize,
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let channels = work.shape.channels as usize;
    let out_stride = channels.wrapping_mul(groups as usize);
    let (mut weights, mut out, mut first) = (weights, out, 0usize);
    for group in 0..groups as usize {
        let Stage { bias, multipliers, .. } = stage.part(first, channels);
        work.make(&Part { weights, bias, multipliers, stage, group, count, out, out_stride });
        weights = weights.get(size..).unwrap_or(&[]);
        out = out.get(channels..).unwrap_or(&[]);
        first = first.wrapping_add(channels);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, any_packing, batches, dim, sizes, window, zero_point};
    use crate::kernels::policy;

    let (mut window, batches) = (window(random), batches(random));
    let packing = loop {
        let packing = any_packing(random, |target| policy(target).conv);
        if packing != Packing::PLAIN {
            break packing;
        }
    };
    let (mut groups, mut in_channels, mut out_channels) = (1, dim(random, 8), dim(random, 8));
    if random.below(2) == 0 {
        groups = dim(random, 3);
        (in_channels, out_channels) = (groups * dim(random, 5), groups * dim(random, 5));
    }
    if random.below(16) == 0 {
        in_channels = groups * 35;
    }
    (window.dilation_h, window.dilation_w) = (dim(random, 3), dim(random, 3));
    let mut p = Conv2dParams {
        window,
        batches,
        in_channels,
        out_channels,
        groups,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        ..Conv2dParams::default()
    };
    let mut constants = Constants::default();
    let group = shape(&p, packing).unwrap_or_else(|| unreachable!());
    let depth = group.lines * group.line;
    p.weights = constants.groups(random, group, groups);
    p.stage = constants.stage_for(random, packing, depth, out_channels);
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2dSegments, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p))
}
