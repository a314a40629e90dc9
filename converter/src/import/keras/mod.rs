//! Keras: `.keras` files (the ZIP archives of Keras 3 and late Keras 2) and whole-model `.h5` files.
//!
//! 1. `container` unpacks the file into the JSON of the model and its variables (`weights`);
//! 2. `model` turns the JSON into layers with their calls (`network`): Sequential models, functional models
//!    and nested models all get the same form; `calls` parses the arguments of calls, old form and new;
//! 3. `placing` finds the positions of their variables in the file;
//! 4. `run` visits the calls in order, and `layers` builds the graph for each; `masking` knows which layers
//!    read masks, `training` which behave differently in training.
//!
//! Variables are matched to layers as in Keras. In a `.keras` file, their path is given by a position: layer
//! `conv2d_7` is `layers/conv2d_1` if it is the second `Conv2D` of the model. In an `.h5` file, a layer's
//! variables are in the group with its name, in a fixed order.
//!
//! Layers over one dimension become images of height 1, as TensorFlow's converter makes them. A layer that is
//! called again uses the same variables, and its nodes are named `NAME/call_1`. Layers of a nested model are
//! named `MODEL/LAYER`.
//!
//! Sources: Keras 3.15 `saving/saving_lib.py`, `models/functional.py`,
//! `legacy/saving/legacy_h5_format.py`, and the layers' own `call`.

mod calls;
mod config;
mod container;
mod layers;
mod listed;
mod masking;
mod model;
mod network;
mod placing;
mod run;
mod training;
mod weights;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod today_tests;

use std::path::Path;

use sha2::{Digest, Sha256};

use super::importer::{ImportOptions, Imported, Importer, stem};
use crate::error::{Error, Result};
pub(super) use listed::of_list;

/// Reads `.keras` and `.h5` files.
pub struct KerasImporter;

impl Importer for KerasImporter {
    fn format(&self) -> &'static str {
        "Keras"
    }

    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let named = extension == "keras" || extension == "h5" || extension == "hdf5";
        head.starts_with(container::HDF5_MARK) || (named && !head.is_empty())
    }

    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
        let in_file = |e: Error| e.context(name);
        let container = container::open(bytes).map_err(in_file)?;
        let mut network = model::read(&container.model, container.keras).map_err(in_file)?;
        if container.by_name {
            network.place_by_name(&container.weights).map_err(in_file)?;
        } else {
            network.place("", &container.weights);
        }
        let (graph, notes, warnings) =
            run::build(&stem(name), &network, &container, options, layers::call).map_err(in_file)?;
        let source_hash = Sha256::digest(bytes).into();
        Ok(Imported { graph, format: self.format(), source_hash, notes, warnings })
    }
}
