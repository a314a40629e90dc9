//! Data sets: turns a DATA argument of the command line into samples for a model's inputs.
//!
//! | DATA | samples |
//! |---|---|
//! | `set.npz` | arrays by the inputs' names, else `in0`, `in1`, …; for one input, else the only array that fits |
//! | `set.npz:array` | the named array, for a model with one input |
//! | `set.npy` | the array, for a model with one input |
//! | `set.csv` | one sample a row, a column for each element (see [`csv`]) |
//! | `set.csv:x1,x2` | the columns of these names |
//! | `set.tar` | WebDataset: pictures, recordings or arrays, with their classes, by the names of the members (see [`tar`]) |
//! | `set.tfrecord`, `set.tfrecord.gz` | `tf.train.Example`s: features by the inputs' names, else `in0`, …; for one input, else the only one that fits (see [`tensors`]) |
//! | `set.tfrecord:feature` | the named feature: numbers, pictures or recordings |
//! | `set.parquet`, `set.parquet:x1,x2` | the same of a table's columns; several side by side make an input (feature `parquet`) |
//! | a folder of `tf.data.Dataset.save` | components by the inputs' names or numbers; `FOLDER:component` names one |
//! | a folder or a file of `.png`, `.jpg`, `.bmp` | one picture a sample (see [`images`], and [`Scale`] for the scaling) |
//! | a folder or a file of `.wav` | one recording a sample (see [`audio`]) |
//! | a folder of folders of these | the same; each folder is a class, in the order of their names |
//!
//! The first axis of an array counts samples. Dimensions of 1, such as a batch axis, may follow it or be left
//! out. The meaning of the numbers follows from their type:
//!
//! | array | input | meaning |
//! |---|---|---|
//! | floats | any | real numbers, quantized with the input's scale |
//! | integers of the input's own type | quantized | raw quantized values |
//! | other integers | quantized | refused, since both readings are possible |
//! | integers | float32 | real numbers |
//! | integers | integers without scale | the same numbers, if they are in range |
//!
//! NaN and infinity are refused. Samples are read when they are needed, pictures and recordings file by file,
//! and arrays of more than 64 MB block by block, so that data sets may be larger than memory. Tables (`.csv`)
//! and arrays in Fortran's order are held in memory as a whole.
//!
//! ```
//! use ferrolite::data::Dataset;
//! use ferrolite::model_file::{ModelFile, input_specs};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine");
//! let file = ModelFile::read(format!("{folder}/sine.ferro").as_ref())?;
//! let specs = input_specs(&file.model()?);
//! let data = Dataset::load(&format!("{folder}/sine_int8_tf.oracle.npz"), &specs)?;
//! println!("{} samples; the first: {:?} or, as stored, {:?}", data.len(), data.real(0)?, data.raw(0)?);
//! assert_eq!(data.raw(0)?[0].len(), 1);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod argument;
pub mod audio;
pub mod csv;
pub mod first_layers;
mod folders;
pub mod images;
mod item;
mod labels;
pub mod npy;
pub mod npz;
mod outside;
mod parquet;
mod records;
mod rows;
mod scale;
mod spec;
mod stream;
mod tar;
mod tensors;
mod wire;

pub use labels::{Labels, load_labels};
pub use outside::Outside;
pub use scale::Scale;
pub use spec::{InputSpec, Row, dequantize, input_specs, integers};

use std::path::Path;

use self::folders::Files;
use self::images::Frame;
use self::item::Item;
use self::npy::{Array, Header, shape_text};
use self::npz::Npz;
use self::rows::Rows;
use self::stream::{Packing, Place, Stream};
use self::tar::Kind;
use self::tensors::{Column, Tensors};
use crate::error::{Error, Result};
use crate::text::plain;
pub(crate) use argument::path_of;
use argument::{absent, cannot_read, ending, is_record_file, is_saved, split_argument};

