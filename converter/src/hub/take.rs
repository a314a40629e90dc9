//! Taking a model: its source with the right SHA-256, converted, and its vectors run.

use std::fs;
use std::path::Path;

use ferrolite_runtime::Target;

use super::Hub;
use super::entry::Entry;
use crate::convert::{ConvertOptions, convert};
use crate::data::npz::Npz;
use crate::error::{Error, Result};
use crate::model_file::{self, ModelFile};
use crate::progress::Progress;
use crate::run;

/// How a model is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The core that packing is chosen for; the bytes of answers are the same for all.
    pub target: Target,
    /// DATA with typical samples, for a float model.
    pub calibrate: Option<String>,
    /// End the model at these tensors: a backbone's features. Vectors are not run then.
    pub cut: Vec<String>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { target: Target::Portable, calibrate: None, cut: Vec::new() }
    }
}

/// A model that was taken.
#[derive(Debug)]
pub struct Taken {
    /// The `.ferro` file.
    pub file: ModelFile,
    /// Format of the source, for people.
    pub format: &'static str,
    /// Samples whose answers were compared, byte for byte; `None` where the entry has none, or the model was cut.
    pub vectors: Option<usize>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
}

impl Hub {
    /// Takes a model: its source is had and checked against its SHA-256, converted, and held against its vectors.
    ///
    /// # Errors
    /// When a file cannot be had or has another hash, the model cannot be converted, or a vector's answer is another.
    pub fn take(&self, entry: &Entry, wanted: &Wanted, progress: &dyn Progress) -> Result<Taken> {
        let name = &entry.name;
        // Files are taken from copies, and called what the index calls them.
        let called = |text: &str, copy: &Path, file: &str| text.replace(&copy.display().to_string(), file);
        let about = |mut error: Error, copy: &Path, file: &str| {
            error.message = called(&error.message, copy, file);
            error.help = called(&error.help, copy, file);
            error.context(format!("model `{name}`"))
        };
        let source = self.place.read(name, &entry.source)?;
        // Importers read files, and say their names.
        let folder = tempfile::tempdir().map_err(|e| {
            Error::input(format!("a folder for the model cannot be made: {e}")).help(ROOM).caused_by(e)
        })?;
        let write = |file: &str, bytes: &[u8]| {
            let path = folder.path().join(Path::new(file).file_name().unwrap_or_default());
            fs::write(&path, bytes).map(|()| path).map_err(|e| {
                Error::input(format!("model `{name}`: {file} cannot be written: {e}")).help(ROOM).caused_by(e)
            })
        };
        // The file's name becomes the model's.
        let named = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let ending =
            Path::new(&entry.source.file).extension().unwrap_or_default().to_string_lossy().into_owned();
        let path = write(&format!("{named}.{ending}"), &source)?;
        let mut notes = Vec::new();
        let (file, format) = if ModelFile::claims(&path) {
            if wanted.calibrate.is_some() || !wanted.cut.is_empty() {
                return Err(Error::input(format!(
                    "model `{name}`: {} is a finished file, which is not calibrated and not cut",
                    entry.source.file
                ))
                .help("leave out --calibrate and --cut, or take the model that it was made from"));
            }
            (ModelFile::from_bytes(name.clone(), &source), "Ferrolite")
        } else {
            let mut options = ConvertOptions {
                target: wanted.target,
                calibrate: wanted.calibrate.clone(),
                ..ConvertOptions::default()
            };
            options.import.cut.clone_from(&wanted.cut);
            let converted = convert(&path, &options, progress)
                .map_err(|error| about(error, &path, &entry.source.file))?;
            notes.extend(converted.notes.iter().map(|note| called(note, &path, &entry.source.file)));
            (converted.file, converted.format)
        };
        let vectors = match &entry.vectors {
            Some(_) if !wanted.cut.is_empty() => {
                notes.push("vectors are those of the whole model, and were not run".into());
                None
            }
            Some(vectors) => {
                let bytes = self.place.read(name, vectors)?;
                let path = write("vectors.npz", &bytes)?;
                let checked = check(&file, &path).map_err(|error| {
                    // An error that names the file has its name already.
                    let named = error.message.contains(&path.display().to_string());
                    let error = if named { error } else { error.context(&vectors.file) };
                    about(error, &path, &vectors.file)
                });
                Some(checked?)
            }
            None => {
                notes.push("it has no vectors: that its answers are right was not checked".into());
                None
            }
        };
        Ok(Taken { file, format, vectors, notes })
    }
}

const ROOM: &str = "make room in the folder for temporary files (TMPDIR)";

/// Runs vectors, each from fresh state, and returns how many there are.
fn check(file: &ModelFile, path: &Path) -> Result<usize> {
    const HELP: &str = "the model or its vectors are others than those of the index, or this is a mistake in Ferrolite: please report it with the model's name";
    let model = file.model()?;
    let mut npz = Npz::open(path)?;
    let mut read = |kind: &str, count: usize| {
        (0..count).map(|index| npz.read(&format!("{kind}{index}"))).collect::<Result<Vec<_>>>()
    };
    let (inputs, outputs) = (read("in", model.inputs().len())?, read("out", model.outputs().len())?);
    let count = inputs.first().map_or(0, |array| array.rows());
    if count == 0 || inputs.iter().chain(&outputs).any(|array| array.rows() != count) {
        return Err(Error::input("its arrays have different numbers of samples, or none").help(HELP));
    }
    let names = model_file::outputs(&model);
    for sample in 0..count {
        let bytes: Vec<Vec<u8>> = inputs.iter().map(|array| array.row_bytes(sample).to_vec()).collect();
        let (found, _) = run::once(&model, file.operators(), &bytes, None)?;
        for ((found, wanted), port) in found.iter().zip(&outputs).zip(&names) {
            if found != wanted.row_bytes(sample) {
                return Err(
                    Error::input(format!("vector {sample}: output `{}` is another", port.name)).help(HELP)
                );
            }
        }
    }
    Ok(count)
}
