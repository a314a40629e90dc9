//! The verifier against its definition: programs of all kinds, sound and damaged, judged byte by byte.

extern crate std;

use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::Header;

/// A program in parts that can be changed.
#[derive(Clone, Debug, Default)]
struct Program {
    /// Bytes, those of the state included.
    arena: u32,
    state: u32,
    initial: u32,
    tensors: Vec<Tensor>,
    operands: Vec<u16>,
    ops: Vec<Op>,
    params: Vec<u32>,
    constants: Vec<u8>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Program {
    fn verify(&self) -> Result<(), Error> {
        let header = Header {
            arena_bytes: self.arena,
            state_bytes: self.state,
            initial_bytes: self.initial,
            input_count: self.inputs.len() as u16,
            ..Header::EMPTY
        };
        program::<true>(&Model::of_parts(
            &header,
            (&self.tensors, &self.operands, &self.ops),
            (&self.params, &self.constants),
            &[&self.inputs[..], &self.outputs].concat(),
        ))
    }

    fn operands(&self, op: &Op) -> Option<(Vec<u16>, Vec<u16>)> {
        let all = match (op.inputs, op.outputs) {
            (1, 1) => vec![op.operands as u16, (op.operands >> 16) as u16],
            (inputs, outputs) => {
                let count = usize::from(inputs) + usize::from(outputs);
                self.operands.get(op.operands as usize..)?.get(..count)?.to_vec()
            }
        };
        Some((all[..op.inputs.into()].to_vec(), all[op.inputs.into()..].to_vec()))
    }

    /// The definition, with the memory as an array: which tensor each byte holds.
    fn judge(&self) -> Result<(), Judgement> {
        let counts = [self.ops.len(), self.inputs.len(), self.outputs.len()];
        if counts.iter().any(|count| !(1..0x8000).contains(count))
            || self.tensors.len() > 0xFFFF
            || self.arena > 1 << 30
        {
            return Err(Error::Counts.into());
        }
        let Some(work) = self.work() else { return Err(Error::State.into()) };
        let mut memory = vec![None; work as usize];
        let mut written = 0;
        self.write(&mut memory, &mut written, self.inputs.len(), -1)?;
        for (index, port) in self.inputs.iter().enumerate() {
            if port.tensor as usize != index || self.port(port).is_none() {
                return Err(Error::Port { port: index as u16 }.into());
            }
        }
        for (index, op) in self.ops.iter().enumerate() {
            self.op(&mut memory, &mut written, index, op)?;
        }
        let op = self.ops.len() as u16;
        let mut kept = work;
        for (number, tensor) in self.tensors.iter().enumerate().skip(written) {
            self.tensor(number)?;
            if tensor.storage == 0 {
                return Err(Error::WriteOrder { op, tensor: number as u16 }.into());
            }
            if tensor.storage == 2 {
                if tensor.offset < kept {
                    return Err(Error::TensorRange { tensor: number as u16 }.into());
                }
                kept = tensor.offset + tensor.bytes;
            }
        }
        for (index, port) in self.outputs.iter().enumerate() {
            let tensor = self.port(port).ok_or(Error::Port { port: 0x8000 + index as u16 })?;
            if tensor.storage != 0 || usize::from(tensor.last_use) < self.ops.len() {
                return Err(Error::ReadBeforeWrite { op, tensor: port.tensor as u16 }.into());
            }
        }
        Ok(())
    }

    /// Whether an op writes over a tensor that holds data, by its outputs or its scratch memory.
    fn overwrites(&self, op: u16, tensor: u16) -> bool {
        let mut numbers = 0..self.inputs.len();
        let mut writes = vec![numbers.clone()];
        for op in &self.ops {
            numbers = numbers.end..numbers.end + usize::from(op.outputs);
            writes.push(numbers.clone());
        }
        let Some(writer) = writes.iter().position(|numbers| numbers.contains(&tensor.into())) else {
            return false;
        };
        // Addresses as the verifier has them, which wraps where a tensor lies outside the arena.
        let shares = |offset: u32, bytes: u32| {
            let held = &self.tensors[usize::from(tensor)];
            let inside = |at: u32, start: u32, bytes: u32| at.wrapping_sub(start) < bytes;
            inside(offset, held.offset, held.bytes) || inside(held.offset, offset, bytes)
        };
        let (held, place) = (self.tensors[usize::from(tensor)].last_use, usize::from(op) + 1);
        let (scratch, later) = (&self.ops[usize::from(op)], |&id: &usize| id > usize::from(tensor));
        let outputs = writes[place].clone().filter(later).filter_map(|id| self.tensors.get(id));
        let written = held > op && outputs.clone().any(|other| shares(other.offset, other.bytes));
        let worked = scratch.scratch_bytes != 0 && shares(scratch.scratch, scratch.scratch_bytes);
        // Of inputs that lie over one another the first op is told.
        let inputs = self.tensors.get(..self.inputs.len()).unwrap_or_default().iter().enumerate();
        let mut inputs = inputs.filter(|(id, _)| op == 0 && writer == 0 && later(id));
        let entered = inputs.any(|(_, other)| shares(other.offset, other.bytes));
        writer <= place && held >= op && (written || worked) || entered
    }

    /// Bytes of the arena that are no state.
    fn work(&self) -> Option<u32> {
        let work = self.arena.checked_sub(self.state)?;
        let initial = self.initial <= self.state && self.initial as usize <= self.constants.len();
        (initial && (self.state == 0 || work.is_multiple_of(16))).then_some(work)
    }

    fn op(
        &self,
        memory: &mut [Option<usize>],
        written: &mut usize,
        index: usize,
        op: &Op,
    ) -> Result<(), Judgement> {
        let number = index as u16;
        let range = Error::OpRange { op: number };
        let (inputs, outputs) = self.operands(op).ok_or(range)?;
        let params = u64::from(op.params) + u64::from(op.params_words);
        let scratch = u64::from(op.scratch)..u64::from(op.scratch) + u64::from(op.scratch_bytes);
        if params > self.params.len() as u64
            || scratch.end > memory.len() as u64
            || !op.scratch.is_multiple_of(4)
        {
            return Err(range.into());
        }
        for id in inputs {
            let there = self.tensors.get(usize::from(id)).is_some_and(|tensor| {
                (tensor.storage != 0 || usize::from(id) < *written) && usize::from(tensor.last_use) >= index
            });
            if !there {
                return Err(Error::ReadBeforeWrite { op: number, tensor: id }.into());
            }
        }
        for (id, next) in outputs.iter().zip(*written..) {
            if usize::from(*id) != next {
                return Err(Error::WriteOrder { op: number, tensor: *id }.into());
            }
        }
        // What is still to be read may not be lost to the scratch memory, nor what this op reads.
        let before = memory.to_vec();
        self.write(memory, written, outputs.len(), index as i32)?;
        let place = scratch.start as usize..scratch.end as usize;
        let held = |id: usize| usize::from(self.tensors[id].last_use) >= index;
        let bytes = before[place.clone()].iter().chain(&memory[place]);
        let mut lost: BTreeSet<u16> = bytes.flatten().filter(|&&id| held(id)).map(|&id| id as u16).collect();
        if !lost.is_empty() {
            // Outputs that nobody reads may lie over one another: each of them may be named.
            let touched = |id: &usize| {
                let tensor = &self.tensors[*id];
                held(*id) && u64::from(tensor.offset) < scratch.end && u64::from(tensor.end()) > scratch.start
            };
            lost.extend((0..*written).filter(touched).map(|id| id as u16));
        }
        if !lost.is_empty() {
            return Err(Judgement { error: Error::Overlap { op: number, tensor: 0 }, lost });
        }
        Ok(())
    }

    fn write(
        &self,
        memory: &mut [Option<usize>],
        written: &mut usize,
        count: usize,
        now: i32,
    ) -> Result<(), Judgement> {
        let op = now.max(0) as u16;
        for _ in 0..count {
            let number = *written as u16;
            let tensor = self.tensors.get(*written).ok_or(Error::WriteOrder { op, tensor: number })?;
            self.tensor(*written)?;
            if tensor.storage != 0 || i32::from(tensor.last_use) < now {
                return Err(Error::WriteOrder { op, tensor: number }.into());
            }
            let place = tensor.offset as usize..(tensor.offset + tensor.bytes) as usize;
            let later = |byte: &Option<usize>| byte.filter(|&id| i32::from(self.tensors[id].last_use) > now);
            let lost: BTreeSet<u16> =
                memory[place.clone()].iter().filter_map(later).map(|id| id as u16).collect();
            if !lost.is_empty() {
                return Err(Judgement { error: Error::Overlap { op, tensor: 0 }, lost });
            }
            memory[place].fill(Some(*written));
            *written += 1;
        }
        Ok(())
    }

    fn tensor(&self, number: usize) -> Result<(), Judgement> {
        let tensor = &self.tensors[number];
        let number = number as u16;
        let work = self.arena - self.state;
        let (start, room) = match tensor.storage {
            0 => (0, u64::from(work)),
            1 => (0, self.constants.len() as u64),
            2 => (work, u64::from(self.arena)),
            _ => return Err(Error::TensorType { tensor: number }.into()),
        };
        let size = DType::from_code(tensor.dtype).ok_or(Error::TensorType { tensor: number })?.size() as u32;
        if tensor.bytes == 0 || !tensor.bytes.is_multiple_of(size) {
            return Err(Error::TensorType { tensor: number }.into());
        }
        if tensor.offset < start
            || u64::from(tensor.offset) + u64::from(tensor.bytes) > room
            || !tensor.offset.is_multiple_of(size)
        {
            return Err(Error::TensorRange { tensor: number }.into());
        }
        Ok(())
    }

    fn port(&self, port: &Port) -> Option<&Tensor> {
        let tensor = self.tensors.get(port.tensor as usize)?;
        let size = DType::from_code(tensor.dtype)?.size() as u128;
        let dims = port.dims.get(..port.rank as usize)?;
        let bytes = dims.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim.into()))?;
        (bytes == u128::from(tensor.bytes)).then_some(tensor)
    }
}

