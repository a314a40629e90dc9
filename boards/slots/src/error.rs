//! What can go wrong.

use core::fmt;

/// An error of the slots, with `E` of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The flash, or what is left of its power.
    Flash(E),
    /// What is known of the slots cannot be read or stored: the state's range is too small, or damaged.
    State,
    /// The layout does not suit the flash: ranges overlap, or do not begin and end with a sector.
    Layout,
    /// The manifest is not one of this version.
    Manifest,
    /// The signature is not by our key.
    Signature,
    /// The version is not above that of the active model.
    Version {
        /// Of the update.
        offered: u32,
        /// Of the active model.
        active: u32,
    },
    /// The model file has more bytes than a slot.
    TooLarge {
        /// Of the update.
        bytes: u32,
        /// Of a slot.
        slot: u32,
    },
    /// More bytes than the manifest says, or fewer at the end.
    Length,
    /// The bytes are not those that were signed.
    Hash,
    /// The flash has failed during this update: begin again, which goes on with it.
    Stopped,
    /// There is no finished update to activate.
    NoUpdate,
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Flash(error) => write!(f, "the flash: {error:?}"),
            Error::State => f.write_str(
                "the state of the slots cannot be kept: its range is damaged, or smaller than two sectors",
            ),
            Error::Layout => f.write_str(
                "the layout does not suit the flash: slots and state take whole sectors and do not overlap",
            ),
            Error::Manifest => f.write_str("this is no manifest of this version"),
            Error::Signature => f.write_str("the signature is not by the key that this firmware trusts"),
            Error::Version { offered, active } => {
                write!(f, "version {offered} is not above {active}, which is active")
            }
            Error::TooLarge { bytes, slot } => write!(f, "the model has {bytes} bytes, a slot has {slot}"),
            Error::Length => f.write_str("these are more or fewer bytes than the manifest says"),
            Error::Hash => f.write_str("these are not the bytes that were signed"),
            Error::Stopped => {
                f.write_str("the flash has failed during this update: begin again, which goes on with it")
            }
            Error::NoUpdate => f.write_str("there is no finished update"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

impl<E> Error<E> {
    /// An error of the map: of the flash below it, or of what it keeps.
    pub(crate) fn of_map(error: sequential_storage::Error<E>) -> Error<E> {
        match error {
            sequential_storage::Error::Storage { value, .. } => Error::Flash(value),
            _ => Error::State,
        }
    }
}
