//! Importers: foreign model files become a [`Graph`].
//!
//! One folder or file per format, each with one type that implements [`Importer`]; adding a format
//! is that folder and one line in the list below.

use std::path::Path;

use crate::error::Result;
use crate::graph::Graph;

/// What a model file became.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network. Layers and tensors keep the author's names.
    pub graph: Graph,
    /// Name of the format, for people: `TensorFlow Lite`, ….
    pub format: &'static str,
    /// SHA-256 of the file (of a directory: of its files in the order of their names).
    pub source_hash: [u8; 32],
    /// What the importer widened or ignored and a person should know, one sentence each.
    pub notes: Vec<String>,
}

/// Reads one model format.
pub trait Importer: Sync {
    /// Name of the format, for people.
    fn format(&self) -> &'static str;

    /// Whether the file looks like this format, judged by its first bytes and its name.
    fn recognises(&self, path: &Path, head: &[u8]) -> bool;

    /// Reads the file. Operators that Ferrolite does not know become `Op::Unsupported`, so that
    /// the caller can name all of them at once.
    fn import(&self, path: &Path) -> Result<Imported>;
}
