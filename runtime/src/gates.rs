//! Functions of gates, and the numbers of a step of an LSTM and of a gated recurrent unit.
//!
//! Sums of a gate are int16 with 12 bits behind the point, its results have 15. Logistic and hyperbolic tangent come
//! from one table of `2^16 * logistic(i / 24)`, with a straight line between its entries; the tangent is
//! `2 * logistic(2 x) - 1`. Source followed: `reference/integer_ops/logistic.h` and `tanh.h` of TensorFlow Lite for int16.

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use crate::quant::requantize;

/// Entries of the table.
pub const ENTRIES: u32 = 256;

/// The table of [`logistic`] and [`tanh`].
pub type Table = [u16; ENTRIES as usize];

/// Entries that are one above the nearest integer: lines between entries lie below a curve that bends down.
const RAISED: [u8; 44] = [
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45,
    46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
];

/// The table as TensorFlow Lite has it (`lut.h`), for the converter: a device finds it in the file.
pub fn table() -> Table {
    let entry = |i: usize| libm::round(65536.0 / (1.0 + libm::exp(-(i as f64) / 24.0))) as u16;
    let mut table = core::array::from_fn(entry);
    for entry in RAISED {
        table[usize::from(entry)] += 1;
    }
    table
}

/// Logistic function, with 15 bits behind the point, of a number that is 12,288 for 1.0 already.
#[inline(always)]
pub fn logistic_of(table: &Table, x: i32) -> i32 {
    // 24 entries for each 1.0.
    let magnitude = x.unsigned_abs();
    let entry = magnitude >> 9;
    let y = if entry >= 255 {
        0x7FFF << 10
    } else {
        let (a, b) = neighbours(table, entry);
        (a << 9).wrapping_add((magnitude & 0x1FF).wrapping_mul(b.wrapping_sub(a)))
    };
    let y = if x < 0 { (1u32 << 25).wrapping_sub(1).wrapping_sub(y) } else { y };
    (y.wrapping_add(1 << 9) >> 10) as i32
}

/// The same of a sum with 12 bits behind the point.
#[inline(always)]
pub fn logistic(table: &Table, x: i32) -> i32 {
    logistic_of(table, x.wrapping_mul(3))
}

/// Hyperbolic tangent, with 15 bits behind the point, of a number that is 6,144 for 1.0 already.
#[inline(always)]
pub fn tanh_of(table: &Table, x: i32) -> i32 {
    let magnitude = x.unsigned_abs();
    let entry = magnitude >> 8;
    let y = if entry >= 255 {
        0xFFFF << 8
    } else {
        let (a, b) = neighbours(table, entry);
        (a << 8).wrapping_add((magnitude & 0xFF).wrapping_mul(b.wrapping_sub(a)))
    };
    let y = (y as i32).wrapping_sub(1 << 23);
    let y = if x < 0 { y.wrapping_neg().wrapping_sub(1) } else { y };
    y.wrapping_add(1 << 7) >> 8
}

/// The same of a sum with 12 bits behind the point.
#[inline(always)]
pub fn tanh(table: &Table, x: i32) -> i32 {
    tanh_of(table, x.wrapping_mul(3))
}

/// Entry number `entry`, below 255, and the next one.
#[inline(always)]
fn neighbours(table: &Table, entry: u32) -> (u32, u32) {
    let at = |entry: u32| u32::from(table[usize::from(entry as u8)]);
    (at(entry), at(entry.wrapping_add(1)))
}

/// Entries of a table of any function.
pub const POINTS: u32 = 513;

/// A function of an int16, at every 128th number from the least on.
pub type Curve = [i16; POINTS as usize];

/// The function at a number within int16: a straight line between two entries.
#[inline(always)]
pub fn curve_at(curve: &Curve, x: i32) -> i32 {
    let at = (x >> 7).wrapping_add(256) as usize;
    let entry = |at: usize| curve.get(at).map_or(0, |&y| i32::from(y));
    let base = entry(at);
    let slope = entry(at.wrapping_add(1)).wrapping_sub(base);
    base.wrapping_add(slope.wrapping_mul(x & 0x7F).wrapping_add(64) >> 7)
}

/// The sum of both parts of a gate, within int16.
#[inline(always)]
pub fn sum(a: &Cell<i16>, b: &Cell<i16>) -> i32 {
    (i32::from(a.get()) + i32::from(b.get())).clamp(i16::MIN.into(), i16::MAX.into())
}

