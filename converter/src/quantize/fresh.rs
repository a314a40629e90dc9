//! Untrained networks on samples that calibration never saw: there, too, the way chosen by trial is no worse
//! than min/max.

use super::judge::Judge;
use super::models::Rows;
use super::*;
use crate::graph::{Activation, Constant, DType, FullyConnected, Node, Op, Value};

/// Difference in decibels between two ways that are equally good.
const NOISE: f64 = 0.3;

/// Random numbers, the same on every run.
struct Random(u64);

impl Random {
    /// Between 0 and 1, neither included.
    fn uniform(&mut self) -> f32 {
        // Knuth's MMIX generator; its upper bits are good.
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 41) as f32 + 0.5) / (1 << 23) as f32
    }

    fn below(&mut self, end: usize) -> usize {
        (self.uniform() * end as f32) as usize
    }

    fn normal(&mut self) -> f32 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f32::consts::TAU * self.uniform()).cos()
    }

    /// Numbers with light, heavier or heavy tails.
    fn drawn(&mut self, tails: usize) -> f32 {
        match tails {
            0 => self.normal(),
            1 => self.normal() * -self.uniform().ln(),
            2 => self.normal().exp(),
            _ => {
                self.normal() / (self.normal().powi(2) + self.normal().powi(2) + self.normal().powi(2)).sqrt()
            }
        }
    }
}

/// Dense layers of random shape and weights, with samples for calibration and others for judging.
fn network(seed: u64) -> (Graph, Rows, Rows) {
    let random = &mut Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut graph = Graph::default();
    let mut value = |shape: &[usize], constant: Option<Vec<f32>>| {
        graph.add_value(Value {
            name: format!("v{}", graph.values.len()),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant: constant.map(Constant::F32),
        })
    };
    let features = [2, 8, 24][random.below(3)];
    let input = value(&[1, features], None);
    let (mut nodes, mut last, mut inner) = (Vec::new(), input, features);
    let layers = 2 + random.below(2);
    for layer in 0..layers {
        let outer = [4, 8, 24][random.below(3)];
        let (tails, spread) = (random.below(4), [0.0, 2.0][random.below(2)]);
        let mut weights = Vec::new();
        for _ in 0..outer {
            let size = (spread * random.normal()).exp() / (inner as f32).sqrt();
            weights.extend((0..inner).map(|_| random.drawn(tails) * size));
        }
        let bias = (0..outer).map(|_| 0.3 * random.normal()).collect();
        let operands = [last, value(&[outer, inner], Some(weights)), value(&[outer], Some(bias))];
        let activation = if layer + 1 < layers { Activation::Relu } else { Activation::None };
        (last, inner) = (value(&[1, outer], None), outer);
        nodes.push(Node {
            name: format!("dense{layer}"),
            op: Op::FullyConnected(FullyConnected { activation }),
            inputs: operands.map(Some).to_vec(),
            outputs: vec![last],
        });
    }
    graph.nodes = nodes;
    (graph.inputs, graph.outputs) = (vec![input], vec![last]);
    let (tails, rare) = (random.below(4), random.below(3) == 0);
    let scales: Vec<f32> = (0..features).map(|_| random.normal().exp()).collect();
    let mut rows = |count: usize| {
        let row = |_| {
            let size = if rare && random.below(30) == 0 { 5.0 } else { 1.0 };
            scales.iter().map(|scale| random.drawn(tails) * scale * size).collect()
        };
        Rows((0..count).map(row).collect())
    };
    let calibration = rows(120);
    (graph, calibration, rows(500))
}

#[test]
fn what_is_chosen_holds_on_fresh_samples() {
    let mut gains = Vec::new();
    for seed in 0..20 {
        let (graph, calibration, fresh) = network(seed);
        let (auto, report) = quantize(&graph, &calibration, &Options::default()).expect("quantizes");
        let minmax = Options { calibration: Calibration::MinMax, ..Options::default() };
        let (plain, _) = quantize(&graph, &calibration, &minmax).expect("quantizes");
        let judge = Judge::of_outputs(&graph, &fresh).expect("runs");
        let decibels = |graph| judge.score(graph).expect("runs").decibels();
        gains.push((decibels(&auto) - decibels(&plain), seed, report.options.to_string()));
    }
    let lost: Vec<_> = gains.iter().filter(|(gain, ..)| *gain < -NOISE).collect();
    assert!(lost.is_empty(), "decibels less than min/max, seed, way: {lost:?}");
    let best = gains.iter().map(|(gain, ..)| *gain).fold(0.0, f64::max);
    assert!(best > NOISE, "min/max alone would do as well: {gains:?}");
}

/// Calibration may only cut off what is rare; here, large samples are, and each part holds a few.
#[test]
fn what_clips_rare_samples_is_not_chosen() {
    let weights: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 / 32.0 - 1.0) * 0.5).collect();
    let mut graph = Graph::default();
    let mut value = |name: &str, shape: &[usize], constant: Option<Vec<f32>>| {
        graph.add_value(Value {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant: constant.map(Constant::F32),
        })
    };
    let (x, w, y) =
        (value("x", &[1, 8], None), value("w", &[8, 8], Some(weights)), value("y", &[1, 8], None));
    let op = Op::FullyConnected(FullyConnected { activation: Activation::None });
    graph.nodes.push(Node { name: "y".into(), op, inputs: vec![Some(x), Some(w)], outputs: vec![y] });
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let sample = |i: usize| -> Vec<f32> {
        let size = if i.is_multiple_of(10) { 40.0 } else { 1.0 };
        (0..8).map(|j| ((i * 8 + j) as f32 * 1.7).sin() * size).collect()
    };
    let samples = Rows((0..200).map(sample).collect());
    let (_, report) = quantize(&graph, &samples, &Options::default()).expect("quantizes");
    assert_eq!(report.options.calibration, Calibration::MinMax, "{:?}", report.trials);
    let clipping = |trial: &&Trial| trial.options.calibration == Calibration::Percentile(99.9);
    assert!(report.trials.iter().any(|trial| clipping(&trial)), "it was tried");
    assert_eq!(report.judged, (40, true));
    assert!(report.outputs[0].sqnr_db.is_some_and(|decibels| decibels > 10.0), "{:?}", report.outputs);
}
