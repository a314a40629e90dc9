//! A model bound to its memory: running it, and what it keeps from one inference to the next.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::slice;

use ferrolite_runtime::{Error, Interpreter, Model, Step};

use crate::error::ferrolite_error::{self, *};
use crate::error::{code_of, ferrolite_detail};
use crate::model::{ferrolite_program, parts};

/// Words of a net, some of them to spare.
pub const FERROLITE_NET_WORDS: usize = 32;

/// A model bound to its memory, in memory of the caller: a static variable, a member of a struct, a local variable. The
/// words are the library's; a net may be moved with memcpy while no function has it.
///
/// Nets share nothing with one another, and the library has no other state: nets may run in different threads at the
/// same time. One net belongs to one thread, or interrupt, at a time. Several nets may have one arena in turn: each is
/// bound anew, or reset and given its inputs anew, after another has run there.
#[repr(C)]
pub struct ferrolite_net {
    words: [MaybeUninit<usize>; FERROLITE_NET_WORDS],
}

/// What the words are.
#[repr(C)]
struct Bound {
    mark: u32,
    /// Of the last call that failed. Of a net that has either mark.
    detail: ferrolite_detail,
    /// Of a net that is bound.
    net: MaybeUninit<Interpreter<'static>>,
}

// Memory that the caller has zeroed, or that held something else, should not look like a net.
const BOUND: u32 = 0xFE22_0117;
const FAILED: u32 = 0xFE22_0118;

const _: () = {
    assert!(size_of::<Bound>() <= size_of::<ferrolite_net>());
    assert!(align_of::<Bound>() <= align_of::<ferrolite_net>());
};

impl ferrolite_net {
    fn marked(&mut self) -> &mut MaybeUninit<Bound> {
        // SAFETY: the words have room for it and are aligned, as asserted above, and may be uninitialised.
        unsafe { &mut *self.words.as_mut_ptr().cast() }
    }

    fn mark(&mut self) -> u32 {
        // SAFETY: a read of memory that the caller has given. It may hold anything: then it is compared with two marks.
        unsafe { (&raw const (*self.marked().as_ptr()).mark).read_volatile() }
    }
}

/// A net that is bound.
pub struct Net<'n> {
    bound: &'n mut Bound,
}

impl<'n> Net<'n> {
    /// The net behind a pointer, if it is one that is bound.
    #[inline]
    pub fn of(net: Option<&'n mut ferrolite_net>) -> Result<Net<'n>, ferrolite_error> {
        let Some(net) = net else { return Err(FERROLITE_NULL) };
        if net.mark() != BOUND {
            return Err(FERROLITE_NOT_BOUND);
        }
        // SAFETY: `ferrolite_bind` has written mark, detail and interpreter.
        Ok(Net { bound: unsafe { net.marked().assume_init_mut() } })
    }

    pub fn interpreter(self) -> &'n mut Interpreter<'static> {
        // SAFETY: the mark says that it was written.
        unsafe { self.bound.net.assume_init_mut() }
    }
}

/// Calls `f` with the interpreter of a net that is bound, and keeps the numbers of its error.
#[inline]
pub fn with(
    net: Option<&mut ferrolite_net>,
    f: impl FnOnce(&mut Interpreter<'static>) -> Result<(), Error>,
) -> ferrolite_error {
    let net = match Net::of(net) {
        Ok(net) => net,
        Err(error) => return error,
    };
    // SAFETY: the mark says that it was written.
    match f(unsafe { net.bound.net.assume_init_mut() }) {
        Ok(()) => FERROLITE_OK,
        Err(error) => code_of(error, &mut net.bound.detail),
    }
}

/// Checks a model and binds it to an arena: once, before anything runs. The arena starts at a multiple of 16 and has at
/// least the bytes that the model needs (`NAME_ARENA_BYTES`, `ferrolite_facts`). Model, operators and arena have to stay
/// where they are as long as the net is used, and nobody else may write to the arena while an inference is under way,
/// or in a model with state at all. What `net` held before does not matter.
///
/// After this, no call fails for a reason that lies in the file.
///
/// Errors: those of `ferrolite_verify`, FERROLITE_ARENA_TOO_SMALL, FERROLITE_ARENA_MISALIGNED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_bind(
    net: Option<&mut ferrolite_net>,
    program: Option<&ferrolite_program>,
    arena: *mut c_void,
    arena_bytes: usize,
) -> ferrolite_error {
    let (Some(net), Some((file, ops))) = (net, parts(program)) else { return FERROLITE_NULL };
    if arena.is_null() || arena_bytes > isize::MAX as usize {
        return FERROLITE_NULL;
    }
    // SAFETY: the caller says that so many bytes lie there, stay, and are the net's.
    let arena = unsafe { slice::from_raw_parts_mut(arena.cast(), arena_bytes) };
    let bound = net.marked().write(Bound {
        mark: FAILED,
        detail: ferrolite_detail::default(),
        net: MaybeUninit::uninit(),
    });
    let made = match Model::from_bytes(file) {
        Ok(model) => Interpreter::new(&model, ops, arena),
        Err(error) => Err(error.into()),
    };
    match made {
        Ok(made) => {
            bound.net.write(made);
            bound.mark = BOUND;
            FERROLITE_OK
        }
        Err(error) => code_of(error, &mut bound.detail),
    }
}

/// Gives a net up: its model and its arena are the caller's again, and it answers FERROLITE_NOT_BOUND from now on.
/// Nothing has to be given up; a net may as well be forgotten.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_unbind(net: Option<&mut ferrolite_net>) {
    if let Some(net) = net
        && net.mark() == BOUND
    {
        net.words = [MaybeUninit::zeroed(); FERROLITE_NET_WORDS];
    }
}

