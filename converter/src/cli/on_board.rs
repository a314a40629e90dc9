//! Models on boards, the host among them.

use ferrolite_runtime::Model;

use super::progress::Progress;
use crate::board::{self, HOST, RunOptions};
use crate::data::Dataset;
use crate::data::npz::NamedArray;
use crate::error::Result;
use crate::run::{self, RunOutput};

/// How samples are run.
pub struct Job<'a> {
    /// Name of the board.
    pub board: &'a str,
    /// The state that one sample leaves is where the next begins.
    pub sequence: bool,
    /// Every layer's output for the first sample is wanted.
    pub layers: bool,
    /// Nothing but the result is shown.
    pub quiet: bool,
}

/// Runs all samples; gives their outputs, and the first sample's layers if they are wanted.
pub fn run(model: &Model<'_>, data: &Dataset, job: &Job<'_>) -> Result<(RunOutput, Vec<NamedArray>)> {
    if job.board == HOST {
        let progress = Progress::new("running", data.len(), job.quiet);
        let outputs = run::run_host(model, data, job.sequence, &|| progress.step())?;
        let layers = if job.layers { run::run_layers(model, data, 0)? } else { Vec::new() };
        return Ok((outputs, layers));
    }
    let board = board::find(job.board)?;
    let inputs = (0..data.len()).map(|sample| Ok(data.raw(sample)?.concat()));
    let inputs = inputs.collect::<Result<Vec<Vec<u8>>>>()?;
    let options = RunOptions { layers: job.layers, sequence: job.sequence, ..RunOptions::default() };
    let progress = Progress::endless(format!("running on {}", board.name), job.quiet);
    let answer = board::run(board, model.bytes(), &inputs, options)?;
    drop(progress);
    let layers = answer.layers.into_iter().map(|layer| layer.output).collect();
    Ok((run::split_outputs(model, answer.outputs), run::layer_arrays(model, layers)))
}
