//! Ferrolite's host side: imports trained networks, quantizes them to int8, writes `.ferro` files,
//! and runs, compares and measures them on the host and on boards.

#![forbid(unsafe_code)]

pub mod data;
pub mod emit;
pub mod error;
pub mod graph;
pub mod import;
pub mod ops;
pub mod quantize;
pub mod reference;

pub use error::{Error, Fault, Result};
