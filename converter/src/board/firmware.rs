//! Builds firmware from the workspace in `boards/`, and QEMU's plugin from the same workspace, when it is
//! missing or older than its sources.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::table::Board;
use crate::error::{Error, Result};

/// A firmware, or the plugin, to build.
#[derive(Clone, Debug)]
pub struct Firmware<'a> {
    /// Name of its package.
    pub package: &'a str,
    /// Name of the file that is built.
    pub file: String,
    /// Features of the package, separated by commas.
    pub features: &'a str,
    /// Rust target; `None` for the host itself.
    pub target: Option<&'a str>,
    /// Compiler flags in addition to those of the target.
    pub rustflags: &'a str,
    /// Profile of `boards/Cargo.toml`.
    pub profile: &'a str,
    /// Folder below `boards/target` for the build. There is one for each set of flags, so that builds do not
    /// overwrite one another, and no more than that, since each builds all dependencies again.
    pub folder: String,
    /// Environment variables for its build script.
    pub variables: Vec<(&'a str, String)>,
}

/// The features, flags and variables of each ELF file. A build in the same folder with other features, flags
/// or variables overwrites it.
type Built = BTreeMap<PathBuf, String>;

/// Locks the mutex. The data is valid even after a panic in another thread, because it is changed as the last
/// step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Firmware<'a> {
    /// The runner for a board.
    pub fn runner(board: &Board) -> Firmware<'a> {
        Firmware {
            package: "runner",
            file: "runner".into(),
            features: board.name,
            target: Some(board.target),
            rustflags: board.rustflags,
            profile: "release",
            folder: board.name.to_string(),
            variables: Vec::new(),
        }
    }

    /// The plugin that models cycles, for this major version of QEMU.
    pub fn cycles(qemu: u32) -> Firmware<'a> {
        use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
        let (features, folder) = if qemu < 9 { ("", "cycles") } else { ("qemu-9", "cycles-qemu-9") };
        Firmware {
            package: "ferrolite-cycles",
            file: format!("{DLL_PREFIX}ferrolite_cycles{DLL_SUFFIX}"),
            features,
            target: None,
            rustflags: "",
            profile: "release",
            folder: folder.into(),
            variables: Vec::new(),
        }
    }

    /// Builds it, unless this process has done so before, and returns the ELF file. Builds in different
    /// folders run in parallel, because the linker, which optimises over all crates, uses only one core.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_and(|elf| Ok(elf.to_path_buf()))
    }

    /// Like [`build`](Firmware::build), but lets no other build overwrite the ELF file until `read` has seen
    /// it.
    pub fn build_and<T>(&self, read: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        static FOLDERS: Mutex<BTreeMap<String, Arc<Mutex<Built>>>> = Mutex::new(BTreeMap::new());
        let folder_of_boards = folder()?;
        let elf = self.elf(&folder_of_boards);
        let key = format!("{} {} {:?}", self.features, self.rustflags, self.variables);
        let built = lock(&FOLDERS).entry(self.folder.clone()).or_default().clone();
        let mut built = lock(&built);
        // After a failed build, the file may be anything.
        if built.remove(&elf).is_none_or(|found| found != key) {
            self.cargo_build(&folder_of_boards, &elf)?;
        }
        built.insert(elf.clone(), key);
        read(&elf)
    }

    fn target_dir(&self, boards: &Path) -> PathBuf {
        boards.join("target").join(&self.folder)
    }

    fn elf(&self, boards: &Path) -> PathBuf {
        self.target_dir(boards).join(self.target.unwrap_or("")).join(self.profile).join(&self.file)
    }

    fn cargo_build(&self, boards: &Path, elf: &Path) -> Result<()> {
        let log = tempfile::NamedTempFile::new().map_err(temporary)?;
        let mut command = cargo(boards);
        command.args(["build", "--profile", self.profile, "--package", self.package]);
        if let Some(target) = self.target {
            command.args(["--target", target]);
        }
        command.arg("--target-dir").arg(self.target_dir(boards));
        if !self.features.is_empty() {
            command.args(["--features", self.features]);
        }
        if !self.rustflags.is_empty() {
            command.env("RUSTFLAGS", self.rustflags);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(open(log.path())?);
        let mut child = match command.spawn() {
            Ok(child) => child,
            // Without cargo, use the file that was built before.
            Err(_) if elf.exists() => return Ok(()),
            Err(error) => {
                return Err(Error::input(format!(
                    "the firmware has to be built, but cargo does not run: {error}"
                ))
                .help("install Rust from https://rustup.rs, then run `cargo xtask setup`"));
            }
        };
        let start = Instant::now();
        let mut told = false;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(Error::input(format!("cargo: {error}"))),
            }
            if !told && start.elapsed() > Duration::from_secs(1) {
                eprintln!("building the firmware `{}` for {} …", self.package, self.folder);
                told = true;
            }
        };
        if status.success() && elf.exists() {
            return Ok(());
        }
        if let Some(target) = self.target.filter(|target| !target_installed(target)) {
            return Err(Error::input(format!("the Rust target {target} is not installed")).help(format!(
                "run `cargo xtask setup`, or `rustup target add {target}` in Ferrolite's folder"
            )));
        }
        let log = std::fs::read_to_string(log.path()).unwrap_or_default();
        let reason = log.lines().find(|line| line.starts_with("error")).unwrap_or("cargo gave no reason");
        Err(Error::input(format!(
            "the firmware `{}` does not build for {}: {reason}",
            self.package, self.folder
        ))
        .help(format!(
            "see it all with `cargo build --profile {} -p {} --features '{}'{}` in {}",
            self.profile,
            self.package,
            self.features,
            self.target.map(|target| format!(" --target {target}")).unwrap_or_default(),
            boards.display()
        )))
    }
}

