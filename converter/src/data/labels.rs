//! The right answers for a data set: class numbers, or real numbers for a regression.

use std::fs::File;
use std::io::BufReader;

use super::npy::{Array, shape_text};
use super::npz::Npz;
use super::{cannot_read, csv, ending, split_argument};
use crate::error::{Error, Result};

/// What the model should answer, one entry a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Number of the right class.
    Classes(Vec<usize>),
    /// The numbers that the first output should have.
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
}

/// Reads labels from `file.npz:array`, a `.npy` or a `.csv` file, or from the array of that name
/// in `data` if this is a `.npz` file. Integer arrays with one number a sample are classes, float
/// arrays are real numbers; in a table, a single column of whole numbers are classes.
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
                        .help(format!("say it: {argument}:NAME; arrays in the file: {}", npz.list())));
                }
            },
        };
        return from_array(&npz.read(&name)?, &format!("{}: array `{name}`", path.display()));
    }
    if path.exists() && kind == "npy" {
        let file = File::open(&path).map_err(|e| cannot_read(&path, &e))?;
        let array = Array::read(BufReader::new(file)).map_err(|why| {
            Error::input(format!("{argument}: {why}")).help("write the labels with numpy.save")
        })?;
        return from_array(&array, argument);
    }
    if path.exists() && kind == "csv" {
        let table = csv::read(&path)?;
        let width = table.columns.max(1);
        if width == 1 && table.values.iter().all(|v| *v >= 0.0 && v.fract() == 0.0 && *v < 16_777_216.0) {
            return Ok(Labels::Classes(table.values.iter().map(|&v| v as usize).collect()));
        }
        return Ok(Labels::Values(table.values.chunks_exact(width).map(<[f32]>::to_vec).collect()));
    }
    let (data_path, _) = split_argument(data);
    if ending(&data_path) == "npz" && data_path.exists() {
        let array = Npz::open(&data_path)?.read(argument)?;
        return from_array(&array, &format!("{}: array `{argument}`", data_path.display()));
    }
    Err(Error::input(format!("{argument}: there are no such labels"))
        .help("give file.npz:array, a .npy or .csv file, or the name of an array beside the data"))
}

fn from_array(array: &Array, origin: &str) -> Result<Labels> {
    let rows = 0..array.rows();
    if array.element().is_float() {
        let values: Vec<Vec<f32>> = rows.map(|row| array.row_f32(row)).collect();
        if let Some(sample) = values.iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::input(format!("{origin}: sample {sample} is not a finite number"))
                .help("remove such samples, or replace the values"));
        }
        return Ok(Labels::Values(values));
    }
    let mut classes = Vec::with_capacity(array.rows());
    for row in rows {
        let numbers = array.row_i64(row).unwrap_or_default();
        let class = match numbers.as_slice() {
            [one] => usize::try_from(*one).ok(),
            _ => None,
        };
        let Some(class) = class else {
            return Err(Error::input(format!(
                "{origin}: {} {} are no class numbers",
                shape_text(array.shape()),
                array.element().name()
            ))
            .help("labels are one integer from 0 on for each sample, or float values for a regression"));
        };
        classes.push(class);
    }
    Ok(Labels::Classes(classes))
}
