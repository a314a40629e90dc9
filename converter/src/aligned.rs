//! Memory on the host that is aligned to 16 bytes, for model files and arenas.

use std::ops::{Deref, DerefMut};

/// Bytes aligned to 16, as `Model::from_bytes` requires for a file and `Interpreter::new` for an arena.
///
/// ```
/// let buf = ferrolite::aligned::AlignedBuf::from_bytes(b"FERO");
/// assert_eq!(&*buf, b"FERO");
/// assert_eq!(buf.as_ptr() as usize % 16, 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct AlignedBuf {
    blocks: Vec<Block>,
    len: usize,
}

/// 16 bytes, with an alignment of 16 on every host.
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(16))]
struct Block([u8; 16]);

impl AlignedBuf {
    /// `len` zeroes.
    pub fn zeroed(len: usize) -> AlignedBuf {
        AlignedBuf { blocks: vec![Block::default(); len.div_ceil(16)], len }
    }

    /// A copy of some bytes.
    pub fn from_bytes(bytes: &[u8]) -> AlignedBuf {
        let mut buf = AlignedBuf::zeroed(bytes.len());
        buf.copy_from_slice(bytes);
        buf
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }
}
