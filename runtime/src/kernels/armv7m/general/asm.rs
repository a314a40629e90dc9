//! The leaves in assembly. `mod.rs` calls them after it has checked all sizes.

#![allow(unsafe_code)]

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

in_order!(first 2 words of Multiplier: mantissa, shift);

/// Arguments of [`matmul`].
#[repr(C)]
pub(super) struct Matmul {
    pub tile: *const i32,
    pub weights: *const i8,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: [*mut i8; 4],
    /// Channels, at least 1.
    pub channels: usize,
    /// End of the words of the tile.
    pub end: *const i32,
    /// Twice the zero point plus one.
    pub half: i32,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    /// Sums of four pixels of two channels, for the function's own use.
    pub sums: [i32; 8],
}

// The function reserves 20 words of stack for it and copies 12.
const _: () = assert!(size_of::<Matmul>() == 80);
in_order!(4 words of Matmul: out);
in_order!(8 words of Matmul: sums);

/// Arguments of [`dense`].
#[repr(C)]
pub(super) struct Dense {
    pub input: *const i8,
    pub end: *const i8,
    pub weights: *const u32,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    pub out: *mut i8,
    /// Channels, at least 1.
    pub outputs: usize,
    /// Twice the zero point plus one.
    pub half: i32,
    /// What 128 added to the weights of even channels add to their sums, negated; for the function's own use.
    pub surplus: i32,
    /// Sums of four channels, for the function's own use.
    pub sums: [i32; 4],
}

// The function reserves 14 words of stack for it and copies 10.
const _: () = assert!(size_of::<Dense>() == 56);
in_order!(4 words of Dense: sums);

/// Defines what makes outputs. `FERROLITE_SCALE a`: accumulator `a` times the mantissa in r10, doubled, upper word,
/// rounded; all 32 bits of `a` count. `FERROLITE_RIGHT a` also shifts to the right by r11 plus one, `FERROLITE_LEFT a` to
/// the left by r11 before, and both add the zero point in lr. They overwrite r12.
macro_rules! scale {
    () => {
        ".macro FERROLITE_SCALE a
         smull r12, \\a, \\a, r10
         adds.w r12, r12, r12
         adc.w \\a, \\a, \\a
         add.w \\a, \\a, r12, lsr #31
         .endm
         .macro FERROLITE_RIGHT a
         FERROLITE_SCALE \\a
         add.w \\a, \\a, \\a, asr #31
         asr.w \\a, \\a, r11
         add.w \\a, \\a, #1
         add.w \\a, lr, \\a, asr #1
         ssat \\a, #8, \\a
         .endm
         .macro FERROLITE_LEFT a
         lsl.w \\a, \\a, r11
         FERROLITE_SCALE \\a
         add.w \\a, \\a, lr
         ssat \\a, #8, \\a
         .endm"
    };
}

