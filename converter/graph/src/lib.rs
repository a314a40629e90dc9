//! The layer below Ferrolite's importers and its converter: the [`graph`] of a network with the list of its
//! operators, the [`float`](mod@float) kernels that compute them, the one [`error`] type of the host side,
//! and parallel work on numbered samples.
//!
//! It is a crate of its own because it is the numeric part: the float kernels are built with optimisations,
//! while everything above them is not worth the compiler's time. Programs use it through the crate
//! `ferrolite`, which re-exports the graph and the errors under the same names.

pub mod error;
pub mod float;
pub mod graph;
pub mod parallel;

pub use error::{Error, Fault, Result};

/// The examples on the crate's page are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
