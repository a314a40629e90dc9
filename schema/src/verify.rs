//! Verification of the program: every record is in bounds, and every byte is read after it was written and
//! before it is overwritten.
//!
//! Tensors of the arena are numbered in the order in which they are written; constants and state come after
//! them. So a tensor holds data if its number is below that of the next tensor to be written and its last use
//! has not passed. It remains to check that nothing overwrites a tensor while it holds data. For this, the
//! walk looks ahead from each tensor over the ops up to its last use, at the tensors that they write and at
//! their scratch memory. This takes no memory. The number of steps is the sum, over all tensors, of the ops
//! for which a tensor holds data, and [`MAX_STEPS`] bounds it.

use crate::{DType, Error, Model, Op, Port, Storage, Tensor};

/// How many steps the walk may look ahead for all tensors together. A step is an op, or a tensor that it
/// writes. Real networks take fewer than a thousand; five thousand tensors that each hold data for a thousand
/// ops take ten million.
pub const MAX_STEPS: usize = 1 << 24;

/// Largest size of a tensor or an arena: sums of two offsets stay below 2^32.
const MAX_BYTES: u32 = 1 << 30;

/// Size of an element minus one, by the number of its type. A table, because this runs once for every tensor
/// at start.
const SIZE_MASKS: [u8; DType::ALL.len()] = {
    let mut masks = [0; DType::ALL.len()];
    let mut code = 0;
    while code < masks.len() {
        masks[code] = DType::ALL[code].size() as u8 - 1;
        code += 1;
    }
    masks
};

/// The defect of a program. It is small, so that results fit in a register and the code stays small; the
/// position of the walk tells which op it is about.
#[derive(Clone, Copy)]
enum Wrong {
    Counts,
    State,
    TensorType(u16),
    TensorRange(u16),
    Port(u16),
    OpRange,
    ReadBeforeWrite(u16),
    WriteOrder(u16),
    Overlap(u16),
    TooManySteps,
}

impl<'a> Model<'a> {
    /// Reads a file in place. The file must start at a multiple of 16 bytes and outlive the model. Time is
    /// linear in the size of the records and in how long tensors hold data, up to [`MAX_STEPS`]; stack is
    /// bounded, and nothing is allocated.
    #[inline(always)]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Model<'a>, Error> {
        // The model is filled where the caller needs it, because it is too large to be moved without cost.
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
        program::<true>(self)
    }
}

/// Verifies a program. One that stands beside another in its file may be without inputs and outputs: `ALONE` is false.
pub(crate) fn program<const ALONE: bool>(model: &Model<'_>) -> Result<(), Error> {
    let state = model.state_start() as u32;
    let mut walk = Walk { model, tensors: model.tensors(), now: -1, next: 0, steps: MAX_STEPS, state };
    walk.program::<ALONE>().map_err(|wrong| {
        let op = walk.now.max(0) as u16;
        match wrong {
            Wrong::Counts => Error::Counts,
            Wrong::State => Error::State,
            Wrong::TensorType(tensor) => Error::TensorType { tensor },
            Wrong::TensorRange(tensor) => Error::TensorRange { tensor },
            Wrong::Port(port) => Error::Port { port },
            Wrong::OpRange => Error::OpRange { op },
            Wrong::ReadBeforeWrite(tensor) => Error::ReadBeforeWrite { op, tensor },
            Wrong::WriteOrder(tensor) => Error::WriteOrder { op, tensor },
            Wrong::Overlap(tensor) => Error::Overlap { op, tensor },
            Wrong::TooManySteps => Error::TooManySteps { op },
        }
    })
}

/// The position of the walk over the ops.
struct Walk<'m, 'a> {
    model: &'m Model<'a>,
    tensors: &'a [Tensor],
    /// The op that is checked: -1 while the model's inputs are checked, the number of ops after the last one.
    now: i32,
    /// Number of the next tensor to be written.
    next: usize,
    /// Number of steps that remain.
    steps: usize,
    /// End of the last tensor of the state.
    state: u32,
}

