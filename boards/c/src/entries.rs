//! Entry points: several programs of one model, on one state.

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;

use ferrolite_runtime::{Entry, Error};

use crate::error::ferrolite_error::{self, *};
use crate::net::{ferrolite_net, with};

/// Words of an entry, some of them to spare.
pub const FERROLITE_ENTRY_WORDS: usize = 24;

/// An entry point of a model, checked: `ferrolite_find_entry` makes it, once. The words are the library's; an entry may be
/// copied, and serves as long as the net's model stays where it is.
#[repr(C)]
pub struct ferrolite_entry {
    words: [MaybeUninit<usize>; FERROLITE_ENTRY_WORDS],
}

/// What the words are.
#[repr(C)]
struct Found {
    mark: u32,
    entry: MaybeUninit<Entry<'static>>,
}

// Memory that the caller has zeroed, or that held something else, should not look like an entry.
const FOUND: u32 = 0xFE22_0119;

const _: () = {
    assert!(size_of::<Found>() <= size_of::<ferrolite_entry>());
    assert!(align_of::<Found>() <= align_of::<ferrolite_entry>());
};

/// Checks the entry point of this name, which ends in a 0, and writes it to `entry`. That takes about the time of
/// `ferrolite_bind`, so keep it.
///
/// Errors: FERROLITE_NO_SUCH_ENTRY, FERROLITE_OPERATOR_MISSING, FERROLITE_MODEL_DAMAGED, FERROLITE_OP_DAMAGED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_find_entry(
    net: Option<&mut ferrolite_net>,
    name: *const c_char,
    entry: Option<&mut ferrolite_entry>,
) -> ferrolite_error {
    let Some(entry) = entry.filter(|_| !name.is_null()) else { return FERROLITE_NULL };
    // SAFETY: the words have room for it and are aligned, as asserted above, and may be uninitialised.
    let found: &mut MaybeUninit<Found> = unsafe { &mut *entry.words.as_mut_ptr().cast() };
    let found = found.write(Found { mark: 0, entry: MaybeUninit::uninit() });
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    let answer = with(net, |net| {
        found.entry.write(net.entry(name.to_str().map_err(|_| Error::NoSuchName)?)?);
        found.mark = FOUND;
        Ok(())
    });
    if answer == FERROLITE_NO_SUCH_PORT { FERROLITE_NO_SUCH_ENTRY } else { answer }
}

/// Goes over to an entry point of the net's model: what is set, run and read from now on is its own. The state stays what it
/// is, inputs have to be written, and outputs of the program before can be read no longer. A net begins with the model's
/// first program.
///
/// Errors: FERROLITE_RUNNING, and FERROLITE_NO_SUCH_ENTRY where the entry is another model's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_enter(
    net: Option<&mut ferrolite_net>,
    entry: Option<&ferrolite_entry>,
) -> ferrolite_error {
    let Some(entry) = entry else { return FERROLITE_NULL };
    let found: *const Found = entry.words.as_ptr().cast();
    // SAFETY: a read of memory that the caller has given. It may hold anything: then it is compared with the mark.
    if unsafe { (&raw const (*found).mark).read_volatile() } != FOUND {
        return FERROLITE_NO_SUCH_ENTRY;
    }
    // SAFETY: the mark says that it was written.
    let entry = unsafe { (*found).entry.assume_init_ref() };
    let mut other = false;
    let answer = with(net, |net| match net.enter(entry) {
        Err(Error::OtherEntry) => {
            other = true;
            Ok(())
        }
        answer => answer,
    });
    if other { FERROLITE_NO_SUCH_ENTRY } else { answer }
}
