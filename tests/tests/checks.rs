//! Bounds of parameters that operators check, each at its last valid value and at the next one.

mod common;

use common::apart::Apart;
use ferrolite_runtime::cases::Case;
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::{DType, Error, Fault, OpCode, ops};
use ferrolite_schema::Storage;

fn verdict(case: Case) -> Option<Fault> {
    match Apart::new(case).run(ops::ALL, None, 0) {
        Ok(_) => None,
        Err(Error::Op { op: 0, fault }) => Some(fault),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn multipliers_shift_from_31_right_to_30_left() {
    // The words with the shifts; the mantissa is the word before each.
    let shifts: [(OpCode, &[usize]); 5] = [
        (OpCode::Add, &[10, 13, 16]),
        (OpCode::Mul, &[11]),
        (OpCode::BatchMatMul, &[16]),
        (OpCode::Reduce, &[14]),
        (OpCode::Requantize, &[2]),
    ];
    let mut random = Random(31);
    for (code, words) in shifts {
        for &word in words {
            let case = ops::case(code, &mut random);
            let with = |at: usize, value: i32| {
                let mut case = case.clone();
                case.params[at] = value as u32;
                verdict(case)
            };
            for shift in [-31, 30] {
                assert_eq!(with(word, shift), None, "{code:?}, shift {shift}");
            }
            for shift in [-32, 31, i32::MIN, i32::MAX] {
                assert_eq!(with(word, shift), Some(Fault::Parameters), "{code:?}, shift {shift}");
            }
            assert_eq!(with(word - 1, -1), Some(Fault::Parameters), "{code:?}, mantissa -1");
        }
    }
}

/// An op of two operands whose innermost dimension of three elements is repeated in the operands of `masks`.
fn repeated(code: OpCode, [a, b]: [u32; 2], random: &mut Random) -> Case {
    let mut case = ops::case(code, random);
    case.params[..6].copy_from_slice(&[1, 1, 1, 1, 1, 3]);
    (case.params[6], case.params[7]) = (a << 5, b << 5);
    case.twice = false;
    for (input, repeated) in case.inputs.iter_mut().zip([a, b]) {
        input.storage = Storage::Arena;
        input.data = vec![7; if repeated == 1 { 1 } else { 3 }];
    }
    case.outputs = vec![(DType::Int8, 3)];
    case
}

#[test]
fn no_dimension_is_repeated_in_both_operands() {
    let mut random = Random(32);
    for code in [OpCode::Add, OpCode::Mul, OpCode::MinMax] {
        for masks in [[0, 0], [0, 1], [1, 0]] {
            assert_eq!(verdict(repeated(code, masks, &mut random)), None, "{code:?}");
        }
        assert_eq!(verdict(repeated(code, [1, 1], &mut random)), Some(Fault::Parameters), "{code:?}");
        // With one element, there is no repetition.
        let mut single = repeated(code, [1, 1], &mut random);
        single.params[5] = 1;
        single.outputs = vec![(DType::Int8, 1)];
        assert_eq!(verdict(single), None, "{code:?}");
    }
}

#[test]
fn copies_are_no_longer_than_the_outputs() {
    let mut random = Random(33);
    let mut tried = 0;
    while tried < 20 {
        let mut case = ops::case(OpCode::StridedCopy, &mut random);
        // The output is filled first, so that no byte stays unwritten, whatever is copied.
        case.params[0] = 1;
        if case.params.len() != 23 {
            continue;
        }
        tried += 1;
        assert_eq!(verdict(case.clone()), None);
        // The same segment again: an endless list of segments would take endless time.
        case.params.extend_from_within(3..);
        assert_eq!(verdict(case), Some(Fault::Sizes));
    }
}

#[test]
fn what_is_not_copied_is_filled() {
    let mut random = Random(35);
    let mut tried = 0;
    while tried < 20 {
        // One segment with runs of several bytes.
        let mut case = ops::case(OpCode::StridedCopy, &mut random);
        if case.params.len() != 23 || case.params[5] == 1 {
            continue;
        }
        tried += 1;
        case.params[5] -= 1;
        for (fill, wanted) in [(0, Some(Fault::Unwritten)), (1, None)] {
            case.params[0] = fill;
            assert_eq!(verdict(case.clone()), wanted, "{}", case.what);
        }
    }
}

/// Operands of a product may be constants, which have no position in the arena.
#[test]
fn constants_answer_as_other_operands() {
    let mut random = Random(36);
    for _ in 0..20 {
        let mut case = ops::case(OpCode::BatchMatMul, &mut random);
        case.twice = false;
        let answers = [
            [Storage::Arena, Storage::Arena],
            [Storage::Constant, Storage::Arena],
            [Storage::Arena, Storage::Constant],
            [Storage::State, Storage::Arena],
        ]
        .map(|storages| {
            let mut case = case.clone();
            case.inputs.iter_mut().zip(storages).for_each(|(input, storage)| input.storage = storage);
            Apart::new(case).run(ops::ALL, None, 0x55).expect("is sound")
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{}", case.what);
    }
}

#[test]
fn rows_of_softmax_have_at_most_8191_elements() {
    let mut random = Random(34);
    let mut rows_of = |depth: u32| {
        let mut case = ops::case(OpCode::Softmax, &mut random);
        (case.params[0], case.params[1]) = (1, depth);
        case.inputs[0].data = vec![0; depth as usize];
        case.outputs = vec![(DType::Int8, depth)];
        verdict(case)
    };
    assert_eq!(rows_of(8191), None);
    assert_eq!(rows_of(8192), Some(Fault::Parameters));
}
