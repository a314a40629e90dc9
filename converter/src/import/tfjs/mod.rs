//! TensorFlow.js: `model.json` and the files of weights that it names, as Teachable Machine, ml5 and `model.save` write them.
//!
//! | `modelTopology` is | read as |
//! |---|---|
//! | a Keras model (`layers-model`) | its layers, by the importer of Keras (`keras/listed.rs`) |
//! | a `GraphDef` in JSON (`graph-model`) | its nodes, by that of SavedModels (`saved_model/json.rs`) |
//!
//! `weights` reads the manifest. Weights that were stored in 8 or 16 bits to be sent over a network become the real
//! numbers that they stand for, as in the browser.

mod weights;

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::importer::{ImportOptions, Imported, Importer};
use super::{keras, saved_model};
use crate::error::{Error, Result};

/// Reads `model.json`.
pub struct TfjsImporter;

impl Importer for TfjsImporter {
    fn format(&self) -> &'static str {
        "TensorFlow.js"
    }

    /// Any JSON: nothing else that is read is such a file, and what is wrong with it is known once it is read.
    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        !head.is_empty() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    }

    fn beside(&self, path: &Path) -> Vec<PathBuf> {
        let text = crate::files::read(path).unwrap_or_default();
        let model: Json = serde_json::from_slice(&text).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        weights::paths(&model).into_iter().map(|shard| folder.join(shard)).collect()
    }

    fn import(&self, path: &Path, options: &ImportOptions) -> Result<Imported> {
        let name = path.display().to_string();
        let bytes = crate::files::read(path)
            .map_err(|e| Error::input(format!("{name}: cannot be read: {e}")).caused_by(e))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        import(&name, &bytes, options, &|shard| crate::files::read(&folder.join(shard)))
    }

    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
        import(name, bytes, options, &|_| {
            Err(std::io::Error::new(std::io::ErrorKind::NotFound, "a model in memory has no files beside it"))
        })
    }
}

fn import(
    name: &str,
    bytes: &[u8],
    options: &ImportOptions,
    shard: &dyn Fn(&str) -> std::io::Result<Vec<u8>>,
) -> Result<Imported> {
    let in_file = |e: Error| e.context(name);
    let model: Json = serde_json::from_slice(bytes).map_err(|e| {
        Error::input(format!("{name}: is not readable JSON: {e}"))
            .help("save the model again, or check that the file was copied completely")
            .caused_by(e)
    })?;
    if !["modelTopology", "weightsManifest"].iter().any(|key| model.get(key).is_some()) {
        return Err(other(name, &model));
    }
    let mut hash = Sha256::new_with_prefix(bytes);
    let listed = weights::read(&model, &mut |path| {
        let content = shard(path).map_err(|e| {
            Error::input(format!("the weights in `{path}` cannot be read: {e}"))
                .help("give model.json in the folder where its files of weights are: model.weights.bin or group1-shard1of1.bin")
                .caused_by(e)
        })?;
        hash.update(&content);
        Ok(content)
    })
    .map_err(in_file)?;
    let topology = model.get("modelTopology").filter(|topology| topology.is_object()).ok_or_else(|| {
        in_file(Error::input("holds no `modelTopology`").help("save the model again with `model.save(...)`"))
    })?;
    let graph = topology.get("node").is_some();
    let unusual = unusual(name, model.get("format"), graph);
    let (graph, notes, mut warnings) = match graph {
        true => saved_model::of_json(name, &model, listed, options),
        false => keras::of_list(name, topology, listed, options),
    }
    .map_err(in_file)?;
    warnings.extend(unusual);
    let source_hash = hash.finalize().into();
    Ok(Imported { graph, format: TfjsImporter.format(), source_hash, notes, warnings })
}

/// The error for JSON that is no model of TensorFlow.js.
fn other(name: &str, model: &Json) -> Error {
    if model.get("class_name").is_some() {
        return Error::input(format!("{name}: describes a network of Keras without its weights"))
            .help("save the model as a whole in Python (`model.save(\"model.keras\")`), and convert that");
    }
    Error::input(format!("{name}: is JSON, but no model of TensorFlow.js: it has no `modelTopology`")).help(
        "give the model.json that TensorFlow.js saved, or save the model in Python (`model.save(\"model.keras\")`), and \
         convert that",
    )
}

/// What to say of a `format` that is not the one of the network in the file. TensorFlow.js does not look at it.
fn unusual(name: &str, format: Option<&Json>, graph: bool) -> Option<String> {
    let wanted = if graph { "graph-model" } else { "layers-model" };
    let format = format.filter(|format| !format.is_null() && format.as_str() != Some(wanted))?;
    Some(format!("{name}: its `format` is {format}, but it holds a {wanted}, as which it was read"))
}