/// The firmware workspace: the environment variable `FERROLITE_BOARDS`, or `boards/` of the source tree that
/// this program was built from. The variable without a value says that there is none.
pub fn folder() -> Result<PathBuf> {
    let path = match std::env::var_os("FERROLITE_BOARDS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards"),
    };
    match path.canonicalize() {
        Ok(path) if path.join("Cargo.toml").is_file() => Ok(path),
        _ => Err(Error::input(format!("the firmware's sources are not at `{}`", path.display()))
            .help("set FERROLITE_BOARDS to the folder `boards` of Ferrolite's source tree; a command that was built after `cargo xtask images` has the runners in it and needs none to run models on boards")),
    }
}

/// Whether the firmware's sources are there. A variable that names a folder without them is a mistake of the user's, and
/// counts as if they were: building them then says so.
pub fn has_sources() -> bool {
    folder().is_ok() || std::env::var_os("FERROLITE_BOARDS").is_some_and(|path| !path.is_empty())
}

/// Whether the standard library of a target is installed.
pub fn target_installed(target: &str) -> bool {
    let mut command = tool("rustc");
    if let Ok(boards) = folder() {
        command.current_dir(boards);
    }
    let output =
        command.args(["--print", "target-libdir", "--target", target]).stderr(Stdio::null()).output();
    output.is_ok_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout).trim().to_string();
        !path.is_empty() && Path::new(&path).is_dir()
    })
}

fn cargo(boards: &Path) -> Command {
    let mut command = tool("cargo");
    command.current_dir(boards);
    command
}

/// A program of the toolchain that the source tree pins, without the environment variables that an outer
/// cargo has set for its own build.
fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    for variable in [
        "RUSTUP_TOOLCHAIN",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_INCREMENTAL",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC",
        "CARGO",
    ] {
        command.env_remove(variable);
    }
    command
}

fn open(path: &Path) -> Result<File> {
    File::create(path).map_err(temporary)
}

/// An error about the folder for temporary files.
pub(super) fn temporary(error: std::io::Error) -> Error {
    Error::input(format!("temporary files cannot be written: {error}"))
        .help("make room, or set TMPDIR to a folder that can be written")
        .caused_by(error)
}
