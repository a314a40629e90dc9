//! Makes an index from a folder's entries: hashes, sizes, ports, accuracy, and what an inference costs on boards.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::address::is_address;
use super::entry::{Accuracy, BoardFigures, Entry, Figures, Port, Source};
use super::object::{Object, plainly};
use super::place::{Place, hash_of};
use super::take::Wanted;
use super::{FORMAT, Hub, Index};
use crate::bench;
use crate::board::{self, PARTS};
use crate::data::{Dataset, Labels, load_labels};
use crate::error::{Error, Result};
use crate::facts::PortJson;
use crate::files;
use crate::model_file::{self, ModelFile, PortFacts};
use crate::noise::argmax;
use crate::progress::Progress;
use crate::run::{self, RunOptions};

/// The index of a folder: an entry for each of its folders that has an `entry.json`. `files` is a folder in which sources
/// that lie elsewhere are looked for by their SHA-256, so that nothing is fetched; `before` is the index that was there, whose
/// figures stand where the source is not at hand. Costs are measured on `boards`, names of [`PARTS`]; where it is empty, those
/// of `before` stand.
///
/// # Errors
/// When an entry or one of its files is not sound, or a board cannot run it.
pub fn index(
    folder: &Path,
    files: Option<&Path>,
    before: Option<&Index>,
    boards: &[String],
    progress: &dyn Progress,
) -> Result<Index> {
    let list = fs::read_dir(folder).map_err(|e| {
        Error::input(format!("{}: cannot be read: {e}", folder.display()))
            .help("give the folder of a hub: a folder with an entry.json for each model")
            .caused_by(e)
    })?;
    let mut names: Vec<String> = list
        .flatten()
        .filter(|entry| entry.path().join("entry.json").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(Error::input(format!("{}: no folder in it has an entry.json", folder.display()))
            .help("write one for each model; the book's page on the hub shows how"));
    }
    let held = files.map(held).unwrap_or_default();
    let find = |name: &str| before.and_then(|index| index.entries.iter().find(|entry| entry.name == name));
    let entries = names.iter().map(|name| {
        entry(folder, name, &held, find(name), boards, progress).map_err(|error| {
            let model = format!("model `{name}`");
            if error.message.starts_with(&model) { error } else { error.context(model) }
        })
    });
    Ok(Index { format: FORMAT, entries: entries.collect::<Result<_>>()? })
}

/// The files of a folder by their SHA-256.
fn held(folder: &Path) -> BTreeMap<String, std::path::PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter_map(|path| Some((hash_of(&crate::files::read(&path).ok()?), path))).collect()
}

fn entry(
    folder: &Path,
    name: &str,
    held: &BTreeMap<String, std::path::PathBuf>,
    before: Option<&Entry>,
    boards: &[String],
    progress: &dyn Progress,
) -> Result<Entry> {
    let home = folder.join(name);
    let path = home.join("entry.json");
    let text = files::read(&path).map_err(|e| unreadable(&path, e))?;
    let wrong = |e: serde_json::Error| {
        Error::input(format!("{} is no entry: {}", path.display(), plainly(&e)))
            .help("it needs summary, licence, provenance and source; the book's page on the hub shows one")
    };
    let fields: Object<BTreeMap<String, Value>> = serde_json::from_slice(&text).map_err(wrong)?;
    known(&path, &fields.0)?;
    let Object(mut entry): Object<Entry> = serde_json::from_slice(&text).map_err(wrong)?;
    entry.name = name.to_string();
    entry.check()?;
    let complete = |source: &mut Source, field: &str| -> Result<()> {
        source.check(field).map_err(|error| error.context(path.display()))?;
        if is_address(&source.file) {
            return Ok(());
        }
        let path = home.join(&source.file);
        let bytes = files::read(&path).map_err(|e| unreadable(&path, e))?;
        (source.sha256, source.bytes) = (hash_of(&bytes), bytes.len() as u64);
        source.file = format!("{name}/{}", source.file);
        Ok(())
    };
    complete(&mut entry.source, "source")?;
    if let Some(vectors) = &mut entry.vectors {
        complete(vectors, "vectors")?;
    }
    // A source of others is at hand under another name, or what was computed of it stands.
    let mut place = Place::Folder(folder.to_path_buf());
    if is_address(&entry.source.file) {
        match held.get(&entry.source.sha256.to_ascii_lowercase()) {
            Some(path) => {
                let (address, file) = (entry.source.file.clone(), path.clone());
                place = Place::With { folder: folder.to_path_buf(), address, file };
            }
            None => {
                entry.figures = before
                    .filter(|before| before.source == entry.source)
                    .and_then(|before| before.figures.clone());
                return Ok(entry);
            }
        }
    }
    let hub = Hub { place, entries: Vec::new() };
    let taken = hub.take(&entry, &Wanted::default(), progress)?;
    let model = taken.file.model()?;
    let ports = |list: Vec<PortFacts>| list.into_iter().map(Port::from).collect();
    entry.figures = Some(Figures {
        ferrolite: env!("CARGO_PKG_VERSION").into(),
        format: taken.format.into(),
        model_bytes: taken.file.bytes().len() as u64,
        arena_bytes: model.arena_bytes() as u64,
        state_bytes: model.state_bytes() as u64,
        macs: (0..model.ops().len()).filter_map(|index| model.names().op_macs(index)).sum(),
        inputs: ports(model_file::inputs(&model)),
        outputs: ports(model_file::outputs(&model)),
        accuracy: accuracy(&home, &entry, &taken.file)?,
        vectors: taken.vectors,
        boards: match boards {
            [] => before
                .and_then(|before| before.figures.as_ref())
                .map(|f| f.boards.clone())
                .unwrap_or_default(),
            boards => costs(&hub, &entry, boards, progress)?,
        },
    });
    Ok(entry)
}

