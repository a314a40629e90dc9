//! Tables of text: each row is a sample, each column an element.

use std::path::Path;

use super::InputSpec;
use super::argument::cannot_read;
use super::npy::Array;
use crate::error::{Error, Result};

/// Rows of numbers.
pub struct Table {
    /// The numbers, row after row.
    pub values: Vec<f32>,
    /// Number of columns.
    pub columns: usize,
}

/// Reads a table. Cells are separated by commas, semicolons or tabs, whichever is most frequent in the first
/// line. A first line with a cell that is not a number is a header. `columns` are names from the header,
/// separated by commas: these columns are taken in that order, and the others may contain anything.
pub fn read(path: &Path, columns: Option<&str>) -> Result<Table> {
    let shown = path.display();
    let text = crate::files::read(path).map_err(|e| cannot_read(path, e))?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let first = text.split(|&b| b == b'\n').next().unwrap_or_default();
    let mut records = records(text, delimiter(first)).into_records().enumerate();
    let mut chosen: Option<Vec<usize>> = None;
    if let Some(names) = columns {
        let header = records.next().and_then(|(_, record)| record.ok()).unwrap_or_default();
        chosen = Some(choose(&header, names).map_err(|e| e.context(&shown))?);
    }

    let mut table = Table { values: Vec::new(), columns: 0 };
    for (index, record) in records {
        let line = index + 1;
        let record = record.map_err(|_| {
            Error::input(format!("{shown}: line {line} is not text"))
                .help("a .csv file holds one sample a row, numbers separated by commas")
        })?;
        let places = chosen.clone().unwrap_or_else(|| (0..record.len()).collect());
        let cells: Vec<&str> = places.iter().map(|&place| record.get(place).unwrap_or_default()).collect();
        let numbers: Vec<Option<f32>> = cells.iter().map(|cell| cell.parse().ok()).collect();
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
        for ((number, cell), place) in numbers.into_iter().zip(cells).zip(places) {
            let column = place + 1;
            match number {
                Some(value) if value.is_finite() => table.values.push(value),
                Some(_) => {
                    return Err(Error::input(format!(
                        "{shown}: line {line}, column {column} holds {cell}, not a finite number"
                    ))
                    .help("remove such rows, or replace the values"));
                }
                None => {
                    return Err(Error::input(format!(
                        "{shown}: line {line}, column {column} holds `{cell}`, not a number"
                    ))
                    .help(format!(
                        "take the columns that hold numbers, by their names: {shown}:first,second"
                    )));
                }
            }
        }
    }
    Ok(table)
}

fn records(text: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter)
        .from_reader(text)
}

/// The character that separates the cells of a line. Quoted text is ignored.
fn delimiter(line: &[u8]) -> u8 {
    let mut quoted = false;
    let plain: Vec<u8> = line
        .iter()
        .copied()
        .filter(|&b| {
            quoted ^= b == b'"';
            !quoted
        })
        .collect();
    let count = |delimiter: u8| plain.iter().filter(|&&b| b == delimiter).count();
    // The last of several maxima wins, so the comma is preferred.
    [b'\t', b';', b','].into_iter().max_by_key(|&d| count(d)).unwrap_or(b',')
}

/// The indices of named columns in a header.
fn choose(header: &csv::StringRecord, names: &str) -> Result<Vec<usize>> {
    let wanted = records(names.as_bytes(), b',').into_records().next().and_then(|names| names.ok());
    let wanted = wanted.unwrap_or_default();
    if header.iter().all(|cell| cell.parse::<f32>().is_ok()) {
        return Err(Error::input(format!(
            "columns were asked for by name ({names}), but there is no header"
        ))
        .help("put the columns' names into the first line"));
    }
    let place = |name: &str| {
        let list = || header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut places = header.iter().enumerate().filter(|(_, cell)| *cell == name).map(|(at, _)| at);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => Err(Error::input(format!("several columns are called `{name}`"))
                .help("give each column a name of its own in the first line")),
            (None, _) => {
                Err(Error::input(format!("there is no column `{name}`; the columns are {}", list()))
                    .help("names are as in the first line, separated by commas: file.csv:first,second"))
            }
        }
    };
    wanted.iter().map(place).collect()
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
        .help(format!(
            "a .csv file holds one sample a row with a column for each element; {shown}:first,second takes \
             columns by the names in the first line"
        )));
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