/// An array of more bytes than this stays in its file.
const IN_MEMORY: usize = 64 << 20;

/// Samples for all inputs of a model.
#[derive(Debug)]
pub struct Dataset {
    inputs: Vec<(InputSpec, Source)>,
    len: usize,
    labels: Option<Labels>,
    notes: Vec<String>,
    /// What was decompressed, and is read until then.
    temporaries: Vec<tempfile::TempPath>,
}

/// Further facts about a model that help to read its samples, and what the user specified.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How pixels become numbers; chosen if it is `None`.
    pub scale: Option<Scale>,
    /// The scale that the model's first layers need, for each input: see [`first_layers::wants`].
    pub wants: Vec<Option<Scale>>,
    /// The range that each input was calibrated for.
    pub ranges: Vec<Option<(f32, f32)>>,
    /// Further names of the inputs, by which arrays are found too.
    pub names: Vec<String>,
}

/// Where the samples of one input come from.
#[derive(Debug)]
enum Source {
    /// `origin` is the file and the array, for messages.
    Array { array: Rows, origin: String },
    /// One file for each sample, read when it is needed.
    Images { files: Vec<Item>, frame: Frame, scale: Option<Scale> },
    /// One file for each sample, read when it is needed.
    Recordings { files: Vec<Item> },
}

impl Dataset {
    /// Finds the samples for a model's inputs by a DATA argument. Everything that can be checked before a
    /// sample is read is checked now: files, names, shapes, types, lengths, NaN. The elements of arrays that
    /// stay in their file are checked when they are read.
    pub fn load(argument: &str, specs: &[InputSpec]) -> Result<Dataset> {
        Dataset::load_within(IN_MEMORY, argument, specs)
    }

    /// Like [`load`](Dataset::load), with further facts and settings.
    ///
    /// # Errors
    /// Like [`load`](Dataset::load), and when the user specified a scale that contradicts the model.
    pub fn load_with(argument: &str, specs: &[InputSpec], options: &Options) -> Result<Dataset> {
        Dataset::load_options(IN_MEMORY, argument, specs, options)
    }

    /// Like [`load`](Dataset::load), but arrays of more bytes than `memory` stay in their file.
    fn load_within(memory: usize, argument: &str, specs: &[InputSpec]) -> Result<Dataset> {
        Dataset::load_options(memory, argument, specs, &Options::default())
    }

    fn load_options(
        memory: usize,
        argument: &str,
        specs: &[InputSpec],
        options: &Options,
    ) -> Result<Dataset> {
        let (path, array) = split_argument(argument);
        let (mut labels, mut notes, mut temporaries) = (None, Vec::new(), Vec::new());
        let is_records = if path.is_dir() { is_saved(&path) } else { is_record_file(&path) };
        let sources = if is_records && path.exists() {
            let tensors = Tensors::open(&path)?;
            let sources = from_tensors(&path, &tensors, array, specs, options, memory, &mut notes)?;
            temporaries = tensors.into_temporaries();
            sources
        } else if path.is_dir() {
            let Files { files, ending, classes } = folders::list(&path)?;
            let files = files.into_iter().map(Item::from).collect();
            let source = from_files(&path, files, &ending, only(specs, &path)?, options, &mut notes)?;
            labels = classes.map(Labels::Classes);
            vec![source]
        } else {
            match ending(&path).as_str() {
                "npz" => from_npz(&path, array, specs, &options.names, memory)?,
                "npy" => {
                    only(specs, &path).and_then(|_| from_npy(&path, memory)).map(|source| vec![source])?
                }
                "csv" => {
                    let table = csv::read(&path, array)?;
                    let origin = path.display().to_string();
                    let arrays = csv::split(&path, &table, specs)?;
                    let held = |array| Source::Array { array: Rows::Held(array), origin: origin.clone() };
                    arrays.into_iter().map(held).collect()
                }
                _ if !path.exists() => return Err(absent(&path)),
                "tar" => {
                    let samples = tar::Samples::open(&path)?;
                    notes.extend_from_slice(samples.notes());
                    labels = samples.classes()?.map(Labels::Classes);
                    let names: Vec<&str> = specs.iter().map(|spec| plain(&spec.name)).collect();
                    let origin = path.display().to_string();
                    let held = |array| Source::Array { array: Rows::Held(array), origin: origin.clone() };
                    match samples.of(&names)? {
                        Kind::Files(files, ending) => {
                            vec![from_files(&path, files, &ending, only(specs, &path)?, options, &mut notes)?]
                        }
                        Kind::Arrays(arrays) => arrays.into_iter().map(held).collect(),
                    }
                }
                other => {
                    let files = vec![Item::from(path.clone())];
                    vec![from_files(&path, files, other, only(specs, &path)?, options, &mut notes)?]
                }
            }
        };
        let pictures = sources.iter().any(|source| matches!(source, Source::Images { .. }));
        if let (Some(scale), false) = (options.scale, pictures) {
            return Err(Error::usage(format!(
                "--scale {scale} says how pictures become numbers, but {} holds none",
                path.display()
            ))
            .help("leave it out: the numbers of other data are taken as they are"));
        }
        let mut data = Dataset::checked(&path.display().to_string(), specs, sources, labels, notes)?;
        data.temporaries = temporaries;
        Ok(data)
    }