/// Two pairs of pixels by all channels, two at a time. In the loop, `r2:r3` and `r4:r5` hold the pixels' sums of the
/// first channel, `r6:r7` and `r8:r9` those of the second one, over at most 248 elements: of any bytes, that keeps below
/// 2^22. Of an odd number of channels the last one is its own second one.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn matmul(work: *const Matmul) {
    leaf!(
        [Matmul: tile, weights, bias, multipliers, out, channels, end, half, step, sums;
         Multiplier: mantissa],
        ".cpu cortex-m3",
        scale!(),
        // Eight products: an element of four pixels, and two weights.
        ".macro FERROLITE_STEP w",
        "ldmia r0!, {{r10, r11}}",
        "ldrsb r12, [r1, #\\w]",
        "ldrsb lr, [r1, #\\w + 1]",
        "smlal r2, r3, r10, r12",
        "smlal r4, r5, r11, r12",
        "smlal r6, r7, r10, lr",
        "smlal r8, r9, r11, lr",
        ".endm",
        // Splits `lo:hi` into its two sums: the first one into `first`, the second one into `lo`. The last bit that is
        // shifted out is the first sum's sign, and so the borrow that must be added back to the second.
        ".macro FERROLITE_SPLIT lo, hi, first",
        "lsl \\first, \\lo, #9",
        "lsrs \\lo, \\lo, #23",
        "adc \\lo, \\lo, \\hi, lsl #9",
        "asr \\first, \\first, #9",
        ".endm",
        ".macro FERROLITE_ADD at, a, b",
        "ldrd r9, r12, [sp, #{sums} + \\at]",
        "add r9, r9, \\a",
        "add r12, r12, \\b",
        "strd r9, r12, [sp, #{sums} + \\at]",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #80",
        "mov r12, sp",
        "ldmia r0!, {{r1, r2, r3, r4, r5, r6}}",
        "stmia r12!, {{r1, r2, r3, r4, r5, r6}}",
        "ldmia r0, {{r1, r2, r3, r4, r5, r6}}",
        "stmia r12, {{r1, r2, r3, r4, r5, r6}}",
        "ldr r1, [sp, #{weights}]",
        "1:",
        "ldr r12, [sp, #{bias}]",
        "ldr lr, [sp, #{channels}]",
        "ldr r0, [sp, #{tile}]",
        "ldr r2, [r12], #4",
        "movs r6, #0",
        "cmp lr, #2",
        "it hs",
        "ldrhs r6, [r12], #4",
        "str r12, [sp, #{bias}]",
        "add r12, sp, #{sums}",
        "mov r3, r2",
        "mov r4, r2",
        "mov r5, r2",
        "mov r7, r6",
        "mov r8, r6",
        "mov r9, r6",
        "stm r12, {{r2, r3, r4, r5, r6, r7, r8, r9}}",
        // A part of at most 248 elements ends at r12 in the tile.
        "2:",
        "ldr lr, [sp, #{end}]",
        "movs r2, #0",
        "movs r3, #0",
        "subs r12, lr, r0",
        "movs r4, #0",
        "cmp r12, #248 * 8",
        "it hi",
        "movhi r12, #248 * 8",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "mov r8, #0",
        "mov r9, #0",
        "ldr lr, [sp, #{channels}]",
        "cmp lr, #1",
        "beq 8f",
        "add lr, r12, r0",
        "push {{lr}}",
        "subs r12, r12, #64",
        "blo 4f",
        "sub lr, lr, #63",
        "push {{lr}}",
        ".p2align 2",
        "3:",
        "FERROLITE_STEP 0",
        "FERROLITE_STEP 2",
        "FERROLITE_STEP 4",
        "FERROLITE_STEP 6",
        "FERROLITE_STEP 8",
        "FERROLITE_STEP 10",
        "FERROLITE_STEP 12",
        "FERROLITE_STEP 14",
        "ldr r12, [sp, #{tile}]",
        "adds r1, #16",
        "cmp r0, r12",
        "blo.w 3b",
        "add sp, sp, #4",
        "4:",
        "ldr r12, [sp, #{tile}]",
        "cmp r0, r12",
        "beq 6f",
        "5:",
        "FERROLITE_STEP 0",
        "ldr r12, [sp, #{tile}]",
        "adds r1, #2",
        "cmp r0, r12",
        "bne 5b",
        "6:",
        "add sp, sp, #4",
        "7:",
        "FERROLITE_SPLIT r2, r3, r10",
        "FERROLITE_SPLIT r4, r5, r3",
        "FERROLITE_SPLIT r6, r7, r5",
        "FERROLITE_SPLIT r8, r9, r7",
        "FERROLITE_ADD 0, r10, r2",
        "FERROLITE_ADD 8, r3, r4",
        "FERROLITE_ADD 16, r5, r6",
        "FERROLITE_ADD 24, r7, r8",
        "ldr lr, [sp, #{end}]",
        "cmp r0, lr",
        "bne.w 2b",
        "b 9f",
        // The last one of an odd number of channels, whose weights are adjacent.
        "8:",
        "add lr, r12, r0",
        "81:",
        "ldmia r0!, {{r10, r11}}",
        "ldrsb r12, [r1], #1",
        "smlal r2, r3, r10, r12",
        "smlal r4, r5, r11, r12",
        "cmp r0, lr",
        "bne 81b",
        "b 7b",
        // Outputs of a channel, whose sums are at r8.
        "9:",
        "add r8, sp, #{sums}",
        "movs r7, #2",
        "10:",
        "ldr r6, [sp, #{multipliers}]",
        "ldr r9, [sp, #{step}]",
        "ldr lr, [sp, #{half}]",
        "ldmia r8!, {{r2, r3, r4, r5}}",
        "add r9, r9, r6",
        "str r9, [sp, #{multipliers}]",
        "ldrd r10, r11, [r6, #{mantissa}]",
        "asr lr, lr, #1",
        "mvns r12, r11",
        "bmi 11f",
        "mov r11, r12",
        "FERROLITE_RIGHT r2",
        "FERROLITE_RIGHT r3",
        "FERROLITE_RIGHT r4",
        "FERROLITE_RIGHT r5",
        "b 12f",
        "11:",
        "FERROLITE_LEFT r2",
        "FERROLITE_LEFT r3",
        "FERROLITE_LEFT r4",
        "FERROLITE_LEFT r5",
        "12:",
        "add r12, sp, #{out}",
        "ldm r12, {{r6, r9, r10, r11}}",
        // Missing pixels have the address of the last one, so the last one is written last.
        "strb r5, [r11], #1",
        "strb r4, [r10], #1",
        "strb r3, [r9], #1",
        "strb r2, [r6], #1",
        "stm r12, {{r6, r9, r10, r11}}",
        "ldr r12, [sp, #{channels}]",
        "subs r12, r12, #1",
        "str r12, [sp, #{channels}]",
        "beq 13f",
        "subs r7, r7, #1",
        "bne 10b",
        "b.w 1b",
        "13:",
        "add sp, sp, #80",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_STEP",
        ".purgem FERROLITE_SPLIT",
        ".purgem FERROLITE_ADD",
        ".purgem FERROLITE_SCALE",
        ".purgem FERROLITE_RIGHT",
        ".purgem FERROLITE_LEFT",
    )
}

