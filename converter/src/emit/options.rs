//! How a file is made.

use ferrolite_schema::{Rounding, Target};

/// How a file is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The core that packing is chosen for; it never changes a result.
    pub target: Target,
    /// How accumulators are scaled down.
    pub rounding: Rounding,
    /// SHA-256 of the source model; empty if there is none.
    pub source_hash: Vec<u8>,
    /// What the file says about itself.
    pub metadata: Metadata,
    /// Leaves out metadata and the names of layers and tensors; names of inputs and outputs stay.
    pub strip: bool,
    /// Raw bytes of all inputs, one behind the other: the file then records what the model answers to
    /// them, and a device can check itself.
    pub self_test: Option<Vec<u8>>,
    /// Which convolutions are made by Winograd's algorithm.
    pub winograd: Winograd,
    /// The memories that the arena is divided among, the fastest first; one of any size where none are given.
    pub memories: Vec<Memory>,
}

/// A memory of a device, and how much of it an arena may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What people call it.
    pub name: String,
    /// Bytes.
    pub bytes: u32,
}

/// Use of Winograd's algorithm for convolutions with 3x3 filters and stride 1, on cores with kernels for it
/// (Cortex-M4, M7, M33). It is faster, takes more flash, and never changes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winograd {
    /// Nowhere.
    Never,
    /// Where it saves most, as long as it adds at most this many bytes to the file.
    Within(u64),
    /// Wherever it can be done, for tests.
    Always,
}

impl Default for Winograd {
    /// 40 KiB: what flash usually has left beside a model of some hundred kilobytes.
    fn default() -> Winograd {
        Winograd::Within(40 << 10)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            target: Target::Portable,
            rounding: Rounding::Double,
            source_hash: Vec::new(),
            metadata: Metadata::default(),
            strip: false,
            self_test: None,
            winograd: Winograd::default(),
            memories: Vec::new(),
        }
    }
}

/// What a file says about itself; empty texts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the model.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who made it.
    pub author: String,
    /// Its licence.
    pub licence: String,
    /// Names of the classes, in the order of the outputs.
    pub labels: Vec<String>,
}
