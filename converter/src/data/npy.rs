//! NumPy arrays in memory, and a reader for `.npy` files that does not trust them.
//!
//! A `.npy` file consists of a magic word, a version, the length of a header, the header (a Python dictionary
//! literal with `descr`, `fortran_order` and `shape`) and the elements
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>). The header is parsed here
//! rather than by a library because a hostile one claims gigabytes, overflowing shapes or deeply nested
//! brackets: its length is limited, it is scanned without recursion, and memory for elements is allocated as
//! they are read, not in advance.

use std::fmt;
use std::io::{self, Read};

use half::f16;

use crate::error::{Error, Result};
use crate::graph::DType;

/// Longest header that is read. NumPy itself refuses headers above 10 000 characters.
const HEADER_LIMIT: usize = 64 * 1024;

/// Element types of arrays that hold numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names are NumPy's.
pub enum Element {
    Bool,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Float16,
    Float32,
    Float64,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Element::Bool | Element::Int8 | Element::UInt8 => 1,
            Element::Int16 | Element::UInt16 | Element::Float16 => 2,
            Element::Int32 | Element::UInt32 | Element::Float32 => 4,
            Element::Int64 | Element::UInt64 | Element::Float64 => 8,
        }
    }

    /// NumPy's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Element::Bool => "bool",
            Element::Int8 => "int8",
            Element::UInt8 => "uint8",
            Element::Int16 => "int16",
            Element::UInt16 => "uint16",
            Element::Int32 => "int32",
            Element::UInt32 => "uint32",
            Element::Int64 => "int64",
            Element::UInt64 => "uint64",
            Element::Float16 => "float16",
            Element::Float32 => "float32",
            Element::Float64 => "float64",
        }
    }

    /// Whether elements are real numbers rather than integers.
    pub fn is_float(self) -> bool {
        matches!(self, Element::Float16 | Element::Float32 | Element::Float64)
    }

    /// The type for a NumPy `descr` without its byte order mark: `f4`, `i1`, ….
    fn from_code(code: &str) -> Option<Element> {
        Some(match code {
            "b1" => Element::Bool,
            "i1" => Element::Int8,
            "u1" => Element::UInt8,
            "i2" => Element::Int16,
            "u2" => Element::UInt16,
            "i4" => Element::Int32,
            "u4" => Element::UInt32,
            "i8" => Element::Int64,
            "u8" => Element::UInt64,
            "f2" => Element::Float16,
            "f4" => Element::Float32,
            "f8" => Element::Float64,
            _ => return None,
        })
    }
}

/// The contents of an array's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// NumPy's type description: `<f4`, `|i1`, `<U45`, ….
    pub descr: String,
    /// Element type; `None` for arrays of text, objects and records.
    pub element: Option<Element>,
    big_endian: bool,
    fortran_order: bool,
}

impl Header {
    /// The header of rows of little-endian elements.
    pub(super) fn of(element: Element, shape: Vec<usize>) -> Header {
        Header {
            shape,
            descr: element.name().into(),
            element: Some(element),
            big_endian: false,
            fortran_order: false,
        }
    }

