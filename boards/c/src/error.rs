//! Errors as numbers, with a sentence for each.

use core::ffi::{CStr, c_char};

use ferrolite_runtime::{Error, Fault};

/// What a function answers: `FERROLITE_OK`, which is 0, or what went wrong. `ferrolite_error_message` has a sentence for
/// each; `ferrolite_last_detail` the numbers that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ferrolite_error {
    /// It worked.
    FERROLITE_OK = 0,
    /// A pointer is null, or a size is beyond what a pointer can have behind it.
    FERROLITE_NULL,
    /// The net has not been bound, or its binding failed.
    FERROLITE_NOT_BOUND,
    /// The bytes are no Ferrolite model.
    FERROLITE_NOT_A_MODEL,
    /// The file ends before what it announces. Detail: `needed` bytes.
    FERROLITE_TRUNCATED,
    /// The file does not start at a multiple of 16 bytes.
    FERROLITE_MODEL_MISALIGNED,
    /// The file has another format version than this library reads. Detail: `found`.
    FERROLITE_MODEL_VERSION,
    /// The file needs a newer library. Detail: `needed`, the level that it needs.
    FERROLITE_LIBRARY_TOO_OLD,
    /// The file contradicts itself: it is damaged, or Ferrolite did not write it.
    FERROLITE_MODEL_DAMAGED,
    /// The file's checksum is not that of its bytes, or it has none.
    FERROLITE_CHECKSUM,
    /// The arena is smaller than the model needs. Detail: bytes `needed` and `found`.
    FERROLITE_ARENA_TOO_SMALL,
    /// The arena does not start at a multiple of 16 bytes.
    FERROLITE_ARENA_MISALIGNED,
    /// The list of operators does not hold one that the model needs. Detail: `index` of the op, `needed` its code.
    FERROLITE_OPERATOR_MISSING,
    /// An op's numbers do not fit its operands or its constants. Detail: `index` of the op, `found` the kind of fault.
    FERROLITE_OP_DAMAGED,
    /// An op's weights are packed for another core, which the operators of the list do not run. Detail: `index`.
    FERROLITE_OTHER_CORE,
    /// The model has no input or output of this number or name. Detail: `index`.
    FERROLITE_NO_SUCH_PORT,
    /// An input or output has another type. Detail: `index`.
    FERROLITE_WRONG_TYPE,
    /// An input, output or state has another size than was given. Detail: `index`, bytes `needed` and `found`.
    FERROLITE_WRONG_SIZE,
    /// An input was not written since the last inference. Detail: `index`.
    FERROLITE_INPUT_MISSING,
    /// An inference is under way. Detail: `index` of the op that runs next.
    FERROLITE_RUNNING,
    /// There is no output: the model has not run since an input was written.
    FERROLITE_NO_OUTPUT,
    /// The self-test gave another sum. Detail: the sums, `needed` and `found`.
    FERROLITE_SELF_TEST,
    /// Anything else.
    FERROLITE_FAILED,
    /// The model has no entry point of this name, or the entry is another model's.
    FERROLITE_NO_SUCH_ENTRY,
}

/// The numbers that go with an error; what is not named at the error is 0.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct ferrolite_detail {
    /// Number of the op, input or output.
    pub index: u32,
    /// What would have been right.
    pub needed: u32,
    /// What was there.
    pub found: u32,
}

use ferrolite_error::*;

