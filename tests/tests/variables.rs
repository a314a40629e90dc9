//! Variables: values of the author's that outlive an inference. Vectors of sequences are in `vectors/variables`; here are
//! the op that writes them, names, and a real model with TFLM's answers.

mod common;

use common::program::{Op, Program, Tensor};
use common::{Net, SETS, compare, compile_for, files, graph, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite::graph::{Activation, Binary, BinaryKind, Constant, Graph, Node, Op as GraphOp, State, Value};
use ferrolite::quantize::{self, Samples};
use ferrolite::reference::Executor;
use ferrolite::{emit, import, model_file};
use ferrolite_conformance::{Outcome, exercise};
use ferrolite_runtime::cases::{Random, dim};
use ferrolite_runtime::{DType, Error, Fault, Interpreter, Model, OpCode, Rounding, Target, ops};
use ferrolite_schema::Storage;

/// Parameters of a copy of neighbouring bytes.
fn copy(from: u32, bytes: u32) -> Vec<u32> {
    [&[0, 0, 0, 0, 0, bytes, from, 0][..], &[1, 0, 0].repeat(5)].concat()
}

/// A program that gives the old value of a variable and then assigns it a part of its input.
fn program(before: u32, kept: u32, behind: u32, dtype: DType) -> Program {
    let size = dtype.size() as u32;
    let (all, kept) = ((before + kept + behind) * size, kept * size);
    let input = Tensor::new(dtype, 0, all, 1);
    let old = Tensor::new(dtype, all.next_multiple_of(16), kept, 2);
    let arena_bytes = (old.offset + kept).next_multiple_of(16);
    let state = Tensor { storage: Storage::State, ..Tensor::new(dtype, arena_bytes, kept, 1) };
    let op = |code, inputs, outputs, params| Op { code, inputs, outputs, params, scratch: (0, 0) };
    Program {
        arena_bytes,
        state_bytes: kept,
        initial_bytes: 0,
        tensors: vec![input, old, state],
        ops: vec![
            op(OpCode::StridedCopy, vec![2], vec![1], copy(0, kept)),
            op(OpCode::Assign, vec![0, 2], vec![], vec![before * size]),
        ],
        constants: Vec::new(),
        inputs: 1,
        outputs: vec![1],
        rounding: Rounding::Double,
        target: Target::Portable,
    }
}

#[test]
fn a_variable_has_the_last_bytes_that_it_was_assigned() {
    let mut random = Random(5);
    for _ in 0..200 {
        let dtype = DType::ALL[random.below(DType::ALL.len())];
        let (before, kept, behind) = (dim(&mut random, 9) - 1, dim(&mut random, 40), dim(&mut random, 9) - 1);
        let program = program(before, kept, behind, dtype);
        let file = program.file();
        assert_eq!(exercise(file.bytes()), Outcome::Ran);
        let file = AlignedBuf::from_bytes(file.bytes());
        let mut net = Net::new(&file).sequence();
        let mut wanted = vec![0; kept as usize * dtype.size()];
        for _ in 0..3 {
            let bytes = program.tensors[0].bytes as usize;
            let input: Vec<u8> = (0..bytes).map(|_| random.below(256) as u8).collect();
            assert_eq!(net.run(&[&input], &mut ()), [wanted.clone()]);
            wanted = input[before as usize * dtype.size()..][..wanted.len()].to_vec();
        }
    }
}

#[test]
fn unsound_assignments_are_refused() {
    let outcome = |change: fn(&mut Program)| {
        let mut program = program(1, 4, 2, DType::Int8);
        change(&mut program);
        exercise(program.file().bytes())
    };
    let fault = |fault| Outcome::Refused(Error::Op { op: 1, fault });
    assert_eq!(outcome(|_| {}), Outcome::Ran);
    assert_eq!(outcome(|p| p.ops[1].params[0] = 3), Outcome::Ran);
    for source in [4, 7, u32::MAX - 3, u32::MAX] {
        let mut program = program(1, 4, 2, DType::Int8);
        program.ops[1].params[0] = source;
        assert_eq!(exercise(program.file().bytes()), fault(Fault::Sizes), "{source}");
    }
    assert_eq!(outcome(|p| p.tensors[0].dtype = DType::UInt8), fault(Fault::Operands));
    assert_eq!(outcome(|p| p.ops[1].params.push(0)), fault(Fault::Parameters));
    // What is written is state, and not what is read.
    assert_eq!(
        outcome(|p| (p.ops[1].inputs, p.tensors[2].last_use) = (vec![2, 0], 1)),
        fault(Fault::Operands)
    );
    assert_eq!(outcome(|p| p.ops[1].inputs = vec![2, 2]), fault(Fault::Operands));
    assert_eq!(outcome(|p| p.ops[1].inputs = vec![0]), fault(Fault::Operands));
}

/// The converted model of a vector.
fn vector(name: &str) -> AlignedBuf {
    let path = root().join(format!("tests/vectors/variables/{name}.tflite"));
    AlignedBuf::from_bytes(&compile_for(&path, true, Target::Portable).expect("it converts").bytes)
}

#[test]
fn sequences_equal_tflm_in_every_set() {
    let npz = files(&root().join("tests/vectors/variables"), ".npz");
    assert!(npz.len() > 10, "{npz:?}");
    for npz in npz {
        for (set, optimised) in SETS.iter().flat_map(|set| [(set, true), (set, false)]) {
            let file =
                compile_for(&npz.with_extension("tflite"), optimised, set.target).expect("it converts");
            if let Err(error) = compare(&file.bytes, set.ops, &npz, "in", "out") {
                panic!("{} ({}, passes: {optimised}): {error}", npz.display(), set.name);
            }
        }
    }
}

#[test]
fn variables_are_read_and_written_by_name() {
    let file = vector("running_mean");
    let model = Model::from_bytes(&file).expect("a sound file");
    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).expect("it is sound");
    assert_eq!((model.variables().len(), model.variable_name(0)), (1, Some("mean")));
    assert_eq!((model.variables()[0].shape(), model.variables()[0].zero_point), (&[1, 9][..], -7));
    let index = net.variable_index("mean").expect("it has this name");
    assert_eq!(net.variable_index("other"), Err(Error::NoSuchName));
    assert_eq!(net.variable::<i16>(index), Err(Error::WrongType { index: 0 }));
    assert_eq!(net.variable::<i8>(1), Err(Error::NoSuchPort { index: 1 }));
    let initial = net.variable::<i8>(index).expect("a variable").to_vec();
    assert_eq!(bytemuck::cast_slice::<i8, u8>(&initial), &model.initial_state()[..9]);
    // The new mean is the first output.
    let infer = |net: &mut Interpreter<'_>| {
        net.set_input(0, &[100i8; 9]).expect("an input");
        net.invoke().expect("it runs");
        net.output::<i8>(0).expect("an output").to_vec()
    };
    let found = infer(&mut net);
    assert_eq!(net.variable::<i8>(index), Ok(&found[..]));
    assert_ne!(found, initial);
    net.variable_mut::<i8>(index).expect("a variable").copy_from_slice(&initial);
    assert_eq!(infer(&mut net), found);
    net.reset();
    assert_eq!(net.variable::<i8>(index), Ok(&initial[..]));
    // Not while an inference is under way.
    net.set_input(0, &[100i8; 9]).expect("an input");
    net.step().expect("it runs");
    assert_eq!(net.variable::<i8>(index), Err(Error::Running { op: 1 }));
}

