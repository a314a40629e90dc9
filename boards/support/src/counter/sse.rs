//! The SSE-300's system counter: 64 bits, 32 MHz, read through system timer 0.

use core::ptr;

/// Control frame of the counter; bit 0 lets it count.
const CNTCR: *mut u32 = 0x5810_0000 as *mut u32;
const CNTPCT_LOW: *const u32 = 0x5800_0000 as *const u32;
const CNTPCT_HIGH: *const u32 = 0x5800_0004 as *const u32;

pub type Ticks = u64;

pub fn restart() {
    // SAFETY: a register of the board's counter, which nothing else uses.
    unsafe { ptr::write_volatile(CNTCR, 1) };
}

#[inline(always)]
pub fn ticks() -> Ticks {
    loop {
        // SAFETY: registers of the board's timer.
        let (high, low, again) = unsafe {
            let high = ptr::read_volatile(CNTPCT_HIGH);
            (high, ptr::read_volatile(CNTPCT_LOW), ptr::read_volatile(CNTPCT_HIGH))
        };
        if high == again {
            return (u64::from(high) << 32) | u64::from(low);
        }
    }
}

/// Whether the timer has wrapped since [`restart`](super::restart): 64 bits do not.
pub fn wrapped() -> bool {
    false
}
