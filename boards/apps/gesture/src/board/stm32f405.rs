//! An STM32F405; the LED is that of a Netduino Plus 2, PA10. QEMU's machine has no sensor, so the
//! recording is replayed; with the feature `sensor` it is read on I2C1 (PB6, PB7).

#[cfg(not(feature = "sensor"))]
use gesture_app::recording::RecordedImu;

use gesture_app::app::{App, Stop};
use gesture_app::recording::SAMPLES;
use gesture_app::watch::Memory;
use gesture_app::window::STEPS;
use stm32f4xx_hal::gpio::GpioExt;
use stm32f4xx_hal::pac;
use stm32f4xx_hal::rcc::RccExt;

pub fn run(memory: &mut Memory) -> Result<(), Stop> {
    // Taken once, at the start of the program.
    let device = pac::Peripherals::take().ok_or(Stop::Sensor)?;
    let mut rcc = device.RCC.constrain();
    let led = device.GPIOA.split(&mut rcc).pa10.into_push_pull_output();
    #[cfg(not(feature = "sensor"))]
    let bus = RecordedImu::new();
    #[cfg(feature = "sensor")]
    let bus = {
        use stm32f4xx_hal::i2c::I2cExt;
        use stm32f4xx_hal::prelude::*;

        let pins = device.GPIOB.split(&mut rcc);
        device.I2C1.i2c((pins.pb6, pins.pb7), 400.kHz(), &mut rcc)
    };
    let mut app = App::new(bus, led)?;
    // The chip wakes: 100 ms at 16 MHz.
    #[cfg(feature = "sensor")]
    cortex_m::asm::delay(1_600_000);
    app.run(memory, SAMPLES / STEPS)
}
