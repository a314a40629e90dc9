//! Whole files from small hand-made graphs.

use ferrolite_runtime::{Interpreter, ops};
use ferrolite_schema::{Model, Rounding, Target, generated};

use super::*;
use crate::graph::{
    Activation, Constant, Conv2d, DType, FullyConnected, Node, Op, Quantization, Value, ValueId, Window,
};

fn activation(name: &str, shape: &[usize], scale: f32, zero_point: i32) -> Value {
    Value {
        name: name.into(),
        shape: shape.into(),
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(scale, zero_point)),
        constant: None,
    }
}

fn weights(name: &str, shape: &[usize], elements: Vec<i8>) -> Value {
    let constant = Some(Constant::I8(elements));
    Value { constant, ..activation(name, shape, 0.5, 0) }
}

fn node(name: &str, op: Op, inputs: &[ValueId], outputs: &[ValueId]) -> Node {
    Node {
        name: name.into(),
        op,
        inputs: inputs.iter().copied().map(Some).collect(),
        outputs: outputs.into(),
    }
}

/// 2x2x2 image, pointwise convolution to 3 channels, flattened, dense to 2.
fn small() -> Graph {
    let mut graph = Graph { name: "small".into(), ..Graph::default() };
    let x = graph.add_value(activation("x", &[1, 2, 2, 2], 1.0, -1));
    let filter = graph.add_value(weights("filter", &[3, 1, 1, 2], vec![1, 2, 3, 4, 5, 6]));
    let y = graph.add_value(activation("y", &[1, 2, 2, 3], 0.5, 3));
    let flat = graph.add_value(activation("flat", &[1, 12], 0.5, 3));
    let matrix = graph.add_value(weights("matrix", &[2, 12], (0..24).map(|i| i % 5 - 2).collect()));
    let z = graph.add_value(activation("z", &[1, 2], 0.25, 0));
    let pointwise =
        Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad_before: [0; 2], pad_after: [0; 2] };
    let relu = Activation::Relu;
    graph.nodes = vec![
        node("conv", Op::Conv2d(Conv2d { window: pointwise, activation: relu }), &[x, filter], &[y]),
        node("flatten", Op::Reshape, &[y], &[flat]),
        node(
            "dense",
            Op::FullyConnected(FullyConnected { activation: Activation::None }),
            &[flat, matrix],
            &[z],
        ),
    ];
    graph.inputs = vec![x];
    graph.outputs = vec![z];
    graph
}

fn run(bytes: &[u8], input: &[i8]) -> Vec<Vec<i8>> {
    let file = AlignedBuf::from_bytes(bytes);
    let model = Model::from_bytes(&file).unwrap();
    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    net.input_mut::<i8>(0).unwrap().copy_from_slice(input);
    net.invoke().unwrap();
    (0..model.outputs().len()).map(|i| net.output::<i8>(i).unwrap().to_vec()).collect()
}

#[test]
fn a_small_model_computes_what_its_formula_says() {
    let file = compile(&small(), &Options::default()).unwrap();
    let input = [3i8, -4, 7, 0, -1, -1, 9, 2];
    let mut y = Vec::new();
    for pixel in input.chunks(2) {
        for w in [[1, 2], [3, 4], [5, 6]] {
            // Scales: 1 * 0.5 / 0.5.
            let acc: i32 = pixel.iter().zip(w).map(|(&x, w)| (i32::from(x) + 1) * w).sum();
            y.push((acc + 3).clamp(3, 127));
        }
    }
    let z: Vec<i8> = (0..2)
        .map(|c| {
            let acc: i32 = y.iter().enumerate().map(|(i, y)| (y - 3) * ((12 * c + i as i32) % 5 - 2)).sum();
            acc.clamp(-128, 127) as i8
        })
        .collect();
    assert_eq!(run(&file.bytes, &input), [z]);
    assert_eq!(file.ops.iter().map(|op| op.name.as_str()).collect::<Vec<_>>(), ["conv", "dense"]);
    assert_eq!(file.macs(), 24 + 24);
}

