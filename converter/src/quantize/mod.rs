//! Post-training quantization: a float graph and typical inputs become an int8 graph.
//!
//! The result follows TFLite's quantization specification, which lowering and the kernels rely on:
//!
//! | value | integers | scale and zero point |
//! |---|---|---|
//! | activations | int8 | per tensor, from the calibrated range with zero in it |
//! | weights | int8 in -127..=127 | per output channel, zero point 0 |
//! | biases | int32 | input scale times weight scale, zero point 0 |
//! | SOFTMAX, LOGISTIC | int8 | 1/256, -128 |
//! | TANH | int8 | 1/128, 0 |
//! | LOG_SOFTMAX | int8 | 16/256, 127 |
//! | operators that copy, select or average | int8 | one for all operands and results (see `groups`) |
//!
//! The samples of a graph with states are one sequence, and a state has one scale at its beginning and its end: its bytes
//! are kept as they are.
//!
//! Parts of the graph that are already int8 keep their numbers: activations that pass through QUANTIZE and
//! DEQUANTIZE keep their scale, integer weights and biases stay as they are. A model that brings all ranges
//! needs no samples. The result depends only on the graph and the samples, not on the number of threads.

mod ask;
mod authored;
mod auto;
mod bias;
mod borders;
mod build;
mod calibrate;
mod equalize;
mod evidence;
mod fake;
mod far;
mod groups;
mod histogram;
mod inside;
mod judge;
mod lost;
mod method;
mod pool;
mod range;
mod report;
mod rewrite;
mod samples;
mod scaler;
mod weights;

#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod fresh;
#[cfg(test)]
mod models;
#[cfg(test)]
mod tests;

pub use authored::brings_ranges;
pub use borders::float_borders;
pub use fake::run_fake_quantized;
pub use lost::scaler;
pub use method::Calibration;
pub use pool::{Pool, Question};
pub use range::Range;
pub use report::{ActivationReport, Io, Options, OutputReport, Report, Trial};
pub use samples::{Keyed, MOST_DRAWN, NoSamples, Samples, affordable, key};

use std::collections::{HashMap, HashSet};

use self::build::{build, quantize_by};
use self::calibrate::Statistics;
use self::far::Limits;
use self::samples::Sequence;
use self::scaler::{Scaled, Scaler};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::reference::{Executor, States};

/// Quantizes a float graph, or the float part of a mixed one, after calibration on all samples.
///
/// The graph should have been optimised by the passes: batch norms folded, activations fused.
///
/// # Errors
/// If there are no samples although the model does not bring all ranges; if a sample does not fit the model;
/// if a sample, a weight or an activation is not a finite number; if layers are unsupported; if a layer's
/// weights are not constant.
///
/// ```
/// use ferrolite::graph::{DType, Graph, Node, Op, UnaryKind, Value};
/// use ferrolite::quantize::{Options, Samples, quantize};
///
/// struct Ramp;
/// impl Samples for Ramp {
///     fn len(&self) -> usize {
///         256
///     }
///     fn sample(&self, index: usize) -> ferrolite::Result<Vec<Vec<f32>>> {
///         Ok(vec![vec![index as f32]])
///     }
/// }
///
/// let mut graph = Graph::default();
/// let value = |name: &str| Value {
///     name: name.into(),
///     shape: vec![1],
///     dtype: DType::Float32,
///     quantization: None,
///     constant: None,
/// };
/// let (x, y) = (graph.add_value(value("x")), graph.add_value(value("y")));
/// let op = Op::Unary(UnaryKind::Sqrt);
/// graph.nodes.push(Node { name: "sqrt".into(), op, inputs: vec![Some(x)], outputs: vec![y] });
/// (graph.inputs, graph.outputs) = (vec![x], vec![y]);
///
/// let (int8, report) = quantize(&graph, &Ramp, &Options::default())?;
/// assert_eq!(int8.value(x).dtype, DType::Int8);
/// assert_eq!((report.activations[0].scale, report.activations[0].zero_point), (1.0, -128));
/// # Ok::<(), ferrolite::Error>(())
/// ```
pub fn quantize(graph: &Graph, samples: &dyn Samples, options: &Options) -> Result<(Graph, Report)> {
    quantize_from(graph, samples, None, options)
}

