//! The safe interface of the leaves. It checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

use core::cell::Cell;

use ferrolite_schema::params::{Multiplier, Product, Sum, Weighted};

#[cfg(kernels = "mve")]
use super::QUAD;
#[cfg(kernels = "mve")]
use super::asm;
#[cfg(not(kernels = "mve"))]
use super::emulated;
use super::{Channels, MAX_TAPS, TILE, Tile, VECTOR};
use crate::kernels::{BAND_SLACK, Band, Cells, Lines};
use crate::tensor::TensorView;

/// Loads lines of `line` elements into a tile of [`TILE`] patches.
pub(super) fn load(tile: &[Cell<u8>], line: usize, lines: &Lines<'_>) {
    let depth = tile.len() / TILE;
    let (lanes, count) = (lines.lanes.len(), lines.lines.len());
    if lanes == 0 || count == 0 || line == 0 {
        return;
    }
    let reach = (lanes - 1).wrapping_mul(lines.step).wrapping_add((count - 1).wrapping_mul(lines.pitch));
    let fits = lines.lanes.end <= TILE
        && lines.lines.end.wrapping_mul(line) <= depth
        && lines.source.len() >= reach.wrapping_add(line);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: the last line starts `reach` elements after the first and exists;
    // in the tile, the lines of a patch end within its `depth` bytes, and there are `lanes` patches from the
    // first on. Cells may be written through a shared reference; no unique reference to them exists.
    #[cfg(kernels = "mve")]
    unsafe {
        let place = lines.lanes.start.wrapping_mul(depth).wrapping_add(lines.lines.start.wrapping_mul(line));
        let target: *mut u8 = tile.as_ptr().cast_mut().cast();
        let mut work = asm::Load {
            source: lines.source.as_ptr().cast(),
            target: target.add(place),
            lanes,
            step: lines.step,
            lines: count,
            pitch: lines.pitch,
            line,
            depth,
        };
        if count == 1 && line == depth && lines.step == line {
            // Patches that are as contiguous in the source as in the tile are one line.
            (work.line, work.lanes) = (line.wrapping_mul(lanes), 1);
        }
        asm::load(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::load(tile, line, lines);
}

/// Bytes from the multipliers of a quad to those of the next.
#[cfg(kernels = "mve")]
fn step(channels: &Channels<'_>) -> usize {
    if channels.shared { 0 } else { QUAD * size_of::<Multiplier>() }
}

/// Computes whole quads of channels for the pixels of a tile, with any multipliers if `GENERAL`. Channel 0 is element 0
/// of `out`, and pixels are `out_stride` elements apart.
pub(super) fn quads<const GENERAL: bool>(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let depth = tile.bytes.len() / TILE;
    let fits = depth != 0
        && depth & (VECTOR - 1) == 0
        && weights.len() >= depth.wrapping_mul(channels.count)
        && (tile.bytes.as_ptr() as usize | weights.as_ptr() as usize) & 3 == 0
        && channels.are_there()
        && (1..=TILE).contains(&tile.pixels)
        && out.len() >= (tile.pixels - 1).wrapping_mul(out_stride).wrapping_add(channels.count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `TILE` patches of `depth` bytes, as many bytes of weights, a bias
    // and a multiplier for each channel, `count` elements of output for each pixel that counts. Words are
    // aligned to 4, those of the output unless `unaligned` says otherwise.
    #[cfg(kernels = "mve")]
    unsafe {
        let first: *const u8 = tile.bytes.as_ptr().cast();
        let place: *mut i8 = out.as_ptr().cast_mut().cast();
        let patch = |lane: usize| first.add(depth.wrapping_mul(lane));
        let offset = |lane: usize| lane.wrapping_mul(out_stride);
        let work = asm::Quads {
            patches: [patch(0), patch(1), patch(2), patch(3)],
            more: depth / VECTOR - 1,
            back: (depth * QUAD).wrapping_sub(2 * VECTOR),
            out: place,
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: step(channels),
            zero_point: channels.zero_point,
            quads: channels.count / QUAD,
            pixels: tile.pixels,
            offsets: [offset(0), offset(1), offset(2), offset(3)],
            unaligned: (place as usize | out_stride) & 3,
            weights: weights.as_ptr(),
        };
        if GENERAL { asm::quads_general(&raw const work) } else { asm::quads(&raw const work) }
    }
    #[cfg(not(kernels = "mve"))]
    emulated::quads::<GENERAL>(tile, weights, channels, out, out_stride);
}

/// Computes whole quads of channels of a row of input, with any multipliers if `GENERAL`.
pub(super) fn dense<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let depth = input.len().next_multiple_of(VECTOR);
    let fits = !input.is_empty()
        && weights.len() >= depth.wrapping_mul(channels.count)
        && channels.are_there()
        && out.len() >= channels.count;
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a row of weights for each channel, as long as the input in whole
    // vectors, a bias and a multiplier for each channel, `count` elements of output.
    #[cfg(kernels = "mve")]
    unsafe {
        let work = asm::Dense {
            weights: weights.as_ptr(),
            input: input.as_ptr().cast(),
            step: step(channels),
            bias: channels.bias.as_ptr(),
            zero_point: channels.zero_point,
            multipliers: channels.multipliers.as_ptr(),
            inputs: input.len(),
            out: out.as_ptr().cast_mut().cast(),
            bias_end: channels.bias.as_ptr().add(channels.count),
        };
        if GENERAL { asm::dense_general(&raw const work) } else { asm::dense(&raw const work) }
    }
    #[cfg(not(kernels = "mve"))]
    emulated::dense::<GENERAL>(input, weights, channels, out);
}

/// Computes whole quads of channels of a row of input, with outputs of int16.
pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u8], channels: &Channels<'_>, out: &[Cell<i16>]) {
    let depth = input.len().next_multiple_of(VECTOR);
    let fits = !input.is_empty()
        && weights.len() >= depth.wrapping_mul(channels.count)
        && channels.are_there()
        && out.len() >= channels.count;
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a row of weights for each channel, as long as the input in whole
    // vectors, a bias and a multiplier for each channel, `count` elements of output.
    #[cfg(kernels = "mve")]
    unsafe {
        let work = asm::Dense {
            weights: weights.as_ptr(),
            input: input.as_ptr().cast(),
            step: step(channels),
            bias: channels.bias.as_ptr(),
            zero_point: channels.zero_point,
            multipliers: channels.multipliers.as_ptr(),
            inputs: input.len(),
            out: out.as_ptr().cast_mut().cast(),
            bias_end: channels.bias.as_ptr().add(channels.count),
        };
        asm::dense_int16(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::dense_int16(input, weights, channels, out);
}

/// Copies an image row, which must be whole pixels, into ring row `slot` of a planar band, after `left`
/// pixels of padding; the rest becomes padding too.
pub(super) fn spread(band: &Band<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
    let left = left.min(band.width);
    let pixels = row.len().checked_div(band.channels).unwrap_or(0).min(band.width - left);
    let plane = band.width.wrapping_mul(band.rows);
    let fits = slot < band.rows
        && band.channels != 0
        && plane.wrapping_mul(7) <= u16::MAX as usize
        && band.cells.len() >= plane.wrapping_mul(band.channels);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a plane of `width * rows` bytes for each channel, at most `width`
    // pixels of `channels` elements. Cells may be written through a shared reference.
    #[cfg(kernels = "mve")]
    unsafe {
        let first: *mut u8 = band.cells.as_ptr().cast_mut().cast();
        let work = asm::Spread {
            source: row.as_ptr().cast(),
            target: first.add(slot),
            channels: band.channels,
            plane,
            column: band.rows,
            left,
            pixels,
            right: band.width - left - pixels,
            padding: zero_point.into(),
        };
        asm::spread(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::spread(band, slot, left, pixels, row, zero_point);
}

/// Computes whole quads of channels of a row of a 3x3 depthwise convolution, starting with channel `first` of
/// a planar band: element 0 of `out` and byte 0 of `weights` are that channel's.
pub(super) fn depthwise_3x3(
    band: &Band<'_>,
    first: usize,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let pixels = out.len().wrapping_add(first).checked_div(band.channels).unwrap_or(0);
    let plane = band.width.wrapping_mul(3);
    let fits = pixels != 0
        && (band.rows, band.columns) == (3, 3)
        && (1..=2).contains(&band.stride)
        && channels.are_there()
        && first.wrapping_add(channels.count) <= band.channels
        && weights.len() >= TAPS.wrapping_mul(channels.count)
        && band.width >= (pixels - 1).wrapping_mul(band.stride).wrapping_add(3)
        && band.cells.len() >= plane.wrapping_mul(band.channels).wrapping_add(READ_AHEAD);
    if !fits {
        return;
    }
    let Some(offsets) = TAP_OFFSETS.get(band.first) else { return };
    // SAFETY: the sizes were checked above: a plane of `3 * width` bytes for each channel and `READ_AHEAD`
    // bytes after the last one, nine bytes of weights, a bias and a multiplier for each channel, `count`
    // elements of output in each of `pixels` pixels.
    #[cfg(kernels = "mve")]
    unsafe {
        let cells: *const u8 = band.cells.as_ptr().cast();
        let mut work = asm::Depthwise {
            weights: weights.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            plane: cells.add(plane.wrapping_mul(first)),
            out: out.as_ptr().cast_mut().cast(),
            pitch: plane,
            step: step(channels),
            quads: channels.count / QUAD,
            pixels,
            channels: band.channels,
            zero_point: channels.zero_point,
            two: band.stride - 1,
            offsets: *offsets,
        };
        asm::depthwise_3x3(&raw mut work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::depthwise(band, first, weights, offsets, channels, out);
}

/// Like [`depthwise_3x3`], for any kernel.
#[inline(never)]
pub(super) fn depthwise(
    band: &Band<'_>,
    first: usize,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let pixels = out.len().wrapping_add(first).checked_div(band.channels).unwrap_or(0);
    let (plane, taps) = (band.width.wrapping_mul(band.rows), band.rows.wrapping_mul(band.columns));
    let fits = pixels != 0
        && (1..=MAX_TAPS).contains(&taps)
        && band.stride != 0
        && channels.are_there()
        && first.wrapping_add(channels.count) <= band.channels
        && weights.len() >= taps.wrapping_mul(channels.count)
        && band.width >= (pixels - 1).wrapping_mul(band.stride).wrapping_add(band.columns)
        && band.cells.len() >= plane.wrapping_mul(band.channels);
    if !fits {
        return;
    }
    // For each byte of a window, column by column of ring rows, the index of its tap.
    let first_row = band.first.min(band.rows);
    let mut offsets = [0; MAX_TAPS];
    let mut places = offsets.iter_mut();
    for column in 0..band.columns {
        for slot in 0..band.rows {
            let turned = if slot < first_row { band.rows } else { 0 };
            let row = slot.wrapping_add(turned).wrapping_sub(first_row);
            if let Some(place) = places.next() {
                *place = row.wrapping_mul(band.columns).wrapping_add(column) as u8;
            }
        }
    }
    // SAFETY: the sizes were checked above: a plane of `rows * width` bytes for each channel, in which each
    // of `pixels` windows has `taps` bytes, `taps` bytes of weights and as many numbers below `taps`, a bias
    // and a multiplier for each channel, `count` elements of output in each of `pixels` pixels.
    #[cfg(kernels = "mve")]
    unsafe {
        let cells: *const u8 = band.cells.as_ptr().cast();
        let mut work = asm::AnyDepthwise {
            plane: cells.add(plane.wrapping_mul(first)),
            pitch: plane,
            weights: weights.as_ptr(),
            taps,
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: step(channels),
            out: out.as_ptr().cast_mut().cast(),
            channels: band.channels,
            zero_point: channels.zero_point,
            back: taps.next_multiple_of(VECTOR).wrapping_sub(band.stride.wrapping_mul(band.rows)),
            offsets: offsets.as_ptr(),
            pixels,
            quads: channels.count / QUAD,
            left: 0,
            place: core::ptr::null_mut(),
        };
        asm::depthwise(&raw mut work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::depthwise(band, first, weights, &offsets, channels, out);
}

/// Taps of a 3x3 kernel.
const TAPS: usize = 9;

/// For each byte of a window, which is three columns of three ring rows, the index of its tap; for each ring
/// row that may be the first.
static TAP_OFFSETS: [[u8; VECTOR]; 3] = {
    let mut offsets = [[0; VECTOR]; 3];
    let mut at = 0;
    while at < 3 * TAPS {
        let (first, lane) = (at / TAPS, at % TAPS);
        let (column, slot) = (lane / 3, lane % 3);
        offsets[first][lane] = ((slot + 3 - first) % 3 * 3 + column) as u8;
        at += 1;
    }
    offsets
};

/// Bytes after a band that [`depthwise_3x3`] reads: the rest of a vector after the last window.
const READ_AHEAD: usize = VECTOR - TAPS;

const _: () = assert!(READ_AHEAD <= BAND_SLACK);

/// Whether a multiplier shifts right or not at all: vectors can scale down by such a multiplier.
pub(super) fn is_right(multiplier: &Multiplier) -> bool {
    multiplier.mantissa >= 0 && (-31..=0).contains(&multiplier.shift)
}

/// Factor for the sign of a product: a second rounding exists only if there is a shift.
#[cfg(kernels = "mve")]
fn second_rounding(multiplier: &Multiplier) -> i32 {
    i32::from(multiplier.shift < 0)
}

/// Whether [`add`] serves a sum: no multiplier shifts left.
pub(super) fn adds(sum: &Sum) -> bool {
    [&sum.a.multiplier, &sum.b.multiplier, &sum.multiplier].into_iter().all(is_right)
}

/// Adds elements of operands of the same length, with two roundings; nothing if the lengths differ, or for a sum that it
/// does not serve.
pub(super) fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, out: &[Cell<i8>]) {
    if a.len() != out.len() || b.len() != out.len() || out.is_empty() || !adds(sum) {
        return;
    }
    // SAFETY: all three have the length of `out`; the elements of a vector are read before those of the same
    // vector are written.
    #[cfg(kernels = "mve")]
    unsafe {
        let zero = |zero_point: i32| zero_point.wrapping_neg().wrapping_shl(20);
        let work = asm::Add {
            a: a.as_ptr(),
            b: b.as_ptr(),
            out: out.as_ptr().cast_mut().cast(),
            zeroes: [zero(sum.a.zero_point), zero(sum.b.zero_point)],
            mantissas: [sum.a.multiplier.mantissa, sum.b.multiplier.mantissa],
            roundings: [second_rounding(&sum.a.multiplier), second_rounding(&sum.b.multiplier)],
            shift_a: sum.a.multiplier.shift,
            sign: sum.sign,
            rounding: second_rounding(&sum.multiplier),
            zero_point: sum.zero_point,
            len: out.len(),
            shift_b: sum.b.multiplier.shift,
            multiplier: sum.multiplier,
            min: sum.min,
            max: sum.max,
        };
        asm::add(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::add(a, b, sum, out);
}

/// Adds elements with factors; nothing if the lengths differ.
pub(super) fn weighted_sum(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Weighted, out: &[Cell<i8>]) {
    if a.len() != out.len() || b.len() != out.len() || out.is_empty() {
        return;
    }
    // SAFETY: as for `add`.
    #[cfg(kernels = "mve")]
    unsafe {
        let &Weighted { factor_a, factor_b, term, min, max } = sum;
        let (a, b, len) = (a.as_ptr(), b.as_ptr(), out.len());
        let out = out.as_ptr().cast_mut().cast();
        asm::weighted_sum(&asm::WeightedSum { a, b, out, len, factor_a, factor_b, term, min, max });
    }
    #[cfg(not(kernels = "mve"))]
    crate::kernels::portable::weighted_sum(a, b, sum, out);
}

/// Multiplies elements; nothing if the lengths differ, or if the multiplier shifts left.
pub(super) fn mul(a: TensorView<'_, i8>, b: TensorView<'_, i8>, product: &Product, out: &[Cell<i8>]) {
    if a.len() != out.len() || b.len() != out.len() || out.is_empty() || !is_right(&product.multiplier) {
        return;
    }
    // SAFETY: as for `add`.
    #[cfg(kernels = "mve")]
    unsafe {
        let work = asm::Mul {
            a: a.as_ptr(),
            b: b.as_ptr(),
            out: out.as_ptr().cast_mut().cast(),
            zero_points: [product.a_zero_point, product.b_zero_point],
            multiplier: product.multiplier,
            rounding: second_rounding(&product.multiplier),
            zero_point: product.zero_point,
            min: product.min,
            max: product.max,
            len: out.len(),
        };
        asm::mul(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::mul(a, b, product, out);
}

/// The larger or smaller elements of operands of the same length; nothing if the lengths differ.
pub(super) fn min_max(a: TensorView<'_, i8>, b: TensorView<'_, i8>, maximum: bool, out: &[Cell<i8>]) {
    if a.len() != out.len() || b.len() != out.len() || out.is_empty() {
        return;
    }
    // SAFETY: as for `add`.
    #[cfg(kernels = "mve")]
    unsafe {
        let turn = if maximum { 0 } else { -1 };
        asm::largest(a.as_ptr(), b.as_ptr(), out.as_ptr().cast_mut().cast(), out.len(), turn);
    }
    #[cfg(not(kernels = "mve"))]
    crate::kernels::portable::min_max(a, b, maximum, out);
}

/// Whether all cells are inside the image, and there is an output for each channel.
fn are_there(cells: &Cells<'_>, out: &[Cell<i8>]) -> bool {
    let reach = cells.height.wrapping_sub(1).wrapping_mul(cells.stride);
    cells.height != 0
        && cells.width != 0
        && cells.channels != 0
        && cells.image.len() >= reach.wrapping_add(cells.width.wrapping_mul(cells.channels))
        && out.len() >= cells.channels
}

/// Numbers of cells for which a multiplication gives the mean: it is exact if `129 * count^2` is below 2^32.
const COUNTS: core::ops::RangeInclusive<i32> = 2..=4096;

/// Means of channels over some cells; returns false for a number of cells outside of [`COUNTS`].
pub(super) fn average_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) -> bool {
    let count = cells.count();
    if !are_there(cells, out) || !COUNTS.contains(&count) {
        return false;
    }
    let reciprocal = (u32::MAX / count as u32).wrapping_add(1);
    // SAFETY: `height` rows of `width` cells of `channels` elements are inside the image, and `channels`
    // elements in the output. A channel is written after all its cells were read, because input and output
    // may overlap.
    #[cfg(kernels = "mve")]
    unsafe {
        let work = asm::Average {
            out: out.as_ptr().cast_mut().cast(),
            width: cells.width,
            channels: cells.channels,
            max,
            height: cells.height,
            stride: cells.stride,
            half: count / 2,
            reciprocal,
            min,
            image: cells.image.as_ptr().cast(),
        };
        asm::average_pool(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::average_pool(cells, reciprocal, min, max, out);
    true
}

/// Largest elements of channels over some cells.
#[inline(always)]
pub(super) fn max_pool(cells: &Cells<'_>, min: i32, max: i32, out: &[Cell<i8>]) {
    if !are_there(cells, out) {
        return;
    }
    // SAFETY: as for `average_pool`.
    #[cfg(kernels = "mve")]
    unsafe {
        let work = asm::Largest {
            out: out.as_ptr().cast_mut().cast(),
            width: cells.width,
            channels: cells.channels,
            height: cells.height,
            stride: cells.stride,
            min,
            max,
            image: cells.image.as_ptr().cast(),
        };
        asm::max_pool(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::max_pool(cells, min, max, out);
}

/// Looks elements up in a table, as many as both sides have.
pub(super) fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
    let len = input.len().min(out.len());
    if len == 0 {
        return;
    }
    // SAFETY: both sides have `len` elements, the table one for each byte.
    #[cfg(kernels = "mve")]
    unsafe {
        asm::lookup(input.as_ptr().cast(), table.as_ptr(), out.as_ptr().cast_mut().cast(), len);
    }
    #[cfg(not(kernels = "mve"))]
    crate::kernels::portable::lookup(input, table, out);
}

/// See [`Kernels::extreme`](crate::kernels::Kernels::extreme).
pub(super) fn extreme(run: TensorView<'_, i8>, largest: bool) -> i8 {
    #[cfg(kernels = "mve")]
    if !run.is_empty() {
        let turn = if largest { 0 } else { -1 };
        // SAFETY: so many elements are there.
        return unsafe { asm::extreme(run.as_ptr(), run.len(), turn) } as i8;
    }
    crate::kernels::portable::extreme(run, largest)
}

/// See [`Kernels::sum`](crate::kernels::Kernels::sum).
pub(super) fn sum(run: TensorView<'_, i8>) -> i32 {
    #[cfg(kernels = "mve")]
    if !run.is_empty() {
        // SAFETY: so many elements are there.
        return unsafe { asm::sum(run.as_ptr(), run.len()) };
    }
    crate::kernels::sums::sum(run)
}
