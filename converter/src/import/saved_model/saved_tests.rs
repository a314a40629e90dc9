//! Models as `tf.saved_model.save` writes them, with the list of captured objects.
//! `tests/import/saved_model/make_saved.py` makes them.

use std::path::{Path, PathBuf};

use prost::Message;

use super::*;
use crate::data::npz::Npz;
use crate::graph::{DType, Op};
use crate::import::{load, load_with, refuse_unsupported};
use crate::reference::Executor;
use crate::shared_models::rows;

fn folder(model: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/saved_model/saved")).join(model)
}

fn signature(model: &str, name: &str) -> Result<Imported> {
    let options = ImportOptions { signature: Some(name.into()), ..ImportOptions::default() };
    load_with(&folder(model), &options)
}

/// The message with which a signature is refused.
fn refusal(model: &str, name: &str) -> String {
    let refused = signature(model, name).and_then(|imported| refuse_unsupported(&imported.graph));
    refused.expect_err(name).to_string()
}

#[test]
fn saved_models_compute_what_tensorflow_computes() {
    agree("saved.npz", 8);
}

#[test]
fn products_and_quotients_compute_what_tensorflow_computes() {
    agree("products.npz", 3);
}

/// Compares the signatures that have answers with these.
fn agree(answers: &str, least: usize) {
    let mut npz = Npz::open(&folder("").join("..").join(answers)).unwrap();
    let mut cases: Vec<(String, String)> = npz
        .arrays()
        .iter()
        .filter_map(|(name, _)| {
            let mut parts = name.split('/');
            Some((parts.next()?.to_string(), parts.next()?.to_string()))
        })
        .collect();
    cases.sort();
    cases.dedup();
    assert!(cases.len() >= least, "{cases:?}");
    for (model, name) in cases {
        let graph = signature(&model, &name).unwrap().graph;
        refuse_unsupported(&graph).unwrap();
        let mut samples = |word: &str, id: crate::graph::ValueId| -> Vec<Vec<f32>> {
            rows(&mut npz, &format!("{model}/{name}/{word}/{}", graph.value(id).name))
        };
        let inputs: Vec<Vec<Vec<f32>>> = graph.inputs.iter().map(|&id| samples("in", id)).collect();
        let outputs: Vec<Vec<Vec<f32>>> = graph.outputs.iter().map(|&id| samples("out", id)).collect();
        let executor = Executor::new(&graph).unwrap();
        for sample in 0..2 {
            let given: Vec<&[f32]> = inputs.iter().map(|rows| rows[sample].as_slice()).collect();
            for (found, expected) in executor.run(&given).unwrap().iter().zip(&outputs) {
                assert_eq!(found.len(), expected[sample].len(), "{model}/{name}");
                for (a, b) in found.iter().zip(&expected[sample]) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{model}/{name}: {a} for {b}");
                }
            }
        }
    }
}

#[test]
fn variables_that_no_output_reads_are_left_out() {
    // Only a part of the variable is assigned.
    let words = refusal("state", "bad_scatter");
    assert!(words.contains("`past`") && words.contains("assign all of it"), "{words}");
    assert!(!words.contains("`weight`"), "{words}");
    // No output reads these variables, so the results are right.
    let counted = signature("state", "counted").unwrap();
    assert!(counted.notes.iter().any(|note| note.contains("`calls`")), "{:?}", counted.notes);
    assert!(counted.warnings.is_empty(), "{:?}", counted.warnings);
    let tracked = signature("state", "tracked").unwrap();
    assert!(tracked.warnings.iter().any(|words| words.contains("`mean`") && words.contains("training")));
    // A branch that is never taken, and assignments in other signatures, change nothing.
    let untaken = signature("state", "untaken").unwrap();
    assert!(
        untaken.warnings.is_empty() && untaken.notes.is_empty(),
        "{:?} {:?}",
        untaken.warnings,
        untaken.notes
    );
}

/// The output of a signature with state for samples that follow one another, and the names of its variables.
fn sequence(name: &str, samples: &[[f32; 4]]) -> (Vec<String>, Vec<Vec<f32>>) {
    let graph = signature("state", name).unwrap().graph;
    refuse_unsupported(&graph).unwrap();
    let executor = Executor::new(&graph).unwrap();
    let mut states = executor.start();
    let mut run = |x: &[f32; 4]| executor.run_next(&mut states, &[x], &mut |_, _| ()).unwrap().concat();
    (graph.states.iter().map(|state| state.name.clone()).collect(), samples.iter().map(&mut run).collect())
}

#[test]
fn variables_that_the_signature_assigns_and_reads_are_state() {
    const SAMPLES: [[f32; 4]; 5] = [
        [1.0, -2.0, 0.5, 3.0],
        [0.25, 1.0, -1.5, 2.0],
        [-4.0, 0.5, 1.0, -1.0],
        [2.0, 2.0, -3.0, 0.5],
        [0.0, -1.0, 4.0, 1.0],
    ];
    let expect = |name: &str, variable: &str, level: &dyn Fn(usize) -> [f32; 4]| {
        let (variables, found) = sequence(name, &SAMPLES);
        assert_eq!(variables, [variable], "{name}");
        for (at, found) in found.iter().enumerate() {
            // The signature `counted` multiplies by the same weights, and does nothing else.
            let wanted = sequence("counted", &[level(at)]).1.concat();
            for (a, b) in found.iter().zip(&wanted) {
                assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{name}, sample {at}: {a} for {b}");
            }
        }
    };
    let sum = |from: usize, to: usize| {
        let rows = &SAMPLES[from..to];
        std::array::from_fn(|channel| rows.iter().map(|row| row[channel]).sum())
    };
    // All samples so far, this one included; the mean of the last three.
    expect("bad_only", "level", &|at| sum(0, at + 1));
    expect("bad_ring", "past", &|at| sum((at + 1).saturating_sub(3), at + 1).map(|x: f32| x / 3.0));
    // In a loop of two rounds, in a branch that a positive sample takes.
    let level = |at: usize| {
        let positive = SAMPLES[..=at].iter().filter(|row| row.iter().sum::<f32>() > 0.0);
        let sums = positive.fold([0.0f32; 4], |sum, row| std::array::from_fn(|c| sum[c] + 2.0 * row[c]));
        std::array::from_fn(|channel| SAMPLES[at][channel] + sums[channel])
    };
    expect("bad_nested", "level", &level);
}

