//! The firmware: the application as a task of embassy's executor, with recorded features.
#![no_std]
#![no_main]

mod stack;

use cortex_m as _;
use defmt::{error, info};
use defmt_semihosting as _;
use embassy_executor::Executor;
use gesture_app::led::CountingLed;
use keywords_app::STACK;
use keywords_app::app::{App, MODEL, Stop};
use keywords_app::keywords::{self, Memory, Net};
use keywords_app::recording::Recorded;
use semihosting::process::exit;
use static_cell::{ConstStaticCell, StaticCell};

/// The model's memory: zero at first, so it takes no flash.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static NET: StaticCell<Net<'static>> = StaticCell::new();
static EXECUTOR: StaticCell<Executor> = StaticCell::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    let net = match keywords::bind(&MODEL, MEMORY.take()) {
        Ok(net) => NET.init(net),
        Err(error) => end(Err(Stop::Model(error))),
    };
    EXECUTOR.init(Executor::new()).run(|spawner| match watch(net) {
        Ok(task) => spawner.spawn(task),
        Err(_) => exit(2),
    })
}

#[embassy_executor::task]
async fn watch(net: &'static mut Net<'static>) {
    let mut app = App::new(Recorded::new(), CountingLed::default());
    let result = app.run(net).await;
    info!("the led was lit {=u32} times", app.into_led().lit);
    end(result)
}

fn end(result: Result<(), Stop>) -> ! {
    info!("stack: {=usize} of {=usize} bytes", stack::used(), STACK);
    if let Err(stop) = result {
        error!("stopped: {}", stop);
        exit(1)
    }
    exit(0)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    error!("{}", defmt::Display2Format(info));
    exit(2)
}
