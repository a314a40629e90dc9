//! Leaves of operators without weights for cores with Thumb-2: Cortex-M3, M4, M7, M33 and M55.
#![allow(unsafe_code)]

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
#[cfg(kernels = "mve")]
macro_rules! cpu {
    () => {
        ".cpu cortex-m55"
    };
}

#[cfg_attr(not(device), allow(dead_code))]
mod columns;

use core::cell::Cell;

use ferrolite_schema::Rounding;

use super::{Between, resize};
#[cfg(not(kernels = "mve"))]
use crate::tensor::TensorView;

/// Elements that the assembly looks up in a round.
#[cfg(all(device, not(kernels = "mve")))]
const ROUND: usize = 20;

/// See [`Kernels::lookup`](super::Kernels::lookup).
#[cfg(not(kernels = "mve"))]
pub(super) fn lookup(input: &[Cell<i8>], table: &[u8; 256], out: &[Cell<i8>]) {
    lookup_view(TensorView::from_cells(input), table, out);
}

/// The same of elements that may be constant.
#[cfg(not(kernels = "mve"))]
pub(super) fn lookup_view(input: TensorView<'_, i8>, table: &[u8; 256], out: &[Cell<i8>]) {
    #[cfg(device)]
    let (input, out) = {
        let rounds = input.len().min(out.len()) / ROUND;
        if rounds != 0 {
            // SAFETY: both sides have so many rounds of elements, the table one for each byte. Cells may be written
            // through a shared reference; no unique reference to them exists.
            unsafe {
                asm::lookup(input.as_ptr(), table.as_ptr(), out.as_ptr().cast_mut().cast(), rounds);
            }
        }
        let done = rounds.wrapping_mul(ROUND);
        (input.range(done, ROUND), out.get(done..).unwrap_or(&[]))
    };
    for (x, out) in input.iter().zip(out) {
        out.set(table[usize::from(x as u8)] as i8);
    }
}

/// See [`Kernels::resize_row`](super::Kernels::resize_row).
pub(super) fn resize_row(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
    #[cfg(device)]
    if let (Rounding::Double, Some(mut work)) = (rounding, asm::Row::of(between, out)) {
        if between.step <= columns::STEP && between.channels <= columns::CHANNELS {
            columns::resize_row(between, out);
            return;
        }
        // SAFETY: `Row::of` has found that all pixels are between those of the rows, and that there are so many.
        unsafe { asm::resize_row(&raw mut work) }
        return;
    }
    resize::portable(between, rounding, out);
}

#[cfg(device)]
mod asm {
    use core::arch::naked_asm;
    use core::cell::Cell;

    use super::Between;
    use crate::kernels::fields::leaf;

    /// Arguments of `resize_row`.
    #[repr(C)]
    pub(super) struct Row {
        upper: *const i8,
        lower: *const i8,
        out: *mut i8,
        channels: usize,
        /// Pixels that are still to come, at least one.
        pixels: usize,
        position: i32,
        step: i32,
        last: i32,
        dy: i32,
    }

    impl Row {
        /// `None` if there is nothing to do, or if pixels would be read that are not there.
        pub(super) fn of(between: &Between<'_>, out: &[Cell<i8>]) -> Option<Row> {
            let &Between { rows: [upper, lower], dy, channels, start, step, width } = between;
            let pixels = out.len().checked_div(channels).filter(|&pixels| pixels != 0)?;
            let reach = (pixels as i32 - 1).checked_mul(step)?.checked_add(start)?;
            let size = (width as usize).checked_mul(channels)?;
            let fits = (1..=0xFFFF).contains(&width)
                && start > -1024
                && step >= 0
                && reach < (width << 10) as i32
                && upper.len() >= size
                && lower.len() >= size;
            fits.then(|| Row {
                upper: upper.as_ptr().cast(),
                lower: lower.as_ptr().cast(),
                out: out.as_ptr().cast_mut().cast(),
                channels,
                pixels,
                position: start,
                step,
                last: width as i32 - 1,
                dy,
            })
        }
    }

