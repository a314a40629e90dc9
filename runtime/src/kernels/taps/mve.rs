//! The leaves for cores with MVE: Cortex-M55.
//!
//! A vector has four outputs of a channel; `q0..q3` hold the accumulators of up to sixteen, `r1..r3` the places of
//! an element, its weight and the next step, `r4` the weight.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use ferrolite_schema::params::Multiplier;

use crate::kernels::fields::{in_order, leaf};

/// Arguments of [`load`].
#[repr(C)]
pub(super) struct Load {
    pub source: *const i8,
    /// The phase in the first plane.
    pub target: *mut i8,
    /// Bytes from one plane to the next.
    pub plane: usize,
    /// At least 1.
    pub channels: usize,
    pub left: usize,
    pub count: usize,
    pub right: usize,
    pub padding: i32,
    /// Bytes from one pixel to the next.
    pub step: usize,
}

in_order!(first 9 words of Load: source, target, plane, channels, left, count, right, padding, step);

/// Arguments of [`taps`]. Pointers advance from channel to channel.
#[repr(C)]
pub(super) struct Taps {
    /// The first tap of the first output.
    pub plane: *const i8,
    pub weights: *const i8,
    pub steps: *const i16,
    pub bias: *const i32,
    pub multipliers: *const Multiplier,
    pub out: *mut i8,
    /// Bytes from one output to the next.
    pub channels: usize,
    /// At least 1.
    pub pixels: usize,
    pub taps: usize,
    /// Output channels, at least 1.
    pub count: usize,
    /// Output channels of the plane that are still to come, and those of each plane.
    pub left: usize,
    pub multiplier: usize,
    /// Bytes from one plane to the next.
    pub pitch: usize,
    /// Bytes from one channel's multiplier to the next.
    pub step: usize,
    pub half: i32,
    /// If not null, accumulators go there, and nothing to `out`.
    pub sums: *mut i32,
    pub min: i32,
    pub max: i32,
}

