//! Lines of CUMSUM by SMMLAR, all in one leaf, four elements in a round where they lie side by side.
//!
//! With a mantissa `m` of 2^30 and more, `2 m - 2^32` is an int32: the upper word of a product with it, and the factor
//! itself, are the upper word of that with `2 m`.
#![allow(unsafe_code)]

use ferrolite_schema::Rounding;
use ferrolite_schema::params::CumsumParams;

use crate::kernels::{Column, running};

/// See [`Kernels::running_sums`](crate::kernels::Kernels::running_sums).
pub(super) fn running_sums(p: &CumsumParams, rounding: Rounding, column: &Column<'_>) {
    let suits = rounding == Rounding::Double
        && p.multiplier.shift < 0
        && p.multiplier.mantissa >= 1 << 30
        && p.exclusive == 0
        && matches!(p.shift, 19 | 20)
        && fits(p.count as usize, column);
    if !suits {
        return running::portable(p, rounding, column);
    }
    let &Column { input, out, first, step, lines, pitch } = column;
    // SAFETY: the first and the last element of the first and the last line are inside both sides, as was just found, and so
    // are all between them.
    // Cells may be written through a shared reference; no unique reference to them exists.
    #[cfg(kernels = "armv7em")]
    unsafe {
        let mut work = asm::Sums {
            input: input.as_ptr().cast::<i8>().add(first),
            out: out.as_ptr().cast_mut().cast::<i8>().add(first),
            step,
            count: p.count as usize,
            sum: p.start,
            // In both halves.
            less: (p.input_zero_point.wrapping_neg() & 0xFFFF).wrapping_mul(0x0001_0001),
            twice: p.multiplier.mantissa.wrapping_mul(2),
            right: !p.multiplier.shift as u32,
            term: p.zero_point.wrapping_mul(2).wrapping_add(1),
            pitch,
            lines,
        };
        if p.shift == 20 { asm::shifted_by_20(&raw mut work) } else { asm::shifted_by_19(&raw mut work) }
    }
    #[cfg(not(kernels = "armv7em"))]
    column.each(|line| emulated(p, input, out, (line.first, step)));
    #[cfg(not(kernels = "armv7em"))]
    let _ = (first, lines, pitch);
}

/// Whether all of so many elements of each line, at least one, are inside.
#[inline(always)]
fn fits(count: usize, column: &Column<'_>) -> bool {
    let &Column { input, out, first, step, lines, pitch } = column;
    let last = lines.checked_sub(1).and_then(|steps| steps.checked_mul(pitch)?.checked_add(first));
    let end = input.len().min(out.len());
    last.is_some_and(|last| line_fits(count, first, step, end) && line_fits(count, last, step, end))
}

/// The same for a line.
#[inline(always)]
fn line_fits(count: usize, first: usize, step: usize, end: usize) -> bool {
    let distance = (step as isize).unsigned_abs();
    let Some(reach) = count.checked_sub(1).and_then(|steps| steps.checked_mul(distance)) else {
        return false;
    };
    let is_forwards = step == distance;
    first < end && if is_forwards { reach < end.wrapping_sub(first) } else { reach <= first }
}

/// The leaf in plain Rust, word for word, for tests on the host.
#[cfg(not(kernels = "armv7em"))]
fn emulated(
    p: &CumsumParams,
    input: &[core::cell::Cell<i8>],
    out: &[core::cell::Cell<i8>],
    (first, step): (usize, usize),
) {
    use super::intrinsics::{halve_to_int8, smmlar};

    let twice = p.multiplier.mantissa.wrapping_mul(2);
    let term = p.zero_point.wrapping_mul(2).wrapping_add(1);
    let (mut sum, mut at) = (p.start, first);
    for _ in 0..p.count {
        sum = sum.wrapping_sub(p.input_zero_point).wrapping_add(input[at].get().into());
        let saturated = sum.clamp(i32::MIN >> p.shift, i32::MAX >> p.shift) << p.shift;
        let high = smmlar(saturated, twice, saturated);
        let half = high.wrapping_add(high >> 31).wrapping_shr(!p.multiplier.shift as u32);
        out[at].set(halve_to_int8(half.saturating_add(term)) as i8);
        at = at.wrapping_add(step);
    }
}

#[cfg(kernels = "armv7em")]
mod asm {
    use crate::kernels::fields::{in_order, leaf};

