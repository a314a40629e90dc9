//! Verification of the program: every record in bounds, every byte read after it was written and
//! before it is overwritten.
//!
//! Tensors of the arena are numbered in the order in which they are written, constants behind them. So a
//! tensor holds data if its number is below that of the next one to be written and its last use is
//! not past. What is left is a list of the tensors that hold data: a new tensor, and the op's scratch,
//! must not touch those that are read later. The list is bounded by [`MAX_LIVE`], so time is linear in
//! the number of operands and the stack is that list.

use heapless::Vec;

use crate::{DType, Error, Model, Op, Port, Storage, Tensor};

/// How many tensors may hold data for longer than until the next op, and how many an op may write. Real
/// networks have fewer than ten.
pub const MAX_LIVE: usize = 64;

/// Largest size of a tensor or an arena: sums of two offsets stay below 2^32.
const MAX_BYTES: u32 = 1 << 30;

/// Size of an element less one, by the number of its type: this runs once for every tensor at start.
const SIZE_MASKS: [u8; DType::ALL.len()] = {
    let mut masks = [0; DType::ALL.len()];
    let mut code = 0;
    while code < masks.len() {
        masks[code] = DType::ALL[code].size() as u8 - 1;
        code += 1;
    }
    masks
};

pub(crate) fn program(model: &Model<'_>) -> Result<(), Error> {
    let (ops, tensors) = (model.ops(), model.tensors());
    let counts = [ops.len(), model.inputs().len(), model.outputs().len()];
    let arena = model.arena_bytes() as u32;
    if counts.iter().any(|&n| n.wrapping_sub(1) >= 0x7FFF) || tensors.len() > 0xFFFF || arena > MAX_BYTES {
        return Err(Error::Counts);
    }
    for (index, tensor) in tensors.iter().enumerate() {
        // Most are int8 in the arena, both of which are 0.
        let last = arena.checked_sub(tensor.bytes).unwrap_or(0);
        if tensor.dtype | tensor.storage != 0 || tensor.bytes.wrapping_sub(1) >= arena || tensor.offset > last
        {
            check_tensor(model, tensor, index as u16)?;
        }
    }
    for (index, port) in model.inputs().iter().enumerate() {
        let tensor = check_port(tensors, port, index as u16)?;
        if port.tensor as usize != index || !tensor.in_arena() {
            return Err(Error::Port { port: index as u16 });
        }
    }
    let mut walk = Walk { model, tensors, next: 0, previous: 0, kept: Vec::new() };
    walk.write(-1, model.inputs().len())?;
    let mut now = 0;
    loop {
        let rest = ops.get(now..).unwrap_or_default();
        let links = walk.links(now as u32, rest);
        now += links;
        let Some(op) = rest.get(links) else { break };
        walk.op(now as i32, op)?;
        now += 1;
    }
    if tensors.get(walk.next).is_some_and(Tensor::in_arena) {
        return Err(Error::WriteOrder { op: ops.len() as u16, tensor: walk.next as u16 });
    }
    for (index, port) in model.outputs().iter().enumerate() {
        let tensor = check_port(tensors, port, 0x8000 | index as u16)?;
        if !tensor.in_arena() || usize::from(tensor.last_use) < ops.len() {
            return Err(Error::ReadBeforeWrite { op: ops.len() as u16, tensor: port.tensor as u16 });
        }
    }
    Ok(())
}

/// A tensor in full.
#[inline(never)]
fn check_tensor(model: &Model<'_>, tensor: &Tensor, index: u16) -> Result<(), Error> {
    let rooms: [u32; Storage::ALL.len()] = [model.arena_bytes() as u32, model.constants().len() as u32];
    let (Some(&mask), Some(&room)) =
        (SIZE_MASKS.get(usize::from(tensor.dtype)), rooms.get(usize::from(tensor.storage)))
    else {
        return Err(Error::TensorType { tensor: index });
    };
    let mask = u32::from(mask);
    if tensor.bytes & mask != 0 || tensor.bytes == 0 {
        return Err(Error::TensorType { tensor: index });
    }
    let fits = tensor.bytes <= room && tensor.offset <= room - tensor.bytes;
    if !fits || tensor.offset & mask != 0 {
        return Err(Error::TensorRange { tensor: index });
    }
    Ok(())
}