/// Copies pixels of an image row into a phase of each plane.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn load(work: *const Load) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        // r0 source, r1 target, r2 plane, r3 channels, r4 left, r5 count, r6 right, r7 padding, r8 step
        "ldm.w r0, {{r0, r1, r2, r3, r4, r5, r6, r7, r8}}",
        "movs.w r10, #0",
        "vdup.8 q2, r7",
        "vidup.u32 q1, r10, #1",
        "vmul.i32 q1, q1, r8",
        "lsl r8, r8, #2",
        "1:",
        "mov r9, r1",
        "wlstp.8 lr, r4, 3f",
        "2:",
        "vstrb.8 q2, [r9], #16",
        "letp lr, 2b",
        "3:",
        "add r9, r1, r4",
        "mov r10, r0",
        "mov r7, r9",
        "wlstp.32 lr, r5, 5f",
        "4:",
        "vldrb.u32 q0, [r10, q1]",
        "add r10, r10, r8",
        "vstrb.32 q0, [r7], #4",
        "letp lr, 4b",
        "5:",
        "add r9, r9, r5",
        "wlstp.8 lr, r6, 7f",
        "6:",
        "vstrb.8 q2, [r9], #16",
        "letp lr, 6b",
        "7:",
        "adds r0, #1",
        "add r1, r1, r2",
        "subs r3, #1",
        "bne 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Outputs of some channels, up to sixteen at a time.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn taps(work: *mut Taps) {
    leaf!(
        [Taps: plane, weights, steps, bias, multipliers, out, channels, pixels, taps, count, left, multiplier,
             pitch, step, half, sums;
         Multiplier: mantissa, shift],
        ".cpu cortex-m55",
        ".macro FERROLITE_BEGIN",
        "ldrsb r4, [r2], #1",
        "ldrsh r5, [r3], #2",
        ".endm",
        ".macro FERROLITE_FOUR acc, x, at",
        "vldrb.s32 \\x, [r1, #\\at]",
        "vmla.s32 \\acc, \\x, r4",
        ".endm",
        // After the last output, the next channel.
        ".macro FERROLITE_OUT acc",
        "vqrdmulh.s32 \\acc, \\acc, r9",
        "vctp.32 r6",
        "vqdmlah.s32 \\acc, \\acc, r5",
        "vrshl.s32 \\acc, r10",
        "vadd.i32 \\acc, \\acc, r11",
        "vqmovnb.s32 \\acc, \\acc",
        "vqmovnb.s16 \\acc, \\acc",
        "vpst",
        "vstrbt.32 \\acc, [r8, q7]",
        "add r8, r8, r12",
        "subs r6, r6, #4",
        "ble 7f",
        ".endm",
        // r6 remaining outputs, r7 the first tap, r8 output, r9 mantissa, r10 shift, r11 zero point, r12 bytes to the
        // output after the next three; on the stack the bias
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "sub sp, #8",
        "ldr.w r12, [r0, #{channels}]",
        "movs r2, #0",
        "vidup.u32 q7, r2, #1",
        "vmul.i32 q7, q7, r12",
        "lsl.w r12, r12, #2",
        "ldr.w r11, [r0, #{half}]",
        "asr.w r11, r11, #1",
        "1:",
        "ldr r1, [r0, #{bias}]",
        "ldr r2, [r1], #4",
        "str r1, [r0, #{bias}]",
        "str r2, [sp]",
        "ldr r1, [r0, #{multipliers}]",
        "ldr r2, [r0, #{step}]",
        "ldr.w r9, [r1, #{mantissa}]",
        "ldr.w r10, [r1, #{shift}]",
        "add r1, r2",
        "str r1, [r0, #{multipliers}]",
        "ldr.w r8, [r0, #{out}]",
        "add.w r1, r8, #1",
        "str r1, [r0, #{out}]",
        "ldr r6, [r0, #{pixels}]",
        "ldr r7, [r0, #{plane}]",
        "2:",
        "mov r1, r7",
        "ldr r2, [r0, #{weights}]",
        "ldr r3, [r0, #{steps}]",
        "ldr r5, [sp]",
        "ldr r4, [r0, #{taps}]",
        "vdup.32 q0, r5",
        "dls lr, r4",
        "cmp r6, #4",
        "ble 5f",
        "vmov q1, q0",
        "cmp r6, #8",
        "ble 4f",
        "vmov q2, q0",
        "vmov q3, q0",
        "3:",
        "FERROLITE_BEGIN",
        "FERROLITE_FOUR q0, q4, 0",
        "FERROLITE_FOUR q1, q5, 4",
        "FERROLITE_FOUR q2, q4, 8",
        "FERROLITE_FOUR q3, q5, 12",
        "add r1, r5",
        "le lr, 3b",
        "ldr r1, [r0, #{sums}]",
        "movs r5, #1",
        "cbz r1, 62f",
        "vstrw.32 q0, [r1], #16",
        "vstrw.32 q1, [r1], #16",
        "vstrw.32 q2, [r1], #16",
        "vstrw.32 q3, [r1], #16",
        "str r1, [r0, #{sums}]",
        "adds r7, #16",
        "subs r6, r6, #16",
        "ble 7f",
        "b 2b",
        "62:",
        "FERROLITE_OUT q0",
        "FERROLITE_OUT q1",
        "FERROLITE_OUT q2",
        "FERROLITE_OUT q3",
        "adds r7, #16",
        "b 2b",
        "4:",
        "FERROLITE_BEGIN",
        "FERROLITE_FOUR q0, q4, 0",
        "FERROLITE_FOUR q1, q5, 4",
        "add r1, r5",
        "le lr, 4b",
        "b 6f",
        "5:",
        "FERROLITE_BEGIN",
        "FERROLITE_FOUR q0, q4, 0",
        "add r1, r5",
        "le lr, 5b",
        "6:",
        "ldr r1, [r0, #{sums}]",
        "movs r5, #1",
        "cbz r1, 61f",
        "vstrw.32 q0, [r1]",
        "vstrw.32 q1, [r1, #16]",
        "b 7f",
        "61:",
        "FERROLITE_OUT q0",
        "FERROLITE_OUT q1",
        // The next channel.
        "7:",
        "ldr r1, [r0, #{weights}]",
        "ldr r2, [r0, #{taps}]",
        "add r1, r2",
        "str r1, [r0, #{weights}]",
        "ldr r3, [r0, #{left}]",
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
        "add sp, #8",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_BEGIN",
        ".purgem FERROLITE_FOUR",
        ".purgem FERROLITE_OUT",
    )
}
