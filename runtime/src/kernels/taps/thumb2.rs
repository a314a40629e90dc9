//! The leaves for cores with Thumb-2: Cortex-M3, M4, M7 and M33.
//!
//! `r0..r7` hold the accumulators of eight outputs, `r8..r10` the places of an element, its weight and the next
//! step, `r11` the weight. Cores with the DSP extension read four elements at once and widen them; on the
//! others each is loaded by itself.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

use super::work::{Load, Taps};

in_order!(first 9 words of Load: source, target, plane, channels, left, count, right, padding, step);

#[cfg(kernels = "armv7em")]
macro_rules! cpu {
    () => {
        concat!(".cpu ", env!("FERROLITE_DSP_CPU"))
    };
}
#[cfg(kernels = "armv7m")]
macro_rules! cpu {
    () => {
        ".cpu cortex-m3"
    };
}

/// Whether the leaf makes outputs of a channel with these numbers. Files that round once have to shift to the right by
/// 2 to 22 bits, so that the lower word of a product does not count.
///
/// Where a file rounds twice, the mantissa is doubled and taken for a number below zero, which is 2^32 too small: SMMLAR
/// adds the accumulator in the upper word again, so the product is exact for every accumulator.
#[cfg(kernels = "armv7em")]
#[inline(always)]
pub(super) fn serves(rounding: Rounding, _: i32, multiplier: Multiplier) -> bool {
    let Multiplier { mantissa, shift } = multiplier;
    match rounding {
        Rounding::Double => (mantissa == 0 || mantissa >= 1 << 30) && (shift.wrapping_add(31) as u32) < 62,
        Rounding::Single => mantissa >= 1 << 30 && (shift.wrapping_add(22) as u32) < 21,
    }
}

/// Whether the leaf makes outputs of a channel with these numbers, in files that round twice: to the right by 1 to 22
/// bits, where accumulators are below 2^30, as the products of at most 2^15 taps are below 2^29; to the left always.
#[cfg(kernels = "armv7m")]
#[inline(always)]
pub(super) fn serves(rounding: Rounding, bias: i32, multiplier: Multiplier) -> bool {
    let Multiplier { mantissa, shift } = multiplier;
    // A shift of -1 is 0, one of -22 is 21.
    let right = (!shift as u32) < 22 && bias.unsigned_abs() < 1 << 29;
    rounding == Rounding::Double && mantissa >= 0 && (right || (shift as u32) < 31)
}

