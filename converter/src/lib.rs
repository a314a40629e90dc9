//! Ferrolite's host side: imports trained networks, quantizes them to int8, writes `.ferro` files,
//! and runs, compares and measures them on the host and on boards.

// Denied rather than forbidden for one exception: the readers that flatc generated in
// `import::tflite`, which no one edits and which run only behind the flatbuffers verifier.
#![deny(unsafe_code)]

pub mod bench;
pub mod bindings;
pub mod board;
pub mod cli;
pub mod compare;
pub mod convert;
pub mod data;
pub mod eager;
pub mod emit;
pub mod error;
pub mod facts;
pub mod graph;
pub mod import;
pub mod model_file;
pub mod ops;
pub mod passes;
pub mod quantize;
pub mod reference;
pub mod report;
pub mod run;

pub use error::{Error, Fault, Result};
