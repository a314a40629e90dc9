//! The copy of the repository in which every mutant is a switch.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::mutate::{self, Kind, Site};
use crate::scope::Chosen;

/// The environment variable with the number of the active mutant.
pub const ALIVE: &str = "FERROLITE_MUTANT";

/// The environment variable that names the file for the numbers of all mutants that are reached.
pub const MET: &str = "FERROLITE_MUTANTS_MET";

/// Appended to the schema, on which all other crates depend. The device side has no `std`, but this copy of
/// it has.
const SWITCH: &str = r#"
#[doc(hidden)]
pub mod mutants {
    extern crate std;
    use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
    use std::io::Write;

    const UNKNOWN: u32 = u32::MAX;
    const RECORD: u32 = u32::MAX - 1;
    const NONE: u32 = u32::MAX - 2;

    static ALIVE: AtomicU32 = AtomicU32::new(UNKNOWN);
    static MET: [AtomicBool; 1 << 16] = [const { AtomicBool::new(false) }; 1 << 16];

    #[inline]
    pub fn alive(number: u32) -> bool {
        let alive = ALIVE.load(Relaxed);
        if alive < NONE { alive == number } else { other(number, alive) }
    }

    #[cold]
    #[inline(never)]
    fn other(number: u32, alive: u32) -> bool {
        let alive = if alive == UNKNOWN { read() } else { alive };
        if alive == RECORD && !MET[number as usize].swap(true, Relaxed) {
            let path = std::env::var("FERROLITE_MUTANTS_MET").unwrap();
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(&number.to_le_bytes()).unwrap();
        }
        alive == number
    }

    fn read() -> u32 {
        let alive = match std::env::var("FERROLITE_MUTANT") {
            Ok(number) => number.parse().unwrap(),
            Err(_) if std::env::var("FERROLITE_MUTANTS_MET").is_ok() => RECORD,
            Err(_) => NONE,
        };
        ALIVE.store(alive, Relaxed);
        alive
    }
}
"#;

/// Lints that would reject a mutant.
const LINTS: &str = "[workspace.lints.rust]
arithmetic_overflow = \"allow\"
overflowing_literals = \"allow\"
unconditional_panic = \"allow\"
unconditional_recursion = \"allow\"
warnings = \"allow\"

[workspace.lints.clippy]
undocumented_unsafe_blocks = \"allow\"
";

/// A mutant of the whole program. Its number is its index in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// File, function and change, for people; it identifies the mutant.
    pub name: String,
}

/// Text of the copy that belongs to these mutants, so that a compiler's error can be attributed.
struct Place {
    file: String,
    range: Range<usize>,
    mutants: Range<usize>,
}

/// The copy.
pub struct Tree {
    /// Its folder.
    pub root: PathBuf,
    files: Vec<(Chosen, Vec<Site>)>,
    /// Names of mutants that do not compile.
    impossible: BTreeSet<String>,
    places: Vec<Place>,
    /// All mutants, by number.
    pub mutants: Vec<Mutant>,
}

impl Tree {
    /// Copies the files that git tracks or does not ignore, and finds all mutants.
    pub fn new(from: &Path, to: PathBuf, files: Vec<Chosen>) -> Result<Tree> {
        fs::create_dir_all(&to)?;
        let mutated: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = Command::new("git").args(args).current_dir(from).output().context("git is needed")?;
        if !output.status.success() {
            bail!("git cannot list the files of {}", from.display());
        }
        let listed = String::from_utf8(output.stdout)?;
        let paths: BTreeSet<&str> = listed.split('\0').filter(|path| from.join(path).is_file()).collect();
        // Removes files that an earlier copy had and this one has not.
        let list = to.join("../files.txt");
        for path in
            fs::read_to_string(&list).unwrap_or_default().lines().filter(|&path| !paths.contains(path))
        {
            let _ = fs::remove_file(to.join(path));
        }
        fs::write(&list, paths.iter().copied().collect::<Vec<_>>().join("\n"))?;
        for path in paths.into_iter().filter(|&path| !mutated.contains(path)) {
            let mut bytes = fs::read(from.join(path))?;
            match path {
                "Cargo.toml" => bytes = manifest(&String::from_utf8(bytes)?).into_bytes(),
                "schema/src/lib.rs" => bytes.extend_from_slice(SWITCH.as_bytes()),
                _ => {}
            }
            write_changed(&to.join(path), &bytes)?;
        }
        let files = files.into_iter().map(|file| {
            let sites = mutate::sites(&file.source, &file.syntax, &file.functions);
            (file, sites)
        });
        let files = files.collect();
        // An earlier run has found which mutants do not compile.
        let impossible = fs::read_to_string(to.join("../impossible.txt")).unwrap_or_default();
        let impossible = impossible.lines().map(String::from).collect();
        let mut tree = Tree { root: to, files, impossible, places: Vec::new(), mutants: Vec::new() };
        tree.write()?;
        Ok(tree)
    }