/// What the definition finds wrong; of an overlap, all tensors that lose bytes.
#[derive(Debug)]
struct Judgement {
    error: Error,
    lost: BTreeSet<u16>,
}

impl From<Error> for Judgement {
    fn from(error: Error) -> Judgement {
        Judgement { error, lost: BTreeSet::new() }
    }
}

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

fn tensor(offset: u32, bytes: u32, last_use: u16) -> Tensor {
    Tensor { offset, bytes, last_use, dtype: DType::Int8 as u8, storage: 0 }
}

fn port(tensor: u32, dims: &[u32]) -> Port {
    let mut all = [1; 6];
    all[..dims.len()].copy_from_slice(dims);
    Port { tensor, rank: dims.len() as u32, dims: all, scale: 0.0, zero_point: 0 }
}

fn op(operands: u32, inputs: u8, outputs: u8) -> Op {
    Op { code: 1, inputs, outputs, operands, params: 0, params_words: 0, scratch: 0, scratch_bytes: 0 }
}

/// A program whose tensors lie where they find room, mostly: chains and others, with scratch memory.
fn random(numbers: &mut Numbers) -> Program {
    let arena = 4 * (4 + numbers.below(12)) as u32;
    let mut program = Program { arena, params: vec![0; 4], constants: vec![0; 32], ..Program::default() };
    if numbers.one_in(3) {
        program.state = numbers.below(24) as u32;
        program.arena = arena.next_multiple_of(16) + program.state;
        program.initial = numbers.below(program.state as usize + 1) as u32;
    }
    let (ops, chain) = (1 + numbers.below(7), numbers.below(2) == 0);
    let wide = !chain && numbers.one_in(3);
    let new = |numbers: &mut Numbers| {
        let dtype = if wide { numbers.below(DType::ALL.len()) as u8 } else { DType::Int8 as u8 };
        let size = DType::from_code(dtype).map_or(1, |dtype| dtype.size()) as u32;
        Tensor { dtype, ..tensor(0, size * (1 + numbers.below(8)) as u32, 0) }
    };
    let inputs = if chain { 1 } else { 1 + numbers.below(2) };
    for index in 0..inputs {
        program.tensors.push(new(numbers));
        program.inputs.push(port(index as u32, &[]));
    }
    // How many tensors there are before each op.
    let mut writers = vec![inputs];
    for index in 0..ops {
        let written = program.tensors.len();
        let simple = chain && !numbers.one_in(8) || numbers.one_in(2);
        let (reads, writes) = if simple { (1, 1) } else { (1 + numbers.below(2), 1 + numbers.below(2)) };
        let mut operands: Vec<u16> = (0..reads)
            .map(|_| if chain && !numbers.one_in(8) { written - 1 } else { numbers.below(written) } as u16)
            .collect();
        for &read in &operands {
            program.tensors[usize::from(read)].last_use = index as u16;
        }
        for written in written..written + writes {
            operands.push(written as u16);
            let tensor = Tensor { last_use: index as u16, ..new(numbers) };
            program.tensors.push(tensor);
        }
        let mut op = op(program.operands.len() as u32, reads as u8, writes as u8);
        if (reads, writes) == (1, 1) {
            op.operands = u32::from(operands[0]) | u32::from(operands[1]) << 16;
        } else {
            program.operands.extend(operands);
        }
        (op.params, op.params_words) = (numbers.below(3) as u32, numbers.below(3) as u32);
        if numbers.one_in(2) {
            op.scratch_bytes = 1 + numbers.below(8) as u32;
        }
        program.ops.push(op);
        writers.push(program.tensors.len());
    }
    let last = program.tensors.len() - 1;
    for _ in 0..1 + numbers.below(2) {
        let id = if numbers.one_in(3) { numbers.below(last + 1) } else { last };
        program.tensors[id].last_use = ops as u16;
        program.outputs.push(port(id as u32, &[]));
    }
    for port in program.inputs.iter_mut().chain(&mut program.outputs) {
        let tensor = program.tensors[port.tensor as usize];
        let count = tensor.bytes / DType::from_code(tensor.dtype).map_or(1, |dtype| dtype.size()) as u32;
        (port.rank, port.dims[0]) = (1, count);
        if count.is_multiple_of(2) {
            (port.rank, port.dims[0], port.dims[1]) = (2, count / 2, 2);
        }
    }
    place(&mut program, numbers, &writers);
    // Constants and state lie behind what is written, and are read as well.
    let mut kept = program.arena - program.state;
    for index in 0..numbers.below(3) {
        let number = program.tensors.len() as u16;
        let reader = numbers.below(ops);
        let room = program.arena - kept;
        if room != 0 && numbers.one_in(2) {
            let bytes = 1 + numbers.below(room as usize) as u32;
            program.tensors.push(Tensor { storage: 2, ..tensor(kept, bytes, reader as u16) });
            kept += bytes;
        } else {
            program.tensors.push(Tensor { storage: 1, ..tensor(8 * index as u32, 4, reader as u16) });
        }
        let op = &mut program.ops[reader];
        if (op.inputs, op.outputs) != (1, 1) {
            let first = op.operands as usize;
            let own = program.operands[first..][..usize::from(op.inputs + op.outputs)].to_vec();
            op.operands = program.operands.len() as u32;
            op.inputs += 1;
            program.operands.push(number);
            program.operands.extend(own);
        }
    }
    program
}

