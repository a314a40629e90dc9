//! The safe interface of the leaves. It checks sizes once per call; if they do not fit, nothing is computed.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ops::Range;

#[cfg(any(kernels = "armv7em", not(device)))]
use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use super::{Planes, SUMS, Stage};
#[cfg(device)]
use super::{asm, work};
use crate::kernels::planes::Part;
#[cfg(not(device))]
use crate::quant::requantize;

/// Whether the leaf clamps outputs to the stage's bounds; otherwise to int8.
pub(super) const CLAMPS: bool = cfg!(kernels = "rv32im");

/// Whether the leaf makes outputs of a channel with these numbers.
#[cfg(device)]
pub(super) use asm::serves;

/// Whether the leaf makes outputs of a channel with these numbers.
#[cfg(not(device))]
pub(super) fn serves(_: Rounding, _: i32, multiplier: Multiplier) -> bool {
    multiplier.mantissa >= 0 && (-31..=30).contains(&multiplier.shift)
}

/// An output channel.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub channel: usize,
    /// The input channel that it is made of.
    pub input: usize,
    /// Output channels of that input channel from this one on.
    pub left: usize,
}

impl Place {
    /// Goes to the next channel, where each input channel has `multiplier` of them.
    #[inline(always)]
    pub(super) fn advance(&mut self, multiplier: usize) {
        self.channel = self.channel.wrapping_add(1);
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 {
            (self.input, self.left) = (self.input.wrapping_add(1), multiplier);
        }
    }
}

/// Copies the pixels of an image row that belong to a phase into all planes.
pub(super) fn load(planes: &Planes<'_>, part: &Part, row: &[Cell<i8>], zero_point: i8) {
    let size = planes.size();
    let step = size.channels.wrapping_mul(size.stride);
    // Behind the last pixel of the phase there is nothing to read but its own channels.
    let behind = match part.count.checked_sub(1) {
        Some(last) => part.first.wrapping_add(last.wrapping_mul(size.stride)).wrapping_add(1),
        None => 0,
    };
    let fits = size.channels != 0
        && row.len() >= behind.wrapping_mul(size.channels)
        && part.left.wrapping_add(part.count).wrapping_add(part.right) == size.phase
        && part.place.wrapping_add(size.phase) <= size.plane;
    if !fits {
        return;
    }
    let first = if part.count == 0 { 0 } else { part.first.wrapping_mul(size.channels) };
    // SAFETY: the sizes were checked above: `count` pixels of `channels` elements, `step` apart; in each of
    // `channels` planes, a phase from `place` on. Cells may be written through a shared reference; no unique
    // reference to them exists.
    #[cfg(device)]
    unsafe {
        let source: *const i8 = row.as_ptr().cast();
        let target: *mut i8 = planes.ring().as_ptr().cast_mut().cast();
        let work = work::Load {
            source: source.add(first),
            target: target.add(part.place),
            channels: size.channels,
            step,
            plane: size.plane,
            left: part.left,
            count: part.count,
            right: part.right,
            padding: zero_point.into(),
        };
        asm::load(&raw const work);
    }
    #[cfg(not(device))]
    for (channel, plane) in planes.ring().chunks(size.plane).take(size.channels).enumerate() {
        let (left, rest) = plane[part.place..][..size.phase].split_at(part.left);
        let (inside, right) = rest.split_at(part.count);
        left.iter().chain(right).for_each(|place| place.set(zero_point));
        for (number, place) in inside.iter().enumerate() {
            place.set(row[first + channel + number * step].get());
        }
    }
}

