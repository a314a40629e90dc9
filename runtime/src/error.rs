//! What can go wrong, as small `Copy` values.

use ferrolite_schema as schema;

/// Why a model cannot run, or a call was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The file was refused.
    Model(schema::Error),
    /// The file is not the one that the module of `convert --rust` was written for.
    OtherModel,
    /// The arena is smaller than the model needs.
    ArenaTooSmall {
        /// Bytes that the model needs.
        needed: u32,
        /// Bytes that were given.
        found: u32,
    },
    /// One of several memories is smaller than the model needs, or missing.
    MemoryTooSmall {
        /// Its number, from 0.
        memory: u8,
        /// Bytes that the model needs.
        needed: u32,
        /// Bytes that were given.
        found: u32,
    },
    /// The arena does not start at a multiple of 16; [`Arena`](crate::Arena) does.
    ArenaMisaligned,
    /// An inference is more work than was allowed.
    TooMuchWork,
    /// The op set does not hold this operator: pass the `OPS` that the converter wrote for this
    /// model, or `ops::ALL`. A [custom operator](crate::ops::custom) is in neither: it has to be listed beside them.
    UnsupportedOp {
        /// Index of the op.
        op: u16,
        /// Number of its code, an [`OpCode`](crate::OpCode) if this runtime knows it; from
        /// [`CUSTOM`](ferrolite_schema::CUSTOM) on a custom operator's.
        code: u16,
    },
    /// An op's parameters do not fit its operands or its constants.
    Op {
        /// Index of the op.
        op: u16,
        /// What is wrong.
        fault: Fault,
    },
    /// The model has no input, output or variable of this index.
    NoSuchPort {
        /// The index that was asked for.
        index: u16,
    },
    /// The model has no input, output, variable or entry of this name.
    NoSuchName,
    /// The entry is one of another file than the interpreter's.
    OtherEntry,
    /// This input has not been written since the last inference, which may have written over it; or, of inputs behind
    /// the 32nd, before the one that was asked for.
    InputMissing {
        /// Index of the input.
        index: u16,
    },
    /// An inference is under way: inputs, outputs and state are what its ops have left so far. Step until it is
    /// done, or give it up with [`reset`](crate::Interpreter::reset).
    Running {
        /// The op that runs next.
        op: u16,
    },
    /// There is no output: the model has not run since an input was asked for.
    NoOutput,
    /// An input has more or fewer elements than were given.
    WrongLength {
        /// Index of the input.
        index: u16,
        /// Elements of the input.
        needed: u32,
        /// Elements that were given.
        found: u32,
    },
    /// The bytes that a state is saved to or restored from are more or fewer than it has.
    WrongState {
        /// Bytes of the state.
        needed: u32,
        /// Bytes that were given.
        found: u32,
    },
    /// An input or output was asked for in another element type than it has.
    WrongType {
        /// Index of the input or output.
        index: u16,
    },
}

/// What an operator's check found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
// A whole register: what is narrower is widened after each call, and checks are calls.
#[repr(u32)]
pub enum Fault {
    /// Number, storage or element type of the operands.
    Operands,
    /// Number of parameter words, or a parameter that is out of its range.
    Parameters,
    /// The sizes that follow from the parameters are not those of the operands.
    Sizes,
    /// Weights, biases, multipliers or tables that are not within the constants.
    Constants,
    /// Less scratch memory than the op needs.
    Scratch,
    /// An unknown packing tag.
    Packing,
    /// Output and input overlap in a way that this op does not allow.
    Overlap,
    /// Bytes of an output that the op does not write: they would be what was in the arena.
    Unwritten,
    /// A custom op whose hash is not that of the operator's name: another operator has its code.
    Name,
    /// Ops that are skipped together are no branch: they end elsewhere, or what they write is read where they may not
    /// have run.
    Branch,
}

impl From<schema::Error> for Error {
    fn from(error: schema::Error) -> Error {
        Error::Model(error)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Error::Model(error) => error.fmt(f),
            Error::OtherModel => {
                f.write_str("this is not the file that its module was written for: convert the model again")
            }
            Error::ArenaTooSmall { needed, found } => {
                write!(f, "the arena has {found} bytes, the model needs {needed}")
            }
            Error::MemoryTooSmall { memory, needed, found } => {
                write!(f, "memory {memory} has {found} bytes, the model needs {needed} there")
            }
            Error::ArenaMisaligned => f.write_str("the arena does not start at a multiple of 16 bytes"),
            Error::TooMuchWork => f.write_str("an inference is more work than was allowed"),
            Error::UnsupportedOp { op, code } if ferrolite_schema::is_custom(code) => {
                write!(f, "op {op} is a custom operator (code {code:#06x}), which the op set does not hold")
            }
            Error::UnsupportedOp { op, code } => {
                let name = ferrolite_schema::OpCode::from_code(code).map_or("unknown", |code| code.name());
                write!(f, "op {op} is {name} (code {code}), which the op set does not hold")
            }
            Error::Op { op, fault } => write!(f, "op {op}: {}", fault.text()),
            Error::NoSuchPort { index } => write!(f, "the model has no input or output {index}"),
            Error::NoSuchName => {
                f.write_str("the model has no input, output, variable or entry of this name")
            }
            Error::OtherEntry => f.write_str("the entry is of another file than the interpreter's"),
            Error::InputMissing { index } => {
                write!(
                    f,
                    "input {index} was not written since the last inference: write every input before each"
                )
            }
            Error::Running { op } => {
                write!(f, "an inference is under way, before op {op}: step until it is done, or reset")
            }
            Error::NoOutput => {
                f.write_str("there is no output: run the model first, once its inputs are written")
            }
            Error::WrongLength { index, needed, found } => {
                write!(f, "input {index} has {needed} elements, {found} were given")
            }
            Error::WrongState { needed, found } => {
                write!(f, "the state has {needed} bytes, {found} were given")
            }
            Error::WrongType { index } => write!(f, "input or output {index} has another element type"),
        }
    }
}

impl Fault {
    /// The fault in words.
    pub const fn text(self) -> &'static str {
        match self {
            Fault::Operands => "wrong number, storage or type of operands",
            Fault::Parameters => "a parameter is missing or out of range",
            Fault::Sizes => "the parameters do not fit the sizes of the operands",
            Fault::Constants => "weights, biases, multipliers or tables lie outside the constants",
            Fault::Scratch => "too little scratch memory",
            Fault::Packing => "unknown packing of the weights",
            Fault::Overlap => "output and input overlap in a way that this op does not allow",
            Fault::Name => "it is a custom operator of another name than the op set's of the same code",
            Fault::Unwritten => "it leaves bytes of its outputs unwritten, or does not copy them in order",
            Fault::Branch => {
                "it skips ops that are no branch, or whose results are read though they were skipped"
            }
        }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Fault {}

/// The message of an error has that of its source in it: firmware prints one line.
impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::Model(error) => Some(error),
            Error::Op { fault, .. } => Some(fault),
            _ => None,
        }
    }
}
