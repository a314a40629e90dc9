//! The shared models against Keras's answers, one small model per layer against Keras's, and damaged
//! files against panics.

use std::path::{Path, PathBuf};

use super::*;
use crate::data::npz::Npz;
use crate::graph::Graph;
use crate::import::{load, load_bytes, load_with, refuse_unsupported};
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
fn shared_models_compute_what_keras_computes() {
    let Some(folder) = shared_models() else { return };
    for model in TRAINED {
        let folder = folder.join("trained").join(model);
        let mut data = Npz::open(&folder.join("test_and_cal.npz")).unwrap();
        let (inputs, expected) = (rows(&mut data, "test_x"), rows(&mut data, "float_pred"));
        for extension in ["keras", "h5"] {
            let path = folder.join(model).with_extension(extension);
            let [before, after] = [load(&path).unwrap().graph, optimised(&path)]
                .map(|graph| worst(&graph, &inputs[..64], &expected[..64]));
            println!("{model}.{extension}: {before:e} as imported, {after:e} after the passes");
            assert!(before < 1e-4 && after < 1e-4, "{model}.{extension}");
        }
    }
    let model = folder.join("keras_legacy/pretrainedResnet.h5");
    let mut oracle = Npz::open(&model.with_extension("h5.oracle.npz")).unwrap();
    let found = worst(&optimised(&model), &rows(&mut oracle, "in0"), &rows(&mut oracle, "float_out0"));
    println!("pretrainedResnet.h5: {found:e}");
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
    let mut different = Vec::new();
    for model in TRAINED {
        let folder = folder.join("trained").join(model);
        let theirs = layers(&optimised(&folder.join(format!("{model}_float.tflite"))));
        for extension in ["keras", "h5"] {
            let ours = layers(&optimised(&folder.join(model).with_extension(extension)));
            if ours != theirs {
                different.push(format!("{model}.{extension}:\n  {ours:?}\n  {theirs:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
