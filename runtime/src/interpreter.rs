//! The interpreter: checks every op once, then walks the program.

use core::cell::Cell;

use ferrolite_schema::{FILE_ALIGNMENT, Model, Op, Port, Tensor};

use crate::error::{Error, Fault};
use crate::node::{Eval, Node};
use crate::ops::{OpSet, Operator};
use crate::tensor::{Element, cells_of, exclusive, shared};

/// What [`Interpreter::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It ran the op of this index, and there are more.
    Ran(u16),
    /// It ran the last op: outputs are ready, and the next step starts over.
    Done,
}

/// Sees every op before and after it runs: profilers, tracers and per-layer checks are observers.
pub trait Observer {
    /// Op `index` is about to run.
    fn before(&mut self, index: u16, node: &Node<'_>) {
        let _ = (index, node);
    }

    /// Op `index` has run; its outputs can be read.
    fn after(&mut self, index: u16, eval: &Eval<'_>) {
        let _ = (index, eval);
    }
}

/// The observer that sees nothing.
impl Observer for () {}

/// A model with the memory it runs in.
///
/// See the [crate's example](crate). [`invoke`](Interpreter::invoke) runs everything;
/// [`step`](Interpreter::step) runs one op, so that a scheduler can do other work in between.
pub struct Interpreter<'a> {
    model: &'a Model<'a>,
    ops: OpSet,
    arena: &'a [Cell<u8>],
    next: u16,
}

impl<'a> Interpreter<'a> {
    /// Checks every op of the model against the operators in `ops` and binds the arena, which must
    /// have at least [`Model::arena_bytes`] bytes and start at a multiple of 16, as
    /// [`Arena`](crate::Arena) does.
    #[inline]
    pub fn new(model: &'a Model<'a>, ops: OpSet, arena: &'a mut [u8]) -> Result<Interpreter<'a>, Error> {
        if arena.len() < model.arena_bytes() {
            let (needed, found) = (model.arena_bytes() as u32, arena.len() as u32);
            return Err(Error::ArenaTooSmall { needed, found });
        }
        if (arena.as_ptr() as usize) & (FILE_ALIGNMENT - 1) != 0 {
            return Err(Error::ArenaMisaligned);
        }
        check(model, ops)?;
        let mut net = Interpreter { model, ops, arena: Cell::from_mut(arena).as_slice_of_cells(), next: 0 };
        net.reset();
        Ok(net)
    }

    /// As [`new`](Interpreter::new), and refuses a model of which one inference is more work than `most`
    /// ([`Model::work`]): for files of unknown origin, which may ask for very long loops.
    pub fn within(
        model: &'a Model<'a>,
        ops: OpSet,
        arena: &'a mut [u8],
        most: u64,
    ) -> Result<Interpreter<'a>, Error> {
        if model.work() > most {
            return Err(Error::TooMuchWork);
        }
        Interpreter::new(model, ops, arena)
    }

    /// The model.
    pub fn model(&self) -> &'a Model<'a> {
        self.model
    }