/// Scales to int8 and adds a zero point.
#[inline(always)]
pub fn to_int8(x: i32, multiplier: Multiplier, zero_point: i32, rounding: Rounding) -> i8 {
    requantize(x, multiplier, rounding).wrapping_add(zero_point).clamp(-128, 127) as i8
}

/// `x * 2^shift` for a shift of -31 to -2, rounded as the multiplier of that factor does.
#[inline(always)]
pub fn by_power(x: i32, shift: i32, rounding: Rounding) -> i32 {
    // The multiplier's mantissa is one half.
    if rounding != Rounding::Double {
        let multiplier = Multiplier { mantissa: 1 << 30, shift: shift.wrapping_add(1) };
        return requantize(x, multiplier, rounding);
    }
    let half = x.wrapping_add(1) >> 1;
    let half = half.wrapping_add(half >> 31);
    half.wrapping_shr((-2i32).wrapping_sub(shift) as u32).wrapping_add(1) >> 1
}

/// A number within int16.
#[inline(always)]
pub fn to_int16(x: i32) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into())
}

/// What a step of an LSTM needs beside its sums.
#[derive(Clone, Copy, Debug)]
pub struct LstmStep<'a> {
    /// Of the functions.
    pub table: &'a Table,
    /// How it scales.
    pub rounding: Rounding,
    /// Power of two of the factor from the product of input gate and candidate to the cell state, -31 to -2.
    pub candidate_shift: i32,
    /// What the cell state is multiplied with before its tangent is looked up.
    pub tanh_multiplier: i32,
    /// By how many bits that is shifted to the right then, rounded to nearest.
    pub tanh_shift: u32,
    /// Smallest cell state.
    pub low: i32,
    /// Largest cell state.
    pub high: i32,
    /// From the product of output gate and tangent to the hidden state.
    pub multiplier: Multiplier,
    /// Zero point of the hidden state.
    pub zero_point: i32,
}

impl LstmStep<'_> {
    /// Makes the new cell states of all units, and of each the product of output gate and tangent, with 30 bits behind the
    /// point, from which `hidden` makes the hidden state.
    #[inline(always)]
    pub fn run<T>(
        &self,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        cell: &[Cell<i16>],
        out: &[Cell<T>],
        hidden: impl Fn(i32) -> T,
    ) {
        let &LstmStep { table, rounding, candidate_shift, low, high, .. } = self;
        let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
        for ((([a0, a1, a2, a3], [b0, b1, b2, b3]), c), h) in a.iter().zip(b).zip(cell).zip(out) {
            let (input, forget, candidate, output) = (sum(a0, b0), sum(a1, b1), sum(a2, b2), sum(a3, b3));
            let new = logistic(table, input).wrapping_mul(tanh(table, candidate));
            let new = to_int16(by_power(new, candidate_shift, rounding));
            let old = logistic(table, forget).wrapping_mul(c.get().into());
            let old = to_int16(by_power(old, -15, rounding));
            let state = old.wrapping_add(new).max(low).min(high);
            c.set(state as i16);
            let x = state.wrapping_mul(self.tanh_multiplier);
            let half = 1i32.wrapping_shl(self.tanh_shift) >> 1;
            let x = x.wrapping_add(half).wrapping_shr(self.tanh_shift);
            h.set(hidden(logistic(table, output).wrapping_mul(tanh_of(table, x))));
        }
    }
}

/// What a step of a gated recurrent unit needs beside its sums and its functions.
#[derive(Clone, Copy, Debug)]
pub struct GruStep {
    /// How it scales.
    pub rounding: Rounding,
    /// From the hidden state of int16 to that of int8.
    pub multiplier: Multiplier,
    /// Zero point of the hidden state.
    pub zero_point: i32,
}

/// The functions of a layer's gates, results with 15 bits behind the point, and of its candidate.
pub trait Functions {
    /// Of update and reset gate.
    fn gate(&self, sum: i32) -> i32;
    /// Of the candidate, in the scale of the hidden state.
    fn candidate(&self, sum: i32) -> i32;
}

/// Logistic function and hyperbolic tangent.
impl Functions for &Table {
    #[inline(always)]
    fn gate(&self, sum: i32) -> i32 {
        logistic(self, sum)
    }

