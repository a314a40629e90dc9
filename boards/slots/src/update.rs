//! An update whose file is being written.

use embedded_storage_async::nor_flash::NorFlash;
use ferrolite_runtime::Manifest;

use crate::error::Error;
use crate::record::{Phase, Record};
use crate::slots::Slots;

/// Bytes that are written at a time, a multiple of any flash's word.
const PIECE: usize = 256;

/// An update whose file is being written. It may be dropped at any time: [`Slots::begin`] goes on with it.
pub struct Update<'s, F: NorFlash> {
    slots: &'s mut Slots<F>,
    manifest: Manifest,
    /// Bytes in flash.
    written: u32,
    /// Bytes that wait for a whole piece.
    waiting: [u8; PIECE],
    count: usize,
    /// The flash has failed, perhaps in the middle of a word: what is there behind the last whole sector is not known.
    stopped: bool,
}

impl<'s, F: NorFlash> Update<'s, F> {
    pub(crate) fn new(slots: &'s mut Slots<F>, manifest: Manifest, done: u32) -> Self {
        Update { slots, manifest, written: done, waiting: [0; PIECE], count: 0, stopped: false }
    }

    /// The byte of the file that [`write`](Update::write) takes next.
    pub fn offset(&self) -> u32 {
        self.written + self.count as u32
    }

    /// Bytes of the file.
    pub fn length(&self) -> u32 {
        self.manifest.length
    }

    /// Writes the next bytes of the file, as many as there are.
    ///
    /// # Errors
    /// When there are more than the manifest says, or the flash fails: then [`Slots::begin`] goes on from the last
    /// whole sector, and this value takes no more bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error<F::Error>> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        if bytes.len() as u64 > u64::from(self.manifest.length - self.offset()) {
            return Err(Error::Length);
        }
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.count));
            let room = self.waiting.iter_mut().skip(self.count);
            room.zip(now).for_each(|(to, from)| *to = *from);
            self.count += now.len();
            bytes = later;
            if self.count == PIECE || self.offset() == self.manifest.length {
                // Also where the future is dropped on its way.
                self.stopped = true;
                self.flush().await?;
                self.stopped = false;
            }
        }
        Ok(())
    }

    /// Ends the writing: the update is there, and waits for [`Slots::activate`].
    ///
    /// # Errors
    /// When bytes are missing, or they are not those that were signed: the update is dropped then.
    pub async fn finish(self) -> Result<(), Error<F::Error>> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        if self.offset() != self.manifest.length {
            return Err(Error::Length);
        }
        let record = self.slots.record;
        if !matches!(record.phase, Phase::Writing { .. }) {
            return Ok(());
        }
        let start = self.slots.slot(record.target()).start;
        let hash = self.slots.hash(start..start + self.manifest.length).await?;
        let same = hash == self.manifest.hash;
        let phase = if same { Phase::Written } else { Phase::Idle };
        self.slots.store(Record { phase, ..record }).await?;
        if same { Ok(()) } else { Err(Error::Hash) }
    }

    /// Writes what waits. Each sector is erased before its first byte, and noted after its last.
    async fn flush(&mut self) -> Result<(), Error<F::Error>> {
        let sector = F::ERASE_SIZE as u32;
        let start = self.slots.slot(self.slots.record.target()).start;
        // The rest of the file's last word.
        self.waiting.iter_mut().skip(self.count).for_each(|byte| *byte = 0xFF);
        let mut from = 0;
        while from < self.count {
            let at = start + self.written;
            if at.is_multiple_of(sector) {
                self.slots.map.flash().erase(at, at + sector).await.map_err(Error::Flash)?;
            }
            // Up to the sector's end: sectors may be smaller than a piece.
            let bytes = (self.count - from).min((sector - at % sector) as usize);
            let words = bytes.next_multiple_of(F::WRITE_SIZE);
            let Some(piece) = self.waiting.get(from..from + words) else { return Err(Error::Layout) };
            self.slots.map.flash().write(at, piece).await.map_err(Error::Flash)?;
            from += bytes;
            self.written += bytes as u32;
            let whole = (start + self.written).is_multiple_of(sector);
            if whole || self.written == self.manifest.length {
                let record = self.slots.record;
                self.slots.store(Record { phase: Phase::Writing { done: self.written }, ..record }).await?;
            }
        }
        self.count = 0;
        Ok(())
    }
}