    /// Arguments of the leaves.
    #[repr(C)]
    pub(super) struct Sums {
        pub input: *const i8,
        pub out: *mut i8,
        /// From one element to the next.
        pub step: usize,
        /// Elements, at least one.
        pub count: usize,
        pub sum: i32,
        /// What is added to each element, in both halves: the zero point, negative.
        pub less: i32,
        /// Twice the mantissa, which lacks the bit above a word.
        pub twice: i32,
        /// Bits that are shifted out, but for one.
        pub right: u32,
        /// Twice the zero point plus one.
        pub term: i32,
        /// From one line to the next.
        pub pitch: usize,
        /// Lines that are still to come, at least one.
        pub lines: usize,
    }

    in_order!(first 9 words of Sums: input, out, step, count, sum, less, twice, right, term);

    /// Defines a leaf for sums of so many bits, the others of which are shifted in: r0 and r1 are the places of the elements,
    /// r2 is the step, r3 counts, r4 is the sum, r5 what is added to each element, in both halves.
    macro_rules! sums {
        ($name:ident, $bits:literal, $shift:literal) => {
            #[unsafe(naked)]
            pub(super) unsafe extern "C" fn $name(work: *mut Sums) {
                leaf!(
                    [Sums: input, out, pitch, lines],
                    concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
                    // Four of these in turns, since an instruction that uses what the one before has computed would stall
                    // a Cortex-M33.
                    ".macro FERROLITE_SUM to, more:vararg",
                    "sxtah r4, r4, \\more",
                    concat!("ssat \\to, #", $bits, ", r4"),
                    ".endm",
                    ".macro FERROLITE_SCALE a",
                    concat!("lsl.w \\a, \\a, #", $shift),
                    "smmlar \\a, \\a, r6, \\a",
                    "add.w \\a, \\a, \\a, asr #31",
                    "asr.w \\a, \\a, r7",
                    "qadd \\a, \\a, r8",
                    "ssat \\a, #8, \\a, asr #1",
                    ".endm",
                    "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
                    "6:",
                    "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
                    "cmp r2, #1",
                    "bne.w 3f",
                    "subs r3, r3, #4",
                    "blo.w 4f",
                    ".p2align 2",
                    "2:",
                    "ldr.w r12, [r0], #4",
                    "sxtab16 lr, r5, r12",
                    "sxtab16 r12, r5, r12, ror #8",
                    "FERROLITE_SUM r9, lr",
                    "FERROLITE_SUM r10, r12",
                    "FERROLITE_SUM r11, lr, ror #16",
                    "FERROLITE_SUM lr, r12, ror #16",
                    "FERROLITE_SCALE r9",
                    "FERROLITE_SCALE r10",
                    "FERROLITE_SCALE r11",
                    "FERROLITE_SCALE lr",
                    "strb.w r9, [r1]",
                    "strb.w r10, [r1, #1]",
                    "strb.w r11, [r1, #2]",
                    "strb.w lr, [r1, #3]",
                    "add.w r1, r1, #4",
                    "subs.w r3, r3, #4",
                    "bhs.w 2b",
                    "4:",
                    "adds r3, r3, #4",
                    "beq.w 5f",
                    ".p2align 2",
                    "3:",
                    "ldrsb.w r9, [r0]",
                    "sxtah r4, r4, r5",
                    "add.w r0, r0, r2",
                    "add.w r4, r4, r9",
                    concat!("ssat r9, #", $bits, ", r4"),
                    "FERROLITE_SCALE r9",
                    "strb.w r9, [r1]",
                    "add.w r1, r1, r2",
                    "subs.w r3, r3, #1",
                    "bne.w 3b",
                    "5:",
                    "ldr r0, [sp]",
                    "ldr.w r1, [r0, #{lines}]",
                    "ldr.w r2, [r0, #{pitch}]",
                    "ldr.w r3, [r0, #{input}]",
                    "ldr.w r4, [r0, #{out}]",
                    "subs.w r1, r1, #1",
                    "add.w r3, r3, r2",
                    "add.w r4, r4, r2",
                    "str.w r1, [r0, #{lines}]",
                    "str.w r3, [r0, #{input}]",
                    "str.w r4, [r0, #{out}]",
                    "bne.w 6b",
                    "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
                    ".purgem FERROLITE_SUM",
                    ".purgem FERROLITE_SCALE",
                )
            }
        };
    }

    sums!(shifted_by_20, "12", "20");
    sums!(shifted_by_19, "13", "19");
}
