//! Runs many models on one board, with as few starts of QEMU as the board's memory allows. A model that fails
//! does not affect the answers of the others.

use std::path::Path;
use std::time::Duration;

use super::cycles::Plugin;
use super::image::Runner;
use super::job::{Answers, Job};
use super::qemu::{self, Start};
use super::table::Board;
use super::{BoardRun, COARSE, FINE, RunOptions, check_job, collect};
use crate::error::{Error, Result};

/// Most bytes of inputs for one start.
const INPUTS_BYTES: usize = 256 << 20;

/// A model and its samples.
#[derive(Clone, Copy, Debug)]
pub struct BatchItem<'a> {
    /// The model file.
    pub model: &'a [u8],
    /// For each sample the bytes of all inputs, one after the other in port order.
    pub inputs: &'a [Vec<u8>],
    /// How to run it.
    pub options: RunOptions,
}

impl BatchItem<'_> {
    fn limit(&self) -> Duration {
        self.options.limit.unwrap_or(Duration::from_secs(120 + 2 * self.inputs.len() as u64))
    }

    fn input_bytes(&self) -> usize {
        self.inputs.iter().map(Vec::len).sum()
    }
}

/// Runs many models on a board, and returns the result of each, in order.
///
/// The error of an item is as for [`run`](super::run). An error of the whole batch means that firmware cannot
/// be built or QEMU is missing.
pub fn run_batch(board: &'static Board, items: &[BatchItem<'_>]) -> Result<Vec<Result<BoardRun>>> {
    let mut results: Vec<Option<Result<BoardRun>>> = items
        .iter()
        .map(|item| check_job(board, item.model, item.inputs, item.options).err().map(Err))
        .collect();
    let open = |results: &[Option<Result<BoardRun>>]| -> Vec<usize> {
        (0..items.len()).filter(|&index| results[index].is_none()).collect()
    };
    let pending = open(&results);
    if !pending.is_empty() {
        qemu::require(board)?;
        let runner = Runner::of(board)?;
        let asked = pending.iter().any(|&index| items[index].options.cycles);
        let estimate = pending.iter().any(|&index| items[index].options.estimate);
        let plugin = asked.then(|| Plugin::prepare(board, runner.path(), estimate));
        let session = Session { board, firmware: runner.path(), plugin: &plugin, items };
        let mut wrapped = Vec::new();
        for (index, answers) in session.answers(FINE, pending)? {
            match answers {
                Ok(answers) if answers.counts.is_some_and(|counts| counts.wrapped) => wrapped.push(index),
                answers => results[index] = Some(finish(board, FINE, answers, &items[index])),
            }
        }
        for (index, answers) in session.answers(COARSE, wrapped)? {
            results[index] = Some(finish(board, COARSE, answers, &items[index]));
        }
    }
    let unanswered = || Err(Error::input(format!("{} gave no answer", board.name)));
    Ok(results.into_iter().map(|result| result.unwrap_or_else(unanswered)).collect())
}

fn finish(
    board: &'static Board,
    shift: u32,
    answers: Result<Answers>,
    item: &BatchItem<'_>,
) -> Result<BoardRun> {
    collect(board, shift, answers?, item.inputs.len())
}

/// A runner and its items.
struct Session<'a> {
    board: &'static Board,
    firmware: &'a Path,
    /// The plugin that models cycles, if cycles are wanted, or the reason why there are none.
    plugin: &'a Option<std::result::Result<Plugin, String>>,
    items: &'a [BatchItem<'a>],
}

impl Session<'_> {
    /// Starts QEMU until each of the items in `pending` has an answer.
    fn answers(&self, shift: u32, pending: Vec<usize>) -> Result<Vec<(usize, Result<Answers>)>> {
        let Session { board, firmware, plugin, items } = *self;
        let mut found = Vec::new();
        let mut pending = &pending[..];
        while !pending.is_empty() {
            let (mut jobs, mut inputs, mut limit) = (Vec::new(), Vec::new(), Duration::ZERO);
            let mut memory = None;
            let mut room = 0;
            for &index in pending {
                let item = &items[index];
                let job = job(item, inputs.len())?;
                // A model that fits in flash is not run from other memory because of a larger model beside
                // it.
                let place = board.job_memory(job.bytes());
                if memory.is_none() {
                    (memory, room) = (Some(place), place.bytes as usize);
                }
                let full = job.room() > room || inputs.len() + item.input_bytes() > INPUTS_BYTES;
                // The last job needs no gap after it, so the first job always fits.
                if (full || memory != Some(place)) && !jobs.is_empty() {
                    break;
                }
                room = room.saturating_sub(job.room());
                jobs.push(job);
                item.inputs.iter().for_each(|sample| inputs.extend_from_slice(sample));
                limit += item.limit();
            }
            let loaded = plugin.as_ref().and_then(|plugin| plugin.as_ref().ok());
            let start = Start { board, firmware, shift, limit, plugin: loaded };
            let mut answers = start.jobs(&jobs, &inputs)?;
            if let Some(Err(reason)) = plugin {
                let answers = answers.iter_mut().flatten();
                answers.for_each(|answers| answers.windows = Some(Err(reason.clone())));
            }
            // Each start answers at least one job.
            let (answered, rest) = pending.split_at(answers.len().clamp(1, jobs.len()));
            found.extend(answered.iter().copied().zip(answers));
            pending = rest;
        }
        Ok(found)
    }
}

fn job<'a>(item: &BatchItem<'a>, inputs_start: usize) -> Result<Job<'a>> {
    let count = |count: usize| u32::try_from(count).map_err(|_| Error::input("there are too many samples"));
    Ok(Job {
        model: item.model,
        layers: item.options.layers,
        sequence: item.options.sequence,
        entries: item.options.entries,
        samples: count(item.inputs.len())?,
        inputs_start: count(inputs_start)?,
        entry: count(item.options.entry)?,
        ..Job::default()
    })
}
