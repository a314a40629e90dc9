//! A sensor that replays a recording: it answers on the I2C bus as the real one would.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use crate::imu::{ADDRESS, AXES, MEASUREMENTS, POWER};

/// Recorded measurements: for each sample all axes, 16 bits, high byte first. See
/// `model/README.md` for their source.
pub static RECORDING: &[u8] = include_bytes!("../model/recording.bin");

/// Bytes of one sample.
const SAMPLE: usize = 2 * AXES;

/// Samples in the recording.
pub const SAMPLES: usize = RECORDING.len() / SAMPLE;

/// The replaying sensor. Behind the end of the recording it does not answer any more.
pub struct RecordedImu {
    samples: core::slice::ChunksExact<'static, u8>,
    register: u8,
}

impl RecordedImu {
    /// A sensor at the start of the recording.
    pub fn new() -> RecordedImu {
        RecordedImu { samples: RECORDING.chunks_exact(SAMPLE), register: 0 }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), ErrorKind> {
        let silent = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data);
        if self.register != MEASUREMENTS {
            return Err(silent);
        }
        let (acceleration, rotation) = self.samples.next().ok_or(silent)?.split_at(SAMPLE / 2);
        let temperature = [0; 2];
        let registers = acceleration.iter().chain(&temperature).chain(rotation);
        for (byte, &register) in buffer.iter_mut().zip(registers) {
            *byte = register;
        }
        Ok(())
    }
}

impl Default for RecordedImu {
    fn default() -> Self {
        Self::new()
    }
}

impl ErrorType for RecordedImu {
    type Error = ErrorKind;
}

impl I2c for RecordedImu {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        if address != ADDRESS {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Write([POWER, ..]) => {}
                Operation::Write([register, ..]) => self.register = *register,
                Operation::Write([]) => {}
                Operation::Read(buffer) => self.read(buffer)?,
            }
        }
        Ok(())
    }
}
