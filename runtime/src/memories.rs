//! An arena in several memories: tightly coupled RAM, SRAM, PSRAM.
//!
//! A file says how many bytes of its arena lie in each (`convert --memory`). Its addresses count through all of them, so an
//! op finds an operand in the first memory as ever, by one check of bounds. What that check does not find is looked for in
//! the other memories, by a function that firmware links only if it makes [`Memories`].

use core::cell::Cell;

use ferrolite_schema::{FILE_ALIGNMENT, MAX_MEMORIES, Model, Tensor};

use crate::error::Error;
use crate::node::{Look, PairOfBytes as Pair, Shared};

/// The memories of an arena, in the order of the file's: the fastest first.
///
/// ```no_run
/// use ferrolite_runtime::{Arena, Error, Interpreter, Memories, Model, ops};
///
/// fn first_score(file: &[u8], input: &[i8]) -> Result<i8, Error> {
///     let (mut fast, mut large) = (Arena::<16_384>::new(), Arena::<100_000>::new());
///     let mut memories = Memories::new([&mut fast, &mut large]);
///     let mut net = Interpreter::with_memories(&Model::from_bytes(file)?, ops::ALL, &mut memories)?;
///     net.set_input(0, input)?;
///     net.invoke()?;
///     Ok(net.output::<i8>(0)?[0])
/// }
/// ```
#[repr(C)]
pub struct Memories<'a> {
    // These first, as `Shared` has them.
    look: Look,
    /// The sizes that the model has given them.
    sizes: [usize; MAX_MEMORIES],
    all: [&'a mut [u8]; MAX_MEMORIES],
    // Only `new` names the functions that look beyond the first memory, so nobody else links them.
    get: for<'s> fn(&'s Memories<'_>, usize, usize) -> Option<&'s [u8]>,
    get_mut: for<'s> fn(&'s mut Memories<'_>, usize, usize) -> Option<&'s mut [u8]>,
}

impl<'a> Memories<'a> {
    /// Up to [`MAX_MEMORIES`] memories, each of which starts at a multiple of 16.
    pub fn new<const N: usize>(memories: [&'a mut [u8]; N]) -> Memories<'a> {
        const { assert!(N <= MAX_MEMORIES, "there are more memories than a file may name") };
        let mut all: [&'a mut [u8]; MAX_MEMORIES] = Default::default();
        for (place, memory) in all.iter_mut().zip(memories) {
            *place = memory;
        }
        Memories { look: Look { cells, pair }, sizes: [0; MAX_MEMORIES], all, get, get_mut }
    }

    /// Gives each the size that the model says. The first one is the arena as long as nothing else is needed.
    pub(crate) fn bind(&mut self, model: &Model<'_>) -> Result<&'a mut [u8], Error> {
        model.check_memories()?;
        let whole = [model.arena_bytes() as u32];
        let needed = if model.memories().is_empty() { &whole } else { model.memories() };
        for (number, (memory, size)) in self.all.iter().zip(&mut self.sizes).enumerate() {
            *size = needed.get(number).map_or(0, |&size| size as usize);
            if memory.len() < *size {
                let (needed, found) = (*size as u32, memory.len() as u32);
                return Err(Error::MemoryTooSmall { memory: number as u8, needed, found });
            }
            if (memory.as_ptr() as usize) & (FILE_ALIGNMENT - 1) != 0 && *size != 0 {
                return Err(Error::ArenaMisaligned);
            }
        }
        let [size, ..] = self.sizes;
        let [first, ..] = &mut self.all;
        let first = core::mem::take(first);
        // What was just found to be there.
        Ok(first.get_mut(..size).unwrap_or_default())
    }

    /// Bytes that the first memory does not have.
    #[inline(always)]
    pub(crate) fn get(&self, from: usize, to: usize) -> Option<&[u8]> {
        (self.get)(self, from, to)
    }

    /// The same, to be written.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, from: usize, to: usize) -> Option<&mut [u8]> {
        (self.get_mut)(self, from, to)
    }

    /// As ops see them.
    #[inline(always)]
    pub(crate) fn shared<'s>(&'s mut self) -> &'s Shared<'s> {
        // SAFETY: the one struct begins with the fields of the other: both are `repr(C)`, and `&mut [u8]` and
        // `&[Cell<u8>]` are the same pointer and length. `&'s mut self` gives up all other access to the memories
        // for as long as the result lives; bytes may then be written through the cells.
        #[allow(unsafe_code)]
        unsafe {
            &*core::ptr::from_mut(self).cast::<Shared<'s>>()
        }
    }
}

fn get<'s>(memories: &'s Memories<'_>, from: usize, to: usize) -> Option<&'s [u8]> {
    let (memory, at) = locate(&memories.sizes, from);
    memories.all.get(memory)?.get(at..)?.get(..to.wrapping_sub(from))
}

fn get_mut<'s>(memories: &'s mut Memories<'_>, from: usize, to: usize) -> Option<&'s mut [u8]> {
    let (memory, at) = locate(&memories.sizes, from);
    memories.all.get_mut(memory)?.get_mut(at..)?.get_mut(..to.wrapping_sub(from))
}

fn cells<'s>(memories: &'s Shared<'s>, from: u32, len: u32) -> Option<&'s [Cell<u8>]> {
    let (memory, at) = locate(&memories.sizes, from as usize);
    memories.all.get(memory)?.get(at..)?.get(..len as usize)
}

impl core::fmt::Debug for Memories<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Memories").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

fn pair<'s>(
    memories: &'s Shared<'s>,
    first: &'s [Cell<u8>],
    [input, output]: [&Tensor; 2],
) -> Option<Pair<'s>> {
    let find = |tensor: &Tensor| match first.get(tensor.offset as usize..tensor.end() as usize) {
        None => cells(memories, tensor.offset, tensor.bytes),
        found => found,
    };
    Some((find(input)?, find(output)?))
}

/// From the sizes of the memories and an address of the arena to the memory and the place in it.
fn locate(sizes: &[usize; MAX_MEMORIES], from: usize) -> (usize, usize) {
    let mut at = from;
    for (memory, &size) in sizes.iter().enumerate() {
        if at < size {
            return (memory, at);
        }
        at = at.wrapping_sub(size);
    }
    (MAX_MEMORIES, 0)
}
