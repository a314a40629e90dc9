//! The files that a command reads, and so must not overwrite.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::data;
use crate::import;

/// How many levels of folders are searched.
const DEPTH: usize = 16;

/// What one command reads.
#[derive(Default)]
pub struct Reads {
    /// Trained models, which may refer to further files.
    models: Vec<PathBuf>,
    /// Files, and folders with everything in them.
    paths: Vec<PathBuf>,
}

impl Reads {
    /// Adds a trained model and the files that it refers to.
    pub fn model(mut self, path: &Path) -> Reads {
        self.models.push(path.to_path_buf());
        self
    }

    /// Adds a file.
    pub fn file(mut self, path: &Path) -> Reads {
        self.paths.push(path.to_path_buf());
        self
    }

    /// Adds what a DATA argument, or an argument for labels, refers to.
    pub fn data<'a>(mut self, arguments: impl IntoIterator<Item = &'a String>) -> Reads {
        self.paths.extend(arguments.into_iter().map(|argument| data::path_of(argument)));
        self
    }

    /// If the command reads `target`, the path by which it does. A file that is `ours` does not count as read
    /// if only its folder is named.
    pub fn find(&self, target: &Path, ours: bool) -> Option<PathBuf> {
        let models = self.models.iter().flat_map(|path| import::files(path));
        models.chain(self.paths.iter().cloned()).find_map(|path| {
            if !path.is_dir() {
                return same_file(&path, target).then_some(path);
            }
            if ours {
                return None;
            }
            let inside = path.canonicalize().is_ok_and(|folder| target.starts_with(folder));
            if inside {
                Some(target.to_path_buf())
            } else {
                linked(&path, target, DEPTH, &mut HashSet::new())
            }
        })
    }
}

/// The file in a folder that is the same as `target` through a hard or symbolic link.
fn linked(folder: &Path, target: &Path, depth: usize, seen: &mut HashSet<PathBuf>) -> Option<PathBuf> {
    if depth == 0 || !seen.insert(folder.canonicalize().ok()?) {
        return None;
    }
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return linked(&path, target, depth - 1, seen);
        }
        same_file(&path, target).then_some(path)
    })
}

/// Whether two paths lead to the same file, by their names or through a hard or symbolic link.
pub fn same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) {
            return (a.dev(), a.ino()) == (b.dev(), b.ino());
        }
    }
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_however_it_is_reached() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("pictures/cats")).unwrap();
        fs::write(at("a"), "x").unwrap();
        fs::write(at("b"), "x").unwrap();
        fs::write(at("pictures/cats/1.png"), "x").unwrap();
        std::os::unix::fs::symlink("a", at("soft")).unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        fs::hard_link(at("pictures/cats/1.png"), at("picture")).unwrap();
        std::os::unix::fs::symlink(at("pictures"), at("pictures/cats/round")).unwrap();
        std::os::unix::fs::symlink(at("b"), at("pictures/b.png")).unwrap();

        let reads = Reads::default().file(&at("a"));
        for name in ["a", "./a", "pictures/../a", "soft", "hard"] {
            assert!(reads.find(&at(name), true).is_some(), "{name}");
        }
        assert!(reads.find(&at("b"), false).is_none());
        let folder = at("pictures").display().to_string();
        let reads = Reads::default().data([&folder]);
        for name in ["pictures/cats/1.png", "picture", "b"] {
            assert!(reads.find(&at(name).canonicalize().unwrap(), false).is_some(), "{name}");
            assert!(reads.find(&at(name).canonicalize().unwrap(), true).is_none(), "{name}");
        }
        assert!(reads.find(&at("a"), false).is_none());
        let numbers = format!("{}:array", at("set.npz").display());
        assert_eq!(Reads::default().data([&numbers]).paths, [at("set.npz")]);
    }
}
