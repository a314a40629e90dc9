//! Whether an update of a model fits a firmware that is in the field: what it links, how much memory it has, and what its
//! program expects of inputs and outputs.
//!
//! ```
//! use ferrolite::fits::{Firmware, check};
//! use ferrolite::model_file::ModelFile;
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let firmware = Firmware::of_model(file.clone())?;
//! assert!(check(&file.model()?, &firmware)?.iter().all(|check| check.fits != Some(false)));
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod firmware;

use std::collections::BTreeSet;
use std::path::Path;

use ferrolite_runtime::{Model, OpCode, Target};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model_file::{self, Linked, ModelFile, PortFacts, Weights};
use crate::text;

/// What a firmware has for its model.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// The model that it was built with.
    pub model: ModelFile,
    /// The operators that it links.
    pub operators: BTreeSet<Linked>,
    /// Bytes of arena that it has.
    pub arena_bytes: u64,
    /// Bytes of a slot, where that is known.
    pub slot_bytes: Option<u64>,
    /// How this is known, and what is not, a sentence each.
    pub notes: Vec<String>,
}

impl Firmware {
    /// A firmware that has for a model what the module or the header has that was written with it.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn of_model(model: ModelFile) -> Result<Firmware> {
        let verified = model.model()?;
        let operators = operators(&verified);
        let arena_bytes = verified.arena_bytes() as u64;
        let notes = vec![
            "operators and arena are taken to be those of the module that was written with the firmware's model"
                .into(),
        ];
        Ok(Firmware { operators, arena_bytes, slot_bytes: None, notes, model })
    }

    /// A firmware by its ELF file, in which its lists of operators are, and its model, unless that is given.
    ///
    /// # Errors
    /// When the file is no ELF, or has no model, or several, and none is given.
    pub fn of_elf(path: &Path, model: Option<ModelFile>) -> Result<Firmware> {
        let shown = path.display();
        let bytes = crate::files::read(path).map_err(|e| {
            Error::input(format!("{shown}: cannot be read: {e}"))
                .help("give the firmware's ELF file")
                .caused_by(e)
        })?;
        if !firmware::is_elf(&bytes) {
            return Err(Error::input(format!("{shown}: is no ELF file")).help(
                "give the file that the linker wrote, not one made of it; or the firmware's model by --of",
            ));
        }
        let mut found = firmware::contents(path, &bytes)?;
        let model = match (model, found.models.len()) {
            (Some(model), _) => model,
            (None, 1) => found.models.remove(0),
            (None, 0) => {
                return Err(Error::input(format!("{shown}: there is no model in it"))
                    .help("give the .ferro file that the firmware was built with, too: --of FILE.ferro"));
            }
            (None, count) => {
                return Err(Error::input(format!("{shown}: there are {count} models in it"))
                    .help("give the .ferro file of the one that the update replaces, too: --of FILE.ferro"));
            }
        };
        let mut firmware = Firmware::of_model(model)?;
        firmware.notes.clear();
        if found.codes.is_empty() {
            firmware.notes.push(format!(
                "{shown}: no list of operators was found in it, so those of its model are taken"
            ));
        } else {
            firmware.operators = linked(&found.codes, &firmware.operators);
        }
        match found.arena_bytes {
            Some(bytes) => firmware.arena_bytes = bytes,
            None => firmware.notes.push(
                "the arena is taken to be as large as the firmware's model needs: `room!` (in C FERROLITE_ARENA_ROOM) says in the program how large it is"
                    .into(),
            ),
        }
        firmware.slot_bytes = found.slot_bytes;
        Ok(firmware)
    }
}

/// The operators of a model, as the module that is written with it lists them.
fn operators(model: &Model<'_>) -> BTreeSet<Linked> {
    model_file::operators(model, model.target().unwrap_or(Target::Portable)).into_iter().collect()
}

