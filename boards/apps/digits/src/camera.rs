//! A camera with a frame buffer of its own, read over SPI: the commands are those of the ArduChip on ArduCAM's modules.
//!
//! Setting up the image sensor itself, to 112 x 112 pixels of one byte, goes over I2C and is another matter.

use embedded_hal_async::spi::{Operation, SpiDevice};

/// Pixels of a row, and rows.
pub const SIDE: usize = 112;

/// Writes the register of the buffer: bit 0 clears the flag, bit 1 starts a capture.
const BUFFER: u8 = 0x84;
/// Reads the register that says, in bit 3, whether a frame is there.
const STATUS: u8 = 0x41;
/// Reads on from where the last such command ended.
const BURST: u8 = 0x3C;

/// The camera.
pub struct Camera<S> {
    bus: S,
}

impl<S: SpiDevice> Camera<S> {
    /// The camera on this bus.
    pub fn new(bus: S) -> Camera<S> {
        Camera { bus }
    }

    /// Starts a capture.
    pub async fn start(&mut self) -> Result<(), S::Error> {
        self.bus.write(&[BUFFER, 0b01]).await?;
        self.bus.write(&[BUFFER, 0b10]).await
    }

    /// Whether the frame is there.
    pub async fn is_ready(&mut self) -> Result<bool, S::Error> {
        let mut status = [0];
        self.bus.transaction(&mut [Operation::Write(&[STATUS]), Operation::Read(&mut status)]).await?;
        Ok(status[0] & 0b1000 != 0)
    }

    /// The next bytes of the frame.
    pub async fn read(&mut self, pixels: &mut [u8]) -> Result<(), S::Error> {
        self.bus.transaction(&mut [Operation::Write(&[BURST]), Operation::Read(pixels)]).await
    }
}
