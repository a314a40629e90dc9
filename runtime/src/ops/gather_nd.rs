//! GATHER_ND: runs of a tensor, at places that several int32 coordinates name. Bytes are moved, whatever they stand for.
//! Source followed: TFLM `kernels/gather_nd.cc`, which refuses coordinates that name nothing; here they mean the nearest.

use core::cell::Cell;

use ferrolite_schema::params::GatherNdParams;
use ferrolite_schema::{DType, OpCode};

use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, copy_run, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::GatherNd as u16, check, eval, lead: no_overlap }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &GatherNdParams = node.params()?;
    let product = |first: u32, factors: &[u32]| {
        let product = factors.iter().try_fold(first, |product, &factor| product.checked_mul(factor));
        product.filter(|&product| product != 0).ok_or(Fault::Parameters)
    };
    let unnamed = 6u32.checked_sub(p.coordinates).ok_or(Fault::Parameters)?;
    let named = p.dims.iter().zip(0..).all(|(&dim, axis)| dim == 1 || axis >= unnamed);
    if !named || p.dims.iter().any(|&dim| dim > i32::MAX as u32) {
        return Err(Fault::Parameters);
    }
    let from = product(product(p.batch, &[p.run])?, &p.dims)?;
    let to = product(p.batch, &[p.places, p.run])?;
    let indices = product(p.batch, &[p.places, p.coordinates, 4])?;
    node.expect_operands(2, 1)?;
    let (data, places, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    if places.dtype != DType::Int32 as u8 || data.dtype != output.dtype || !output.in_arena() {
        return Err(Fault::Operands);
    }
    if data.bytes != from || output.bytes != to || places.bytes != indices {
        return Err(Fault::Sizes);
    }
    node.expect_known::<u8>(data)?;
    node.expect_known::<i32>(places)
}

#[inline]
fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<GatherNdParams>() {
        gather_nd(p, eval.view(0), eval.view(1), eval.output(0));
    }
}

/// Copies the runs. `data` is `[batch, dims]` and `out` `[batch, places]` runs of bytes, `indices` is
/// `[batch, places, coordinates]`.
#[cfg_attr(kernels = "armv6m", inline)]
pub fn gather_nd(
    p: &GatherNdParams,
    data: TensorView<'_, u8>,
    indices: TensorView<'_, i32>,
    out: &[Cell<u8>],
) {
    let (run, coordinates) = (p.run as usize, p.coordinates as usize);
    let table = p.dims.iter().fold(1usize, |size, &dim| size.wrapping_mul(dim as usize));
    let unnamed = p.dims.len().wrapping_sub(coordinates);
    let (mut read, mut start) = (0usize, 0usize);
    let mut dims = p.dims.iter().skip(unnamed);
    let [first, second, third] = [(); 3].map(|()| dims.next().copied().unwrap_or(1));
    for targets in runs(out, run.wrapping_mul(p.places as usize)) {
        for target in runs(targets, run) {
            // Without a walk over the dimensions, where there are few.
            let nearest = |position: usize, dim: u32| {
                let index = indices.at(read.wrapping_add(position));
                index.min((dim as i32).wrapping_sub(1)).max(0) as usize
            };
            let inside = |at: usize, position: usize, dim: u32| {
                at.wrapping_mul(dim as usize).wrapping_add(nearest(position, dim))
            };
            // A Cortex-M0 has little flash.
            let at = match coordinates {
                _ if cfg!(kernels = "armv6m") => {
                    (0..).zip(p.dims.iter().skip(unnamed)).fold(0, |at, (i, &dim)| inside(at, i, dim))
                }
                1 => nearest(0, first),
                2 => inside(nearest(0, first), 1, second),
                3 => inside(inside(nearest(0, first), 1, second), 2, third),
                _ => (0..).zip(p.dims.iter().skip(unnamed)).fold(0, |at, (i, &dim)| inside(at, i, dim)),
            };
            let from = start.wrapping_add(at).wrapping_mul(run);
            match target {
                [one] => one.set(data.at(from)),
                target => copy_run(data.range(from, run), target),
            }
            read = read.wrapping_add(coordinates);
        }
        start = start.wrapping_add(table);
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, Operand, dim};
    use ferrolite_schema::Storage;
    use std::vec::Vec;

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let coordinates = dim(random, 3);
    let mut dims = [1; 6];
    dims.iter_mut().rev().take(coordinates as usize).for_each(|size| *size = dim(random, 3));
    let (batch, places, run) = (dim(random, 2), dim(random, 4), dim(random, 3) * dtype.size() as u32);
    let p = GatherNdParams { batch, places, coordinates, dims, run };
    let case = Case::of(OpCode::GatherNd, &p, Constants::default());
    let mut case = case.input(random, dtype, batch * dims.iter().product::<u32>() * run);
    let indices: Vec<i32> = (0..batch * places * coordinates).map(|_| random.below(5) as i32 - 1).collect();
    let data = bytemuck::cast_slice(&indices).to_vec();
    case.inputs.push(Operand { dtype: DType::Int32, data, storage: Storage::Arena });
    if let Some(operand) = case.inputs.get_mut(random.below(3)) {
        operand.storage = Storage::Constant;
    }
    case.output(dtype, batch * places * run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_name_runs() {
        let data = [0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let found = |p: &GatherNdParams, indices: &[i32]| {
            let mut out = [99u8; 4];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            gather_nd(p, TensorView::from_slice(&data), TensorView::from_slice(indices), cells);
            out
        };
        let dims = [1, 1, 1, 1, 2, 3];
        let p = GatherNdParams { batch: 1, places: 2, coordinates: 2, dims, run: 2 };
        assert_eq!(found(&p, &[1, 2, 0, 1]), [10, 11, 2, 3]);
        assert_eq!(found(&p, &[-7, 9, 9, -7]), [4, 5, 6, 7]);
        let p = GatherNdParams { batch: 2, places: 2, coordinates: 1, dims: [1, 1, 1, 1, 1, 6], run: 1 };
        assert_eq!(found(&p, &[1, 2, 0, 5]), [1, 2, 6, 11]);
    }
}
