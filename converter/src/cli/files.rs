//! Output files are written completely or not at all, and never replace a file that somebody may still want.
//!
//! Contents are written to temporary files beside their targets, and renamed into place together after
//! everything else has succeeded. Whether a target can be written is checked before the long work starts, and
//! again before the first file is put in place:
//!
//! | target | |
//! |---|---|
//! | what the command reads, however it is spelled or linked; in folders that it reads, all that Ferrolite did not write | refused |
//! | a folder, a file that is read-only | refused |
//! | new, empty, written by Ferrolite, no regular file (`/dev/null`) | written |
//! | any other file | needs `--force` |

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::reads::Reads;
use crate::error::{Error, Result};
use crate::written;

/// Links that are followed before a chain of links counts as one that leads nowhere.
const LINKS: usize = 40;

/// The output files of one command.
pub struct Outputs {
    reads: Reads,
    force: bool,
    staged: Vec<(PathBuf, PathBuf, NamedTempFile)>,
}

impl Outputs {
    /// Checks that all these files can be written, replace nothing that must be kept, and are different
    /// files. Leaves nothing behind.
    pub fn check<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
        reads: Reads,
        force: bool,
    ) -> Result<Outputs> {
        let outputs = Outputs { reads, force, staged: Vec::new() };
        let mut seen: Vec<PathBuf> = Vec::new();
        for path in paths {
            let target = resolve(path);
            if is_special(&target) {
                continue;
            }
            if seen.iter().any(|other| same(other, &target)) {
                return Err(Error::usage(format!(
                    "{}: two outputs would be written to this file",
                    path.display()
                ))
                .help("give each output a file of its own"));
            }
            outputs.may_write(path, &target)?;
            temporary(path, &target)?;
            seen.push(target);
        }
        Ok(outputs)
    }

    /// Writes contents to a temporary file; [`commit`](Outputs::commit) puts it in place.
    pub fn stage(&mut self, path: &Path, contents: &[u8]) -> Result<()> {
        let target = resolve(path);
        if is_special(&target) {
            return fs::write(&target, contents).map_err(|e| unwritable(path, e));
        }
        let mut file = temporary(path, &target)?;
        file.write_all(contents).and_then(|()| file.flush()).map_err(|e| unwritable(path, e))?;
        self.staged.push((path.to_path_buf(), target, file));
        Ok(())
    }

    /// Puts all files in place.
    pub fn commit(self) -> Result<()> {
        // Files may have changed during long work.
        self.staged.iter().try_for_each(|(path, target, _)| self.may_write(path, target))?;
        for (path, target, file) in self.staged {
            file.persist(&target).map_err(|e| unwritable(&path, e.error))?;
        }
        Ok(())
    }

    /// Refuses a target that somebody may still want.
    fn may_write(&self, path: &Path, target: &Path) -> Result<()> {
        let facts = match fs::metadata(target) {
            Ok(facts) if facts.is_file() => facts,
            // There is nothing to lose where no file exists; folders are refused elsewhere, with a reason of
            // their own.
            _ => return Ok(()),
        };
        let shown = path.display();
        let ours = facts.len() == 0 || written::by_ferrolite(target).unwrap_or(false);
        if let Some(read) = self.reads.find(target, ours) {
            let read = read.display();
            let same =
                if read.to_string() == shown.to_string() { String::new() } else { format!(" ({read})") };
            return Err(Error::usage(format!(
                "{shown}: this file is read by the same command{same}; it is not written over"
            ))
            .help("give the output another name"));
        }
        if ours || self.force {
            return Ok(());
        }
        Err(Error::input(format!("{shown}: there is such a file already, and Ferrolite did not write it"))
            .help("give the output another name, or use --force to replace the file"))
    }
}