/// The same, where each sample begins with these states, an element for each sample; without them, with those that the
/// sample before leaves.
pub(crate) fn quantize_from(
    graph: &Graph,
    samples: &dyn Samples,
    states: Option<Vec<States>>,
    options: &Options,
) -> Result<(Graph, Report)> {
    // Refuses a graph that cannot be executed before anything else is checked.
    Executor::new(graph)?;
    let (sequence, keyed);
    let samples: &dyn Samples = match graph.states.is_empty() {
        _ if samples.is_empty() || samples.pool().is_some() => samples,
        true => {
            keyed = Keyed::new(samples)?;
            &keyed
        }
        false => {
            sequence = match states {
                Some(states) => Sequence::given(samples, states),
                None => Sequence::new(graph, samples)?,
            };
            &sequence
        }
    };
    let mut graph = graph.clone();
    authored::resolve(&mut graph);
    rewrite::own_constants(&mut graph);
    inside::open(&mut graph);
    let calibrated = unknown(&graph)?;
    let mut kept = HashSet::new();
    loop {
        let mut behind = graph.clone();
        let scalers = match options.io == Io::Float && !options.keep_scalers {
            true => scaler::cut(&mut behind, &calibrated, samples, &kept)?,
            false => Vec::new(),
        };
        let scaled = Scaled { samples, scalers: &scalers };
        let (mut quantized, mut report) = quantize_behind(behind, &scaled, options)?;
        let fits = |scaler: &&Scaler| {
            let input = quantized.value(quantized.inputs[scaler.position]);
            input.quantization.as_ref().and_then(|q| q.tensor()).is_some_and(|params| scaler.fits(params))
        };
        // If the parameters follow from something else, such as a value that shares them, the scaler stays a
        // layer.
        let before = kept.len();
        kept.extend(scalers.iter().filter(|scaler| !fits(scaler)).map(|scaler| scaler.position));
        if kept.len() > before {
            continue;
        }
        report.notes.extend(scalers.iter().map(|scaler| {
            format!(
                "the scaler after input `{}` (a product with {} and a sum with {}) became part of its QUANTIZE",
                graph.value(graph.inputs[scaler.position]).name,
                scaler.factor as f32,
                scaler.term as f32
            )
        }));
        if options.io == Io::Float {
            borders::scaled_borders(&mut quantized, &scalers);
        }
        return Ok((quantized, report));
    }
}

/// Quantizes a graph whose inputs are those of the samples in `scaled`; its inputs and outputs become int8.
fn quantize_behind(mut graph: Graph, scaled: &Scaled<'_>, options: &Options) -> Result<(Graph, Report)> {
    let samples: &dyn Samples = scaled;
    let unknown = unknown(&graph)?;
    let mut limits = Limits::default();
    let (quantized, mut report) = if unknown.is_empty() {
        far::bound(&mut graph);
        build(&graph, &Statistics::none(&graph), &NoSamples, options)?
    } else if samples.total() == 0 {
        let names: Vec<String> = unknown.iter().map(|&id| graph.value(id).name.clone()).collect();
        return Err(no_range(&names));
    } else {
        limits = far::tame(&mut graph, samples)?;
        let terms = scaled.scalers.iter().filter(|scaler| scaler.term != 0.0);
        limits.terms = terms.map(|scaler| (graph.inputs[scaler.position], scaler.term)).collect();
        match options.calibration {
            Calibration::Auto => auto::quantize(&graph, samples, &limits, options)?,
            _ => quantize_by(&graph, samples, &limits, options)?,
        }
    };
    if unknown.is_empty() && samples.total() > 0 {
        report.notes.push("the model brings all of its ranges: the samples were not needed".into());
    } else {
        report.samples = samples.total();
    }
    if samples.pool().is_some_and(|pool| !pool.can_draw()) {
        report.notes.push(
            "the accuracy of the outputs was not measured: the statistics hold no samples yet, a second round \
             draws some"
                .into(),
        );
    } else if samples.total() > 0 {
        let held_back = |shown: &dyn Samples| match unknown.is_empty() {
            true => Ok(None),
            false => quantize_by(&graph, shown, &limits, &report.options).map(|(trial, _)| Some(trial)),
        };
        (report.outputs, report.judged) = auto::judge(&graph, &quantized, samples, &held_back)?;
        report.warnings.extend(noisy(&report));
        let (lost, inputs) = lost::warnings(&graph, &quantized, samples, &report.outputs)?;
        report.warnings.extend(lost);
        report.lost_inputs = inputs;
    }
    Ok((quantized, report))
}

/// An output with fewer decibels than this is little more than noise.
const LEAST_DECIBELS: f64 = 10.0;

/// Warns of outputs that quantization makes useless.
fn noisy(report: &Report) -> Vec<String> {
    let spoiled = |output: &OutputReport| {
        let decibels = output.sqnr_db.filter(|&decibels| decibels < LEAST_DECIBELS)?;
        Some(format!(
            "output `{}`: signal to noise is only {decibels:.1} dB on {} samples{}; `compare` names the layers that \
             cost most, and samples that are not like those of the application do this too",
            output.name,
            report.judged.0,
            if report.judged.1 { " held back" } else { "" },
        ))
    };
    report.outputs.iter().filter_map(spoiled).collect()
}

/// The values whose range only samples can show.
fn unknown(graph: &Graph) -> Result<Vec<ValueId>> {
    let mut graph = graph.clone();
    far::bound(&mut graph);
    // Values without a known range may be anything, so only a range that the author states fits them.
    let mut ranges = vec![Range { min: -1e18, max: 1e18 }; graph.values.len()];
    rewrite::constant_ranges(&graph, &mut ranges)?;
    Ok(groups::assign(&mut graph, &mut ranges, &HashMap::new()).calibrated)
}

fn no_range(unknown: &[String]) -> Error {
    let mut names: Vec<String> = unknown.iter().take(4).map(|name| format!("`{name}`")).collect();
    if unknown.len() > names.len() {
        names.push(format!("{} more", unknown.len() - names.len()));
    }
    Error::input(format!(
        "no samples were given, and the model does not say the range of {}",
        names.join(", ")
    ))
    .help("give some tens to hundreds of typical inputs")
}
