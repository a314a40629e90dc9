//! TRANSPOSE_CONV: each input pixel adds its products with the kernel to the output pixels under it.
//!
//! Turned around, an output pixel reads the input pixels whose kernels cover it, and with stride `s`
//! those are every `s`-th kernel row and column. Output pixels with the same remainder of their
//! position by the stride form a *phase*: a dense convolution with stride 1 and its own part of the
//! kernel.
//!
//! ```text
//!  stride 2, kernel 3, one dimension:   out[2i - pad]     = in[i] w[0] + in[i - 1] w[2]     phase 0
//!                                       out[2i + 1 - pad] = in[i] w[1]                      phase 1
//! ```
//! So nothing is multiplied with inserted zeroes, and there are no int32 accumulators for the whole
//! output as in TFLM. Taps outside the input are its zero point, which the biases cancel.
//! Packed weights are a matrix for each phase; the pixels under some outputs of a phase are copied with their
//! padding ([`segment`]), and patches gathered from there.
//! Source followed: TFLM `kernels/transpose_conv.cc`, `reference/integer_ops/transpose_conv.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{TransposeConvParams, Window};

use super::segment::{self, Part, Segment, Tiles, Work};
use super::window::{self, Image};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{Kernels, Stage, TILE};
use crate::node::{Eval, Node, check_int8};
use crate::packing::{Packing, Shape};
use crate::tensor::fill;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::TransposeConv as u16, check, eval: eval::<K>, lead: no_overlap }
}

/// Kernel rows (or columns) of the phase with remainder `phase`; at least one, of zeroes if need be.
pub fn taps(kernel: u32, stride: u32, phase: u32) -> u32 {
    kernel.saturating_sub(phase).div_ceil(stride.max(1)).max(1)
}

/// Number of weights of all phases together.
fn weight_count(p: &TransposeConvParams) -> Option<u32> {
    let w = &p.window;
    let taps = w.kernel_h.max(w.stride_h).checked_mul(w.kernel_w.max(w.stride_w))?;
    taps.checked_mul(p.in_channels)?.checked_mul(p.out_channels)
}

/// Whether all phases of an op with packed weights have the same taps under the same pixels, as those of a kernel
/// that does not reach beyond its stride. Then a patch serves all of them, and the phases of a row, whose outputs
/// lie side by side, are one matrix.
pub fn together(w: &Window) -> bool {
    let whole = |size: u32, stride: u32| size.checked_rem(stride) == Some(0);
    w.pad_top | w.pad_left == 0
        && whole(w.kernel_h, w.stride_h)
        && whole(w.kernel_w, w.stride_w)
        && whole(w.out_w, w.stride_w)
}

/// Channels of a matrix of packed weights, and with that of multipliers, if there is not one for all.
pub fn channels(p: &TransposeConvParams) -> Option<u32> {
    let columns = if together(&p.window) { p.window.stride_w } else { 1 };
    p.out_channels.checked_mul(columns)
}

/// The weights of a phase with so many rows and columns of taps, or of those of a row, as a matrix.
pub fn shape(p: &TransposeConvParams, packing: Packing, rows: u32, columns: u32) -> Option<Shape> {
    let line = columns.checked_mul(p.in_channels)?;
    Some(Shape { packing, channels: channels(p)?, lines: rows, line })
}

/// How many matrices of packed weights there are along a row of phases.
pub fn columns(w: &Window) -> u32 {
    if together(w) { 1 } else { w.stride_w }
}

/// Bytes of the packed weights of all phases.
fn packed_bytes(p: &TransposeConvParams, packing: Packing) -> Option<u32> {
    // The first phases along an axis have the most taps, and the others one less, or all have as many.
    let kinds = |kernel: u32, stride: u32| {
        let (most, least) = (taps(kernel, stride, 0), taps(kernel, stride, stride.wrapping_sub(1)));
        let first = if most == least { stride } else { kernel.checked_rem(stride).unwrap_or(0) };
        [(most, first), (least, stride.wrapping_sub(first))]
    };
    let w = &p.window;
    if together(w) {
        let (rows, columns) = (taps(w.kernel_h, w.stride_h, 0), taps(w.kernel_w, w.stride_w, 0));
        return shape(p, packing, rows, columns)?.sizes()?.0.checked_mul(w.stride_h);
    }
    let mut all = 0u32;
    for (rows, times_h) in kinds(w.kernel_h, w.stride_h) {
        for (columns, times_w) in kinds(w.kernel_w, w.stride_w) {
            let (bytes, _) = shape(p, packing, rows, columns)?.sizes()?;
            all = all.checked_add(bytes.checked_mul(times_h.checked_mul(times_w)?)?)?;
        }
    }
    Some(all)
}

