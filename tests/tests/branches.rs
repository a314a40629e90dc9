//! Branches: programs that skip ops. What is skipped costs nothing and is not seen; what would read it is refused; and
//! models with an IF, of TensorFlow Lite and ONNX, answer the same on the host and on boards, whichever way they take.

mod common;

use std::collections::BTreeSet;

use common::branching::{BYTES, nested, simple};
use common::program::Program;
use common::{Net, compile_for, root, samples};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board::{self, RunOptions};
use ferrolite::data::npz::Npz;
use ferrolite::emit;
use ferrolite::quantize::{self, Samples, quantize};
use ferrolite::reference::Executor;
use ferrolite::{import, passes};
use ferrolite_conformance::{Outcome, exercise};
use ferrolite_runtime::{DType, Error, Eval, Fault, Interpreter, Model, Observer, OpCode, Step, Target, ops};

/// Notes which ops run.
#[derive(Default)]
struct Seen {
    ops: Vec<u16>,
}

impl Observer for Seen {
    fn after(&mut self, index: u16, _: &Eval<'_>) {
        self.ops.push(index);
    }
}

/// The first element that a program makes of 10, and the ops that have run; in one go, or step by step.
fn answer(program: &Program, conditions: &[u8], stepwise: bool) -> (u8, Vec<u16>) {
    let file = program.file();
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    memory.fill(0xA5);
    let mut net = Interpreter::new(&model, ops::ALL, &mut memory).expect("it is sound");
    for (index, &condition) in conditions.iter().enumerate() {
        net.input_mut::<u8>(index).expect("a truth value")[0] = condition;
    }
    net.input_mut::<i8>(conditions.len()).expect("an input").fill(10);
    let mut seen = Seen::default();
    if stepwise {
        while let Step::Ran(index) = net.step_observed(&mut seen).expect("it runs") {
            assert_eq!(seen.ops.last(), Some(&index));
        }
    } else {
        net.invoke_observed(&mut seen).expect("it runs");
    }
    let output = net.output::<i8>(0).expect("an output");
    assert_eq!(output, [output[0]; BYTES as usize]);
    (output[0] as u8, seen.ops)
}

#[test]
fn what_is_skipped_does_not_run() {
    for stepwise in [false, true] {
        // Any byte but 0 is true.
        for condition in [1, 0x80, 0xFF] {
            assert_eq!(answer(&simple(), &[condition], stepwise), (10 + 3 + 8, vec![0, 1, 2, 3, 5, 6]));
        }
        assert_eq!(answer(&simple(), &[0], stepwise), (10 + 4 + 8, vec![0, 3, 4, 5, 6]));
        for (conditions, wanted) in [([1, 1], 13), ([1, 0], 12), ([0, 1], 14), ([0, 0], 18)] {
            let (found, ops) = answer(&nested(), &conditions, stepwise);
            assert_eq!(found, wanted, "{conditions:?}");
            assert!(ops.len() < 9, "{ops:?}");
        }
    }
    for program in [simple(), nested()] {
        assert_eq!(exercise(program.file().bytes()), Outcome::Ran);
        let file = program.file();
        let model = Model::from_bytes(file.bytes()).expect("a sound file");
        let all: u64 = model.ops().iter().map(|op| model.op_work(op)).sum();
        assert_eq!(model.work(), all, "a bound counts both ways");
    }
}

/// Says of each tensor of the arena where it is read for the last time, as the ops have it now.
fn renew(program: &mut Program) {
    let count = program.ops.len() as u16;
    for (id, tensor) in program.tensors.iter_mut().enumerate() {
        let id = id as u16;
        let touches = program.ops.iter().map(|op| op.inputs.contains(&id) || op.outputs.contains(&id));
        let last = touches.enumerate().filter(|(_, touches)| *touches).map(|(op, _)| op as u16).max();
        tensor.last_use = if program.outputs.contains(&id) { count } else { last.unwrap_or(0) };
    }
}

