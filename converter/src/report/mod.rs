//! Reports about a model for people: numbers, tables, the memory map, a page.
//!
//! ```
//! use ferrolite::model_file::ModelFile;
//! use ferrolite::report::{html, memory_map};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let model = file.model()?;
//! println!("{}", memory_map::draw(&model));
//! let page = html::page(&model, &html::Study::default())?;
//! assert!(page.starts_with("<!DOCTYPE html>"));
//! # Ok::<(), ferrolite::Error>(())
//! ```

pub mod distribution;
pub mod footprint;
pub mod html;
pub mod memory_map;
