//! One vector of 16-bit elements times rows of bytes, four rows at a time: eight products of each by one instruction.
#![allow(unsafe_code)]

use core::cell::Cell;

use ferrolite_schema::Rounding;

use crate::kernels::Rows;
use crate::kernels::fields::leaf;

/// Arguments of [`multiply`], the first three of which it moves on.
#[repr(C)]
struct Work {
    /// First row, output of the first row, and rows that are still to come, at least one.
    y: *const i8,
    out: *mut i8,
    left: usize,
    stride: usize,
    out_stride: usize,
    x: *const i16,
    /// Elements, at least one.
    len: usize,
    /// What sums begin with.
    start: i32,
    mantissa: i32,
    /// Left shift, below zero.
    shift: i32,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// False, and nothing is done, where sizes or numbers are not those of the leaf.
#[inline(always)]
pub(super) fn dot_rows(x: &[Cell<i16>], rows: &Rows<'_>, out: &[Cell<i8>]) -> bool {
    let &Rows { cells, count, stride, less, product, rounding, out_stride } = rows;
    let multiplier = product.multiplier;
    let right = (-31..=-1).contains(&multiplier.shift) && multiplier.mantissa >= 0;
    if x.is_empty() || !right || rounding != Rounding::Double || !rows.fit(x, out) {
        return false;
    }
    let mut work = Work {
        y: cells.as_ptr().cast(),
        out: out.as_ptr().cast_mut().cast(),
        left: count,
        stride,
        out_stride,
        x: x.as_ptr().cast(),
        len: x.len(),
        start: less.wrapping_neg(),
        mantissa: multiplier.mantissa,
        shift: multiplier.shift,
        zero_point: product.zero_point,
        min: product.min,
        max: product.max,
    };
    // SAFETY: so many rows of as many elements as `x` has, and as many outputs, are where the strides say, as was just
    // found. Cells may be written through a shared reference; no unique reference to them exists.
    unsafe { multiply(&raw mut work) };
    true
}

/// Four rows at a time: `r1..r4` are their places, `r6`, `r8`, `r10` and `r12` their sums, `r5` is the place in `x`.
/// Missing rows are the last one again, and are written to its place.
#[unsafe(naked)]
unsafe extern "C" fn multiply(work: *mut Work) {
    leaf!(
        [Work: y, out, left, stride, out_stride, x, len, start, mantissa, shift, zero_point, min, max],
        ".cpu cortex-m55",
        // The place of the next row or output, if there are at least so many.
        ".macro FERROLITE_NEXT to, from, least",
        "cmp.w lr, #\\least",
        "mov.w \\to, \\from",
        "it hs",
        "addhs.w \\to, \\to, r9",
        ".endm",
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "1:",
        "ldr r1, [r0, #{y}]",
        "ldr.w r9, [r0, #{stride}]",
        "ldr.w lr, [r0, #{left}]",
        "ldr r5, [r0, #{x}]",
        "ldr r6, [r0, #{start}]",
        "FERROLITE_NEXT r2, r1, 2",
        "FERROLITE_NEXT r3, r2, 3",
        "FERROLITE_NEXT r4, r3, 4",
        "ldr.w lr, [r0, #{len}]",
        "mov r8, r6",
        "mov r10, r6",
        "mov r12, r6",
        "dlstp.16 lr, lr",
        "2:",
        "vldrh.u16 q0, [r5], #16",
        "vldrb.s16 q1, [r1], #8",
        "vmladava.s16 r6, q0, q1",
        "vldrb.s16 q2, [r2], #8",
        "vmladava.s16 r8, q0, q2",
        "vldrb.s16 q1, [r3], #8",
        "vmladava.s16 r10, q0, q1",
        "vldrb.s16 q2, [r4], #8",
        "vmladava.s16 r12, q0, q2",
        "letp lr, 2b",
        "push {{r6, r8, r10, r12}}",
        "vldrw.u32 q0, [sp]",
        "ldr r6, [r0, #{mantissa}]",
        "ldr.w r8, [r0, #{shift}]",
        "ldr.w r10, [r0, #{zero_point}]",
        "vqrdmulh.s32 q0, q0, r6",
        "ldr r6, [r0, #{min}]",
        "vshr.s32 q1, q0, #31",
        "ldr r7, [r0, #{max}]",
        "vadd.i32 q0, q0, q1",
        "vdup.32 q1, r6",
        "vrshl.s32 q0, r8",
        "vdup.32 q2, r7",
        "vadd.i32 q0, q0, r10",
        "vmax.s32 q0, q0, q1",
        "vmin.s32 q0, q0, q2",
        "vstrw.32 q0, [sp]",
        "ldr r1, [r0, #{out}]",
        "ldr.w r9, [r0, #{out_stride}]",
        "ldr.w lr, [r0, #{left}]",
        "ldr r5, [r0, #{y}]",
        "ldr r7, [r0, #{stride}]",
        "pop {{r6, r8, r10, r12}}",
        "FERROLITE_NEXT r2, r1, 2",
        "FERROLITE_NEXT r3, r2, 3",
        "FERROLITE_NEXT r4, r3, 4",
        "strb.w r6, [r1]",
        "strb.w r8, [r2]",
        "strb.w r10, [r3]",
        "strb.w r12, [r4]",
        "add.w r4, r4, r9",
        "add.w r5, r5, r7, lsl #2",
        "str r4, [r0, #{out}]",
        "str r5, [r0, #{y}]",
        "subs.w lr, lr, #4",
        "str.w lr, [r0, #{left}]",
        "bgt.w 1b",
        "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_NEXT",
    )
}
