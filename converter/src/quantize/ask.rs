//! Questions about all samples whose answers can be added up, for samples that lie on several machines.
//!
//! Quantization asks a few such questions, each of which may depend on the answers before: the ranges of a graph's
//! values, histograms over these ranges, the ranges of channels, sums for bias correction. An answer is made on each
//! part of the samples alone, and answers add up to the same one however the samples are cut: extremes, integers, and
//! lists that are sorted by the samples' keys.
//!
//! ```text
//! one machine     quantize --ask--> all samples
//! a part          quantize --ask--> answers of all parts, or: this part's answer, and stop
//! merged          quantize --ask--> answers of all parts, or: stop, another round is needed
//! ```
//! A question is known by the hash of everything that its answer depends on besides the samples, so a part can answer
//! nothing but what is asked.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::pool::Question;
use super::range::Range;
use super::samples::Samples;
use crate::error::{Error, Result};
use crate::graph::{Constant, Graph};

/// An answer that adds up.
pub trait Answer: Sized {
    /// As words, for a file.
    fn to_words(&self) -> Vec<u64>;

    /// From the words that [`to_words`](Answer::to_words) gave for the same question; `None` if they are others.
    fn of_words(&self, words: &[u64]) -> Option<Self>;

    /// Adds the answer of other samples.
    fn add(&mut self, other: Self);
}

/// Asks all samples. `fresh` is the answer of none; `gather` that of the samples that lie here, and `extra` what it
/// depends on besides the graph.
///
/// # Errors
/// When a sample cannot be read or run, and when parts of the samples have not answered yet.
pub fn ask<A: Answer>(
    samples: &dyn Samples,
    (kind, graph, extra): (&str, &Graph, &[u64]),
    fresh: A,
    gather: impl Fn() -> Result<A>,
) -> Result<A> {
    let Some(pool) = samples.pool() else { return gather() };
    let question = question(kind, graph, &samples.view(), extra);
    let Some(parts) = pool.known(&question) else {
        return Err(pool.unanswered(question, &mut || Ok(gather()?.to_words())));
    };
    let mut whole: Option<A> = None;
    for words in parts {
        let part = fresh.of_words(words).ok_or_else(|| Error::input("statistics are damaged"))?;
        match &mut whole {
            None => whole = Some(part),
            Some(whole) => whole.add(part),
        }
    }
    Ok(whole.unwrap_or(fresh))
}

/// The hash of a question.
fn question(kind: &str, graph: &Graph, view: &str, extra: &[u64]) -> Question {
    let mut text = Text(Sha256::new());
    // Writing into a hash cannot fail.
    let _ = write!(text, "{kind}\n{view}\n{:?}\n{:?}\n{:?}\n", graph.nodes, graph.inputs, graph.outputs);
    for value in &graph.values {
        let _ = write!(text, "{:?} {:?} {:?} ", value.shape, value.dtype, value.quantization);
        match &value.constant {
            None => {}
            Some(Constant::F32(elements)) => {
                elements.iter().for_each(|x| text.0.update(x.to_bits().to_le_bytes()));
            }
            Some(other) => drop(write!(text, "{other:?}")),
        }
        text.0.update(b"\n");
    }
    extra.iter().for_each(|word| text.0.update(word.to_le_bytes()));
    text.0.finalize().into()
}

/// Text that is hashed as it is written.
struct Text(Sha256);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Two numbers in a word.
pub fn pair(low: f32, high: f32) -> u64 {
    u64::from(low.to_bits()) << 32 | u64::from(high.to_bits())
}

/// The numbers of [`pair`].
pub fn unpair(word: u64) -> (f32, f32) {
    (f32::from_bits((word >> 32) as u32), f32::from_bits(word as u32))
}

/// A range in a word.
pub fn word(range: &Range) -> u64 {
    pair(range.min, range.max)
}

/// The range of [`word`].
pub fn range(word: &u64) -> Range {
    let (min, max) = unpair(*word);
    Range { min, max }
}
