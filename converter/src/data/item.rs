//! One sample's file, which may lie in an archive.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::argument::cannot_read;
use crate::error::Result;

/// A file, or a member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its path, for messages: that of the archive is in front of a member's name.
    pub path: PathBuf,
    /// The archive, the member's first byte in it, and its size.
    member: Option<(PathBuf, u64, u64)>,
}

impl From<PathBuf> for Item {
    fn from(path: PathBuf) -> Item {
        Item { path, member: None }
    }
}

impl Item {
    /// A member of an archive, with its first byte and its size.
    pub fn member(path: PathBuf, archive: &Path, start: u64, size: u64) -> Item {
        Item { path, member: Some((archive.to_path_buf(), start, size)) }
    }

    /// Its contents.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let read = || match &self.member {
            None => crate::files::read(&self.path),
            Some((archive, start, size)) => {
                let mut file = crate::files::open(archive)?;
                file.seek(SeekFrom::Start(*start))?;
                let mut bytes = Vec::new();
                file.take(*size).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        };
        read().map_err(|e| cannot_read(&self.path, e))
    }
}
