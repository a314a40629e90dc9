//! From a quantized graph to a `.ferro` file.
//!
//! ```text
//! Graph --lower--> Program --plan--> Program with offsets --write--> bytes
//! ```
//! Lowering (`crate::ops`, one file per operator) turns each node into ops of the device with finished
//! numbers. Planning gives every tensor and scratch buffer its place in one arena. Writing makes the
//! FlatBuffers file.

mod lowering;

pub use lowering::{Constants, Lowered, Lowering};
