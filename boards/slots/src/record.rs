//! What is known of the slots: one small value, stored as a whole.

use sequential_storage::map::{SerializationError, Value};

/// Bytes of the value.
pub(crate) const RECORD_BYTES: usize = 8;

/// No slot.
const NONE: u8 = 255;

/// Where the update is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none.
    #[default]
    Idle,
    /// Its file is being written into the other slot; this many bytes are there for sure.
    Writing { done: u32 },
    /// Its file is there and is the one that was signed.
    Written,
    /// Its self-test has been started so many times, and has not ended.
    Trying { starts: u8 },
}

/// The state of the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The slot of the active model.
    pub(crate) active: Option<u8>,
    pub(crate) phase: Phase,
}

impl Record {
    /// The slot that an update goes to.
    pub(crate) fn target(&self) -> u8 {
        self.active.map_or(0, |active| 1 - active)
    }
}

impl Value<'_> for Record {
    fn serialize_into(&self, buffer: &mut [u8]) -> Result<usize, SerializationError> {
        let (phase, starts, done) = match self.phase {
            Phase::Idle => (0, 0, 0),
            Phase::Writing { done } => (1, 0, done),
            Phase::Written => (2, 0, 0),
            Phase::Trying { starts } => (3, starts, 0),
        };
        let to = buffer.first_chunk_mut::<RECORD_BYTES>().ok_or(SerializationError::BufferTooSmall)?;
        let [a, b, c, d] = done.to_le_bytes();
        *to = [self.active.unwrap_or(NONE), phase, starts, 0, a, b, c, d];
        Ok(RECORD_BYTES)
    }

    fn deserialize_from(buffer: &[u8]) -> Result<(Self, usize), SerializationError> {
        let &[active, phase, starts, _, a, b, c, d] =
            buffer.first_chunk::<RECORD_BYTES>().ok_or(SerializationError::InvalidData)?;
        let phase = match phase {
            0 => Phase::Idle,
            1 => Phase::Writing { done: u32::from_le_bytes([a, b, c, d]) },
            2 => Phase::Written,
            3 => Phase::Trying { starts },
            _ => return Err(SerializationError::InvalidFormat),
        };
        let active = match active {
            0 | 1 => Some(active),
            NONE => None,
            _ => return Err(SerializationError::InvalidFormat),
        };
        Ok((Record { active, phase }, RECORD_BYTES))
    }
}
