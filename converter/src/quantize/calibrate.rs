//! Calibration: runs the float model on every sample, and keeps statistics of each layer's numbers.
//!
//! Samples run in parallel. The result does not depend on the number of threads, nor on the order of the samples:
//! extremes and counts do not, and a moving average is that of the samples in the order of their keys. Of several errors
//! the one of the first sample is reported. Memory does not depend on the number of samples.

use std::collections::HashMap;

use rayon::prelude::*;

use super::ask::{self, Answer, ask};
use super::far::{Limits, inside};
use super::histogram::Histogram;
use super::method::Calibration;
use super::range::Range;
use super::samples::{Samples, run};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::parallel::{by_worker, in_order};
use crate::reference::Executor;

/// Some of the samples, by their numbers.
pub struct Chosen<'a> {
    /// All samples.
    pub of: &'a dyn Samples,
    /// The numbers of the chosen ones.
    pub numbers: &'a [usize],
}

impl Samples for Chosen<'_> {
    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        match self.numbers.get(index) {
            Some(&number) => self.of.sample(number),
            None => Err(Error::input(format!("there is no sample {index}"))),
        }
    }

    fn key(&self, index: usize) -> u128 {
        self.numbers.get(index).map_or(0, |&number| self.of.key(number))
    }

    fn is_sequence(&self) -> bool {
        self.of.is_sequence()
    }
}

/// Weight of a sample in a moving average.
const NEWEST: f64 = 0.01;

/// Samples that a moving average is made of, the last ones: all before them would weigh 1e-9 together.
const RECENT: usize = 2048;

/// Statistics of every value of a graph, by value. A value that does not depend on the samples has none.
pub struct Statistics {
    ranges: Vec<Range>,
    averages: Vec<Range>,
    histograms: Vec<Histogram>,
    /// Ranges by methods that were computed before the histograms were dropped.
    settled: Vec<(Calibration, Vec<Range>)>,
    /// Numbers that must be whole numbers of steps, by value.
    pub terms: HashMap<ValueId, f64>,
}

impl Statistics {
    /// Runs all samples, and runs them again for histograms, whose cells depend on the ranges. Values
    /// saturate at their limits.
    pub fn gather(
        graph: &Graph,
        samples: &dyn Samples,
        limits: &Limits,
        histograms: bool,
    ) -> Result<Statistics> {
        let seen = observe(graph, samples)?;
        let mut averages = seen.averages();
        let mut ranges = seen.ranges;
        limits.cut(&mut ranges);
        limits.cut(&mut averages);
        let histograms = if histograms { count(graph, samples, &ranges)? } else { Vec::new() };
        Ok(Statistics { ranges, averages, histograms, settled: Vec::new(), terms: limits.terms.clone() })
    }

