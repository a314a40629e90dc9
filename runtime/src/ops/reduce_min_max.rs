//! REDUCE_MAX and REDUCE_MIN: the largest or smallest element over some dimensions. Input and output
//! share their quantization. Source followed: TFLM `kernels/reduce_common.cc`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{ReduceDim, ReduceMinMaxParams};

use super::reduce::{check_shape, steps};
use super::{Operator, no_overlap};
use crate::error::Fault;
use crate::kernels::{Cells, Kernels};
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, fill, runs};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::ReduceMinMax as u16, check, eval: eval::<K>, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ReduceMinMaxParams = node.params()?;
    if p.largest > 1 {
        return Err(Fault::Parameters);
    }
    check_shape(node, &p.shape)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ReduceMinMaxParams>() {
        reduce_min_max::<K>(p, eval.input(0), eval.output(0));
    }
}

/// Finds the extremes. `out` has one element per step of the kept loops. Where elements that are kept lie side by side,
/// the largest are those of channels under a pooling window.
pub fn reduce_min_max<K: Kernels>(p: &ReduceMinMaxParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let largest = p.largest == 1;
    let ([a, b, c], [x, y, z]) = (p.shape.kept, p.shape.reduced);
    let wide = K::WIDE_POOLS && c.stride == 1;
    // Short rows, all side by side.
    let together = [a.count, b.count, x.count, y.count] == [1; 4] && z.stride == 1 && c.stride == z.count;
    if together && z.count < SHORT && !cfg!(kernels = "armv6m") {
        return short_rows(input, z.count as usize, largest, out);
    }
    let (count, channels) = if wide { (1, c.count as usize) } else { (c.count, 1) };
    let view = TensorView::from_cells(input);
    let mut out = runs(out, channels);
    for at in steps(a, 0) {
        for at in steps(b, at) {
            for at in steps(ReduceDim { count, ..c }, at) {
                let Some(out) = out.next() else { return };
                if wide && largest && (x.count == 1 || y.count == 1) {
                    let image = input.get(at..).unwrap_or(&[]);
                    // One dimension of rows, or one of rows and one of cells that lie side by side.
                    let rows = if x.count == 1 { y } else { x };
                    let cells = match (rows.count, z.stride as usize) {
                        (1, stride) if stride >= channels => Some((z.count, stride, 1)),
                        (_, step) if step == channels => {
                            Some((rows.count, rows.stride as usize, z.count as usize))
                        }
                        _ => None,
                    };
                    if let Some((height, stride, width)) = cells {
                        let height = height as usize;
                        K::max_pool(&Cells { image, height, width, channels, stride }, -128, 127, out);
                        continue;
                    }
                }
                fill(out, if largest { i8::MIN } else { i8::MAX });
                for at in steps(x, at) {
                    for at in steps(y, at) {
                        if !wide {
                            if z.stride == 1 {
                                extreme::<K>(out, view.range(at, z.count as usize), largest);
                            } else {
                                column(out, view, at, z, largest);
                            }
                            continue;
                        }
                        for at in steps(z, at) {
                            let row = view.range(at, channels);
                            K::min_max(TensorView::from_cells(out), row, largest, out);
                        }
                    }
                }
            }
        }
    }
}

/// Elements of a row from which on a kernel takes less time.
const SHORT: u32 = 24;

/// The extremes of rows of so many elements.
#[inline(never)]
fn short_rows(input: &[Cell<i8>], count: usize, largest: bool, out: &[Cell<i8>]) {
    // The smaller of two numbers is the larger of their complements.
    let turn = if largest { 0 } else { -1 };
    for (row, out) in runs(input, count).zip(out) {
        let most = row.iter().fold(i32::MIN, |most, x| most.max(i32::from(x.get()) ^ turn));
        out.set((most ^ turn) as i8);
    }
}

/// Puts the extreme of elements that lie side by side, and of the one before, in its place.
fn extreme<K: Kernels>(out: &[Cell<i8>], run: TensorView<'_, i8>, largest: bool) {
    if let Some(out) = out.first() {
        let (most, found) = (out.get(), K::extreme(run, largest));
        out.set(if largest { most.max(found) } else { most.min(found) });
    }
}

