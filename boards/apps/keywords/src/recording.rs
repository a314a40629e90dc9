//! Features that were recorded.

use core::convert::Infallible;
use core::future::{Future, ready};

use crate::app::{Features, ROW, Row};

const FILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/features.bin"));

/// The recorded features, int8. See `model/README.md` for their source.
static RECORDING: [u8; FILE.len()] = *include_bytes!(concat!(env!("OUT_DIR"), "/features.bin"));

/// The recording, row after row.
pub struct Recorded(core::slice::ChunksExact<'static, u8>);

impl Recorded {
    /// The recording from its start.
    pub fn new() -> Recorded {
        Recorded(RECORDING.chunks_exact(ROW))
    }
}

impl Default for Recorded {
    fn default() -> Self {
        Self::new()
    }
}

impl Features for Recorded {
    type Error = Infallible;

    fn next(&mut self) -> impl Future<Output = Result<Option<Row>, Infallible>> {
        let row = self.0.next().and_then(|row| row.first_chunk::<ROW>());
        ready(Ok(row.map(|row| row.map(|byte| byte as i8))))
    }
}