    /// The channels of a pixel of RESIZE_BILINEAR, as many as `lr` says. r0 to r3 are the places of the four elements, upper
    /// left, lower left, upper right and lower right, and r4 to r7 their weights; r8 is the place of the output, r9 half of
    /// the elements that are still to come. It is counted between a store and a load, which would wait for one another.
    #[cfg(not(kernels = "mve"))]
    macro_rules! channels {
        () => {
            ".macro FERROLITE_BLEND
             ldrsb r10, [r0], #1
             ldrsb r11, [r1], #1
             ldrsb r12, [r2], #1
             ldrsb lr, [r3], #1
             mul r10, r10, r4
             mla r10, r11, r5, r10
             mla r10, r12, r6, r10
             mla r10, lr, r7, r10
             add.w r10, r10, r10, asr #31
             add.w r10, r10, #0x80000
             asr.w r10, r10, #20
             strb r10, [r8], #1
             .endm
             add.w r9, lr, #1
             lsr.w r9, r9, #1
             tst.w lr, #1
             bne.w 3f
             .p2align 2
             2:
             FERROLITE_BLEND
             3:
             subs.w r9, r9, #1
             FERROLITE_BLEND
             bne.w 2b
             .purgem FERROLITE_BLEND"
        };
    }
    /// The same by four channels.
    #[cfg(kernels = "mve")]
    macro_rules! channels {
        () => {
            // Vectors are stored by the lower registers only, and the last one moves them by four whatever it stores.
            "mov r9, r7
             mov r7, r8
             add r8, lr
             dlstp.32 lr, lr
             2:
             vldrb.s32 q0, [r0], #4
             vldrb.s32 q1, [r1], #4
             vldrb.s32 q2, [r2], #4
             vldrb.s32 q3, [r3], #4
             vmul.i32 q0, q0, r4
             vmla.s32 q0, q1, r5
             vmla.s32 q0, q2, r6
             vmla.s32 q0, q3, r9
             vshr.s32 q1, q0, #31
             vadd.i32 q0, q0, q1
             vrshr.s32 q0, q0, #20
             vstrb.32 q0, [r7], #4
             letp lr, 2b"
        };
    }

    /// `out[i] = table[input[i]]` for `rounds` times twenty elements. Ten elements are all that fit the registers: loads in
    /// a row take a cycle each, and an addition between stores and loads takes none.
    #[cfg(not(kernels = "mve"))]
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
            "add.w r2, r2, #20",
            "FERROLITE_TEN 10, -10",
            "add.w r0, r0, #20",
            "subs.w r3, r3, #1",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_TEN",
        )
    }

    /// A row of pixels with two roundings.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn resize_row(work: *mut Row) {
        leaf!(
            [Row: upper, lower, out, channels, pixels, position, step, last, dy],
            cpu!(),
            "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "1:",
            "ldr.w r12, [sp]",
            "ldr.w r9, [r12, #{position}]",
            "ldr.w r10, [r12, #{step}]",
            "ldr.w r11, [r12, #{last}]",
            "ldr.w lr, [r12, #{channels}]",
            "ldr.w r5, [r12, #{dy}]",
            "ldr.w r0, [r12, #{upper}]",
            "ldr.w r1, [r12, #{lower}]",
            "ldr.w r8, [r12, #{out}]",
            "add.w r10, r10, r9",
            "str.w r10, [r12, #{position}]",
            // r2 the left pixel, r3 the right one, r9 the weight of that.
            "bic.w r2, r9, r9, asr #31",
            "lsr.w r2, r2, #10",
            "addw r3, r9, #1023",
            "asr.w r3, r3, #10",
            "cmp.w r3, r11",
            "it gt",
            "movgt.w r3, r11",
            "sub.w r9, r9, r2, lsl #10",
            "mul r7, r9, r5",
            "rsb.w r6, r7, r9, lsl #10",
            "rsb.w r5, r7, r5, lsl #10",
            "rsb.w r4, r5, #0x100000",
            "sub.w r4, r4, r9, lsl #10",
            "mul r2, r2, lr",
            "mul r3, r3, lr",
            "add.w r10, r0, r3",
            "add.w r3, r1, r3",
            "add.w r0, r0, r2",
            "add.w r1, r1, r2",
            "mov.w r2, r10",
            channels!(),
            "ldr.w r12, [sp]",
            "str.w r8, [r12, #{out}]",
            "ldr.w r10, [r12, #{pixels}]",
            "subs.w r10, r10, #1",
            "str.w r10, [r12, #{pixels}]",
            "bne.w 1b",
            "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
        )
    }
}
