//! Compares models with the results of ONNX Runtime: those that `tests/import/onnx/make.py` makes, one for
//! each operator and option, and the shared ones. Also tests damaged files.

use std::path::{Path, PathBuf};

use super::proto::{
    Attribute, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto, ValueInfo,
};
use super::proto::{TensorShape, TensorType, TypeProto};
use super::*;
use crate::data::npz::Npz;
use crate::graph::Constant;
use crate::import::{ImportOptions, load, load_bytes, load_bytes_with, load_with, unsupported_layers};
use crate::passes;
use crate::reference::Executor;
use crate::shared_models::rows;

/// The folder of the committed vectors.
pub(super) fn vectors() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/onnx"))
}

/// Largest difference between the outputs of all samples and the arrays `{prefix}out0`, …, relative to their
/// magnitude if that is above 1.
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
                // NaN counts as an error.
                worst = if distance.is_nan() { f32::INFINITY } else { worst.max(distance) };
            }
        }
    }
    worst
}

/// The error before and after the passes, and the remaining layers.
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
    // Integer models have tests of their own.
    let quantized = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        ["quantized", "border"].iter().any(|group| name.starts_with(group))
    };
    names.retain(|path| path.extension().is_some_and(|e| e == "onnx") && !quantized(path));
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
    let Some(folder) = ferrolite_shared::models() else { return };
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
            // For images of one channel, both layouts are the same.
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
    let Some(folder) = ferrolite_shared::models() else { return };
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
        // The .tflite importer does not support recurrent layers. A RESHAPE is no work for the device.
        if name != "mnist_lstm" {
            let work = |all: Vec<String>| all.into_iter().filter(|l| l != "RESHAPE").collect::<Vec<_>>();
            let tflite = layers(&folder.join(format!("{name}_float.tflite")));
            assert_eq!(work(found), work(tflite), "{name}");
        }
    }
}

#[test]
fn quantized_models_keep_their_numbers() {
    for name in ["quantized_qdq", "quantized_qdq_uint8", "quantized_operators", "quantized_operators_int8"] {
        let path = vectors().join(name).with_extension("onnx");
        let graph = load(&path).unwrap().graph;
        let mut optimised = graph.clone();
        passes::optimise(&mut optimised);
        let mut oracle = Npz::open(&path.with_extension("npz")).unwrap();
        let (inputs, expected) = (rows(&mut oracle, "in0"), rows(&mut oracle, "out0"));
        for graph in [&graph, &optimised] {
            let count = |op: Op| graph.nodes.iter().filter(|n| n.op == op).count();
            assert!(count(Op::Quantize) >= 10 && count(Op::Dequantize) >= 10, "{name}");
            // Filters and weights of two dense layers are still int8, biases int32.
            let of = |kind: fn(&Constant) -> bool| {
                let read = graph.nodes.iter().filter(|n| n.op == Op::Dequantize).filter_map(|n| n.input(0));
                read.filter(|&id| graph.value(id).constant.as_ref().is_some_and(kind)).count()
            };
            assert_eq!(of(|c| matches!(c, Constant::I8(_))), 4, "{name}");
            assert_eq!(of(|c| matches!(c, Constant::I32(_))), 3, "{name}");
            let executor = Executor::new(graph).unwrap();
            let mut worst = 0.0f32;
            for (x, wanted) in inputs.iter().zip(&expected) {
                let found = crate::quantize::run_fake_quantized(&executor, &[x]).unwrap();
                for (a, b) in found[0].iter().zip(wanted) {
                    worst = worst.max((a - b).abs());
                }
            }
            println!("{name}: {worst}");
            // Probabilities are rounded to 1/256. Both sides round intermediate results, one as integers, the
            // other as reals.
            assert!(worst <= 2.5 / 256.0, "{name}: {worst}");
        }
        let inside = optimised.nodes.iter().filter(|n| matches!(n.op, Op::Transpose(_))).count();
        let list: Vec<&str> = optimised.nodes.iter().map(|n| n.op.name()).collect();
        assert_eq!(inside, 1, "{name}: one at the border: {list:?}");
    }
}

/// Samples in memory, for models with one input.
struct Rows(Vec<Vec<f32>>);

