//! Files that contradict themselves, whatever the format.

use crate::error::Error;

/// What to do about a file that contradicts itself.
pub(super) const DAMAGED: &str =
    "the file is damaged: export the model again, or check that it was copied completely";

/// An error of a file that contradicts itself.
pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::input(what).help(DAMAGED)
}
