//! The models that are served, by name and version, and how they follow the folder.
//!
//! ```text
//! DIR/kws/1/model.ferro     version 1 of `kws`, as TensorFlow Serving and Triton lay it out; any name that ends in .ferro
//! DIR/kws/2/model.ferro     version 2: the newest answers where no version is asked for
//! DIR/kws/2/kws.update      its signed update, for devices
//! DIR/gesture.ferro         version 1 of `gesture`
//! DIR/gesture.update        a signed update; the model in it is served, too, under the update's version
//! ```
//!
//! The folder is looked at now and then. A file that changed is read, verified as a device would verify it, and run once;
//! only then does it take the old one's place, at once for all requests that begin later. Those that have begun end with
//! the model they began with. A file that is not whole, or not sound, changes nothing: what was served before is
//! served on, and the log says why. A file that is gone is served until a second look finds it gone, too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ferrolite_runtime::{Model, Target};
use ferrolite_schema::{self as schema, FORMAT_VERSION, Manifest};

use super::engine::Engine;
use super::failure::Failure;
use super::metrics::Metrics;
use super::options::Log;
use crate::aligned::AlignedBuf;
use crate::data::InputSpec;
use crate::emit;
use crate::error::{Error, Result};
use crate::files;
use crate::model_file::{self, ModelFile};
use crate::run;
use crate::update;
use crate::upgrade::upgrade;

/// A version of a model that is being served.
pub struct Served {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Its inputs, in the author's order.
    pub inputs: Vec<InputSpec>,
    /// Its outputs, in the author's order.
    pub outputs: Vec<InputSpec>,
    /// Names of the classes; empty where the file has none.
    pub labels: Vec<String>,
    /// The state before the first inference; empty for a model without.
    pub initial_state: Vec<u8>,
    /// What runs it.
    pub engine: Engine,
}

/// A signed update that devices fetch.
pub struct Update {
    /// What was signed.
    pub manifest: Manifest,
    /// Manifest, signature and model file.
    pub bytes: axum::body::Bytes,
}

/// All versions of one model.
#[derive(Clone, Default)]
pub struct Versions {
    /// What answers inferences, by version.
    pub served: BTreeMap<u64, Arc<Served>>,
    /// What devices fetch, by version.
    pub updates: BTreeMap<u32, Arc<Update>>,
}

/// What is served at one moment.
pub type Models = BTreeMap<String, Versions>;

/// How files are loaded.
pub struct Loading {
    /// Threads of each model.
    pub threads: usize,
    /// The key that updates have to be signed with.
    pub public_key: Option<[u8; 32]>,
}

/// The models of a folder.
pub struct Catalog {
    folder: PathBuf,
    loading: Loading,
    log: Log,
    metrics: Arc<Metrics>,
    models: RwLock<Arc<Models>>,
    /// What is known of each file.
    files: Mutex<HashMap<PathBuf, Known>>,
    /// What was said of the folder as a whole, once.
    said: Mutex<BTreeSet<String>>,
}

/// What tells that a file has changed.
type Stamp = (u64, std::time::SystemTime, (u64, i64, i64));

/// A file that was looked at.
struct Known {
    place: Place,
    /// The contents that were looked at last, sound or not.
    stamp: Stamp,
    /// What is served of it.
    loaded: Option<Loaded>,
    /// It was not there at the last look.
    gone: bool,
    /// What it is for, among the files that are loaded.
    role: Role,
}

/// What a loaded file is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Role {
    /// Nothing is known of it yet.
    #[default]
    New,
    /// Its model answers.
    Answers,
    /// Devices fetch it; the model of another file answers.
    Update(PathBuf),
    /// It is left out: another file has its name and version.
    LeftOut(PathBuf),
}

/// Where a file belongs.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    name: String,
    /// By the folder; a file without one says it itself.
    version: Option<u64>,
}

#[derive(Clone)]
struct Loaded {
    version: u64,
    served: Arc<Served>,
    update: Option<Arc<Update>>,
}

