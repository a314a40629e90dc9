//! Why a layer of a file becomes no nodes of the graph. Importers that translate layer by layer share this
//! type.

use crate::error::{Error, Result};

/// Why a layer is not translated.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The operator is not known.
    Unknown,
    /// The operator is known, but this form of it cannot be computed. The reason is for people.
    Unsupported(String),
    /// The file contradicts itself.
    Broken(Error),
}

impl Refusal {
    /// Why Ferrolite cannot compute the layer; empty if the operator is not known. A contradiction in the
    /// file stays an error.
    pub fn reason(self) -> Result<String> {
        match self {
            Refusal::Unknown => Ok(String::new()),
            Refusal::Unsupported(reason) => Ok(reason),
            Refusal::Broken(error) => Err(error),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Broken(error)
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Unsupported(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Refusal {
        Refusal::Unsupported(reason.into())
    }
}

/// Refuses a form of a layer, for this reason.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unsupported(reason.into()))
}
