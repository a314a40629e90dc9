//! Memory: the arena, and model files embedded in the program.

use core::ops::{Deref, DerefMut};

/// The memory that a model's tensors live in: `N` bytes, aligned to 16. The converter writes the
/// exact `N` beside the model. One arena may serve several interpreters in turn.
///
/// ```
/// use ferrolite_runtime::Arena;
/// static mut MEMORY: Arena<1024> = Arena::new();
/// let on_the_stack = Arena::<64>::new();
/// assert_eq!(on_the_stack.len(), 64);
/// ```
#[repr(C, align(16))]
pub struct Arena<const N: usize>([u8; N]);

impl<const N: usize> Arena<N> {
    /// An arena of zeroes; in a `static` it costs no flash.
    pub const fn new() -> Self {
        Arena([0; N])
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Deref for Arena<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Arena<N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// A model file in the program's read-only memory, aligned as [`Model::from_bytes`] wants it.
/// Made by [`include_model!`].
///
/// [`Model::from_bytes`]: crate::Model::from_bytes
/// [`include_model!`]: crate::include_model
#[derive(Clone, Copy)]
pub struct AlignedBytes(pub &'static Aligned<[u8]>);

impl Deref for AlignedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.0
    }
}

/// Alignment to 16 bytes for something unsized.
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Embeds a `.ferro` file; the path is relative to the source file, as for `include_bytes!`.
///
/// ```ignore
/// static MODEL: AlignedBytes = include_model!("kws.ferro");
/// let model = Model::from_bytes(&MODEL)?;
/// ```
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        static FILE: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
        $crate::AlignedBytes(FILE)
    }};
}
