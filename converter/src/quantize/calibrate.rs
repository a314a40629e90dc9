//! Calibration: runs the float model on every sample, and keeps statistics of each layer's numbers.
//!
//! Samples run in parallel. The result does not depend on the number of threads: extremes and counts do not
//! depend on the order of the samples, sums that round are added in parts of a fixed size, and of several
//! errors the one of the first sample is reported. Memory does not depend on the number of samples.

use std::collections::HashMap;

use rayon::prelude::*;

use super::far::{Limits, inside};
use super::histogram::Histogram;
use super::method::Calibration;
use super::range::Range;
use super::samples::{Samples, run};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::parallel::{self, by_worker};
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
}

/// Weight of a sample in a moving average.
const NEWEST: f64 = 0.01;

/// Samples that a thread takes at a time.
const PART: usize = 8;

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
        let mut ranges: Vec<Range> = seen.iter().map(|seen| seen.range).collect();
        let mut averages: Vec<Range> = seen.iter().map(Seen::average).collect();
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
        let fresh = || vec![vec![Seen::default(); graph.values.len()]; parts.len()];
        let seen = by_parts(samples.len(), fresh(), |numbers| {
            let mut without = fresh();
            for sample in numbers {
                let mut seen = vec![Seen::default(); graph.values.len()];
                observe_sample(&executor, samples, sample, &mut seen)?;
                let others = without.iter_mut().zip(parts).filter(|(_, part)| !part.contains(&sample));
                others.for_each(|(merged, _)| merge(merged, &seen));
            }
            Ok(without)
        })?;
        let ends = |of: &dyn Fn(&Seen) -> Range, seen: &[Seen]| {
            let mut ranges: Vec<Range> = seen.iter().map(of).collect();
            limits.cut(&mut ranges);
            ranges
        };
        let ranges: Vec<Vec<Range>> = seen.iter().map(|seen| ends(&|seen| seen.range, seen)).collect();
        let mut whole = vec![Range::default(); graph.values.len()];
        for ranges in &ranges {
            whole.iter_mut().zip(ranges).for_each(|(whole, range)| *whole = whole.union(*range));
        }
        let counted = parts
            .iter()
            .map(|part| count(graph, &Chosen { of: samples, numbers: part }, &whole))
            .collect::<Result<Vec<_>>>()?;
        let without = |(index, (ranges, seen)): (usize, (Vec<Range>, &Vec<Seen>))| {
            let mut histograms: Vec<Histogram> = whole.iter().copied().map(Histogram::new).collect();
            for (_, part) in counted.iter().enumerate().filter(|(part, _)| *part != index) {
                histograms.iter_mut().zip(part).for_each(|(all, part)| all.merge(part));
            }
            let averages = ends(&Seen::average, seen);
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

/// What is recorded of a value while the samples run.
#[derive(Clone, Copy, Default)]
struct Seen {
    range: Range,
    /// Weighted sums of the samples' smallest and largest numbers; the newest has the weight [`NEWEST`].
    sums: [f64; 2],
    /// Number of samples in the sums.
    samples: i32,
}

impl Seen {
    /// Records a value's elements; returns false if one of them cannot be quantized.
    fn observe(&mut self, data: &[f32]) -> bool {
        let Some(range) = Range::of(data) else { return false };
        self.merge(&Seen {
            range,
            sums: [range.min, range.max].map(|end| NEWEST * f64::from(end)),
            samples: 1,
        });
        true
    }

    /// Adds the record of later samples.
    fn merge(&mut self, later: &Seen) {
        self.range = self.range.union(later.range);
        let fade = (1.0 - NEWEST).powi(later.samples);
        for (sum, later) in self.sums.iter_mut().zip(later.sums) {
            *sum = *sum * fade + later;
        }
        self.samples = self.samples.saturating_add(later.samples);
    }

    /// The moving averages, with weights that add up to 1.
    fn average(&self) -> Range {
        let weights = 1.0 - (1.0 - NEWEST).powi(self.samples);
        let [min, max] = self.sums.map(|sum| if weights > 0.0 { (sum / weights) as f32 } else { 0.0 });
        // Rounding must not lead beyond the extremes.
        Range { min: min.max(self.range.min), max: max.min(self.range.max) }
    }
}

fn observe(graph: &Graph, samples: &dyn Samples) -> Result<Vec<Seen>> {
    if samples.is_empty() {
        return Err(Error::input("the calibration data has no samples")
            .help("give some tens to hundreds of typical inputs"));
    }
    let executor = Executor::new(graph)?;
    let fresh = || vec![Seen::default(); graph.values.len()];
    let mut seen = by_parts(samples.len(), vec![fresh()], |numbers| {
        let mut seen = fresh();
        for sample in numbers {
            observe_sample(&executor, samples, sample, &mut seen)?;
        }
        Ok(vec![seen])
    })?;
    Ok(seen.swap_remove(0))
}

/// The records of several views of the samples. They are made from parts of a fixed size instead of one for
/// each thread, so that averages always round the same.
fn by_parts(
    samples: usize,
    fresh: Vec<Vec<Seen>>,
    see: impl Fn(std::ops::Range<usize>) -> Result<Vec<Vec<Seen>>> + Sync,
) -> Result<Vec<Vec<Seen>>> {
    let part = |index: usize| see(index * PART..((index + 1) * PART).min(samples));
    let add = |merged: &mut Vec<Vec<Seen>>, later: Vec<Vec<Seen>>| {
        merged.iter_mut().zip(&later).for_each(|(merged, later)| merge(merged, later));
    };
    parallel::fold(0..samples.div_ceil(PART), fresh, part, add)
}

fn merge(merged: &mut [Seen], later: &[Seen]) {
    merged.iter_mut().zip(later).for_each(|(merged, later)| merged.merge(later));
}

/// Histograms over known ranges, by value.
fn count(graph: &Graph, samples: &dyn Samples, ranges: &[Range]) -> Result<Vec<Histogram>> {
    let executor = Executor::new(graph)?;
    let fresh = || ranges.iter().copied().map(Histogram::new).collect::<Vec<_>>();
    let mut parts = by_worker(0..samples.len(), fresh, |histograms, sample| {
        run(&executor, samples, sample, &mut |id, data| {
            if let Some(histogram) = histograms.get_mut(id.0) {
                histogram.observe(data);
            }
        })
        .map(drop)
    })?
    .into_iter();
    let mut merged = parts.next().unwrap_or_else(fresh);
    for part in parts {
        for (merged, part) in merged.iter_mut().zip(&part) {
            merged.merge(part);
        }
    }
    Ok(merged)
}

/// Runs one sample and records its values.
fn observe_sample(
    executor: &Executor,
    samples: &dyn Samples,
    sample: usize,
    seen: &mut [Seen],
) -> Result<()> {
    let mut refused = None;
    run(executor, samples, sample, &mut |id, data| {
        if !seen[id.0].observe(data) {
            refused.get_or_insert((id, worst(data)));
        }
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