    /// Writes the mutated files.
    fn write(&mut self) -> Result<()> {
        self.mutants.clear();
        self.places.clear();
        for (file, sites) in &self.files {
            let mut writer = Writer {
                file,
                sites: sorted(sites),
                next: 0,
                out: String::new(),
                impossible: &self.impossible,
                names: BTreeSet::new(),
                mutants: &mut self.mutants,
                places: &mut self.places,
            };
            writer.write(0..file.source.len());
            let out = writer.out;
            write_changed(&self.root.join(&file.path), out.as_bytes())?;
        }
        Ok(())
    }

    /// Leaves out the mutants that the compiler rejects, by file and offset of its errors; returns how many.
    pub fn leave_out(&mut self, errors: &[(String, usize)]) -> Result<usize> {
        let before = self.impossible.len();
        for (file, at) in errors {
            let near = self.places.iter().filter(|place| place.file == *file && place.range.contains(at));
            // The innermost place.
            if let Some(place) = near.min_by_key(|place| place.range.len()) {
                let names = self.mutants[place.mutants.clone()].iter().map(|mutant| mutant.name.clone());
                self.impossible.extend(names);
            }
        }
        let found = self.impossible.len() - before;
        let names: Vec<&str> = self.impossible.iter().map(String::as_str).collect();
        fs::write(self.root.join("../impossible.txt"), names.join("\n"))?;
        self.write()?;
        Ok(found)
    }
}

/// Outer sites come before those inside them.
fn sorted(sites: &[Site]) -> Vec<&Site> {
    let mut sites: Vec<&Site> = sites.iter().collect();
    sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end)));
    sites
}

/// The workspace's manifest with lints that allow what mutants do, and with versions of its own: Cargo
/// identifies crates by name and version, and would overwrite the builds of the originals with those of the
/// copy.
fn manifest(text: &str) -> String {
    let mut out = String::new();
    let mut skipped = false;
    for line in text.lines() {
        if line.starts_with('[') {
            skipped = line.starts_with("[workspace.lints");
        }
        match line.strip_prefix("version = \"").and_then(|rest| rest.strip_suffix('"')) {
            _ if skipped => {}
            Some(version) => out.push_str(&format!("version = \"{version}+mutants\"\n")),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out + LINTS
}

/// Files that do not change keep their time, so that nothing is rebuilt because of them.
fn write_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

struct Writer<'a> {
    file: &'a Chosen,
    sites: Vec<&'a Site>,
    next: usize,
    out: String,
    impossible: &'a BTreeSet<String>,
    names: BTreeSet<String>,
    mutants: &'a mut Vec<Mutant>,
    places: &'a mut Vec<Place>,
}

impl Writer<'_> {
    /// Writes the source in `range` with all sites in it as switches.
    fn write(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some(&site) = self.sites.get(self.next)
            && site.range.end <= range.end
        {
            self.out.push_str(&self.file.source[at..site.range.start]);
            at = site.range.end;
            self.next += 1;
            self.switch(site);
        }
        self.out.push_str(&self.file.source[at..range.end]);
    }

    fn switch(&mut self, site: &Site) {
        let alive = if self.file.path.starts_with("schema/") { "crate" } else { "ferrolite_schema" };
        let first = self.mutants.len();
        let opening = self.out.len();
        for alternative in &site.alternatives {
            let name = format!("{} | {} | {}", self.file.path, alternative.function, alternative.shown);
            let name = self.unique(&name);
            if self.impossible.contains(&name) {
                continue;
            }
            let number = self.mutants.len();
            let word = match (number - first, site.kind) {
                (0, Kind::Expression) => "(if",
                (_, Kind::Expression) | (1.., Kind::Statement) => " else if",
                _ => "if",
            };
            self.out.push_str(&format!("{word} {alive}::mutants::alive({number}) {{ "));
            let start = self.out.len();
            self.out.push_str(&alternative.text);
            self.place(start, number..number + 1);
            self.out.push_str(" }");
            self.mutants.push(Mutant { name });
        }
        let mutants = first..self.mutants.len();
        match site.kind {
            _ if mutants.is_empty() => self.write(site.range.clone()),
            Kind::Start => {}
            Kind::Expression | Kind::Statement => {
                self.out.push_str(" else { ");
                self.write(site.range.clone());
                self.out.push_str(if site.kind == Kind::Expression { " })" } else { " }" });
                // If the switch does not compile, no mutant can be put here.
                self.place(opening, mutants);
            }
        }
    }

    /// Records that the text from `start` on belongs to these mutants.
    fn place(&mut self, start: usize, mutants: Range<usize>) {
        let range = start..self.out.len() + 1;
        self.places.push(Place { file: self.file.path.clone(), range, mutants });
    }

    /// Adds a number to a name that already exists.
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_string();
        let mut number = 2;
        while !self.names.insert(unique.clone()) {
            unique = format!("{name} ({number})");
            number += 1;
        }
        unique
    }
}
