//! Products of elements, four at a time.
#![allow(unsafe_code)]

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Product;

use super::elementwise::{Scale, clamp_to};
use crate::kernels::portable;
use crate::tensor::TensorView;

/// See [`Kernels::mul`](crate::kernels::Kernels::mul).
pub(super) fn mul(
    a: TensorView<'_, i8>,
    b: TensorView<'_, i8>,
    product: &Product,
    rounding: Rounding,
    out: &[Cell<i8>],
) {
    let scale = Scale::new(product.multiplier, product.zero_point);
    let Some(scale) = scale.filter(|_| rounding == Rounding::Double) else {
        return portable::mul(a, b, product, rounding, out);
    };
    let both = |zero_point: i32| {
        let less = zero_point.wrapping_neg();
        less & 0xFFFF | less << 16
    };
    let numbers = Numbers { from_a: both(product.a_zero_point), from_b: both(product.b_zero_point), scale };
    portable::cycles(a, b, out, |a, b, out| {
        let words = a.len().min(b.len()).min(out.len()) / 4;
        let done = words.wrapping_mul(4);
        if words != 0 {
            // SAFETY: so many words of elements are in both operands and in the output. Cells may be written through a
            // shared reference; no unique reference to them exists.
            #[cfg(kernels = "armv7em")]
            unsafe {
                let target = out.as_ptr().cast_mut().cast();
                asm::mul(a.as_ptr(), b.as_ptr(), target, words, &raw const numbers);
            }
            #[cfg(not(kernels = "armv7em"))]
            emulated(a, b, &numbers, out.get(..done).unwrap_or(&[]));
        }
        let rest = out.get(done..).unwrap_or(&[]);
        if !rest.is_empty() {
            portable::mul(a.range(done, 3), b.range(done, 3), product, rounding, rest);
        }
    });
    clamp_to(product.min, product.max, out);
}

/// What is the same for all elements.
#[repr(C)]
struct Numbers {
    /// Minus a zero point, in each halfword.
    from_a: i32,
    from_b: i32,
    scale: Scale,
}

#[cfg(not(kernels = "armv7em"))]
fn emulated(a: TensorView<'_, i8>, b: TensorView<'_, i8>, numbers: &Numbers, out: &[Cell<i8>]) {
    use super::elementwise::Instructions;

    for ((a, b), out) in a.iter().zip(b.iter()).zip(out) {
        let difference = |x: i8, from: i32| i32::from(x).wrapping_add(i32::from(from as i16));
        let product = difference(a, numbers.from_a) * difference(b, numbers.from_b);
        out.set(super::Armv7em::halve_to_int8(numbers.scale.twice::<super::Armv7em>(product << 1)) as i8);
    }
}

#[cfg(kernels = "armv7em")]
mod asm {
    use super::{Numbers, Scale};
    use crate::kernels::fields::{in_order, leaf};

    in_order!(first 2 words of Numbers: from_a, from_b);
    const _: () = assert!(core::mem::offset_of!(Numbers, scale) == 8);
    in_order!(first 3 words of Scale: mantissa, shift, round);

    /// `out[i] = a[i] * b[i]`, scaled, for so many words of elements, at least one.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn mul(
        a: *const i8,
        b: *const i8,
        out: *mut i8,
        words: usize,
        numbers: *const Numbers,
    ) {
        leaf!(
            [Numbers: from_a],
            concat!(".cpu ", env!("FERROLITE_DSP_CPU")),
            ".macro FERROLITE_SCALE product",
            "add.w r12, r8, \\product, asr #31",
            "smmlar \\product, \\product, r6, r12",
            ".endm",
            "push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
            "ldr r12, [sp, #36]",
            "add.w r12, r12, #{from_a}",
            // r4, r5 minus zero points, r6 mantissa, r7 shift, r8 what is added before it
            "ldm.w r12, {{r4, r5, r6, r7, r8}}",
            ".p2align 2",
            "2:",
            "ldr.w r9, [r0], #4",
            "ldr.w r10, [r1], #4",
            "sxtab16 r11, r4, r9, ror #8",
            "sxtab16 r9, r4, r9",
            "sxtab16 r12, r5, r10, ror #8",
            "sxtab16 r10, r5, r10",
            "smulbb lr, r9, r10",
            "smultt r9, r9, r10",
            "smulbb r10, r11, r12",
            "smultt r11, r11, r12",
            "lsl.w lr, lr, #1",
            "lsl.w r10, r10, #1",
            "lsl.w r9, r9, #1",
            "lsl.w r11, r11, #1",
            "FERROLITE_SCALE lr",
            "FERROLITE_SCALE r10",
            "FERROLITE_SCALE r9",
            "FERROLITE_SCALE r11",
            "asr.w lr, lr, r7",
            "asr.w r10, r10, r7",
            "asr.w r9, r9, r7",
            "asr.w r11, r11, r7",
            "ssat lr, #8, lr, asr #1",
            "ssat r10, #8, r10, asr #1",
            "ssat r9, #8, r9, asr #1",
            "ssat r11, #8, r11, asr #1",
            "strb.w lr, [r2], #1",
            "strb.w r10, [r2], #1",
            "strb.w r9, [r2], #1",
            "strb.w r11, [r2], #1",
            "subs.w r3, r3, #1",
            "bne.w 2b",
            "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
            ".purgem FERROLITE_SCALE",
        )
    }
}
