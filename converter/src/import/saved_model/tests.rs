//! Compares the shared models with Keras's results, and one small model for each layer with TensorFlow's, and
//! checks that damaged models do not cause panics.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::data::npz::Npz;
use crate::graph::{CompareKind, Graph};
use crate::import::{load, load_with, refuse_unsupported};
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
fn trained_models_compute_what_keras_computes() {
    let Some(folder) = ferrolite_shared::models() else { return };
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
    let Some(folder) = ferrolite_shared::models() else { return };
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

/// Runs one signature. Returns the largest difference from TensorFlow's results, relative for numbers above
/// one.
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

#[test]
fn recurrent_layers_of_keras_become_one_layer_each() {
    let expected = [
        ("lstm", vec!["UNIDIRECTIONAL_SEQUENCE_LSTM"]),
        ("lstm_sequence", vec!["UNIDIRECTIONAL_SEQUENCE_LSTM"; 2]),
        ("lstm_no_bias", vec!["UNIDIRECTIONAL_SEQUENCE_LSTM"]),
        ("gru", vec!["GRU"]),
        ("gru_before", vec!["GRU"]),
        ("simple_rnn", vec!["UNIDIRECTIONAL_SEQUENCE_RNN"; 2]),
        ("bidirectional", vec!["UNIDIRECTIONAL_SEQUENCE_LSTM"; 2]),
    ];
    for (case, wanted) in expected {
        let options = ImportOptions { signature: Some(case.into()), ..ImportOptions::default() };
        let graph = load_with(&small_models().join("keras"), &options).unwrap().graph;
        let recurrent = graph.nodes.iter().filter(|node| matches!(node.op, crate::graph::Op::Recurrent(_)));
        assert_eq!(recurrent.map(|node| node.op.name()).collect::<Vec<_>>(), wanted, "{case}");
        let unrolled = graph.nodes.iter().any(|node| node.name.contains("/step_"));
        assert!(!unrolled, "{case}");
    }
}

#[test]
fn layers_that_cannot_be_converted_are_all_named() {
    let options = ImportOptions { signature: Some("unsupported".into()), ..ImportOptions::default() };
    let graph = load_with(&small_models().join("operators"), &options).unwrap().graph;
    let message = refuse_unsupported(&graph).unwrap_err().message;
    assert!(
        message.contains("1 layer cannot") && message.contains("Lgamma") && !message.contains("Cumsum"),
        "{message}"
    );
}

#[test]
fn comparisons_that_make_no_known_function_stay() {
    let layers = |case: &str| -> Vec<String> {
        let options = ImportOptions { signature: Some(case.into()), ..ImportOptions::default() };
        let graph = load_with(&small_models().join("choices"), &options).unwrap().graph;
        refuse_unsupported(&graph).unwrap();
        graph.nodes.iter().map(|node| node.op.name().to_string()).collect()
    };
    let found = layers("unsupported");
    assert!(found.contains(&"GREATER".into()) && found.contains(&"SELECT_V2".into()), "{found:?}");
    let found = layers("truth");
    assert!(found.last().is_some_and(|last| CompareKind::of(last).is_some()), "{found:?}");
}

#[test]
fn signatures_are_chosen_by_name() {
    let folder = small_models().join("operators");
    let error = load(&folder).unwrap_err();
    assert!(error.message.contains("several signatures") && error.message.contains("`argmax`"), "{error}");
    let options = ImportOptions { signature: Some("absent".into()), ..ImportOptions::default() };
    let error = load_with(&folder, &options).unwrap_err();
    assert!(error.message.contains("no signature `absent`") && error.message.contains("`tile`"), "{error}");
    let options = ImportOptions {
        signature: Some("tile".into()),
        input_shapes: vec![("z".into(), vec![1])],
        ..ImportOptions::default()
    };
    assert!(load_with(&folder, &options).unwrap_err().message.contains("`z`"));
    // The path may be that of the file in the directory, and a batch may be given.
    let options = ImportOptions {
        signature: Some("two_outputs".into()),
        input_shapes: vec![("x".into(), vec![3, 4])],
        ..ImportOptions::default()
    };
    let graph = load_with(&folder.join(FILE), &options).unwrap().graph;
    let outputs: Vec<&str> = graph.outputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
    assert_eq!(outputs, ["same", "twice"]);
    assert_eq!(graph.value(graph.inputs[0]).shape, [3, 4]);
    assert!(crate::import::load_bytes(FILE, b"").unwrap_err().message.contains("is a directory"));
}

/// A copy of a small model, to be damaged.
fn copy_of(model: &str) -> tempfile::TempDir {
    let (from, to) = (small_models().join(model), tempfile::tempdir().unwrap());
    std::fs::create_dir(to.path().join("variables")).unwrap();
    for file in [FILE, "variables/variables.index", "variables/variables.data-00000-of-00001"] {
        std::fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    to
}

fn import_case(folder: &Path, case: &str) -> Result<Imported> {
    import(folder, &ImportOptions { signature: Some(case.into()), ..ImportOptions::default() })
}

#[test]
fn missing_and_damaged_variables_are_refused_by_name() {
    let folder = copy_of("keras");
    let data = folder.path().join("variables/variables.data-00000-of-00001");
    let bytes = std::fs::read(&data).unwrap();
    assert!(import_case(folder.path(), "dense").is_ok());
    std::fs::write(&data, bytes.iter().map(|b| b ^ 1).collect::<Vec<u8>>()).unwrap();
    let error = import_case(folder.path(), "dense").unwrap_err();
    assert!(error.message.contains("checksum") && error.message.contains("variable `"), "{error}");
    std::fs::write(&data, &bytes[..8]).unwrap();
    assert!(import_case(folder.path(), "dense").unwrap_err().message.contains("which has 8 bytes"));
    std::fs::remove_file(&data).unwrap();
    let error = import_case(folder.path(), "dense").unwrap_err();
    assert!(error.message.contains("cannot be read"), "{error}");
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(cause.map(std::io::Error::kind), Some(std::io::ErrorKind::NotFound));
    let index = folder.path().join("variables/variables.index");
    let entries = std::fs::read(&index).unwrap();
    std::fs::write(&index, &entries[..entries.len() / 2]).unwrap();
    assert!(import_case(folder.path(), "dense").unwrap_err().message.contains("variables.index is damaged"));
    std::fs::remove_file(&index).unwrap();
    assert!(
        import_case(folder.path(), "dense").unwrap_err().message.contains("no variables/variables.index")
    );
}

/// A model with these nodes, whose signature `s` maps `x` to the tensor `y`.
fn written(nodes: Vec<proto::NodeDef>, functions: Vec<proto::FunctionDef>) -> tempfile::TempDir {
    let shape = |dims: &[i64]| proto::TensorShape {
        dims: dims.iter().map(|&size| proto::Dim { size }).collect(),
        unknown_rank: false,
    };
    let info = |name: &str| proto::TensorInfo { name: name.into(), dtype: 1, shape: Some(shape(&[-1, 4])) };
    let signature = proto::Signature {
        inputs: [("x".to_string(), info("x:0"))].into(),
        outputs: [("y".to_string(), info("y:0"))].into(),
    };
    let graph = proto::GraphDef { nodes, library: Some(proto::FunctionLibrary { functions }) };
    let meta = proto::MetaGraph {
        graph: Some(graph),
        signatures: [("s".to_string(), signature)].into(),
        ..Default::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let model = proto::SavedModel { meta_graphs: vec![meta] };
    std::fs::write(folder.path().join(FILE), model.encode_to_vec()).unwrap();
    folder
}

fn node(name: &str, op: &str, inputs: &[&str], attributes: Vec<(&str, proto::Attr)>) -> proto::NodeDef {
    let attribute =
        |(key, value): (&str, proto::Attr)| (key.to_string(), proto::AttrValue { value: Some(value) });
    proto::NodeDef {
        name: name.into(),
        op: op.into(),
        inputs: inputs.iter().map(|i| i.to_string()).collect(),
        attributes: attributes.into_iter().map(attribute).collect(),
    }
}

fn call(name: &str, function: &str, input: &str) -> proto::NodeDef {
    let function = proto::Attr::Function(proto::NameAttrList { name: function.into() });
    node(name, "PartitionedCall", &[input], vec![("f", function)])
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    let refused = |nodes, functions, expected: &str| {
        let folder = written(nodes, functions);
        let error = import(folder.path(), &ImportOptions::default()).unwrap_err();
        assert!(error.message.contains(expected) && !error.help.is_empty(), "{expected}: {error:?}");
    };
    let circle = vec![node("y", "Relu", &["z"], vec![]), node("z", "Relu", &["y"], vec![])];
    refused(circle, vec![], "depends on itself");
    refused(vec![node("y", "Relu", &["absent"], vec![])], vec![], "`absent` is read but not there");
    refused(vec![node("y", "Relu", &["x:3"], vec![])], vec![], "no such result");
    refused(vec![node("y", "Relu", &[], vec![])], vec![], "operand 0 is missing");
    refused(vec![call("y", "absent", "x")], vec![], "function `absent`");
    let arg = |name: &str| proto::ArgDef { name: name.into() };
    let itself = proto::FunctionDef {
        signature: Some(proto::OpDef { name: "f".into(), inputs: vec![arg("a")], outputs: vec![arg("b")] }),
        nodes: vec![call("again", "f", "a")],
        results: [("b".to_string(), "again:output:0".to_string())].into(),
    };
    refused(vec![call("y", "f", "x")], vec![itself], "calls itself");
    let huge = proto::TensorProto {
        dtype: 3,
        shape: Some(proto::TensorShape { dims: vec![proto::Dim { size: 2 }], unknown_rank: false }),
        ints: vec![1 << 30],
        ..Default::default()
    };
    let size = node("size", "Const", &[], vec![("value", proto::Attr::Tensor(huge))]);
    let folder = written(vec![node("y", "Tile", &["x", "size"], vec![]), size], vec![]);
    let graph = import(folder.path(), &ImportOptions::default()).unwrap().graph;
    assert!(refuse_unsupported(&graph).unwrap_err().message.contains("absurd shape"));
    // An outer product, which the file describes in a few bytes.
    let row = |dims: &[i64]| {
        let dims = dims.iter().map(|&size| proto::Dim { size }).collect();
        let shape = Some(proto::TensorShape { dims, unknown_rank: false });
        let splat = proto::TensorProto { dtype: 1, shape, floats: vec![1.0], ..Default::default() };
        vec![("value", proto::Attr::Tensor(splat))]
    };
    let nodes = vec![
        node("a", "Const", &[], row(&[1 << 20, 1])),
        node("b", "Const", &[], row(&[1, 1 << 10])),
        node("c", "Mul", &["a", "b"], vec![]),
        node("y", "Sub", &["x", "c"], vec![]),
    ];
    let graph = import(written(nodes, vec![]).path(), &ImportOptions::default()).unwrap().graph;
    assert!(refuse_unsupported(&graph).unwrap_err().message.contains("absurd shape"));
    // The constants double with each node.
    let mut nodes = vec![
        node(
            "axis",
            "Const",
            &[],
            vec![(
                "value",
                proto::Attr::Tensor(proto::TensorProto {
                    dtype: 3,
                    shape: Some(proto::TensorShape::default()),
                    ..Default::default()
                }),
            )],
        ),
        node("n0", "Const", &[], row(&[4])),
        node("y", "Add", &["x", "n40"], vec![]),
    ];
    for i in 0..40 {
        let before = format!("n{i}");
        nodes.push(node(&format!("n{}", i + 1), "ConcatV2", &[&before, &before, "axis"], vec![]));
    }
    let graph = import(written(nodes, vec![]).path(), &ImportOptions::default()).unwrap().graph;
    assert!(refuse_unsupported(&graph).unwrap_err().message.contains("absurd shape"));
}

/// Numbers of a shape.
fn array(name: &str, dims: &[i64], numbers: &[f32]) -> proto::NodeDef {
    let dims = dims.iter().map(|&size| proto::Dim { size }).collect();
    let shape = Some(proto::TensorShape { dims, unknown_rank: false });
    let tensor = proto::TensorProto { dtype: 1, shape, floats: numbers.to_vec(), ..Default::default() };
    node(name, "Const", &[], vec![("value", proto::Attr::Tensor(tensor))])
}

/// A function of one argument `a`, whose result is that of its last node.
fn function(name: &str, nodes: Vec<proto::NodeDef>) -> proto::FunctionDef {
    let arg = |name: &str| proto::ArgDef { name: name.into() };
    let last = nodes.last().map(|node| format!("{}:z:0", node.name)).unwrap_or_default();
    proto::FunctionDef {
        signature: Some(proto::OpDef { name: name.into(), inputs: vec![arg("a")], outputs: vec![arg("b")] }),
        nodes,
        results: [("b".to_string(), last)].into(),
    }
}

/// An IF whose condition the model computes.
fn conditional(compared: proto::NodeDef, no: Vec<proto::NodeDef>) -> Result<Graph> {
    let branch = |name: &str| proto::Attr::Function(proto::NameAttrList { name: name.into() });
    let branches = vec![("then_branch", branch("yes")), ("else_branch", branch("no"))];
    let axes = proto::TensorProto {
        dtype: 3,
        shape: Some(proto::TensorShape { dims: vec![proto::Dim { size: 2 }], unknown_rank: false }),
        ints: vec![0, 1],
        ..Default::default()
    };
    let nodes = vec![
        node("axes", "Const", &[], vec![("value", proto::Attr::Tensor(axes))]),
        node("sum", "Sum", &["x", "axes"], vec![]),
        array("limit", &[], &[1.5]),
        compared,
        node("y", "StatelessIf", &["compared", "x"], branches),
    ];
    let yes = vec![array("two", &[], &[2.0]), node("twice", "Mul", &["a", "two:output:0"], vec![])];
    let folder = written(nodes, vec![function("yes", yes), function("no", no)]);
    let graph = import(folder.path(), &ImportOptions::default())?.graph;
    refuse_unsupported(&graph)?;
    Ok(graph)
}

#[test]
fn branches_that_depend_on_data_are_read_both_ways() {
    let below: [f32; 4] = [1.0, -2.0, 0.5, 1.0];
    let above: [f32; 4] = [1.0, -1.0, 0.5, 1.5];
    for (op, operands, taken_of) in [
        ("Greater", ["sum", "limit"], [above, below]),
        ("Less", ["limit", "sum"], [above, below]),
        ("LessEqual", ["sum", "limit"], [below, above]),
    ] {
        let compared = node("compared", op, &operands, vec![]);
        let no = vec![
            node("positive", "Relu", &["a"], vec![]),
            node("negative", "Neg", &["positive:z:0"], vec![]),
        ];
        let mut graph = conditional(compared, no).unwrap();
        for _ in 0..2 {
            let executor = Executor::new(&graph).unwrap();
            let [yes, no] = taken_of;
            assert_eq!(executor.run(&[&yes]).unwrap()[0], yes.map(|x| 2.0 * x), "{op}");
            assert_eq!(executor.run(&[&no]).unwrap()[0], no.map(|x| -x.max(0.0)), "{op}");
            passes::optimise(&mut graph);
        }
    }
}

#[test]
fn branches_that_cannot_be_computed_say_why() {
    let refused = |compared, no: Vec<proto::NodeDef>, expected: &str| {
        let error = conditional(compared, no).unwrap_err();
        assert!(error.message.contains(expected) && error.message.contains("`y`"), "{expected}: {error:?}");
    };
    let greater = |operands: &[&str]| node("compared", "Greater", operands, vec![]);
    refused(greater(&["x", "limit"]), vec![node("b", "Relu", &["a"], vec![])], "4 elements");
    let other = vec![array("more", &[4, 1], &[1.0; 4]), node("b", "Mul", &["a", "more:output:0"], vec![])];
    refused(greater(&["sum", "limit"]), other, "its branches give float32 [1, 4] and float32 [4, 4]");
}

#[test]
fn deep_graphs_do_not_exhaust_the_stack() {
    let mut nodes = vec![node("y", "Relu", &["n0"], vec![])];
    for i in 0..20_000 {
        let input = if i == 19_999 { "x".to_string() } else { format!("n{}", i + 1) };
        nodes.push(node(&format!("n{i}"), "Identity", &[&input], vec![]));
    }
    let folder = written(nodes, vec![]);
    assert_eq!(import(folder.path(), &ImportOptions::default()).unwrap().graph.nodes.len(), 1);
}

#[test]
fn mutated_models_never_panic() {
    for (model, case) in [("operators", "strided"), ("keras", "gru"), ("operators", "space_to_batch")] {
        let folder = copy_of(model);
        let whole = std::fs::read(folder.path().join(FILE)).unwrap();
        let mut state = 1u64;
        for round in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 20) as u8;
            }
            std::fs::write(folder.path().join(FILE), &bytes).unwrap();
            let _ = import_case(folder.path(), case);
        }
        for at in (0..whole.len()).step_by(whole.len() / 40) {
            std::fs::write(folder.path().join(FILE), &whole[..at]).unwrap();
            assert!(import_case(folder.path(), case).is_err());
        }
    }
}

#[test]
fn activations_that_keras_writes_in_parts_become_one_layer() {
    for (case, wanted) in [
        ("activations", vec!["ELU", "SELU", "SOFTPLUS", "SOFTSIGN", "SILU", "GELU"]),
        ("activations2", vec!["LEAKY_RELU", "HARD_SIGMOID", "EXP", "LOG_SOFTMAX"]),
    ] {
        let options = ImportOptions { signature: Some(case.into()), ..ImportOptions::default() };
        let mut graph = load_with(&small_models().join("keras"), &options).unwrap().graph;
        passes::optimise(&mut graph);
        let found: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
        assert_eq!(found, wanted, "{case}");
    }
}
