//! Sums of two tensors, eight elements at a time.

use core::arch::wasm32::*;
use core::cell::Cell;

use ferrolite_schema::params::{Sum, Term};

use super::memory::widened;
use super::scale::{BLOCK, Scale, store_outputs};
use crate::tensor::TensorView;

/// See [`Kernels::add`](crate::kernels::Kernels::add), with two roundings. Returns false if a multiplier shifts left,
/// an operand is repeated, or a number is none that converters write.
pub(super) fn add(a: TensorView<'_, i8>, b: TensorView<'_, i8>, sum: &Sum, out: &[Cell<i8>]) -> bool {
    let scales = (Scale::new(sum.a.multiplier), Scale::new(sum.b.multiplier), Scale::new(sum.multiplier));
    let (Some(scale_a), Some(scale_b), Some(scale)) = scales else { return false };
    let byte = |number: i32| i8::try_from(number).is_ok();
    // Differences are then below 2^28 with their twenty bits, and so are scaled ones; their sum is below 2^29.
    let small = byte(sum.a.zero_point) && byte(sum.b.zero_point) && byte(sum.min) && byte(sum.max);
    if !small || sum.sign.unsigned_abs() != 1 || a.len() != b.len() || a.len() != out.len() {
        return false;
    }
    let (min, max) = (i8x16_splat(sum.min as i8), i8x16_splat(sum.max as i8));
    let term = |x: v128, scale: &Scale, term: &Term| {
        let x = i16x8_sub(x, i16x8_splat(term.zero_point as i16));
        [i32x4_extend_low_i16x8(x), i32x4_extend_high_i16x8(x)].map(|x| scale.apply(i32x4_shl(x, 20), 0))
    };
    let eight = |a: v128, b: v128| {
        let (a, b) = (term(a, &scale_a, &sum.a), term(b, &scale_b, &sum.b));
        let [low, high] = [0, 1].map(|half| {
            let acc = match sum.sign {
                1 => i32x4_add(a[half], b[half]),
                _ => i32x4_sub(a[half], b[half]),
            };
            scale.apply(acc, sum.zero_point)
        });
        let y = i16x8_narrow_i32x4(low, high);
        i8x16_min(i8x16_max(i8x16_narrow_i16x8(y, y), min), max)
    };
    let (a, b) = (a.bytes(), b.bytes());
    let bytes = |x: TensorView<'_, u8>, first: usize, count: usize| {
        let mut bytes = [0u8; BLOCK];
        for (lane, byte) in bytes.iter_mut().enumerate().take(count) {
            *byte = x.at(first + lane);
        }
        widened(&bytes)
    };
    let whole = |x: TensorView<'_, u8>, first: usize| widened(&x.array::<BLOCK>(first).unwrap_or_default());
    for (first, out) in (0..).step_by(BLOCK).zip(out.chunks(BLOCK)) {
        let y = match out.len() {
            BLOCK => eight(whole(a, first), whole(b, first)),
            count => eight(bytes(a, first, count), bytes(b, first, count)),
        };
        store_outputs::<0>(out, y);
    }
    true
}