    /// Samples that are in memory: an array for each input, in their order, with what to call it in messages.
    ///
    /// # Errors
    /// Like [`load`](Dataset::load), and if there is another number of arrays than of inputs.
    pub fn of_arrays(arrays: Vec<(String, Array)>, specs: &[InputSpec]) -> Result<Dataset> {
        if arrays.len() != specs.len() {
            let (given, wanted) = (arrays.len(), specs.len());
            return Err(Error::input(format!("{given} arrays were given, the model has {wanted} inputs"))
                .help("give an array for each input, samples along the first axis"));
        }
        let held = |(origin, array)| Source::Array { array: Rows::Held(array), origin };
        Dataset::checked("samples", specs, arrays.into_iter().map(held).collect(), None, Vec::new())
    }

    /// The data set, once its parts fit the model and one another; `origin` is for messages.
    fn checked(
        origin: &str,
        specs: &[InputSpec],
        sources: Vec<Source>,
        labels: Option<Labels>,
        notes: Vec<String>,
    ) -> Result<Dataset> {
        let inputs: Vec<_> = specs.iter().cloned().zip(sources).collect();
        let len = inputs.first().map_or(0, |(_, source)| source.len());
        for (spec, source) in &inputs {
            source.check(spec)?;
            if source.len() != len {
                let (first, other) = (&inputs[0].0.name, &spec.name);
                return Err(Error::input(format!(
                    "{}: {len} samples for input `{first}`, but {} for input `{other}`",
                    origin,
                    source.len()
                ))
                .help("the first axis of all arrays counts the same samples"));
            }
        }
        if len == 0 {
            return Err(Error::input(format!("{}: there are no samples", origin))
                .help("the first axis of an array counts samples; at least one is needed"));
        }
        Ok(Dataset { inputs, len, labels, notes, temporaries: Vec::new() })
    }

    /// The right classes, if the samples lie in folders of classes.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// Changes made to the samples that the user should know about, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Number of samples, at least one.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Always false: a data set without samples is refused.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The inputs that the samples are for.
    pub fn specs(&self) -> impl Iterator<Item = &InputSpec> {
        self.inputs.iter().map(|(spec, _)| spec)
    }

    /// One sample as real numbers, a list for each input. Raw values are dequantized.
    pub fn real(&self, sample: usize) -> Result<Vec<Vec<f32>>> {
        self.rows(sample, |spec, row| match row {
            Row::Real(values) => Ok(values),
            Row::Raw(bytes) => Ok(spec.dequantize(&bytes)),
        })
    }

