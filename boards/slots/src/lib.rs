//! Two slots in flash for a model: while one runs, an update is written into the other.
//!
//! ```text
//! `ferrolite sign` --> signed manifest --> begin: is the signature ours, is it newer, does it fit?
//! pieces of the file --> write, sector by sector; after a power cut, from the last whole sector on
//! --> finish: is it the file that was signed?
//! --> activate: does the model's self-test pass on this device? then it is the active one, else the old one stays
//! ```
//! What is known of the slots is one value in a map of `sequential-storage`, which a power cut leaves as it was before
//! or as it is after. A model becomes active by one write of that value, so at every instant there is a whole, verified
//! model. A self-test that never returns (the watchdog resets the device) is given up after [`TRIES`] starts.
//!
//! Any flash will do whose driver has `embedded-storage-async`'s `NorFlash`: an internal one through
//! `embassy-embedded-hal`'s `BlockingAsync`, or a chip outside. Integers and no allocator; a future of these functions
//! may be polled in a task beside others.
//!
//! ```text
//! let mut slots = Slots::open(flash, LAYOUT, &KEY).await?;
//! let model = slots.active();                                  // None before the first one
//! let mut update = slots.begin(&received.manifest).await?;
//! while let Some(piece) = next_from(update.offset()) { update.write(piece).await?; }
//! update.finish().await?;
//! slots.activate(|image, manifest| passes(manifest, mapped(image), OPS, &mut arena)).await?;
//! ```
#![no_std]

mod error;
mod manifest;
mod record;
mod slots;
mod update;

pub use error::Error;
pub use ferrolite_runtime::{MANIFEST_BYTES, Manifest, SIGNED_BYTES};
pub use manifest::{Signed, passes};
pub use slots::{Activated, Active, Layout, Slots, TRIES};
pub use update::Update;
