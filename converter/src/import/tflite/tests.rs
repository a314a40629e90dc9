//! Real models against the manifest that lists their operators, and damaged ones against panics.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::graph::{Constant, Op, Quantization};
use crate::import::{load, load_bytes, refuse_unsupported};

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
    let Some(folder) = ferrolite_shared::models() else { return };
    let mut files = Vec::new();
    tflite_files(&folder, &mut files);
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let imported = load(&file).unwrap();
        let graph = &imported.graph;
        println!("{}: {} layers {:?}", graph.name, graph.nodes.len(), imported.notes);
        let mut known: HashSet<ValueId> = graph.sources().collect();
        for node in &graph.nodes {
            for id in node.inputs.iter().flatten() {
                let fine = known.contains(id) || graph.value(*id).constant.is_some();
                assert!(fine || matches!(node.op, Op::Unsupported(_)), "{}", node.name);
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
    let Some(folder) = ferrolite_shared::models() else { return };
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
    let Some(folder) = ferrolite_shared::models() else { return };
    let imported = load(&folder.join("real/kws_ref_model_float32.tflite")).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("hybrid")), "{:?}", imported.notes);
    assert!(crate::ops::is_float(&imported.graph) && refuse_unsupported(&imported.graph).is_ok());
}

#[test]
fn unsupported_layers_of_real_models_are_all_named() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let graph = load(&folder.join("real/audio_preprocessor_int8.tflite")).unwrap().graph;
    let message = refuse_unsupported(&graph).unwrap_err().message;
    for op in ["custom SignalWindow", "custom SignalPCAN", "custom SignalFilterBankLog", "CAST"] {
        assert!(message.contains(op), "{op} is missing in {message}");
    }
}

#[test]
fn signature_names_serve_the_borders() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let graph = load(&folder.join("trained/mnist_cnn/mnist_cnn_int8_tf.tflite")).unwrap().graph;
    let name = &graph.value(graph.inputs[0]).name;
    assert!(!name.starts_with("serving_default"), "{name}");
}

