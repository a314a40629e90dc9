//! Parses a DATA argument, and makes the errors for a file or folder that cannot be read.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file or folder that a DATA argument names.
pub fn path_of(argument: &str) -> PathBuf {
    split_argument(argument).0
}

/// Splits `file.npz:array`, `file.csv:column,column`, `file.tfrecord:feature` and `saved_data_set:component`. A colon separates
/// only if a name that ends so stands before it, or a folder of `tf.data.Dataset.save`.
pub fn split_argument(argument: &str) -> (PathBuf, Option<&str>) {
    let colons = argument.match_indices(':').map(|(at, _)| (&argument[..at], &argument[at + 1..]));
    let mut split = colons.filter(|(file, _)| {
        let path = Path::new(file);
        matches!(ending(path).as_str(), "npz" | "csv") || is_record_file(path) || is_saved(path)
    });
    match split.next().filter(|_| !Path::new(argument).exists()) {
        Some((file, behind)) => (file.into(), Some(behind)),
        None => (argument.into(), None),
    }
}

/// Whether a path has the name of a file of records: `train.tfrecord`, `train.tfrecord.gz`, `train.tfrecord-00001-of-00004`.
pub fn is_record_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    matches!(ending.split('-').next(), Some("tfrecord" | "tfrecords" | "tfrec")) || ending == "parquet"
}

/// Whether a folder is one of `tf.data.Dataset.save`.
pub fn is_saved(path: &Path) -> bool {
    path.join("dataset_spec.pb").is_file() && path.join("snapshot.metadata").is_file()
}

/// The extension of a file name, in lower case.
pub fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The error for a file or folder that does not exist.
pub fn absent(path: &Path) -> Error {
    Error::input(format!("{}: there is no such file or folder", path.display()))
        .help("give a .npz, .npy, .csv, .tar or .tfrecord file, a folder of tf.data.Dataset.save, or a folder of .png, .jpg, .bmp or .wav files")
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
