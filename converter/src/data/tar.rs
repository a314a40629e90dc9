//! WebDataset's archives: a `.tar` whose members belong together where their names are the same up to the first point.
//!
//! ```text
//! train/0001.jpg  train/0001.cls      sample 0: a picture, and its class in text
//! train/0002.jpg  train/0002.cls      sample 1
//! a.x.npy  a.y.npy                    sample 0: an array for each of two inputs, by their names or in0, in1, …
//! ```
//! Headers are read once, members when they are needed. Arrays are held in memory. Formats: ustar, GNU's long names and
//! pax's paths (POSIX.1-2017, `pax`); an archive that is compressed as a whole has to be unpacked first.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::argument::cannot_read;
use super::images;
use super::item::Item;
use super::npy::Array;
use crate::error::{Error, Result};

/// A block of a tape.
const BLOCK: usize = 512;

/// Longest name that an archive may give.
const LONGEST: u64 = 1 << 16;

/// Members that belong together.
#[derive(Debug, PartialEq)]
struct Group {
    key: String,
    /// What follows the first point of the name, in lower case, and the member.
    parts: Vec<(String, Item)>,
}

/// The samples of an archive.
#[derive(Debug)]
pub struct Samples {
    path: PathBuf,
    groups: Vec<Group>,
}

/// What the samples of an archive are, for a model with one input.
pub enum Kind {
    /// Pictures or recordings, one file each, with their extension.
    Files(Vec<Item>, String),
    /// An array for each input.
    Arrays(Vec<Array>),
}

impl Samples {
    /// Reads the headers of an archive.
    ///
    /// # Errors
    /// When it is no archive, is damaged, or holds no samples.
    pub fn open(path: &Path) -> Result<Samples> {
        let groups = grouped(members(path)?);
        if groups.is_empty() {
            return Err(Error::input(format!("{}: the archive holds no files", path.display())).help(HELP));
        }
        Ok(Samples { path: path.to_path_buf(), groups })
    }

    /// The samples for inputs of these names.
    ///
    /// # Errors
    /// When a sample has nothing for an input, or arrays of different shapes.
    pub fn of(&self, inputs: &[&str]) -> Result<Kind> {
        let first = self.groups.first().map_or(&[][..], |group| &group.parts);
        let is_file = |ending: &str| ending == "wav" || images::ENDINGS.contains(&ending);
        let file = first.iter().map(|(ending, _)| ending).find(|ending| is_file(ending));
        if let ([_], Some(ending)) = (inputs, file) {
            let files = self.groups.iter().map(|group| self.part(group, &[ending]).cloned());
            return Ok(Kind::Files(files.collect::<Result<_>>()?, ending.clone()));
        }
        let array = |(position, name): (usize, &&str)| {
            let names = [format!("{}.npy", name.to_lowercase()), format!("in{position}.npy"), "npy".into()];
            let names: Vec<&str> =
                names.iter().map(String::as_str).take(if inputs.len() == 1 { 3 } else { 2 }).collect();
            let rows = self.groups.iter().map(|group| {
                let item = self.part(group, &names)?;
                let array = Array::read(item.bytes()?.as_slice());
                Ok((
                    item,
                    array.map_err(|why| why.context(item.path.display()).help("write it with numpy.save"))?,
                ))
            });
            let rows = rows.collect::<Result<Vec<_>>>()?;
            let wanted = rows.first().map(|(_, array)| (array.element(), array.shape().to_vec()));
            if let Some((item, array)) =
                rows.iter().find(|(_, a)| Some((a.element(), a.shape().to_vec())) != wanted)
            {
                return Err(Error::input(format!(
                    "{}: {array:?}, where the first sample has {:?}",
                    item.path.display(),
                    rows[0].1
                ))
                .help("give arrays of one shape and type"));
            }
            Ok(Array::stacked(rows.into_iter().map(|(_, array)| array).collect()))
        };
        inputs.iter().enumerate().map(array).collect::<Result<_>>().map(Kind::Arrays)
    }

    /// The classes, if each sample has one.
    ///
    /// # Errors
    /// When some have none, or one that is no number.
    pub fn classes(&self) -> Result<Option<Vec<usize>>> {
        let class = |group: &Group| group.parts.iter().any(|(ending, _)| ending == "cls");
        if !self.groups.iter().any(class) {
            return Ok(None);
        }
        let class = |group| {
            let item = self.part(group, &["cls"])?;
            let text = String::from_utf8_lossy(&item.bytes()?).trim().to_string();
            text.parse::<u32>().map(|class| class as usize).map_err(|_| {
                Error::input(format!("{}: `{text}` is no class", item.path.display()))
                    .help("a `.cls` holds the class's number, from 0 on, in text")
            })
        };
        self.groups.iter().map(class).collect::<Result<_>>().map(Some)
    }

