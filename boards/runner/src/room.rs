//! The memory that a model runs in: one slice, or a slice for each memory that its file divides the arena among. Of these
//! the first lies where other arenas do, the others in the board's second memory, if it has one.

use ferrolite_runtime::{Error, Interpreter, Memories, Model, ops};

/// The board's memories.
pub struct Room<'m> {
    /// Where arenas lie.
    pub near: &'m mut [u8],
    /// Another memory.
    pub far: &'m mut [u8],
}

impl Room<'_> {
    /// Runs `work` with an interpreter in fresh memory.
    pub fn with_net(
        &mut self,
        model: &Model<'_>,
        work: impl FnOnce(&mut Interpreter<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if model.memories().is_empty() {
            // Exactly what the model says, so that a use beyond it shows.
            let room = self.near.len().min(model.arena_bytes());
            let memory = self.near.get_mut(..room).unwrap_or_default();
            memory.fill(0);
            return work(&mut Interpreter::new(model, ops::ALL, memory)?);
        }
        let mut memories = Memories::new(self.divide(model));
        work(&mut Interpreter::with_memories(model, ops::ALL, &mut memories)?)
    }

    /// A slice for each memory of a file, exactly as large as it says.
    pub fn divide(&mut self, model: &Model<'_>) -> [&mut [u8]; 4] {
        let mut sizes = model.memories().iter().map(|&size| size as usize);
        let (near, rest) = split(&mut *self.near, sizes.next().unwrap_or(0));
        let mut rest = if self.far.is_empty() { rest } else { &mut *self.far };
        let mut parts = [near, &mut [], &mut [], &mut []];
        for (part, size) in parts.iter_mut().skip(1).zip(sizes) {
            (*part, rest) = split(rest, size);
        }
        for part in &mut parts {
            part.fill(0);
        }
        parts
    }
}

/// The first bytes, and those from the next multiple of 16 on; all that are there, where they are fewer.
fn split(memory: &mut [u8], size: usize) -> (&mut [u8], &mut [u8]) {
    let (first, rest) = memory.split_at_mut(memory.len().min(size.next_multiple_of(16)));
    let size = size.min(first.len());
    (first.get_mut(..size).unwrap_or_default(), rest)
}