#[test]
fn both_readers_accept_the_file_and_find_the_same() {
    let options = Options {
        metadata: Metadata {
            name: "small".into(),
            labels: vec!["a".into(), "b".into()],
            ..Metadata::default()
        },
        source_hash: vec![7; 32],
        self_test: Some(vec![1; 8]),
        ..Options::default()
    };
    let file = compile(&small(), &options).unwrap();
    assert_eq!(file.bytes, compile(&small(), &options).unwrap().bytes, "not deterministic");
    let buf = AlignedBuf::from_bytes(&file.bytes);
    let ours = Model::from_bytes(&buf).unwrap();
    let theirs = generated::root_as_model(&buf).unwrap();
    assert!(ours.checksum_matches());
    assert_eq!(ours.constants(), theirs.constants().unwrap().bytes());
    assert_eq!(ours.constants().as_ptr() as usize % 16, 0);
    assert_eq!(ours.ops().len(), theirs.ops().unwrap().len());
    assert_eq!(ours.arena_bytes(), theirs.header().unwrap().arena_bytes() as usize);
    assert_eq!(ours.source_hash(), [7; 32]);
    assert_eq!((ours.input_name(0), ours.output_name(0)), (Some("x"), Some("z")));
    assert_eq!(ours.inputs()[0].shape(), [1, 2, 2, 2]);
    let names = ours.names();
    assert_eq!(
        (names.op(1), names.op_kind(1), names.op_macs(1)),
        (Some("dense"), Some("FULLY_CONNECTED"), Some(24))
    );
    assert_eq!((names.model(), names.label(1), names.label(2)), (Some("small"), Some("b"), None));
    assert_eq!(names.tensor(1), Some("y"));
    let (input, output) = ours.self_test().unwrap();
    assert_eq!(run(&buf, bytemuck::cast_slice(input)), [bytemuck::cast_slice::<u8, i8>(output)]);

    let stripped = compile(&small(), &Options { strip: true, ..options }).unwrap();
    assert!(stripped.bytes.len() < file.bytes.len());
    let buf = AlignedBuf::from_bytes(&stripped.bytes);
    assert_eq!(Model::from_bytes(&buf).unwrap().names().op(0), None);
}

#[test]
fn odd_outputs_work() {
    // The input, a shape of it, an inner value, one output twice.
    let mut graph = small();
    let seen = graph.add_value(activation("seen", &[8], 1.0, -1));
    let (x, y, z) = (graph.inputs[0], ValueId(2), graph.outputs[0]);
    graph.nodes.push(node("view", Op::Reshape, &[x], &[seen]));
    graph.outputs = vec![z, x, seen, y, z];
    let file = compile(&graph, &Options::default()).unwrap();
    let input = [3i8, -4, 7, 0, -1, -1, 9, 2];
    let outputs = run(&file.bytes, &input);
    assert_eq!(outputs[0], run(&compile(&small(), &Options::default()).unwrap().bytes, &input)[0]);
    assert_eq!((&outputs[1][..], &outputs[2][..]), (&input[..], &input[..]));
    assert_eq!(outputs[3].len(), 12);
    assert_eq!(outputs[4], outputs[0]);
    assert!(file.ops.iter().any(|op| op.name == "view" && op.kind == "RESHAPE"));

    // Nothing but a reshape.
    graph.nodes = vec![node("view", Op::Reshape, &[x], &[seen])];
    graph.outputs = vec![seen];
    assert_eq!(run(&compile(&graph, &Options::default()).unwrap().bytes, &input), [input]);
}

#[test]
fn errors_name_every_layer() {
    let mut graph = small();
    let (x, y, z) = (graph.inputs[0], ValueId(2), graph.outputs[0]);
    graph.value_mut(z).dtype = DType::Int16;
    graph.value_mut(y).quantization = None;
    let message = compile(&graph, &Options::default()).unwrap_err().message;
    assert!(
        message.contains("`conv`") && message.contains("`dense`") && message.contains("int16"),
        "{message}"
    );

    let mut graph = small();
    graph.nodes.swap(0, 2);
    let message = compile(&graph, &Options::default()).unwrap_err().message;
    assert!(message.contains("`dense`") && message.contains("`flat`"), "{message}");

    let mut graph = small();
    graph.inputs.push(x);
    assert!(compile(&graph, &Options::default()).unwrap_err().message.contains("twice"));

    let mut graph = small();
    graph.value_mut(x).shape = vec![1 << 40, 1 << 40];
    assert!(compile(&graph, &Options::default()).unwrap_err().message.contains("`x`"));

    let options = Options { self_test: Some(vec![0; 7]), ..Options::default() };
    assert!(compile(&small(), &options).unwrap_err().message.contains("7 bytes"));
}

