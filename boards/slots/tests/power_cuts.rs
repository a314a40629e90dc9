//! Power cuts at every byte that the slots write or erase: afterwards there is always a whole, verified model, the one
//! before or the one after, and the update goes on.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use ed25519_dalek::{Signer, SigningKey};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use ferrolite_runtime::{Arena, Interpreter, Model, ops, self_test};
use ferrolite_slots::{Error, Layout, Manifest, SIGNED_BYTES, Signed, Slots, TRIES, passes};
use sha2::{Digest, Sha256};

const SECTOR: usize = 512;
const SECTORS: usize = 40;
const LAYOUT: Layout = Layout { slots: [0..9216, 9216..18432], state: 18432..20480 };

/// Memory of a flash, which stays when the power goes.
#[derive(Clone)]
#[repr(align(16))]
struct Chip([u8; SECTOR * SECTORS]);

/// A flash that loses power when it has written or erased so many more bytes.
struct Flash<'c> {
    chip: &'c RefCell<Chip>,
    left: &'c Cell<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The power is gone.
    Power,
    /// A driver would refuse it: bits that are not erased, no whole words or sectors.
    Misuse,
}

impl NorFlashError for Fault {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Flash<'_> {
    type Error = Fault;
}

impl Flash<'_> {
    fn spend(&self) -> Result<(), Fault> {
        let left = self.left.get().checked_sub(1).ok_or(Fault::Power)?;
        self.left.set(left);
        Ok(())
    }
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Fault> {
        if self.left.get() == 0 {
            return Err(Fault::Power);
        }
        if !bytes.len().is_multiple_of(Self::READ_SIZE) {
            return Err(Fault::Misuse);
        }
        bytes.copy_from_slice(&self.chip.borrow().0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        SECTOR * SECTORS
    }
}

impl NorFlash for Flash<'_> {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = SECTOR;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Fault> {
        if !(from as usize).is_multiple_of(SECTOR) || !(to as usize).is_multiple_of(SECTOR) {
            return Err(Fault::Misuse);
        }
        for at in from as usize..to as usize {
            self.spend()?;
            self.chip.borrow_mut().0[at] = 0xFF;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        let at = offset as usize;
        let whole = at.is_multiple_of(Self::WRITE_SIZE) && bytes.len().is_multiple_of(Self::WRITE_SIZE);
        // Flash with error correction takes each word once, but for zeros, which hold whatever was there.
        let fits = |(index, word): (usize, &[u8])| {
            let chip = self.chip.borrow();
            let erased =
                chip.0[at + index * Self::WRITE_SIZE..][..Self::WRITE_SIZE].iter().all(|&byte| byte == 0xFF);
            erased || word.iter().all(|&byte| byte == 0)
        };
        if !whole || !bytes.chunks(Self::WRITE_SIZE).enumerate().all(fits) {
            return Err(Fault::Misuse);
        }
        for (to, &from) in (at..).zip(bytes) {
            self.spend()?;
            self.chip.borrow_mut().0[to] = from;
        }
        Ok(())
    }
}

#[repr(align(16))]
struct File<const N: usize>([u8; N]);

static SINE: File<{ include_bytes!("../../../tests/models/sine/sine.ferro").len() }> =
    File(*include_bytes!("../../../tests/models/sine/sine.ferro"));
fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A manifest with its signature, as `ferrolite sign` writes it.
fn sign(manifest: &Manifest, key: &SigningKey) -> Signed {
    let bytes = manifest.to_bytes();
    let mut signed = [0; SIGNED_BYTES];
    signed[..bytes.len()].copy_from_slice(&bytes);
    signed[bytes.len()..].copy_from_slice(&key.sign(&bytes).to_bytes());
    signed
}

fn manifest_of(file: &[u8], version: u32) -> Manifest {
    let model = Model::from_bytes(file).unwrap();
    let mut arena = Arena::<4096>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    Manifest {
        version,
        length: file.len() as u32,
        arena: model.arena_bytes() as u32,
        inferences: 2,
        sum: self_test::sum(&mut net, 2).unwrap(),
        hash: Sha256::digest(file).into(),
    }
}

fn update(file: &[u8], version: u32) -> (Signed, Vec<u8>) {
    (sign(&manifest_of(file, version), &key()), file.to_vec())
}

fn open<'c>(chip: &'c RefCell<Chip>, left: &'c Cell<u64>) -> Result<Slots<Flash<'c>>, Error<Fault>> {
    block_on(Slots::open(Flash { chip, left }, LAYOUT, &key().verifying_key()))
}

