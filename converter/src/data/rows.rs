//! An array of samples: in memory, or in a file.

use std::borrow::Cow;

use super::npy::{Array, Element};
use super::stream::Stream;
use crate::error::Result;

/// An array of samples.
#[derive(Debug)]
pub enum Rows {
    /// In memory.
    Held(Array),
    /// In a file.
    Streamed(Box<Stream>),
}

impl Rows {
    pub fn element(&self) -> Element {
        match self {
            Rows::Held(array) => array.element(),
            Rows::Streamed(stream) => stream.element(),
        }
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Rows::Held(array) => array.shape(),
            Rows::Streamed(stream) => stream.shape(),
        }
    }

    pub fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(0)
    }

    /// The bytes of one sample.
    pub fn bytes(&self, sample: usize) -> Result<Cow<'_, [u8]>> {
        Ok(match self {
            Rows::Held(array) => Cow::Borrowed(array.row_bytes(sample)),
            Rows::Streamed(stream) => Cow::Owned(stream.row_bytes(sample)?),
        })
    }
}
