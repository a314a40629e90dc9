//! The safe interface of the leaves. It checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "armv6m")]
use super::asm;
#[cfg(not(kernels = "armv6m"))]
use super::emulated;
use super::{BLOCK, Band, Channels, Lines, PAIRS, Pixels, TILE, Tile};

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
    #[cfg(kernels = "armv6m")]
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
    #[cfg(not(kernels = "armv6m"))]
    for number in 0..count {
        let source = source.get(number * lines.pitch..).unwrap_or(&[]);
        emulated::enter(pixels, source, len, step, target.get(number * len * PAIRS..).unwrap_or(&[]));
    }
}

/// Computes all channels for the pixels of a tile, with any sums and multipliers if `GENERAL`. Channel 0 is element 0 of
/// `out`, and pixels are `out_stride` elements apart. `weights` are blocks of eight channels; the last one is padded.
pub(super) fn products<const GENERAL: bool>(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    let block = tile.depth.wrapping_add(tile.chunks).wrapping_mul(BLOCK);
    let fits = tile.depth != 0
        && tile.chunks != 0
        && tile.words.len() >= tile.depth.wrapping_mul(PAIRS)
        && weights.len() >= block.wrapping_mul(count.div_ceil(BLOCK))
        && channels.cover(count)
        && count != 0
        && (1..=TILE).contains(&tile.pixels)
        && out.len() >= (tile.pixels - 1).wrapping_mul(out_stride).wrapping_add(count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `depth * PAIRS` words of tile, a block of weights for eight
    // channels, a bias and a multiplier for each channel, `count` elements of output for each pixel; missing
    // pixels have the address of the last one. Lengths of chunks may be anything: a chunk ends with the tile,
    // and a channel has no more chunks than elements, so that the address of a length stays inside its block.
    #[cfg(kernels = "armv6m")]
    unsafe {
        let first: *mut i8 = out.as_ptr().cast_mut().cast();
        let place = |lane: usize| first.add(lane.min(tile.pixels - 1).wrapping_mul(out_stride));
        let words: *const i32 = tile.words.as_ptr().cast();
        let work = asm::Products {
            tile: words,
            // Distance from an element of the tile to its weight.
            weights: (weights.as_ptr() as usize)
                .wrapping_add(tile.chunks.wrapping_mul(BLOCK))
                .wrapping_sub(words as usize),
            lengths: weights.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            out: [place(0), place(1), place(2), place(3)],
            channels: count,
            last: words.add((tile.depth - 1).wrapping_mul(PAIRS)),
            chunks: tile.chunks,
            next_weights: block.wrapping_sub(BLOCK),
            next_lengths: tile.depth.wrapping_mul(BLOCK),
            half: channels.half,
            step: channels.step(),
            lanes: BLOCK,
            channel: 0,
        };
        if GENERAL { asm::products_general(&raw const work) } else { asm::products(&raw const work) }
    }
    #[cfg(not(kernels = "armv6m"))]
    emulated::products::<GENERAL>(tile, weights, channels, out, out_stride);
}

/// Copies an image row of `pixels` pixels of `channels` channels into the planes of a ring row, which have
/// `width` bytes each, after `left` bytes of padding; the rest is padding too. All bytes have 128 added.
pub(super) fn planes(
    planes: &[Cell<u8>],
    width: usize,
    left: usize,
    pixels: usize,
    channels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let fits = channels != 0
        && planes.len() >= width.wrapping_mul(channels)
        && left.wrapping_add(pixels) <= width
        && row.len() >= pixels.wrapping_mul(channels);
    if !fits {
        return;
    }
    let padding = zero_point as u8 ^ 0x80;
    // SAFETY: the sizes were checked above: `channels` planes of `width` bytes, `pixels * channels` elements.
    #[cfg(kernels = "armv6m")]
    unsafe {
        let work = asm::Planes {
            source: row.as_ptr().cast(),
            target: planes.as_ptr().cast_mut().cast(),
            channels,
            planes: channels,
            left,
            count: pixels,
            right: width - left - pixels,
            padding: padding.into(),
        };
        asm::planes(&raw const work);
    }
    #[cfg(not(kernels = "armv6m"))]
    emulated::planes(planes, width, left, pixels, channels, row, padding);
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
    let fits = pixels != 0
        && band.rows == 3
        && band.first < 3
        && channels.cover(count)
        && weights.len() >= count.wrapping_mul(9)
        && band.width >= (pixels - 1).wrapping_mul(stride).wrapping_add(3)
        && band.row_bytes >= band.width.wrapping_mul(count)
        && band.cells.len() >= band.row_bytes.wrapping_mul(3);
    if !fits {
        return false;
    }
    // SAFETY: the sizes were checked above: three ring rows of `count` planes of `width` bytes; nine weights,
    // a bias and a multiplier for each channel, `pixels` pixels of output.
    #[cfg(kernels = "armv6m")]
    unsafe {
        let ring: *const u8 = band.cells.as_ptr().cast();
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
    #[cfg(not(kernels = "armv6m"))]
    emulated::depthwise_3x3(band, weights, channels, stride, out);
    true
}