/// What a device does after each start: goes on with the update that it is offered.
fn device(
    chip: &RefCell<Chip>,
    left: &Cell<u64>,
    offer: &(Signed, Vec<u8>),
    piece: usize,
) -> Result<(), Error<Fault>> {
    let mut slots = open(chip, left)?;
    let version = Manifest::parse(&offer.0).unwrap().version;
    if slots.active().is_some_and(|active| active.manifest.version >= version) {
        return Ok(());
    }
    block_on(async {
        let mut update = slots.begin(&offer.0).await?;
        while update.offset() < update.length() {
            let at = update.offset() as usize;
            update.write(&offer.1[at..offer.1.len().min(at + piece)]).await?;
        }
        update.finish().await?;
        let mut arena = Arena::<4096>::new();
        let tested = slots.activate(|range, manifest| {
            // Where it lies, as a device has its flash among its addresses.
            let chip = chip.borrow();
            passes(manifest, &chip.0[range.start as usize..range.end as usize], ops::ALL, &mut arena)
        });
        tested.await.map(drop)
    })
}

/// The version of the whole model that a start finds.
fn version(chip: &RefCell<Chip>) -> Option<u32> {
    let left = Cell::new(u64::MAX);
    open(chip, &left).unwrap().active().map(|active| active.manifest.version)
}

fn blank() -> RefCell<Chip> {
    RefCell::new(Chip([0xFF; SECTOR * SECTORS]))
}

/// A chip with version 1.
fn installed(offer: &(Signed, Vec<u8>)) -> RefCell<Chip> {
    let chip = blank();
    device(&chip, &Cell::new(u64::MAX), offer, 1000).unwrap();
    assert_eq!(version(&chip), Some(1));
    chip
}

#[test]
fn a_power_cut_at_any_byte_leaves_a_whole_model() {
    let offers = [update(&SINE.0, 1), update(&SINE.0, 2)];
    let before = installed(&offers[0]);
    let left = Cell::new(u64::MAX);
    let chip = before.clone();
    device(&chip, &left, &offers[1], 100).unwrap();
    let bytes = u64::MAX - left.get();
    assert!(bytes > 4000 && version(&chip) == Some(2), "{bytes}");
    for cut in 0..bytes {
        let chip = before.clone();
        let result = device(&chip, &Cell::new(cut), &offers[1], 100);
        assert!(result.is_err(), "the power went after {cut} bytes");
        let found = version(&chip);
        assert!(found == Some(1) || found == Some(2), "after {cut} bytes: {found:?}");
        // The next start ends it.
        device(&chip, &Cell::new(u64::MAX), &offers[1], 77).unwrap();
        assert_eq!(version(&chip), Some(2), "after {cut} bytes");
    }
}

#[test]
fn ten_thousand_cuts_in_a_life_of_updates() {
    let chip = blank();
    let (mut random, mut cuts, mut release) = (0x5EEDu64, 0, 1);
    let mut next = || {
        // Knuth's MMIX generator.
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        random >> 33
    };
    while cuts < 10_000 {
        let offer = update(&SINE.0, release);
        loop {
            let before = version(&chip);
            let left = Cell::new(next() % 3000);
            let result = device(&chip, &left, &offer, 1 + (next() % 700) as usize);
            let after = version(&chip);
            assert!(after == before || after == Some(release), "{before:?} became {after:?} by cut {cuts}");
            assert!(before.is_none() || after.is_some());
            if result.is_ok() && after == Some(release) {
                break;
            }
            cuts += 1;
        }
        release += 1;
    }
    assert!(release > 100, "{release} releases");
}

#[test]
fn what_is_not_ours_is_refused_before_anything_is_erased() {
    let first = update(&SINE.0, 5);
    let chip = installed(&update(&SINE.0, 1));
    device(&chip, &Cell::new(u64::MAX), &first, 64).unwrap();
    let kept = chip.borrow().0;
    let left = Cell::new(u64::MAX);
    let refused = |signed: &Signed, chip: &RefCell<Chip>| {
        let mut slots = open(chip, &left).unwrap();
        block_on(slots.begin(signed)).err()
    };
    let mut forged = update(&SINE.0, 6).0;
    forged[5] ^= 1;
    assert_eq!(refused(&forged, &chip), Some(Error::Signature));
    let other = sign(&manifest_of(&SINE.0, 9), &SigningKey::from_bytes(&[8; 32]));
    assert_eq!(refused(&other, &chip), Some(Error::Signature));
    assert_eq!(refused(&update(&SINE.0, 5).0, &chip), Some(Error::Version { offered: 5, active: 5 }));
    let large = sign(&Manifest { length: 10_000, ..manifest_of(&SINE.0, 7) }, &key());
    assert_eq!(refused(&large, &chip), Some(Error::TooLarge { bytes: 10_000, slot: 9216 }));
    assert_eq!(refused(&[0; ferrolite_slots::SIGNED_BYTES], &chip), Some(Error::Manifest));
    assert!(chip.borrow().0 == kept, "something was written");
}