/// The numbers of the last error that a function answered for this net: how many bytes are needed, which input is
/// missing. All 0 where there was none.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_last_detail(net: Option<&mut ferrolite_net>) -> ferrolite_detail {
    if let Some(net) = net
        && matches!(net.mark(), BOUND | FAILED)
    {
        // SAFETY: a net of either mark has its detail.
        return unsafe { (*net.marked().as_ptr()).detail };
    }
    ferrolite_detail::default()
}

/// One inference: runs all ops. Every input has to have been written since the last one, because ops write over inputs
/// that they have read.
///
/// Errors: FERROLITE_INPUT_MISSING, FERROLITE_RUNNING.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_run(net: Option<&mut ferrolite_net>) -> ferrolite_error {
    with(net, Interpreter::invoke)
}

/// Runs the next op, the first one where no inference is under way, so that other work can be done in between. `done`,
/// which may be null, gets whether that was the last op: then outputs can be read.
///
/// Errors: FERROLITE_INPUT_MISSING.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_step(
    net: Option<&mut ferrolite_net>,
    done: Option<&mut bool>,
) -> ferrolite_error {
    with(net, |net| {
        let last = net.step()? == Step::Done;
        if let Some(done) = done {
            *done = last;
        }
        Ok(())
    })
}

/// Makes the state what it is before the first inference, and gives up an inference that is under way: its inputs have
/// to be written again.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_reset(net: Option<&mut ferrolite_net>) -> ferrolite_error {
    with(net, |net| {
        net.reset();
        Ok(())
    })
}

/// Bytes of the state, which one inference leaves to the next; 0 for a model without state, and for a net that is not
/// bound.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_state_bytes(net: Option<&mut ferrolite_net>) -> usize {
    Net::of(net).map_or(0, |net| net.interpreter().model().state_bytes())
}

/// Copies the state to `state`, which has `bytes` bytes: exactly those of `ferrolite_state_bytes`, of any alignment.
///
/// Errors: FERROLITE_WRONG_SIZE, FERROLITE_RUNNING.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_save(
    net: Option<&mut ferrolite_net>,
    state: *mut c_void,
    bytes: usize,
) -> ferrolite_error {
    // SAFETY: the caller's promise.
    match unsafe { writable(state, bytes) } {
        Some(state) => with(net, |net| net.save(state)),
        None => FERROLITE_NULL,
    }
}

/// Makes the state what `ferrolite_save` copied, of the same model, and gives up an inference that is under way. Any
/// bytes are safe: those of another model give wrong answers and nothing worse.
///
/// Errors: FERROLITE_WRONG_SIZE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_restore(
    net: Option<&mut ferrolite_net>,
    state: *const c_void,
    bytes: usize,
) -> ferrolite_error {
    // SAFETY: the caller's promise.
    match unsafe { readable(state, bytes) } {
        Some(state) => with(net, |net| net.restore(state)),
        None => FERROLITE_NULL,
    }
}

/// Runs `inferences` inferences on numbers that the library makes up, the same on every core, and compares a sum of all
/// outputs with `sum`, which `ferrolite convert --c` has computed on the host with the same model: whether this build, on
/// this core, with this memory, gives the converter's answers. State is as before the first inference then, at the
/// start and afterwards; an inference that is under way is given up.
///
/// Errors: FERROLITE_SELF_TEST.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_self_test(
    net: Option<&mut ferrolite_net>,
    inferences: u32,
    sum: u32,
) -> ferrolite_error {
    let net = match Net::of(net) {
        Ok(net) => net,
        Err(error) => return error,
    };
    let Bound { net, detail, .. } = net.bound;
    // SAFETY: the mark says that it was written.
    match ferrolite_runtime::self_test::sum(unsafe { net.assume_init_mut() }, inferences) {
        Ok(found) if found == sum => FERROLITE_OK,
        Ok(found) => {
            *detail = ferrolite_detail { index: 0, needed: sum, found };
            FERROLITE_SELF_TEST
        }
        Err(error) => code_of(error, detail),
    }
}

/// Memory of the caller.
///
/// # Safety
/// `bytes` bytes lie at `data`, unless it is null, and are the library's during the call.
pub unsafe fn writable<'a>(data: *mut c_void, bytes: usize) -> Option<&'a mut [u8]> {
    match bytes {
        0 => Some(&mut []),
        _ if data.is_null() || bytes > isize::MAX as usize => None,
        // SAFETY: this function's promise.
        _ => Some(unsafe { slice::from_raw_parts_mut(data.cast(), bytes) }),
    }
}

/// The same, to be read.
///
/// # Safety
/// As for [`writable`].
pub unsafe fn readable<'a>(data: *const c_void, bytes: usize) -> Option<&'a [u8]> {
    // SAFETY: this function's promise; nothing writes through it.
    unsafe { writable(data.cast_mut(), bytes) }.map(|bytes| &*bytes)
}
