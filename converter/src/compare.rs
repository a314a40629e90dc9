//! Holds a quantized model against the float reference of the model that it was made from.
//!
//! Signal to quantization noise is `10 log10(Σ reference² / Σ (reference - quantized)²)` over all
//! samples, in decibels: 6 dB are one bit. It is infinite when nothing differs.

use std::cell::RefCell;
use std::collections::HashMap;

use ferrolite_runtime::Model;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::{Dataset, Labels, dequantize};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::model_file;
use crate::reference::Executor;
use crate::run::{RunOutput, layers_of};

/// Samples that the layers are compared on.
const LAYER_SAMPLES: usize = 16;

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
    /// Share of samples for which both give the same class; none for outputs of one element.
    pub agreement: Option<f64>,
    /// Mean squared error of the float reference against real-valued labels.
    pub mse_float: Option<f64>,
    /// Mean squared error of the quantized model against real-valued labels.
    pub mse_quantized: Option<f64>,
    /// Signal to quantization noise over all outputs.
    pub sqnr_db: Option<f64>,
    /// Largest difference of an output element.
    pub max_abs_error: f64,
    /// The layers that both models have, in the order of execution.
    pub layers: Vec<LayerComparison>,
}

/// How one layer compares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerComparison {
    /// The author's name of the layer.
    pub name: String,
    /// The operator.
    pub op: String,
    /// Signal to quantization noise of its first output.
    pub sqnr_db: Option<f64>,
}

/// Outputs of the float reference: for each sample, for each output, its elements.
pub fn run_float(source: &Graph, data: &Dataset, done: &(dyn Fn() + Sync)) -> Result<Vec<Vec<Vec<f32>>>> {
    let executor = Executor::new(source)?;
    (0..data.len())
        .into_par_iter()
        .map(|sample| {
            let inputs = data.real(sample)?;
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            executor.run(&inputs).inspect(|_| done())
        })
        .collect()
}

/// Compares outputs of the float reference and of the quantized model for the same samples.
pub fn compare_outputs(
    float: &[Vec<Vec<f32>>],
    quantized: &RunOutput,
    labels: Option<&Labels>,
) -> Result<Comparison> {
    let samples = float.len();
    let mut result = Comparison { samples, ..Comparison::default() };
    let mut noise = Noise::default();
    let mut scores = [Score::default(), Score::default()];
    let (mut agreeing, mut classified) = (0usize, 0usize);
    if let Some(labels) = labels.filter(|labels| labels.len() != samples) {
        return Err(Error::input(format!("there are {samples} samples, but {} labels", labels.len()))
            .help("give one label for each sample"));
    }
    for (sample, float) in float.iter().enumerate() {
        if float.len() != quantized.ports.len() {
            return Err(other_model(&format!("{} and {} outputs", float.len(), quantized.ports.len())));
        }
        for (output, float) in float.iter().enumerate() {
            let integer = quantized.real(sample, output);
            if integer.len() != float.len() {
                return Err(other_model(&format!(
                    "output {output} has {} and {} elements",
                    float.len(),
                    integer.len()
                )));
            }
            noise.add(float, &integer);
            if output > 0 {
                continue;
            }
            if float.len() > 1 {
                classified += 1;
                agreeing += usize::from(argmax(float) == argmax(&integer));
            }
            for (score, values) in scores.iter_mut().zip([float, &integer]) {
                score.add(values, labels, sample)?;
            }
        }
    }
    let [float, integer] = &scores;
    (result.accuracy_float, result.accuracy_quantized) = (float.accuracy(), integer.accuracy());
    (result.mse_float, result.mse_quantized) = (float.mse(), integer.mse());
    result.agreement = ratio(agreeing, classified);
    result.sqnr_db = noise.decibels();
    result.max_abs_error = noise.largest;
    Ok(result)
}

