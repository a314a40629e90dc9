//! Typical inputs for calibration.
//!
//! What is made of samples does not depend on the order in which they come: sums and extremes are exact, and where an
//! order counts (a moving average, a choice of some samples), it is that of the samples' [keys](Samples::key), which
//! follow from their contents. So a data set may be shuffled, or cut into parts that lie on several machines
//! ([`Pool`]), and the result is the same.

use sha2::{Digest, Sha256};

use super::pool::Pool;
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::parallel::in_order;
use crate::reference::{Executor, States};

/// Bytes of inputs that are held in memory, unless [`LEAST_HELD`] samples take more.
const HELD_BYTES: usize = 256 << 20;

/// So many samples are held however large they are.
const LEAST_HELD: usize = 64;

/// Most samples that [`Samples::drawn`] is asked for.
pub const MOST_DRAWN: usize = 640;

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

    /// Number of samples on all machines. [`len`](Samples::len) counts those that can be asked for here.
    fn total(&self) -> usize {
        self.len()
    }

    /// The place of a sample in an order that does not depend on how the samples are numbered, if its contents give it
    /// one ([`Keyed`]).
    fn key(&self, index: usize) -> u128 {
        index as u128
    }

    /// At most so many of all samples, chosen by their keys where they have them, else taken evenly.
    ///
    /// # Errors
    /// When one cannot be read, or lies on a machine that was not asked for it yet.
    fn drawn(&self, most: usize) -> Result<Vec<Vec<Vec<f32>>>> {
        let (all, count) = (self.len(), self.len().min(most));
        in_order(0..count, || (), |(), i| self.sample(i * all / count))
    }

    /// Whether a sample's states are what the sample before left, so that a quantized graph may go through all of them by
    /// its own states. Where something else changes the states in between, each sample brings its own.
    fn is_sequence(&self) -> bool {
        true
    }

    /// Where questions about all samples are answered, if some of them lie elsewhere.
    fn pool(&self) -> Option<&dyn Pool> {
        None
    }

    /// What is done to the samples before they are seen, in words that differ where it differs.
    fn view(&self) -> String {
        String::new()
    }
}

/// The key of a sample: the first half of the SHA-256 of its numbers. Samples of the same contents have the same key,
/// and the order of keys is as good as one by chance.
pub fn key(sample: &[Vec<f32>]) -> u128 {
    let mut hash = Sha256::new();
    for input in sample {
        hash.update((input.len() as u64).to_le_bytes());
        let bytes: Vec<u8> = input.iter().flat_map(|x| x.to_bits().to_le_bytes()).collect();
        hash.update(&bytes);
    }
    hash.finalize().iter().take(16).fold(0, |key, &byte| key << 8 | u128::from(byte))
}

/// How many of a number of samples are held in memory, where the inputs of one take so many bytes.
pub fn affordable(bytes: usize, count: usize) -> usize {
    count.min((HELD_BYTES / bytes.max(1)).max(LEAST_HELD))
}

/// Samples in the order of their contents.
pub struct Keyed<'a> {
    of: &'a dyn Samples,
    keys: Vec<u128>,
}

impl<'a> Keyed<'a> {
    /// Reads all samples once.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn new(of: &'a dyn Samples) -> Result<Keyed<'a>> {
        let keys = in_order(0..of.len(), || (), |(), index| Ok(key(&of.sample(index)?)))?;
        Ok(Keyed { of, keys })
    }
}

impl Samples for Keyed<'_> {
    fn len(&self) -> usize {
        self.of.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        self.of.sample(index)
    }

    fn key(&self, index: usize) -> u128 {
        self.keys.get(index).copied().unwrap_or_default()
    }

    fn drawn(&self, most: usize) -> Result<Vec<Vec<Vec<f32>>>> {
        let mut numbers: Vec<usize> = (0..self.keys.len()).collect();
        numbers.sort_by_key(|&number| self.key(number));
        numbers.truncate(most);
        // Files are read from front to back.
        numbers.sort_unstable();
        let read = |(): &mut (), i: usize| {
            let number = numbers.get(i).copied().unwrap_or_default();
            Ok((self.key(number), self.of.sample(number)?))
        };
        let mut drawn = in_order(0..numbers.len(), || (), read)?;
        drawn.sort_by_key(|&(key, _)| key);
        Ok(drawn.into_iter().map(|(_, sample)| sample).collect())
    }
}

/// Some samples, in memory.
pub struct Held(pub Vec<Vec<Vec<f32>>>);

impl Samples for Held {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        self.0.get(index).cloned().ok_or_else(|| Error::input(format!("there is no sample {index}")))
    }
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
    /// Whether nothing but the graph itself changes the states.
    alone: bool,
}

impl<'a> Sequence<'a> {
    /// Samples that begin with these states each.
    pub fn given(of: &'a dyn Samples, states: Vec<States>) -> Sequence<'a> {
        Sequence { of, states, alone: false }
    }

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
        Ok(Sequence { of, states, alone: true })
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

    fn is_sequence(&self) -> bool {
        self.alone
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