    /// Reads magic word, version and header, so that the reader is at the first element.
    pub fn read(reader: &mut (impl Read + ?Sized)) -> Result<Header> {
        let cut_off = |e: io::Error| Error::input("its header is cut off").caused_by(e);
        let mut start = [0u8; 8];
        reader
            .read_exact(&mut start)
            .map_err(|e| Error::input("not a NumPy array: it is too short").caused_by(e))?;
        if &start[..6] != b"\x93NUMPY" {
            return Err(Error::input("not a NumPy array: it does not start with NumPy's magic word"));
        }
        let length = match start[6] {
            1 => {
                let mut bytes = [0; 2];
                reader.read_exact(&mut bytes).map_err(cut_off)?;
                usize::from(u16::from_le_bytes(bytes))
            }
            2 | 3 => {
                let mut bytes = [0; 4];
                reader.read_exact(&mut bytes).map_err(cut_off)?;
                u32::from_le_bytes(bytes) as usize
            }
            version => {
                return Err(Error::input(format!(
                    "NumPy format version {version} is not known (1 to 3 are)"
                )));
            }
        };
        if length > HEADER_LIMIT {
            let message = format!("its header claims {length} bytes; at most {HEADER_LIMIT} are read");
            return Err(Error::input(message));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(cut_off)?;
        let text = String::from_utf8_lossy(&text);
        Header::parse(&text).ok_or_else(|| Error::input("its header is not a NumPy header"))
    }

    fn parse(text: &str) -> Option<Header> {
        let order = entry(text, "fortran_order")?;
        let fortran_order = if order.starts_with("True") {
            true
        } else if order.starts_with("False") {
            false
        } else {
            return None;
        };
        let dimensions = entry(text, "shape")?.strip_prefix('(')?;
        let dimensions = &dimensions[..dimensions.find(')')?];
        let shape = dimensions
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
            .map(|d| d.trim_end_matches('L').parse().ok())
            .collect::<Option<Vec<usize>>>()?;

        let descr = entry(text, "descr")?;
        let quote = descr.chars().next()?;
        let descr = match quote {
            '\'' | '"' => descr[1..].split(quote).next()?.to_string(),
            _ => "record".to_string(),
        };
        let big_endian = descr.starts_with('>');
        let element = Element::from_code(descr.trim_start_matches(['<', '>', '|', '=']));
        Some(Header { shape, descr, element, big_endian, fortran_order })
    }

    /// Whether the first index runs fastest, so that the elements of a row are not contiguous.
    pub fn is_fortran(&self) -> bool {
        self.fortran_order && self.shape.len() > 1
    }

    /// Whether the bytes of an element are in big-endian order.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Bytes of all elements; `None` for arrays that do not hold numbers, and on overflow.
    pub fn bytes(&self) -> Option<usize> {
        elements(&self.shape)?.checked_mul(self.element?.size())
    }

    /// Name of the element type for messages, including types that hold no numbers.
    pub fn type_name(&self) -> &str {
        match self.element {
            Some(element) => element.name(),
            None => &self.descr,
        }
    }
}

/// The start of a `.npy` file of row-major, little-endian elements, as NumPy writes it. The elements then
/// start at a multiple of 64 bytes.
pub fn start(dtype: DType, shape: &[usize]) -> Vec<u8> {
    let code = match dtype {
        DType::Bool => "|b1",
        DType::Int8 => "|i1",
        DType::UInt8 => "|u1",
        DType::Int16 => "<i2",
        DType::Int32 => "<i4",
        DType::Int64 => "<i8",
        DType::Float32 => "<f4",
    };
    // A tuple of one element needs its comma.
    let dimensions: String = shape.iter().map(|d| format!("{d}, ")).collect();
    let mut text =
        format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({}), }}", dimensions.trim_end());
    const BEFORE: usize = 10;
    let spaces = (BEFORE + text.len() + 1).next_multiple_of(64) - (BEFORE + text.len() + 1);
    text.extend(std::iter::repeat_n(' ', spaces));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    // Shapes have at most a few dimensions: the length fits.
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// The text that follows `'key':` in a header.
fn entry<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
    text[at + key.len() + 2..].trim_start().strip_prefix(':').map(str::trim_start)
}

/// An array of numbers: row-major, elements in little-endian bytes.
#[derive(Clone, PartialEq)]
pub struct Array {
    element: Element,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array({} {})", shape_text(&self.shape), self.element.name())
    }
}

impl Array {
    /// Reads a `.npy` stream from its first byte.
    pub fn read(mut reader: impl Read) -> Result<Array> {
        let header = Header::read(&mut reader)?;
        Array::read_elements(&header, reader)
    }

    /// Reads the elements that follow a header.
    pub fn read_elements(header: &Header, reader: impl Read) -> Result<Array> {
        let Some(element) = header.element else {
            return Err(Error::input(format!("its elements are not numbers but `{}`", header.descr)));
        };
        let too_large = || Error::input(format!("its shape {} is too large", shape_text(&header.shape)));
        let elements = elements(&header.shape).ok_or_else(too_large)?;
        let size = elements.checked_mul(element.size()).ok_or_else(too_large)?;
        let mut bytes = Vec::new();
        reader
            .take(size as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::input(format!("its elements cannot be read: {e}")).caused_by(e))?;
        if bytes.len() < size {
            let there = bytes.len();
            return Err(Error::input(format!(
                "it is cut off: {there} of {size} bytes of elements are there"
            )));
        }
        if header.big_endian {
            bytes.chunks_exact_mut(element.size()).for_each(<[u8]>::reverse);
        }
        if header.is_fortran() {
            bytes = to_row_major(&bytes, &header.shape, element.size());
        }
        Ok(Array { element, shape: header.shape.clone(), bytes })
    }

