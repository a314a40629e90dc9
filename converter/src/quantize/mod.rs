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
//! | what copies, selects or averages | int8 | one for all operands and results (see `groups`) |
//!
//! Parts of the graph that are int8 already keep their numbers. The result depends on the graph
//! and the samples only, not on the number of threads.

mod borders;
mod calibrate;
mod fake;
mod groups;
mod range;
mod rewrite;
mod weights;

#[cfg(test)]
mod models;
#[cfg(test)]
mod tests;

pub use borders::float_borders;
pub use calibrate::Calibration;
pub use fake::run_fake_quantized;
pub use range::Range;

use crate::error::Result;
use crate::graph::Graph;
use crate::reference::Executor;

/// Typical inputs of a model, as real numbers. Several threads ask for samples at once, in no
/// order; wrap the trait to count them for a progress display.
pub trait Samples: Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sample at `index`, below [`len`](Samples::len): the elements of each model input, in
    /// the model's order.
    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>>;
}

impl Samples for crate::data::Dataset {
    fn len(&self) -> usize {
        self.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        self.real(index)
    }
}

/// What the model's inputs and outputs are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// int8, like everything else.
    #[default]
    Int8,
    /// float32, converted at the borders.
    Float,
}

/// The choices that quantization leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Type of inputs and outputs.
    pub io: Io,
    /// How ranges follow from the samples.
    pub calibration: Calibration,
}

/// What quantization found out and decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Number of calibration samples.
    pub samples: usize,
    /// The quantized activations in the order in which they are computed, inputs first.
    pub activations: Vec<ActivationReport>,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
}

/// An activation's range and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationReport {
    /// Name of the value.
    pub name: String,
    /// Range over the calibration samples, zero included.
    pub range: Range,
    /// Real numbers per integer step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
}

/// Quantizes a float graph, or the float part of a mixed one, after calibration on all samples.
///
/// The graph should have been through the passes: batch norms folded, activations fused.
///
/// # Errors
/// If there are no samples or one does not fit the model; if a sample, a weight or an activation
/// is not a finite number; if layers are unsupported; if a layer's weights are not constant.
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
    // Refuses what cannot be executed before anything is looked at in detail.
    Executor::new(graph)?;
    let mut graph = graph.clone();
    rewrite::own_constants(&mut graph);
    let mut ranges = calibrate::calibrate(&graph, samples, options.calibration)?;
    rewrite::constant_ranges(&graph, &mut ranges)?;
    let params = groups::assign(&mut graph, &mut ranges);
    let mut report = Report { samples: samples.len(), ..Report::default() };
    rewrite::describe(&graph, &ranges, &params, &mut report);
    rewrite::to_int8(&mut graph, &params, &mut report)?;
    if options.io == Io::Float {
        float_borders(&mut graph);
    }
    Ok((graph, report))
}
