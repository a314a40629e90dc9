//! QUANTIZE of reals on cores with a floating-point unit: four products, and what is cut off them checked for all four.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::kernels::Near;
use crate::kernels::fields::leaf;
use crate::tensor::TensorView;

/// Arguments of [`blocks`], which counts what is left.
#[repr(C)]
struct Work {
    input: *const f32,
    out: *mut u8,
    /// Blocks of four that are still to come, at least one.
    left: usize,
    factor: f32,
    /// The term for results above zero: 128 more.
    term: i32,
    /// Twice the doubt, in each half.
    doubt: u32,
    /// What makes a result of one above zero, in each byte.
    flips: u32,
}

/// See [`Kernels::quantize`](crate::kernels::Kernels::quantize).
pub(super) fn quantize(near: &Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
    let count = input.len().min(out.len()) / 4;
    if count == 0 {
        return 0;
    }
    let mut work = Work {
        input: input.as_ptr(),
        out: out.as_ptr().cast_mut().cast(),
        left: count,
        factor: near.factor,
        term: near.term.wrapping_add(128 << 16),
        doubt: 2 * Near::DOUBT as u32 * 0x0001_0001,
        flips: u32::from_le_bytes([near.flip ^ 0x80; 4]),
    };
    // SAFETY: so many blocks are on both sides. Cells may be written through a shared reference; no unique reference to
    // them exists.
    unsafe { blocks(&raw mut work) };
    count.wrapping_sub(work.left).wrapping_mul(4)
}

/// Blocks of four reals, until one of a block is doubtful: the lower half of its parts is below twice the doubt.
#[unsafe(naked)]
unsafe extern "C" fn blocks(work: *mut Work) {
    leaf!(
        [Work: input, out, left, factor, term, doubt, flips],
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        ".fpu fpv4-sp-d16",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldr r1, [r0, #{input}]",
        "ldr r2, [r0, #{out}]",
        "ldr r3, [r0, #{left}]",
        "vldr s4, [r0, #{factor}]",
        "ldr.w r9, [r0, #{term}]",
        "ldr.w r10, [r0, #{doubt}]",
        "ldr.w r11, [r0, #{flips}]",
        ".p2align 2",
        "1:",
        "vldmia r1!, {{s0, s1, s2, s3}}",
        "vmul.f32 s0, s0, s4",
        "vmul.f32 s1, s1, s4",
        "vmul.f32 s2, s2, s4",
        "vmul.f32 s3, s3, s4",
        "vcvt.s32.f32 s0, s0",
        "vcvt.s32.f32 s1, s1",
        "vcvt.s32.f32 s2, s2",
        "vcvt.s32.f32 s3, s3",
        "vmov r4, r5, s0, s1",
        "vmov r6, r7, s2, s3",
        "qadd r4, r4, r9",
        "qadd r5, r5, r9",
        "qadd r6, r6, r9",
        "qadd r7, r7, r9",
        // Lower halves: what they lack to twice the doubt.
        "pkhbt r8, r4, r5, lsl #16",
        "pkhbt r12, r6, r7, lsl #16",
        "uqsub16 r8, r10, r8",
        "uqsub16 r12, r10, r12",
        "pkhtb r4, r6, r4, asr #16",
        "pkhtb r5, r7, r5, asr #16",
        "orrs.w r8, r8, r12",
        "usat16 r4, #8, r4",
        "usat16 r5, #8, r5",
        "bne.w 2f",
        "orr.w r4, r4, r5, lsl #8",
        "subs.w r3, r3, #1",
        "eor.w r4, r4, r11",
        "str.w r4, [r2], #4",
        "bne.w 1b",
        "2:",
        "str r3, [r0, #{left}]",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
