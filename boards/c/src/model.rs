//! A model's file and its operators, and what can be known of them before they run.

use core::ffi::c_void;
use core::mem::offset_of;
use core::slice;

use ferrolite_runtime::{Error, Model, OpSet, Operator, check};

use crate::error::ferrolite_error::{self, *};
use crate::error::{code_of, ferrolite_detail};

/// An operator of the library, with the functions that check and run it. Lists of them are written by
/// `ferrolite convert --c`, with the macros FERROLITE_DECLARE_OPERATOR and FERROLITE_OPERATOR; nothing else may fill one.
#[repr(C)]
pub struct ferrolite_operator {
    /// Number of the operator in files.
    pub code: u16,
    /// Checks an op.
    pub check: Option<unsafe extern "C" fn()>,
    /// Runs an op.
    pub eval: Option<unsafe extern "C" fn()>,
    /// Says how far an output may lie over an input.
    pub lead: Option<unsafe extern "C" fn()>,
}

// A list of operators in C is one in Rust.
const _: () = {
    assert!(size_of::<ferrolite_operator>() == size_of::<Operator>());
    assert!(align_of::<ferrolite_operator>() == align_of::<Operator>());
    assert!(offset_of!(ferrolite_operator, code) == offset_of!(Operator, code));
    assert!(offset_of!(ferrolite_operator, check) == offset_of!(Operator, check));
    assert!(offset_of!(ferrolite_operator, eval) == offset_of!(Operator, eval));
    assert!(offset_of!(ferrolite_operator, lead) == offset_of!(Operator, lead));
};

/// A model and the operators that run it. `ferrolite convert --c` writes one for each model; both parts have to stay where
/// they are, unchanged, as long as a net is bound to them.
#[repr(C)]
pub struct ferrolite_program {
    /// The bytes of the .ferro file, from a multiple of 16 on. They may lie in flash.
    pub model: *const c_void,
    /// Number of bytes.
    pub model_bytes: usize,
    /// The operators, in the order of their codes.
    pub operators: *const ferrolite_operator,
    /// Number of operators.
    pub operator_count: usize,
}

/// What a model needs and has.
#[repr(C)]
pub struct ferrolite_facts {
    /// Bytes of the arena, which starts at a multiple of 16.
    pub arena_bytes: usize,
    /// Bytes that one inference leaves to the next; 0 for a model without state.
    pub state_bytes: usize,
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Number of ops, each of which is one `ferrolite_step`.
    pub ops: usize,
    /// A bound on the time of one inference on any core: products of two elements, cells of windows and moved bytes, at
    /// most. Compare it with what is affordable before a file of unknown origin runs.
    pub work: u64,
    /// Whether the weights are packed for the core of this library, or for none. Another core's run slowly or not at all.
    pub suits_core: bool,
}

/// The parts of a program as slices; `None` where a pointer is null or a size impossible.
pub fn parts(program: Option<&ferrolite_program>) -> Option<(&'static [u8], OpSet)> {
    let program = program?;
    let most = isize::MAX as usize;
    let count = program.operator_count;
    let empty = program.model.is_null() || program.operators.is_null();
    if empty || program.model_bytes > most || count > most / size_of::<Operator>() {
        return None;
    }
    // SAFETY: the caller says that so many bytes and operators lie there, and stay. An operator in C has the layout of
    // one in Rust, as asserted above, and its functions are those that `operators.rs` exports for it.
    Some(unsafe {
        (
            slice::from_raw_parts(program.model.cast(), program.model_bytes),
            slice::from_raw_parts(program.operators.cast(), count),
        )
    })
}

/// Checks a model and all of its ops without binding memory, and writes what it needs to `facts`, which may be null.
/// Whatever the bytes are, nothing outside of them is read, and the time is bounded by their number. `ferrolite_bind` does
/// the same check: this is for files that came from elsewhere, before the one in use is given up for them.
///
/// Errors: those of the file and its ops, from FERROLITE_NOT_A_MODEL to FERROLITE_OTHER_CORE.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_verify(
    program: Option<&ferrolite_program>,
    facts: Option<&mut ferrolite_facts>,
) -> ferrolite_error {
    let Some((file, ops)) = parts(program) else { return FERROLITE_NULL };
    match verify(file, ops) {
        Ok(model) => {
            if let Some(facts) = facts {
                *facts = ferrolite_facts {
                    arena_bytes: model.arena_bytes(),
                    state_bytes: model.state_bytes(),
                    inputs: model.inputs().len(),
                    outputs: model.outputs().len(),
                    ops: model.ops().len(),
                    work: model.work(),
                    suits_core: model.suits(),
                };
            }
            FERROLITE_OK
        }
        Err(error) => code_of(error, &mut ferrolite_detail::default()),
    }
}

fn verify(file: &'static [u8], ops: OpSet) -> Result<Model<'static>, Error> {
    let model = Model::from_bytes(file)?;
    check(&model, ops)?;
    Ok(model)
}

/// Whether the file's CRC-32 is that of its bytes: a check for damaged flash or a broken transfer. It reads every byte,
/// so it takes longer than binding.
///
/// Errors: FERROLITE_CHECKSUM, and those of `ferrolite_verify` for files that cannot be read.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_checksum(program: Option<&ferrolite_program>) -> ferrolite_error {
    let Some((file, _)) = parts(program) else { return FERROLITE_NULL };
    match Model::from_bytes(file) {
        Ok(model) if model.checksum_matches() => FERROLITE_OK,
        Ok(_) => FERROLITE_CHECKSUM,
        Err(error) => code_of(error.into(), &mut ferrolite_detail::default()),
    }
}
