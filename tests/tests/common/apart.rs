//! An op of any operator in a file of its own, with its operands apart from one another.

use ferrolite_conformance::AlignedBuf;
use ferrolite_runtime::{Error, Interpreter, Model, Node, OpSet, Target};

use ferrolite_schema::Storage;

use super::program::{Op, Program, Tensor, record};
use ferrolite_runtime::cases::Case;

/// An op in a file in which no memory is shared.
pub struct Apart {
    pub file: Vec<u8>,
    pub case: Case,
    /// Position, size and element size of each input in the arena, by the input's index.
    pub inputs: Vec<Option<Place>>,
    pub outputs: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub tensor: u16,
    pub offset: usize,
    pub bytes: usize,
    pub element: usize,
}

impl Apart {
    pub fn new(mut case: Case) -> Apart {
        // There is room for the largest output between any two tensors.
        let room = case.outputs.iter().map(|&(_, bytes)| bytes.next_multiple_of(16)).max().unwrap_or(0);
        let mut end = room;
        let mut place = |bytes: u32| {
            let offset = end;
            end += bytes.next_multiple_of(16) + room;
            offset
        };
        let count = if case.twice { 1 } else { case.inputs.len() };
        let (mut arena, mut constants, mut state) = (Vec::new(), Vec::new(), Vec::new());
        let mut initial: Vec<u8> = Vec::new();
        for operand in &case.inputs[..count] {
            let bytes = operand.data.len() as u32;
            if operand.storage == Storage::State {
                // Aligned for any type; the arena's end, where it starts, is added below.
                initial.resize(initial.len().next_multiple_of(16), 0);
                let offset = initial.len() as u32;
                initial.extend_from_slice(&operand.data);
                let storage = Storage::State;
                state.push(Tensor { storage, ..Tensor::new(operand.dtype, offset, bytes, 0) });
            } else if operand.storage == Storage::Constant {
                case.constants.resize(case.constants.len().next_multiple_of(16), 0);
                let offset = case.constants.len() as u32;
                case.constants.extend_from_slice(&operand.data);
                let storage = Storage::Constant;
                constants.push(Tensor { storage, ..Tensor::new(operand.dtype, offset, bytes, 0) });
            } else {
                arena.push(Tensor::new(operand.dtype, place(bytes), bytes, 0));
            }
        }
        let outputs: Vec<Tensor> =
            case.outputs.iter().map(|&(dtype, bytes)| Tensor::new(dtype, place(bytes), bytes, 1)).collect();
        let scratch = place(case.scratch);
        let (first, behind) = (arena.len() as u16, (arena.len() + outputs.len()) as u16);
        // The initial contents of a state are the first constants: all others lie behind.
        if !initial.is_empty() {
            initial.resize(initial.len().next_multiple_of(16), 0);
            let shift = initial.len() as u32;
            constants.iter_mut().for_each(|tensor| tensor.offset += shift);
            for &word in case.code.constants() {
                case.params[word] = case.params[word].wrapping_add(shift);
            }
            case.constants.splice(0..0, initial.iter().copied());
        }
        let end = end.next_multiple_of(16);
        state.iter_mut().for_each(|tensor| tensor.offset += end);
        let (mut next, mut next_constant) = (0..first, behind..);
        let mut next_state = behind + constants.len() as u16..;
        let mut ids: Vec<u16> = case.inputs[..count]
            .iter()
            .map(|operand| match operand.storage {
                Storage::Arena => next.next(),
                Storage::Constant => next_constant.next(),
                Storage::State => next_state.next(),
            })
            .map(|id| id.expect("there is a tensor for each"))
            .collect();
        if case.twice {
            ids.push(ids[0]);
        }
        let tensors: Vec<Tensor> = [&arena[..], &outputs, &constants, &state].concat();
        let placed = |id: u16| {
            let tensor = &tensors[usize::from(id)];
            let (offset, bytes) = (tensor.offset as usize, tensor.bytes as usize);
            Place { tensor: id, offset, bytes, element: tensor.dtype.size() }
        };
        let in_arena = |id: u16| tensors[usize::from(id)].storage == Storage::Arena;
        let inputs = ids.iter().map(|&id| in_arena(id).then(|| placed(id))).collect();
        let op = Op {
            code: case.code,
            inputs: ids,
            outputs: (first..behind).collect(),
            params: case.params.clone(),
            scratch: (scratch, case.scratch),
        };
        let program = Program {
            arena_bytes: end,
            state_bytes: initial.len() as u32,
            initial_bytes: initial.len() as u32,
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

    /// The lead that the operator gives for an input.
    pub fn lead(&self, ops: OpSet, position: usize) -> Option<u32> {
        let file = AlignedBuf::copy_of(&self.file);
        let model = Model::from_bytes(file.bytes()).expect("a sound file");
        let operator = ops.iter().find(|operator| operator.code == self.case.code as u16)?;
        (operator.lead)(&Node::new(&model, &model.ops()[0]), position)
    }

    /// The outputs in memory that held `before`, with a tensor at another position.
    pub fn run(&self, ops: OpSet, moved: Option<(u16, usize)>, before: u8) -> Result<Vec<Vec<u8>>, Error> {
        let mut file = AlignedBuf::copy_of(&self.file);
        if let Some((tensor, offset)) = moved {
            let at = record(file.bytes(), tensor);
            file.bytes_mut()[at..at + 4].copy_from_slice(&(offset as u32).to_le_bytes());
        }
        let model = Model::from_bytes(file.bytes()).expect("records are sound");
        let mut arena = AlignedBuf::zeroed(model.arena_bytes());
        let arena = arena.bytes_mut();
        arena.fill(before);
        let mut net = Interpreter::new(&model, ops, arena)?;
        for (place, operand) in self.inputs.iter().zip(&self.case.inputs) {
            if let Some(place) = place {
                // The model's inputs are its first tensors.
                net.input_bytes_mut(place.tensor.into())?.copy_from_slice(&operand.data);
            }
        }
        net.invoke()?;
        (0..self.outputs.len()).map(|index| net.output_bytes(index).map(<[u8]>::to_vec)).collect()
    }
}
