//! A camera that replays a recording: it answers on the SPI bus as the real one would, each pixel of a recorded digit as a
//! block of 4 x 4.

use embedded_hal_async::spi::{ErrorKind, ErrorType, Operation, SpiDevice};

use crate::camera::SIDE;

/// Pixels of a row of the recording, and rows.
const SMALL: usize = 28;
const PIXELS: usize = SMALL * SMALL;
const BYTES: usize = include_bytes!("../model/frames.bin").len();

/// The recorded digits. See `model/README.md` for their source.
static FRAMES: [u8; BYTES] = *include_bytes!("../model/frames.bin");

/// Recorded frames.
pub const COUNT: usize = BYTES / PIXELS;

/// The replaying camera. Behind the last frame none gets ready any more.
#[derive(Default)]
pub struct RecordedCamera {
    /// Frames that were started.
    started: usize,
    /// The next pixel of the frame.
    next: usize,
    command: u8,
}

impl RecordedCamera {
    /// A camera at the start of the recording.
    pub const fn new() -> RecordedCamera {
        RecordedCamera { started: 0, next: 0, command: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        match *bytes {
            [0x84, 0b10] => (self.started, self.next) = (self.started + 1, 0),
            [command, ..] => self.command = command,
            [] => {}
        }
    }

    fn read(&mut self, bytes: &mut [u8]) {
        let ready = self.started.checked_sub(1).filter(|&frame| frame < COUNT);
        match (self.command, ready) {
            (0x41, ready) => bytes.fill(if ready.is_some() { 0b1000 } else { 0 }),
            (0x3C, Some(frame)) => {
                for byte in bytes {
                    let (y, x) = (self.next / SIDE * SMALL / SIDE, self.next % SIDE * SMALL / SIDE);
                    *byte = FRAMES.get(frame * PIXELS + y * SMALL + x).copied().unwrap_or(0);
                    self.next += 1;
                }
            }
            _ => bytes.fill(0xFF),
        }
    }
}

impl ErrorType for RecordedCamera {
    type Error = ErrorKind;
}

impl SpiDevice for RecordedCamera {
    async fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), ErrorKind> {
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.write(bytes),
                Operation::Read(bytes) => self.read(bytes),
                _ => return Err(ErrorKind::Other),
            }
        }
        Ok(())
    }
}