#[test]
fn circular_buffers_hold_the_last_slots() {
    let file = vector("circular_buffer");
    let mut net = Net::new(&file).sequence();
    let mut stream = vec![0u8; 24];
    for round in 0..9u8 {
        let input: Vec<u8> = (0..6).map(|at| round.wrapping_mul(53).wrapping_add(at * 29)).collect();
        stream.extend(&input);
        let found = net.run(&[&input], &mut ());
        assert_eq!(found[0], stream[stream.len() - 30..], "round {round}");
    }
    let names: Vec<_> = (0..2).map(|index| net.model().variable_name(index)).collect();
    assert_eq!(names, [Some("t1"), Some("t2")]);
}

#[test]
fn only_what_outlives_an_inference_is_state() {
    let states = |name: &str| {
        let path = root().join(format!("tests/vectors/variables/{name}.tflite"));
        graph(&path, true)
            .expect("it is read")
            .states
            .iter()
            .map(|state| state.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(states("constant"), Vec::<String>::new());
    assert_eq!(states("assigned_first"), ["w"]);
    assert_eq!(states("swapped"), ["a", "b", "c"]);
    // Of a window only the end is copied, where it lies.
    let count = |optimised| {
        let path = root().join("tests/vectors/variables/window.tflite");
        graph(&path, optimised)
            .expect("it is read")
            .nodes
            .iter()
            .filter(|n| n.op.name() == "STRIDED_SLICE")
            .count()
    };
    assert_eq!((count(false), count(true)), (3, 1));
}

#[test]
fn a_variable_without_a_value_is_refused_by_name() {
    let path = root().join("tests/vectors/bad/variable_lost.tflite");
    let graph = import::load(&path).expect("it is read").graph;
    let error = import::refuse_unsupported(&graph).expect_err("it has no value");
    assert!(
        error.message.contains("READ_VARIABLE") && error.message.contains("SavedModel"),
        "{}",
        error.message
    );
}

/// Numbers that change slowly, in a row.
struct Waves;

impl Samples for Waves {
    fn len(&self) -> usize {
        200
    }

    fn sample(&self, index: usize) -> ferrolite::Result<Vec<Vec<f32>>> {
        let wave = |channel: usize| (index as f32 * (0.05 + 0.02 * channel as f32)).sin() * 3.0 + 1.0;
        Ok(vec![(0..CHANNELS).map(wave).collect()])
    }
}

const CHANNELS: usize = 5;

/// A mean that forgets: an input and an output of the network, which `--state` ties.
fn mean() -> Graph {
    let mut graph = Graph::default();
    let mut value = |name: &str, constant: Option<f32>| {
        let constant = constant.map(|x| Constant::F32(vec![x; CHANNELS]));
        let (name, shape) = (name.to_string(), vec![1, CHANNELS]);
        graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant })
    };
    let [x, old, kept, new, y] = ["x", "old", "kept", "new", "y"].map(|name| value(name, None));
    let [most, rest] = [("most", 0.9), ("rest", 0.1)].map(|(name, x)| value(name, Some(x)));
    for (kind, inputs, output) in [
        (BinaryKind::Mul, [old, most], kept),
        (BinaryKind::Mul, [x, rest], new),
        (BinaryKind::Add, [kept, new], y),
    ] {
        let op = GraphOp::Binary(Binary { kind, activation: Activation::None });
        let (name, inputs) = (graph.value(output).name.clone(), inputs.map(Some).to_vec());
        graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
    }
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let initial = Constant::F32(vec![0.0; CHANNELS]);
    graph.states.push(State { name: "mean".into(), value: old, initial, next: y, from: 0 });
    graph
}

