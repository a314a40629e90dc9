//! RISC-V's `minstret`: 64 bits, one tick per instruction.

use core::arch::asm;

pub type Ticks = u64;

pub fn restart() {}

#[inline(always)]
pub fn ticks() -> Ticks {
    loop {
        let (high, low, again): (u32, u32, u32);
        // SAFETY: reads counters.
        unsafe {
            asm!("csrr {}, minstreth", out(reg) high, options(nomem, nostack));
            asm!("csrr {}, minstret", out(reg) low, options(nomem, nostack));
            asm!("csrr {}, minstreth", out(reg) again, options(nomem, nostack));
        }
        if high == again {
            return (u64::from(high) << 32) | u64::from(low);
        }
    }
}

/// Whether the counter has wrapped since [`restart`](super::restart): 64 bits do not.
pub fn wrapped() -> bool {
    false
}