    /// The first of some parts that a sample has.
    fn part<'g>(&self, group: &'g Group, endings: &[&str]) -> Result<&'g Item> {
        let find = |ending: &&str| group.parts.iter().find(|(own, _)| own == ending);
        endings.iter().find_map(find).map(|(_, item)| item).ok_or_else(|| {
            let there: Vec<&str> = group.parts.iter().map(|(ending, _)| ending.as_str()).collect();
            Error::input(format!(
                "{}: sample `{}` has no `.{}`, but {}",
                self.path.display(),
                group.key,
                endings.join("`, `."),
                there.iter().map(|ending| format!("`.{ending}`")).collect::<Vec<_>>().join(", ")
            ))
            .help(HELP)
        })
    }
}

const HELP: &str = "members of a sample are called alike up to the first point: 0001.jpg and 0001.cls, or for several inputs 0001.in0.npy and 0001.in1.npy";

/// Puts members together that have the same name up to the first point of the file's name, in the order of the archive.
fn grouped(members: Vec<(String, Item)>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (name, item) in members {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        // Files of the system, such as `._0001.jpg`, have no key.
        let Some((key, ending)) = file.split_once('.').filter(|(key, _)| !key.is_empty()) else { continue };
        let key = if folder.is_empty() { key.to_string() } else { format!("{folder}/{key}") };
        let part = (ending.to_lowercase(), item);
        // Members of a sample stand behind one another.
        match groups.last_mut() {
            Some(last) if last.key == key => last.parts.push(part),
            _ => groups.push(Group { key, parts: vec![part] }),
        }
    }
    groups
}

/// The files in an archive, by their names.
fn members(path: &Path) -> Result<Vec<(String, Item)>> {
    let mut file = crate::files::open(path).map_err(|e| cannot_read(path, e))?;
    let broken = |what: &str| {
        Error::input(format!("{}: {what}", path.display())).help("write the archive again, as a plain .tar")
    };
    let length = file.metadata().map_err(|e| cannot_read(path, e))?.len();
    let (mut at, mut long, mut members) = (0u64, None::<String>, Vec::new());
    while at + BLOCK as u64 <= length {
        let header = block(&mut file, at).map_err(|e| cannot_read(path, e))?;
        at += BLOCK as u64;
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        let sum = header
            .iter()
            .enumerate()
            .map(|(i, &byte)| if (148..156).contains(&i) { 32 } else { u64::from(byte) });
        if octal(&header[148..156]) != Some(sum.sum()) {
            return Err(broken("no .tar archive, or a damaged one"));
        }
        let size = octal(&header[124..136]).ok_or_else(|| broken("a member's size cannot be read"))?;
        if size > length - at {
            return Err(broken("the archive is cut off"));
        }
        let kind = header[156];
        if matches!(kind, b'L' | b'x') {
            if size > LONGEST {
                return Err(broken("a member's name is too long"));
            }
            let mut text = vec![0; size as usize];
            file.seek(SeekFrom::Start(at))
                .and_then(|_| file.read_exact(&mut text))
                .map_err(|e| cannot_read(path, e))?;
            long = if kind == b'L' { Some(text_of(&text)) } else { pax_path(&text).or(long) };
        } else {
            let named = || match (&header[257..262], text_of(&header[345..500])) {
                (b"ustar", prefix) if !prefix.is_empty() => format!("{prefix}/{}", text_of(&header[..100])),
                _ => text_of(&header[..100]),
            };
            let name = long.take().unwrap_or_else(named);
            if matches!(kind, b'0' | 0) {
                let shown = path.join(&name);
                members.push((name, Item::member(shown, path, at, size)));
            }
        }
        at = at.saturating_add(size.next_multiple_of(BLOCK as u64));
    }
    Ok(members)
}

fn block(file: &mut File, at: u64) -> std::io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut block)?;
    Ok(block)
}

/// A number in octal digits, or, from 8 GB on, in the bytes behind a first one of 0x80.
fn octal(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().saturating_sub(8));
        return high
            .iter()
            .all(|&byte| byte == 0)
            .then(|| low.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)));
    }
    let text = text_of(field);
    u64::from_str_radix(text.trim(), 8).ok()
}

/// A text that ends at a zero or with its field.
fn text_of(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

/// The path in pax's records: `length key=value\n`.
fn pax_path(mut records: &[u8]) -> Option<String> {
    let mut path = None;
    while let Some(space) = records.iter().position(|&byte| byte == b' ') {
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let (record, rest) = records.split_at_checked(length).filter(|_| length > space)?;
        if let Some(value) = record[space + 1..].strip_prefix(b"path=") {
            path = Some(String::from_utf8_lossy(value).trim_end_matches('\n').to_string());
        }
        records = rest;
    }
    path
}
