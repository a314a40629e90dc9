//! Integers of any type, read and written by their bytes: for operators that few models have, where one loop for all
//! types is worth more than a fast one for each.

use core::cell::Cell;

use ferrolite_schema::{DType, Tensor};

use crate::error::Fault;
use crate::tensor::{TensorView, runs};

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

/// Elements that are read, and written, together: what their type is has to be asked once for all of them.
pub(super) const BLOCK: usize = 32;

/// Reads elements of at most 32 bits, from one on, `step` apart: as [`load`] does.
#[inline(never)]
pub(super) fn load_block(
    view: TensorView<'_, u8>,
    dtype: DType,
    first: usize,
    step: usize,
    into: &mut [i32],
) {
    // A function for each type: in one, the loops become one that asks for the type of each element.
    #[inline(never)]
    fn each<const N: usize>(
        view: TensorView<'_, u8>,
        (first, step): (usize, usize),
        into: &mut [i32],
        f: impl Fn([u8; N]) -> i32,
    ) {
        let groups = view.groups(first, step, into.len());
        into.iter_mut().zip(groups).for_each(|(number, group)| *number = f(group));
    }
    let places = (first, step);
    match dtype {
        DType::Int8 => each(view, places, into, |[x]| (x as i8).into()),
        DType::UInt8 => each(view, places, into, |[x]| x.into()),
        DType::Bool => each(view, places, into, |[x]| (x != 0).into()),
        DType::Int16 => each(view, places, into, |x| i16::from_le_bytes(x).into()),
        DType::Int32 => each(view, places, into, i32::from_le_bytes),
        DType::Float32 | DType::Int64 => {
            let mut at = first;
            for number in into {
                *number = load(view, dtype, at) as i32;
                at = at.wrapping_add(step);
            }
        }
    }
}

/// Writes the lower bytes of numbers, `size` of each.
#[inline(never)]
pub(super) fn store_block(places: &[Cell<u8>], size: usize, numbers: &[i32]) {
    #[inline(never)]
    fn each<const N: usize>(places: &[Cell<u8>], numbers: &[i32]) {
        for (place, number) in places.as_chunks::<N>().0.iter().zip(numbers) {
            place.iter().zip(number.to_le_bytes()).for_each(|(cell, byte)| cell.set(byte));
        }
    }
    match size {
        1 => each::<1>(places, numbers),
        2 => each::<2>(places, numbers),
        4 => each::<4>(places, numbers),
        size => runs(places, size).zip(numbers).for_each(|(place, &number)| store(place, number.into())),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        /// Of each type, one by one or together.
        #[test]
        fn blocks_are_their_elements(
            bytes in prop::collection::vec(any::<u8>(), 160),
            (first, step, count) in (0usize..5, 0usize..2, 1usize..=BLOCK),
        ) {
            let view = TensorView::from_slice(&bytes);
            for dtype in DType::ALL.into_iter().filter(|&dtype| dtype != DType::Int64) {
                let mut block = [0; BLOCK];
                load_block(view, dtype, first, step, &mut block[..count]);
                for (i, &number) in block[..count].iter().enumerate() {
                    prop_assert_eq!(i64::from(number), load(view, dtype, first + step * i), "{:?}", dtype);
                }
                let size = dtype.size();
                let (mut together, mut single) = (vec![0u8; count * size], vec![0u8; count * size]);
                store_block(Cell::from_mut(&mut together[..]).as_slice_of_cells(), size, &block[..count]);
                let cells = Cell::from_mut(&mut single[..]).as_slice_of_cells();
                runs(cells, size).zip(&block).for_each(|(place, &number)| store(place, number.into()));
                prop_assert_eq!(together, single);
            }
        }
    }
}