/// Refuses fields that no entry has: a word that is spelt otherwise would be left out in silence.
fn known(path: &Path, fields: &BTreeMap<String, Value>) -> Result<()> {
    const ENTRY: &[&str] = &[
        "name",
        "summary",
        "licence",
        "provenance",
        "source",
        "labels",
        "preprocessing",
        "vectors",
        "measure",
        "published",
        "figures",
    ];
    const SOURCE: &[&str] = &["file", "sha256", "bytes"];
    const MEASURE: &[&str] = &["data_set", "data", "labels"];
    let refuse = |field: String, known: &[&str]| {
        Error::input(format!(
            "{}: there is no field {field:?}; fields here are {}",
            path.display(),
            known.join(", ")
        ))
        .help("correct the word, or take it out; the book's page on the hub has a table of the fields")
    };
    for (field, value) in fields {
        if !ENTRY.contains(&field.as_str()) {
            return Err(refuse(field.clone(), ENTRY));
        }
        let known = match field.as_str() {
            "source" | "vectors" => SOURCE,
            "measure" => MEASURE,
            _ => continue,
        };
        let within = value.as_object().into_iter().flat_map(|object| object.keys());
        if let Some(other) = within.into_iter().find(|other| !known.contains(&other.as_str())) {
            return Err(refuse(format!("{field}.{other}"), known));
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::input(format!("{}: cannot be read: {error}", path.display()))
        .help("the entry names this file: copy it there")
        .caused_by(error)
}

impl From<PortFacts> for Port {
    fn from(facts: PortFacts) -> Port {
        let PortJson { name, shape, dtype, scale, zero_point } = facts.into();
        Port { name, shape, dtype: dtype.into(), scale, zero_point }
    }
}

/// The share of samples whose class is the right one.
fn accuracy(home: &Path, entry: &Entry, file: &ModelFile) -> Result<Option<Accuracy>> {
    let Some(measure) = &entry.measure else { return Ok(None) };
    let model = file.model()?;
    let argument = |text: &str| home.join(text).display().to_string();
    let data = Dataset::load(&argument(&measure.data), &model_file::input_specs(&model))?;
    let Labels::Classes(classes) = load_labels(&argument(&measure.labels), "")? else {
        return Err(Error::input(format!("{}: are no classes", measure.labels))
            .help("give integers, one for each sample; accuracy of other answers goes into `published`"));
    };
    let outputs = run::run_host(&model, &data, &RunOptions::default(), &|| ())?;
    if classes.len() != outputs.samples.len() {
        return Err(Error::input(format!(
            "{}: {} classes for {} samples",
            measure.labels,
            classes.len(),
            outputs.samples.len()
        ))
        .help("give as many of both"));
    }
    let right = classes
        .iter()
        .enumerate()
        .filter(|&(sample, class)| argmax(&outputs.real(sample, 0)) == Some(*class));
    let share = right.count() as f64 / classes.len().max(1) as f64;
    Ok(Some(Accuracy { share, samples: classes.len(), data_set: measure.data_set.clone() }))
}

/// What an inference costs on boards that one can buy, packed for their cores.
fn costs(
    hub: &Hub,
    entry: &Entry,
    boards: &[String],
    progress: &dyn Progress,
) -> Result<BTreeMap<String, BoardFigures>> {
    let mut costs = BTreeMap::new();
    for part in PARTS.iter().filter(|part| boards.iter().any(|board| board == part.name)) {
        let board = board::find(part.emulated)?;
        let target = board.core_target();
        let taken = hub.take(entry, &Wanted { target, ..Wanted::default() }, progress)?;
        let model = taken.file.model()?;
        // A model too large for a board has no costs there.
        if board.check_room(taken.file.bytes().len(), model.arena_bytes()).is_err() {
            continue;
        }
        let measured = bench::measure(&model, part.name, None, progress)?;
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        let latency = measured.latency.as_ref();
        costs.insert(
            part.name.to_string(),
            BoardFigures {
                cycles: measured.cycles,
                instructions: measured.instructions,
                milliseconds: latency.map(|latency| rounded(latency.ms)),
                microjoules: latency.and_then(|latency| latency.microjoules).map(rounded),
                flash_bytes: measured.runtime_flash_bytes.map(|bytes| bytes + measured.model_bytes as u64),
                ram_bytes: measured.stack_bytes.map(|bytes| bytes + measured.arena_bytes as u64),
            },
        );
    }
    Ok(costs)
}
