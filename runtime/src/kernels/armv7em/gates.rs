//! A step of an LSTM: sums of two gates at once, and both entries of a table by one multiplication.

use core::cell::Cell;

use ferrolite_schema::Rounding;

use super::intrinsics::{qadd16, smlad, smmulr};
use crate::gates::{LstmStep, Table, by_power, to_int16};
use crate::kernels::portable;

/// See [`Kernels::lstm`](crate::kernels::Kernels::lstm). Not inlined, so that it is compiled for speed.
#[inline(never)]
pub(super) fn lstm(
    step: &LstmStep<'_>,
    a: &[Cell<i16>],
    b: &[Cell<i16>],
    cell: &[Cell<i16>],
    hidden: &[Cell<i8>],
) {
    let &LstmStep { table, low, high, tanh_multiplier, tanh_shift, zero_point, .. } = step;
    let shift = step.multiplier.shift.wrapping_neg();
    if step.rounding != Rounding::Double || shift < 1 {
        return portable::lstm(step, a, b, cell, hidden);
    }
    let mantissa = step.multiplier.mantissa;
    let half = (1i32 << tanh_shift) >> 1;
    let round = 1i32.wrapping_shl((shift as u32).wrapping_sub(1));
    let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
    for (((a, b), c), h) in a.iter().zip(b).zip(cell).zip(hidden) {
        let [a0, a1, a2, a3] = a;
        let [b0, b1, b2, b3] = b;
        let (first, second) = (qadd16(pair(a0, a1), pair(b0, b1)), qadd16(pair(a2, a3), pair(b2, b3)));
        let new = logistic(table, lower(first)).wrapping_mul(tanh(table, lower(second).wrapping_mul(3)));
        let new = to_int16(by_power(new, step.candidate_shift, Rounding::Double));
        let old = logistic(table, first >> 16).wrapping_mul(c.get().into());
        let old = to_int16(by_power(old, -15, Rounding::Double));
        let state = old.wrapping_add(new).max(low).min(high);
        c.set(state as i16);
        let x = state.wrapping_mul(tanh_multiplier).wrapping_add(half).wrapping_shr(tanh_shift);
        // Below 2^30, so that twice as much has room.
        let y = logistic(table, second >> 16).wrapping_mul(tanh(table, x));
        let scaled = smmulr(y.wrapping_mul(2), mantissa);
        let scaled = scaled.wrapping_add(scaled >> 31).wrapping_add(round).wrapping_shr(shift as u32);
        h.set(scaled.wrapping_add(zero_point).clamp(-128, 127) as i8);
    }
}

/// Two numbers side by side: one load.
#[inline(always)]
fn pair(a: &Cell<i16>, b: &Cell<i16>) -> i32 {
    (u32::from(a.get() as u16) | u32::from(b.get() as u16) << 16) as i32
}

#[inline(always)]
fn lower(pair: i32) -> i32 {
    i32::from(pair as i16)
}

/// Entry number `entry`, below 255, and the next one, each less 2^15, weighed with what is left of `width` and with
/// `part`.
#[inline(always)]
fn between(table: &Table, entry: u32, part: u32, width: u32) -> i32 {
    let pair = table.get(entry as usize..).and_then(<[u16]>::first_chunk::<2>);
    // There is always a pair.
    let both = pair.map_or(0, |&[a, b]| u32::from(a) | u32::from(b) << 16);
    let weights = (part << 16).wrapping_sub(part).wrapping_add(width);
    smlad((both ^ 0x8000_8000) as i32, weights as i32, 0)
}

/// [`gates::logistic`](crate::gates::logistic): one half, and what is above or below it.
#[inline(always)]
fn logistic(table: &Table, x: i32) -> i32 {
    let magnitude = x.wrapping_mul(3).unsigned_abs().min((255 << 9) - 1);
    let y = between(table, magnitude >> 9, magnitude & 0x1FF, 1 << 9);
    ((y ^ (x >> 31)).wrapping_add(1 << 9) >> 10).wrapping_add(1 << 14)
}

/// [`gates::tanh_of`](crate::gates::tanh_of).
#[inline(always)]
fn tanh(table: &Table, x: i32) -> i32 {
    let magnitude = x.unsigned_abs();
    let entry = magnitude >> 8;
    let y = if entry >= 255 {
        (0xFFFF << 8) - (1 << 23)
    } else {
        between(table, entry, magnitude & 0xFF, 1 << 8)
    };
    (y ^ (x >> 31)).wrapping_add(1 << 7) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates;

    #[test]
    fn functions_are_those_of_any_core() {
        let table = gates::table();
        for x in i16::MIN..=i16::MAX {
            assert_eq!(logistic(&table, x.into()), gates::logistic(&table, x.into()), "logistic of {x}");
            for factor in [1, 3, 24] {
                let x = i32::from(x) * factor;
                assert_eq!(tanh(&table, x), gates::tanh_of(&table, x), "tangent of {x}");
            }
        }
    }
}
