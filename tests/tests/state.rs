//! State: what one inference leaves to the next. A stream goes through a delay line and a dense layer, on the
//! host and in QEMU, and with the state saved, restored and reset.

mod common;

use common::program::{Op, Program, Tensor};
use common::stream::{INITIAL, OUTPUTS, STEP, WINDOW, program};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board;
use ferrolite::data::Dataset;
use ferrolite::model_file::{ModelFile, input_specs};
use ferrolite::run::{RunOptions, RunOutput, run};
use ferrolite_conformance::{Outcome, exercise};
use ferrolite_runtime::{DType, Error, Fault, Interpreter, Memories, Model, OpCode, ops};
use ferrolite_schema::{Error as Refusal, Storage};

/// Number of samples: enough for the host to pack the dense layer's weights again.
const SAMPLES: usize = 20;

/// The stream, from its start.
fn stream() -> Vec<i8> {
    (0..SAMPLES * STEP).map(|at| (at * 73 % 256) as u8 as i8).collect()
}

/// The contents of the delay line after so many samples.
fn window(samples: usize) -> Vec<u8> {
    let mut all = INITIAL.to_vec();
    all.resize(WINDOW, 0);
    all.extend(&stream()[..samples * STEP]);
    bytemuck::cast_slice(&all[all.len() - WINDOW..]).to_vec()
}

/// The dense layer's output for a window, in real arithmetic: 1/64 is exact, and so are ties.
fn dense(window: &[u8]) -> Vec<u8> {
    let weight = |at: usize| f64::from((at * 37 % 251) as u8 as i8);
    let channel = |channel: usize| {
        let products =
            window.iter().enumerate().map(|(k, &x)| f64::from(x as i8) * weight(channel * WINDOW + k));
        let sum: f64 = products.sum::<f64>() + 100.0 * channel as f64 - 300.0;
        // First rounds to half of the sum, then rounds the shift: two roundings.
        let half = (sum / 2.0 + 0.5).floor();
        let scaled = (half.abs() / 32.0 + 0.5).floor().copysign(half);
        (scaled + 3.0).clamp(-128.0, 127.0) as i8 as u8
    };
    (0..OUTPUTS).map(channel).collect()
}

/// The stream as a data set.
fn data(model: &Model<'_>) -> Dataset {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream.npy");
    let mut header = format!("{{'descr': '|i1', 'fortran_order': False, 'shape': ({SAMPLES}, {STEP}), }}");
    header += &" ".repeat(64 - (10 + header.len() + 1) % 64);
    header += "\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(bytemuck::cast_slice::<i8, u8>(&stream()));
    std::fs::write(&path, bytes).expect("is writable");
    Dataset::load(path.to_str().expect("a name"), &input_specs(model)).expect("a data set")
}

/// Compares the outputs of all samples. If they are not a sequence, each sample is the first one.
fn check(output: &RunOutput, sequence: bool, how: &str) {
    assert_eq!(output.samples.len(), SAMPLES, "{how}");
    for (index, found) in output.samples.iter().enumerate() {
        let mut wanted = window(index + 1);
        if !sequence {
            wanted = window(0)[STEP..].to_vec();
            wanted.extend(bytemuck::cast_slice::<i8, u8>(&stream()[index * STEP..(index + 1) * STEP]));
        }
        assert_eq!(found[..], [wanted.clone(), dense(&wanted)], "{how}: sample {index}");
    }
}

#[test]
fn a_sequence_keeps_its_state_on_the_host() {
    let file = ModelFile::from_bytes("stream", program().file().bytes());
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    for sequence in [true, false] {
        let options = RunOptions { sequence, ..RunOptions::default() };
        let (output, _) = run(&model, &data(&model), &options, &()).expect("it runs");
        check(&output, sequence, "host");
    }
    assert_eq!(exercise(file.bytes()), Outcome::Ran);
}

#[test]
fn a_sequence_keeps_its_state_on_boards() {
    let file = program().file();
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
    for board in ["qemu-cortex-m3", "qemu-cortex-m4"] {
        let status = board::list().into_iter().find(|status| status.board.name == board).expect("a board");
        if !(status.qemu_installed && status.target_installed) {
            assert!(!required, "{board} is not installed, but all boards are required");
            println!("skipped: {board} is not installed");
            continue;
        }
        for sequence in [true, false] {
            let options = RunOptions { board, sequence, ..RunOptions::default() };
            let (output, _) = run(&model, &data(&model), &options, &()).expect("it runs");
            check(&output, sequence, board);
        }
    }
}

/// One inference for the sample with this number.
fn infer(net: &mut Interpreter<'_>, sample: usize) -> Vec<u8> {
    let input = &stream()[sample * STEP..(sample + 1) * STEP];
    net.input_mut::<i8>(0).expect("an input").copy_from_slice(input);
    net.invoke().expect("it runs");
    bytemuck::cast_slice(net.output::<i8>(0).expect("an output")).to_vec()
}

