//! What is known of a model: what a person wrote, and what was computed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::address::{is_address, is_hash, stays};
use super::object;
use crate::error::{Error, Result};

/// A model of a hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name; the folder's, where an index is made of a folder.
    #[serde(default)]
    pub name: String,
    /// One line: what it does.
    pub summary: String,
    /// The licence of the model.
    pub licence: String,
    /// Who made it, of which data.
    pub provenance: String,
    /// The trained model.
    #[serde(deserialize_with = "object::one")]
    pub source: Source,
    /// Names of the classes, in order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What is done to samples before they go in.
    #[serde(default)]
    pub preprocessing: String,
    /// A `.npz` of inputs `in0`, … and of what a device answers, `out0`, …: stored integers with a leading sample axis.
    #[serde(default, deserialize_with = "object::maybe")]
    pub vectors: Option<Source>,
    /// How its accuracy is measured.
    #[serde(default, deserialize_with = "object::maybe")]
    pub measure: Option<Measure>,
    /// What others have published of its accuracy, in words, where it is not measured here.
    #[serde(default)]
    pub published: Option<String>,
    /// What was computed; absent before `ferrolite hub index`.
    #[serde(default, deserialize_with = "object::maybe")]
    pub figures: Option<Figures>,
}

impl Entry {
    /// Refuses a name or labels that cannot be what they are for.
    pub(super) fn check(&self) -> Result<()> {
        let steps = || self.name.split(['/', '\\']);
        if steps().any(|step| matches!(step, "" | "." | "..")) || self.name.chars().any(char::is_control) {
            return Err(Error::input(format!("the name {:?} is no name of a model", self.name)).help(
                "a name has words with slashes between them, no `..`, and no control characters: tell who keeps the index",
            ));
        }
        for (place, label) in self.labels.iter().enumerate() {
            if label.chars().any(char::is_control) {
                return Err(Error::input(format!(
                    "model `{}`: label {place}, {label:?}, has a line break or another control character",
                    self.name
                ))
                .help("a label is one line: mend `labels` in the model's entry.json, then `ferrolite hub index DIR`"));
            }
        }
        Ok(())
    }
}

/// A file of an entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// A path from the index (in `entry.json`: from the entry's folder), or an address.
    pub file: String,
    /// SHA-256 in hexadecimal. In `entry.json` only for what lies elsewhere.
    #[serde(default)]
    pub sha256: String,
    /// Its size.
    #[serde(default)]
    pub bytes: u64,
}

impl Source {
    /// Refuses a file that lies outside of the hub's folder, and one elsewhere without its SHA-256 or size. `field` is the
    /// source's name in the entry.
    pub(super) fn check(&self, field: &str) -> Result<()> {
        let Source { file, sha256, bytes } = self;
        if !is_address(file) {
            return match stays(file) {
                true => Ok(()),
                false => Err(Error::input(format!(
                    "{field} is the file {file:?}, which leads out of the hub's folder; a path goes down from where it is written"
                ))
                .help("copy the file beside entry.json and give its name, or give an address (https://…) with sha256 and bytes")),
            };
        }
        let missing = match (is_hash(sha256), *bytes) {
            (true, 1..) => return Ok(()),
            (false, _) if sha256.is_empty() => "no sha256".to_string(),
            (false, _) => format!("the sha256 {sha256:?}, which is not 64 hexadecimal digits"),
            (true, 0) => "no bytes".to_string(),
        };
        Err(Error::input(format!("{field} is the address {file} with {missing}"))
            .help("what lies elsewhere needs both beside `file`: `sha256sum FILE` and `wc -c FILE` say them"))
    }
}

/// The data that accuracy is measured on, when the index is made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The name of the data set, for people.
    pub data_set: String,
    /// DATA, a path from the entry's folder.
    pub data: String,
    /// The right answers, likewise.
    pub labels: String,
}

/// What was computed from an entry's files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The version of Ferrolite that did.
    pub ferrolite: String,
    /// Format of the source.
    pub format: String,
    /// Size of the `.ferro` file (target `portable`).
    pub model_bytes: u64,
    /// RAM for activations.
    pub arena_bytes: u64,
    /// Bytes of state that outlive an inference.
    pub state_bytes: u64,
    /// Multiply-accumulate operations of an inference.
    pub macs: u64,
    /// Inputs in the author's order.
    pub inputs: Vec<Port>,
    /// Outputs in the author's order.
    pub outputs: Vec<Port>,
    /// Accuracy of the integers.
    pub accuracy: Option<Accuracy>,
    /// Samples of the vectors, all of which gave the bytes that they should.
    pub vectors: Option<usize>,
    /// Costs by board.
    pub boards: BTreeMap<String, BoardFigures>,
}

/// An input or output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// The author's name.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: String,
    /// Real numbers per integer step.
    pub scale: Option<f32>,
    /// The integer of zero.
    pub zero_point: Option<i32>,
}

/// An accuracy and what it is of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Share of samples whose class is the right one.
    pub share: f64,
    /// Number of samples.
    pub samples: usize,
    /// The data set.
    pub data_set: String,
}

/// What an inference costs on a board; figures of real boards are estimates from modelled cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardFigures {
    /// Modelled cycles.
    pub cycles: Option<u64>,
    /// Instructions.
    pub instructions: Option<u64>,
    /// Milliseconds.
    pub milliseconds: Option<f64>,
    /// Microjoules, where the energy of a cycle is known.
    pub microjoules: Option<f64>,
    /// Flash of model and runtime together.
    pub flash_bytes: Option<u64>,
    /// RAM of arena and stack together.
    pub ram_bytes: Option<u64>,
}
