//! Instructions of the core for loops in Rust, and their definitions on the host.

/// The upper word of a product, rounded.
#[inline(always)]
pub(super) fn smmulr(a: i32, b: i32) -> i32 {
    let product = i64::from(a) * i64::from(b);
    // Adds the highest bit of the lower word, not a carry: this compiles to SMULL and one ADD.
    ((product >> 32) as i32).wrapping_add((product as u32 >> 31) as i32)
}

/// Half of a number, saturated to 8 bits.
#[cfg(kernels = "armv7m")]
#[allow(unsafe_code)]
#[inline(always)]
pub(super) fn halve_to_int8(a: i32) -> i32 {
    let result: i32;
    // SAFETY: computes a register from a register; the core has the instruction.
    unsafe {
        core::arch::asm!("ssat {result}, #8, {a}, asr #1", a = in(reg) a, result = lateout(reg) result,
                         options(pure, nomem, nostack));
    }
    result
}

/// Half of a number, saturated to 8 bits.
#[cfg(not(kernels = "armv7m"))]
pub(super) fn halve_to_int8(a: i32) -> i32 {
    (a >> 1).clamp(-128, 127)
}
