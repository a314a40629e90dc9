//! What TensorFlow keeps in records: `tf.train.Example`s, tensors (`TensorProto`), and what `tf.data.Dataset.save` leaves.
//!
//! ```text
//! FILE.tfrecord     one Example a record: named lists of reals, integers or bytes; bytes are a picture, a recording, or a
//!                   tensor of tf.io.serialize_tensor
//! FILE.parquet      a table, its columns as features: see [`parquet`](super::parquet)
//! FOLDER            dataset_spec.pb, snapshot.metadata, RUN/NUMBER.shard/NUMBER.snapshot: TFRecords of tensors, one after the
//!                   other for each component of an element, which has the name of its key, else its number
//! ```
//! Source followed: TensorFlow's `example.proto`, `feature.proto`, `tensor.proto`, `snapshot.proto`, `struct.proto`,
//! `snapshot_utils.cc` (files of version 2).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::argument::cannot_read;
use super::images::Frame;
use super::item::Item;
use super::npy::{self, Array, Element, elements, shape_text};
use super::parquet;
use super::records::Records;
use super::rows::Rows;
use super::spec::InputSpec;
use super::stream::Stream;
use super::wire::{self, Value};
use crate::error::{Error, Result};
use crate::text::plain;

/// One thing of a sample.
enum Cell {
    /// Numbers; a list has no shape.
    Numbers { element: Element, shape: Option<Vec<usize>>, bytes: Vec<u8> },
    /// A picture or a recording, with the name's ending that it would have as a file, and its place in the record.
    File { ending: &'static str, start: usize, size: usize },
    /// Something else.
    Other(&'static str),
}

impl Cell {
    fn told(&self) -> String {
        match self {
            Cell::Numbers { element, shape: Some(shape), .. } => {
                format!("{} {}", shape_text(shape), element.name())
            }
            Cell::Numbers { element, bytes, .. } => {
                format!("{} {}", bytes.len() / element.size(), element.name())
            }
            Cell::File { ending, .. } => format!("a .{ending}"),
            Cell::Other(what) => (*what).into(),
        }
    }

    fn fits(&self, spec: &InputSpec) -> bool {
        match self {
            Cell::Numbers { shape: Some(shape), .. } => spec.fits(shape),
            Cell::Numbers { element, bytes, .. } => bytes.len() / element.size() == spec.elements(),
            Cell::File { ending: "wav", .. } => true,
            Cell::File { .. } => Frame::of(spec).is_some(),
            Cell::Other(_) => false,
        }
    }
}

/// A sample: its parts by name.
type Sample = Vec<(String, Cell)>;

/// A data set in records.
pub struct Tensors {
    shown: PathBuf,
    files: Vec<Records>,
    /// Names of an element's components, in a folder of `save`.
    components: Option<Vec<String>>,
    first: Sample,
}

/// The samples of one input.
pub enum Column {
    /// Numbers.
    Numbers(Rows),
    /// Pictures or recordings, with the ending of all of them.
    Files(Vec<Item>, &'static str),
}

impl Tensors {
    /// Opens a file of Examples, or a folder of `tf.data.Dataset.save`.
    ///
    /// # Errors
    /// When it cannot be read, is of another kind, or holds no samples.
    pub fn open(path: &Path) -> Result<Tensors> {
        let (files, components) = match path.is_dir() {
            true => saved(path)?,
            false => (vec![path.to_path_buf()], None),
        };
        let table =
            |file: &Path| file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
        let open = |file: &PathBuf| if table(file) { parquet::records(file) } else { Records::open(file) };
        let files = files.iter().map(open).collect::<Result<_>>()?;
        let mut tensors = Tensors { shown: path.to_path_buf(), files, components, first: Vec::new() };
        let mut first = None;
        tensors.each(|_, _, sample| {
            first = Some(sample);
            Ok(false)
        })?;
        tensors.first = first.ok_or_else(|| {
            Error::input(format!("{}: there are no samples", path.display()))
                .help("the file ends before its first record")
        })?;
        Ok(tensors)
    }

    /// Calls `f` with each sample, the file, and the place of each component's record in it, until it says that there is enough.
    fn each(&self, mut f: impl FnMut(&Path, &[u64], Sample) -> Result<bool>) -> Result<()> {
        let mut number = 0usize;
        let mut go_on = true;
        for file in self.files.iter() {
            let (mut sample, mut places) = (Vec::new(), Vec::new());
            file.each(|place, record| {
                let broken = |what: &str| {
                    Error::input(format!("{}: sample {number} {what}", self.shown.display()))
                        .help("records hold tf.train.Example; other messages are to be parsed with tf.data and saved")
                };
                match &self.components {
                    None => {
                        sample = example(record).ok_or_else(|| broken("is no tf.train.Example"))?;
                        places = vec![place; sample.len()];
                    }
                    Some(names) => {
                        let cell = tensor(record, 0).ok_or_else(|| broken("holds a tensor of a kind that is not read"))?;
                        let name = names.get(sample.len()).cloned().unwrap_or_default();
                        sample.push((name, cell));
                        places.push(place);
                        if sample.len() < names.len() {
                            return Ok(true);
                        }
                    }
                }
                number += 1;
                go_on = f(&file.plain, &places, std::mem::take(&mut sample))?;
                places.clear();
                Ok(go_on)
            })?;
            if !go_on {
                break;
            }
            if !sample.is_empty() {
                return Err(Error::input(format!("{}: sample {number} is cut off", self.shown.display()))
                    .help("save the data set again"));
            }
        }
        Ok(())
    }

    /// What a sample consists of, for messages.
    fn list(&self) -> String {
        let mut parts: Vec<String> =
            self.first.iter().map(|(name, cell)| format!("`{name}` ({})", cell.told())).collect();
        parts.sort();
        parts.join(", ")
    }

    /// Which part is an input's: the one that was asked for, the one of its name or position, or the only one that fits.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn find(
        &self,
        wanted: Option<&str>,
        position: usize,
        spec: &InputSpec,
        further: &str,
        alone: bool,
    ) -> Result<String> {
        let (shown, by_position) = (self.shown.display(), format!("in{position}"));
        let there = |name: &str| self.first.iter().any(|(own, _)| own == name);
        let refused = |what: String, help: String| Err(Error::input(format!("{shown}: {what}")).help(help));
        if let Some(wanted) = wanted {
            return match there(wanted) || wanted.split(',').all(there) {
                true => Ok(wanted.into()),
                false => refused(format!("samples have no `{wanted}`"), format!("they have {}", self.list())),
            };
        }
        for name in [&spec.name, plain(&spec.name), further, plain(further), &by_position] {
            if !name.is_empty() && there(name) {
                return Ok(name.into());
            }
        }
        let number = position.to_string();
        let saved = self.components.is_some() && there(&number);
        let fitting: Vec<&str> = self
            .first
            .iter()
            .filter(|(_, cell)| alone && cell.fits(spec))
            .map(|(name, _)| name.as_str())
            .collect();
        match fitting.as_slice() {
            [one] => Ok((*one).into()),
            // The first component of a pair is what Keras gives the model.
            _ if saved && !alone => Ok(number),
            [] => refused(
                format!("nothing for {}", spec.wants()),
                format!("name it: {shown}:NAME; samples have {}", self.list()),
            ),
            several => refused(
                format!("several parts fit {}: `{}`", spec.wants(), several.join("`, `")),
                format!("say which one: {shown}:{}", several[0]),
            ),
        }
    }

    /// The samples of some parts, for inputs of these shapes: lists take the shape, if they have as many numbers.
    ///
    /// # Errors
    /// When parts of samples differ in kind, shape or type, or hold what is no data.
    pub fn columns(&self, wanted: &[(String, Option<&[usize]>)], memory: usize) -> Result<Vec<Column>> {
        let mut columns: Vec<Building> = wanted.iter().map(|_| Building::Nothing).collect();
        let mut number = 0usize;
        self.each(|file, places, sample| {
            for ((name, shape), column) in wanted.iter().zip(&mut columns) {
                let refused = |what: String| {
                    Error::input(format!("{}: sample {number}: `{name}` {what}", self.shown.display()))
                };
                let at = sample.iter().position(|(own, _)| own == name);
                let several = if at.is_none() { side_by_side(&sample, name) } else { None };
                let cell = at.and_then(|at| sample.get(at)).map(|(_, cell)| cell).or(several.as_ref());
                let cell = cell.ok_or_else(|| {
                    refused("is missing".into()).help("all samples have the parts of the first one")
                })?;
                let place = at.and_then(|at| places.get(at)).copied().unwrap_or(0);
                let differs = |first: String| {
                    refused(format!("is {}, where the first sample has {first}", cell.told()))
                        .help("give samples of one shape and type")
                };
                match (cell, &mut *column) {
                    (Cell::Other(what), _) => {
                        return Err(refused(format!("is {what}")).help(
                            "bytes are a picture (.png, .jpg, .bmp), a recording (.wav), or what tf.io.serialize_tensor makes of \
                             numbers",
                        ));
                    }
                    (Cell::Numbers { element, shape: own, bytes }, Building::Nothing) => {
                        let count = bytes.len() / element.size();
                        let shape = match (own, shape) {
                            (Some(own), _) => own.clone(),
                            (None, Some(shape)) if elements(shape) == Some(count) => shape.to_vec(),
                            _ => vec![count],
                        };
                        let mut rows = Spool::new(*element, shape, memory);
                        rows.push(bytes).map_err(no_room)?;
                        *column = Building::Numbers(rows, own.is_some());
                    }
                    (Cell::Numbers { element, shape: own, bytes }, Building::Numbers(rows, shaped)) => {
                        let same = own.as_ref().is_none_or(|own| *own == rows.shape) && own.is_some() == *shaped;
                        if *element != rows.element || bytes.len() != rows.row || !same {
                            return Err(differs(format!("{} {}", shape_text(&rows.shape), rows.element.name())));
                        }
                        rows.push(bytes).map_err(no_room)?;
                    }
                    (&Cell::File { ending, start, size }, Building::Nothing) => {
                        *column = Building::Files(vec![item(&self.shown, number, file, place, start, size, ending)], ending);
                    }
                    (&Cell::File { ending, start, size }, Building::Files(items, first)) => {
                        if (ending == "wav") != (*first == "wav") {
                            return Err(differs(format!("a .{first}")));
                        }
                        items.push(item(&self.shown, number, file, place, start, size, ending));
                    }
                    (_, Building::Numbers(rows, _)) => {
                        return Err(differs(format!("{} {}", shape_text(&rows.shape), rows.element.name())));
                    }
                    (_, Building::Files(_, first)) => return Err(differs(format!("a .{first}"))),
                }
            }
            number += 1;
            Ok(true)
        })?;
        columns.into_iter().map(Building::finish).collect()
    }

    /// All numbers of one part, in memory: labels.
    ///
    /// # Errors
    /// As [`find`](Tensors::find) and [`columns`](Tensors::columns).
    pub fn array(&self, name: &str) -> Result<Array> {
        let shown = self.shown.display();
        if !self.first.iter().any(|(own, _)| own == name) {
            return Err(Error::input(format!("{shown}: samples have no `{name}`"))
                .help(format!("they have {}", self.list())));
        }
        match self.columns(&[(name.into(), None)], usize::MAX)?.pop() {
            Some(Column::Numbers(Rows::Held(array))) => Ok(array),
            _ => Err(Error::input(format!("{shown}: `{name}` holds no numbers"))
                .help(format!("samples have {}", self.list()))),
        }
    }

    /// Temporary files that samples are read from: deleted with what this returns.
    pub fn into_temporaries(self) -> Vec<TempPath> {
        self.files.into_iter().filter_map(Records::into_temporary).collect()
    }
}

/// Numbers of several parts, whose names have commas between them, as one list of reals.
fn side_by_side(sample: &Sample, names: &str) -> Option<Cell> {
    let mut bytes = Vec::new();
    for name in names.split(',') {
        match sample.iter().find(|(own, _)| own == name) {
            Some((_, Cell::Numbers { element, bytes: own, .. })) => {
                bytes.extend(npy::to_f32(*element, own).iter().flat_map(|x| x.to_le_bytes()));
            }
            _ => return None,
        }
    }
    Some(Cell::Numbers { element: Element::Float32, shape: None, bytes })
}

fn item(
    shown: &Path,
    number: usize,
    file: &Path,
    place: u64,
    start: usize,
    size: usize,
    ending: &str,
) -> Item {
    let path = shown.join(format!("{number}.{ending}"));
    Item::member(path, file, place + start as u64, size as u64)
}

fn no_room(error: std::io::Error) -> Error {
    Error::input(format!("a temporary file cannot be written: {error}"))
        .help("set TMPDIR to a folder with room")
        .caused_by(error)
}

enum Building {
    Nothing,
    /// And whether samples say their shape.
    Numbers(Spool, bool),
    Files(Vec<Item>, &'static str),
}

impl Building {
    fn finish(self) -> Result<Column> {
        Ok(match self {
            Building::Numbers(rows, _) => Column::Numbers(rows.finish().map_err(no_room)?),
            Building::Files(items, ending) => Column::Files(items, ending),
            // There is a first sample.
            Building::Nothing => Column::Files(Vec::new(), "png"),
        })
    }
}

/// Rows of one shape: in memory, or from some size on in a temporary file.
struct Spool {
    element: Element,
    shape: Vec<usize>,
    /// Bytes of a row, and rows.
    row: usize,
    count: usize,
    memory: usize,
    held: Vec<u8>,
    file: Option<File>,
}

impl Spool {
    fn new(element: Element, shape: Vec<usize>, memory: usize) -> Spool {
        let row = elements(&shape).unwrap_or(0) * element.size();
        Spool { element, shape, row, count: 0, memory, held: Vec::new(), file: None }
    }

    fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.held.extend_from_slice(bytes);
        self.count += 1;
        let most = if self.file.is_some() { 1 << 20 } else { self.memory };
        if self.held.len() > most {
            if self.file.is_none() {
                self.file = Some(tempfile::tempfile()?);
            }
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(&self.held)?;
            // What was reserved is for a data set that is held.
            self.held = Vec::new();
        }
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<Rows> {
        self.flush()?;
        let shape = [&[self.count], self.shape.as_slice()].concat();
        Ok(match self.file {
            Some(file) => Rows::Streamed(Box::new(Stream::of_rows(file, self.element, shape))),
            None => Rows::Held(Array::of(self.element, shape, self.held)),
        })
    }
}

/// The features of an Example.
fn example(record: &[u8]) -> Option<Sample> {
    let mut sample = Sample::new();
    for features in wire::parts(record, 1)? {
        for entry in wire::parts(features, 1)? {
            let name = wire::parts(entry, 1)?.pop().unwrap_or_default();
            let name = String::from_utf8(name.to_vec()).ok()?;
            let feature = wire::parts(entry, 2)?.pop().unwrap_or_default();
            let cell = self::feature(feature, offset(record, feature))?;
            sample.retain(|(own, _)| *own != name);
            sample.push((name, cell));
        }
    }
    // Any message without a field of this number would do.
    (!sample.is_empty()).then_some(sample)
}

/// Where a part of a record begins.
fn offset(record: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(record.as_ptr() as usize)
}

fn feature(feature: &[u8], start: usize) -> Option<Cell> {
    let Some((kind, Value::Bytes(list))) = wire::fields(feature)?.pop() else {
        return Some(Cell::Other("empty"));
    };
    Some(match kind {
        1 => match wire::parts(list, 1)?.as_slice() {
            [one] => bytes(one, start + offset(feature, one)),
            [] => Cell::Other("an empty list of bytes"),
            _ => Cell::Other("a list of several bytes"),
        },
        2 => Cell::Numbers { element: Element::Float32, shape: None, bytes: wire::fixed::<4>(list, 1)? },
        3 => {
            let integers = wire::integers(list, 1)?;
            let bytes = integers.iter().flat_map(|number| number.to_le_bytes()).collect();
            Cell::Numbers { element: Element::Int64, shape: None, bytes }
        }
        _ => return None,
    })
}

/// What bytes are by their beginning: a picture, a recording, or a tensor.
fn bytes(bytes: &[u8], start: usize) -> Cell {
    let kinds: [(&[u8], &str); 4] =
        [(b"\x89PNG", "png"), (b"\xFF\xD8\xFF", "jpg"), (b"RIFF", "wav"), (b"BM", "bmp")];
    match kinds.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, ending)) => Cell::File { ending, start, size: bytes.len() },
        None => tensor(bytes, start).unwrap_or(Cell::Other("bytes of an unknown kind")),
    }
}

