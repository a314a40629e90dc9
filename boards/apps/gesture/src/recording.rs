//! A BMI160 that replays a recording: it answers on the I2C bus as the real one would.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use crate::imu::AXES;

/// Address on the bus.
const ADDRESS: u8 = 0x68;
/// Register for commands: this one wakes the sensor.
const COMMAND: u8 = 0x7E;
/// First of 12 registers: rotation x, y, z, acceleration x, y, z; 16 bits each, low byte first.
const MEASUREMENTS: u8 = 0x0C;

/// Recorded measurements: for each sample all axes, 16 bits, high byte first. See
/// `model/README.md` for their source.
pub static RECORDING: [u8; BYTES] = *include_bytes!("../model/recording.bin");

const BYTES: usize = include_bytes!("../model/recording.bin").len();

/// Bytes of one sample.
const SAMPLE: usize = 2 * AXES;

/// Samples in the recording.
pub const SAMPLES: usize = BYTES / SAMPLE;

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
        let words = rotation.chunks_exact(2).chain(acceleration.chunks_exact(2));
        let registers = words.flat_map(|word| word.iter().rev());
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
                Operation::Write([COMMAND, ..]) => {}
                Operation::Write([register, ..]) => self.register = *register,
                Operation::Write([]) => {}
                Operation::Read(buffer) => self.read(buffer)?,
            }
        }
        Ok(())
    }
}