/// The operators behind codes that a firmware links. One that was linked by the model's own list has its variants; a
/// longer list is the author's, and lists whole operators, as `ops::ALL` does.
fn linked(codes: &BTreeSet<u16>, of_model: &BTreeSet<Linked>) -> BTreeSet<Linked> {
    let own: BTreeSet<u16> = of_model.iter().map(|linked| linked.code as u16).collect();
    match codes.is_subset(&own) {
        true => of_model.iter().copied().filter(|linked| codes.contains(&(linked.code as u16))).collect(),
        false => codes.iter().copied().filter_map(OpCode::from_code).map(Linked::from).collect(),
    }
}

/// Whether a firmware that links `has` runs what needs `needs`.
fn serves(has: Linked, needs: Linked) -> bool {
    // The small variants take every file, and so does what they are variants of.
    let any = |weights| matches!(weights, Weights::Any | Weights::Small);
    has.code == needs.code
        && (has.weights == needs.weights
            || has.weights == Weights::Any
            || (any(has.weights) && any(needs.weights))
            || (has.weights, needs.weights) == (Weights::General, Weights::Tuned))
}

/// One thing that has to agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub what: &'static str,
    /// Whether it does; `null` where that is not known.
    pub fits: Option<bool>,
    /// The update's side and the firmware's, in words; for a no, the reason.
    pub because: String,
}

impl Check {
    /// A no for each reason; a yes with other words, where there is none.
    fn new(what: &'static str, reasons: Vec<String>, agree: String) -> Check {
        let fits = reasons.is_empty();
        Check { what, fits: Some(fits), because: if fits { agree } else { reasons.join("; ") } }
    }
}

/// Holds an update against a firmware, thing by thing.
///
/// # Errors
/// When the firmware's model is damaged.
pub fn check(update: &Model<'_>, firmware: &Firmware) -> Result<Vec<Check>> {
    let old = firmware.model.model()?;
    let mut checks = vec![
        operators_fit(update, firmware),
        arena_fits(update, firmware),
        slot_fits(update, firmware),
        ports_fit("inputs", &model_file::inputs(update), &model_file::inputs(&old)),
        ports_fit("outputs", &model_file::outputs(update), &model_file::outputs(&old)),
        state_fits(update, &old),
        memories_fit(update, &old),
        target_fits(update, &old),
    ];
    checks.extend(entries_fit(update, &old));
    Ok(checks)
}

fn operators_fit(update: &Model<'_>, firmware: &Firmware) -> Check {
    let needs = operators(update);
    let count = needs.len();
    let missing: Vec<String> = needs
        .into_iter()
        .filter(|&needs| !firmware.operators.iter().any(|&has| serves(has, needs)))
        .map(|needs| {
            let layers =
                model_file::layers(update).into_iter().filter(|layer| layer.code == needs.code.name());
            let names: Vec<String> =
                layers.map(|layer| format!("`{}`", text::layer(&layer.name))).take(3).collect();
            format!("ops::{needs} is not linked, which {} needs", names.join(", "))
        })
        .collect();
    Check::new("operators", missing, format!("the firmware links all {count}"))
}

fn arena_fits(update: &Model<'_>, firmware: &Firmware) -> Check {
    let (needs, has) = (update.arena_bytes() as u64, firmware.arena_bytes);
    let words = format!("{} bytes are needed, {} are there", text::thousands(needs), text::thousands(has));
    let reasons = if needs > has { vec![words.clone()] } else { Vec::new() };
    Check::new("arena", reasons, words)
}

fn slot_fits(update: &Model<'_>, firmware: &Firmware) -> Check {
    let bytes = update.bytes().len() as u64;
    let Some(slot) = firmware.slot_bytes else {
        let because =
            format!("the file has {} bytes; --slot N says how many a slot has", text::thousands(bytes));
        return Check { what: "slot", fits: None, because };
    };
    let words = format!("the file has {} bytes, a slot {}", text::thousands(bytes), text::thousands(slot));
    let reasons = if bytes > slot { vec![words.clone()] } else { Vec::new() };
    Check::new("slot", reasons, words)
}

