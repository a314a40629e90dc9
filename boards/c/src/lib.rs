//! The C library: the runtime behind functions that C can call, as one static library for each core.
//!
//! `include/ferrolite.h` is made of this source, comments included (`tests/tests/c_header.rs`), so what a caller has to
//! know stands at the functions here. `ferrolite convert --c` writes what belongs to one model: its bytes, the list of
//! its operators, and functions whose arguments have the model's sizes.
//!
//! ```text
//! cargo build --release -p ferrolite-c --target thumbv7em-none-eabihf    # target/thumbv7em-none-eabihf/release/libferrolite.a
//! ```
//!
//! Every function and every operator is a symbol of its own in a section of its own, so that a linker that drops what
//! nothing uses (`--gc-sections`) links the operators that a model names and no others. There is no allocator, no global
//! state, and on a core no panic: with the feature `no-panic` a path to one would be an undefined symbol.
#![no_std]
// The names are C's.
#![allow(non_camel_case_types)]
// Pointers come from C. What they have to point to is said in the text of each function, which is also the header's.
#![allow(clippy::missing_safety_doc)]

mod entries;
mod error;
mod model;
mod net;
mod observer;
mod operators;
mod ports;
mod quantize;

use core::panic::PanicInfo;

/// On a core nothing leads here. The kernels of x86-64 have checks that the compiler cannot prove to be needless: were
/// one of them to fail, the program would end.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        /// Defined nowhere: the linker names the function that can panic.
        #[cfg(feature = "no-panic")]
        #[link_name = "ferrolite_a_panic_can_be_reached"]
        fn end() -> !;

        #[cfg(all(not(feature = "no-panic"), not(target_os = "none")))]
        #[link_name = "abort"]
        fn end() -> !;
    }
    #[cfg(any(feature = "no-panic", not(target_os = "none")))]
    // SAFETY: a program with the first does not link; the second is C's and ends the program.
    unsafe {
        end()
    }
    #[cfg(all(not(feature = "no-panic"), target_os = "none"))]
    loop {
        core::hint::spin_loop();
    }
}
