//! The leaves in assembly. `mod.rs` calls them after it has checked all sizes.
//!
//! A function is looked up by the magnitude of its argument: of the table's entries at both sides, each less 2^15, SMUAD
//! makes what lies between them, which EOR turns over where the argument is below zero. r4 is the table.

#![allow(unsafe_code)]

use crate::kernels::fields::{in_order, leaf};

/// Arguments of [`lstm`], which keeps a copy of the first words on the stack.
#[repr(C)]
pub(super) struct Lstm {
    /// Of the product of input gate and candidate: what rounds it, and by how many bits it is shifted.
    pub candidate_term: i32,
    pub candidate_bits: u32,
    pub tanh_multiplier: i32,
    pub tanh_half: i32,
    pub tanh_shift: u32,
    /// Of the hidden state.
    pub mantissa: i32,
    pub term: i32,
    pub bits: u32,
    /// End of the hidden states.
    pub end: *const i8,
    pub a: *const i16,
    pub b: *const i16,
    pub cell: *mut i16,
    pub hidden: *mut i8,
    pub table: *const u16,
}

in_order!(first 9 words of Lstm: candidate_term, candidate_bits, tanh_multiplier, tanh_half, tanh_shift, mantissa, term,
    bits, end);
in_order!(5 words of Lstm: a, b, cell, hidden, table);

/// Arguments of the leaves of a gated recurrent unit, which keep a copy of the first words on the stack.
#[repr(C)]
pub(super) struct Gru {
    pub mantissa: i32,
    pub term: i32,
    pub bits: u32,
    /// End of what is made.
    pub end: *const i8,
    pub a: *const i16,
    pub b: *const i16,
    pub wide: *mut i16,
    pub out: *mut i8,
    pub table: *const u16,
    /// The candidate's own product; read by [`gru_before`] only.
    pub c: *const i16,
}

in_order!(first 4 words of Gru: mantissa, term, bits, end);
in_order!(6 words of Gru: a, b, wide, out, table, c);

