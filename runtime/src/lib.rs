//! Runs int8 neural networks on microcontrollers, and on the host with the same bytes.
//!
//! | | |
//! |---|---|
//! | the module of `convert --rust` | one model as types: start here |
//! | [`Interpreter`], [`Model`], [`Arena`] | any model, ports by index and by name |
//! | [`ops`] | the operators that a program may link; [`ops::custom`] for one of your own |
//! | [`Observer`] | profiling, tracing, checks of single layers |
//! | `profile` (features `log`, `defmt`) | a line of a log for each op with its time, and for each output |
//! | [`quant`] | the arithmetic of quantization |
//! | [`self_test`] | whether this build gives the converter's answers |
//!
//! No allocator, no global state, no panics: with the arena that the converter computed, nothing
//! that is called after [`Interpreter::new`] can fail for a reason that lies in the file.
//!
//! `ferrolite convert --rust` writes a module with a model's own types, which links only the operators that the model
//! uses:
//!
//! ```
//! # mod sine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.rs")); }
//! # static MODEL: sine::File =
//! #     sine::File::new(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro")));
//! # const _: &str = stringify! {
//! mod sine;
//! static MODEL: sine::File = sine::File::new(include_bytes!("sine.ferro"));
//! # };
//! use ferrolite_runtime::Error;
//!
//! fn answer(memory: &mut sine::Memory, x: f32) -> Result<f32, Error> {
//!     let mut net = sine::bind(&MODEL, memory)?;
//!     let output: &[i8; 1] = net.run(&[sine::input0::quantize(x)]);
//!     Ok(sine::output0::dequantize(output[0]))
//! }
//! # let y = answer(&mut sine::Memory::new(), 1.5).unwrap();
//! # assert!((y - 1.5f32.sin()).abs() < 0.1, "{y}");
//! ```
//! [`Interpreter`] runs any file with any set of operators, ports by index and by name.
//!
//! # What is not documented here
//!
//! `kernels`, `packing`, `tensor`, `winograd`, `typed` and the modules of single operators are public for the converter,
//! for the tests and for the module of `convert --rust`. They promise no stability: a later version may change them
//! without notice.
//!
//! ```text
//! error, quant, tensor  <-  kernels  <-  ops  <-  interpreter  <-  typed
//! ```
#![no_std]
#![deny(unsafe_code)]
#![deny(missing_debug_implementations)]

#[cfg(feature = "cases")]
extern crate std;

mod arena;
#[cfg(feature = "cases")]
#[doc(hidden)]
pub mod cases;
mod entries;
mod error;
mod gates;
mod interpreter;
#[doc(hidden)]
pub mod kernels;
mod memories;
mod node;
pub mod ops;
#[doc(hidden)]
pub mod packing;
#[cfg(any(feature = "log", feature = "defmt"))]
pub mod profile;
pub mod quant;
pub mod self_test;
mod taken;
#[doc(hidden)]
pub mod tensor;
#[doc(hidden)]
pub mod typed;
mod variables;
#[doc(hidden)]
pub mod winograd;

pub use arena::{AlignedBytes, Arena, ModelFile};
pub use entries::Entry;
pub use error::{Error, Fault};
pub use ferrolite_schema::{DType, KERNELS, Model, OpCode, Port, Rounding, Target};
pub use ferrolite_schema::{MANIFEST_BYTES, Manifest, SIGNED_BYTES};
pub use interpreter::{Interpreter, Observer, Step, check};
pub use memories::Memories;
pub use node::{Eval, Node};
pub use ops::{OpSet, Operator};
pub use tensor::Element;

#[doc(hidden)]
pub use {arena::Aligned, ferrolite_schema::params, interpreter::check_op};

/// Whether a model that is packed for `target` may be compiled in: this build has its kernels, or the model is
/// packed for none, or the build is for a host, where firmware is simulated, or the feature `foreign-kernels` is on.
/// The module that `convert --rust` writes asks at compile time.
pub const fn accepts(target: Target) -> bool {
    let packed = !matches!(target, Target::Portable);
    target.is_native() || !packed || !cfg!(device) || cfg!(feature = "foreign-kernels")
}

/// The examples of the crate's page are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
