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

/// How many tensors may hold data at once. Real networks have fewer than ten.
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
    let mut walk = Walk { model, tensors, next: 0, live: Vec::new() };
    walk.write(-1, model.inputs().len(), (u32::MAX, 0))?;
    for (index, port) in model.inputs().iter().enumerate() {
        check_port(tensors, port, index as u16)?;
        if port.tensor as usize != index {
            return Err(Error::Port { port: index as u16 });
        }
    }
    let mut now = 0;
    loop {
        let rest = ops.get(now..).unwrap_or_default();
        let links = walk.links(now as u32, rest);
        now += links;
        let Some(op) = rest.get(links) else { break };
        walk.op(now as i32, op)?;
        now += 1;
    }
    for (index, tensor) in tensors.iter().enumerate().skip(walk.next) {
        check_tensor(model, tensor, index as u16)?;
        if tensor.in_arena() {
            return Err(Error::WriteOrder { op: ops.len() as u16, tensor: index as u16 });
        }
    }
    for (index, port) in model.outputs().iter().enumerate() {
        let tensor = check_port(tensors, port, 0x8000 | index as u16)?;
        if !tensor.in_arena() || usize::from(tensor.last_use) < ops.len() {
            return Err(Error::ReadBeforeWrite { op: ops.len() as u16, tensor: port.tensor as u16 });
        }
    }
    Ok(())
}

/// Checks that a tensor lies in its memory, aligned for its type.
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
struct Walk<'m, 'a> {
    model: &'m Model<'a>,
    tensors: &'a [Tensor],
    /// Number of the next tensor that is written.
    next: usize,
    /// Tensors that hold data.
    live: Vec<&'a Tensor, MAX_LIVE>,
}

impl<'m, 'a> Walk<'m, 'a> {
    /// How many of the ops from `now` on are sound links of a chain, the common case: each reads what the
    /// one before has written, for the last time, and writes what the one behind reads, while nothing
    /// else holds data. What is none, or not sound, is for [`op`](Walk::op) to decide.
    #[inline(never)]
    fn links(&mut self, now: u32, ops: &[Op]) -> usize {
        let model = self.model;
        let arena = model.arena_bytes() as u32;
        let first = self.next.wrapping_sub(1);
        let (Some(chain), [held]) = (self.tensors.get(first..), &mut self.live[..]) else { return 0 };
        let is_first = |first: &Tensor| core::ptr::eq(*held, first) && u32::from(first.last_use) == now;
        if !chain.first().is_some_and(is_first) {
            return 0;
        }
        // By how much the number of a tensor is above that of the op that reads it.
        let above = (first as u32).wrapping_sub(now);
        let mut last = first as u32;
        for (op, tensors) in ops.iter().zip(chain.windows(2)) {
            let ([read, written], Some(&[input, output])) = (tensors, op.pair()) else { break };
            let Some(params) = model.params_from(op) else { break };
            if params.len() < op.params_words as usize
                || u32::from(input) != last
                || u32::from(output) != last + 1
                || u32::from(written.last_use).wrapping_add(above) != last + 1
                || written.kind() != 0
                || written.bytes == 0
                || written.bytes > arena
                || written.offset > arena - written.bytes
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
            *held = written;
            last += 1;
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
            if usize::from(id) != next || tensor.last_use < index {
                return Err(order);
            }
        }
        // Without scratch, a run that starts behind all tensors.
        let scratch = (if op.scratch_bytes == 0 { u32::MAX } else { op.scratch }, op.scratch_bytes);
        for held in &self.live {
            if touch(run(held), scratch) {
                return Err(self.overlap(now, held));
            }
        }
        self.write(now, outputs.len(), scratch)?;
        // What nobody reads any more goes at once: a chain may begin here.
        let mut place = 0;
        while let Some(held) = self.live.get(place) {
            if held.last_use > index {
                place += 1;
            } else if let Some(last) = self.live.pop()
                && let Some(held) = self.live.get_mut(place)
            {
                *held = last;
            }
        }
        Ok(())
    }

    /// Op `now` writes the next tensors, as many as this; -1 are the inputs of the model.
    #[inline(never)]
    fn write(&mut self, now: i32, count: usize, scratch: Run) -> Result<(), Error> {
        let index = now.max(0) as u16;
        for _ in 0..count {
            let number = self.next as u16;
            let order = Error::WriteOrder { op: index, tensor: number };
            let Some(tensor) = self.tensors.get(self.next) else { return Err(order) };
            check_tensor(self.model, tensor, number)?;
            if !tensor.in_arena() {
                return Err(order);
            }
            // What is read now for the last time may be overwritten: how is the operator's matter.
            let damaged = |held: &&Tensor| i32::from(held.last_use) > now && touch(run(held), run(tensor));
            let scratched = touch(run(tensor), scratch);
            if let Some(held) = self.live.iter().copied().find(damaged).or(scratched.then_some(tensor)) {
                return Err(self.overlap(now, held));
            }
            self.live.push(tensor).map_err(|_| Error::TooManyLive { op: index })?;
            self.next += 1;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn overlap(&self, now: i32, damaged: &Tensor) -> Error {
        let start = self.tensors.as_ptr() as usize;
        let index = (core::ptr::from_ref(damaged) as usize).wrapping_sub(start) / size_of::<Tensor>();
        Error::Overlap { op: now.max(0) as u16, tensor: index as u16 }
    }
}

/// First byte and size of a run of bytes in the arena.
type Run = (u32, u32);

/// Whether two runs share a byte. Neither is empty, or it starts behind all others.
#[inline(always)]
fn touch((a, a_bytes): Run, (b, b_bytes): Run) -> bool {
    b.wrapping_sub(a) < a_bytes || a.wrapping_sub(b) < b_bytes
}

#[inline(always)]
fn run(tensor: &Tensor) -> Run {
    (tensor.offset, tensor.bytes)
}
