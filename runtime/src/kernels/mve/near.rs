//! QUANTIZE of reals: four products in a vector, and what is cut off them checked for all four.
#![allow(unsafe_code)]

use core::cell::Cell;

use crate::kernels::Near;
use crate::kernels::fields::{in_order, leaf};
use crate::tensor::TensorView;

/// Arguments of [`blocks`].
#[repr(C)]
struct Work {
    factor: f32,
    term: i32,
    /// Twice the doubt.
    doubt: i32,
    /// What is exclusive-or of each result.
    flip: u32,
}

in_order!(first 4 words of Work: factor, term, doubt, flip);

/// See [`Kernels::quantize`](crate::kernels::Kernels::quantize).
pub(super) fn quantize(near: &Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
    let count = input.len().min(out.len()) / 4;
    if count == 0 {
        return 0;
    }
    let work = Work { factor: near.factor, term: near.term, doubt: 2 * Near::DOUBT, flip: near.flip.into() };
    // SAFETY: so many blocks are on both sides. Cells may be written through a shared reference; no unique reference to
    // them exists.
    let left = unsafe { blocks(input.as_ptr(), out.as_ptr().cast_mut().cast(), count, &raw const work) };
    count.wrapping_sub(left).wrapping_mul(4)
}

/// So many blocks of four reals, at least one, until one of a block is doubtful: the lower half of its parts is below twice
/// the doubt. How many are left.
///
/// Numbers next to zero are zero for these instructions. Whatever the factor, which is below 2^77, their parts are.
#[unsafe(naked)]
unsafe extern "C" fn blocks(input: *const f32, out: *mut u8, count: usize, work: *const Work) -> usize {
    leaf!(
        [Work: factor],
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, lr}}",
        "adds r3, #{factor}",
        "ldm r3, {{r4, r5, r6, r7}}",
        "vdup.32 q2, r7",
        "dls lr, r2",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vmul.f32 q0, q0, r4",
        "vcvt.s32.f32 q0, q0",
        "vqadd.s32 q0, q0, r5",
        "vmovlb.u16 q1, q0",
        "vcmp.s32 lt, q1, r6",
        "vmrs r3, p0",
        "vshr.s32 q0, q0, #16",
        "vqmovnb.s16 q0, q0",
        "veor q0, q0, q2",
        "cmp r3, #0",
        "bne 3f",
        "vstrb.32 q0, [r1], #4",
        "le lr, 2b",
        "movs r0, #0",
        "pop {{r4, r5, r6, r7, r8, pc}}",
        "3:",
        "mov r0, lr",
        "pop {{r4, r5, r6, r7, r8, pc}}",
    )
}
