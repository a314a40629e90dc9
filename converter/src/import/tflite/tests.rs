//! Real models against the manifest that lists their operators, and damaged ones against panics.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::import::{load, load_bytes, refuse_unsupported};

/// The folder of shared models, where it exists.
fn models() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/models"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no shared models beside the workspace");
    None
}

fn tflite_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            tflite_files(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "tflite") {
            found.push(entry);
        }
    }
}

#[test]
fn every_real_model_is_imported() {
    let Some(folder) = models() else { return };
    let mut files = Vec::new();
    tflite_files(&folder, &mut files);
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let imported = load(&file).unwrap();
        let graph = &imported.graph;
        println!("{}: {} layers {:?}", graph.name, graph.nodes.len(), imported.notes);
        let mut known: HashSet<ValueId> = graph.inputs.iter().copied().collect();
        for node in &graph.nodes {
            for id in node.inputs.iter().flatten() {
                let fine = known.contains(id) || graph.value(*id).constant.is_some();
                assert!(fine || matches!(node.op, Op::Unsupported { .. }), "{}", node.name);
            }
            known.extend(&node.outputs);
        }
        let names: HashSet<&str> = graph.values.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names.len(), graph.values.len(), "names are unique");
        if let Err(error) = refuse_unsupported(graph) {
            println!("  {error}");
        }
    }
}

/// `CONV_2D v3×5, SignalWindow(custom) v1×1` as counts by our names.
fn manifest_counts(column: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for item in column.split(", ") {
        let (name, rest) = item.split_once(" v").unwrap();
        let count: usize = rest.split_once('×').unwrap().1.parse().unwrap();
        let name = match name.strip_suffix("(custom)") {
            Some(custom) => format!("custom {custom}"),
            None => name.to_string(),
        };
        *counts.entry(name).or_insert(0) += count;
    }
    counts
}

#[test]
fn operators_are_those_of_the_manifest() {
    let Some(folder) = models() else { return };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.md")).unwrap();
    let rows = manifest.lines().map(|line| line.split(" | ").collect::<Vec<_>>());
    let mut checked = 0;
    for row in rows.filter(|row| row.len() > 5 && row[0].ends_with(".tflite")) {
        let file = row[0].trim_start_matches("| ");
        // SPLIT_V is a SPLIT here.
        if file.ends_with("okay_nabu.tflite") {
            continue;
        }
        let graph = load(&folder.join(file)).unwrap().graph;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for node in &graph.nodes {
            *counts.entry(node.op.name().to_string()).or_insert(0) += 1;
        }
        assert_eq!(counts, manifest_counts(row[4]), "{file}");
        checked += 1;
    }
    assert!(checked > 20, "only {checked} rows");
}

#[test]
fn hybrid_weights_become_float_and_are_noted() {
    let Some(folder) = models() else { return };
    let imported = load(&folder.join("real/kws_ref_model_float32.tflite")).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("hybrid")), "{:?}", imported.notes);
    assert!(imported.graph.is_float() && refuse_unsupported(&imported.graph).is_ok());
}

#[test]
fn unsupported_layers_of_real_models_are_all_named() {
    let Some(folder) = models() else { return };
    let graph = load(&folder.join("real/audio_preprocessor_int8.tflite")).unwrap().graph;
    let message = refuse_unsupported(&graph).unwrap_err().message;
    for op in ["custom SignalWindow", "custom SignalPCAN", "custom SignalFilterBankLog", "CAST", "DIV"] {
        assert!(message.contains(op), "{op} is missing in {message}");
    }
    let graph = load(&folder.join("real/okay_nabu.tflite")).unwrap().graph;
    let message = refuse_unsupported(&graph).unwrap_err().message;
    for op in ["VAR_HANDLE", "CALL_ONCE", "READ_VARIABLE", "ASSIGN_VARIABLE"] {
        assert!(message.contains(op), "{op} is missing in {message}");
    }
}

#[test]
fn signature_names_serve_the_borders() {
    let Some(folder) = models() else { return };
    let graph = load(&folder.join("trained/mnist_cnn/mnist_cnn_int8_tf.tflite")).unwrap().graph;
    let name = &graph.value(graph.inputs[0]).name;
    assert!(!name.starts_with("serving_default"), "{name}");
}

