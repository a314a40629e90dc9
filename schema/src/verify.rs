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

/// What is wrong with a program. It is small, so that the walk is: results fit a register, and which op it
/// is about is where the walk stands.
#[derive(Clone, Copy)]
enum Wrong {
    Counts,
    TensorType(u16),
    TensorRange(u16),
    Port(u16),
    OpRange,
    ReadBeforeWrite(u16),
    WriteOrder(u16),
    Overlap(u16),
    TooManyLive,
}

impl<'a> Model<'a> {
    /// Reads a file in place, which must start at a multiple of 16 bytes and outlive the model.
    /// Time is linear in the size of the records, stack is bounded, nothing is allocated.
    #[inline(always)]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Model<'a>, Error> {
        // Filled where the caller has it: a model is too large to be moved for nothing.
        let mut model = Model::unread(bytes);
        match model.read_verified() {
            Ok(()) => Ok(model),
            Err(error) => Err(error),
        }
    }

    /// Finds the parts of the file, and verifies them.
    #[inline(never)]
    fn read_verified(&mut self) -> Result<(), Error> {
        self.read()?;
        program(self)
    }
}

fn program(model: &Model<'_>) -> Result<(), Error> {
    let mut walk = Walk { model, tensors: model.tensors(), now: -1, next: 0, live: Vec::new() };
    walk.program().map_err(|wrong| {
        let op = walk.now.max(0) as u16;
        match wrong {
            Wrong::Counts => Error::Counts,
            Wrong::TensorType(tensor) => Error::TensorType { tensor },
            Wrong::TensorRange(tensor) => Error::TensorRange { tensor },
            Wrong::Port(port) => Error::Port { port },
            Wrong::OpRange => Error::OpRange { op },
            Wrong::ReadBeforeWrite(tensor) => Error::ReadBeforeWrite { op, tensor },
            Wrong::WriteOrder(tensor) => Error::WriteOrder { op, tensor },
            Wrong::Overlap(tensor) => Error::Overlap { op, tensor },
            Wrong::TooManyLive => Error::TooManyLive { op },
        }
    })
}

/// Where the walk over the ops stands.
struct Walk<'m, 'a> {
    model: &'m Model<'a>,
    tensors: &'a [Tensor],
    /// The op that is checked; -1 while the model's inputs are, the number of ops behind the last one.
    now: i32,
    /// Number of the next tensor that is written.
    next: usize,
    /// Tensors that hold data.
    live: Vec<&'a Tensor, MAX_LIVE>,
}

impl<'m, 'a> Walk<'m, 'a> {
    #[inline(always)]
    fn program(&mut self) -> Result<(), Wrong> {
        let model = self.model;
        let (mut ops, inputs, outputs) = (model.ops(), model.inputs(), model.outputs());
        // Zero becomes a number with all bits.
        let bits = |n: usize| n | n.wrapping_sub(1);
        let bits = bits(ops.len()) | bits(inputs.len()) | bits(outputs.len());
        if bits >> 15 != 0 || self.tensors.len() > 0xFFFF || model.arena_bytes() > MAX_BYTES as usize {
            return Err(Wrong::Counts);
        }
        self.write(inputs.len())?;
        for (index, port) in inputs.iter().enumerate() {
            if port.tensor as usize != index || self.port(port).is_none() {
                return Err(Wrong::Port(index as u16));
            }
        }
        loop {
            ops = self.links(ops);
            self.now += 1;
            let Some((op, behind)) = ops.split_first() else { break };
            self.op(op)?;
            ops = behind;
        }
        while let Some(tensor) = self.tensors.get(self.next) {
            let number = self.next as u16;
            self.tensor(tensor, number)?;
            if tensor.in_arena() {
                return Err(Wrong::WriteOrder(number));
            }
            self.next += 1;
        }
        for (index, port) in outputs.iter().enumerate() {
            let tensor = self.port(port).ok_or(Wrong::Port(0x8000 | index as u16))?;
            if !tensor.in_arena() || i32::from(tensor.last_use) < self.now {
                return Err(Wrong::ReadBeforeWrite(port.tensor as u16));
            }
        }
        Ok(())
    }

