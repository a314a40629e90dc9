//! Compares outputs: accuracy, agreement, confusion, and the samples with the largest errors.

use super::result::{Answer, Comparison, OutputComparison, WorstSample};
use crate::data::Labels;
use crate::error::{Error, Result};
use crate::graph::{DType, Graph};
use crate::model_file::PortFacts;
use crate::noise::{Noise, argmax};
use crate::run::RunOutput;

/// Samples that are listed as the worst.
const WORST: usize = 16;

/// Most classes for which confusion is counted.
const CLASSES: usize = 200;

/// How many of the best classes count for the top-5 accuracy.
const TOP: usize = 5;

/// Compares outputs of the float reference and of the quantized model for the same samples. An output of
/// several elements in one dimension counts as one that [holds classes](crate::ops::holds_classes).
///
/// # Errors
/// When the outputs are not those of one model, or the labels not those of the samples.
pub fn compare_outputs(
    float: &[Vec<Vec<f32>>],
    quantized: &RunOutput,
    labels: Option<&Labels>,
) -> Result<Comparison> {
    let classes = quantized.ports.iter().map(|port| {
        let mut wide = port.shape.iter().copied().filter(|&n| n != 1);
        wide.next().filter(|_| wide.next().is_none())
    });
    let mut tally = Tally::new(float.len(), classes.collect(), labels)?;
    tally.add(float, quantized)?;
    Ok(tally.finish())
}

/// A comparison of outputs that arrive block by block.
#[derive(Default)]
pub(super) struct Tally<'a> {
    labels: Option<&'a Labels>,
    /// Samples so far.
    samples: usize,
    /// Each output's number of classes, if it has any.
    classes: Vec<Option<usize>>,
    /// The output that labels refer to, and by which samples are ranked.
    judged: usize,
    outputs: Vec<OutputTally>,
    worst: Vec<(u8, WorstSample)>,
}

/// The counts of one output.
#[derive(Clone, Debug, Default)]
struct OutputTally {
    name: String,
    noise: Noise,
    /// Scores of the float reference and of the quantized model.
    scores: [Score; 2],
    /// Whether its only element is the number of a class, as ARGMAX gives it: an integer that stands for itself.
    index: bool,
    /// Samples for which both give the same class, and samples that have a class.
    agreeing: usize,
    classified: usize,
}

/// A warning if labels name no class of any output.
pub(super) fn beyond(classes: &[Option<usize>], labels: Option<&Labels>) -> Option<String> {
    let most = classes.iter().flatten().copied().max().filter(|&most| most > 0)?;
    let Some(Labels::Classes(labels)) = labels else { return None };
    let beyond = labels.iter().filter(|&&label| label >= most).count();
    let highest = labels.iter().max().filter(|_| beyond > 0)?;
    Some(format!(
        "{beyond} of {} labels name no class: they reach to {highest}, and the model's {most} classes are 0 to {}; \
         these samples count as wrong",
        labels.len(),
        most - 1
    ))
}

/// A warning if no output holds scores of classes, and labels name some that the first output cannot tell apart.
pub(super) fn unfit(source: &Graph, labels: Option<&Labels>) -> Option<String> {
    let Some(Labels::Classes(labels)) = labels else { return None };
    let indices = source.outputs.iter().any(|&id| {
        let value = source.value(id);
        let facts = PortFacts {
            name: String::new(),
            shape: value.shape.clone(),
            dtype: value.dtype,
            quantization: value.quantization.as_ref().and_then(|quantization| quantization.tensor()),
        };
        is_index(&facts)
    });
    let output = source.value(*source.outputs.first().filter(|_| !indices)?);
    let highest = *labels.iter().max()?;
    let wide = output.shape.iter().filter(|&&size| size > 1).count();
    let (name, elements) = (&output.name, output.elements());
    if wide > 1 {
        let shape = output.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        return Some(format!(
            "the labels are numbers of classes, and output `{name}` is {shape}, no list of scores: give values of its \
             shape as labels, or a model that ends in scores; the accuracy says nothing"
        ));
    }
    let most = if elements == 1 { 2 } else { elements };
    let beyond = labels.iter().filter(|&&label| label >= most).count();
    let told = match elements {
        1 => "is one number, which tells the classes 0 and 1 apart".to_owned(),
        _ => format!("has {elements} elements"),
    };
    (beyond > 0).then(|| {
        format!(
            "{beyond} of {} labels name no class: they reach to {highest}, and output `{name}` {told}; these samples \
             count as wrong",
            labels.len()
        )
    })
}

