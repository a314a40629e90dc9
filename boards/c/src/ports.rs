//! Inputs and outputs: by number and by name, copied or in place.

use core::ffi::{CStr, c_char, c_void};

use ferrolite_runtime::{DType, Error, Interpreter, Model, Port};

use crate::error::ferrolite_error::{self, *};
use crate::net::{Net, ferrolite_net, readable, with, writable};

/// The type of the elements of an input or output.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum ferrolite_type {
    /// int8_t
    FERROLITE_INT8 = 0,
    /// uint8_t
    FERROLITE_UINT8,
    /// int16_t
    FERROLITE_INT16,
    /// int32_t
    FERROLITE_INT32,
    /// float, IEEE 754 single precision
    FERROLITE_FLOAT32,
    /// int64_t
    FERROLITE_INT64,
    /// One byte, 0 or 1
    FERROLITE_BOOL,
}

/// The facts of an input or output.
#[repr(C)]
pub struct ferrolite_port {
    /// The author's name, `name_bytes` bytes of UTF-8 without a 0 at their end. They lie in the model.
    pub name: *const c_char,
    /// Bytes of the name; 0 where it has none.
    pub name_bytes: usize,
    /// Type of its elements.
    pub element: ferrolite_type,
    /// Number of dimensions, at most 6.
    pub rank: u32,
    /// Dimensions, outermost first; those behind `rank` are 1.
    pub dims: [u32; 6],
    /// All of it in bytes.
    pub bytes: u32,
    /// The real number of one integer step, real = scale * (integer - zero_point); 0 where elements are not quantized.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
}

/// Inputs or outputs of a model.
#[derive(Clone, Copy)]
enum Side {
    Inputs,
    Outputs,
}

impl Side {
    // The side is known where it is asked for: out of line it costs a small model a hundredth of its time.
    #[inline(always)]
    fn ports<'a>(self, model: &Model<'a>) -> &'a [Port] {
        match self {
            Side::Inputs => model.inputs(),
            Side::Outputs => model.outputs(),
        }
    }

    fn name<'a>(self, model: &Model<'a>, index: usize) -> Option<&'a str> {
        match self {
            Side::Inputs => model.input_name(index),
            Side::Outputs => model.output_name(index),
        }
    }

    fn facts(self, model: &Model<'_>, index: usize) -> Result<ferrolite_port, Error> {
        let nothing = Error::NoSuchPort { index: index as u16 };
        let port = self.ports(model).get(index).ok_or(nothing)?;
        let tensor = model.tensors().get(port.tensor as usize).ok_or(nothing)?;
        let name = self.name(model, index).unwrap_or_default();
        Ok(ferrolite_port {
            name: name.as_ptr().cast(),
            name_bytes: name.len(),
            element: match tensor.dtype().ok_or(nothing)? {
                DType::Int8 => ferrolite_type::FERROLITE_INT8,
                DType::UInt8 => ferrolite_type::FERROLITE_UINT8,
                DType::Int16 => ferrolite_type::FERROLITE_INT16,
                DType::Int32 => ferrolite_type::FERROLITE_INT32,
                DType::Float32 => ferrolite_type::FERROLITE_FLOAT32,
                DType::Int64 => ferrolite_type::FERROLITE_INT64,
                DType::Bool => ferrolite_type::FERROLITE_BOOL,
            },
            rank: port.rank,
            dims: port.dims,
            bytes: tensor.bytes,
            scale: port.scale,
            zero_point: port.zero_point,
        })
    }

    fn find(self, model: &Model<'_>, name: &CStr) -> Result<usize, Error> {
        let mut indices = 0..self.ports(model).len();
        let is = |found: &str| found.as_bytes() == name.to_bytes();
        indices.find(|&index| self.name(model, index).is_some_and(is)).ok_or(Error::NoSuchName)
    }
}

/// Number of inputs; 0 for a net that is not bound.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_input_count(net: Option<&mut ferrolite_net>) -> usize {
    Net::of(net).map_or(0, |net| net.interpreter().model().inputs().len())
}

/// Number of outputs; 0 for a net that is not bound.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_output_count(net: Option<&mut ferrolite_net>) -> usize {
    Net::of(net).map_or(0, |net| net.interpreter().model().outputs().len())
}

/// Writes the facts of an input to `port`.
///
/// Errors: FERROLITE_NO_SUCH_PORT.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_input_facts(
    net: Option<&mut ferrolite_net>,
    index: usize,
    port: Option<&mut ferrolite_port>,
) -> ferrolite_error {
    facts(net, Side::Inputs, index, port)
}

/// Writes the facts of an output to `port`.
///
/// Errors: FERROLITE_NO_SUCH_PORT.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_output_facts(
    net: Option<&mut ferrolite_net>,
    index: usize,
    port: Option<&mut ferrolite_port>,
) -> ferrolite_error {
    facts(net, Side::Outputs, index, port)
}

