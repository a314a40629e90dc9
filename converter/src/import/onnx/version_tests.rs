//! Old and new operator sets, attributes, training mode, and files beside a model.

use super::proto::{Attribute, ModelProto, NodeProto, OperatorSetId, TensorProto};
use super::tests::{model, node, refused, vectors, weights};
use super::*;
use crate::data::npz::Npz;
use crate::graph::{DType, UnaryKind};
use crate::import::{load, load_bytes, unsupported_layers};
use crate::reference::Executor;
use crate::shared_models::rows;

fn with(mut node: NodeProto, attributes: Vec<Attribute>) -> NodeProto {
    node.attribute = attributes;
    node
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.into(), i, kind: 2, ..Attribute::default() }
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: ints.to_vec(), kind: 7, ..Attribute::default() }
}

fn text(name: &str, s: &str) -> Attribute {
    Attribute { name: name.into(), s: s.into(), kind: 3, ..Attribute::default() }
}

/// A model of one operator set with known tensors.
fn of_set(version: i64, nodes: Vec<NodeProto>, shape: &[i64], constants: Vec<TensorProto>) -> ModelProto {
    let mut file = model(nodes, &[("x", shape)], &["y"]);
    file.opset_import = vec![OperatorSetId { domain: String::new(), version }];
    file.graph.as_mut().unwrap().initializer = constants;
    file
}

fn import(file: &ModelProto) -> Imported {
    load_bytes("net.onnx", &file.encode_to_vec()).unwrap()
}

fn answer(file: &ModelProto, input: &[f32]) -> Vec<f32> {
    let graph = import(file).graph;
    Executor::new(&graph).unwrap().run(&[input]).unwrap().remove(0)
}

fn reason(file: &ModelProto) -> String {
    let found = unsupported_layers(&import(file).graph);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].reason.clone()
}

#[test]
fn operator_sets_that_are_not_known_yet_are_told() {
    let file = |version| of_set(version, vec![node("Relu", &["x"], &["y"])], &[1, 4], vec![]);
    assert_eq!(import(&file(28)).warnings, [""; 0]);
    let warnings = import(&file(41)).warnings;
    assert!(warnings[0].contains("operator set 41") && warnings[0].contains("28"), "{warnings:?}");
    assert!(refused(&file(0)).message.contains("operator set 0"));
}

#[test]
fn attributes_that_an_operator_does_not_have_are_told() {
    let file = |version, op: &str, attribute| {
        of_set(version, vec![with(node(op, &["x"], &["y"]), vec![attribute])], &[1, 4], vec![])
    };
    assert_eq!(import(&file(13, "Softmax", int("axis", 1))).warnings, [""; 0]);
    let warnings = import(&file(13, "Softmax", int("dim", 1))).warnings;
    assert!(warnings[0].contains("`dim`") && warnings[0].contains("`the_y` (Softmax)"), "{warnings:?}");
    // Attributes are added and removed over the versions.
    assert_eq!(import(&file(5, "Relu", ints("consumed_inputs", &[0]))).warnings, [""; 0]);
    assert_eq!(import(&file(6, "Relu", ints("consumed_inputs", &[0]))).warnings.len(), 1);
    assert_eq!(import(&file(13, "Relu", int("__tool", 1))).warnings, [""; 0]);
    let error = refused(&file(13, "Softmax", text("axis", "1")));
    assert!(error.message.contains("`axis` is a text, expected an integer"), "{error:?}");
}

#[test]
fn operators_that_the_operator_set_does_not_have_are_told() {
    let file = |version| of_set(version, vec![node("Gelu", &["x"], &["y"])], &[1, 4], vec![]);
    assert_eq!(import(&file(20)).warnings, [""; 0]);
    let warnings = import(&file(19)).warnings;
    assert!(
        warnings[0].contains("`the_y` (Gelu)") && warnings[0].contains("since operator set 20"),
        "{warnings:?}"
    );
    let unknown = with(node("Gelu", &["x"], &["y"]), vec![text("approximate", "erf")]);
    assert_eq!(reason(&of_set(20, vec![unknown], &[1, 4], vec![])), "approximate erf");
}

