//! A lock on speed and size: the cost of an inference on each board, stored in a file beside the model, and
//! compared with the cost now.
//!
//! The file is text, with one figure in a line, so that a change can be reviewed:
//!
//! ```text
//! # Written by Ferrolite: what an inference costs. …
//!
//! board qemu-cortex-m4
//! cycles 4817124
//! instructions 3893411
//! arena_bytes 8512
//! layer 0 12034 15120 CONV_2D functional/conv
//! ```
//! A layer's line has its index, its instructions, its modelled cycles (`-` if there are none), its operator
//! and its name.
//!
//! ```
//! use ferrolite::bench::{Measured, lock::{Lock, Tolerance}};
//!
//! let now = |cycles| Measured { board: "qemu-cortex-m4".into(), cycles: Some(cycles), ..Measured::default() };
//! let mut lock = Lock::default();
//! lock.set(&now(1_000));
//! let lock = Lock::parse(&lock.text())?;
//! assert!(lock.compare(&now(1_050), Tolerance::default())?.grown.is_empty());
//! assert_eq!(lock.compare(&now(1_051), Tolerance::default())?.grown.len(), 1);
//! # Ok::<(), ferrolite::Error>(())
//! ```

use std::fmt::Write;

pub use super::figures::{Figure, Tolerance};
use super::{LayerMeasured, Measured};
use crate::error::{Error, Result};
use crate::text::{self, MARK};

/// Most layers that a sentence names.
const NAMED: usize = 3;

/// One layer of a board's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    instructions: Option<u64>,
    cycles: Option<u64>,
    op: String,
    name: String,
}

impl From<&LayerMeasured> for Layer {
    fn from(layer: &LayerMeasured) -> Layer {
        // Each layer takes one line of the file, whatever its name contains.
        let name = layer.name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        Layer {
            instructions: layer.instructions,
            cycles: layer.cycles,
            op: layer.op.replace(char::is_whitespace, "_"),
            name: name.trim().to_string(),
        }
    }
}

/// The layer's share of a figure; `None` for figures that are not divided among layers.
fn of_layer(figure: Figure, layer: &Layer) -> Option<u64> {
    match figure {
        Figure::Cycles => layer.cycles,
        Figure::Instructions => layer.instructions,
        _ => None,
    }
}

/// The cost of an inference on one board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    board: String,
    figures: Vec<(&'static str, u64)>,
    layers: Vec<Layer>,
}

impl Entry {
    fn of(measured: &Measured) -> Entry {
        let figure = |figure: Figure| figure.of(measured).map(|found| (figure.word(), found));
        Entry {
            board: measured.board.clone(),
            figures: Figure::ALL.into_iter().filter_map(figure).collect(),
            layers: measured.layers.iter().map(Layer::from).collect(),
        }
    }

    fn figure(&self, figure: Figure) -> Option<u64> {
        self.figures.iter().find(|(word, _)| *word == figure.word()).map(|&(_, found)| found)
    }
}

/// The differences between a board's figures and those of the lock, one sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Figures that grew by more than the tolerance.
    pub grown: Vec<String>,
    /// Figures that shrank by as much, so that the lock can be renewed.
    pub shrunk: Vec<String>,
}

/// The cost of an inference, by board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    entries: Vec<Entry>,
}