impl<'a> Tally<'a> {
    /// Starts a tally of so many samples, with each output's number of classes.
    pub fn new(samples: usize, classes: Vec<Option<usize>>, labels: Option<&'a Labels>) -> Result<Tally<'a>> {
        if let Some(labels) = labels.filter(|labels| labels.len() != samples) {
            return Err(Error::input(format!("there are {samples} samples, but {} labels", labels.len()))
                .help("give one label for each sample"));
        }
        // Boxes may come before the scores that labels refer to.
        let most = match labels {
            Some(Labels::Classes(labels)) => labels.iter().copied().max().unwrap_or(0),
            _ => 0,
        };
        let enough = |classes: &Option<usize>| classes.is_some_and(|classes| classes > most);
        let judged = classes.iter().position(enough).unwrap_or(0);
        Ok(Tally { labels, classes, judged, ..Tally::default() })
    }

    /// Adds the next samples.
    pub fn add(&mut self, float: &[Vec<Vec<f32>>], quantized: &RunOutput) -> Result<()> {
        let first = self.samples;
        self.samples += float.len();
        if self.outputs.is_empty() {
            let tally = |port: &PortFacts| OutputTally {
                name: port.name.clone(),
                index: is_index(port),
                ..OutputTally::default()
            };
            self.outputs = quantized.ports.iter().map(tally).collect();
            self.heed_labels(quantized);
        }
        for (place, float) in float.iter().enumerate() {
            if float.len() != self.outputs.len() {
                return Err(other_model(&format!("{} and {} outputs", float.len(), self.outputs.len())));
            }
            for (output, float) in float.iter().enumerate() {
                let integer = quantized.real(place, output);
                if integer.len() != float.len() {
                    return Err(other_model(&format!(
                        "output {output} has {} and {} elements",
                        float.len(),
                        integer.len()
                    )));
                }
                let classes = self.classes.get(output).copied().flatten();
                self.outputs[output].add(float, &integer, classes);
                if output == self.judged {
                    self.answer(first + place, float, &integer)?;
                }
            }
        }
        Ok(())
    }

    /// Labels may tell more about the outputs than the model does.
    fn heed_labels(&mut self, quantized: &RunOutput) {
        let elements = |port: &PortFacts| port.shape.iter().product::<usize>();
        match self.labels {
            // Real labels refer to the first output that has as many elements.
            Some(Labels::Values(values)) => {
                let width = values.first().map_or(0, Vec::len);
                let fitting = quantized.ports.iter().position(|port| elements(port) == width);
                self.judged = fitting.unwrap_or(self.judged);
            }
            Some(Labels::Classes(_)) if self.classes.iter().all(Option::is_none) => {
                // A model may say its class itself.
                if let Some(index) = quantized.ports.iter().position(is_index) {
                    self.judged = index;
                    return;
                }
                let first = quantized.ports.first().map(elements).filter(|&n| n > 1);
                self.classes = vec![first];
            }
            _ => {}
        }
    }

    /// Counts the judged output of a sample.
    fn answer(&mut self, sample: usize, float: &[f32], integer: &[f32]) -> Result<()> {
        let output = &mut self.outputs[self.judged];
        let index = output.index;
        for (score, values) in output.scores.iter_mut().zip([float, integer]) {
            score.add(values, index, self.labels, sample)?;
        }
        let classes = self.classes.get(self.judged).copied().flatten() == Some(float.len());
        self.worst.extend(suffered(sample, self.labels, classes, index, float, integer));
        if self.worst.len() >= 4 * WORST {
            keep_worst(&mut self.worst);
        }
        Ok(())
    }

    /// The result, without layers.
    pub fn finish(mut self) -> Comparison {
        keep_worst(&mut self.worst);
        let none = OutputTally::default();
        let judged = self.outputs.get(self.judged).unwrap_or(&none);
        let [float, integer] = &judged.scores;
        let pairs = float.pairs.iter().chain(&integer.pairs);
        let classes = pairs.flat_map(|&(a, b)| [a, b]).max().unwrap_or(0) + 1;
        let outputs: Vec<OutputComparison> = self.outputs.iter().map(OutputTally::finish).collect();
        // Of several outputs the noisiest counts: a good one does not make up for a bad one.
        let ratios = outputs.iter().filter_map(|output| output.sqnr_db);
        Comparison {
            samples: self.samples,
            accuracy_float: float.accuracy(),
            accuracy_quantized: integer.accuracy(),
            top5_float: float.top(),
            top5_quantized: integer.top(),
            mse_float: float.mse(),
            mse_quantized: integer.mse(),
            confusion_float: float.confusion(classes),
            confusion: integer.confusion(classes),
            agreement: ratio(judged.agreeing, judged.classified),
            sqnr_db: ratios.reduce(f64::min),
            max_abs_error: outputs.iter().map(|output| output.max_abs_error).fold(0.0, f64::max),
            outputs,
            worst: self.worst.into_iter().map(|(_, sample)| sample).collect(),
            ..Comparison::default()
        }
    }
}

impl OutputTally {
    fn add(&mut self, float: &[f32], integer: &[f32], classes: Option<usize>) {
        self.noise.add(float, integer);
        if classes.is_some() || self.index {
            self.classified += 1;
            self.agreeing += usize::from(class(float, self.index) == class(integer, self.index));
        }
    }