/// What a file answers to some bytes.
fn answers(file: &[u8], seeds: std::ops::Range<u32>) -> Vec<Vec<Vec<u8>>> {
    let model = Model::from_bytes(file).unwrap();
    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    seeds
        .map(|seed| {
            let size = |port: &ferrolite_schema::Port| model.tensors()[port.tensor as usize].bytes;
            let byte = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 77_777_777) >> 24) as u8;
            let inputs: Vec<Vec<u8>> =
                model.inputs().iter().map(|port| (0..size(port)).map(byte).collect()).collect();
            let mut net = crate::execute::interpreter(&model, ops::ALL, &mut arena).unwrap();
            crate::execute::infer(&mut net, &inputs, &mut ()).unwrap()
        })
        .collect()
}

#[test]
fn files_packed_anew_give_the_same_bytes() {
    use Target::*;
    for name in ["digits_mlp", "fashion_dsres", "mnist_cnn", "sine", "watch_conv1d"] {
        let path = format!("{}/../tests/models/{name}/{name}_int8_tf.tflite", env!("CARGO_MANIFEST_DIR"));
        let mut graph = crate::import::load(path.as_ref()).unwrap().graph;
        crate::passes::optimise(&mut graph);
        for target in [Portable, CortexM0, CortexM3, CortexM4, CortexM55, RiscV32, Host] {
            for winograd in [Winograd::Never, Winograd::Always] {
                let options = Options { target, winograd, ..Options::default() };
                let file = AlignedBuf::from_bytes(&compile(&graph, &options).unwrap().bytes);
                let model = Model::from_bytes(&file).unwrap();
                let wanted = answers(&file, 0..3);
                for to in [Host, CortexM4, RiscV32] {
                    let packed = repack(&model, ops::ALL, to).unwrap().expect("every model has weights");
                    let other = Model::from_bytes(&packed).unwrap();
                    assert_eq!(answers(&packed, 0..3), wanted, "{name} from {target:?} to {to:?}");
                    assert_eq!((other.inputs(), other.outputs()), (model.inputs(), model.outputs()));
                    // Bounds hold in these models, so every dense layer is in the new order.
                    let packings = |model: &Model<'_>| -> Vec<u32> {
                        let tag = |op: &ferrolite_schema::Op| match OpCode::from_code(op.code) {
                            Some(OpCode::FullyConnected) => Some(model.params(op)[3]),
                            _ => None,
                        };
                        model.ops().iter().filter_map(tag).collect()
                    };
                    let policy = ferrolite_runtime::kernels::policy(to);
                    assert!(packings(&other).iter().all(|&tag| tag == policy.dense.tag()));
                }
            }
        }
    }
}

#[test]
fn rounding_once_stays_as_it_is() {
    let options = Options { rounding: Rounding::Single, ..Options::default() };
    let file = AlignedBuf::from_bytes(&compile(&small(), &options).unwrap().bytes);
    assert!(repack(&Model::from_bytes(&file).unwrap(), ops::ALL, Target::Host).unwrap().is_none());
}

/// Factors of one are beyond the bounds of fast kernels: the packing is general before and behind.
#[test]
fn files_with_any_numbers_are_packed_anew() {
    use Target::*;
    for target in [Portable, CortexM0, CortexM3, CortexM4, CortexM55, RiscV32, Host] {
        let options = Options { target, ..Options::default() };
        let file = AlignedBuf::from_bytes(&compile(&small(), &options).unwrap().bytes);
        let wanted = answers(&file, 0..3);
        for to in [Host, CortexM4, RiscV32] {
            let packed = repack(&Model::from_bytes(&file).unwrap(), ops::ALL, to).unwrap().expect("weights");
            assert_eq!(answers(&packed, 0..3), wanted, "from {target:?} to {to:?}");
            let model = Model::from_bytes(&packed).unwrap();
            let policy = ferrolite_runtime::kernels::policy(to);
            let tags: Vec<u32> =
                model.ops().iter().map(|op| model.params(op)).map(|p| p[p.len() - 8]).collect();
            assert_eq!(tags, [policy.conv, policy.dense].map(|packing| packing.general().tag()));
        }
    }
}

#[test]
fn ports_of_one_name_get_numbers_that_no_other_port_has() {
    let mut graph = small();
    let z = graph.outputs[0];
    let y = graph.nodes[0].outputs[0];
    graph.values[y.0].name = "z_1".into();
    graph.outputs = vec![z, z, y, z];
    let emitted = compile(&graph, &Options::default()).unwrap();
    let buf = AlignedBuf::from_bytes(&emitted.bytes);
    let model = Model::from_bytes(&buf).unwrap();
    let names: Vec<_> = (0..4).map(|index| model.output_name(index).unwrap()).collect();
    assert_eq!(names, ["z", "z_2", "z_1", "z_3"]);
}