impl Lock {
    /// The boards of which the lock has figures, in the order of the file.
    pub fn boards(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.board.as_str()).collect()
    }

    /// Stores a board's figures; those of other boards stay.
    pub fn set(&mut self, measured: &Measured) {
        let entry = Entry::of(measured);
        match self.entries.iter_mut().find(|old| old.board == entry.board) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// The contents of the file.
    pub fn text(&self) -> String {
        let mut out = format!(
            "# {MARK}: what an inference costs. `ferrolite bench MODEL.ferro --lock FILE` renews this file,\n\
             # and with `--check` fails where a figure has grown.\n"
        );
        let number = |n: Option<u64>| n.map_or("-".to_string(), |n| n.to_string());
        // Writing to a string does not fail.
        for entry in &self.entries {
            let _ = writeln!(out, "\nboard {}", entry.board);
            for (word, found) in &entry.figures {
                let _ = writeln!(out, "{word} {found}");
            }
            for (index, Layer { instructions, cycles, op, name }) in entry.layers.iter().enumerate() {
                let (instructions, cycles) = (number(*instructions), number(*cycles));
                let _ = writeln!(out, "layer {index} {instructions} {cycles} {op} {name}");
            }
        }
        out
    }

    /// Parses the contents of a file.
    ///
    /// # Errors
    /// When a line is not one that [`text`](Lock::text) writes. The error gives its number.
    pub fn parse(text: &str) -> Result<Lock> {
        let mut lock = Lock::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            lock.line(line).ok_or_else(|| {
                Error::input(format!("line {}: `{}` is not a line of a lock", index + 1, text::layer(line)))
                    .help("write the lock anew: `ferrolite bench MODEL.ferro --on BOARD --lock FILE`")
            })?;
        }
        Ok(lock)
    }

    /// Parses one line and stores it; `None` if it is not a valid line.
    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        if word == "board" {
            let known = self.entries.iter().any(|entry| entry.board == rest);
            if known || rest.is_empty() || rest.contains(char::is_whitespace) {
                return None;
            }
            self.entries.push(Entry { board: rest.into(), ..Entry::default() });
            return Some(());
        }
        let entry = self.entries.last_mut()?;
        if word == "layer" {
            // A name may be empty, and may contain spaces.
            let mut words = rest.splitn(5, ' ');
            let index: usize = words.next()?.parse().ok()?;
            let mut number = || match words.next()? {
                "-" => Some(None),
                word => word.parse().ok().map(Some),
            };
            let (instructions, cycles) = (number()?, number()?);
            let op = words.next()?.to_string();
            let name = words.next().unwrap_or_default().to_string();
            if index != entry.layers.len() {
                return None;
            }
            entry.layers.push(Layer { instructions, cycles, op, name });
            return Some(());
        }
        let figure = Figure::ALL.into_iter().find(|figure| figure.word() == word)?;
        if entry.figure(figure).is_some() {
            return None;
        }
        entry.figures.push((figure.word(), rest.parse().ok()?));
        Some(())
    }

    /// Compares a board's figures with those of the lock.
    ///
    /// # Errors
    /// When the lock has no figures of this board, or has cycles and there are none now.
    pub fn compare(&self, measured: &Measured, tolerance: Tolerance) -> Result<Comparison> {
        let entry = self.entry(&measured.board)?;
        let now = Entry::of(measured);
        let mut found = Comparison::default();
        for figure in Figure::ALL {
            let Some(before) = entry.figure(figure) else { continue };
            let Some(after) = now.figure(figure) else {
                let why = measured.no_cycles.as_deref().unwrap_or("they were not measured");
                return Err(Error::input(format!(
                    "{}: the lock has {}, and there are none now: {why}",
                    measured.board,
                    figure.name()
                )));
            };
            let change = percent(before, after);
            let (most, room) = (tolerance.most(figure, before), tolerance.most(figure, before) - before);
            if after <= most && before.saturating_sub(after) <= room {
                continue;
            }
            let sentence = format!(
                "{}: {} {}, {} in the lock ({})",
                measured.board,
                text::thousands(after),
                figure.name(),
                text::thousands(before),
                signed(change)
            );
            if change > 0.0 {
                let layers = blame(figure, &entry.layers, &now.layers);
                found.grown.push(format!("{sentence}, at most {}{layers}", tolerance.words(figure)));
            } else {
                found.shrunk.push(sentence);
            }
        }
        Ok(found)
    }

    /// Checks that the lock has figures of a board, before anything is measured.
    ///
    /// # Errors
    /// When it has none. The error lists the boards that it has.
    pub fn expect(&self, board: &str) -> Result<()> {
        self.entry(board).map(|_| ())
    }

    fn entry(&self, board: &str) -> Result<&Entry> {
        self.entries.iter().find(|entry| entry.board == board).ok_or_else(|| {
            Error::input(format!("the lock has no figures of {board}, only of: {}", self.list()))
                .help("leave `--check` out once, to take this board in")
        })
    }

    fn list(&self) -> String {
        if self.entries.is_empty() { "none".into() } else { self.boards().join(", ") }
    }
}