/// What the leaves have in common. Beside the table, r5 is 2^22 and r6 is 2^14.
///
/// FERROLITE_LOGISTIC: logistic function of a number that is 12,288 for 1.0, with 15 bits behind the point. SMMLAR rounds
/// off ten bits and adds one half. FERROLITE_TANH: hyperbolic tangent of a number that is 6,144 for 1.0; where it lies
/// behind the table, FERROLITE_FAR with the same labels stands in. FERROLITE_TIMES: a gate times a number and what rounds
/// it, which are to be shifted by 15 bits. FERROLITE_SCALE: a number as int8, from a mantissa, a term and bits.
macro_rules! functions {
    () => {
        "
            .macro FERROLITE_LOGISTIC x, t, w
            eor.w \\t, \\x, \\x, asr #31
            add.w \\t, \\t, \\x, lsr #31
            lsr.w \\w, \\t, #9
            bfc \\t, #9, #23
            ldr.w \\w, [r4, \\w, lsl #1]
            rsb.w \\t, \\t, \\t, lsl #16
            add.w \\t, \\t, #512
            eor.w \\w, \\w, #0x80008000
            smuad \\w, \\w, \\t
            eor.w \\w, \\w, \\x, asr #31
            smmlar \\w, \\w, r5, r6
            .endm
            .macro FERROLITE_TANH x, t, w, far, back
            eor.w \\t, \\x, \\x, asr #31
            add.w \\t, \\t, \\x, lsr #31
            lsr.w \\w, \\t, #8
            cmp.w \\w, #255
            bhs.w \\far
            ldr.w \\w, [r4, \\w, lsl #1]
            uxtb.w \\t, \\t
            rsb.w \\t, \\t, \\t, lsl #16
            add.w \\t, \\t, #256
            eor.w \\w, \\w, #0x80008000
            smuad \\w, \\w, \\t
            \\back:
            eor.w \\w, \\w, \\x, asr #31
            add.w \\w, \\w, #128
            asr.w \\w, \\w, #8
            .endm
            .macro FERROLITE_FAR w, far, back
            \\far:
            movw \\w, #0xff00
            movt \\w, #0x7f
            b.w \\back
            .endm
            .macro FERROLITE_TIMES to, gate, x
            movw \\to, #16385
            mla \\to, \\gate, \\x, \\to
            asr.w \\x, \\x, #31
            add.w \\to, \\to, \\x, lsl #1
            .endm
            .macro FERROLITE_SCALE x, mantissa, term, bits
            add.w \\term, \\term, \\x, asr #31
            lsl.w \\x, \\x, #1
            smmlar \\x, \\x, \\mantissa, \\term
            asr.w \\x, \\x, \\bits
            ssat \\x, #8, \\x
            .endm
        "
    };
}

/// A step of an LSTM: r0 and r1 are both parts of the gates, r2 the cell states, r3 the hidden states, r8 is 3 in
/// both halfwords.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn lstm(work: *const Lstm) {
    leaf!(
        [Lstm: candidate_term, candidate_bits, tanh_multiplier, tanh_half, tanh_shift, mantissa, term, bits, end, a],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        functions!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #36",
        "mov r12, sp",
        "ldmia.w r0, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
        "stmia r12!, {{r1, r2, r3, r4, r5, r6, r7, r8, r9}}",
        "add.w r0, r0, #{a}",
        "ldmia.w r0, {{r0, r1, r2, r3, r4}}",
        "mov.w r5, #0x400000",
        "mov.w r6, #0x4000",
        "mov.w r8, #0x30003",
        ".p2align 2",
        "1:",
        "ldr.w r9, [r0]",
        "ldr.w r10, [r0, #4]",
        "ldr.w r11, [r1]",
        "ldr.w r12, [r1, #4]",
        "add.w r0, r0, #8",
        "add.w r1, r1, #8",
        // Input and forget gate, candidate and output gate.
        "qadd16 r9, r9, r11",
        "qadd16 r10, r10, r12",
        "smulbb r11, r10, r8",
        "FERROLITE_TANH r11, r12, r7, 81f, 82",
        "smulbb r11, r9, r8",
        "FERROLITE_LOGISTIC r11, r12, lr",
        "ldr.w r11, [sp, #{candidate_term}]",
        "ldr.w r12, [sp, #{candidate_bits}]",
        "smultb r9, r9, r8",
        "mla r11, lr, r7, r11",
        "asr.w r7, r7, #31",
        "add.w r11, r11, r7, lsl #1",
        "asr.w r11, r11, r12",
        "ssat r7, #16, r11",
        "FERROLITE_LOGISTIC r9, r12, lr",
        "ldrsh.w r11, [r2]",
        "FERROLITE_TIMES r12, lr, r11",
        "ssat r12, #16, r12, asr #15",
        "add.w r7, r7, r12",
        "ssat r7, #16, r7",
        "strh.w r7, [r2], #2",
        "smultb r11, r10, r8",
        "ldr.w r9, [sp, #{tanh_multiplier}]",
        "ldr.w r12, [sp, #{tanh_half}]",
        "ldr.w lr, [sp, #{tanh_shift}]",
        "mla r7, r7, r9, r12",
        "asr.w r7, r7, lr",
        "FERROLITE_LOGISTIC r11, r12, lr",
        "FERROLITE_TANH r7, r12, r9, 83f, 84",
        "ldr.w r7, [sp, #{mantissa}]",
        "ldr.w r10, [sp, #{term}]",
        "ldr.w r11, [sp, #{bits}]",
        "ldr.w r12, [sp, #{end}]",
        "mul r9, lr, r9",
        "FERROLITE_SCALE r9, r7, r10, r11",
        "strb.w r9, [r3], #1",
        "cmp.w r3, r12",
        "bne.w 1b",
        "add sp, sp, #36",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        "FERROLITE_FAR r7, 81, 82b",
        "FERROLITE_FAR r9, 83, 84b",
        ".purgem FERROLITE_LOGISTIC",
        ".purgem FERROLITE_TANH",
        ".purgem FERROLITE_FAR",
        ".purgem FERROLITE_TIMES",
        ".purgem FERROLITE_SCALE",
    )
}

/// A step whose reset gate acts after the product: r0 and r1 are both parts of the gates, r2 and r3 the hidden states,
/// r8 is 3 in both halfwords.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn gru_after(work: *const Gru) {
    leaf!(
        [Gru: mantissa, term, bits, end, a],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        functions!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #20",
        "mov r12, sp",
        "ldmia.w r0, {{r1, r2, r3, r4}}",
        "stmia r12!, {{r1, r2, r3, r4}}",
        "add.w r0, r0, #{a}",
        "ldmia.w r0, {{r0, r1, r2, r3, r4}}",
        "mov.w r5, #0x400000",
        "mov.w r6, #0x4000",
        "mov.w r8, #0x30003",
        ".p2align 2",
        "1:",
        "ldr.w r9, [r0]",
        "ldrsh.w r10, [r0, #4]",
        "ldr.w r11, [r1]",
        "ldrsh.w r12, [r1, #4]",
        "add.w r0, r0, #6",
        "add.w r1, r1, #6",
        // Update and reset gate.
        "qadd16 r9, r9, r11",
        "smultb r11, r9, r8",
        "FERROLITE_LOGISTIC r11, r7, lr",
        "FERROLITE_TIMES r11, lr, r12",
        "add.w r10, r10, r11, asr #15",
        "ssat r10, #16, r10",
        "add.w r11, r10, r10, lsl #1",
        "FERROLITE_TANH r11, r12, r10, 81f, 82",
        "smulbb r11, r9, r8",
        "FERROLITE_LOGISTIC r11, r12, lr",
        "ldrsh.w r9, [r2]",
        "sub.w r9, r9, r10",
        "FERROLITE_TIMES r12, lr, r9",
        "add.w r10, r10, r12, asr #15",
        "ssat r10, #16, r10",
        "ldr.w r7, [sp, #{mantissa}]",
        "ldr.w r9, [sp, #{term}]",
        "ldr.w r11, [sp, #{bits}]",
        "ldr.w r12, [sp, #{end}]",
        "strh.w r10, [r2], #2",
        "FERROLITE_SCALE r10, r7, r9, r11",
        "strb.w r10, [r3], #1",
        "cmp.w r3, r12",
        "bne.w 1b",
        "add sp, sp, #20",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        "FERROLITE_FAR r10, 81, 82b",
        ".purgem FERROLITE_LOGISTIC",
        ".purgem FERROLITE_TANH",
        ".purgem FERROLITE_FAR",
        ".purgem FERROLITE_TIMES",
        ".purgem FERROLITE_SCALE",
    )
}

