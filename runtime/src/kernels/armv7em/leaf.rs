//! The safe interface of the leaves. It checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "armv7em")]
use super::asm;
#[cfg(not(kernels = "armv7em"))]
use super::emulated;
use super::{Band, Channels, halfwords};

/// Computes all channels of a row of input.
#[inline(always)]
pub(super) fn dense(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    // There are two words for each group of four elements and each pair of channels.
    let groups = (input.len() >> 2).wrapping_add(usize::from(input.len() & 3 != 0));
    let size = groups.checked_mul(out.len().wrapping_add(1) & !1);
    let Some(size) = size else { return };
    // There is a multiplier for each channel, or a single one; for a single one, its number need not be
    // compared.
    let missing = if channels.multipliers.len() == 1 { 0 } else { out.len() ^ channels.multipliers.len() };
    if size == 0 || size > weights.len() || missing | (out.len() ^ channels.bias.len()) != 0 {
        return;
    }
    // SAFETY: the sizes were checked above: words of weights for each group and for the elements after the
    // last one, a bias and an output for each channel, and one multiplier, or one for each channel.
    #[cfg(kernels = "armv7em")]
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
            out.len(),
        );
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::dense(input, weights, channels, out);
}

/// The same with outputs of int16.
#[inline]
pub(super) fn dense_int16(input: &[Cell<i8>], weights: &[u32], channels: &Channels<'_>, out: &[Cell<i16>]) {
    // There are two words for each group of four elements and each pair of channels.
    let groups = (input.len() >> 2).wrapping_add(usize::from(input.len() & 3 != 0));
    let size = groups.checked_mul(out.len().wrapping_add(1) & !1);
    let Some(size) = size else { return };
    // There is a multiplier for each channel, or a single one; for a single one, its number need not be
    // compared.
    let missing = if channels.multipliers.len() == 1 { 0 } else { out.len() ^ channels.multipliers.len() };
    if size == 0 || size > weights.len() || missing | (out.len() ^ channels.bias.len()) != 0 {
        return;
    }
    // SAFETY: the sizes were checked above: words of weights for each group and for the elements after the
    // last one, a bias and an output for each channel, and one multiplier, or one for each channel.
    #[cfg(kernels = "armv7em")]
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
            out.len(),
        );
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::dense_int16(input, weights, channels, out);
}

/// Copies an image row of `pixels` pixels into the planes of a ring row, which have `width` words each, after
/// `left` words of padding; the rest is padding too. Only channels that fill whole words are copied.
pub(super) fn widen_band(
    planes: &[Cell<i32>],
    width: usize,
    left: usize,
    pixels: usize,
    channels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let groups = channels / 4;
    let fits = groups != 0
        && planes.len() >= width.wrapping_mul(groups.wrapping_mul(2))
        && left.wrapping_add(pixels) <= width
        && row.len() >= pixels.wrapping_mul(channels);
    if !fits {
        return;
    }
    let padding = halfwords(zero_point, zero_point);
    // SAFETY: the sizes were checked above: two planes of `width` words for each group, `pixels * channels`
    // elements.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let work = asm::WidenBand {
            source: row.as_ptr().cast(),
            target: planes.as_ptr().cast_mut().cast(),
            channels,
            groups,
            left,
            count: pixels,
            right: width - left - pixels,
            padding,
            plane: width.wrapping_mul(4),
        };
        asm::widen_band(&raw const work);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::widen_band(planes, width, left, pixels, channels, row, padding);
}

/// Computes those channels of a row of a 3x3 depthwise convolution with stride 1 or 2 that fill whole words;
/// returns false if sizes do not fit.
pub(super) fn depthwise_3x3(
    band: &Band<'_>,
    weights: &[u32],
    channels: &Channels<'_>,
    stride: usize,
    out: &[Cell<i8>],
) -> bool {
    let count = band.channels;
    let pixels = out.len().checked_div(count).unwrap_or(0);
    let groups = count / 4;
    let fits = groups != 0
        && pixels != 0
        && band.rows == 3
        && band.first < 3
        && channels.cover(count)
        && weights.len() >= groups.wrapping_mul(9)
        && band.width >= (pixels - 1).wrapping_mul(stride).wrapping_add(3)
        && band.row_bytes >= band.width.wrapping_mul(groups).wrapping_mul(8)
        && band.cells.len() >= band.row_bytes.wrapping_mul(3)
        && band.cells.as_ptr().cast::<i32>().is_aligned();
    if !fits {
        return false;
    }
    // SAFETY: the sizes were checked above: three ring rows of two planes of `width` words for each group;
    // nine words of weights for each group, a bias and a multiplier for each channel, `pixels` pixels of
    // output.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let kernel_row = |slot: usize| (slot + 3 - band.first) % 3;
        let order = |slot: usize| kernel_row(slot).wrapping_mul(12);
        let mut work = asm::Depthwise {
            ring: band.cells.as_ptr().cast(),
            pitch: band.row_bytes,
            plane: band.width.wrapping_mul(4),
            weights: weights.as_ptr(),
            order: [order(0), order(1), order(2)],
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: channels.step(),
            out: out.as_ptr().cast_mut().cast(),
            channels: count,
            groups,
            blocks: if stride == 1 { pixels as isize / 2 } else { -(pixels as isize / 2) },
            odd: pixels & 1,
            half: channels.half,
            advance: stride.wrapping_mul(8),
        };
        asm::depthwise_3x3(&raw mut work);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::depthwise_3x3(band, weights, channels, stride, out);
    true
}