    /// For each part of the samples, given by their numbers, the statistics of all others. Two runs of the
    /// samples are enough for all parts, since counts can be added. Histograms have the cells of all samples,
    /// and the ranges that follow from them are cut to those of the samples outside of the part.
    pub fn without_each(
        graph: &Graph,
        samples: &dyn Samples,
        limits: &Limits,
        parts: &[Vec<usize>],
    ) -> Result<Vec<Statistics>> {
        let executor = Executor::new(graph)?;
        let one = |(): &mut (), sample| {
            let mut ranges = vec![Range::default(); graph.values.len()];
            observe_sample(&executor, samples, sample, &mut ranges)?;
            Ok(Seen { ranges: ranges.clone(), recent: vec![(samples.key(sample), ranges)] })
        };
        let each = in_order(0..samples.len(), || (), one)?;
        let others = |part: &Vec<usize>| {
            let mut seen = Seen::nothing(graph);
            let others = each.iter().enumerate().filter(|(sample, _)| !part.contains(sample));
            others.for_each(|(_, one)| seen.add(one.clone()));
            seen
        };
        let seen: Vec<Seen> = parts.iter().map(others).collect();
        let cut = |mut ranges: Vec<Range>| {
            limits.cut(&mut ranges);
            ranges
        };
        let ranges: Vec<Vec<Range>> = seen.iter().map(|seen| cut(seen.ranges.clone())).collect();
        let mut whole = vec![Range::default(); graph.values.len()];
        for ranges in &ranges {
            whole.iter_mut().zip(ranges).for_each(|(whole, range)| *whole = whole.union(*range));
        }
        let counted = parts
            .iter()
            .map(|part| count(graph, &Chosen { of: samples, numbers: part }, &whole))
            .collect::<Result<Vec<_>>>()?;
        let without = |(index, (ranges, seen)): (usize, (Vec<Range>, &Seen))| {
            let mut histograms: Vec<Histogram> = whole.iter().copied().map(Histogram::new).collect();
            for (_, part) in counted.iter().enumerate().filter(|(part, _)| *part != index) {
                histograms.iter_mut().zip(part).for_each(|(all, part)| all.merge(part));
            }
            let averages = cut(seen.averages());
            let terms = limits.terms.clone();
            let mut statistics = Statistics { ranges, averages, histograms, settled: Vec::new(), terms };
            statistics.settle(&Calibration::METHODS);
            statistics
        };
        Ok(ranges.into_iter().zip(&seen).enumerate().map(without).collect())
    }

    /// Empty statistics, for graphs whose values already have ranges.
    pub fn none(graph: &Graph) -> Statistics {
        let ranges = vec![Range::default(); graph.values.len()];
        Statistics {
            averages: ranges.clone(),
            ranges,
            histograms: Vec::new(),
            settled: Vec::new(),
            terms: HashMap::new(),
        }
    }

    /// Computes the ranges of some methods from samples whose extremes are known, without keeping histograms.
    pub fn settle_on(&mut self, graph: &Graph, samples: &dyn Samples, methods: &[Calibration]) -> Result<()> {
        self.histograms = count(graph, samples, &self.ranges)?;
        self.settle(methods);
        Ok(())
    }

    /// Keeps the ranges of some methods instead of the histograms, which are large.
    fn settle(&mut self, methods: &[Calibration]) {
        let needing = methods.iter().copied().filter(|&method| Statistics::needs_histograms(method));
        self.settled = needing.map(|method| (method, self.by(method))).collect();
        self.histograms = Vec::new();
    }

    /// Whether a method needs histograms.
    pub fn needs_histograms(method: Calibration) -> bool {
        !matches!(method, Calibration::MinMax | Calibration::MovingAverage)
    }

    /// The ranges by a method, by value.
    pub fn by(&self, method: Calibration) -> Vec<Range> {
        let by_histogram = |of: &(dyn Fn(&Histogram) -> Range + Sync)| match self.histograms.is_empty() {
            true => self.ranges.clone(),
            // The cells may have been made for more samples than were counted.
            false => {
                self.histograms.par_iter().zip(&self.ranges).map(|(h, &range)| inside(of(h), range)).collect()
            }
        };
        if let Some((_, ranges)) = self.settled.iter().find(|(settled, _)| *settled == method) {
            return ranges.clone();
        }
        match method {
            Calibration::MovingAverage => self.averages.clone(),
            Calibration::Percentile(share) => by_histogram(&|h| h.percentile(share)),
            Calibration::Entropy => by_histogram(&Histogram::entropy),
            Calibration::Mse => by_histogram(&Histogram::least_error),
            Calibration::MinMax | Calibration::Auto => self.ranges.clone(),
        }
    }
}

/// What is recorded while the samples run.
#[derive(Clone)]
struct Seen {
    /// Smallest and largest number of each value.
    ranges: Vec<Range>,
    /// The same of single samples, by their keys: those of the largest keys, up to [`RECENT`], and perhaps more until
    /// they are sorted.
    recent: Vec<(u128, Vec<Range>)>,
}

