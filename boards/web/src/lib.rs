//! The interpreter as WebAssembly: a few functions over numbers, which `js/ferrolite.js` makes a model of.
//!
//! A program of JavaScript writes a file into memory that [`take`] has given, [`open`]s it, and then reads what it
//! needs to know of the model as JSON ([`facts`]). Inputs and outputs are read and written where they lie, in the
//! module's memory; they move nowhere while the model is open. A model that is refused leaves a sentence ([`message`]).
//!
//! Nothing that is passed here is trusted, but handles and pointers, which only `js/ferrolite.js` makes.

mod json;
mod net;

use std::cell::RefCell;

use net::Net;

thread_local! {
    /// What went wrong last, or what was asked for: text for JavaScript to read.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps a text for [`text`], and returns its bytes.
fn keep(text: String) -> usize {
    TEXT.with_borrow_mut(|kept| {
        *kept = text;
        kept.len()
    })
}

/// Where the text is that the last function has left.
#[unsafe(no_mangle)]
pub extern "C" fn text() -> *const u8 {
    TEXT.with_borrow(|kept| kept.as_ptr())
}

/// Memory for a file of so many bytes, at a multiple of 16; [`open`] or [`give_back`] takes it back. Null where there is
/// none.
#[unsafe(no_mangle)]
pub extern "C" fn take(bytes: usize) -> *mut u8 {
    net::take(bytes)
}

/// Takes memory back that no model was opened in.
///
/// # Safety
/// The memory is [`take`]'s, of so many bytes, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn give_back(memory: *mut u8, bytes: usize) {
    // SAFETY: as the caller promises.
    unsafe { net::give_back(memory, bytes) }
}

/// Verifies a file and makes it a model. Null where it is refused; a sentence of as many bytes as [`refused`] says is
/// then at [`text`]. The file's memory belongs to the model, or is given back.
///
/// # Safety
/// The memory is [`take`]'s, of so many bytes, and holds the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(memory: *mut u8, bytes: usize) -> *mut Net {
    // SAFETY: as the caller promises.
    match unsafe { Net::open(memory, bytes) } {
        Ok(net) => {
            keep(String::new());
            Box::into_raw(net)
        }
        Err(error) => {
            keep(error.to_string());
            std::ptr::null_mut()
        }
    }
}

/// Bytes of the sentence that the last failure has left.
#[unsafe(no_mangle)]
pub extern "C" fn refused() -> usize {
    TEXT.with_borrow(String::len)
}

/// Closes a model; its memory is free again.
///
/// # Safety
/// The handle is [`open`]'s, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(net: *mut Net) {
    // SAFETY: as the caller promises.
    drop(unsafe { Box::from_raw(net) });
}

/// What is in a model, as JSON; returns the bytes of it, at [`text`].
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn facts(net: *mut Net) -> usize {
    // SAFETY: as the caller promises.
    keep(json::facts(unsafe { &*net }.model()))
}

/// Where an input lies, to be written before each inference; null where there is no such input.
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn input(net: *mut Net, index: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { &mut *net }.input(index)
}

/// Where an output lies after an inference; null before one, and where there is no such output.
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn output(net: *mut Net, index: usize) -> *const u8 {
    // SAFETY: as the caller promises.
    unsafe { &*net }.output(index)
}

/// Runs the whole program: 0, or 1 where an input was not written, with a sentence at [`text`].
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn invoke(net: *mut Net) -> u32 {
    // SAFETY: as the caller promises.
    match unsafe { &mut *net }.invoke() {
        Ok(()) => 0,
        Err(error) => {
            keep(error.to_string());
            1
        }
    }
}

/// Runs the next op: its number, -1 after the last one, or -2 where an input was not written.
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn step(net: *mut Net) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { &mut *net }.step() {
        Ok(Some(index)) => i32::from(index),
        Ok(None) => -1,
        Err(error) => {
            keep(error.to_string());
            -2
        }
    }
}

/// Gives all state its first value.
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reset(net: *mut Net) {
    // SAFETY: as the caller promises.
    unsafe { &mut *net }.reset();
}

/// Where the state lies, as many bytes as [`facts`] says; null in the middle of an inference. It may be read, and written
/// with what was read there.
///
/// # Safety
/// The handle is [`open`]'s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn state(net: *mut Net) -> *const u8 {
    // SAFETY: as the caller promises.
    unsafe { &*net }.state()
}

/// Goes on from a state: 0, or 1 where it has another number of bytes.
///
/// # Safety
/// The handle is [`open`]'s; the memory is [`take`]'s, of so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn restore(net: *mut Net, memory: *const u8, bytes: usize) -> u32 {
    // SAFETY: as the caller promises.
    let (net, state) = unsafe { (&mut *net, std::slice::from_raw_parts(memory, bytes)) };
    match net.restore(state) {
        Ok(()) => 0,
        Err(error) => {
            keep(error.to_string());
            1
        }
    }
}

/// Tells how the module was built: 1 where it has vector instructions.
#[unsafe(no_mangle)]
pub extern "C" fn vectors() -> u32 {
    u32::from(cfg!(target_feature = "simd128"))
}