#[test]
fn state_is_reset_saved_and_restored() {
    let file = program().file();
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    assert_eq!((model.state_bytes(), model.state_start(), model.arena_bytes()), (24, 48, 72));
    assert_eq!(model.initial_state(), bytemuck::cast_slice::<i8, u8>(&INITIAL));
    // The memory held something else before.
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    memory.fill(0xA5);
    let mut net = Interpreter::new(&model, ops::ALL, &mut memory).expect("it is sound");
    assert_eq!(
        net.state().expect("no inference is under way")[..5],
        bytemuck::cast_slice::<i8, u8>(&INITIAL)[..]
    );
    assert!(net.state().expect("no inference is under way")[5..].iter().all(|&byte| byte == 0));
    for sample in 0..5 {
        assert_eq!(infer(&mut net, sample), window(sample + 1));
    }
    let mut saved = [0; WINDOW + 4];
    net.save(&mut saved).expect("it has this size");
    let after: Vec<_> = (5..9).map(|sample| infer(&mut net, sample)).collect();
    assert_eq!(after[3], window(9));
    net.restore(&saved).expect("it has this size");
    assert_eq!((5..9).map(|sample| infer(&mut net, sample)).collect::<Vec<_>>(), after);
    net.reset();
    assert_eq!(infer(&mut net, 0), window(1));
    // Another interpreter continues from this one's state.
    let mut other = AlignedBuf::zeroed(model.arena_bytes());
    let mut other = Interpreter::new(&model, ops::ALL, &mut other).expect("it is sound");
    other.restore(&saved).expect("it has this size");
    assert_eq!(infer(&mut other, 5), after[0]);

    let wrong = |found| Err(Error::WrongState { needed: 24, found });
    assert_eq!(net.save(&mut [0; 23]), wrong(23));
    assert_eq!(net.restore(&[0; 25]), wrong(25));
    assert_eq!(net.restore(&[]), wrong(0));
    // Any bytes are safe.
    for byte in [0x00, 0x7F, 0x80, 0xFF] {
        net.restore(&[byte; 24]).expect("it has this size");
        assert_eq!(infer(&mut net, 3).len(), WINDOW);
    }
}

#[test]
fn models_without_state_have_nothing_to_save() {
    let mut program = program();
    program.ops.remove(0);
    program.tensors =
        vec![Tensor::new(DType::Int8, 0, WINDOW as u32, 0), Tensor::new(DType::Int8, 20, OUTPUTS as u32, 1)];
    (program.ops[0].inputs, program.ops[0].outputs, program.outputs) = (vec![0], vec![1], vec![1]);
    (program.state_bytes, program.initial_bytes) = (0, 0);
    let file = program.file();
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops::ALL, &mut memory).expect("it is sound");
    assert!(net.state() == Ok(&[]) && model.initial_state().is_empty());
    net.reset();
    net.save(&mut []).expect("nothing is saved");
    net.restore(&[]).expect("nothing is restored");
    assert_eq!(net.save(&mut [0]), Err(Error::WrongState { needed: 0, found: 1 }));
}

/// Tests each rule about state with a program that breaks no other rule.
#[test]
fn unsound_state_is_refused() {
    let outcome = |change: fn(&mut Program)| {
        let mut program = program();
        change(&mut program);
        exercise(program.file().bytes())
    };
    let refused = |refusal| Outcome::Refused(Error::Model(refusal));
    let fault = |fault| Outcome::Refused(Error::Op { op: 0, fault });
    assert_eq!(outcome(|_| {}), Outcome::Ran);
    // The state's position.
    assert_eq!(outcome(|p| p.state_bytes -= 1), refused(Refusal::TensorRange { tensor: 3 }));
    assert_eq!(outcome(|p| p.arena_bytes -= 4), refused(Refusal::State));
    assert_eq!(outcome(|p| p.arena_bytes += 16), refused(Refusal::TensorRange { tensor: 3 }));
    assert_eq!(outcome(|p| p.tensors[3].offset -= 1), refused(Refusal::TensorRange { tensor: 3 }));
    assert_eq!(outcome(|p| p.initial_bytes = 25), refused(Refusal::State));
    // Ops work in the arena, not in the state.
    assert_eq!(outcome(|p| p.tensors[2].offset = 48), refused(Refusal::TensorRange { tensor: 2 }));
    assert_eq!(outcome(|p| p.ops[1].scratch = (48, 4)), refused(Refusal::OpRange { op: 1 }));
    // The delay line's own rules: an operand that is state, its size, its parameters.
    assert_eq!(outcome(|p| p.ops[0].inputs[1] = 0), fault(Fault::Operands));
    assert_eq!(outcome(|p| p.tensors[3].storage = Storage::Constant), fault(Fault::Operands));
    assert_eq!(outcome(|p| p.tensors[3].bytes -= 4), fault(Fault::Sizes));
    assert_eq!(outcome(|p| p.ops[0].params[0] += 1), fault(Fault::Sizes));
    assert_eq!(outcome(|p| p.ops[0].params[0] = 0), fault(Fault::Parameters));
    assert_eq!(outcome(|p| p.ops[0].params[1] = 5), fault(Fault::Parameters));
    assert_eq!(outcome(|p| p.ops[0].params[1] = u32::MAX), fault(Fault::Sizes));
    assert_eq!(outcome(|p| p.tensors[0].dtype = DType::UInt8), fault(Fault::Operands));
    // The input may not be kept if the window overlaps it.
    assert_eq!(outcome(|p| p.tensors[1].offset = 4), fault(Fault::Overlap));
    // Operators that compute read activations: a dense layer refuses state.
    assert_eq!(
        outcome(|p| {
            p.tensors[3].bytes = WINDOW as u32;
            p.ops[1].inputs[0] = 3;
            p.ops.remove(0);
            p.tensors.remove(1);
            p.ops[0].inputs = vec![2];
            p.ops[0].outputs = vec![1];
            p.tensors[1].last_use = 1;
            p.outputs = vec![1];
        }),
        fault(Fault::Operands)
    );
}

