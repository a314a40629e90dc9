//! CONV_2D: `out[y, x, c] = stage(sum over ky, kx, k of in[y', x', k] * weights[c, ky, kx, k])`.
//!
//! [`TILE`] output pixels at a time: their patches are gathered side by side into scratch memory, then one
//! matrix product makes all channels of the tile. Groups are convolutions side by side; their weights are
//! plain. Packed weights are read by the kernel set that they were packed for, or by the portable one; with
//! them the input rows under a row of outputs are kept in a ring, padding included, and tiles are gathered
//! from there.
//! Source followed: TFLM `kernels/conv.cc`, `reference/integer_ops/conv.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Conv2dParams, Window};

use super::Operator;
use super::window::{self, Image};
use crate::error::Fault;
use crate::kernels::{ByTiles, General, Job, Kernels, Patches, Stage, TILE, Unusual};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Matrix, Order, Packing, Shape};
use crate::tensor::{cells_of, fill, fill_short};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::Conv2d as u16, check: check::<K>, eval: eval::<K>, lead }
}

/// The operator for plain weights, and no others.
pub const fn plain_operator<K: Kernels>() -> Operator {
    Operator {
        code: OpCode::Conv2d as u16,
        check: |node| check_plain(node, node.params()?),
        eval: eval_plain::<K>,
        lead: plain_lead,
    }
}

/// The operator for weights that were packed for the kernels `K`, and no others.
pub const fn tuned_operator<K: Kernels>() -> Operator {
    match K::POLICY.conv.order {
        Order::Plain => operator::<K>(),
        _ => Operator {
            code: OpCode::Conv2d as u16,
            check: check_tuned::<K>,
            eval: eval_tuned::<K>,
            lead: packed_lead,
        },
    }
}

/// The operator for weights that were packed for the kernels `K`, with numbers that keep to their bounds or with any,
/// and no others.
pub const fn general_operator<K: Kernels>() -> Operator {
    match K::POLICY.conv.order {
        Order::Plain => operator::<K>(),
        _ => Operator {
            code: OpCode::Conv2d as u16,
            check: check_both::<K>,
            eval: eval_both::<K>,
            lead: packed_lead,
        },
    }
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

/// The weights as a matrix.
#[inline(always)]
fn shape(params: &Conv2dParams, packing: Packing) -> Option<Shape> {
    Some(Shape {
        packing,
        channels: params.out_channels,
        lines: params.window.kernel_h,
        line: params.window.kernel_w.checked_mul(params.in_channels)?,
    })
}

/// Bytes of the tile of a packed convolution, in any kernel set.
#[inline(always)]
fn tile_bytes(shape: &Shape) -> Option<u32> {
    tile_of(shape.packing, shape.padded_depth()?)
}

/// Bytes of a tile of rows of `depth` weights.
#[inline(always)]
fn tile_of(packing: Packing, depth: u32) -> Option<u32> {
    depth.checked_mul(u32::from(packing.element.max(1)) * TILE as u32)
}

/// Elements of a row in the ring of a packed convolution: the pixels that windows read. These fit 32 bits where
/// [`window::check`] finds no fault.
#[inline(always)]
fn ring_row(p: &Conv2dParams) -> Option<u32> {
    let w = &p.window;
    w.out_w.wrapping_sub(1).wrapping_mul(w.stride_w).wrapping_add(w.kernel_w).checked_mul(p.in_channels)
}

/// Bytes of the tile of a plain convolution, whose patches have `depth` elements.
#[inline(always)]
fn patches_bytes(depth: u32) -> Option<u32> {
    depth.checked_mul(TILE as u32)
}

/// Bytes behind the ring that a kernel may read: whole words.
const RING_SLACK: u32 = 4;

/// Bytes of scratch memory that an op with these parameters needs: a tile; with packed weights also a ring
/// of input rows, unless the convolution is pointwise.
pub fn scratch_bytes(params: &Conv2dParams) -> Option<u32> {
    match Packing::from_tag(params.packing)? {
        Packing::PLAIN => patches_bytes(depth(params)?),
        packing => packed_scratch_bytes(params, packing),
    }
}

#[inline(always)]
fn packed_scratch_bytes(params: &Conv2dParams, packing: Packing) -> Option<u32> {
    scratch_with(params, tile_bytes(&shape(params, packing)?)?)
}

/// With a tile of this size.
#[inline(always)]
fn scratch_with(params: &Conv2dParams, tile: u32) -> Option<u32> {
    if window::is_pointwise(&params.window) {
        return Some(tile);
    }
    let ring = ring_row(params)?.checked_mul(params.window.kernel_h)?;
    tile.checked_add(ring)?.checked_add(RING_SLACK)
}

/// Whether a convolution can have packed weights.
pub fn can_be_packed(p: &Conv2dParams) -> bool {
    // Dilations are not 0.
    p.groups == 1 && p.window.dilation_h | p.window.dilation_w == 1
}

/// First what the converter has packed for this core, which is checked faster.
fn check<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Conv2dParams = node.params()?;
    match K::POLICY.conv.own(p.packing) {
        Some(packing) if K::POLICY.conv.order != Order::Plain => check_packed(node, p, packing),
        _ => check_any(node, p),
    }
}

