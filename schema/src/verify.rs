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
    let rooms = [arena, model.constants().len() as u32];
    for (index, tensor) in tensors.iter().enumerate() {
        check_tensor(&rooms, tensor, index as u16)?;
    }
    let mut walk = Walk { tensors, next: 0, live: Vec::new() };
    for (index, port) in model.inputs().iter().enumerate() {
        walk.enter_input(port, index)?;
    }
    for (index, op) in ops.iter().enumerate() {
        walk.op(model, arena, op, index as u16)?;
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

/// First byte and size of a run of bytes in the arena.
type Run = (u32, u32);

/// A run that touches no tensor.
const NO_SCRATCH: Run = (u32::MAX, 0);

/// Whether two runs share a byte. Neither is empty, or it starts behind all others.
#[inline(always)]
fn touch((a, a_bytes): Run, (b, b_bytes): Run) -> bool {
    b.wrapping_sub(a) < a_bytes || a.wrapping_sub(b) < b_bytes
}

#[inline(always)]
fn run(tensor: &Tensor) -> Run {
    (tensor.offset, tensor.bytes)
}

/// Where the walk stands.
struct Walk<'a> {
    tensors: &'a [Tensor],
    /// Number of the next tensor that is written.
    next: usize,
    /// Tensors that hold data. Where a last use is past, the place is free.
    live: Vec<&'a Tensor, MAX_LIVE>,
}

impl<'a> Walk<'a> {
    /// An input of the model holds data from the start: it touches no other.
    fn enter_input(&mut self, port: &Port, index: usize) -> Result<(), Error> {
        let tensor = check_port(self.tensors, port, index as u16)?;
        if port.tensor as usize != index || !tensor.in_arena() {
            return Err(Error::Port { port: index as u16 });
        }
        if let Some(held) = self.live.iter().find(|held| touch(run(held), run(tensor))) {
            return Err(self.overlap(0, held));
        }
        self.next = index + 1;
        self.live.push(tensor).map_err(|_| Error::TooManyLive { op: 0 })
    }

    #[inline(always)]
    fn op(&mut self, model: &Model<'a>, arena: u32, op: &Op, index: u16) -> Result<(), Error> {
        let fault = Error::OpRange { op: index };
        let Some(operands) = model.operands_from(op) else { return Err(fault) };
        let Some((inputs, rest)) = operands.split_at_checked(op.inputs.into()) else { return Err(fault) };
        let Some(outputs @ [_, ..]) = rest.get(..op.outputs.into()) else { return Err(fault) };
        let Some(params) = model.params_from(op) else { return Err(fault) };
        if params.len() < op.params_words as usize {
            return Err(fault);
        }
        for &id in inputs {
            let unwritten = Error::ReadBeforeWrite { op: index, tensor: id };
            let Some(tensor) = self.tensors.get(usize::from(id)) else { return Err(unwritten) };
            if tensor.last_use < index || (usize::from(id) >= self.next && tensor.in_arena()) {
                return Err(unwritten);
            }
        }
        if op.scratch & 3 != 0 || op.scratch_bytes > arena || op.scratch > arena - op.scratch_bytes {
            return Err(fault);
        }
        let scratch = if op.scratch_bytes == 0 { NO_SCRATCH } else { (op.scratch, op.scratch_bytes) };
        for &id in outputs {
            let order = Error::WriteOrder { op: index, tensor: id };
            if usize::from(id) != self.next {
                return Err(order);
            }
            let Some(tensor) = self.tensors.get(self.next) else { return Err(order) };
            if tensor.last_use < index || !tensor.in_arena() {
                return Err(order);
            }
            self.write(tensor, index, scratch)?;
        }
        Ok(())
    }

    /// Enters a tensor that op `now` writes into the list of those that hold data.
    #[inline(always)]
    fn write(&mut self, tensor: &'a Tensor, now: u16, scratch: Run) -> Result<(), Error> {
        let mut free = None;
        let mut damaged = touch(run(tensor), scratch).then_some(tensor);
        for place in &mut self.live {
            let held = *place;
            if held.last_use < now {
                free = Some(place);
            } else if touch(run(held), scratch) || (held.last_use > now && touch(run(held), run(tensor))) {
                // What is read now for the last time may be overwritten: how is the operator's matter.
                damaged = Some(held);
                break;
            }
        }
        if let Some(damaged) = damaged {
            return Err(self.overlap(now, damaged));
        }
        match free {
            Some(place) => *place = tensor,
            None => self.live.push(tensor).map_err(|_| Error::TooManyLive { op: now })?,
        }
        self.next += 1;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn overlap(&self, op: u16, damaged: &Tensor) -> Error {
        let index = self.tensors.iter().position(|tensor| core::ptr::eq(tensor, damaged));
        Error::Overlap { op, tensor: index.unwrap_or(0) as u16 }
    }
}

/// `rooms` are the sizes of the memories, by the number of the storage.
#[inline(always)]
fn check_tensor(rooms: &[u32; Storage::ALL.len()], tensor: &Tensor, index: u16) -> Result<(), Error> {
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
