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

/// How large it is, not what it holds.
impl<const N: usize> core::fmt::Debug for Arena<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Arena<{N}>")
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Arena<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Arena<{=usize}>", N);
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

/// A model file that is compiled in: the bytes themselves, aligned as [`Model::from_bytes`] wants them, so that an
/// attribute of the `static` places them. [`include_model!`] makes one; the module that `convert --rust` writes has
/// a type of its own for its file, which no other file fits.
///
/// [`Model::from_bytes`]: crate::Model::from_bytes
/// [`include_model!`]: crate::include_model
#[repr(C, align(16))]
pub struct ModelFile<const N: usize>([u8; N]);

impl<const N: usize> ModelFile<N> {
    /// The file, from `include_bytes!`.
    pub const fn new(bytes: &[u8; N]) -> Self {
        ModelFile(*bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Deref for ModelFile<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// How large it is, not what it holds.
impl<const N: usize> core::fmt::Debug for ModelFile<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ModelFile<{N}>")
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for ModelFile<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ModelFile<{=usize}>", N);
    }
}

/// A reference to a model file in the program's read-only memory, of any size.
/// Made by the short form of [`include_model!`].
///
/// [`include_model!`]: crate::include_model
#[derive(Clone, Copy)]
pub struct AlignedBytes(pub &'static Aligned<[u8]>);

impl Deref for AlignedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.0
    }
}

impl core::fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AlignedBytes({} bytes)", self.len())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for AlignedBytes {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "AlignedBytes({=usize} bytes)", self.len());
    }
}

/// Alignment to 16 bytes for something unsized.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Says how much room a firmware has for its model: bytes of the arena, and of a slot in flash where updates go.
/// `ferrolite fits UPDATE --firmware FIRMWARE.elf` reads it; without it, it takes the arena of the firmware's model.
///
/// Once in a program, both constants of it. It takes no flash and no RAM: the numbers are the values of two symbols,
/// `ferrolite_arena_bytes` and `ferrolite_slot_bytes`, which only the ELF file has. On a computer it is nothing.
///
/// ```
/// const ARENA: usize = 16 * 1024;
/// ferrolite_runtime::room!(arena: ARENA, slot: 64 * 1024);
/// ```
#[macro_export]
macro_rules! room {
    (arena: $arena:expr $(, slot: $slot:expr)? $(,)?) => {
        // A symbol of this name twice is an error of the linker; `ferrolite fits` would not know which counts.
        #[cfg(target_os = "none")]
        ::core::arch::global_asm!(
            ".globl ferrolite_arena_bytes",
            ".set ferrolite_arena_bytes, {bytes}",
            bytes = const { let bytes: usize = $arena; bytes },
        );
        $(
            #[cfg(target_os = "none")]
            ::core::arch::global_asm!(
                ".globl ferrolite_slot_bytes",
                ".set ferrolite_slot_bytes, {bytes}",
                bytes = const { let bytes: usize = $slot; bytes },
            );
        )?
        const _: () = {
            let _: usize = $arena;
            $( let _: usize = $slot; )?
        };
    };
}

/// Embeds a `.ferro` file; the path is relative to the source file, as for `include_bytes!`.
///
/// As an item it makes a `static` [`ModelFile`], which is where its attributes say:
///
/// ```ignore
/// include_model! {
///     /// The keyword spotter, in the flash chip behind QSPI.
///     #[unsafe(link_section = ".qspi")]
///     pub static KWS = "kws.ferro";
/// }
/// let model = Model::from_bytes(&KWS)?;
/// ```
/// As an expression it makes a reference, [`AlignedBytes`], to bytes among the program's other constants:
///
/// ```ignore
/// static MODEL: AlignedBytes = include_model!("kws.ferro");
/// ```
#[macro_export]
macro_rules! include_model {
    ($(#[$meta:meta])* $vis:vis static $name:ident = $path:expr $(;)?) => {
        $(#[$meta])*
        $vis static $name: $crate::ModelFile<{ include_bytes!($path).len() }> =
            $crate::ModelFile::new(include_bytes!($path));
    };
    ($path:expr) => {{
        static FILE: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
        $crate::AlignedBytes(FILE)
    }};
}