/// The fault of the first op that has one.
fn fault(program: &Program) -> Option<(u16, Fault)> {
    match exercise(program.file().bytes()) {
        Outcome::Ran => None,
        Outcome::Refused(Error::Op { op, fault }) => Some((op, fault)),
        other => panic!("{other:?}"),
    }
}

/// A way to spoil a program, and the op that is refused then.
type Spoiled = (&'static str, fn() -> Program, fn(&mut Program), Option<(u16, Fault)>);

/// Words of a skip.
const WHEN: usize = 0;
const COUNT: usize = 1;
const LEVEL: usize = 2;

fn set(program: &mut Program, op: usize, word: usize, value: u32) {
    program.ops[op].params[word] = value;
}

fn read(program: &mut Program, op: usize, inputs: &[u16]) {
    program.ops[op].inputs = inputs.to_vec();
    renew(program);
}

#[test]
fn what_is_no_branch_is_refused() {
    const BRANCH: [Option<(u16, Fault)>; 4] = [
        Some((0, Fault::Branch)),
        Some((1, Fault::Branch)),
        Some((2, Fault::Branch)),
        Some((3, Fault::Branch)),
    ];
    const WORD: Option<(u16, Fault)> = Some((0, Fault::Parameters));
    // Of the simple program, tensors 2 and 3 are of the one branch, 4 of the other, 5 is merged, 6 is the output. Of the
    // nested one, 3 is made in the inner branch of the first, 4 is merged there, and 5 its result; 9 is the output.
    let spoiled: &[Spoiled] = &[
        ("as it is", simple, |_| (), None),
        ("as it is, nested", nested, |_| (), None),
        ("nothing is skipped", simple, |p| set(p, 0, COUNT, 0), WORD),
        ("up to the end", simple, |p| set(p, 0, COUNT, 6), BRANCH[0]),
        ("beyond the end", simple, |p| set(p, 0, COUNT, 7), BRANCH[0]),
        ("far beyond the end", simple, |p| set(p, 0, COUNT, u32::MAX), BRANCH[0]),
        ("backwards", simple, |p| set(p, 0, COUNT, -2i32 as u32), BRANCH[0]),
        ("the other branch up to the end", simple, |p| set(p, 3, COUNT, 3), BRANCH[0]),
        ("the other branch beyond the end", simple, |p| set(p, 3, COUNT, 4), BRANCH[0]),
        ("the other branch backwards", simple, |p| set(p, 3, COUNT, -2i32 as u32), BRANCH[0]),
        ("into the other branch", simple, |p| set(p, 0, COUNT, 3), BRANCH[0]),
        ("less than what is merged", simple, |p| set(p, 0, COUNT, 1), BRANCH[0]),
        ("no level", simple, |p| set(p, 0, LEVEL, 0), WORD),
        ("too high a level", simple, |p| set(p, 0, LEVEL, 17), WORD),
        ("another level than the other branch", simple, |p| set(p, 0, LEVEL, 2), BRANCH[0]),
        ("no truth value", simple, |p| set(p, 0, WHEN, 2), WORD),
        ("a word less", simple, |p| p.ops[0].params.truncate(2), WORD),
        ("a word more", simple, |p| p.ops[0].params.push(0), WORD),
        ("both branches one way", simple, |p| set(p, 3, WHEN, 0), BRANCH[0]),
        ("both branches the other way", simple, |p| set(p, 0, WHEN, 1), BRANCH[0]),
        ("a condition of int8", simple, |p| p.tensors[0].dtype = DType::Int8, Some((0, Fault::Operands))),
        ("a condition of two bytes", simple, |p| p.tensors[0].bytes = 2, Some((0, Fault::Sizes))),
        ("the other branch reads it", simple, |p| read(p, 4, &[3]), BRANCH[0]),
        ("it is read behind the merge", simple, |p| read(p, 6, &[3]), BRANCH[0]),
        ("it is said to be read there", simple, |p| p.tensors[2].last_use = 6, BRANCH[0]),
        ("the other one is read there", simple, |p| read(p, 6, &[4]), BRANCH[3]),
        ("it is merged the other way", simple, |p| read(p, 5, &[0, 4, 3]), BRANCH[0]),
        ("it is merged both ways", simple, |p| read(p, 5, &[0, 3, 3]), BRANCH[0]),
        ("the other one is merged both ways", simple, |p| read(p, 5, &[0, 4, 4]), BRANCH[3]),
        ("what is computed anyway is merged", simple, |p| read(p, 5, &[0, 1, 1]), None),
        ("it is read by what is no merge", simple, |p| p.ops[5].code = OpCode::Gather, BRANCH[0]),
        ("an inner branch ends outside", nested, |p| set(p, 1, COUNT, 4), BRANCH[0]),
        ("an inner branch of the same level", nested, |p| set(p, 1, LEVEL, 2), BRANCH[0]),
        ("an inner result behind the inner merge", nested, |p| read(p, 4, &[3]), BRANCH[1]),
        ("an inner result behind the outer merge", nested, |p| read(p, 11, &[0, 3, 8]), BRANCH[1]),
        ("an inner merge behind the outer one", nested, |p| read(p, 11, &[0, 4, 8]), None),
        ("merged by another condition", nested, |p| read(p, 11, &[1, 5, 8]), BRANCH[0]),
    ];
    let mut wrong = Vec::new();
    for (what, program, spoil, wanted) in spoiled {
        let mut program = program();
        spoil(&mut program);
        let found = fault(&program);
        if found != *wanted {
            wrong.push(format!("{what}: {found:?} instead of {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The answers for all conditions, in memory that held this before; none of a program that is refused.
fn all_answers(program: &Program, before: u8) -> Option<Vec<Vec<u8>>> {
    let file = program.file();
    let model = Model::from_bytes(file.bytes()).ok()?;
    let conditions = model.inputs().len() - 1;
    let mut answers = Vec::new();
    for way in 0..1u8 << conditions {
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        memory.fill(before);
        let mut net = Interpreter::new(&model, ops::ALL, &mut memory).ok()?;
        for index in 0..conditions {
            net.input_mut::<u8>(index).expect("a truth value")[0] = way >> index & 1;
        }
        net.input_mut::<i8>(conditions).expect("an input").fill(10);
        net.invoke().expect("it runs");
        // A condition is an output as well as any tensor.
        let truth = |_| net.output::<u8>(0).map(<[u8]>::to_vec);
        let bytes = net.output::<i8>(0).map(|bytes| bytemuck::cast_slice(bytes).to_vec());
        answers.push(bytes.or_else(truth).expect("an output"));
    }
    Some(answers)
}

/// Programs of which something is another number: what is accepted never reads what no op has written.
#[test]
fn what_is_accepted_reads_nothing_that_was_skipped() {
    let mut others: Vec<Program> = Vec::new();
    for program in [simple(), nested()] {
        for op in 0..program.ops.len() {
            let mut add = |change: &dyn Fn(&mut Program)| {
                let mut other = program.clone();
                change(&mut other);
                renew(&mut other);
                others.push(other);
            };
            for position in 0..program.ops[op].inputs.len() {
                for tensor in 0..program.tensors.len() as u16 {
                    add(&|p| p.ops[op].inputs[position] = tensor);
                }
            }
            if program.ops[op].code == OpCode::SkipIf {
                for numbers in 0..2 * 13 * 3u32 {
                    let words = [numbers % 2, numbers / 2 % 13, numbers / 26 + 1];
                    add(&|p| p.ops[op].params = words.to_vec());
                }
                let mut both = |next: usize| {
                    for numbers in 0..2 * 6 * 2 * 6u32 {
                        let words = [numbers % 2, numbers / 2 % 6 + 1, 1];
                        let behind = [numbers / 12 % 2, numbers / 24 + 1, 1];
                        add(&|p| {
                            p.ops[op].params = words.to_vec();
                            p.ops[next].params = behind.to_vec();
                        });
                    }
                };
                (op + 1..program.ops.len())
                    .filter(|&next| program.ops[next].code == OpCode::SkipIf)
                    .for_each(&mut both);
            }
        }
        for output in 0..program.tensors.len() as u16 {
            let mut other = program.clone();
            other.outputs = vec![output];
            renew(&mut other);
            others.push(other);
        }
    }
    let (mut ran, mut refused) = (0, 0);
    for program in &others {
        match all_answers(program, 0x5A) {
            None => refused += 1,
            Some(answers) => {
                assert_eq!(all_answers(program, 0xA5), Some(answers), "{program:#?}");
                ran += 1;
            }
        }
    }
    println!("{ran} ran, {refused} were refused");
    assert!(ran > 50 && refused > 500, "{ran} ran, {refused} were refused");
}

/// Models of TensorFlow Lite with an IF, and in how many ways inferences go.
const MODELS: [(&str, usize); 4] = [("bool_input", 2), ("threshold", 2), ("pass_through", 2), ("nested", 3)];

/// What stays the same on every board: answers are those of TensorFlow Lite Micro, and a branch that is not taken costs
/// nothing.
#[test]
fn models_with_an_if_skip_what_they_do_not_need() {
    let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
    for (board, target) in [("qemu-cortex-m3", Target::CortexM3), ("qemu-cortex-m4", Target::CortexM4)] {
        let status = board::list().into_iter().find(|status| status.board.name == board).expect("a board");
        let there = status.qemu_installed && status.target_installed;
        assert!(there || !required, "{board} is not installed, but all boards are required");
        if !there {
            println!("skipped: {board} is not installed");
        }
        for (name, ways) in MODELS {
            let path = root().join("tests/vectors/if").join(name);
            let file = compile_for(&path.with_extension("tflite"), true, target).expect("it is converted");
            let file = AlignedBuf::from_bytes(&file.bytes);
            let mut npz = Npz::open(&path.with_extension("npz")).expect("answers");
            let mut net = Net::new(&file);
            let samples = samples(net.model(), &mut npz, "in", "out", usize::MAX).expect("samples");
            let mut taken = BTreeSet::new();
            for (number, sample) in samples.iter().enumerate() {
                let mut rest = &sample.input[..];
                let sizes: Vec<usize> = net
                    .model()
                    .inputs()
                    .iter()
                    .map(|port| net.model().tensors()[port.tensor as usize].bytes as usize)
                    .collect();
                let inputs: Vec<&[u8]> =
                    sizes.iter().map(|&size| rest.split_off(..size).expect("bytes")).collect();
                let mut seen = Seen::default();
                let found = net.run(&inputs, &mut seen).concat();
                assert_eq!(found, sample.wanted, "{name}: sample {number}");
                let first = taken.insert(seen.ops.clone());
                if !there || !first {
                    continue;
                }
                let options = RunOptions { layers: true, ..RunOptions::default() };
                let input = std::slice::from_ref(&sample.input);
                let run = board::run(status.board, file.as_ref(), input, options).expect("it runs");
                assert_eq!(run.outputs[0], sample.wanted, "{board}, {name}: sample {number}");
                // What is skipped is not there; what is there takes the time that the whole takes.
                let layers: Vec<u16> = run.layers.iter().map(|layer| layer.index as u16).collect();
                assert_eq!(layers, seen.ops, "{board}, {name}: sample {number}");
                let sum: u64 = run.layers.iter().map(|layer| layer.instructions).sum();
                let around = run.instructions - sum;
                println!(
                    "{board}, {name}: {} ops of {}, {} instructions, {around} around them",
                    layers.len(),
                    net.model().ops().len(),
                    run.instructions
                );
                assert!(around < 150 * layers.len() as u64, "{around} instructions beside those of the ops");
            }
            assert_eq!(taken.len(), ways, "{name}: {taken:?}");
            let all = net.model().ops().len();
            assert!(taken.iter().any(|ops| ops.len() < all), "{name}: something is skipped");
        }
    }
}

/// Inputs for a model: truth values in turn, normal noise of different sizes.
struct Noise {
    /// Elements of each input, 0 for a truth value.
    inputs: Vec<usize>,
    start: usize,
}

impl Samples for Noise {
    fn len(&self) -> usize {
        96
    }

    fn sample(&self, index: usize) -> ferrolite::Result<Vec<Vec<f32>>> {
        let wave = |seed: usize| ((seed as f32 * 12.9898).sin() * 43_758.547).rem_euclid(1.0) * 2.0 - 1.0;
        let input = |(place, &elements): (usize, &usize)| match elements {
            0 => vec![(index % 2) as f32],
            _ => (0..elements)
                .map(|at| wave(self.start + 1000 * index + 100 * place + at) * (1.0 + (index % 5) as f32))
                .collect(),
        };
        Ok(self.inputs.iter().enumerate().map(input).collect())
    }
}

/// Float models of ONNX: quantized, they answer as the float reference does, whichever way they take.
#[test]
fn float_models_with_an_if_are_quantized() {
    for (name, inputs) in [("if_input", vec![0, 6]), ("if_compared", vec![108]), ("if_nested", vec![0, 5])] {
        let path = root().join("tests/import/onnx").join(name).with_extension("onnx");
        let graph = passes::for_quantization(&import::load(&path).expect("it is read").graph);
        let shown = Noise { inputs: inputs.clone(), start: 7 };
        let (int8, _) = quantize(&graph, &shown, &quantize::Options::default()).expect("it is quantized");
        let emitted = emit::compile(&int8, &emit::Options::default()).expect("it is compiled");
        let file = AlignedBuf::from_bytes(&emitted.bytes);
        let mut net = Net::new(&file);
        let executor = Executor::new(&graph).expect("it runs");
        let asked = Noise { inputs, start: 50_011 };
        let mut ways: std::collections::BTreeMap<Vec<u16>, (f64, f64)> = Default::default();
        for sample in 0..asked.len() {
            let real = asked.sample(sample).expect("a sample");
            let wanted = executor.run(&real.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("it runs");
            let scale = |id: &ferrolite::graph::ValueId| {
                int8.value(*id).quantization.as_ref().and_then(|q| q.tensor()).unwrap_or((1.0, 0))
            };
            let raw: Vec<Vec<u8>> = int8
                .inputs
                .iter()
                .zip(&real)
                .map(|(id, real)| {
                    let (scale, zero) = scale(id);
                    real.iter().map(|x| ((x / scale).round() as i32 + zero).clamp(-128, 127) as u8).collect()
                })
                .collect();
            let mut seen = Seen::default();
            let found = net.run(&raw.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut seen);
            let (signal, noise) = ways.entry(seen.ops).or_default();
            for ((id, found), wanted) in int8.outputs.iter().zip(&found).zip(&wanted) {
                let (scale, zero) = scale(id);
                for (&byte, &wanted) in found.iter().zip(wanted) {
                    let real = scale * (i32::from(byte as i8) - zero) as f32;
                    *signal += f64::from(wanted).powi(2);
                    *noise += f64::from(real - wanted).powi(2);
                }
            }
        }
        assert!(ways.len() > 1, "{name}: {ways:?}");
        let skips = net.model().ops().iter().filter(|op| op.code == OpCode::SkipIf as u16).count();
        assert!(skips >= 2, "{name}: {skips} branches");
        for (ops, (signal, noise)) in &ways {
            let decibels = 10.0 * (signal / noise).log10();
            println!("{name}: {} ops, {decibels:.1} dB", ops.len());
            assert!(decibels > 20.0, "{name}: {decibels} dB");
        }
    }
}
