//! Memories that share the arena: a small fast one and a large slow one, say.
//!
//! A file may divide the arena's addresses among memories, one behind the other. To whoever gives one memory for all that
//! means nothing, and [`Model::from_bytes`] does not look at it. Whoever gives several has to know that nothing lies across
//! a border: [`Model::check_memories`] proves it, and is linked only where it is called.

use crate::{Error, FILE_ALIGNMENT, Model};

/// How many memories an arena may be divided among.
pub const MAX_MEMORIES: usize = 4;

impl<'a> Model<'a> {
    /// The sizes of the memories that the arena is divided among; empty for a file that has one memory, of
    /// [`arena_bytes`](Model::arena_bytes).
    pub fn memories(&self) -> &'a [u32] {
        self.memory_sizes().unwrap_or_default()
    }

    /// Proves that the sizes of the memories are those of the arena, that all borders are at multiples of 16, and that
    /// neither a tensor, nor scratch memory, nor the state lies across one.
    pub fn check_memories(&self) -> Result<(), Error> {
        let sizes = self.memory_sizes().ok_or(Error::Memories)?;
        let Some((_, inner)) = sizes.split_last() else { return Ok(()) };
        let sum = sizes.iter().try_fold(0u32, |sum, &size| sum.checked_add(size).filter(|_| size != 0));
        let aligned = inner.iter().all(|&size| size as usize & (FILE_ALIGNMENT - 1) == 0);
        if sum.map(|sum| sum as usize) != Some(self.arena_bytes()) || !aligned || sizes.len() > MAX_MEMORIES {
            return Err(Error::Memories);
        }
        for (number, tensor) in self.tensors().iter().enumerate() {
            if !tensor.is_constant() && crosses(sizes, tensor.offset, tensor.bytes) {
                return Err(Error::TensorAcross { tensor: number as u16 });
            }
        }
        for (number, op) in self.ops().iter().enumerate() {
            if crosses(sizes, op.scratch, op.scratch_bytes) {
                return Err(Error::ScratchAcross { op: number as u16 });
            }
        }
        if crosses(sizes, self.state_start() as u32, self.state_bytes() as u32) {
            return Err(Error::State);
        }
        Ok(())
    }
}

/// Whether a run of bytes of the arena goes on behind the end of the memory that it begins in.
fn crosses(sizes: &[u32], offset: u32, bytes: u32) -> bool {
    let mut end = 0u32;
    for &size in sizes {
        end = end.wrapping_add(size);
        if offset < end {
            return end - offset < bytes;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_may_be_met_and_not_crossed() {
        let sizes = [16, 32, 5];
        for (offset, bytes, wanted) in [
            (0, 16, false),
            (0, 17, true),
            (15, 1, false),
            (15, 2, true),
            (16, 32, false),
            (16, 33, true),
            (47, 1, false),
            (48, 5, false),
            (48, 6, true),
            (52, 0, false),
            (53, 0, false),
            (0, 53, true),
            (0, u32::MAX, true),
        ] {
            assert_eq!(crosses(&sizes, offset, bytes), wanted, "{bytes} bytes from {offset} on");
        }
    }
}
