//! A 3x3 depthwise convolution of a whole image, four channels at a time: the safe interface of its leaf. It
//! checks sizes once per layer; if they do not fit, nothing is computed.
//!
//! In the ring, a row of four channels consists of two planes, one of channels 0 and 2 and one of channels 1
//! and 3, with a word for each pixel.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;
#[cfg(not(kernels = "armv7em"))]
mod emulated;

use core::cell::Cell;

use super::{Channels, Strips, halfwords, words};

/// Computes all channels of the image.
#[inline(always)]
pub(super) fn depthwise(strips: &Strips<'_>, weights: &[u32], channels: &Channels<'_>, out: &[Cell<i8>]) {
    let Strips { image, height, width, top, left, zero_point, .. } = *strips;
    let ring = words(strips.ring);
    let blocks = strips.channels / Strips::CHANNELS;
    let elements = height.wrapping_mul(width).wrapping_mul(strips.channels);
    let fits = elements != 0
        && width >= 2
        && strips.channels & 3 == 0
        && image.len() == elements
        && out.len() == elements
        && top <= 2
        && left <= 2
        && ring.len() >= width.wrapping_add(2).wrapping_mul(6)
        && weights.len() >= blocks.wrapping_mul(9)
        && channels.cover(strips.channels);
    if !fits {
        return;
    }
    let padding = halfwords(zero_point, zero_point);
    // SAFETY: the sizes were checked above: an image and outputs of `height` rows of `width` pixels of four
    // channels for each block, three ring rows of two planes of `width + 2` words, nine words of weights for
    // each block, a bias for each channel, as many multipliers or one. Cells may be written through a shared
    // reference; no unique reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let mut work = asm::Work {
            source: image.as_ptr().cast(),
            out: out.as_ptr().cast_mut().cast(),
            weights: weights.as_ptr(),
            bias: channels.bias.as_ptr(),
            multipliers: channels.multipliers.as_ptr(),
            step: channels.step(),
            half: channels.half,
            ring: ring.as_ptr().cast_mut().cast(),
            padding,
            blocks,
            top,
            channels: strips.channels,
            plane: width.wrapping_add(2).wrapping_mul(4),
            left: left.wrapping_mul(4),
            width,
            height,
        };
        asm::depthwise(&raw mut work);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::depthwise(strips, ring, padding, weights, channels, out);
}
