//! What an operator sees of the model: its operands, parameters, constants and scratch memory.
//!
//! [`Node`] serves `check`, before any memory is there; [`Eval`] adds the arena. Both hand out only
//! what is in bounds. Where a file asks for more, `check` gets an error and `eval` an empty slice,
//! which a checked op never meets.

use core::cell::Cell;

use bytemuck::Pod;
use ferrolite_schema::params::{Multiplier, OutputStage};
use ferrolite_schema::{DType, FILE_ALIGNMENT, MAX_MEMORIES, Model, Op, Packing, Rounding, Tensor};

use crate::error::Fault;
use crate::kernels::Stage;
use crate::packing::{Matrix, Shape};
use crate::tensor::{Element, TensorView, cells_of};
use crate::winograd::Filters;

/// One op of a verified model.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    model: &'a Model<'a>,
    op: &'a Op,
    /// Input and output of an op that has one of each, as most have.
    pair: Option<(&'a Tensor, &'a Tensor)>,
}

impl core::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node").field("op", self.op).finish_non_exhaustive()
    }
}

impl<'a> Node<'a> {
    /// The op `op` of `model`.
    #[inline(always)]
    pub fn new(model: &'a Model<'a>, op: &'a Op) -> Node<'a> {
        let tensors = model.tensors();
        let both = |&[input, output]: &[u16; 2]| match tensors.get(usize::from(input)) {
            Some(input) => Some((input, tensors.get(usize::from(output))?)),
            None => None,
        };
        Node { model, op, pair: op.pair().and_then(both) }
    }

    /// The model.
    pub(crate) fn model(&self) -> &'a Model<'a> {
        self.model
    }

    /// The number of the op.
    pub(crate) fn index(&self) -> usize {
        let distance =
            (core::ptr::from_ref(self.op) as usize).wrapping_sub(self.model.ops().as_ptr() as usize);
        distance / size_of::<Op>()
    }

    /// The record in the file.
    pub fn op(&self) -> &'a Op {
        self.op
    }

    /// How the model scales accumulators down.
    pub fn rounding(&self) -> Rounding {
        self.model.rounding()
    }