    #[inline(always)]
    fn candidate(&self, sum: i32) -> i32 {
        tanh(self, sum)
    }
}

impl GruStep {
    /// One step of a layer whose reset gate acts after the product. `a` and `b` are both parts of the gates update, reset
    /// and candidate of each unit, `wide` and `hidden` the hidden state. This and those below are functions of their own,
    /// so that they are compiled for speed.
    #[inline(never)]
    pub fn after<F: Functions>(
        &self,
        functions: &F,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        wide: &[Cell<i16>],
        hidden: &[Cell<i8>],
    ) {
        let (gates, states) = (a.as_chunks::<3>().0, b.as_chunks::<3>().0);
        let places = wide.iter().zip(hidden);
        for (([az, ar, an], [bz, br, bn]), (wide, hidden)) in gates.iter().zip(states).zip(places) {
            let r = functions.gate(sum(ar, br));
            let part = by_power(r.wrapping_mul(bn.get().into()), -15, self.rounding);
            let n = functions.candidate(to_int16(part.wrapping_add(an.get().into())));
            self.enter(functions.gate(sum(az, bz)), n, wide, hidden);
        }
    }

    /// The hidden state after the reset gate; `b` has parts of update and reset gate.
    #[inline(never)]
    pub fn reset<F: Functions>(
        &self,
        functions: &F,
        a: &[Cell<i16>],
        b: &[Cell<i16>],
        wide: &[Cell<i16>],
        reset: &[Cell<i8>],
    ) {
        let (gates, states) = (a.as_chunks::<3>().0, b.as_chunks::<2>().0);
        let places = wide.iter().zip(reset);
        for (([_, ar, _], [_, br]), (wide, reset)) in gates.iter().zip(states).zip(places) {
            let r = functions.gate(sum(ar, br));
            let h = by_power(r.wrapping_mul(wide.get().into()), -15, self.rounding);
            reset.set(to_int8(h, self.multiplier, self.zero_point, self.rounding));
        }
    }

    /// One step of a layer whose reset gate has acted before the product `c`.
    #[inline(never)]
    pub fn before<F: Functions>(
        &self,
        functions: &F,
        [a, b, c]: [&[Cell<i16>]; 3],
        wide: &[Cell<i16>],
        hidden: &[Cell<i8>],
    ) {
        let (gates, states) = (a.as_chunks::<3>().0, b.as_chunks::<2>().0);
        let places = wide.iter().zip(hidden);
        for ((([az, _, an], [bz, _]), c), (wide, hidden)) in gates.iter().zip(states).zip(c).zip(places) {
            let n = functions.candidate(sum(an, c));
            self.enter(functions.gate(sum(az, bz)), n, wide, hidden);
        }
    }

    /// The new hidden state of a unit.
    #[inline(always)]
    fn enter(&self, z: i32, n: i32, wide: &Cell<i16>, hidden: &Cell<i8>) {
        // 32,768 times 65,535 and what rounds it are below 2^31.
        let kept = by_power(z.wrapping_mul(i32::from(wide.get()).wrapping_sub(n)), -15, self.rounding);
        let h = to_int16(n.wrapping_add(kept));
        wide.set(h as i16);
        hidden.set(to_int8(h, self.multiplier, self.zero_point, self.rounding));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_go_through_their_points() {
        let square = |x: i32| ((x * x) >> 16) as i16;
        let curve: Curve = core::array::from_fn(|at| square(at as i32 * 128 - (1 << 15)));
        for x in i16::MIN..=i16::MAX {
            let (x, y) = (i32::from(x), curve_at(&curve, x.into()));
            assert!((y - i32::from(square(x))).abs() <= 1, "{x}: {y}");
            assert!(x % 128 != 0 || y == i32::from(square(x)), "{x}: {y}");
        }
    }

    #[test]
    fn functions_are_near_the_real_ones() {
        let table = table();
        for x in i16::MIN..=i16::MAX {
            let real = f64::from(x) / 4096.0;
            let found = f64::from(logistic(&table, x.into())) / 32768.0;
            assert!((found - 1.0 / (1.0 + libm::exp(-real))).abs() < 1e-4, "{x}: {found}");
            let found = f64::from(tanh(&table, x.into())) / 32768.0;
            assert!((found - libm::tanh(real)).abs() < 2e-4, "{x}: {found}");
        }
    }
}