impl crate::quantize::Samples for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.0[index].clone()])
    }
}

#[test]
fn int8_models_are_as_good_as_those_of_tflite() {
    let Some(folder) = ferrolite_shared::models() else { return };
    for name in ["digits_mlp", "mnist_cnn", "watch_conv1d", "fashion_dsres"] {
        let folder = folder.join("trained").join(name);
        let mut data = Npz::open(&folder.join("test_and_cal.npz")).unwrap();
        let [calibration, inputs, labels] = ["cal_x", "test_x", "test_y"].map(|array| rows(&mut data, array));
        let hits = |file: String| {
            let mut graph = load(&folder.join(file)).unwrap().graph;
            passes::optimise(&mut graph);
            let samples = Rows(calibration[..100].to_vec());
            let (graph, _) = crate::quantize::quantize(&graph, &samples, &Default::default()).unwrap();
            let executor = Executor::new(&graph).unwrap();
            let hit = |(x, label): &(&Vec<f32>, &Vec<f32>)| {
                let y = crate::quantize::run_fake_quantized(&executor, &[x]).unwrap().remove(0);
                (0..y.len()).max_by(|&a, &b| y[a].total_cmp(&y[b])) == Some(label[0] as usize)
            };
            inputs.iter().zip(&labels).take(200).filter(hit).count()
        };
        let (onnx, tflite) = (hits(format!("{name}.onnx")), hits(format!("{name}_float.tflite")));
        println!("{name}: {onnx} of 200, .tflite {tflite}");
        // The graphs are equal up to rounding of folded weights.
        assert!(onnx.abs_diff(tflite) <= 1, "{name}: {onnx} and {tflite}");
    }
}

/// A model file with these nodes, float inputs, and outputs by name.
pub(super) fn model(nodes: Vec<NodeProto>, inputs: &[(&str, &[i64])], outputs: &[&str]) -> ModelProto {
    let info = |name: &str, shape: &[i64]| {
        let dim =
            shape.iter().map(|&d| Dimension { dim_value: (d != 0).then_some(d), dim_param: None }).collect();
        let tensor = TensorType { elem_type: 1, shape: Some(TensorShape { dim }) };
        ValueInfo { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
    };
    ModelProto {
        ir_version: 8,
        producer_name: "test".into(),
        opset_import: vec![OperatorSetId { domain: String::new(), version: 17 }],
        graph: Some(GraphProto {
            node: nodes,
            input: inputs.iter().map(|(name, shape)| info(name, shape)).collect(),
            output: outputs.iter().map(|name| info(name, &[])).collect(),
            ..GraphProto::default()
        }),
    }
}

pub(super) fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    NodeProto {
        name: format!("the_{}", outputs[0]),
        op_type: op.into(),
        input: names(inputs),
        output: names(outputs),
        ..NodeProto::default()
    }
}

pub(super) fn refused(model: &ModelProto) -> Error {
    let error = load_bytes("net.onnx", &model.encode_to_vec()).unwrap_err();
    assert!(error.message.starts_with("net.onnx: ") && !error.help.is_empty(), "{error:?}");
    error
}

pub(super) fn weights(name: &str, dims: &[i64], floats: Vec<f32>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: floats,
        ..TensorProto::default()
    }
}

#[test]
fn all_layers_that_cannot_be_computed_are_named() {
    let nodes = vec![
        node("Relu", &["x"], &["a"]),
        node("NonZero", &["a"], &["b"]),
        node("Add", &["b", "a"], &["c"]),
        node("Loop", &["c"], &["d"]),
        node("MyOwn", &["x"], &["e"]),
        node("Concat", &["d", "e"], &["f"]),
    ];
    let file = model(nodes, &[("x", &[1, 4])], &["f"]);
    let imported = load_bytes("net.onnx", &file.encode_to_vec()).unwrap();
    let found = unsupported_layers(&imported.graph);
    let list: Vec<(&str, &str)> = found.iter().map(|l| (l.name.as_str(), l.op.as_str())).collect();
    assert_eq!(list, [("the_b", "NonZero"), ("the_d", "Loop"), ("the_e", "MyOwn")]);
    assert!(found[1].reason.contains("loops are not supported"), "{found:?}");
}

