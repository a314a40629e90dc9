//! How far outputs may lie over inputs: every operator is run with its output at every distance before its
//! input that its `lead` allows, and must give the same results as without shared memory. Distances that the
//! lead does not allow must be refused.
//!
//! A new operator is tested automatically: its file has its cases, and FORMAT.md says whether it shares
//! memory.

mod common;

use std::collections::BTreeMap;

use common::apart::{Apart, Place};
use common::{SETS, code_of, root};
use ferrolite_runtime::cases::Case;
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::{Error, Fault, OpCode, OpSet, Operator, ops};

/// Random ops of each operator in each kernel set.
const CASES: usize = 150;

/// The lead of each operator by FORMAT.md, in the table of section 5.
fn said() -> BTreeMap<OpCode, String> {
    let text = std::fs::read_to_string(root().join("schema/FORMAT.md")).expect("FORMAT.md is there");
    let mut said = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, numbers, names, _, lead, ..] = cells[..] else { continue };
        for (number, name) in numbers.split(", ").zip(names.split(", ")) {
            let code = OpCode::ALL.iter().find(|&&code| (code as u16).to_string() == number);
            if let Some(&code) = code.filter(|code| format!("`{code:?}`") == name) {
                said.insert(code, lead.to_string());
            }
        }
    }
    said
}

/// Distances at which an output shares memory with an input that lies after its start or before it,
/// ascending: those around the lead, and some others.
fn distances(lead: Option<u32>, input: &Place, output: &Place, random: &mut Random) -> Vec<isize> {
    let unit = input.element.max(output.element);
    let (before, behind) = ((input.bytes / unit) as isize, output.bytes.div_ceil(unit) as isize);
    let lead = (lead.unwrap_or(0) as usize).div_ceil(unit) as isize;
    let mut steps: Vec<isize> = [1 - before, -1, 0, lead - 1, lead, lead + 1, behind - 1].to_vec();
    steps.extend((0..4).map(|_| random.below((before + behind) as usize) as isize - before));
    steps.retain(|step| (1 - before..behind).contains(step));
    steps.sort();
    steps.dedup();
    steps.into_iter().map(|steps| steps * unit as isize).collect()
}

/// What was observed of an operator in all sets.
#[derive(Default)]
struct Seen {
    /// Cases with shared memory and right results.
    shared: usize,
    /// Cases in which the next smaller distance would have given a wrong result.
    exact: usize,
}

/// The same operator, changed to allow any distance.
fn without_lead(operator: &Operator) -> OpSet {
    let Operator { code, check, eval, .. } = *operator;
    Box::leak(Box::new([Operator { code, check, eval, lead: |_, _| Some(0) }]))
}

/// Tests an op at all distances between an output and an input.
fn follow(
    apart: &Apart,
    (ops, free): (OpSet, OpSet),
    seen: &mut Seen,
    random: &mut Random,
) -> Result<(), String> {
    let wanted = apart.run(ops, None, 0x5A).map_err(|error| format!("is refused: {error}"))?;
    for (position, input) in apart.inputs.iter().enumerate() {
        let Some(input) = input else { continue };
        // The op processes four channels at a time, so its output lies exactly over its input or not at all:
        // no distance is a lead.
        let exactly = apart.case.code == OpCode::Depthwise3x3;
        let lead = if exactly { Some(0) } else { apart.lead(ops, position) };
        for output in &apart.outputs {
            let unit = input.element.max(output.element) as isize;
            for distance in distances(lead, input, output, random) {
                let place = Some((output.tensor, (input.offset as isize - distance) as usize));
                let beyond = lead.map(|lead| distance - lead as isize);
                let allowed = beyond.is_some_and(|beyond| if exactly { beyond == 0 } else { beyond >= 0 });
                let failed =
                    |how: &str| Err(format!("{distance} bytes before input {position}, {lead:?}: {how}"));
                match apart.run(ops, place, 0xA5) {
                    Ok(_) if !allowed => return failed("is accepted"),
                    Ok(found) if found != wanted => return failed("other answers"),
                    Ok(_) => seen.shared += 1,
                    Err(Error::Op { fault: Fault::Overlap, .. }) if !allowed => {
                        let next = beyond.is_some_and(|beyond| beyond.abs() <= unit);
                        if next && distance >= 0 && apart.run(free, place, 0xA5).as_ref() != Ok(&wanted) {
                            seen.exact += 1;
                        }
                    }
                    Err(error) => return failed(&error.to_string()),
                }
            }
        }
    }
    Ok(())
}

#[test]
fn outputs_lie_over_inputs_as_far_as_no_answer_changes() {
    let mut seen: BTreeMap<OpCode, Seen> = BTreeMap::new();
    let mut random = Random(11);
    for set in SETS {
        for operator in set.ops.iter().filter(|operator| Case::is_alone(code_of(operator))) {
            let free = without_lead(operator);
            for number in 0..CASES {
                let apart = Apart::new(ops::case(code_of(operator), &mut random));
                let seen = seen.entry(code_of(operator)).or_default();
                follow(&apart, (set.ops, free), seen, &mut random).unwrap_or_else(|error| {
                    let Case { code, what, .. } = &apart.case;
                    panic!("{}, {code:?}, case {number}: {error}\n{what}", set.name)
                });
            }
        }
    }
    assert_eq!(seen.len(), ops::ALL.iter().filter(|operator| Case::is_alone(code_of(operator))).count());
    let said = said();
    for (code, Seen { shared, exact }) in &seen {
        println!("{code:?}: shared memory {shared} times; {exact} leads are exact");
        let said = said.get(code).unwrap_or_else(|| panic!("FORMAT.md, section 5, has no line of {code:?}"));
        assert_eq!(*shared == 0, said == "none", "{code:?} shared memory {shared} times, its lead is {said}");
    }
    // Operators with a lead above 0 need all of it in at least some op.
    let exact = [
        OpCode::Conv2d,
        OpCode::DepthwiseConv2d,
        OpCode::Depthwise3x3,
        OpCode::Dequantize,
        OpCode::Requantize,
    ];
    for code in exact {
        assert!(seen[&code].exact > 0, "{code:?} asks for more than it needs");
    }
}