impl Seen {
    /// Before any sample.
    fn nothing(graph: &Graph) -> Seen {
        Seen { ranges: vec![Range::default(); graph.values.len()], recent: Vec::new() }
    }

    /// Leaves the samples of the largest keys, in their order. Samples of the same key are the same.
    fn forget(&mut self) {
        self.recent.sort_by_key(|(key, _)| *key);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
    }

    /// The moving averages, with weights that add up to 1. The newest sample has the largest key.
    fn averages(&self) -> Vec<Range> {
        let mut recent: Vec<&(u128, Vec<Range>)> = self.recent.iter().collect();
        recent.sort_by_key(|(key, _)| *key);
        let recent = &recent[recent.len().saturating_sub(RECENT)..];
        let weights = 1.0 - (1.0 - NEWEST).powi(recent.len() as i32);
        let of = |(value, &whole): (usize, &Range)| {
            let mut sums = [0.0f64; 2];
            for range in recent.iter().filter_map(|(_, ranges)| ranges.get(value)) {
                for (sum, end) in sums.iter_mut().zip([range.min, range.max]) {
                    *sum = *sum * (1.0 - NEWEST) + NEWEST * f64::from(end);
                }
            }
            let [min, max] = sums.map(|sum| if weights > 0.0 { (sum / weights) as f32 } else { 0.0 });
            // Rounding must not lead beyond the extremes.
            Range { min: min.max(whole.min), max: max.min(whole.max) }
        };
        self.ranges.iter().enumerate().map(of).collect()
    }
}

impl Answer for Seen {
    fn to_words(&self) -> Vec<u64> {
        let recent = self.recent.iter().flat_map(|(key, ranges)| {
            [(key >> 64) as u64, *key as u64].into_iter().chain(ranges.iter().map(ask::word))
        });
        self.ranges.iter().map(ask::word).chain(recent).collect()
    }

    fn of_words(&self, words: &[u64]) -> Option<Seen> {
        let (ranges, recent) = words.split_at_checked(self.ranges.len())?;
        let recent = recent.chunks(self.ranges.len() + 2).map(|words| match words {
            [high, low, ranges @ ..] if ranges.len() == self.ranges.len() => {
                Some((u128::from(*high) << 64 | u128::from(*low), ranges.iter().map(ask::range).collect()))
            }
            _ => None,
        });
        Some(Seen { ranges: ranges.iter().map(ask::range).collect(), recent: recent.collect::<Option<_>>()? })
    }

    fn add(&mut self, other: Seen) {
        self.ranges.iter_mut().zip(&other.ranges).for_each(|(range, other)| *range = range.union(*other));
        self.recent.extend(other.recent);
        // Sorting seldom keeps it cheap.
        if self.recent.len() > 2 * RECENT {
            self.forget();
        }
    }
}

fn observe(graph: &Graph, samples: &dyn Samples) -> Result<Seen> {
    if samples.total() == 0 {
        return Err(Error::input("the calibration data has no samples")
            .help("give some tens to hundreds of typical inputs"));
    }
    let executor = Executor::new(graph)?;
    ask(samples, ("ranges", graph, &[]), Seen::nothing(graph), || {
        let parts = by_worker(
            0..samples.len(),
            || Seen::nothing(graph),
            |seen, sample| {
                let mut ranges = vec![Range::default(); graph.values.len()];
                observe_sample(&executor, samples, sample, &mut ranges)?;
                seen.add(Seen { ranges: ranges.clone(), recent: vec![(samples.key(sample), ranges)] });
                Ok(())
            },
        )?;
        let mut whole = Seen::nothing(graph);
        parts.into_iter().for_each(|part| whole.add(part));
        whole.forget();
        Ok(whole)
    })
}