    /// One sample in the inputs' own types, little-endian, a list of bytes for each input. Real numbers are
    /// quantized with the input's scale: rounded half away from zero and clamped.
    pub fn raw(&self, sample: usize) -> Result<Vec<Vec<u8>>> {
        self.rows(sample, |spec, row| match row {
            Row::Raw(bytes) => Ok(bytes),
            Row::Real(values) => spec.quantize(&values).map_err(|value| {
                Error::input(format!("sample {sample} holds {value}, but {}", spec.wants()))
                    .help("this input takes whole numbers within the range of its type")
            }),
        })
    }

    fn rows<T>(&self, sample: usize, f: impl Fn(&InputSpec, Row) -> Result<T>) -> Result<Vec<T>> {
        if sample >= self.len {
            return Err(Error::input(format!("sample {sample} was asked for, there are {}", self.len)));
        }
        self.inputs.iter().map(|(spec, source)| f(spec, source.row(spec, sample)?)).collect()
    }
}

impl Source {
    fn len(&self) -> usize {
        match self {
            Source::Array { array, .. } => array.len(),
            Source::Images { files, .. } | Source::Recordings { files } => files.len(),
        }
    }

    fn row(&self, spec: &InputSpec, sample: usize) -> Result<Row> {
        match self {
            Source::Array { array, origin } => {
                let bytes = array.bytes(sample).map_err(|why| broken(origin, why))?;
                if is_raw(array, spec) {
                    return Ok(Row::Raw(bytes.into_owned()));
                }
                let indices = spec.range().is_some() && spec.quantization.is_none();
                match npy::to_i64(array.element(), &bytes) {
                    Some(numbers) if indices => spec.store(&numbers).map(Row::Raw).map_err(|n| {
                        Error::input(format!("{origin}: sample {sample} holds {n}, but {}", spec.wants()))
                            .help("give numbers within the range of the input's type")
                    }),
                    _ => {
                        let numbers = npy::to_f32(array.element(), &bytes);
                        if let Rows::Streamed(_) = array {
                            finite(origin, sample, &numbers)?;
                        }
                        Ok(Row::Real(numbers))
                    }
                }
            }
            Source::Images { files, frame, scale } => images::read(&files[sample], spec, *frame, *scale),
            Source::Recordings { files } => audio::read(&files[sample], spec),
        }
    }

    /// Checks shape, type and finiteness of arrays.
    fn check(&self, spec: &InputSpec) -> Result<()> {
        let Source::Array { array, origin } = self else { return Ok(()) };
        let sample = array.shape().get(1..).unwrap_or_default();
        if array.shape().is_empty() || !spec.fits(sample) {
            return Err(wrong_shape(origin, array.shape(), spec));
        }
        let element = array.element();
        if !element.is_float() && spec.quantization.is_some() && !is_raw(array, spec) {
            return Err(Error::input(format!(
                "{origin}: elements are {}, but {}",
                element.name(),
                spec.wants()
            ))
            .help(format!(
                "store real numbers as float32 (scaled as in training), or quantized ones as {}",
                spec.dtype.name()
            )));
        }
        if let (true, Rows::Held(array)) = (element.is_float(), array) {
            (0..array.rows()).try_for_each(|sample| finite(origin, sample, &array.row_f32(sample)))?;
        }
        Ok(())
    }
}

/// Refuses NaN and infinity.
fn finite(origin: &str, sample: usize, numbers: &[f32]) -> Result<()> {
    match numbers.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Error::input(format!("{origin}: sample {sample} holds {value}"))
            .help("remove samples that are not finite numbers, or replace the values")),
    }
}

fn broken(origin: &str, why: Error) -> Error {
    why.context(origin).help("write the file with NumPy again; it holds numbers")
}