    /// An array of float32 elements; `None` when shape and number of elements differ.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Option<Array> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        (elements(&shape)? == values.len()).then_some(Array { element: Element::Float32, shape, bytes })
    }

    /// An array of as many elements as its shape says.
    pub(super) fn of(element: Element, shape: Vec<usize>, bytes: Vec<u8>) -> Array {
        Array { element, shape, bytes }
    }

    /// Arrays of one shape and type as the rows of one.
    pub(super) fn stacked(rows: Vec<Array>) -> Array {
        let inner = rows.first().map_or(&[][..], |row| &row.shape);
        let shape = [&[rows.len()], inner].concat();
        let element = rows.first().map_or(Element::Float32, |row| row.element);
        Array { element, shape, bytes: rows.into_iter().flat_map(|row| row.bytes).collect() }
    }

    /// Element type.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Length of the first dimension, which counts samples; 0 for a single number.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// The bytes of one sample.
    ///
    /// # Panics
    /// If there are not that many rows.
    pub fn row_bytes(&self, row: usize) -> &[u8] {
        let size = self.bytes.len() / self.rows();
        &self.bytes[row * size..][..size]
    }

    /// The elements of one sample as float32.
    ///
    /// # Panics
    /// If there are not that many rows.
    pub fn row_f32(&self, row: usize) -> Vec<f32> {
        to_f32(self.element, self.row_bytes(row))
    }

    /// The elements of one sample as integers; `None` for an array of floats and for numbers
    /// beyond `i64`.
    ///
    /// # Panics
    /// If there are not that many rows.
    pub fn row_i64(&self, row: usize) -> Option<Vec<i64>> {
        to_i64(self.element, self.row_bytes(row))
    }
}

/// Little-endian elements as float32.
pub(super) fn to_f32(element: Element, bytes: &[u8]) -> Vec<f32> {
    match element {
        Element::Bool => bytes.iter().map(|&b| f32::from(u8::from(b != 0))).collect(),
        Element::Int8 => bytes.iter().map(|&b| f32::from(b as i8)).collect(),
        Element::UInt8 => bytes.iter().map(|&b| f32::from(b)).collect(),
        Element::Int16 => map(bytes, |b| f32::from(i16::from_le_bytes(b))),
        Element::UInt16 => map(bytes, |b| f32::from(u16::from_le_bytes(b))),
        Element::Int32 => map(bytes, |b| i32::from_le_bytes(b) as f32),
        Element::UInt32 => map(bytes, |b| u32::from_le_bytes(b) as f32),
        Element::Int64 => map(bytes, |b| i64::from_le_bytes(b) as f32),
        Element::UInt64 => map(bytes, |b| u64::from_le_bytes(b) as f32),
        Element::Float16 => map(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Element::Float32 => map(bytes, f32::from_le_bytes),
        Element::Float64 => map(bytes, |b| f64::from_le_bytes(b) as f32),
    }
}

/// Little-endian elements as integers; `None` for floats and for numbers beyond `i64`.
pub(super) fn to_i64(element: Element, bytes: &[u8]) -> Option<Vec<i64>> {
    Some(match element {
        Element::Bool => bytes.iter().map(|&b| i64::from(b != 0)).collect(),
        Element::Int8 => bytes.iter().map(|&b| i64::from(b as i8)).collect(),
        Element::UInt8 => bytes.iter().map(|&b| i64::from(b)).collect(),
        Element::Int16 => map(bytes, |b| i16::from_le_bytes(b).into()),
        Element::UInt16 => map(bytes, |b| u16::from_le_bytes(b).into()),
        Element::Int32 => map(bytes, |b| i32::from_le_bytes(b).into()),
        Element::UInt32 => map(bytes, |b| u32::from_le_bytes(b).into()),
        Element::Int64 => map(bytes, i64::from_le_bytes),
        Element::UInt64 => {
            map(bytes, |b| i64::try_from(u64::from_le_bytes(b))).into_iter().collect::<Result<_, _>>().ok()?
        }
        Element::Float16 | Element::Float32 | Element::Float64 => return None,
    })
}

fn map<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks::<N>();
    elements.iter().map(|&b| f(b)).collect()
}