/// Puts the extreme of the elements of each step of a loop, and of the one before, in its place.
#[inline(never)]
fn column(out: &[Cell<i8>], input: TensorView<'_, i8>, first: usize, dim: ReduceDim, largest: bool) {
    let Some(out) = out.first() else { return };
    let most = i32::from(out.get());
    let column = input.every(first, dim.stride as usize, dim.count as usize).map(i32::from);
    out.set(if largest { column.fold(most, i32::max) } else { column.fold(most, i32::min) } as i8);
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants};

    let (shape, inputs, outputs) = super::reduce::any_shape(random);
    let p = ReduceMinMaxParams { shape, largest: random.below(2) as u32 };
    Case::of(OpCode::ReduceMinMax, &p, Constants::default()).int8(random, inputs, outputs)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::{Armv7em, Mve, Portable};
    use ferrolite_schema::params::{ReduceDim, Reduction};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn finds_both_extremes() {
        let one = ReduceDim { count: 1, stride: 0 };
        let shape = Reduction {
            kept: [one, one, ReduceDim { count: 2, stride: 3 }],
            reduced: [one, one, ReduceDim { count: 3, stride: 1 }],
        };
        let mut input = [-128i8, 5, 127, -3, -128, -2];
        for (largest, expected) in [(1, [127, -2]), (0, [-128, -128])] {
            let mut out = [0i8; 2];
            reduce_min_max::<crate::kernels::Portable>(
                &ReduceMinMaxParams { shape, largest },
                Cell::from_mut(&mut input[..]).as_slice_of_cells(),
                Cell::from_mut(&mut out[..]).as_slice_of_cells(),
            );
            assert_eq!(out, expected);
        }
    }

    proptest! {
        /// Over each choice of the dimensions of `[a, b, c, d]`, in each set that reduces otherwise.
        #[test]
        fn extremes_are_those_of_the_definition(
            dims in prop::array::uniform4(1usize..7),
            long in 1usize..40,
            axes in 1u32..15,
            seed: u32,
            largest: bool,
        ) {
            let dims = [dims[0], dims[1], dims[2], if seed & 1 == 0 { dims[3] } else { long }];
            let strides = [dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1];
            let (mut kept, mut reduced) = (Vec::new(), Vec::new());
            for axis in 0..4 {
                let dim = ReduceDim { count: dims[axis] as u32, stride: strides[axis] as u32 };
                if axes >> axis & 1 == 0 { kept.push(dim) } else { reduced.push(dim) }
            }
            let three = |list: &[ReduceDim]| {
                let mut all = [ReduceDim { count: 1, stride: 0 }; 3];
                all.iter_mut().rev().zip(list.iter().rev()).for_each(|(to, from)| *to = *from);
                all
            };
            if kept.len() > 3 || reduced.len() > 3 {
                return Ok(());
            }
            let shape = Reduction { kept: three(&kept), reduced: three(&reduced) };
            let mut state = seed;
            let mut x: Vec<i8> = (0..dims.iter().product())
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as i8
                })
                .collect();
            let places = |dims: [ReduceDim; 3]| -> Vec<usize> {
                let [a, b, c] = dims;
                steps(a, 0).flat_map(|at| steps(b, at)).flat_map(|at| steps(c, at)).collect()
            };
            let wanted: Vec<i8> = places(shape.kept)
                .into_iter()
                .map(|at| {
                    let all = places(shape.reduced).into_iter().map(|more| x[at + more]);
                    if largest { all.max() } else { all.min() }.unwrap()
                })
                .collect();
            let p = ReduceMinMaxParams { shape, largest: largest.into() };
            for reduce in [reduce_min_max::<Portable>, reduce_min_max::<Armv7em>, reduce_min_max::<Mve>] {
                let mut out = vec![0i8; wanted.len()];
                let cells = Cell::from_mut(&mut x[..]).as_slice_of_cells();
                reduce(&p, cells, Cell::from_mut(&mut out[..]).as_slice_of_cells());
                prop_assert_eq!(&out, &wanted);
            }
        }
    }
}
