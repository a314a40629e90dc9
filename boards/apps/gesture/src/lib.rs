//! A wearable's firmware: recognises exercises from the motion of a wrist.
//!
//! ```text
//! ImuSensor (bmi160, on embedded-hal I2c) -> Window (heapless) -> watch::Net -> log (defmt), LED (embedded-hal)
//! ```
//! [`App`] knows no board. The programs in `src/board` give it a sensor bus and a LED:
//! `cargo run --release` runs it on QEMU's Cortex-M4 board,
//! `cargo run --release --no-default-features --features stm32f405` on QEMU's STM32F405.
//!
//! On the MPS2 its memory map gives it 64 KB of flash and 16 KB of RAM, of which [`STACK`] is stack.
//!
//! [`App`]: app::App
#![no_std]
#![forbid(unsafe_code)]

pub mod app;
pub mod imu;
pub mod led;
pub mod recording;
pub mod window;

/// Bytes of stack that the application is given; what it used is logged at the end.
pub const STACK: usize = 2560;

/// The model, written by `ferrolite convert --rust`.
#[path = "../model/watch.rs"]
pub mod watch;
