//! Compares the shared models, and one small model for each layer, with Keras's results, and checks that
//! damaged files do not cause panics.

use std::path::{Path, PathBuf};

use super::*;
use crate::convert::{ConvertOptions, prepare};
use crate::data::npz::Npz;
use crate::graph::Graph;
use crate::import::{load, load_bytes, load_with, refuse_unsupported};
use crate::passes;
use crate::reference::Executor;
use crate::shared_models::rows;

const TRAINED: [&str; 6] = ["digits_mlp", "sine", "watch_conv1d", "mnist_cnn", "mnist_lstm", "fashion_dsres"];

fn optimised(path: &Path) -> Graph {
    let mut graph = load(path).unwrap().graph;
    refuse_unsupported(&graph).unwrap();
    passes::optimise(&mut graph);
    graph
}

/// Largest difference between a graph's only output and the expected output, over all inputs.
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
    let Some(folder) = ferrolite_shared::models() else { return };
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
    let Some(folder) = ferrolite_shared::models() else { return };
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

#[test]
fn int8_models_are_those_of_the_tflite_path() {
    let Some(folder) = ferrolite_shared::models() else { return };
    for model in ["digits_mlp", "watch_conv1d", "mnist_cnn"] {
        let folder = folder.join("trained").join(model);
        let data = format!("{}:cal_x", folder.join("test_and_cal.npz").display());
        let options = ConvertOptions { calibrate: Some(data), ..ConvertOptions::default() };
        let int8 = |file: &str| prepare(&folder.join(file), &options, &()).unwrap().graph;
        let theirs = int8(&format!("{model}_float.tflite"));
        for ours in ["keras", "h5"].map(|extension| int8(&format!("{model}.{extension}"))) {
            assert_eq!(layers(&ours), layers(&theirs), "{model}");
            let (mut elements, mut different) = (0, 0);
            for (a, b) in ours.nodes.iter().zip(&theirs.nodes) {
                for (&a, &b) in a.inputs.iter().flatten().zip(b.inputs.iter().flatten()) {
                    let constants = ours.constant(Some(a)).zip(theirs.constant(Some(b)));
                    let Some((a, b)) = constants.and_then(|(a, b)| a.to_i64().zip(b.to_i64())) else {
                        continue;
                    };
                    assert_eq!(a.len(), b.len(), "{model}");
                    elements += a.len();
                    // Batch norms are folded in another order, so a weight may be rounded the other way.
                    different += a.iter().zip(&b).filter(|(a, b)| a != b).count();
                }
            }
            println!("{model}: {different} of {elements} weights differ");
            assert!(
                elements > 1000 && different * 200 < elements,
                "{model}: {different} of {elements} differ"
            );
        }
    }
}

/// The small models of the repository, one output per case; `tests/import/keras/make.py` makes them.
fn small_models() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/keras"))
}

/// Runs a model, as imported and after the passes. Returns the names of the outputs that differ from Keras by
/// more than 1e-4 (relative for numbers above one).
fn differing(npz: &mut Npz, file: &str) -> Result<Vec<String>> {
    let mut options = ImportOptions::default();
    if file.starts_with("open_length") {
        options.input_shapes = vec![("series".into(), vec![1, 5, 3])];
    }
    let mut graph = load_with(&small_models().join(file), &options)?.graph;
    refuse_unsupported(&graph)?;
    let mut differing = Vec::new();
    for optimise in [false, true] {
        if optimise {
            passes::optimise(&mut graph);
        }
        let executor = Executor::new(&graph)?;
        let mut arrays = |word: &str, count: usize| -> Vec<Vec<Vec<f32>>> {
            (0..count).map(|number| rows(npz, &format!("{file}/{word}/{number}"))).collect()
        };
        let inputs = arrays("in", graph.inputs.len());
        let outputs = arrays("out", graph.outputs.len());
        for sample in 0..2 {
            let given: Vec<&[f32]> = inputs.iter().map(|rows| rows[sample].as_slice()).collect();
            for (number, found) in executor.run(&given)?.iter().enumerate() {
                let name = &graph.value(graph.outputs[number]).name;
                let expected = &outputs[number][sample];
                let difference = |(a, b): (&f32, &f32)| (a - b).abs() / b.abs().max(1.0);
                let worst = found
                    .iter()
                    .zip(expected)
                    .map(difference)
                    .fold(0.0, |worst, d| if d.is_nan() { f32::INFINITY } else { d.max(worst) });
                if found.len() != expected.len() || worst > 1e-4 {
                    differing.push(format!("{name} (passes: {optimise}) differs by {worst:e}"));
                }
            }
        }
    }
    Ok(differing)
}