/// Whether the elements of an array are already quantized values of the input's type.
fn is_raw(array: &Rows, spec: &InputSpec) -> bool {
    !array.element().is_float() && array.element() == spec.own_element()
}

fn from_npz(
    path: &Path,
    array: Option<&str>,
    specs: &[InputSpec],
    further: &[String],
    memory: usize,
) -> Result<Vec<Source>> {
    let mut npz = Npz::open(path)?;
    let mut names = Vec::with_capacity(specs.len());
    if let Some(name) = array {
        only(specs, path)?;
        names.push(name.to_string());
    } else {
        for (position, spec) in specs.iter().enumerate() {
            let further = further.get(position).map_or("", String::as_str);
            names.push(find_array(&npz, position, spec, further, specs.len() == 1, path)?);
        }
    }
    let mut sources = Vec::with_capacity(specs.len());
    for (name, spec) in names.iter().zip(specs) {
        let origin = format!("{}: array `{name}`", path.display());
        let fits = npz
            .header(name)
            .is_none_or(|h| h.element.is_none() || h.shape.split_first().is_some_and(|(_, s)| spec.fits(s)));
        if !fits {
            let shape = npz.header(name).map(|h| h.shape.clone()).unwrap_or_default();
            let error = wrong_shape(&origin, &shape, spec);
            let help = format!("{}; arrays in the file: {}", error.help, npz.list());
            return Err(error.help(help));
        }
        let large =
            npz.header(name).filter(|header| header.bytes().is_some_and(|size| size > memory)).cloned();
        let place = if large.is_some() { npz.place(name)? } else { None };
        let stream = match large.zip(place) {
            Some((header, place)) => Stream::open(&place, &header).map_err(|why| broken(&origin, why))?,
            None => None,
        };
        let array = match stream {
            Some(stream) => Rows::Streamed(Box::new(stream)),
            None => Rows::Held(npz.read(name)?),
        };
        sources.push(Source::Array { array, origin });
    }
    Ok(sources)
}

/// Samples from records: a part of each for each input.
fn from_tensors(
    path: &Path,
    tensors: &Tensors,
    wanted: Option<&str>,
    specs: &[InputSpec],
    options: &Options,
    memory: usize,
    notes: &mut Vec<String>,
) -> Result<Vec<Source>> {
    if wanted.is_some() {
        only(specs, path)?;
    }
    let mut parts = Vec::with_capacity(specs.len());
    for (position, spec) in specs.iter().enumerate() {
        let further = options.names.get(position).map_or("", String::as_str);
        let name = tensors.find(wanted, position, spec, further, specs.len() == 1)?;
        parts.push((name, Some(spec.shape.as_slice())));
    }
    let columns = tensors.columns(&parts, memory)?;
    let sources =
        columns.into_iter().zip(&parts).zip(specs).map(|((column, (name, _)), spec)| match column {
            Column::Numbers(array) => {
                Ok(Source::Array { array, origin: format!("{}: `{name}`", path.display()) })
            }
            Column::Files(files, ending) => from_files(path, files, ending, spec, options, notes),
        });
    sources.collect()
}

