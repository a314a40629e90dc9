//! The harness for conformance. It is `no_std` and takes bytes, so that the same code serves tests on the
//! host, the fuzzer and firmware.
//!
//! [`exercise`] does everything with a file that a device would do, whatever the file contains. On the host,
//! it also does so with the kernels of the core that the file is packed for.

#![no_std]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use ferrolite_runtime::{Error, Interpreter, Memories, Model, OpSet, Operator, ops};

/// An operator of a user's own, which hostile files may name.
#[path = "../../converter/examples/custom_operator/contrast.rs"]
pub mod contrast;

/// All operators of a set, and the user's own.
const fn with_custom(set: &[Operator]) -> [Operator; ops::ALL.len() + 1] {
    let mut all = [Operator::custom::<contrast::Contrast>(); ops::ALL.len() + 1];
    let mut index = 0;
    while index < set.len() {
        all[index] = set[index];
        index += 1;
    }
    all
}

/// The operators that [`exercise`] knows: the runtime's, and one of a user's own.
pub const OPERATORS: OpSet = &with_custom(ops::ALL);

/// Arena that [`exercise`] provides: enough for the seeds, but small enough that the work of a hostile model
/// stays small.
pub const ARENA_LIMIT: usize = 256 * 1024;

/// Work of one inference that [`exercise`] allows, for the same reason.
pub const WORK_LIMIT: u64 = 1 << 28;

/// Bytes aligned to 16, as a device has its model and its arena.
pub struct AlignedBuf {
    blocks: Vec<u128>,
    len: usize,
}

impl AlignedBuf {
    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> AlignedBuf {
        let mut copy = AlignedBuf::zeroed(bytes.len());
        copy.bytes_mut().copy_from_slice(bytes);
        copy
    }

    /// `len` zeroes.
    pub fn zeroed(len: usize) -> AlignedBuf {
        AlignedBuf { blocks: vec![0; len.div_ceil(16)], len }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }
}

/// The result of exercising a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused.
    Refused(Error),
    /// It was accepted and needs more arena than [`ARENA_LIMIT`], or more work than [`WORK_LIMIT`], so it was not run.
    TooLarge,
    /// It was accepted, ran, and wrote nothing outside its arena.
    Ran,
}

/// Reads a file as a device would, and runs its model in an arena with guards on both sides. Panics if a
/// guard was damaged, if results depend on the previous contents of the arena, or if a name in the file
/// cannot be read.
pub fn exercise(file: &[u8]) -> Outcome {
    let file = AlignedBuf::copy_of(file);
    let model = match Model::from_bytes(file.bytes()) {
        Ok(model) => model,
        Err(error) => return Outcome::Refused(error.into()),
    };
    // Accesses that only people make must be safe, too.
    let names = model.names();
    let _ = (names.model(), names.label(0), names.writer(), model.self_test(), model.source_hash());
    for index in 0..model.ops().len() {
        let _ = (names.op(index), names.op_kind(index), names.op_macs(index));
    }
    let _ = (model.input_name(0), model.output_name(0), model.checksum_matches());
    for index in 0..model.variables().len() {
        let _ = model.variable_name(index);
    }
    for index in 0..model.entries() {
        let entry = model.entry_name(index).map(|name| model.entry(name));
        if let Some(Ok(Some(entry))) = entry {
            let _ = (entry.input_name(0), entry.output_name(0), entry.names().op(0), entry.variables());
        }
    }
    if model.arena_bytes() > ARENA_LIMIT || model.work() > WORK_LIMIT {
        return match ferrolite_runtime::check(&model, OPERATORS) {
            Ok(()) => Outcome::TooLarge,
            Err(error) => Outcome::Refused(error),
        };
    }

    let outcome = run(&model, OPERATORS);
    if outcome == Outcome::Ran {
        divided(&model);
    }
    match emulated(&model) {
        Some(ops) if outcome == Outcome::Ran => run(&model, ops),
        _ => outcome,
    }
}

/// The kernels of the core that a file is packed for, in plain Rust behind the checks of that core's
/// assembly: an access that a check misses leads out of a slice here.
#[cfg(not(target_os = "none"))]
fn emulated(model: &Model<'_>) -> Option<OpSet> {
    use ferrolite_runtime::Target;
    use ferrolite_runtime::kernels::{Armv6m, Armv7em, Armv7m, Mve, Rv32im};
    match model.target()? {
        Target::CortexM4 | Target::CortexM7 | Target::CortexM33 => {
            Some(&const { with_custom(&ops::all::<Armv7em>()) })
        }
        Target::CortexM55 => Some(&const { with_custom(&ops::all::<Mve>()) }),
        Target::CortexM3 => Some(&const { with_custom(&ops::all::<Armv7m>()) }),
        Target::CortexM0 => Some(&const { with_custom(&ops::all::<Armv6m>()) }),
        Target::RiscV32 => Some(&const { with_custom(&ops::all::<Rv32im>()) }),
        Target::Host | Target::Portable => None,
    }
}

