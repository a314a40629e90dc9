//! Verification of the program: every record in bounds, every byte read after it was written and
//! before it is overwritten.
//!
//! The second part walks the ops once and keeps the list of tensors that hold data. An op's inputs
//! must be in that list; its scratch must not touch any tensor in it, nor must its outputs, except
//! inputs that this op is the last to read. The list is bounded by [`MAX_LIVE`], so time is linear in the
//! number of operands and the stack is that list.

use heapless::Vec;

use crate::{DType, Error, Model, Op, Port, Storage, Tensor};

/// How many tensors may hold data at once. Real networks have fewer than ten.
pub const MAX_LIVE: usize = 64;

/// Largest size of a tensor or an arena: sums of two offsets stay below 2^32.
const MAX_BYTES: u32 = 1 << 30;

type Live = Vec<u16, MAX_LIVE>;

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

/// `slice::contains`, which is unrolled for long slices; these lists have a few entries.
#[allow(clippy::manual_contains)]
fn holds(list: &[u16], id: u16) -> bool {
    list.iter().any(|&entry| entry == id)
}

pub(crate) fn program(model: &Model<'_>) -> Result<(), Error> {
    let counts = [model.ops().len(), model.inputs().len(), model.outputs().len()];
    if counts.iter().any(|&n| n == 0 || n >= 0x8000) || model.tensors().len() > 0xFFFF {
        return Err(Error::Counts);
    }
    if model.arena_bytes() > MAX_BYTES as usize {
        return Err(Error::Counts);
    }
    let rooms = [model.arena_bytes() as u32, model.constants().len() as u32];
    for (index, tensor) in model.tensors().iter().enumerate() {
        check_tensor(&rooms, tensor, index as u16)?;
    }
    let mut live = Live::new();
    for (index, port) in model.inputs().iter().enumerate() {
        let (id, tensor) = check_port(model, port, index as u16)?;
        if !tensor.in_arena() {
            return Err(Error::Port { port: index as u16 });
        }
        write(model, &mut live, 0, id, tensor, &[])?;
    }
    for (index, op) in model.ops().iter().enumerate() {
        check_op(model, op, index as u16, &mut live)?;
    }
    for (index, port) in model.outputs().iter().enumerate() {
        let (id, tensor) = check_port(model, port, 0x8000 | index as u16)?;
        if !holds(&live, id) || usize::from(tensor.last_use) < model.ops().len() {
            return Err(Error::ReadBeforeWrite { op: model.ops().len() as u16, tensor: id });
        }
    }
    Ok(())
}

/// `rooms` are the sizes of the memories, by the number of the storage.
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

/// The tensor behind a port, once its shape is known to be that of the tensor.
fn check_port<'a>(model: &Model<'a>, port: &Port, index: u16) -> Result<(u16, &'a Tensor), Error> {
    let fault = Error::Port { port: index };
    let tensor = model.tensors().get(port.tensor as usize).ok_or(fault)?;
    if port.rank as usize > port.dims.len() {
        return Err(fault);
    }
    let mut bytes = tensor.dtype().map_or(1, DType::size) as u32;
    for &dim in port.shape() {
        bytes = bytes.checked_mul(dim).ok_or(fault)?;
    }
    if bytes != tensor.bytes {
        return Err(fault);
    }
    Ok((port.tensor as u16, tensor))
}

fn check_op(model: &Model<'_>, op: &Op, index: u16, live: &mut Live) -> Result<(), Error> {
    let operands = model.operands(op);
    let fault = Error::OpRange { op: index };
    if operands.len() != usize::from(op.inputs) + usize::from(op.outputs)
        || model.params(op).len() != op.params_words as usize
    {
        return Err(fault);
    }
    let Some((inputs, outputs)) = operands.split_at_checked(op.inputs.into()) else { return Err(fault) };
    live.retain(|&id| model.tensors().get(usize::from(id)).is_some_and(|t| t.last_use >= index));
    for &id in inputs {
        let tensor = model.tensors().get(usize::from(id)).ok_or(fault)?;
        if tensor.in_arena() && !holds(live, id) {
            return Err(Error::ReadBeforeWrite { op: index, tensor: id });
        }
    }
    // Scratch is written while the inputs are read and the outputs written: it touches none.
    let room = model.arena_bytes() as u32;
    if op.scratch & 3 != 0 || op.scratch_bytes > room || op.scratch > room - op.scratch_bytes {
        return Err(fault);
    }
    let scratch = Tensor {
        offset: op.scratch,
        bytes: op.scratch_bytes,
        last_use: index,
        dtype: DType::Int8 as u8,
        storage: Storage::Arena as u8,
    };
    if op.scratch_bytes != 0 {
        untouched(model, live, index, &scratch, &[])?;
    }
    for &id in outputs {
        let tensor = model.tensors().get(usize::from(id)).ok_or(fault)?;
        if !tensor.in_arena() || tensor.last_use < index {
            return Err(Error::Overlap { op: index, tensor: id });
        }
        if op.scratch_bytes != 0 && tensor.overlaps(&scratch) {
            return Err(Error::Overlap { op: index, tensor: id });
        }
        write(model, live, index, id, tensor, inputs)?;
    }
    Ok(())
}

/// Enters a tensor that is written now into the list of those that hold data.
fn write(
    model: &Model<'_>,
    live: &mut Live,
    op: u16,
    id: u16,
    tensor: &Tensor,
    inputs: &[u16],
) -> Result<(), Error> {
    untouched(model, live, op, tensor, inputs)?;
    live.push(id).map_err(|_| Error::TooManyLive { op })
}

/// Refuses a write that touches a tensor in the list, but for those of `inputs` that this op is the
/// last to read: whether its outputs may lie over them is the operator's matter.
fn untouched(model: &Model<'_>, live: &Live, op: u16, written: &Tensor, inputs: &[u16]) -> Result<(), Error> {
    for &id in live {
        if model
            .tensors()
            .get(usize::from(id))
            .is_some_and(|tensor| tensor.overlaps(written) && !(tensor.last_use == op && holds(inputs, id)))
        {
            return Err(Error::Overlap { op, tensor: id });
        }
    }
    Ok(())
}
