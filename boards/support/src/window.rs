//! Marks what a plugin of QEMU measures: from [`open`] to [`close`].
//!
//! Both are functions that do nothing, and the plugin knows their addresses. Without it, they cost a few
//! instructions that [`counter::overhead`](crate::counter::overhead) knows of.

use core::sync::atomic::{AtomicU32, Ordering};

static WINDOWS: AtomicU32 = AtomicU32::new(0);

/// The number of the window that will be opened next, counted from 0. To be called once for each.
pub fn next() -> u32 {
    // Cortex-M0 has no atomic additions, and there is one thread.
    let number = WINDOWS.load(Ordering::Relaxed);
    WINDOWS.store(number.wrapping_add(1), Ordering::Relaxed);
    number
}

/// Starts a window.
#[inline(always)]
pub fn open() {
    ferrolite_window_open();
}

/// Ends it.
#[inline(always)]
pub fn close() {
    ferrolite_window_close();
}

// Different instructions, so that the compiler does not make one function of both.

// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ferrolite_window_open() {
    // SAFETY: does nothing.
    unsafe { core::arch::asm!("nop") };
}

// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ferrolite_window_close() {
    // SAFETY: does nothing.
    unsafe { core::arch::asm!("nop", "nop") };
}
