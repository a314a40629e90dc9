//! Rows of SOFTMAX: four differences from the maximum at once, four loads in a row.
//!
//! A table may end before the largest difference. Entries that neither count in a sum nor become anything but zero do as well
//! as none: where the last one is such an entry, differences saturate to it, by one instruction for four. Tables of the
//! converter end with one, or have all 256 entries; other tables are left to the portable body.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(test)]
use super::intrinsics::{smmlar, smmulr};
use crate::kernels::portable;
#[cfg(kernels = "armv7em")]
use crate::kernels::thumb2;
#[cfg(test)]
use crate::quant::one_over_one_plus_by;
use crate::tensor::TensorView;

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(not(kernels = "armv7em"))]
pub(super) fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    portable::softmax(depth, rows, table, out);
}

/// [`quant::one_over_one_plus`](crate::quant::one_over_one_plus) as the leaf does it, by products of one instruction: twice
/// half the denominator lacks the bit above a word, twice an error is a number.
#[cfg(test)]
fn one_over_one_plus(x: i32) -> i32 {
    one_over_one_plus_by(
        x,
        |half, y| smmlar(half.wrapping_mul(2), y, y),
        |y, error| smmulr(y, error.wrapping_mul(2)),
    )
}

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(kernels = "armv7em")]
#[inline(never)]
pub(super) fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    const EACH: u32 = 0x0101_0101;
    /// An exponential below this is zero in a sum.
    const COUNTS: i32 = 1 << 11;

    let beyond = 256usize.wrapping_sub(table.len());
    let ends = beyond == 0 || table.last().is_some_and(|last| (0..COUNTS).contains(last));
    if beyond > 255 || !ends {
        return portable::softmax(depth, rows, table, out);
    }
    let mut work = asm::Work {
        table: table.as_ptr().wrapping_sub(beyond),
        beyond: (beyond as u32).wrapping_mul(EACH),
        largest: 0,
        twice: 0,
        right: 0,
    };
    portable::for_each_row(depth, rows, out, |row, out| {
        // SAFETY: so many elements, at least one, are on both sides, and differences that have become larger by `beyond`, and
        // saturated, are those of entries of the table. Cells may be written through a shared reference; no unique reference
        // to them exists.
        match unsafe { asm::row(row.as_ptr(), row.len(), out.as_ptr().cast_mut().cast(), &raw mut work) } {
            asm::DONE => {}
            asm::LONG => by_table(row, &mut work, out),
            _ => portable::softmax_of_row(row, table, out),
        }
    });
}

/// The outputs of a long row. Out of line, as the table takes 256 bytes of stack.
#[cfg(kernels = "armv7em")]
#[inline(never)]
fn by_table(row: TensorView<'_, i8>, work: &mut asm::Work, out: &[Cell<i8>]) {
    const WORDS: usize = 64;
    // Zeroes before would be a call of `memset`.
    let mut table = core::mem::MaybeUninit::<[u32; WORDS]>::uninit();
    let first: *mut u32 = table.as_mut_ptr().cast();
    // SAFETY: the table has so many words, each of which is written before it is read. An output is written where its
    // element was read.
    let table = unsafe {
        for word in 0..WORDS {
            // Each byte at its own place.
            first.add(word).write((word as u32).wrapping_mul(0x0404_0404).wrapping_add(0x0302_0100));
        }
        asm::row(first.cast(), 4 * WORDS, first.cast(), core::ptr::from_mut(work));
        &*first.cast::<[u8; 256]>()
    };
    thumb2::lookup_view(row, table, out);
    work.twice = 0;
}

#[cfg(kernels = "armv7em")]
mod asm {
    use crate::kernels::fields::{in_order, leaf};

    in_order!(first 5 words of Work: table, beyond, largest, twice, right);

    /// What differences become.
    #[repr(C)]
    pub(super) struct Work {
        /// As far before the table as entries lack to 256.
        pub table: *const i32,
        /// How many lack, in each byte.
        pub beyond: u32,
        /// The maximum, in each byte.
        pub largest: u32,
        /// Twice the scale, which lacks the bit above a word; zero as long as it is not known.
        pub twice: i32,
        /// Bits that quotients lose, but for one.
        pub right: u32,
    }