/// The tensor behind a port, once its shape is known to be that of the tensor.
#[inline(never)]
fn check_port<'a>(tensors: &'a [Tensor], port: &Port, index: u16) -> Result<&'a Tensor, Error> {
    let fault = Error::Port { port: index };
    let tensor = tensors.get(port.tensor as usize).ok_or(fault)?;
    if port.rank as usize > port.dims.len() {
        return Err(fault);
    }
    let mut bytes = SIZE_MASKS.get(usize::from(tensor.dtype)).map_or(0, |&mask| u32::from(mask) + 1);
    for &dim in port.shape() {
        bytes = bytes.checked_mul(dim).ok_or(fault)?;
    }
    if bytes == tensor.bytes { Ok(tensor) } else { Err(fault) }
}

/// Where the walk over the ops stands.
///
/// What an op reads for the last time may be overwritten by its outputs: how is the operator's matter. So
/// a tensor that no op but the next one reads has to keep from that op's scratch only, and the others
/// enter the list of those that are kept.
struct Walk<'m, 'a> {
    model: &'m Model<'a>,
    tensors: &'a [Tensor],
    /// Number of the next tensor that is written.
    next: usize,
    /// How many tensors before that one the previous op has written.
    previous: usize,
    /// Tensors that hold data for longer than until the op behind their writer. Where a last use is past,
    /// the place is free.
    kept: Vec<&'a Tensor, MAX_LIVE>,
}

impl<'m, 'a> Walk<'m, 'a> {
    /// How many of the ops from `now` on are sound links of a chain, the common case: each reads what the
    /// one before has written, for the last time, and writes what the one behind reads, while nothing
    /// else holds data. What is none, or not sound, is for [`op`](Walk::op) to decide.
    #[inline(always)]
    fn links(&mut self, now: u32, ops: &[Op]) -> usize {
        let model = self.model;
        let arena = model.arena_bytes() as u32;
        let first = self.next.wrapping_sub(1);
        let Some([read, unwritten @ ..]) = self.tensors.get(first..) else { return 0 };
        if self.previous != 1 || !self.kept.is_empty() {
            return 0;
        }
        let (mut read, mut now, mut last) = (read, now, first as u32);
        for (op, written) in ops.iter().zip(unwritten) {
            let Some(&[input, output]) = model.operands_from(op).and_then(<[u16]>::first_chunk) else {
                break;
            };
            let Some(params) = model.params_from(op) else { break };
            if op.inputs != 1
                || op.outputs != 1
                || u32::from(input) != last
                || u32::from(output) != last + 1
                || u32::from(read.last_use) != now
                || u32::from(written.last_use) != now + 1
                || !written.in_arena()
                || params.len() < op.params_words as usize
            {
                break;
            }
            if op.scratch_bytes != 0 {
                let scratch = (op.scratch, op.scratch_bytes);
                let outside =
                    op.scratch & 3 != 0 || op.scratch_bytes > arena || op.scratch > arena - op.scratch_bytes;
                if outside || touch(run(read), scratch) || touch(run(written), scratch) {
                    break;
                }
            }
            (read, now, last) = (written, now + 1, last + 1);
        }
        let links = (last as usize).wrapping_sub(first);
        self.next += links;
        links
    }

