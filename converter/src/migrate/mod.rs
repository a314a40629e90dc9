//! Migrations: a project of TensorFlow Lite Micro, or an ESPHome wake word, becomes one of Ferrolite.
//!
//! ```text
//! sources, .tflite, manifest --> models, operators that are linked, arenas --> a project for each model (`project`)
//!                                                                          --> a report of what differs
//! ```
//! The sources are read as text, without a compiler (`tokens`, `sources`): a model is an array whose bytes are those of
//! a `.tflite` file. What was not understood is said and left out. Nothing in the old project is changed.

mod conditions;
mod constants;
mod headers;
mod manifest;
mod numbers;
mod operators;
mod report;
mod scan;
mod sources;
mod text;
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::convert::{ConvertOptions, convert};
use crate::error::{Error, Fault, Result};
use crate::facts::PortJson;
use crate::files;
use crate::import;
use crate::model_file::{self, ModelFile};
use crate::ops;
use crate::progress::Progress;
use crate::project::{self, Kit, Language};
use headers::Headers;
use scan::{File, Found};
use sources::{Linked, Sources};
use text::decoded;

pub use manifest::WakeWord;

/// What is migrated, and to what.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The folder of a TFLM project, a source, a `.tflite` file, or the JSON of a wake word.
    pub path: &'a Path,
    /// The new project's folder, which is not there yet, or empty. Several models have a folder each in it. Without it,
    /// nothing is written.
    pub output: Option<&'a Path>,
    /// The board.
    pub kit: &'static Kit,
    /// The new project's language.
    pub language: Language,
    /// Typical samples, for a float model.
    pub calibrate: Option<&'a str>,
    /// Ferrolite's source tree; see [`project::Request::runtime`].
    pub runtime: Option<&'a Path>,
    /// Write nothing where there is a warning.
    pub strict: bool,
}

/// What became of a project.
#[derive(Clone, Debug, Serialize)]
pub struct Migration {
    /// Its models.
    pub models: Vec<Migrated>,
    /// What the manifests of wake words say.
    pub wake_words: Vec<WakeWord>,
    /// Where the sources use TFLM: a word of it, and the file and line where it is first.
    pub uses: Vec<(&'static str, String)>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// What a person should act on; what was not understood is among it.
    pub warnings: Vec<String>,
    /// The report, in Markdown. It is `MIGRATION.md` of the new project.
    #[serde(skip)]
    pub report: String,
}

/// A model of the old project.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Migrated {
    /// Its name, as a project's.
    pub name: String,
    /// Where its bytes were found: `file:line array`, or the name of a file.
    pub sources: Vec<String>,
    /// Bytes of its `.tflite` file.
    pub tflite_bytes: usize,
    /// Its operators, by the schema's names, with how many layers each has.
    pub operators: Vec<(String, usize)>,
    /// The operators that the old project links for it, in the order of their names: `null` where that was not found,
    /// and `["*"]` for all that TFLM has.
    pub linked: Option<Vec<String>>,
    /// Those that it uses and the old project does not link: TFLM refuses it there.
    pub missing: Vec<String>,
    /// Those that the old project links for nothing.
    pub unused: Vec<String>,
    /// Bytes of arena that the old project gives it, and the expression and the place that say so.
    pub arena_asked: Option<u64>,
    /// The words that say so.
    pub arena_words: Option<String>,
    /// Whether its layers are float: they are quantized here, so numbers change.
    pub float: bool,
    /// What it became; `null` where it was refused.
    pub project: Option<New>,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// A model in the new project.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct New {
    /// Its folder below the given one; `.` for that itself.
    pub folder: String,
    /// Bytes of the model file.
    pub model_bytes: usize,
    /// Bytes of its arena, exact.
    pub arena_bytes: usize,
    /// Bytes that one inference leaves to the next, within the arena.
    pub state_bytes: usize,
    /// Inputs, in the model's order.
    pub inputs: Vec<PortJson>,
    /// Outputs.
    pub outputs: Vec<PortJson>,
}

/// A model that was found, before anything is done with it.
struct Candidate {
    name: String,
    bytes: Vec<u8>,
    sources: Vec<String>,
    /// The names of its arrays, by which programs know it.
    arrays: Vec<String>,
}

