//! Lines of CUMSUM, four elements in a vector: sums within it, then the sum before it.
#![allow(unsafe_code)]

use ferrolite_schema::Rounding;
use ferrolite_schema::params::CumsumParams;

use crate::kernels::fields::{in_order, leaf};
use crate::kernels::{Column, running};

/// Elements of a vector.
const LANES: usize = 4;

/// Arguments of [`vectors`].
#[repr(C)]
struct Sums {
    input_zero_point: i32,
    /// The smallest and the largest sum that the shift leaves within 32 bits.
    low: i32,
    high: i32,
    shift: u32,
    mantissa: i32,
    /// Left shift, below zero.
    right: i32,
    zero_point: i32,
    start: i32,
}

in_order!(first 8 words of Sums: input_zero_point, low, high, shift, mantissa, right, zero_point, start);

/// See [`Kernels::running_sums`](crate::kernels::Kernels::running_sums).
pub(super) fn running_sums(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
    column.each(|line| line_of_sums(p, rounding, line));
}

fn line_of_sums(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
    let &Column { input, out, first, step, .. } = column;
    let count = p.count as usize;
    let inside = first.checked_add(count).is_some_and(|end| end <= input.len() && end <= out.len());
    let suits = rounding == Rounding::Double
        && (-31..=-1).contains(&p.multiplier.shift)
        && p.multiplier.mantissa >= 0
        && p.exclusive == 0
        && p.shift < 32
        && step == 1
        && count >= LANES
        && inside;
    if !suits {
        return running::portable(p, rounding, column);
    }
    let work = Sums {
        input_zero_point: p.input_zero_point,
        low: i32::MIN.wrapping_shr(p.shift),
        high: i32::MAX.wrapping_shr(p.shift),
        shift: p.shift,
        mantissa: p.multiplier.mantissa,
        right: p.multiplier.shift,
        zero_point: p.zero_point,
        start: p.start,
    };
    // SAFETY: so many vectors of elements, at least one, are inside both sides from the first one on, as was just found.
    // Cells may be written through a shared reference; no unique reference to them exists.
    let start = unsafe {
        let (input, out) = (input.as_ptr().cast::<i8>(), out.as_ptr().cast_mut().cast::<i8>());
        vectors(input.add(first), out.add(first), count / LANES, &raw const work)
    };
    let rest = count % LANES;
    if rest != 0 {
        let first = first.wrapping_add(count.wrapping_sub(rest));
        let p = CumsumParams { start, count: rest as u32, ..*p };
        running::portable(&p, rounding, &Column { first, ..*column });
    }
}

/// The outputs of so many vectors, at least one; the sum of all elements.
///
/// Lanes that are shifted by one and by two places make the sums within a vector; what they shift in is zero. An output is
/// scaled as that of a general product.
#[unsafe(naked)]
unsafe extern "C" fn vectors(input: *const i8, out: *mut i8, count: usize, work: *const Sums) -> i32 {
    leaf!(
        [Sums: input_zero_point],
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        "adds r3, #{input_zero_point}",
        "ldm r3, {{r4, r5, r6, r7, r8, r9, r10, r11}}",
        "vdup.32 q2, r5",
        "vdup.32 q3, r6",
        "dls lr, r2",
        "2:",
        "vldrb.s32 q0, [r0], #4",
        "movs r2, #0",
        "movs r3, #0",
        "movs r5, #0",
        "vsub.i32 q0, q0, r4",
        "vmov q1, q0",
        "vshlc q1, r2, #32",
        "vadd.i32 q0, q0, q1",
        "vmov q1, q0",
        "vshlc q1, r3, #32",
        "vshlc q1, r5, #32",
        "vadd.i32 q0, q0, q1",
        "vadd.i32 q0, q0, r11",
        "vmov.32 r11, q0[3]",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vshl.s32 q0, r7",
        "vqrdmulh.s32 q0, q0, r8",
        "vshr.s32 q1, q0, #31",
        "vadd.i32 q0, q0, q1",
        "vrshl.s32 q0, r9",
        "vadd.i32 q0, q0, r10",
        "vqmovnb.s32 q0, q0",
        "vqmovnb.s16 q0, q0",
        "vstrb.32 q0, [r1], #4",
        "le lr, 2b",
        "mov r0, r11",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
    )
}
