//! The `.ferro` model file.
#![no_std]
mod dtype;
pub use dtype::DType;
