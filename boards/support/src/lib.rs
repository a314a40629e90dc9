//! What firmware on QEMU's boards shares.
//!
//! - [`job`]: the work that QEMU's loader puts into the board's memory.
//! - [`counter`]: executed instructions, from a guest timer.
//! - [`stack`]: how deep a function's stack went.
//! - [`window`]: marks for the plugin that models cycles.
//! - [`report`]: answers, as records of a file on the host.
//! - `fault`: the last words of a firmware that panics or faults.
//!
//! The host side of all this is `converter/src/board/`.
#![no_std]

pub mod counter;
mod fault;
pub mod job;
pub mod report;
pub mod stack;
pub mod window;

pub use semihosting::process::exit;