impl Catalog {
    /// The catalogue of a folder, which has been looked at once.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(folder: &Path, loading: Loading, log: Log, metrics: Arc<Metrics>) -> Result<Catalog> {
        let catalog = Catalog {
            folder: folder.to_path_buf(),
            loading,
            log,
            metrics,
            models: RwLock::default(),
            files: Mutex::default(),
            said: Mutex::default(),
        };
        let found = catalog.list().map_err(|e| {
            Error::input(format!("{}: cannot be read: {e}", folder.display()))
                .help("give a folder with models: DIR/MODEL.ferro, or DIR/MODEL/1/model.ferro")
                .caused_by(e)
        })?;
        catalog.follow(found);
        Ok(catalog)
    }

    /// What is served now.
    pub fn models(&self) -> Arc<Models> {
        Arc::clone(&self.models.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A version of a model, the newest where none is asked for.
    pub fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Served>, Failure> {
        let models = self.models();
        let versions = &find(&models, name)?.served;
        let newest = || versions.values().next_back();
        match version {
            None => {
                newest().cloned().ok_or_else(|| Failure::absent(format!("model `{name}` has no version")))
            }
            Some(text) => {
                let found = text.parse().ok().and_then(|version: u64| versions.get(&version));
                found.cloned().ok_or_else(|| {
                    let there: Vec<String> = versions.keys().map(u64::to_string).collect();
                    Failure::absent(format!(
                        "model `{name}` has no version {text}; it has {}",
                        there.join(", ")
                    ))
                })
            }
        }
    }

    /// Looks at the folder again.
    pub fn look(&self) {
        match self.list() {
            Ok(found) => self.follow(found),
            // What is loaded is served on: the folder may be a share that comes back.
            Err(e) => self.say_once(format!("{}: cannot be read: {e}; serving on", self.folder.display())),
        }
    }

    fn say_once(&self, text: String) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone()) {
            (self.log)(&text);
        }
    }

    /// The files that can be served, and where they belong.
    fn list(&self) -> std::io::Result<BTreeMap<PathBuf, Place>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(stem) = visible(&path) else { continue };
            if path.is_dir() {
                self.list_versions(&path, &mut found);
            } else if kind(&path).is_some() {
                found.insert(path.clone(), Place { name: stem, version: None });
            }
        }
        Ok(found)
    }

    /// The files of one model, which has a folder for each version.
    fn list_versions(&self, folder: &Path, found: &mut BTreeMap<PathBuf, Place>) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut taken = BTreeSet::new();
        for version in entries(folder) {
            let Some(text) = visible(&version).filter(|_| version.is_dir()) else { continue };
            let Some(number) = text.parse::<u64>().ok().filter(|&number| taken.insert(number)) else {
                self.say_once(format!("{}: is no new version number; left out", version.display()));
                continue;
            };
            let mut kinds = BTreeSet::new();
            for file in entries(&version) {
                let Some(kind) = kind(&file).filter(|_| visible(&file).is_some() && !file.is_dir()) else {
                    continue;
                };
                if !kinds.insert(kind) {
                    self.say_once(format!(
                        "{}: this version has another file that ends in .{kind}; this one is left out",
                        file.display()
                    ));
                    continue;
                }
                found.insert(file, Place { name: name.clone(), version: Some(number) });
            }
        }
    }

    /// Loads what is new, and forgets what is gone.
    fn follow(&self, found: BTreeMap<PathBuf, Place>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        files.retain(|path, known| {
            if found.contains_key(path) {
                known.gone = false;
                return true;
            }
            if !known.gone {
                known.gone = true;
                return true;
            }
            if let Some(loaded) = &known.loaded {
                changed = true;
                if matches!(known.role, Role::LeftOut(_)) {
                    return false;
                }
                self.metrics.load(&known.place.name, "unloaded");
                (self.log)(&format!(
                    "{} version {}: its file is gone; unloaded",
                    known.place.name, loaded.version
                ));
            }
            false
        });
        for (path, place) in found {
            let Ok(stamp) = stamp(&path) else { continue };
            if files.get(&path).is_some_and(|known| known.stamp == stamp && known.place == place) {
                continue;
            }
            let loaded = match self.load(&path, &place) {
                Ok(loaded) => {
                    // A file that was being written is looked at again.
                    if self::stamp(&path).ok() != Some(stamp) {
                        continue;
                    }
                    changed = true;
                    Some((loaded, Role::New))
                }
                Err(error) => {
                    let before = files.get(&path);
                    let before = before.and_then(|known| Some((known.loaded.clone()?, known.role.clone())));
                    let on = if before.is_some() { "; the one before is served on" } else { "" };
                    self.metrics.load(&place.name, "refused");
                    (self.log)(&format!("{}: refused{on}: {}; {}", place.name, error.message, error.help));
                    before
                }
            };
            let (loaded, role) = loaded.unzip();
            let role = role.unwrap_or_default();
            files.insert(path, Known { place, stamp, loaded, gone: false, role });
        }
        if changed {
            let (models, roles) = arrange(&files);
            *self.models.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(models);
            for (path, role) in roles {
                if let Some(known) = files.get_mut(&path).filter(|known| known.role != role) {
                    self.say_role(&path, known, &role);
                    known.role = role;
                }
            }
        }
    }

    /// Says what a file is for from now on.
    fn say_role(&self, path: &Path, known: &Known, role: &Role) {
        let Some(loaded) = &known.loaded else { return };
        let (name, version, path) = (&known.place.name, loaded.version, path.display());
        let (counted, text) = match role {
            Role::New => return,
            Role::Answers => ("loaded", format!("{name} version {version}: loaded from {path}")),
            Role::Update(other) => (
                "loaded",
                format!(
                    "{name} version {version}: loaded from {path} for devices; the model of {} answers",
                    other.display()
                ),
            ),
            Role::LeftOut(other) => (
                "refused",
                format!(
                    "{path}: left out: {name} version {version} is {} already; rename one of them, or put it into the folder of another version ({name}/{}/)",
                    other.display(),
                    version.saturating_add(1)
                ),
            ),
        };
        self.metrics.load(name, counted);
        (self.log)(&text);
    }

    /// Reads and verifies a file, and runs it once.
    fn load(&self, path: &Path, place: &Place) -> Result<Loaded> {
        let shown = path.display().to_string();
        let bytes = files::read(path)
            .map_err(|e| Error::input(format!("{shown}: cannot be read: {e}")).help(COPY).caused_by(e))?;
        let named_update = path.extension().is_some_and(|extension| extension == "update");
        let (file, update) = match update::open(&shown, &bytes, self.loading.public_key.as_ref())? {
            Some((manifest, file)) => {
                (file, Some(Arc::new(Update { manifest, bytes: axum::body::Bytes::from(bytes) })))
            }
            None if named_update => {
                return Err(Error::input(format!("{shown}: is no signed update"))
                    .help("make one with `ferrolite sign`"));
            }
            None => (ModelFile::from_bytes(shown.clone(), &bytes), None),
        };
        let signed = update.as_ref().map(|update| u64::from(update.manifest.version));
        if let (Some(signed), Some(version)) = (signed, place.version)
            && signed != version
        {
            return Err(Error::input(format!(
                "{shown}: lies in the folder of version {version}, and was signed as version {signed}"
            ))
            .help("move it to the folder of its version, or sign it again with that --version"));
        }
        let version = place.version.or(signed).unwrap_or(1);
        let served = serve(&place.name, version, &file, self.loading.threads);
        let served = Arc::new(served.map_err(|error| aged(&file, error))?);
        Ok(Loaded { version, served, update })
    }
}

