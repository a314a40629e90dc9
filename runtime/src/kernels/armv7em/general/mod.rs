//! Dense layers of any numbers: the safe interface of their leaf. It checks sizes once per call; if they do not fit,
//! nothing is computed.
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

use super::Channels;

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
