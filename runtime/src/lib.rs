//! Runs int8 neural networks on microcontrollers, and on the host with the same bytes.
//!
//! ```text
//! error, quant, tensor  <-  kernels  <-  ops  <-  interpreter
//! ```
//!
//! - [`tensor`]: element types and views into the arena. Memory is a slice of [`Cell`]s, so tensors
//!   that overlap on purpose (in-place operators) are safe by construction.
//! - [`quant`]: the arithmetic of quantization; the converter calls the same functions.
//! - [`kernels`]: inner loops over slices, one set for each kind of core, all with equal results.
//! - [`ops`]: one file per operator: parameters, checks, shapes, borders; [`ops::custom`]: those of the user's own.
//! - [`Interpreter`]: checks each op once, then walks the program.
//!
//! No allocator, no global state, no panics: with the arena that the converter computed, nothing
//! that is called after [`Interpreter::new`] can fail for a reason that lies in the file.
//!
//! ```no_run
//! use ferrolite_runtime::{Arena, Error, Interpreter, Model, ops};
//!
//! fn classify(file: &[u8], features: &[i8]) -> Result<i8, Error> {
//!     let mut arena = Arena::<16_384>::new();
//!     let model = Model::from_bytes(file)?;
//!     let mut net = Interpreter::new(&model, ops::ALL, &mut arena)?;
//!     net.input_mut::<i8>(0)?.copy_from_slice(features);
//!     net.invoke()?;
//!     Ok(net.output::<i8>(0)?[0])
//! }
//! ```
//!
//! [`Cell`]: core::cell::Cell
#![no_std]
#![deny(unsafe_code)]
#![deny(missing_debug_implementations)]

#[cfg(feature = "cases")]
extern crate std;

mod arena;
#[cfg(feature = "cases")]
#[doc(hidden)]
pub mod cases;
mod error;
mod interpreter;
pub mod kernels;
mod node;
pub mod ops;
pub mod packing;
pub mod quant;
mod taken;
pub mod tensor;
#[doc(hidden)]
pub mod typed;
pub mod winograd;

pub use arena::{AlignedBytes, Arena, ModelFile};
pub use error::{Error, Fault};
pub use ferrolite_schema::{DType, KERNELS, Model, OpCode, Port, Rounding, Target, params};
pub use interpreter::{Interpreter, Observer, Step, check, check_op};
pub use node::{Eval, Node};
pub use ops::{OpSet, Operator};

#[doc(hidden)]
pub use arena::Aligned;

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
