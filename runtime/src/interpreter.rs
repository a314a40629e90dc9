//! The interpreter: checks every op once, then walks the program.
//!
//! Inputs, tensors between ops and outputs lie over one another in the arena, so what a slice of it means depends on
//! when it is asked for. An interpreter knows the time: it hands out inputs before an inference, outputs after it, and
//! refuses everything else with an error that says what is missing.
//!
//! ```text
//!            input_mut            step                step
//! ┌────────┐ of every ┌────────┐ or invoke ┌─────────┐ … the last ┌──────┐
//! │ filling├─────────►│ filled ├──────────►│ running ├───────────►│ done │ outputs can be read
//! └────────┘ input    └────────┘           └────┬────┘ op         └───┬──┘
//!      ▲                   reset, restore       │                     │ input_mut
//!      └────────────────────────────────────────┴─────────────────────┘
//! ```

use core::cell::Cell;

use ferrolite_schema::{FILE_ALIGNMENT, Model, Op, Port, Tensor};

use crate::error::{Error, Fault};
use crate::memories::Memories;
use crate::node::{Eval, Node, Place};
use crate::ops::{OpSet, Operator};
use crate::taken::Taken;
use crate::tensor::Element;

/// What [`Interpreter::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Step {
    /// It ran the op of this index, and there are more.
    Ran(u16),
    /// It ran the last op: outputs are ready.
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

/// A model with the memory it runs in: inputs and outputs by index, element types checked when they are asked for.
/// The module that `convert --rust` writes has the same for one model, with types that are checked when it is compiled.
///
/// [`invoke`](Interpreter::invoke) runs everything; [`step`](Interpreter::step) runs one op, so that a scheduler can do
/// other work in between. Both want every input to have been written since the last inference, because ops write over
/// inputs that they have read. It may be sent to another task, and live in a `static`.
///
/// ```no_run
/// use ferrolite_runtime::{Error, Interpreter, Model, OpSet};
///
/// fn classify(file: &[u8], ops: OpSet, arena: &mut [u8], features: &[i8]) -> Result<i8, Error> {
///     let mut net = Interpreter::new(&Model::from_bytes(file)?, ops, arena)?;
///     net.set_input(0, features)?;
///     net.invoke()?;
///     Ok(net.output::<i8>(0)?[0])
/// }
/// ```
pub struct Interpreter<'a> {
    model: Model<'a>,
    ops: OpSet,
    /// The arena, or the first of its memories.
    arena: &'a mut [u8],
    /// The others, where there are several.
    further: Option<&'a mut Memories<'a>>,
    /// The next op: 0 before an inference, the number of ops behind it.
    next: u16,
    taken: Taken,
}