/// `FERROLITE_FOUR a, b, c, d, at`: the products of four adjacent elements, `at` bytes behind `r8`.
/// `FERROLITE_NUMBERS`: makes the mantissa in `r3`, the shift in `r4` and twice the zero point plus one in `r6` what the
/// next two read from `r11`, `r12` and `lr`. `r4` is the right shift minus one, or less than zero.
/// `FERROLITE_RIGHT a` and `FERROLITE_LEFT a`: turn an accumulator into an output, with a multiplier that shifts so. For
/// the latter, `r12` is the left shift, and `lr` the zero point. They may overwrite `r10`.
#[cfg(kernels = "armv7em")]
macro_rules! products {
    () => {
        ".macro FERROLITE_FOUR a, b, c, d, at
         ldr.w r12, [r8, #\\at]
         sxtb16 lr, r12
         sxtb16 r12, r12, ror #8
         smlabb \\a, lr, r11, \\a
         smlabb \\b, r12, r11, \\b
         smlatb \\c, lr, r11, \\c
         smlatb \\d, r12, r11, \\d
         .endm
         .macro FERROLITE_NUMBERS
         mvns r4, r4
         lsls r3, r3, #1
         itt eq
         moveq r3, #0x80000000
         moveq r4, #31
         .endm
         .macro FERROLITE_RIGHT a
         smmlar \\a, \\a, r11, \\a
         add.w \\a, \\a, \\a, asr #31
         asr.w \\a, \\a, r12
         qadd \\a, \\a, lr
         ssat \\a, #8, \\a, asr #1
         .endm
         .macro FERROLITE_LEFT a
         lsl.w \\a, \\a, r12
         smmlar \\a, \\a, r11, \\a
         add.w \\a, \\a, lr
         ssat \\a, #8, \\a
         .endm"
    };
}
#[cfg(kernels = "armv7m")]
macro_rules! products {
    () => {
        ".macro FERROLITE_FOUR a, b, c, d, at
         ldrsb r12, [r8, #\\at]
         ldrsb lr, [r8, #\\at + 1]
         mla \\a, r12, r11, \\a
         mla \\b, lr, r11, \\b
         ldrsb r12, [r8, #\\at + 2]
         ldrsb lr, [r8, #\\at + 3]
         mla \\c, r12, r11, \\c
         mla \\d, lr, r11, \\d
         .endm
         .macro FERROLITE_NUMBERS
         mvns r4, r4
         it pl
         lslpl r6, r4
         .endm
         .macro FERROLITE_RIGHT a
         lsl.w \\a, \\a, #1
         smull r10, \\a, \\a, r11
         add.w \\a, \\a, r10, lsr #31
         add.w \\a, \\a, \\a, asr #31
         add.w \\a, \\a, lr
         asr.w \\a, \\a, r12
         ssat \\a, #8, \\a, asr #1
         .endm
         .macro FERROLITE_LEFT a
         lsl.w \\a, \\a, r12
         smull r10, \\a, \\a, r11
         adds.w r10, r10, r10
         adc.w \\a, \\a, \\a
         add.w \\a, \\a, r10, lsr #31
         add.w \\a, \\a, lr
         ssat \\a, #8, \\a
         .endm"
    };
}

/// Copies pixels of an image row into a phase of each plane, four planes at a time while there are four.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn load(work: *const Load) {
    naked_asm!(
        cpu!(),
        ".macro FERROLITE_PAD count",
        "movs.w r12, \\count",
        "beq.w 3f",
        "2:",
        "strb r7, [r9], #1",
        "strb r7, [r10], #1",
        "strb r7, [r11], #1",
        "strb r7, [r3], #1",
        "subs r12, r12, #1",
        "bne 2b",
        "3:",
        ".endm",
        ".macro FERROLITE_PAD_ONE count",
        "movs.w r12, \\count",
        "beq.w 3f",
        "2:",
        "strb r7, [r9], #1",
        "subs r12, r12, #1",
        "bne 2b",
        "3:",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r0 source, r1 target, r2 plane, r3 channels, r4 left, r5 count, r6 right, r7 padding, r8 step
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
        "sub sp, #8",
        "1:",
        "subs r3, r3, #4",
        "blt.w 6f",
        "str r3, [sp]",
        "str r0, [sp, #4]",
        "mov r9, r1",
        "add r10, r9, r2",
        "add r11, r10, r2",
        "add r3, r11, r2",
        "add r1, r3, r2",
        "FERROLITE_PAD r4",
        "movs.w r12, r5",
        "beq.w 5f",
        ".p2align 2",
        "4:",
        "ldr.w lr, [r0]",
        "add.w r0, r0, r8",
        "strb lr, [r9], #1",
        "lsr.w lr, lr, #8",
        "strb lr, [r10], #1",
        "lsr.w lr, lr, #8",
        "strb lr, [r11], #1",
        "lsr.w lr, lr, #8",
        "strb lr, [r3], #1",
        "subs.w r12, r12, #1",
        "bne.w 4b",
        "5:",
        "FERROLITE_PAD r6",
        "ldr r3, [sp]",
        "ldr r0, [sp, #4]",
        "adds r0, #4",
        "b.w 1b",
        // The last one to three planes.
        "6:",
        "adds r3, #4",
        "beq.w 9f",
        "7:",
        "mov r9, r1",
        "mov r10, r0",
        "FERROLITE_PAD_ONE r4",
        "movs.w r12, r5",
        "beq.w 5f",
        ".p2align 2",
        "4:",
        "ldrb.w lr, [r10]",
        "add.w r10, r10, r8",
        "strb lr, [r9], #1",
        "subs.w r12, r12, #1",
        "bne.w 4b",
        "5:",
        "FERROLITE_PAD_ONE r6",
        "adds r0, #1",
        "add r1, r1, r2",
        "subs r3, #1",
        "bne.w 7b",
        "9:",
        "add sp, #8",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_PAD",
        ".purgem FERROLITE_PAD_ONE",
    )
}

/// Outputs of some channels, eight or four at a time.
macro_rules! taps {
    ([$($more:ident)*], [$($begin:literal),*], [$($unusual:literal),*], [$($finish:literal),*], [$($eight:literal),*], [$($four:literal),*]) => {
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps(work: *mut Taps) {
    leaf!(
        [Taps: plane, weights, steps, bias, multipliers, out, channels, pixels, taps, count, left, multiplier,
             pitch, step, half, sums, unusual $(, $more)*;
         Multiplier: mantissa, shift],
        cpu!(),
        products!(),
        ".macro FERROLITE_NEXT",
        "ldrsh r12, [r10], #2",
        "add.w r8, r8, r12",
        "cmp.w r12, #0",
        ".endm",
        // Outputs of a block from the last one that counts to the first one, by a macro for one. r8 output, r9 bytes to
        // the next, r10 remaining outputs, r11, r12, lr multiplier. A block of fewer than eight begins in between.
        ".macro FERROLITE_OUTPUTS scale",
        "subs.w r10, r10, #8",
        "str.w r10, [sp, #20]",
        "blt.w 81f",
        "rsb.w r10, r9, r9, lsl #3",
        "add.w r8, r8, r10",
        "add.w r10, r8, r9",
        "str.w r10, [sp, #16]",
        "b.w 83f",
        "81:",
        "add.w r10, r10, #7",
        "mla r8, r10, r9, r8",
        "tbb [pc, r10]",
        "82:",
        ".byte (90f - 82b) / 2, (89f - 82b) / 2, (88f - 82b) / 2, (87f - 82b) / 2",
        ".byte (86f - 82b) / 2, (85f - 82b) / 2, (84f - 82b) / 2, 0",
        "83:",
        "FERROLITE_OUT \\scale, r7",
        "84:",
        "FERROLITE_OUT \\scale, r6",
        "85:",
        "FERROLITE_OUT \\scale, r5",
        "86:",
        "FERROLITE_OUT \\scale, r4",
        "87:",
        "FERROLITE_OUT \\scale, r3",
        "88:",
        "FERROLITE_OUT \\scale, r2",
        "89:",
        "FERROLITE_OUT \\scale, r1",
        "90:",
        "\\scale r0",
        "strb.w r0, [r8]",
        ".endm",
        ".macro FERROLITE_OUT scale, a",
        "\\scale \\a",
        "strb.w \\a, [r8]",
        "sub.w r8, r8, r9",
        ".endm",
        // Stack: 0 bias, 4 multiplier: for `r11`, `r12` and `lr`, 16 output, 20 remaining outputs, 24 the first tap, 28
        // bytes from one output to the next, 32 to 47 for taps that lie side by side, 48 arguments.
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, #48",
        "ldr r1, [r0, #{channels}]",
        "str r1, [sp, #28]",
        $($begin,)*
        "1:",
        "ldr r1, [r0, #{bias}]",
        "ldr r2, [r1]",
        "adds r1, #4",
        "str r1, [r0, #{bias}]",
        "ldr r1, [r0, #{multipliers}]",
        "ldr r3, [r1, #{mantissa}]",
        "ldr r4, [r1, #{shift}]",
        "ldr r5, [r0, #{step}]",
        "ldr r6, [r0, #{half}]",
        "add r1, r5",
        "str r1, [r0, #{multipliers}]",
        "FERROLITE_NUMBERS",
        "ldr r5, [r0, #{unusual}]",
        "cbz r5, 11f",
        $($unusual,)*
        // Accumulators are wanted: the shift is none.
        "movs r4, #64",
        "11:",
        "str r2, [sp]",
        "str r3, [sp, #4]",
        "str r4, [sp, #8]",
        "str r6, [sp, #12]",
        "ldr r1, [r0, #{out}]",
        "ldr r2, [r0, #{pixels}]",
        "ldr r3, [r0, #{plane}]",
        "str r1, [sp, #16]",
        "str r2, [sp, #20]",
        "str r3, [sp, #24]",
        "adds r1, #1",
        "str r1, [r0, #{out}]",
        "2:",
        "ldr r3, [sp, #48]",
        "ldr r1, [sp, #20]",
        "ldr r0, [sp]",
        "ldr.w r8, [sp, #24]",
        "ldr.w r9, [r3, #{weights}]",
        "ldr.w r10, [r3, #{steps}]",
        "cmp r1, #4",
        "mov r1, r0",
        "mov r2, r0",
        "mov r3, r0",
        "ble.w 4f",
        "mov r4, r0",
        "mov r5, r0",
        "mov r6, r0",
        "mov r7, r0",
        $($eight,)*
        ".p2align 2",
        "3:",
        "ldrsb r11, [r9], #1",
        "FERROLITE_FOUR r0, r1, r2, r3, 0",
        "FERROLITE_FOUR r4, r5, r6, r7, 4",
        "FERROLITE_NEXT",
        "bne.w 3b",
        "31:",
        "ldr.w r11, [sp, #4]",
        "ldr.w r12, [sp, #8]",
        "ldr.w lr, [sp, #12]",
        "ldr.w r8, [sp, #16]",
        "ldr.w r10, [sp, #20]",
        "ldr.w r9, [sp, #28]",
        "cmp.w r12, #31",
        "bhi.w 5f",
        "FERROLITE_OUTPUTS FERROLITE_RIGHT",
        // The next block; after the last one, the next channel.
        "32:",
        "ldr r1, [sp, #20]",
        "ldr r0, [sp, #24]",
        "cmp r1, #0",
        "ble.w 7f",
        "adds r0, #8",
        "str r0, [sp, #24]",
        "b.w 2b",
        "4:",
        "ldr.w r12, [sp, #20]",
        "cmp.w r12, #1",
        "beq.w 44f",
        $($four,)*
        ".p2align 2",
        "42:",
        "ldrsb r11, [r9], #1",
        "FERROLITE_FOUR r0, r1, r2, r3, 0",
        "FERROLITE_NEXT",
        "bne.w 42b",
        "b.w 31b",
        // A single output
        ".p2align 2",
        "44:",
        "ldrsb r11, [r9], #1",
        "ldrsb r12, [r8]",
        "ldrsh lr, [r10], #2",
        "mla r0, r12, r11, r0",
        "add.w r8, r8, lr",
        "cmp.w lr, #0",
        "bne.w 44b",
        "b.w 31b",
        "5:",
        "mvns.w r12, r12",
        "bmi.w 6f",
        "asr.w lr, lr, #1",
        "FERROLITE_OUTPUTS FERROLITE_LEFT",
        "b.w 32b",
        "6:",
        $($finish,)*
        "ldr.w r12, [sp, #48]",
        "ldr.w lr, [r12, #{sums}]",
        "stm.w lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
        "ldr r0, [sp, #48]",
        "ldr r1, [sp, #24]",
        "ldr r2, [sp, #20]",
        "str.w lr, [r0, #{sums}]",
        "adds r1, #8",
        "str r1, [sp, #24]",
        "subs r2, #8",
        "str r2, [sp, #20]",
        "bgt.w 2b",
        // The next channel.
        "7:",
        "ldr r0, [sp, #48]",
        "ldr r1, [r0, #{weights}]",
        "ldr r2, [r0, #{taps}]",
        "ldr r3, [r0, #{left}]",
        "add r1, r2",
        "str r1, [r0, #{weights}]",
        "subs r3, #1",
        "bne 8f",
        "ldr r1, [r0, #{plane}]",
        "ldr r2, [r0, #{pitch}]",
        "ldr r3, [r0, #{multiplier}]",
        "add r1, r2",
        "str r1, [r0, #{plane}]",
        "8:",
        "str r3, [r0, #{left}]",
        "ldr r1, [r0, #{count}]",
        "subs r1, #1",
        "str r1, [r0, #{count}]",
        "bne.w 1b",
        "add sp, #48",
        "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_FOUR",
        ".purgem FERROLITE_NUMBERS",
        ".purgem FERROLITE_RIGHT",
        ".purgem FERROLITE_LEFT",
        ".purgem FERROLITE_NEXT",
        ".purgem FERROLITE_OUTPUTS",
        ".purgem FERROLITE_OUT",
    )
}
    };
}

#[cfg(kernels = "armv7m")]
taps!([], [], [], [], [], []);

// Where taps of a kernel row lie side by side, two products take one SMLAD. A row of three takes one and one SMLAxB for
// each output. Of longer ones, four taps at a time take two: the elements (x, x + 2) times weights 0 and 2, and (x + 1,
// x + 3) times weights 1 and 3, where each pair of elements serves two outputs. Of the two or three taps that remain the
// missing weights are zeroes, a single one is made as elsewhere. The step behind a row is found from the place of the
// weights, as all registers are taken.
//
// Stack: 32 where steps lie, less twice the place of the weights; 36 columns of the kernel, or 0 if they do not lie side
// by side; 40 columns that remain behind the next four; 44 the beginning of the row.
#[cfg(kernels = "armv7em")]
taps!(
    [columns],
    ["ldr r1, [r0, #{columns}]", "str r1, [sp, #36]"],
    // A file that rounds once: the mantissa as it is, twice the zero point plus one for a half, and a mark on the shift.
    [
        "subs r5, #1",
        "bne 12f",
        "lsrs r3, r3, #1",
        "subs r5, r4, #1",
        "lsls r6, r5",
        "adds r4, #128",
        "b 11f",
        "12:"
    ],
    [
        ".macro FERROLITE_ONCE a",
        "smmul \\a, \\a, r11",
        "add.w \\a, \\a, lr",
        "asr.w \\a, \\a, r12",
        "ssat \\a, #8, \\a",
        ".endm",
        "mvn.w r12, r12",
        "subs.w r12, r12, #128",
        "blt.w 61f",
        "FERROLITE_OUTPUTS FERROLITE_ONCE",
        "b.w 32b",
        ".purgem FERROLITE_ONCE",
        "61:"
    ],
    [
        ".macro FERROLITE_WEIGHTS",
        "ldrsb r11, [r9]",
        "ldrsb r10, [r9, #1]",
        "ldrsb r12, [r9, #2]",
        "add.w r9, r9, #3",
        "pkhbt r11, r11, r12, lsl #16",
        ".endm",
        ".macro FERROLITE_PAIR a, b, at",
        "ldr.w r12, [r8, #\\at]",
        "sxtb16 lr, r12",
        "sxtb16 r12, r12, ror #8",
        "smlad \\a, lr, r11, \\a",
        "smlad \\b, r12, r11, \\b",
        "smlabb \\a, r12, r10, \\a",
        "smlatb \\b, lr, r10, \\b",
        ".endm",
        ".macro FERROLITE_NEXT_ROW",
        "ldr.w r12, [sp, #32]",
        "add.w r12, r12, r9, lsl #1",
        "ldrsh r12, [r12, #-2]",
        "add.w r8, r8, #2",
        "add.w r8, r8, r12",
        "cmp.w r12, #0",
        ".endm",
        // Chooses between single taps, rows of three, and longer ones.
        ".macro FERROLITE_SIDE_BY_SIDE ordinary, longer",
        "ldr.w r12, [sp, #36]",
        "sub.w lr, r10, r9, lsl #1",
        "cmp.w r12, #3",
        "blt.w \\ordinary",
        "str.w lr, [sp, #32]",
        "bgt.w \\longer",
        ".p2align 2",
        ".endm",
        // Four taps: the first two outputs, two more, and what is left of the last one.
        ".macro FERROLITE_FIRST",
        "ldr.w r12, [r8]",
        "sxtb16 lr, r12",
        "sxtb16 r12, r12, ror #8",
        "smlad r0, lr, r11, r0",
        "smlad r0, r12, r10, r0",
        "smlad r1, r12, r11, r1",
        ".endm",
        ".macro FERROLITE_MORE a, b, c, at",
        "ldr.w r12, [r8, #\\at]",
        "sxtb16 lr, r12",
        "sxtb16 r12, r12, ror #8",
        "smlad \\a, lr, r10, \\a",
        "smlad \\b, lr, r11, \\b",
        "smlad \\b, r12, r10, \\b",
        "smlad \\c, r12, r11, \\c",
        ".endm",
        ".macro FERROLITE_LAST a, at",
        "ldr.w r12, [r8, #\\at]",
        "sxtb16 lr, r12",
        "smlad \\a, lr, r10, \\a",
        ".endm",
        ".macro FERROLITE_EIGHT",
        "FERROLITE_FIRST",
        "FERROLITE_MORE r1, r2, r3, 2",
        "FERROLITE_MORE r3, r4, r5, 4",
        "FERROLITE_MORE r5, r6, r7, 6",
        "FERROLITE_LAST r7, 8",
        ".endm",
        ".macro FERROLITE_SINGLE_EIGHT",
        "FERROLITE_FOUR r0, r1, r2, r3, 0",
        "FERROLITE_FOUR r4, r5, r6, r7, 4",
        ".endm",
        ".macro FERROLITE_ROWS four_taps, one_tap, done",
        "51:",
        "ldr.w r12, [sp, #36]",
        "str.w r8, [sp, #44]",
        "52:",
        "subs.w r12, r12, #4",
        "str.w r12, [sp, #40]",
        "blt.w 54f",
        "ldr.w r11, [r9], #4",
        "sxtb16 r10, r11, ror #8",
        "sxtb16 r11, r11",
        "53:",
        "\\four_taps",
        "ldr.w r12, [sp, #40]",
        "add.w r8, r8, #4",
        "cmp.w r12, #0",
        "bgt.w 52b",
        "b.w 56f",
        "54:",
        "ldrsb r11, [r9], #1",
        "cmn.w r12, #3",
        "beq.w 55f",
        "ldrsb r10, [r9], #1",
        "cmn.w r12, #1",
        "uxth r10, r10",
        "itte eq",
        "ldrsbeq r12, [r9], #1",
        "pkhbteq r11, r11, r12, lsl #16",
        "uxthne r11, r11",
        "b.w 53b",
        "55:",
        "\\one_tap",
        "56:",
        "ldr.w r12, [sp, #32]",
        "ldr.w r8, [sp, #44]",
        "ldr.w r10, [sp, #36]",
        "add.w r12, r12, r9, lsl #1",
        "add.w r8, r8, r10",
        "ldrsh r12, [r12, #-2]",
        "sub.w r8, r8, #1",
        "add.w r8, r8, r12",
        "cmp.w r12, #0",
        "bne.w 51b",
        "b.w \\done",
        ".endm",
        "FERROLITE_SIDE_BY_SIDE 3f, 34f",
        "33:",
        "FERROLITE_WEIGHTS",
        "FERROLITE_PAIR r0, r1, 0",
        "FERROLITE_PAIR r2, r3, 2",
        "FERROLITE_PAIR r4, r5, 4",
        "FERROLITE_PAIR r6, r7, 6",
        "FERROLITE_NEXT_ROW",
        "bne.w 33b",
        "b.w 31f",
        ".p2align 2",
        "34:",
        "FERROLITE_ROWS FERROLITE_EIGHT, FERROLITE_SINGLE_EIGHT, 31f"
    ],
    [
        ".macro FERROLITE_FOUR_OUTPUTS",
        "FERROLITE_FIRST",
        "FERROLITE_MORE r1, r2, r3, 2",
        "FERROLITE_LAST r3, 4",
        ".endm",
        ".macro FERROLITE_SINGLE_FOUR",
        "FERROLITE_FOUR r0, r1, r2, r3, 0",
        ".endm",
        "FERROLITE_SIDE_BY_SIDE 42f, 45f",
        "43:",
        "FERROLITE_WEIGHTS",
        "FERROLITE_PAIR r0, r1, 0",
        "FERROLITE_PAIR r2, r3, 2",
        "FERROLITE_NEXT_ROW",
        "bne.w 43b",
        "b.w 31b",
        ".p2align 2",
        "45:",
        "FERROLITE_ROWS FERROLITE_FOUR_OUTPUTS, FERROLITE_SINGLE_FOUR, 31b",
        ".purgem FERROLITE_WEIGHTS",
        ".purgem FERROLITE_PAIR",
        ".purgem FERROLITE_NEXT_ROW",
        ".purgem FERROLITE_SIDE_BY_SIDE",
        ".purgem FERROLITE_FIRST",
        ".purgem FERROLITE_MORE",
        ".purgem FERROLITE_LAST",
        ".purgem FERROLITE_EIGHT",
        ".purgem FERROLITE_SINGLE_EIGHT",
        ".purgem FERROLITE_FOUR_OUTPUTS",
        ".purgem FERROLITE_SINGLE_FOUR",
        ".purgem FERROLITE_ROWS"
    ]
);
