//! The safe interface of the leaves. It checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(not(kernels = "rv32im"))]
use super::emulated;
#[cfg(kernels = "rv32im")]
use super::{BLOCK, asm};
use super::{Band, Channels, TILE, Tile};

/// Copies elements to a target that does not overlap them; copies none if they do not fit.
pub(super) fn copy(source: &[Cell<i8>], target: &[Cell<i8>]) {
    if source.len() > target.len() {
        return;
    }
    // SAFETY: `source.len()` elements are there on both sides, as checked above. Cells may be written through
    // a shared reference; no unique reference to them exists. If both sides overlap, the result is not a
    // copy, but it is still bytes.
    #[cfg(kernels = "rv32im")]
    unsafe {
        asm::copy(source.as_ptr().cast(), target.as_ptr().cast_mut().cast(), source.len())
    }
    #[cfg(not(kernels = "rv32im"))]
    crate::tensor::copy(source, target);
}

/// Copies `count` lines of `len` elements. Those of the source are `pitch` elements apart, those of the
/// target are contiguous. Copies none if they do not fit.
pub(super) fn copy_lines(source: &[Cell<i8>], pitch: usize, target: &[Cell<i8>], len: usize, count: usize) {
    let Some(last) = count.checked_sub(1) else { return };
    let fits =
        source.len() >= last.wrapping_mul(pitch).wrapping_add(len) && target.len() >= count.wrapping_mul(len);
    if !fits {
        return;
    }
    #[cfg(kernels = "rv32im")]
    for line in 0..count {
        // SAFETY: `len` elements are there on both sides, as checked above; otherwise as in `copy`.
        unsafe {
            let from: *const i8 = source.as_ptr().add(line.wrapping_mul(pitch)).cast();
            let to: *const i8 = target.as_ptr().add(line.wrapping_mul(len)).cast();
            asm::copy(from, to.cast_mut(), len);
        }
    }
    #[cfg(not(kernels = "rv32im"))]
    for (target, number) in target.chunks(len.max(1)).zip(0..count) {
        crate::tensor::copy(source.get(number * pitch..).unwrap_or(&[]), target);
    }
}

