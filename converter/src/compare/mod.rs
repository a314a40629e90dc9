//! Holds a quantized model against the float reference of the model that it was made from.
//!
//! [`compare`] runs both on the same samples and answers what a person asks: is it still as accurate,
//! which samples changed, and which layers are to blame. A layer is looked at in two ways. Its
//! *signal to noise* is measured where it stands, behind all layers that are quantized before it, with
//! the device's own kernels. Its cost *alone* is what happens to the model's outputs when this one
//! layer is rounded to its int8 grid and everything else stays float: that is what keeping it in
//! float would win (see [`alone`]).
//!
//! Signal to quantization noise is `10 log10(Σ reference² / Σ (reference - quantized)²)` over all
//! samples, in decibels: 6 dB are one bit. It is infinite when nothing differs. Each output has its own;
//! of a model with several outputs it is the least of them.
//!
//! Inputs and outputs are paired by their names (`pairs`): the source may be the same network in another
//! format. Agreement is told of outputs that [hold classes](holds_classes).
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
#[cfg(test)]
mod tests;

use std::ops::Range;

use ferrolite_runtime::Model;
use serde::Serialize;

pub use layers::compare_layers;
pub(crate) use layers::layer_values;
use outputs::Tally;
pub use outputs::{Answer, OutputComparison, WorstSample, compare_outputs};

use crate::board::HOST;
use crate::data::{Dataset, Labels};
use crate::error::Result;
use crate::graph::{Graph, ValueId, holds_classes};
use crate::noise;
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

/// How a quantized model compares with its source. Infinite ratios and what does not apply are
/// null in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Number of samples.
    pub samples: usize,
    /// Share of samples that the float reference classifies as labelled.
    pub accuracy_float: Option<f64>,
    /// Share of samples that the quantized model classifies as labelled.
    pub accuracy_quantized: Option<f64>,
    /// Share of samples whose label is among the float reference's five best classes; none for five
    /// classes or fewer.
    pub top5_float: Option<f64>,
    /// Share of samples whose label is among the quantized model's five best classes.
    pub top5_quantized: Option<f64>,
    /// Share of samples for which both give the same class; none where the output does not
    /// [hold classes](holds_classes).
    pub agreement: Option<f64>,
    /// Mean squared error of the float reference against real-valued labels.
    pub mse_float: Option<f64>,
    /// Mean squared error of the quantized model against real-valued labels.
    pub mse_quantized: Option<f64>,
    /// Signal to quantization noise of the output; of several, of the one that has the least.
    pub sqnr_db: Option<f64>,
    /// Largest difference of an output element.
    pub max_abs_error: f64,
    /// Each output by itself. Accuracy, agreement and worst samples above are those of one of them: the one
    /// that the labels are of, else the first that has classes, else the first.
    pub outputs: Vec<OutputComparison>,
    /// How often the float reference gave each class: a row for each right class, a column for each
    /// answer. None without class labels, and beyond 200 classes.
    pub confusion_float: Option<Vec<Vec<usize>>>,
    /// The same of the quantized model.
    pub confusion: Option<Vec<Vec<usize>>>,
    /// The samples that suffered most: first those whose class changed for the worse, then those whose
    /// class changed, then by error.
    pub worst: Vec<WorstSample>,
    /// What quantizing each input alone costs.
    pub inputs: Vec<InputComparison>,
    /// The layers that both models have, in the order of execution.
    pub layers: Vec<LayerComparison>,
    /// What is worth knowing, one sentence each.
    pub notes: Vec<String>,
    /// What a person should act on before the figures or the model are trusted, one sentence each.
    pub warnings: Vec<String>,
}

/// How one layer compares.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerComparison {
    /// Place in the program of the quantized model.
    pub index: usize,
    /// The author's name of the layer.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Signal to quantization noise of its first output, behind all quantized layers before it.
    pub sqnr_db: Option<f64>,
    /// Signal to quantization noise of the model's outputs when this layer alone is quantized; none for
    /// layers that round nothing.
    pub alone_sqnr_db: Option<f64>,
    /// Its noise alone, as a share of that of all inputs and layers alone.
    pub alone_share: Option<f64>,
}

/// How one input compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputComparison {
    /// The author's name of the input.
    pub name: String,
    /// Signal to quantization noise of the model's outputs when this input alone is quantized.
    pub alone_sqnr_db: Option<f64>,
    /// Its noise alone, as a share of that of all inputs and layers alone.
    pub alone_share: Option<f64>,
}

impl Comparison {
    /// The layers that round something, the most costly first.
    pub fn most_costly(&self) -> impl Iterator<Item = &LayerComparison> {
        let mut layers: Vec<_> = self.layers.iter().filter(|layer| layer.alone_sqnr_db.is_some()).collect();
        layers.sort_by(|a, b| {
            let of = |layer: &LayerComparison| layer.alone_sqnr_db.unwrap_or(f64::INFINITY);
            of(a).total_cmp(&of(b))
        });
        layers.into_iter()
    }
}

/// Compares a quantized model with the float reference of its source, on all samples; layers on a few.
///
/// # Errors
/// When the samples or labels fit neither model, when the models have different outputs, and what the
/// board says.
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
    // Class numbers that were saved as floats.
    let no_number = source.outputs.iter().all(|&id| source.value(id).elements() > 1);
    let numbers = options.labels.filter(|_| no_number && classes.iter().any(Option::is_some));
    let numbers = numbers.and_then(Labels::as_classes);
    let mut tally = Tally::new(data.len(), classes, numbers.as_ref().or(options.labels))?;
    let executor = Executor::new(source)?;
    let float = |range: Range<usize>| run_float(&executor, data, range);
    if options.board == HOST {
        progress.begin("comparing", data.len());
        let block = block(source);
        let all = run::for_host(model, data.len(), |model| {
            (0..data.len()).step_by(block).try_for_each(|first| {
                let range = first..(first + block).min(data.len());
                let quantized = run::run_range(model, data, range.clone(), &|| progress.step())?;
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
    Ok(comparison)
}

/// Samples whose outputs are held in memory at a time.
fn block(source: &Graph) -> usize {
    let outputs: usize = source.outputs.iter().map(|&id| source.value(id).elements()).sum();
    (MOST_HELD / outputs.max(1)).clamp(64, 4096)
}

/// Outputs of the float reference for some samples: for each, for each output, its elements.
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
