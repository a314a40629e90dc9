//! Portable bodies of a step of an LSTM, and of lines that move on by one number.

use core::cell::Cell;

use crate::gates::{LstmStep, by_power, logistic, sum, tanh, tanh_of, to_int8, to_int16};
use crate::kernels::Delays;
use crate::tensor::Element;

/// See [`Kernels::lstm`](crate::kernels::Kernels::lstm). Not inlined, so that it is compiled for speed and has all
/// registers.
#[inline(never)]
pub(in crate::kernels) fn lstm(
    step: &LstmStep<'_>,
    a: &[Cell<i16>],
    b: &[Cell<i16>],
    cell: &[Cell<i16>],
    hidden: &[Cell<i8>],
) {
    let &LstmStep { table, rounding, candidate_shift, low, high, .. } = step;
    let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
    for ((([a0, a1, a2, a3], [b0, b1, b2, b3]), c), h) in a.iter().zip(b).zip(cell).zip(hidden) {
        let (input, forget, candidate, output) = (sum(a0, b0), sum(a1, b1), sum(a2, b2), sum(a3, b3));
        let new = logistic(table, input).wrapping_mul(tanh(table, candidate));
        let new = to_int16(by_power(new, candidate_shift, rounding));
        let old = logistic(table, forget).wrapping_mul(c.get().into());
        let old = to_int16(by_power(old, -15, rounding));
        let state = old.wrapping_add(new).max(low).min(high);
        c.set(state as i16);
        let x = state.wrapping_mul(step.tanh_multiplier);
        let half = 1i32.wrapping_shl(step.tanh_shift) >> 1;
        let x = x.wrapping_add(half).wrapping_shr(step.tanh_shift);
        let y = logistic(table, output).wrapping_mul(tanh_of(table, x));
        h.set(to_int8(y, step.multiplier, step.zero_point, rounding));
    }
}

/// See [`Kernels::delays`](crate::kernels::Kernels::delays). Not inlined, so that it is compiled for speed.
#[inline(never)]
pub(in crate::kernels) fn delays(
    delays: &Delays<'_, i8>,
    newest: &[Cell<i8>],
    state: &[Cell<i8>],
    out: &[Cell<i8>],
) {
    delays.advance(newest, state, out, |line, weights, newest, zero_point| {
        delay(line, weights, i32::from(newest).wrapping_add(zero_point) as i8)
    });
}

/// See [`Kernels::delays_int16`](crate::kernels::Kernels::delays_int16).
#[inline(never)]
pub(in crate::kernels) fn delays_int16(
    delays: &Delays<'_, i16>,
    newest: &[Cell<i16>],
    state: &[Cell<i16>],
    out: &[Cell<i8>],
) {
    delays.advance(newest, state, out, |line, weights, newest, zero_point| {
        delay(line, weights, i32::from(newest).wrapping_add(zero_point) as i16)
    });
}

/// Moves a line on by one number, and weighs it.
#[inline(always)]
fn delay<T: Element + Into<i32>>(line: &[Cell<T>], weights: &[T], newest: T) -> i32 {
    let product = |x: T, w: T| x.into().wrapping_mul(w.into());
    let (Some((last, _)), Some((last_weight, weights))) = (line.split_last(), weights.split_last()) else {
        return 0;
    };
    let mut acc = product(newest, *last_weight);
    for ((place, x), &w) in line.iter().zip(line.iter().skip(1)).zip(weights) {
        let x = x.get();
        place.set(x);
        acc = acc.wrapping_add(product(x, w));
    }
    last.set(newest);
    acc
}