/// The window of a phase over the input: position 0 reads backwards from pixel 0.
fn phase_window(w: &Window, rows: u32, columns: u32) -> Window {
    Window {
        kernel_h: rows,
        kernel_w: columns,
        stride_h: 1,
        stride_w: 1,
        pad_top: rows.wrapping_sub(1),
        pad_left: columns.wrapping_sub(1),
        ..*w
    }
}

/// Bytes of the tile of a phase.
fn tile_bytes(shape: &Shape) -> Option<u32> {
    shape.padded_depth()?.checked_mul(u32::from(shape.packing.element.max(1)) * TILE as u32)
}

/// Bytes of scratch memory that an op with these parameters needs: [`TILE`] patches of the first
/// phase, which has the most taps; with packed weights also a segment of its pixels.
pub fn scratch_bytes(p: &TransposeConvParams) -> Option<u32> {
    let w = &p.window;
    let packing = Packing::from_tag(p.packing)?;
    if packing != Packing::PLAIN {
        let (rows, columns) = (taps(w.kernel_h, w.stride_h, 0), taps(w.kernel_w, w.stride_w, 0));
        let tile = tile_bytes(&shape(p, packing, rows, columns)?)?;
        return tile.checked_add(segment::bytes(&phase_window(w, rows, columns), p.in_channels)?);
    }
    let taps = taps(w.kernel_h, w.stride_h, 0).checked_mul(taps(w.kernel_w, w.stride_w, 0))?;
    taps.checked_mul(p.in_channels)?.checked_mul(TILE as u32)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &TransposeConvParams = node.params()?;
    let w = &p.window;
    window::check_op(node, w, p.batches, p.in_channels, p.out_channels)?;
    check_int8(p.input_zero_point)?;
    if w.dilation_h != 1 || w.dilation_w != 1 {
        return Err(Fault::Parameters);
    }
    match Packing::from_tag(p.packing).ok_or(Fault::Packing)? {
        Packing::PLAIN => {
            node.weights(p.packing, p.weights, weight_count(p).ok_or(Fault::Parameters)?)?;
            node.expect_stage(&p.stage, p.out_channels)?;
        }
        packing => {
            // Their number says that phases and taps are not too many.
            weight_count(p).ok_or(Fault::Parameters)?;
            node.expect_matrix(packed_bytes(p, packing).ok_or(Fault::Parameters)?, p.weights)?;
            node.expect_stage(&p.stage, channels(p).ok_or(Fault::Parameters)?)?;
        }
    }
    biases(node, p)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
}

fn biases<'a>(node: &Node<'a>, p: &TransposeConvParams) -> Result<&'a [i32], Fault> {
    // No phase is without weights, whose number fits 32 bits.
    let phases = p.window.stride_h.wrapping_mul(p.window.stride_w);
    node.constants(p.stage.bias, phases.wrapping_mul(p.out_channels))
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let node = eval.node();
    let Ok(p) = node.params::<TransposeConvParams>() else { return };
    // There are at least as many biases as the stage has of channels.
    let count = if p.packing == Packing::PLAIN.tag() { Some(p.out_channels) } else { channels(p) };
    let (Ok(stage), Ok(bias)) = (node.stage(&p.stage, count.unwrap_or(0)), biases(node, p)) else { return };
    match Packing::from_tag(p.packing) {
        Some(Packing::PLAIN) => {}
        Some(packing) => {
            let Ok(words) = node.constants_from::<u32>(p.weights) else { return };
            let stage = Stage { bias, ..stage };
            let weights = bytemuck::cast_slice(words);
            let tiles = Tiles::for_packing::<K>(packing);
            return transpose_packed(
                (tiles, packing),
                p,
                eval.input(0),
                weights,
                &stage,
                eval.scratch(),
                eval.output(0),
            );
        }
        None => return,
    }
    let Ok(weights) = node.weights(p.packing, p.weights, weight_count(p).unwrap_or(0)) else { return };
    transpose_conv::<K>(p, eval.input(0), weights, &Stage { bias, ..stage }, eval.scratch(), eval.output(0));
}