#[inline(never)]
fn check_any(node: &Node<'_>, p: &Conv2dParams) -> Result<(), Fault> {
    match Packing::from_tag(p.packing).ok_or(Fault::Packing)? {
        Packing::PLAIN => check_plain(node, p),
        packing => check_packed(node, p, packing),
    }
}

fn check_tuned<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Conv2dParams = node.params()?;
    check_packed(node, p, K::POLICY.conv.own(p.packing).ok_or(Fault::Packing)?)
}

fn check_both<K: Kernels>(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Conv2dParams = node.params()?;
    check_packed(node, p, own::<K>(p.packing).ok_or(Fault::Packing)?)
}

/// The packing with this tag, if it is one of the set's own.
fn own<K: Kernels>(tag: u32) -> Option<Packing> {
    let own = K::POLICY.conv;
    own.own(tag).or_else(|| own.general().own(tag))
}

#[inline]
fn check_plain(node: &Node<'_>, p: &Conv2dParams) -> Result<(), Fault> {
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
    node.expect_scratch(patches_bytes(depth).ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, out_channels)
}

/// In line, as the packing is a constant in most cases.
#[inline(always)]
fn check_packed(node: &Node<'_>, p: &Conv2dParams, packing: Packing) -> Result<(), Fault> {
    window::check_op(node, &p.window, p.batches, p.in_channels, p.out_channels)?;
    check_int8(p.input_zero_point)?;
    if !can_be_packed(p) {
        return Err(Fault::Packing);
    }
    // None of the dimensions is zero, as just found: no tensor is empty.
    let (bytes, depth) = shape(p, packing).and_then(|shape| shape.used_sizes()).ok_or(Fault::Parameters)?;
    node.expect_matrix(bytes, p.weights)?;
    let scratch = tile_of(packing, depth).and_then(|tile| scratch_with(p, tile));
    node.expect_scratch(scratch.ok_or(Fault::Parameters)?)?;
    node.expect_stage(&p.stage, p.out_channels)
}

/// A tile is gathered whole before any of it is written. A pointwise convolution reads no other
/// pixels, so the output may run ahead of the input's start only by what all tiles but the last
/// have grown; other windows keep the rows that are still to be read.
#[inline]
fn lead(node: &Node<'_>, position: usize) -> Option<u32> {
    let p: &Conv2dParams = node.checked_params()?;
    if p.packing == Packing::PLAIN.tag() { plain_lead(node, position) } else { packed_lead(node, position) }
}

#[inline]
fn plain_lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &Conv2dParams = node.checked_params()?;
    if p.groups != 1 {
        return None;
    }
    if window::is_pointwise(&p.window) {
        return pointwise_lead(p);
    }
    if p.batches == 1 { window::lead(&p.window, p.in_channels, p.out_channels) } else { None }
}

/// Packed weights are those of one group.
#[inline]
fn packed_lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &Conv2dParams = node.checked_params()?;
    let (in_row, out_row) = window::rows(&p.window, p.in_channels, p.out_channels);
    // So it is for most, pointwise ones among them.
    if p.batches == 1 && window::stays_behind(&p.window, in_row, out_row) {
        return Some(0);
    }
    if window::is_pointwise(&p.window) {
        return pointwise_lead(p);
    }
    if p.batches == 1 { window::lead_of_rows(&p.window, in_row, out_row) } else { None }
}

#[inline(always)]
pub(super) fn pointwise_lead(p: &Conv2dParams) -> Option<u32> {
    if p.out_channels <= p.in_channels {
        return Some(0);
    }
    // The check has found that the output's size, a multiple of all these, fits 32 bits.
    let image = p.window.out_h.wrapping_mul(p.window.out_w);
    // Tiles begin anew with each image, so that the last one has what is left of an image.
    let last = image.wrapping_sub(1) & (TILE as u32 - 1);
    let before_last = image.wrapping_mul(p.batches).wrapping_sub(1).wrapping_sub(last);
    Some(before_last.wrapping_mul(p.out_channels.wrapping_sub(p.in_channels)))
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Conv2dParams>() else { return };
    match Packing::from_tag(p.packing) {
        Some(Packing::PLAIN) if K::PLAIN_APART => eval_plain_apart::<K>(eval),
        Some(Packing::PLAIN) => eval_plain::<K>(eval),
        Some(packing) if packing.is_a(K::POLICY.conv) => eval_packed::<K>(eval, p, packing),
        Some(packing) => eval_unusual::<K>(eval, p, packing),
        None => {}
    }
}