/// What all loaded files are together, and what each of them is for. A file in the folder of its version goes before one
/// without, and a model file before the one in an update.
fn arrange(files: &HashMap<PathBuf, Known>) -> (Models, Vec<(PathBuf, Role)>) {
    let mut models = Models::new();
    let (mut answers, mut updates) = (HashMap::new(), HashMap::new());
    let mut roles = Vec::new();
    let mut loaded: Vec<(&PathBuf, &Known, &Loaded)> =
        files.iter().filter_map(|(path, known)| Some((path, known, known.loaded.as_ref()?))).collect();
    loaded
        .sort_by_key(|(path, known, loaded)| (known.place.version.is_none(), loaded.update.is_some(), *path));
    for (path, known, loaded) in loaded {
        let name = &known.place.name;
        let versions = models.entry(name.clone()).or_default();
        let first = *answers.entry((name, loaded.version)).or_insert(path);
        if first == path {
            versions.served.insert(loaded.version, Arc::clone(&loaded.served));
        }
        let fetched = loaded.update.as_ref().map(|update| {
            let first = *updates.entry((name, update.manifest.version)).or_insert(path);
            versions.updates.entry(update.manifest.version).or_insert_with(|| Arc::clone(update));
            first
        });
        let role = match fetched {
            _ if first == path => Role::Answers,
            None => Role::LeftOut(first.clone()),
            Some(fetched) if fetched == path => Role::Update(first.clone()),
            Some(fetched) => Role::LeftOut(fetched.clone()),
        };
        roles.push((path.clone(), role));
    }
    (models, roles)
}

