//! What the module that `convert --rust` writes is made of.
//!
//! Such a module knows its model: where inputs and outputs lie in the arena, and how large they are. It hands that to
//! the types here as constants, so that they are checked when it is compiled and cost nothing when it runs; users meet
//! the module's own types, which wrap these under the names of the model's inputs and outputs.
//!
//! ```text
//! Net ──begin──► Filling ──start──► Running ──step──► … ──► Done ──► outputs
//!  └──────────────────────── run ─────────────────────────────────► outputs
//! ```
//! [`Filling`], [`Running`] and [`Done`] are one inference, passed on by move: while ops run there is nothing through
//! which inputs could be written, and no output to read before they have.
#![allow(unsafe_code)]

use ferrolite_schema::Model;

use crate::arena::Arena;
use crate::entries::Entry;
use crate::error::Error;
use crate::interpreter::Interpreter;
use crate::ops::OpSet;
use crate::tensor::Element;

/// By what a module knows the file that it was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fingerprint {
    /// Bytes of the file.
    pub bytes: usize,
    /// Where its checksum stands.
    pub checksum_at: usize,
    /// The checksum.
    pub checksum: u32,
}

impl Fingerprint {
    /// Whether a file is the one.
    pub const fn fits(&self, file: &[u8]) -> bool {
        if file.len() != self.bytes || self.bytes < 4 || self.checksum_at > self.bytes - 4 {
            return false;
        }
        let (_, word) = file.split_at(self.checksum_at);
        match word.first_chunk() {
            Some(&word) => u32::from_le_bytes(word) == self.checksum,
            None => false,
        }
    }
}

/// An interpreter bound to an arena of `N` bytes.
#[derive(Debug)]
pub struct Net<'a, const N: usize> {
    /// Its arena is an [`Arena<N>`]: all of it.
    net: Interpreter<'a>,
}

impl<'a, const N: usize> Net<'a, N> {
    /// Checks that the file is the module's, verifies it and binds the memory.
    #[inline]
    pub fn bind(
        file: &'a [u8],
        fingerprint: Fingerprint,
        ops: OpSet,
        memory: &'a mut Arena<N>,
    ) -> Result<Net<'a, N>, Error> {
        if !fingerprint.fits(file) {
            return Err(Error::OtherModel);
        }
        let model = Model::from_bytes(file)?;
        Ok(Net { net: Interpreter::new(&model, ops, memory)? })
    }

    /// The interpreter, for ports by index and observers.
    pub fn into_interpreter(self) -> Interpreter<'a> {
        self.net
    }

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        self.net.model()
    }

    /// An entry point of the file, verified.
    ///
    /// # Errors
    /// As [`Interpreter::entry`].
    pub fn entry(&self, name: &str) -> Result<Entry<'a>, Error> {
        self.net.entry(name)
    }

    /// Goes over to an entry point of this file, after [`settle`](Net::settle). One of another file changes nothing.
    pub fn enter(&mut self, entry: &Entry<'a>) {
        self.settle();
        // Neither of its errors is possible: nothing runs, and a module asks for entries of its own file.
        let _ = self.net.enter(entry);
    }

    /// Begins an inference. One that was given up while its ops ran has left its state half-written: then the state
    /// is what it is at first.
    pub fn begin<const WORDS: usize>(&mut self) -> Filling<'_, 'a, N, WORDS> {
        self.settle();
        Filling { net: self, taken: [0; WORDS] }
    }

    /// Runs all ops, after [`settle`](Net::settle) and when every input has been written.
    pub fn run(&mut self) {
        self.net.run_from_start();
    }

    /// Forgets an inference that was given up while its ops ran.
    pub fn settle(&mut self) {
        if self.net.is_running() {
            self.net.reset();
        }
    }

    /// Makes the state what it is before the first inference.
    pub fn reset(&mut self) {
        self.net.reset();
    }

    /// `LEN` elements of the arena from byte `AT` on.
    pub fn array<T: Element, const AT: usize, const LEN: usize>(&self) -> &[T; LEN] {
        const { assert_within::<T>(AT, LEN, N) };
        let first = self.net.arena().as_ptr();
        // SAFETY: `bind` made the interpreter's arena of an `Arena<N>`, so there are `N` bytes that start at a multiple
        // of 16; the array lies within them and is aligned, as just found. Any bits are a `T`. Nothing writes to the
        // arena without `&mut self`, and `&self` lasts as long as the array.
        unsafe { &*first.add(AT).cast() }
    }

    /// `LEN` elements of the arena from byte `AT` on, to be written.
    pub fn array_mut<T: Element, const AT: usize, const LEN: usize>(&mut self) -> &mut [T; LEN] {
        const { assert_within::<T>(AT, LEN, N) };
        let first = self.net.arena_mut().as_mut_ptr();
        // SAFETY: as in `array`; and `&mut self` lasts as long as the array.
        unsafe { &mut *first.add(AT).cast() }
    }
}

/// Whether an array lies in an arena of `size` bytes, and is aligned.
const fn assert_within<T>(at: usize, len: usize, size: usize) {
    assert!(align_of::<T>() <= align_of::<Arena<0>>() && at.is_multiple_of(align_of::<T>()));
    assert!(at <= size && len <= (size - at) / size_of::<T>());
}

/// An inference whose inputs are being written.
#[derive(Debug)]
pub struct Filling<'n, 'a, const N: usize, const WORDS: usize> {
    net: &'n mut Net<'a, N>,
    /// A bit for each input.
    taken: [u32; WORDS],
}

impl<'n, 'a, const N: usize, const WORDS: usize> Filling<'n, 'a, N, WORDS> {
    /// The elements of input `INDEX`.
    pub fn input<T: Element, const INDEX: usize, const AT: usize, const LEN: usize>(
        &mut self,
    ) -> &mut [T; LEN] {
        if let Some(word) = self.taken.get_mut(INDEX / 32) {
            *word |= 1 << (INDEX % 32);
        }
        self.net.array_mut::<T, AT, LEN>()
    }

    /// Ends the writing of all `inputs`; an error that names the first one that has not been asked for.
    pub fn start(self, inputs: usize) -> Result<Running<'n, 'a, N>, Error> {
        for (index, word) in self.taken.iter().enumerate() {
            let missing = index * 32 + word.trailing_ones() as usize;
            if missing < inputs && missing < index * 32 + 32 {
                return Err(Error::InputMissing { index: missing as u16 });
            }
        }
        Ok(Running { net: self.net })
    }
}

/// An inference whose ops run.
#[derive(Debug)]
pub struct Running<'n, 'a, const N: usize> {
    net: &'n mut Net<'a, N>,
}

impl<'n, 'a, const N: usize> Running<'n, 'a, N> {
    /// Runs the next op: `Ok` where that was the last one.
    pub fn step(self) -> Result<Done<'n, 'a, N>, Running<'n, 'a, N>> {
        if self.net.net.run_next() { Ok(Done { net: self.net }) } else { Err(self) }
    }

    /// Runs all ops that are left.
    pub fn finish(self) -> Done<'n, 'a, N> {
        while !self.net.net.run_next() {}
        Done { net: self.net }
    }
}

/// An inference that has run: its outputs can be read.
#[derive(Debug)]
pub struct Done<'n, 'a, const N: usize> {
    net: &'n mut Net<'a, N>,
}

impl<const N: usize> Done<'_, '_, N> {
    /// `LEN` elements of the output at byte `AT`.
    pub fn output<T: Element, const AT: usize, const LEN: usize>(&self) -> &[T; LEN] {
        self.net.array::<T, AT, LEN>()
    }
}
