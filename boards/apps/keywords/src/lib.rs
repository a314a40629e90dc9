//! Keywords in a stream of sound: yes and no.
//!
//! ```text
//! Features (a row of 40 each 20 ms) -> the last 49 rows -> keywords::Net, op by op -> Smoother -> log (defmt), LED (embedded-hal)
//! ```
//! [`App`] knows no board, and not where features come from: here they are recorded. Each 100 ms the model runs over the
//! last second; a word counts as heard where the mean of its last scores is high, and then not again for a second.
//! `cargo run --release` runs it on QEMU's Cortex-M4 board, in the 64 KB of flash and 16 KB of RAM of its memory map, of
//! which [`STACK`] is stack. The model and the recording are other people's, so the repository does not have them:
//! `model/README.md` says how they are made.
//!
//! [`App`]: app::App
#![no_std]
#![forbid(unsafe_code)]

pub mod app;
pub mod recording;
pub mod smoother;

/// Bytes of stack that the application is given; what it used is logged at the end.
pub const STACK: usize = 2048;

/// The model, written by `ferrolite convert --rust`.
pub mod keywords {
    include!(concat!(env!("OUT_DIR"), "/keywords.rs"));
}
