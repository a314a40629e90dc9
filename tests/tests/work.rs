//! The bound of work holds: an op's multiplications, as the converter counts them, are at most its work, and
//! not far below it; and the work of a small file that asks for very much shows that.

mod common;

use common::program::{Op, Program, Tensor};
use common::{compile_for, files, root};
use ferrolite::aligned::AlignedBuf;
use ferrolite_conformance::AlignedBuf as Memory;
use ferrolite_runtime::{DType, Error, Interpreter, Model, OpCode, Rounding, Target, ops};

#[test]
fn work_bounds_multiplications() {
    let (mut ops, mut exact) = (0, 0);
    for path in files(&root().join("tests/models"), "_int8_tf.tflite")
        .iter()
        .chain(&files(&root().join("tests/vectors"), ".tflite"))
    {
        for target in [Target::Portable, Target::CortexM4] {
            let Ok(emitted) = compile_for(path, true, target) else { continue };
            let file = AlignedBuf::from_bytes(&emitted.bytes);
            let model = Model::from_bytes(&file).expect("a sound file");
            let mut sum = 0;
            for (index, op) in model.ops().iter().enumerate() {
                let (macs, work) = (model.names().op_macs(index).unwrap_or(0), model.op_work(op));
                let tensors =
                    model.operands(op).iter().map(|&id| u64::from(model.tensors()[usize::from(id)].bytes));
                let bytes = tensors.sum::<u64>() + u64::from(op.scratch_bytes);
                let named = format!("{}: {}", path.display(), model.names().op(index).unwrap_or(""));
                assert!(work >= macs && work >= bytes, "{named}: {work} steps, {macs} MACs, {bytes} bytes");
                // Pools, searches and the choice among boxes count no multiplications. Transposed convolutions count all
                // taps.
                let free = [
                    OpCode::AveragePool2d,
                    OpCode::AveragePoolUp,
                    OpCode::MaxPool2d,
                    OpCode::Pool2dInt16,
                    OpCode::TopK,
                    OpCode::DetectionPostProcess,
                ];
                let free = free.iter().any(|&code| code as u16 == op.code);
                assert!(
                    free || work <= 10 * macs + bytes,
                    "{named}: {work} steps, {macs} MACs, {bytes} bytes"
                );
                ops += 1;
                exact += u32::from(work == macs);
                sum += work;
            }
            assert_eq!(model.work(), sum, "{}", path.display());
        }
    }
    println!("{ops} ops, of {exact} the work is their multiplications");
    assert!(ops > 1000 && exact > 100, "{ops} ops, {exact} exact");
}

/// A pool in which each output is the largest element of the whole image.
#[test]
fn models_that_are_too_much_work_are_refused() {
    let side = 500u32;
    let image = side * side;
    let tensor = |offset, last_use| Tensor::new(DType::Int8, offset, image, last_use);
    let program = Program {
        arena_bytes: 2 * image,
        state_bytes: 0,
        initial_bytes: 0,
        tensors: vec![tensor(0, 0), tensor(image, 1)],
        ops: vec![Op {
            code: OpCode::MaxPool2d,
            inputs: vec![0],
            outputs: vec![1],
            params: [
                [side; 4].as_slice(),
                &[2 * side - 1, 2 * side - 1, 1, 1, 1, 1, side - 1, side - 1],
                &[1, 1, -128i32 as u32, 127],
            ]
            .concat(),
            scratch: (0, 0),
        }],
        constants: vec![0; 16],
        inputs: 1,
        outputs: vec![1],
        rounding: Rounding::Double,
        target: Target::Portable,
    };
    let file = program.file();
    assert!(file.bytes().len() < 1000);
    let model = Model::from_bytes(file.bytes()).expect("a sound file");
    let work = u64::from(image) * u64::from(image);
    assert_eq!(model.work(), work);
    let mut memory = Memory::zeroed(model.arena_bytes());
    assert!(Interpreter::within(&model, ops::ALL, memory.bytes_mut(), work).is_ok());
    let refused = Interpreter::within(&model, ops::ALL, memory.bytes_mut(), work - 1).err();
    assert_eq!(refused, Some(Error::TooMuchWork));
}

/// Holds for any parameters, because a verified file's ops need not have checked theirs.
#[test]
fn work_of_hostile_parameters_saturates() {
    for code in OpCode::ALL {
        for words in 0..30 {
            for word in [0, 1, u32::MAX] {
                let program = Program {
                    arena_bytes: 32,
                    state_bytes: 0,
                    initial_bytes: 0,
                    tensors: vec![Tensor::new(DType::Int8, 0, 16, 0), Tensor::new(DType::Int8, 16, 16, 1)],
                    ops: vec![Op {
                        code: *code,
                        inputs: vec![0],
                        outputs: vec![1],
                        params: vec![word; words],
                        scratch: (0, 0),
                    }],
                    constants: vec![0; 16],
                    inputs: 1,
                    outputs: vec![1],
                    rounding: Rounding::Double,
                    target: Target::Portable,
                };
                let file = program.file();
                let model = Model::from_bytes(file.bytes()).expect("its records are sound");
                assert!(model.work() >= 32, "{code:?}");
            }
        }
    }
}
