//! The result of a comparison, for people and scripts.

use serde::Serialize;

/// How a quantized model compares with its source. Infinite ratios, and figures that do not apply, are null
/// in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Number of samples.
    pub samples: usize,
    /// Share of samples that the float reference classifies as labelled.
    pub accuracy_float: Option<f64>,
    /// Share of samples that the quantized model classifies as labelled.
    pub accuracy_quantized: Option<f64>,
    /// Share of samples whose label is among the float reference's five best classes; `None` if there are
    /// five classes or fewer.
    pub top5_float: Option<f64>,
    /// Share of samples whose label is among the quantized model's five best classes.
    pub top5_quantized: Option<f64>,
    /// Share of samples for which both give the same class; `None` if the output does not [hold
    /// classes](crate::ops::holds_classes).
    pub agreement: Option<f64>,
    /// Mean squared error of the float reference against real-valued labels.
    pub mse_float: Option<f64>,
    /// Mean squared error of the quantized model against real-valued labels.
    pub mse_quantized: Option<f64>,
    /// Signal to quantization noise of the output; of several outputs, the lowest.
    pub sqnr_db: Option<f64>,
    /// Largest difference of an output element.
    pub max_abs_error: f64,
    /// Each output by itself. Accuracy, agreement and worst samples above refer to one of them: the one that
    /// the labels belong to, else the first that has classes, else the first.
    pub outputs: Vec<OutputComparison>,
    /// How often the float reference gave each class: a row for each right class, a column for each answer.
    /// `None` without class labels, and for more than 200 classes.
    pub confusion_float: Option<Vec<Vec<usize>>>,
    /// The same for the quantized model.
    pub confusion: Option<Vec<Vec<usize>>>,
    /// The worst samples: first those whose class changed from right to wrong, then others whose class
    /// changed, then by error.
    pub worst: Vec<WorstSample>,
    /// The cost of quantizing each input alone.
    pub inputs: Vec<InputComparison>,
    /// The layers that both models have, in the order of execution.
    pub layers: Vec<LayerComparison>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the figures or the model, one sentence each.
    pub warnings: Vec<String>,
}

/// How one layer compares.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerComparison {
    /// Index of the op in the program of the quantized model.
    pub index: usize,
    /// The author's name of the layer.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Signal to quantization noise of its first output, after all quantized layers before it.
    pub sqnr_db: Option<f64>,
    /// Signal to quantization noise of the model's outputs when this layer alone is quantized; `None` for
    /// layers that round nothing.
    pub alone_sqnr_db: Option<f64>,
    /// Its noise alone, as a share of the sum over all inputs and layers.
    pub alone_share: Option<f64>,
}

/// How one input compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputComparison {
    /// The author's name of the input.
    pub name: String,
    /// Signal to quantization noise of the model's outputs when this input alone is quantized.
    pub alone_sqnr_db: Option<f64>,
    /// Its noise alone, as a share of the sum over all inputs and layers.
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

/// How one output compares. Figures that do not apply, and infinite ratios, are null in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OutputComparison {
    /// The author's name of the output.
    pub name: String,
    /// Signal to quantization noise.
    pub sqnr_db: Option<f64>,
    /// Largest difference of an element.
    pub max_abs_error: f64,
    /// Share of samples for which both give the same class; `None` for outputs without classes.
    pub agreement: Option<f64>,
    /// Share of samples that the float reference classifies as labelled; only for the output that has labels.
    pub accuracy_float: Option<f64>,
    /// Share of samples that the quantized model classifies as labelled.
    pub accuracy_quantized: Option<f64>,
    /// Mean squared error of the float reference against real-valued labels.
    pub mse_float: Option<f64>,
    /// Mean squared error of the quantized model against real-valued labels.
    pub mse_quantized: Option<f64>,
}

/// A sample on which the two models differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorstSample {
    /// Number of the sample.
    pub sample: usize,
    /// What the label says.
    pub expected: Option<Answer>,
    /// The float reference's answer.
    pub float: Answer,
    /// The quantized model's answer.
    pub quantized: Answer,
    /// Element of the judged output whose scores are given: the quantized model's class, or the element that
    /// differs most.
    pub element: usize,
    /// The float reference's value of that element.
    pub score_float: f32,
    /// The quantized model's value of that element.
    pub score_quantized: f32,
    /// Largest difference of an element of the judged output.
    pub error: f32,
}

/// An answer of a model, or the one that a label asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Number of a class.
    Class(usize),
    /// A real number.
    Value(f32),
}