#[test]
fn small_models_compute_what_keras_computes() {
    let mut npz = Npz::open(&small_models().join("vectors.npz")).unwrap();
    let mut files: Vec<String> =
        npz.arrays().iter().filter_map(|(name, _)| Some(name.split_once('/')?.0.to_string())).collect();
    files.sort();
    files.dedup();
    assert!(files.len() > 40, "{files:?}");
    let mut failures = Vec::new();
    for file in &files {
        match differing(&mut npz, file) {
            Ok(list) => failures.extend(list.into_iter().map(|what| format!("{file}: {what}"))),
            Err(error) => failures.push(format!("{file}: {} ({})", error.message, error.help)),
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// The message of the error for a small model.
fn refusal(file: &str) -> String {
    let path = small_models().join(file);
    let error = load(&path).map(|imported| refuse_unsupported(&imported.graph));
    let error = error.and_then(|refused| refused.map(|()| panic!("{file} is not refused"))).unwrap_err();
    assert!(!error.help.is_empty(), "{file}: {error}");
    error.message
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let message = refusal("unsupported.keras");
    assert!(
        message.contains("1 layer cannot be converted: `python` (Lambda: a Python function"),
        "{message}"
    );
    let message = refusal("unsupported_keras2.h5");
    assert!(message.contains("TFOpLambda: a TensorFlow function"), "{message}");
    for file in ["only.weights.h5", "only_weights_keras2.h5"] {
        let message = refusal(file);
        assert!(message.contains("a weights-only file"), "{message}");
    }
    let error = load(&small_models().join("open_length.keras")).unwrap_err();
    assert!(error.message.contains("`series` has shape ?,?,3"), "{error}");
}

/// A `.keras` archive with this configuration and these variables.
fn archive(config: &str, weights: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let members: [(&str, &[u8]); 3] = [
        ("metadata.json", br#"{"keras_version": "3.15.1"}"#),
        ("config.json", config.as_bytes()),
        ("model.weights.h5", weights),
    ];
    for (name, contents) in members {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(contents).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The configuration and the variables of a small model.
fn parts(file: &str) -> (String, Vec<u8>) {
    use std::io::Read;
    let bytes = std::fs::read(small_models().join(file)).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut config = String::new();
    zip.by_name("config.json").unwrap().read_to_string(&mut config).unwrap();
    let mut weights = Vec::new();
    zip.by_name("model.weights.h5").unwrap().read_to_end(&mut weights).unwrap();
    (config, weights)
}

#[test]
fn contradictions_are_one_clear_error() {
    let (config, weights) = parts("residual1d.keras");
    let refused = |config: &str, weights: &[u8], expected: &str| {
        let error = load_bytes("net.keras", &archive(config, weights)).unwrap_err();
        assert!(error.message.starts_with("net.keras: "), "{error}");
        assert!(error.message.contains(expected), "{error}, not {expected}");
    };
    assert!(load_bytes("net.keras", &archive(&config, &weights)).is_ok());
    refused(&config, b"no HDF5", "model.weights.h5: is not a readable HDF5 file");
    refused("{", &weights, "`config.json` is not readable JSON");
    refused(r#"{"class_name": "MyNet", "config": {}}"#, &weights, "a model of the class `MyNet`");
    let changed = |from: &str, to: &str| {
        assert!(config.contains(from), "{from} is not in {config}");
        config.replacen(from, to, 1)
    };
    let filters = changed("\"filters\": 4", "\"filters\": 5");
    refused(
        &filters,
        &weights,
        "variable `kernel` (at `layers/conv1d/vars/0`): has shape [3, 3, 4], but [3, 3, 5]",
    );
    refused(&changed("\"filters\": 4", "\"filters\": \"four\""), &weights, "`filters` is \"four\"");
    refused(&changed("\"filters\": 4", "\"filters\": 4000000000"), &weights, "4000000000");
    let first = config.find("[\"conv1d").expect("a call of a convolution's result");
    let end = first + config[first..].find(',').unwrap();
    let unknown = format!("{}[\"nowhere\"{}", &config[..first], &config[end..]);
    refused(&unknown, &weights, "`nowhere`, which is not there");
}

/// A layer whose network lies on TensorFlow Hub: the error says where, and which road leads on.
#[test]
fn a_layer_of_a_hub_says_the_road() {
    let (_, weights) = parts("residual1d.keras");
    let address = "https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5";
    let config = format!(
        r#"{{"class_name": "Sequential", "config": {{"name": "m", "layers": [
        {{"class_name": "InputLayer", "config": {{"name": "x", "batch_shape": [null, 8, 8, 3]}}}},
        {{"class_name": "KerasLayer", "registered_name": "KerasLayer", "config": {{"name": "hub", "handle": "{address}"}}}}]}}}}"#
    );
    let imported = load_bytes("net.keras", &archive(&config, &weights)).unwrap();
    let text = crate::import::refuse_unsupported(&imported.graph).unwrap_err().message;
    assert!(text.contains(address) && text.contains("tf.saved_model.save"), "{text}");
}

/// The same where this machine has the module: its network stands in the layer's place.
#[test]
fn a_layer_of_a_hub_is_read_from_its_folder() {
    let (_, weights) = parts("residual1d.keras");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/keras/hub_module");
    let config = |more: &str| {
        format!(
            r#"{{"class_name": "Sequential", "config": {{"name": "m", "layers": [
            {{"class_name": "InputLayer", "config": {{"name": "x", "batch_shape": [null, 8, 8, 3]}}}},
            {{"class_name": "KerasLayer", "registered_name": "KerasLayer", "config": {{"name": "hub", "handle": {folder:?}{more}}}}},
            {{"class_name": "Rescaling", "config": {{"name": "double", "scale": 2.0, "offset": 1.0}}}}]}}}}"#
        )
    };
    let imported = load_bytes("net.keras", &archive(&config(""), &weights)).unwrap();
    refuse_unsupported(&imported.graph).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("hub_module")), "{:?}", imported.notes);
    let mut data = Npz::open(Path::new(&format!("{folder}.npz"))).unwrap();
    let wanted: Vec<Vec<f32>> =
        rows(&mut data, "y").iter().map(|row| row.iter().map(|y| 2.0 * y + 1.0).collect()).collect();
    let mut graph = imported.graph;
    let inputs = rows(&mut data, "x");
    let before = worst(&graph, &inputs, &wanted);
    passes::optimise(&mut graph);
    let after = worst(&graph, &inputs, &wanted);
    assert!(before < 1e-5 && after < 1e-5, "{before:e}, {after:e}");
    // Whose weights are others by now, or which is called in another way.
    for (more, word) in [
        (r#", "trainable": true"#, "trained further"),
        (r#", "signature": "features""#, "`features`"),
        (r#", "arguments": {"training": true}"#, "training = true"),
    ] {
        let imported = load_bytes("net.keras", &archive(&config(more), &weights)).unwrap();
        let text = refuse_unsupported(&imported.graph).unwrap_err().message;
        assert!(text.contains(word) && text.contains("tf.saved_model.save"), "{text}");
    }
}

#[test]
fn cycles_and_multiplying_models_end() {
    let (_, weights) = parts("residual1d.keras");
    let tensor = |layer: &str| {
        format!(
            r#"{{"class_name": "__keras_tensor__", "config": {{"shape": [null, 4], "keras_history": ["{layer}", 0, 0]}}}}"#
        )
    };
    let layer = |class: &str, name: &str, config: &str, from: &[&str]| {
        let nodes: Vec<String> =
            from.iter().map(|from| format!(r#"{{"args": [{}], "kwargs": {{}}}}"#, from)).collect();
        format!(
            r#"{{"class_name": "{class}", "name": "{name}", "config": {config}, "inbound_nodes": [{}]}}"#,
            nodes.join(", ")
        )
    };
    let input = layer("InputLayer", "x", r#"{"name": "x", "batch_shape": [null, 4]}"#, &[]);
    let model = |layers: &[String], output: &str| {
        format!(
            r#"{{"name": "m", "layers": [{}], "input_layers": [["x", 0, 0]], "output_layers": [["{output}", {}, 0]]}}"#,
            layers.join(", "),
            usize::from(output == "again"),
        )
    };
    let whole = |config: &str| format!(r#"{{"class_name": "Functional", "config": {config}}}"#);
    let relu = r#"{"name": "r"}"#;
    let cycle = model(
        &[
            input.clone(),
            layer("ReLU", "a", relu, &[&tensor("b")]),
            layer("ReLU", "b", relu, &[&tensor("a")]),
        ],
        "b",
    );
    let error = load_bytes("net.keras", &archive(&whole(&cycle), &weights)).unwrap_err();
    assert!(error.message.contains("`b`") && error.help.contains("cycle"), "{error}");

    // Each model calls the nested one twice.
    let mut inner = model(&[input.clone(), layer("ReLU", "a", relu, &[&tensor("x")])], "a");
    for _ in 0..20 {
        let again = r#"{"class_name": "__keras_tensor__", "config": {"keras_history": ["again", 0, 0]}}"#;
        inner =
            model(&[input.clone(), layer("Functional", "again", &inner, &[&tensor("x"), again])], "again");
        inner = inner.replacen("[\"again\", 1, 0]]", "[\"again\", 2, 0]]", 1);
    }
    match load_bytes("net.keras", &archive(&whole(&inner), &weights)) {
        Err(error) => assert!(
            error.message.contains("calls layers more than") || error.message.contains("recursion limit"),
            "{error}"
        ),
        Ok(_) => panic!("a million calls"),
    }
}

#[test]
fn packed_members_that_grow_without_measure_are_refused() {
    let (config, _) = parts("residual1d.keras");
    let bomb = archive(&config, &vec![0; 300 << 20]);
    assert!(bomb.len() < 1 << 20);
    let error = load_bytes("net.keras", &bomb).unwrap_err();
    assert!(error.message.contains("unpacks to more than 100 times"), "{error}");
    // A dataset that claims more bytes than the file has.
    let (_, mut weights) = parts("residual1d.keras");
    let place = weights.windows(24).position(|bytes| {
        bytes[..8] == 3u64.to_le_bytes()
            && bytes[8..16] == 3u64.to_le_bytes()
            && bytes[16..] == 4u64.to_le_bytes()
    });
    let place = place.expect("the shape of the first kernel");
    weights[place + 16..place + 24].copy_from_slice(&(1u64 << 28).to_le_bytes());
    let wide = config.replacen("\"filters\": 4", "\"filters\": 268435456", 1);
    let error = load_bytes("net.keras", &archive(&wide, &weights)).unwrap_err();
    assert!(
        error.message.contains("but the file has") || error.message.contains("cannot be read"),
        "{error}"
    );
}

#[test]
fn damaged_files_are_refused_without_a_panic() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    let (config, weights) = parts("embedding_float.keras");
    let hdf5 = std::fs::read(small_models().join("keras2_sequential.h5")).unwrap();
    let mut refused = 0;
    for round in 0..600 {
        let damage = |bytes: &[u8], random: &mut dyn FnMut(usize) -> usize| -> Vec<u8> {
            let mut bytes = bytes.to_vec();
            if round % 5 == 0 {
                bytes.truncate(random(bytes.len()));
            }
            for _ in 0..1 + random(6) {
                let place = random(bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = random(256) as u8;
                }
            }
            bytes
        };
        let file = match round % 3 {
            0 => archive(&config, &damage(&weights, &mut random)),
            1 => damage(&hdf5, &mut random),
            _ => archive(&String::from_utf8_lossy(&damage(config.as_bytes(), &mut random)), &weights),
        };
        let name = if round % 3 == 1 { "net.h5" } else { "net.keras" };
        refused += usize::from(load_bytes(name, &file).is_err());
    }
    assert!(refused > 100, "{refused} of 600");
}
