//! Networks as TensorFlow's converter writes them, against the answers of Keras, TFLM and LiteRT:
//! `tests/import/tflite/make.py` makes both.

use std::path::PathBuf;

use crate::aligned::AlignedBuf;
use crate::data::npz::Npz;
use crate::emit::{self, Options};
use crate::execute::{infer, interpreter};
use crate::graph::{Conv2d, Graph, Op};
use crate::import::{load, load_bytes, refuse_unsupported};
use crate::model_file::ModelFile;
use crate::passes;
use crate::quantize::{self, Samples};
use crate::reference::Executor;
use crate::shared_models::rows;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/tflite"))
}

fn files(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".tflite") && wanted(name)).collect();
    files.sort();
    files
}

fn imported(file: &str) -> Graph {
    let graph = load(&folder().join(file)).unwrap().graph;
    refuse_unsupported(&graph).unwrap_or_else(|error| panic!("{file}: {error}"));
    graph
}

/// The samples of an array of int8, as bytes.
fn bytes(npz: &mut Npz, name: &str) -> Vec<Vec<u8>> {
    rows(npz, name).iter().map(|row| row.iter().map(|&x| x as i8 as u8).collect()).collect()
}

#[test]
fn float_networks_compute_what_keras_computes() {
    let mut npz = Npz::open(&folder().join("vectors.npz")).unwrap();
    let files = files(|name| !name.contains("int8"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let mut graph = imported(&file);
        let (inputs, outputs) =
            (rows(&mut npz, &format!("{file}/in")), rows(&mut npz, &format!("{file}/out")));
        for optimised in [false, true] {
            if optimised {
                passes::optimise(&mut graph);
            }
            let executor = Executor::new(&graph).unwrap();
            for (input, wanted) in inputs.iter().zip(&outputs) {
                let found = executor.run(&[input]).unwrap().remove(0);
                assert_eq!(found.len(), wanted.len(), "{file}");
                for (a, b) in found.iter().zip(wanted) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{file}: {a} instead of {b}");
                }
            }
        }
    }
}

/// Samples, to calibrate with.
struct Rows(Vec<Vec<f32>>);

impl Samples for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> crate::error::Result<Vec<Vec<f32>>> {
        Ok(vec![self.0[index].clone()])
    }
}

#[test]
fn lstms_in_both_directions_compute_what_litert_computes() {
    let mut npz = Npz::open(&folder().join("directions.npz")).unwrap();
    let mut names: Vec<String> =
        npz.arrays().iter().filter_map(|(name, _)| name.strip_suffix("/in").map(String::from)).collect();
    names.sort();
    assert_eq!(names.len(), 5, "{names:?}");
    for file in names {
        let mut graph = imported(&format!("directions/{file}"));
        let inputs = rows(&mut npz, &format!("{file}/in"));
        let count = graph.outputs.len();
        let outputs: Vec<_> = (0..count).map(|n| rows(&mut npz, &format!("{file}/out/{n}"))).collect();
        // LiteRT quantizes what meets weights of int8 anew at each step; here such weights are real numbers.
        let near = if file.contains("hybrid") { 2e-2 } else { 1e-5 };
        passes::optimise(&mut graph);
        let executor = Executor::new(&graph).unwrap();
        for (sample, input) in inputs.iter().enumerate() {
            for (found, wanted) in executor.run(&[input]).unwrap().iter().zip(&outputs) {
                assert_eq!(found.len(), wanted[sample].len(), "{file}");
                for (a, b) in found.iter().zip(&wanted[sample]) {
                    assert!((a - b).abs() <= near, "{file}: {a} instead of {b}");
                }
            }
        }
        let layers = graph.nodes.iter().filter(|node| matches!(node.op, Op::Recurrent(_))).count();
        assert_eq!(layers, 2, "{file}");
        let (int8, report) =
            quantize::quantize(&graph, &Rows(inputs), &quantize::Options::default()).unwrap();
        for output in &report.outputs {
            assert!(output.sqnr_db.is_some_and(|decibels| decibels > 28.0), "{file}: {output:?}");
        }
        emit::compile(&int8, &Options::default()).unwrap();
    }
}

/// What the device answers.
fn answers(file: &str, mut graph: Graph, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    passes::optimise(&mut graph);
    let emitted =
        emit::compile(&graph, &Options::default()).unwrap_or_else(|error| panic!("{file}: {error}"));
    let model_file = ModelFile::from_bytes(file, &emitted.bytes);
    let model = model_file.model().unwrap();
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(&model, graph.op_set(), &mut memory).unwrap();
    inputs
        .iter()
        .map(|input| infer(&mut net, std::slice::from_ref(input), &mut ()).unwrap().remove(0))
        .collect()
}

#[test]
fn int8_networks_give_the_bytes_of_tflite_and_survive_being_written() {
    let mut npz = Npz::open(&folder().join("vectors.npz")).unwrap();
    let files = files(|name| name.contains("int8"));
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let graph = imported(&file);
        let (inputs, outputs) =
            (bytes(&mut npz, &format!("{file}/in")), bytes(&mut npz, &format!("{file}/out")));
        assert_eq!(answers(&file, graph.clone(), &inputs), outputs, "{file}");
        let mut optimised = graph;
        passes::optimise(&mut optimised);
        let written = emit::tflite(&optimised).unwrap_or_else(|error| panic!("{file}: {error}"));
        let again = load_bytes("written.tflite", &written).unwrap().graph;
        assert_eq!(answers(&file, again, &inputs), outputs, "{file}, written and read");
    }
}

#[test]
fn dilations_become_one_convolution() {
    for (file, dilation, before) in [("dilated", [2, 3], [2, 3]), ("dilated_valid", [2, 2], [0, 0])] {
        let graph = imported(&format!("{file}.tflite"));
        let window = graph.nodes.iter().find_map(|node| match &node.op {
            Op::Conv2d(Conv2d { window, .. }) => Some(*window),
            _ => None,
        });
        let window = window.unwrap();
        assert_eq!(
            (window.dilation, window.pad_before, window.pad_after),
            (dilation, before, before),
            "{file}"
        );
    }
    // The layers between are gone, and so is the arithmetic on shapes.
    let ops: Vec<String> =
        imported("causal.tflite").nodes.iter().map(|node| node.op.name().to_string()).collect();
    assert!(!ops.iter().any(|op| op.contains("BATCH")), "{ops:?}");
    let indices = load(&folder().join("embedding.tflite")).unwrap();
    assert!(indices.notes.iter().any(|note| note.contains("count from zero")), "{:?}", indices.notes);
    assert!(indices.warnings.is_empty());
}
