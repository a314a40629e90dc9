//! The safe interface of the leaves. It checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "armv7m")]
use super::asm;
#[cfg(not(kernels = "armv7m"))]
use super::emulated;
use super::{Band, Channels, Lines, PAIRS, Pixels, QUAD, TILE, Tile};

/// Loads lines of `len` elements of one or two pixels into the words of a pair, which are [`PAIRS`] words
/// apart. `source` starts with the first of these pixels, `target` with the first word of the first line.
pub(super) fn enter(
    pixels: Pixels,
    source: &[Cell<i8>],
    len: usize,
    lines: &Lines<'_>,
    target: &[Cell<i32>],
) {
    let (count, step) = (lines.lines.len(), if pixels == Pixels::Both { lines.step } else { 0 });
    if count == 0 || len == 0 {
        return;
    }
    let before_last = (count - 1).wrapping_mul(lines.pitch).wrapping_add(step);
    // After the last word, the target may end before the words of the other pairs.
    let fits = source.len() >= before_last.wrapping_add(len)
        && target.len() >= count.wrapping_mul(len).wrapping_mul(PAIRS).wrapping_sub(PAIRS - 1);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above. Cells may be written through a shared reference; no unique
    // reference to them exists.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let work = asm::Enter {
            source: source.as_ptr().cast(),
            target: target.as_ptr().cast_mut().cast(),
            len,
            lines: count,
            pitch: lines.pitch,
            second: step,
        };
        match pixels {
            Pixels::First => asm::enter_first(&raw const work),
            Pixels::Second => asm::enter_second(&raw const work),
            Pixels::Both => asm::enter_both(&raw const work),
        }
    }
    #[cfg(not(kernels = "armv7m"))]
    for number in 0..count {
        let source = source.get(number * lines.pitch..).unwrap_or(&[]);
        emulated::enter(pixels, source, len, step, target.get(number * len * PAIRS..).unwrap_or(&[]));
    }
}

/// Computes an even number of channels, those of `channels`, for the pixels of a tile. Channel 0 is element 0
/// of `out`, and pixels are `out_stride` elements apart.
#[inline(always)]
pub(super) fn products(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    if count < 2 || count & 1 != 0 || !fits(tile, weights, channels, out, out_stride) {
        return;
    }
    // SAFETY: the sizes were checked above.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let work = arguments(tile, weights, channels, out, out_stride);
        asm::products(&raw const work);
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::products(tile, weights, channels, out, out_stride);
}

/// The same for one channel, whose weights lie side by side.
#[inline(always)]
pub(super) fn last(
    tile: &Tile<'_>,
    weights: &[u8],
    channel: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    if channel.bias.len() != 1 || !fits(tile, weights, channel, out, out_stride) {
        return;
    }
    // SAFETY: the sizes were checked above.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let work = arguments(tile, weights, channel, out, out_stride);
        asm::last(&raw const work);
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::products(tile, weights, channel, out, out_stride);
}

/// Whether there are `depth * PAIRS` words of tile, `depth` weights, a bias and a multiplier for each channel, and as many
/// elements of output for each pixel.
#[inline(always)]
fn fits(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) -> bool {
    let count = channels.bias.len();
    tile.words.len() >= tile.depth.wrapping_mul(PAIRS)
        && weights.len() >= tile.depth.wrapping_mul(count)
        && channels.cover(count)
        && (1..=TILE).contains(&tile.pixels)
        && out.len() >= (tile.pixels - 1).wrapping_mul(out_stride).wrapping_add(count)
}

/// What the leaves are told, where all of that [`fits`]. Missing pixels have the address of the last one.
#[cfg(kernels = "armv7m")]
#[inline(always)]
fn arguments(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) -> asm::Products {
    let first: *mut i8 = out.as_ptr().cast_mut().cast();
    let place =
        |lane: usize| first.wrapping_add(lane.min(tile.pixels.wrapping_sub(1)).wrapping_mul(out_stride));
    let words: *const i32 = tile.words.as_ptr().cast();
    asm::Products {
        tile: words,
        weights: weights.as_ptr().cast(),
        bias: channels.bias.as_ptr(),
        multipliers: channels.multipliers.as_ptr(),
        out: [place(0), place(1), place(2), place(3)],
        pairs: channels.bias.len() / 2,
        blocks_end: words.wrapping_add((tile.depth & !(asm::UNROLLED - 1)).wrapping_mul(PAIRS)),
        end: words.wrapping_add(tile.depth.wrapping_mul(PAIRS)),
        half: channels.half,
        step: channels.step(),
    }
}