/// The same with packed weights: `weights` are the matrices of all phases, one behind the other, and `scratch`
/// is bytes.
#[inline(never)]
pub fn transpose_packed(
    (tiles, packing): (&Tiles, Packing),
    p: &TransposeConvParams,
    input: &[Cell<i8>],
    weights: &[u8],
    stage: &Stage<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let (channels, out_channels) = (p.in_channels as usize, p.out_channels as usize);
    for (image, out) in window::images(w, input, channels, out, out_channels) {
        let mut weights = weights;
        let mut biases = stage.bias.chunks_exact(out_channels.max(1));
        let together = together(w);
        for y in 0..if together { 1 } else { w.stride_h } {
            for x in 0..columns(w) {
                let (rows, columns) = (taps(w.kernel_h, w.stride_h, y), taps(w.kernel_w, w.stride_w, x));
                let Some(shape) = shape(p, packing, rows, columns) else { return };
                let (Some((bytes, depth)), Some(size)) = (shape.sizes(), tile_bytes(&shape)) else { return };
                let Some((tile, behind)) = scratch.split_at_checked(size as usize) else { return };
                if tiles.cleared && Some(depth) != shape.depth() {
                    fill(tile, 0);
                }
                let window = phase_window(w, rows, columns);
                let phase = Phase {
                    window,
                    rows: Line::new(y, w.stride_h, w.pad_top),
                    columns: Line::new(x, w.stride_w, w.pad_left),
                    depth: 0,
                    out_channels,
                };
                let segment = Segment::new(&window, (p.in_channels, 1), p.input_zero_point, image, behind);
                let work = Work { tiles, segment: &segment, tile, shape: &shape };
                if together {
                    all_phases(w, &work, weights, stage, out);
                    work.finish(stage, out);
                    break;
                }
                let stage = Stage { bias: biases.next().unwrap_or(&[]), ..*stage };
                phase.run_packed(w, &work, weights, &stage, out);
                if y.wrapping_add(1) == w.stride_h && x.wrapping_add(1) == w.stride_w {
                    work.finish(&stage, out);
                }
                weights = weights.get(bytes as usize..).unwrap_or(&[]);
            }
        }
    }
}

/// All phases of an image, if they have the same taps: each patch is gathered once.
#[inline(never)]
fn all_phases(w: &Window, work: &Work<'_>, weights: &[u8], stage: &Stage<'_>, out: &[Cell<i8>]) {
    let &Work { segment, shape, .. } = work;
    let pixel = (shape.channels as usize).max(1);
    let size = shape.bytes().unwrap_or(0) as usize;
    let line = (w.out_w / w.stride_w.max(1)).wrapping_mul(pixel as u32) as usize;
    let rows = (w.stride_h as usize).wrapping_mul(line).max(1);
    let of_segment = (segment.outputs() as usize).wrapping_mul(pixel).max(1);
    for (position, out) in (0u32..).zip(out.chunks(rows)) {
        let (mut column, mut first) = (0u32, 0usize);
        while first < line {
            segment.fill(position, column);
            let end = first.wrapping_add(of_segment).min(line);
            let count = end.wrapping_sub(first).checked_div(pixel).unwrap_or(0);
            let mut weights = weights;
            for (row, bias) in out.chunks(line.max(1)).zip(stage.bias.chunks(pixel)) {
                let out = row.get(first..end).unwrap_or(&[]);
                let multipliers = stage.multipliers;
                let part =
                    Part { weights, bias, multipliers, stage, group: 0, count, out, out_stride: pixel };
                work.make(&part);
                weights = weights.get(size..).unwrap_or(&[]);
            }
            column = column.wrapping_add(count as u32);
            first = end;
        }
    }
}

/// Convolves a batch of images, transposed. `input` is `[batches, in_h, in_w, in_channels]`, `out`
/// `[batches, out_h, out_w, out_channels]`; weights and biases are those of all phases, as
/// [`TransposeConvParams`] says; `scratch` has [`scratch_bytes`] bytes.
pub fn transpose_conv<K: Kernels>(
    p: &TransposeConvParams,
    input: &[Cell<i8>],
    weights: &[i8],
    stage: &Stage<'_>,
    scratch: &[Cell<i8>],
    out: &[Cell<i8>],
) {
    let w = &p.window;
    let (channels, out_channels) = (p.in_channels as usize, p.out_channels as usize);
    for (cells, out) in window::images(w, input, channels, out, out_channels) {
        let image =
            Image { cells, pixel: channels, first: 0, channels, zero_point: p.input_zero_point as i8 };
        let mut weights = weights;
        let mut biases = stage.bias.chunks_exact(out_channels.max(1));
        for y in 0..w.stride_h {
            for x in 0..w.stride_w {
                let (rows, columns) = (taps(w.kernel_h, w.stride_h, y), taps(w.kernel_w, w.stride_w, x));
                let depth = (rows as usize).wrapping_mul(columns as usize).wrapping_mul(channels);
                let Some((own, rest)) = weights.split_at_checked(depth.wrapping_mul(out_channels)) else {
                    return;
                };
                weights = rest;
                let phase = Phase {
                    window: phase_window(w, rows, columns),
                    rows: Line::new(y, w.stride_h, w.pad_top),
                    columns: Line::new(x, w.stride_w, w.pad_left),
                    depth,
                    out_channels,
                };
                let stage = Stage { bias: biases.next().unwrap_or(&[]), ..*stage };
                phase.run::<K>(w, &image, own, &stage, scratch, out);
            }
        }
    }
}

