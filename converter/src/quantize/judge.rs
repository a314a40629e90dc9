//! What quantization costs: compares the outputs of a quantized graph with those of the float graph, on
//! samples that calibration did not see.
//!
//! If an output is a softmax, trials are judged by its operand, the scores. Softmax removes nearly all of the
//! error of most samples, so that a few samples between two classes would decide alone.

use ferrolite_runtime::Model;
use rayon::prelude::*;

use super::fake::run_fake_quantized;
use super::report::OutputReport;
use super::samples::Samples;
use crate::aligned::AlignedBuf;
use crate::data::dequantize;
use crate::data::input_specs;
use crate::emit;
use crate::error::{Error, Result};
use crate::execute::{failed, infer, interpreter};
use crate::graph::{DType, Graph, Op};
use crate::model_file::{self, ModelFile};
use crate::noise::{Noise, argmax};
use crate::ops::holds_classes;
use crate::passes;
use crate::reference::Executor;

/// The elements of each input or output of one sample.
type Tensors = Vec<Vec<f32>>;

/// Samples, and the float model's outputs for them.
pub struct Judge {
    inputs: Vec<Tensors>,
    answers: Vec<Tensors>,
    /// Divisors for the squared errors of each output.
    wholes: Vec<f64>,
    /// Whether softmax is left out.
    scores: bool,
    /// Whether a quantized graph begins each sample with the states that it has left, not with those of the float graph.
    in_order: bool,
}

/// The error of a quantized graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Each sample's squared error relative to the squared outputs of all samples, averaged over the outputs.
    parts: Vec<f64>,
    /// Samples whose first output has its largest element in the same place.
    agreeing: usize,
}

impl Score {
    /// Squared error relative to the squared outputs, averaged over the outputs.
    pub fn error(&self) -> f64 {
        self.parts.iter().sum()
    }

    /// Share of samples whose first output has its largest element in the same place.
    pub fn agreement(&self) -> f64 {
        self.agreeing as f64 / self.parts.len().max(1) as f64
    }

    /// Each sample's part of the error.
    pub fn parts(&self) -> &[f64] {
        &self.parts
    }

    /// Adds the score on other samples.
    pub fn extend(&mut self, other: Score) {
        self.parts.extend(other.parts);
        self.agreeing += other.agreeing;
    }

    /// The error as a ratio of signal to noise in decibels.
    #[cfg(test)]
    pub fn decibels(&self) -> f64 {
        -10.0 * self.error().log10()
    }
}

impl Judge {
    /// Judges by the outputs, or by the operand of a softmax that ends the model.
    pub fn of_scores(graph: &Graph, samples: &dyn Samples) -> Result<Judge> {
        Judge::new(graph, samples, true)
    }

    /// Judges by the outputs as they are.
    pub fn of_outputs(graph: &Graph, samples: &dyn Samples) -> Result<Judge> {
        Judge::new(graph, samples, false)
    }