const COPY: &str = "copy it again; a file that is renamed into place is never seen half-written";

/// A model by its name.
pub fn find<'m>(models: &'m Models, name: &str) -> Result<&'m Versions, Failure> {
    models.get(name).ok_or_else(|| {
        let names: Vec<&str> = models.keys().map(String::as_str).collect();
        let there = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        Failure::absent(format!("there is no model `{name}`; models here are {there}"))
    })
}

/// What to do with a file that was refused for its age.
fn aged(file: &ModelFile, error: Error) -> Error {
    let name = file.name();
    match Model::from_bytes(file.bytes()) {
        Err(schema::Error::Version { found }) if found < FORMAT_VERSION => Error::input(format!(
            "{name}: is of format version {found}; this server reads version {FORMAT_VERSION}"
        ))
        .help("an older ferrolite wrote it: convert its source again, `ferrolite convert MODEL -o FILE.ferro`"),
        _ if upgrade(file).is_ok_and(|new| !new.changes.is_empty() && new.for_a_person().next().is_none()) => {
            error.help(
                "an older ferrolite wrote it: `ferrolite upgrade OLD.ferro -o NEW.ferro` writes it anew; sign the new file where this is an update",
            )
        }
        _ => error,
    }
}

/// A verified file that has run once, ready to answer.
fn serve(name: &str, version: u64, file: &ModelFile, threads: usize) -> Result<Served> {
    let model = file.model()?;
    let inputs: Vec<InputSpec> = model_file::input_specs(&model);
    let outputs = model_file::outputs(&model).into_iter().map(InputSpec::from).collect();
    if let Some(spec) = inputs.iter().find(|spec| spec.elements() == 0) {
        return Err(Error::input(format!("{}: input `{}` has no elements", file.name(), spec.name))
            .help("there is nothing that a request could send; leave this model out of the folder"));
    }
    let zero: Vec<Vec<u8>> = inputs.iter().map(|spec| vec![0; spec.elements() * spec.dtype.size()]).collect();
    run::once(&model, file.operators(), &zero, None)?;
    // Kernels of other hosts read plain weights, which the file may have; the bytes of the answers are the same.
    let packed = match model.target() == Some(Target::Host) {
        true => None,
        false => emit::repack(&model, file.operators(), Target::Host)?,
    };
    let labels = (0..).map_while(|class| model.names().label(class).map(str::to_string)).collect();
    let initial_state = model_file::initial_state(&model);
    let bytes = packed.unwrap_or_else(|| AlignedBuf::from_bytes(file.bytes()));
    let engine = Engine::new(bytes, file.operators(), threads);
    Ok(Served { name: name.into(), version, inputs, outputs, labels, initial_state, engine })
}

/// A file's or folder's name without what follows the last dot of `.ferro` and `.update`; `None` for hidden ones, which
/// are those that `convert` is writing.
fn visible(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".ferro").or_else(|| name.strip_suffix(".update")).unwrap_or(name);
    (!name.starts_with('.') && !stem.is_empty()).then(|| stem.to_string())
}

/// `ferro` or `update`, by which a file is known.
fn kind(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?;
    ["ferro", "update"].into_iter().find(|&kind| kind == extension)
}

/// What is in a folder, in the order of the names.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(list) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = list.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// What tells that a file is another than before: also one of the same size within a clock's tick, as far as the file
/// system can tell.
fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let facts = fs::metadata(path)?;
    #[cfg(unix)]
    let inode = {
        use std::os::unix::fs::MetadataExt;
        (facts.ino(), facts.ctime(), facts.ctime_nsec())
    };
    #[cfg(not(unix))]
    let inode = (0, 0, 0);
    Ok((facts.len(), facts.modified()?, inode))
}
