//! Models against the answers of ONNX Runtime: those that `tests/import/onnx/make.py` makes, one for
//! each operator and option, and the shared ones; and files that lie.

use std::path::{Path, PathBuf};

use super::*;
use crate::data::npz::Npz;
use crate::import::load;
use crate::passes;
use crate::reference::Executor;
use crate::reference::models::{rows, shared_models};

/// The folder of the committed vectors.
fn vectors() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/onnx"))
}

/// Largest difference of all outputs of all samples to the arrays `{prefix}out0`, …, relative to their
/// magnitude where that is above 1.
fn error(graph: &Graph, oracle: &mut Npz, inputs: &str, outputs: &str) -> f32 {
    let executor = Executor::new(graph).expect("all layers are known");
    let name = |i: usize| format!("{inputs}in{i}");
    let data: Vec<Vec<Vec<f32>>> = (0..graph.inputs.len()).map(|i| rows(oracle, &name(i))).collect();
    let expected: Vec<Vec<Vec<f32>>> =
        (0..graph.outputs.len()).map(|i| rows(oracle, &format!("{outputs}out{i}"))).collect();
    let mut worst = 0.0f32;
    for sample in 0..expected[0].len() {
        let input: Vec<&[f32]> = data.iter().map(|d| d[sample].as_slice()).collect();
        let found = executor.run(&input).expect("runs");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), expected[sample].len());
            for (x, y) in found.iter().zip(&expected[sample]) {
                let distance = if x == y { 0.0 } else { (x - y).abs() / y.abs().max(1.0) };
                // NaN must not pass.
                worst = if distance.is_nan() { f32::INFINITY } else { worst.max(distance) };
            }
        }
    }
    worst
}

/// The error before and after the passes, and the layers that are left.
fn errors(path: &Path, oracle: &Path, prefix: &str, engine: &str) -> ([f32; 2], Vec<String>) {
    let mut oracle = Npz::open(oracle).expect("an oracle lies beside");
    let mut graph = load(path).expect("imports").graph;
    let before = error(&graph, &mut oracle, prefix, &format!("{engine}{prefix}"));
    passes::optimise(&mut graph);
    let after = error(&graph, &mut oracle, prefix, &format!("{engine}{prefix}"));
    ([before, after], graph.nodes.iter().map(|n| n.op.name().to_string()).collect())
}

#[test]
fn every_vector_agrees_with_onnx_runtime() {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(vectors()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    names.sort();
    assert!(names.len() > 50, "{} vectors", names.len());
    let mut failures = Vec::new();
    for path in names {
        let found = std::panic::catch_unwind(|| errors(&path, &path.with_extension("npz"), "", ""));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match found {
            Ok((errors, layers)) => {
                println!("{name}: {errors:?} {layers:?}");
                if errors.iter().any(|&e| e > 1e-4) {
                    failures.push(format!("{name}: {errors:?}"));
                }
            }
            Err(_) => failures.push(format!("{name}: fails")),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn shared_models_agree_with_onnx_runtime() {
    let Some(folder) = shared_models() else { return };
    for name in [
        "mnist_cnn_nchw",
        "mnist_lstm_onnx",
        "onnx2c_atmega_mnist",
        "onnx2c_conv_maxpool",
        "onnx2c_mnist_zoo",
        "onnx2c_tfl_helloworld",
    ] {
        let path = folder.join("onnx").join(name).with_extension("onnx");
        let oracle = path.with_extension("oracle.npz");
        for prefix in ["", "real_"] {
            if Npz::open(&oracle).unwrap().header(&format!("{prefix}in0")).is_none() {
                continue;
            }
            let (errors, layers) = errors(&path, &oracle, prefix, "ort_");
            println!("{name} {prefix}: {errors:?} {layers:?}");
            assert!(errors.iter().all(|&e| e <= 1e-4), "{name} {prefix}: {errors:?}");
            // Images of one channel are the same in both layouts.
            assert!(!layers.iter().any(|l| l == "TRANSPOSE"), "{name}: {layers:?}");
        }
    }
}

/// The layers of a model after the passes, by operator.
fn layers(path: &Path) -> Vec<String> {
    let mut graph = load(path).unwrap().graph;
    passes::optimise(&mut graph);
    graph.nodes.iter().map(|n| n.op.name().to_string()).collect()
}

#[test]
fn trained_models_equal_their_tflite() {
    let Some(folder) = shared_models() else { return };
    for name in ["digits_mlp", "fashion_dsres", "mnist_cnn", "mnist_lstm", "sine", "watch_conv1d"] {
        let folder = folder.join("trained").join(name);
        let path = folder.join(name).with_extension("onnx");
        let oracle = folder.join(format!("{name}_float.oracle.npz"));
        let (errors, found) = errors(&path, &oracle, "", "ref_");
        println!("{name}: {errors:?} {found:?}");
        assert!(errors.iter().all(|&e| e <= 1e-4), "{name}: {errors:?}");
        let graph = load(&path).unwrap().graph;
        let mut data = Npz::open(&folder.join("test_and_cal.npz")).unwrap();
        let (test, wanted) = (rows(&mut data, "test_x"), rows(&mut data, "float_pred"));
        let executor = Executor::new(&graph).unwrap();
        for (x, y) in test.iter().zip(&wanted).take(32) {
            let found = executor.run(&[x]).unwrap();
            assert!(found[0].iter().zip(y).all(|(a, b)| (a - b).abs() <= 1e-4), "{name}");
        }
        assert!(!found.iter().any(|l| l == "TRANSPOSE"), "{name}: {found:?}");
        // The .tflite importer reads no recurrent layers. A RESHAPE is no work for the device.
        if name != "mnist_lstm" {
            let work = |all: Vec<String>| all.into_iter().filter(|l| l != "RESHAPE").collect::<Vec<_>>();
            let tflite = layers(&folder.join(format!("{name}_float.tflite")));
            assert_eq!(work(found), work(tflite), "{name}");
        }
    }
}