/// Operators that move bytes can read state like any tensor: before the delay line takes a sample, and after.
#[test]
fn state_is_read_by_other_ops() {
    let mut program = program();
    let copy = |output| Op {
        code: OpCode::StridedCopy,
        inputs: vec![3],
        outputs: vec![output],
        params: [&[0, 0, 0, 0, 0, WINDOW as u32 + 4, 0, 0][..], &[1, 0, 0].repeat(5)].concat(),
        scratch: (0, 0),
    };
    program.tensors = vec![
        Tensor::new(DType::Int8, 0, STEP as u32, 1),
        Tensor::new(DType::Int8, 8, WINDOW as u32 + 4, 3),
        Tensor::new(DType::Int8, 32, WINDOW as u32, 3),
        Tensor { storage: Storage::State, ..Tensor::new(DType::Int8, 80, WINDOW as u32 + 4, 3) },
        Tensor::new(DType::Int8, 52, WINDOW as u32 + 4, 3),
    ];
    program.tensors.swap(3, 4);
    program.arena_bytes = 80;
    let mut delay = program.ops.remove(0);
    (delay.inputs, delay.outputs) = (vec![0, 4], vec![2]);
    let [mut before, mut after] = [copy(1), copy(3)];
    (before.inputs, after.inputs) = (vec![4], vec![4]);
    program.ops = vec![before, delay, after];
    program.outputs = vec![1, 3];
    let file = program.file();
    assert_eq!(exercise(file.bytes()), Outcome::Ran);
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = Interpreter::new(&model, ops::ALL, &mut memory).expect("it is sound");
    let mut kept = net.state().expect("no inference is under way").to_vec();
    for sample in 0..5 {
        assert_eq!(infer(&mut net, sample), kept, "before sample {sample}");
        kept = net.state().expect("no inference is under way").to_vec();
        assert_eq!(bytemuck::cast_slice::<i8, u8>(net.output(1).expect("an output")), kept);
    }
}

/// State in the last of two memories, or all of the arena in both.
#[test]
fn state_lies_in_one_of_several_memories() {
    let whole = program().file();
    let arena = Model::from_bytes(whole.bytes()).expect("a sound file").arena_bytes() as u32;
    let mut ran = Vec::new();
    for border in (16..arena).step_by(16) {
        let file = program().file_in(&[border, arena - border]);
        let model = Model::from_bytes(file.bytes()).expect("a sound file");
        match model.check_memories() {
            Ok(()) => {}
            Err(_) => continue,
        }
        let (mut near, mut far) =
            (AlignedBuf::zeroed(border as usize), AlignedBuf::zeroed((arena - border) as usize));
        let mut memories = Memories::new([&mut near, &mut far]);
        let mut net = Interpreter::with_memories(&model, ops::ALL, &mut memories).expect("it is sound");
        for sample in 0..5 {
            assert_eq!(infer(&mut net, sample), window(sample + 1), "border {border}");
        }
        let mut saved = [0; WINDOW + 4];
        net.save(&mut saved).expect("it has this size");
        assert_eq!(infer(&mut net, 5), window(6));
        net.restore(&saved).expect("it has this size");
        assert_eq!(infer(&mut net, 5), window(6));
        net.reset();
        assert_eq!(infer(&mut net, 0), window(1));
        ran.push(border);
    }
    assert!(ran.contains(&48), "{ran:?}");
    assert_eq!(exercise(program().file_in(&[48, arena - 48]).bytes()), Outcome::Ran);
    let across = program().file_in(&[64, arena - 64]);
    let model = Model::from_bytes(across.bytes()).expect("sound in one memory");
    assert!(model.check_memories().is_err());
    assert_eq!(exercise(across.bytes()), Outcome::Ran);
    // More memories than a device knows.
    let many = program().file_in(&[16, 16, 16, 16, arena - 64]);
    let model = Model::from_bytes(many.bytes()).expect("sound in one memory");
    assert_eq!(model.check_memories(), Err(ferrolite_schema::Error::Memories));
}