/// The output rows (or columns) of a phase: the first of them, its position in the phase, and the
/// distance to the next one.
#[derive(Clone, Copy)]
struct Line {
    first: u32,
    position: u32,
    stride: u32,
}

impl Line {
    /// The rows `o` with `(o + pad) % stride == phase`; row `o` is position `(o + pad) / stride`.
    fn new(phase: u32, stride: u32, pad: u32) -> Line {
        let position = pad.saturating_sub(phase).div_ceil(stride.max(1));
        Line { first: position.wrapping_mul(stride).wrapping_add(phase).wrapping_sub(pad), position, stride }
    }
}

/// One phase: a convolution with stride 1 whose outputs lie `stride` apart.
struct Phase {
    window: Window,
    rows: Line,
    columns: Line,
    depth: usize,
    out_channels: usize,
}

impl Phase {
    #[inline(never)]
    fn run_packed(
        &self,
        whole: &Window,
        work: &Work<'_>,
        weights: &[u8],
        stage: &Stage<'_>,
        out: &[Cell<i8>],
    ) {
        let out_stride = (self.columns.stride as usize).wrapping_mul(self.out_channels).max(1);
        let line = (whole.out_w as usize).wrapping_mul(self.out_channels).max(1);
        let lines = out.chunks_exact(line).skip(self.rows.first as usize);
        let of_segment = out_stride.wrapping_mul(work.segment.outputs() as usize).max(1);
        for (position, line) in (self.rows.position..).zip(lines.step_by(self.rows.stride.max(1) as usize)) {
            let first = (self.columns.first as usize).wrapping_mul(self.out_channels);
            let pixels = line.get(first..).unwrap_or(&[]);
            let mut column = self.columns.position;
            for out in pixels.chunks(of_segment) {
                // The last pixel of a row may lack the pixels of other phases behind it.
                let count = out.len().div_ceil(out_stride);
                work.segment.fill(position, column);
                let &Stage { bias, multipliers, .. } = stage;
                work.make(&Part { weights, bias, multipliers, stage, group: 0, count, out, out_stride });
                column = column.wrapping_add(count as u32);
            }
        }
    }

