//! Executed instructions, counted by a timer of the board.
//!
//! QEMU runs under `-icount`: guest time passes by a fixed amount per instruction, so a timer counts
//! instructions. Its ticks are reported as they are; the host knows the timer's clock.
//!
//! | board | timer | bits |
//! |---|---|--:|
//! | M3, M4, M7, M33 | CMSDK APB timer 0 | 32 |
//! | M55 | SSE-300 system counter | 64 |
//! | M0 | nRF51 TIMER0 | 32 |
//! | RISC-V | `minstret` | 64 |

#[cfg_attr(
    any(
        feature = "qemu-cortex-m3",
        feature = "qemu-cortex-m4",
        feature = "qemu-cortex-m7",
        feature = "qemu-cortex-m33"
    ),
    path = "cmsdk.rs"
)]
#[cfg_attr(feature = "qemu-cortex-m0", path = "nrf51.rs")]
#[cfg_attr(feature = "qemu-cortex-m55", path = "sse.rs")]
#[cfg_attr(feature = "qemu-riscv32", path = "minstret.rs")]
mod timer;

use core::sync::atomic::{Ordering, compiler_fence};

pub use timer::wrapped;

use crate::window;

/// A moment.
#[derive(Clone, Copy)]
pub struct Instant(timer::Ticks);

/// Starts the timer from zero and clears [`wrapped`].
pub fn restart() {
    timer::restart();
}

/// Now. Nothing before it in the program happens after it, and the reverse.
#[inline(always)]
pub fn now() -> Instant {
    compiler_fence(Ordering::SeqCst);
    let ticks = timer::ticks();
    compiler_fence(Ordering::SeqCst);
    Instant(ticks)
}

/// Ticks between two moments, taking one of which included; [`overhead`] says how much that is.
pub fn between(start: Instant, end: Instant) -> u64 {
    end.0.wrapping_sub(start.0).into()
}

/// Ticks between two moments with nothing between them but a window, which is empty.
#[inline(never)]
pub fn overhead() -> u64 {
    let start = now();
    window::open();
    window::close();
    let end = now();
    between(start, end)
}

/// Runs a loop of two instructions this many times, and returns the ticks that it took: the host
/// checks its conversion with it.
#[inline(never)]
pub fn calibrate(rounds: u32) -> u64 {
    restart();
    let start = now();
    // SAFETY: a loop over a register.
    unsafe {
        #[cfg(target_arch = "arm")]
        core::arch::asm!(
            ".p2align 2",
            "2: subs {n}, {n}, #1",
            "bne 2b",
            n = inout(reg) rounds => _,
            options(nomem, nostack)
        );
        #[cfg(target_arch = "riscv32")]
        core::arch::asm!(
            "2: addi {n}, {n}, -1",
            "bnez {n}, 2b",
            n = inout(reg) rounds => _,
            options(nomem, nostack)
        );
    }
    between(start, now())
}
