//! Programs that must not compile: what the types of a model refuse.
//!
//! `tests/cases/*.rs` and `tests/evaluated/*.rs` are the programs, and the `.stderr` beside each what the pinned compiler says of it.
//! `TRYBUILD=overwrite cargo test -p ferrolite-misuse` renews these, and the difference is part of the commit. The
//! module and the file are those of `tests/models/sine`.

pub use ferrolite_runtime as runtime;

/// The module that `convert --rust` has written for `tests/models/sine`.
#[path = "../../models/sine/sine.rs"]
pub mod sine;

/// Its file.
pub static SINE: sine::File = sine::File::new(include_bytes!("../../models/sine/sine.ferro"));