#[test]
fn other_bytes_than_were_signed_and_failing_tests_are_rolled_back() {
    let chip = installed(&update(&SINE.0, 1));
    let left = Cell::new(u64::MAX);
    // A byte that was turned on its way.
    let (signed, mut file) = update(&SINE.0, 2);
    file[100] ^= 4;
    assert_eq!(device(&chip, &left, &(signed, file), 64), Err(Error::Hash));
    assert_eq!(version(&chip), Some(1));
    // Another sum than the device computes.
    let wrong = Manifest { sum: 1, ..manifest_of(&SINE.0, 3) };
    device(&chip, &left, &(sign(&wrong, &key()), SINE.0.to_vec()), 64).unwrap();
    assert_eq!(version(&chip), Some(1));
    // It is not taken either when the active model's bytes decay.
    let image = block_on(async { open(&chip, &left).unwrap().active().unwrap().image.clone() });
    chip.borrow_mut().0[image.start as usize + 50] ^= 1;
    assert_eq!(version(&chip), None);
}

#[test]
fn an_update_whose_flash_failed_takes_no_more_and_goes_on_from_its_last_sector() {
    let chip = installed(&update(&SINE.0, 1));
    let offer = update(&SINE.0, 2);
    let left = Cell::new(u64::MAX);
    let mut slots = open(&chip, &left).unwrap();
    block_on(async {
        let mut update = slots.begin(&offer.0).await.unwrap();
        update.write(&offer.1[..600]).await.unwrap();
        left.set(5);
        assert_eq!(update.write(&offer.1[600..1400]).await, Err(Error::Flash(Fault::Power)));
        // The flash works again, but nothing is known of the word that it failed at.
        left.set(u64::MAX);
        assert_eq!(update.write(&offer.1[1400..]).await, Err(Error::Stopped));
        assert_eq!(update.finish().await, Err(Error::Stopped));
        let mut update = slots.begin(&offer.0).await.unwrap();
        assert_eq!(update.offset() as usize, SECTOR);
        update.write(&offer.1[SECTOR..]).await.unwrap();
        update.finish().await.unwrap();
    });
    assert!(slots.has_update());
}

#[test]
fn a_self_test_that_never_ends_is_given_up() {
    let chip = installed(&update(&SINE.0, 1));
    let offer = update(&SINE.0, 2);
    let left = Cell::new(u64::MAX);
    for start in 0..TRIES {
        let mut slots = open(&chip, &left).unwrap();
        assert_eq!(slots.has_update(), start > 0);
        if start == 0 {
            block_on(async {
                let mut update = slots.begin(&offer.0).await.unwrap();
                update.write(&offer.1).await.unwrap();
                update.finish().await.unwrap();
            });
        }
        // The watchdog.
        let reset = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            block_on(slots.activate(|_, _| panic!("the device is reset")))
        }));
        assert!(reset.is_err());
    }
    let mut slots = open(&chip, &left).unwrap();
    assert!(!slots.has_update());
    assert_eq!(block_on(slots.activate(|_, _| true)), Err(Error::NoUpdate));
    assert_eq!(slots.active().unwrap().manifest.version, 1);
}

#[test]
fn the_model_before_is_active_again_when_the_new_one_decays() {
    let chip = installed(&update(&SINE.0, 1));
    device(&chip, &Cell::new(u64::MAX), &update(&SINE.0, 2), 64).unwrap();
    let image = open(&chip, &Cell::new(u64::MAX)).unwrap().active().unwrap().image.clone();
    chip.borrow_mut().0[image.start as usize + 500] ^= 1;
    assert_eq!(version(&chip), Some(1));
    // And an update goes on from there.
    device(&chip, &Cell::new(u64::MAX), &update(&SINE.0, 3), 64).unwrap();
    assert_eq!(version(&chip), Some(3));
}

#[test]
fn a_layout_that_does_not_suit_is_refused() {
    let chip = blank();
    let left = Cell::new(u64::MAX);
    let ranges: [Range<u32>; 3] = [0..9216, 9216..18432, 18432..20480];
    for (index, range) in
        [(0, 1..9217), (1, 9000..18432), (2, 18432..20992), (2, 17920..20480), (0, 512..512)]
    {
        let mut wrong = ranges.clone();
        wrong[index] = range;
        let [a, b, state] = wrong;
        let flash = Flash { chip: &chip, left: &left };
        let opened = block_on(Slots::open(flash, Layout { slots: [a, b], state }, &key().verifying_key()));
        assert!(matches!(opened.err(), Some(Error::Layout)), "range {index}");
    }
}
