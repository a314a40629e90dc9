//! Runs the trained float models on whole test sets, and compares what quantization costs with TensorFlow's
//! own conversion. `cargo test --release -p ferrolite accuracy -- --nocapture` prints the table.

use std::path::Path;

use super::judge::{Judge, Score};
use super::models::Rows;
use super::*;
use crate::data::npz::Npz;
use crate::shared_models::rows;
use crate::{import, passes};

/// A classifier: its name, its data set, the divisor of the data set's numbers, and the share of the whole
/// test set that a build without optimisation has time for.
const CLASSIFIERS: [(&str, &str, f32, usize); 4] = [
    ("digits_mlp", "digits", 16.0, 1),
    ("watch_conv1d", "watch", 1.0, 1),
    ("mnist_cnn", "mnist", 255.0, 20),
    ("fashion_dsres", "fashion", 255.0, 20),
];

/// This build takes every n-th sample.
fn every(share: usize) -> usize {
    if cfg!(debug_assertions) { share } else { 1 }
}

fn graph(folder: &Path, name: &str) -> Graph {
    let file = folder.join("trained").join(name).join(format!("{name}_float.tflite"));
    let mut graph = import::load(&file).expect("imports").graph;
    passes::optimise(&mut graph);
    graph
}

fn calibration(folder: &Path, name: &str) -> Rows {
    let file = folder.join("trained").join(name).join("test_and_cal.npz");
    Rows(rows(&mut Npz::open(&file).expect("data lies beside"), "cal_x"))
}

/// A figure of `accuracy.json` for a model on the whole test set.
fn figure(folder: &Path, name: &str, engine: &str, what: &str) -> f64 {
    let text = std::fs::read_to_string(folder.join("accuracy.json")).expect("readable");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json[name][engine][what].as_f64().expect("the figure is there")
}

/// The ways to quantize that the table compares.
fn ways() -> Vec<Options> {
    let of = |calibration| Options { calibration, ..Options::default() };
    let minmax = of(Calibration::MinMax);
    let mut ways = vec![of(Calibration::Auto)];
    if !cfg!(debug_assertions) {
        ways.extend(Calibration::METHODS.map(of));
        ways.push(Options { equalize: true, ..minmax });
        ways.push(Options { clip_weights: true, ..minmax });
        ways.push(Options { correct_bias: true, ..minmax });
        ways.push(Options { correct_bias: true, equalize: true, ..minmax });
    }
    ways
}

fn score(
    judge: &Judge,
    float: &Graph,
    samples: &Rows,
    way: &Options,
    labels: &[usize],
) -> (Score, f64, String) {
    let (quantized, report) = quantize(float, samples, way).expect("quantizes");
    let score = judge.score(&quantized).expect("runs");
    let right = judge.right(&quantized, labels).expect("runs");
    (score, right, report.options.to_string())
}

#[test]
fn whole_test_sets_are_as_good_as_tensorflows() {
    let Some(folder) = ferrolite_shared::models() else { return };
    println!("| model | way | accuracy | TensorFlow int8 | float | signal to noise | agreement |");
    for (name, set, divisor, share) in CLASSIFIERS {
        let float = graph(&folder, name);
        let samples = calibration(&folder, name);
        let mut data = Npz::open(&folder.join("datasets").join(format!("{set}.npz"))).expect("a data set");
        let (x, y) = (rows(&mut data, "x_test"), rows(&mut data, "y_test"));
        let step = every(share);
        let x: Vec<Vec<f32>> =
            x.iter().step_by(step).map(|row| row.iter().map(|x| x / divisor).collect()).collect();
        let labels: Vec<usize> = y.iter().step_by(step).map(|row| row[0] as usize).collect();
        let judge = Judge::of_outputs(&float, &Rows(x)).expect("runs");
        let tensorflow = figure(&folder, name, "int8_tf", "accuracy");
        let float_right = judge.float_right(&labels);
        for (index, way) in ways().iter().enumerate() {
            let (score, right, done) = score(&judge, &float, &samples, way, &labels);
            let auto = if index == 0 { "auto: " } else { "" };
            println!(
                "| {name} | {auto}{done} | {right:.4} | {tensorflow:.4} | {float_right:.4} | {:.2} dB | {:.4} |",
                score.decibels(),
                score.agreement()
            );
            // All ways are good on these models; the default has to be.
            if index == 0 {
                assert!(right >= float_right - 0.005, "{name}: {right} is far below float, {float_right}");
                assert!(step > 1 || right >= tensorflow - 0.001, "{name}: {right}, TensorFlow {tensorflow}");
            }
        }
        if step == 1 {
            let expected = figure(&folder, name, "eval_float_opt", "accuracy");
            assert!((float_right - expected).abs() < 2.5e-4, "{name}: the float reference is off");
        }
    }
}