#[test]
fn labels_are_left_out_and_said_so() {
    let imported = load(&vectors().join("sklearn_classifier.onnx")).unwrap();
    assert_eq!(imported.graph.outputs.len(), 1);
    assert_eq!(imported.graph.value(imported.graph.outputs[0]).name, "output_probability");
    assert!(imported.notes.iter().any(|n| n.contains("output_label")), "{:?}", imported.notes);
    assert!(imported.notes.iter().any(|n| n.contains("ZipMap")), "{:?}", imported.notes);
}

#[test]
fn names_and_open_dimensions_are_the_authors() {
    let file = model(vec![node("Relu", &["x"], &["y"])], &[("x", &[0, 3, 0, 8])], &["y"]);
    let error = refused(&file);
    assert!(error.help.contains("--input-shape x=1,3,28,8"), "{error:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    std::fs::write(&path, file.encode_to_vec()).unwrap();
    let shapes = |name: &str| ImportOptions {
        input_shapes: vec![(name.into(), vec![1, 3, 5, 8])],
        ..ImportOptions::default()
    };
    assert!(load_with(&path, &shapes("z")).unwrap_err().message.contains("`z`"));
    let graph = load_with(&path, &shapes("x")).unwrap().graph;
    let name = |id| graph.value(id).name.as_str();
    assert_eq!((name(graph.inputs[0]), name(graph.outputs[0])), ("x", "y"));
    assert_eq!((graph.nodes[0].name.as_str(), graph.name.as_str()), ("the_y", "net"));
    assert_eq!(graph.value(graph.outputs[0]).shape, [1, 3, 5, 8]);
}

#[test]
fn inputs_that_are_constants_decide_branches() {
    let path = vectors().join("if_input.onnx");
    let options = |values: &[(&str, &str)]| ImportOptions {
        input_values: values.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
        ..ImportOptions::default()
    };
    let mut oracle = Npz::open(&path.with_extension("npz")).unwrap();
    let [truths, data, answers] = ["in0", "in1", "out0"].map(|name| rows(&mut oracle, name));
    for (text, truth) in [("true", 1.0), ("0", 0.0)] {
        let imported = load_with(&path, &options(&[("x0", text)])).unwrap();
        let graph = &imported.graph;
        assert_eq!(graph.inputs.len(), 1);
        assert!(!graph.nodes.iter().any(|node| matches!(node.op, Op::Choose(_))));
        assert!(
            imported.notes.iter().any(|note| note.contains("`x0` is a constant")),
            "{:?}",
            imported.notes
        );
        let executor = Executor::new(graph).unwrap();
        let mut compared = 0;
        for sample in (0..truths.len()).filter(|&sample| truths[sample][0] == truth) {
            let found = executor.run(&[&data[sample]]).unwrap();
            assert!(found[0].iter().zip(&answers[sample]).all(|(x, y)| (x - y).abs() < 1e-5));
            compared += 1;
        }
        assert!(compared > 0);
    }
    for (values, what) in [
        (&[("sr", "1")][..], "a value was given for the input `sr`, but the model's inputs are x0, x1"),
        (&[("x0", "2")], "`2` is no value of the input `x0`, bool [1]"),
        (&[("x1", "1,2")], "2 numbers for 6 elements"),
        (&[("x0", "1"), ("x0", "0")], "two values were given for the input `x0`"),
        (&[("x0", "1"), ("x1", "0.5")], "with these values the model has no input left"),
    ] {
        let error = load_with(&path, &options(values)).unwrap_err();
        assert!(error.message.contains(what) && !error.help.is_empty(), "{values:?}: {error:?}");
    }
}

#[test]
fn dynamic_quantization_is_the_float_network() {
    let integers = |name: &str, dims: &[i64], data_type, int32_data: Vec<i32>| TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type,
        int32_data,
        ..TensorProto::default()
    };
    let nodes = || {
        vec![
            node("DynamicQuantizeLinear", &["x"], &["q", "s", "z"]),
            node("MatMulInteger", &["q", "w", "z", "zw"], &["sums"]),
            node("Cast", &["sums"], &["real"]),
            node("Mul", &["s", "sw"], &["scale"]),
            node("Mul", &["real", "scale"], &["y"]),
        ]
    };
    let mut file = model(nodes(), &[("x", &[1, 2])], &["y"]);
    let net = file.graph.as_mut().unwrap();
    // uint8 with a zero point for each column.
    net.initializer = vec![
        integers("w", &[2, 2], 2, vec![250, 7, 131, 9]),
        integers("zw", &[2], 2, vec![130, 8]),
        weights("sw", &[2], vec![0.5, 0.25]),
    ];
    net.node[2].attribute.push(Attribute { name: "to".into(), i: 1, kind: 2, ..Attribute::default() });
    let graph = load_bytes("net.onnx", &file.encode_to_vec()).unwrap().graph;
    assert!(unsupported_layers(&graph).is_empty());
    let found = Executor::new(&graph).unwrap().run(&[&[3.0, -2.0]]).unwrap();
    assert_eq!(found, [[(3.0 * 120.0 - 2.0) * 0.5, (-3.0 - 2.0) * 0.25]]);
    // Integers that somebody else reads have no meaning.
    file.graph.as_mut().unwrap().node[1] = node("Cast", &["q"], &["sums"]);
    let graph = load_bytes("net.onnx", &file.encode_to_vec()).unwrap().graph;
    assert!(!unsupported_layers(&graph).is_empty());
}