    /// Checks any op: operands, parameters and scratch exist, what is read holds data, what is written is
    /// numbered in order, and nothing is overwritten before it is read for the last time.
    #[inline(never)]
    fn op(&mut self, now: i32, op: &Op) -> Result<(), Error> {
        let (index, arena) = (now as u16, self.model.arena_bytes() as u32);
        let fault = Error::OpRange { op: index };
        let operands = self.model.operands(op);
        let Some((inputs, outputs @ [_, ..])) = operands.split_at_checked(op.inputs.into()) else {
            return Err(fault);
        };
        let Some(params) = self.model.params_from(op) else { return Err(fault) };
        let scratch = (op.scratch, op.scratch_bytes);
        if params.len() < op.params_words as usize
            || op.scratch & 3 != 0
            || op.scratch_bytes > arena
            || op.scratch > arena - op.scratch_bytes
        {
            return Err(fault);
        }
        for &id in inputs {
            let unwritten = Error::ReadBeforeWrite { op: index, tensor: id };
            let Some(tensor) = self.tensors.get(usize::from(id)) else { return Err(unwritten) };
            if tensor.last_use < index || (usize::from(id) >= self.next && tensor.in_arena()) {
                return Err(unwritten);
            }
        }
        for (&id, next) in outputs.iter().zip(self.next..) {
            let order = Error::WriteOrder { op: index, tensor: id };
            let Some(tensor) = self.tensors.get(usize::from(id)) else { return Err(order) };
            if usize::from(id) != next || tensor.last_use < index || !tensor.in_arena() {
                return Err(order);
            }
        }
        if op.scratch_bytes != 0 {
            let first = self.next.wrapping_sub(self.previous);
            let near = self.tensors.iter().skip(first).take(self.previous + outputs.len());
            let damaged = |held: &&Tensor| touch(run(held), scratch) && held.last_use >= index;
            if let Some(held) = near.chain(self.kept.iter().copied()).find(damaged) {
                return Err(self.overlap(now, held));
            }
        }
        self.write(now, outputs.len())
    }

    /// Op `now` writes the next tensors, as many as this; -1 are the inputs of the model.
    #[inline(never)]
    fn write(&mut self, now: i32, count: usize) -> Result<(), Error> {
        let too_many = Error::TooManyLive { op: now.max(0) as u16 };
        if count > MAX_LIVE {
            return Err(too_many);
        }
        while self.kept.last().is_some_and(|held| i32::from(held.last_use) <= now) {
            self.kept.pop();
        }
        let written = self.tensors.get(self.next..).and_then(|rest| rest.get(..count)).unwrap_or_default();
        for (index, tensor) in written.iter().enumerate() {
            let damaged = |held: &&&Tensor| i32::from(held.last_use) > now && touch(run(held), run(tensor));
            let beside = written.iter().take(index).find(|held| touch(run(held), run(tensor)));
            if let Some(held) = beside.or_else(|| self.kept.iter().find(damaged).copied()) {
                return Err(self.overlap(now, held));
            }
            if i32::from(tensor.last_use) > now + 1 {
                match self.kept.iter_mut().find(|held| i32::from(held.last_use) <= now) {
                    Some(place) => *place = tensor,
                    None => self.kept.push(tensor).map_err(|_| too_many)?,
                }
            }
        }
        self.next += count;
        self.previous = count;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn overlap(&self, now: i32, damaged: &Tensor) -> Error {
        let index = self.tensors.iter().position(|tensor| core::ptr::eq(tensor, damaged));
        Error::Overlap { op: now.max(0) as u16, tensor: index.unwrap_or(0) as u16 }
    }
}

/// First byte and size of a run of bytes in the arena.
type Run = (u32, u32);

/// Whether two runs share a byte. Neither is empty.
#[inline(always)]
fn touch((a, a_bytes): Run, (b, b_bytes): Run) -> bool {
    b.wrapping_sub(a) < a_bytes || a.wrapping_sub(b) < b_bytes
}

#[inline(always)]
fn run(tensor: &Tensor) -> Run {
    (tensor.offset, tensor.bytes)
}
