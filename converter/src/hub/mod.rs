//! The hub: an index of models, each with licence, origin, SHA-256, labels, test vectors, accuracy, memory, and what an
//! inference costs on boards. An index is one JSON file beside its models, in a folder or on any static server.
//!
//! ```text
//! HUB/index.json               all entries; `ferrolite hub index HUB` writes it from the files below
//! HUB/digits/entry.json        what a person writes of one: summary, licence, origin, labels, which files
//! HUB/digits/model.tflite      its source, or an address and a SHA-256 where it lies elsewhere
//! HUB/digits/vectors.npz       inputs in0, … and what a device answers: out0, …, as stored
//! ```
//!
//! An entry's figures are computed from its files, never typed. Whoever takes a model has the same bytes as who measured it
//! (SHA-256), and its device's bytes (vectors), or an error.
//!
//! ```
//! use ferrolite::hub::{Hub, Wanted};
//!
//! let hub = Hub::open(None)?;                      // the models that come with Ferrolite
//! let entry = hub.find("sine")?;
//! let taken = hub.take(entry, &Wanted::default(), &())?;
//! assert_eq!(taken.vectors, Some(8));              // all of them gave the bytes that they should
//! println!("{}: {} bytes", entry.summary, taken.file.bytes().len());
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod address;
mod caches;
mod entry;
mod figures;
pub(crate) mod object;
mod place;
mod shipped;
mod take;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use entry::{Accuracy, BoardFigures, Entry, Figures, Measure, Port, Source};
pub use figures::index;
pub use take::{Taken, Wanted};

use self::object::{Object, plainly};
use self::place::Place;
use crate::error::{Error, Result};

/// The version of the index's format.
const FORMAT: u32 = 1;

/// All entries of a hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// The version of the format, 1.
    pub format: u32,
    /// The entries, in the order of their names.
    #[serde(deserialize_with = "object::list")]
    pub entries: Vec<Entry>,
}

impl Index {
    /// Reads an index; `name` is its name in errors.
    fn parse(name: &str, text: &[u8]) -> Result<Index> {
        let wrong = |why: String| {
            Error::input(format!("{name} is no index of models: {why}"))
                .help("`ferrolite hub index DIR` writes one; see the book's page on the hub")
        };
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let parsed = serde_json::from_slice(text);
        let Object(head): Object<Head> = parsed.map_err(|e| wrong(plainly(&e)))?;
        if head.format != FORMAT {
            return Err(Error::input(format!(
                "{name}: is an index of format {}, this ferrolite reads format {FORMAT}",
                head.format
            ))
            .help("update ferrolite, or the index with `ferrolite hub index DIR`"));
        }
        let Object(index): Object<Index> = serde_json::from_slice(text).map_err(|e| wrong(plainly(&e)))?;
        let mut names = BTreeSet::new();
        for (place, entry) in index.entries.iter().enumerate() {
            entry.check().map_err(|error| error.context(format!("{name}: entry {place}")))?;
            if !names.insert(&entry.name) {
                return Err(Error::input(format!("{name}: entry {place}: there is a model `{}` already", entry.name))
                    .help("give each model a name of its own: make the index anew with `ferrolite hub index DIR`, or tell who keeps it"));
            }
        }
        Ok(index)
    }
}

/// An index, and where its files are.
pub struct Hub {
    place: Place,
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Hub {
    /// Opens an index: a folder with an `index.json`, such a file, the address of one (`http://`, `https://`), or the words
    /// `kagglehub` and `huggingface` for what these have downloaded. Without one, the models that come with Ferrolite.
    ///
    /// # Errors
    /// When the index cannot be had, or is none.
    pub fn open(index: Option<&str>) -> Result<Hub> {
        if let Some(cache) = index.and_then(caches::Cache::named) {
            let (folder, entries) = cache.entries()?;
            return Ok(Hub { place: Place::Folder(folder), entries });
        }
        let (place, name, text) = Place::open(index)?;
        Ok(Hub { place, entries: Index::parse(&name, &text)?.entries })
    }

    /// The entry of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str) -> Result<&Entry> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            Error::input(format!("{}: has no model `{name}`; it has {}", self.place, names.join(", ")))
                .help("`ferrolite hub list` shows them; --index names another hub")
        })
    }
}