/// The file behind a link, so that the link itself stays. Its folder's path is made canonical.
fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().map_or_else(|| link.clone(), |folder| folder.join(&link)),
            Err(_) => break,
        }
    }
    if let Ok(target) = fs::canonicalize(&path) {
        return target;
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// Whether two resolved targets are the same file, by name or by link. On some systems names that differ only
/// in case are one file; if neither exists yet, creating one shows it.
fn same(a: &Path, b: &Path) -> bool {
    let folded = |path: &Path| path.to_string_lossy().to_lowercase();
    a == b || super::reads::same_file(a, b) || (!a.exists() && !b.exists() && folded(a) == folded(b))
}

/// Whether the target is a device or a pipe (`/dev/null`, `/dev/stdout`), which is written to and not
/// replaced.
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
    builder.tempfile_in(folder).map_err(|e| unwritable(path, e))
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such folder".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        std::io::ErrorKind::StorageFull => "the disk is full".to_string(),
        // The operating system's message, without the temporary file's name.
        _ => error
            .raw_os_error()
            .map_or_else(|| error.to_string(), |code| std::io::Error::from_raw_os_error(code).to_string()),
    };
    Error::input(format!("{}: cannot be written: {why}", path.display()))
        .help("give a file in a folder that exists and that you may write to")
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Outputs> {
        Outputs::check(paths, Reads::default(), false)
    }

    const OURS: &str = "// Written by `ferrolite convert --rust`\n";

    #[test]
    fn files_appear_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, OURS).unwrap();
        let count = || fs::read_dir(folder.path()).unwrap().count();

        let mut outputs = check([a.as_path(), b.as_path()]).unwrap();
        assert_eq!(count(), 1);
        outputs.stage(&a, b"new").unwrap();
        outputs.stage(&b, b"more").unwrap();
        drop(outputs);
        assert_eq!((count(), fs::read(&a).unwrap()), (1, OURS.as_bytes().to_vec()));

        let mut outputs = check([a.as_path(), b.as_path()]).unwrap();
        outputs.stage(&a, b"new").unwrap();
        outputs.stage(&b, b"more").unwrap();
        outputs.commit().unwrap();
        assert_eq!(
            (count(), fs::read(&a).unwrap(), fs::read(&b).unwrap()),
            (2, b"new".to_vec(), b"more".to_vec())
        );
    }

    #[test]
    fn what_others_wrote_needs_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        for (contents, kept) in [("mine", true), ("", false), (OURS, false)] {
            fs::write(&path, contents).unwrap();
            let refused = check([path.as_path()]).err();
            assert_eq!(refused.is_some_and(|e| e.help.contains("--force")), kept, "{contents}");
            assert!(Outputs::check([path.as_path()], Reads::default(), true).is_ok());
        }
        // A file that appears during long work is kept, too, and then no output is put in place.
        fs::remove_file(&path).unwrap();
        let other = folder.path().join("other");
        let mut outputs = check([other.as_path(), path.as_path()]).unwrap();
        outputs.stage(&other, b"new").unwrap();
        outputs.stage(&path, b"new").unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(outputs.commit().is_err());
        assert_eq!((fs::read(&path).unwrap(), other.exists()), (b"mine".to_vec(), false));
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let a = folder.path().join("a");
        let absent = folder.path().join("absent").join("a");
        let message = |path: &Path| check([path]).err().unwrap().message;
        assert!(message(&absent).contains("no such folder"));
        assert!(message(folder.path()).contains("is a folder"));
        assert!(check([Path::new("")]).is_err());
        let (dotted, capital) = (folder.path().join("./a"), folder.path().join("A"));
        for other in [&a, &dotted, &capital] {
            let error = check([a.as_path(), other.as_path()]).err().unwrap();
            assert_eq!(error.exit_code(), 2, "{}", other.display());
        }
        fs::write(&a, "").unwrap();
        let mut permissions = fs::metadata(&a).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&a, permissions).unwrap();
        assert!(message(&a).contains("read-only"));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        // At first, the link leads to nothing.
        std::os::unix::fs::symlink("file", &link).unwrap();
        for _ in 0..2 {
            let null = Path::new("/dev/null");
            let mut outputs = check([link.as_path(), null, null]).unwrap();
            outputs.stage(&link, OURS.as_bytes()).unwrap();
            outputs.stage(null, b"gone").unwrap();
            outputs.commit().unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(&file).unwrap(), OURS);
        }
        assert!(check([link.as_path(), file.as_path()]).is_err());
        assert!(is_special(Path::new("/dev/null")));
    }
}