    /// The parameter words.
    pub fn words(&self) -> &'a [u32] {
        self.model.params(self.op)
    }

    /// The parameter words as one `P`.
    #[inline(always)]
    pub fn params<P: Pod>(&self) -> Result<&'a P, Fault> {
        let words = size_of::<P>() / size_of::<u32>();
        if self.op.params_words as usize != words {
            return Err(Fault::Parameters);
        }
        let bytes = bytemuck::cast_slice(self.model.params(self.op));
        bytemuck::try_from_bytes(bytes).map_err(|_| Fault::Parameters)
    }

    /// The parameter words as one `P`, of an op of which [`params`](Node::params) has checked their number.
    #[inline(always)]
    pub fn checked_params<P: Pod>(&self) -> Option<&'a P> {
        let words = self.model.params_from(self.op)?.get(..size_of::<P>() / size_of::<u32>())?;
        bytemuck::try_from_bytes(bytemuck::cast_slice(words)).ok()
    }

    /// The parameter words as any number of `P`s.
    pub fn params_list<P: Pod>(&self) -> Result<&'a [P], Fault> {
        bytemuck::try_cast_slice(self.model.params(self.op)).map_err(|_| Fault::Parameters)
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.op.inputs.into()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.op.outputs.into()
    }

    /// Tensor indices of the inputs and of the outputs.
    pub fn operands(&self) -> Option<(&'a [u16], &'a [u16])> {
        self.model.operands(self.op).split_at_checked(self.inputs())
    }

    /// Tensor indices of an op that has not one input and one output.
    pub(crate) fn listed_operands(&self) -> &'a [u16] {
        self.model.listed_operands(self.op)
    }

    /// The tensor with this index.
    pub fn tensor(&self, id: u16) -> Option<&'a Tensor> {
        self.model.tensors().get(usize::from(id))
    }

    /// The tensor at this place of the op's own operands, from the file's list of them: an op that has not one input and
    /// one output has them there.
    #[inline(always)]
    fn listed(&self, place: usize) -> Option<&'a Tensor> {
        self.tensor(*self.model.listed_operand(self.op, place)?)
    }

    /// The input tensor at `position`.
    pub fn input(&self, position: usize) -> Result<&'a Tensor, Fault> {
        let found = match self.pair {
            Some((input, _)) if position == 0 => Some(input),
            None if position < self.inputs() => self.listed(position),
            _ => None,
        };
        found.ok_or(Fault::Operands)
    }

    /// The output tensor at `position`.
    pub fn output(&self, position: usize) -> Result<&'a Tensor, Fault> {
        let found = match self.pair {
            Some((_, output)) if position == 0 => Some(output),
            None if position < self.outputs() => self.listed(self.inputs() + position),
            _ => None,
        };
        found.ok_or(Fault::Operands)
    }

    /// Both inputs and the output of an op that has two and one.
    #[inline(always)]
    pub(crate) fn two_to_one(&self) -> Result<[&'a Tensor; 3], Fault> {
        self.expect_operands(2, 1)?;
        match (self.listed(0), self.listed(1), self.listed(2)) {
            (Some(a), Some(b), Some(out)) => Ok([a, b, out]),
            _ => Err(Fault::Operands),
        }
    }

    /// Input and output of an op that has one of each.
    pub(crate) fn pair(&self) -> Option<(&'a Tensor, &'a Tensor)> {
        self.pair
    }

    /// Checks that there are this many operands.
    pub fn expect_operands(&self, inputs: usize, outputs: usize) -> Result<(), Fault> {
        if self.inputs() == inputs && self.outputs() == outputs { Ok(()) } else { Err(Fault::Operands) }
    }

    /// Checks that an operand lies in the arena, has this type and this many elements.
    pub fn expect_tensor(&self, tensor: &Tensor, dtype: DType, elements: u32) -> Result<(), Fault> {
        if !tensor.in_arena() || tensor.dtype != dtype as u8 {
            return Err(Fault::Operands);
        }
        if elements.checked_mul(dtype.size() as u32) == Some(tensor.bytes) {
            Ok(())
        } else {
            Err(Fault::Sizes)
        }
    }

    /// Checks that the input at `position` is state, which the op may write as well as read, of this many bytes.
    pub fn expect_state(&self, position: usize, bytes: u32) -> Result<(), Fault> {
        let tensor = self.input(position)?;
        if !tensor.is_state() {
            return Err(Fault::Operands);
        }
        if tensor.bytes == bytes { Ok(()) } else { Err(Fault::Sizes) }
    }

    /// Checks the common form: one int8 input and one int8 output, both in the arena.
    #[inline]
    pub fn expect_int8(&self, input_elements: u32, output_elements: u32) -> Result<(), Fault> {
        self.expect_int8_inline(input_elements, output_elements)
    }

    #[inline(always)]
    pub(crate) fn expect_int8_inline(&self, input_elements: u32, output_elements: u32) -> Result<(), Fault> {
        let Some((input, output)) = self.pair else { return Err(Fault::Operands) };
        if input.kind() | output.kind() != 0 {
            return Err(Fault::Operands);
        }
        if input.bytes == input_elements && output.bytes == output_elements {
            Ok(())
        } else {
            Err(Fault::Sizes)
        }
    }

    /// Checks that there is this much scratch memory.
    pub fn expect_scratch(&self, bytes: u32) -> Result<(), Fault> {
        if self.op.scratch_bytes >= bytes { Ok(()) } else { Err(Fault::Scratch) }
    }

    /// `count` constants of type `T` from byte `offset` on.
    #[inline(always)]
    pub fn constants<T: Pod>(&self, offset: u32, count: u32) -> Result<&'a [T], Fault> {
        self.constants_from(offset)?.get(..count as usize).ok_or(Fault::Constants)
    }

    /// Checks that there is what [`constants`](Node::constants) gives. Constants start at a multiple of 16, as the
    /// model's verification has found.
    #[inline(always)]
    pub fn expect_constants<T: Pod>(&self, offset: u32, count: u32) -> Result<(), Fault> {
        const { assert!(align_of::<T>() <= FILE_ALIGNMENT) };
        let there = self.model.constants().len() as u32;
        let aligned = offset.is_multiple_of(align_of::<T>() as u32);
        if aligned && offset <= there && count <= (there - offset) / size_of::<T>() as u32 {
            Ok(())
        } else {
            Err(Fault::Constants)
        }
    }

    /// Checks that an operand of elements `T` is there, if it lies among the constants.
    pub fn expect_known<T: Pod>(&self, tensor: &Tensor) -> Result<(), Fault> {
        if !tensor.is_constant() {
            return Ok(());
        }
        self.expect_constants::<T>(tensor.offset, tensor.bytes / size_of::<T>() as u32)
    }

    /// Plain weights of `count` int8 elements; `packing` is the tag that the parameters give.
    pub fn weights(&self, packing: u32, offset: u32, count: u32) -> Result<&'a [i8], Fault> {
        if packing == Packing::PLAIN.tag() { self.constants(offset, count) } else { Err(Fault::Packing) }
    }

    /// All constants of type `T` from byte `offset` on.
    #[inline(always)]
    pub fn constants_from<T: Pod>(&self, offset: u32) -> Result<&'a [T], Fault> {
        let rest = self.model.constants().get(offset as usize..).ok_or(Fault::Constants)?;
        // In whole elements, so that no product overflows.
        let whole = rest.get(..rest.len() / size_of::<T>() * size_of::<T>()).unwrap_or_default();
        bytemuck::try_cast_slice(whole).map_err(|_| Fault::Constants)
    }

    /// Packed weights, which start at a multiple of 4, of an op whose size of weights
    /// [`expect_matrix`](Node::expect_matrix) has checked: what follows them in the file is seen, too.
    #[inline(always)]
    pub fn checked_matrix(&self, shape: Shape, offset: u32) -> Result<Matrix<'a>, Fault> {
        let words = self.constants_from::<u32>(offset)?;
        Ok(Matrix { shape, bytes: bytemuck::cast_slice(words) })
    }

    /// Checks that there are packed weights of this size in whole words, which start at a multiple of 4.
    #[inline(always)]
    pub fn expect_matrix(&self, bytes: u32, offset: u32) -> Result<(), Fault> {
        let there = self.model.constants().len() as u32;
        // Of what is there, whole words count: so nothing has to be rounded up, which could overflow.
        if offset & 3 == 0 && offset <= there && bytes <= (there - offset) & !3 {
            Ok(())
        } else {
            Err(Fault::Constants)
        }
    }

    /// Transformed filters, which start at a multiple of 4.
    pub fn filters(&self, outputs: u32, inputs: u32, offset: u32) -> Result<Filters<'a>, Fault> {
        let count = Filters::words(outputs, inputs).ok_or(Fault::Parameters)?;
        Ok(Filters { outputs, inputs, words: self.constants(offset, count)?, general: false })
    }

    /// The output stage for `channels` channels. [`expect_stage`](Node::expect_stage) checks its numbers.
    #[inline(always)]
    pub fn stage(&self, stage: &OutputStage, channels: u32) -> Result<Stage<'a>, Fault> {
        Ok(Stage {
            bias: self.constants(stage.bias, channels)?,
            multipliers: self.constants(stage.multipliers, stage.multiplier_count)?,
            rounding: self.rounding(),
            zero_point: stage.zero_point,
            min: stage.min,
            max: stage.max,
        })
    }

    /// Checks that there is what [`stage`](Node::stage) gives, and its ranges. The multipliers of single
    /// channels are numbers like the weights: scaling is defined for any of them.
    #[inline(never)]
    pub fn expect_stage(&self, stage: &OutputStage, channels: u32) -> Result<(), Fault> {
        self.expect_constants::<i32>(stage.bias, channels)?;
        self.expect_constants::<Multiplier>(stage.multipliers, stage.multiplier_count)?;
        if stage.multiplier_count != 1 && stage.multiplier_count != channels {
            return Err(Fault::Parameters);
        }
        check_clamp(stage.min, stage.max)
    }
}