/// A tensor that begins at a place of its record. `None` for what is none, or of a type that has no numbers.
fn tensor(message: &[u8], start: usize) -> Option<Cell> {
    let (mut code, mut shape, mut content) = (0, Vec::new(), None);
    for (number, value) in wire::fields(message)? {
        match (number, value) {
            (1, Value::Number(number)) => code = number,
            (2, Value::Bytes(dims)) => {
                for dim in wire::parts(dims, 2)? {
                    let size = wire::integers(dim, 1)?.pop().unwrap_or(0);
                    shape.push(usize::try_from(size).ok()?);
                }
            }
            (4, Value::Bytes(bytes)) => content = Some(bytes),
            // Version, and values one by one, which are read below.
            (3 | 5..=17, _) => {}
            _ => return None,
        }
    }
    if code == 7 {
        return text(message, start, &shape, content);
    }
    let (element, list) = match code {
        1 => (Element::Float32, 5),
        2 => (Element::Float64, 6),
        3 => (Element::Int32, 7),
        4 => (Element::UInt8, 7),
        5 => (Element::Int16, 7),
        6 => (Element::Int8, 7),
        9 => (Element::Int64, 10),
        10 => (Element::Bool, 11),
        17 => (Element::UInt16, 7),
        19 => (Element::Float16, 13),
        22 => (Element::UInt32, 16),
        23 => (Element::UInt64, 17),
        _ => return None,
    };
    let size = elements(&shape)?.checked_mul(element.size())?;
    let bytes = match content {
        Some(content) => content.to_vec(),
        None => {
            let mut bytes = match list {
                5 => wire::fixed::<4>(message, 5)?,
                6 => wire::fixed::<8>(message, 6)?,
                _ => {
                    let numbers = wire::integers(message, list)?;
                    numbers
                        .iter()
                        .flat_map(|number| number.to_le_bytes().into_iter().take(element.size()))
                        .collect()
                }
            };
            // The last value stands for all that follow.
            if let (true, Some(last)) =
                (bytes.len() < size && size < 1 << 30, bytes.len().checked_sub(element.size()))
            {
                let last = bytes[last..].to_vec();
                bytes.extend(last.iter().copied().cycle().take(size - bytes.len()));
            }
            bytes
        }
    };
    (bytes.len() == size).then_some(Cell::Numbers { element, shape: Some(shape), bytes })
}