/// Histograms over known ranges, by value.
fn count(graph: &Graph, samples: &dyn Samples, ranges: &[Range]) -> Result<Vec<Histogram>> {
    let executor = Executor::new(graph)?;
    let fresh = || Counts(ranges.iter().copied().map(Histogram::new).collect());
    let over: Vec<u64> = ranges.iter().map(ask::word).collect();
    let counts = ask(samples, ("histograms", graph, &over), fresh(), || {
        let parts = by_worker(0..samples.len(), fresh, |histograms, sample| {
            run(&executor, samples, sample, &mut |id, data| {
                if let Some(histogram) = histograms.0.get_mut(id.0) {
                    histogram.observe(data);
                }
            })
            .map(drop)
        })?;
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_else(fresh);
        parts.for_each(|part| whole.add(part));
        Ok(whole)
    })?;
    Ok(counts.0)
}

/// A histogram of each value.
struct Counts(Vec<Histogram>);

impl Answer for Counts {
    fn to_words(&self) -> Vec<u64> {
        self.0.iter().flat_map(Histogram::counts).collect()
    }

    fn of_words(&self, words: &[u64]) -> Option<Counts> {
        let size = Histogram::COUNTS;
        let whole = words.len() == self.0.len() * size;
        whole.then(|| {
            Counts(
                self.0
                    .iter()
                    .zip(words.chunks(size))
                    .map(|(fresh, words)| fresh.with_counts(words))
                    .collect(),
            )
        })
    }

    fn add(&mut self, other: Counts) {
        self.0.iter_mut().zip(&other.0).for_each(|(merged, part)| merged.merge(part));
    }
}

/// Runs one sample and records its values.
fn observe_sample(
    executor: &Executor,
    samples: &dyn Samples,
    sample: usize,
    seen: &mut [Range],
) -> Result<()> {
    let mut refused = None;
    run(executor, samples, sample, &mut |id, data| match Range::of(data) {
        Some(range) => seen[id.0] = seen[id.0].union(range),
        None => drop(refused.get_or_insert((id, worst(data)))),
    })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Node, Op, UnaryKind, Value};

    struct Waves;

    impl Samples for Waves {
        fn len(&self) -> usize {
            103
        }

        fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
            let size = 1.0 + (index * 7 % 13) as f32;
            Ok(vec![(0..40).map(|i| ((index * 40 + i) as f32 * 0.7).sin() * size).collect()])
        }
    }

    #[test]
    fn parts_are_left_out_as_if_they_were_never_seen() {
        let mut graph = Graph::default();
        let mut value = |name: &str| {
            let (shape, dtype) = (vec![1, 40], DType::Float32);
            graph.add_value(Value { name: name.into(), shape, dtype, quantization: None, constant: None })
        };
        let (x, y) = (value("x"), value("y"));
        let op = Op::Unary(UnaryKind::Relu);
        graph.nodes.push(Node { name: "y".into(), op, inputs: vec![Some(x)], outputs: vec![y] });
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        let limits = Limits::default();
        let parts: Vec<Vec<usize>> = (0..5).map(|place| (place..103).step_by(5).collect()).collect();
        let without = Statistics::without_each(&graph, &Waves, &limits, &parts).unwrap();
        assert_eq!(without.len(), 5);
        for (statistics, part) in without.iter().zip(&parts) {
            let numbers: Vec<usize> = (0..103).filter(|sample| !part.contains(sample)).collect();
            let others = Chosen { of: &Waves, numbers: &numbers };
            let alone = Statistics::gather(&graph, &others, &limits, true).unwrap();
            assert_eq!(statistics.by(Calibration::MinMax), alone.by(Calibration::MinMax));
            // Sums round differently, and the cells are those of all samples.
            for (method, far) in [
                (Calibration::MovingAverage, 1e-4),
                (Calibration::Percentile(99.9), 0.05),
                (Calibration::Mse, 0.5),
            ] {
                for (found, wanted) in statistics.by(method).iter().zip(&alone.by(method)) {
                    let near = |a: f32, b: f32| (a - b).abs() < far;
                    let both = near(found.min, wanted.min) && near(found.max, wanted.max);
                    assert!(both, "{method}: {found:?}, {wanted:?}");
                }
            }
        }
    }
}
