//! Importers: foreign model files become a [`Graph`].
//!
//! One folder or file per format, each with one type that implements [`Importer`]; adding a format
//! is that folder and one line in the list below. [`load`] reads the head of a file, picks the
//! importer that recognises it, and says clearly what a file is when none does.

pub mod tflite;
mod unsupported;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::graph::Graph;

pub use unsupported::{UnsupportedLayer, refuse_unsupported, unsupported_layers};

/// What a model file became.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network. Layers and tensors keep the author's names.
    pub graph: Graph,
    /// Name of the format, for people: `TensorFlow Lite`, ….
    pub format: &'static str,
    /// SHA-256 of the file (of a directory: of its files in the order of their names).
    pub source_hash: [u8; 32],
    /// What the importer widened or ignored and a person should know, one sentence each.
    pub notes: Vec<String>,
}

/// Reads one model format.
pub trait Importer: Sync {
    /// Name of the format, for people.
    fn format(&self) -> &'static str;

    /// Whether the file looks like this format, judged by its first bytes and its name.
    fn recognises(&self, path: &Path, head: &[u8]) -> bool;

    /// Reads the file. Operators that Ferrolite does not know become `Op::Unsupported`, so that
    /// the caller can name all of them at once.
    fn import(&self, path: &Path) -> Result<Imported> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::input(format!("{name}: cannot be read: {e}")))?;
        self.import_bytes(&name, &bytes)
    }

    /// Reads the contents of a file called `name`. Formats that are directories refuse.
    fn import_bytes(&self, name: &str, bytes: &[u8]) -> Result<Imported>;
}

/// Every format that Ferrolite reads.
const IMPORTERS: &[&dyn Importer] = &[&tflite::TfliteImporter];

/// How many bytes of a file an importer sees to recognise it.
const HEAD: usize = 4096;

/// Reads a model file of any known format. Layers that cannot be converted are still in the graph:
/// see [`refuse_unsupported`].
///
/// # Errors
/// When the path does not exist, cannot be read, holds no model of a known format, or holds a
/// broken one.
///
/// ```no_run
/// let imported = ferrolite::import::load("kws.tflite".as_ref())?;
/// println!("{}: {} layers", imported.graph.name, imported.graph.nodes.len());
/// # Ok::<(), ferrolite::Error>(())
/// ```
pub fn load(path: &Path) -> Result<Imported> {
    let name = path.display();
    let metadata = std::fs::metadata(path).map_err(|e| {
        Error::input(format!("{name}: cannot be opened: {e}")).help("check the path of the model file")
    })?;
    if metadata.is_dir() {
        return Err(unknown(path, &[], true));
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
        .map_err(|e| Error::input(format!("{name}: cannot be read: {e}")))?;
    importer_for(path, &head)?.import(path)
}

/// Reads a model that is already in memory; `name` is the file's name, used in messages, to
/// recognise the format, and for the graph's name.
///
/// # Errors
/// As [`load`].
pub fn load_bytes(name: &str, bytes: &[u8]) -> Result<Imported> {
    let head = &bytes[..bytes.len().min(HEAD)];
    importer_for(Path::new(name), head)?.import_bytes(name, bytes)
}

/// The model's name: the file's name without folders and extension.
fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem().map(|s| s.to_string_lossy().into_owned());
    stem.filter(|s| !s.is_empty()).unwrap_or_else(|| "model".into())
}

fn importer_for(path: &Path, head: &[u8]) -> Result<&'static dyn Importer> {
    IMPORTERS
        .iter()
        .copied()
        .find(|importer| importer.recognises(path, head))
        .ok_or_else(|| unknown(path, head, false))
}

/// Says what a file is that no importer reads.
fn unknown(path: &Path, head: &[u8], directory: bool) -> Error {
    const SUPPORTED: &str = "supported now: TensorFlow Lite (.tflite)";
    let name = path.display();
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is = |wanted: &str| extension == wanted;
    if directory {
        return if path.join("saved_model.pb").exists() {
            later(path, "a TensorFlow SavedModel")
        } else {
            Error::input(format!("{name}: is a directory, not a model file"))
                .help(format!("give the path of the model file itself; {SUPPORTED}"))
        };
    }
    if head.is_empty() {
        return Error::input(format!("{name}: the file is empty"))
            .help("export the model again, or check that the download finished");
    }
    if head.starts_with(b"\x89HDF\r\n\x1a\n") || is("h5") || is("hdf5") {
        return later(path, "a Keras HDF5 model");
    }
    if is("keras") {
        return later(path, "a Keras model");
    }
    if is("onnx") {
        return later(path, "an ONNX model");
    }
    if head.get(4..8) == Some(b"FERO") {
        return Error::input(format!("{name}: is already a Ferrolite model"))
            .help("use `ferrolite inspect`, `run` or `bench` on it; `convert` takes a trained model");
    }
    let what = if is("tflite") {
        "is named .tflite but lacks the mark TFL3 of a TensorFlow Lite model"
    } else {
        "is not a model file that Ferrolite knows"
    };
    let kind = if looks_like_text(head) { " (it holds text)" } else { "" };
    Error::input(format!("{name}: {what}{kind}")).help(SUPPORTED)
}

/// A format that is recognised and not read.
fn later(path: &Path, what: &str) -> Error {
    Error::input(format!("{}: is {what}, which is not supported yet", path.display())).help(
        "convert it to .tflite first (tf.lite.TFLiteConverter for Keras and SavedModel); \
         .onnx, .keras, .h5 and SavedModel are not supported yet",
    )
}

/// Whether all bytes are printable ASCII or white space.
fn looks_like_text(head: &[u8]) -> bool {
    head.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..))
        && std::str::from_utf8(&head[..head.len().min(64)]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, bytes: &[u8], expected: &str) {
        let error = load_bytes(name, bytes).unwrap_err();
        assert!(error.message.contains(expected), "{name}: {}", error.message);
        assert!(error.message.starts_with(name) && !error.help.is_empty(), "{error:?}");
    }

    #[test]
    fn files_that_are_no_models_are_named_for_what_they_are() {
        refused("empty.tflite", b"", "is empty");
        refused("notes.tflite", b"hello, this is text\n", "holds text");
        refused("noise.bin", &[0xff, 0xfe, 0, 1, 2, 3, 4, 5, 6], "not a model file");
        refused("net.onnx", b"\x08\x08", "ONNX");
        refused("net.keras", b"PK\x03\x04", "Keras");
        refused("net.h5", b"\x89HDF\r\n\x1a\n", "HDF5");
        refused("net.ferro", b"\0\0\0\0FERO....", "already a Ferrolite model");
        refused("short.tflite", b"\x1c\0\0\0TFL3", "short.tflite");
    }

    #[test]
    fn directories_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(error.message.contains("is a directory"), "{error}");
        std::fs::write(folder.path().join("saved_model.pb"), b"x").unwrap();
        assert!(load(folder.path()).unwrap_err().message.contains("SavedModel"));
        let error = load(&folder.path().join("absent.tflite")).unwrap_err();
        assert!(error.message.contains("cannot be opened") && !error.help.is_empty(), "{error:?}");
    }
}