/// Number of elements of a shape, `None` on overflow.
pub fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &d| product.checked_mul(d))
}

/// A shape for people: `1x28x28x1`, or `scalar` if there are no dimensions.
pub fn shape_text(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "scalar".into();
    }
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// Reorders elements whose first index runs fastest into row-major order.
fn to_row_major(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = vec![size; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0usize; shape.len()];
    while out.len() < bytes.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        out.extend_from_slice(&bytes[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((header.len() as u16).to_le_bytes());
        out.extend(header.as_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn orders_and_types_become_the_same_array() {
        let want = vec![vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]];
        let rows = |a: &Array| vec![a.row_f32(0), a.row_f32(1)];
        let f4: Vec<u8> = [1f32, 2., 3., 4., 5., 6.].iter().flat_map(|v| v.to_le_bytes()).collect();
        let be: Vec<u8> = [1i16, 2, 3, 4, 5, 6].iter().flat_map(|v| v.to_be_bytes()).collect();
        let cases = [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", f4),
            ("{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3), }", be),
            ("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", vec![1, 4, 2, 5, 3, 6]),
        ];
        for (header, data) in cases {
            let array = Array::read(&npy(header, &data)[..]).unwrap();
            assert_eq!(rows(&array), want, "{header}");
        }
    }

    #[test]
    fn hostile_headers_are_refused() {
        let header = |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        let huge = format!("({}, 2)", usize::MAX);
        let deep = "(".repeat(60_000);
        let cases = [
            (npy(&header(&huge), &[0; 8]), "too large"),
            (npy(&header("(1000000000,)"), &[0; 8]), "cut off"),
            (npy(&header("(-1,)"), &[]), "not a NumPy header"),
            (npy(&header(&deep), &[]), "not a NumPy header"),
            (npy("{'descr': '<U45', 'fortran_order': False, 'shape': (1,), }", &[0; 180]), "not numbers"),
            (npy("", &[]), "not a NumPy header"),
            (b"\x93NUMPY\x02\x00\x00\x00\x00\x80{'descr'".to_vec(), "claims 2147483648 bytes"),
            (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "cut off"),
            (b"\x93NUMPY\x09\x00\x01\x00{".to_vec(), "version 9"),
            (b"hello, world".to_vec(), "magic word"),
            (b"hi".to_vec(), "too short"),
        ];
        for (bytes, want) in cases {
            let error = Array::read(&bytes[..]).unwrap_err();
            assert!(error.message.contains(want), "{error} should contain {want}");
        }
    }

    #[test]
    fn what_is_written_begins_as_numpy_would() {
        for (shape, text) in [(vec![], "()"), (vec![5], "(5,)"), (vec![2, 1, 3], "(2, 1, 3,)")] {
            let bytes = start(DType::Int16, &shape);
            assert_eq!(bytes.len() % 64, 0);
            assert!(String::from_utf8_lossy(&bytes).contains(&format!("'shape': {text}, }}")), "{bytes:?}");
            let header = Header::read(&mut &bytes[..]).unwrap();
            assert_eq!((header.shape.clone(), header.element), (shape, Some(Element::Int16)));
            assert_eq!(header.bytes(), Some(2 * elements(&header.shape).unwrap()));
        }
    }

    #[test]
    fn zero_and_scalar_shapes() {
        let header = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let scalar = Array::read(&npy(&header("()"), &[0; 4])[..]).unwrap();
        assert_eq!((scalar.rows(), scalar.shape().len()), (0, 0));
        let empty = Array::read(&npy(&header("(0, 3)"), &[])[..]).unwrap();
        assert_eq!(empty.rows(), 0);
        let no_elements = Array::read(&npy(&header("(3, 0)"), &[])[..]).unwrap();
        assert_eq!(no_elements.row_f32(2), Vec::<f32>::new());
    }
}
