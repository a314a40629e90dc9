//! Importers: turn model files of other formats into a [`Graph`](crate::graph::Graph).
//!
//! There is one folder or file for each format, with one type that implements [`Importer`]. A new format
//! needs such a folder and one line in the list below. [`load`] reads the head of a file and picks the
//! importer that recognises it; if none does, the error says what the file is. `build` makes graphs from
//! layers, for formats that consist of layers.

pub mod build;
mod choices;
mod conditions;
mod cut;
mod damaged;
mod entries;
mod fixed;
mod foreign;
mod importer;
pub mod keras;
mod listed;
mod masked;
pub mod onnx;
mod places;
mod refusal;
mod rolled;
pub mod saved_model;
pub mod tfjs;
pub mod tflite;
mod tied;
mod values;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub use crate::unsupported::{UnsupportedLayer, refuse_unsupported, unsupported_layers};
pub use importer::{ImportOptions, Imported, Importer};
pub(crate) use tied::zeros;

/// All formats that Ferrolite reads.
const IMPORTERS: &[&dyn Importer] = &[
    &tflite::TfliteImporter,
    &keras::KerasImporter,
    &saved_model::SavedModelImporter,
    &saved_model::FrozenImporter,
    &onnx::OnnxImporter,
    &tfjs::TfjsImporter,
];

/// Bytes at the start of a file by which an importer recognises it.
const HEAD: usize = 4096;

/// Reads a model file in any known format. Layers that cannot be converted are still in the graph: see
/// [`refuse_unsupported`].
///
/// # Errors
/// When the path does not exist, cannot be read, or is not a valid model of a known format.
///
/// ```no_run
/// let imported = ferrolite::import::load("kws.tflite".as_ref())?;
/// println!("{}: {} layers", imported.graph.name, imported.graph.nodes.len());
/// # Ok::<(), ferrolite::Error>(())
/// ```
pub fn load(path: &Path) -> Result<Imported> {
    load_with(path, &ImportOptions::default())
}

/// Like [`load`], with options for what the file leaves open.
///
/// # Errors
/// Like [`load`], and when `options` contradict the file.
pub fn load_with(path: &Path, options: &ImportOptions) -> Result<Imported> {
    let name = path.display();
    let metadata = std::fs::metadata(path).map_err(|e| {
        Error::input(format!("{name}: cannot be opened: {e}"))
            .help("check the path of the model file")
            .caused_by(e)
    })?;
    if metadata.is_dir() {
        return match IMPORTERS.iter().find(|importer| importer.recognises(path, &[])) {
            Some(importer) => {
                check_ports(*importer, options, &name.to_string())?;
                finish(importer.import(path, options)?, options, &name.to_string())
            }
            None => Err(unknown(path, &[], true)),
        };
    }
    let mut head = Vec::new();
    crate::files::open(path)
        .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head))
        .map_err(|e| Error::input(format!("{name}: cannot be read: {e}")).caused_by(e))?;
    let importer = importer_for(path, &head)?;
    check_ports(importer, options, &name.to_string())?;
    finish(importer.import(path, options)?, options, &name.to_string())
}

/// Refuses names of inputs and outputs for a format that says what they are.
fn check_ports(importer: &dyn Importer, options: &ImportOptions, name: &str) -> Result<()> {
    if importer.takes_ports() || (options.inputs.is_empty() && options.outputs.is_empty()) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{name}: --inputs and --outputs are for graphs of TensorFlow 1; files of {} say what they are",
        importer.format()
    ))
    .help("leave them out; `--cut TENSOR` ends a model earlier"))
}

