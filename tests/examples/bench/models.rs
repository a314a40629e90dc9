//! The models that are measured: those of the tables by name, and every other int8 model that is found.

use std::path::{Path, PathBuf};

use crate::root;

/// The models that the tables compare, with their files below `../shared/models`.
pub const NAMED: [(&str, &str); 6] = [
    ("kws", "real/kws_ref_model.tflite"),
    ("ic", "real/pretrainedResnet_quant.tflite"),
    ("ad", "real/ad01_int8.tflite"),
    ("person_detect", "real/person_detect.tflite"),
    ("micro_speech", "real/micro_speech_quantized.tflite"),
    ("hello_world", "real/hello_world_int8.tflite"),
];

/// A model file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Short name.
    pub name: String,
    /// The file; it may be missing.
    pub path: PathBuf,
}

/// All models: the named ones first, then the repository's own, then others beside the named ones.
pub fn all() -> Vec<Source> {
    let shared = ferrolite_shared::collection().join("models");
    let mut sources: Vec<Source> =
        NAMED.iter().map(|(name, file)| Source { name: (*name).into(), path: shared.join(file) }).collect();
    let mut others = Vec::new();
    for folder in [root().join("tests/models"), shared.join("trained"), shared.join("real")] {
        collect(&folder, &mut others);
    }
    others.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
    for path in others {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let known = sources.iter().any(|source| source.path == path || source.name == name);
        if !known && !name.contains("float") {
            sources.push(Source { name, path });
        }
    }
    sources
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "tflite") {
            found.push(path);
        }
    }
}
