//! Compares a quantized model with the float reference of the model that it was made from.
//!
//! [`compare`] runs both on the same samples and answers three questions: is the model still as accurate,
//! which samples changed, and which layers are to blame. A layer is measured in two ways. Its *signal to
//! noise* is measured in place, after all layers that are quantized before it, with the device's own kernels.
//! Its cost *alone* is the error of the model's outputs when this one layer is rounded to its int8 grid and
//! everything else stays float: that is what keeping it in float would gain (see [`alone`]).
//!
//! Signal to quantization noise is `10 log10(Σ reference² / Σ (reference - quantized)²)` over all samples, in
//! decibels: 6 dB are one bit. It is infinite when nothing differs. Each output has its own; a model with
//! several outputs has the lowest of them.
//!
//! Inputs and outputs are paired by their names (`pairs`), since the source may be the same network in
//! another format. Agreement is reported for outputs that [hold classes](holds_classes).
//!
//! ```
//! use ferrolite::compare::{Options, compare};
//! use ferrolite::convert::{ConvertOptions, convert};
//! use ferrolite::data::{Dataset, load_labels};
//! use ferrolite::model_file::input_specs;
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
//! let source = format!("{folder}/mnist_cnn_float.tflite");
//! let data = |array: &str| format!("{folder}/data.npz:{array}");
//! let options = ConvertOptions { calibrate: Some(data("cal_x")), ..ConvertOptions::default() };
//! let converted = convert(source.as_ref(), &options, &())?;
//! let model = converted.file.model()?;
//!
//! let graph = ferrolite::import::load(source.as_ref())?.graph;
//! let images = Dataset::load(&data("test_x"), &input_specs(&model))?;
//! let labels = load_labels(&data("test_y"), "")?;
//! let options = Options { labels: Some(&labels), ..Options::default() };
//! let result = compare(&graph, &model, &images, &options, &())?;
//!
//! assert!(result.accuracy_quantized > Some(0.97));
//! let dearest = result.most_costly().next();
//! println!("most costly layer: {}", dearest.map_or("none", |layer| &layer.name));
//! # Ok::<(), ferrolite::Error>(())
//! ```

pub mod alone;
pub(crate) mod grid;
mod layers;
mod outputs;
pub(crate) mod pairs;
mod result;
#[cfg(test)]
mod tests;

use std::ops::Range;

use ferrolite_runtime::Model;

pub use layers::compare_layers;
pub(crate) use layers::layer_values;
use outputs::Tally;
pub use outputs::compare_outputs;
pub use result::{Answer, Comparison, InputComparison, LayerComparison, OutputComparison, WorstSample};

use crate::board::HOST;
use crate::data::{Dataset, Labels};
use crate::error::Result;
use crate::graph::{Graph, ValueId};
use crate::noise;
use crate::ops::holds_classes;
use crate::parallel::in_order;
use crate::progress::Progress;
use crate::reference::Executor;
use crate::run::{self, RunOptions};
use pairs::{Paired, paired};

/// Elements of outputs that are held in memory at a time, as far as possible.
const MOST_HELD: usize = 4 << 20;

/// How a comparison is made.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The right answers.
    pub labels: Option<&'a Labels>,
    /// Name of the board that runs the quantized model: [`HOST`] or a board of `ferrolite boards`.
    pub board: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { labels: None, board: HOST }
    }
}

/// Compares a quantized model with the float reference of its source on all samples, and their layers on a
/// few.
///
/// # Errors
/// When the samples or labels fit neither model, when the models have different outputs, and when the board
/// fails.
pub fn compare(
    source: &Graph,
    model: &Model<'_>,
    data: &Dataset,
    options: &Options<'_>,
    progress: &dyn Progress,
) -> Result<Comparison> {
    let Paired { graph: source, notes, warnings } = paired(source, model)?;
    let source = &*source;
    let elements = |&id: &ValueId| holds_classes(source, id).then(|| source.value(id).elements());
    let classes: Vec<Option<usize>> = source.outputs.iter().map(elements).collect();
    // Class numbers may have been saved as floats, so unless an output is a single number, whole labels are
    // classes.
    let no_number = source.outputs.iter().all(|&id| source.value(id).elements() > 1);
    let numbers = options.labels.filter(|_| no_number && classes.iter().any(Option::is_some));
    let numbers = numbers.and_then(Labels::as_classes);
    let labels = numbers.as_ref().or(options.labels);
    let named = labels.and_then(|labels| labels.by_names(&source.labels));
    let labels = named.as_ref().or(labels);
    let beyond = match classes.iter().any(Option::is_some) {
        true => outputs::beyond(&classes, labels),
        false => outputs::unfit(source, labels),
    };
    let mut tally = Tally::new(data.len(), classes, labels)?;
    let executor = Executor::new(source)?;
    // Layers of the author's own are run by what the source's are.
    let ops = source.op_set();
    let float = |range: Range<usize>| run_float(&executor, data, range);
    if options.board == HOST {
        progress.begin("comparing", data.len());
        let block = block(source);
        let all = run::for_host(model, ops, data.len(), |model| {
            (0..data.len()).step_by(block).try_for_each(|first| {
                let range = first..(first + block).min(data.len());
                let quantized = run::run_range(model, ops, data, range.clone(), &|| progress.step())?;
                tally.add(&float(range)?, &quantized)
            })
        });
        progress.end();
        all?;
    } else {
        let settings = RunOptions { board: options.board, ..RunOptions::default() };
        let (quantized, _) = run::run(model, data, &settings, progress)?;
        tally.add(&float(0..data.len())?, &quantized)?;
    }
    let mut comparison = tally.finish();
    comparison.layers = compare_layers(source, model, data)?;
    alone::attribute(source, model, data, &mut comparison, progress)?;
    comparison.notes = notes;
    comparison.warnings = warnings;
    let noisy = comparison.outputs.iter().filter_map(|output| noise::warning(&output.name, output.sqnr_db));
    let noisy: Vec<String> = noisy.collect();
    comparison.warnings.extend(noisy);
    comparison.warnings.extend(beyond);
    Ok(comparison)
}

/// Samples whose outputs are held in memory at a time.
fn block(source: &Graph) -> usize {
    let outputs: usize = source.outputs.iter().map(|&id| source.value(id).elements()).sum();
    (MOST_HELD / outputs.max(1)).clamp(64, 4096)
}

/// Runs the float reference on some samples. The result is indexed by sample, then output, then element.
fn run_float(executor: &Executor<'_>, data: &Dataset, range: Range<usize>) -> Result<Vec<Vec<Vec<f32>>>> {
    in_order(
        range,
        || (),
        |(), sample| {
            let inputs = data.real(sample)?;
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            executor.run(&inputs)
        },
    )
}
