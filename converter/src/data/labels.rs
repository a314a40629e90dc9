//! The right answers for a data set: class numbers, or real numbers for a regression.

use std::io::BufReader;
use std::path::Path;

use super::argument::{cannot_read, ending, is_record_file, is_saved, split_argument};
use super::npy::{Array, shape_text};
use super::npz::Npz;
use super::tensors::Tensors;
use super::{csv, folders, tar};
use crate::error::{Error, Result};

/// What the model should answer, one entry for each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Number of the right class.
    Classes(Vec<usize>),
    /// The numbers that an output should have.
    Values(Vec<Vec<f32>>),
}

impl Labels {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Labels::Classes(classes) => classes.len(),
            Labels::Values(values) => values.len(),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Real numbers as class numbers, if that is what they are: one whole number for each sample, or one-hot
    /// rows, which are zeros and a single 1. `None` for all other labels, classes included.
    pub fn as_classes(&self) -> Option<Labels> {
        let Labels::Values(rows) = self else { return None };
        let class = |row: &Vec<f32>| match row.as_slice() {
            [one] => whole(*one),
            all => {
                let hot = all.iter().position(|&x| x == 1.0)?;
                all.iter().enumerate().all(|(i, &x)| i == hot || x == 0.0).then_some(hot)
            }
        };
        rows.iter().map(class).collect::<Option<Vec<usize>>>().map(Labels::Classes)
    }

    /// Classes that are called by numbers of the author's, such as 1, 2 and 3, as places among these names. `None` where
    /// the names are the places, and where a label is none of them.
    pub(crate) fn by_names(&self, names: &[String]) -> Option<Labels> {
        let Labels::Classes(classes) = self else { return None };
        if names.iter().enumerate().all(|(place, name)| *name == place.to_string()) {
            return None;
        }
        let place = |class: &usize| names.iter().position(|name| *name == class.to_string());
        classes.iter().map(place).collect::<Option<Vec<usize>>>().map(Labels::Classes)
    }

    /// Turns one-hot rows into class numbers.
    fn without_one_hot(self) -> Labels {
        let wide = matches!(&self, Labels::Values(rows) if rows.iter().all(|row| row.len() > 1));
        self.as_classes().filter(|_| wide).unwrap_or(self)
    }
}

