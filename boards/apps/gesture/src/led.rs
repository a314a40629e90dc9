//! A LED for boards that have none: it counts how often it was lit.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin, StatefulOutputPin};

/// The counting LED.
#[derive(Default)]
pub struct CountingLed {
    /// How often it was set high.
    pub lit: u32,
    /// Whether it is lit.
    on: bool,
}

impl ErrorType for CountingLed {
    type Error = Infallible;
}

impl OutputPin for CountingLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.on = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.on = true;
        self.lit += 1;
        Ok(())
    }
}

impl StatefulOutputPin for CountingLed {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.on)
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.on)
    }
}