    fn run<K: Kernels>(
        &self,
        whole: &Window,
        image: &Image<'_>,
        weights: &[i8],
        stage: &Stage<'_>,
        scratch: &[Cell<i8>],
        out: &[Cell<i8>],
    ) {
        let out_stride = (self.columns.stride as usize).wrapping_mul(self.out_channels);
        let line = (whole.out_w as usize).wrapping_mul(self.out_channels).max(1);
        let lines = out.chunks_exact(line).skip(self.rows.first as usize);
        for (position, line) in (self.rows.position..).zip(lines.step_by(self.rows.stride.max(1) as usize)) {
            let first = (self.columns.first as usize).wrapping_mul(self.out_channels);
            let pixels = line.get(first..).unwrap_or(&[]);
            let mut column = self.columns.position;
            for tile in pixels.chunks(out_stride.wrapping_mul(TILE).max(1)) {
                // The last pixel of a tile may lack the pixels of other phases behind it.
                let count = tile.len().div_ceil(out_stride.max(1));
                for lane in 0..count {
                    let patch = scratch.get(lane..).unwrap_or(&[]);
                    window::gather(&self.window, image, position, column, patch, TILE);
                    column = column.wrapping_add(1);
                }
                let patches = scratch.get(..self.depth.wrapping_mul(TILE)).unwrap_or(&[]);
                K::matmul(patches, count, weights, stage, tile, out_stride);
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    extern crate std;
    use crate::cases::{Case, Constants, batches, dim, packing, sizes, window, zero_point};
    use crate::kernels::policy;

    let (window, batches) = (window(random), batches(random));
    let (in_channels, out_channels) = (dim(random, 5), dim(random, 5));
    let all = window.kernel_h.max(window.stride_h) * window.kernel_w.max(window.stride_w);
    let phases = window.stride_h * window.stride_w;
    let mut constants = Constants::default();
    let weights = random.elements((all * in_channels * out_channels) as usize);
    let depth = all * in_channels;
    let mut p = TransposeConvParams {
        window,
        batches,
        in_channels,
        out_channels,
        input_zero_point: zero_point(random),
        packing: 0,
        weights: constants.push(&weights),
        stage: constants.stage_with_biases(random, depth, out_channels, phases * out_channels),
    };
    let packing = packing(random, |target| policy(target).conv);
    if packing != Packing::PLAIN {
        p.packing = packing.tag();
        let mut words = std::vec::Vec::new();
        let w = &window;
        for phase in 0..w.stride_h * columns(w) {
            let rows = taps(w.kernel_h, w.stride_h, phase / columns(w));
            let shape = shape(&p, packing, rows, taps(w.kernel_w, w.stride_w, phase % columns(w)));
            words.extend(shape.map_or_else(std::vec::Vec::new, |shape| {
                random.padded_matrix(shape).words[..shape.bytes().unwrap_or(0) as usize / 4].to_vec()
            }));
        }
        p.weights = constants.push(&words);
        let all = phases * out_channels;
        p.stage = constants.stage_with_biases(random, depth, channels(&p).unwrap_or(1), all);
    }
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::TransposeConv, &p, constants).int8(random, input, output);
    let case = case.scratch(scratch_bytes(&p));
    // Packed weights are rounded twice.
    if packing == Packing::PLAIN { case.rounding(random) } else { case }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::Portable;
    use ferrolite_schema::Rounding;
    use ferrolite_schema::params::{Multiplier, OutputStage};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn numbers(count: usize, seed: u32) -> Vec<i8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as i8
        };
        (0..count).map(|_| next()).collect()
    }

    /// One dimension: input, output, kernel, stride, padding.
    fn line() -> impl Strategy<Value = [u32; 5]> {
        (1u32..5, 1u32..11, 1u32..6, 1u32..5, 0u32..4).prop_map(|(a, b, c, d, e)| [a, b, c, d, e])
    }

    /// Adds each input pixel's products to the outputs under its kernel, from `filter`
    /// `[out, kernel_h, kernel_w, in]`.
    fn by_definition(p: &TransposeConvParams, input: &[i8], filter: &[i8]) -> Vec<i64> {
        let w = &p.window;
        let (depth, outs) = (p.in_channels as usize, p.out_channels as usize);
        let mut sums = vec![0i64; (w.out_h * w.out_w) as usize * outs];
        for (pixel, x) in (0..).zip(input.chunks(depth)) {
            for tap in 0..w.kernel_h * w.kernel_w {
                let y = (pixel / w.in_w * w.stride_h + tap / w.kernel_w).checked_sub(w.pad_top);
                let x0 = (pixel % w.in_w * w.stride_w + tap % w.kernel_w).checked_sub(w.pad_left);
                let (Some(y), Some(x0)) = (y, x0) else { continue };
                if y >= w.out_h || x0 >= w.out_w {
                    continue;
                }
                for c in 0..outs {
                    let taps = (w.kernel_h * w.kernel_w) as usize;
                    let weights = &filter[(c * taps + tap as usize) * depth..][..depth];
                    let terms = x.iter().zip(weights);
                    let sum: i64 = terms
                        .map(|(&x, &w)| (i64::from(x) - i64::from(p.input_zero_point)) * i64::from(w))
                        .sum();
                    sums[(y * w.out_w + x0) as usize * outs + c] += sum;
                }
            }
        }
        sums
    }