    /// All outputs are written.
    pub(super) const DONE: usize = 0;
    /// It takes less time to make an output of each difference first, and to look them up: `Work` has what that needs.
    pub(super) const LONG: usize = 1;

    /// A row of `len` elements, at least one: the maximum, the sum of the exponentials, its reciprocal, the outputs. Where
    /// `Work` says the scale, there are only the outputs left. Another result than those above: the sum is that of no
    /// table of a softmax, or so large that outputs vanish, and nothing is written.
    ///
    /// A product with 2^20, of which the upper word is rounded, is one without its twelve lowest bits. The reciprocal is that
    /// of [`one_over_one_plus`](super::one_over_one_plus). Products are at most a few times 2^31, so that half of what is
    /// cut off last is added to pairs of quotients, which have 16 bits where at least 12 were cut off.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn row(row: *const i8, len: usize, out: *mut i8, work: *mut Work) -> usize {
        leaf!(
            [Work: largest, twice, right],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            // Four exponentials of a word at r0: r10 has the maximum, lr what differences become larger by, r3 is the table.
            ".macro FERROLITE_FIND
             ldr.w r4, [r0], #4
             usub8 r4, r10, r4
             uqadd8 r4, r4, lr
             uxtb.w r5, r4
             ubfx r6, r4, #8, #8
             ubfx r7, r4, #16, #8
             lsr.w r8, r4, #24
             ldr.w r5, [r3, r5, lsl #2]
             ldr.w r6, [r3, r6, lsl #2]
             ldr.w r7, [r3, r7, lsl #2]
             ldr.w r8, [r3, r8, lsl #2]
             .endm
             .macro FERROLITE_FIND_ONE
             ldrb.w r4, [r0], #1
             usub8 r4, r10, r4
             uqadd8 r4, r4, lr
             uxtb.w r4, r4
             ldr.w r5, [r3, r4, lsl #2]
             .endm
             .macro FERROLITE_SUM
             FERROLITE_FIND
             smmlar r9, r5, r11, r9
             smmlar r9, r6, r11, r9
             smmlar r9, r7, r11, r9
             smmlar r9, r8, r11, r9
             .endm
             .macro FERROLITE_LARGER
             ssub8 r5, r10, r4
             sel r10, r10, r4
             .endm
             .macro FERROLITE_NEWTON
             smmlar r7, r5, r6, r6
             rsb.w r7, r7, #0x20000000
             lsl.w r7, r7, #1
             smmulr r7, r6, r7
             add.w r6, r6, r7, lsl #2
             .endm",
            "push {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "ldm.w r3, {{r3, r4, r5, r9, r12}}",
            "mov lr, r4",
            "mov r10, r5",
            "cmp.w r9, #0",
            "bne.w 8f",
            // The maximum.
            "mov.w r10, #0x80808080",
            // Words by pairs: an odd one is the second of its round, in which its number became even.
            "lsrs.w r6, r1, #2",
            "beq.w 2f",
            "adds.w r6, r6, #1",
            "lsrs.w r6, r6, #1",
            "bcc.w 18f",
            ".p2align 2",
            "1:",
            "ldr.w r4, [r0], #4",
            "FERROLITE_LARGER",
            "18:",
            "ldr.w r4, [r0], #4",
            "FERROLITE_LARGER",
            "subs.w r6, r6, #1",
            "bne.w 1b",
            "lsr.w r4, r10, #16",
            "FERROLITE_LARGER",
            "lsr.w r4, r10, #8",
            "FERROLITE_LARGER",
            "2:",
            "ands.w r1, r1, #3",
            "beq.w 4f",
            "3:",
            "ldrb.w r4, [r0], #1",
            "FERROLITE_LARGER",
            "subs.w r1, r1, #1",
            "bne.w 3b",
            "4:",
            "uxtb.w r10, r10",
            "orr.w r10, r10, r10, lsl #8",
            "orr.w r10, r10, r10, lsl #16",
            // The sum.
            "ldr.w r0, [sp]",
            "ldr.w r1, [sp, #4]",
            "mov.w r11, #0x100000",
            "lsrs.w r12, r1, #2",
            "beq.w 6f",
            "adds.w r12, r12, #1",
            "lsrs.w r12, r12, #1",
            "bcc.w 19f",
            ".p2align 2",
            "5:",
            "FERROLITE_SUM",
            "19:",
            "FERROLITE_SUM",
            "subs.w r12, r12, #1",
            "bne.w 5b",
            "6:",
            "ands.w r1, r1, #3",
            "beq.w 7f",
            "16:",
            "FERROLITE_FIND_ONE",
            "smmlar r9, r5, r11, r9",
            "subs.w r1, r1, #1",
            "bne.w 16b",
            "7:",
            // Quotients lose 35 bits less the zeroes before the sum: 13 to 31.
            "clz r12, r9",
            "sub.w r4, r12, #4",
            "cmp.w r4, #18",
            "bhi.w 13f",
            // r5 twice half the denominator, r6 the estimate
            "lsl.w r5, r9, r12",
            "bic.w r5, r5, #1",
            "rsb.w r12, r12, #34",
            "movw r6, #0xC3C4",
            "movt r6, #0xC3C3",
            "movw r7, #0x5A5A",
            "movt r7, #0x5A5A",
            "smmlar r6, r5, r6, r6",
            "add.w r6, r6, r7",
            "FERROLITE_NEWTON",
            "FERROLITE_NEWTON",
            "FERROLITE_NEWTON",
            "qadd r6, r6, r6",
            "lsl.w r9, r6, #1",
            "ldr.w r0, [sp]",
            "ldr.w r1, [sp, #4]",
            "cmp.w r1, #640",
            "bhs.w 12f",
            // The outputs.
            "8:",
            "mov.w r11, #0x00010001",
            "subs.w r1, r1, #4",
            "blo.w 10f",
            ".p2align 2",
            "9:",
            "FERROLITE_FIND",
            "smmlar r5, r5, r9, r5",
            "smmlar r6, r6, r9, r6",
            "smmlar r7, r7, r9, r7",
            "smmlar r8, r8, r9, r8",
            "lsr.w r5, r5, r12",
            "lsr.w r6, r6, r12",
            "lsr.w r7, r7, r12",
            "lsr.w r8, r8, r12",
            "pkhbt r5, r5, r7, lsl #16",
            "pkhbt r6, r6, r8, lsl #16",
            "uhadd16 r5, r5, r11",
            "uhadd16 r6, r6, r11",
            "usat16 r5, #8, r5",
            "usat16 r6, #8, r6",
            "orr.w r5, r5, r6, lsl #8",
            "eor.w r5, r5, #0x80808080",
            "str.w r5, [r2], #4",
            "subs.w r1, r1, #4",
            "bhs.w 9b",
            "10:",
            "adds.w r1, r1, #4",
            "beq.w 11f",
            "17:",
            "FERROLITE_FIND_ONE",
            "smmlar r5, r5, r9, r5",
            "lsr.w r5, r5, r12",
            "uhadd16 r5, r5, r11",
            "usat16 r5, #8, r5",
            "eor.w r5, r5, #0x80",
            "strb.w r5, [r2], #1",
            "subs.w r1, r1, #1",
            "bne.w 17b",
            "11:",
            "movs r0, #0",
            "14:",
            "add sp, #16",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            // A long row.
            "12:",
            "ldr r3, [sp, #12]",
            "str.w r10, [r3, #{largest}]",
            "str.w r9, [r3, #{twice}]",
            "str.w r12, [r3, #{right}]",
            "movs r0, #1",
            "b 14b",
            "13:",
            "movs r0, #2",
            "b 14b",
            ".purgem FERROLITE_FIND
             .purgem FERROLITE_FIND_ONE
             .purgem FERROLITE_SUM
             .purgem FERROLITE_LARGER
             .purgem FERROLITE_NEWTON",
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reciprocals_are_those_of_the_definition(x in 0..=i32::MAX) {
            prop_assert_eq!(super::one_over_one_plus(x), crate::quant::one_over_one_plus(x));
        }
    }

    #[test]
    fn reciprocals_at_the_ends() {
        for x in [0, 1, 2, 1 << 30, i32::MAX - 1, i32::MAX] {
            assert_eq!(super::one_over_one_plus(x), crate::quant::one_over_one_plus(x), "{x}");
        }
    }
}
