//! What stands below Ferrolite's importers and its converter: the [`graph`] of a network, the float
//! [`mod@reference`] that runs it, the one [`error`] type of the host side, and work on numbered samples.
//!
//! It is a crate of its own since it is the numeric part: the float reference is built with optimisations where
//! everything above it is not worth the compiler's time. Programs use it through the crate `ferrolite`, which
//! hands on all of it under the same names.

pub mod error;
pub mod graph;
pub mod parallel;
pub mod reference;

pub use error::{Error, Fault, Result};

/// The examples of the crate's page are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
