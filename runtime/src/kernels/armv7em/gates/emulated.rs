//! The leaves in plain Rust, word for word, for tests on the host.

use core::cell::Cell;

use super::super::intrinsics::{qadd16, smlad, smmlar};
use super::{Scale, Sums};
use crate::gates::{LstmStep, Table, to_int16};

/// See [`asm::lstm`](super::asm).
pub(super) fn lstm(
    step: &LstmStep<'_>,
    scale: &Scale,
    (a, b): (&[Cell<i16>], &[Cell<i16>]),
    cell: &[Cell<i16>],
    hidden: &[Cell<i8>],
) {
    let table = step.table;
    let bits = step.candidate_shift.unsigned_abs();
    let half = (1i32 << step.tanh_shift) >> 1;
    for (((a, b), c), h) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0).zip(cell).zip(hidden) {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (a, b);
        let (first, second) = (qadd16(pair(a0, a1), pair(b0, b1)), qadd16(pair(a2, a3), pair(b2, b3)));
        let candidate = tanh(table, lower(second) * 3);
        let new = logistic(table, lower(first) * 3).wrapping_mul(candidate) + (1 << (bits - 1)) + 1;
        let new = to_int16((new + 2 * (candidate >> 31)) >> bits);
        let old = to_int16(times(logistic(table, (first >> 16) * 3), c.get().into()) >> 15);
        let state = to_int16(old + new);
        c.set(state as i16);
        let x = state.wrapping_mul(step.tanh_multiplier).wrapping_add(half) >> step.tanh_shift;
        let y = logistic(table, (second >> 16) * 3).wrapping_mul(tanh(table, x));
        h.set(scaled(scale, y));
    }
}

/// See [`asm::gru_after`](super::asm).
pub(super) fn gru_after(scale: &Scale, table: &Table, sums: &Sums<'_>) {
    let gates = sums.a.as_chunks::<3>().0.iter().zip(sums.b.as_chunks::<3>().0);
    for ((([az, ar, an], [bz, br, bn]), wide), out) in gates.zip(sums.wide).zip(sums.out) {
        let gates = qadd16(pair(az, ar), pair(bz, br));
        let part = times(logistic(table, (gates >> 16) * 3), bn.get().into()) >> 15;
        let n = tanh(table, to_int16(part + i32::from(an.get())) * 3);
        enter(scale, logistic(table, lower(gates) * 3), n, wide, out);
    }
}

/// See [`asm::gru_reset`](super::asm).
pub(super) fn gru_reset(scale: &Scale, table: &Table, sums: &Sums<'_>) {
    let gates = sums.a.as_chunks::<3>().0.iter().zip(sums.b.as_chunks::<2>().0);
    for ((([_, ar, _], [_, br]), wide), out) in gates.zip(sums.wide).zip(sums.out) {
        let r = lower(qadd16(ar.get().into(), br.get().into()));
        out.set(scaled(scale, times(logistic(table, r * 3), wide.get().into()) >> 15));
    }
}

/// See [`asm::gru_before`](super::asm).
pub(super) fn gru_before(scale: &Scale, table: &Table, sums: &Sums<'_>) {
    let gates = sums.a.as_chunks::<3>().0.iter().zip(sums.b.as_chunks::<2>().0).zip(sums.c);
    for (((([az, _, an], [bz, _]), c), wide), out) in gates.zip(sums.wide).zip(sums.out) {
        let n = tanh(table, lower(qadd16(an.get().into(), c.get().into())) * 3);
        let z = lower(qadd16(az.get().into(), bz.get().into()));
        enter(scale, logistic(table, z * 3), n, wide, out);
    }
}

fn enter(scale: &Scale, z: i32, n: i32, wide: &Cell<i16>, out: &Cell<i8>) {
    let h = to_int16(n + (times(z, i32::from(wide.get()) - n) >> 15));
    wide.set(h as i16);
    out.set(scaled(scale, h));
}

/// Two numbers side by side.
fn pair(a: &Cell<i16>, b: &Cell<i16>) -> i32 {
    (u32::from(a.get() as u16) | u32::from(b.get() as u16) << 16) as i32
}

fn lower(pair: i32) -> i32 {
    i32::from(pair as i16)
}

/// A gate times a number and what rounds it, to be shifted by 15 bits.
fn times(gate: i32, x: i32) -> i32 {
    gate * x + 16385 + 2 * (x >> 31)
}

fn scaled(scale: &Scale, x: i32) -> i8 {
    (smmlar(x.wrapping_mul(2), scale.mantissa, scale.term + (x >> 31)) >> scale.bits).clamp(-128, 127) as i8
}

/// Entry number `entry` and the next one, each less 2^15, weighed with what is left of `width` and with `part`.
fn between(table: &Table, entry: u32, part: u32, width: u32) -> i32 {
    let both = u32::from(table[entry as usize]) | u32::from(table[entry as usize + 1]) << 16;
    smlad((both ^ 0x8000_8000) as i32, ((part << 16).wrapping_sub(part) + width) as i32, 0)
}

/// [`logistic_of`](crate::gates::logistic_of) of three times an int16.
fn logistic(table: &Table, x: i32) -> i32 {
    let magnitude = x.unsigned_abs();
    smmlar(between(table, magnitude >> 9, magnitude & 0x1FF, 1 << 9) ^ (x >> 31), 1 << 22, 1 << 14)
}