/// A real file to damage; a model that our own tests build serves where there is none.
fn victim() -> Vec<u8> {
    models().map_or_else(synthetic::dense, |folder| {
        std::fs::read(folder.join("real/hello_world_int8.tflite")).unwrap()
    })
}

#[test]
fn truncated_files_are_refused() {
    let whole = victim();
    for length in (0..whole.len()).step_by(64) {
        let result = load_bytes("cut.tflite", &whole[..length]);
        let Err(error) = result else { panic!("{length} of {} bytes were accepted", whole.len()) };
        assert!(error.message.starts_with("cut.tflite") && !error.help.is_empty(), "{error:?}");
    }
}

#[test]
fn mutated_files_never_panic() {
    let whole = victim();
    let (mut state, mut refused) = (1u64, 0);
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        let at = random(bytes.len());
        bytes[at] = random(256) as u8;
        refused += usize::from(load_bytes("m.tflite", &bytes).is_err());
    }
    assert!(refused > 50, "only {refused} mutations were noticed");
}

#[test]
fn a_dense_model_is_read() {
    let graph = load_bytes("dir/dense.tflite", &synthetic::dense()).unwrap().graph;
    assert_eq!(graph.name, "dense");
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.nodes[0].op.name(), "FULLY_CONNECTED");
    assert_eq!(graph.constant(graph.nodes[0].input(1)).unwrap().as_f32(), Some(&[1.0, 2.0][..]));
}

#[test]
fn fused_tanh_becomes_a_node() {
    let file = synthetic::Net { fused: schema::ActivationFunctionType::TANH, ..synthetic::Net::default() };
    let graph = load_bytes("t.tflite", &file.build()).unwrap().graph;
    let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["FULLY_CONNECTED", "TANH"]);
    assert_eq!(graph.nodes[1].name, "y");
    assert_eq!(graph.nodes[0].outputs[0], graph.nodes[1].input(0).unwrap());
}

#[test]
fn contradictions_are_refused_by_name() {
    use synthetic::Net;
    let cases: [(&str, Net, &str); 6] = [
        ("short weights", Net { weights: vec![0; 4], ..Net::default() }, "tensor `w`: its buffer holds 4"),
        ("huge shape", Net { weight_shape: vec![1 << 30, 1 << 30], ..Net::default() }, "too many elements"),
        ("undefined read", Net { inputs: vec![], ..Net::default() }, "reads tensor `x`"),
        ("no outputs", Net { outputs: vec![], ..Net::default() }, "no outputs"),
        ("bad index", Net { outputs: vec![77], ..Net::default() }, "tensor 77"),
        ("constant written", Net { outputs: vec![2], written: 1, ..Net::default() }, "writes tensor `w`"),
    ];
    for (name, net, expected) in cases {
        let error = load_bytes("c.tflite", &net.build()).expect_err(name);
        assert!(error.message.contains(expected), "{name}: {}", error.message);
    }
}