/// Puts tensors and scratch memory where nothing is lost by it, if a few attempts find such a place.
fn place(program: &mut Program, numbers: &mut Numbers, writers: &[usize]) {
    let arena = (program.arena - program.state) as usize;
    let mut memory: Vec<Option<usize>> = vec![None; arena];
    for step in 0..writers.len() {
        let now = step as i32 - 1;
        let first = if step == 0 { 0 } else { writers[step - 1] };
        for number in first..writers[step] {
            let Tensor { bytes, dtype, .. } = program.tensors[number];
            let size = DType::from_code(dtype).map_or(1, |dtype| dtype.size());
            for attempt in 0..20 {
                let room = arena.saturating_sub(bytes as usize);
                let start = numbers.below(room / size + 1) * size;
                let place = start..(start + bytes as usize).min(arena);
                let free = memory[place.clone()]
                    .iter()
                    .flatten()
                    .all(|&held: &usize| i32::from(program.tensors[held].last_use) <= now && held < first);
                if free || attempt == 19 {
                    program.tensors[number].offset = start as u32;
                    memory[place].fill(Some(number));
                    break;
                }
            }
        }
        if let Some(op) = step.checked_sub(1).and_then(|index| program.ops.get_mut(index)) {
            for _ in 0..20 {
                let start = numbers.below(arena / 4 + 1) * 4;
                let place = start.min(arena)..(start + op.scratch_bytes as usize).min(arena);
                op.scratch = start as u32;
                let held = |&held: &usize| i32::from(program.tensors[held].last_use) >= now;
                if start + op.scratch_bytes as usize <= arena && !memory[place].iter().flatten().any(held) {
                    break;
                }
            }
        }
    }
}