/// [`tanh_of`](crate::gates::tanh_of).
fn tanh(table: &Table, x: i32) -> i32 {
    let magnitude = x.unsigned_abs();
    let entry = magnitude >> 8;
    let y = if entry >= 255 { 0x7F_FF00 } else { between(table, entry, magnitude & 0xFF, 1 << 8) };
    ((y ^ (x >> 31)) + 128) >> 8
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::gates::{self, GruStep};
    use crate::kernels::{Armv7em, Kernels, Portable};
    use ferrolite_schema::Rounding;
    use ferrolite_schema::params::Multiplier;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// A step of either layer.
    type Lstm = fn(&LstmStep<'_>, &[Cell<i16>], &[Cell<i16>], &[Cell<i16>], &[Cell<i8>]);
    type Gru<'a> = dyn Fn([&[Cell<i16>]; 3], &[Cell<i16>], &[Cell<i8>]) + 'a;

    /// Any number of int16, the ends among them.
    fn number() -> impl Strategy<Value = i16> {
        prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX), -300i16..300]
    }

    fn numbers(len: usize) -> impl Strategy<Value = Vec<i16>> {
        proptest::collection::vec(number(), len)
    }

    /// The real table, or any numbers.
    fn tables() -> impl Strategy<Value = Table> {
        prop_oneof![
            Just(gates::table()),
            proptest::collection::vec(any::<u16>(), 256)
                .prop_map(|entries| core::array::from_fn(|i| entries[i]))
        ]
    }

    fn multipliers() -> impl Strategy<Value = Multiplier> {
        (1i32 << 30..=i32::MAX, -31i32..3).prop_map(|(mantissa, shift)| Multiplier { mantissa, shift })
    }

    fn roundings() -> impl Strategy<Value = Rounding> {
        prop_oneof![4 => Just(Rounding::Double), 1 => Just(Rounding::Single)]
    }

    fn cells<T>(numbers: &mut [T]) -> &[Cell<T>] {
        Cell::from_mut(numbers).as_slice_of_cells()
    }

    proptest! {
        #[test]
        fn steps_of_an_lstm_are_those_of_any_core(
            table in tables(),
            (mut a, mut b, cell) in (numbers(20), numbers(20), numbers(5)),
            (multiplier, rounding, zero_point) in (multipliers(), roundings(), -128i32..128),
            (candidate_shift, tanh_shift, bound) in (-31i32..=-2, 0u32..8, prop_oneof![Just(0i32), 1..32767]),
        ) {
            let (low, high) = if bound == 0 { (-32768, 32767) } else { (-bound, bound) };
            let step = LstmStep { table: &table, rounding, candidate_shift, tanh_multiplier: 3, tanh_shift, low, high,
                multiplier, zero_point };
            let mut run = |lstm: Lstm| {
                let (mut cell, mut hidden) = (cell.clone(), [0i8; 5]);
                lstm(&step, cells(&mut a), cells(&mut b), cells(&mut cell), cells(&mut hidden));
                (cell, hidden)
            };
            prop_assert_eq!(run(Armv7em::lstm), run(Portable::lstm));
        }

        #[test]
        fn steps_of_a_gru_are_those_of_any_core(
            table in tables(),
            (mut a, mut b, mut c, wide) in (numbers(15), numbers(15), numbers(5), numbers(5)),
            (multiplier, rounding, zero_point) in (multipliers(), roundings(), -128i32..128),
        ) {
            let step = GruStep { rounding, multiplier, zero_point };
            let mut run = |of: &Gru<'_>| {
                let (mut wide, mut hidden) = (wide.clone(), [0i8; 5]);
                of([cells(&mut a), cells(&mut b), cells(&mut c)], cells(&mut wide), cells(&mut hidden));
                (wide, hidden)
            };
            prop_assert_eq!(
                run(&|[a, b, _], wide, hidden| Armv7em::gru_after(&step, &table, a, b, wide, hidden)),
                run(&|[a, b, _], wide, hidden| Portable::gru_after(&step, &table, a, b, wide, hidden))
            );
            prop_assert_eq!(
                run(&|[a, b, _], wide, hidden| Armv7em::gru_reset(&step, &table, a, &b[..10], wide, hidden)),
                run(&|[a, b, _], wide, hidden| Portable::gru_reset(&step, &table, a, &b[..10], wide, hidden))
            );
            prop_assert_eq!(
                run(&|[a, b, c], wide, hidden| Armv7em::gru_before(&step, &table, [a, &b[..10], c], wide, hidden)),
                run(&|[a, b, c], wide, hidden| Portable::gru_before(&step, &table, [a, &b[..10], c], wide, hidden))
            );
        }
    }

    #[test]
    fn functions_are_those_of_any_core() {
        let table = gates::table();
        for x in i16::MIN..=i16::MAX {
            let x = i32::from(x);
            assert_eq!(logistic(&table, x * 3), gates::logistic(&table, x), "logistic of {x}");
            for factor in [1, 3, 24] {
                let x = x * factor;
                assert_eq!(tanh(&table, x), gates::tanh_of(&table, x), "tangent of {x}");
            }
        }
    }
}