#[test]
fn a_name_stands_for_one_size_wherever_it_occurs() {
    let mut file = model(
        vec![node("Add", &["x", "x"], &["a"]), node("Relu", &["h"], &["b"])],
        &[("x", &[0, 0]), ("h", &[2, 0, 0])],
        &["a", "b"],
    );
    let inputs = &mut file.graph.as_mut().unwrap().input;
    for (input, names) in inputs.iter_mut().zip([&["batch", "steps"][..], &["", "batch", "steps"]]) {
        let tensor = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        for (dimension, name) in tensor.shape.as_mut().unwrap().dim.iter_mut().zip(names) {
            dimension.dim_param = Some((*name).into());
        }
    }
    assert!(refused(&file).message.contains("`x` has shape 1,?"));
    let shape_of = |given: &str, shape: &[usize]| {
        let input_shapes = vec![(given.into(), shape.to_vec())];
        let options = ImportOptions { input_shapes, ..ImportOptions::default() };
        let graph = load_bytes_with("net.onnx", &file.encode_to_vec(), &options).unwrap().graph;
        graph.inputs.iter().map(|&id| graph.value(id).shape.clone()).collect::<Vec<_>>()
    };
    assert_eq!(shape_of("x", &[1, 7]), [vec![1, 7], vec![2, 1, 7]]);
    assert_eq!(shape_of("h", &[2, 3, 5]), [vec![3, 5], vec![2, 3, 5]]);
}

