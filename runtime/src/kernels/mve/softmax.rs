//! Rows of SOFTMAX: a gather finds the exponentials of four differences from the maximum.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::kernels::portable;
use crate::tensor::TensorView;

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(not(kernels = "mve"))]
pub(super) fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    portable::softmax(depth, rows, table, out);
}

/// See [`Kernels::softmax`](crate::kernels::Kernels::softmax).
#[cfg(kernels = "mve")]
pub(super) fn softmax(depth: usize, rows: TensorView<'_, i8>, table: &[i32], out: &[Cell<i8>]) {
    portable::for_each_row(depth, rows, out, |row, out| {
        let largest = i32::from(super::leaf::extreme(row, true));
        // SAFETY: so many elements, at least one, are on both sides, and entries in the table. Cells may be written through a
        // shared reference; no unique reference to them exists.
        unsafe {
            let len = row.len();
            let sum = asm::exponentials(row.as_ptr(), len, table.as_ptr(), table.len(), largest);
            let divisor = portable::Divisor::of(sum);
            let work = asm::Work {
                entries: table.len(),
                largest,
                scale: divisor.scale,
                right: (divisor.exponent as i32).wrapping_neg(),
                table: table.as_ptr(),
            };
            asm::normalise(row.as_ptr(), out.as_ptr().cast_mut().cast(), len, &raw const work);
        }
    });
}

#[cfg(kernels = "mve")]
mod asm {
    use core::arch::naked_asm;

    use crate::kernels::fields::{in_order, leaf};

    /// The sum of the exponentials of `len` elements, at least one, in a table of `entries` words.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn exponentials(
        row: *const i8,
        len: usize,
        table: *const i32,
        entries: usize,
        largest: i32,
    ) -> u32 {
        naked_asm!(
            ".cpu cortex-m55",
            "ldr r12, [sp]",
            "push {{r7, lr}}",
            "vdup.32 q3, r12",
            "vdup.32 q2, r3",
            "mov r12, #0",
            "dlstp.32 lr, r1",
            "2:",
            "vldrb.s32 q0, [r0], #4",
            "vsub.i32 q0, q3, q0",
            "vpt.u32 hi, q2, q0",
            "vldrwt.u32 q1, [r2, q0, uxtw #2]",
            "vrshr.u32 q1, q1, #12",
            "vaddva.u32 r12, q1",
            "letp lr, 2b",
            "mov r0, r12",
            "pop {{r7, pc}}",
        )
    }

    /// What differences become.
    #[repr(C)]
    pub(super) struct Work {
        /// Words of the table.
        pub entries: usize,
        pub largest: i32,
        pub scale: i32,
        /// What products are shifted by, to the left.
        pub right: i32,
        pub table: *const i32,
    }

    in_order!(first 5 words of Work: entries, largest, scale, right, table);

    /// The outputs of `len` elements, at least one.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn normalise(row: *const i8, out: *mut i8, len: usize, work: *const Work) {
        leaf!(
            [Work: entries],
            ".cpu cortex-m55",
            "push {{r4, r5, r6, r7, r8, lr}}",
            "vpush {{d8, d9}}",
            "add r12, r3, #{entries}",
            // r4 entries, r5 maximum, r6 scale, r7 shift, r8 table
            "ldm r12, {{r4, r5, r6, r7, r8}}",
            "vdup.32 q2, r4",
            "vdup.32 q3, r5",
            "mov r4, #255",
            "vdup.32 q4, r4",
            "mov r4, #128",
            "dlstp.32 lr, r2",
            "2:",
            "vldrb.s32 q0, [r0], #4",
            "vsub.i32 q0, q3, q0",
            "vpt.u32 hi, q2, q0",
            "vldrwt.u32 q1, [r8, q0, uxtw #2]",
            "vqrdmulh.s32 q1, q1, r6",
            "vrshl.s32 q1, r7",
            "vmin.u32 q1, q1, q4",
            "vsub.i32 q1, q1, r4",
            "vstrb.32 q1, [r1], #4",
            "letp lr, 2b",
            "vpop {{d8, d9}}",
            "pop {{r4, r5, r6, r7, r8, pc}}",
        )
    }
}
