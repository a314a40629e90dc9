//! Projects: a firmware that builds and runs at once, with a model in it.
//!
//! ```text
//! model, board --> model.ferro, its module, a sample with its answer
//!              --> a folder: memory map, start, main program, runner, README
//! ```
//! A project rests on the runtime alone. It first runs a sample whose answer is known (the self-test), then prints what
//! the model says to it; the place for one's own data is marked. [`KITS`] lists the boards.

mod c;
mod kits;
mod runtime;
mod rust;
mod sample;
mod template;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ferrolite_runtime::Target;

use crate::convert::{ConvertOptions, convert};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model_file::{self, ModelFile};
use crate::progress::Progress;
use crate::run;

pub use kits::{KITS, Kit, Map, Start, kit};
pub use runtime::Runtime;

/// The language of a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Rust, with cargo.
    #[default]
    Rust,
    /// C, with make and gcc.
    C,
}

/// What a project is made of.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its folder, which is not there yet, or empty; the last part is the project's name.
    pub folder: &'a Path,
    /// The board.
    pub kit: &'static Kit,
    /// A `.ferro` file, or a trained model.
    pub model: &'a Path,
    /// Typical samples, for a float model; the first is the project's sample.
    pub calibrate: Option<&'a str>,
    /// The language.
    pub language: Language,
    /// Ferrolite's source tree, or its folder `runtime`; by default the one that this program was built from.
    pub runtime: Option<&'a Path>,
    /// Write nothing where there is a warning.
    pub strict: bool,
}

/// A project that was written.
#[derive(Clone, Debug)]
pub struct Project {
    /// The files, by their paths in its folder.
    pub files: Vec<PathBuf>,
    /// How it finds the runtime.
    pub runtime: Runtime,
    /// Bytes of the model file.
    pub model_bytes: usize,
    /// Bytes of its arena.
    pub arena_bytes: usize,
    /// What the conversion has to say.
    pub notes: Vec<String>,
    /// What a person should act on.
    pub warnings: Vec<String>,
}

/// Writes a project.
///
/// # Errors
/// When the folder is not empty, the name is no package's, the model does not convert, is packed for another core, or
/// does not fit the board (with both sizes), or when the language has no template for the board.
pub fn create(request: &Request<'_>, progress: &dyn Progress) -> Result<Project> {
    let name = name(request.folder)?;
    free(request.folder)?;
    if request.language == Language::C {
        c::supported(request.kit)?;
    }
    let runtime = Runtime::find(request.runtime)?;
    let (file, notes, warnings) = model(request, progress)?;
    let model = file.model()?;
    request.kit.check_room(&model)?;
    if request.strict && !warnings.is_empty() {
        return Err(
            Error::input(warnings.join("; ")).help("fix the causes of these warnings, or leave out --strict")
        );
    }
    let first = first_sample(request, &file)?;
    let sample = sample::take(&file, first)?;
    let context = template::Context {
        name: &name,
        kit: request.kit,
        model: &model,
        source: request.model,
        sample: &sample,
        runtime: &runtime,
    };
    let mut files = match request.language {
        Language::Rust => rust::files(&context),
        Language::C => c::files(&context)?,
    };
    files.push((".gitignore".into(), b"/target\n/build\n".to_vec()));
    write(request.folder, &files)?;
    Ok(Project {
        files: files.into_iter().map(|(path, _)| path.into()).collect(),
        runtime,
        model_bytes: model.bytes().len(),
        arena_bytes: model.arena_bytes(),
        notes,
        warnings,
    })
}

/// The name of a package: what cargo, C and make all take.
pub(crate) fn name(folder: &Path) -> Result<String> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if is_name(&name) {
        return Ok(name);
    }
    Err(Error::usage(format!("`{}` is not a project's name", name))
        .help("give a name of small letters, digits, - and _ that begins with a letter, such as `wake-word`"))
}

/// Whether a text can be a package's name.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && !["test", "core", "std", "alloc", "model", "sample", "board", "build"].contains(&name)
}

/// Refuses a folder in which there is something.
pub(crate) fn free(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(_) => true,
    };
    if !entries {
        return Ok(());
    }
    Err(Error::input(format!("{}: there is something already", folder.display())).help(
        "give the name of a folder that is not there; a project is written once and is yours from then on",
    ))
}

/// The model for the board's core, with what its conversion says.
fn model(request: &Request<'_>, progress: &dyn Progress) -> Result<(ModelFile, Vec<String>, Vec<String>)> {
    let target = request.kit.target();
    if !request.model.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ferro")) {
        let options = ConvertOptions {
            calibrate: request.calibrate.map(str::to_string),
            target,
            ..ConvertOptions::default()
        };
        let converted = convert(request.model, &options, progress)?;
        return Ok((converted.file, converted.notes, converted.warnings));
    }
    let file = ModelFile::read(request.model)?;
    let packed = file.model()?.target().unwrap_or(Target::Portable);
    let shown = request.model.display();
    let again = format!("convert the trained model with `--target {}`", target.name());
    if packed == target || target == Target::Portable {
        return Ok((file, Vec::new(), Vec::new()));
    }
    if packed == Target::Portable {
        let slow = format!(
            "{shown} is packed for no core, so the {}'s kernels for packed weights are not used: {again}",
            target.name()
        );
        return Ok((file, Vec::new(), vec![slow]));
    }
    Err(Error::input(format!(
        "{shown} is packed for {}, {} is a {}",
        packed.name(),
        request.kit.name,
        target.name()
    ))
    .help(format!("{again}, or give the trained model here")))
}

/// The first calibration sample in the types of the file, where there is one.
fn first_sample(request: &Request<'_>, file: &ModelFile) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(data) = request.calibrate else { return Ok(None) };
    let data = Dataset::load(data, &model_file::input_specs(&file.model()?))?;
    run::raw(&file.model()?, &data, 0).map(Some)
}

/// Writes all files, in a folder beside the project's that gets its name when they are complete.
fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = |error: io::Error| {
        Error::input(format!("{}: cannot be written: {error}", folder.display()))
            .help("give a folder in one that exists and that you may write to")
            .caused_by(error)
    };
    let staged = tempfile::Builder::new().prefix(".ferrolite-").tempdir_in(parent).map_err(failed)?;
    for (path, contents) in files {
        let path = staged.path().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, contents).map_err(failed)?;
    }
    #[cfg(unix)]
    fs::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(failed)?;
    // An empty folder may be there: some systems do not rename over one.
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::rename(staged.path(), folder).map_err(failed)
}