/// Programs know ports by their place and their type, and many have the scale as a constant. Names differ with each
/// training (`dense`, `dense_1`), which only programs mind that ask for one; ports that changed places are others.
fn ports_fit(what: &'static str, new: &[PortFacts], old: &[PortFacts]) -> Check {
    let mut reasons = Vec::new();
    let names = |ports: &[PortFacts]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
    let renamed = renamed(&names(new), &names(old));
    if new.len() != old.len() {
        reasons.push(format!("the update has {}, the firmware expects {}", new.len(), old.len()));
    }
    for (index, (new, old)) in new.iter().zip(old).enumerate() {
        let name = text::layer(&old.name);
        let mut differs = |what: &str, new: String, old: String| {
            reasons.push(format!("{index} `{name}`: {what} is {new}, the firmware expects {old}"));
        };
        if let Renamed::Moved(at) = &renamed
            && at.contains(&index)
        {
            differs("the name", format!("`{}`", text::layer(&new.name)), format!("`{name}`"));
        }
        if new.shape != old.shape {
            differs("the shape", format!("{:?}", new.shape), format!("{:?}", old.shape));
        }
        if new.dtype != old.dtype {
            differs("the type", new.dtype.name().into(), old.dtype.name().into());
        }
        let numbers = |port: &PortFacts| match port.quantization {
            Some((scale, zero_point)) => format!("{scale} with zero point {zero_point}"),
            None => "none".into(),
        };
        if new.quantization != old.quantization {
            differs("the scale", numbers(new), numbers(old));
        }
    }
    Check::new(
        what,
        reasons,
        match &renamed {
            Renamed::New(words) => format!(
                "{} with the same shapes, types and scales; {words}: that matters to programs that ask for them by name",
                old.len()
            ),
            _ => format!("{} with the same names, shapes, types and scales", old.len()),
        },
    )
}

/// How the names of an update differ from those of the firmware's model.
enum Renamed {
    /// Not at all.
    No,
    /// Some are new, in these words.
    New(String),
    /// At these places is what has another place in the firmware's model.
    Moved(Vec<usize>),
}

fn renamed(new: &[String], old: &[String]) -> Renamed {
    let differ = || new.iter().zip(old).enumerate().filter(|(_, (new, old))| new != old);
    let moved: Vec<usize> =
        differ().filter(|(_, (new, _))| old.contains(new)).map(|(index, _)| index).collect();
    if !moved.is_empty() {
        return Renamed::Moved(moved);
    }
    let words: Vec<String> = differ()
        .map(|(_, (new, old))| format!("`{}` is named `{}` now", text::layer(old), text::layer(new)))
        .collect();
    if words.is_empty() { Renamed::No } else { Renamed::New(words.join(", ")) }
}

fn state_fits(update: &Model<'_>, old: &Model<'_>) -> Check {
    let (new, before) = (model_file::variables(update), model_file::variables(old));
    let names = |ports: &[PortFacts]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
    let shapes = |ports: &[PortFacts]| ports.iter().map(|port| port.shape.clone()).collect::<Vec<_>>();
    let renamed = renamed(&names(&new), &names(&before));
    let (new_bytes, old_bytes) = (update.state_bytes(), old.state_bytes());
    let mut reasons = Vec::new();
    if new_bytes != old_bytes {
        reasons.push(format!(
            "the update keeps {} bytes, the firmware's model {}: a state that was saved does not load",
            text::count(new_bytes),
            text::count(old_bytes)
        ));
    } else if shapes(&new) != shapes(&before) || matches!(renamed, Renamed::Moved(_)) {
        reasons.push(
            "the variables have other shapes, or another order: a state that was saved means something else"
                .into(),
        );
    }
    let both = format!("{} bytes in both", text::count(old_bytes));
    Check::new(
        "state",
        reasons,
        match renamed {
            Renamed::New(words) => format!("{both}; {words}"),
            _ => both,
        },
    )
}