/// An op's first output: its quantization, and the value of the source that has its name.
struct Counterpart {
    quantization: Option<(f32, i32)>,
    id: ValueId,
}

/// Compares layer by layer on a few samples. A layer takes part when the source has a tensor
/// of the same name and size; what the converter fused or cut away has none.
pub fn compare_layers(source: &Graph, model: &Model<'_>, data: &Dataset) -> Result<Vec<LayerComparison>> {
    let by_name: HashMap<&str, ValueId> =
        source.values.iter().enumerate().map(|(i, v)| (v.name.as_str(), ValueId(i))).collect();
    let names = model.names();
    let layers = model_file::layers(model);
    let pairs: Vec<Option<Counterpart>> = model
        .ops()
        .iter()
        .map(|op| {
            let tensor = usize::from(*model.operands(op).get(usize::from(op.inputs))?);
            let id = *by_name.get(names.tensor(tensor)?)?;
            let quantization = names.tensor_port(tensor).and_then(model_file::quantization);
            Some(Counterpart { quantization, id })
        })
        .collect();

    let executor = Executor::new(source)?;
    let mut noise: Vec<Noise> = vec![Noise::default(); layers.len()];
    // Data are often sorted: samples are taken from all of it.
    let count = data.len().min(LAYER_SAMPLES);
    for sample in (0..count).map(|i| i * data.len() / count) {
        let inputs = data.real(sample)?;
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let wanted: HashMap<ValueId, usize> =
            pairs.iter().enumerate().filter_map(|(i, pair)| Some((pair.as_ref()?.id, i))).collect();
        let seen: RefCell<HashMap<usize, Vec<f32>>> = RefCell::default();
        executor.run_observed(&inputs, &mut |id, values| {
            if let Some(&layer) = wanted.get(&id) {
                seen.borrow_mut().insert(layer, values.to_vec());
            }
        })?;
        let float = seen.into_inner();
        let arrays = layers_of(model, &data.raw(sample)?)?;
        let mut arrays = arrays.iter();
        for (index, layer) in layers.iter().enumerate() {
            let first = arrays.next();
            arrays.by_ref().take(layer.outputs.len().saturating_sub(1)).for_each(drop);
            let (Some(array), Some(float), Some(pair)) = (first, float.get(&index), &pairs[index]) else {
                continue;
            };
            let integer = dequantize(array.dtype, pair.quantization, &array.bytes);
            if integer.len() == float.len() {
                noise[index].add(float, &integer);
            }
        }
    }
    let compared = layers.into_iter().zip(&noise).filter(|(_, noise)| noise.count > 0);
    Ok(compared
        .map(|(layer, noise)| LayerComparison { name: layer.name, op: layer.op, sqnr_db: noise.decibels() })
        .collect())
}

