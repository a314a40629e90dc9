//! Depthwise convolutions with any kernel, stride and number of channels, plane by plane.
//!
//! A plane holds two channels of a row of a band, a word for each pixel. For each tap, the weights of the
//! four channels of a block are adjacent; the last block may have fewer channels.
//!
//! Functions are generic or `#[inline]`, so that they are compiled with the firmware, for size: few networks
//! need them.

use core::cell::Cell;

use super::{Band, Instructions, Stage, half, halfwords, plane_channel, words};

/// Copies the last channels of an image row, which do not fill a word, into their planes.
#[inline]
pub(super) fn load_rest(
    band: &Band<'_>,
    planes: &[Cell<i32>],
    left: usize,
    pixels: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let whole = band.channels & !3;
    let width = band.width;
    for lane in 0..2 {
        let first = whole.wrapping_add(lane);
        let mut pixel = first;
        let plane = planes.get(width.wrapping_mul(first - whole / 2)..).unwrap_or(&[]);
        for (x, word) in plane.iter().take(width).enumerate() {
            let element = |lane: usize| row.get(pixel.wrapping_add(lane)).map_or(zero_point, Cell::get);
            let inside = x.wrapping_sub(left) < pixels;
            let low = if inside && first < band.channels { element(0) } else { zero_point };
            let high = if inside && first.wrapping_add(2) < band.channels { element(2) } else { zero_point };
            word.set(halfwords(low, high));
            pixel = pixel.wrapping_add(if inside { band.channels } else { 0 });
        }
    }
}

/// Computes the planes of a row of outputs, starting with plane `first`.
#[inline(never)]
pub(super) fn planes<I: Instructions>(
    band: &Band<'_>,
    weights: &[u32],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    first: usize,
) {
    let taps = band.rows.wrapping_mul(band.columns);
    let weights: &[i8] = bytemuck::cast_slice(weights);
    for number in first..band.channels.div_ceil(4).wrapping_mul(2) {
        let (group, lane) = (number >> 1, number & 1);
        // The last block has only the remaining channels.
        let width = band.channels.wrapping_sub(group.wrapping_mul(4)).min(4);
        let block = weights.get(group.wrapping_mul(taps).wrapping_mul(4).wrapping_add(lane)..).unwrap_or(&[]);
        let mut out = out.get(plane_channel(number)..).unwrap_or(&[]);
        let mut place = number.wrapping_mul(band.width);
        while !out.is_empty() {
            let mut sums = [0i32; 2];
            let mut rest = block;
            for ky in 0..band.rows {
                let line = words(band.line(ky)).get(place..).unwrap_or(&[]);
                for pixels in line.iter().take(band.columns) {
                    let x = pixels.get();
                    // The result of a missing channel is not written, so its weight may be 0.
                    let w = |at: usize| i32::from(rest.get(at).copied().unwrap_or(0));
                    sums[0] = sums[0].wrapping_add(i32::from(x as i16).wrapping_mul(w(0)));
                    sums[1] = sums[1].wrapping_add((x >> 16).wrapping_mul(w(2)));
                    rest = rest.get(width..).unwrap_or(&[]);
                }
            }
            for (half, sum) in sums.into_iter().enumerate() {
                let lane = half.wrapping_mul(2);
                let channel = plane_channel(number).wrapping_add(lane);
                if let (true, Some(out)) = (channel < band.channels, out.get(lane)) {
                    out.set(finish::<I>(stage, channel, sum));
                }
            }
            out = out.get(band.channels..).unwrap_or(&[]);
            place = place.wrapping_add(band.stride);
        }
    }
}

/// The int8 value of a sum. A packed layer has the short requantization.
#[inline(always)]
fn finish<I: Instructions>(stage: &Stage<'_>, channel: usize, sum: i32) -> i8 {
    let (bias, multiplier) = stage.channel(channel);
    let shift = !multiplier.shift as u32;
    let y = I::high_product(sum.wrapping_add(bias).wrapping_shl(1), multiplier.mantissa);
    let y = y.wrapping_add(y >> 31).wrapping_add(half(stage).wrapping_shl(shift));
    I::halve_to_int8(y.wrapping_shr(shift)) as i8
}