impl<'m, 'a> Walk<'m, 'a> {
    #[inline(always)]
    fn program<const ALONE: bool>(&mut self) -> Result<(), Wrong> {
        let model = self.model;
        let (inputs, outputs) = model.borders().ok_or(Wrong::Counts)?;
        // Zero becomes a number with all bits set, so that one comparison checks for zero and for the
        // maximum.
        let bits = |n: usize| n | n.wrapping_sub(1);
        let borders = |n: usize| if ALONE { bits(n) } else { n };
        let bits = bits(model.ops().len()) | borders(inputs.len()) | borders(outputs.len());
        if bits >> 15 != 0 || self.tensors.len() > 0xFFFF || model.arena_bytes() > MAX_BYTES as usize {
            return Err(Wrong::Counts);
        }
        if !model.has_sound_state() {
            return Err(Wrong::State);
        }
        self.write(inputs.len(), (0, 0))?;
        for (index, port) in inputs.iter().enumerate() {
            if port.tensor as usize != index || self.port(port).is_none() {
                return Err(Wrong::Port(index as u16));
            }
        }
        loop {
            self.links();
            self.keep(self.next)?;
            self.now += 1;
            let Some(op) = model.ops().get(self.now as usize) else { break };
            self.op(op)?;
        }
        while let Some(tensor) = self.tensors.get(self.next) {
            let number = self.next as u16;
            self.tensor(tensor, number)?;
            if tensor.in_arena() {
                return Err(Wrong::WriteOrder(number));
            }
            if tensor.is_state() {
                self.state = tensor.end();
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
        // The end of each memory. Tensors of the state follow one another.
        let [end, all] = [self.model.state_start(), self.model.arena_bytes()];
        let ends: [usize; Storage::ALL.len()] = [end, self.model.constants().len(), all];
        let start = if tensor.is_state() { self.state } else { 0 };
        let (Some(&mask), Some(&end)) =
            (SIZE_MASKS.get(usize::from(tensor.dtype)), ends.get(usize::from(tensor.storage)))
        else {
            return Err(Wrong::TensorType(number));
        };
        let mask = u32::from(mask);
        if tensor.bytes & mask != 0 || tensor.bytes == 0 {
            return Err(Wrong::TensorType(number));
        }
        if !fits(run(tensor), end as u32) || tensor.offset < start || tensor.offset & mask != 0 {
            return Err(Wrong::TensorRange(number));
        }
        Ok(())
    }

    /// The tensor of a port, if it exists and has the port's shape.
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

    /// Checks as many of the next ops as are valid links of a chain, the common case: each reads, for the
    /// last time, what the one before has written, and writes what the next one reads, and both are int8.
    /// [`keep`](Walk::keep) has already checked that these ops do not overwrite other tensors that hold data.
    /// The first op that is not a link, or not a valid one, is left to [`op`](Walk::op).
    #[inline(never)]
    fn links(&mut self) {
        let first = self.next.wrapping_sub(1);
        let now = self.now.wrapping_add(1);
        let (Some(chain), Some(ops)) = (self.tensors.get(first..), self.model.ops().get(now as usize..))
        else {
            return;
        };
        if chain.first().is_none_or(|first| first.use_and_kind() as i32 != now) {
            return;
        }
        // Both operands as one number, as in the record: the tensor with this number, and the next one.
        let mut operands = (first as u32).wrapping_mul(0x1_0001).wrapping_add(0x1_0000);
        for (op, tensors) in ops.iter().zip(chain.windows(2)) {
            let Some(tensors) = tensors.first_chunk() else { break };
            if op.operands != operands || !is_link(self.model, op, tensors) {
                break;
            }
            operands = operands.wrapping_add(0x1_0001);
        }
        let links = ((operands >> 16) as usize).wrapping_sub(self.next);
        self.next += links;
        self.now += links as i32;
    }

    /// Checks any op: operands, parameters and scratch memory exist, what it reads holds data, what it writes
    /// is numbered in order, and nothing is overwritten before it is read for the last time.
    #[inline(never)]
    fn op(&mut self, op: &Op) -> Result<(), Wrong> {
        let model = self.model;
        let (inputs, outputs) =
            model.operands(op).split_at_checked(op.inputs.into()).ok_or(Wrong::OpRange)?;
        let scratch = (op.scratch, op.scratch_bytes);
        let outside = op.scratch & 3 != 0 || !fits(scratch, model.state_start() as u32);
        if model.params_checked(op).is_none() || outside {
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
        self.write(outputs.len(), scratch)
    }

    /// Checks the next `count` tensors, which an op with this scratch memory writes. For the last of them,
    /// [`keep`](Walk::keep) must still be called.
    #[inline(never)]
    fn write(&mut self, count: usize, scratch: Run) -> Result<(), Wrong> {
        let behind = self.next + count;
        while self.next < behind {
            let number = self.next as u16;
            let tensor = self.tensors.get(self.next).ok_or(Wrong::WriteOrder(number))?;
            self.tensor(tensor, number)?;
            if !tensor.in_arena() || i32::from(tensor.last_use) < self.now {
                return Err(Wrong::WriteOrder(number));
            }
            if scratch.1 != 0 && touch(run(tensor), scratch) {
                return Err(Wrong::Overlap(number));
            }
            self.next += 1;
            // The last one is skipped, because it may begin a chain.
            if self.next < behind {
                self.keep(behind)?;
            }
        }
        Ok(())
    }

    /// Checks that nothing overwrites the tensor that was numbered last, and that the op `now` writes, up to
    /// its last use: neither the tensors that are written after it (those up to number `behind` by the same
    /// op), nor scratch memory. The last op that reads it may write over it; how far is checked by the
    /// operator.
    #[inline(never)]
    fn keep(&mut self, mut behind: usize) -> Result<(), Wrong> {
        let (start, number) = (self.now, self.next.wrapping_sub(1));
        let Some(&tensor) = self.tensors.get(number) else { return Ok(()) };
        let mut next = self.next;
        while self.now < i32::from(tensor.last_use) {
            // A tensor that does not exist is found when its op is checked.
            while next < behind {
                let Some(other) = self.tensors.get(next) else { break };
                if touch(run(other), run(&tensor)) {
                    return Err(Wrong::Overlap(number as u16));
                }
                next += 1;
            }
            let Some(op) = self.model.ops().get((self.now + 1) as usize) else { break };
            self.now += 1;
            if op.scratch_bytes != 0 && touch((op.scratch, op.scratch_bytes), run(&tensor)) {
                return Err(Wrong::Overlap(number as u16));
            }
            behind += usize::from(op.outputs);
        }
        let steps = (self.now - start) as usize + (behind - self.next);
        self.now = start;
        self.steps = self.steps.checked_sub(steps).ok_or(Wrong::TooManySteps)?;
        Ok(())
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

/// Whether an op with one input and one output, which are these tensors, is a valid link of a chain, provided
/// that its input is valid. Not inlined, because the loop around it would run out of registers.
#[inline(never)]
fn is_link(model: &Model<'_>, op: &Op, [read, written]: &[Tensor; 2]) -> bool {
    let arena = model.state_start() as u32;
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
    // Scratch memory mostly lies after both.
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
