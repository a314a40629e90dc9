//! Calibration: the float model runs on every sample, and the range of each layer is kept.
//!
//! Samples run in parallel. Smallest and largest numbers do not depend on the order in which they
//! are found, and of several errors the one of the first sample is reported, so the result does
//! not depend on the number of threads.

use rayon::prelude::*;

use super::Samples;
use super::range::Range;
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::reference::Executor;

/// How a value's range follows from the numbers that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calibration {
    /// From the smallest to the largest number that occurred.
    #[default]
    MinMax,
}

/// What is remembered of a value while the samples run. The merged observers of several parts of
/// the samples must not depend on how the samples were parted.
trait Observer: Clone + Default + Send {
    /// Takes note of a value's elements; false if one of them is not a number to quantize.
    fn observe(&mut self, data: &[f32]) -> bool;
    /// Adds what another observer of the same value has seen.
    fn merge(&mut self, other: &Self);
    /// The range to quantize.
    fn range(&self) -> Range;
}

/// The observer of [`Calibration::MinMax`].
impl Observer for Range {
    fn observe(&mut self, data: &[f32]) -> bool {
        match Range::of(data) {
            Some(range) => {
                *self = self.union(range);
                true
            }
            None => false,
        }
    }

    fn merge(&mut self, other: &Range) {
        *self = self.union(*other);
    }

    fn range(&self) -> Range {
        *self
    }
}

/// The range of every value that the samples touch, by value; the others keep the empty range.
pub fn calibrate(graph: &Graph, samples: &dyn Samples, calibration: Calibration) -> Result<Vec<Range>> {
    match calibration {
        Calibration::MinMax => observe::<Range>(graph, samples),
    }
}

fn observe<O: Observer>(graph: &Graph, samples: &dyn Samples) -> Result<Vec<Range>> {
    if samples.is_empty() {
        return Err(Error::input("the calibration data has no samples")
            .help("give some tens to hundreds of typical inputs"));
    }
    let executor = Executor::new(graph)?;
    // Parts of a fixed number, not one per thread: then the same one fails first everywhere.
    let part = samples.len().div_ceil(64);
    let parts: Vec<Result<Vec<O>>> = (0..samples.len().div_ceil(part))
        .into_par_iter()
        .map(|index| {
            let mut observers = vec![O::default(); graph.values.len()];
            for sample in index * part..((index + 1) * part).min(samples.len()) {
                observe_sample(&executor, samples, sample, &mut observers)?;
            }
            Ok(observers)
        })
        .collect();
    let mut merged = vec![O::default(); graph.values.len()];
    for part in parts {
        for (merged, observer) in merged.iter_mut().zip(&part?) {
            merged.merge(observer);
        }
    }
    Ok(merged.iter().map(O::range).collect())
}

/// Runs one sample and shows it to the observers.
fn observe_sample<O: Observer>(
    executor: &Executor,
    samples: &dyn Samples,
    sample: usize,
    observers: &mut [O],
) -> Result<()> {
    let inputs = samples.sample(sample)?;
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut refused = None;
    executor
        .run_observed(&inputs, &mut |id, data| {
            if !observers[id.0].observe(data) {
                refused.get_or_insert((id, worst(data)));
            }
        })
        .map_err(|error| error.context(format!("calibration sample {sample}")))?;
    match refused {
        None => Ok(()),
        Some((id, found)) => Err(not_a_number(executor.graph(), id, found, sample)),
    }
}

/// An element that cannot be quantized: NaN if there is one, else the one of largest magnitude.
fn worst(data: &[f32]) -> f32 {
    data.iter().copied().fold(0.0, |worst: f32, x| {
        if worst.is_nan() || x.is_nan() {
            f32::NAN
        } else if x.abs() > worst.abs() {
            x
        } else {
            worst
        }
    })
}

fn not_a_number(graph: &Graph, id: ValueId, found: f32, sample: usize) -> Error {
    let value = graph.value(id);
    let producer = graph.nodes.iter().find(|node| node.outputs.contains(&id));
    match producer {
        None => Error::input(format!("calibration sample {sample}: input `{}` contains {found}", value.name))
            .help("remove the sample or repair it; inputs must be finite numbers"),
        Some(node) => Error::input(format!(
            "calibration sample {sample}: layer `{}` ({}) computes {found}",
            node.name,
            node.op.name()
        ))
        .help("check that the samples are scaled as they were in training, and that the model computes finite numbers in its framework"),
    }
}