/// A text, which may be a picture's file.
fn text(message: &[u8], start: usize, shape: &[usize], content: Option<&[u8]>) -> Option<Cell> {
    if elements(shape) != Some(1) {
        return Some(Cell::Other("a tensor of texts"));
    }
    let one = match content {
        Some(mut content) => {
            let size = usize::try_from(wire::varint(&mut content)?).ok()?;
            content.get(..size)?
        }
        None => wire::parts(message, 8)?.pop()?,
    };
    let cell = bytes(one, start + offset(message, one));
    Some(if matches!(cell, Cell::File { .. }) { cell } else { Cell::Other("a text") })
}

/// The field of `SnapshotMetadataRecord` that says that all was saved.
const FINALIZED: u64 = 1000;

/// The files of a folder of `save`, and the names of an element's components.
fn saved(path: &Path) -> Result<(Vec<PathBuf>, Option<Vec<String>>)> {
    let shown = path.display();
    let read = |name: &str| {
        let path = path.join(name);
        crate::files::read(&path).map_err(|e| cannot_read(&path, e))
    };
    let broken =
        |what: &str| Error::input(format!("{shown}: {what}")).help("save it again with tf.data.Dataset.save");
    let (metadata, spec) = (read("snapshot.metadata")?, read("dataset_spec.pb")?);
    let fields = wire::fields(&metadata).ok_or_else(|| broken("`snapshot.metadata` is damaged"))?;
    let run = fields.iter().find_map(|(number, value)| match value {
        Value::Bytes(run) if *number == 2 => Some(String::from_utf8_lossy(run).into_owned()),
        _ => None,
    });
    let count = wire::integers(&metadata, 5).map_or(0, |types| types.len());
    if !fields.iter().any(|(number, value)| *number == FINALIZED && *value == Value::Number(1)) {
        return Err(broken("the data set was not saved to its end"));
    }
    let run = run
        .filter(|run| !run.contains(['/', '\\']) && run != "..")
        .ok_or_else(|| broken("`snapshot.metadata` names no run"))?;
    let mut files = Vec::new();
    for shard in entries(&path.join(run))? {
        files.extend(
            entries(&shard)?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "snapshot")),
        );
    }
    let mut names = Vec::new();
    let known = flattened(&spec, "", 0, &mut names).is_some()
        && names.len() == count
        && names.iter().all(|n| !n.is_empty());
    if !known {
        names = (0..count).map(|number| number.to_string()).collect();
    }
    if files.is_empty() || names.is_empty() {
        return Err(broken("the folder holds no samples"));
    }
    Ok((files, Some(names)))
}

