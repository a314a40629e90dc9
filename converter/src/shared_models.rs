//! Compares the float models of the shared collection with the results of TFLite's interpreters (`opt_`:
//! LiteRT's optimised float kernels; `xnn_`: XNNPACK).

use std::path::Path;

use crate::data::npz::Npz;
use crate::reference::Executor;
use crate::{import, passes};

/// The rows of an array, as real numbers.
pub(crate) fn rows(npz: &mut Npz, name: &str) -> Vec<Vec<f32>> {
    let array = npz.read(name).expect("the array is there");
    (0..array.rows()).map(|row| array.row_f32(row)).collect()
}

/// Largest difference between the outputs of a model with one input and one output and those of
/// the oracle's `engine`, relative to the range of the latter; before and after the passes.
fn errors(model: &Path, engine: &str) -> [f32; 2] {
    let mut oracle = Npz::open(&model.with_extension("oracle.npz")).expect("an oracle lies beside");
    let mut graph = import::load(model).expect("imports").graph;
    let mut run = |optimised: bool| {
        if optimised {
            passes::optimise(&mut graph);
        }
        let executor = Executor::new(&graph).expect("all layers are known");
        let mut worst = 0.0f32;
        for prefix in ["", "real_"] {
            if oracle.header(&format!("{prefix}in0")).is_none() {
                continue;
            }
            let inputs = rows(&mut oracle, &format!("{prefix}in0"));
            let expected = rows(&mut oracle, &format!("{engine}_{prefix}out0"));
            let all = expected.iter().flatten();
            let (low, high) = all.fold((f32::MAX, f32::MIN), |(a, b), &x| (a.min(x), b.max(x)));
            for (input, expected) in inputs.iter().zip(&expected) {
                let found = &executor.run(&[input]).expect("runs")[0];
                assert_eq!(found.len(), expected.len());
                for (x, y) in found.iter().zip(expected) {
                    worst = worst.max((x - y).abs() / (high - low));
                }
            }
        }
        worst
    };
    [run(false), run(true)]
}

#[test]
fn float_models_agree_with_tflite() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let mut failures = Vec::new();
    for model in [
        "real/hello_world_float",
        "real/pretrainedResnet_float",
        "trained/digits_mlp/digits_mlp_float",
        "trained/sine/sine_float",
        "trained/watch_conv1d/watch_conv1d_float",
        "trained/mnist_cnn/mnist_cnn_float",
        "trained/fashion_dsres/fashion_dsres_float",
        "real/mnist_lstm_float",
        "trained/mnist_lstm/mnist_lstm_float",
    ] {
        let path = folder.join(model).with_extension("tflite");
        for engine in ["opt", "xnn"] {
            let found = errors(&path, engine);
            println!("{model} against {engine}: {found:?}");
            // NaN must count as an error.
            if !found.iter().all(|&error| error <= 1e-4) {
                failures.push(model);
            }
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}
