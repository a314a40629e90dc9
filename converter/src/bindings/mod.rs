//! Source code that goes with a file: a Rust module, and a C header with its data.
//!
//! ```
//! use ferrolite::bindings;
//! use ferrolite::model_file::ModelFile;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let module = bindings::rust(&file.model()?);
//! assert!(module.contains("pub fn run(&mut self"));
//! let files = bindings::c(&file.model()?, "sine.h");
//! assert!(files.header.contains("ferrolite_error sine_run(") && files.data.contains("sine_model[] = {"));
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod c;
mod comment;
mod kernels;
mod names;
mod rust;

pub use c::{CFiles, c};
pub(crate) use rust::outputs as rust_outputs;
pub use rust::rust;
