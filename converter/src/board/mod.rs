//! Boards: runs models on microcontroller cores under QEMU.
//!
//! ```text
//! model, inputs --> job.bin, inputs.bin --> QEMU with the runner firmware --> results.bin --> BoardRun
//! ```
//! One runner firmware per board runs any model (`boards/runner`). It is built when it is missing or older
//! than its sources, and unpacked from this program (`image`) where there are no sources. QEMU's loader puts the model into the board's memory. Inputs and outputs are files that
//! the runner reads and writes over semihosting, so one start of QEMU can run any number of samples, and as
//! many models as the board has room for ([`run_batch`]).
//!
//! Instructions are counted under `-icount shift=7`: an instruction takes 128 ns of guest time, at least two
//! ticks of every board's timer, so counts are exact. If a 32-bit timer wraps (above 1.3 G instructions), the
//! run is repeated with `shift=0`, whose resolution is at most 63 instructions.
//!
//! ```no_run
//! use ferrolite::board::{self, RunOptions};
//! use ferrolite::model_file::ModelFile;
//!
//! let file = ModelFile::read("sine.ferro".as_ref())?;
//! let board = board::find("qemu-cortex-m4")?;
//! let run = board::run(board, file.bytes(), &[vec![0]], RunOptions::default())?;
//! println!("{} instructions, {} bytes of stack: {:?}", run.instructions, run.stack_bytes, run.outputs[0]);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod batch;
mod cycles;
mod firmware;
mod footprint;
mod image;
mod job;
mod packing;
mod parts;
mod qemu;
mod table;

use std::time::Duration;

use ferrolite_runtime::{Model, check, ops};

use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use cycles::Numbers;
use job::{Answers, Counts};

pub use batch::{BatchItem, run_batch};
pub use cycles::Modelled;
pub use firmware::has_sources;
pub use footprint::{Profile, link_check, runtime_flash_bytes, verifier_flash_bytes};
pub use image::{MOST_BYTES as MOST_IMAGE_BYTES, embedded as embedded_runner, pack as pack_runner};
pub use packing::{foreign_packing, portable_packing};
pub use parts::{Evidence, PARTS, Part, part};
pub use table::{BOARDS, Board, HOST, JobMemory, find};

/// Guest time per instruction, as a power of two of nanoseconds; short enough for almost all models.
const FINE: u32 = 7;
/// The same for longer runs.
const COARSE: u32 = 0;

/// How to run a model on a board.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Report each op's instructions and output for the first sample.
    pub layers: bool,
    /// The samples are one sequence: the model keeps its state between them.
    pub sequence: bool,
    /// The samples are calls of the file's entry points in turn, in the order of the file, on one state: the inputs of each
    /// sample are those of its entry. Boards with a Cortex-M0 refuse that.
    pub entries: bool,
    /// Number of the program that the samples are for, of a file with several entry points; 0 is its first. Boards with a
    /// Cortex-M0 refuse any other.
    pub entry: usize,
    /// Model cycles, if the core has a timing model.
    pub cycles: bool,
    /// Model cycles of cores, too, whose model was not held against silicon.
    pub estimate: bool,
    /// Wall-clock time after which QEMU is stopped; by default 120 s plus 2 s for each sample.
    pub limit: Option<Duration>,
}

/// The result of a run on a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardRun {
    /// For each sample the bytes of all outputs, one after the other in port order.
    pub outputs: Vec<Vec<u8>>,
    /// One entry per op, if [`RunOptions::layers`] was set.
    pub layers: Vec<LayerRun>,
    /// Instructions of the first inference, counted while no op is observed.
    pub instructions: u64,
    /// The same with modelled cycles, or the reason why there are none.
    pub modelled: std::result::Result<Modelled, String>,
    /// Instructions of `Model::from_bytes` and `Interpreter::new`.
    pub init_instructions: u64,
    /// Deepest stack of initialisation and inference, in bytes.
    pub stack_bytes: u32,
    /// Bytes of arena.
    pub arena_bytes: u32,
}

/// One op of the first sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRun {
    /// Index of the op in the file.
    pub index: usize,
    /// Instructions of its evaluation.
    pub instructions: u64,
    /// The same with modelled cycles, if the run has them.
    pub modelled: Option<Modelled>,
    /// Bytes of its outputs, one after the other.
    pub output: Vec<u8>,
}

/// A board, and whether the programs that it needs are installed.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The board.
    pub board: &'static Board,
    /// Whether its QEMU is installed.
    pub qemu_installed: bool,
    /// Whether its Rust target is installed.
    pub target_installed: bool,
    /// Whether its runner can be built here, or is part of this program.
    pub has_runner: bool,
}

/// All boards, and which of their programs are installed.
pub fn list() -> Vec<Status> {
    BOARDS
        .iter()
        .map(|board| Status {
            board,
            qemu_installed: qemu::installed(board.qemu).is_some(),
            target_installed: firmware::target_installed(board.target),
            has_runner: has_sources() || embedded_runner(board).is_some(),
        })
        .collect()
}

/// Runs a model on a board. Each sample holds the bytes of all inputs, one after the other in port order.
///
/// Errors: a file that the runtime refuses, a model or arena that does not fit (with both sizes), samples of
/// the wrong size, firmware that cannot be built, QEMU missing, a fault of the board, or no answer within the
/// time limit (with the board's last output).
pub fn run(
    board: &'static Board,
    model_bytes: &[u8],
    inputs: &[Vec<u8>],
    options: RunOptions,
) -> Result<BoardRun> {
    let item = BatchItem { model: model_bytes, inputs, options };
    let mut results = run_batch(board, &[item])?;
    results.pop().unwrap_or_else(|| Err(Error::input(format!("{} gave no answer", board.name))))
}

