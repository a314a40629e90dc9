//! The variables of a model, which Keras stores in HDF5. They are found by path, checked against the shape
//! that the configuration requires, and read as float32.

use std::collections::{BTreeMap, HashMap};

use hdf5_pure::{AttrValue, Dataset, File, Group};

use crate::error::{Error, Result};
use crate::import::listed::Listed;

/// The help for a file that contradicts itself.
const DAMAGED: &str = "the file is damaged: save the model again, or check that it was copied completely";

/// Largest ratio between unpacked and packed size that is accepted.
pub const EXPANSION: u64 = 100;

/// An HDF5 file with variables, or a list of them.
pub struct Weights {
    file: Option<File>,
    /// Variables by their names, where there is no file.
    listed: HashMap<String, Listed>,
    /// Size of the file in bytes, which limits what a dataset may claim.
    size: u64,
    /// Groups whose names contain backslashes, because Keras on Windows joined the path with them; by the
    /// path that is meant.
    windows: BTreeMap<String, String>,
}

impl Weights {
    /// Opens the contents of an HDF5 file.
    pub fn open(bytes: Vec<u8>) -> Result<Weights> {
        let size = bytes.len() as u64;
        let file = File::from_bytes(bytes).map_err(|e| {
            Error::input(format!("is not a readable HDF5 file: {e}")).help(DAMAGED).caused_by(e)
        })?;
        let groups = file.root().groups().unwrap_or_default();
        let windows = groups.into_iter().filter(|name| name.contains('\\'));
        let windows = windows.map(|name| (name.replace('\\', "/"), name)).collect();
        Ok(Weights { file: Some(file), listed: HashMap::new(), size, windows })
    }

    /// A list of variables.
    pub fn of_list(listed: Vec<Listed>) -> Weights {
        let listed = listed.into_iter().map(|array| (array.name.clone(), array)).collect();
        Weights { file: None, listed, size: 0, windows: BTreeMap::new() }
    }

    /// A path as it is written in the file.
    fn spelled(&self, path: &str) -> String {
        let below =
            |meant: &str| path.strip_prefix(meant).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        // The longest prefix wins: `layers/a` and `layers/a/cell` are groups beside each other.
        let longest = self.windows.iter().rev().find_map(|(meant, name)| Some((name, below(meant)?)));
        longest.map_or_else(|| path.into(), |(name, rest)| format!("{name}{rest}"))
    }

    /// The text of an attribute of the file itself.
    pub fn root_attribute(&self, name: &str) -> Result<Option<String>> {
        let Some(file) = &self.file else { return Ok(None) };
        Ok(self.attributes(&file.root())?.get(name).and_then(text))
    }

    /// Whether there is a group with that path.
    pub fn has_group(&self, path: &str) -> bool {
        let inside = |meant: &String| meant.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        let there = self.file.as_ref().is_some_and(|file| file.group(&self.spelled(path)).is_ok());
        there || self.windows.keys().any(inside)
    }

    /// The list of strings in an attribute of a group. Long lists are split over `NAME0`, `NAME1`, ….
    pub fn words(&self, path: &str, name: &str) -> Result<Vec<String>> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let group = file.group(path).map_err(|e| unreadable(path, e))?;
        let attributes = self.attributes(&group)?;
        if let Some(value) = attributes.get(name) {
            return Ok(texts(value));
        }
        let mut words = Vec::new();
        while let Some(value) = attributes.get(&format!("{name}{}", words.len())) {
            words.push(texts(value));
        }
        Ok(words.concat())
    }

    fn attributes(&self, group: &Group) -> Result<HashMap<String, AttrValue>> {
        group.attrs().map_err(|e| unreadable("attributes", e))
    }

    /// The elements of the variable at `path`, which must have this shape.
    pub fn read(&self, layer: &str, variable: &str, path: &str, expected: &[usize]) -> Result<Vec<f32>> {
        let wrong = |message: String| {
            Error::input(format!("layer `{layer}`, variable `{variable}` (at `{path}`): {message}"))
                .help(DAMAGED)
                .about(layer)
        };
        let Some(file) = &self.file else {
            let array = self.listed.get(path).ok_or_else(|| wrong("is not there".into()))?;
            if array.shape != expected {
                return Err(wrong(format!(
                    "has shape {:?}, but {expected:?} follows from the layer",
                    array.shape
                )));
            }
            return Ok(array.data.to_real(None, &array.shape));
        };
        let dataset: Dataset = file
            .dataset(&self.spelled(path))
            .map_err(|e| wrong(format!("is not there: {e}")).caused_by(e))?;
        let shape = dataset.shape().map_err(|e| wrong(e.to_string()).caused_by(e))?;
        if !shape.iter().copied().eq(expected.iter().map(|&d| d as u64)) {
            return Err(wrong(format!("has shape {shape:?}, but {expected:?} follows from the layer")));
        }
        // A shape is only believed if the file has enough bytes for it.
        let element = dataset.element_size().map_err(|e| wrong(e.to_string()).caused_by(e))?;
        let claimed = shape.iter().try_fold(element, |n, &d| n.checked_mul(d));
        let growth = if dataset.is_chunked() { EXPANSION } else { 1 };
        if claimed.is_none_or(|bytes| bytes > self.size.saturating_mul(growth)) {
            return Err(wrong(format!("has shape {shape:?}, but the file has {} bytes", self.size)));
        }
        let elements = dataset.read_f32().map_err(|e| wrong(format!("cannot be read: {e}")).caused_by(e))?;
        if elements.len() as u64 * element != claimed.unwrap_or_default() {
            return Err(wrong(format!("holds {} elements", elements.len())));
        }
        match elements.iter().position(|x| !x.is_finite()) {
            None => Ok(elements),
            Some(place) => Err(wrong(format!("element {place} is {}", elements[place]))),
        }
    }
}

fn unreadable(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::input(format!("`{what}` cannot be read: {error}")).help(DAMAGED).caused_by(error)
}

/// The first string of an attribute.
fn text(value: &AttrValue) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// All strings of an attribute; empty if it holds something else, as the attribute of an empty list does.
fn texts(value: &AttrValue) -> Vec<String> {
    value.as_strings().unwrap_or_default().to_vec()
}
