//! How deep the stack went: the free stack is painted with a pattern, and whatever no longer has
//! it has been used.

const PATTERN: u32 = 0x5AFE_C0DE;

unsafe extern "C" {
    static mut _stack_bottom: u32;
}

/// The stack pointer.
#[inline(always)]
pub fn pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!("mv {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags));
    }
    sp
}

/// Paints the free stack.
#[inline(never)]
pub fn paint() {
    let mut at = &raw mut _stack_bottom;
    // The words directly below the stack pointer stay as they are: this function may yet use them.
    let end = pointer().wrapping_sub(32);
    while (at as usize) < end {
        // SAFETY: `at` lies between the bottom of the stack and the stack pointer: nobody's memory.
        unsafe { at.write_volatile(PATTERN) };
        at = at.wrapping_add(1);
    }
}

/// Bytes used below `top`, a stack pointer read before, since [`paint`]; `None` when the whole stack
/// was used: then it probably overflowed.
#[inline(never)]
pub fn used_below(top: usize) -> Option<u32> {
    let bottom = &raw const _stack_bottom;
    let mut at = bottom;
    // SAFETY: `at` lies within the stack.
    while (at as usize) < top && unsafe { at.read_volatile() } == PATTERN {
        at = at.wrapping_add(1);
    }
    if at == bottom { None } else { Some(top.wrapping_sub(at as usize) as u32) }
}
