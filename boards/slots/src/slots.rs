//! The slots, and which model is active.

use core::ops::Range;

use ed25519_dalek::VerifyingKey;
use embedded_storage_async::nor_flash::NorFlash;
use ferrolite_runtime::{Manifest, SIGNED_BYTES};
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::manifest::{Signed, is_signed_by};
use crate::record::{Phase, Record};
use crate::update::Update;

/// Starts of a self-test that does not end, until its update is given up: a power cut during a test is no fault of the
/// model's, a reset by the watchdog each time is.
pub const TRIES: u8 = 3;

/// Keys of the map: the manifests of both slots, and the record.
const RECORD: u8 = 2;

/// Bytes that are read at a time, a multiple of any flash's read size up to it.
const PIECE: usize = 256;

/// Room for a key and a manifest, in whole words of any flash.
const BUFFER: usize = 192;

/// Where slots and state lie: addresses of the flash, each range of whole sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The slots; the first byte of a model file is the first of its slot.
    pub slots: [Range<u32>; 2],
    /// What is known of them: two sectors or more. Sectors are used in turn.
    pub state: Range<u32>,
}

/// A model in flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Where its file lies.
    pub image: Range<u32>,
    /// What was signed of it.
    pub manifest: Manifest,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activated {
    /// It is the active model now.
    Yes,
    /// Its self-test failed: the model before it stays, and the update is dropped.
    RolledBack,
}

type Map<F> = MapStorage<u8, F, Cache<Uncached, Uncached, Uncached, u8>>;

/// Both slots and what is known of them.
pub struct Slots<F: NorFlash> {
    pub(crate) map: Map<F>,
    pub(crate) layout: Layout,
    key: VerifyingKey,
    pub(crate) record: Record,
    active: Option<Active>,
}

impl<F: NorFlash> Slots<F> {
    /// Reads which model is active, and whether its bytes are those that were signed; where they are not, the model
    /// before it is active again if it still is whole. Reads the whole file once.
    ///
    /// # Errors
    /// When the layout does not suit the flash, or the flash cannot be read.
    pub async fn open(flash: F, layout: Layout, key: &VerifyingKey) -> Result<Slots<F>, Error<F::Error>> {
        if !suits::<F>(&layout, flash.capacity()) {
            return Err(Error::Layout);
        }
        let config = MapConfig::try_new(layout.state.clone()).map_err(|_| Error::Layout)?;
        let map = MapStorage::new(flash, config, Cache::new_uncached());
        let mut slots = Slots { map, layout, key: *key, record: Record::default(), active: None };
        slots.record = slots.load().await?;
        slots.give_up_what_hangs().await?;
        slots.find_active().await?;
        Ok(slots)
    }

    /// The active model; `None` before there is any.
    pub fn active(&self) -> Option<&Active> {
        self.active.as_ref()
    }

    /// The flash, for other data of the application.
    pub fn flash(&mut self) -> &mut F {
        self.map.flash()
    }