#[test]
fn nodes_in_any_order_are_sorted_and_cycles_refused() {
    let nodes = vec![node("Relu", &["a"], &["b"]), node("Abs", &["x"], &["a"])];
    let graph = load_bytes("net.onnx", &model(nodes, &[("x", &[4])], &["b"]).encode_to_vec()).unwrap().graph;
    assert_eq!(graph.nodes.iter().map(|n| n.op.name()).collect::<Vec<_>>(), ["ABS", "RELU"]);
    let nodes = vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"])];
    assert!(refused(&model(nodes, &[("x", &[4])], &["b"])).message.contains("cycle"));
    // The chain is longer than a thread's stack would allow for recursion.
    let chain: Vec<NodeProto> =
        (0..20_000).rev().map(|i| node("Relu", &[&format!("v{i}")], &[&format!("v{}", i + 1)])).collect();
    let file = model(chain, &[("v0", &[4])], &["v20000"]);
    assert_eq!(load_bytes("net.onnx", &file.encode_to_vec()).unwrap().graph.nodes.len(), 20_000);
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let missing = model(vec![node("Relu", &["z"], &["y"])], &[("x", &[4])], &["y"]);
    assert!(refused(&missing).message.contains("`z`"));
    let nobody = model(vec![node("Relu", &["x"], &["y"])], &[("x", &[4])], &["z"]);
    assert!(refused(&nobody).message.contains("`z`"));
    let twice =
        model(vec![node("Relu", &["x"], &["y"]), node("Abs", &["x"], &["y"])], &[("x", &[4])], &["y"]);
    assert!(refused(&twice).message.contains("written twice"));
    let shapes = model(vec![node("Add", &["x", "z"], &["y"])], &[("x", &[4]), ("z", &[3])], &["y"]);
    assert!(refused(&shapes).message.contains("`the_y`"));
    // Sizes that the file claims but does not have.
    let claims: [(&[i64], usize); 4] = [(&[1 << 40, 1 << 40], 4), (&[1 << 31], 4), (&[-4], 4), (&[5], 4)];
    for (dims, count) in claims {
        let mut file = model(vec![node("Add", &["x", "w"], &["y"])], &[("x", &[4])], &["y"]);
        let tensor = weights("w", dims, vec![0.0; count]);
        file.graph.as_mut().unwrap().initializer.push(tensor);
        assert!(refused(&file).message.contains("tensor `w`"), "{dims:?}");
    }
    // A small file that asks for a large result.
    let mut file = model(vec![node("ConstantOfShape", &["w"], &["y"])], &[("x", &[4])], &["y"]);
    let mut tensor = weights("w", &[2], Vec::new());
    (tensor.data_type, tensor.int64_data) = (7, vec![1 << 20, 1 << 20]);
    file.graph.as_mut().unwrap().initializer.push(tensor);
    let imported = load_bytes("net.onnx", &file.encode_to_vec()).unwrap();
    assert!(unsupported_layers(&imported.graph)[0].reason.contains("too large"));
}