/// Weights that were packed for this core, with any numbers, or for another one.
#[inline(never)]
fn eval_unusual<K: Kernels>(eval: &Eval<'_>, p: &Conv2dParams, packing: Packing) {
    eval_packed::<Unusual<K>>(eval, p, packing);
}

#[inline(never)]
fn eval_plain_apart<K: Kernels>(eval: &Eval<'_>) {
    eval_plain::<K>(eval);
}

fn eval_plain<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<Conv2dParams>() else { return };
    let count = depth(p).unwrap_or(0).wrapping_mul(p.out_channels);
    let weights = node.weights(p.packing, p.weights, count);
    let (Ok(weights), Ok(stage)) = (weights, node.stage(&p.stage, p.out_channels)) else { return };
    conv_2d::<K>(p, eval.input(0), weights, &stage, eval.scratch(), eval.output(0));
}

fn eval_tuned<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Conv2dParams>() else { return };
    let Some(packing) = K::POLICY.conv.own(p.packing) else { return };
    eval_packed::<K>(eval, p, packing);
}

fn eval_both<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<Conv2dParams>() else { return };
    let Some(packing) = own::<K>(p.packing) else { return };
    eval_packed::<General<K>>(eval, p, packing);
}

#[inline(always)]
fn eval_packed<K: Kernels>(eval: &Eval<'_>, p: &Conv2dParams, packing: Packing) {
    // Large, and better not moved.
    let layer = eval.layer(&p.stage, p.weights, p.out_channels);
    let (Some(layer), Some(shape)) = (&layer, shape(p, packing)) else { return };
    let weights = Matrix { shape, bytes: layer.weights };
    conv_2d_packed::<K>(p, layer.input, &weights, &layer.stage, layer.scratch, layer.out);
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
    let size = tile_bytes(&weights.shape).unwrap_or(0) as usize;
    let Some((tile, ring)) = scratch.split_at_checked(size) else { return };
    if K::CLEARED_TILES && weights.shape.padded_depth() != weights.shape.depth() {
        fill(tile, 0);
    }
    let pointwise = window::is_pointwise(w);
    let (ring, pitch) = if pointwise {
        (&[][..], 0)
    } else {
        (cells_of(ring).unwrap_or(&[]), ring_row(p).unwrap_or(0) as usize)
    };
    let step = (w.stride_w as usize).wrapping_mul(channels);
    let mut conv = K::Tiled::new(&Job { tile, weights, stage, step, pitch, out_stride: out_pixel });
    for (cells, out) in window::images(w, input, channels, out, out_pixel) {
        let mut walk = Walk { conv: &mut conv, step, out_pixel, lane: 0, out };
        let mut ring = Ring::new(p, cells, ring);
        // The pixels of a pointwise convolution lie side by side in all rows.
        let (rows, pixels) = if pointwise { (1, w.out_h.wrapping_mul(w.out_w)) } else { (w.out_h, w.out_w) };
        for oy in 0..rows {
            let mut patches = Patches { cells, start: 0, until_end: 1, again: 0 };
            if !pointwise {
                ring.advance(oy.wrapping_mul(w.stride_h), K::copy_row);
                patches = ring.patches();
            }
            walk.pixels(patches, pixels as usize);
        }
        walk.conv.multiply(walk.lane, walk.out);
    }
    conv.finish(out);
}

/// The way through the pixels of an image, which fill one tile after the other.
struct Walk<'a, C> {
    conv: &'a mut C,
    /// Elements from one patch to the next, and from one output to the next.
    step: usize,
    out_pixel: usize,
    /// Pixels in the tile.
    lane: usize,
    /// Outputs, starting with those of the tile's first pixel.
    out: &'a [Cell<i8>],
}

impl<'k, C: ByTiles<'k>> Walk<'_, C> {
    /// Enters pixels that lie side by side.
    #[inline(always)]
    fn pixels(&mut self, mut patches: Patches<'_>, mut count: usize) {
        loop {
            if self.lane == 0 && count >= TILE {
                let made = self.conv.tiles(&patches, count / TILE, self.out).wrapping_mul(TILE);
                self.made(made);
                patches = patches.skip(made.wrapping_mul(self.step));
                count = count.wrapping_sub(made);
            }
            let end = TILE.min(self.lane.wrapping_add(count));
            let here = end.wrapping_sub(self.lane);
            if here == 0 {
                return;
            }
            self.conv.load(&patches, self.lane..end);
            patches = patches.skip(here.wrapping_mul(self.step));
            count = count.wrapping_sub(here);
            self.lane = end;
            if end == TILE {
                self.conv.multiply(TILE, self.out);
                self.made(TILE);
                self.lane = 0;
            }
        }
    }

    #[inline(always)]
    fn made(&mut self, pixels: usize) {
        self.out = self.out.get(pixels.wrapping_mul(self.out_pixel)..).unwrap_or(&[]);
    }
}