#[test]
fn what_draws_random_numbers_and_what_is_complex_is_said() {
    let words = refusal("state", "bad_dropout");
    assert!(words.contains("random numbers") && words.contains("training=False"), "{words}");
    let words = refusal("border", "bad_complex");
    assert!(words.contains("complex") && !words.contains("damaged"), "{words}");
}

#[test]
fn outputs_of_constants_and_of_text_are_left_out_with_a_note() {
    let imported = signature("equal_names", "other").unwrap();
    let names: Vec<&str> =
        imported.graph.outputs.iter().map(|&id| imported.graph.value(id).name.as_str()).collect();
    assert_eq!(names, ["y"]);
    for word in ["`constant` does not depend", "`word` is text"] {
        assert!(imported.notes.iter().any(|note| note.contains(word)), "{:?}", imported.notes);
    }
}

/// Copies a model to `to`.
fn copy(model: &str, to: &Path) {
    std::fs::create_dir_all(to.join("variables")).unwrap();
    for file in [FILE, "variables/variables.index", "variables/variables.data-00000-of-00001"] {
        std::fs::copy(folder(model).join(file), to.join(file)).unwrap();
    }
}

#[test]
fn a_folder_of_versions_is_its_highest_one() {
    let root = tempfile::tempdir().unwrap();
    let model = root.path().join("gestures");
    copy("equal_names", &model.join("9"));
    copy("sequential", &model.join("0010"));
    std::fs::create_dir_all(model.join("11")).unwrap();
    std::fs::create_dir_all(model.join("99_old")).unwrap();
    let imported = load(&model).unwrap();
    assert_eq!(imported.graph.name, "gestures");
    assert_eq!(imported.graph.value(imported.graph.inputs[0]).shape, [1, 6, 6, 1]);
    assert!(imported.notes.iter().any(|note| note.contains("version 0010") && note.contains("highest of 2")));
    assert_eq!(imported.source_hash, load(&model.join("0010")).unwrap().source_hash);
    std::fs::write(model.join("0010").join(FILE), b"x").unwrap();
    assert!(load(&model).unwrap_err().message.contains("gestures/0010"));
}

/// The error of a model after a change of its protobuf message.
fn damaged(change: impl Fn(&mut proto::MetaGraph)) -> String {
    let root = tempfile::tempdir().unwrap();
    copy("subclassed", root.path());
    let path = root.path().join(FILE);
    let mut model = proto::SavedModel::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
    change(&mut model.meta_graphs[0]);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    load(root.path()).expect_err("damaged").to_string()
}

#[test]
fn captures_that_point_nowhere_are_one_clear_error() {
    assert!(load(&folder("subclassed")).is_ok());
    let captures = |change: &dyn Fn(&mut Vec<i32>)| {
        damaged(|meta| {
            let objects = meta.objects.as_mut().unwrap();
            objects.functions.values_mut().for_each(|function| change(&mut function.captures));
        })
    };
    for number in [100_000, -1] {
        let words = captures(&|list| list.iter_mut().for_each(|capture| *capture = number));
        assert!(words.contains(&format!("captures object {number}, but the file has")), "{words}");
    }
    let words = captures(&|list| list.extend(vec![1; 99]));
    assert!(words.contains("objects, but is given"), "{words}");
    let words = damaged(|meta| meta.objects = None);
    assert!(words.contains("not in variables.index"), "{words}");
}

#[test]
fn a_cut_index_or_list_of_objects_is_refused() {
    let root = tempfile::tempdir().unwrap();
    copy("sequential", root.path());
    let index = root.path().join("variables/variables.index");
    let whole = std::fs::read(&index).unwrap();
    std::fs::write(&index, &whole[..whole.len() - 9]).unwrap();
    assert!(load(root.path()).unwrap_err().message.contains("variables.index is damaged"));
    std::fs::write(&index, &whole).unwrap();
    // The list of objects is at the end of the file.
    let data = root.path().join("variables/variables.data-00000-of-00001");
    let elements = std::fs::read(&data).unwrap();
    std::fs::write(&data, &elements[..elements.len() - 20]).unwrap();
    assert!(load(root.path()).unwrap_err().message.contains("which has"), "{:?}", load(root.path()));
}

#[test]
fn loops_whose_steps_are_masked_are_one_layer_each() {
    let graph = signature("masks", "serving_default").unwrap().graph;
    let masked = |node: &&crate::graph::Node| {
        matches!(node.op, Op::Recurrent(_))
            && node.input(7).is_some_and(|mask| graph.value(mask).dtype == DType::Bool)
    };
    assert_eq!(graph.nodes.iter().filter(masked).count(), 3);
    let zero = |node: &crate::graph::Node| matches!(node.op, Op::Recurrent(layer) if layer.zero_masked);
    assert_eq!(graph.nodes.iter().filter(|node| zero(node)).count(), 1);
}