/// Checks that a clamp is one of int8 values.
pub fn check_clamp(min: i32, max: i32) -> Result<(), Fault> {
    let (min, max) = (min.wrapping_add(128) as u32, max.wrapping_add(128) as u32);
    if min <= max && max <= 255 { Ok(()) } else { Err(Fault::Parameters) }
}

/// Checks that a number, such as a zero point, is an int8 value.
pub fn check_int8(number: i32) -> Result<(), Fault> {
    if number.wrapping_add(128) as u32 <= 255 { Ok(()) } else { Err(Fault::Parameters) }
}

/// Checks the range of a multiplier, so that no shift overflows.
pub fn check_multiplier(multiplier: &Multiplier) -> Result<(), Fault> {
    if multiplier.mantissa >= 0 && multiplier.shift >= -31 && multiplier.shift <= 30 {
        Ok(())
    } else {
        Err(Fault::Parameters)
    }
}

/// Elements of an input and of an output.
type Pair<'a, T> = (&'a [Cell<T>], &'a [Cell<T>]);

/// What a convolution with packed weights works on.
pub(crate) struct Layer<'a> {
    pub input: &'a [Cell<i8>],
    pub out: &'a [Cell<i8>],
    pub scratch: &'a [Cell<u8>],
    /// The weights and what follows them in the file.
    pub weights: &'a [u8],
    pub stage: Stage<'a>,
}

