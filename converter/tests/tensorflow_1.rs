//! Graphs of TensorFlow 1, frozen and as checkpoints, against TensorFlow's answers (`tests/models/tf1/make.py`).

use std::path::{Path, PathBuf};

use ferrolite::data::npz::Npz;
use ferrolite::error::Fault;
use ferrolite::import::{ImportOptions, load_with, refuse_unsupported};
use ferrolite::reference::Executor;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/tf1").join(name)
}

fn options(inputs: &[&str], outputs: &[&str]) -> ImportOptions {
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    ImportOptions { inputs: names(inputs), outputs: names(outputs), ..ImportOptions::default() }
}

/// Holds a graph's answers for the samples of an array against TensorFlow's.
fn check(file: &str, options: &ImportOptions, array: &str) {
    let imported = load_with(&path(file), options).unwrap();
    refuse_unsupported(&imported.graph).unwrap();
    let executor = Executor::new(&imported.graph).unwrap();
    let mut npz = Npz::open(&path("spotter.npz")).unwrap();
    let (x, wanted) = (npz.read(array).unwrap(), npz.read("labels_softmax").unwrap());
    for row in 0..x.rows() {
        let found = executor.run(&[&x.row_f32(row)]).unwrap();
        assert_eq!(found.len(), 1);
        for (found, wanted) in found[0].iter().zip(wanted.row_f32(row)) {
            assert!((found - wanted).abs() < 1e-5, "{file}, row {row}: {found} {wanted}");
        }
    }
}

#[test]
fn frozen_graphs_and_checkpoints_answer_as_tensorflow() {
    check("spotter.pb", &options(&[], &[]), "wav_data");
    check("spotter.pb", &options(&["wav_data:0"], &["labels_softmax"]), "wav_data");
    check("spotter.ckpt.meta", &options(&[], &["labels_softmax"]), "wav_data");
    // Behind the first layer, whose shape the graph does not say.
    let shape = vec![("fingerprint".to_string(), vec![1, 80])];
    let behind = ImportOptions { input_shapes: shape, ..options(&["fingerprint"], &["labels_softmax:0"]) };
    check("spotter.pb", &behind, "fingerprint");
    check("spotter.ckpt.meta", &behind, "fingerprint");
}

#[test]
fn wrong_names_are_refused() {
    let refused = |file: &str, options: &ImportOptions, words: &str| {
        let error = load_with(&path(file), options).unwrap_err();
        assert!(error.message.contains(words) && !error.help.is_empty(), "{words}: {error:?}");
        error
    };
    let error = refused("spotter.pb", &options(&[], &["scores"]), "no node `scores`");
    assert!(error.help.contains("--outputs") && error.help.contains("labels_softmax"), "{error:?}");
    let error = refused("spotter.pb", &options(&["nope"], &[]), "--inputs: the graph has no node `nope`");
    assert!(error.help.contains("wav_data") && !error.help.contains("labels_softmax"), "{error:?}");
    refused("spotter.pb", &options(&["fingerprint"], &[]), "no shape at all");
    let keras = "../digits_mlp/digits_mlp.h5";
    assert_eq!(refused(keras, &options(&["x"], &[]), "--inputs").fault, Fault::Usage);
    // A checkpoint without its data.
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("alone.meta");
    std::fs::copy(path("spotter.ckpt.meta"), &alone).unwrap();
    let error = load_with(&alone, &options(&[], &["labels_softmax"])).unwrap_err();
    assert!(error.message.contains("alone.index"), "{error:?}");
    std::fs::write(folder.path().join("noise.pb"), [0xff; 40]).unwrap();
    let error = load_with(&folder.path().join("noise.pb"), &ImportOptions::default()).unwrap_err();
    assert!(error.message.contains("sound graph"), "{error:?}");
}