/// A real file to damage; a model that our own tests build serves where there is none.
fn victim() -> Vec<u8> {
    ferrolite_shared::models().map_or_else(synthetic::dense, |folder| {
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

/// Training with quantization: the ranges of the author serve, and no samples are needed.
#[test]
fn fake_quantization_is_honoured() {
    use crate::quantize::{NoSamples, Options, quantize};
    let imported = |min, max, bits| {
        let file = synthetic::fake_quantized(min, max, bits);
        let mut graph = load_bytes("q.tflite", &file).unwrap().graph;
        crate::passes::optimise(&mut graph);
        graph
    };
    let graph = imported(-1.0, 3.0, 8);
    let (quantized, _) = quantize(&graph, &NoSamples, &Options::default()).unwrap();
    let ops: Vec<&str> = quantized.nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(ops, ["FULLY_CONNECTED"]);
    let params = |id| quantized.value(id).quantization.as_ref().and_then(Quantization::tensor).unwrap();
    // Zero falls on 63.75 of 0..=255.
    assert_eq!(params(quantized.inputs[0]), (4.0 / 255.0, 64 - 128));
    assert_eq!(params(quantized.outputs[0]), (6.0 / 255.0, -128));
    let weights = quantized.nodes[0].input(1).unwrap();
    // In the narrow range -2.54..=2.54, a step is 0.02.
    assert_eq!(quantized.constant(Some(weights)), Some(&Constant::I8(vec![50, -127])));
    assert!((quantized.value(weights).quantization.as_ref().unwrap().scale[0] - 0.02).abs() < 1e-8);
    assert_eq!(quantized.value(quantized.outputs[0]).name, "yf");
    for (min, max, bits, expected) in [
        (-1.0, 3.0, 4, "4 bits"),
        (1.0, 3.0, 8, "from 1 to 3"),
        (f32::NAN, 1.0, 8, "NaN"),
        (0.0, 0.0, 8, "0 to 0"),
    ] {
        let message = refuse_unsupported(&imported(min, max, bits)).unwrap_err().message;
        assert!(message.contains("FAKE_QUANT") && message.contains(expected), "{message}");
    }
}

/// float32 through int8 and back: the pair that a QUANTIZE and a DEQUANTIZE make in a float file, with int8
/// weights behind a DEQUANTIZE of their own.
#[test]
fn integer_weights_behind_dequantize_stay() {
    use crate::quantize::{NoSamples, Options, quantize};
    let graph = load_bytes("d.tflite", &synthetic::dequantized_weights()).unwrap().graph;
    assert_eq!(graph.nodes.iter().filter(|node| node.op == Op::Dequantize).count(), 3);
    let (quantized, _) = quantize(&graph, &NoSamples, &Options::default()).unwrap();
    assert_eq!(quantized.nodes.len(), 1);
    let weights = quantized.nodes[0].input(1).unwrap();
    assert_eq!(quantized.constant(Some(weights)), Some(&Constant::I8(vec![7, -9])));
}

/// A sound file whose vectors of int64 lie at multiples of 4 only.
#[test]
fn unaligned_numbers_are_read() {
    let sound = synthetic::dequantized_weights();
    let model = schema::root_as_model(&sound).unwrap();
    let tensors = model.subgraphs().unwrap().get(0).tensors().unwrap();
    let quantization = tensors.get(1).quantization().unwrap();
    // A number in front of all moves every place by 4: what was a multiple of 8 is none any more, and offsets,
    // which count from where they stand, still hold. Only the first of them gets longer.
    let mut moved = sound.clone();
    let root = u32::from_le_bytes(moved[..4].try_into().unwrap());
    moved.splice(8..8, [0; 4]);
    moved[..4].copy_from_slice(&(root + 4).to_le_bytes());
    assert_eq!(quantization.zero_point().unwrap().get(0), 3);
    let refused = schema::root_as_model(&moved);
    assert!(matches!(refused, Err(flatbuffers::InvalidFlatbuffer::Unaligned { .. })), "{refused:?}");
    let (a, b) =
        (load_bytes("a.tflite", &sound).unwrap().graph, load_bytes("b.tflite", &moved).unwrap().graph);
    assert_eq!(format!("{:?}", a.values), format!("{:?}", b.values));
    assert_eq!(format!("{:?}", a.nodes), format!("{:?}", b.nodes));
    // Cut or damaged, it is refused like any other.
    for length in (0..moved.len() - 16).step_by(8) {
        assert!(load_bytes("cut.tflite", &moved[..length]).is_err(), "{length}");
    }
    for at in 8..moved.len() {
        let mut damaged = moved.clone();
        damaged[at] ^= 0x55;
        let _ = load_bytes("damaged.tflite", &damaged);
    }
}

/// LOGISTIC and TANH in another scale than their kernels' own: TFLM computes on.
#[test]
fn functions_with_a_grid_of_their_own_keep_it() {
    use schema::BuiltinOperator as Code;
    let results = |code, scale, zero_point| {
        let imported = load_bytes("f.tflite", &synthetic::function(code, scale, zero_point)).unwrap();
        let node = &imported.graph.nodes[0];
        let table = match imported.graph.constant(node.input(1)) {
            Some(Constant::I8(table)) => Some(table.clone()),
            _ => None,
        };
        (table, imported.warnings.len())
    };
    let (table, warnings) = results(Code::LOGISTIC, 1.0 / 255.0, -128);
    // Half, at zero: 128 steps of 1/256.
    assert_eq!((table.unwrap()[128 + 3], warnings), (0, 0));
    let (table, warnings) = results(Code::LOGISTIC, 1.0 / 100.0, -128);
    assert_eq!((table.unwrap()[128 + 3], warnings), (0, 1));
    let (table, warnings) = results(Code::TANH, 1.0 / 64.0, 5);
    assert_eq!((table.as_ref().unwrap()[128 + 3], table.unwrap()[255], warnings), (0, 127, 1));
    assert_eq!(results(Code::LOGISTIC, 1.0 / 256.0, -128), (None, 0));
    // TFLM refuses this one.
    assert_eq!(results(Code::LOGISTIC, 1.0 / 255.0, 0), (None, 0));
}

#[test]
fn what_cannot_run_is_named_for_what_it_is() {
    use synthetic::Net;
    let refused = |name: &'static str| {
        // Its second result, memory to work in, is written by nobody.
        let net = Net { custom: Some(name), weights: vec![], ..Net::default() };
        refuse_unsupported(&load_bytes("n.tflite", &net.build()).unwrap().graph).unwrap_err().message
    };
    assert!(refused("ethos-u").contains("custom ethos-u: Vela compiled"), "{}", refused("ethos-u"));
    assert!(refused("FlexErf").contains("SELECT_TF_OPS"));
    for (code, word) in [("WHILE", "unroll=True"), ("READ_VARIABLE", "another subgraph")] {
        let message = refuse_unsupported(&load_bytes("n.tflite", &synthetic::unknown(code)).unwrap().graph);
        let message = message.unwrap_err().message;
        assert!(message.contains(code) && message.contains(word), "{message}");
    }
}

#[test]
fn truth_values_may_be_at_the_border() {
    let graph = load_bytes("b.tflite", &synthetic::truth()).unwrap().graph;
    let file = crate::emit::compile(&graph, &Default::default()).unwrap();
    assert_eq!(file.op_codes, [ferrolite_schema::OpCode::StridedCopy]);
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

    /// A tensor of a [`Part`] model: name, shape, type, what it holds, scale and zero point.
    type Part<'a> = (&'a str, &'a [i32], TensorType, Vec<u8>, Option<(f32, i64)>);

    /// A model from tensor 0 to the last one, and its operators: code, operands, result, and FAKE_QUANT's
    /// range and number of bits.
    fn model(
        parts: &[Part<'_>],
        operators: &[(BuiltinOperator, Vec<i32>, i32, Option<FakeQuantOptionsArgs>)],
    ) -> Vec<u8> {
        let b = &mut FlatBufferBuilder::new();
        let mut buffers = vec![Buffer::create(b, &BufferArgs::default())];
        let mut tensors = Vec::new();
        for (name, shape, type_, data, quantization) in parts {
            let mut buffer = 0;
            if !data.is_empty() {
                let data = Some(b.create_vector(data));
                buffer = buffers.len() as u32;
                buffers.push(Buffer::create(b, &BufferArgs { data, ..Default::default() }));
            }
            let quantization = quantization.map(|(scale, zero_point)| {
                let scale = Some(b.create_vector(&[scale]));
                let zero_point = Some(b.create_vector(&[zero_point]));
                QuantizationParameters::create(
                    b,
                    &QuantizationParametersArgs { scale, zero_point, ..Default::default() },
                )
            });
            let args = TensorArgs {
                shape: Some(b.create_vector(shape)),
                name: Some(b.create_string(name)),
                type_: *type_,
                buffer,
                quantization,
                ..Default::default()
            };
            tensors.push(Tensor::create(b, &args));
        }
        let mut codes = Vec::new();
        let mut nodes = Vec::new();
        for (code, inputs, output, range) in operators {
            let (kind, options) = match (range, *code) {
                (Some(range), _) => {
                    let options = FakeQuantOptions::create(b, range).as_union_value();
                    (BuiltinOptions::FakeQuantOptions, Some(options))
                }
                (None, BuiltinOperator::FULLY_CONNECTED) => {
                    let options = FullyConnectedOptions::create(b, &Default::default()).as_union_value();
                    (BuiltinOptions::FullyConnectedOptions, Some(options))
                }
                _ => (BuiltinOptions::NONE, None),
            };
            let deprecated_builtin_code = code.0 as i8;
            codes.push(OperatorCode::create(
                b,
                &OperatorCodeArgs { builtin_code: *code, deprecated_builtin_code, ..Default::default() },
            ));
            let args = OperatorArgs {
                opcode_index: nodes.len() as u32,
                inputs: Some(b.create_vector(inputs)),
                outputs: Some(b.create_vector(&[*output])),
                builtin_options_type: kind,
                builtin_options: options,
                ..Default::default()
            };
            nodes.push(Operator::create(b, &args));
        }
        let subgraph = SubGraphArgs {
            tensors: Some(b.create_vector(&tensors)),
            inputs: Some(b.create_vector(&[0])),
            outputs: Some(b.create_vector(&[parts.len() as i32 - 1])),
            operators: Some(b.create_vector(&nodes)),
            ..Default::default()
        };
        let subgraph = SubGraph::create(b, &subgraph);
        let model = ModelArgs {
            version: 3,
            operator_codes: Some(b.create_vector(&codes)),
            subgraphs: Some(b.create_vector(&[subgraph])),
            buffers: Some(b.create_vector(&buffers)),
            ..Default::default()
        };
        let model = Model::create(b, &model);
        finish_model_buffer(b, model);
        b.finished_data().to_vec()
    }

    /// A dense layer whose input has this fake-quantized range, weights -2.54..=2.54 in the narrow range, and
    /// the result 0..=6.
    pub(super) fn fake_quantized(min: f32, max: f32, num_bits: i32) -> Vec<u8> {
        let float = TensorType::FLOAT32;
        let weights: Vec<u8> = [1f32, -3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let parts: [Part<'_>; 6] = [
            ("x", &[1, 2], float, vec![], None),
            ("xf", &[1, 2], float, vec![], None),
            ("w", &[1, 2], float, weights, None),
            ("wf", &[1, 2], float, vec![], None),
            ("y", &[1, 1], float, vec![], None),
            ("yf", &[1, 1], float, vec![], None),
        ];
        let fake = |min, max, num_bits, narrow_range| {
            Some(FakeQuantOptionsArgs { min, max, num_bits, narrow_range })
        };
        let code = BuiltinOperator::FAKE_QUANT;
        model(
            &parts,
            &[
                (code, vec![0], 1, fake(min, max, num_bits, false)),
                (code, vec![2], 3, fake(-2.54, 2.54, 8, true)),
                (BuiltinOperator::FULLY_CONNECTED, vec![1, 3, -1], 4, None),
                (code, vec![4], 5, fake(0.0, 6.0, 8, false)),
            ],
        )
    }

    /// QUANTIZE, DEQUANTIZE, a dense layer with int8 weights behind DEQUANTIZE, QUANTIZE, DEQUANTIZE.
    pub(super) fn dequantized_weights() -> Vec<u8> {
        let (float, int8) = (TensorType::FLOAT32, TensorType::INT8);
        let parts: [Part<'_>; 8] = [
            ("x", &[1, 2], float, vec![], None),
            ("xq", &[1, 2], int8, vec![], Some((0.5, 3))),
            ("xd", &[1, 2], float, vec![], None),
            ("w", &[1, 2], int8, vec![7, (-9i8) as u8], Some((0.25, 0))),
            ("wd", &[1, 2], float, vec![], None),
            ("y", &[1, 1], float, vec![], None),
            ("yq", &[1, 1], int8, vec![], Some((1.5, -3))),
            ("yd", &[1, 1], float, vec![], None),
        ];
        let (quantize, dequantize) = (BuiltinOperator::QUANTIZE, BuiltinOperator::DEQUANTIZE);
        model(
            &parts,
            &[
                (quantize, vec![0], 1, None),
                (dequantize, vec![1], 2, None),
                (dequantize, vec![3], 4, None),
                (BuiltinOperator::FULLY_CONNECTED, vec![2, 4, -1], 5, None),
                (quantize, vec![5], 6, None),
                (dequantize, vec![6], 7, None),
            ],
        )
    }

    /// A function of eight numbers, from scale 0.05 and zero point 3.
    pub(super) fn function(code: BuiltinOperator, scale: f32, zero_point: i64) -> Vec<u8> {
        let int8 = TensorType::INT8;
        let parts: [Part<'_>; 2] = [
            ("x", &[1, 8], int8, vec![], Some((0.05, 3))),
            ("y", &[1, 8], int8, vec![], Some((scale, zero_point))),
        ];
        model(&parts, &[(code, vec![0], 1, None)])
    }

    /// An operator that Ferrolite does not have.
    pub(super) fn unknown(name: &str) -> Vec<u8> {
        let float = TensorType::FLOAT32;
        let parts: [Part<'_>; 2] = [("x", &[1, 8], float, vec![], None), ("y", &[1, 8], float, vec![], None)];
        let code =
            BuiltinOperator::ENUM_VALUES.iter().find(|code| code.variant_name() == Some(name)).unwrap();
        model(&parts, &[(*code, vec![0], 1, None)])
    }

    /// Truth values in and out.
    pub(super) fn truth() -> Vec<u8> {
        let parts: [Part<'_>; 2] =
            [("x", &[1, 8], TensorType::BOOL, vec![], None), ("y", &[1, 8], TensorType::BOOL, vec![], None)];
        model(&parts, &[(BuiltinOperator::RESHAPE, vec![0], 1, None)])
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