/// A device has the kernels of one core only.
#[cfg(target_os = "none")]
fn emulated(_: &Model<'_>) -> Option<OpSet> {
    None
}

/// Runs a model between guards, in memory with different previous contents. The results must be equal.
fn run(model: &Model<'_>, ops: OpSet) -> Outcome {
    let (first, second) = (answers(model, ops, 0xA5), answers(model, ops, 0x3C));
    assert!(first == second, "answers depend on what was in the arena");
    match first {
        Ok(_) => Outcome::Ran,
        Err(error) => Outcome::Refused(error),
    }
}

/// One inference of some input; returns the bytes of all outputs.
fn infer(net: &mut Interpreter<'_>) -> Result<Vec<u8>, Error> {
    for index in 0..net.model().inputs().len() {
        let bytes = net.input_bytes_mut(index)?;
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 89 % 251) as u8);
    }
    net.invoke()?;
    for index in 0..net.model().variables().len() {
        // One of these types is its own.
        let found = [net.variable::<i8>(index).is_ok(), net.variable::<f32>(index).is_ok()];
        assert!(found.iter().filter(|&&found| found).count() < 2, "a variable of two types");
    }
    let mut outputs = Vec::new();
    for index in 0..net.model().outputs().len() {
        outputs.extend_from_slice(net.output_bytes(index)?);
    }
    Ok(outputs)
}

/// Runs a model in the memories that its file divides the arena among, each between guards: its answers are those that it
/// gives in one, if the memories are accepted.
pub fn divided(model: &Model<'_>) {
    const GUARD: usize = 64;
    let sizes = model.memories();
    if sizes.is_empty() {
        return;
    }
    let mut buffers: Vec<AlignedBuf> = sizes
        .iter()
        .take(4)
        .map(|&size| AlignedBuf::zeroed(2 * GUARD + (size as usize).min(ARENA_LIMIT)))
        .collect();
    buffers.iter_mut().for_each(|buffer| buffer.bytes_mut().fill(0xA5));
    let accepted = model.check_memories().is_ok();
    let mut parts = buffers.iter_mut().map(|buffer| {
        let len = buffer.len - GUARD;
        &mut buffer.bytes_mut()[GUARD..len]
    });
    let mut memories = Memories::new([(); 4].map(|()| parts.next().unwrap_or_default()));
    let mut net = match Interpreter::with_memories(model, OPERATORS, &mut memories) {
        Ok(net) => net,
        Err(error) => {
            assert!(!accepted, "memories that are sound are refused: {error}");
            return;
        }
    };
    assert!(accepted, "memories that are not sound are used");
    for (index, port) in model.inputs().iter().enumerate() {
        let bytes = net.input_bytes_mut(index).unwrap_or_else(|error| unreachable!("input {index}: {error}"));
        let tensor = &model.tensors()[port.tensor as usize];
        assert_eq!(bytes.len(), tensor.bytes as usize);
        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 89 % 251) as u8);
    }
    if net.invoke().is_err() {
        unreachable!("a checked model has every operator it needs, and its inputs are written");
    }
    let outputs = (0..model.outputs().len())
        .flat_map(|index| net.output_bytes(index).map_or(Vec::new(), <[u8]>::to_vec));
    let outputs: Vec<u8> = outputs.collect();
    let whole = answers(model, OPERATORS, 0xA5);
    // Inputs that lie over one another were written one after the other in both.
    assert!(whole == Ok(outputs), "answers depend on where the arena lies");
    for buffer in &buffers {
        let (bytes, end) = (buffer.bytes(), buffer.len - GUARD);
        let guards = bytes[..GUARD].iter().chain(&bytes[end..]);
        assert!(guards.copied().all(|byte| byte == 0xA5), "the model wrote outside of its memories");
    }
}

/// A model's outputs for some input in an arena that held `before`, computed twice: the second run finds what
/// the first one left behind.
fn answers(model: &Model<'_>, ops: OpSet, before: u8) -> Result<Vec<u8>, Error> {
    const GUARD: usize = 64;
    const MARK: u8 = 0xA5;
    let size = model.arena_bytes();
    let mut memory = AlignedBuf::zeroed(GUARD + size + GUARD);
    memory.bytes_mut().fill(MARK);
    let mut answers: Vec<u8> = Vec::new();
    let arena = &mut memory.bytes_mut()[GUARD..GUARD + size];
    arena.fill(before);
    for round in 0..2 {
        let mut net = Interpreter::new(model, ops, &mut *arena)?;
        // Once a file has been checked, nothing that it contains can go wrong.
        let outputs = infer(&mut net).expect("a checked model runs");
        assert!(round == 0 || outputs == answers, "answers depend on what was in the arena");
        answers = outputs;
    }
    let bytes = memory.bytes();
    let guards = bytes[..GUARD].iter().chain(&bytes[GUARD + size..]);
    assert!(guards.copied().all(|byte| byte == MARK), "the model wrote outside its arena");
    Ok(answers)
}
