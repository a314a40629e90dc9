//! The leaf in assembly. `mod.rs` calls it after it has checked all sizes.

#![allow(unsafe_code)]

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

/// Arguments of [`dense_int16`], which works on a copy of them.
#[repr(C)]
pub(super) struct Twice {
    pub tile: *const i32,
    /// Its end.
    pub end: *const i32,
    /// In the copy, of the next four channels.
    pub weights: *const u32,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    /// Pairs of elements that the first pass of the loop, which is for eight of them, leaves out.
    pub skipped: usize,
    /// Bytes from the end of a block's weights to those of its last four channels.
    pub to_second: usize,
    /// Fours of channels, an even number.
    pub count: usize,
    /// Outputs of both rows.
    pub out: [*mut i16; 2],
}

in_order!(first 11 words of Twice: tile, end, weights, bias, multipliers, step, skipped, to_second, count, out);

/// Products of two rows with four channels at a time: `r2` and `r3` are `P` of the first pair of channels for both rows,
/// `r4` and `r5` its `P + 256 Q`, `r6..r9` the same of the second pair; `r0` is the place in the tile, `r1` that of the
/// weights.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dense_int16(work: *const Twice) {
    leaf!(
        [Twice: tile, end, weights, bias, multipliers, step, skipped, to_second, count, out;
         Multiplier: mantissa, shift],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        // 16 products: two elements of both rows, two words of weights.
        ".macro FERROLITE_STEP w, x",
        "ldr.w r10, [r0, #\\x]",
        "ldr.w r11, [r0, #\\x + 4]",
        "ldr.w r12, [r1, #\\w]",
        "ldr.w lr, [r1, #\\w + 4]",
        "smlad r4, r12, r10, r4",
        "smlad r5, r12, r11, r5",
        "sxtb16 r12, r12",
        "smlad r8, lr, r10, r8",
        "smlad r9, lr, r11, r9",
        "sxtb16 lr, lr",
        "smlad r2, r12, r10, r2",
        "smlad r3, r12, r11, r3",
        "smlad r6, lr, r10, r6",
        "smlad r7, lr, r11, r7",
        ".endm",
        // Turns doubled sums of the next channel into int16. The multiplier is at r0, `step` is r1.
        ".macro FERROLITE_FINISH a, b",
        "ldr.w r11, [r0, #{shift}]",
        "ldr.w r10, [r0, #{mantissa}]",
        "asr.w r12, \\a, #31",
        "asr.w lr, \\b, #31",
        "mvn r11, r11",
        "smmlar \\a, \\a, r10, r12",
        "smmlar \\b, \\b, r10, lr",
        "add.w r0, r0, r1",
        "asr.w \\a, \\a, r11",
        "asr.w \\b, \\b, r11",
        "add.w \\a, \\a, #1",
        "add.w \\b, \\b, #1",
        "ssat \\a, #16, \\a, asr #1",
        "ssat \\b, #16, \\b, asr #1",
        ".endm",
        // Stack: 0 arguments, 44 where the loop is entered.
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #52",
        "mov r12, sp",
        "ldmia.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
        "stmia.w r12, {{r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10}}",
        "adr.w r0, 2f + 1",
        "movs r1, #56",
        "mla r0, r1, r6, r0",
        "str r0, [sp, #44]",
        ".p2align 2",
        "1:",
        "ldr.w r0, [sp, #{tile}]",
        "ldr.w r1, [sp, #{weights}]",
        "ldr.w r12, [sp, #{bias}]",
        "ldr.w r10, [sp, #{skipped}]",
        "ldr.w r11, [sp, #44]",
        // The first pass begins within the loop.
        "sub.w r0, r0, r10, lsl #3",
        "sub.w r1, r1, r10, lsl #4",
        "ldr.w r2, [r12]",
        "ldr.w r4, [r12, #4]",
        "ldr.w r6, [r12, #8]",
        "ldr.w r8, [r12, #12]",
        "add.w r12, r12, #16",
        "str.w r12, [sp, #{bias}]",
        "add.w r4, r2, r4, lsl #8",
        "add.w r8, r6, r8, lsl #8",
        "mov.w r3, r2",
        "mov.w r5, r4",
        "mov.w r7, r6",
        "mov.w r9, r8",
        "bx r11",
        ".p2align 2",
        "2:",
        "FERROLITE_STEP 0, 0",
        "FERROLITE_STEP 16, 8",
        "FERROLITE_STEP 32, 16",
        "FERROLITE_STEP 48, 24",
        "FERROLITE_STEP 64, 32",
        "FERROLITE_STEP 80, 40",
        "FERROLITE_STEP 96, 48",
        "FERROLITE_STEP 112, 56",
        "ldr.w r12, [sp, #{end}]",
        "add.w r0, r0, #64",
        "add.w r1, r1, #128",
        "cmp.w r0, r12",
        "bne.w 2b",
        // The next weights: the block's others, or the next block, which begins where those of its others end, less
        // two words.
        "ldr.w r10, [sp, #{count}]",
        "ldr.w r11, [sp, #{to_second}]",
        "sub.w r10, r10, #1",
        "str.w r10, [sp, #{count}]",
        "lsls.w r12, r10, #31",
        "it eq",
        "mvneq.w r11, #7",
        "add.w r1, r1, r11",
        "str.w r1, [sp, #{weights}]",
        "ldr r0, [sp, #{multipliers}]",
        "ldr.w r1, [sp, #{step}]",
        // P doubled, and Q doubled: (R - P) / 256 * 2.
        "sub.w r4, r4, r2",
        "sub.w r5, r5, r3",
        "sub.w r8, r8, r6",
        "sub.w r9, r9, r7",
        "lsl.w r2, r2, #1",
        "lsl.w r3, r3, #1",
        "lsl.w r6, r6, #1",
        "lsl.w r7, r7, #1",
        "asr.w r4, r4, #7",
        "asr.w r5, r5, #7",
        "asr.w r8, r8, #7",
        "asr.w r9, r9, #7",
        "FERROLITE_FINISH r2, r3",
        "FERROLITE_FINISH r4, r5",
        "FERROLITE_FINISH r6, r7",
        "FERROLITE_FINISH r8, r9",
        "str.w r0, [sp, #{multipliers}]",
        "pkhbt r2, r2, r4, lsl #16",
        "pkhbt r3, r3, r5, lsl #16",
        "ldr.w r0, [sp, #{out}]",
        "ldr.w r1, [sp, #{out} + 4]",
        "ldr.w r10, [sp, #{count}]",
        "pkhbt r6, r6, r8, lsl #16",
        "pkhbt r7, r7, r9, lsl #16",
        "str.w r2, [r0]",
        "str.w r6, [r0, #4]",
        "str.w r3, [r1]",
        "str.w r7, [r1, #4]",
        "add.w r0, r0, #8",
        "add.w r1, r1, #8",
        "str.w r0, [sp, #{out}]",
        "str.w r1, [sp, #{out} + 4]",
        "cmp.w r10, #0",
        "bne.w 1b",
        "add sp, sp, #52",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_STEP",
        ".purgem FERROLITE_FINISH",
    )
}
