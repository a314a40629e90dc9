//! The firmware: the application with the sensor and the LED of a board.
#![no_std]
#![no_main]

#[cfg_attr(feature = "mps2-an386", path = "board/mps2_an386.rs")]
#[cfg_attr(feature = "stm32f405", path = "board/stm32f405.rs")]
mod board;
mod stack;

use cortex_m as _;
use cortex_m_rt::entry;
use defmt_semihosting as _;
use gesture_app::STACK;
use gesture_app::app::end;
use gesture_app::watch::Memory;
use semihosting::process::exit;

#[entry]
fn main() -> ! {
    // cortex-m-rt makes a `&'static mut` of it.
    static mut MEMORY: Memory = Memory::new();
    let result = board::run(MEMORY);
    defmt::info!("stack: {=usize} of {=usize} bytes", stack::used(), STACK);
    exit(end(result))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    exit(2)
}