/// Computes outputs `pixels` of `count` channels from `place` on. With `sums`, of one channel and at most
/// [`SUMS`] outputs, it gives their accumulators and writes no outputs.
#[expect(clippy::too_many_arguments, reason = "they are what a leaf works on")]
pub(super) fn run(
    planes: &Planes<'_>,
    place: &Place,
    count: usize,
    pixels: Range<usize>,
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    sums: Option<&mut [i32; SUMS]>,
) {
    let size = planes.size();
    let channels = size.channels.wrapping_mul(size.multiplier);
    let one = stage.multipliers.len() == 1;
    let end = place.channel.wrapping_add(count);
    let width = pixels.end.wrapping_sub(pixels.start);
    let fits = count != 0
        && pixels.start < pixels.end
        && pixels.end <= size.pixels
        && end <= channels
        && place.input < size.channels
        && (1..=size.multiplier).contains(&place.left)
        && weights.len() >= end.wrapping_mul(size.taps())
        && stage.bias.len() >= end
        && (one || stage.multipliers.len() >= end)
        && out.len() >= size.pixels.wrapping_mul(channels)
        && (sums.is_none() || count == 1 && width <= SUMS);
    if !fits {
        return;
    }
    // SAFETY: the sizes were checked above: weights, a bias and a multiplier (or one) for each channel, planes
    // of the input channels that these are made of, as the first one has `left` output channels and the
    // others `multiplier`, `pixels.end` pixels of output. `Planes` has a plane and steps for each tap that
    // stay within it, for all outputs of a row, and bytes behind the planes for six more.
    #[cfg(device)]
    unsafe {
        let first = place.input.wrapping_mul(size.plane).wrapping_add(planes.start());
        let at = pixels.start.wrapping_mul(channels).wrapping_add(place.channel);
        let ring: *const i8 = planes.ring().as_ptr().cast();
        let target: *mut i8 = out.as_ptr().cast_mut().cast();
        let taps = size.taps();
        let mut work = work::Taps {
            plane: ring.add(first.wrapping_add(pixels.start)),
            weights: weights.as_ptr().add(place.channel.wrapping_mul(taps)),
            steps: planes.steps().as_ptr().cast(),
            bias: stage.bias.as_ptr().add(place.channel),
            multipliers: stage.multipliers.as_ptr().add(if one { 0 } else { place.channel }),
            out: target.add(at),
            channels,
            pixels: width,
            taps,
            count,
            left: place.left,
            multiplier: size.multiplier,
            pitch: size.plane,
            #[cfg(kernels = "armv7em")]
            columns: size.side_by_side(),
            step: if one { 0 } else { size_of::<Multiplier>() },
            half: stage.zero_point.wrapping_mul(2).wrapping_add(1),
            #[cfg(kernels = "armv7em")]
            unusual: if sums.is_some() { 2 } else { usize::from(stage.rounding == Rounding::Single) },
            #[cfg(kernels = "armv7m")]
            unusual: if sums.is_some() { 2 } else { 0 },
            sums: sums.map_or(core::ptr::null_mut(), |sums| sums.as_mut_ptr()),
            min: stage.min,
            max: stage.max,
        };
        asm::taps(&raw mut work);
    }
    #[cfg(not(device))]
    emulated(planes, place, count, pixels, weights, stage, out, sums);
}

/// The same in plain Rust, in the order of the assembly, for tests on the host.
#[cfg(not(device))]
#[expect(clippy::too_many_arguments, reason = "as above")]
fn emulated(
    planes: &Planes<'_>,
    place: &Place,
    count: usize,
    pixels: Range<usize>,
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
    mut sums: Option<&mut [i32; SUMS]>,
) {
    /// Outputs at a time.
    const BLOCK: usize = 8;
    let size = planes.size();
    let channels = size.channels * size.multiplier;
    let mut place = *place;
    for _ in 0..count {
        let (bias, multiplier) = stage.channel(place.channel);
        let weights = &weights[place.channel * size.taps()..][..size.taps()];
        for start in pixels.clone().step_by(BLOCK) {
            let mut accs = [bias; BLOCK];
            let mut at = place.input * size.plane + planes.start() + start;
            for (w, step) in weights.iter().zip(planes.steps()) {
                for (x, acc) in accs.iter_mut().enumerate().take(pixels.end - start) {
                    let x = planes.ring()[at + x].get();
                    *acc = acc.wrapping_add(i32::from(x) * i32::from(*w));
                }
                at = at.wrapping_add_signed(step.get().into());
            }
            if let Some(sums) = sums.as_deref_mut() {
                sums[start - pixels.start..][..BLOCK].copy_from_slice(&accs);
                continue;
            }
            for (x, acc) in (start..pixels.end).zip(accs) {
                let y = requantize(acc, multiplier, stage.rounding).wrapping_add(stage.zero_point);
                out[x * channels + place.channel].set(y.clamp(-128, 127) as i8);
            }
        }
        place.advance(size.multiplier);
    }
}