/// Computes all channels of a row of input.
#[inline(always)]
pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    let count = out.len();
    let quads = (count / QUAD).wrapping_add(usize::from(!count.is_multiple_of(QUAD)));
    let size = input.len().checked_mul(quads);
    let fits = size.is_some_and(|size| size != 0 && size <= weights.len()) && channels.cover(count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a word of weights for each element and four channels, a bias, a
    // multiplier and an element of output for each channel.
    #[cfg(kernels = "armv7m")]
    unsafe {
        asm::dense(
            input.as_ptr().cast(),
            weights.as_ptr(),
            channels.bias.as_ptr(),
            out.as_ptr().cast_mut().cast(),
            channels.multipliers.as_ptr(),
            channels.step(),
            channels.half,
            input.len(),
            count,
        );
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::dense(input, weights, channels, out);
}

/// The same with outputs of int16.
#[inline]
pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i16>]) {
    let count = out.len();
    let quads = (count / QUAD).wrapping_add(usize::from(!count.is_multiple_of(QUAD)));
    let size = input.len().checked_mul(quads);
    let fits = size.is_some_and(|size| size != 0 && size <= weights.len()) && channels.cover(count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a word of weights for each element and four channels, a bias, a
    // multiplier and an element of output for each channel.
    #[cfg(kernels = "armv7m")]
    unsafe {
        asm::dense_int16(
            input.as_ptr().cast(),
            weights.as_ptr(),
            channels.bias.as_ptr(),
            out.as_ptr().cast_mut().cast(),
            channels.multipliers.as_ptr(),
            channels.step(),
            channels.half,
            input.len(),
            count,
        );
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::dense_int16(input, weights, channels, out);
}

/// Copies an image row of `pixels` pixels of `channels` channels, a multiple of 4, into the planes of a ring
/// row, which have `width` bytes each, after `left` bytes of padding; the rest is padding too.
pub(super) fn planes(
    planes: &[Cell<u8>],
    width: usize,
    left: usize,
    pixels: usize,
    channels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let fits = channels & 3 == 0
        && channels >= 4
        && planes.len() >= width.wrapping_mul(channels)
        && left.wrapping_add(pixels) <= width
        && row.len() >= pixels.wrapping_mul(channels);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `channels` planes of `width` bytes, `pixels * channels` elements.
    // The core can read words from any address.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let work = asm::Planes {
            source: row.as_ptr().cast(),
            target: planes.as_ptr().cast_mut().cast(),
            channels,
            groups: channels / 4,
            left,
            count: pixels,
            right: width - left - pixels,
            padding: zero_point.into(),
            plane: width,
        };
        asm::planes(&raw const work);
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::planes(planes, width, left, pixels, channels, row, zero_point);
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
    let planes = band.width.wrapping_mul(count);
    let fits = pixels != 0
        && band.rows == 3
        && band.first < 3
        && channels.cover(count)
        && weights.len() >= count.wrapping_mul(9)
        && band.width >= (pixels - 1).wrapping_mul(stride).wrapping_add(3)
        && band.row_bytes >= planes
        && band.cells.len() >= band.row_bytes.wrapping_mul(3).wrapping_add(READ_AHEAD);
    if !fits {
        return false;
    }
    // SAFETY: the sizes were checked above: three ring rows of `count` planes of `width` bytes, and after
    // them the bytes that a missing pixel reads; nine weights, a bias and a multiplier for each channel,
    // `pixels` pixels of output.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let ring: *const i8 = band.cells.as_ptr().cast();
        let row = |ky: usize| ring.add(((band.first + ky) % 3).wrapping_mul(band.row_bytes));
        let work = asm::Depthwise {
            rows: [row(0), row(1), row(2)],
            plane: band.width,
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            out: out.as_ptr().cast_mut().cast(),
            channels: count,
            left: count,
            pixels,
            half: channels.half,
            step: channels.step(),
            weights: weights.as_ptr().cast(),
        };
        if stride == 1 {
            asm::depthwise_stride_1(&raw const work);
        } else {
            asm::depthwise_stride_2(&raw const work);
        }
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::depthwise_3x3(band, weights, channels, stride, out);
    true
}

/// Bytes after a ring that [`depthwise_3x3`] may read: a last block of three pixels also reads those of a
/// fourth one.
pub(super) const READ_AHEAD: usize = 2;
const _: () = assert!(READ_AHEAD <= crate::kernels::BAND_SLACK);
