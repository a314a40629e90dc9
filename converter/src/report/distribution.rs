//! How weights and activations are spread over the ranges that their integers reach.
//!
//! The numbers come from the float source: its weights, after the converter's passes, and its activations for
//! a few samples. The ranges are those of the file.

use std::collections::HashMap;

use ferrolite_runtime::Model;

use crate::compare::grid::{self, Grid};
use crate::compare::layer_values;
use crate::data::Dataset;
use crate::error::Result;
use crate::graph::{Constant, Graph, ValueId};
use crate::ops::weights_of;
use crate::parallel::spread;
use crate::passes;
use crate::reference::Executor;

/// Bars of a histogram.
pub const BINS: usize = 48;

/// Samples that activations are collected from.
const SAMPLES: usize = 16;

/// How often numbers fall into equal parts of their range.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Smallest number.
    pub min: f32,
    /// Largest number.
    pub max: f32,
    /// Numbers in each of [`BINS`] equal parts between the two.
    pub counts: Vec<u64>,
    /// Ends of the range that the integers reach; where channels differ, the widest channel's.
    pub range: Option<(f32, f32)>,
    /// Smallest and largest distance between two neighbours of the grid. They differ if the channels' do.
    pub steps: Option<(f32, f32)>,
    /// Share of the numbers that lie beyond the ends by more than half a step, and so saturate.
    pub saturated: f64,
}

/// The distributions of a layer's numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Its constant weights.
    pub weights: Option<Histogram>,
    /// Its first output for some samples.
    pub activations: Option<Histogram>,
}

/// The distributions of each op of a model; activations only if there are samples.
///
/// # Errors
/// When the source cannot be executed or the samples do not fit.
pub fn distributions(source: &Graph, model: &Model<'_>, data: Option<&Dataset>) -> Result<Vec<Distribution>> {
    let graph = passes::for_quantization(source);
    let grids = grid::of_values(&graph, model);
    let grid = |id: ValueId| grids[id.0];
    let values = layer_values(&graph, model);
    let producers = graph.producers();
    let activations = match data {
        Some(data) => activations(&graph, &values, &grid, data)?,
        None => vec![None; values.len()],
    };
    let layers = values.iter().zip(activations).zip(model.ops());
    let distribution = |((value, activations), op): ((&Option<ValueId>, _), &ferrolite_schema::Op)| {
        let node = value.and_then(|id: ValueId| producers.get(&id)).map(|&node| &graph.nodes[node]);
        let weights = node.and_then(|node| {
            let (weights, axis) = weights_of(&graph, node)?;
            let channels = weights.shape.get(axis).copied()?;
            let inner: usize = weights.shape.iter().skip(axis + 1).product::<usize>().max(1);
            let steps =
                grid::of_weights(model, op).filter(|steps| steps.len() == 1 || steps.len() == channels);
            let data = match weights.constant.as_ref()? {
                Constant::F32(data) => data.clone(),
                integers => integers.to_real(weights.quantization.as_ref(), &weights.shape),
            };
            let grids: Vec<Grid> = steps.into_iter().flatten().map(Grid::weights).collect();
            let of = |i: usize| match grids.len() {
                0 => None,
                count => grids.get(i / inner % channels % count).copied(),
            };
            let mut histogram = Histogram::empty(range_of(&data), &grids)?;
            data.iter().enumerate().for_each(|(i, &x)| histogram.add(x, of(i)));
            histogram.finish(data.len());
            Some(histogram)
        });
        Distribution { weights, activations }
    };
    Ok(layers.map(distribution).collect())
}

