//! The `.ferro` model file: its records, and the reader that a device trusts.
//!
//! `model.fbs` defines the file, `FORMAT.md` specifies it. [`Model::from_bytes`] checks a file
//! before anything uses it; everything it hands out afterwards is in bounds. The reader allocates
//! nothing and copies nothing: records are `repr(C)` structs that lie in the file as they are.
//!
//! | module | holds |
//! |---|---|
//! | `layout` | the numbers and fixed-size structs of the file, [`params`] among them, made from `model.fbs` |
//! | `records` | what the structs can be asked |
//! | `flatbuffer` | bounds-checked access to FlatBuffers tables and vectors |
//! | [`Model`] | the file, read and verified |
//! | [`Manifest`] | what is signed of a file that is sent to devices |
//! | [`generated`] (feature `host`) | FlatBuffers' own code, which writes files |
#![no_std]
#![deny(unsafe_code)]
#![deny(missing_debug_implementations)]
#![cfg_attr(feature = "host", allow(rustdoc::broken_intra_doc_links))]

#[macro_use]
mod enumeration;
mod custom;
mod dtype;
mod entries;
mod error;
mod flatbuffer;
mod layout;
mod memories;
mod model;
mod records;
mod update;
mod variables;
mod verify;
mod work;

#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
pub use host::generated;

pub use custom::{CUSTOM, CUSTOM_WORDS, custom_code, custom_hash, custom_words, is_custom};
pub use dtype::DType;
pub use error::Error;
pub use layout::{Header, Op, OpCode, Port, Rounding, Storage, Tensor, params};
pub use memories::MAX_MEMORIES;
pub use model::{Model, Names};
pub use records::{Order, Packing, Target};
pub use update::{MANIFEST_BYTES, MANIFEST_IDENTIFIER, Manifest, SIGNED_BYTES};
pub use verify::MAX_STEPS;

/// Version of the file format that this crate reads and writes. A reader refuses every other one.
pub const FORMAT_VERSION: u32 = 2;

/// Level of features that this runtime has. A file that needs a higher one is refused.
pub const RUNTIME_LEVEL: u32 = 1;

/// The kernel set of this build: `armv6m`, `armv7m`, `armv7em`, `mve`, `rv32im`, `x86_64` or `portable`. Target and
/// `-C target-cpu` decide; [`Target::kernels`] names the set that a file is packed for.
pub const KERNELS: &str = env!("FERROLITE_KERNELS");

/// Bytes 4 to 8 of every file.
pub const FILE_IDENTIFIER: [u8; 4] = *b"FERO";

/// Alignment that the file needs in memory, and that constants have within it.
pub const FILE_ALIGNMENT: usize = 16;

#[cfg(target_endian = "big")]
compile_error!("a .ferro file is little-endian and read in place: big-endian cores are not supported");

/// The examples of the crate's page are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