    /// Elements of an input, to be written before each inference: the model may use this memory for
    /// other tensors once it has read the input. `T` is the input's own type: `i8` in most models, `i32`
    /// where rows of a table are looked up, `f32` where the model converts at its borders.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], Error> {
        let cells = self.port(self.model.inputs(), index)?;
        // SAFETY: the interpreter holds the only access to the arena, and `&mut self` lasts as long
        // as the slice.
        #[allow(unsafe_code)]
        Ok(unsafe { exclusive(cells) })
    }

    /// Elements of an output, valid until the next inference.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        let cells = self.port(self.model.outputs(), index)?;
        // SAFETY: nothing writes to the arena without `&mut self`, and `&self` lasts as long as the
        // slice.
        #[allow(unsafe_code)]
        Ok(unsafe { shared(cells) })
    }

    /// Makes the state what it is before the first inference, as [`new`](Interpreter::new) does. A model without state
    /// has nothing to reset.
    #[inline]
    pub fn reset(&mut self) {
        if self.model.state_bytes() != 0 {
            self.reset_state();
        }
    }

    #[cold]
    #[inline(never)]
    fn reset_state(&self) {
        let initial = self.model.initial_state();
        for (at, cell) in self.state_cells().iter().enumerate() {
            cell.set(initial.get(at).copied().unwrap_or(0));
        }
    }

    /// The state, which inferences leave to the next ones: a copy of it is what [`restore`](Interpreter::restore) takes.
    /// Empty for a model without state. Between two [steps](Interpreter::step) of one inference it is neither what it
    /// was before nor what it will be.
    pub fn state(&self) -> &[u8] {
        // SAFETY: nothing writes to the arena without `&mut self`, and `&self` lasts as long as the
        // slice.
        #[allow(unsafe_code)]
        unsafe {
            shared(self.state_cells())
        }
    }

    /// Copies the state to `bytes`, which has [`Model::state_bytes`] bytes.
    pub fn save(&self, bytes: &mut [u8]) -> Result<(), Error> {
        let state = self.state();
        if bytes.len() != state.len() {
            return Err(self.wrong_state(bytes.len()));
        }
        bytes.copy_from_slice(state);
        Ok(())
    }

    /// Makes the state what [`save`](Interpreter::save) copied, of this model. Any bytes are safe: those of another
    /// model, or damaged ones, give wrong answers and nothing worse.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let cells = self.state_cells();
        if bytes.len() != cells.len() {
            return Err(self.wrong_state(bytes.len()));
        }
        for (cell, &byte) in cells.iter().zip(bytes) {
            cell.set(byte);
        }
        Ok(())
    }

    fn state_cells(&self) -> &'a [Cell<u8>] {
        self.arena.get(self.model.state_start()..self.model.arena_bytes()).unwrap_or_default()
    }

    fn wrong_state(&self, found: usize) -> Error {
        Error::WrongState { needed: self.model.state_bytes() as u32, found: found as u32 }
    }

    fn port<T: Element>(&self, ports: &[Port], index: usize) -> Result<&'a [Cell<T>], Error> {
        let missing = Error::NoSuchPort { index: index as u16 };
        let port = ports.get(index).ok_or(missing)?;
        let tensor = self.model.tensors().get(port.tensor as usize).ok_or(missing)?;
        if tensor.dtype != T::DTYPE as u8 {
            return Err(Error::WrongType { index: index as u16 });
        }
        let bytes = self.arena.get(tensor.offset as usize..tensor.end() as usize).ok_or(missing)?;
        cells_of(bytes).ok_or(missing)
    }

    /// Runs the whole program, from its start.
    pub fn invoke(&mut self) -> Result<(), Error> {
        self.invoke_observed(&mut ())
    }

    /// Runs the whole program, from its start, under an observer's eyes.
    pub fn invoke_observed(&mut self, observer: &mut impl Observer) -> Result<(), Error> {
        self.next = 0;
        for (index, op) in self.model.ops().iter().enumerate() {
            let index = index as u16;
            if let Err(error) = self.run(index, op, observer) {
                self.next = index;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Runs the next op.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.step_observed(&mut ())
    }

    /// Runs the next op, under an observer's eyes.
    pub fn step_observed(&mut self, observer: &mut impl Observer) -> Result<Step, Error> {
        let index = self.next;
        let Some(op) = self.model.ops().get(usize::from(index)) else {
            self.next = 0;
            return Ok(Step::Done);
        };
        self.run(index, op, observer)?;
        self.next = index.wrapping_add(1);
        if usize::from(self.next) >= self.model.ops().len() {
            self.next = 0;
            return Ok(Step::Done);
        }
        Ok(Step::Ran(index))
    }

    /// Runs one op.
    #[inline(always)]
    fn run(&self, index: u16, op: &Op, observer: &mut impl Observer) -> Result<(), Error> {
        let operator = find(self.ops, op.code).ok_or(Error::UnsupportedOp { op: index, code: op.code })?;
        let eval = Eval::new(Node::new(self.model, op), self.arena);
        observer.before(index, eval.node());
        (operator.eval)(&eval);
        observer.after(index, &eval);
        Ok(())
    }
}

/// In [`ALL`](crate::ops::ALL), and for the first codes in most sets, the code is the place.
#[inline(always)]
fn find(ops: OpSet, code: u16) -> Option<&'static Operator> {
    match ops.get(usize::from(code).wrapping_sub(1)) {
        Some(operator) if operator.code as u16 == code => Some(operator),
        _ => search(ops, code),
    }
}