impl<'a> Interpreter<'a> {
    /// Checks every op of the model against the operators in `ops` and binds the arena, which must
    /// have at least [`Model::arena_bytes`] bytes and start at a multiple of 16, as
    /// [`Arena`](crate::Arena) does.
    // Always inline: an interpreter is some twenty words, which are then written where they stay.
    #[inline(always)]
    pub fn new(model: &Model<'a>, ops: OpSet, arena: &'a mut [u8]) -> Result<Interpreter<'a>, Error> {
        match prepare(model, ops, arena) {
            Ok(()) => {
                let (model, taken) = (model.by_parts(), Taken::none_of(model.inputs().len()));
                Ok(Interpreter { model, ops, arena, further: None, next: 0, taken })
            }
            Err(error) => Err(error),
        }
    }

    /// As [`new`](Interpreter::new), with the arena in the memories that the file divides it among: each has at least as
    /// many bytes as [`Model::memories`] says. A file that does not divide its arena has it in the first one.
    pub fn with_memories(
        model: &Model<'a>,
        ops: OpSet,
        memories: &'a mut Memories<'a>,
    ) -> Result<Interpreter<'a>, Error> {
        let arena = memories.bind(model)?;
        check(model, ops)?;
        let (model, taken) = (model.by_parts(), Taken::none_of(model.inputs().len()));
        let mut net = Interpreter { model, ops, arena, further: Some(memories), next: 0, taken };
        net.reset();
        Ok(net)
    }

    /// As [`new`](Interpreter::new), and refuses a model of which one inference is more work than `most`
    /// ([`Model::work`]): for files of unknown origin, which may ask for very long loops.
    pub fn within(
        model: &Model<'a>,
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
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }

    /// Elements of an input, to be written before each inference: the model may use this memory for
    /// other tensors once it has read the input. `T` is the input's own type: `i8` in most models, `i32`
    /// where rows of a table are looked up, `f32` where the model converts at its borders.
    ///
    /// It is an error between two [steps](Interpreter::step) of an inference, and ends the time in which the outputs
    /// of the last one can be read. A model with more than 31 inputs wants the others in their order.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], Error> {
        let port = port(self.model.inputs(), index)?;
        let bytes = typed::<T>(tensor(&self.model, port, index)?, index)?;
        let (from, to) = (bytes.offset as usize, bytes.end() as usize);
        self.take(index)?;
        let bytes = self.bytes_mut(from, to).ok_or(no_port(index))?;
        bytemuck::try_cast_slice_mut(bytes).map_err(|_| no_port(index))
    }

    /// The bytes of an input, whatever its type, in the order of the core; otherwise as
    /// [`input_mut`](Interpreter::input_mut).
    pub fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8], Error> {
        let tensor = tensor(&self.model, port(self.model.inputs(), index)?, index)?;
        let (from, to) = (tensor.offset as usize, tensor.end() as usize);
        self.take(index)?;
        self.bytes_mut(from, to).ok_or(no_port(index))
    }

    /// Copies all elements of an input; otherwise as [`input_mut`](Interpreter::input_mut).
    pub fn set_input<T: Element>(&mut self, index: usize, elements: &[T]) -> Result<(), Error> {
        let port = port(self.model.inputs(), index)?;
        let needed = typed::<T>(tensor(&self.model, port, index)?, index)?.bytes as usize / size_of::<T>();
        if elements.len() != needed {
            let (needed, found) = (needed as u32, elements.len() as u32);
            return Err(Error::WrongLength { index: index as u16, needed, found });
        }
        let input = self.input_mut::<T>(index)?;
        input.iter_mut().zip(elements).for_each(|(to, &from)| *to = from);
        Ok(())
    }

    /// Copies all bytes of an input, whatever its type, in the order of the core; otherwise as
    /// [`input_mut`](Interpreter::input_mut).
    #[inline]
    pub fn set_input_bytes(&mut self, index: usize, bytes: &[u8]) -> Result<(), Error> {
        let tensor = tensor(&self.model, port(self.model.inputs(), index)?, index)?;
        if tensor.bytes as usize != bytes.len() {
            let (needed, found) = (tensor.bytes, bytes.len() as u32);
            return Err(Error::WrongLength { index: index as u16, needed, found });
        }
        let (from, to) = (tensor.offset as usize, tensor.end() as usize);
        self.take(index)?;
        let input = self.bytes_mut(from, to).ok_or(no_port(index))?;
        input.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
        Ok(())
    }

    /// Elements of an output, from the end of an inference until an input of the next one is asked for.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        let port = port(self.model.outputs(), index)?;
        let tensor = typed::<T>(tensor(&self.model, port, index)?, index)?;
        let bytes = self.read(tensor, index)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| no_port(index))
    }

    /// The bytes of an output, whatever its type, in the order of the core; otherwise as
    /// [`output`](Interpreter::output).
    pub fn output_bytes(&self, index: usize) -> Result<&[u8], Error> {
        let tensor = tensor(&self.model, port(self.model.outputs(), index)?, index)?;
        self.read(tensor, index)
    }

    /// The index of the input of this name.
    pub fn input_index(&self, name: &str) -> Result<usize, Error> {
        let mut indices = 0..self.model.inputs().len();
        indices.find(|&index| self.model.input_name(index) == Some(name)).ok_or(Error::NoSuchName)
    }

    /// The index of the output of this name.
    pub fn output_index(&self, name: &str) -> Result<usize, Error> {
        let mut indices = 0..self.model.outputs().len();
        indices.find(|&index| self.model.output_name(index) == Some(name)).ok_or(Error::NoSuchName)
    }

    /// Makes the state what it is before the first inference, as [`new`](Interpreter::new) does, and gives up an
    /// inference that is under way: its inputs have to be written again.
    #[inline]
    pub fn reset(&mut self) {
        self.give_up();
        if self.model.state_bytes() != 0 {
            match self.further {
                None => reset_state(&self.model, self.arena),
                Some(_) => reset_bytes(self.model.initial_state(), self.state_mut()),
            }
        }
    }

    /// The state, which inferences leave to the next ones: a copy of it is what [`restore`](Interpreter::restore) takes.
    /// Empty for a model without state. It is an error between two [steps](Interpreter::step) of one inference, when
    /// the state is neither what it was before nor what it will be.
    pub fn state(&self) -> Result<&[u8], Error> {
        self.not_running()?;
        Ok(self.bytes(self.model.state_start(), self.model.arena_bytes()).unwrap_or_default())
    }

    /// Copies the [state](Interpreter::state) to `bytes`, which has [`Model::state_bytes`] bytes.
    pub fn save(&self, bytes: &mut [u8]) -> Result<(), Error> {
        let state = self.state()?;
        if bytes.len() != state.len() {
            return Err(self.wrong_state(bytes.len()));
        }
        bytes.copy_from_slice(state);
        Ok(())
    }

    /// Makes the state what [`save`](Interpreter::save) copied, of this model, and gives up an inference that is under
    /// way: its inputs have to be written again. Any bytes are safe: those of another model, or damaged ones, give
    /// wrong answers and nothing worse.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() != self.model.state_bytes() {
            return Err(self.wrong_state(bytes.len()));
        }
        self.give_up();
        for (to, &from) in self.state_mut().iter_mut().zip(bytes) {
            *to = from;
        }
        Ok(())
    }

    fn wrong_state(&self, found: usize) -> Error {
        Error::WrongState { needed: self.model.state_bytes() as u32, found: found as u32 }
    }

    /// Runs the whole program. Every input has to have been written since the last inference.
    pub fn invoke(&mut self) -> Result<(), Error> {
        self.invoke_observed(&mut ())
    }

    /// Runs the whole program under an observer's eyes.
    pub fn invoke_observed(&mut self, observer: &mut impl Observer) -> Result<(), Error> {
        self.start()?;
        let place = place(self.arena, &mut self.further);
        for op in self.model.ops() {
            match place.skipped.get() {
                0 => run(&self.model, self.ops, &place, op, observer),
                count => place.skipped.set(count - 1),
            }
        }
        self.next = self.model.ops().len() as u16;
        Ok(())
    }

    /// Runs the next op: the first one where every input has been written since the last inference.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.step_observed(&mut ())
    }

    /// Runs the next op, under an observer's eyes.
    pub fn step_observed(&mut self, observer: &mut impl Observer) -> Result<Step, Error> {
        if !self.is_running() {
            self.start()?;
        }
        let index = self.next;
        let Some(op) = self.model.ops().get(usize::from(index)) else { return Ok(Step::Done) };
        let place = place(self.arena, &mut self.further);
        run(&self.model, self.ops, &place, op, observer);
        self.next = index.wrapping_add(1).wrapping_add(place.skipped.get());
        self.taken.runs(self.is_running());
        Ok(if self.is_running() { Step::Ran(index) } else { Step::Done })
    }

    /// Runs all ops, for who knows by types that every input has been written.
    pub(crate) fn run_from_start(&mut self) {
        self.next = 0;
        while !self.run_next() {}
    }

    /// Runs the next op, for who knows by types that every input has been written and that ops are left; whether it
    /// was the last one.
    pub(crate) fn run_next(&mut self) -> bool {
        if usize::from(self.next) >= self.model.ops().len() {
            self.next = 0;
        }
        let mut next = self.next.wrapping_add(1);
        if let Some(op) = self.model.ops().get(usize::from(self.next)) {
            let place = place(self.arena, &mut self.further);
            run(&self.model, self.ops, &place, op, &mut ());
            next = next.wrapping_add(place.skipped.get());
        }
        self.next = next;
        !self.is_running()
    }

    /// The program, and what runs it.
    pub(crate) fn program(&self) -> (&Model<'a>, OpSet) {
        (&self.model, self.ops)
    }

    pub(crate) fn has_further_memories(&self) -> bool {
        self.further.is_some()
    }

    /// Runs another program of the same file from now on, which was checked against these operators.
    pub(crate) fn go_over(&mut self, model: &Model<'a>, ops: OpSet) {
        (self.model, self.ops, self.next) = (model.by_parts(), ops, 0);
        self.taken = Taken::none_of(model.inputs().len());
    }

    pub(crate) fn arena(&self) -> &[u8] {
        self.arena
    }

    pub(crate) fn arena_mut(&mut self) -> &mut [u8] {
        self.arena
    }

    /// Whether ops have run, and not all.
    pub(crate) fn is_running(&self) -> bool {
        self.next != 0 && usize::from(self.next) < self.model.ops().len()
    }

    pub(crate) fn not_running(&self) -> Result<(), Error> {
        if self.is_running() { Err(Error::Running { op: self.next }) } else { Ok(()) }
    }

    /// An input is about to be written.
    fn take(&mut self, index: usize) -> Result<(), Error> {
        self.not_running()?;
        self.taken.add(index, self.model.inputs().len())?;
        self.next = 0;
        Ok(())
    }

    /// An inference begins, and uses its inputs up. While it runs, all are missing.
    #[inline]
    fn start(&mut self) -> Result<(), Error> {
        if !self.taken.is_all() {
            return Err(self.not_ready());
        }
        self.taken.clear();
        self.next = 0;
        Ok(())
    }

    #[cold]
    fn not_ready(&self) -> Error {
        self.not_running().err().unwrap_or(self.taken.error())
    }

    #[inline]
    fn give_up(&mut self) {
        if self.is_running() {
            self.next = 0;
            self.taken.clear();
        }
    }

    /// The bytes of an output, when it is one.
    fn read(&self, tensor: &Tensor, index: usize) -> Result<&[u8], Error> {
        if usize::from(self.next) != self.model.ops().len() {
            self.not_running()?;
            return Err(Error::NoOutput);
        }
        self.bytes(tensor.offset as usize, tensor.end() as usize).ok_or(no_port(index))
    }

    /// Bytes of the arena, in whatever memory.
    #[inline(never)]
    pub(crate) fn bytes(&self, from: usize, to: usize) -> Option<&[u8]> {
        match self.arena.get(from..to) {
            None => self.further.as_ref()?.get(from, to),
            found => found,
        }
    }

    /// The same, to be written.
    #[inline(never)]
    pub(crate) fn bytes_mut(&mut self, from: usize, to: usize) -> Option<&mut [u8]> {
        if to > self.arena.len() {
            return self.further.as_mut()?.get_mut(from, to);
        }
        self.arena.get_mut(from..to)
    }

    fn state_mut(&mut self) -> &mut [u8] {
        let (from, to) = (self.model.state_start(), self.model.arena_bytes());
        self.bytes_mut(from, to).unwrap_or_default()
    }
}