/// Reads a project, converts its models, and writes the new project.
///
/// # Errors
/// When there is no model, none of them converts (the error says why the first does not), or the folder cannot be
/// written.
pub fn migrate(request: &Request<'_>, progress: &dyn Progress) -> Result<Migration> {
    let found = scan::scan(request.path)?;
    let mut sources = Sources::default();
    let mut headers = Headers::default();
    for file in &found.sources {
        match files::read(&file.path) {
            Ok(bytes) => headers.add(&file.name, &decoded(&bytes)),
            Err(error) => sources.unclear.push(format!("{}: cannot be read: {error}", file.name)),
        }
    }
    for file in &found.sources {
        if let Ok(bytes) = files::read(&file.path) {
            let folder = file.path.parent().unwrap_or(Path::new("."));
            let include = |name: &str| beside(folder, name).ok();
            sources.read(&file.name, &decoded(&bytes), &include, headers.before(&file.name));
        }
    }
    sources.check();
    let mut notes = std::mem::take(&mut sources.open);
    let mut warnings: Vec<String> = found.unclear.clone();
    warnings.append(&mut sources.unclear);
    if !found.skipped.is_empty() {
        notes.push(format!("not read, as code of others or of a build: {}", found.skipped.join(", ")));
    }
    let wake_words = wake_words(&found.manifests, &mut warnings);
    let candidates = candidates(&found, &sources, &wake_words, &mut notes, &mut warnings)?;
    if candidates.is_empty() {
        return Err(nothing(request.path, &found, &warnings));
    }

    let staged = Staged::new(request, candidates.len())?;
    let mut models = Vec::new();
    let mut first = None;
    for candidate in &candidates {
        let mut migrated = describe(candidate, &sources, &wake_words, &mut warnings);
        match staged.convert(request, candidate, progress) {
            Ok((new, remarks)) => {
                let named = |text: &String| match candidates.len() {
                    1 => text.clone(),
                    _ => format!("{}: {text}", candidate.name),
                };
                notes.extend(remarks.0.iter().map(named));
                warnings.extend(remarks.1.iter().map(named));
                migrated.project = Some(new);
            }
            Err(error) if error.fault != Fault::Input => return Err(error),
            Err(error) => {
                migrated.refused = Some(format!(
                    "{error}{}",
                    match error.help.as_str() {
                        "" => String::new(),
                        help => format!("; {help}"),
                    }
                ));
                warnings.push(format!("{} was left out: {error}", candidate.name));
                first.get_or_insert(error);
            }
        }
        models.push(migrated);
    }
    if let (true, Some(error)) = (models.iter().all(|model| model.project.is_none()), first) {
        return Err(error);
    }
    if request.strict && !warnings.is_empty() {
        return Err(
            Error::input(warnings.join("; ")).help("fix the causes of these warnings, or leave out --strict")
        );
    }
    let uses = sources.uses.iter().map(|(word, place)| (*word, place.to_string())).collect();
    let mut migration = Migration {
        models,
        wake_words: wake_words.into_iter().map(|(_, w)| w).collect(),
        uses,
        notes,
        warnings,
        report: String::new(),
    };
    migration.report = report::markdown(request, &migration);
    staged.finish(request, &migration.report)?;
    Ok(migration)
}

/// A file that a source or a manifest names, by its path from there.
fn beside(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let path = folder.join(name);
    if fs::metadata(&path)?.len() > scan::BYTES {
        return Err(io::Error::other("it is larger than 256 MiB"));
    }
    files::read(&path)
}

/// The manifests of wake words, with the files that they stand in.
fn wake_words(files: &[File], warnings: &mut Vec<String>) -> Vec<(File, WakeWord)> {
    let mut out = Vec::new();
    for file in files {
        let text = files::read(&file.path).unwrap_or_default();
        let Some((wake_word, unclear)) = manifest::read(&decoded(&text)) else { continue };
        warnings.extend(unclear.into_iter().map(|why| format!("{}: {why}", file.name)));
        out.push((file.clone(), wake_word));
    }
    out
}

