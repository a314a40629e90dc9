//! CMSDK APB timer 0 of the MPS2 boards: counts down from 2^32 - 1.

use core::ptr;

#[cfg(not(feature = "qemu-cortex-m33"))]
const TIMER: usize = 0x4000_0000;
/// The secure alias.
#[cfg(feature = "qemu-cortex-m33")]
const TIMER: usize = 0x5000_0000;

const CTRL: *mut u32 = TIMER as *mut u32;
const VALUE: *mut u32 = (TIMER + 0x4) as *mut u32;
const RELOAD: *mut u32 = (TIMER + 0x8) as *mut u32;
const INTSTATUS: *mut u32 = (TIMER + 0xC) as *mut u32;

const ENABLE: u32 = 1;
/// Lets the timer set its status on a wrap. The interrupt controller lets no interrupt through.
const INTERRUPT: u32 = 1 << 3;

pub type Ticks = u32;

pub fn restart() {
    // SAFETY: registers of the board's timer, which nothing else uses.
    unsafe {
        ptr::write_volatile(CTRL, 0);
        ptr::write_volatile(RELOAD, u32::MAX);
        ptr::write_volatile(VALUE, u32::MAX);
        ptr::write_volatile(INTSTATUS, 1);
        ptr::write_volatile(CTRL, ENABLE | INTERRUPT);
    }
}

#[inline(always)]
pub fn ticks() -> Ticks {
    // SAFETY: a register of the board's timer.
    !unsafe { ptr::read_volatile(VALUE) }
}

/// Whether the timer has wrapped since [`restart`](super::restart).
pub fn wrapped() -> bool {
    // SAFETY: a register of the board's timer.
    unsafe { ptr::read_volatile(INTSTATUS) & 1 != 0 }
}
