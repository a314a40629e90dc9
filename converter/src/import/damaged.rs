//! Errors of files that contradict themselves, in any format.

use crate::error::Error;

/// The help for a file that contradicts itself.
pub(super) const DAMAGED: &str =
    "the file is damaged: export the model again, or check that it was copied completely";

/// An error of a file that contradicts itself.
pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::input(what).help(DAMAGED)
}
