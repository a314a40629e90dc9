//! What can be chosen, and what quantization says of what it did.

use std::fmt;

use super::method::Calibration;
use super::range::Range;

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Type of inputs and outputs.
    pub io: Io,
    /// How ranges follow from the samples. [`Calibration::Auto`] chooses the three below as well.
    pub calibration: Calibration,
    /// The scale of each channel of weights is the one of least squared error, instead of the one that
    /// holds the largest weight.
    pub clip_weights: bool,
    /// The mean error of each channel of a layer, over the samples, is taken back by its bias.
    pub correct_bias: bool,
    /// Channels between two layers are brought to like ranges by factors in the weights of both.
    pub equalize: bool,
    /// A scaler that the model begins with stays a layer also where float borders could do its work.
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

/// What one way to quantize came to, on samples that were held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The way.
    pub options: Options,
    /// Squared error of the outputs relative to the squares of the outputs, averaged over the outputs. Of a way that
    /// was given up after some of the samples: as much more than that of min/max as it was on these.
    pub error: f64,
    /// Share of the samples that it was tried on for which the first output's largest element is in the same
    /// place; none where the output does not hold classes.
    pub agreement: Option<f64>,
}

/// How one output of the quantized model fares against the float one.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputReport {
    /// Name of the output.
    pub name: String,
    /// Signal to noise in decibels, infinite where nothing differs; none of integers and where all is zero.
    pub sqnr_db: Option<f64>,
    /// Share of samples with the same class; none where the output does not hold classes.
    pub agreement: Option<f64>,
}

/// What quantization found out and decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Number of calibration samples.
    pub samples: usize,
    /// What was done; never [`Calibration::Auto`], unless the model brought all ranges.
    pub options: Options,
    /// What [`Calibration::Auto`] tried, in order.
    pub trials: Vec<Trial>,
    /// How each output fares on samples that were held back from a calibration by the same method; on all
    /// of them where there are fewer than 40.
    pub outputs: Vec<OutputReport>,
    /// Names of the inputs that have features which int8 loses.
    pub lost_inputs: Vec<String>,
    /// Number of samples behind `outputs`, and whether they were held back.
    pub judged: (usize, bool),
    /// The quantized activations in the order in which they are computed, inputs first.
    pub activations: Vec<ActivationReport>,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
    /// What a person should act on before the result is trusted, one sentence each.
    pub warnings: Vec<String>,
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
