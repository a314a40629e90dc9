//! Entry points: programs of one file that work on the same constants and the same state.
//!
//! A streaming model may have one that takes a step and one that resets it; a coder one for each direction. The file's own
//! program is the first of them, and all that a program alone needs is in the root table: a file with one program has
//! nothing of this, and [`Model::from_bytes`] does not look for it. The others are verified when they are asked for, each
//! by itself, as the first one is.

use crate::verify::program;
use crate::{Error, Model};

impl<'a> Model<'a> {
    /// How many programs with a name the file has; 0 where it has but one, which then has no name.
    pub fn entries(&self) -> usize {
        self.named_entries()
    }

    /// Name of a program.
    pub fn entry_name(&self, index: usize) -> Option<&'a str> {
        self.name_of_entry(index)
    }

    /// The program of this name, verified: it has inputs, outputs and ops of its own, and the constants, the arena and the
    /// state of this one. `None` where the file has none of this name. Other than a file's first program it may be without
    /// inputs, and without outputs.
    ///
    /// # Errors
    /// Where the program is not sound, or asks for other memory than this one.
    pub fn entry(&self, name: &str) -> Result<Option<Model<'a>>, Error> {
        let index = (0..self.entries()).find(|&index| self.entry_name(index) == Some(name));
        index.map(|index| self.entry_at(index)).transpose()
    }

    /// The program of this number, the file's own first; otherwise as [`entry`](Model::entry).
    ///
    /// # Errors
    /// As [`entry`](Model::entry), and where there is no such program.
    pub fn entry_at(&self, index: usize) -> Result<Model<'a>, Error> {
        let model = self.found_entry(index).ok_or(Error::Entry { entry: index as u16 })?;
        program::<false>(&model)?;
        Ok(model)
    }
}
