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
    fn slice(self, at: u32, len: u32) -> Result<&'a [u8], Error> {
        let end = at.checked_add(len).ok_or(Error::Offset { at })?;
        self.0.get(at as usize..end as usize).ok_or(Error::Offset { at })
    }

    pub(crate) fn u32(self, at: u32) -> Result<u32, Error> {
        match self.slice(at, 4)? {
            &[a, b, c, d] => Ok(u32::from_le_bytes([a, b, c, d])),
            _ => Err(Error::Offset { at }),
        }
    }

    fn u16(self, at: u32) -> Result<u16, Error> {
        match self.slice(at, 2)? {
            &[a, b] => Ok(u16::from_le_bytes([a, b])),
            _ => Err(Error::Offset { at }),
        }
    }

    /// The table that the offset at `at` points to.
    pub(crate) fn table(self, at: u32) -> Result<Table<'a>, Error> {
        let start = at.checked_add(self.u32(at)?).ok_or(Error::Offset { at })?;
        let vtable = start.wrapping_sub(self.u32(start)?);
        let vtable_size = self.u16(vtable)?;
        let table_size = self.u16(vtable.wrapping_add(2))?;
        let places = bytemuck::try_cast_slice(self.slice(vtable, vtable_size.into())?);
        let places = places.map_err(|_| Error::Offset { at: vtable })?;
        self.slice(start, table_size.into())?;
        Ok(Table { bytes: self, start, places, table_size })
    }

    /// The elements of the vector whose offset is at `at`, as they lie in the file.
    #[inline(always)]
    fn vector<T: Pod>(self, at: u32) -> Result<&'a [T], Error> {
        let bytes = self.vector_bytes(at, size_of::<T>() as u32)?;
        bytemuck::try_cast_slice(bytes).map_err(|_| Error::Offset { at })
    }

    /// The bytes of a vector of elements of this size; one copy of it serves every type.
    #[inline(never)]
    fn vector_bytes(self, at: u32, element: u32) -> Result<&'a [u8], Error> {
        let start = at.checked_add(self.u32(at)?).ok_or(Error::Offset { at })?;
        let size = self.u32(start)?.checked_mul(element).ok_or(Error::Offset { at })?;
        self.slice(start.wrapping_add(4), size)
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
    /// Position in the file of field number `field` of `size` bytes, or `None` if it is absent.
    pub(crate) fn field(self, field: u16, size: u16) -> Result<Option<u32>, Error> {
        let place = match self.places.get(usize::from(field) + 2) {
            None | Some(0) => return Ok(None),
            Some(&place) => place,
        };
        if place.checked_add(size).is_none_or(|end| end > self.table_size) {
            return Err(Error::Offset { at: self.start });
        }
        Ok(Some(self.start.wrapping_add(place.into())))
    }

    /// A 32-bit scalar; 0, the default, if it is absent.
    pub(crate) fn u32(self, field: u16) -> Result<u32, Error> {
        self.field(field, 4)?.map_or(Ok(0), |at| self.bytes.u32(at))
    }

    /// An 8-bit scalar; 0, the default, if it is absent.
    pub(crate) fn u8(self, field: u16) -> Result<u8, Error> {
        let at = self.field(field, 1)?;
        Ok(at.and_then(|at| self.bytes.0.get(at as usize)).copied().unwrap_or(0))
    }

    /// A vector of scalars or structs; empty if it is absent.
    #[inline(always)]
    pub(crate) fn vector<T: Pod>(self, field: u16) -> Result<&'a [T], Error> {
        self.field(field, 4)?.map_or(Ok(&[]), |at| self.bytes.vector(at))
    }

    /// A table inside this one, if it is present.
    pub(crate) fn table(self, field: u16) -> Result<Option<Table<'a>>, Error> {
        self.field(field, 4)?.map(|at| self.bytes.table(at)).transpose()
    }

    /// A string, if it is present and valid UTF-8.
    pub(crate) fn string(self, field: u16) -> Option<&'a str> {
        core::str::from_utf8(self.vector(field).ok()?).ok()
    }

    /// The string at `index` of a vector of strings, if it is present and valid UTF-8.
    pub(crate) fn string_at(self, field: u16, index: usize) -> Option<&'a str> {
        let at = self.field(field, 4).ok()??;
        let offsets: &[u32] = self.bytes.vector(at).ok()?;
        offsets.get(index)?;
        let start = at.checked_add(self.bytes.u32(at).ok()?)?.checked_add(4)?;
        let element = start.checked_add(u32::try_from(index).ok()?.checked_mul(4)?)?;
        core::str::from_utf8(self.bytes.vector(element).ok()?).ok()
    }
}