/// One field of a program becomes another number.
fn damage(program: &mut Program, numbers: &mut Numbers) {
    let own = |numbers: &mut Numbers, own: u32| match numbers.below(8) {
        0 => 0,
        1 => own.wrapping_sub(1),
        2 => own.wrapping_add(2),
        3 => own.wrapping_sub(4),
        4 => own.wrapping_add(4),
        5 => u32::MAX - numbers.below(9) as u32,
        6 => numbers.below(64) as u32,
        _ => own.wrapping_add(1),
    };
    let kind = numbers.below(7);
    let tensor = numbers.below(program.tensors.len());
    let op = numbers.below(program.ops.len());
    match kind {
        0 | 1 => {
            let tensor = &mut program.tensors[tensor];
            match numbers.below(6) {
                0 | 1 => tensor.offset = own(numbers, tensor.offset),
                2 => tensor.bytes = own(numbers, tensor.bytes),
                3 => tensor.last_use = own(numbers, tensor.last_use.into()) as u16,
                4 => tensor.dtype = numbers.below(DType::ALL.len() + 1) as u8,
                _ => tensor.storage = numbers.below(4) as u8,
            }
        }
        2 | 3 => {
            let op = &mut program.ops[op];
            match numbers.below(6) {
                0 => op.operands = own(numbers, op.operands),
                1 => op.params = own(numbers, op.params),
                2 => op.params_words = own(numbers, op.params_words),
                3 => op.scratch = own(numbers, op.scratch),
                4 => op.scratch_bytes = own(numbers, op.scratch_bytes),
                _ => op.outputs = numbers.below(3) as u8,
            }
        }
        4 => {
            let count = program.operands.len();
            if let Some(operand) = program.operands.get_mut(numbers.below(count)) {
                *operand = own(numbers, (*operand).into()) as u16;
            } else {
                let op = &mut program.ops[op];
                op.operands = own(numbers, op.operands & 0xFFFF) << 16 | op.operands & 0xFFFF;
            }
        }
        5 => {
            let ports = program.inputs.len() + program.outputs.len();
            let port = numbers.below(ports);
            let port = program.inputs.iter_mut().chain(&mut program.outputs).nth(port);
            let Some(port) = port else { return };
            match numbers.below(4) {
                0 => port.tensor = own(numbers, port.tensor),
                1 => port.rank = own(numbers, port.rank),
                2 => port.dims[0] = own(numbers, port.dims[0]),
                _ => port.dims[1] = own(numbers, port.dims[1]),
            }
        }
        _ if numbers.one_in(3) => program.state = own(numbers, program.state),
        _ if numbers.one_in(3) => program.initial = own(numbers, program.initial),
        _ => program.arena = program.arena.saturating_sub(1 + numbers.below(8) as u32),
    }
}

