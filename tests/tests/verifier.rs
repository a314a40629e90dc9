//! The verifier's rules about a program's memory, each tested by a program that breaks no other rule: no
//! output and no scratch memory overwrites what is read later, and a model's outputs stay valid to its end.

mod common;

use common::program::{Op, Program, Tensor};
use ferrolite_runtime::{DType, Model, OpCode, Rounding, Target};
use ferrolite_schema::Error;

/// Bytes of each tensor.
const SIZE: u32 = 16;

/// The offset of a tensor, and the last op that reads it.
type Place = (u32, u16);

/// An op's inputs, its outputs, and its scratch memory.
type Step<'a> = (&'a [u16], &'a [u16], (u32, u32));

const NO_SCRATCH: (u32, u32) = (0, 0);

/// A program of any ops in 128 bytes of arena. The verifier does not depend on what they compute.
fn program(inputs: u16, places: &[Place], steps: &[Step<'_>], outputs: &[u16]) -> Program {
    let op = |&(inputs, outputs, scratch): &Step<'_>| Op {
        code: OpCode::Lookup,
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        params: vec![0],
        scratch,
    };
    Program {
        arena_bytes: 128,
        state_bytes: 0,
        initial_bytes: 0,
        tensors: places.iter().map(|&(at, use_)| Tensor::new(DType::Int8, at, SIZE, use_)).collect(),
        ops: steps.iter().map(op).collect(),
        constants: vec![0; 256],
        inputs,
        outputs: outputs.to_vec(),
        rounding: Rounding::Double,
        target: Target::Portable,
    }
}

fn verdict(program: &Program) -> Result<(), Error> {
    Model::from_bytes(program.file().bytes()).map(|_| ())
}

/// Scratch memory of 4 or 12 bytes that overlaps the 16 bytes at `at`: their start, their end, and all of
/// them.
fn over(at: u32) -> [(u32, u32); 5] {
    [(at, 4), (at + SIZE - 4, 4), (at - 8, 12), (at + SIZE - 4, 12), (at - 4, SIZE + 8)]
}

/// Scratch memory that ends where the 16 bytes at `at` start, or starts where they end.
fn beside(at: u32) -> [(u32, u32); 2] {
    [(at - 4, 4), (at + SIZE, 8)]
}

#[test]
fn scratch_of_a_chain_touches_neither_what_is_read_nor_what_is_written() {
    // Three ops, each of which reads what the one before wrote.
    let chain = |op: usize, scratch| {
        let mut steps: [Step<'_>; 3] =
            [(&[0], &[1], NO_SCRATCH), (&[1], &[2], NO_SCRATCH), (&[2], &[3], NO_SCRATCH)];
        steps[op].2 = scratch;
        let places = [(16, 0), (64, 1), (16, 2), (64, 3)];
        verdict(&program(1, &places, &steps, &[3]))
    };
    for op in 0..3 {
        for (tensor, at) in [(op, [16, 64][op % 2]), (op + 1, [64, 16][op % 2])] {
            for scratch in over(at) {
                let wanted = Err(Error::Overlap { op: op as u16, tensor: tensor as u16 });
                assert_eq!(chain(op, scratch), wanted, "op {op}, scratch {scratch:?}");
            }
            for scratch in beside(at) {
                assert_eq!(chain(op, scratch), Ok(()), "op {op}, scratch {scratch:?}");
            }
        }
    }
}

#[test]
fn scratch_touches_no_tensor_that_is_read_later() {
    // Tensor 1 is read by op 2, or by the caller at the end.
    for (last_use, outputs) in [(2, &[4][..]), (3, &[1, 4])] {
        for op in 0..2 {
            let check = |scratch| {
                let mut steps: [Step<'_>; 3] =
                    [(&[0], &[2], NO_SCRATCH), (&[2], &[3], NO_SCRATCH), (&[3, 1], &[4], NO_SCRATCH)];
                steps[op].2 = scratch;
                let places = [(96, 0), (32, last_use), (96, 1), (64, 2), (96, 3)];
                verdict(&program(2, &places, &steps, outputs))
            };
            for scratch in over(32) {
                let wanted = Err(Error::Overlap { op: op as u16, tensor: 1 });
                assert_eq!(check(scratch), wanted, "op {op}, scratch {scratch:?}");
            }
            assert_eq!(check((48, 16)), Ok(()), "op {op}");
            assert_eq!(check((0, 32)), Ok(()), "op {op}");
        }
    }
}

#[test]
fn outputs_touch_no_tensor_that_is_read_later() {
    // Tensor 1 is read by the very next op, by the one after that, or by the caller at the end.
    for (last_use, outputs) in [(1, &[4][..]), (2, &[4]), (3, &[1, 4])] {
        let check = |at: u32| {
            let reader: [&[u16]; 2] = if last_use == 1 { [&[2, 1], &[3]] } else { [&[2], &[3, 1]] };
            let steps: [Step<'_>; 3] =
                [(&[0], &[2], NO_SCRATCH), (reader[0], &[3], NO_SCRATCH), (reader[1], &[4], NO_SCRATCH)];
            let places = [(0, 0), (64, last_use), (at, 1), (0, 2), (112, 3)];
            verdict(&program(2, &places, &steps, outputs))
        };
        for at in [49, 64, 79] {
            assert_eq!(
                check(at),
                Err(Error::Overlap { op: 0, tensor: 1 }),
                "read by op {last_use}, written at {at}"
            );
        }
        for at in [0, 48, 80] {
            assert_eq!(check(at), Ok(()), "read by op {last_use}, written at {at}");
        }
    }
}

#[test]
fn outputs_of_an_op_do_not_touch_each_other() {
    let check = |at: u32| {
        let steps: [Step<'_>; 2] = [(&[0], &[1, 2], NO_SCRATCH), (&[1, 2], &[3], NO_SCRATCH)];
        verdict(&program(1, &[(0, 0), (32, 1), (at, 1), (0, 2)], &steps, &[3]))
    };
    assert_eq!(check(47), Err(Error::Overlap { op: 0, tensor: 1 }));
    assert_eq!(check(48), Ok(()));
}

#[test]
fn outputs_of_a_model_live_to_its_end() {
    let check = |last_use: u16, outputs: &[u16]| {
        let steps: [Step<'_>; 3] =
            [(&[0], &[1], NO_SCRATCH), (&[1], &[2], NO_SCRATCH), (&[2], &[3], NO_SCRATCH)];
        let places = [(0, 0), (32, last_use), (64, 2), (96, 3)];
        verdict(&program(1, &places, &steps, outputs))
    };
    for outputs in [&[1, 3][..], &[3, 1], &[1]] {
        for last_use in [1, 2] {
            assert_eq!(
                check(last_use, outputs),
                Err(Error::ReadBeforeWrite { op: 3, tensor: 1 }),
                "{outputs:?}"
            );
        }
        assert_eq!(check(3, outputs), Ok(()), "{outputs:?}");
    }
}
