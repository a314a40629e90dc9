//! Element types that a tensor of a `.ferro` file may have.

/// Element type of a tensor. The numbers are part of the file format (`DType` in `model.fbs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum DType {
    /// Signed 8-bit, the type of all activations inside a model.
    Int8 = 0,
    /// Unsigned 8-bit, at the borders of a model only.
    UInt8 = 1,
    /// Signed 16-bit, at the borders of a model only.
    Int16 = 2,
    /// Signed 32-bit: indices, and outputs at the borders.
    Int32 = 3,
    /// IEEE 754 single precision, at the borders of a model only.
    Float32 = 4,
    /// Signed 64-bit, moved but never computed with.
    Int64 = 5,
    /// One byte, 0 or 1.
    Bool = 6,
}

impl DType {
    /// All element types, in the order of their numbers.
    pub const ALL: [DType; 7] =
        [DType::Int8, DType::UInt8, DType::Int16, DType::Int32, DType::Float32, DType::Int64, DType::Bool];

    /// The element type with this number in a file, if there is one.
    pub const fn from_code(code: u8) -> Option<DType> {
        Some(match code {
            0 => DType::Int8,
            1 => DType::UInt8,
            2 => DType::Int16,
            3 => DType::Int32,
            4 => DType::Float32,
            5 => DType::Int64,
            6 => DType::Bool,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::Int8 | DType::UInt8 | DType::Bool => 1,
            DType::Int16 => 2,
            DType::Int32 | DType::Float32 => 4,
            DType::Int64 => 8,
        }
    }

    /// The name that the command line prints and reads: `int8`, `float32`, ….
    pub const fn name(self) -> &'static str {
        match self {
            DType::Int8 => "int8",
            DType::UInt8 => "uint8",
            DType::Int16 => "int16",
            DType::Int32 => "int32",
            DType::Float32 => "float32",
            DType::Int64 => "int64",
            DType::Bool => "bool",
        }
    }
}