    /// Checks that a tensor lies in its memory, aligned for its type.
    #[inline(never)]
    fn tensor(&self, tensor: &Tensor, number: u16) -> Result<(), Wrong> {
        let rooms: [usize; Storage::ALL.len()] = [self.model.arena_bytes(), self.model.constants().len()];
        let (Some(&mask), Some(&room)) =
            (SIZE_MASKS.get(usize::from(tensor.dtype)), rooms.get(usize::from(tensor.storage)))
        else {
            return Err(Wrong::TensorType(number));
        };
        let (mask, room) = (u32::from(mask), room as u32);
        if tensor.bytes & mask != 0 || tensor.bytes == 0 {
            return Err(Wrong::TensorType(number));
        }
        if !fits(run(tensor), room) || tensor.offset & mask != 0 {
            return Err(Wrong::TensorRange(number));
        }
        Ok(())
    }

    /// The tensor behind a port, if there is one and the port's shape is that of the tensor.
    #[inline(never)]
    fn port(&self, port: &Port) -> Option<&'a Tensor> {
        let tensor = self.tensors.get(port.tensor as usize)?;
        let dims = port.dims.get(..port.rank as usize)?;
        let mut bytes = SIZE_MASKS.get(usize::from(tensor.dtype)).map_or(0, |&mask| u32::from(mask) + 1);
        for &dim in dims {
            bytes = bytes.checked_mul(dim)?;
        }
        (bytes == tensor.bytes).then_some(tensor)
    }

    /// Checks as many of the ops as are sound links of a chain, the common case: each reads what the one
    /// before has written, for the last time, and writes what the one behind reads, all of int8, while nothing else
    /// holds data. What is none, or not sound, is returned for [`op`](Walk::op) to decide.
    #[inline(never)]
    fn links<'o>(&mut self, ops: &'o [Op]) -> &'o [Op] {
        let first = self.next.wrapping_sub(1);
        let (Some(chain), [held]) = (self.tensors.get(first..), &mut self.live[..]) else { return ops };
        let is_first = |first: &Tensor| {
            core::ptr::eq(*held, first) && first.use_and_kind() as i32 == self.now.wrapping_add(1)
        };
        if !chain.first().is_some_and(is_first) {
            return ops;
        }
        // Both operands as one number, as the record has them: the tensor of this number, and the next one.
        let mut operands = (first as u32).wrapping_mul(0x1_0001).wrapping_add(0x1_0000);
        for (op, tensors) in ops.iter().zip(chain.windows(2)) {
            let Some(tensors) = tensors.first_chunk() else { break };
            if op.operands != operands || !is_link(self.model, op, tensors) {
                break;
            }
            operands = operands.wrapping_add(0x1_0001);
        }
        let links = ((operands >> 16) as usize).wrapping_sub(self.next);
        if let Some(last) = chain.get(links) {
            *held = last;
        }
        self.next += links;
        self.now += links as i32;
        ops.get(links..).unwrap_or_default()
    }

    /// Checks any op: operands, parameters and scratch exist, what is read holds data, what is written is
    /// numbered in order, and nothing is overwritten before it is read for the last time.
    #[inline(never)]
    fn op(&mut self, op: &Op) -> Result<(), Wrong> {
        let model = self.model;
        let (inputs, outputs) =
            model.operands(op).split_at_checked(op.inputs.into()).ok_or(Wrong::OpRange)?;
        let scratch = (op.scratch, op.scratch_bytes);
        let outside = op.scratch & 3 != 0 || !fits(scratch, model.arena_bytes() as u32);
        if outputs.is_empty() || model.params_checked(op).is_none() || outside {
            return Err(Wrong::OpRange);
        }
        for &id in inputs {
            let holds = |tensor: &&Tensor| {
                i32::from(tensor.last_use) >= self.now && (usize::from(id) < self.next || !tensor.in_arena())
            };
            if self.tensors.get(usize::from(id)).filter(holds).is_none() {
                return Err(Wrong::ReadBeforeWrite(id));
            }
        }
        for (&id, next) in outputs.iter().zip(self.next..) {
            if usize::from(id) != next {
                return Err(Wrong::WriteOrder(id));
            }
        }
        self.write(outputs.len())?;
        // Nothing that is read or written may lie in the scratch memory.
        let mut place = 0;
        while let Some(&held) = self.live.get(place) {
            if op.scratch_bytes != 0 && touch(run(held), scratch) {
                return Err(self.overlap(held));
            }
            place += 1;
            // What nobody reads any more goes at once: a chain may begin here.
            if i32::from(held.last_use) <= self.now {
                place -= 1;
                if let Some(last) = self.live.pop()
                    && let Some(held) = self.live.get_mut(place)
                {
                    *held = last;
                }
            }
        }
        Ok(())
    }

    /// The next tensors are written, as many as this.
    #[inline(never)]
    fn write(&mut self, count: usize) -> Result<(), Wrong> {
        for _ in 0..count {
            let number = self.next as u16;
            let tensor = self.tensors.get(self.next).ok_or(Wrong::WriteOrder(number))?;
            self.tensor(tensor, number)?;
            if !tensor.in_arena() || i32::from(tensor.last_use) < self.now {
                return Err(Wrong::WriteOrder(number));
            }
            for &held in &self.live {
                // What is read now for the last time may be overwritten: how is the operator's matter.
                if i32::from(held.last_use) > self.now && touch(run(held), run(tensor)) {
                    return Err(self.overlap(held));
                }
            }
            self.live.push(tensor).map_err(|_| Wrong::TooManyLive)?;
            self.next += 1;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn overlap(&self, damaged: &Tensor) -> Wrong {
        let start = self.tensors.as_ptr() as usize;
        let index = (core::ptr::from_ref(damaged) as usize).wrapping_sub(start) / size_of::<Tensor>();
        Wrong::Overlap(index as u16)
    }
}

/// First byte and size of a run of bytes in the arena.
type Run = (u32, u32);

/// Whether a run lies within the arena.
#[inline(always)]
fn fits((start, bytes): Run, arena: u32) -> bool {
    arena.checked_sub(bytes).is_some_and(|room| start <= room)
}

/// Whether two runs share a byte. Neither is empty.
#[inline(always)]
fn touch((a, a_bytes): Run, (b, b_bytes): Run) -> bool {
    b.wrapping_sub(a) < a_bytes || a.wrapping_sub(b) < b_bytes
}

/// Whether an op with one input and one output, which are these tensors, is a sound link of a chain, if what it
/// reads is sound. Not in line: the loop around it would run out of registers.
#[inline(never)]
fn is_link(model: &Model<'_>, op: &Op, [read, written]: &[Tensor; 2]) -> bool {
    let arena = model.arena_bytes() as u32;
    if op.pair().is_none()
        || written.use_and_kind() != read.use_and_kind() + 1
        || written.bytes == 0
        || !fits(run(written), arena)
        || model.params_checked(op).is_none()
    {
        return false;
    }
    let scratch = (op.scratch, op.scratch_bytes);
    if op.scratch_bytes == 0 {
        return true;
    }
    if op.scratch & 3 != 0 || !fits(scratch, arena) {
        return false;
    }
    // Most lies behind both.
    if read.end() <= op.scratch && written.end() <= op.scratch {
        return true;
    }
    !touch(run(read), scratch) && !touch(run(written), scratch)
}

#[inline(always)]
fn run(tensor: &Tensor) -> Run {
    (tensor.offset, tensor.bytes)
}

#[cfg(test)]
mod tests;