/// See [`Kernels::copy_row`].
type Copy = fn(&[Cell<i8>], &[Cell<i8>]);

/// The input rows under a row of outputs, with their padding, so that all patches are inside. Kernel row
/// `ky` is ring row `(first + ky) % rows`. Rows are read before the row of outputs is written, which may
/// therefore lie over them.
struct Ring<'a> {
    window: &'a Window,
    zero_point: i8,
    channels: usize,
    image: &'a [Cell<i8>],
    cells: &'a [Cell<i8>],
    /// Elements of a ring row.
    row: usize,
    rows: usize,
    /// Ring row of the first kernel row.
    first: usize,
    /// The next row to be read, counted from the first one of the padding.
    next: u32,
}

impl<'a> Ring<'a> {
    fn new(p: &'a Conv2dParams, image: &'a [Cell<i8>], cells: &'a [Cell<i8>]) -> Ring<'a> {
        let zero_point = p.input_zero_point as i8;
        // The padding at the sides stays.
        fill_short(cells, zero_point);
        Ring {
            window: &p.window,
            zero_point,
            channels: p.in_channels as usize,
            image,
            cells,
            row: ring_row(p).unwrap_or(0) as usize,
            rows: p.window.kernel_h as usize,
            first: 0,
            next: 0,
        }
    }

    /// Reads the rows of the window that starts at row `first`, counted from the padding.
    #[inline(always)]
    fn advance(&mut self, first: u32, copy: Copy) {
        while self.next < first.wrapping_add(self.window.kernel_h) {
            self.read(first, copy);
        }
    }

    #[inline(never)]
    fn read(&mut self, first: u32, copy: Copy) {
        let w = self.window;
        let (image_row, left) = (
            (w.in_w as usize).wrapping_mul(self.channels),
            (w.pad_left as usize).wrapping_mul(self.channels),
        );
        // A stride larger than the kernel leaves rows out.
        if self.next >= first {
            let start = self.first.wrapping_mul(self.row);
            let line = self.cells.get(start..start.wrapping_add(self.row)).and_then(|row| row.get(left..));
            let line = line.and_then(|line| line.get(..image_row.min(line.len()))).unwrap_or(&[]);
            match self.next.checked_sub(w.pad_top).filter(|&y| y < w.in_h) {
                Some(y) => {
                    let row = self.image.get((y as usize).wrapping_mul(image_row)..).unwrap_or(&[]);
                    copy(row.get(..line.len()).unwrap_or(row), line);
                }
                None => fill_short(line, self.zero_point),
            }
        }
        self.next = self.next.wrapping_add(1);
        // The slot behind the newest row holds the oldest.
        self.first = if self.first.wrapping_add(1) == self.rows { 0 } else { self.first.wrapping_add(1) };
    }

    /// The patches of the pixels of the row of outputs that the rows lie under.
    #[inline(always)]
    fn patches(&self) -> Patches<'a> {
        let until_end = self.rows.wrapping_sub(self.first);
        Patches { cells: self.cells, start: self.first.wrapping_mul(self.row), until_end, again: 0 }
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

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, any_packing, batches, dim, sizes, window, zero_point};
    use crate::kernels::policy;

    let (mut window, batches) = (window(random), batches(random));
    let packing = any_packing(random, |target| policy(target).conv);
    let (mut groups, mut in_channels, mut out_channels) = (1, dim(random, 8), dim(random, 8));
    if packing == Packing::PLAIN {
        if random.below(3) == 0 {
            groups = dim(random, 3);
            (in_channels, out_channels) = (groups * dim(random, 3), groups * dim(random, 3));
        }
        (window.dilation_h, window.dilation_w) = (dim(random, 2), dim(random, 2));
    }
    let line = window.kernel_w * in_channels / groups;
    let shape = Shape { packing, channels: out_channels, lines: window.kernel_h, line };
    let mut constants = Constants::default();
    let p = Conv2dParams {
        window,
        batches,
        in_channels,
        out_channels,
        groups,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        weights: constants.weights(random, shape),
        stage: constants.stage_for(random, packing, window.kernel_h * line, out_channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2d, &p, constants).int8(random, input, output);
    case.scratch(scratch_bytes(&p))
}
