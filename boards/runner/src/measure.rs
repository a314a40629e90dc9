//! What a model costs: instructions, stack, and the layers one by one.
//!
//! Whole inferences are counted without an observer; layers are counted in a run of their own.

use core::cell::Cell;
use core::hint::black_box;

use ferrolite_board_support::report::{Kind, Report, Tag, fail};
use ferrolite_board_support::{counter, stack, window};
use ferrolite_runtime::{Error, Eval, Interpreter, Memories, Model, Node, Observer, ops};

use crate::room::Room;

/// The cost of one call.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// Ticks of the board's counter.
    pub ticks: u64,
    /// Whether the counter wrapped meanwhile: then `ticks` is too small.
    pub wrapped: bool,
    /// Bytes of stack.
    pub stack: u32,
    /// Its window.
    pub window: Window,
}

/// The number of a window, and that of an empty one: what a window costs by itself.
#[derive(Clone, Copy, Default)]
pub struct Window {
    number: u32,
    empty: u32,
}

impl Window {
    fn write(self, report: &mut Report) {
        report.bytes(&self.number.to_le_bytes());
        report.bytes(&self.empty.to_le_bytes());
    }
}

/// Ticks of an empty window, and its number.
fn overhead() -> (u64, u32) {
    let empty = window::next();
    (counter::overhead(), empty)
}

/// What the host wants to know of a model.
pub struct Counts {
    /// `Model::from_bytes` and `Interpreter::new`.
    pub init: Cost,
    /// `Interpreter::invoke`.
    pub invoke: Cost,
    /// Bytes of arena.
    pub arena: u32,
}

impl Counts {
    /// Writes the record.
    pub fn write(&self, report: &mut Report) {
        report.start(Tag::Counts, 0, 44);
        report.bytes(&self.init.ticks.to_le_bytes());
        report.bytes(&self.invoke.ticks.to_le_bytes());
        report.bytes(&self.init.stack.max(self.invoke.stack).to_le_bytes());
        report.bytes(&self.arena.to_le_bytes());
        report.bytes(&u32::from(self.init.wrapped || self.invoke.wrapped).to_le_bytes());
        self.init.window.write(report);
        self.invoke.window.write(report);
    }
}

/// Cost of starting: verification of the file, checks of all ops.
pub fn init(file: &[u8], model: &Model<'_>, room: &mut Room<'_>) -> Result<Cost, Error> {
    #[inline(never)]
    fn start(file: &[u8], memory: &mut [u8]) -> Result<(), Error> {
        let model = Model::from_bytes(file)?;
        let net = Interpreter::new(&model, ops::ALL, memory)?;
        black_box(&net);
        Ok(())
    }
    #[inline(never)]
    fn start_divided<'a>(file: &'a [u8], memories: &'a mut Memories<'a>) -> Result<(), Error> {
        let model = Model::from_bytes(file)?;
        let net = Interpreter::with_memories(&model, ops::ALL, memories)?;
        black_box(&net);
        Ok(())
    }
    if model.memories().is_empty() {
        let bytes = room.near.len().min(model.arena_bytes());
        let memory = room.near.get_mut(..bytes).unwrap_or_default();
        return cost(|| start(file, memory));
    }
    let mut memories = Memories::new(room.divide(model));
    cost(|| start_divided(file, &mut memories))
}

/// Cost of one inference.
pub fn invoke(net: &mut Interpreter<'_>) -> Result<Cost, Error> {
    #[inline(never)]
    fn invoke(net: &mut Interpreter<'_>) -> Result<(), Error> {
        net.invoke()
    }
    cost(|| invoke(net))
}

#[inline(always)]
fn cost(call: impl FnOnce() -> Result<(), Error>) -> Result<Cost, Error> {
    stack::paint();
    let top = stack::pointer();
    counter::restart();
    let (overhead, empty) = overhead();
    let number = window::next();
    let start = counter::now();
    window::open();
    let result = call();
    window::close();
    let ticks = counter::between(start, counter::now()).saturating_sub(overhead);
    let wrapped = counter::wrapped();
    result?;
    let Some(stack) = stack::used_below(top) else { fail(Kind::Fault, format_args!("the stack overflowed")) };
    Ok(Cost { ticks, wrapped, stack, window: Window { number, empty } })
}

/// Runs the model under an observer that reports each op's ticks and outputs.
pub fn layers(net: &mut Interpreter<'_>, report: &mut Report) -> Result<(), Error> {
    counter::restart();
    let (overhead, empty) = overhead();
    let start = counter::now();
    net.invoke_observed(&mut Layers { start, overhead, window: Window { number: 0, empty }, report })
}

struct Layers<'r> {
    start: counter::Instant,
    overhead: u64,
    window: Window,
    report: &'r mut Report,
}

impl Observer for Layers<'_> {
    #[inline(always)]
    fn before(&mut self, _: u16, _: &Node<'_>) {
        counter::restart();
        self.window.number = window::next();
        self.start = counter::now();
        window::open();
    }

    #[inline(always)]
    fn after(&mut self, index: u16, eval: &Eval<'_>) {
        window::close();
        let end = counter::now();
        let ticks = counter::between(self.start, end).saturating_sub(self.overhead);
        self.write(index, ticks, eval);
    }
}

impl Layers<'_> {
    #[inline(never)]
    fn write(&mut self, index: u16, ticks: u64, eval: &Eval<'_>) {
        let outputs = || (0..eval.node().outputs()).map(|position| eval.output::<u8>(position));
        let bytes: usize = outputs().map(<[_]>::len).sum();
        self.report.start(Tag::Layer, index.into(), 16 + bytes);
        self.report.bytes(&ticks.to_le_bytes());
        self.window.write(self.report);
        for output in outputs() {
            // Nothing writes to the arena while an observer looks; a copy in small pieces needs no
            // trust in that.
            let mut piece = [0; 256];
            for cells in output.chunks(piece.len()) {
                for (byte, cell) in piece.iter_mut().zip(cells) {
                    *byte = Cell::get(cell);
                }
                self.report.bytes(piece.get(..cells.len()).unwrap_or(&[]));
            }
        }
    }
}
