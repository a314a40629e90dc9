//! Rows of SOFTMAX: four differences from the maximum at once, four loads in a row.
//!
//! A table may end before the largest difference. Entries that neither count in a sum nor become anything but zero do as well
//! as none: where the last one is such an entry, differences saturate to it, by one instruction for four. Tables of the
//! converter end with one, or have all 256 entries; other tables are left to the portable body.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(any(kernels = "armv7em", test))]
use super::intrinsics::{smmlar, smmulr};
use crate::kernels::portable;
#[cfg(kernels = "armv7em")]
use crate::kernels::thumb2;
#[cfg(any(kernels = "armv7em", test))]
use crate::quant::one_over_one_plus_by;
use crate::tensor::TensorView;

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(not(kernels = "armv7em"))]
pub(super) fn softmax(row: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    portable::softmax(row, table, out);
}

/// [`quant::one_over_one_plus`](crate::quant::one_over_one_plus) by products of one instruction: twice half the denominator
/// lacks the bit above a word, twice an error is a number.
#[cfg(any(kernels = "armv7em", test))]
#[inline(always)]
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
pub(super) fn softmax(row: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    use portable::{Divisor, exponentials, normalise};

    const EACH: u32 = 0x0101_0101;
    /// An exponential below this is zero in a sum.
    const COUNTS: i32 = 1 << 11;
    /// Where quotients have lost so many bits, it is also zero in the output.
    const LOST: u32 = 13;

    let len = row.len().min(out.len());
    let (words, left) = (len / 4, len % 4);
    let beyond = 256usize.wrapping_sub(table.len());
    let ends = beyond == 0 || table.last().is_some_and(|last| (0..COUNTS).contains(last));
    if words == 0 || beyond > 255 || !ends {
        return portable::softmax(row, table, out);
    }
    let largest = super::pool::extreme(row, true);
    let mut work = asm::Work {
        table: table.as_ptr().wrapping_sub(beyond),
        beyond: (beyond as u32).wrapping_mul(EACH),
        largest: u32::from(largest as u8).wrapping_mul(EACH),
        twice: 0,
        right: 0,
    };
    // SAFETY: so many words are in the row, and differences that have become larger by `beyond`, and saturated, are those of
    // entries of the table.
    let mut sum = unsafe { asm::exponentials(row.as_ptr(), words, &raw const work) };
    let done = len.wrapping_sub(left);
    if left != 0 {
        sum = sum.wrapping_add(exponentials(row.range(done, left), table, largest));
    }
    let divisor = Divisor::by(sum, one_over_one_plus);
    if divisor.scale == 0 || divisor.exponent < LOST {
        // There is no bit above the word of twice the scale, or no table of a softmax.
        normalise(row, table, largest, divisor, out);
        return;
    }
    work.twice = divisor.scale.wrapping_mul(2);
    work.right = divisor.exponent.wrapping_sub(1);
    if words >= MANY {
        by_table(row, &work, out);
        return;
    }
    // SAFETY: as above, and so many words are in the output. Cells may be written through a shared reference; no unique
    // reference to them exists.
    unsafe { asm::normalise(row.as_ptr(), words, out.as_ptr().cast_mut().cast(), &raw const work) }
    if left != 0 {
        normalise(row.range(done, left), table, largest, divisor, out.get(done..).unwrap_or(&[]));
    }
}

/// Words of a row from which on it takes less time to make an output of each difference first, and to look them up.
#[cfg(kernels = "armv7em")]
const MANY: usize = 160;

/// The outputs of a long row. Out of line, as the table takes 256 bytes of stack.
#[cfg(kernels = "armv7em")]
#[inline(never)]
fn by_table(row: TensorView<'_, i8>, work: &asm::Work, out: &[Cell<i8>]) {
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
        asm::normalise(first.cast(), WORDS, first.cast(), core::ptr::from_ref(work));
        &*first.cast::<[u8; 256]>()
    };
    thumb2::lookup_view(row, table, out);
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
        /// Twice the scale, which lacks the bit above a word.
        pub twice: i32,
        /// Bits that quotients lose, but for one.
        pub right: u32,
    }

    macro_rules! find {
        () => {
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
             .endm"
        };
    }

    /// The sum of the exponentials of so many words of elements, at least one. A product with 2^20, of which the upper word
    /// is rounded, is one without its twelve lowest bits.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn exponentials(row: *const i8, words: usize, work: *const Work) -> u32 {
        leaf!(
            [Work: table],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            find!(),
            ".macro FERROLITE_SUM
             FERROLITE_FIND
             smmlar r9, r5, r11, r9
             smmlar r9, r6, r11, r9
             smmlar r9, r7, r11, r9
             smmlar r9, r8, r11, r9
             .endm",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "ldr r3, [r2, #{table}]",
            "ldrd lr, r10, [r2, #4]",
            "mov.w r9, #0",
            "mov.w r11, #0x100000",
            "adds.w r1, r1, #1",
            "lsrs.w r1, r1, #1",
            // An odd word is the second one of its round: its number became even.
            "bcc.w 3f",
            ".p2align 2",
            "2:",
            "FERROLITE_SUM",
            "3:",
            "FERROLITE_SUM",
            "subs.w r1, r1, #1",
            "bne.w 2b",
            "mov r0, r9",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_SUM",
            ".purgem FERROLITE_FIND",
        )
    }

    /// The outputs of so many words of elements, at least one. Products are at most a few times 2^31, so that half of what is
    /// cut off last is added to pairs of quotients.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn normalise(row: *const i8, words: usize, out: *mut i8, work: *const Work) {
        leaf!(
            [Work: table],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            find!(),
            ".macro FERROLITE_SCALE
             FERROLITE_FIND
             smmlar r5, r5, r9, r5
             smmlar r6, r6, r9, r6
             smmlar r7, r7, r9, r7
             smmlar r8, r8, r9, r8
             lsr.w r5, r5, r12
             lsr.w r6, r6, r12
             lsr.w r7, r7, r12
             lsr.w r8, r8, r12
             pkhbt r5, r5, r7, lsl #16
             pkhbt r6, r6, r8, lsl #16
             uhadd16 r5, r5, r11
             uhadd16 r6, r6, r11
             usat16 r5, #8, r5
             usat16 r6, #8, r6
             orr.w r5, r5, r6, lsl #8
             eor.w r5, r5, #0x80808080
             str.w r5, [r2], #4
             .endm",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            // r3 table, lr what is beyond it, r10 maximum, r9 twice the scale, r12 shift, r11 one in each half
            "add.w r12, r3, #{table}",
            "ldm.w r12, {{r3, r4, r5, r9, r12}}",
            "mov lr, r4",
            "mov r10, r5",
            "mov.w r11, #0x00010001",
            "adds.w r1, r1, #1",
            "lsrs.w r1, r1, #1",
            "bcc.w 3f",
            ".p2align 2",
            "2:",
            "FERROLITE_SCALE",
            "3:",
            "FERROLITE_SCALE",
            "subs.w r1, r1, #1",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_SCALE",
            ".purgem FERROLITE_FIND",
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