/// Reads labels from `file.npz:array`, a `.npy` or a `.csv` file, or from the array of that name in `data` if
/// this is a `.npz` file. Integer arrays with one number for each sample are classes, and so are one-hot rows
/// of any type. Other float arrays are real numbers. In a table, a single column of whole numbers is classes.
pub fn load_labels(argument: &str, data: &str) -> Result<Labels> {
    let (path, array) = split_argument(argument);
    let kind = ending(&path);
    if kind == "npz" {
        let mut npz = Npz::open(&path)?;
        let name = match array {
            Some(name) => name.to_string(),
            None => match npz.arrays() {
                [(only, _)] => only.clone(),
                _ => {
                    return Err(Error::input(format!("{argument}: which array holds the labels?"))
                        .help(format!("name it: {argument}:NAME; arrays in the file: {}", npz.list())));
                }
            },
        };
        return from_array(&npz.read(&name)?, &format!("{}: array `{name}`", path.display()));
    }
    let is_records = |path: &Path| match path.is_dir() {
        true => is_saved(path),
        false => path.exists() && is_record_file(path),
    };
    if is_records(&path) {
        let tensors = Tensors::open(&path)?;
        let name = array.ok_or_else(|| {
            Error::input(format!("{argument}: which part of the samples is the label?"))
                .help(format!("name it: {argument}:NAME; in a data set of pairs it is {argument}:1"))
        })?;
        return from_array(&tensors.array(name)?, &format!("{}: `{name}`", path.display()));
    }
    if path.is_dir() {
        let files = folders::list(&path)?;
        return files.classes.map(Labels::Classes).ok_or_else(|| {
            Error::input(format!("{argument}: the samples do not lie in folders of their classes"))
                .help("put the samples of each class into a folder of its own")
        });
    }
    if path.exists() && kind == "tar" {
        return tar::Samples::open(&path)?.classes()?.map(Labels::Classes).ok_or_else(|| {
            Error::input(format!("{argument}: the samples have no classes"))
                .help("put the number of its class beside each sample: 0001.cls beside 0001.jpg")
        });
    }
    if path.exists() && kind == "npy" {
        let file = crate::files::open(&path).map_err(|e| cannot_read(&path, e))?;
        let array = Array::read(BufReader::new(file))
            .map_err(|why| why.context(argument).help("write the labels with numpy.save"))?;
        return from_array(&array, argument);
    }
    if path.exists() && kind == "csv" {
        let table = csv::read(&path, array)?;
        let width = table.columns.max(1);
        let values = Labels::Values(table.values.chunks_exact(width).map(<[f32]>::to_vec).collect());
        return Ok(values.as_classes().unwrap_or(values));
    }
    let (data_path, _) = split_argument(data);
    if ending(&data_path) == "npz" && data_path.exists() {
        let array = Npz::open(&data_path)?.read(argument)?;
        return from_array(&array, &format!("{}: array `{argument}`", data_path.display()));
    }
    if is_records(&data_path) {
        let array = Tensors::open(&data_path)?.array(argument)?;
        return from_array(&array, &format!("{}: `{argument}`", data_path.display()));
    }
    Err(Error::input(format!("{argument}: there are no such labels"))
        .help("give file.npz:array, a .npy file, file.csv:column, file.tfrecord:feature, a folder of classes, or the name of an array beside the data"))
}

/// A whole number of at least 0, as a class.
fn whole(x: f32) -> Option<usize> {
    (x >= 0.0 && x.fract() == 0.0 && x < 16_777_216.0).then_some(x as usize)
}

fn from_array(array: &Array, origin: &str) -> Result<Labels> {
    let rows = 0..array.rows();
    if array.element().is_float() {
        let values: Vec<Vec<f32>> = rows.map(|row| array.row_f32(row)).collect();
        if let Some(sample) = values.iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::input(format!("{origin}: sample {sample} is not a finite number"))
                .help("remove such samples, or replace the values"));
        }
        return Ok(Labels::Values(values).without_one_hot());
    }
    let mut classes = Vec::with_capacity(array.rows());
    for row in rows {
        let numbers = array.row_i64(row).unwrap_or_default();
        let class = match numbers.as_slice() {
            [one] => usize::try_from(*one).ok(),
            all => {
                let row = Labels::Values(vec![all.iter().map(|&x| x as f32).collect()]).as_classes();
                row.and_then(
                    |row| if let Labels::Classes(classes) = row { classes.first().copied() } else { None },
                )
            }
        };
        let Some(class) = class else {
            return Err(Error::input(format!(
                "{origin}: {} {} are not class numbers",
                shape_text(array.shape()),
                array.element().name()
            ))
            .help("labels are one integer from 0 on for each sample, one-hot rows, or float values for a regression"));
        };
        classes.push(class);
    }
    Ok(Labels::Classes(classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_may_be_called_by_other_numbers() {
        let names = |names: &[&str]| -> Vec<String> { names.iter().map(|name| name.to_string()).collect() };
        let labels = Labels::Classes(vec![3, 1, 3]);
        assert_eq!(labels.by_names(&names(&["1", "2", "3"])), Some(Labels::Classes(vec![2, 0, 2])));
        assert_eq!(labels.by_names(&names(&["0", "1", "2", "3"])), None);
        assert_eq!(labels.by_names(&names(&["1", "2"])), None);
        assert_eq!(labels.by_names(&names(&["left", "right"])), None);
        assert_eq!(labels.by_names(&[]), None);
    }
}
