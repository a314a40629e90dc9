//! Bounds-checked access to the FlatBuffers container: the root table, its scalars and vectors.
//!
//! Layout (FlatBuffers internals): byte 0 holds the offset of the root table, byte 4 the file
//! identifier. A table starts with the signed distance back to its vtable; the vtable holds its own
//! size, the table's size, and the place of each field in the table, 0 for an absent one. Vectors
//! and strings are a 32-bit length and the elements, reached by an offset relative to the field.
//!
//! Everything of 32 bits lies at multiples of 4, so the file is read as words: one check of an index
//! serves bounds and alignment.

use bytemuck::Pod;

use crate::Error;

/// A file as words, at most 2 GiB of them, so that sums of two positions never overflow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a>(&'a [u32]);

impl<'a> Words<'a> {
    /// The words of a file that starts at a multiple of 4; up to three bytes at its end may be left over.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Words<'a>> {
        let whole = bytes.get(..bytes.len() & !3)?;
        bytemuck::try_cast_slice(whole).ok().map(Words)
    }

    pub(crate) fn word(self, at: u32) -> Option<u32> {
        self.0.get(at as usize).copied()
    }

    /// The word that the offset in word `at` leads to.
    #[inline(always)]
    fn follow(self, at: u32) -> Option<u32> {
        let offset = self.word(at)?;
        if offset & 3 != 0 {
            return None;
        }
        Some(at + offset / 4)
    }

    /// The table that the offset in word `at` leads to.
    #[inline(always)]
    pub(crate) fn table(self, at: u32) -> Option<Table<'a>> {
        let start = self.follow(at)?;
        let distance = self.word(start)?;
        // In bytes; a distance that leads out of the file wraps to a place behind it.
        let vtable = (start * 4).wrapping_sub(distance);
        let halves: &[u16] = bytemuck::cast_slice(self.0);
        let vtable = halves.get(vtable as usize / 2..)?;
        let places = vtable.get(2..usize::from(*vtable.first()?) / 2)?;
        Some(Table { words: self, start, places })
    }

    /// The words from the length on of the vector that the offset in word `at` leads to.
    #[inline(always)]
    fn vector(self, at: u32) -> Option<&'a [u32]> {
        self.0.get(self.follow(at)? as usize..)
    }

    /// The bytes of the string or vector that the offset in word `at` leads to.
    #[inline(always)]
    fn bytes(self, at: u32) -> Option<&'a [u8]> {
        let (&count, elements) = self.vector(at)?.split_first()?;
        bytemuck::cast_slice::<u32, u8>(elements).get(..count as usize)
    }
}

/// Where in its table a field is, in bytes; 0 for an absent one.
pub(crate) type Place = u16;

/// A table, whose vtable lies within the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    words: Words<'a>,
    /// Its first word.
    start: u32,
    /// The place of each field.
    places: &'a [Place],
}

impl<'a> Table<'a> {
    /// The places of the first fields; `None` for a table with fewer.
    #[inline(always)]
    pub(crate) fn places<const FIELDS: usize>(&self) -> Option<&'a [Place; FIELDS]> {
        self.places.first_chunk()
    }

    /// The place of field number `field`.
    #[inline(always)]
    pub(crate) fn place(&self, field: usize) -> Place {
        self.places.get(field).copied().unwrap_or(0)
    }

    /// First word of field number `field`, if it is present.
    pub(crate) fn field(&self, field: usize) -> Option<u32> {
        match self.place(field) {
            0 => None,
            place => self.first_word(place),
        }
    }

    /// First word of the field at `place`, which is not 0; `None` if it is misaligned.
    #[inline(always)]
    fn first_word(&self, place: Place) -> Option<u32> {
        (place & 3 == 0).then_some(self.start + u32::from(place / 4))
    }

    /// The fault of a table of which some field leads outside the file.
    pub(crate) fn fault(&self) -> Error {
        Error::Offset { at: self.start * 4 }
    }

    /// A 32-bit scalar; 0, the default, if it is absent.
    pub(crate) fn u32(&self, place: Place) -> Option<u32> {
        match place {
            0 => Some(0),
            place => self.words.word(self.first_word(place)?),
        }
    }

    /// A struct of `N` words within the table; `None` if it is absent.
    #[inline(always)]
    pub(crate) fn record<const N: usize, T: Pod>(&self, place: Place) -> Option<&'a T>
    where
        [u32; N]: Pod,
    {
        let first = self.first_word(place).filter(|_| place != 0)?;
        let words = self.words.0.get(first as usize..)?.first_chunk::<N>()?;
        Some(bytemuck::cast_ref(words))
    }

    /// The words of a vector from its length on; a length of 0 if it is absent.
    #[inline(never)]
    fn vector(&self, place: Place) -> Option<&'a [u32]> {
        match place {
            0 => Some(&[0]),
            place => self.words.vector(self.first_word(place)?),
        }
    }

    /// A vector of structs of `N` words; empty if it is absent.
    #[inline(always)]
    pub(crate) fn structs<const N: usize, T: Pod>(&self, place: Place) -> Option<&'a [T]>
    where
        [u32; N]: Pod,
    {
        let (&count, words) = self.vector(place)?.split_first()?;
        let (structs, _) = words.as_chunks::<N>();
        bytemuck::try_cast_slice(structs.get(..count as usize)?).ok()
    }

    /// A vector of scalars of at most 32 bits; empty if it is absent.
    #[inline(always)]
    pub(crate) fn scalars<T: Pod>(&self, place: Place) -> Option<&'a [T]> {
        let (&count, words) = self.vector(place)?.split_first()?;
        bytemuck::cast_slice(words).get(..count as usize)
    }

    /// A table inside this one, if it is present.
    pub(crate) fn table(&self, field: usize) -> Option<Table<'a>> {
        self.words.table(self.field(field)?)
    }

    /// A string, if it is present and valid UTF-8.
    pub(crate) fn string(&self, field: usize) -> Option<&'a str> {
        core::str::from_utf8(self.words.bytes(self.field(field)?)?).ok()
    }

    /// How many elements of 32 bits the vector of a field has, if all of them lie in the file.
    pub(crate) fn count(&self, field: usize) -> Option<usize> {
        let (&count, elements) = self.words.vector(self.field(field)?)?.split_first()?;
        elements.get(..count as usize).map(<[u32]>::len)
    }

    /// The string at `index` of a vector of strings, if it is present and valid UTF-8.
    pub(crate) fn string_at(&self, field: usize, index: usize) -> Option<&'a str> {
        core::str::from_utf8(self.words.bytes(self.element(field, index)?)?).ok()
    }

    /// The table at `index` of a vector of tables, if it is present.
    pub(crate) fn table_at(&self, field: usize, index: usize) -> Option<Table<'a>> {
        self.words.table(self.element(field, index)?)
    }

    /// The word of an element of a vector of offsets.
    fn element(&self, field: usize, index: usize) -> Option<u32> {
        let start = self.words.follow(self.field(field)?)?;
        let index =
            u32::try_from(index).ok().filter(|&index| self.words.word(start).is_some_and(|n| index < n))?;
        start.checked_add(1)?.checked_add(index)
    }
}
