//! Opens files for reading, regular files only. Opening a pipe to which nobody writes would block, and models
//! and data are read more than once.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file.
///
/// # Errors
/// When it cannot be opened, and for pipes, sockets and devices.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?;
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other(
            "it is not a regular file but a pipe or a device; write its contents to a file",
        ));
    }
    File::open(path)
}

/// The bytes of a regular file.
///
/// # Errors
/// Like [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        assert_eq!(read(&folder.path().join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(read(folder.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_may_block_is_refused() {
        use std::process::Command;

        let error = read(Path::new("/dev/null")).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        // Without the command there is no pipe to test with.
        if Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
            assert!(read(&pipe).unwrap_err().to_string().contains("not a regular file"));
        }
    }
}