/// Bytes of the arena, as ops see them.
pub(crate) type Cells<'a> = &'a [Cell<u8>];

/// Bytes of an input and of an output.
pub(crate) type PairOfBytes<'a> = Pair<'a, u8>;

/// What finds bytes of an arena that goes on in other memories, from an address on; linked only with `Memories`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Look {
    pub cells: for<'s> fn(&'s Shared<'s>, u32, u32) -> Option<Cells<'s>>,
    pub pair: for<'s> fn(&'s Shared<'s>, Cells<'s>, [&Tensor; 2]) -> Option<PairOfBytes<'s>>,
}

/// The memories of an arena while ops run: nobody else has them meanwhile. `Memories` begins with the same fields.
#[repr(C)]
pub(crate) struct Shared<'a> {
    pub look: Look,
    pub sizes: [usize; MAX_MEMORIES],
    pub all: [Cells<'a>; MAX_MEMORIES],
}

/// Where ops find the arena.
pub(crate) struct Place<'a> {
    /// The arena, or the first of its memories.
    pub first: Cells<'a>,
    /// Where it goes on, if it is divided among memories.
    pub further: Option<&'a Shared<'a>>,
    /// How many of the next ops are not to run.
    pub skipped: Cell<u16>,
}

/// One op with the memory that it works on.
pub struct Eval<'a> {
    node: Node<'a>,
    place: &'a Place<'a>,
}

impl core::fmt::Debug for Eval<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Eval").field("node", &self.node).finish_non_exhaustive()
    }
}

impl<'a> Eval<'a> {
    pub(crate) fn new(node: Node<'a>, place: &'a Place<'a>) -> Eval<'a> {
        Eval { node, place }
    }

    /// Leaves out so many of the next ops.
    pub(crate) fn skip(&self, count: u16) {
        self.place.skipped.set(count);
    }

    /// The op without its memory.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }

    fn bytes(&self, offset: u32, len: u32) -> &'a [Cell<u8>] {
        match self.near(offset, len) {
            Some(bytes) => bytes,
            None => self.beyond(offset, len).unwrap_or(&[]),
        }
    }

