//! A LED for boards that have none: it counts how often it was lit.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

/// The counting LED.
#[derive(Default)]
pub struct CountingLed {
    /// How often it was set high.
    pub lit: u32,
}

impl ErrorType for CountingLed {
    type Error = Infallible;
}

impl OutputPin for CountingLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.lit += 1;
        Ok(())
    }
}