/// Entries of a folder in the order of their names.
fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(|e| cannot_read(path, e))?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    Ok(entries)
}

/// Deepest nesting of a data set's elements.
const DEEPEST: usize = 32;

/// The names of the tensors of a structure, in the order in which TensorFlow flattens it: dictionaries by their keys.
fn flattened(structure: &[u8], name: &str, depth: usize, names: &mut Vec<String>) -> Option<()> {
    let fields = wire::fields(structure)?;
    let inner = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
    let (kind, value) = match fields.last() {
        Some((kind @ 51..=54, Value::Bytes(value))) if depth < DEEPEST => (*kind, *value),
        _ => {
            names.push(name.into());
            return Some(());
        }
    };
    // A list's values are of the first field, a dictionary's entries too, and a named tuple's pairs of the second.
    let parts = wire::parts(value, if kind == 54 { 2 } else { 1 })?;
    if kind < 53 {
        return parts
            .iter()
            .enumerate()
            .try_for_each(|(at, part)| flattened(part, &inner(&at.to_string()), depth + 1, names));
    }
    let pair = |part: &[u8]| -> Option<(String, Vec<u8>)> {
        let key = String::from_utf8(wire::parts(part, 1)?.pop()?.to_vec()).ok()?;
        Some((key, wire::parts(part, 2)?.pop()?.to_vec()))
    };
    let mut pairs = parts.into_iter().map(pair).collect::<Option<Vec<_>>>()?;
    if kind == 53 {
        pairs.sort();
    }
    pairs.iter().try_for_each(|(key, value)| flattened(value, &inner(key), depth + 1, names))
}

