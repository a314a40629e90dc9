//! Integers of any type, read and written by their bytes: for operators that few models have, where one loop for all
//! types is worth more than a fast one for each.

use core::cell::Cell;

use ferrolite_schema::{DType, Tensor};

use crate::error::Fault;
use crate::tensor::TensorView;

/// The type of a tensor of integers or truth values.
#[inline]
pub(super) fn integer(tensor: &Tensor) -> Result<DType, Fault> {
    tensor.dtype().filter(|&dtype| dtype != DType::Float32).ok_or(Fault::Operands)
}

/// Element `index` of a tensor that is seen as bytes. Truth values are 0 and 1, whatever byte says true; of real numbers
/// it is an integer, and these are in the order of the numbers.
#[inline]
pub(super) fn load(view: TensorView<'_, u8>, dtype: DType, index: usize) -> i64 {
    let byte = || view.at(index);
    match dtype {
        DType::Int8 => (byte() as i8).into(),
        DType::UInt8 => byte().into(),
        DType::Bool => (byte() != 0).into(),
        DType::Int16 => view.array(index.wrapping_mul(2)).map_or(0, i16::from_le_bytes).into(),
        DType::Int64 => view.array(index.wrapping_mul(8)).map_or(0, i64::from_le_bytes),
        DType::Int32 => view.array(index.wrapping_mul(4)).map_or(0, i32::from_le_bytes).into(),
        DType::Float32 => {
            let bits = view.array(index.wrapping_mul(4)).map_or(0, i32::from_le_bytes);
            // Of numbers below zero a larger one has smaller bits; both zeroes are one.
            i64::from(if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits })
        }
    }
}

/// Writes as many bytes of a number as there are places for, the lowest first.
#[inline]
pub(super) fn store(places: &[Cell<u8>], mut number: i64) {
    for place in places {
        place.set(number as u8);
        number >>= 8;
    }
}
