//! Text tables: one sample a row, a column for each element.

use std::path::Path;

use super::InputSpec;
use super::npy::Array;
use crate::error::{Error, Result};

/// Rows of numbers.
pub struct Table {
    /// The numbers, row after row.
    pub values: Vec<f32>,
    /// Numbers in each row.
    pub columns: usize,
}

/// Reads a table. Cells are separated by commas, semicolons or tabs, whichever the first line
/// has; a first line with a cell that is no number is a header.
pub fn read(path: &Path) -> Result<Table> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|e| super::cannot_read(path, &e))?;
    let first = text.split(|&b| b == b'\n').next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|d| first.contains(d)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter)
        .from_reader(&text[..]);

    let mut table = Table { values: Vec::new(), columns: 0 };
    for (index, record) in reader.records().enumerate() {
        let line = index + 1;
        let record = record.map_err(|_| {
            Error::input(format!("{shown}: line {line} is not text"))
                .help("a .csv file holds one sample a row, numbers separated by commas")
        })?;
        let numbers: Vec<Option<f32>> = record.iter().map(|cell| cell.parse().ok()).collect();
        if index == 0 && numbers.contains(&None) {
            continue;
        }
        let width = numbers.len();
        if table.columns == 0 {
            table.columns = width;
        }
        if width != table.columns {
            let want = table.columns;
            return Err(Error::input(format!(
                "{shown}: line {line} has {width} values, the ones before {want}"
            ))
            .help("a .csv file holds one sample a row, all rows of one length"));
        }
        for (column, number) in numbers.into_iter().enumerate() {
            let cell = record.get(column).unwrap_or_default();
            match number {
                Some(value) if value.is_finite() => table.values.push(value),
                Some(_) => {
                    return Err(Error::input(format!(
                        "{shown}: line {line}, column {} holds {cell}, not a finite number",
                        column + 1
                    ))
                    .help("remove such rows, or replace the values"));
                }
                None => {
                    return Err(Error::input(format!(
                        "{shown}: line {line}, column {} holds `{cell}`, not a number",
                        column + 1
                    ))
                    .help("a .csv file holds one sample a row, numbers separated by commas"));
                }
            }
        }
    }
    Ok(table)
}

/// Cuts the rows into one array for each input: the columns of the first input come first.
pub fn split(path: &Path, table: &Table, specs: &[InputSpec]) -> Result<Vec<Array>> {
    let wanted = specs.iter().try_fold(0usize, |sum, spec| sum.checked_add(spec.elements()));
    if table.columns == 0 || wanted != Some(table.columns) {
        let wants: Vec<String> = specs.iter().map(InputSpec::wants).collect();
        let shown = path.display();
        return Err(Error::input(format!(
            "{shown}: rows of {} values, but {}",
            table.columns,
            wants.join(", ")
        ))
        .help("a .csv file holds one sample a row with a column for each element, and no labels"));
    }
    let rows = table.values.len() / table.columns;
    let mut start = 0;
    let mut arrays = Vec::with_capacity(specs.len());
    for spec in specs {
        let end = start + spec.elements();
        let values: Vec<f32> = table
            .values
            .chunks_exact(table.columns)
            .flat_map(|row| row[start..end].iter().copied())
            .collect();
        let shape = [&[rows], &spec.shape[..]].concat();
        arrays.extend(Array::from_f32(shape, &values));
        start = end;
    }
    Ok(arrays)
}
