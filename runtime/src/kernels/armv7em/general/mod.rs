//! Matrix products for any numbers: the safe interface of their leaves. It checks sizes once per call; if they do not
//! fit, nothing is computed.
//!
//! A halfword holds the bytes of two channels ([general pairs](crate::packing::Packing::general)), which SXTB16 takes
//! apart: one instruction more for 16 products than with borrowed pairs, and both sums are exact modulo 2^32. They are
//! scaled down by a product of 64 bits, to the left and to the right.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;
#[cfg(not(kernels = "armv7em"))]
mod emulated;

use core::cell::Cell;

use super::{Channels, TILE, Tile};

/// Computes all channels for the pixels of a tile. Channel 0 is element 0 of `out`, and pixels are `out_stride`
/// elements apart.
pub(super) fn matmul(
    tile: &Tile<'_>,
    weights: &[u32],
    channels: &Channels<'_>,
    out: &[Cell<i8>],
    out_stride: usize,
) {
    let count = channels.bias.len();
    let fits = tile.groups != 0
        && tile.words.len() >= tile.groups.wrapping_mul(2 * TILE)
        && weights.len() >= tile.groups.wrapping_mul(count.wrapping_add(1) & !1)
        && channels.cover(count)
        && count != 0
        && (1..=TILE).contains(&tile.pixels)
        && out.len() >= (tile.pixels - 1).wrapping_mul(out_stride).wrapping_add(count);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: `groups * 8` words of tile, two words of weights per group for each pair
    // of channels, a bias for each channel, as many multipliers or one, `count` elements of output for each pixel;
    // missing pixels have the address of the last one. Cells may be written through a shared reference; no unique
    // reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let first: *mut i8 = out.as_ptr().cast_mut().cast();
        let place = |lane: usize| first.add(lane.min(tile.pixels - 1).wrapping_mul(out_stride));
        let words: *const i32 = tile.words.as_ptr().cast();
        let work = asm::Matmul {
            tile: words,
            weights: weights.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            out: [place(0), place(1), place(2), place(3)],
            channels: count,
            blocks_end: words.add((tile.groups & !3).wrapping_mul(2 * TILE)),
            end: words.add(tile.groups.wrapping_mul(2 * TILE)),
            half: channels.half,
            step: channels.step(),
        };
        asm::matmul(&raw const work);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::matmul(tile, weights, channels, out, out_stride);
}

/// Computes all channels of a row of input.
pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    // There are two words for each group of four elements and each pair of channels.
    let size = input.len().div_ceil(4).checked_mul(out.len().wrapping_add(1) & !1);
    let fits = size.is_some_and(|size| size != 0 && size <= weights.len()) && channels.cover(out.len());
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: words of weights for each group and for the elements after the last one, a
    // bias and an output for each channel, and one multiplier, or one for each channel. Cells may be written through a
    // shared reference; no unique reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let (groups, last) = input.as_chunks::<4>();
        let mut bytes = [0; 4];
        for (byte, x) in bytes.iter_mut().zip(last) {
            *byte = x.get() as u8;
        }
        let work = asm::Dense {
            input: input.as_ptr().cast(),
            end: groups.as_ptr_range().end.cast(),
            last: u32::from_le_bytes(bytes),
            lasts: last.len(),
            weights: weights.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: channels.step(),
            out: out.as_ptr().cast_mut().cast(),
            outputs: out.len(),
            half: channels.half,
            pitch: 0,
        };
        asm::dense(&raw const work);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::dense(input, weights, channels, out);
}