    fn finish(&self) -> OutputComparison {
        let [float, integer] = &self.scores;
        OutputComparison {
            name: self.name.clone(),
            sqnr_db: self.noise.decibels(),
            max_abs_error: self.noise.largest,
            agreement: ratio(self.agreeing, self.classified),
            accuracy_float: float.accuracy(),
            accuracy_quantized: integer.accuracy(),
            mse_float: float.mse(),
            mse_quantized: integer.mse(),
        }
    }
}

/// Whether an output is the number of a class: one integer that stands for itself.
fn is_index(port: &PortFacts) -> bool {
    let whole = !matches!(port.dtype, DType::Float32 | DType::Bool);
    whole && port.quantization.is_none() && port.shape.iter().product::<usize>() == 1
}

/// The class of an output, counted from 0. A single element is the class itself where it is an `index`, else the
/// probability of class 1.
fn class(output: &[f32], index: bool) -> usize {
    match output {
        [one] if index => *one as usize,
        [one] => usize::from(*one > 0.5),
        all => argmax(all).unwrap_or(0),
    }
}

fn other_model(difference: &str) -> Error {
    Error::input(format!("the two models differ: {difference}"))
        .help("give the model that the .ferro file was converted from")
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Whether a sample got worse, and how badly: 2 if its class was right and is now wrong, 1 if it changed.
/// Without labels, `classes` says whether the output tells classes apart.
fn suffered(
    sample: usize,
    labels: Option<&Labels>,
    classes: bool,
    index: bool,
    float: &[f32],
    integer: &[f32],
) -> Option<(u8, WorstSample)> {
    let difference = |i: &usize| (float[*i] - integer[*i]).abs();
    let most = (0..float.len()).max_by(|a, b| difference(a).total_cmp(&difference(b)))?;
    let error = difference(&most);
    let classes = match labels {
        Some(Labels::Classes(_)) => true,
        Some(Labels::Values(_)) => false,
        None => classes,
    };
    let (element, [float_answer, answer], expected) = if classes {
        let expected = match labels {
            Some(Labels::Classes(classes)) => classes.get(sample).map(|&class| Answer::Class(class)),
            _ => None,
        };
        // The only element of a yes-or-no model is its score.
        let element = if float.len() > 1 { class(integer, index) } else { 0 };
        (element, [float, integer].map(|values| Answer::Class(class(values, index))), expected)
    } else {
        let expected = match labels {
            Some(Labels::Values(values)) => values.get(sample).and_then(|row| row.get(most)).copied(),
            _ => None,
        };
        (most, [float[most], integer[most]].map(Answer::Value), expected.map(Answer::Value))
    };
    let flipped = classes && float_answer != answer;
    let severity = u8::from(flipped) + u8::from(flipped && expected == Some(float_answer));
    (error > 0.0 || flipped).then(|| {
        let worst = WorstSample {
            sample,
            expected,
            float: float_answer,
            quantized: answer,
            element,
            score_float: float[element],
            score_quantized: integer[element],
            error,
        };
        (severity, worst)
    })
}

fn keep_worst(worst: &mut Vec<(u8, WorstSample)>) {
    worst.sort_by(|(a_severity, a), (b_severity, b)| {
        b_severity.cmp(a_severity).then(b.error.total_cmp(&a.error)).then(a.sample.cmp(&b.sample))
    });
    worst.truncate(WORST);
}

/// How often one model's answers match the labels.
#[derive(Clone, Debug, Default)]
struct Score {
    /// The right class and the answer, for each sample with a class.
    pairs: Vec<(usize, usize)>,
    /// Samples whose right class is among the best [`TOP`]; `None` if there are no more classes than that.
    near: Option<usize>,
    squares: f64,
    values: usize,
}

impl Score {
    /// Scores the judged output for one sample.
    fn add(&mut self, output: &[f32], index: bool, labels: Option<&Labels>, sample: usize) -> Result<()> {
        match labels {
            None => {}
            Some(Labels::Classes(classes)) => {
                let right = classes[sample];
                self.pairs.push((right, class(output, index)));
                if output.len() > TOP {
                    // Of equal scores, which are common among integers, the first is the better one, as in
                    // `argmax`.
                    let better = |score: f32| {
                        let before =
                            |&(i, &other): &(usize, &f32)| other > score || (other == score && i < right);
                        output.iter().enumerate().filter(before).count()
                    };
                    let near = output.get(right).is_some_and(|&score| better(score) < TOP);
                    *self.near.get_or_insert(0) += usize::from(near);
                }
            }
            Some(Labels::Values(values)) => {
                let want = &values[sample];
                if want.len() != output.len() {
                    return Err(Error::input(format!(
                        "labels of {} values, but the model's output has {}",
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
        ratio(self.pairs.iter().filter(|(right, answer)| right == answer).count(), self.pairs.len())
    }

    fn top(&self) -> Option<f64> {
        ratio(self.near?, self.pairs.len())
    }

    fn mse(&self) -> Option<f64> {
        (self.values > 0).then(|| self.squares / self.values as f64)
    }

    fn confusion(&self, classes: usize) -> Option<Vec<Vec<usize>>> {
        if self.pairs.is_empty() || classes > CLASSES {
            return None;
        }
        let mut counts = vec![vec![0; classes]; classes];
        for &(right, answer) in &self.pairs {
            counts[right][answer] += 1;
        }
        Some(counts)
    }
}