/// Runs one inference on a board, on the given input or on zeroes, to measure its cost; with `estimate`, cycles of any
/// core are modelled.
pub fn bench(
    board: &'static Board,
    model_bytes: &[u8],
    input: Option<Vec<u8>>,
    estimate: bool,
) -> Result<BoardRun> {
    let input = match input {
        Some(input) => input,
        None => vec![0; input_bytes(&verified(&AlignedBuf::from_bytes(model_bytes))?)],
    };
    run(
        board,
        model_bytes,
        &[input],
        RunOptions { layers: true, cycles: true, estimate, ..RunOptions::default() },
    )
}

fn collect(board: &Board, shift: u32, answers: Answers, samples: usize) -> Result<BoardRun> {
    let instructions = |ticks: u64| board.instructions(ticks, shift);
    let Answers { outputs, layers, counts: Some(counts), windows, .. } = answers else {
        return Err(Error::input(format!("{} answered without counts", board.name)));
    };
    if outputs.len() != samples {
        let found = outputs.len();
        return Err(Error::input(format!("{} answered {found} of {samples} samples", board.name)));
    }
    let Counts { init, invoke, stack_bytes, arena_bytes, invoke_window, .. } = counts;
    let windows = windows.unwrap_or_else(|| Err("cycles were not asked for".into()));
    let modelled = |window: Numbers| windows.as_ref().ok()?.cost(window);
    let layer = |layer: job::Layer| LayerRun {
        index: layer.index as usize,
        instructions: instructions(layer.ticks),
        modelled: modelled(layer.window),
        output: layer.output,
    };
    let layers = layers.into_iter().map(layer).collect();
    let modelled = match &windows {
        Err(reason) => Err(reason.clone()),
        Ok(windows) => windows.cost(invoke_window).ok_or_else(|| "the plugin has written no windows".into()),
    };
    Ok(BoardRun {
        outputs: outputs.into_values().collect(),
        layers,
        instructions: instructions(invoke),
        modelled,
        init_instructions: instructions(init),
        stack_bytes,
        arena_bytes,
    })
}

impl Board {
    /// Whether its runner can go over to another program of a file: Cortex-M0 has no atomic swaps, and its board no flash for
    /// that beside all operators.
    pub fn runs_entries(&self) -> bool {
        self.target != "thumbv6m-none-eabi"
    }

    /// Checks that a model and its arena fit the board; the error gives both sizes.
    pub fn check_room(&self, model_bytes: usize, arena_bytes: usize) -> Result<()> {
        let largest = self.jobs.iter().map(|memory| memory.bytes as usize).max().unwrap_or(0);
        let room = largest.saturating_sub(job::HEADER_BYTES);
        if model_bytes > room {
            return Err(Error::input(format!(
                "the model does not fit {}: the file has {model_bytes} bytes, the board has room for {room}",
                self.name
            ))
            .help(
                "run it on a larger board (`ferrolite boards` lists them), or on the host by leaving out --on",
            ));
        }
        if arena_bytes > self.arena_bytes as usize {
            return Err(Error::input(format!(
                "the model does not fit {}: it needs an arena of {arena_bytes} bytes, the board has {} (of {} bytes of RAM)",
                self.name, self.arena_bytes, self.ram_bytes
            ))
            .help("run it on a larger board (`ferrolite boards` lists them), or on the host by leaving out --on"));
        }
        Ok(())
    }
}

/// Checks on the host what the board would refuse, because the message is clearer and comes sooner.
fn check_job(board: &Board, model_bytes: &[u8], inputs: &[Vec<u8>], options: RunOptions) -> Result<()> {
    let file = AlignedBuf::from_bytes(model_bytes);
    let model = verified(&file)?;
    board.check_room(model_bytes.len(), model.arena_bytes())?;
    if (options.entries || options.entry > 0) && !board.runs_entries() {
        return Err(Error::input(format!("{} runs only the first program of a file", board.name))
            .help("its flash is too small for the firmware that runs any entry point; choose another board (`ferrolite boards`), or the host"));
    }
    let needs = |index: usize| match index {
        0 => Ok(input_bytes(&model)),
        _ => {
            let entry = model.entry_at(index);
            entry
                .map(|entry| input_bytes(&entry))
                .map_err(|error| Error::input(error.to_string()).caused_by(error))
        }
    };
    let programs = if options.entries { 0..model.entries().max(1) } else { options.entry..options.entry + 1 };
    let needed = programs.map(needs).collect::<Result<Vec<usize>>>()?;
    if inputs.is_empty() {
        return Err(Error::input("there are no samples to run"));
    }
    let fits = |index: usize, sample: &[u8]| sample.len() == needed[index % needed.len()];
    if let Some((index, sample)) = inputs.iter().enumerate().find(|(index, sample)| !fits(*index, sample)) {
        let (found, needed) = (sample.len(), needed[index % needed.len()]);
        return Err(Error::input(format!(
            "sample {index} has {found} bytes, the model's inputs have {needed}"
        )));
    }
    Ok(())
}

fn verified(file: &AlignedBuf) -> Result<Model<'_>> {
    let model = Model::from_bytes(file).map_err(|error| Error::input(error.to_string()).caused_by(error))?;
    check(&model, ops::ALL).map_err(|error| match crate::model_file::missing(&model, error) {
        Some(custom) => custom,
        None => Error::input(error.to_string()).caused_by(error),
    })?;
    Ok(model)
}

fn input_bytes(model: &Model<'_>) -> usize {
    let tensors = model.inputs().iter().filter_map(|port| model.tensors().get(port.tensor as usize));
    tensors.map(|tensor| tensor.bytes as usize).sum()
}

#[cfg(test)]
mod tests;