/// The error of the runtime as a number, and its details.
#[cold]
#[inline(never)]
pub fn code_of(error: Error, detail: &mut ferrolite_detail) -> ferrolite_error {
    use ferrolite_schema::Error as Refusal;
    let mut told = |index: u32, needed: u32, found: u32| *detail = ferrolite_detail { index, needed, found };
    told(0, 0, 0);
    match error {
        Error::Model(refusal) => match refusal {
            Refusal::NotAModel => FERROLITE_NOT_A_MODEL,
            Refusal::Misaligned => FERROLITE_MODEL_MISALIGNED,
            Refusal::Truncated { needed } => {
                told(0, needed, 0);
                FERROLITE_TRUNCATED
            }
            Refusal::Version { found } => {
                told(0, 0, found);
                FERROLITE_MODEL_VERSION
            }
            Refusal::RuntimeTooOld { needed } => {
                told(0, needed, 0);
                FERROLITE_LIBRARY_TOO_OLD
            }
            _ => FERROLITE_MODEL_DAMAGED,
        },
        Error::ArenaTooSmall { needed, found } => {
            told(0, needed, found);
            FERROLITE_ARENA_TOO_SMALL
        }
        Error::ArenaMisaligned => FERROLITE_ARENA_MISALIGNED,
        Error::UnsupportedOp { op, code } => {
            told(op.into(), code.into(), 0);
            FERROLITE_OPERATOR_MISSING
        }
        Error::Op { op, fault } => {
            told(op.into(), 0, fault as u32);
            if fault == Fault::Packing { FERROLITE_OTHER_CORE } else { FERROLITE_OP_DAMAGED }
        }
        Error::NoSuchPort { index } => {
            told(index.into(), 0, 0);
            FERROLITE_NO_SUCH_PORT
        }
        Error::NoSuchName => FERROLITE_NO_SUCH_PORT,
        Error::InputMissing { index } => {
            told(index.into(), 0, 0);
            FERROLITE_INPUT_MISSING
        }
        Error::Running { op } => {
            told(op.into(), 0, 0);
            FERROLITE_RUNNING
        }
        Error::NoOutput => FERROLITE_NO_OUTPUT,
        Error::WrongLength { index, needed, found } => {
            told(index.into(), needed, found);
            FERROLITE_WRONG_SIZE
        }
        Error::WrongState { needed, found } => {
            told(0, needed, found);
            FERROLITE_WRONG_SIZE
        }
        Error::WrongType { index } => {
            told(index.into(), 0, 0);
            FERROLITE_WRONG_TYPE
        }
        _ => FERROLITE_FAILED,
    }
}

/// An error in words: what is wrong and what to do, one line of ASCII without a line break. Never null, also for numbers
/// that are no error. The text is constant and may be used from any thread. A program that does not call this links no
/// texts.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_error_message(error: u32) -> *const c_char {
    const TEXTS: [(ferrolite_error, &CStr); 24] = [
        (FERROLITE_OK, c"no error"),
        (FERROLITE_NULL, c"a pointer is null, or a size is impossible"),
        (FERROLITE_NOT_BOUND, c"the net is not bound: bind it first, and look at what that answers"),
        (FERROLITE_NOT_A_MODEL, c"this is not a Ferrolite model (no FERO identifier)"),
        (FERROLITE_TRUNCATED, c"the model is truncated: copy all of its bytes"),
        (FERROLITE_MODEL_MISALIGNED, c"the model does not start at a multiple of 16 bytes in memory"),
        (FERROLITE_MODEL_VERSION, c"the model has another format version: make it anew with `ferrolite convert`"),
        (FERROLITE_LIBRARY_TOO_OLD, c"the model needs a newer library"),
        (FERROLITE_MODEL_DAMAGED, c"the model contradicts itself: it is damaged; copy it again or convert it again"),
        (FERROLITE_CHECKSUM, c"the model's checksum does not fit its bytes: it is damaged; copy it again"),
        (FERROLITE_ARENA_TOO_SMALL, c"the arena is smaller than the model needs"),
        (FERROLITE_ARENA_MISALIGNED, c"the arena does not start at a multiple of 16 bytes"),
        (FERROLITE_OPERATOR_MISSING, c"the list of operators lacks one that the model needs: use the list that `ferrolite convert --c` wrote"),
        (FERROLITE_OP_DAMAGED, c"the numbers of an op do not fit its operands: the model is damaged"),
        (FERROLITE_OTHER_CORE, c"the model is packed for another core: convert it with the --target of this library"),
        (FERROLITE_NO_SUCH_PORT, c"the model has no input or output of this number or name"),
        (FERROLITE_WRONG_TYPE, c"the input or output has another element type"),
        (FERROLITE_WRONG_SIZE, c"the input, output or state has another size than was given"),
        (FERROLITE_INPUT_MISSING, c"an input was not written since the last inference: write every input before each"),
        (FERROLITE_RUNNING, c"an inference is under way: step until it is done, or reset"),
        (FERROLITE_NO_OUTPUT, c"there is no output: run the model first, once its inputs are written"),
        (FERROLITE_SELF_TEST, c"the self-test failed: this build gives other answers than the converter"),
        (FERROLITE_FAILED, c"the model cannot run"),
        (FERROLITE_NO_SUCH_ENTRY, c"the model has no entry point of this name, or the entry is another model's"),
    ];
    let found = TEXTS.iter().find(|(known, _)| *known as u32 == error);
    found.map_or(c"an unknown error", |(_, text)| text).as_ptr()
}