/// Whether the verifier finds what the definition finds. Of a program that is wrong in several ways it may find an
/// overlap of a later op first: it looks ahead from each tensor.
fn compare(program: &Program) -> Result<(), Error> {
    let (found, wanted) = (program.verify(), program.judge());
    match (found, wanted) {
        (Ok(()), Ok(())) => {}
        (Err(Error::Overlap { op, tensor }), Err(judgement)) => {
            let same = matches!(judgement.error, Error::Overlap { op: wanted, .. } if op == wanted);
            assert!(
                same && judgement.lost.contains(&tensor) || program.overwrites(op, tensor),
                "op {op}, tensor {tensor}: {judgement:?} {program:#?}"
            );
        }
        (found, wanted) => {
            assert_eq!(found, wanted.map_err(|judgement| judgement.error), "{program:#?}");
        }
    }
    found
}

#[test]
fn the_verifier_finds_what_the_definition_finds() {
    let numbers = &mut Numbers(1);
    let (mut sound, mut damaged) = (0, 0);
    for _ in 0..20_000 {
        let mut program = random(numbers);
        sound += u32::from(compare(&program).is_ok());
        for _ in 0..1 + numbers.below(2) {
            damage(&mut program, numbers);
        }
        // Where scratch memory of no bytes lies says nothing: a link of a chain is not asked.
        for op in program.ops.iter_mut().filter(|op| op.scratch_bytes == 0) {
            op.scratch = 0;
        }
        damaged += u32::from(compare(&program).is_err());
    }
    assert!(sound > 8_000 && damaged > 8_000, "{sound} sound, {damaged} damaged");
}

