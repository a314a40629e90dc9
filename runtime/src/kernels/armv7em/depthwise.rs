//! Depthwise convolutions of any kernel, stride and number of channels, plane by plane.
//!
//! A plane holds two channels of a band's row, a word for each pixel; a word of weights holds a tap of four
//! channels, of which one SXTB16 makes the two of a plane.

use core::cell::Cell;

use super::intrinsics::{sxtb16, sxtb16_odd};
use super::{Band, Stage, halfwords, plane_channel, words};

/// Enters the last channels of an image row, which do not fill a word, into their planes.
#[inline(never)]
pub(super) fn load_rest(
    band: &Band<'_>,
    planes: &[Cell<i32>],
    left: usize,
    pixels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let whole = band.channels & !3;
    let planes = planes.get(band.width.wrapping_mul(whole / 2)..).unwrap_or(&[]);
    for (lane, plane) in planes.chunks_exact(band.width.max(1)).enumerate().take(2) {
        for (x, word) in plane.iter().enumerate() {
            let pixel = x.checked_sub(left).filter(|&x| x < pixels).map(|x| x.wrapping_mul(band.channels));
            let element = |lane: usize| {
                let inside = pixel.filter(|_| whole.wrapping_add(lane) < band.channels);
                let at = inside.map_or(usize::MAX, |pixel| pixel.wrapping_add(whole).wrapping_add(lane));
                row.get(at).map_or(zero_point, Cell::get)
            };
            word.set(halfwords(element(lane), element(lane.wrapping_add(2))));
        }
    }
}

/// Makes the planes from number `first` on of a row of outputs.
#[inline(never)]
pub(super) fn planes(band: &Band<'_>, weights: &[u32], stage: &Stage<'_>, out: &[Cell<i8>], first: usize) {
    let taps = band.rows.wrapping_mul(band.columns);
    for number in first..band.channels.div_ceil(4).wrapping_mul(2) {
        let group = number >> 1;
        let weights = weights.get(group.wrapping_mul(taps)..).unwrap_or(&[]);
        // The last block is as narrow as the channels that are left.
        let width = band.channels.wrapping_sub(group.wrapping_mul(4)).min(4);
        let weights = Taps { bytes: bytemuck::cast_slice(weights), width, lane: number & 1 };
        for (x, out) in out.chunks_exact(band.channels.max(1)).enumerate() {
            pixel(band, number, x, &weights, stage, out);
        }
    }
}

/// The weights of a plane.
struct Taps<'a> {
    bytes: &'a [u8],
    /// Bytes of a tap.
    width: usize,
    /// The first channel's place in a tap.
    lane: usize,
}

impl Taps<'_> {
    /// Tap `k` of both channels, in halfwords; 0 for a channel that is not there.
    #[inline(always)]
    fn at(&self, k: usize) -> i32 {
        let tap = self.bytes.get(k.wrapping_mul(self.width)..).unwrap_or(&[]);
        if let (4, Some(&word)) = (self.width, tap.first_chunk()) {
            let word = i32::from_le_bytes(word);
            return if self.lane == 0 { sxtb16(word) } else { sxtb16_odd(word) };
        }
        let byte = |lane: usize| if lane < self.width { tap.get(lane).copied().unwrap_or(0) } else { 0 };
        halfwords(byte(self.lane) as i8, byte(self.lane.wrapping_add(2)) as i8)
    }
}

/// One pixel of a plane.
#[inline(always)]
fn pixel(band: &Band<'_>, number: usize, x: usize, weights: &Taps<'_>, stage: &Stage<'_>, out: &[Cell<i8>]) {
    let first = number.wrapping_mul(band.width).wrapping_add(x.wrapping_mul(band.stride));
    let (mut low, mut high) = (0i32, 0i32);
    let mut k = 0usize;
    for ky in 0..band.rows {
        let line = words(band.line(ky)).get(first..).and_then(|line| line.get(..band.columns)).unwrap_or(&[]);
        for pixels in line {
            let (x, w) = (pixels.get(), weights.at(k));
            low = low.wrapping_add(i32::from(x as i16) * i32::from(w as i16));
            high = high.wrapping_add((x >> 16).wrapping_mul(w >> 16));
            k = k.wrapping_add(1);
        }
    }
    let channel = plane_channel(number);
    for (channel, acc) in [(channel, low), (channel.wrapping_add(2), high)] {
        if let Some(out) = out.get(channel) {
            let (bias, multiplier) = stage.channel(channel);
            out.set(stage.apply_called(acc.wrapping_add(bias), multiplier));
        }
    }
}
