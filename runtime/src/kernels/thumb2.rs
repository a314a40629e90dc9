//! Leaves without multiplications for cores with Thumb-2: Cortex-M3, M4, M7 and M33.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::portable;

/// Elements that the assembly looks up in a round.
#[cfg(device)]
const ROUND: usize = 20;

/// See [`Kernels::lookup`](super::Kernels::lookup).
pub(super) fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
    #[cfg(device)]
    let (input, out) = {
        let rounds = input.len().min(out.len()) / ROUND;
        if rounds != 0 {
            // SAFETY: both sides have so many rounds of elements, the table one for each byte. Cells may be written
            // through a shared reference; no unique reference to them exists.
            unsafe {
                asm::lookup(input.as_ptr().cast(), table.as_ptr(), out.as_ptr().cast_mut().cast(), rounds);
            }
        }
        let done = rounds.wrapping_mul(ROUND);
        (input.get(done..).unwrap_or(&[]), out.get(done..).unwrap_or(&[]))
    };
    portable::lookup(input, table, out);
}

#[cfg(device)]
mod asm {
    use core::arch::naked_asm;

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

    /// `out[i] = table[input[i]]` for `rounds` times twenty elements. Ten elements are all that fit the registers: loads in
    /// a row take a cycle each, and an addition between stores and loads takes none.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn lookup(input: *const i8, table: *const u8, out: *mut i8, rounds: usize) {
        naked_asm!(
            cpu!(),
            ".macro FERROLITE_TEN from, to",
            "ldrb.w r4, [r0, #\\from]",
            "ldrb.w r5, [r0, #\\from + 1]",
            "ldrb.w r6, [r0, #\\from + 2]",
            "ldrb.w r7, [r0, #\\from + 3]",
            "ldrb.w r8, [r0, #\\from + 4]",
            "ldrb.w r9, [r0, #\\from + 5]",
            "ldrb.w r10, [r0, #\\from + 6]",
            "ldrb.w r11, [r0, #\\from + 7]",
            "ldrb.w r12, [r0, #\\from + 8]",
            "ldrb.w lr, [r0, #\\from + 9]",
            "ldrb.w r4, [r1, r4]",
            "ldrb.w r5, [r1, r5]",
            "ldrb.w r6, [r1, r6]",
            "ldrb.w r7, [r1, r7]",
            "ldrb.w r8, [r1, r8]",
            "ldrb.w r9, [r1, r9]",
            "ldrb.w r10, [r1, r10]",
            "ldrb.w r11, [r1, r11]",
            "ldrb.w r12, [r1, r12]",
            "ldrb.w lr, [r1, lr]",
            "strb.w r4, [r2, #\\to]",
            "strb.w r5, [r2, #\\to + 1]",
            "strb.w r6, [r2, #\\to + 2]",
            "strb.w r7, [r2, #\\to + 3]",
            "strb.w r8, [r2, #\\to + 4]",
            "strb.w r9, [r2, #\\to + 5]",
            "strb.w r10, [r2, #\\to + 6]",
            "strb.w r11, [r2, #\\to + 7]",
            "strb.w r12, [r2, #\\to + 8]",
            "strb.w lr, [r2, #\\to + 9]",
            ".endm",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            ".p2align 2",
            "2:",
            "FERROLITE_TEN 0, 0",
            "add.w r0, r0, #20",
            "FERROLITE_TEN -10, 10",
            "add.w r2, r2, #20",
            "subs.w r3, r3, #1",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_TEN",
        )
    }
}
