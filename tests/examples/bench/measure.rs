//! Converts models for a board and runs them there.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};
use ferrolite::bench::inputs;
use ferrolite::bench::lock::Figure;
use ferrolite::board::{self, BatchItem, Board, Modelled, RunOptions, runtime_flash_bytes};
use ferrolite::convert::{ConvertOptions, convert};
use ferrolite::model_file::{Linked, ModelFile, operators};
use ferrolite_runtime::Target;

use crate::models::{NAMED, Source};

/// The figures of a model on a board.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its short name.
    pub name: String,
    /// Instructions of one inference.
    pub instructions: u64,
    /// The same with modelled cycles, or the reason why there are none.
    pub modelled: Result<Modelled, String>,
    /// Instructions of initialisation.
    pub init_instructions: u64,
    /// Bytes of stack.
    pub stack_bytes: u32,
    /// Bytes of arena.
    pub arena_bytes: u32,
    /// Bytes of the model file.
    pub model_bytes: usize,
    /// Bytes of runtime code in addition to an empty firmware, for the models in the tables.
    pub runtime_flash_bytes: Option<u64>,
}

impl Measured {
    /// One of its figures, if it was measured.
    pub fn figure(&self, figure: Figure) -> Option<u64> {
        match figure {
            Figure::Cycles => self.modelled.as_ref().ok().map(|modelled| modelled.cycles),
            Figure::Instructions => Some(self.instructions),
            Figure::Init => Some(self.init_instructions),
            Figure::Stack => Some(self.stack_bytes.into()),
            Figure::Arena => Some(self.arena_bytes.into()),
            Figure::Model => Some(self.model_bytes as u64),
            Figure::Flash => self.runtime_flash_bytes,
        }
    }
}

/// Measures all models that can be converted and that fit. Others are reported.
pub fn board(board: &'static Board, sources: &[Source]) -> Result<Vec<Measured>> {
    let target = target(board)?;
    let options = ConvertOptions { target, ..ConvertOptions::default() };
    let mut ready: Vec<(&Source, ModelFile, Vec<Vec<u8>>)> = Vec::new();
    for source in sources {
        if !source.path.is_file() {
            skip(format!("{}: {} is not there", source.name, source.path.display()));
            continue;
        }
        match convert(&source.path, &options, &()) {
            Ok(converted) => {
                let input = inputs(&converted.file.model().map_err(message)?).concat();
                ready.push((source, converted.file, vec![input]));
            }
            Err(error) => skip(format!("{}: {}", source.name, first_line(&error.message))),
        }
    }
    let run = RunOptions { cycles: board.timing.is_some(), ..RunOptions::default() };
    let items: Vec<BatchItem<'_>> = ready
        .iter()
        .map(|(_, file, inputs)| BatchItem { model: file.bytes(), inputs, options: run })
        .collect();
    let runs = board::run_batch(board, &items).map_err(message)?;
    let mut flash: HashMap<Vec<Linked>, u64> = HashMap::new();
    let mut measured = Vec::new();
    for ((source, file, _), run) in ready.iter().zip(runs) {
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                skip(format!("{} on {}: {}", source.name, board.name, first_line(&error.message)));
                continue;
            }
        };
        let mut runtime_flash = None;
        if NAMED.iter().any(|(name, _)| *name == source.name) {
            let ops = operators(&file.model().map_err(message)?, board.core_target());
            let known = flash.get(&ops).copied();
            let bytes = known.map_or_else(|| runtime_flash_bytes(board, &ops), Ok).map_err(message)?;
            flash.insert(ops, bytes);
            runtime_flash = Some(bytes);
        }
        measured.push(Measured {
            name: source.name.clone(),
            instructions: run.instructions,
            modelled: run.modelled,
            init_instructions: run.init_instructions,
            stack_bytes: run.stack_bytes,
            arena_bytes: run.arena_bytes,
            model_bytes: file.bytes().len(),
            runtime_flash_bytes: runtime_flash,
        });
    }
    Ok(measured)
}

/// Reports a skipped model, once: most reasons are the same on every board.
fn skip(what: String) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if !told.contains(&what) {
        println!("skipped: {what}");
        told.insert(what);
    }
}

/// The target that models for a board are converted for.
pub fn target(board: &Board) -> Result<Target> {
    let name = board.name.trim_start_matches("qemu-");
    let found = Target::ALL.iter().find(|target| target.name() == name);
    found.copied().ok_or_else(|| anyhow!("there is no target {name}"))
}

pub fn message(error: ferrolite::Error) -> anyhow::Error {
    anyhow!("{}; {}", error.message, error.help)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