/// A program of `ops` that copy one byte forth and back, for numbers at their limits.
fn chain(ops: usize) -> Program {
    let link = |index: usize| tensor(4 * (index as u32 & 1), 1, index as u16);
    Program {
        arena: 8,
        tensors: (0..=ops).map(link).collect(),
        ops: (0..ops as u32).map(|index| op(index | (index + 1) << 16, 1, 1)).collect(),
        inputs: vec![port(0, &[1])],
        outputs: vec![port(ops as u32, &[1])],
        ..Program::default()
    }
}

#[test]
fn counts_have_limits() {
    // Of many ops the definition would take long: here the verifier is asked alone.
    assert_eq!(chain(0x7FFF).verify(), Ok(()));
    assert_eq!(chain(0x8000).verify(), Err(Error::Counts));
    for count in [0, 0x8000] {
        let sound = chain(2);
        let ports = |port: Port| vec![port; count];
        assert_eq!(Program { inputs: ports(sound.inputs[0]), ..sound.clone() }.verify(), Err(Error::Counts));
        assert_eq!(
            Program { outputs: ports(sound.outputs[0]), ..sound.clone() }.verify(),
            Err(Error::Counts)
        );
        assert_eq!(Program { ops: vec![sound.ops[0]; count], ..sound }.verify(), Err(Error::Counts));
    }
    let mut many = chain(2);
    many.outputs = vec![many.outputs[0]; 0x7FFF];
    assert_eq!(many.verify(), Ok(()));
    // Tensors that are constants, up to the largest number.
    many.constants = vec![0; 4];
    many.tensors.resize(0xFFFF, Tensor { storage: 1, ..tensor(0, 1, 0) });
    assert_eq!(many.verify(), Ok(()));
    many.tensors.push(many.tensors[3]);
    assert_eq!(many.verify(), Err(Error::Counts));
}

#[test]
fn arenas_have_a_limit() {
    let mut large = chain(3);
    // The definition keeps a note of each byte: here the verifier is asked alone.
    large.arena = 1 << 30;
    assert_eq!(large.verify(), Ok(()));
    large.arena += 1;
    assert_eq!(large.verify(), Err(Error::Counts));
    large.arena = 1 << 30;
    large.tensors[1].offset = (1 << 30) - 1;
    assert_eq!(large.verify(), Ok(()));
    large.tensors[1].offset += 1;
    assert_eq!(large.verify(), Err(Error::TensorRange { tensor: 1 }));
}

