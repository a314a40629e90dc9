//! Handwritten digits from a camera.
//!
//! ```text
//! Camera (embedded-hal-async SPI, its frame buffer) -> blocks of 4 x 4 pixels -> digits::Net, op by op -> log (defmt)
//! ```
//! [`App`] knows no board, and holds no frame: the camera's buffer has it, and four of its rows are read at a time. All
//! that waits is awaited, and between ops other tasks have their turn. `cargo run --release` runs it on QEMU's Cortex-M4
//! board, in the 64 KB of flash and 16 KB of RAM of its memory map, of which [`STACK`] is stack.
//!
//! [`App`]: app::App
#![no_std]
#![forbid(unsafe_code)]

pub mod app;
pub mod camera;
pub mod recording;

/// Bytes of stack that the application is given; what it used is logged at the end.
pub const STACK: usize = 2048;

/// The model, written by `ferrolite convert --rust`.
#[path = "../model/digits.rs"]
#[rustfmt::skip]
pub mod digits;
