//! The safe face of the leaves: sizes are checked here, once per call; what does not fit is not computed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "mve")]
use super::QUAD;
#[cfg(kernels = "mve")]
use super::asm;
#[cfg(not(kernels = "mve"))]
use super::emulated;
use super::{Channels, TAPS, TILE, Tile, VECTOR};
use crate::kernels::{BAND_SLACK, Band, Lines};

/// Enters lines of `line` elements into a tile of [`TILE`] patches.
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
    // SAFETY: sizes as just found: the last line starts `reach` elements behind the first and is there; in the
    // tile lines of a patch end within its `depth` bytes, and `lanes` patches are there from the first on.
    // Cells may be written through a shared reference; no unique reference to them exists.
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
            // Patches that follow one another as in the tile.
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
    if channels.shared { 0 } else { QUAD * size_of::<ferrolite_schema::params::Multiplier>() }
}

/// Makes whole quads of channels for the pixels of a tile: channel 0 is element 0 of `out`, pixels are
/// `out_stride` elements apart.
pub(super) fn quads(
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
    // SAFETY: sizes as just found: `TILE` patches of `depth` bytes, as many bytes of weights, a bias and a
    // multiplier for each channel, `count` elements of output for each pixel that counts. Words lie at
    // multiples of 4, those of the output unless `unaligned` says otherwise.
    #[cfg(kernels = "mve")]
    unsafe {
        let first: *const u8 = tile.bytes.as_ptr().cast();
        let place: *mut i8 = out.as_ptr().cast_mut().cast();
        let patch = |lane: usize| first.add(depth.wrapping_mul(lane));
        let offset = |lane: usize| lane.wrapping_mul(out_stride);
        let work = asm::Quads {
            patches: [patch(0), patch(1), patch(2), patch(3)],
            vectors: depth / VECTOR,
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
        asm::quads(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::quads(tile, weights, channels, out, out_stride);
}

/// Makes whole quads of channels from a row of input.
pub(super) fn dense(input: &[Cell<i8>], weights: &[u8], channels: &Channels<'_>, out: &[Cell<i8>]) {
    let depth = input.len().next_multiple_of(VECTOR);
    let fits = !input.is_empty()
        && weights.len() >= depth.wrapping_mul(channels.count)
        && channels.are_there()
        && out.len() >= channels.count;
    if !fits {
        return;
    }
    // SAFETY: sizes as just found: a row of weights for each channel, as long as the input in whole vectors, a
    // bias and a multiplier for each channel, `count` elements of output.
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
        asm::dense(&raw const work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::dense(input, weights, channels, out);
}

/// Enters an image row, whole pixels, into ring row `slot` of a planar band, behind `left` pixels of padding;
/// what it does not fill becomes padding too.
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
    // SAFETY: sizes as just found: a plane of `width * rows` bytes for each channel, at most `width` pixels of
    // `channels` elements. Cells may be written through a shared reference.
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

/// Makes whole quads of channels of a row of a 3x3 depthwise convolution,
/// from channel `first` of a planar band on: element 0 of `out` and byte 0 of `weights` are that channel's.
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
        && band.first < 3
        && channels.are_there()
        && first.wrapping_add(channels.count) <= band.channels
        && weights.len() >= TAPS.wrapping_mul(channels.count)
        && band.width >= (pixels - 1).wrapping_mul(band.stride).wrapping_add(3)
        && band.cells.len() >= plane.wrapping_mul(band.channels).wrapping_add(READ_AHEAD);
    if !fits {
        return;
    }
    // In the order of the bytes of a window: which tap lies in ring row `slot` of each column.
    let offsets: [u8; VECTOR] = core::array::from_fn(|lane| {
        let (column, slot) = (lane / 3, lane % 3);
        let row = slot.wrapping_add(3).wrapping_sub(band.first) % 3;
        if lane < TAPS { (row * 3 + column) as u8 } else { 0 }
    });
    // SAFETY: sizes as just found: a plane of `3 * width` bytes for each channel and `READ_AHEAD` bytes behind
    // the last one, nine bytes of weights, a bias and a multiplier for each channel, `count` elements of output
    // in each of `pixels` pixels.
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
            offsets,
        };
        asm::depthwise_3x3(&raw mut work);
    }
    #[cfg(not(kernels = "mve"))]
    emulated::depthwise_3x3(band, first, weights, &offsets, channels, out);
}

/// Bytes behind a band that [`depthwise_3x3`] reads: those of a vector behind the last window.
const READ_AHEAD: usize = VECTOR - TAPS;

const _: () = assert!(READ_AHEAD <= BAND_SLACK);
