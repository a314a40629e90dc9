//! The choice of how to quantize, by trial: what gives the smallest error of the outputs on samples that were
//! held back is taken, and then calibrated on all samples.
//!
//! Methods are tried first, then what can be added to the best of them. A trial has to be better by more
//! than chance, so that plain min/max remains where nothing helps: with some tens of samples held back, the
//! smallest error alone chose a moving average for a model that it made worse by 3 dB on the test set. It must not
//! lose on the samples that it was calibrated on either: what is cut off is rare, and may not be among those held
//! back (a dense network of 41 dB had 20 dB on its own calibration set). The winner meets min/max once more when
//! both have seen all samples, and where the other parts are held back in turn.

use super::calibrate::Statistics;
use super::far::Limits;
use super::judge::{Judge, Score};
use super::{Calibration, Options, OutputReport, Report, Samples, Trial, build, equalize};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::graph::holds_classes;
use crate::parallel::in_order;

/// Fewer samples are too few to hold some back.
const LEAST_SAMPLES: usize = 40;

/// Most samples that trials look at, one in five of them held back.
const MOST_SAMPLES: usize = 640;

/// Bytes of inputs that are held in memory for trials, unless `LEAST_SAMPLES` take more.
const HELD_BYTES: usize = 256 << 20;

/// Some of the samples, in memory: trials look at them often, and a file may be slow to read.
struct Subset(Vec<Vec<Vec<f32>>>);

impl Samples for Subset {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        self.0.get(index).cloned().ok_or_else(|| Error::input(format!("there is no sample {index}")))
    }
}

/// One sample in so many is held back.
const PARTS: usize = 5;

/// Most samples that the winner and min/max meet on once more.
const MOST_CONFIRMING: usize = 320;

/// The samples to calibrate trials on, and those that are held back: the one at `place` of every [`PARTS`], of
/// at most so many taken evenly from all.
fn split(graph: &Graph, samples: &dyn Samples, most: usize, place: usize) -> Result<[Subset; 2]> {
    let bytes: usize = graph.inputs.iter().map(|&id| graph.value(id).elements() * 4).sum();
    let affordable = (HELD_BYTES / bytes.max(1)).max(LEAST_SAMPLES);
    let (all, count) = (samples.len(), samples.len().min(most).min(affordable));
    let mut subsets = [Subset(Vec::new()), Subset(Vec::new())];
    let [shown, held] = &mut subsets;
    let taken = in_order(0..count, || (), |(), i| samples.sample(i * all / count))?;
    for (i, sample) in taken.into_iter().enumerate() {
        if i % PARTS == place { held.0.push(sample) } else { shown.0.push(sample) }
    }
    Ok(subsets)
}

/// Quantizes a graph in the way that turns out best.
pub fn quantize(
    graph: &Graph,
    samples: &dyn Samples,
    limits: &Limits,
    options: &Options,
) -> Result<(Graph, Report)> {
    // Looks at every sample, so that a bad one is reported by its number whatever the trials look at.
    let everything = Statistics::gather(graph, samples, limits, false)?;
    let plain = Options { calibration: Calibration::MinMax, ..*options };
    if samples.len() < LEAST_SAMPLES {
        return build(graph, &everything, samples, &plain);
    }
    let [shown, held] = split(graph, samples, MOST_SAMPLES, PARTS - 1)?;
    let judges = Judges { held: Judge::of_scores(graph, &held)?, shown: Judge::of_scores(graph, &shown)? };
    let classes = graph.outputs.first().is_some_and(|&id| holds_classes(graph, id));
    let mut trials: Vec<Trial> = Vec::new();
    let mut attempt = |graph: &Graph, statistics: &Statistics, options: Options| -> Result<Tried> {
        let (quantized, _) = build(graph, statistics, &shown, &options)?;
        let score = judges.held.score(&quantized)?;
        let agreement = classes.then_some(score.agreement);
        trials.push(Trial { options, error: score.error, agreement });
        Ok(Tried { score, options, quantized })
    };

    let statistics = Statistics::gather(graph, &shown, limits, true)?;
    let first = attempt(graph, &statistics, plain)?;
    let mut best = first.clone();
    for calibration in Calibration::METHODS.into_iter().skip(1) {
        let tried = attempt(graph, &statistics, Options { calibration, ..plain })?;
        if tried.score.error < best.score.error && judges.prefer(&tried, &first)? {
            best = tried;
        }
    }
    let mut equalized = (graph.clone(), statistics);
    if limits.is_empty() && equalize::equalize(&mut equalized.0, &shown)? > 0 {
        let statistics = Statistics::gather(&equalized.0, &shown, limits, true)?;
        let mut better: Option<Tried> = None;
        for calibration in [best.options.calibration, Calibration::MinMax, Calibration::Mse] {
            let options = Options { calibration, equalize: true, ..best.options };
            let tried = attempt(&equalized.0, &statistics, options)?;
            let leads = better.as_ref().is_none_or(|found| tried.score.error < found.score.error);
            if leads && judges.prefer(&tried, &best)? {
                better = Some(tried);
            }
        }
        match better {
            Some(found) => (best, equalized.1) = (found, statistics),
            None => equalized.0 = graph.clone(),
        }
    }
    let (changed, statistics) = &equalized;
    for change in [
        |options: &mut Options| options.clip_weights = true,
        |options: &mut Options| options.correct_bias = true,
    ] {
        let mut options = best.options;
        change(&mut options);
        let tried = attempt(changed, statistics, options)?;
        if judges.prefer(&tried, &best)? {
            best = tried;
        }
    }

    let finished = |everything: Statistics, chosen: &Options| {
        if chosen.equalize {
            super::quantize_by(graph, samples, limits, chosen)
        } else if Statistics::needs_histograms(chosen.calibration) {
            build(graph, &everything.with_histograms(graph, samples)?, samples, chosen)
        } else {
            build(graph, &everything, samples, chosen)
        }
    };
    let by_plain = build(graph, &everything, samples, &plain)?;
    let mut result = by_plain;
    let mut chosen = plain;
    if best.options != plain && confirmed(graph, samples, limits, [&best.options, &plain])? {
        let other = finished(everything, &best.options)?;
        if judges.holds(&other.0, &result.0)? {
            (result, chosen) = (other, best.options);
        }
    }
    let (quantized, mut report) = result;
    let gain = match chosen == plain {
        true => String::new(),
        false => {
            format!(
                ", with {:.0} % less error than minmax",
                100.0 * (1.0 - best.score.error / first.score.error)
            )
        }
    };
    report.notes.push(format!("chosen on {} samples held back: {chosen}{gain}", judges.held.len()));
    report.trials = trials;
    Ok((quantized, report))
}

