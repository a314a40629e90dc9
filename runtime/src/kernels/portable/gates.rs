//! Portable bodies of a step of an LSTM, and of lines that move on by one number.

use core::cell::Cell;

use crate::gates::{LstmStep, to_int8};
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
    step.run(a, b, cell, hidden, |y| to_int8(y, step.multiplier, step.zero_point, step.rounding));
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
