//! The shared models against Keras's answers, one small model per layer against TensorFlow's, and
//! damaged ones against panics.

use std::path::{Path, PathBuf};

use super::*;
use crate::data::npz::Npz;
use crate::graph::Graph;
use crate::import::{load, load_with, refuse_unsupported};
use crate::passes;
use crate::reference::Executor;
use crate::reference::models::{rows, shared_models};

const TRAINED: [&str; 6] = ["digits_mlp", "sine", "watch_conv1d", "mnist_cnn", "mnist_lstm", "fashion_dsres"];

fn optimised(path: &Path) -> Graph {
    let mut graph = load(path).unwrap().graph;
    refuse_unsupported(&graph).unwrap();
    passes::optimise(&mut graph);
    graph
}

/// Largest difference of a graph's only output from what is expected of each input.
fn worst(graph: &Graph, inputs: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    let executor = Executor::new(graph).unwrap();
    assert!(!inputs.is_empty() && inputs.len() == expected.len());
    let mut worst = 0.0f32;
    for (input, expected) in inputs.iter().zip(expected) {
        let found = executor.run(&[input]).unwrap().remove(0);
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            worst = if (a - b).is_nan() { f32::INFINITY } else { worst.max((a - b).abs()) };
        }
    }
    worst
}

#[test]
fn trained_models_compute_what_keras_computes() {
    let Some(folder) = shared_models() else { return };
    for model in TRAINED {
        let folder = folder.join("trained").join(model);
        let mut data = Npz::open(&folder.join("test_and_cal.npz")).unwrap();
        let (inputs, expected) = (rows(&mut data, "test_x"), rows(&mut data, "float_pred"));
        let imported = load(&folder.join("saved_model")).unwrap().graph;
        let [before, after] = [imported, optimised(&folder.join("saved_model"))]
            .map(|g| worst(&g, &inputs[..64], &expected[..64]));
        println!("{model}: {before:e} as imported, {after:e} after the passes");
        assert!(before < 1e-4 && after < 1e-4, "{model}");
    }
    let model = folder.join("keras_legacy/kws_ref_model_savedmodel");
    let mut oracle = Npz::open(&model.with_extension("oracle.npz")).unwrap();
    let found = worst(&optimised(&model), &rows(&mut oracle, "in0"), &rows(&mut oracle, "float_out0"));
    println!("kws_ref_model: {found:e}");
    assert!(found < 1e-4);
}

/// Operators with the shapes of their results, in execution order.
fn layers(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    let shape = |node: &crate::graph::Node| graph.value(node.outputs[0]).shape.clone();
    graph.nodes.iter().map(|node| (node.op.name().to_string(), shape(node))).collect()
}

#[test]
fn the_passes_leave_the_layers_of_tensorflows_own_conversion() {
    let Some(folder) = shared_models() else { return };
    for model in TRAINED.iter().filter(|m| **m != "mnist_lstm") {
        let folder = folder.join("trained").join(model);
        let theirs = layers(&optimised(&folder.join(format!("{model}_float.tflite"))));
        let ours = layers(&optimised(&folder.join("saved_model")));
        assert_eq!(ours, theirs, "{model}");
    }
}

/// The small models of the repository, one signature per case; `tests/import/saved_model/make.py` makes them.
fn small_models() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/saved_model"))
}

/// Runs one signature; the largest difference from what TensorFlow computed, relative to numbers above one.
fn case(npz: &mut Npz, folder: &str, case: &str) -> Result<f32> {
    let options = ImportOptions { signature: Some(case.into()), ..ImportOptions::default() };
    let imported = load_with(&small_models().join(folder), &options)?;
    let mut graph = imported.graph;
    refuse_unsupported(&graph)?;
    let mut worst = 0.0f32;
    for optimise in [false, true] {
        if optimise {
            passes::optimise(&mut graph);
        }
        let executor = Executor::new(&graph)?;
        let names = |ids: &[crate::graph::ValueId], word: &str| -> Vec<String> {
            ids.iter().map(|&id| format!("{folder}/{case}/{word}/{}", graph.value(id).name)).collect()
        };
        let inputs: Vec<Vec<Vec<f32>>> = names(&graph.inputs, "in").iter().map(|n| rows(npz, n)).collect();
        let outputs: Vec<Vec<Vec<f32>>> = names(&graph.outputs, "out").iter().map(|n| rows(npz, n)).collect();
        for sample in 0..2 {
            let given: Vec<&[f32]> = inputs.iter().map(|i| i[sample].as_slice()).collect();
            for (found, expected) in executor.run(&given)?.iter().zip(&outputs) {
                assert_eq!(found.len(), expected[sample].len(), "{case}");
                for (a, b) in found.iter().zip(&expected[sample]) {
                    let difference = (a - b).abs() / b.abs().max(1.0);
                    worst = if difference.is_nan() { f32::INFINITY } else { worst.max(difference) };
                }
            }
        }
    }
    Ok(worst)
}

#[test]
fn small_models_compute_what_tensorflow_computes() {
    let mut npz = Npz::open(&small_models().join("vectors.npz")).unwrap();
    let mut cases: Vec<(String, String)> = npz
        .arrays()
        .iter()
        .filter_map(|(name, _)| name.split_once('/'))
        .filter_map(|(folder, rest)| Some((folder.to_string(), rest.split_once('/')?.0.to_string())))
        .collect();
    cases.sort();
    cases.dedup();
    assert!(cases.len() > 60, "{cases:?}");
    let mut failures = Vec::new();
    for (folder, name) in cases.iter().filter(|(_, name)| name != "unsupported") {
        match case(&mut npz, folder, name) {
            Ok(worst) if worst <= 1e-4 => (),
            Ok(worst) => failures.push(format!("{folder}/{name}: differs by {worst:e}")),
            Err(error) => failures.push(format!("{folder}/{name}: {} ({})", error.message, error.help)),
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