    /// Begins an update, or goes on with it where it stopped: [`Update::offset`] says from which byte on. Nothing is
    /// erased before the manifest is known to be ours.
    ///
    /// # Errors
    /// When the manifest is not signed by the key, not newer than the active model, or its file larger than a slot.
    pub async fn begin(&mut self, signed: &Signed) -> Result<Update<'_, F>, Error<F::Error>> {
        let manifest = Manifest::parse(signed).ok_or(Error::Manifest)?;
        if !is_signed_by(signed, &self.key) {
            return Err(Error::Signature);
        }
        if let Some(active) =
            self.active.as_ref().filter(|active| manifest.version <= active.manifest.version)
        {
            return Err(Error::Version { offered: manifest.version, active: active.manifest.version });
        }
        let slot = self.slot(self.record.target());
        if manifest.length > slot.end - slot.start {
            return Err(Error::TooLarge { bytes: manifest.length, slot: slot.end - slot.start });
        }
        let target = self.record.target();
        let same = self.manifest(target).await?.is_some_and(|stored| stored == *signed);
        let done = match self.record.phase {
            Phase::Writing { done } if same => done,
            Phase::Written | Phase::Trying { .. } if same => manifest.length,
            _ => {
                // The old manifest must not be taken for that of the new bytes, nor the new one for that of the old.
                self.store(Record { phase: Phase::Idle, ..self.record }).await?;
                let mut buffer = [0; BUFFER];
                self.map.store_item(&mut buffer, &target, &&signed[..]).await.map_err(Error::of_map)?;
                self.store(Record { phase: Phase::Writing { done: 0 }, ..self.record }).await?;
                0
            }
        };
        Ok(Update::new(self, manifest, done))
    }

    /// Runs the self-test of a finished update, which gets the place of its file and its manifest, and makes the update
    /// the active model if it passes. [`passes`](crate::passes) is such a test.
    ///
    /// # Errors
    /// When there is no finished update.
    pub async fn activate(
        &mut self,
        test: impl FnOnce(Range<u32>, &Manifest) -> bool,
    ) -> Result<Activated, Error<F::Error>> {
        let starts = match self.record.phase {
            Phase::Written => 0,
            Phase::Trying { starts } => starts,
            _ => return Err(Error::NoUpdate),
        };
        let target = self.record.target();
        let Some(update) = self.whole(target).await? else {
            // What was whole is not any more.
            self.drop_update().await?;
            return Ok(Activated::RolledBack);
        };
        self.store(Record { phase: Phase::Trying { starts: starts.saturating_add(1) }, ..self.record })
            .await?;
        if !test(update.image.clone(), &update.manifest) {
            self.drop_update().await?;
            return Ok(Activated::RolledBack);
        }
        self.store(Record { active: Some(target), phase: Phase::Idle }).await?;
        self.active = Some(update);
        Ok(Activated::Yes)
    }

    /// Whether there is a finished update to [`activate`](Slots::activate), also from before a restart.
    pub fn has_update(&self) -> bool {
        matches!(self.record.phase, Phase::Written | Phase::Trying { .. })
    }

    pub(crate) fn slot(&self, slot: u8) -> Range<u32> {
        self.layout.slots[usize::from(slot & 1)].clone()
    }

    pub(crate) async fn store(&mut self, record: Record) -> Result<(), Error<F::Error>> {
        if self.record == record {
            return Ok(());
        }
        let mut buffer = [0; BUFFER];
        self.map.store_item(&mut buffer, &RECORD, &record).await.map_err(Error::of_map)?;
        self.record = record;
        Ok(())
    }

    async fn load(&mut self) -> Result<Record, Error<F::Error>> {
        let mut buffer = [0; BUFFER];
        let found = self.map.fetch_item::<Record>(&mut buffer, &RECORD).await.map_err(Error::of_map)?;
        Ok(found.unwrap_or_default())
    }

    /// The manifest of a slot, as it was signed.
    async fn manifest(&mut self, slot: u8) -> Result<Option<Signed>, Error<F::Error>> {
        let mut buffer = [0; BUFFER];
        let found = self.map.fetch_item::<&[u8]>(&mut buffer, &slot).await.map_err(Error::of_map)?;
        Ok(found.and_then(|bytes| Signed::try_from(bytes.get(..SIGNED_BYTES)?).ok()))
    }

    /// Drops an update that is no good. Its manifest goes first: a model that failed its test must never be taken for
    /// the one before the active one.
    async fn drop_update(&mut self) -> Result<(), Error<F::Error>> {
        let mut buffer = [0; BUFFER];
        let target = self.record.target();
        self.map.store_item(&mut buffer, &target, &&[0u8; 0][..]).await.map_err(Error::of_map)?;
        self.store(Record { phase: Phase::Idle, ..self.record }).await
    }

    /// Drops an update whose self-test was started often enough without an end.
    async fn give_up_what_hangs(&mut self) -> Result<(), Error<F::Error>> {
        match self.record.phase {
            Phase::Trying { starts } if starts >= TRIES => self.drop_update().await,
            _ => Ok(()),
        }
    }

    async fn find_active(&mut self) -> Result<(), Error<F::Error>> {
        let Some(active) = self.record.active else { return Ok(()) };
        self.active = self.whole(active).await?;
        if self.active.is_none() && self.record.phase == Phase::Idle {
            // The slot of the model before it, if nothing was written there since.
            let other = 1 - active;
            self.active = self.whole(other).await?;
            if self.active.is_some() {
                self.store(Record { active: Some(other), ..self.record }).await?;
            }
        }
        Ok(())
    }

    /// The model of a slot, if its manifest is signed and its bytes are those of the manifest.
    async fn whole(&mut self, slot: u8) -> Result<Option<Active>, Error<F::Error>> {
        let Some(signed) = self.manifest(slot).await? else { return Ok(None) };
        if !is_signed_by(&signed, &self.key) {
            return Ok(None);
        }
        let Some(manifest) = Manifest::parse(&signed) else { return Ok(None) };
        let range = self.slot(slot);
        if manifest.length > range.end - range.start {
            return Ok(None);
        }
        let image = range.start..range.start + manifest.length;
        Ok((self.hash(image.clone()).await? == manifest.hash).then_some(Active { image, manifest }))
    }

    /// SHA-256 of a part of the flash.
    pub(crate) async fn hash(&mut self, range: Range<u32>) -> Result<[u8; 32], Error<F::Error>> {
        let mut hash = Sha256::new();
        let mut piece = [0; PIECE];
        let mut at = range.start;
        while at < range.end {
            let bytes = (range.end - at).min(PIECE as u32) as usize;
            // Drivers read whole words; what lies behind the file is its slot's.
            let read = bytes.next_multiple_of(F::READ_SIZE).min(PIECE);
            let Some(piece) = piece.get_mut(..read) else { return Err(Error::Layout) };
            self.map.flash().read(at, piece).await.map_err(Error::Flash)?;
            hash.update(piece.get(..bytes).unwrap_or_default());
            at += bytes as u32;
        }
        Ok(hash.finalize().into())
    }
}

/// Whether all ranges are whole sectors within the flash, and none overlaps another.
fn suits<F: NorFlash>(layout: &Layout, capacity: usize) -> bool {
    let ranges = [&layout.slots[0], &layout.slots[1], &layout.state];
    let sector = F::ERASE_SIZE as u32;
    let whole = |range: &&Range<u32>| {
        range.start < range.end
            && range.start.is_multiple_of(sector)
            && range.end.is_multiple_of(sector)
            && range.end as usize <= capacity
    };
    let apart = |a: &Range<u32>, b: &Range<u32>| a.end <= b.start || b.end <= a.start;
    ranges.iter().all(whole)
        && PIECE.is_multiple_of(F::READ_SIZE)
        && PIECE.is_multiple_of(F::WRITE_SIZE)
        && apart(ranges[0], ranges[1])
        && apart(ranges[0], ranges[2])
        && apart(ranges[1], ranges[2])
}
