//! Results depend on the file and the inputs, never on the previous contents of the arena: tests ops of every
//! operator, with any values in the padding of packed weights, and hostile changes of these ops.

mod common;

use common::apart::Apart;
use common::{SETS, code_of};
use ferrolite_runtime::cases::{Case, Random};
use ferrolite_runtime::kernels::Portable;
use ferrolite_runtime::{Error, OpCode, OpSet, ops};

/// Random ops of each operator in each kernel set.
const CASES: usize = 60;

/// Bytes that earlier work may have left behind.
const LEFT_BEHIND: [u8; 3] = [0x00, 0x7F, 0xA5];

/// The portable kernels, which are the specification.
const PORTABLE: OpSet = &ops::all::<Portable>();

/// The outputs of an op, which must not depend on the previous contents of the arena; `None` if the op is
/// refused.
fn answers(apart: &Apart, ops: OpSet) -> Result<Option<Vec<Vec<u8>>>, String> {
    let mut answers = LEFT_BEHIND.map(|before| apart.run(ops, None, before)).into_iter();
    let first = answers.next().expect("there is one");
    for (answer, before) in answers.zip(&LEFT_BEHIND[1..]) {
        if answer != first {
            return Err(format!("answers differ where the arena held {before:#x}"));
        }
    }
    Ok(first.ok())
}

#[test]
fn ops_answer_the_same_whatever_was_in_the_arena() {
    let mut random = Random(21);
    for set in SETS {
        for operator in set.ops.iter().filter(|operator| Case::is_alone(code_of(operator))) {
            for number in 0..CASES {
                let apart = Apart::new(ops::case(code_of(operator), &mut random));
                let what =
                    || format!("{}, {:?}, case {number}\n{}", set.name, code_of(operator), apart.case.what);
                let found = answers(&apart, set.ops).unwrap_or_else(|error| panic!("{error}: {}", what()));
                assert!(found.is_some(), "is refused: {}", what());
                assert!(
                    found == answers(&apart, PORTABLE).unwrap_or_default(),
                    "is not portable: {}",
                    what()
                );
            }
        }
    }
}

/// Numbers for which checks may fail.
const HOSTILE: [u32; 9] = [0, 1, 2, 3, 4, 16, 255, 0x7FFF_FFFF, 0xFFFF_FFFF];

/// Parameters that no converter writes: if they are accepted, results do not depend on the arena either.
#[test]
fn hostile_ops_answer_the_same_whatever_was_in_the_arena() {
    let mut random = Random(22);
    let (mut refused, mut ran) = (0, 0);
    for set in SETS {
        for operator in set.ops.iter().filter(|operator| Case::is_alone(code_of(operator))) {
            for number in 0..CASES {
                let mut case = ops::case(code_of(operator), &mut random);
                let before = case.params.clone();
                for _ in 0..random.up_to(3) {
                    let place = random.below(case.params.len());
                    let own = case.params[place];
                    case.params[place] = match random.below(6) {
                        0 => HOSTILE[random.below(HOSTILE.len())],
                        1 => own.wrapping_add(1),
                        2 => own.wrapping_sub(1),
                        3 => own.wrapping_mul(2),
                        4 => own / 2,
                        _ => before[random.below(before.len())],
                    };
                }
                let apart = Apart::new(case);
                match answers(&apart, set.ops) {
                    Ok(None) => refused += 1,
                    Ok(Some(_)) => ran += 1,
                    Err(error) => panic!(
                        "{error}: {}, {:?}, case {number}: {:?} instead of {before:?}\n{}",
                        set.name,
                        code_of(operator),
                        apart.case.params,
                        apart.case.what
                    ),
                }
            }
        }
    }
    println!("{refused} refused, {ran} ran");
    assert!(refused > 1000 && ran > 1000, "{refused} were refused, {ran} ran: the changes are one-sided");
}

/// The words of a copy: the start of its first segment, and the amount that it copies.
#[test]
fn copies_that_leave_bytes_unwritten_are_refused() {
    let mut random = Random(23);
    let mut tried = 0;
    while tried < 50 {
        let case = ops::case(OpCode::StridedCopy, &mut random);
        // Only copies without fill, of more than one byte.
        if case.params[0] != 0 || case.params[5] < 2 {
            continue;
        }
        tried += 1;
        for (word, change) in [(5, -1), (7, 1), (5, 1), (6, 1)] {
            let mut case = case.clone();
            case.params[word] = case.params[word].wrapping_add_signed(change);
            let found = Apart::new(case.clone()).run(PORTABLE, None, 0);
            // If everything is one run, and the input is longer than what is copied, the run may begin later.
            if word == 6 && found.is_ok() {
                continue;
            }
            assert!(
                matches!(found, Err(Error::Op { op: 0, .. })),
                "word {word} by {change}: {:?}",
                case.params
            );
        }
    }
}