    fn new(graph: &Graph, samples: &dyn Samples, scores: bool) -> Result<Judge> {
        let graph = &if scores { without_softmax(graph) } else { graph.clone() };
        let executor = Executor::new(graph)?;
        let inputs = (0..samples.len()).map(|i| samples.sample(i)).collect::<Result<Vec<_>>>()?;
        let run = |tensors: &Tensors| executor.run(&tensors.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let answers = inputs.par_iter().map(run).collect::<Result<Vec<_>>>()?;
        let outputs = answers.first().map_or(0, Vec::len);
        let whole = |output: usize| {
            let signal: f64 = answers.iter().map(|tensors| squares(&tensors[output])).sum();
            // If an output is all zero, its errors count as they are.
            outputs as f64 * if signal > 0.0 { signal } else { 1.0 }
        };
        let wholes = (0..outputs).map(whole).collect();
        Ok(Judge { wholes, inputs, answers, scores, in_order: false })
    }

    /// The same of samples that follow one another, for graphs with states.
    pub fn in_order(self) -> Judge {
        Judge { in_order: true, ..self }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Scores a quantized graph by the interpreter's outputs; if it cannot be compiled, by simulation.
    pub fn score(&self, quantized: &Graph) -> Result<Score> {
        self.score_of(quantized, &self.all())
    }

    /// The part of a score that some of the samples contribute; `numbers` are theirs.
    pub fn score_of(&self, quantized: &Graph, numbers: &[usize]) -> Result<Score> {
        let found = self.found(quantized, numbers)?;
        let mut score = Score::default();
        for (found, wanted) in found.iter().zip(numbers.iter().map(|&number| &self.answers[number])) {
            let errors = wanted.iter().zip(found).zip(&self.wholes).map(|((wanted, found), whole)| {
                squares(&wanted.iter().zip(found).map(|(x, y)| x - y).collect::<Vec<_>>()) / whole
            });
            score.parts.push(errors.sum());
            score.agreeing += usize::from(class(wanted) == class(found));
        }
        Ok(score)
    }

    /// The numbers of all samples.
    fn all(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// How accurate each output of a quantized graph is, compared with `float`, whose outputs this judge
    /// holds.
    pub fn outputs(&self, float: &Graph, quantized: &Graph) -> Result<Vec<OutputReport>> {
        let found = self.found(quantized, &self.all())?;
        let report = |(position, &id): (usize, _)| {
            let mut noise = Noise::default();
            let (mut agreeing, mut exact) = (0, 0);
            for (wanted, found) in self.answers.iter().zip(&found) {
                let (wanted, found) = (&wanted[position], &found[position]);
                noise.add(wanted, found);
                agreeing += usize::from(argmax(wanted) == argmax(found));
                exact += usize::from(wanted == found);
            }
            let value = float.value(id);
            // Indices are classes themselves.
            let index = value.dtype != DType::Float32 && value.quantization.is_none();
            // A list of boxes in another order is as good.
            let listed = float.reals.contains(&id);
            let same = if index { exact } else { agreeing };
            let share = same as f64 / self.len().max(1) as f64;
            OutputReport {
                name: value.name.clone(),
                sqnr_db: noise.decibels().filter(|_| !index && !listed),
                agreement: (!listed && (index || holds_classes(float, id))).then_some(share),
            }
        };
        Ok(float.outputs.iter().enumerate().map(report).collect())
    }

    fn found(&self, quantized: &Graph, numbers: &[usize]) -> Result<Vec<Tensors>> {
        let quantized = &if self.scores { without_softmax(quantized) } else { quantized.clone() };
        let target = ferrolite_runtime::Target::Host;
        let options = emit::Options { target, strip: true, ..emit::Options::default() };
        match emit::compile(quantized, &options) {
            Ok(emitted) => {
                self.interpreted(quantized, &ModelFile::from_bytes("trial", &emitted.bytes), numbers)
            }
            Err(_) => self.simulated(quantized, numbers),
        }
    }

    fn interpreted(&self, quantized: &Graph, file: &ModelFile, numbers: &[usize]) -> Result<Vec<Tensors>> {
        let model = file.model()?;
        let (specs, ports) = (input_specs(quantized), model_file::outputs(&model));
        let store = |(spec, real): (&crate::data::InputSpec, &Vec<f32>)| {
            spec.quantize(real).map_err(|x| {
                Error::input(format!("input `{}`: a sample holds {x}, but {}", spec.name, spec.wants()))
            })
        };
        let real = |(port, bytes): (&model_file::PortFacts, &Vec<u8>)| {
            dequantize(port.dtype, port.quantization, bytes)
        };
        // The outputs for a sample, and the state that it leaves; without one from before, it begins with the float graph's.
        let one = |memory: &mut AlignedBuf, number: usize, before: Option<&[u8]>| {
            let sample = &self.inputs[number];
            let raw = specs.iter().zip(sample).map(store).collect::<Result<Vec<_>>>()?;
            let mut net = interpreter(&model, quantized.op_set(), memory)?;
            match (before, sample.get(specs.len()..).unwrap_or_default()) {
                (Some(before), _) => net.restore(before).map_err(failed)?,
                (None, []) => {}
                (None, states) => net.restore(&stored(&model, states)).map_err(failed)?,
            }
            let outputs = infer(&mut net, &raw, &mut ())?;
            let left = net.state().map_err(failed)?.to_vec();
            Ok((ports.iter().zip(&outputs).map(real).collect(), left))
        };
        let memory = || AlignedBuf::zeroed(model.arena_bytes());
        if !self.in_order {
            let alone = |memory: &mut AlignedBuf, &number: &usize| Ok(one(memory, number, None)?.0);
            return numbers.par_iter().map_init(memory, alone).collect();
        }
        let (mut memory, mut before) = (memory(), None);
        let mut next = |&number: &usize| {
            let (outputs, left) = one(&mut memory, number, before.as_deref())?;
            before = Some(left);
            Ok(outputs)
        };
        numbers.iter().map(&mut next).collect()
    }

    fn simulated(&self, quantized: &Graph, numbers: &[usize]) -> Result<Vec<Tensors>> {
        let executor = Executor::new(quantized)?;
        let run = |&number: &usize| {
            let inputs = self.inputs[number].iter().map(Vec::as_slice).collect::<Vec<_>>();
            run_fake_quantized(&executor, &inputs)
        };
        numbers.par_iter().map(run).collect()
    }
}

/// The state of a model whose variables hold these numbers.
fn stored(model: &Model<'_>, states: &[Vec<f32>]) -> Vec<u8> {
    let mut bytes = vec![0; model.state_bytes()];
    for ((port, facts), real) in model.variables().iter().zip(model_file::variables(model)).zip(states) {
        let Some(tensor) = model.variable_tensor(port) else { continue };
        let start = (tensor.offset as usize).saturating_sub(model.state_start());
        let stored = crate::data::InputSpec::from(facts).quantize(real).unwrap_or_default();
        if let Some(place) = bytes.get_mut(start..start + stored.len()) {
            place.copy_from_slice(&stored);
        }
    }
    bytes
}

fn squares(elements: &[f32]) -> f64 {
    elements.iter().map(|&x| f64::from(x).powi(2)).sum()
}

/// The graph with the operand of softmax as an output wherever softmax computes one.
fn without_softmax(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    let producers = graph.producers();
    for output in &mut graph.outputs {
        let Some(node) = producers.get(output).and_then(|&index| graph.nodes.get(index)) else { continue };
        if let (Op::Softmax(_), Some(input)) = (&node.op, node.input(0)) {
            *output = input;
        }
    }
    passes::dead::run(&mut graph);
    graph
}

/// The class with the largest element of the first output.
fn class(tensors: &Tensors) -> Option<usize> {
    tensors.first().and_then(|first| argmax(first))
}

#[cfg(test)]
impl Judge {
    /// Share of samples that a quantized graph classifies as `labels` say.
    pub fn right(&self, quantized: &Graph, labels: &[usize]) -> Result<f64> {
        Ok(share(&self.found(quantized, &self.all())?, labels))
    }

    /// Share of samples that the float graph classifies as `labels` say.
    pub fn float_right(&self, labels: &[usize]) -> f64 {
        share(&self.answers, labels)
    }
}

#[cfg(test)]
fn share(answers: &[Tensors], labels: &[usize]) -> f64 {
    let right = answers.iter().zip(labels).filter(|&(answer, &label)| class(answer) == Some(label));
    right.count() as f64 / answers.len() as f64
}
