//! Parses a DATA argument, and makes the errors for a file or folder that cannot be read.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file or folder that a DATA argument names.
pub fn path_of(argument: &str) -> PathBuf {
    split_argument(argument).0
}

/// Splits `file.npz:array` and `file.csv:column,column`. A colon separates only if a name that ends in `.npz`
/// or `.csv` stands before it.
pub fn split_argument(argument: &str) -> (PathBuf, Option<&str>) {
    let colons = argument.match_indices(':').map(|(at, _)| (&argument[..at], &argument[at + 1..]));
    let mut split = colons.filter(|(file, _)| matches!(ending(Path::new(file)).as_str(), "npz" | "csv"));
    match split.next().filter(|_| !Path::new(argument).exists()) {
        Some((file, behind)) => (file.into(), Some(behind)),
        None => (argument.into(), None),
    }
}

/// The extension of a file name, in lower case.
pub fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The error for a file or folder that does not exist.
pub fn absent(path: &Path) -> Error {
    Error::input(format!("{}: there is no such file or folder", path.display()))
        .help("give a .npz, .npy, .csv or .tar file, or a folder of .png, .jpg, .bmp or .wav files")
}

/// The error for a file or folder that cannot be read.
pub fn cannot_read(path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return absent(path).caused_by(error);
    }
    Error::input(format!("{}: cannot be read: {error}", path.display()))
        .help("check the file and its permissions")
        .caused_by(error)
}
