//! The leaf in assembly. `mod.rs` calls it after it has checked all sizes.
#![allow(unsafe_code)]

use crate::kernels::fields::leaf;

/// Arguments of [`widen`]. All sizes are bytes, or numbers above 0.
#[repr(C)]
pub(super) struct Widen {
    pub source: *const i8,
    pub target: *mut i32,
    /// A sum of three: whole groups of four elements in a line, times 8; 4 if a whole word may not be read
    /// after the last group; the number of elements after the last group.
    pub len: usize,
    pub lanes: usize,
    /// Distance from one pixel to the next in the source.
    pub step: usize,
    pub lines: usize,
    /// Distance from one line to the next in the source.
    pub pitch: usize,
    /// The same in the target.
    pub line: usize,
    /// Mask of the bytes of a word that the elements after the last group occupy.
    pub mask: u32,
}

/// Widens lines of elements: each four of them become two words, 16 bytes apart; pixels are 4 bytes apart.
/// Zeroes follow the last element of a line, because the weights that fill up a group may be anything.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn widen(work: *const Widen) {
    leaf!(
        [Widen: source, target, len, lanes, step, lines, pitch, line, mask],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        ".macro FERROLITE_WIDEN word, at",
        "sxtb16 r11, \\word",
        "sxtb16 \\word, \\word, ror #8",
        "str.w r11, [r1, #\\at]",
        "str.w \\word, [r1, #\\at + 16]",
        ".endm",
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #16",
        // r0 source, r1 target, r2 len, r3 remaining lines, r8 and r9 starts of the line, r10 remaining
        // groups, r12 mask; on the stack: 0 remaining lanes, 4 start of the pixel in the source, 8 in the
        // target
        "ldr r1, [r0, #{lanes}]",
        "str r1, [sp, #0]",
        "ldr r8, [r0, #{source}]",
        "ldr r9, [r0, #{target}]",
        "ldr r2, [r0, #{len}]",
        "ldr r3, [r0, #{lines}]",
        "ldr.w r12, [r0, #{mask}]",
        "str r8, [sp, #4]",
        "str r9, [sp, #8]",
        "mov lr, r0",
        ".p2align 2",
        "1:",
        "mov.w r0, r8",
        "mov.w r1, r9",
        "lsrs.w r10, r2, #3",
        "beq.w 5f",
        "subs.w r10, r10, #4",
        "blt.w 3f",
        ".p2align 2",
        "2:",
        "ldr.w r4, [r0]",
        "ldr.w r5, [r0, #4]",
        "ldr.w r6, [r0, #8]",
        "ldr.w r7, [r0, #12]",
        "add.w r0, r0, #16",
        "FERROLITE_WIDEN r4, 0",
        "FERROLITE_WIDEN r5, 32",
        "FERROLITE_WIDEN r6, 64",
        "FERROLITE_WIDEN r7, 96",
        "add.w r1, r1, #128",
        "subs.w r10, r10, #4",
        "bge.w 2b",
        "3:",
        // Carry set: two groups remain; minus: one more remains.
        "lsls.w r11, r10, #31",
        "bcc.w 4f",
        "ldr.w r4, [r0]",
        "ldr.w r5, [r0, #4]",
        "add.w r0, r0, #8",
        "FERROLITE_WIDEN r4, 0",
        "FERROLITE_WIDEN r5, 32",
        "add.w r1, r1, #64",
        "4:",
        "bpl.w 5f",
        "ldr.w r4, [r0], #4",
        "FERROLITE_WIDEN r4, 0",
        "add.w r1, r1, #32",
        "5:",
        // One to three elements remain. Carry set: a whole word may not be read there.
        "lsls.w r10, r2, #30",
        "bne.w 8f",
        "6:",
        "ldr.w r4, [lr, #{pitch}]",
        "ldr.w r5, [lr, #{line}]",
        "subs.w r3, r3, #1",
        "add.w r8, r8, r4",
        "add.w r9, r9, r5",
        "bne.w 1b",
        "7:",
        "ldr.w r8, [sp, #4]",
        "ldr.w r9, [sp, #8]",
        "ldr.w r10, [sp, #0]",
        "ldr.w r4, [lr, #{step}]",
        "ldr.w r3, [lr, #{lines}]",
        "add.w r9, r9, #4",
        "add.w r8, r8, r4",
        "str.w r9, [sp, #8]",
        "str.w r8, [sp, #4]",
        "subs.w r10, r10, #1",
        "str.w r10, [sp, #0]",
        "bne.w 1b",
        "add sp, sp, #16",
        "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        "8:",
        "bcs.w 10f",
        "ldr.w r4, [r0]",
        "and.w r4, r4, r12",
        "9:",
        "FERROLITE_WIDEN r4, 0",
        "ldr.w r4, [lr, #{pitch}]",
        "ldr.w r5, [lr, #{line}]",
        "subs.w r3, r3, #1",
        "add.w r8, r8, r4",
        "add.w r9, r9, r5",
        "bne.w 1b",
        "b.w 7b",
        "10:",
        "ldrb.w r4, [r0]",
        "cmp.w r10, #0x40000000",
        "beq.w 9b",
        "ldrb.w r5, [r0, #1]",
        "cmp.w r10, #0x80000000",
        "orr.w r4, r4, r5, lsl #8",
        "beq.w 9b",
        "ldrb.w r5, [r0, #2]",
        "orr.w r4, r4, r5, lsl #16",
        "b.w 9b",
        ".purgem FERROLITE_WIDEN",
    )
}