#[test]
fn external_data_lies_beside_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.onnx");
    let write = |location: &str, offset: &str, length: &str| {
        let mut file = model(vec![node("Add", &["x", "w"], &["y"])], &[("x", &[4])], &["y"]);
        let mut tensor = weights("w", &[4], Vec::new());
        tensor.data_location = 1;
        tensor.external_data = [("location", location), ("offset", offset), ("length", length)]
            .map(|(key, value)| super::proto::Entry { key: key.into(), value: value.into() })
            .to_vec();
        file.graph.as_mut().unwrap().initializer.push(tensor);
        std::fs::write(&path, file.encode_to_vec()).unwrap();
        load(&path)
    };
    let message = |result: Result<Imported>| result.unwrap_err().message;
    assert!(message(write("net.data", "4", "16")).contains("`net.data`, which cannot be read"));
    let data: Vec<u8> = [9.0f32, 1.0, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(folder.path().join("net.data"), &data).unwrap();
    let imported = write("net.data", "4", "16").unwrap();
    let out = Executor::new(&imported.graph).unwrap().run(&[&[0.0; 4]]).unwrap();
    assert_eq!(out[0], [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(crate::import::files(&path), [path.clone(), folder.path().join("net.data")]);
    for (offset, length) in [("8", "16"), ("4", "12"), ("18446744073709551615", "16"), ("x", "16")] {
        let text = message(write("net.data", offset, length));
        assert!(text.contains("`w`"), "{text}");
    }
    for location in ["../net.data", "/etc/hostname", "a/../../net.data", ""] {
        assert!(message(write(location, "0", "16")).contains("outside"), "{location}");
    }
    let bytes = std::fs::read(&path).unwrap();
    assert!(load_bytes("net.onnx", &bytes).unwrap_err().message.contains("given as bytes"));
}

/// Every vector with some bytes changed, cut or doubled: the result is an error or a graph, never a panic,
/// and a graph is valid enough for the passes.
#[test]
fn damaged_files_never_panic() {
    let mut state = 1u64;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound.max(1)
    };
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(vectors()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    names.sort();
    let (mut errors, mut graphs) = (0, 0);
    for path in names {
        let sound = std::fs::read(&path).unwrap();
        for _ in 0..40 {
            let mut bytes = sound.clone();
            match random(8) {
                0 => bytes.truncate(random(sound.len())),
                1 => {
                    let at = random(sound.len());
                    let piece = bytes[at..(at + 9).min(sound.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    for _ in 0..=random(3) {
                        let at = random(sound.len());
                        bytes[at] = random(256) as u8;
                    }
                }
            }
            match load_bytes("net.onnx", &bytes) {
                Err(error) => {
                    assert!(!error.message.is_empty());
                    errors += 1;
                }
                Ok(mut imported) => {
                    if Executor::new(&imported.graph).is_ok() {
                        passes::optimise(&mut imported.graph);
                        graphs += 1;
                    }
                }
            }
        }
    }
    println!("{errors} errors, {graphs} graphs");
    assert!(errors > 100 && graphs > 100);
}

/// Every vector with numbers, shapes, operators and operands exchanged for others: valid files that
/// contradict themselves as models. `FERROLITE_ROUNDS` is the number of rounds for each vector.
#[test]
fn altered_models_never_panic() {
    const NUMBERS: [i64; 12] = [-1, 0, 1, 2, 3, 7, 64, -5, 1 << 20, 1 << 40, i64::MIN, i64::MAX];
    let rounds: usize = std::env::var("FERROLITE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let mut state = 9u64;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound.max(1)
    };
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(vectors()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    names.sort();
    let models: Vec<ModelProto> =
        names.iter().map(|path| ModelProto::decode(&std::fs::read(path).unwrap()[..]).unwrap()).collect();
    let operators: Vec<String> = models
        .iter()
        .flat_map(|m| m.graph.iter().flat_map(|g| &g.node))
        .map(|node| node.op_type.clone())
        .collect();
    let (mut errors, mut graphs) = (0, 0);
    for sound in &models {
        for _ in 0..rounds {
            let mut file = sound.clone();
            let graph = file.graph.as_mut().unwrap();
            for _ in 0..=random(2) {
                let number = NUMBERS[random(NUMBERS.len())];
                let at = random(graph.node.len());
                let node = &mut graph.node[at];
                let count = graph.initializer.len();
                match random(8) {
                    0 => node.op_type = operators[random(operators.len())].clone(),
                    1 => {
                        let (a, b) = (random(node.input.len()), random(node.input.len()));
                        if a != b {
                            node.input.swap(a, b);
                        }
                    }
                    2 => drop(node.input.pop()),
                    3 | 4 if !node.attribute.is_empty() => {
                        let at = random(node.attribute.len());
                        let attribute = &mut node.attribute[at];
                        attribute.i = number;
                        if !attribute.ints.is_empty() {
                            let at = random(attribute.ints.len());
                            attribute.ints[at] = number;
                        }
                    }
                    5 if count > 0 => {
                        let tensor = &mut graph.initializer[random(count)];
                        tensor.dims.reverse();
                        if random(3) == 0 {
                            tensor.dims.push(1);
                        }
                    }
                    6 if count > 0 => {
                        let tensor = &mut graph.initializer[random(count)];
                        if tensor.data_type == 7 && tensor.raw_data.len() >= 8 {
                            let place = 8 * random(tensor.raw_data.len() / 8);
                            tensor.raw_data[place..place + 8].copy_from_slice(&number.to_le_bytes());
                        }
                    }
                    _ => {
                        let at = random(graph.input.len());
                        let shape = graph.input[at].r#type.as_mut().and_then(|t| t.tensor_type.as_mut());
                        if let Some(shape) = shape.and_then(|t| t.shape.as_mut()) {
                            let at = random(shape.dim.len());
                            if let Some(dim) = shape.dim.get_mut(at) {
                                dim.dim_value = Some(number);
                            }
                        }
                    }
                }
            }
            match load_bytes("net.onnx", &file.encode_to_vec()) {
                Err(error) => {
                    assert!(!error.message.is_empty() && !error.help.is_empty(), "{error:?}");
                    errors += 1;
                }
                Ok(mut imported) => {
                    if Executor::new(&imported.graph).is_ok() {
                        passes::optimise(&mut imported.graph);
                        Executor::new(&imported.graph).expect("sound still");
                    }
                    graphs += 1;
                }
            }
        }
    }
    println!("{errors} errors, {graphs} graphs");
    assert!(errors > 100 && graphs > 100);
}
