//! Why a node of the file is not translated.

use crate::error::Error;

/// Why a node is not translated.
#[derive(Debug)]
pub(super) enum Fault {
    /// A form that Ferrolite cannot compute; the reason is for people.
    Unsupported(String),
    /// The file contradicts itself.
    Broken(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Broken(error)
    }
}

/// A form that is not supported.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unsupported(reason.into()))
}