/// The models: of manifests, and the arrays that programs load; all arrays, where none is loaded; `.tflite` files, where
/// there is neither.
fn candidates(
    found: &Found,
    sources: &Sources,
    wake_words: &[(File, WakeWord)],
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Candidate>> {
    let mut out: Vec<Candidate> = Vec::new();
    for (file, wake_word) in wake_words {
        let folder = file.path.parent().unwrap_or(Path::new("."));
        match beside(folder, &wake_word.model) {
            Ok(bytes) if bytes.get(4..8) != Some(b"TFL3") => warnings
                .push(format!("{}: its model `{}` is no .tflite file", file.name, wake_word.model)),
            Ok(bytes) => add(&mut out, stem(&wake_word.model), &bytes, format!("{}, by {}", wake_word.model, file.name), None),
            Err(error) if wake_word.model.contains("://") => warnings.push(format!(
                "{}: its model is at {}, which is not fetched: download it, and name it in the manifest ({error})",
                file.name, wake_word.model
            )),
            Err(error) => warnings.push(format!("{}: its model `{}`: {error}", file.name, wake_word.model)),
        }
    }
    let any_loaded = sources.arrays.iter().any(|array| sources.loads(&array.name));
    for array in &sources.arrays {
        let shown = format!("{} {}", array.place, array.name);
        if !any_loaded || sources.loads(&array.name) {
            add(&mut out, &array.name, &array.bytes, shown, Some(&array.name));
        } else {
            notes.push(format!("{shown}: a model that no program here loads, left out"));
        }
    }
    let arrays = !sources.arrays.is_empty() || !wake_words.is_empty();
    for file in &found.models {
        let bytes = files::read(&file.path).map_err(|e| {
            Error::input(format!("{}: cannot be read: {e}", file.path.display())).caused_by(e)
        })?;
        if !arrays {
            add(&mut out, stem(&file.name), &bytes, file.name.clone(), None);
            continue;
        }
        match out.iter_mut().find(|known| known.bytes == bytes) {
            Some(known) if known.sources.iter().any(|source| source.starts_with(&file.name)) => {}
            Some(known) => known.sources.push(file.name.clone()),
            None => notes.push(format!("{}: a model that is not in the program, left out", file.name)),
        }
    }
    let mut taken = BTreeSet::new();
    for candidate in &mut out {
        let plain = project_name(&candidate.name);
        let mut name = plain.clone();
        for number in 2.. {
            if taken.insert(name.clone()) {
                break;
            }
            name = format!("{plain}{number}");
        }
        candidate.name = name;
    }
    Ok(out)
}

/// Adds a model, or another place where the same one was found.
fn add(out: &mut Vec<Candidate>, name: &str, bytes: &[u8], source: String, array: Option<&str>) {
    let arrays = array.into_iter().map(str::to_string);
    match out.iter_mut().find(|known| known.bytes == bytes) {
        Some(known) => {
            known.sources.push(source);
            known.arrays.extend(arrays);
        }
        None => out.push(Candidate {
            name: name.to_string(),
            bytes: bytes.to_vec(),
            sources: vec![source],
            arrays: arrays.collect(),
        }),
    }
}

/// The name of a file without its folders and its extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A project's name from an array's: `g_person_detect_model_data` is `person_detect`.
fn project_name(array: &str) -> String {
    let lower = array.to_lowercase();
    let mut name = lower.strip_prefix("g_").unwrap_or(&lower);
    while let Some(rest) =
        ["_tflite", "_data", "_model", "_int8"].iter().find_map(|end| name.strip_suffix(end))
    {
        name = rest;
    }
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).take(48).collect();
    let name = name.trim_matches('_');
    match project::is_name(name) {
        true => name.to_string(),
        false if name.is_empty() => "app".into(),
        false if project::is_name(&format!("app_{name}")) => format!("app_{name}"),
        false => "app".into(),
    }
}

