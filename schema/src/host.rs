//! Host side: FlatBuffers' own code for `model.fbs`, which writes files and, in tests, reads them.

// Generated code is what flatc makes of it; `unsafe` in it rests on flatbuffers' verifier.
#[allow(
    unsafe_code,
    missing_docs,
    missing_debug_implementations,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    unsafe_op_in_unsafe_fn,
    deprecated,
    unused
)]
#[rustfmt::skip]
#[path = "generated.rs"]
mod code;

/// Types and builders generated from `model.fbs`.
#[allow(missing_docs)]
pub mod generated {
    pub use super::code::ferrolite::*;
}