#[cold]
#[inline]
fn search(ops: OpSet, code: u16) -> Option<&'static Operator> {
    ops.iter().find(|operator| operator.code as u16 == code)
}

/// Checks every op of a model against the operators that would run it: operands, parameters,
/// constants, scratch memory, and the overlap of outputs with inputs. [`Interpreter::new`] does
/// this; a tool may call it without an arena.
#[inline]
pub fn check(model: &Model<'_>, ops: OpSet) -> Result<(), Error> {
    for op in model.ops() {
        let fault = match find(ops, op.code) {
            Some(operator) => check_op(&Node::new(model, op), operator.check, operator.lead).err(),
            None => return Err(refusal(model, op, None)),
        };
        if fault.is_some() {
            return Err(refusal(model, op, fault));
        }
    }
    Ok(())
}

/// The error of an op, which is unsupported where it has no fault. The number of the op is found again, so that
/// the loop over all of them need not count.
#[cold]
#[inline(never)]
fn refusal(model: &Model<'_>, op: &Op, fault: Option<Fault>) -> Error {
    let distance = (core::ptr::from_ref(op) as usize).wrapping_sub(model.ops().as_ptr() as usize);
    let index = (distance / size_of::<Op>()) as u16;
    match fault {
        Some(fault) => Error::Op { op: index, fault },
        None => Error::UnsupportedOp { op: index, code: op.code },
    }
}

/// Checks one op with the functions of its operator.
#[inline(always)]
pub fn check_op(
    node: &Node<'_>,
    check: fn(&Node<'_>) -> Result<(), Fault>,
    lead: fn(&Node<'_>, usize) -> Option<u32>,
) -> Result<(), Fault> {
    check(node)?;
    match node.pair() {
        Some((input, output)) => check_pair(node, lead, 0, input, output),
        None => check_pairs(node, lead),
    }
}

#[cold]
#[inline]
fn check_pairs(node: &Node<'_>, lead: fn(&Node<'_>, usize) -> Option<u32>) -> Result<(), Fault> {
    let operands = node.listed_operands();
    for output in node.inputs()..operands.len() {
        for position in 0..node.inputs() {
            let tensor = |position: usize| node.tensor(*operands.get(position)?);
            let (Some(input), Some(output)) = (tensor(position), tensor(output)) else {
                return Err(Fault::Operands);
            };
            check_pair(node, lead, position, input, output)?;
        }
    }
    Ok(())
}

/// An output may lie over an input of its op only as far as the operator's order of reads and writes
/// allows: it starts at least `lead` bytes before it.
#[inline(always)]
fn check_pair(
    node: &Node<'_>,
    lead: fn(&Node<'_>, usize) -> Option<u32>,
    position: usize,
    input: &Tensor,
    output: &Tensor,
) -> Result<(), Fault> {
    let distance = input.offset.wrapping_sub(output.offset);
    let apart = distance >= output.bytes && distance.wrapping_neg() >= input.bytes;
    if apart || !input.in_arena() {
        return Ok(());
    }
    match lead(node, position) {
        Some(lead) if input.offset >= output.offset && distance >= lead => Ok(()),
        _ => Err(Fault::Overlap),
    }
}