/// Index of the largest element, the first of equals; none without elements.
pub fn argmax(values: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (index, &value) in values.iter().enumerate() {
        if best.is_none_or(|(_, largest)| value > largest) {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}

fn other_model(difference: &str) -> Error {
    Error::input(format!("the two models differ: {difference}"))
        .help("give the model that the .ferro file was converted from")
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Sums behind a signal-to-noise ratio.
#[derive(Clone, Debug, Default)]
struct Noise {
    count: usize,
    signal: f64,
    noise: f64,
    largest: f64,
}

impl Noise {
    fn add(&mut self, reference: &[f32], other: &[f32]) {
        for (&a, &b) in reference.iter().zip(other) {
            let (a, b) = (f64::from(a), f64::from(b));
            self.count += 1;
            self.signal += a * a;
            self.noise += (a - b) * (a - b);
            self.largest = self.largest.max((a - b).abs());
        }
    }

    fn decibels(&self) -> Option<f64> {
        (self.count > 0 && (self.signal > 0.0 || self.noise == 0.0)).then(|| {
            if self.noise == 0.0 { f64::INFINITY } else { 10.0 * (self.signal / self.noise).log10() }
        })
    }
}

/// How well one model meets the labels.
#[derive(Clone, Debug, Default)]
struct Score {
    right: usize,
    classified: usize,
    squares: f64,
    values: usize,
}

impl Score {
    /// Scores the first output for one sample. A single element is a probability of class 1.
    fn add(&mut self, output: &[f32], labels: Option<&Labels>, sample: usize) -> Result<()> {
        match labels {
            None => {}
            Some(Labels::Classes(classes)) => {
                let class = match output {
                    [one] => usize::from(*one > 0.5),
                    all => argmax(all).unwrap_or(0),
                };
                self.classified += 1;
                self.right += usize::from(classes[sample] == class);
            }
            Some(Labels::Values(values)) => {
                let want = &values[sample];
                if want.len() != output.len() {
                    return Err(Error::input(format!(
                        "labels of {} values, but the model's first output has {}",
                        want.len(),
                        output.len()
                    ))
                    .help("give class numbers as integers, or as many values as the output has"));
                }
                for (&a, &b) in want.iter().zip(output) {
                    self.squares += f64::from(a - b) * f64::from(a - b);
                    self.values += 1;
                }
            }
        }
        Ok(())
    }

    fn accuracy(&self) -> Option<f64> {
        ratio(self.right, self.classified)
    }

    fn mse(&self) -> Option<f64> {
        (self.values > 0).then(|| self.squares / self.values as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::DType;
    use crate::model_file::PortFacts;

    fn output(shape: &[usize], samples: &[&[u8]]) -> RunOutput {
        let port = PortFacts {
            name: "y".into(),
            shape: shape.to_vec(),
            dtype: DType::Int8,
            quantization: Some((0.5, 0)),
        };
        RunOutput { ports: vec![port], samples: samples.iter().map(|s| vec![s.to_vec()]).collect() }
    }

    #[test]
    fn classes_are_counted() {
        let float = vec![vec![vec![0.0, 1.0]], vec![vec![1.0, 0.0]], vec![vec![0.25, 0.0]]];
        let quantized = output(&[1, 2], &[&[0, 2], &[2, 0], &[0, 0]]);
        let labels = Labels::Classes(vec![1, 1, 0]);
        let result = compare_outputs(&float, &quantized, Some(&labels)).unwrap();
        assert_eq!(result.accuracy_float, Some(2.0 / 3.0));
        assert_eq!((result.accuracy_quantized, result.agreement), (Some(2.0 / 3.0), Some(1.0)));
        assert_eq!((result.max_abs_error, result.mse_float), (0.25, None));
        let want = 10.0 * (2.0625f64 / 0.0625).log10();
        assert!((result.sqnr_db.unwrap() - want).abs() < 1e-9);
    }

    #[test]
    fn values_give_errors() {
        let float = vec![vec![vec![0.5]], vec![vec![1.0]]];
        let labels = Labels::Values(vec![vec![0.5], vec![0.0]]);
        let result = compare_outputs(&float, &output(&[1, 1], &[&[1], &[4]]), Some(&labels)).unwrap();
        assert_eq!((result.mse_float, result.mse_quantized), (Some(0.5), Some(2.0)));
        assert_eq!((result.agreement, result.accuracy_float), (None, None));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let float = vec![vec![vec![0.5, 0.5]]];
        let fit = output(&[1, 2], &[&[1, 1]]);
        assert!(compare_outputs(&float, &output(&[1, 1], &[&[1]]), None).is_err());
        assert!(compare_outputs(&[vec![]], &fit, None).is_err());
        assert!(compare_outputs(&float, &fit, Some(&Labels::Classes(vec![0, 1]))).is_err());
        assert!(compare_outputs(&float, &fit, Some(&Labels::Values(vec![vec![0.0]]))).is_err());
        let exact = compare_outputs(&float, &fit, None).unwrap();
        assert_eq!(exact.sqnr_db, Some(f64::INFINITY));
    }
}
