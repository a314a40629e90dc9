//! How far outputs may lie over inputs: every operator is run with its output at every distance before its input
//! that its `lead` allows, and answers as if nothing were shared. What the lead does not allow is refused.
//!
//! A new operator is tested when it has its cases in `common/cases.rs`, without which this does not compile.

mod common;

use std::collections::BTreeMap;

use common::SETS;
use common::cases::Case;
use common::packed::Random;
use common::program::{Op, Program, Tensor, record};
use ferrolite_conformance::AlignedBuf;
use ferrolite_runtime::{Error, Fault, Interpreter, Model, Node, OpCode, OpSet, Operator, Target, ops};

/// Random ops of each operator in each kernel set.
const CASES: usize = 150;

/// Operators whose output never shares memory with an input.
const APART: [OpCode; 9] = [
    OpCode::FullyConnected,
    OpCode::TransposeConv,
    OpCode::BatchMatMul,
    OpCode::Reduce,
    OpCode::ReduceMinMax,
    OpCode::ResizeNearest,
    OpCode::ResizeBilinear,
    OpCode::ArgMinMax,
    OpCode::Gather,
];

/// An op in a file in which nothing is shared.
struct Apart {
    file: Vec<u8>,
    case: Case,
    /// Place, size and the element's size of each input in the arena, by its position.
    inputs: Vec<Option<Place>>,
    outputs: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    tensor: u16,
    offset: usize,
    bytes: usize,
    element: usize,
}

impl Apart {
    fn new(mut case: Case) -> Apart {
        // Between any two tensors there is room for the largest output.
        let room = case.outputs.iter().map(|&(_, bytes)| bytes.next_multiple_of(16)).max().unwrap_or(0);
        let mut end = room;
        let mut place = |bytes: u32| {
            let offset = end;
            end += bytes.next_multiple_of(16) + room;
            offset
        };
        let count = if case.twice { 1 } else { case.inputs.len() };
        let (mut arena, mut constants) = (Vec::new(), Vec::new());
        for operand in &case.inputs[..count] {
            let bytes = operand.data.len() as u32;
            if operand.constant {
                case.constants.resize(case.constants.len().next_multiple_of(16), 0);
                let offset = case.constants.len() as u32;
                case.constants.extend_from_slice(&operand.data);
                constants.push(Tensor { constant: true, ..Tensor::new(operand.dtype, offset, bytes, 0) });
            } else {
                arena.push(Tensor::new(operand.dtype, place(bytes), bytes, 0));
            }
        }
        let outputs: Vec<Tensor> =
            case.outputs.iter().map(|&(dtype, bytes)| Tensor::new(dtype, place(bytes), bytes, 1)).collect();
        let scratch = place(case.scratch);
        let (first, behind) = (arena.len() as u16, (arena.len() + outputs.len()) as u16);
        let (mut next, mut next_constant) = (0..first, behind..);
        let mut ids: Vec<u16> = case.inputs[..count]
            .iter()
            .map(|operand| if operand.constant { next_constant.next() } else { next.next() })
            .map(|id| id.expect("there is a tensor for each"))
            .collect();
        if case.twice {
            ids.push(ids[0]);
        }
        let tensors: Vec<Tensor> = [&arena[..], &outputs, &constants].concat();
        let placed = |id: u16| {
            let tensor = &tensors[usize::from(id)];
            let (offset, bytes) = (tensor.offset as usize, tensor.bytes as usize);
            Place { tensor: id, offset, bytes, element: tensor.dtype.size() }
        };
        let inputs = ids.iter().map(|&id| (!tensors[usize::from(id)].constant).then(|| placed(id))).collect();
        let op = Op {
            code: case.code,
            inputs: ids,
            outputs: (first..behind).collect(),
            params: case.params.clone(),
            scratch: (scratch, case.scratch),
        };
        let program = Program {
            arena_bytes: end,
            inputs: first,
            outputs: (first..behind).collect(),
            ops: vec![op],
            constants: case.constants.clone(),
            rounding: case.rounding,
            target: Target::Portable,
            tensors: tensors.clone(),
        };
        let outputs = (first..behind).map(placed).collect();
        Apart { file: program.file().bytes().to_vec(), case, inputs, outputs }
    }

