//! Steps of layers over time, of sums that are made: both entries of a table by one multiplication, and rounded shifts by
//! SMMLAR.
//!
//! `x * 2^-k`, rounded as a multiplier does that rounds twice, is `(x + 2 s + 1 + 2^(k-1)) >> k`, where `s` is -1 for a
//! number below zero and 0 for others: the first rounding halves `x + 1`, the second one adds `s` and half of its unit.
#![allow(unsafe_code)]

#[cfg(kernels = "armv7em")]
mod asm;
#[cfg(not(kernels = "armv7em"))]
mod emulated;

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use crate::gates::{GruStep, LstmStep, Table};
use crate::kernels::portable;

/// How a number becomes int8, in one shift: `(high word of 2 x m, rounded + term + sign of x) >> bits`.
#[derive(Clone, Copy, Debug)]
struct Scale {
    mantissa: i32,
    /// The zero point and one half.
    term: i32,
    /// Bits, 1 to 22: the zero point has room above them.
    bits: u32,
}

impl Scale {
    /// `None` for multipliers and roundings that it does not suit.
    #[inline(always)]
    fn of(multiplier: Multiplier, zero_point: i32, rounding: Rounding) -> Option<Scale> {
        let Multiplier { mantissa, shift } = multiplier;
        if rounding != Rounding::Double || !(-22..=-1).contains(&shift) {
            return None;
        }
        let bits = shift.unsigned_abs();
        let term = zero_point.wrapping_shl(bits).wrapping_add(1i32.wrapping_shl(bits.wrapping_sub(1)));
        Some(Scale { mantissa, term, bits })
    }
}

/// See [`Kernels::lstm`](crate::kernels::Kernels::lstm).
pub(super) fn lstm(
    step: &LstmStep<'_>,
    a: &[Cell<i16>],
    b: &[Cell<i16>],
    cell: &[Cell<i16>],
    hidden: &[Cell<i8>],
) {
    let scale = Scale::of(step.multiplier, step.zero_point, step.rounding);
    let is_bounded = step.low == i16::MIN.into() && step.high == i16::MAX.into();
    let Some(scale) = scale.filter(|_| is_bounded && step.candidate_shift >= -30) else {
        return portable::lstm(step, a, b, cell, hidden);
    };
    let units = (a.len() / 4).min(b.len() / 4).min(cell.len()).min(hidden.len());
    if units == 0 {
        return;
    }
    // SAFETY: there are four sums in both parts, a cell state and a hidden state for each unit, of which there is one at
    // least. No entry of the table is read beyond the last one. Cells may be written through a shared reference; no unique
    // reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let bits = step.candidate_shift.unsigned_abs();
        let out = hidden.as_ptr().cast_mut().cast::<i8>();
        let work = asm::Lstm {
            candidate_term: 1i32.wrapping_shl(bits.wrapping_sub(1)).wrapping_add(1),
            candidate_bits: bits,
            tanh_multiplier: step.tanh_multiplier,
            tanh_half: 1i32.wrapping_shl(step.tanh_shift) >> 1,
            tanh_shift: step.tanh_shift,
            mantissa: scale.mantissa,
            term: scale.term,
            bits: scale.bits,
            end: out.add(units),
            a: a.as_ptr().cast(),
            b: b.as_ptr().cast(),
            cell: cell.as_ptr().cast_mut().cast(),
            hidden: out,
            table: step.table.as_ptr(),
        };
        asm::lstm(&raw const work);
    }
    #[cfg(not(kernels = "armv7em"))]
    emulated::lstm(step, &scale, (a, b), cell, hidden);
}

/// Both parts of the gates of a unit in numbers, and its hidden states.
#[derive(Clone, Copy)]
struct Sums<'a> {
    a: &'a [Cell<i16>],
    b: &'a [Cell<i16>],
    /// The candidate's own product, where it has one.
    c: &'a [Cell<i16>],
    wide: &'a [Cell<i16>],
    out: &'a [Cell<i8>],
}

impl Sums<'_> {
    /// Runs a leaf for those units whose sums are all there: `in_b` sums of each in `b`.
    #[cfg(kernels = "armv7em")]
    #[inline(always)]
    fn run(&self, scale: &Scale, table: &Table, in_b: usize, leaf: unsafe extern "C" fn(*const asm::Gru)) {
        let units = (self.a.len() / 3).min(self.b.len() / in_b).min(self.c.len());
        let units = units.min(self.wide.len()).min(self.out.len());
        if units == 0 {
            return;
        }
        // SAFETY: as for an LSTM.
        unsafe {
            let out = self.out.as_ptr().cast_mut().cast::<i8>();
            let work = asm::Gru {
                mantissa: scale.mantissa,
                term: scale.term,
                bits: scale.bits,
                end: out.add(units),
                a: self.a.as_ptr().cast(),
                b: self.b.as_ptr().cast(),
                wide: self.wide.as_ptr().cast_mut().cast(),
                out,
                table: table.as_ptr(),
                c: self.c.as_ptr().cast(),
            };
            leaf(&raw const work);
        }
    }
}

/// See [`Kernels::gru_after`](crate::kernels::Kernels::gru_after).
pub(super) fn gru_after(
    step: &GruStep,
    table: &Table,
    (a, b): (&[Cell<i16>], &[Cell<i16>]),
    wide: &[Cell<i16>],
    out: &[Cell<i8>],
) {
    match Scale::of(step.multiplier, step.zero_point, step.rounding) {
        Some(scale) => {
            let sums = Sums { a, b, c: wide, wide, out };
            #[cfg(kernels = "armv7em")]
            sums.run(&scale, table, 3, asm::gru_after);
            #[cfg(not(kernels = "armv7em"))]
            emulated::gru_after(&scale, table, &sums);
        }
        None => step.after(&table, a, b, wide, out),
    }
}

/// See [`Kernels::gru_reset`](crate::kernels::Kernels::gru_reset).
pub(super) fn gru_reset(
    step: &GruStep,
    table: &Table,
    (a, b): (&[Cell<i16>], &[Cell<i16>]),
    wide: &[Cell<i16>],
    out: &[Cell<i8>],
) {
    match Scale::of(step.multiplier, step.zero_point, step.rounding) {
        Some(scale) => {
            let sums = Sums { a, b, c: wide, wide, out };
            #[cfg(kernels = "armv7em")]
            sums.run(&scale, table, 2, asm::gru_reset);
            #[cfg(not(kernels = "armv7em"))]
            emulated::gru_reset(&scale, table, &sums);
        }
        None => step.reset(&table, a, b, wide, out),
    }
}

/// See [`Kernels::gru_before`](crate::kernels::Kernels::gru_before).
pub(super) fn gru_before(
    step: &GruStep,
    table: &Table,
    [a, b, c]: [&[Cell<i16>]; 3],
    wide: &[Cell<i16>],
    out: &[Cell<i8>],
) {
    match Scale::of(step.multiplier, step.zero_point, step.rounding) {
        Some(scale) => {
            let sums = Sums { a, b, c, wide, out };
            #[cfg(kernels = "armv7em")]
            sums.run(&scale, table, 2, asm::gru_before);
            #[cfg(not(kernels = "armv7em"))]
            emulated::gru_before(&scale, table, &sums);
        }
        None => step.before(&table, [a, b, c], wide, out),
    }
}