/// The array for an input: by name, by a further name of the input, by position, or because it is the only
/// one that fits.
fn find_array(
    npz: &Npz,
    position: usize,
    spec: &InputSpec,
    further: &str,
    alone: bool,
    path: &Path,
) -> Result<String> {
    let by_position = format!("in{position}");
    for name in [&spec.name, plain(&spec.name), further, plain(further), &by_position] {
        if npz.header(name).is_some() {
            return Ok(name.to_string());
        }
    }
    // The array may have the name that the input has in another format.
    let like = |name: &str| !name.is_empty() && [plain(&spec.name), plain(further)].contains(&plain(name));
    let mut alike = npz.arrays().iter().filter(|(name, _)| like(name));
    if let (Some((name, _)), None) = (alike.next(), alike.next()) {
        return Ok(name.clone());
    }
    let shown = path.display();
    if alone {
        let fitting: Vec<&str> = npz
            .arrays()
            .iter()
            .filter(|(_, h)| h.element.is_some() && h.shape.split_first().is_some_and(|(_, s)| spec.fits(s)))
            .map(|(name, _)| name.as_str())
            .collect();
        match fitting.as_slice() {
            [one] => return Ok((*one).to_string()),
            [] => {}
            [first, ..] => {
                let all = fitting.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
                return Err(Error::input(format!("{shown}: several arrays fit: {all}"))
                    .help(format!("say which one: {shown}:{first}")));
            }
        }
    }
    Err(Error::input(format!("{shown}: no array for {}", spec.wants())).help(format!(
        "name it `{}` or `{by_position}`, samples along the first axis; arrays in the file: {}",
        spec.name,
        npz.list()
    )))
}

fn from_npy(path: &Path, memory: usize) -> Result<Source> {
    let file = crate::files::open(path).map_err(|e| cannot_read(path, e))?;
    let mut reader = std::io::BufReader::new(file);
    let read = |reader: &mut dyn std::io::Read| {
        let header = Header::read(reader)?;
        let place = Place { path: path.to_path_buf(), start: 0, packing: Packing::Stored };
        if header.bytes().is_some_and(|size| size > memory)
            && let Some(stream) = Stream::open(&place, &header)?
        {
            return Ok(Rows::Streamed(Box::new(stream)));
        }
        Array::read_elements(&header, reader).map(Rows::Held)
    };
    let origin = path.display().to_string();
    let array = read(&mut reader).map_err(|why: Error| {
        why.context(&origin).help("write the file with numpy.save; it holds numbers")
    })?;
    Ok(Source::Array { array, origin })
}

fn from_files(
    path: &Path,
    files: Vec<Item>,
    ending: &str,
    spec: &InputSpec,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Source> {
    if ending == "wav" {
        return Ok(Source::Recordings { files });
    }
    if !images::ENDINGS.contains(&ending) {
        return Err(Error::input(format!("{}: this kind of data is not supported", path.display()))
            .help("give a .npz, .npy, .csv, .tar or .tfrecord file, a folder of tf.data.Dataset.save, or a folder of .png, .jpg, .bmp or .wav files"));
    }
    let frame = Frame::of(spec).ok_or_else(|| images::no_frame(path, spec))?;
    let first = |list: &[Option<Scale>]| list.first().copied().flatten();
    let (wanted, range) = (first(&options.wants), options.ranges.first().copied().flatten());
    let scale = if options.scale.is_none() && wanted.is_none() && images::pixels_are_raw(spec) {
        notes.push("pixels become the bytes of the model's input, whose range is that of pictures".into());
        None
    } else {
        let (scale, why) = scale::choose(spec, options.scale, wanted, range)?;
        notes.push(format!("pixels become {scale}, {why}"));
        Some(scale)
    };
    notes.extend(frame.resized(&files));
    Ok(Source::Images { files, frame, scale })
}

/// The only input of a model, for data that has only one array.
fn only<'a>(specs: &'a [InputSpec], path: &Path) -> Result<&'a InputSpec> {
    match specs {
        [spec] => Ok(spec),
        _ => Err(Error::input(format!(
            "{}: data for one input, but the model has {}",
            path.display(),
            specs.len()
        ))
        .help("give a .npz file with an array for each input, named like it or in0, in1, …")),
    }
}

fn wrong_shape(origin: &str, shape: &[usize], spec: &InputSpec) -> Error {
    let sample = shape.get(1..).unwrap_or_default();
    let count = shape.first().copied().unwrap_or(0);
    Error::input(format!("{origin}: {count} samples of shape {}, but {}", shape_text(sample), spec.wants()))
        .help("the first axis counts samples; a batch axis of 1 may follow it or be left out")
}

#[cfg(test)]
mod tests;
