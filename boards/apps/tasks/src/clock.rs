//! Ticks of the core's timer since the start.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// The timer counts down, 24 bits wide.
const MASK: u32 = 0xFF_FFFF;

static LAST: AtomicU32 = AtomicU32::new(MASK);
static TICKS: AtomicU32 = AtomicU32::new(0);

/// Starts the timer, at the core's clock.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(MASK);
    timer.clear_current();
    timer.enable_counter();
    LAST.store(SYST::get_current(), Ordering::Relaxed);
}

/// Ticks since the start. Asked for at least once in 2^24 ticks, and not in interrupts, which there are none of here.
pub fn now() -> u32 {
    let current = SYST::get_current();
    let elapsed = LAST.swap(current, Ordering::Relaxed).wrapping_sub(current) & MASK;
    TICKS.fetch_add(elapsed, Ordering::Relaxed).wrapping_add(elapsed)
}