    /// Bytes of the first memory, where nearly everything lies.
    #[inline(always)]
    fn near(&self, offset: u32, len: u32) -> Option<&'a [Cell<u8>]> {
        self.place.first.get(offset as usize..)?.get(..len as usize)
    }

    /// Bytes that the first memory does not have.
    #[cold]
    #[inline(never)]
    fn beyond(&self, offset: u32, len: u32) -> Option<&'a [Cell<u8>]> {
        (self.place.further?.look.cells)(self.place.further?, offset, len)
    }

    fn cells<T: Element>(&self, tensor: Result<&Tensor, Fault>) -> &'a [Cell<T>] {
        match tensor {
            Ok(tensor) if !tensor.is_constant() => {
                cells_of(self.bytes(tensor.offset, tensor.bytes)).unwrap_or(&[])
            }
            _ => &[],
        }
    }

    /// Input and output of an op that has one of each, in the arena, as
    /// [`expect_int8`](Node::expect_int8) checks. Out of line but for the elements' type, as many operators start
    /// with it.
    #[inline(always)]
    pub(crate) fn pair<T: Element>(&self) -> Option<Pair<'a, T>> {
        let (input, output) = self.pair_out_of_line()?;
        Some((cells_of(input)?, cells_of(output)?))
    }

    /// The same in line, for operators whose ops may take as little time as a call.
    #[inline(always)]
    pub(crate) fn pair_in_line<T: Element>(&self) -> Option<Pair<'a, T>> {
        let (input, output) = match self.pair_nearby() {
            None => self.pair_out_of_line()?,
            Some(pair) => pair,
        };
        Some((cells_of(input)?, cells_of(output)?))
    }

    #[inline(never)]
    fn pair_out_of_line(&self) -> Option<Pair<'a, u8>> {
        match self.pair_nearby() {
            None => {
                let (pair, further) = (self.node.pair?, self.place.further?);
                (further.look.pair)(further, self.place.first, pair.into())
            }
            found => found,
        }
    }

    /// The same, where both are in the first memory.
    #[inline(always)]
    fn pair_nearby(&self) -> Option<Pair<'a, u8>> {
        let (input, output) = self.node.pair?;
        let near = |tensor: &Tensor| self.near(tensor.offset, tensor.bytes);
        Some((near(input)?, near(output)?))
    }

    /// What a convolution with packed weights at this offset works on; its check has found their size. Out of line, as
    /// it is long and several operators start with it.
    #[inline(never)]
    pub(crate) fn layer(&self, stage: &OutputStage, weights: u32, channels: u32) -> Option<Layer<'a>> {
        let (input, out) = self.pair()?;
        let words = self.node.constants_from::<u32>(weights).ok()?;
        let stage = self.node.stage(stage, channels).ok()?;
        Some(Layer { input, out, scratch: self.scratch(), weights: bytemuck::cast_slice(words), stage })
    }

    /// The input at `position`, which lies in the arena or is state.
    pub fn input<T: Element>(&self, position: usize) -> &'a [Cell<T>] {
        self.cells(self.node.input(position))
    }

    /// The input at `position`, wherever it lies.
    pub fn view<T: Element>(&self, position: usize) -> TensorView<'a, T> {
        match self.node.input(position) {
            Ok(tensor) if tensor.is_constant() => {
                let count = tensor.bytes / size_of::<T>() as u32;
                TensorView::from_slice(self.node.constants(tensor.offset, count).unwrap_or(&[]))
            }
            tensor => TensorView::from_cells(self.cells(tensor)),
        }
    }

    /// The output at `position`.
    pub fn output<T: Element>(&self, position: usize) -> &'a [Cell<T>] {
        self.cells(self.node.output(position))
    }

    /// The scratch memory.
    pub fn scratch<T: Element>(&self) -> &'a [Cell<T>] {
        let op = self.node.op();
        cells_of(self.bytes(op.scratch, op.scratch_bytes)).unwrap_or(&[])
    }
}