#[cfg(test)]
mod tests {
    use super::super::records::written;
    use super::super::{Dataset, Labels, load_labels};
    use super::*;
    use crate::graph::DType;

    /// What TensorFlow has written: see `make.py` there.
    fn given(name: &str) -> String {
        format!("{}/../tests/import/data_sets/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn floats(name: &str, shape: &[usize]) -> InputSpec {
        InputSpec { name: name.into(), shape: shape.to_vec(), dtype: DType::Float32, quantization: None }
    }

    fn samples(data: &Dataset) -> Vec<Vec<Vec<f32>>> {
        (0..data.len()).map(|sample| data.real(sample).unwrap()).collect()
    }

    #[test]
    fn data_sets_of_tensorflow_are_read() {
        let (x, picture) = (floats("x", &[1, 4, 3]), floats("picture", &[1, 5, 6, 3]));
        let load = |name: &str, spec: &InputSpec| {
            Dataset::load(&given(name), std::slice::from_ref(spec))
                .unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let wanted = samples(&load("samples.npz:x", &x));
        let labels = load_labels(&given("samples.npz:y"), "").unwrap();
        for name in [
            "plain.tfrecord",
            "plain.tfrecord:x",
            "plain.tfrecord:tensor",
            "packed.tfrecord.gz",
            "pairs_plain",
            "pairs_plain:0",
            "pairs_gzip",
            "pairs_snappy",
            "named_plain:x",
        ] {
            assert_eq!(samples(&load(name, &x)), wanted, "{name}");
        }
        for name in [
            "plain.tfrecord:label",
            "packed.tfrecord.gz:label",
            "pairs_gzip:1",
            "pairs_snappy:1",
            "named_plain:label",
        ] {
            assert_eq!(load_labels(&given(name), "").unwrap(), labels, "{name}");
        }
        assert_eq!(load_labels("label", &given("plain.tfrecord")).unwrap(), labels);
        for name in ["plain.tfrecord:picture", "packed.tfrecord.gz"] {
            let data = load(name, &picture);
            // Scaled by 1/255; all pixels of a picture are equal.
            let numbers: Vec<f32> =
                samples(&data).iter().map(|sample| (sample[0][0] * 255.0).round()).collect();
            assert_eq!(numbers, [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0], "{name}");
        }
        // Both inputs of a model.
        let both = [floats("x", &[1, 4, 3]), InputSpec { dtype: DType::Int32, ..floats("label", &[1]) }];
        for name in ["plain.tfrecord", "pairs_plain", "named_plain"] {
            let data = Dataset::load(&given(name), &both).unwrap_or_else(|error| panic!("{name}: {error}"));
            let Labels::Classes(classes) = &labels else { panic!("classes") };
            assert_eq!(data.real(5).unwrap(), [wanted[5][0].clone(), vec![classes[5] as f32]], "{name}");
        }
    }

    #[test]
    fn what_is_beyond_memory_goes_to_a_file() {
        let tensors = Tensors::open(given("packed.tfrecord.gz").as_ref()).unwrap();
        let columns = tensors.columns(&[("tensor".into(), None), ("tensor".into(), None)], 100).unwrap();
        for column in columns {
            let Column::Numbers(Rows::Streamed(rows)) = column else { panic!("in a file") };
            assert_eq!(rows.shape(), [7, 4, 3]);
            let wanted = tensors.array("tensor").unwrap();
            (0..7)
                .rev()
                .for_each(|row| assert_eq!(rows.row_bytes(row).unwrap(), wanted.row_bytes(row), "{row}"));
        }
        let temporaries = tensors.into_temporaries();
        let path = temporaries[0].to_path_buf();
        assert!(path.exists());
        drop(temporaries);
        assert!(!path.exists());
    }

    /// An Example with one feature.
    fn one(name: &str, kind: u8, list: &[u8]) -> Vec<u8> {
        let part = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let entry = [part(1, name.as_bytes()), part(2, &part(kind, list))].concat();
        part(1, &part(1, &entry))
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tfrecord-00000-of-00002");
        let three = [0x0A, 12, 0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64];
        let reals = one("x", 2, &three);
        let spec = [floats("x", &[1, 3])];
        let load = |records: &[Vec<u8>], what: &str| {
            std::fs::write(&path, written(records)).unwrap();
            Dataset::load(&format!("{}{what}", path.display()), &spec)
        };
        assert_eq!(samples(&load(std::slice::from_ref(&reals), "").unwrap()), [[[1.0, 2.0, 3.0]]]);
        let cases: [(&[Vec<u8>], &str, &str); 9] = [
            (&[], "", "there are no samples"),
            (&[vec![8, 1]], "", "sample 0 is no tf.train.Example"),
            (std::slice::from_ref(&reals), ":y", "samples have no `y`"),
            (&[one("a", 2, &three), one("b", 2, &three)], "", "sample 1: `a` is missing"),
            (&[reals.clone(), one("x", 2, &three[..2])], "", "sample 1 is no tf.train.Example"),
            (&[reals.clone(), one("x", 2, &[0x0A, 4, 0, 0, 0, 0])], "", "sample 1: `x` is 1 float32"),
            (&[one("x", 1, &[0x0A, 2, b'h', b'i'])], "", "bytes of an unknown kind"),
            (&[one("y", 2, &[0x0A, 4, 0, 0, 0, 0])], "", "nothing for input `x`"),
            (&[one("x", 3, &[0x0A, 3, 1, 2, 3]), one("x", 2, &three)], "", "the first sample has 1x3 int64"),
        ];
        for (records, what, wanted) in cases {
            let error = load(records, what).unwrap_err();
            assert!(error.message.contains(wanted), "{wanted}: {error}");
        }
    }

    #[test]
    fn tensors_say_one_value_for_all() {
        // float32 of 2x2 with one value of 1.0; int32 of 3 with 5 and 7.
        let reals = [8, 1, 0x12, 8, 0x12, 2, 8, 2, 0x12, 2, 8, 2, 0x2D, 0, 0, 128, 63];
        let Some(Cell::Numbers { bytes, shape, .. }) = tensor(&reals, 0) else { panic!("a tensor") };
        assert_eq!((bytes, shape), ([0, 0, 128, 63].repeat(4), Some(vec![2, 2])));
        let integers = [8, 3, 0x12, 4, 0x12, 2, 8, 3, 0x3A, 2, 5, 7];
        let Some(Cell::Numbers { bytes, .. }) = tensor(&integers, 0) else { panic!("a tensor") };
        assert_eq!(bytes, [5, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0]);
        for wrong in [&[8, 1, 0x12, 4, 0x12, 2, 8, 5][..], &[8, 1, 0x22, 3, 0, 0, 0], &[8, 99], &[0x12]] {
            assert!(tensor(wrong, 0).is_none(), "{wrong:?}");
        }
    }
}