fn activations(
    graph: &Graph,
    values: &[Option<ValueId>],
    grid: &impl Fn(ValueId) -> Option<Grid>,
    data: &Dataset,
) -> Result<Vec<Option<Histogram>>> {
    let executor = Executor::new(graph)?;
    let samples: Vec<Vec<Vec<f32>>> =
        spread(data.len(), SAMPLES).map(|sample| data.real(sample)).collect::<Result<_>>()?;
    let run = |see: &mut dyn FnMut(ValueId, &[f32])| {
        samples.iter().try_for_each(|sample| {
            let inputs: Vec<&[f32]> = sample.iter().map(Vec::as_slice).collect();
            executor.run_observed(&inputs, see).map(|_| ())
        })
    };
    // Ranges come first and counts in a second run, because keeping all activations could take any amount of
    // memory.
    let mut ranges: HashMap<ValueId, (f32, f32)> =
        values.iter().flatten().map(|&id| (id, (f32::INFINITY, f32::NEG_INFINITY))).collect();
    run(&mut |id, data| {
        if let Some(range) = ranges.get_mut(&id) {
            let (min, max) = range_of(data);
            *range = (range.0.min(min), range.1.max(max));
        }
    })?;
    let mut histograms: HashMap<ValueId, (Histogram, usize)> = ranges
        .into_iter()
        .filter_map(|(id, range)| {
            let grids: Vec<Grid> = grid(id).into_iter().collect();
            Some((id, (Histogram::empty(range, &grids)?, 0)))
        })
        .collect();
    run(&mut |id, data| {
        if let Some((histogram, count)) = histograms.get_mut(&id) {
            let grid = grid(id);
            data.iter().for_each(|&x| histogram.add(x, grid));
            *count += data.len();
        }
    })?;
    let finished = |id: ValueId| {
        let (mut histogram, count) = histograms.get(&id).cloned()?;
        histogram.finish(count);
        Some(histogram)
    };
    Ok(values.iter().map(|value| value.and_then(finished)).collect())
}

/// Smallest and largest finite number. If there is none, the first is larger than the second.
fn range_of(data: &[f32]) -> (f32, f32) {
    let finite = data.iter().copied().filter(|x| x.is_finite());
    finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), x| (min.min(x), max.max(x)))
}

impl Histogram {
    /// An empty histogram; `None` if there are no numbers.
    fn empty((min, max): (f32, f32), grids: &[Grid]) -> Option<Histogram> {
        let live = grids.iter().filter(|grid| grid.step() > 0.0);
        let ends = live.clone().map(Grid::range).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let steps = live.map(|grid| (grid.step(), grid.step())).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        (min <= max).then(|| Histogram {
            min,
            max,
            counts: vec![0; BINS],
            range: ends,
            steps,
            saturated: 0.0,
        })
    }

    fn add(&mut self, x: f32, grid: Option<Grid>) {
        let width = f64::from(self.max) - f64::from(self.min);
        let place = (f64::from(x) - f64::from(self.min)) / width * BINS as f64;
        // A range of one number has width 0, so `place` may be NaN, which the cast turns into 0.
        let bin = (place as usize).min(BINS - 1);
        self.counts[bin] += 1;
        if let Some(grid) = grid.filter(|grid| grid.step() > 0.0) {
            let ((low, high), half) = (grid.range(), grid.step() / 2.0);
            if x < low - half || x > high + half {
                self.saturated += 1.0;
            }
        }
    }

    /// Turns the number of saturated elements into a share.
    fn finish(&mut self, count: usize) {
        self.saturated /= count.max(1) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::DType;

    #[test]
    fn numbers_are_counted_where_they_lie() {
        let grid = Grid::new(DType::Int8, (0.1, -128)).unwrap();
        let data = [0.0, 1.0, 12.75, 25.5, 30.0, -0.04, -0.1];
        let mut histogram = Histogram::empty(range_of(&data), &[grid]).unwrap();
        data.iter().for_each(|&x| histogram.add(x, Some(grid)));
        histogram.finish(data.len());
        assert_eq!((histogram.min, histogram.max), (-0.1, 30.0));
        assert_eq!(histogram.counts.iter().sum::<u64>(), 7);
        assert_eq!((histogram.counts[0], histogram.counts[BINS - 1]), (3, 1));
        let (low, high) = histogram.range.unwrap();
        assert!(low.abs() < 1e-6 && (high - 25.5).abs() < 1e-4, "{low} {high}");
        // 30 is beyond the end, and so is -0.1; -0.04 rounds to zero.
        assert_eq!(histogram.saturated, 2.0 / 7.0);
        assert_eq!(Histogram::empty(range_of(&[f32::NAN]), &[]), None);
        let mut flat = Histogram::empty(range_of(&[2.0, 2.0]), &[]).unwrap();
        flat.add(2.0, None);
        assert_eq!(flat.counts.iter().sum::<u64>(), 1);
    }
}