/// What the sources say of a model.
fn describe(
    candidate: &Candidate,
    sources: &Sources,
    wake_words: &[(File, WakeWord)],
    warnings: &mut Vec<String>,
) -> Migrated {
    let operators = operators::of_model(&candidate.bytes);
    // A model that no array has is known to programs by no name: all of them may run it.
    let array = candidate.arrays.iter().find(|array| sources.loads(array)).or(candidate.arrays.first());
    let array = array.map_or("", String::as_str);
    let linked = sources.linked(array);
    let used = |name: &String| operators.iter().any(|(used, _)| used == name);
    let (missing, unused, linked) = match linked {
        Linked::Unknown => (Vec::new(), Vec::new(), None),
        Linked::All => (Vec::new(), Vec::new(), Some(vec!["*".to_string()])),
        Linked::These(names) => {
            let missing =
                operators.iter().map(|(name, _)| name).filter(|name| !names.contains(*name)).cloned();
            let unused = names.iter().filter(|name| !used(name)).cloned().collect();
            (missing.collect(), unused, Some(names.iter().cloned().collect()))
        }
    };
    let of_manifest = wake_words.iter().find(|(file, wake_word)| {
        candidate.sources.contains(&format!("{}, by {}", wake_word.model, file.name))
    });
    let asked = match of_manifest.and_then(|(file, w)| w.tensor_arena_size.map(|bytes| (file, bytes))) {
        Some((file, bytes)) => Some((bytes, format!("tensor_arena_size in {}", file.name))),
        None => match sources.arena(array) {
            Ok(arena) => {
                let place = arena.place.map(|place| format!(" at {place}")).unwrap_or_default();
                Some((arena.bytes, format!("{}{place}", arena.words)))
            }
            Err(why) => {
                if !why.is_empty() && !warnings.contains(&why) {
                    warnings.push(why);
                }
                None
            }
        },
    };
    let graph = import::load_bytes(&format!("{}.tflite", candidate.name), &candidate.bytes);
    Migrated {
        name: candidate.name.clone(),
        sources: candidate.sources.clone(),
        tflite_bytes: candidate.bytes.len(),
        operators,
        linked,
        missing,
        unused,
        arena_asked: asked.as_ref().map(|(bytes, _)| *bytes),
        arena_words: asked.map(|(_, words)| words),
        float: graph.is_ok_and(|imported| ops::is_float(&imported.graph)),
        project: None,
        refused: None,
    }
}

/// The error for a project in which no model was found.
fn nothing(path: &Path, found: &Found, warnings: &[String]) -> Error {
    let compiled = found.sources.iter().find(|file| file.name.ends_with("_compiled.cpp"));
    let help = match compiled {
        Some(_) => {
            "Edge Impulse's EON compiler turned the model into code: export it with the engine TensorFlow Lite"
        }
        None => {
            "a model is a .tflite file, an array with its bytes (as `xxd -i` writes), or what the manifest of a wake word names"
        }
    };
    let mut message = format!(
        "{}: there is no model: {} sources, {} .tflite and {} .json files were read",
        path.display(),
        found.sources.len(),
        found.models.len(),
        found.manifests.len()
    );
    if let Some(compiled) = compiled {
        message += &format!("; {} is one that was compiled", compiled.name);
    }
    if !found.skipped.is_empty() {
        message += &format!("; not read: {}", found.skipped.join(", "));
    }
    for warning in warnings {
        message += &format!("; {warning}");
    }
    Error::input(message).help(help)
}

/// Notes and warnings.
type Remarks = (Vec<String>, Vec<String>);

/// A folder beside the new project's, which gets its name when all is complete.
struct Staged {
    folder: tempfile::TempDir,
    single: bool,
    name: String,
}

