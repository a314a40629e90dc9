//! A model with the memory that it needs.

use std::alloc::{self, Layout};
use std::ptr::{null, null_mut};
use std::slice;

use ferrolite_runtime::{Error, Interpreter, Model, Step, ops};

/// What the arena and a file start at a multiple of.
const ALIGNMENT: usize = 16;

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
}

/// Memory that is zero; null where there is none.
pub fn take(bytes: usize) -> *mut u8 {
    // SAFETY: a layout has at least one byte.
    layout(bytes).map_or(null_mut(), |layout| unsafe { alloc::alloc_zeroed(layout) })
}

/// # Safety
/// The memory is [`take`]'s, of so many bytes, and is not used any more.
pub unsafe fn give_back(memory: *mut u8, bytes: usize) {
    if let (false, Some(layout)) = (memory.is_null(), layout(bytes)) {
        // SAFETY: as the caller promises.
        unsafe { alloc::dealloc(memory, layout) }
    }
}

/// Memory of its own, which stays where it is.
struct Memory {
    start: *mut u8,
    bytes: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nobody has the memory after its owner.
        unsafe { give_back(self.start, self.bytes) }
    }
}

/// A model that is open.
pub struct Net {
    // Dropped in this order: the interpreter, which refers to both, before the memory that it refers to.
    net: Interpreter<'static>,
    _arena: Memory,
    _file: Memory,
}

/// Why a file is no model here.
pub enum Refusal {
    /// What the runtime says.
    Model(Error),
    /// Its checksum is another one.
    Damaged,
    /// The arena does not fit into what the browser gives.
    Memory(usize),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Model(error) => write!(f, "{error}"),
            Refusal::Damaged => f.write_str("the file is damaged: its checksum is that of other contents"),
            Refusal::Memory(bytes) => write!(f, "there are no {bytes} bytes of memory for the arena"),
        }
    }
}

impl Net {
    /// # Safety
    /// The memory is [`take`]'s, of so many bytes, and is not used by others any more.
    pub unsafe fn open(memory: *mut u8, bytes: usize) -> Result<Box<Net>, Refusal> {
        let file = Memory { start: memory, bytes };
        // SAFETY: the caller promises the bytes. They are not written again, and are given back after the interpreter.
        let contents: &'static [u8] = unsafe { slice::from_raw_parts(memory, bytes) };
        let model = Model::from_bytes(contents).map_err(|error| Refusal::Model(error.into()))?;
        // A download may be cut or changed, and there is time to find out.
        if model.checksum().is_some() && !model.checksum_matches() {
            return Err(Refusal::Damaged);
        }
        let size = model.arena_bytes();
        let arena = Memory { start: take(size), bytes: size };
        if arena.start.is_null() {
            return Err(Refusal::Memory(size));
        }
        // SAFETY: memory of this size that is zero, that nobody else has, and that is given back after the interpreter.
        let room: &'static mut [u8] = unsafe { slice::from_raw_parts_mut(arena.start, size) };
        let net = Interpreter::new(&model, ops::ALL, room).map_err(Refusal::Model)?;
        Ok(Box::new(Net { net, _arena: arena, _file: file }))
    }

    pub fn model(&self) -> &Model<'static> {
        self.net.model()
    }

    pub fn input(&mut self, index: usize) -> *mut u8 {
        self.net.input_bytes_mut(index).map_or(null_mut(), <[u8]>::as_mut_ptr)
    }

    pub fn output(&self, index: usize) -> *const u8 {
        self.net.output_bytes(index).map_or(null(), <[u8]>::as_ptr)
    }

    pub fn invoke(&mut self) -> Result<(), Error> {
        self.net.invoke()
    }

    /// The number of the op that has run; none after the last one, of which the number is one less than the count.
    pub fn step(&mut self) -> Result<Option<u16>, Error> {
        Ok(match self.net.step()? {
            Step::Ran(index) => Some(index),
            _ => None,
        })
    }

    pub fn reset(&mut self) {
        self.net.reset();
    }

    pub fn state(&self) -> *const u8 {
        self.net.state().map_or(null(), <[u8]>::as_ptr)
    }

    pub fn restore(&mut self, state: &[u8]) -> Result<(), Error> {
        self.net.restore(state)
    }
}
