//! Chooses how to quantize by trial: takes the way that gives the smallest error of the outputs on samples
//! that were held back, and then calibrates on all samples.
//!
//! The samples are divided into five parts. Each way is calibrated on four of them and judged on the fifth,
//! for each fifth in turn, so that every sample is held back once. A way that loses on the first parts is not
//! tried on the others. Methods are tried first, then additions to the best of them. A way that replaces
//! min/max must be better by more than chance (`evidence`), and no worse than min/max on the samples that
//! both were calibrated on.

use super::build::{build, quantize_by};
use super::calibrate::{Chosen, Statistics};
use super::equalize;
use super::evidence;
use super::far::Limits;
use super::judge::{Judge, Score};
use super::method::Calibration;
use super::report::{Options, OutputReport, Report, Trial};
use super::samples::{Held, MOST_DRAWN, Samples, affordable};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::holds_classes;

/// With fewer samples, none are held back.
const LEAST_SAMPLES: usize = 40;

/// Most samples that trials use, each held back once.
const MOST_TRIED: usize = 320;

/// Most samples for the verdict on the finished graph, of which one in five is held back.
const MOST_JUDGED: usize = MOST_DRAWN;

/// One sample in so many is held back.
const PARTS: usize = 5;

/// At most so many of the samples, in memory, because trials use them often and a file may be slow to read.
fn subset(graph: &Graph, samples: &dyn Samples, most: usize) -> Result<Held> {
    let bytes = graph.inputs.iter().map(|&id| graph.value(id).elements() * 4).sum();
    Ok(Held(samples.drawn(affordable(bytes, most))?))
}

/// Quantizes a graph in the best way that trials find.
pub fn quantize(
    graph: &Graph,
    samples: &dyn Samples,
    limits: &Limits,
    options: &Options,
) -> Result<(Graph, Report)> {
    // Reads every sample, so that a bad one is reported by its number whichever samples the trials use.
    let everything = Statistics::gather(graph, samples, limits, false)?;
    let plain = Options { calibration: Calibration::MinMax, ..*options };
    let by_plain = build(graph, &everything, samples, &plain)?;
    if samples.total() < LEAST_SAMPLES {
        return Ok(by_plain);
    }
    let subset = subset(graph, samples, MOST_TRIED)?;
    let mut course = Course::new(graph, &subset, limits, &plain)?;
    course.run()?;
    let Course { judge, tried, trials, .. } = course;
    let (mut result, mut note) = (by_plain, plain.to_string());
    // The error on the samples that both were calibrated on.
    let own = judge.score(&result.0)?.error();
    for (Tried { options, score, .. }, first) in better(&tried) {
        let other = quantize_by(graph, samples, limits, options)?;
        if judge.score(&other.0)?.error() <= own {
            let less = 100.0 * (1.0 - score.error() / first.error());
            note = format!("{options}, with {less:.0} % less error than minmax");
            result = other;
            break;
        }
    }
    let (quantized, mut report) = result;
    report.notes.push(format!("chosen on {} samples, each held back once: {note}", judge.len()));
    report.trials = trials;
    Ok((quantized, report))
}

/// A way that was tried on all parts, and its score on samples held back.
struct Tried {
    options: Options,
    score: Score,
    agreement: Option<f64>,
}

impl Tried {
    /// Whether this is better by more than chance, and changes the class of no more samples.
    fn surpasses(&self, other: &Tried) -> bool {
        evidence::is_better(self.score.parts(), other.score.parts()) && self.agreement >= other.agreement
    }
}

/// The ways that are better than the first one, with their scores, the best one first.
fn better(tried: &[Tried]) -> Vec<(&Tried, &Score)> {
    let Some((first, others)) = tried.split_first() else { return Vec::new() };
    let mut better: Vec<&Tried> = others.iter().filter(|tried| tried.surpasses(first)).collect();
    better.sort_by(|a, b| a.score.error().total_cmp(&b.score.error()));
    better.into_iter().map(|tried| (tried, &first.score)).collect()
}