#[inline(always)]
fn place<'a>(arena: &'a mut [u8], further: &'a mut Option<&mut Memories<'_>>) -> Place<'a> {
    let further = further.as_mut().map(|memories| memories.shared());
    Place { first: Cell::from_mut(arena).as_slice_of_cells(), further, skipped: Cell::new(0) }
}

impl core::fmt::Debug for Interpreter<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut debug = f.debug_struct("Interpreter");
        debug.field("model", &self.model).field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Interpreter<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Interpreter {{ model: {}, next: {=u16} }}", self.model, self.next);
    }
}

/// Checks what an interpreter needs, and makes the state what it is at first.
#[inline]
fn prepare(model: &Model<'_>, ops: OpSet, arena: &mut [u8]) -> Result<(), Error> {
    if arena.len() < model.arena_bytes() {
        let (needed, found) = (model.arena_bytes() as u32, arena.len() as u32);
        return Err(Error::ArenaTooSmall { needed, found });
    }
    if (arena.as_ptr() as usize) & (FILE_ALIGNMENT - 1) != 0 {
        return Err(Error::ArenaMisaligned);
    }
    check(model, ops)?;
    if model.state_bytes() != 0 {
        reset_state(model, arena);
    }
    Ok(())
}

#[cold]
#[inline(never)]
fn reset_state(model: &Model<'_>, arena: &mut [u8]) {
    let state = arena.get_mut(model.state_start()..model.arena_bytes()).unwrap_or_default();
    reset_bytes(model.initial_state(), state);
}

