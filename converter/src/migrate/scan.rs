//! The files of a project that a migration reads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file, by its path from the project's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// C and C++.
    pub(super) sources: Vec<File>,
    /// Trained models.
    pub(super) models: Vec<File>,
    /// JSON that may be a manifest.
    pub(super) manifests: Vec<File>,
    /// Folders that are TFLM itself, or what a build made.
    pub(super) skipped: Vec<String>,
    /// What was not read, a sentence each.
    pub(super) unclear: Vec<String>,
}

const SOURCES: [&str; 10] = ["c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "ino", "inc"];

/// Folders of other people's code, and of builds: their arrays and resolvers are not the project's.
const FOREIGN: [&str; 13] = [
    "tensorflow",
    "tflite-micro",
    "tflite_micro",
    "esp-tflite-micro",
    "tfmicro",
    "tflite-model-parameters",
    "third_party",
    "managed_components",
    "node_modules",
    "build",
    "target",
    ".pio",
    "libdeps",
];

const DEPTH: usize = 16;
const FILES: usize = 20_000;
/// Larger sources are not read.
pub(super) const BYTES: u64 = 256 << 20;

/// Finds what is below a path, or what a single file is.
///
/// # Errors
/// When the path is not there, cannot be read, or is a file of no known kind.
pub(super) fn scan(path: &Path) -> Result<Found> {
    let shown = path.display();
    let facts = fs::metadata(path).map_err(|e| {
        Error::input(format!("{shown}: cannot be opened: {e}"))
            .help("give the folder of a TFLM project, a .tflite file, or the JSON of an ESPHome wake word")
            .caused_by(e)
    })?;
    let mut found = Found::default();
    if !facts.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !found.take(File { name, path: path.to_path_buf() }) {
            return Err(Error::input(format!(
                "{shown}: is no C or C++ source, no .tflite and no .json file"
            ))
            .help("give the folder of a TFLM project, a .tflite file, or the JSON of an ESPHome wake word"));
        }
        return Ok(found);
    }
    found.folder(path, "", DEPTH)?;
    Ok(found)
}

impl Found {
    /// Takes a file of a kind that is read.
    fn take(&mut self, file: File) -> bool {
        let extension = file.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let list = match extension.as_str() {
            "tflite" => &mut self.models,
            "json" => &mut self.manifests,
            other if SOURCES.contains(&other) => &mut self.sources,
            _ => return false,
        };
        list.push(file);
        true
    }

    fn folder(&mut self, path: &Path, name: &str, depth: usize) -> Result<()> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if name.is_empty() => {
                return Err(
                    Error::input(format!("{}: cannot be read: {error}", path.display())).caused_by(error)
                );
            }
            Err(error) => {
                self.unclear.push(format!("{name}: cannot be read: {error}"));
                return Ok(());
            }
        };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let own = entry.file_name().to_string_lossy().into_owned();
            let name = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let lower = own.to_lowercase();
                if FOREIGN.contains(&lower.as_str()) || lower.contains("tensorflowlite") {
                    self.skipped.push(name);
                } else if depth == 0 {
                    self.unclear.push(format!("{name}: lies too deep, and was not read"));
                } else if !own.starts_with('.') {
                    self.folder(&entry.path(), &name, depth - 1)?;
                }
                continue;
            }
            // Links are not followed: they may lead anywhere.
            if !kind.is_file() {
                continue;
            }
            if self.sources.len() + self.models.len() + self.manifests.len() >= FILES {
                return Err(Error::input(format!("{}: has more than {FILES} sources", path.display()))
                    .help("give the folder of the application itself"));
            }
            match entry.metadata() {
                Ok(facts) if facts.len() > BYTES => {
                    self.unclear.push(format!("{name}: is larger than 256 MiB, and was not read"));
                }
                _ => {
                    self.take(File { name, path: entry.path() });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_read_and_libraries_are_not() {
        let home = tempfile::tempdir().unwrap();
        for name in
            ["main/main.cc", "main/m.tflite", "x.json", "README.md", "lib/tensorflow/a.cc", ".git/b.c"]
        {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = scan(home.path()).unwrap();
        let names = |files: &[File]| files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found.sources), ["main/main.cc"]);
        assert_eq!(
            (names(&found.models), names(&found.manifests)),
            (vec!["main/m.tflite".into()], vec!["x.json".into()])
        );
        assert_eq!(found.skipped, ["lib/tensorflow"]);
        assert_eq!(scan(&home.path().join("main/main.cc")).unwrap().sources.len(), 1);
        assert!(scan(&home.path().join("README.md")).unwrap_err().message.contains("no C or C++ source"));
        assert!(scan(&home.path().join("absent")).unwrap_err().message.contains("cannot be opened"));
    }
}