impl Staged {
    fn new(request: &Request<'_>, models: usize) -> Result<Staged> {
        let builder = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix(".ferrolite-");
            builder
        };
        let Some(output) = request.output else {
            let folder = builder().tempdir().map_err(|e| unwritable(Path::new("a temporary folder"), e))?;
            return Ok(Staged { folder, single: models == 1, name: String::new() });
        };
        project::free(output)?;
        let name = project::name(output)?;
        let parent =
            output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The error of what is made in it would name that, which means nothing to a reader.
        fs::read_dir(parent).map_err(|e| unwritable(output, e))?;
        let folder = builder().tempdir_in(parent).map_err(|e| unwritable(output, e.kind().into()))?;
        Ok(Staged { folder, single: models == 1, name })
    }

    /// Converts a model, into a project where one is to be written.
    fn convert(
        &self,
        request: &Request<'_>,
        candidate: &Candidate,
        progress: &dyn Progress,
    ) -> Result<(New, Remarks)> {
        let given = self.folder.path().join("given");
        fs::create_dir_all(&given).map_err(|e| unwritable(&given, e))?;
        let source = given.join(format!("{}.tflite", candidate.name));
        fs::write(&source, &candidate.bytes).map_err(|e| unwritable(&source, e))?;
        // The temporary name means nothing to a reader.
        let shown = format!("{}: ", source.display());
        let named = |mut error: Error| {
            error.message = error.message.replace(&shown, &format!("{}: ", candidate.sources[0]));
            error
        };
        let (file, remarks) = match request.output {
            None => {
                let options = ConvertOptions {
                    calibrate: request.calibrate.map(str::to_string),
                    target: request.kit.target(),
                    ..ConvertOptions::default()
                };
                let converted = convert(&source, &options, progress).map_err(named)?;
                (converted.file, (converted.notes, converted.warnings))
            }
            Some(_) => {
                let folder = self.project(candidate);
                let wanted = project::Request {
                    folder: &folder,
                    kit: request.kit,
                    model: &source,
                    calibrate: request.calibrate,
                    language: request.language,
                    runtime: request.runtime,
                    strict: false,
                };
                let project = project::create(&wanted, progress).map_err(named)?;
                let file = project.files.iter().find(|file| file.ends_with("model.ferro"));
                let file = file.ok_or_else(|| Error::internal("a project was written without its model"))?;
                (ModelFile::read(&folder.join(file))?, (project.notes, project.warnings))
            }
        };
        let model = file.model()?;
        request.kit.check_room(&model)?;
        let ports = |ports: Vec<model_file::PortFacts>| ports.into_iter().map(PortJson::from).collect();
        let new = New {
            folder: if self.single { ".".into() } else { candidate.name.clone() },
            model_bytes: model.bytes().len(),
            arena_bytes: model.arena_bytes(),
            state_bytes: model.state_bytes(),
            inputs: ports(model_file::inputs(&model)),
            outputs: ports(model_file::outputs(&model)),
        };
        Ok((new, remarks))
    }

    /// Where the project of a model is written; its last part is its name.
    fn project(&self, candidate: &Candidate) -> std::path::PathBuf {
        match self.single {
            true => self.folder.path().join(&self.name),
            false => self.all().join(&candidate.name),
        }
    }

    /// The folder of several projects.
    fn all(&self) -> std::path::PathBuf {
        let all = self.folder.path().join("all");
        // Where this fails, so does writing the first project, which says why.
        let _ = fs::create_dir(&all);
        all
    }

    /// Adds the report, and gives the folder its name.
    fn finish(&self, request: &Request<'_>, report: &str) -> Result<()> {
        let Some(output) = request.output else { return Ok(()) };
        let whole = if self.single { self.folder.path().join(&self.name) } else { self.all() };
        let put = || {
            fs::write(whole.join("MIGRATION.md"), report)?;
            match fs::remove_dir(output) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::rename(&whole, output)
        };
        put().map_err(|e| unwritable(output, e))
    }
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::input(format!("{}: cannot be written: {error}", path.display()))
        .help("give a folder in one that exists and that you may write to")
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_name_projects() {
        for (array, name) in [
            ("g_person_detect_model_data", "person_detect"),
            ("okay_nabu_tflite", "okay_nabu"),
            ("g_model", "app_g_model"),
            ("model", "app_model"),
            ("3d", "app_3d"),
            ("", "app"),
            ("Hey Jarvis", "hey_jarvis"),
        ] {
            let found = project_name(array);
            assert!(project::is_name(&found), "{array}: {found}");
            if !array.contains("model") || array.contains("person") {
                assert_eq!(found, name, "{array}");
            }
        }
        assert_eq!((stem("a/b.c/okay_nabu.tflite"), stem("x")), ("okay_nabu", "x"));
    }
}