/// Computes the channels of `channels`, for the pixels of a tile, with any multipliers if `GENERAL`. Channel 0 is element 0 of `out`, and pixels are `out_stride` elements apart.
pub(super) fn blocks<const GENERAL: bool>(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    let fits = tile.bytes.len() >= tile.depth.wrapping_mul(TILE)
        && weights.len() >= tile.depth.wrapping_mul(count)
        && tile.depth != 0
        && count != 0
        && channels.cover(count)
        && (1..=TILE).contains(&tile.pixels)
        && out.len() >= (tile.pixels - 1).wrapping_mul(out_stride).wrapping_add(count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `depth` bytes of tile for each of four pixels, `depth` weights, a
    // bias and a multiplier for each channel, `count` elements of output for each pixel; missing pixels have
    // the address of the last one. Cells may be written through a shared reference; no unique reference to
    // them exists.
    #[cfg(kernels = "rv32im")]
    unsafe {
        let first: *mut i8 = out.as_ptr().cast_mut().cast();
        let place = |lane: usize| first.add(lane.min(tile.pixels - 1).wrapping_mul(out_stride));
        let mut work = asm::Blocks {
            tile: tile.bytes.as_ptr().cast(),
            depth: tile.depth,
            weights: weights.as_ptr().cast(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            out: [place(0), place(1), place(2), place(3)],
            blocks: count / BLOCK,
            rest: count % BLOCK,
            half: channels.half,
            step: step(channels),
            min: channels.min,
            max: channels.max,
        };
        if GENERAL { asm::blocks_general(&raw mut work) } else { asm::blocks(&raw mut work) }
    }
    #[cfg(not(kernels = "rv32im"))]
    emulated::blocks::<GENERAL>(tile, weights, channels, out, out_stride);
}

/// Bytes from one channel's multiplier to the next.
#[cfg(kernels = "rv32im")]
pub(super) fn step(channels: &Channels<'_>) -> usize {
    if channels.multipliers.len() == 1 { 0 } else { size_of::<ferrolite_schema::params::Multiplier>() }
}

/// Computes all channels of a row of input, with any multipliers if `GENERAL`.
#[inline(always)]
pub(super) fn dense<const GENERAL: bool>(
    input: &[Cell<i8>],
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
) {
    let size = input.len().checked_mul(out.len());
    let fits = size.is_some_and(|size| size != 0 && size <= weights.len()) && channels.cover(out.len());
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a weight for each element of the input, a bias, a multiplier and
    // an output for each channel.
    #[cfg(kernels = "rv32im")]
    unsafe {
        let dense = if GENERAL { asm::dense_general } else { asm::dense };
        dense(
            input.as_ptr().cast(),
            input.len(),
            weights.as_ptr().cast(),
            channels.bias.as_ptr(),
            channels.multipliers.as_ptr(),
            out.as_ptr().cast_mut().cast(),
            out.len(),
            channels.half,
            step(channels),
            channels.min,
            channels.max,
        );
    }
    #[cfg(not(kernels = "rv32im"))]
    emulated::dense::<GENERAL>(input, weights, channels, out);
}

/// Computes all channels of a row of input, with outputs of int16.
#[inline]
pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u8], channels: &Channels<'_>, out: &[Cell<i16>]) {
    let size = input.len().checked_mul(out.len());
    let fits = size.is_some_and(|size| size != 0 && size <= weights.len()) && channels.cover(out.len());
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a weight for each element of the input, a bias, a multiplier and
    // an output for each channel.
    #[cfg(kernels = "rv32im")]
    unsafe {
        asm::dense_int16(
            input.as_ptr().cast(),
            input.len(),
            weights.as_ptr().cast(),
            channels.bias.as_ptr(),
            channels.multipliers.as_ptr(),
            out.as_ptr().cast_mut().cast(),
            out.len(),
            channels.half,
            step(channels),
            channels.min,
            channels.max,
        );
    }
    #[cfg(not(kernels = "rv32im"))]
    emulated::dense_int16(input, weights, channels, out);
}

/// Computes a row of a 3x3 depthwise convolution with stride 1 or 2; returns false if sizes do not fit.
pub(super) fn depthwise_3x3(
    band: &Band<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    stride: usize,
    out: &[Cell<i8>],
) -> bool {
    let count = band.channels;
    let pixels = out.len().checked_div(count).unwrap_or(0);
    let fits = count != 0
        && pixels != 0
        && channels.cover(count)
        && weights.len() >= count.wrapping_mul(9)
        && band.width >= (pixels - 1).wrapping_mul(stride).wrapping_add(3)
        && band.row_bytes >= band.width.wrapping_mul(count)
        && (0..3).all(|row| band.line(row).len() == band.row_bytes);
    if !fits {
        return false;
    }
    // SAFETY: the sizes were checked above: three rows of at least `(pixels - 1) * stride + 3` pixels, nine
    // weights, a bias and a multiplier for each channel, `pixels` pixels of output.
    #[cfg(kernels = "rv32im")]
    unsafe {
        let row = |row: usize| band.line(row).as_ptr().cast();
        let columns = (pixels - 1).wrapping_mul(stride).wrapping_add(3);
        let mut work = asm::Depthwise {
            rows: [row(0), row(1), row(2)],
            channels: count,
            // Pointers go back from the end of the last pixel to the next channel of the first one.
            rewind: columns.wrapping_mul(count).wrapping_sub(1),
            weights: weights.as_ptr().cast(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: step(channels),
            out: out.as_ptr().cast_mut().cast(),
            row: pixels.wrapping_mul(count),
            left: count,
            half: channels.half,
            min: channels.min,
            max: channels.max,
        };
        if stride == 1 {
            asm::depthwise_stride_1(&raw mut work);
        } else {
            asm::depthwise_stride_2(&raw mut work);
        }
    }
    #[cfg(not(kernels = "rv32im"))]
    emulated::depthwise_3x3(band, weights, channels, stride, out);
    true
}