/// A program whose inputs, one byte each, are all read by its last op, behind `ops` that copy one more.
fn crowd(inputs: usize, ops: usize) -> Program {
    let mut program = chain(ops);
    let count = inputs as u32;
    for tensor in &mut program.tensors {
        tensor.offset += count;
    }
    let read_last = |index| tensor(index, 1, ops as u16);
    // The chain's input is the last one.
    program.tensors.splice(0..0, (0..count).map(read_last));
    program.arena += count + 4;
    program.inputs = (0..=count).map(|index| port(index, &[1])).collect();
    for op in &mut program.ops {
        op.operands += count * 0x1_0001;
    }
    program.tensors[inputs + ops].last_use = ops as u16;
    let first = program.operands.len() as u32;
    let reads = inputs.min(254);
    program.operands.extend(0..reads as u16);
    program.operands.extend([(inputs + ops) as u16, (inputs + ops + 1) as u16]);
    program.ops.push(op(first, reads as u8 + 1, 1));
    program.tensors.push(tensor(count + 8, 1, ops as u16 + 1));
    program.outputs = vec![port((inputs + ops + 1) as u32, &[1])];
    program
}

#[test]
fn any_number_of_tensors_may_hold_data() {
    for inputs in [1, 63, 64, 65, 200, 1000] {
        let mut program = crowd(inputs, 40);
        assert_eq!(compare(&program), Ok(()), "{inputs}");
        // The op in the middle writes over any one of them.
        for victim in [0, inputs / 2, inputs - 1] {
            program.tensors[inputs + 21].offset = victim as u32;
            assert_eq!(compare(&program), Err(Error::Overlap { op: 20, tensor: victim as u16 }));
            program.tensors[inputs + 21].offset = inputs as u32 + 4;
            let op = &mut program.ops[20];
            (op.scratch, op.scratch_bytes) = (victim as u32 & !3, 4);
            let found = compare(&program);
            assert!(matches!(found, Err(Error::Overlap { op: 20, .. })), "{found:?}");
            program.ops[20].scratch_bytes = 0;
        }
        assert_eq!(compare(&program), Ok(()), "{inputs}");
    }
}

/// Time is bounded whatever a file says: here the verifier is asked alone.
#[test]
fn tensors_hold_data_for_a_bounded_number_of_steps() {
    // Of each input all other inputs, all ops and what they write.
    let steps = |inputs: usize, ops: usize| inputs * (inputs / 2 + 2 * ops);
    let ops = 0x6000;
    for (inputs, wanted) in [(330, Ok(())), (350, Err(Error::TooManySteps { op: 0 }))] {
        assert_eq!(steps(inputs, ops) < MAX_STEPS, wanted.is_ok());
        assert_eq!(crowd(inputs, ops).verify(), wanted, "{inputs}");
    }
    // Ops that say that they write tensors, which are not there, are walked over as well.
    let mut hollow = crowd(200, ops);
    hollow.ops.iter_mut().for_each(|op| op.outputs = 255);
    assert_eq!(hollow.verify(), Err(Error::TooManySteps { op: 0 }));
}

