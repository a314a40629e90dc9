//! Answers: records of the host's file `results.bin`, written over semihosting.
//!
//! ```text
//! u32 tag | u32 index | u32 bytes | u32 zero | bytes
//! ```

use core::fmt;

use semihosting::fs::File;
use semihosting::io::Write;

/// What a record holds.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Tag {
    /// Index: sample. All outputs, one behind the other.
    Output = 1,
    /// Index: op. Ticks (u64), the numbers of its window and of an empty one (u32 each), then its
    /// outputs, one behind the other.
    Layer = 2,
    /// Ticks of initialisation and of an inference (u64 each), stack and arena bytes, whether the
    /// timer wrapped, and the numbers of windows: of initialisation and an empty one, of an inference
    /// and an empty one (u32 each).
    Counts = 3,
    /// Index: a [`Kind`]. Text. The last record of a job that failed.
    Error = 4,
    /// Index: number of samples done. The last record of a job that went well.
    Done = 5,
}

/// Whose doing an error is.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Kind {
    /// The runtime refused the model or its arena.
    Model = 1,
    /// The job or its input file was not as it must be.
    Job = 2,
    /// A panic.
    Panic = 3,
    /// A fault of the processor.
    Fault = 4,
}

impl Kind {
    /// Exit code of the firmware after an error of this kind.
    pub const fn exit_code(self) -> i32 {
        100 + self as i32
    }
}

/// The file of answers.
pub struct Report(File);

impl Report {
    /// Creates the file, or returns `None` if the host does not let it.
    pub fn create() -> Option<Report> {
        File::create(c"results.bin").ok().map(Report)
    }

    /// Opens the file to add to it.
    fn append() -> Option<Report> {
        File::options().write(true).append(true).create(true).open(c"results.bin").ok().map(Report)
    }

    /// Starts a record of this many bytes, which [`bytes`](Report::bytes) adds.
    pub fn start(&mut self, tag: Tag, index: u32, bytes: usize) {
        let words = [tag as u32, index, bytes as u32, 0];
        for word in words {
            self.bytes(&word.to_le_bytes());
        }
    }

    /// Writes the record of an error.
    pub fn error(&mut self, kind: Kind, message: fmt::Arguments<'_>) {
        let mut text = Text { bytes: [0; 240], len: 0 };
        let _ = fmt::write(&mut text, message);
        let bytes = text.bytes.get(..text.len).unwrap_or(&[]);
        self.start(Tag::Error, kind as u32, bytes.len());
        self.bytes(bytes);
    }

    /// Adds to the record. Where the host's disk is full there is nobody left to tell.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }
}

/// Room for a text: what does not fit is left out.
struct Text {
    bytes: [u8; 240],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (room, &byte) in self.bytes.iter_mut().skip(self.len).zip(text.as_bytes()) {
            *room = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Ends the firmware with an error.
pub fn fail(kind: Kind, message: fmt::Arguments<'_>) -> ! {
    if let Some(mut report) = Report::append() {
        report.error(kind, message);
    }
    crate::exit(kind.exit_code())
}
