//! Opens files for reading. Models and data are regular files only: opening a pipe to which nobody writes would block, and
//! they are read more than once. What is small may come from a pipe, and is read up to a limit, since a device may have no end.

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

/// Bytes of a text that a command takes beside models and data: figures, an index, a page.
pub const TEXT: u64 = 64 << 20;

/// Bytes of an ELF file.
pub const ELF: u64 = 1 << 30;

/// The bytes of a file or a pipe that has at most so many.
///
/// # Errors
/// When it cannot be read, or has more.
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!(
            "it has more than the {} MB that are read of such a file",
            most >> 20
        ))),
        false => Ok(bytes),
    }
}

/// The text of a file or a pipe that has at most [`TEXT`] bytes.
///
/// # Errors
/// Like [`read_at_most`], and when it is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_at_most(path, TEXT)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("it is no text: {error}")))
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

    #[test]
    fn what_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "text").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap(), b"text");
        assert!(read_at_most(&path, 3).unwrap_err().to_string().contains("more than"));
        assert_eq!(read_text(&path).unwrap(), "text");
        fs::write(&path, [0xFF]).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("no text"));
    }

    #[cfg(unix)]
    #[test]
    fn devices_without_an_end_are_read_to_the_limit() {
        assert!(read_text(Path::new("/dev/zero")).unwrap_err().to_string().contains("more than the 64 MB"));
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
