//! Output files that are there whole or not at all.
//!
//! Contents are written to temporary files beside their targets and renamed into place together,
//! after everything else has succeeded. Whether a target can be written is asked before the long
//! work starts.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Output files of one command.
#[derive(Debug, Default)]
pub struct Outputs {
    staged: Vec<(PathBuf, NamedTempFile)>,
}

impl Outputs {
    /// Checks that all these files can be written and are different ones. Leaves nothing behind.
    pub fn check<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Outputs> {
        let mut seen: Vec<PathBuf> = Vec::new();
        for path in paths {
            let target = resolve(path);
            if seen.contains(&target) {
                return Err(Error::usage(format!("{}: two outputs have this name", path.display()))
                    .help("give each output a file of its own"));
            }
            if !is_special(&target) {
                temporary(path, &target)?;
            }
            seen.push(target);
        }
        Ok(Outputs::default())
    }

    /// Writes contents to a temporary file; [`commit`](Outputs::commit) puts it in place.
    pub fn stage(&mut self, path: &Path, contents: &[u8]) -> Result<()> {
        let target = resolve(path);
        if is_special(&target) {
            return fs::write(&target, contents).map_err(|e| unwritable(path, &e));
        }
        let mut file = temporary(path, &target)?;
        file.write_all(contents).and_then(|()| file.flush()).map_err(|e| unwritable(path, &e))?;
        self.staged.push((target, file));
        Ok(())
    }

    /// Puts all files in place.
    pub fn commit(self) -> Result<()> {
        for (target, file) in self.staged {
            file.persist(&target).map_err(|e| unwritable(&target, &e.error))?;
        }
        Ok(())
    }
}

/// The file behind a link, so that a link stays one.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Devices and pipes (`/dev/null`, `/dev/stdout`) are written to, not replaced.
fn is_special(target: &Path) -> bool {
    fs::metadata(target).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

fn temporary(path: &Path, target: &Path) -> Result<NamedTempFile> {
    let facts = fs::metadata(target);
    if path.as_os_str().is_empty() || facts.as_ref().is_ok_and(fs::Metadata::is_dir) {
        return Err(Error::input(format!("{}: is a folder, not a file to write", path.display()))
            .help("give the name of a file"));
    }
    if facts.is_ok_and(|m| m.permissions().readonly()) {
        return Err(Error::input(format!("{}: cannot be written: it is read-only", path.display()))
            .help("give another file, or change its permissions"));
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ferrolite-");
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(folder).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such folder".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        std::io::ErrorKind::StorageFull => "the disk is full".to_string(),
        // The operating system's words, without the temporary file's name.
        _ => error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |code| std::io::Error::from_raw_os_error(code).to_string()),
    };
    Error::input(format!("{}: cannot be written: {why}", path.display()))
        .help("give a file in a folder that exists and that you may write to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "old").unwrap();
        let count = || fs::read_dir(folder.path()).unwrap().count();

        let mut outputs = Outputs::check([a.as_path(), b.as_path()]).unwrap();
        assert_eq!(count(), 1);
        outputs.stage(&a, b"new").unwrap();
        outputs.stage(&b, b"more").unwrap();
        drop(outputs);
        assert_eq!((count(), fs::read(&a).unwrap()), (1, b"old".to_vec()));

        let mut outputs = Outputs::default();
        outputs.stage(&a, b"new").unwrap();
        outputs.stage(&b, b"more").unwrap();
        outputs.commit().unwrap();
        assert_eq!(
            (count(), fs::read(&a).unwrap(), fs::read(&b).unwrap()),
            (2, b"new".to_vec(), b"more".to_vec())
        );
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let a = folder.path().join("a");
        let absent = folder.path().join("absent").join("a");
        assert!(Outputs::check([absent.as_path()]).unwrap_err().message.contains("no such folder"));
        assert!(Outputs::check([folder.path()]).unwrap_err().message.contains("is a folder"));
        assert!(Outputs::check([Path::new("")]).is_err());
        assert_eq!(Outputs::check([a.as_path(), a.as_path()]).unwrap_err().exit_code(), 2);
        fs::write(&a, "kept").unwrap();
        let mut permissions = fs::metadata(&a).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&a, permissions).unwrap();
        assert!(Outputs::check([a.as_path()]).unwrap_err().message.contains("read-only"));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut outputs = Outputs::check([link.as_path(), Path::new("/dev/null")]).unwrap();
        outputs.stage(&link, b"new").unwrap();
        outputs.stage(Path::new("/dev/null"), b"gone").unwrap();
        outputs.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(is_special(Path::new("/dev/null")));
    }
}