#[test]
fn state_lies_behind_the_arena_and_in_order() {
    let mut program = Program { arena: 16 + 12, state: 12, ..chain(2) };
    let state = |offset, bytes| Tensor { storage: 2, ..tensor(offset, bytes, 2) };
    program.tensors.extend([state(16, 4), state(20, 4), state(26, 2)]);
    assert_eq!(compare(&program), Ok(()));
    let with = |number: usize, tensor: Tensor| {
        let mut program = program.clone();
        program.tensors[number] = tensor;
        compare(&program)
    };
    for (number, offset, bytes) in
        [(3, 12, 4), (3, 0, 4), (4, 18, 4), (4, 16, 4), (5, 26, 3), (5, 28, 1), (5, u32::MAX, 1), (3, 15, 1)]
    {
        let wanted = Err(Error::TensorRange { tensor: number as u16 });
        assert_eq!(with(number, state(offset, bytes)), wanted, "tensor {number} at {offset}, {bytes} bytes");
    }
    // What ops write, their scratch memory, and what leaves the model are no state.
    assert_eq!(with(1, state(16, 1)), Err(Error::WriteOrder { op: 0, tensor: 1 }));
    assert_eq!(with(1, tensor(16, 1, 1)), Err(Error::TensorRange { tensor: 1 }));
    let mut scratch = program.clone();
    (scratch.ops[1].scratch, scratch.ops[1].scratch_bytes) = (16, 4);
    assert_eq!(compare(&scratch), Err(Error::OpRange { op: 1 }));
    let mut output = program.clone();
    output.outputs = vec![port(3, &[4])];
    assert_eq!(compare(&output), Err(Error::ReadBeforeWrite { op: 2, tensor: 3 }));
    // Its place.
    for (arena, state) in [(28, 29), (28, u32::MAX), (28, 13), (27, 12), (24, 12)] {
        assert_eq!(compare(&Program { arena, state, ..program.clone() }), Err(Error::State));
    }
    for (initial, constants, wanted) in [
        (12, 12, Ok(())),
        (12, 11, Err(Error::State)),
        (13, 20, Err(Error::State)),
        (u32::MAX, 20, Err(Error::State)),
        (0, 0, Ok(())),
    ] {
        let constants = vec![0; constants];
        assert_eq!(compare(&Program { initial, constants, ..program.clone() }), wanted, "{initial}");
    }
    // An op reads state from the first inference on.
    program.operands = vec![1, 4, 2];
    program.ops[1] = op(0, 2, 1);
    assert_eq!(compare(&program), Ok(()));
}

#[test]
fn ops_may_write_nothing() {
    let mut program = chain(2);
    program.operands = vec![1];
    program.ops.insert(1, op(0, 1, 0));
    for (tensor, last_use) in program.tensors.iter_mut().zip([0, 2, 3]) {
        tensor.last_use = last_use;
    }
    assert_eq!(compare(&program), Ok(()));
}

/// In a chain, each tensor is read by the next op, and by no later one.
#[test]
fn links_of_a_chain_are_read_once() {
    let mut late = chain(6);
    for (index, tensor) in late.tensors.iter_mut().enumerate().take(6) {
        (tensor.last_use, tensor.offset) = (2 * index as u16, 0);
    }
    assert_eq!(compare(&late), Err(Error::Overlap { op: 1, tensor: 1 }));
    let mut never = chain(4);
    never.tensors.iter_mut().take(4).for_each(|tensor| tensor.last_use = 0);
    assert_eq!(compare(&never), Err(Error::ReadBeforeWrite { op: 1, tensor: 1 }));
}

#[test]
fn outputs_are_written_by_ops() {
    let mut program = chain(2);
    program.constants = vec![0; 4];
    program.tensors.push(Tensor { storage: 1, ..tensor(0, 1, 2) });
    assert_eq!(compare(&program), Ok(()));
    program.outputs = vec![port(3, &[1])];
    assert_eq!(compare(&program), Err(Error::ReadBeforeWrite { op: 2, tensor: 3 }));
}

#[test]
fn sizes_that_overflow_are_refused() {
    let mut program = chain(2);
    // 2^32 + 1 elements, and 2^16 times 2^16.
    for dims in [[641, 6_700_417], [1 << 16, 1 << 16]] {
        program.inputs = vec![port(0, &dims)];
        assert_eq!(compare(&program), Err(Error::Port { port: 0 }));
    }
    for (scratch, bytes) in [(8, u32::MAX - 7), (u32::MAX - 3, 4), (4, 5), (8, 1), (2, 4)] {
        let mut program = chain(2);
        (program.ops[1].scratch, program.ops[1].scratch_bytes) = (scratch, bytes);
        // Of what the op before wrote it is said first that it touches it.
        let found = compare(&program);
        assert!(
            matches!(found, Err(Error::OpRange { op: 1 } | Error::Overlap { op: 1, tensor: 1 })),
            "{found:?}"
        );
    }
    let mut program = chain(2);
    (program.ops[1].scratch, program.ops[1].scratch_bytes) = (8, 0);
    assert_eq!(compare(&program), Ok(()));
}