    proptest! {
        #[test]
        fn phases_add_up_to_the_definition(
            (rows, columns) in (line(), line()),
            in_channels in 1u32..4,
            out_channels in 1u32..4,
            input_zero_point in -128i32..128,
            seed: u32,
        ) {
            let p = TransposeConvParams {
                window: Window {
                    in_h: rows[0],
                    in_w: columns[0],
                    out_h: rows[1],
                    out_w: columns[1],
                    kernel_h: rows[2],
                    kernel_w: columns[2],
                    stride_h: rows[3],
                    stride_w: columns[3],
                    dilation_h: 1,
                    dilation_w: 1,
                    pad_top: rows[4],
                    pad_left: columns[4],
                },
                batches: 1,
                in_channels,
                out_channels,
                input_zero_point,
                packing: 0,
                weights: 0,
                stage: OutputStage::default(),
            };
            let w = &p.window;
            let (depth, outs) = (in_channels as usize, out_channels as usize);
            let mut input = numbers((w.in_h * w.in_w) as usize * depth, seed);
            let filter = numbers((w.kernel_h * w.kernel_w) as usize * depth * outs, !seed);
            let (mut weights, mut bias) = (Vec::new(), Vec::new());
            for phase in 0..w.stride_h * w.stride_w {
                let (y, x) = (phase / w.stride_w, phase % w.stride_w);
                for c in 0..outs {
                    let first = weights.len();
                    for ky in (0..taps(w.kernel_h, w.stride_h, y)).rev().map(|t| y + t * w.stride_h) {
                        for kx in (0..taps(w.kernel_w, w.stride_w, x)).rev().map(|t| x + t * w.stride_w) {
                            let place = (c as u32 * w.kernel_h + ky) * w.kernel_w + kx;
                            let inside = ky < w.kernel_h && kx < w.kernel_w;
                            weights.extend((0..depth).map(|k| if inside { filter[place as usize * depth + k] } else { 0 }));
                        }
                    }
                    let sum: i32 = weights[first..].iter().map(|&w| i32::from(w)).sum();
                    bias.push(-input_zero_point * sum);
                }
            }
            prop_assert_eq!(weights.len(), weight_count(&p).unwrap() as usize);
            // 2^-10, rounded twice.
            let multipliers = [Multiplier { mantissa: 1 << 30, shift: -9 }];
            let stage = Stage {
                bias: &bias,
                multipliers: &multipliers,
                rounding: Rounding::Double,
                zero_point: 1,
                min: -128,
                max: 127,
            };
            let expected: Vec<i8> = by_definition(&p, &input, &filter)
                .iter()
                .map(|&sum| stage.apply(sum as i32, multipliers[0]))
                .collect();
            let mut scratch = vec![0i8; scratch_bytes(&p).unwrap() as usize];
            let mut out = vec![99i8; expected.len()];
            transpose_conv::<Portable>(
                &p,
                Cell::from_mut(&mut input[..]).as_slice_of_cells(),
                &weights,
                &stage,
                Cell::from_mut(&mut scratch[..]).as_slice_of_cells(),
                Cell::from_mut(&mut out[..]).as_slice_of_cells(),
            );
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn sizes_that_overflow_are_none() {
        let sizes = |kernel_h, kernel_w, in_channels, out_channels| {
            let one = Window { stride_h: 1, stride_w: 1, kernel_h, kernel_w, ..Window::default() };
            let p = TransposeConvParams { window: one, in_channels, out_channels, ..Default::default() };
            (weight_count(&p), scratch_bytes(&p))
        };
        let most = 1 << 16;
        assert_eq!(sizes(most, most, 1, 1), (None, None));
        assert_eq!(sizes(most, 1, most, 1), (None, None));
        assert_eq!(sizes(1 << 15, 1 << 15, 1, 1), (Some(1 << 30), None));
        assert_eq!(sizes(1 << 15, 1 << 14, 1, 1), (Some(1 << 29), Some(1 << 31)));
        assert_eq!(sizes(256, 256, 1, most), (None, Some(1 << 18)));
    }

    #[test]
    fn lines_of_a_phase() {
        // Stride 3, padding 1: row 0 is (0 + 1) % 3 = 1, so phase 1 starts at row 0, position 0.
        let lines = [0, 1, 2].map(|phase| Line::new(phase, 3, 1)).map(|line| (line.first, line.position));
        assert_eq!(lines, [(2, 1), (0, 0), (1, 0)]);
        let lines = [0, 1].map(|phase| Line::new(phase, 2, 4)).map(|line| (line.first, line.position));
        assert_eq!(lines, [(0, 2), (1, 2)]);
    }

    #[test]
    fn taps_of_a_phase() {
        assert_eq!([0, 1].map(|phase| taps(3, 2, phase)), [2, 1]);
        assert_eq!([0, 1, 2].map(|phase| taps(2, 3, phase)), [1, 1, 1], "the last one is of zeroes");
        for (kernel, stride) in [(1u32, 1u32), (5, 2), (4, 4), (2, 5), (7, 3)] {
            let all: u32 = (0..stride).map(|phase| taps(kernel, stride, phase)).sum();
            assert_eq!(all, kernel.max(stride));
        }
    }
}
