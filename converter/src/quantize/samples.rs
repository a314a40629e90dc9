//! Typical inputs for calibration.

use crate::error::Result;
use crate::graph::{Graph, ValueId};
use crate::reference::{Executor, States};

/// Typical inputs of a model, as real numbers. Several threads ask for samples at the same time, in no order;
/// a wrapper around this trait can count them for a progress display.
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

/// No samples, for models that bring all their ranges.
pub struct NoSamples;

impl Samples for NoSamples {
    fn len(&self) -> usize {
        0
    }

    fn sample(&self, _: usize) -> Result<Vec<Vec<f32>>> {
        Ok(Vec::new())
    }
}

/// Samples of a graph with states, which are one sequence. What the states hold when a sample begins follows its inputs,
/// so that samples can be taken in any order.
pub struct Sequence<'a> {
    of: &'a dyn Samples,
    states: Vec<States>,
}

impl<'a> Sequence<'a> {
    /// Runs all samples in their order.
    pub fn new(graph: &Graph, of: &'a dyn Samples) -> Result<Sequence<'a>> {
        let executor = Executor::new(graph)?;
        let mut states = vec![executor.start()];
        for sample in 0..of.len() {
            let inputs = of.sample(sample)?;
            let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
            let mut next = states[sample].clone();
            let outputs = executor.run_next(&mut next, &inputs, &mut |_, _| ());
            outputs.map_err(|error| error.context(format!("calibration sample {sample}")))?;
            states.push(next);
        }
        Ok(Sequence { of, states })
    }
}

impl Samples for Sequence<'_> {
    fn len(&self) -> usize {
        self.of.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        let states = self.states.get(index).cloned().unwrap_or_default();
        Ok(self.of.sample(index)?.into_iter().chain(states).collect())
    }
}

/// Runs one sample, and passes every model input and every layer's results to `observe`.
pub fn run(
    executor: &Executor,
    samples: &dyn Samples,
    sample: usize,
    observe: &mut dyn FnMut(ValueId, &[f32]),
) -> Result<Vec<Vec<f32>>> {
    let inputs = samples.sample(sample)?;
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let outputs = executor.run_observed(&inputs, observe);
    outputs.map_err(|error| error.context(format!("calibration sample {sample}")))
}