/// One row of input by all channels, four to a word. In the loop, `r2:r3` hold the sums of channels 0 and 1, `r4:r5` those
/// of channels 2 and 3, over at most 256 elements: of any bytes, that keeps below 2^23. `r6` is the mask of a pair.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dense(work: *const Dense) {
    leaf!(
        [Dense: input, end, weights, bias, multipliers, step, out, outputs, half, surplus, sums;
         Multiplier: mantissa],
        ".cpu cortex-m3",
        scale!(),
        // Four products: the element in r11, and a word of weights.
        ".macro FERROLITE_WORD w",
        "and r12, r6, \\w",
        "and \\w, r6, \\w, ror #16",
        "smlal r2, r3, r12, r11",
        "smlal r4, r5, \\w, r11",
        ".endm",
        ".macro FERROLITE_FOUR x",
        "ldmia r1!, {{r7, r8, r9, r10}}",
        "ldrsb r11, [r0, #\\x]",
        "FERROLITE_WORD r7",
        "ldrsb r11, [r0, #\\x + 1]",
        "FERROLITE_WORD r8",
        "ldrsb r11, [r0, #\\x + 2]",
        "FERROLITE_WORD r9",
        "ldrsb r11, [r0, #\\x + 3]",
        "FERROLITE_WORD r10",
        ".endm",
        ".macro FERROLITE_SPLIT lo, hi, first",
        "lsl \\first, \\lo, #8",
        "lsrs \\lo, \\lo, #24",
        "adc \\lo, \\lo, \\hi, lsl #8",
        "asr \\first, \\first, #8",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #56",
        "mov r12, sp",
        "ldmia r0!, {{r1, r2, r3, r4, r5}}",
        "stmia r12!, {{r1, r2, r3, r4, r5}}",
        "ldmia r0, {{r1, r2, r3, r4, r5}}",
        "stmia r12, {{r1, r2, r3, r4, r5}}",
        "ldr r0, [sp, #{input}]",
        "ldr lr, [sp, #{end}]",
        "movs r5, #0",
        "sub r6, lr, #3",
        "b 11f",
        "10:",
        "ldrsb r7, [r0]",
        "ldrsb r8, [r0, #1]",
        "ldrsb r9, [r0, #2]",
        "ldrsb r10, [r0, #3]",
        "adds r0, #4",
        "add r5, r7",
        "add r5, r8",
        "add r5, r9",
        "add r5, r10",
        "11:",
        "cmp r0, r6",
        "blo 10b",
        "b 13f",
        "12:",
        "ldrsb r7, [r0], #1",
        "add r5, r7",
        "13:",
        "cmp r0, lr",
        "bne 12b",
        "rsbs r5, r5, #0",
        "lsls r5, r5, #7",
        "str r5, [sp, #{surplus}]",
        "ldr r1, [sp, #{weights}]",
        "1:",
        "ldr r4, [sp, #{outputs}]",
        "ldr r12, [sp, #{bias}]",
        "ldr r5, [sp, #{surplus}]",
        "movs r8, #0",
        "movs r9, #0",
        "movs r10, #0",
        "ldr r7, [r12], #4",
        "cmp r4, #2",
        "it hs",
        "ldrhs r8, [r12], #4",
        "cmp r4, #3",
        "it hs",
        "ldrhs r9, [r12], #4",
        "cmp r4, #4",
        "it hs",
        "ldrhs r10, [r12], #4",
        "str r12, [sp, #{bias}]",
        "add r7, r7, r5",
        "add r9, r9, r5",
        "add r12, sp, #{sums}",
        "stm r12, {{r7, r8, r9, r10}}",
        "ldr r0, [sp, #{input}]",
        "movw r6, #0x00FF",
        "movt r6, #0xFF00",
        // A part of at most 256 elements ends at lr.
        "2:",
        "ldr lr, [sp, #{end}]",
        "movs r2, #0",
        "movs r3, #0",
        "sub r12, lr, r0",
        "movs r4, #0",
        "movs r5, #0",
        "cmp r12, #256",
        "it hi",
        "addhi lr, r0, #256",
        "subs r12, lr, r0",
        "cmp r12, #8",
        "blo 4f",
        ".p2align 2",
        "3:",
        "FERROLITE_FOUR 0",
        "FERROLITE_FOUR 4",
        "adds r0, #8",
        "sub r12, lr, r0",
        "cmp r12, #8",
        "bhs 3b",
        "4:",
        "cmp r0, lr",
        "beq 6f",
        "5:",
        "ldr r7, [r1], #4",
        "ldrsb r11, [r0], #1",
        "FERROLITE_WORD r7",
        "cmp r0, lr",
        "bne 5b",
        "6:",
        "FERROLITE_SPLIT r2, r3, r7",
        "FERROLITE_SPLIT r4, r5, r8",
        "add r12, sp, #{sums}",
        "ldr lr, [sp, #{end}]",
        "ldm r12, {{r3, r5, r9, r10}}",
        "add r3, r3, r7",
        "add r5, r5, r2",
        "add r9, r9, r8",
        "add r10, r10, r4",
        "stm r12, {{r3, r5, r9, r10}}",
        "cmp r0, lr",
        "bne.w 2b",
        // Outputs: r3 channels left, r4 of these in this word, r5 output, r6 multipliers, r7 step, r8 sums.
        "ldr r3, [sp, #{outputs}]",
        "ldr r5, [sp, #{out}]",
        "ldr r6, [sp, #{multipliers}]",
        "ldr r7, [sp, #{step}]",
        "ldr lr, [sp, #{half}]",
        "mov r8, r12",
        "movs r4, #4",
        "asr lr, lr, #1",
        "7:",
        "ldr r2, [r8], #4",
        "ldrd r10, r11, [r6, #{mantissa}]",
        "add r6, r6, r7",
        "mvns r12, r11",
        "bmi 8f",
        "mov r11, r12",
        "FERROLITE_RIGHT r2",
        "b 9f",
        "8:",
        "FERROLITE_LEFT r2",
        "9:",
        "strb r2, [r5], #1",
        "subs r3, r3, #1",
        "beq 14f",
        "subs r4, r4, #1",
        "bne 7b",
        "str r3, [sp, #{outputs}]",
        "str r5, [sp, #{out}]",
        "str r6, [sp, #{multipliers}]",
        "b.w 1b",
        "14:",
        "add sp, sp, #56",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_WORD",
        ".purgem FERROLITE_FOUR",
        ".purgem FERROLITE_SPLIT",
        ".purgem FERROLITE_SCALE",
        ".purgem FERROLITE_RIGHT",
        ".purgem FERROLITE_LEFT",
    )
}
