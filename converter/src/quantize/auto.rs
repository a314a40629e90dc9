//! The choice of how to quantize, by trial: what gives the smallest error of the outputs on samples that were
//! held back is taken, and then calibrated on all samples.
//!
//! Methods are tried first, then what can be added to the best of them. A trial has to be better by more
//! than chance, so that plain min/max remains where nothing helps: with some tens of samples held back, the
//! smallest error alone chose a moving average for a model that it made worse by 3 dB on the test set.

use super::calibrate::Statistics;
use super::judge::{Judge, Score};
use super::{Calibration, Options, Report, Samples, Trial, build, equalize};
use crate::error::{Error, Result};
use crate::graph::Graph;
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

/// The samples to calibrate trials on, and those that are held back: every fifth of samples taken evenly
/// from all.
fn split(graph: &Graph, samples: &dyn Samples) -> Result<[Subset; 2]> {
    let bytes: usize = graph.inputs.iter().map(|&id| graph.value(id).elements() * 4).sum();
    let affordable = (HELD_BYTES / bytes.max(1)).max(LEAST_SAMPLES);
    let (all, count) = (samples.len(), samples.len().min(MOST_SAMPLES).min(affordable));
    let mut subsets = [Subset(Vec::new()), Subset(Vec::new())];
    let [shown, held] = &mut subsets;
    let taken = in_order(0..count, || (), |(), i| samples.sample(i * all / count))?;
    for (i, sample) in taken.into_iter().enumerate() {
        if i % 5 == 4 { held.0.push(sample) } else { shown.0.push(sample) }
    }
    Ok(subsets)
}

/// Quantizes a graph in the way that turns out best.
pub fn quantize(graph: &Graph, samples: &dyn Samples, options: &Options) -> Result<(Graph, Report)> {
    // Looks at every sample, so that a bad one is reported by its number whatever the trials look at.
    let everything = Statistics::gather(graph, samples, false)?;
    let plain = Options { calibration: Calibration::MinMax, ..*options };
    if samples.len() < LEAST_SAMPLES {
        return build(graph, &everything, samples, &plain);
    }
    let [shown, held] = split(graph, samples)?;
    let judge = Judge::of_scores(graph, &held)?;
    let mut trials: Vec<Trial> = Vec::new();
    let mut attempt = |graph: &Graph, statistics: &Statistics, options: Options| -> Result<Score> {
        let (quantized, _) = build(graph, statistics, &shown, &options)?;
        let score = judge.score(&quantized)?;
        trials.push(Trial { options, error: score.error, agreement: score.agreement });
        Ok(score)
    };

    let statistics = Statistics::gather(graph, &shown, true)?;
    let first = attempt(graph, &statistics, plain)?;
    let mut best = (first.clone(), plain);
    for calibration in Calibration::METHODS.into_iter().skip(1) {
        let options = Options { calibration, ..plain };
        let score = attempt(graph, &statistics, options)?;
        if score.beats(&first) && score.error < best.0.error {
            best = (score, options);
        }
    }
    let mut equalized = (graph.clone(), statistics);
    if equalize::equalize(&mut equalized.0, &shown)? > 0 {
        let statistics = Statistics::gather(&equalized.0, &shown, true)?;
        let mut better = None;
        for calibration in [best.1.calibration, Calibration::MinMax, Calibration::Mse] {
            let options = Options { calibration, equalize: true, ..best.1 };
            let score = attempt(&equalized.0, &statistics, options)?;
            if score.beats(&best.0)
                && better.as_ref().is_none_or(|(found, _): &(Score, _)| score.error < found.error)
            {
                better = Some((score, options));
            }
        }
        match better {
            Some(found) => (best, equalized.1) = (found, statistics),
            None => equalized.0 = graph.clone(),
        }
    }
    let (tried, statistics) = &equalized;
    for change in [
        |options: &mut Options| options.clip_weights = true,
        |options: &mut Options| options.correct_bias = true,
    ] {
        let mut options = best.1;
        change(&mut options);
        let score = attempt(tried, statistics, options)?;
        if score.beats(&best.0) {
            best = (score, options);
        }
    }

    let chosen = best.1;
    let (quantized, mut report) = if chosen.equalize {
        super::quantize_by(graph, samples, &chosen)?
    } else if Statistics::needs_histograms(chosen.calibration) {
        build(graph, &everything.with_histograms(graph, samples)?, samples, &chosen)?
    } else {
        build(graph, &everything, samples, &chosen)?
    };
    let gain = match chosen == plain {
        true => String::new(),
        false => format!(", against {:.1} dB by minmax alone", first.decibels()),
    };
    report.notes.push(format!(
        "chosen on {} samples held back: {chosen}; signal to noise {:.1} dB, agreement {:.1} %{gain}",
        judge.len(),
        best.0.decibels(),
        100.0 * best.0.agreement,
    ));
    report.trials = trials;
    Ok((quantized, report))
}
