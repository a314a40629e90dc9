//! TIMER0 of the nRF51: 32 bits, 16 MHz, counts up, read by capture.

use core::ptr;

const TIMER: usize = 0x4000_8000;
const START: *mut u32 = TIMER as *mut u32;
const STOP: *mut u32 = (TIMER + 0x004) as *mut u32;
const CLEAR: *mut u32 = (TIMER + 0x00C) as *mut u32;
const CAPTURE_0: *mut u32 = (TIMER + 0x040) as *mut u32;
const COMPARED_1: *mut u32 = (TIMER + 0x144) as *mut u32;
const BITMODE: *mut u32 = (TIMER + 0x508) as *mut u32;
const PRESCALER: *mut u32 = (TIMER + 0x510) as *mut u32;
const CC_0: *mut u32 = (TIMER + 0x540) as *mut u32;
const CC_1: *mut u32 = (TIMER + 0x544) as *mut u32;

const BITS_32: u32 = 3;

pub type Ticks = u32;

pub fn restart() {
    // SAFETY: registers of the board's timer, which nothing else uses.
    unsafe {
        ptr::write_volatile(STOP, 1);
        ptr::write_volatile(BITMODE, BITS_32);
        ptr::write_volatile(PRESCALER, 0);
        ptr::write_volatile(CC_1, u32::MAX);
        ptr::write_volatile(CLEAR, 1);
        ptr::write_volatile(COMPARED_1, 0);
        ptr::write_volatile(START, 1);
    }
}

#[inline(always)]
pub fn ticks() -> Ticks {
    // SAFETY: registers of the board's timer.
    unsafe {
        ptr::write_volatile(CAPTURE_0, 1);
        ptr::read_volatile(CC_0)
    }
}

/// Whether the timer has wrapped since [`restart`](super::restart).
pub fn wrapped() -> bool {
    // SAFETY: a register of the board's timer.
    unsafe { ptr::read_volatile(COMPARED_1) != 0 }
}
