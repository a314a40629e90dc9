//! Portable bodies of the kernels over planes.

use core::cell::Cell;

use crate::kernels::{Planes, Stage};

/// See [`Kernels::load_planes`](crate::kernels::Kernels::load_planes).
pub(in crate::kernels) fn load_planes(
    planes: &Planes<'_>,
    slot: usize,
    left: usize,
    row: &[Cell<i8>],
    zero_point: i8,
) {
    let size = planes.size();
    let pixels = row.len().checked_div(size.channels).unwrap_or(0);
    for part in planes.parts(slot, left, pixels) {
        let step = size.channels.wrapping_mul(size.stride);
        let places = planes.ring().chunks(size.plane.max(1)).take(size.channels);
        for (channel, plane) in places.enumerate() {
            let mut at = part.first.wrapping_mul(size.channels).wrapping_add(channel);
            let places = plane.get(part.place..).unwrap_or(&[]).iter().take(size.phase);
            for (number, place) in places.enumerate() {
                let inside = number.wrapping_sub(part.left) < part.count;
                let x = if inside { row.get(at).map_or(zero_point, Cell::get) } else { zero_point };
                place.set(x);
                at = at.wrapping_add(if inside { step } else { 0 });
            }
        }
    }
}

/// See [`Kernels::depthwise_taps`](crate::kernels::Kernels::depthwise_taps).
pub(in crate::kernels) fn depthwise_taps(
    planes: &Planes<'_>,
    weights: &[i8],
    stage: &Stage<'_>,
    out: &[Cell<i8>],
) {
    let size = planes.size();
    let channels = size.channels.wrapping_mul(size.multiplier);
    let (mut plane, mut copies) = (planes.ring(), 0);
    for (channel, weights) in weights.chunks_exact(size.taps().max(1)).enumerate().take(channels) {
        let (bias, multiplier) = stage.channel(channel);
        let places = out.get(channel..).unwrap_or(&[]).iter().step_by(channels.max(1));
        for (x, out) in places.enumerate() {
            let (mut acc, mut at) = (bias, planes.start().wrapping_add(x));
            for (w, step) in weights.iter().zip(planes.steps()) {
                let x = plane.get(at).map_or(0, Cell::get);
                acc = acc.wrapping_add(i32::from(x) * i32::from(*w));
                at = at.wrapping_add_signed(step.get().into());
            }
            out.set(stage.apply(acc, multiplier));
        }
        copies += 1;
        if copies == size.multiplier {
            (plane, copies) = (plane.get(size.plane..).unwrap_or(&[]), 0);
        }
    }
}