fn facts(
    net: Option<&mut ferrolite_net>,
    side: Side,
    index: usize,
    port: Option<&mut ferrolite_port>,
) -> ferrolite_error {
    let Some(port) = port else { return FERROLITE_NULL };
    with(net, |net| {
        *port = side.facts(net.model(), index)?;
        Ok(())
    })
}

/// Writes the number of the input of this name, which ends in a 0, to `index`.
///
/// Errors: FERROLITE_NO_SUCH_PORT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_find_input(
    net: Option<&mut ferrolite_net>,
    name: *const c_char,
    index: Option<&mut usize>,
) -> ferrolite_error {
    // SAFETY: the caller's promise.
    unsafe { find(net, Side::Inputs, name, index) }
}

/// Writes the number of the output of this name, which ends in a 0, to `index`.
///
/// Errors: FERROLITE_NO_SUCH_PORT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_find_output(
    net: Option<&mut ferrolite_net>,
    name: *const c_char,
    index: Option<&mut usize>,
) -> ferrolite_error {
    // SAFETY: the caller's promise.
    unsafe { find(net, Side::Outputs, name, index) }
}

/// # Safety
/// `name` is null or ends in a 0.
unsafe fn find(
    net: Option<&mut ferrolite_net>,
    side: Side,
    name: *const c_char,
    index: Option<&mut usize>,
) -> ferrolite_error {
    let Some(index) = index.filter(|_| !name.is_null()) else { return FERROLITE_NULL };
    // SAFETY: this function's promise.
    let name = unsafe { CStr::from_ptr(name) };
    with(net, |net| {
        *index = side.find(net.model(), name)?;
        Ok(())
    })
}

/// Writes the place of an input to `data` and its size to `bytes`, which may be null: for writing it where it lies, by DMA
/// for instance. All of it has to be written before each inference, as the model may use this memory for other tensors
/// once it has read the input; the place is the same each time, but has to be asked for each time. It is aligned for its
/// elements. The outputs of the last inference cannot be read any more. Of a model with more than 31 inputs, those behind
/// the 31st are asked for in their order.
///
/// Errors: FERROLITE_NO_SUCH_PORT, FERROLITE_RUNNING, FERROLITE_INPUT_MISSING.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_input(
    net: Option<&mut ferrolite_net>,
    index: usize,
    data: Option<&mut *mut c_void>,
    bytes: Option<&mut usize>,
) -> ferrolite_error {
    let Some(data) = data else { return FERROLITE_NULL };
    with(net, |net| {
        let input = net.input_bytes_mut(index)?;
        *data = input.as_mut_ptr().cast();
        if let Some(bytes) = bytes {
            *bytes = input.len();
        }
        Ok(())
    })
}

/// Copies an input of `bytes` bytes, exactly those of the input; otherwise as `ferrolite_input`. `data` has any alignment.
///
/// Errors: FERROLITE_WRONG_SIZE, and those of `ferrolite_input`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_set_input(
    net: Option<&mut ferrolite_net>,
    index: usize,
    data: *const c_void,
    bytes: usize,
) -> ferrolite_error {
    // SAFETY: the caller's promise.
    let Some(from) = (unsafe { readable(data, bytes) }) else { return FERROLITE_NULL };
    with(net, |net| net.set_input_bytes(index, from))
}

/// Writes the place of an output to `data` and its size to `bytes`, which may be null: to be read until an input of the
/// next inference is asked for. It is aligned for its elements.
///
/// Errors: FERROLITE_NO_SUCH_PORT, FERROLITE_NO_OUTPUT, FERROLITE_RUNNING.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolite_output(
    net: Option<&mut ferrolite_net>,
    index: usize,
    data: Option<&mut *const c_void>,
    bytes: Option<&mut usize>,
) -> ferrolite_error {
    let Some(data) = data else { return FERROLITE_NULL };
    with(net, |net| {
        let output = net.output_bytes(index)?;
        *data = output.as_ptr().cast();
        if let Some(bytes) = bytes {
            *bytes = output.len();
        }
        Ok(())
    })
}

/// Copies an output to `data`, which has `bytes` bytes, exactly those of the output, of any alignment.
///
/// Errors: FERROLITE_WRONG_SIZE, and those of `ferrolite_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolite_get_output(
    net: Option<&mut ferrolite_net>,
    index: usize,
    data: *mut c_void,
    bytes: usize,
) -> ferrolite_error {
    // SAFETY: the caller's promise.
    let Some(to) = (unsafe { writable(data, bytes) }) else { return FERROLITE_NULL };
    with(net, |net| get_output(net, index, to))
}

#[inline]
fn get_output(net: &Interpreter<'static>, index: usize, to: &mut [u8]) -> Result<(), Error> {
    let from = net.output_bytes(index)?;
    if from.len() != to.len() {
        let (needed, found) = (from.len() as u32, to.len() as u32);
        return Err(Error::WrongLength { index: index as u16, needed, found });
    }
    // `copy_from_slice` could panic.
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
    Ok(())
}
