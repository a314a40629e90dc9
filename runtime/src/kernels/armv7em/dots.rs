//! One vector of 16-bit elements times four of bytes, two products at a time. A word of four bytes becomes the
//! words `(y0, y2)` and `(y1, y3)`, and the elements of `x` lie in that order.
#![allow(unsafe_code)]

use core::cell::Cell;

#[cfg(kernels = "armv7em")]
use crate::kernels::fields::in_order;
use crate::kernels::portable;

/// See [`Kernels::dots`](crate::kernels::Kernels::dots).
pub(super) fn dots(x: &[Cell<i16>], y: [&[Cell<i8>]; 4]) -> [i32; 4] {
    let groups = x.len() / 4;
    if groups == 0 || y.iter().any(|y| y.len() < groups * 4) {
        return portable::dots(x, y);
    }
    #[cfg(kernels = "armv7em")]
    let sums = {
        let mut work = Dots { y: y.map(|y| y.as_ptr().cast()), sums: [0; 4] };
        // SAFETY: there are `groups` groups of four elements in each of the five, as checked above, at least one;
        // words may be read from any address. Cells are not written meanwhile.
        unsafe { multiply(&raw mut work, x.as_ptr().cast(), groups) };
        work.sums
    };
    #[cfg(not(kernels = "armv7em"))]
    let sums = emulated(x, y);
    let behind = |len: usize| len & !3;
    let rest = x.get(behind(x.len())..).unwrap_or(&[]);
    if rest.is_empty() {
        return sums;
    }
    let last = portable::dots(rest, y.map(|y| y.get(groups * 4..).unwrap_or(&[])));
    let ([a, b, c, d], [e, f, g, h]) = (sums, last);
    [a.wrapping_add(e), b.wrapping_add(f), c.wrapping_add(g), d.wrapping_add(h)]
}

/// Where the four vectors begin, and their products.
#[cfg(kernels = "armv7em")]
#[repr(C)]
struct Dots {
    y: [*const i8; 4],
    sums: [i32; 4],
}

#[cfg(kernels = "armv7em")]
in_order!(first 8 words of Dots: y, sums);

/// Multiplies so many groups of four elements, at least one.
#[cfg(kernels = "armv7em")]
#[unsafe(naked)]
unsafe extern "C" fn multiply(work: *mut Dots, x: *const i16, groups: usize) {
    core::arch::naked_asm!(
        concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
        ".macro FERROLITE_DOT y, sum",
        "ldr.w r12, [\\y], #4",
        "sxtb16 lr, r12",
        "sxtb16 r12, r12, ror #8",
        "smlad \\sum, r0, lr, \\sum",
        "smlad \\sum, r10, r12, \\sum",
        ".endm",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "mov r11, r1",
        "mov r9, r2",
        "ldmia r0!, {{r1, r2, r3, r4}}",
        "push {{r0}}",
        "mov.w r5, #0",
        "mov.w r6, #0",
        "mov.w r7, #0",
        "mov.w r8, #0",
        ".p2align 2",
        "1:",
        "ldr.w r0, [r11], #4",
        "ldr.w r10, [r11], #4",
        "FERROLITE_DOT r1, r5",
        "FERROLITE_DOT r2, r6",
        "FERROLITE_DOT r3, r7",
        "FERROLITE_DOT r4, r8",
        "subs.w r9, r9, #1",
        "bne.w 1b",
        "pop {{r0}}",
        "stm.w r0, {{r5, r6, r7, r8}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        ".purgem FERROLITE_DOT",
    )
}

#[cfg(not(kernels = "armv7em"))]
fn emulated(x: &[Cell<i16>], y: [&[Cell<i8>]; 4]) -> [i32; 4] {
    let pairs = |low: i16, high: i16| i32::from(low) & 0xFFFF | i32::from(high) << 16;
    y.map(|y| {
        let mut sum = 0i32;
        for (x, y) in x.as_chunks::<4>().0.iter().zip(y.as_chunks::<4>().0) {
            let [x0, x2, x1, x3] = x.each_ref().map(Cell::get);
            let word = i32::from_le_bytes(y.each_ref().map(|y| y.get() as u8));
            sum = smlad(pairs(x0, x2), sxtb16(word), sum);
            sum = smlad(pairs(x1, x3), sxtb16(word >> 8), sum);
        }
        sum
    })
}

/// The sum of both products of halfwords and a number.
#[cfg(not(kernels = "armv7em"))]
fn smlad(a: i32, b: i32, sum: i32) -> i32 {
    let low = i32::from(a as i16).wrapping_mul(i32::from(b as i16));
    sum.wrapping_add(low).wrapping_add((a >> 16).wrapping_mul(b >> 16))
}

/// The bytes 0 and 2 as halfwords.
#[cfg(not(kernels = "armv7em"))]
fn sxtb16(a: i32) -> i32 {
    i32::from(a as i8) & 0xFFFF | i32::from((a >> 16) as i8) << 16
}