/// Whether the first of two ways is better where every other part of the samples is held back in turn, too: rare
/// large numbers saturate what was cut off or made to fit closely, and a fifth of some tens of samples may hold
/// none.
fn confirmed(
    graph: &Graph,
    samples: &dyn Samples,
    limits: &Limits,
    [winner, plain]: [&Options; 2],
) -> Result<bool> {
    let mut errors = [0.0; 2];
    let mut lost = 0;
    for place in 0..PARTS - 1 {
        let [shown, held] = split(graph, samples, MOST_CONFIRMING, place)?;
        let judge = Judge::of_scores(graph, &held)?;
        let mut here = [0.0; 2];
        for (error, options) in here.iter_mut().zip([winner, plain]) {
            *error = judge.score(&super::quantize_by(graph, &shown, limits, options)?.0)?.error;
        }
        errors = [errors[0] + here[0], errors[1] + here[1]];
        lost += usize::from(here[0] > here[1]);
        if lost > 1 {
            return Ok(false);
        }
    }
    Ok(errors[0] < errors[1] * 0.98)
}

/// A way that was tried.
#[derive(Clone)]
struct Tried {
    score: Score,
    options: Options,
    quantized: Graph,
}

/// Both parts of the samples, with the float model's answers.
struct Judges {
    held: Judge,
    shown: Judge,
}

impl Judges {
    /// Whether a way is better than another one on samples held back, by more than chance, and no worse on
    /// those that both were calibrated on.
    fn prefer(&self, tried: &Tried, other: &Tried) -> Result<bool> {
        Ok(tried.score.beats(&other.score)
            && self.shown.score(&tried.quantized)?.error <= self.shown.score(&other.quantized)?.error)
    }

    /// Whether a graph is no worse than another one on either part.
    fn holds(&self, quantized: &Graph, other: &Graph) -> Result<bool> {
        for judge in [&self.held, &self.shown] {
            if judge.score(quantized)?.error > judge.score(other)?.error {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Held-back samples' verdict on a finished graph: how its outputs fare, on how many samples, and whether those were
/// held back. `held_back` makes the graph that is judged of the samples that are not, if it has to be another one.
pub fn judge(
    graph: &Graph,
    finished: &Graph,
    samples: &dyn Samples,
    held_back: &dyn Fn(&dyn Samples) -> Result<Option<Graph>>,
) -> Result<(Vec<OutputReport>, (usize, bool))> {
    let [shown, held] = split(graph, samples, MOST_SAMPLES, PARTS - 1)?;
    let few = samples.len() < LEAST_SAMPLES;
    let judge = if few { Judge::of_outputs(graph, samples)? } else { Judge::of_outputs(graph, &held)? };
    let trial = if few { None } else { held_back(&shown)? };
    let outputs = judge.outputs(graph, trial.as_ref().unwrap_or(finished))?;
    Ok((outputs, (judge.len(), !few)))
}
