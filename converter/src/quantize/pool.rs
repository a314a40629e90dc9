//! Where questions about all samples are answered, if some of the samples lie elsewhere: see [`ask`](super::ask).

use crate::error::{Error, Result};

/// The hash of a question.
pub type Question = [u8; 32];

/// Where questions about all samples are answered.
pub trait Pool: Sync {
    /// The answers of all parts; `None` if they were not asked yet.
    fn known(&self, question: &Question) -> Option<Vec<&[u64]>>;

    /// Takes note of a question without an answer. `gather` gives that of the samples that lie here.
    ///
    /// # Errors
    /// Always: what follows depends on the answers of all parts.
    fn unanswered(&self, question: Question, gather: &mut dyn FnMut() -> Result<Vec<u64>>) -> Error;

    /// Whether some of all samples can be drawn.
    fn can_draw(&self) -> bool;
}