/// Entry points, which programs ask for by name; nothing where neither file has several.
fn entries_fit(update: &Model<'_>, old: &Model<'_>) -> Option<Check> {
    let name = |model: &Model<'_>, index| model.entry_name(index).unwrap_or_default().to_string();
    let names = |model: &Model<'_>| (0..model.entries()).map(|index| name(model, index)).collect::<Vec<_>>();
    let (new, before) = (names(update), names(old));
    let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (new.len(), before.len()) {
        (0 | 1, 0 | 1) => return None,
        (_, 0 | 1) => {
            let words = format!("the update has {}; the firmware runs the first", list(&new));
            return Some(Check::new("entries", Vec::new(), words));
        }
        _ => {}
    }
    let mut reasons = Vec::new();
    let missing: Vec<String> = before.iter().filter(|name| !new.contains(name)).cloned().collect();
    if !missing.is_empty() {
        reasons.push(format!("{} missing", list(&missing)));
    } else if new.first() != before.first() {
        reasons.push(format!(
            "the first, which runs where a program asks for none, is {}, the firmware's {}",
            list(&new[..1]),
            list(&before[..1])
        ));
    }
    for (at, entry) in before.iter().enumerate() {
        let there = new.iter().position(|name| name == entry);
        let (Some(Ok(new)), Ok(before)) = (there.map(|at| update.entry_at(at)), old.entry_at(at)) else {
            continue;
        };
        let ports = [
            ports_fit("inputs", &model_file::inputs(&new), &model_file::inputs(&before)),
            ports_fit("outputs", &model_file::outputs(&new), &model_file::outputs(&before)),
        ];
        let differ = ports.iter().filter(|check| check.fits == Some(false));
        reasons.extend(differ.map(|check| format!("`{entry}`, {}: {}", check.what, check.because)));
    }
    Some(Check::new("entries", reasons, format!("the update has all of the firmware's, {}", list(&before))))
}

fn memories_fit(update: &Model<'_>, old: &Model<'_>) -> Check {
    let (new, old) = (model_file::memories(update), model_file::memories(old));
    let names = |memories: &[model_file::MemoryFacts]| match memories {
        [] => "one memory".to_string(),
        several => several
            .iter()
            .map(|memory| format!("{} ({})", memory.name, memory.used))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let words = format!("the update's arena lies in {}, the firmware's in {}", names(&new), names(&old));
    let fits = new.len() <= 1 && old.len() <= 1
        || new.len() == old.len()
            && new.iter().zip(&old).all(|(new, old)| new.name == old.name && new.used <= old.used);
    let reasons = if fits { Vec::new() } else { vec![words.clone()] };
    Check::new("memories", reasons, words)
}

fn target_fits(update: &Model<'_>, old: &Model<'_>) -> Check {
    let (new, old) = (update.target_name(), old.target_name());
    let reasons = match new == old {
        true => Vec::new(),
        false => vec![format!(
            "the update is packed for {new}, the firmware's model for {old}: it would run slower, or not at all: convert it with `--target {old}`"
        )],
    };
    Check::new("target", reasons, format!("both are packed for {old}"))
}

#[cfg(test)]
mod tests {
    use ferrolite_schema::DType;

    use super::*;

    fn ports(names: &[&str]) -> Vec<PortFacts> {
        let port = |name: &&str| PortFacts {
            name: name.to_string(),
            shape: vec![1, 4],
            dtype: DType::Int8,
            quantization: Some((0.5, 3)),
        };
        names.iter().map(port).collect()
    }

    #[test]
    fn new_names_are_a_note_and_exchanged_ones_a_no() {
        for (new, fits, words) in [
            (&["a", "b"][..], true, "the same names"),
            (&["a_1", "b"], true, "`a` is named `a_1` now"),
            (&["a_1", "b_1"], true, "`b` is named `b_1` now"),
            (&["b", "a"], false, "0 `a`: the name is `b`"),
            (&["b", "c"], false, "0 `a`: the name is `b`"),
            (&["a"], false, "the update has 1"),
        ] {
            let found = ports_fit("inputs", &ports(new), &ports(&["a", "b"]));
            assert_eq!(found.fits, Some(fits), "{found:?}");
            assert!(found.because.contains(words), "{found:?}");
        }
        let mut other = ports(&["c", "b"]);
        other[0].shape = vec![4];
        assert_eq!(ports_fit("inputs", &other, &ports(&["a", "b"])).fits, Some(false));
    }
}