    /// What the operator says of an input.
    fn lead(&self, ops: OpSet, position: usize) -> Option<u32> {
        let file = AlignedBuf::copy_of(&self.file);
        let model = Model::from_bytes(file.bytes()).expect("a sound file");
        let operator = ops.iter().find(|operator| operator.code == self.case.code)?;
        (operator.lead)(&Node::new(&model, &model.ops()[0]), position)
    }

    /// The outputs in memory that held `before`, with a tensor at another place.
    fn run(&self, ops: OpSet, moved: Option<(u16, usize)>, before: u8) -> Result<Vec<Vec<u8>>, Error> {
        let mut file = AlignedBuf::copy_of(&self.file);
        if let Some((tensor, offset)) = moved {
            let at = record(file.bytes(), tensor);
            file.bytes_mut()[at..at + 4].copy_from_slice(&(offset as u32).to_le_bytes());
        }
        let model = Model::from_bytes(file.bytes()).expect("records are sound");
        let mut arena = AlignedBuf::zeroed(model.arena_bytes());
        let arena = arena.bytes_mut();
        arena.fill(before);
        for (place, operand) in self.inputs.iter().zip(&self.case.inputs) {
            if let Some(place) = place {
                arena[place.offset..][..place.bytes].copy_from_slice(&operand.data);
            }
        }
        Interpreter::new(&model, ops, &mut *arena)?.invoke()?;
        let bytes = |tensor: u16| {
            let tensor = &model.tensors()[usize::from(tensor)];
            arena[tensor.offset as usize..tensor.end() as usize].to_vec()
        };
        Ok(self.outputs.iter().map(|place| bytes(place.tensor)).collect())
    }

    /// Distances at which an output shares memory with an input that lies behind its start or before it, ascending:
    /// those around the lead, and some others.
    fn distances(&self, lead: Option<u32>, input: &Place, output: &Place, random: &mut Random) -> Vec<isize> {
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
}

/// What was seen of an operator in all sets.
#[derive(Default)]
struct Seen {
    /// Shared memory, and answers were right.
    shared: usize,
    /// The next distance below what is allowed would have been wrong.
    exact: usize,
}

/// The same operator, which allows any distance.
fn without_lead(operator: &Operator) -> OpSet {
    let Operator { code, check, eval, .. } = *operator;
    Box::leak(Box::new([Operator { code, check, eval, lead: |_, _| Some(0) }]))
}

/// Follows an op through all distances between an output and an input.
fn follow(
    apart: &Apart,
    (ops, free): (OpSet, OpSet),
    seen: &mut Seen,
    random: &mut Random,
) -> Result<(), String> {
    let wanted = apart.run(ops, None, 0x5A).map_err(|error| format!("is refused: {error}"))?;
    for (position, input) in apart.inputs.iter().enumerate() {
        let Some(input) = input else { continue };
        // Four channels at a time lie exactly over their input, or not at all: no distance is a lead.
        let exactly = apart.case.code == OpCode::Depthwise3x3;
        let lead = if exactly { Some(0) } else { apart.lead(ops, position) };
        for output in &apart.outputs {
            let unit = input.element.max(output.element) as isize;
            for distance in apart.distances(lead, input, output, random) {
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
        for operator in set.ops {
            let free = without_lead(operator);
            for number in 0..CASES {
                let apart = Apart::new(Case::new(operator.code, &mut random));
                let seen = seen.entry(operator.code).or_default();
                follow(&apart, (set.ops, free), seen, &mut random).unwrap_or_else(|error| {
                    let Case { code, what, .. } = &apart.case;
                    panic!("{}, {code:?}, case {number}: {error}\n{what}", set.name)
                });
            }
        }
    }
    assert_eq!(seen.len(), ops::ALL.len());
    for (code, Seen { shared, exact }) in &seen {
        println!("{code:?}: shared memory {shared} times; {exact} leads are exact");
        assert_eq!(*shared == 0, APART.contains(code), "{code:?} shared memory {shared} times");
    }
    // Those that need a distance need all of it, in some op at least.
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
