//! Single instructions of the DSP extension for loops in Rust, and their definitions on the host.

#[cfg(kernels = "armv7em")]
pub(super) use core_instructions::*;
#[cfg(not(kernels = "armv7em"))]
pub(super) use definitions::*;

/// On the core, in assembly.
#[cfg(kernels = "armv7em")]
#[allow(unsafe_code)]
mod core_instructions {
    use core::arch::asm;

    macro_rules! instructions {
        ($($(#[$doc:meta])* $name:ident($($arg:ident),*) = $code:literal;)*) => {$(
            $(#[$doc])*
            #[inline(always)]
            pub fn $name($($arg: i32),*) -> i32 {
                let result: i32;
                // SAFETY: computes a register from registers, and flags; `build.rs` has found that the core
                // has the instruction.
                unsafe {
                    asm!($code, $($arg = in(reg) $arg,)* result = lateout(reg) result,
                         options(pure, nomem, nostack));
                }
                result
            }
        )*};
    }

    instructions! {
        /// The upper word of a product, rounded.
        smmulr(a, b) = "smmulr {result}, {a}, {b}";
        /// The upper word of a product, rounded, and a term.
        smmlar(a, b, term) = "smmlar {result}, {a}, {b}, {term}";
        /// A product with the lower halfword without its lower 16 bits, and a term.
        smlawb(a, b, term) = "smlawb {result}, {a}, {b}, {term}";
        /// The same with the upper halfword.
        smlawt(a, b, term) = "smlawt {result}, {a}, {b}, {term}";
        /// The first and the third byte as halfwords, with their signs.
        sxtb16(a) = "sxtb16 {result}, {a}";
        /// The second and the fourth byte as halfwords, with their signs.
        sxtb16_ror8(a) = "sxtb16 {result}, {a}, ror #8";
        /// The sums of halfwords.
        sadd16(a, b) = "sadd16 {result}, {a}, {b}";
        /// A number without its lower 20 bits, saturated to 8 bits.
        scale_to_int8(a) = "ssat {result}, #8, {a}, asr #20";
        /// Half of a number, saturated to 8 bits.
        halve_to_int8(a) = "ssat {result}, #8, {a}, asr #1";
    }

    /// The larger of each pair of signed bytes.
    #[inline(always)]
    pub fn max8(a: i32, b: i32) -> i32 {
        let result: i32;
        // SAFETY: as above; the subtraction sets the flags that SEL reads.
        unsafe {
            asm!("ssub8 {t}, {a}, {b}", "sel {result}, {a}, {b}", a = in(reg) a, b = in(reg) b,
                 t = out(reg) _, result = lateout(reg) result, options(pure, nomem, nostack));
        }
        result
    }
}

#[cfg(not(kernels = "armv7em"))]
mod definitions {
    pub(in super::super) use super::super::emulated::{sadd16, sxtb16};

    pub fn smmulr(a: i32, b: i32) -> i32 {
        smmlar(a, b, 0)
    }

    pub fn smmlar(a: i32, b: i32, term: i32) -> i32 {
        (((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32).wrapping_add(term)
    }

    pub fn smlad(a: i32, b: i32, term: i32) -> i32 {
        let product = |a: i32, b: i32| i32::from(a as i16).wrapping_mul((b as i16).into());
        term.wrapping_add(product(a, b)).wrapping_add(product(a >> 16, b >> 16))
    }

    pub fn qadd16(a: i32, b: i32) -> i32 {
        let sum = |a: i32, b: i32| (a as i16).saturating_add(b as i16) as u16;
        (u32::from(sum(a, b)) | u32::from(sum(a >> 16, b >> 16)) << 16) as i32
    }

    pub fn smlawb(a: i32, b: i32, term: i32) -> i32 {
        (((i64::from(a) * i64::from(b as i16)) >> 16) as i32).wrapping_add(term)
    }

    pub fn smlawt(a: i32, b: i32, term: i32) -> i32 {
        smlawb(a, b >> 16, term)
    }

    pub fn sxtb16_ror8(a: i32) -> i32 {
        sxtb16(a.rotate_right(8))
    }

    pub fn scale_to_int8(a: i32) -> i32 {
        (a >> 20).clamp(-128, 127)
    }

    pub fn halve_to_int8(a: i32) -> i32 {
        (a >> 1).clamp(-128, 127)
    }

    pub fn max8(a: i32, b: i32) -> i32 {
        let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
        i32::from_le_bytes(core::array::from_fn(|i| (a[i] as i8).max(b[i] as i8) as u8))
    }
}
