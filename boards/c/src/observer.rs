//! Callbacks around each op: for profilers, traces and checks of single layers.

use core::ffi::{c_char, c_void};

use ferrolite_runtime::{Eval, Node, Observer, Step};

use crate::error::ferrolite_error::{self, *};
use crate::net::{Net, ferrolite_net, with};

/// What an observer is told of an op.
#[repr(C)]
pub struct ferrolite_op {
    /// Its number in the program, from 0.
    pub index: u32,
    /// Number of its operator, as in `ferrolite_operator`.
    pub code: u32,
    /// Its first output, after it has run, to be read during the call; null before.
    pub output: *const c_void,
    /// Bytes of that output.
    pub output_bytes: usize,
}

/// Functions that are called around each op; each may be null. They may call nothing that takes the net.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ferrolite_observer {
    /// Called before an op runs.
    pub before: Option<unsafe extern "C" fn(context: *mut c_void, op: *const ferrolite_op)>,
    /// Called after an op has run.
    pub after: Option<unsafe extern "C" fn(context: *mut c_void, op: *const ferrolite_op)>,
    /// Handed to both.
    pub context: *mut c_void,
}

impl Observer for ferrolite_observer {
    fn before(&mut self, index: u16, node: &Node<'_>) {
        if let Some(before) = self.before {
            let op = ferrolite_op {
                index: index.into(),
                code: node.op().code.into(),
                output: core::ptr::null(),
                output_bytes: 0,
            };
            // SAFETY: the caller gave the function to be called with its context.
            unsafe { before(self.context, &op) }
        }
    }

    fn after(&mut self, index: u16, eval: &Eval<'_>) {
        if let Some(after) = self.after {
            let output = eval.output::<u8>(0);
            let op = ferrolite_op {
                index: index.into(),
                code: eval.node().op().code.into(),
                output: output.as_ptr().cast(),
                output_bytes: output.len(),
            };
            // SAFETY: as in `before`.
            unsafe { after(self.context, &op) }
        }
    }
}

/// As `ferrolite_run`, with an observer's functions around each op.
///
/// Errors: those of `ferrolite_run`.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_run_observed(
    net: Option<&mut ferrolite_net>,
    observer: Option<&ferrolite_observer>,
) -> ferrolite_error {
    let Some(&(mut observer)) = observer else { return FERROLITE_NULL };
    with(net, |net| net.invoke_observed(&mut observer))
}

/// As `ferrolite_step`, with an observer's functions around the op.
///
/// Errors: those of `ferrolite_step`.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_step_observed(
    net: Option<&mut ferrolite_net>,
    observer: Option<&ferrolite_observer>,
    done: Option<&mut bool>,
) -> ferrolite_error {
    let Some(&(mut observer)) = observer else { return FERROLITE_NULL };
    with(net, |net| {
        let last = net.step_observed(&mut observer)? == Step::Done;
        if let Some(done) = done {
            *done = last;
        }
        Ok(())
    })
}

/// The name of the layer that an op belongs to, and its bytes: UTF-8 in the model, without a 0 at its end. Null, and 0
/// bytes, where the file has none or the net is not bound.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_op_name(
    net: Option<&mut ferrolite_net>,
    op: usize,
    bytes: Option<&mut usize>,
) -> *const c_char {
    let name = Net::of(net).ok().and_then(|net| net.interpreter().model().names().op(op));
    if let Some(bytes) = bytes {
        *bytes = name.map_or(0, str::len);
    }
    name.map_or(core::ptr::null(), |name| name.as_ptr().cast())
}