#[inline]
fn reset_bytes(initial: &[u8], state: &mut [u8]) {
    let mut initial = initial.iter();
    for byte in state {
        *byte = initial.next().copied().unwrap_or(0);
    }
}

pub(crate) fn no_port(index: usize) -> Error {
    Error::NoSuchPort { index: index as u16 }
}

fn port(ports: &[Port], index: usize) -> Result<&Port, Error> {
    ports.get(index).ok_or(no_port(index))
}

fn tensor<'a>(model: &Model<'a>, port: &Port, index: usize) -> Result<&'a Tensor, Error> {
    model.tensors().get(port.tensor as usize).ok_or(no_port(index))
}

pub(crate) fn typed<T: Element>(tensor: &Tensor, index: usize) -> Result<&Tensor, Error> {
    if T::is_of(tensor.dtype) { Ok(tensor) } else { Err(Error::WrongType { index: index as u16 }) }
}

/// Runs one op. Every op was found in the set when the interpreter was made.
#[inline(always)]
fn run(model: &Model<'_>, ops: OpSet, place: &Place<'_>, op: &Op, observer: &mut impl Observer) {
    let Some(operator) = find(ops, op.code) else { return };
    let eval = Eval::new(Node::new(model, op), place);
    let index = index_of(model, op);
    observer.before(index, eval.node());
    (operator.eval)(&eval);
    observer.after(index, &eval);
}

/// The number of an op, found anew, so that loops over all of them need not count.
#[inline(always)]
fn index_of(model: &Model<'_>, op: &Op) -> u16 {
    let distance = (core::ptr::from_ref(op) as usize).wrapping_sub(model.ops().as_ptr() as usize);
    (distance / size_of::<Op>()) as u16
}

/// In [`ALL`](crate::ops::ALL), and for the first codes in most sets, the code is the place.
#[inline(always)]
fn find(ops: OpSet, code: u16) -> Option<&'static Operator> {
    match ops.get(usize::from(code).wrapping_sub(1)) {
        Some(operator) if operator.code == code => Some(operator),
        _ => search(ops, code),
    }
}

#[cold]
#[inline]
fn search(ops: OpSet, code: u16) -> Option<&'static Operator> {
    ops.iter().find(|operator| operator.code == code)
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

/// The error of an op, which is unsupported where it has no fault.
#[cold]
#[inline(never)]
fn refusal(model: &Model<'_>, op: &Op, fault: Option<Fault>) -> Error {
    let index = index_of(model, op);
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
