//! Modelled cycles: a plugin for QEMU that prices every executed instruction of Thumb-2 or RV32IMC.
//!
//! QEMU counts instructions; a core spends cycles, and the two can rank kernels in opposite order (a load
//! of two registers is one instruction and three cycles). The plugin looks at each block of code once,
//! when QEMU translates it, and gives it a price; then it adds prices as blocks run, and what shows only
//! then: taken branches, unaligned data, loads from flash.
//!
//! ```text
//! -plugin libferrolite_cycles.so,core=m4,open=0x400,close=0x410,flash=0x0-0x20000000,out=FILE
//! ```
//! A window starts behind the block at `open` and ends before the block at `close`: both are functions
//! of the firmware that do nothing. Each window is a line of the file: instructions, cycles, and words of
//! 32 bits that were read as data from the addresses `flash`.
//!
//! What is modelled, and how well (zero wait states):
//!
//! - **Cortex-M4** ([`cortex_m4`]): Arm's table of timings (Cortex-M4 Technical Reference Manual, 3.3) with the rules
//!   that measurements added. The rules met 26 published cycle counts of STM32L4R5 programs within
//!   -3.8 and +0.5 %, median -0.3 %.
//! - **Cortex-M33** ([`cortex_m33`]): an in-order scoreboard. Against published latencies of networks it is 4 to
//!   23 % low, flash stalls included in those.
//! - **Cortex-M7** ([`cortex_m7`]), **Cortex-M0+** ([`cortex_m0plus`]), **Cortex-M55** ([`cortex_m55`]) and a simple
//!   **RV32IMC** ([`riscv`]): estimates from manuals and others' measurements, not held against programs on silicon.
//!
//! Not modelled: wait states and prefetch of instructions, a bus that two masters share, hazards of the
//! floating-point unit, early exits of a division, load chains across blocks. So ratios between two
//! kernels on a core are right within 5 %, and absolute times on a board up to 25 % too low.

// Tests are linked without QEMU, and so without the module that calls what it provides.
#![cfg_attr(test, allow(dead_code))]

mod cortex_m0plus;
mod cortex_m33;
mod cortex_m4;
mod cortex_m55;
mod cortex_m7;
mod decode;
mod meter;
#[cfg(not(test))]
mod qemu;
mod riscv;
