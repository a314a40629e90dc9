//! A depthwise convolution with any window, tap by tap, for cores with a leaf in assembly.
//!
//! A leaf makes up to eight outputs of a channel at a time: it walks the taps, reads each weight once for all of
//! them, and finds the adjacent elements under a tap by the list of steps ([`Planes::steps`]). So one loop
//! serves kernels of any size, strides, dilations, several outputs per input channel, and any number of
//! channels. Accumulators wrap and are exact, and a leaf scales them down itself: by which multipliers, and whether
//! in files that round once, is a matter of the core. A channel that is beyond that gets its accumulators from
//! the same loop and takes the long way.

mod leaf;
#[cfg(device)]
mod work;

#[cfg(any(kernels = "armv7em", kernels = "armv7m"))]
#[path = "thumb2.rs"]
mod asm;
#[cfg(kernels = "armv6m")]
#[path = "armv6m.rs"]
mod asm;
#[cfg(kernels = "rv32im")]
#[path = "rv32im.rs"]
mod asm;
#[cfg(kernels = "mve")]
#[path = "mve.rs"]
mod asm;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use super::{Planes, Stage};
use crate::quant::{requantize, requantize_double};

/// Outputs of a channel whose accumulators a leaf gives at a time, at most: a multiple of the sixteen that it makes
/// at once.
const SUMS: usize = 32;

/// Copies an image row into ring row `slot`. See [`Kernels::load_planes`](super::Kernels::load_planes).
#[inline(never)]
pub(super) fn load(planes: &Planes<'_>, slot: usize, left: usize, row: &[Cell<i8>], zero_point: i8) {
    let pixels = row.len().checked_div(planes.size().channels).unwrap_or(0);
    for part in planes.parts(slot, left, pixels) {
        leaf::load(planes, &part, row, zero_point);
    }
}

/// A row of outputs. See [`Kernels::depthwise_taps`](super::Kernels::depthwise_taps).
#[inline(never)]
pub(super) fn row(planes: &Planes<'_>, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
    let size = planes.size();
    let channels = size.channels.wrapping_mul(size.multiplier);
    // In most layers the leaf serves all channels, and they are looked at once.
    let all = planes.notice.get().unwrap_or_else(|| (0..channels).all(|channel| is_served(stage, channel)));
    planes.notice.set(Some(all));
    // The input channel, and how many of its output channels are still to come.
    let mut place = leaf::Place { channel: 0, input: 0, left: size.multiplier };
    while place.channel < channels {
        let first = place;
        if all {
            place.channel = channels;
        }
        while place.channel < channels && is_served(stage, place.channel) {
            place.advance(size.multiplier);
        }
        let count = place.channel.wrapping_sub(first.channel);
        if count != 0 {
            leaf::run(planes, &first, count, 0..size.pixels, weights, stage, out, None);
        } else {
            long_way(planes, &first, weights, stage, out);
            place.advance(size.multiplier);
        }
    }
    if !leaf::CLAMPS && (stage.min > -128 || stage.max < 127) {
        for y in out {
            y.set(i32::from(y.get()).max(stage.min).min(stage.max) as i8);
        }
    }
}

/// Whether the leaf makes a channel's outputs, and not only its accumulators.
#[inline(always)]
fn is_served(stage: &Stage<'_>, channel: usize) -> bool {
    let (bias, multiplier) = stage.channel(channel);
    leaf::serves(stage.rounding, bias, multiplier)
}

/// A channel whose numbers are beyond what the leaf can scale down.
#[inline(never)]
fn long_way(planes: &Planes<'_>, place: &leaf::Place, weights: &[i8], stage: &Stage<'_>, out: &[Cell<i8>]) {
    let size = planes.size();
    let channels = size.channels.wrapping_mul(size.multiplier);
    let (_, multiplier) = stage.channel(place.channel);
    let mut places = out.get(place.channel..).unwrap_or(&[]);
    let mut start = 0;
    while start < size.pixels {
        let end = size.pixels.min(start.wrapping_add(SUMS));
        let mut sums = [0i32; SUMS];
        leaf::run(planes, place, 1, start..end, weights, stage, out, Some(&mut sums));
        let count = end.wrapping_sub(start);
        scale(sums.get(..count).unwrap_or(&sums), multiplier, stage, places, channels);
        places = places.get(count.wrapping_mul(channels)..).unwrap_or(&[]);
        start = end;
    }
}

/// Makes outputs, `channels` elements apart, of accumulators.
#[inline(always)]
fn scale(sums: &[i32], multiplier: Multiplier, stage: &Stage<'_>, out: &[Cell<i8>], channels: usize) {
    let places = out.iter().step_by(channels.max(1));
    // A Cortex-M0 has little flash. The leaf of SMLAD's set serves all but numbers that hardly a file has.
    let rare = cfg!(any(kernels = "armv6m", kernels = "armv7em"));
    if rare || stage.rounding == Rounding::Double && multiplier.shift >= 0 {
        for (sum, place) in sums.iter().zip(places) {
            place.set(stage.apply_called(*sum, multiplier));
        }
    } else if stage.rounding == Rounding::Single {
        each(sums, places, stage, |sum| requantize(sum, multiplier, Rounding::Single));
    } else {
        let right = Multiplier { shift: multiplier.shift.min(-1), ..multiplier };
        each(sums, places, stage, |sum| requantize_double(sum, right));
    }
}

#[inline(always)]
fn each<'a>(
    sums: &[i32],
    places: impl Iterator<Item = &'a Cell<i8>>,
    stage: &Stage<'_>,
    scaled: impl Fn(i32) -> i32,
) {
    let (zero_point, min, max) = (stage.zero_point, stage.min, stage.max);
    for (sum, place) in sums.iter().zip(places) {
        place.set(scaled(*sum).wrapping_add(zero_point).max(min).min(max) as i8);
    }
}