/// The functions of a model that work on the same variables, such as a step and a reset: each a graph with the same states,
/// and its name, the one first that a program runs which asks for none. Empty where the model is one function, and where the
/// options choose one, cut the model or tie states.
///
/// # Errors
/// Like [`load_with`], but for a path that cannot be read.
pub fn entries(path: &Path, options: &ImportOptions) -> Result<Vec<(String, Imported)>> {
    let alone = options.signature.is_some() || !options.cut.is_empty() || !options.states.is_empty();
    let mut head = Vec::new();
    // What cannot be read is refused where the model itself is.
    let _ = crate::files::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    let importer = IMPORTERS.iter().find(|importer| importer.recognises(path, &head));
    let Some(importer) = importer.filter(|_| !alone) else { return Ok(Vec::new()) };
    check_ports(*importer, options, &path.display().to_string())?;
    let mut entries = importer.entries(path, options)?;
    let name = path.display().to_string();
    for (_, imported) in &mut entries {
        // An entry has some of the inputs that are given values.
        let has =
            |input: &str| imported.graph.inputs.iter().any(|&id| imported.graph.value(id).name == input);
        let mut own = options.clone();
        own.input_values.retain(|(input, _)| has(input));
        *imported = fixed::run(imported.clone(), &own).map_err(|e| e.context(&name))?;
        rolled::run(&mut imported.graph, &mut imported.notes);
    }
    Ok(entries)
}

/// The model with the inputs that the user makes constants, up to where the user wants it to end, with cells that were
/// written by hand as layers, and with the states that the user ties.
fn finish(mut imported: Imported, options: &ImportOptions, name: &str) -> Result<Imported> {
    imported = fixed::run(imported, options).map_err(|e| e.context(name))?;
    cut::run(&mut imported.graph, &options.cut, &mut imported.notes).map_err(|e| e.context(name))?;
    rolled::run(&mut imported.graph, &mut imported.notes);
    tied::tie(imported, &options.states).map_err(|e| e.context(name))
}

/// The files and folders that reading a model takes: the model's own, and those that it refers to.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let mut head = Vec::new();
    // A file that cannot be read refers to no others. Reading the model reports the error.
    let _ = crate::files::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    let beside = IMPORTERS.iter().find(|importer| importer.recognises(path, &head));
    let beside = beside.map_or_else(Vec::new, |importer| importer.beside(path));
    std::iter::once(path.to_path_buf()).chain(beside).collect()
}

/// Reads a model that is already in memory. `name` is the file's name; it is used in messages, to recognise
/// the format, and to name the graph.
///
/// # Errors
/// Like [`load`].
pub fn load_bytes(name: &str, bytes: &[u8]) -> Result<Imported> {
    load_bytes_with(name, bytes, &ImportOptions::default())
}

/// As [`load_bytes`], with what the file leaves open.
///
/// # Errors
/// As [`load_with`].
pub fn load_bytes_with(name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let importer = importer_for(Path::new(name), head)?;
    check_ports(importer, options, name)?;
    finish(importer.import_bytes(name, bytes, options)?, options, name)
}

fn importer_for(path: &Path, head: &[u8]) -> Result<&'static dyn Importer> {
    IMPORTERS
        .iter()
        .copied()
        .find(|importer| importer.recognises(path, head))
        .ok_or_else(|| unknown(path, head, false))
}

/// The error for a file that no importer reads, which says what the file is.
fn unknown(path: &Path, head: &[u8], directory: bool) -> Error {
    const SUPPORTED: &str = "supported now: TensorFlow Lite (.tflite), ONNX (.onnx), Keras (.keras, .h5), \
                             TensorFlow SavedModel (a directory), TensorFlow 1 (.pb, .meta), TensorFlow.js (model.json)";
    let name = path.display();
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is = |wanted: &str| extension == wanted;
    if let Some((what, way)) = foreign::tell(path, &[]).filter(|_| directory) {
        return Error::input(format!("{name}: {what}")).help(way);
    }
    if directory {
        return Error::input(format!("{name}: is a directory, not a model file"))
            .help(format!("give the path of the model file itself; {SUPPORTED}"));
    }
    if let Some((what, way)) = foreign::tell(path, head).filter(|_| !head.is_empty()) {
        return Error::input(format!("{name}: {what}")).help(way);
    }
    if head.is_empty() {
        return Error::input(format!("{name}: the file is empty"))
            .help("export the model again, or check that the download finished");
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
        refused("net.onnx", b"\x08\x08", "has no graph");
        refused("noise.onnx", b"\xff\xff\xff", "not a sound ONNX model");
        refused("net.keras", b"PK\x03\x04", "ZIP archive");
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