/// The hidden state after the reset gate: r0 and r1 are both parts of the gates, r2 the hidden state of int16, r3
/// what is made.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn gru_reset(work: *const Gru) {
    leaf!(
        [Gru: mantissa, term, bits, end, a],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        functions!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #20",
        "mov r12, sp",
        "ldmia.w r0, {{r1, r2, r3, r4}}",
        "stmia r12!, {{r1, r2, r3, r4}}",
        "add.w r0, r0, #{a}",
        "ldmia.w r0, {{r0, r1, r2, r3, r4}}",
        "mov.w r5, #0x400000",
        "mov.w r6, #0x4000",
        ".p2align 2",
        "1:",
        "ldrsh.w r9, [r0, #2]",
        "ldrsh.w r10, [r1, #2]",
        "ldrsh.w r12, [r2], #2",
        "add.w r0, r0, #6",
        "add.w r1, r1, #4",
        "qadd16 r9, r9, r10",
        "sxth.w r9, r9",
        "add.w r11, r9, r9, lsl #1",
        "FERROLITE_LOGISTIC r11, r7, lr",
        "FERROLITE_TIMES r10, lr, r12",
        "ldr.w r7, [sp, #{mantissa}]",
        "ldr.w r9, [sp, #{term}]",
        "ldr.w r11, [sp, #{bits}]",
        "ldr.w r12, [sp, #{end}]",
        "asr.w r10, r10, #15",
        "FERROLITE_SCALE r10, r7, r9, r11",
        "strb.w r10, [r3], #1",
        "cmp.w r3, r12",
        "bne.w 1b",
        "add sp, sp, #20",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_LOGISTIC",
        ".purgem FERROLITE_TANH",
        ".purgem FERROLITE_FAR",
        ".purgem FERROLITE_TIMES",
        ".purgem FERROLITE_SCALE",
    )
}

/// A step whose reset gate has acted before the product, which r8 is: r0 and r1 are both parts of the gates, r2 and r3
/// the hidden states.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn gru_before(work: *const Gru) {
    leaf!(
        [Gru: mantissa, term, bits, end, a],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        functions!(),
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "sub sp, sp, #20",
        "mov r12, sp",
        "ldmia.w r0, {{r1, r2, r3, r4}}",
        "stmia r12!, {{r1, r2, r3, r4}}",
        "add.w r0, r0, #{a}",
        "ldmia.w r0, {{r0, r1, r2, r3, r4, r5}}",
        "mov r8, r5",
        "mov.w r5, #0x400000",
        "mov.w r6, #0x4000",
        ".p2align 2",
        "1:",
        "ldrsh.w r9, [r0]",
        "ldrsh.w r10, [r0, #4]",
        "ldrsh.w r11, [r1]",
        "ldrsh.w r12, [r8], #2",
        "add.w r0, r0, #6",
        "add.w r1, r1, #4",
        "qadd16 r9, r9, r11",
        "qadd16 r10, r10, r12",
        "sxth.w r9, r9",
        "sxth.w r10, r10",
        "add.w r11, r10, r10, lsl #1",
        "FERROLITE_TANH r11, r12, r10, 81f, 82",
        "add.w r11, r9, r9, lsl #1",
        "FERROLITE_LOGISTIC r11, r12, lr",
        "ldrsh.w r9, [r2]",
        "sub.w r9, r9, r10",
        "FERROLITE_TIMES r12, lr, r9",
        "add.w r10, r10, r12, asr #15",
        "ssat r10, #16, r10",
        "ldr.w r7, [sp, #{mantissa}]",
        "ldr.w r9, [sp, #{term}]",
        "ldr.w r11, [sp, #{bits}]",
        "ldr.w r12, [sp, #{end}]",
        "strh.w r10, [r2], #2",
        "FERROLITE_SCALE r10, r7, r9, r11",
        "strb.w r10, [r3], #1",
        "cmp.w r3, r12",
        "bne.w 1b",
        "add sp, sp, #20",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        "FERROLITE_FAR r10, 81, 82b",
        ".purgem FERROLITE_LOGISTIC",
        ".purgem FERROLITE_TANH",
        ".purgem FERROLITE_FAR",
        ".purgem FERROLITE_TIMES",
        ".purgem FERROLITE_SCALE",
    )
}