#[test]
fn normalization_by_the_batch_is_refused() {
    let file = |version, results: &[&str], attributes| {
        let layer = with(node("BatchNormalization", &["x", "s", "b", "m", "v"], results), attributes);
        let of = |name| weights(name, &[2], vec![1.0, 2.0]);
        of_set(version, vec![layer], &[1, 2], ["s", "b", "m", "v"].map(of).to_vec())
    };
    // A node with several results asks for training mode, even if the others are not read; their names may be
    // empty.
    let five = ["y", "m2", "v2", "m3", "v3"];
    assert!(reason(&file(9, &five, vec![])).contains("training mode"));
    assert!(reason(&file(15, &["y"], vec![int("training_mode", 1)])).contains("training mode"));
    assert!(reason(&file(6, &["y"], vec![int("is_test", 0)])).contains("training mode"));
    for version in [9, 15] {
        assert_eq!(import(&file(version, &["y", "", ""], vec![])).warnings, [""; 0]);
    }
    assert_eq!(import(&file(6, &five, vec![int("is_test", 1)])).warnings, [""; 0]);
    assert!(import(&file(6, &["y"], vec![])).warnings[0].contains("training mode"));
}

#[test]
fn layers_in_training_mode_are_refused() {
    let flag = |name: &str, x: u8| TensorProto {
        name: name.into(),
        data_type: 9,
        raw_data: vec![x],
        ..TensorProto::default()
    };
    let dropout = node("Dropout", &["x", "ratio", "mode"], &["y"]);
    let file = |ratio: f32, mode| {
        of_set(
            13,
            vec![dropout.clone()],
            &[1, 4],
            vec![weights("ratio", &[], vec![ratio]), flag("mode", mode)],
        )
    };
    assert!(reason(&file(0.5, 1)).contains("training mode"));
    assert_eq!(answer(&file(0.5, 0), &[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(answer(&file(0.0, 1), &[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0]);
    let old =
        |attributes| of_set(6, vec![with(node("Dropout", &["x"], &["y"]), attributes)], &[1, 4], vec![]);
    assert!(reason(&old(vec![int("is_test", 0)])).contains("training mode"));
    assert_eq!(import(&old(vec![int("is_test", 1)])).warnings, [""; 0]);
    assert!(import(&old(vec![])).warnings[0].contains("training mode"));
}

#[test]
fn shapes_met_in_another_way_before_operator_set_7() {
    let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
    let add = |version, attributes| {
        let layer = with(node("Add", &["x", "b"], &["y"]), attributes);
        of_set(version, vec![layer], &[2, 2, 2], vec![weights("b", &[2], vec![10.0, 20.0])])
    };
    let last = [10.0, 21.0, 12.0, 23.0, 14.0, 25.0, 16.0, 27.0];
    assert_eq!(answer(&add(7, vec![]), &x), last);
    assert_eq!(answer(&add(6, vec![int("broadcast", 1)]), &x), last);
    let first = [10.0, 11.0, 12.0, 13.0, 24.0, 25.0, 26.0, 27.0];
    assert_eq!(answer(&add(6, vec![int("broadcast", 1), int("axis", 0)]), &x), first);
    let middle = [10.0, 11.0, 22.0, 23.0, 14.0, 15.0, 26.0, 27.0];
    assert_eq!(answer(&add(6, vec![int("broadcast", 1), int("axis", 1)]), &x), middle);
    // There is one slope for each channel.
    let slope = of_set(
        6,
        vec![node("PRelu", &["x", "b"], &["y"])],
        &[1, 2, 2],
        vec![weights("b", &[2], vec![0.5, 2.0])],
    );
    assert_eq!(answer(&slope, &[-1.0, -2.0, -3.0, 4.0]), [-0.5, -1.0, -6.0, 4.0]);
}

#[test]
fn what_old_operator_sets_write_as_attributes_is_read() {
    let one = |version, op: &str, attributes| {
        of_set(version, vec![with(node(op, &["x"], &["y"]), attributes)], &[2, 2], vec![])
    };
    let x = [1.0, 2.0, 3.0, 4.0];
    let padded = answer(&one(1, "Pad", vec![ints("paddings", &[0, 1, 0, 0])]), &x);
    assert_eq!(padded, [0.0, 1.0, 2.0, 0.0, 3.0, 4.0]);
    assert_eq!(answer(&one(1, "Reshape", vec![ints("shape", &[4])]), &x), x);
    assert_eq!(answer(&one(5, "Cast", vec![text("to", "FLOAT")]), &x), x);
    let scale = |name: &str| Attribute { name: name.into(), f: 2.0, kind: 1, ..Attribute::default() };
    let image = with(node("Upsample", &["x"], &["y"]), vec![scale("height_scale"), scale("width_scale")]);
    let image = of_set(1, vec![image], &[1, 1, 1, 2], vec![]);
    assert_eq!(answer(&image, &[1.0, 2.0]), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    let number = |name: &str, x| TensorProto {
        name: name.into(),
        data_type: 7,
        int64_data: vec![x],
        dims: vec![1],
        ..TensorProto::default()
    };
    let tile = node("Tile", &["x", "count", "axis"], &["y"]);
    let tile = of_set(1, vec![tile], &[2, 2], vec![number("count", 2), number("axis", 1)]);
    assert_eq!(answer(&tile, &x), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
}

#[test]
fn blocks_go_into_depth_in_both_orders() {
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let file = |mode: &str| {
        let attributes = vec![int("blocksize", 2), text("mode", mode)];
        of_set(28, vec![with(node("SpaceToDepth", &["x"], &["y"]), attributes)], &[1, 2, 2, 4], vec![])
    };
    let rows = [0.0, 2.0, 8.0, 10.0, 1.0, 3.0, 9.0, 11.0, 4.0, 6.0, 12.0, 14.0, 5.0, 7.0, 13.0, 15.0];
    assert_eq!(answer(&file("DCR"), &x), rows);
    let channels = [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0, 8.0, 10.0, 9.0, 11.0, 12.0, 14.0, 13.0, 15.0];
    assert_eq!(answer(&file("CRD"), &x), channels);
}

/// The layers that remain of a choice between functions.
#[test]
fn a_choice_between_functions_is_one_function_or_stays() {
    let number = |name: &str, x| weights(name, &[], vec![x]);
    let nodes = |other: &str| {
        let other = node(other, &["x"], &["soft"]);
        vec![other, node("Greater", &["x", "t"], &["big"]), node("Where", &["big", "x", "soft"], &["y"])]
    };
    let graph = import(&of_set(18, nodes("Softplus"), &[1, 4], vec![number("t", 20.0)])).graph;
    assert_eq!(graph.nodes.len(), 1);
    assert!(matches!(graph.nodes[0].op, Op::Unary(UnaryKind::Softplus)));
    let file = of_set(18, nodes("Exp"), &[1, 4], vec![number("t", 20.0)]);
    let graph = import(&file).graph;
    let found: Vec<&str> = graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(found, ["EXP", "GREATER", "SELECT_V2"]);
}

#[test]
fn integers_at_the_border_keep_their_type() {
    for (name, layers) in [("border_uint8", 1), ("border_products", 2)] {
        let path = vectors().join(name).with_extension("onnx");
        let mut graph = load(&path).unwrap().graph;
        crate::passes::optimise(&mut graph);
        assert_eq!(graph.value(graph.outputs[0]).dtype, DType::UInt8, "{name}");
        let input = graph.value(graph.inputs[0]);
        assert_eq!(input.dtype, DType::UInt8, "{name}");
        let (scale, zero) = input.quantization.as_ref().and_then(Quantization::tensor).unwrap();
        let (out_scale, out_zero) =
            graph.value(graph.outputs[0]).quantization.as_ref().unwrap().tensor().unwrap();
        // The whole conversion, without samples.
        let (int8, _) =
            crate::quantize::quantize(&graph, &crate::quantize::NoSamples, &Default::default()).unwrap();
        let bytes = crate::emit::compile(&int8, &Default::default()).unwrap().bytes;
        assert!(!bytes.is_empty());
        let products = |op: &Op| matches!(op, Op::Conv2d(_) | Op::FullyConnected(_) | Op::BatchMatMul(_));
        assert_eq!(int8.nodes.iter().filter(|n| products(&n.op)).count(), layers, "{name}");
        let executor = Executor::new(&int8).unwrap();
        let mut oracle = Npz::open(&path.with_extension("npz")).unwrap();
        let (inputs, expected) = (rows(&mut oracle, "in0"), rows(&mut oracle, "out0"));
        for (x, wanted) in inputs.iter().zip(&expected) {
            let x: Vec<f32> = x.iter().map(|x| scale * (x - zero as f32)).collect();
            let found = crate::quantize::run_fake_quantized(&executor, &[&x]).unwrap().remove(0);
            for (y, wanted) in found.iter().zip(wanted) {
                let y = (y / out_scale).round() + out_zero as f32;
                assert!((y - wanted).abs() <= 2.0, "{name}: {y} and {wanted}");
            }
        }
    }
}

#[test]
fn types_are_named_as_the_file_names_them() {
    let zero = TensorProto { name: "z".into(), data_type: 4, raw_data: vec![0, 0], ..TensorProto::default() };
    let file = of_set(
        21,
        vec![node("QuantizeLinear", &["x", "s", "z"], &["y"])],
        &[4],
        vec![weights("s", &[], vec![0.5]), zero],
    );
    assert!(reason(&file).starts_with("to uint16"), "{}", reason(&file));
}

#[test]
fn data_beside_the_model_is_named_where_it_is_short_or_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |key: &str, value: &str| proto::Entry { key: key.into(), value: value.into() };
    let outside = |location: &str| TensorProto {
        name: "b".into(),
        dims: vec![4],
        data_type: 1,
        data_location: 1,
        external_data: vec![entry("location", location), entry("offset", "8"), entry("length", "16")],
        ..TensorProto::default()
    };
    std::fs::write(folder.path().join("short.data"), [0; 20]).unwrap();
    std::fs::create_dir(folder.path().join("folder.data")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.data")).status();
    let mut places = vec![("short.data", "ends after 20"), ("folder.data", "not a regular file")];
    if pipe.is_ok_and(|status| status.success()) {
        places.push(("pipe.data", "not a regular file"));
    }
    for (location, told) in places {
        let file = of_set(17, vec![node("Add", &["x", "b"], &["y"])], &[4], vec![outside(location)]);
        let path = folder.path().join("net.onnx");
        std::fs::write(&path, file.encode_to_vec()).unwrap();
        let message = load(&path).unwrap_err().message;
        assert!(message.contains(told) && message.contains(&format!("`{location}`")), "{message}");
        assert!(!message.contains("Some("), "{message}");
    }
}

#[test]
fn truth_values_may_be_at_the_border() {
    let compared = |op: &str| vec![node("Abs", &["x"], &["a"]), node(op, &["a", "t"], &["y"])];
    for op in ["Greater", "Equal"] {
        let mut file = of_set(13, compared(op), &[1, 4], vec![weights("t", &[1], vec![0.5])]);
        let tensor = file.graph.as_mut().unwrap().output[0].r#type.as_mut().unwrap();
        tensor.tensor_type.as_mut().unwrap().elem_type = 9;
        let graph = load_bytes("net.onnx", &file.encode_to_vec()).unwrap().graph;
        assert_eq!(graph.value(graph.outputs[0]).dtype, DType::Bool);
    }
    let mut file = of_set(13, vec![node("Where", &["m", "x", "x"], &["y"])], &[1, 4], vec![]);
    let graph = file.graph.as_mut().unwrap();
    let mut mask = graph.input[0].clone();
    mask.name = "m".into();
    mask.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().elem_type = 9;
    graph.input.push(mask);
    let graph = load_bytes("net.onnx", &file.encode_to_vec()).unwrap().graph;
    assert_eq!(graph.nodes.iter().map(|node| node.op.name()).collect::<Vec<_>>(), ["SELECT_V2"]);
}
