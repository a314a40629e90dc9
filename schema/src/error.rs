//! Why a file was refused.

use crate::{FORMAT_VERSION, RUNTIME_LEVEL};

/// Why [`Model::from_bytes`](crate::Model::from_bytes) refused a file. Small and `Copy`: the
/// numbers are those a person needs to find the fault, the host tool makes sentences of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before what they announce; `needed` is how many the reader wanted.
    Truncated {
        /// Bytes that the reader needed.
        needed: u32,
    },
    /// The file is larger than the 2 GiB that FlatBuffers can address.
    TooLarge,
    /// The identifier at byte 4 is not `FERO`: this is no Ferrolite model.
    NotAModel,
    /// The bytes do not start at a multiple of 16; `include_model!` aligns it.
    Misaligned,
    /// The file has another format version than [`FORMAT_VERSION`].
    Version {
        /// The file's version.
        found: u32,
    },
    /// The file needs a newer runtime than this one ([`RUNTIME_LEVEL`]).
    RuntimeTooOld {
        /// The level that it needs.
        needed: u32,
    },
    /// A FlatBuffers offset or length at byte `at` leads outside the file or is misaligned.
    Offset {
        /// Position in the file.
        at: u32,
    },
    /// The rounding is an unknown number.
    Rounding {
        /// The number.
        found: u32,
    },
    /// There are no ops, inputs or outputs, or more of them than 32,767, more than 65,535 tensors, or an arena of more
    /// than 1 GiB.
    Counts,
    /// The state is larger than the arena, does not start at a multiple of 16, or lies across the border of two
    /// memories.
    State,
    /// The memories that the arena is divided among are more than [`MAX_MEMORIES`](crate::MAX_MEMORIES), their sizes do not
    /// add up to the arena's, or one ends at no multiple of 16.
    Memories,
    /// A tensor lies across the border of two memories.
    TensorAcross {
        /// Index of the tensor.
        tensor: u16,
    },
    /// Scratch memory of an op lies across the border of two memories.
    ScratchAcross {
        /// Index of the op.
        op: u16,
    },
    /// A tensor's element type or storage is unknown, or its size is no multiple of its element.
    TensorType {
        /// Index of the tensor.
        tensor: u16,
    },
    /// A tensor lies outside its memory or is misaligned for its type, or a tensor of the state lies over the one
    /// before it.
    TensorRange {
        /// Index of the tensor.
        tensor: u16,
    },
    /// A border's tensor, rank or dimensions do not fit together.
    Port {
        /// Index among the inputs, or 32,768 + index among the outputs.
        port: u16,
    },
    /// An op names operands, parameters or scratch that are not there.
    OpRange {
        /// Index of the op.
        op: u16,
    },
    /// An op reads a tensor that nothing has written yet, or behind its last use.
    ReadBeforeWrite {
        /// Index of the op; the number of ops for a model output.
        op: u16,
        /// Index of the tensor.
        tensor: u16,
    },
    /// Tensors are not numbered in the order in which they are written, or nothing writes one.
    WriteOrder {
        /// Index of the op; the number of ops for a tensor that nothing writes.
        op: u16,
        /// Index of the tensor.
        tensor: u16,
    },
    /// An op writes over a tensor that is still to be read.
    Overlap {
        /// Index of the op.
        op: u16,
        /// The tensor that would be damaged.
        tensor: u16,
    },
    /// A program of a file that has several does not lie in the file, or does not share its memory and its constants.
    Entry {
        /// Its number in the file, from 0.
        entry: u16,
    },
    /// Tensors hold data for so many ops, all together, that checking them would take too long: more than
    /// [`MAX_STEPS`](crate::MAX_STEPS).
    TooManySteps {
        /// Index of the op.
        op: u16,
    },
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Error::Truncated { needed } => write!(f, "the file is truncated: {needed} bytes are needed"),
            Error::TooLarge => f.write_str("the file is larger than 2 GiB"),
            Error::NotAModel => f.write_str("this is not a Ferrolite model (no FERO identifier)"),
            Error::Misaligned => f.write_str("the file does not start at a multiple of 16 bytes in memory"),
            Error::Version { found } => {
                write!(
                    f,
                    "format version {found}; this build reads version {FORMAT_VERSION}: make the file anew with `ferrolite convert`"
                )
            }
            Error::RuntimeTooOld { needed } => {
                write!(f, "the model needs runtime level {needed}; this runtime has level {RUNTIME_LEVEL}")
            }
            Error::Offset { at } => write!(f, "the offset or length at byte {at} leads outside the file"),
            Error::Rounding { found } => write!(f, "rounding {found} is unknown"),
            Error::State => f.write_str("the state is larger than the arena, or starts at no multiple of 16"),
            Error::Counts => f.write_str("the model has no ops, inputs or outputs, or too many of them"),
            Error::Memories => f.write_str(
                "the arena's memories are too many, do not add up to the arena, or end at no multiple of 16",
            ),
            Error::TensorAcross { tensor } => {
                write!(f, "tensor {tensor} lies across the border of two memories")
            }
            Error::ScratchAcross { op } => {
                write!(f, "the scratch memory of op {op} lies across the border of two memories")
            }
            Error::TensorType { tensor } => write!(f, "tensor {tensor} has an unknown type or an odd size"),
            Error::TensorRange { tensor } => write!(f, "tensor {tensor} lies outside its memory"),
            Error::Port { port } => match port.checked_sub(0x8000) {
                Some(output) => write!(f, "output {output} has a wrong tensor, rank or shape"),
                None => write!(f, "input {port} has a wrong tensor, rank or shape"),
            },
            Error::OpRange { op } => write!(f, "op {op} names operands, parameters or scratch out of range"),
            Error::ReadBeforeWrite { op, tensor } => {
                write!(f, "op {op} reads tensor {tensor}, which holds no data at that point")
            }
            Error::WriteOrder { op, tensor } => {
                write!(f, "tensor {tensor}, at op {op}, is not the next one to be written")
            }
            Error::Overlap { op, tensor } => {
                write!(f, "op {op} would overwrite tensor {tensor}, which is still in use")
            }
            Error::Entry { entry } => {
                write!(f, "entry {entry} lies outside the file, or has memory and constants of its own")
            }
            Error::TooManySteps { op } => write!(f, "too many tensors hold data for too long at op {op}"),
        }
    }
}

impl core::error::Error for Error {}
