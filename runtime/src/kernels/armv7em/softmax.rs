//! Rows of SOFTMAX: four differences from the maximum at once, four loads in a row.
//!
//! A table may end before the largest difference. One subtraction finds whether any of four lies behind its end; only
//! then they are looked at one by one.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::kernels::portable;
use crate::tensor::TensorView;

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(not(kernels = "armv7em"))]
pub(super) fn softmax(row: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    portable::softmax(row, table, out);
}

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(kernels = "armv7em")]
#[inline(never)]
pub(super) fn softmax(row: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    use portable::{Divisor, exponentials, normalise};

    const EACH: u32 = 0x0101_0101;
    let largest = super::pool::extreme(row, true);
    let words = row.len().min(out.len()) / 4;
    let (done, last) = (words.wrapping_mul(4), table.len().wrapping_sub(1));
    let (rest, out_rest) = (row.range(done, 3), out.get(done..).unwrap_or(&[]));
    let mut sum = if out_rest.is_empty() { 0 } else { exponentials(rest, table, largest) };
    let mut work = asm::Work {
        table: table.as_ptr(),
        limit: (last as u32).wrapping_mul(EACH),
        largest: u32::from(largest as u8).wrapping_mul(EACH),
        twice: 0,
        half: 0,
        exponent: 0,
    };
    let has_words = words != 0 && last < 256;
    if has_words {
        // SAFETY: so many words are in the row, and the table has the entries that `limit` says.
        sum = sum.wrapping_add(unsafe { asm::exponentials(row.as_ptr(), words, &raw const work) });
    }
    let divisor = Divisor::of(sum);
    work.twice = divisor.scale.wrapping_mul(2);
    work.half = 1u32.wrapping_shl(divisor.exponent.wrapping_sub(1));
    work.exponent = divisor.exponent;
    if divisor.scale == 0 {
        // There is no bit above the word of twice the scale.
        normalise(row, table, largest, divisor, out);
        return;
    }
    if has_words {
        // SAFETY: as above, and so many words are in the output. Cells may be written through a shared reference; no
        // unique reference to them exists.
        unsafe { asm::normalise(row.as_ptr(), words, out.as_ptr().cast_mut().cast(), &raw const work) }
    }
    if !out_rest.is_empty() {
        normalise(rest, table, largest, divisor, out_rest);
    }
}

#[cfg(kernels = "armv7em")]
mod asm {
    use crate::kernels::fields::{in_order, leaf};

    in_order!(first 6 words of Work: table, limit, largest, twice, half, exponent);

    /// What differences become.
    #[repr(C)]
    pub(super) struct Work {
        pub table: *const i32,
        /// The last entry, in each byte.
        pub limit: u32,
        /// The maximum, in each byte.
        pub largest: u32,
        /// Twice the scale, which lacks the bit above a word.
        pub twice: i32,
        pub half: u32,
        pub exponent: u32,
    }

    macro_rules! rows {
        () => {
            // Four exponentials of the differences in r4, of a table at r3 with a limit in lr; what follows is at 3.
            ".macro FERROLITE_FIND
             uqsub8 r5, r4, lr
             cmp.w r5, #0
             bne.w 4f
             uxtb.w r5, r4
             ubfx r6, r4, #8, #8
             ubfx r7, r4, #16, #8
             lsr.w r8, r4, #24
             ldr.w r5, [r3, r5, lsl #2]
             ldr.w r6, [r3, r6, lsl #2]
             ldr.w r7, [r3, r7, lsl #2]
             ldr.w r8, [r3, r8, lsl #2]
             .endm
             .macro FERROLITE_ONE to, shift
             ubfx r12, r4, #\\shift, #8
             cmp.w r12, r11
             ite ls
             ldrls.w \\to, [r3, r12, lsl #2]
             movhi.w \\to, #0
             .endm
             .macro FERROLITE_EACH
             push {{r11, r12}}
             uxtb.w r11, lr
             FERROLITE_ONE r5, 0
             FERROLITE_ONE r6, 8
             FERROLITE_ONE r7, 16
             FERROLITE_ONE r8, 24
             pop {{r11, r12}}
             b.w 3b
             .endm"
        };
    }

    macro_rules! rows_end {
        () => {
            ".purgem FERROLITE_FIND
             .purgem FERROLITE_ONE
             .purgem FERROLITE_EACH"
        };
    }

    /// The sum of the exponentials of so many words of elements, at least one.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn exponentials(row: *const i8, words: usize, work: *const Work) -> u32 {
        leaf!(
            [Work: table],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            rows!(),
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            // r3 table, lr limit, r10 maximum
            "ldr r3, [r2, #{table}]",
            "ldrd lr, r10, [r2, #4]",
            "mov.w r9, #0",
            ".p2align 2",
            "2:",
            "ldr.w r4, [r0], #4",
            "usub8 r4, r10, r4",
            "FERROLITE_FIND",
            "3:",
            "add.w r5, r5, #2048",
            "add.w r9, r9, r5, lsr #12",
            "add.w r6, r6, #2048",
            "add.w r9, r9, r6, lsr #12",
            "add.w r7, r7, #2048",
            "add.w r9, r9, r7, lsr #12",
            "add.w r8, r8, #2048",
            "add.w r9, r9, r8, lsr #12",
            "subs.w r1, r1, #1",
            "bne.w 2b",
            "mov r0, r9",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            "4:",
            "FERROLITE_EACH",
            rows_end!(),
        )
    }

    /// The outputs of so many words of elements, at least one.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn normalise(row: *const i8, words: usize, out: *mut i8, work: *const Work) {
        leaf!(
            [Work: table],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            rows!(),
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            // r3 table, lr limit, r10 maximum, r9 twice the scale, r11 half, r12 exponent
            "add.w r12, r3, #{table}",
            "ldm.w r12, {{r3, r4, r5, r9, r11, r12}}",
            "mov lr, r4",
            "mov r10, r5",
            ".p2align 2",
            "2:",
            "ldr.w r4, [r0], #4",
            "usub8 r4, r10, r4",
            "FERROLITE_FIND",
            "3:",
            "smmlar r5, r5, r9, r5",
            "smmlar r6, r6, r9, r6",
            "smmlar r7, r7, r9, r7",
            "smmlar r8, r8, r9, r8",
            "add.w r5, r5, r11",
            "add.w r6, r6, r11",
            "add.w r7, r7, r11",
            "add.w r8, r8, r11",
            "lsr.w r5, r5, r12",
            "lsr.w r6, r6, r12",
            "lsr.w r7, r7, r12",
            "lsr.w r8, r8, r12",
            "usat r5, #8, r5",
            "usat r6, #8, r6",
            "usat r7, #8, r7",
            "usat r8, #8, r8",
            "orr.w r5, r5, r6, lsl #8",
            "orr.w r5, r5, r7, lsl #16",
            "orr.w r5, r5, r8, lsl #24",
            "eor.w r5, r5, #0x80808080",
            "str.w r5, [r2], #4",
            "subs.w r1, r1, #1",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            "4:",
            "FERROLITE_EACH",
            rows_end!(),
        )
    }
}