#[test]
fn layers_that_cannot_be_converted_say_why() {
    use synthetic::Net;
    let i8_weights = |scale: Vec<f32>| Net {
        weight_type: schema::TensorType::INT8,
        weights: vec![1, 2],
        scale,
        ..Net::default()
    };
    let cases: [(&str, Net, &str); 6] = [
        ("custom", Net { custom: Some("Fft"), ..Net::default() }, "custom Fft"),
        ("NaN scale", i8_weights(vec![f32::NAN]), "scale NaN"),
        ("zero scale", i8_weights(vec![0.0]), "scale 0"),
        ("scales", i8_weights(vec![1.0, 1.0]), "2 quantization scales"),
        ("no scale", i8_weights(vec![]), "input float32, weights int8"),
        ("matrix", Net { weight_shape: vec![2, 1], ..Net::default() }, "weights [2, 1]"),
    ];
    for (name, net, expected) in cases {
        let graph = load_bytes("u.tflite", &net.build()).expect(name).graph;
        let message = refuse_unsupported(&graph).expect_err(name).message;
        assert!(message.contains("`y`") && message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn hybrid_and_int4_weights_are_widened() {
    let net = synthetic::Net {
        weight_type: schema::TensorType::INT4,
        weights: vec![0xf3],
        scale: vec![0.5],
        ..synthetic::Net::default()
    };
    let imported = load_bytes("h.tflite", &net.build()).unwrap();
    let graph = &imported.graph;
    assert_eq!(graph.constant(graph.nodes[0].input(1)).unwrap().as_f32(), Some(&[1.5, -0.5][..]));
    assert_eq!(imported.notes.len(), 1);
}

/// Small files written with the generated code.
mod synthetic {
    use super::*;
    use flatbuffers::FlatBufferBuilder;
    use schema::*;

    pub(super) fn dense() -> Vec<u8> {
        Net::default().build()
    }

    /// `y = x · w`, `x` [1, 2], and one thing wrong with it.
    pub(super) struct Net {
        pub weights: Vec<u8>,
        pub weight_type: TensorType,
        pub weight_shape: Vec<i32>,
        pub scale: Vec<f32>,
        pub fused: ActivationFunctionType,
        pub custom: Option<&'static str>,
        pub inputs: Vec<i32>,
        pub outputs: Vec<i32>,
        pub written: i32,
    }

    impl Default for Net {
        fn default() -> Net {
            Net {
                weights: [1f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect(),
                weight_type: TensorType::FLOAT32,
                weight_shape: vec![1, 2],
                scale: vec![],
                fused: ActivationFunctionType::NONE,
                custom: None,
                inputs: vec![0],
                outputs: vec![2],
                written: 2,
            }
        }
    }

    impl Net {
        pub(super) fn build(&self) -> Vec<u8> {
            let b = &mut FlatBufferBuilder::new();
            let scale = Some(b.create_vector(&self.scale));
            let quantization = QuantizationParameters::create(
                b,
                &QuantizationParametersArgs { scale, ..Default::default() },
            );
            let mut tensor = |name: &str, shape: &[i32], type_, buffer| {
                let args = TensorArgs {
                    shape: Some(b.create_vector(shape)),
                    name: Some(b.create_string(name)),
                    type_,
                    buffer,
                    quantization: (buffer != 0).then_some(quantization),
                    ..Default::default()
                };
                Tensor::create(b, &args)
            };
            let tensors = [
                tensor("x", &[1, 2], TensorType::FLOAT32, 0),
                tensor("w", &self.weight_shape, self.weight_type, 1),
                tensor("y", &[1, 1], TensorType::FLOAT32, 0),
            ];
            let options = FullyConnectedOptions::create(
                b,
                &FullyConnectedOptionsArgs { fused_activation_function: self.fused, ..Default::default() },
            );
            let operator = OperatorArgs {
                inputs: Some(b.create_vector(&[0, 1, -1])),
                outputs: Some(b.create_vector(&[self.written])),
                builtin_options_type: BuiltinOptions::FullyConnectedOptions,
                builtin_options: Some(options.as_union_value()),
                ..Default::default()
            };
            let operator = Operator::create(b, &operator);
            let subgraph = SubGraphArgs {
                tensors: Some(b.create_vector(&tensors)),
                inputs: Some(b.create_vector(&self.inputs)),
                outputs: Some(b.create_vector(&self.outputs)),
                operators: Some(b.create_vector(&[operator])),
                ..Default::default()
            };
            let subgraph = SubGraph::create(b, &subgraph);
            let custom_code = self.custom.map(|name| b.create_string(name));
            let builtin_code = if self.custom.is_some() {
                BuiltinOperator::CUSTOM
            } else {
                BuiltinOperator::FULLY_CONNECTED
            };
            let code = OperatorCode::create(
                b,
                &OperatorCodeArgs { builtin_code, custom_code, ..Default::default() },
            );
            let data = Some(b.create_vector(&self.weights));
            let buffers = [
                Buffer::create(b, &BufferArgs::default()),
                Buffer::create(b, &BufferArgs { data, ..Default::default() }),
            ];
            let model = ModelArgs {
                version: 3,
                operator_codes: Some(b.create_vector(&[code])),
                subgraphs: Some(b.create_vector(&[subgraph])),
                buffers: Some(b.create_vector(&buffers)),
                ..Default::default()
            };
            let model = Model::create(b, &model);
            finish_model_buffer(b, model);
            b.finished_data().to_vec()
        }
    }
}
