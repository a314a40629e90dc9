//! The choices that a user has, and the report of what quantization did.

use std::fmt;

use super::method::Calibration;
use super::range::Range;

/// Type of the model's inputs and outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// int8, like all other tensors.
    #[default]
    Int8,
    /// float32, converted at the model's inputs and outputs.
    Float,
}

/// How to quantize.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Type of inputs and outputs.
    pub io: Io,
    /// How ranges follow from the samples. [`Calibration::Auto`] chooses the three below as well.
    pub calibration: Calibration,
    /// The scale of each channel of weights is the one with the least squared error, instead of the one that
    /// represents the largest weight.
    pub clip_weights: bool,
    /// The bias of each channel of a layer is corrected by the channel's mean error over the samples.
    pub correct_bias: bool,
    /// Channels between two layers are brought to similar ranges by factors in the weights of both.
    pub equalize: bool,
    /// A scaler that the model begins with stays a layer even if a QUANTIZE at the input could replace it.
    pub keep_scalers: bool,
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.calibration)?;
        let more = [
            (self.equalize, "equalized channels"),
            (self.clip_weights, "clipped weights"),
            (self.correct_bias, "corrected biases"),
        ];
        more.iter().filter(|(is, _)| *is).try_for_each(|(_, what)| write!(f, ", {what}"))
    }
}

/// The result of one way to quantize, on samples that were held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The way to quantize.
    pub options: Options,
    /// Squared error of the outputs relative to the squares of the outputs, averaged over the outputs. If the
    /// way was given up after some of the samples, the error is extrapolated by its ratio to that of min/max
    /// on these.
    pub error: f64,
    /// Share of the tried samples for which the first output's largest element is at the same index; `None`
    /// if the output does not hold classes.
    pub agreement: Option<f64>,
}

/// How accurate one output of the quantized model is, compared with the float model.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputReport {
    /// Name of the output.
    pub name: String,
    /// Signal to noise in decibels, infinite if nothing differs; `None` for integers, and if everything is
    /// zero.
    pub sqnr_db: Option<f64>,
    /// Share of samples with the same class; `None` if the output does not hold classes.
    pub agreement: Option<f64>,
}

/// What quantization found and decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Number of calibration samples.
    pub samples: usize,
    /// The options that were used; never [`Calibration::Auto`], unless the model brought all ranges.
    pub options: Options,
    /// What [`Calibration::Auto`] tried, in order.
    pub trials: Vec<Trial>,
    /// How accurate each output is on samples that were held back from a calibration by the same method; with
    /// fewer than 40 samples, on all of them.
    pub outputs: Vec<OutputReport>,
    /// Names of the inputs with features that int8 loses.
    pub lost_inputs: Vec<String>,
    /// Number of samples that `outputs` was measured on, and whether they were held back.
    pub judged: (usize, bool),
    /// The quantized activations in the order in which they are computed, inputs first.
    pub activations: Vec<ActivationReport>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the result, one sentence each.
    pub warnings: Vec<String>,
}

/// An activation's range and its quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationReport {
    /// Name of the value.
    pub name: String,
    /// Range over the calibration samples, zero included.
    pub range: Range,
    /// Real numbers per integer step.
    pub scale: f32,
    /// The integer that represents zero.
    pub zero_point: i32,
}
