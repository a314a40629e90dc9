//! Measures one inference on the host or on a board.

use ferrolite_runtime::{Model, Target};
use serde::Serialize;

use super::{Chip, estimate_error, host, inputs};
use crate::board::{self, Board, BoardRun, HOST, Part};
use crate::error::{Error, Result};
use crate::model_file;
use crate::ops::path::{Path, paths};
use crate::progress::Progress;
use crate::text;

/// The cost of an inference. Scripts rely on the keys in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Name of the board.
    pub board: String,
    /// Instructions of one inference; `None` on the host.
    pub instructions: Option<u64>,
    /// Modelled cycles of one inference, if the core has a timing model.
    pub cycles: Option<u64>,
    /// Words of data that the inference reads from flash, if cycles are modelled.
    pub flash_words: Option<u64>,
    /// Estimated time on silicon, if a clock was given.
    pub latency: Option<Latency>,
    /// Instructions until the first inference can begin.
    pub init_instructions: Option<u64>,
    /// Most stack that was used.
    pub stack_bytes: Option<u64>,
    /// RAM for activations and scratch memory.
    pub arena_bytes: usize,
    /// Size of the model's file.
    pub model_bytes: usize,
    /// Flash that the runtime takes with the operators of this model.
    pub runtime_flash_bytes: Option<u64>,
    /// Time of one inference in microseconds; host only.
    pub wall_us: Option<f64>,
    /// The layers in the order of execution.
    pub layers: Vec<LayerMeasured>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the figures, one sentence each.
    pub warnings: Vec<String>,
    /// Why a core that is modelled has no cycles.
    #[serde(skip)]
    pub no_cycles: Option<String>,
}

/// An estimated time on silicon.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Clock of the core, in Hz.
    pub clock_hz: f64,
    /// Cycles that each word of data read from flash waits.
    pub flash_wait: u32,
    /// Milliseconds.
    pub ms: f64,
    /// Microjoules, where the energy of a cycle is known.
    pub microjoules: Option<f64>,
    /// How far off the estimate may be, in words.
    pub error: &'static str,
}

/// The cost of one layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerMeasured {
    /// Index of the op in the program.
    pub index: usize,
    /// The author's name.
    pub name: String,
    /// The operator.
    pub op: String,
    /// The way that the board's kernels take through it.
    pub path: String,
    /// Why that is not the fastest way, and what it costs; `None` where it is.
    pub slow_because: Option<String>,
    /// About how many times as long as the fastest way it takes, where that is known.
    pub slow_factor: Option<f64>,
    /// Instructions; `None` on the host.
    pub instructions: Option<u64>,
    /// Modelled cycles, if the core has a timing model.
    pub cycles: Option<u64>,
    /// Words of data read from flash, if cycles are modelled.
    pub flash_words: Option<u64>,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Time in microseconds; host only.
    pub wall_us: Option<f64>,
}

/// Measures one inference on the host or on a board; with a chip, also estimates its time on silicon. The board may be
/// a part that one can buy ([`board::PARTS`]): an emulated board with its core runs the model, and cycles, time and
/// energy are those of the part.
///
/// # Errors
/// When the board is unknown, lacks something or is too small; when a chip is given and the board's core has
/// no timing model.
pub fn measure(
    model: &Model<'_>,
    board: &str,
    chip: Option<Chip>,
    progress: &dyn Progress,
) -> Result<Measured> {
    let Some(part) = board::PARTS.iter().find(|part| part.name == board) else {
        return measure_on(model, board, chip, None, progress);
    };
    let chip = chip.unwrap_or(Chip { clock_hz: part.clock_hz, flash_wait: part.flash_wait });
    let mut measured = measure_on(model, part.emulated, Some(chip), Some(part), progress)?;
    measured.board = part.name.into();
    let needs = [
        ("flash", measured.model_bytes as u64 + measured.runtime_flash_bytes.unwrap_or(0), part.flash_bytes),
        ("RAM", measured.arena_bytes as u64 + measured.stack_bytes.unwrap_or(0), part.ram_bytes),
    ];
    for (memory, needed, there) in needs {
        if needed > u64::from(there) {
            let (needed, there) = (text::thousands(needed), text::thousands(there));
            measured
                .warnings
                .push(format!("{} has {there} bytes of {memory}, {needed} are needed", part.name));
        }
    }
    Ok(measured)
}