/// Without a sequence the mean of the samples never comes near its range.
#[test]
fn states_are_calibrated_over_the_sequence() {
    let float = mean();
    let options = quantize::Options { calibration: quantize::Calibration::MinMax, ..Default::default() };
    let (int8, report) = quantize::quantize(&float, &Waves, &options).expect("it is quantized");
    let [state] = &int8.states[..] else { panic!("one state") };
    assert_eq!(int8.value(state.value).quantization, int8.value(state.next).quantization);
    let decibels = report.outputs[0].sqnr_db.expect("an output of reals");
    assert!(decibels > 20.0, "{decibels} dB");

    let file = AlignedBuf::from_bytes(&emit::compile(&int8, &Default::default()).expect("a file").bytes);
    let executor = Executor::new(&float).expect("a sound graph");
    let (mut states, mut net) = (executor.start(), Net::new(&file).sequence());
    let ports = model_file::inputs(net.model()).into_iter().chain(model_file::outputs(net.model()));
    let [(scale, zero), (out_scale, out_zero)] =
        ports.map(|port| port.quantization.expect("int8")).collect::<Vec<_>>()[..]
    else {
        panic!("one input and one output")
    };
    let (mut signal, mut noise) = (0.0f64, 0.0f64);
    for sample in 0..Waves.len() {
        let input = Waves.sample(sample).expect("a sample").concat();
        let wanted = executor.run_next(&mut states, &[&input], &mut |_, _| ()).expect("it runs").concat();
        let raw: Vec<u8> =
            input.iter().map(|x| ((x / scale).round() as i32 + zero).clamp(-128, 127) as u8).collect();
        for (&found, wanted) in net.run(&[&raw], &mut ())[0].iter().zip(wanted) {
            let found = out_scale * (i32::from(found as i8) - out_zero) as f32;
            signal += f64::from(wanted).powi(2);
            noise += f64::from(wanted - found).powi(2);
        }
    }
    assert!(10.0 * (signal / noise).log10() > 20.0, "{:.1} dB", 10.0 * (signal / noise).log10());
}

/// TFLM's answers of the shared voice activity detector to frames of a formula, one after the other.
const VOICE: [u8; 48] = [
    7, 25, 40, 44, 83, 148, 179, 219, 222, 219, 179, 128, 57, 72, 52, 48, 72, 95, 128, 148, 154, 115, 89, 66,
    57, 37, 31, 28, 34, 40, 48, 61, 83, 121, 184, 216, 239, 246, 250, 252, 252, 252, 250, 245, 231, 199, 161,
    128,
];

#[test]
fn voice_activity_detection_answers_as_tflm() {
    let Some(path) = ferrolite_shared::found("wild/vad.tflite") else { return };
    for target in [Target::Portable, Target::CortexM4, Target::Host] {
        let file = AlignedBuf::from_bytes(&compile_for(&path, true, target).expect("it converts").bytes);
        let mut net = Net::new(&file).sequence();
        let frame =
            |number: usize| (0..120).map(move |at| frame_element(number * 120 + at)).collect::<Vec<u8>>();
        let found: Vec<u8> =
            (0..VOICE.len()).flat_map(|number| net.run(&[&frame(number)], &mut ()).concat()).collect();
        assert_eq!(found, VOICE, "{target:?}");
    }
}

/// An element of the detector's input: ridges that rise and fall over time and channels.
fn frame_element(at: usize) -> u8 {
    let ridge = (at / 40 + at % 40 * 4) % 103;
    (ridge.min(103 - ridge) * 4 % 256 + 128) as u8
}