/// The change from one figure to another, in percent of the first.
fn percent(before: u64, after: u64) -> f64 {
    (after as f64 - before as f64) / before.max(1) as f64 * 100.0
}

fn signed(percent: f64) -> String {
    format!("{percent:+.2} %")
}

/// The layers in which a figure grew most, in words. A layer is identified by its operator and its name, and
/// several with the same operator and name by their order.
fn blame(figure: Figure, before: &[Layer], after: &[Layer]) -> String {
    let mut left: Vec<Option<&Layer>> = before.iter().map(Some).collect();
    let mut grown = Vec::new();
    for layer in after {
        let same = |old: &&mut Option<&Layer>| {
            old.is_some_and(|old| (&old.op, &old.name) == (&layer.op, &layer.name))
        };
        let old = left.iter_mut().find(same).and_then(Option::take);
        let Some(now) = of_layer(figure, layer) else { continue };
        let then = old.and_then(|old| of_layer(figure, old));
        if now > then.unwrap_or(0) {
            grown.push((now - then.unwrap_or(0), layer, then, now));
        }
    }
    grown.sort_by_key(|&(growth, ..)| std::cmp::Reverse(growth));
    let sentence = |&(_, layer, then, now): &(u64, &Layer, Option<u64>, u64)| {
        let was = match then {
            Some(then) => format!("{} before, {}", text::thousands(then), signed(percent(then, now))),
            None => "not in the lock".into(),
        };
        format!("`{}` ({}) {} ({was})", text::layer(&layer.name), layer.op, text::thousands(now))
    };
    let named: Vec<String> = grown.iter().take(NAMED).map(sentence).collect();
    match grown.len() {
        0 => String::new(),
        1 => format!("; layer {}", named.concat()),
        _ => format!("; most in layers {}", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(index: usize, name: &str, cycles: u64) -> LayerMeasured {
        LayerMeasured {
            index,
            name: name.into(),
            op: "CONV_2D".into(),
            instructions: Some(cycles / 2),
            cycles: Some(cycles),
            macs: 1,
            ..LayerMeasured::default()
        }
    }

    fn measured(board: &str, layers: &[(&str, u64)]) -> Measured {
        let layers: Vec<_> =
            layers.iter().enumerate().map(|(index, &(name, cycles))| layer(index, name, cycles)).collect();
        let cycles = layers.iter().filter_map(|layer| layer.cycles).sum();
        Measured {
            board: board.into(),
            cycles: Some(cycles),
            instructions: Some(cycles / 2),
            init_instructions: Some(4_000),
            stack_bytes: Some(800),
            arena_bytes: 9_000,
            model_bytes: 30_000,
            runtime_flash_bytes: Some(17_000),
            layers,
            ..Measured::default()
        }
    }

    fn lock(measured: &[Measured]) -> Lock {
        let mut lock = Lock::default();
        for measured in measured {
            lock.set(measured);
        }
        lock
    }

    #[test]
    fn what_is_written_is_read() {
        let names = [("a b/c", 10), ("", 20), ("two\nlines", 30), (" blank ", 40)];
        let mut without = measured("qemu-cortex-m3", &names);
        without.cycles = None;
        without.layers.iter_mut().for_each(|layer| layer.cycles = None);
        let mut lock = lock(&[measured("qemu-cortex-m4", &names), without]);
        assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
        assert_eq!(Lock::parse("").unwrap(), Lock::default());
        // The figures of one board are replaced, those of the other stay.
        lock.set(&measured("qemu-cortex-m4", &[("a", 99)]));
        assert_eq!(lock.boards(), ["qemu-cortex-m4", "qemu-cortex-m3"]);
        assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
        assert!(lock.text().contains("cycles 99\n") && lock.text().starts_with("# Written by Ferrolite"));
    }

    #[test]
    fn a_damaged_lock_is_refused_with_the_line() {
        let whole = lock(&[measured("qemu-cortex-m4", &[("a", 10), ("b", 20)])]).text();
        for (from, to) in [
            ("cycles 30", "cycles"),
            ("cycles 30", "cycles -30"),
            ("cycles 30", "cycles 3e1"),
            ("cycles 30", "cycles 99999999999999999999"),
            ("cycles 30", "cycles 30\ncycles 30"),
            ("layer 1", "layer 7"),
            ("layer 1", "layer"),
            ("stack_bytes", "stack"),
            ("board qemu-cortex-m4", "board"),
            ("board qemu-cortex-m4", "board qemu-cortex-m4\nboard qemu-cortex-m4"),
            ("board qemu-cortex-m4\n", ""),
        ] {
            let error = Lock::parse(&whole.replacen(from, to, 1)).expect_err(to);
            assert!(error.message.contains("line ") && !error.help.is_empty(), "{to}: {error:?}");
        }
    }

    #[test]
    fn each_figure_may_grow_as_far_as_its_tolerance() {
        let before = measured("qemu-cortex-m4", &[("a", 10_000)]);
        let lock = lock(std::slice::from_ref(&before));
        let grown = |change: &dyn Fn(&mut Measured), tolerance| {
            let mut now = before.clone();
            change(&mut now);
            lock.compare(&now, tolerance).unwrap()
        };
        let usual = Tolerance::default();
        assert_eq!(grown(&|_| (), usual), Comparison::default());
        type Change<'a> = &'a dyn Fn(&mut Measured);
        let changes: [(Change<'_>, Change<'_>); 7] = [
            (&|now| now.cycles = Some(10_500), &|now| now.cycles = Some(10_501)),
            (&|now| now.instructions = Some(5_050), &|now| now.instructions = Some(5_051)),
            (&|now| now.init_instructions = Some(4_040), &|now| now.init_instructions = Some(4_041)),
            (&|now| now.stack_bytes = Some(808), &|now| now.stack_bytes = Some(809)),
            (&|now| now.arena_bytes = 9_090, &|now| now.arena_bytes = 9_091),
            (&|now| now.model_bytes = 30_300, &|now| now.model_bytes = 30_301),
            (&|now| now.runtime_flash_bytes = Some(17_170), &|now| now.runtime_flash_bytes = Some(17_171)),
        ];
        for (allowed, refused) in changes {
            assert_eq!(grown(allowed, usual), Comparison::default());
            assert_eq!(grown(refused, usual).grown.len(), 1);
            assert_eq!(grown(refused, Tolerance::all(20.0)), Comparison::default());
            assert_eq!(grown(allowed, Tolerance::all(0.5)).grown.len(), 1);
        }
        let less = grown(&|now| now.cycles = Some(9_000), usual);
        assert!(less.grown.is_empty() && less.shrunk.len() == 1, "{less:?}");
        assert!(less.shrunk[0].contains("9,000 cycles, 10,000 in the lock (-10.00 %)"), "{less:?}");
    }

    #[test]
    fn the_layers_that_grew_are_named() {
        let lock =
            lock(&[measured("qemu-cortex-m4", &[("a", 1_000), ("b", 2_000), ("b", 3_000), ("c", 500)])]);
        let now = measured("qemu-cortex-m4", &[("b", 2_000), ("b", 4_500), ("new", 700), ("c", 500)]);
        let found = lock.compare(&now, Tolerance::default()).unwrap().grown;
        assert!(
            found[0].contains(
                "7,700 cycles, 6,500 in the lock (+18.46 %), at most +5 %; most in layers \
                 `b` (CONV_2D) 4,500 (3,000 before, +50.00 %), `new` (CONV_2D) 700 (not in the lock)"
            ),
            "{found:?}"
        );
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let lock = lock(&[measured("qemu-cortex-m4", &[("a", 1_000)])]);
        let error = lock.compare(&measured("qemu-cortex-m3", &[]), Tolerance::default()).unwrap_err();
        assert!(error.message.contains("qemu-cortex-m3, only of: qemu-cortex-m4"), "{error:?}");
        let mut now = measured("qemu-cortex-m4", &[("a", 1_000)]);
        (now.cycles, now.no_cycles) = (None, Some("no plugin".into()));
        let error = lock.compare(&now, Tolerance::default()).unwrap_err();
        assert!(error.message.contains("no plugin"), "{error:?}");
    }
}