fn measure_on(
    model: &Model<'_>,
    board: &str,
    chip: Option<Chip>,
    part: Option<&Part>,
    progress: &dyn Progress,
) -> Result<Measured> {
    let mut measured = unmeasured(model, board)?;
    if board == HOST {
        check_clock(chip, None)?;
        let times = host(model)?;
        measured.wall_us = Some(times.wall_us);
        for (layer, time) in measured.layers.iter_mut().zip(times.layers_us) {
            layer.wall_us = Some(time);
        }
        return Ok(measured);
    }
    let board = board::find(board)?;
    check_clock(chip, board.timing.or(part.map(|_| board.estimate)))?;
    progress.begin("measuring", 0);
    let options = board::RunOptions {
        layers: true,
        cycles: true,
        estimate: part.is_some(),
        entry: model_file::entry_number(model),
        ..board::RunOptions::default()
    };
    let run = board::run(board, model.bytes(), &[inputs(model).concat()], options);
    progress.end();
    let run = run?;
    measured = of_run(model, board, &run)?;
    if board::has_sources() {
        let operators = model_file::operators(model, board.core_target());
        measured.runtime_flash_bytes = Some(board::runtime_flash_bytes(board, &operators)?);
    } else {
        measured.notes.push("the runtime's flash is not measured: that builds firmware, whose sources are not here (FERROLITE_BOARDS)".into());
    }
    if let (Ok(modelled), Some(chip)) = (run.modelled, chip) {
        let ms = chip.milliseconds(modelled);
        // Picojoules of so many cycles.
        let energy = |picojoules: f64| ms / 1e3 * chip.clock_hz * picojoules / 1e6;
        measured.latency = Some(Latency {
            clock_hz: chip.clock_hz,
            flash_wait: chip.flash_wait,
            ms,
            microjoules: part.and_then(|part| part.picojoules).map(energy),
            error: part.map_or_else(|| estimate_error(board), |part| part.evidence.error()),
        });
    }
    Ok(measured)
}

/// The cost of an inference that a board has run with layers ([`board::run_batch`]), but for the runtime's flash.
///
/// # Errors
/// When the board is unknown.
pub fn of_run(model: &Model<'_>, board: &Board, run: &BoardRun) -> Result<Measured> {
    let mut measured = unmeasured(model, board.name)?;
    measured.instructions = Some(run.instructions);
    measured.init_instructions = Some(run.init_instructions);
    measured.stack_bytes = Some(run.stack_bytes.into());
    match &run.modelled {
        Ok(modelled) => {
            measured.cycles = Some(modelled.cycles);
            measured.flash_words = Some(modelled.flash_words);
        }
        // A core that is not modelled has none, and no reason is wanted.
        Err(reason) => measured.no_cycles = board.timing.map(|_| reason.clone()),
    }
    for layer in &mut measured.layers {
        // What is not reported is in a branch that was not taken.
        let none = || measured.cycles.map(|_| 0);
        (layer.instructions, layer.cycles, layer.flash_words) = (Some(0), none(), none());
    }
    for layer in &run.layers {
        if let Some(found) = measured.layers.get_mut(layer.index) {
            found.instructions = Some(layer.instructions);
            found.cycles = layer.modelled.map(|modelled| modelled.cycles);
            found.flash_words = layer.modelled.map(|modelled| modelled.flash_words);
        }
    }
    Ok(measured)
}

/// What is known of a model and a board before anything runs.
fn unmeasured(model: &Model<'_>, board: &str) -> Result<Measured> {
    let mut measured = Measured {
        board: board.to_string(),
        arena_bytes: model.arena_bytes(),
        model_bytes: model.bytes().len(),
        notes: board::portable_packing(board, model.target()).into_iter().collect(),
        warnings: board::foreign_packing(board, model.target(), model.target_name()).into_iter().collect(),
        ..Measured::default()
    };
    let core = if board == HOST { Target::Host } else { board::find(board)?.core_target() };
    let layer = |(layer, path): (model_file::Layer, Path)| LayerMeasured {
        index: layer.index,
        name: layer.name,
        op: layer.op,
        path: path.name,
        slow_because: path.slow.as_ref().map(ToString::to_string),
        slow_factor: path.slow.and_then(|slow| slow.factor),
        instructions: None,
        cycles: None,
        flash_words: None,
        macs: layer.macs,
        wall_us: None,
    };
    measured.layers = model_file::layers(model).into_iter().zip(paths(model, core)).map(layer).collect();
    Ok(measured)
}

/// A clock turns cycles into time, so there must be modelled cycles.
fn check_clock(chip: Option<Chip>, timing: Option<&str>) -> Result<()> {
    if chip.is_none() || timing.is_some() {
        return Ok(());
    }
    let modelled: Vec<&str> =
        board::BOARDS.iter().filter(|board| board.timing.is_some()).map(|board| board.name).collect();
    Err(Error::usage("--clock needs modelled cycles, and there is no timing model for this board")
        .help(format!("use it with --on {}", modelled.join(" or --on "))))
}
