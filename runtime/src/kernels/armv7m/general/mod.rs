//! Matrix products for any numbers: the safe interface of their leaves. It checks sizes once per call; if they do not
//! fit, nothing is computed.
//!
//! Two sums share 64 bits as in the leaves of the set, over so many elements that the lower one has room whatever the
//! bytes are; then both are added to sums of 32 bits. These are scaled down by a product of 64 bits, to the left and to
//! the right.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7m")]
mod asm;
#[cfg(not(kernels = "armv7m"))]
mod emulated;

use core::cell::Cell;

#[cfg(not(kernels = "armv7m"))]
use super::PIXEL_SHIFT;
use super::{Channels, PAIRS, QUAD, TILE, Tile};

/// Computes all channels for the pixels of a tile. Channel 0 is element 0 of `out`, and pixels are `out_stride`
/// elements apart.
pub(super) fn matmul(
    tile: &Tile<'_>,
    weights: &[u8],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    let fits = tile.depth != 0
        && tile.words.len() >= tile.depth.wrapping_mul(PAIRS)
        && weights.len() >= tile.depth.wrapping_mul(count)
        && channels.cover(count)
        && count != 0
        && (1..=TILE).contains(&tile.pixels)
        && out.len() >= (tile.pixels - 1).wrapping_mul(out_stride).wrapping_add(count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `depth * PAIRS` words of tile, `depth` weights and a bias for each channel, as
    // many multipliers or one, `count` elements of output for each pixel; missing pixels have the address of the last
    // one. Cells may be written through a shared reference; no unique reference to them exists.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let first: *mut i8 = out.as_ptr().cast_mut().cast();
        let place = |lane: usize| first.add(lane.min(tile.pixels - 1).wrapping_mul(out_stride));
        let words: *const i32 = tile.words.as_ptr().cast();
        let work = asm::Matmul {
            tile: words,
            weights: weights.as_ptr().cast(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            out: [place(0), place(1), place(2), place(3)],
            channels: count,
            end: words.add(tile.depth.wrapping_mul(PAIRS)),
            half: channels.half,
            step: channels.step(),
            sums: [0; 8],
        };
        asm::matmul(&raw const work);
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::matmul(tile, weights, channels, out, out_stride);
}

/// Computes all channels of a row of input.
pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    let size = input.len().checked_mul(out.len().div_ceil(QUAD));
    let fits = size.is_some_and(|size| size != 0 && size <= weights.len()) && channels.cover(out.len());
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: a word of weights for each element and four channels, a bias and an element
    // of output for each channel, as many multipliers or one. Cells may be written through a shared reference; no unique
    // reference to them exists.
    #[cfg(kernels = "armv7m")]
    unsafe {
        let work = asm::Dense {
            input: input.as_ptr().cast(),
            end: input.as_ptr_range().end.cast(),
            weights: weights.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: channels.step(),
            out: out.as_ptr().cast_mut().cast(),
            outputs: out.len(),
            half: channels.half,
            surplus: 0,
            sums: [0; 4],
        };
        asm::dense(&raw const work);
    }
    #[cfg(not(kernels = "armv7m"))]
    emulated::dense(input, weights, channels, out);
}
