//! The leaves for cores with Thumb-2: Cortex-M3, M4, M7 and M33.
//!
//! `r0..r7` hold the accumulators of eight outputs, `r8..r10` the places of an element, its weight and the next
//! step, `r11` the weight. Cores with the DSP extension read four elements at once and widen them; on the
//! others each is loaded by itself.

#![allow(unsafe_code)]

use core::arch::naked_asm;

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

/// `FERROLITE_FOUR a, b, c, d, at`: the products of four adjacent elements, `at` bytes behind `r8`.
/// `FERROLITE_SCALE a`: turns an accumulator into an output, with the multiplier in `r11`, `r12` and `lr`; it
/// may overwrite `r9`.
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
         .macro FERROLITE_SCALE a
         lsl.w \\a, \\a, #1
         smmulr \\a, \\a, r11
         add.w \\a, \\a, \\a, asr #31
         add.w \\a, \\a, lr
         asr.w \\a, \\a, r12
         ssat \\a, #8, \\a, asr #1
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
         .macro FERROLITE_SCALE a
         lsl.w \\a, \\a, #1
         smull r9, \\a, \\a, r11
         add.w \\a, \\a, r9, lsr #31
         add.w \\a, \\a, \\a, asr #31
         add.w \\a, \\a, lr
         asr.w \\a, \\a, r12
         ssat \\a, #8, \\a, asr #1
         ldr.w r9, [sp, #28]
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
    ([$($more:ident)*], [$($eight:literal),*], [$($four:literal),*]) => {
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps(work: *mut Taps) {
    leaf!(
        [Taps: plane, weights, steps, bias, multipliers, out, channels, pixels, taps, count, left, multiplier,
             pitch, step, half, sums $(, $more)*;
         Multiplier: mantissa, shift],
        cpu!(),
        products!(),
        ".macro FERROLITE_NEXT",
        "ldrsh r12, [r10], #2",
        "add.w r8, r8, r12",
        "cmp.w r12, #0",
        ".endm",
        // After the last output, the next channel.
        ".macro FERROLITE_OUT a",
        "FERROLITE_SCALE \\a",
        "strb \\a, [r8]",
        "add.w r8, r8, r9",
        "subs.w r10, r10, #1",
        "beq.w 7f",
        ".endm",
        // r8 output, r9 bytes to the next, r10 remaining outputs, r11, r12, lr multiplier
        ".macro FERROLITE_MULTIPLIER",
        "ldr.w lr, [sp, #40]",
        "ldr.w lr, [lr, #{sums}]",
        "cmp.w lr, #0",
        "bne.w 6f",
        "ldr.w r11, [sp, #4]",
        "ldr.w r12, [sp, #8]",
        "ldr.w lr, [sp, #12]",
        "ldr.w r8, [sp, #16]",
        "ldr.w r10, [sp, #20]",
        "ldr.w r9, [sp, #28]",
        ".endm",
        // Stack: 0 bias, 4 mantissa, right shift minus one and rounding term, 16 output, 20 remaining
        // outputs, 24 the first tap, 28 bytes from one output to the next, 32 where steps lie, 40 arguments.
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, #40",
        "ldr r1, [r0, #{channels}]",
        "str r1, [sp, #28]",
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
        "mvns r4, r4",
        "lsls r6, r4",
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
        "ldr r3, [sp, #40]",
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
        "FERROLITE_MULTIPLIER",
        "FERROLITE_OUT r0",
        "FERROLITE_OUT r1",
        "FERROLITE_OUT r2",
        "FERROLITE_OUT r3",
        "FERROLITE_OUT r4",
        "FERROLITE_OUT r5",
        "FERROLITE_OUT r6",
        "FERROLITE_OUT r7",
        "ldr r0, [sp, #24]",
        "str.w r8, [sp, #16]",
        "str.w r10, [sp, #20]",
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
        "41:",
        "FERROLITE_MULTIPLIER",
        "FERROLITE_OUT r0",
        "FERROLITE_OUT r1",
        "FERROLITE_OUT r2",
        "FERROLITE_OUT r3",
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
        "b.w 41b",
        "6:",
        "stm.w lr!, {{r0, r1, r2, r3, r4, r5, r6, r7}}",
        "ldr r0, [sp, #40]",
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
        "ldr r0, [sp, #40]",
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
        "add sp, #40",
        "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_FOUR",
        ".purgem FERROLITE_SCALE",
        ".purgem FERROLITE_NEXT",
        ".purgem FERROLITE_OUT",
        ".purgem FERROLITE_MULTIPLIER",
    )
}
    };
}

#[cfg(kernels = "armv7m")]
taps!([], [], []);

// A kernel row of three taps takes one SMLAD and one SMLAxB for each output. Its step is that behind the third tap
// and two more; the list of steps is found from the place of the weights, as r10 holds the second of them.
#[cfg(kernels = "armv7em")]
taps!(
    [threes],
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
        ".macro FERROLITE_THREES ordinary",
        "ldr.w r12, [sp, #40]",
        "ldr.w r12, [r12, #{threes}]",
        "cmp.w r12, #0",
        "beq.w \\ordinary",
        "sub.w r12, r10, r9, lsl #1",
        "str.w r12, [sp, #32]",
        ".p2align 2",
        ".endm",
        "FERROLITE_THREES 3f",
        "32:",
        "FERROLITE_WEIGHTS",
        "FERROLITE_PAIR r0, r1, 0",
        "FERROLITE_PAIR r2, r3, 2",
        "FERROLITE_PAIR r4, r5, 4",
        "FERROLITE_PAIR r6, r7, 6",
        "FERROLITE_NEXT_ROW",
        "bne.w 32b",
        "b.w 31f"
    ],
    [
        "FERROLITE_THREES 42f",
        "43:",
        "FERROLITE_WEIGHTS",
        "FERROLITE_PAIR r0, r1, 0",
        "FERROLITE_PAIR r2, r3, 2",
        "FERROLITE_NEXT_ROW",
        "bne.w 43b",
        "b.w 41f",
        ".purgem FERROLITE_WEIGHTS",
        ".purgem FERROLITE_PAIR",
        ".purgem FERROLITE_NEXT_ROW",
        ".purgem FERROLITE_THREES"
    ]
);
