//! WebDataset's archives: a `.tar` whose members belong together where their names are the same up to the first point.
//!
//! ```text
//! train/0001.jpg  train/0001.cls      sample 0: a picture, and its class in text
//! train/0002.jpg  train/0002.cls      sample 1
//! a.x.npy  a.y.npy                    sample 0: an array for each of two inputs, by their names or in0, in1, …
//! ```
//! Links and other members that are no files are left out, which a note says, as it says of files without a point in their
//! names. Two members of one name are refused, and an archive without the empty block that ends it: it may be cut off.
//!
//! Headers are read once, members when they are needed. Arrays are held in memory. Formats: ustar, GNU's long names and
//! pax's paths (POSIX.1-2017, `pax`); an archive that is compressed as a whole has to be unpacked first.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::argument::cannot_read;
use super::images;
use super::item::Item;
use super::npy::Array;
use crate::error::{Error, Result};
use crate::text;

/// A block of a tape.
const BLOCK: usize = 512;

/// Longest name that an archive may give.
const LONGEST: u64 = 1 << 16;

/// Most names in a note.
const SHOWN: usize = 4;

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
    /// What was left out, one sentence each.
    notes: Vec<String>,
}

/// What an archive holds.
#[derive(Debug, Default)]
struct Members {
    /// The files, by their names.
    files: Vec<(String, Item)>,
    /// Members that are no samples, as they are named in notes.
    left_out: Vec<String>,
    /// Whether something stands behind the archive's end.
    more: bool,
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
    /// When it is no archive, is damaged, holds two members of one name, or no samples.
    pub fn open(path: &Path) -> Result<Samples> {
        let Members { files, mut left_out, more } = members(path)?;
        let groups = grouped(path, files, &mut left_out)?;
        let shown = path.display();
        let left = some(&left_out);
        if groups.is_empty() {
            let but = if left_out.is_empty() { String::new() } else { format!(" that are read, but {left}") };
            return Err(Error::input(format!("{shown}: the archive holds no files{but}")).help(HELP));
        }
        let mut notes = Vec::new();
        if !left_out.is_empty() {
            let count = left_out.len();
            let are =
                if count == 1 { "member is no sample and was" } else { "members are no samples and were" };
            notes.push(format!("{shown}: {count} {are} left out: {left}"));
        }
        if more {
            notes.push(format!("{shown}: what stands behind the archive's end was left out"));
        }
        Ok(Samples { path: path.to_path_buf(), groups, notes })
    }

    /// What was left out, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
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

/// The first of some names.
fn some(names: &[String]) -> String {
    let mut shown = names[..names.len().min(SHOWN)].to_vec();
    if names.len() > SHOWN {
        shown.push(format!("{} more", text::count(names.len() - SHOWN)));
    }
    shown.join(", ")
}

/// Puts members together that have the same name up to the first point of the file's name, in the order of the archive.
fn grouped(path: &Path, members: Vec<(String, Item)>, left_out: &mut Vec<String>) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = HashSet::new();
    for (name, item) in members {
        let name = name.trim_start_matches("./");
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let Some((key, ending)) = file.split_once('.').filter(|(key, _)| !key.is_empty()) else {
            // Folders of old archives, and files of macOS such as `._0001.jpg`, are nobody's samples.
            if !file.is_empty() && !file.starts_with("._") {
                left_out.push(format!("`{name}`"));
            }
            continue;
        };
        let key = if folder.is_empty() { key.to_string() } else { format!("{folder}/{key}") };
        let ending = ending.to_lowercase();
        if !seen.insert((key.clone(), ending.clone())) {
            return Err(Error::input(format!(
                "{}: two members of the archive are called `{name}`: which of them belongs to the sample is not known",
                path.display()
            ))
            .help("give each sample a name of its own, and write the archive again"));
        }
        let part = (ending, item);
        // Members of a sample stand behind one another.
        match groups.last_mut() {
            Some(last) if last.key == key => last.parts.push(part),
            _ => groups.push(Group { key, parts: vec![part] }),
        }
    }
    Ok(groups)
}

/// What an archive holds.
fn members(path: &Path) -> Result<Members> {
    let mut file = crate::files::open(path).map_err(|e| cannot_read(path, e))?;
    let broken = |what: &str| {
        Error::input(format!("{}: {what}", path.display())).help("write the archive again, as a plain .tar")
    };
    let length = file.metadata().map_err(|e| cannot_read(path, e))?.len();
    let (mut at, mut long, mut members) = (0u64, None::<String>, Members::default());
    loop {
        if at + BLOCK as u64 > length {
            return Err(Error::input(format!(
                "{}: the archive is cut off, or was not closed: the empty blocks that end a .tar are missing",
                path.display()
            ))
            .help("copy the archive again, and compare its size with the original's; or write it again"));
        }
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
        } else if !matches!(kind, b'g' | b'K') {
            let named = || match (&header[257..262], text_of(&header[345..500])) {
                (b"ustar", prefix) if !prefix.is_empty() => format!("{prefix}/{}", text_of(&header[..100])),
                _ => text_of(&header[..100]),
            };
            let name = long.take().unwrap_or_else(named);
            let left_out = match kind {
                // Folders, and the archive's name.
                b'5' | b'V' => None,
                b'1' | b'2' => Some("a link"),
                b'3' | b'4' | b'6' => Some("a device or a pipe"),
                b'S' => Some("a file with holes"),
                b'0' | b'7' | 0 => {
                    let shown = path.join(&name);
                    members.files.push((name.clone(), Item::member(shown, path, at, size)));
                    None
                }
                _ => Some("of an unknown kind"),
            };
            members.left_out.extend(left_out.map(|what| format!("`{name}` ({what})")));
        }
        at = at.saturating_add(size.next_multiple_of(BLOCK as u64));
    }
    while at + BLOCK as u64 <= length && !members.more {
        let next = block(&mut file, at).map_err(|e| cannot_read(path, e))?;
        members.more = next.iter().any(|&byte| byte != 0);
        at += BLOCK as u64;
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
