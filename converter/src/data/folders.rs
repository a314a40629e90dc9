//! Folders of pictures or recordings. If a folder contains folders of samples, these are classes, numbered in
//! the order of their names as Keras and PyTorch number them.

use std::path::{Path, PathBuf};

use super::argument::{cannot_read, ending};
use super::images;
use crate::error::{Error, Result};

/// The samples of a folder.
#[derive(Debug)]
pub struct Files {
    /// One file for each sample, class by class, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Extension of all of them: `wav`, or one of [`images::ENDINGS`].
    pub ending: String,
    /// Their classes, if they lie in folders of classes.
    pub classes: Option<Vec<usize>>,
}

/// Lists the samples of a folder, or of the folders in it.
pub fn list(path: &Path) -> Result<Files> {
    let mut found = vec![own(path)?];
    let mut classes = None;
    if found[0].is_empty() {
        let folders = folders(path)?;
        found = folders.iter().map(|folder| own(folder)).collect::<Result<_>>()?;
        let counts = found.iter().map(Found::len).enumerate();
        classes = Some(counts.flat_map(|(class, n)| std::iter::repeat_n(class, n)).collect());
    }
    let count = |of: fn(&Found) -> usize| found.iter().map(of).sum::<usize>();
    let (pictures, recordings) = (count(|f| f.pictures.len()), count(|f| f.recordings.len()));
    let all = |of: fn(Found) -> Vec<PathBuf>, found: Vec<Found>| found.into_iter().flat_map(of).collect();
    match (pictures, recordings) {
        (1.., 0) => Ok(Files { files: all(|f| f.pictures, found), ending: "png".into(), classes }),
        (0, 1..) => Ok(Files { files: all(|f| f.recordings, found), ending: "wav".into(), classes }),
        (0, 0) => Err(Error::input(format!("{}: the folder holds no samples", path.display())).help(
            "put .png, .jpg, .bmp or .wav files into it, or folders of them, one for each class; or give a \
             .npz, .npy or .csv file",
        )),
        _ => Err(Error::input(format!("{}: pictures and recordings are mixed", path.display()))
            .help("keep them in folders of their own")),
    }
}

/// The samples that lie in one folder.
struct Found {
    pictures: Vec<PathBuf>,
    recordings: Vec<PathBuf>,
}

impl Found {
    fn len(&self) -> usize {
        self.pictures.len() + self.recordings.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn own(path: &Path) -> Result<Found> {
    let mut found = Found { pictures: Vec::new(), recordings: Vec::new() };
    for file in entries(path)? {
        match ending(&file).as_str() {
            "wav" => found.recordings.push(file),
            e if images::ENDINGS.contains(&e) => found.pictures.push(file),
            _ => {}
        }
    }
    Ok(found)
}

/// The folders in a folder, except hidden ones. An empty one is a class, too.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = entries(path)?;
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    folders.retain(|entry| entry.is_dir() && !hidden(entry));
    Ok(folders)
}

/// The entries of a folder, in the order of their names.
fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(|e| cannot_read(path, e))?;
    let mut entries = entries
        .map(|entry| Ok(entry.map_err(|e| cannot_read(path, e))?.path()))
        .collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_classes_in_the_order_of_their_names() {
        let home = tempfile::tempdir().unwrap();
        for name in ["dogs", "cats", "none", ".hidden"] {
            std::fs::create_dir(home.path().join(name)).unwrap();
        }
        assert!(list(home.path()).unwrap_err().message.contains("no samples"));
        for name in ["dogs/a.png", "dogs/b.JPG", "cats/9.png", "cats/notes.txt", ".hidden/x.png"] {
            std::fs::write(home.path().join(name), "").unwrap();
        }
        let found = list(home.path()).unwrap();
        let names: Vec<_> = found.files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!((names, found.classes), (vec!["9.png", "a.png", "b.JPG"], Some(vec![0, 1, 1])));
        // Once the folder has a sample of its own, it has no classes.
        std::fs::write(home.path().join("own.png"), "").unwrap();
        let found = list(home.path()).unwrap();
        assert_eq!((found.files.len(), found.classes), (1, None));
        std::fs::write(home.path().join("own.wav"), "").unwrap();
        assert!(list(home.path()).unwrap_err().message.contains("mixed"));
    }
}
