//! Depthwise convolutions of any kernel, stride and number of channels, plane by plane.
//!
//! A plane holds two channels of a band's row, a word for each pixel; a word of weights holds a tap of four
//! channels, of which one SXTB16 makes the two of a plane.

use core::cell::Cell;

use super::intrinsics::{sxtb16, sxtb16_odd};
use super::{Band, Stage, plane_channel, words};

/// Makes the planes from number `first` on of a row of outputs.
#[inline(never)]
pub(super) fn planes(band: &Band<'_>, weights: &[u32], stage: &Stage<'_>, out: &[Cell<i8>], first: usize) {
    let taps = band.rows.wrapping_mul(band.columns);
    for number in first..band.channels.div_ceil(4).wrapping_mul(2) {
        let group = number >> 1;
        let weights = weights.get(group.wrapping_mul(taps)..).unwrap_or(&[]);
        let width = band.channels.wrapping_sub(group.wrapping_mul(4));
        if width >= 4 {
            let word = |k: usize| weights.get(k).map_or(0, |&w| w as i32);
            if number & 1 == 0 {
                plane(band, number, stage, out, |k| sxtb16(word(k)));
            } else {
                plane(band, number, stage, out, |k| sxtb16_odd(word(k)));
            }
        } else {
            // The last block is as narrow as the channels that are left.
            let bytes: &[u8] = bytemuck::cast_slice(weights);
            let byte = |k: usize, lane: usize| {
                let at = k.wrapping_mul(width).wrapping_add(lane);
                if lane < width { bytes.get(at).map_or(0, |&w| i32::from(w as i8)) } else { 0 }
            };
            let lane = number & 1;
            plane(band, number, stage, out, |k| byte(k, lane) & 0xFFFF | byte(k, lane.wrapping_add(2)) << 16);
        }
    }
}

/// One plane; `weight` gives a tap of both channels.
#[inline(always)]
fn plane(band: &Band<'_>, number: usize, stage: &Stage<'_>, out: &[Cell<i8>], weight: impl Fn(usize) -> i32) {
    let channel = plane_channel(number);
    let start = number.wrapping_mul(band.width);
    for (x, out) in out.chunks_exact(band.channels.max(1)).enumerate() {
        let first = start.wrapping_add(x.wrapping_mul(band.stride));
        let (mut low, mut high) = (0i32, 0i32);
        let mut k = 0usize;
        for ky in 0..band.rows {
            let line =
                words(band.line(ky)).get(first..).and_then(|line| line.get(..band.columns)).unwrap_or(&[]);
            for pixels in line {
                let (x, w) = (pixels.get(), weight(k));
                low = low.wrapping_add(i32::from(x as i16) * i32::from(w as i16));
                high = high.wrapping_add((x >> 16).wrapping_mul(w >> 16));
                k = k.wrapping_add(1);
            }
        }
        for (channel, acc) in [(channel, low), (channel.wrapping_add(2), high)] {
            if let Some(out) = out.get(channel) {
                let (bias, multiplier) = stage.channel(channel);
                out.set(stage.apply_called(acc.wrapping_add(bias), multiplier));
            }
        }
    }
}