/// A graph with the samples that a way is calibrated on and those that it is judged by.
struct Fold {
    graph: Graph,
    statistics: Statistics,
    shown: Vec<usize>,
    held: Vec<usize>,
}

/// The trials of a graph.
struct Course<'a> {
    graph: &'a Graph,
    samples: &'a Held,
    limits: &'a Limits,
    judge: Judge,
    plain: Options,
    /// The ways that were not given up, min/max first.
    tried: Vec<Tried>,
    trials: Vec<Trial>,
}

impl<'a> Course<'a> {
    fn new(graph: &'a Graph, samples: &'a Held, limits: &'a Limits, plain: &Options) -> Result<Course<'a>> {
        let judge = Judge::of_scores(graph, samples)?;
        Ok(Course { graph, samples, limits, judge, plain: *plain, tried: Vec::new(), trials: Vec::new() })
    }

    /// Tries methods, then additions to the best of them.
    fn run(&mut self) -> Result<()> {
        let folds = self.folds()?;
        for calibration in Calibration::METHODS {
            self.attempt(&folds, Options { calibration, ..self.plain })?;
        }
        let equalized = self.equalized(&folds)?;
        let best = self.best();
        let of = |options: &Options| if options.equalize { &equalized } else { &folds };
        self.attempt(of(&best), Options { clip_weights: true, ..best })?;
        // Bias correction saturates nothing, so it may help even if no other addition does.
        let best = self.best();
        self.attempt(of(&best), Options { correct_bias: true, ..best })?;
        if best != self.plain && better(&self.tried).is_empty() {
            self.attempt(&folds, Options { correct_bias: true, ..self.plain })?;
        }
        Ok(())
    }

    /// The unchanged graph, with each part of the samples held back in turn.
    fn folds(&self) -> Result<Vec<Fold>> {
        let count = self.samples.len();
        let parts: Vec<Vec<usize>> =
            (0..PARTS).map(|place| (place..count).step_by(PARTS).collect()).collect();
        let statistics = Statistics::without_each(self.graph, self.samples, self.limits, &parts)?;
        let fold = |(statistics, held): (Statistics, Vec<usize>)| Fold {
            graph: self.graph.clone(),
            statistics,
            shown: (0..count).filter(|sample| !held.contains(sample)).collect(),
            held,
        };
        Ok(statistics.into_iter().zip(parts).map(fold).collect())
    }

    /// Tries equalized channels if there are any, and returns the folds with such graphs.
    fn equalized(&mut self, folds: &[Fold]) -> Result<Vec<Fold>> {
        // Limits were found for the channels before equalization.
        if !self.limits.is_empty() {
            return Ok(Vec::new());
        }
        let parts: Vec<Vec<usize>> = folds.iter().map(|fold| fold.held.clone()).collect();
        let graphs = equalize::without_each(self.graph, self.samples, &parts)?;
        if graphs.is_empty() {
            return Ok(Vec::new());
        }
        let mut equalized = Vec::new();
        for (graph, fold) in graphs.into_iter().zip(folds) {
            let shown = Chosen { of: self.samples, numbers: &fold.shown };
            let statistics = Statistics::gather(&graph, &shown, self.limits, false)?;
            equalized.push(Fold { graph, statistics, shown: fold.shown.clone(), held: fold.held.clone() });
        }
        let best = self.best();
        let way = |calibration| Options { calibration, equalize: true, ..best };
        let hopeful = self.attempt(&equalized, way(Calibration::MinMax))?;
        // The smallest squared error was tried with equalized channels too, and gained nothing on some
        // hundred networks.
        if hopeful && best.calibration != Calibration::MinMax {
            if Statistics::needs_histograms(best.calibration) {
                for fold in &mut equalized {
                    let shown = Chosen { of: self.samples, numbers: &fold.shown };
                    fold.statistics.settle_on(&fold.graph, &shown, &[best.calibration])?;
                }
            }
            self.attempt(&equalized, way(best.calibration))?;
        }
        Ok(equalized)
    }

    /// The way with the least error so far.
    fn best(&self) -> Options {
        let least = self.tried.iter().min_by(|a, b| a.score.error().total_cmp(&b.score.error()));
        least.map_or(self.plain, |tried| tried.options)
    }

    /// Tries a way; returns whether it was not given up.
    fn attempt(&mut self, folds: &[Fold], options: Options) -> Result<bool> {
        let first = self.tried.first().map(|tried| &tried.score);
        let (mut score, mut hopeless) = (Score::default(), false);
        for Fold { graph, statistics, shown, held } in folds {
            let shown = Chosen { of: self.samples, numbers: shown };
            let (quantized, _) = build(graph, statistics, &shown, &options)?;
            score.extend(self.judge.score_of(&quantized, held)?);
            hopeless = first.is_some_and(|first| evidence::is_hopeless(score.parts(), first.parts()));
            if hopeless {
                break;
            }
        }
        let classes = self.graph.outputs.first().is_some_and(|&id| holds_classes(self.graph, id));
        let agreement = classes.then_some(score.agreement());
        // If a way was given up, its error on the parts that were tried is extrapolated to the others.
        let there: f64 = first.unwrap_or(&score).parts().iter().take(score.parts().len()).sum();
        let whole = first.unwrap_or(&score).error();
        let error = if there > 0.0 { score.error() / there * whole } else { score.error() };
        self.trials.push(Trial { options, error, agreement });
        if !hopeless {
            self.tried.push(Tried { options, score, agreement });
        }
        Ok(!hopeless)
    }
}

/// The verdict of held-back samples on a finished graph: how accurate its outputs are, on how many samples,
/// and whether those were held back. If a separate graph has to be judged, `held_back` makes it from the
/// samples that are not held back.
pub fn judge(
    graph: &Graph,
    finished: &Graph,
    samples: &dyn Samples,
    held_back: &dyn Fn(&dyn Samples) -> Result<Option<Graph>>,
) -> Result<(Vec<OutputReport>, (usize, bool))> {
    if samples.total() < LEAST_SAMPLES {
        let mut judge = match graph.states.is_empty() {
            true => Judge::of_outputs(graph, &Held(samples.drawn(LEAST_SAMPLES)?))?,
            false => Judge::of_outputs(graph, samples)?,
        };
        if !graph.states.is_empty() && samples.is_sequence() {
            judge = judge.in_order();
        }
        return Ok((judge.outputs(graph, finished)?, (judge.len(), false)));
    }
    if !graph.states.is_empty() {
        // The end of the sequence, which errors of the states go through.
        let first = samples.len() - samples.len() / PARTS;
        let held: Vec<usize> = (first..samples.len()).take(MOST_JUDGED).collect();
        let shown: Vec<usize> = (0..first).collect();
        let judge = Judge::of_outputs(graph, &Chosen { of: samples, numbers: &held })?;
        let judge = if samples.is_sequence() { judge.in_order() } else { judge };
        let trial = held_back(&Chosen { of: samples, numbers: &shown })?;
        let outputs = judge.outputs(graph, trial.as_ref().unwrap_or(finished))?;
        return Ok((outputs, (judge.len(), true)));
    }
    let subset = subset(graph, samples, MOST_JUDGED)?;
    let (mut shown, mut held) = (Vec::new(), Vec::new());
    for (i, sample) in subset.0.into_iter().enumerate() {
        if i % PARTS == PARTS - 1 { held.push(sample) } else { shown.push(sample) }
    }
    let judge = Judge::of_outputs(graph, &Held(held))?;
    let trial = held_back(&Held(shown))?;
    let outputs = judge.outputs(graph, trial.as_ref().unwrap_or(finished))?;
    Ok((outputs, (judge.len(), true)))
}
