//! Bounds-checked access to the FlatBuffers container: the root table, its scalars and vectors.
//!
//! Layout (FlatBuffers internals): byte 0 holds the offset of the root table, byte 4 the file
//! identifier. A table starts with the signed distance back to its vtable; the vtable holds its own
//! size, the table's size, and the place of each field in the table, 0 for an absent one. Vectors
//! and strings are a 32-bit length and the elements, reached by an offset relative to the field.

use bytemuck::Pod;

use crate::Error;

/// The file's bytes, at most 2 GiB, so that sums of two offsets never overflow.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    /// All bytes from `at` on.
    fn from(self, at: u32) -> Option<&'a [u8]> {
        self.0.get(at as usize..)
    }

    pub(crate) fn u32(self, at: u32) -> Option<u32> {
        self.from(at)?.first_chunk().map(|&bytes| u32::from_le_bytes(bytes))
    }

    /// The table that the offset at `at` points to.
    pub(crate) fn table(self, at: u32) -> Option<Table<'a>> {
        let start = at.checked_add(self.u32(at)?)?;
        let vtable = self.from(start.wrapping_sub(self.u32(start)?))?;
        let &[a, b, c, d] = vtable.first_chunk()?;
        let places = vtable.get(..u16::from_le_bytes([a, b]).into())?;
        let table_size = u16::from_le_bytes([c, d]);
        self.from(start)?.get(..table_size.into())?;
        Some(Table { bytes: self, start, places: bytemuck::try_cast_slice(places).ok()?, table_size })
    }

    /// The bytes of the vector of elements of this size whose offset is at `at`.
    fn vector_bytes(self, at: u32, element: u32) -> Option<&'a [u8]> {
        let vector = self.from(at.checked_add(self.u32(at)?)?)?;
        let (&count, elements) = vector.split_first_chunk()?;
        elements.get(..u32::from_le_bytes(count).checked_mul(element)? as usize)
    }

    /// The elements of the vector whose offset is at `at`, as they lie in the file.
    fn vector<T: Pod>(self, at: u32) -> Option<&'a [T]> {
        bytemuck::try_cast_slice(self.vector_bytes(at, size_of::<T>() as u32)?).ok()
    }
}

/// A table whose vtable and fields have been found to lie within the file.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: Bytes<'a>,
    start: u32,
    /// The vtable: two sizes, then the place of each field in the table, 0 for an absent one.
    places: &'a [u16],
    table_size: u16,
}

impl<'a> Table<'a> {
    /// Position in the file of field number `field` of `size` bytes, 0 if it is absent, or `None` if it
    /// does not lie in the table.
    #[inline(always)]
    fn place(&self, field: u16, size: u16) -> Option<u32> {
        let place = self.places.get(usize::from(field) + 2).copied().unwrap_or(0);
        if place == 0 {
            return Some(0);
        }
        let room = self.table_size.checked_sub(size)?;
        (place <= room).then(|| self.start.wrapping_add(place.into()))
    }

    /// Position in the file of field number `field` of `size` bytes, if it is present.
    pub(crate) fn field(&self, field: u16, size: u16) -> Option<u32> {
        self.place(field, size).filter(|&at| at != 0)
    }

    /// The fault of a field that leads outside the file.
    #[cold]
    #[inline(never)]
    fn fault(&self, field: u16) -> Error {
        Error::Offset { at: self.place(field, 1).unwrap_or(self.start) }
    }

    /// A 32-bit scalar; 0, the default, if it is absent.
    pub(crate) fn u32(&self, field: u16) -> Result<u32, Error> {
        match self.place(field, 4) {
            Some(0) => Ok(0),
            place => place.and_then(|at| self.bytes.u32(at)).ok_or_else(|| self.fault(field)),
        }
    }

    /// An 8-bit scalar; 0, the default, if it is absent or lies outside the table.
    pub(crate) fn u8(&self, field: u16) -> u8 {
        let byte = |at| self.bytes.0.get(at as usize).copied();
        self.field(field, 1).and_then(byte).unwrap_or(0)
    }

    /// A vector of scalars or structs; empty if it is absent.
    #[inline(always)]
    pub(crate) fn vector<T: Pod>(&self, field: u16) -> Result<&'a [T], Error> {
        let bytes = self.vector_bytes(field, size_of::<T>() as u32);
        let elements = bytes.and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
        elements.ok_or_else(|| self.fault(field))
    }

    /// The bytes of a vector of elements of this size; one copy of it serves every type.
    #[inline(never)]
    fn vector_bytes(&self, field: u16, element: u32) -> Option<&'a [u8]> {
        match self.place(field, 4)? {
            0 => Some(&[]),
            at => self.bytes.vector_bytes(at, element),
        }
    }

    /// A table inside this one, if it is present.
    pub(crate) fn table(&self, field: u16) -> Option<Table<'a>> {
        self.bytes.table(self.field(field, 4)?)
    }

    /// A string, if it is present and valid UTF-8.
    pub(crate) fn string(&self, field: u16) -> Option<&'a str> {
        core::str::from_utf8(self.vector(field).ok()?).ok()
    }

    /// The string at `index` of a vector of strings, if it is present and valid UTF-8.
    pub(crate) fn string_at(&self, field: u16, index: usize) -> Option<&'a str> {
        let at = self.field(field, 4)?;
        let offsets: &[u32] = self.bytes.vector(at)?;
        offsets.get(index)?;
        let start = at.checked_add(self.bytes.u32(at)?)?.checked_add(4)?;
        let element = start.checked_add(u32::try_from(index).ok()?.checked_mul(4)?)?;
        core::str::from_utf8(self.bytes.vector(element)?).ok()
    }
}
