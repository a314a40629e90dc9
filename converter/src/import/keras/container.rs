//! The two containers of Keras: a `.keras` file is a ZIP archive of `config.json`, `metadata.json` and
//! `model.weights.h5`; an `.h5` file is HDF5 with the configuration in the attribute `model_config`.

use std::io::{Cursor, Read};

use serde_json::Value as Json;
use zip::ZipArchive;

use super::weights::{EXPANSION, Weights};
use crate::error::{Error, Result};

/// The signature at the start of an HDF5 file.
pub const HDF5_MARK: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The archive member with the variables.
const WEIGHTS: &str = "model.weights.h5";

/// Bytes that a small member may unpack to, whatever its packed size is.
const SMALL: u64 = 1 << 20;

/// The contents of a file, unpacked but not yet interpreted.
pub struct Container {
    /// The configuration of the model: class name and config.
    pub model: Json,
    /// Its variables.
    pub weights: Weights,
    /// Major version of the Keras that wrote the file.
    pub keras: u32,
    /// Whether variables are found by the names of layers (`.h5`) rather than by their position (`.keras`).
    pub by_name: bool,
}

/// Unpacks a file.
pub fn open(bytes: &[u8]) -> Result<Container> {
    if bytes.starts_with(HDF5_MARK) { open_hdf5(bytes) } else { open_zip(bytes) }
}

fn open_zip(bytes: &[u8]) -> Result<Container> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| {
        Error::input(format!("is not a readable .keras file (a ZIP archive): {e}"))
            .help("save the model again with `model.save(\"model.keras\")`, or check the download")
            .caused_by(e)
    })?;
    let model = json("config.json", &member(&mut archive, "config.json")?)?;
    let metadata = json("metadata.json", &member(&mut archive, "metadata.json")?)?;
    let version = metadata.get("keras_version").and_then(Json::as_str).unwrap_or("3");
    let keras = major(version)?;
    let is_other =
        |name: &std::borrow::Cow<str>| name.starts_with("model.weights.") && !name.ends_with(".h5");
    let other = archive.file_names().flatten().find(is_other).map(std::borrow::Cow::into_owned);
    if let (Some(other), None) = (other, archive.index_for_name(WEIGHTS)) {
        return Err(Error::input(format!("has its weights in `{other}`, which is not read")).help(
            "load the model in Keras and save it again with `model.save(\"model.keras\")`, which writes HDF5",
        ));
    }
    let weights = Weights::open(member(&mut archive, WEIGHTS)?).map_err(|e| e.context(WEIGHTS))?;
    Ok(Container { model, weights, keras, by_name: false })
}

/// Unpacks one member of the archive, but no more than its packed size makes plausible.
fn member(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>> {
    let broken = |e: &dyn std::fmt::Display| {
        Error::input(format!("`{name}` in the .keras archive cannot be read: {e}"))
            .help("save the model again with `model.save(\"model.keras\")`, or check the download")
    };
    let mut file = archive.by_name(name).map_err(|e| broken(&e).caused_by(e))?;
    let limit = file.compressed_size().saturating_mul(EXPANSION).max(SMALL);
    let mut contents = Vec::new();
    file.by_ref().take(limit + 1).read_to_end(&mut contents).map_err(|e| broken(&e).caused_by(e))?;
    if contents.len() as u64 > limit {
        return Err(broken(&format!("it unpacks to more than {EXPANSION} times its size")));
    }
    Ok(contents)
}

fn open_hdf5(bytes: &[u8]) -> Result<Container> {
    let weights = Weights::open(bytes.to_vec())?;
    let Some(config) = weights.root_attribute("model_config")? else {
        let layers = weights.has_group("layers") || weights.has_group("_layer_checkpoint_dependencies");
        let found = layers || !weights.words("/", "layer_names").unwrap_or_default().is_empty();
        let what = if found {
            "holds the weights of a Keras model, but not its layers (a weights-only file)"
        } else {
            "is an HDF5 file without a Keras model (it has no attribute `model_config`)"
        };
        return Err(Error::input(what)
            .help("save the whole model: `model.save(\"model.keras\")` rather than `save_weights`"));
    };
    let model = json("model_config", config.as_bytes())?;
    let version = match weights.root_attribute("keras_version")? {
        Some(version) => version,
        // Only files of Keras 2 state the version beside the weights alone.
        None => "2".into(),
    };
    Ok(Container { model, keras: major(&version)?, weights, by_name: true })
}

fn json(what: &str, bytes: &[u8]) -> Result<Json> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::input(format!("`{what}` is not readable JSON: {e}"))
            .help("the file is damaged: save the model again, or check that it was copied completely")
            .caused_by(e)
    })
}

/// The first number of a version such as `3.15.1` or `2.4.0-tf`.
pub(super) fn major(version: &str) -> Result<u32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(major @ 1..=3) => Ok(major),
        _ => Err(Error::input(format!("was written by Keras `{version}`, which is not known"))
            .help("Ferrolite reads files of Keras 2 and 3")),
    }
}
