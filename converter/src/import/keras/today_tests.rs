//! Files as Keras 3.15 and TensorFlow 2.21 write them today: `tests/import/keras/make_today.py` makes them.

use std::path::PathBuf;

use crate::data::npz::Npz;
use crate::import::{Imported, load, refuse_unsupported};
use crate::reference::Executor;
use crate::shared_models::rows;

fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/keras")).join(file)
}

fn today(file: &str) -> Imported {
    load(&path("today").join(file)).unwrap()
}

/// The message with which a file is refused.
fn refusal(file: &str) -> String {
    let refused = load(&path("today").join(file)).and_then(|imported| refuse_unsupported(&imported.graph));
    refused.expect_err(file).to_string()
}

#[test]
fn files_of_today_compute_what_keras_computes() {
    agree("today.npz", 8);
}

#[test]
fn masks_reach_attention_and_softmax() {
    agree("masks.npz", 3);
}

/// Compares the models that have answers with these.
fn agree(answers: &str, least: usize) {
    let mut npz = Npz::open(&path(answers)).unwrap();
    let mut files: Vec<String> =
        npz.arrays().iter().filter_map(|(name, _)| Some(name.split_once('/')?.0.to_string())).collect();
    files.sort();
    files.dedup();
    assert!(files.len() >= least, "{files:?}");
    let mut differing = Vec::new();
    for file in files {
        let graph = today(&file).graph;
        refuse_unsupported(&graph).unwrap();
        let mut arrays = |word: &str, count: usize| -> Vec<Vec<Vec<f32>>> {
            (0..count).map(|number| rows(&mut npz, &format!("{file}/{word}/{number}"))).collect()
        };
        let (inputs, outputs) = (arrays("in", graph.inputs.len()), arrays("out", graph.outputs.len()));
        let executor = Executor::new(&graph).unwrap();
        for sample in 0..2 {
            let given: Vec<&[f32]> = inputs.iter().map(|rows| rows[sample].as_slice()).collect();
            for (number, found) in executor.run(&given).unwrap().iter().enumerate() {
                let expected = &outputs[number][sample];
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
                if found.len() != expected.len() || !found.iter().zip(expected).all(near) {
                    differing.push(format!("{file}, {}", graph.value(graph.outputs[number]).name));
                }
            }
        }
    }
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn a_mask_of_another_shape_than_softmax_reads_is_refused() {
    let words = refusal("bad_mask_softmax.keras");
    assert!(words.contains("1 layer") && words.contains("(Softmax: it reads a mask of shape"), "{words}");
}

#[test]
fn layers_called_in_training_mode_are_warned_of() {
    let warnings = today("training.keras").warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for layer in ["`drop` (Dropout)", "`norm` (BatchNormalization)", "`block/inside` (Dropout)"] {
        let said = |words: &String| words.contains(layer) && words.contains("training=True");
        assert!(warnings.iter().any(said), "{layer}: {warnings:?}");
    }
    assert!(today("quiet.keras").warnings.is_empty());
}

#[test]
fn stateful_layers_keep_their_states() {
    let graph = today("bad_stateful.keras").graph;
    assert!(!graph.states.is_empty());
    for state in &graph.states {
        assert!(state.name.ends_with("/hidden") || state.name.ends_with("/cell"), "{}", state.name);
        assert!(graph.nodes.iter().any(|node| node.outputs.contains(&state.next)), "{}", state.name);
        assert!(graph.nodes.iter().any(|node| node.inputs.contains(&Some(state.value))), "{}", state.name);
    }
}

#[test]
fn quantized_weights_are_refused_for_what_they_are() {
    for (mode, file) in [("int8", "bad_int8.keras"), ("int4", "bad_int4.keras"), ("int4", "bad_int4.h5")] {
        let words = refusal(file);
        assert!(
            words.contains(&format!("quantized by Keras ({mode}")) && !words.contains("damaged"),
            "{words}"
        );
    }
    // Layers of the author's own classes: the file is not damaged, and the message says what to do.
    let words = refusal("bad_own.keras");
    assert!(
        words.contains("2 layers") && words.contains("SavedModel") && !words.contains("damaged"),
        "{words}"
    );
    let words = refusal("bad_npz.keras");
    assert!(words.contains("model.weights.npz"), "{words}");
}
