//! BATCH_MATMUL: `out[i, j] = clamp(requantize(sum over k of a'[i, k] * b'[k, j]) + zero_point)`, where
//! `x'` is `x` less its zero point; both operands may be activations.
//!
//! Sums run over vectors of `depth` elements that lie side by side. Where an operand's vectors do not
//! (columns, or constants), each is gathered into scratch memory; the operand that needs it is walked
//! in the outer loop, so that it is gathered once. Where the vectors of the inner loop lie side by side, the
//! outer one is widened to 16 bits, less its zero point, and multiplied with all of them in one call
//! ([`Kernels::dot_rows`]); the inner zero point is taken off once for the outer vector's sum.
//! Source followed: TFLM `kernels/batch_matmul.cc`, `reference/batch_matmul.h`.

use core::cell::Cell;

use ferrolite_schema::params::{BatchMatMulParams, Product};
use ferrolite_schema::{DType, OpCode, Rounding};

use super::{Operator, broadcast, mul, no_overlap};
use crate::error::Fault;
use crate::kernels::{Kernels, Rows};
use crate::node::{Eval, Node};
use crate::quant::requantize;
use crate::tensor::{TensorView, cells_of};

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::BatchMatMul as u16, check, eval: eval::<K>, lead: no_overlap }
}

/// Bytes of scratch memory that an op with these parameters needs: a vector of each operand.
pub fn scratch_bytes(p: &BatchMatMulParams) -> Option<u32> {
    p.depth.checked_mul(2)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &BatchMatMulParams = node.params()?;
    node.expect_operands(2, 1)?;
    mul::check_product(&p.product)?;
    if p.rows == 0 || p.depth == 0 || p.columns == 0 || p.transpose_a > 1 || p.transpose_b > 1 {
        return Err(Fault::Parameters);
    }
    let [batches, of_a, of_b] = broadcast::elements(&p.batch)?;
    let size = |batches: u32, a: u32, b: u32| batches.checked_mul(a)?.checked_mul(b);
    broadcast::expect_operand(node.input(0)?, size(of_a, p.rows, p.depth))?;
    broadcast::expect_operand(node.input(1)?, size(of_b, p.depth, p.columns))?;
    let elements = size(batches, p.rows, p.columns).ok_or(Fault::Parameters)?;
    node.expect_tensor(node.output(0)?, DType::Int8, elements)?;
    node.expect_scratch(scratch_bytes(p).ok_or(Fault::Parameters)?)
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    let operand = |position: usize| Operand { view: eval.view(position), cells: eval.input(position) };
    batch_matmul::<K>(p, eval.node().rounding(), operand(0), operand(1), eval.scratch(), eval.output(0));
}

/// The elements of an operand.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// All of them.
    pub view: TensorView<'a, i8>,
    /// The same in the arena; empty for a constant.
    pub cells: &'a [Cell<i8>],
}

/// The vectors of one operand in one batch.
#[derive(Clone, Copy)]
struct Vectors<'a> {
    operand: Operand<'a>,
    /// First element of the batch.
    start: usize,
    /// Number of vectors.
    count: usize,
    /// Elements between vectors.
    stride: usize,
    /// Elements between the elements of a vector.
    step: usize,
    zero_point: i32,
    /// Elements of the output between vectors.
    out_stride: usize,
    buffer: &'a [Cell<i8>],
}

impl<'a> Vectors<'a> {
    fn is_gathered(&self) -> bool {
        self.step != 1 || self.operand.cells.is_empty()
    }

    fn vector(&self, index: usize) -> &'a [Cell<i8>] {
        let start = self.start.wrapping_add(index.wrapping_mul(self.stride));
        let len = self.buffer.len();
        if !self.is_gathered() {
            return self.operand.cells.get(start..start.wrapping_add(len)).unwrap_or(&[]);
        }
        for (k, cell) in self.buffer.iter().enumerate() {
            cell.set(self.operand.view.at(start.wrapping_add(k.wrapping_mul(self.step))));
        }
        self.buffer
    }

    /// Writes a vector, less its zero point, to `wide`, in the order of [`Kernels::dot_rows`], and returns its sum. Not
    /// generic, so that it is compiled for speed.
    #[inline(never)]
    fn widen(&self, is_swapped: bool, index: usize, wide: &[Cell<i16>]) -> i32 {
        let start = self.start.wrapping_add(index.wrapping_mul(self.stride));
        let (groups, rest) = wide.as_chunks::<4>();
        let mut sum = 0i32;
        let mut enter = |x: i8, place: &Cell<i16>| {
            let x = i32::from(x).wrapping_sub(self.zero_point);
            sum = sum.wrapping_add(x);
            place.set(x as i16);
        };
        let mut enter_four = |[a, b, c, d]: [i8; 4], [first, second, third, fourth]: &[Cell<i16>; 4]| {
            let (b, c) = if is_swapped { (c, b) } else { (b, c) };
            enter(a, first);
            enter(b, second);
            enter(c, third);
            enter(d, fourth);
        };
        if self.operand.cells.is_empty() {
            let at = |k: usize| self.operand.view.at(start.wrapping_add(k.wrapping_mul(self.step)));
            for (k, group) in (0usize..).step_by(4).zip(groups) {
                enter_four([0, 1, 2, 3].map(|next| at(k.wrapping_add(next))), group);
            }
            let done = groups.len().wrapping_mul(4);
            for (k, place) in rest.iter().enumerate() {
                enter(at(done.wrapping_add(k)), place);
            }
            return sum;
        }
        let cells = self.operand.cells;
        if self.step == 1 {
            let end = start.wrapping_add(wide.len());
            let (fours, behind) = cells.get(start..end).unwrap_or(&[]).as_chunks::<4>();
            for (four, group) in fours.iter().zip(groups) {
                enter_four(four.each_ref().map(Cell::get), group);
            }
            behind.iter().zip(rest).for_each(|(x, place)| enter(x.get(), place));
            return sum;
        }
        let (mut from, step) = (start, self.step);
        let mut next = || {
            let x = cells.get(from).map_or(0, Cell::get);
            from = from.wrapping_add(step);
            x
        };
        for group in groups {
            enter_four([next(), next(), next(), next()], group);
        }
        rest.iter().for_each(|place| enter(next(), place));
        sum
    }
}

/// Multiplies batches of matrices. `a` is `[.., rows, depth]`, `b` `[.., depth, columns]`, each with its
/// last two dimensions exchanged where the parameters say so, `out` `[.., rows, columns]`; `scratch` has
/// [`scratch_bytes`] bytes.
pub fn batch_matmul<K: Kernels>(
    p: &BatchMatMulParams,
    rounding: Rounding,
    a: Operand<'_>,
    b: Operand<'_>,
    scratch: &[Cell<u8>],
    out: &[Cell<i8>],
) {
    let (rows, depth, columns) = (p.rows as usize, p.depth as usize, p.columns as usize);
    let Some(scratch) = scratch.get(..depth.wrapping_mul(2)) else { return };
    let Some(bytes) = cells_of::<i8>(scratch) else { return };
    let Some((buffer_a, rest)) = bytes.split_at_checked(depth) else { return };
    let Some(buffer_b) = rest.get(..depth) else { return };
    let along = |transposed: bool, count: usize| if transposed { (1, count) } else { (depth, 1) };
    let (a_stride, a_step) = along(p.transpose_a != 0, rows);
    let (b_stride, b_step) = along(p.transpose_b == 0, columns);
    let mut outputs = out.chunks_exact(rows.wrapping_mul(columns).max(1));
    broadcast::positions(&p.batch, |at_a, at_b| {
        let Some(out) = outputs.next() else { return };
        let a = Vectors {
            operand: a,
            start: at_a.wrapping_mul(rows).wrapping_mul(depth),
            count: rows,
            stride: a_stride,
            step: a_step,
            zero_point: p.product.a_zero_point,
            out_stride: columns,
            buffer: buffer_a,
        };
        let b = Vectors {
            operand: b,
            start: at_b.wrapping_mul(depth).wrapping_mul(columns),
            count: columns,
            stride: b_stride,
            step: b_step,
            zero_point: p.product.b_zero_point,
            out_stride: 1,
            buffer: buffer_b,
        };
        let (outer, inner) = if a.is_gathered() && !b.is_gathered() { (a, b) } else { (b, a) };
        let result = |sum: i32| {
            let y = requantize(sum, p.product.multiplier, rounding).wrapping_add(p.product.zero_point);
            y.max(p.product.min).min(p.product.max) as i8
        };
        let wide = cells_of::<i16>(scratch).filter(|_| !inner.is_gathered());
        if let Some(wide) = wide {
            return by_rows::<K>((&outer, &inner), wide, &p.product, rounding, out);
        }
        for o in 0..outer.count {
            let x = outer.vector(o);
            for i in 0..inner.count {
                let place = o.wrapping_mul(outer.out_stride).wrapping_add(i.wrapping_mul(inner.out_stride));
                if let Some(out) = out.get(place) {
                    out.set(result(dot(x, outer.zero_point, inner.vector(i), inner.zero_point)));
                }
            }
        }
    });
}

/// All products of two operands, where the vectors of the inner one lie side by side.
#[inline(never)]
fn by_rows<K: Kernels>(
    (outer, inner): (&Vectors<'_>, &Vectors<'_>),
    wide: &[Cell<i16>],
    product: &Product,
    rounding: Rounding,
    out: &[Cell<i8>],
) {
    let cells = inner.operand.cells.get(inner.start..).unwrap_or(&[]);
    for o in 0..outer.count {
        let rows = Rows {
            cells,
            count: inner.count,
            stride: inner.stride,
            less: outer.widen(K::SWAPPED, o, wide).wrapping_mul(inner.zero_point),
            product,
            rounding,
            out_stride: inner.out_stride,
        };
        K::dot_rows(wide, &rows, out.get(o.wrapping_mul(outer.out_stride)..).unwrap_or(&[]));
    }
}

/// `sum over i of (a[i] - a_zero_point) * (b[i] - b_zero_point)`, modulo 2^32.
fn dot(a: &[Cell<i8>], a_zero_point: i32, b: &[Cell<i8>], b_zero_point: i32) -> i32 {
    a.iter().zip(b).fold(0i32, |acc, (a, b)| {
        let a = i32::from(a.get()).wrapping_sub(a_zero_point);
        let b = i32::from(b.get()).wrapping_sub(b_zero_point);
        acc.wrapping_add(a.wrapping_mul(b))
    })
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, broadcast, dim, product, two_operands};

    let (batch, batches, [of_a, of_b]) = broadcast(random);
    let (rows, depth, columns) = (dim(random, 7), dim(random, 17), dim(random, 7));
    let mut flag = || random.below(2) as u32;
    let (transpose_a, transpose_b) = (flag(), flag());
    let p = BatchMatMulParams {
        batch,
        rows,
        depth,
        columns,
        transpose_a,
        transpose_b,
        product: product(random, -8),
    };
    let case = Case::of(OpCode::BatchMatMul, &p, Constants::default()).rounding(random);
    let operands = [of_a * rows * depth, of_b * depth * columns];
    let case = two_operands(case, random, operands, batches * rows * columns);
    case.scratch(scratch_bytes(&p))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::{Armv7em, Portable};
    use ferrolite_schema::params::{Broadcast, Multiplier};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    proptest! {
        /// Small sums and a multiplier of one: the result is the integer sum itself, clamped.
        #[test]
        fn multiplies_as_defined(
            dims in (1usize..3, 1usize..3, 1usize..5, 1usize..6, 1usize..5),
            flags in prop::array::uniform6(any::<bool>()),
            zero_points in (-128i32..128, -128i32..128),
            elements in prop::collection::vec(any::<i8>(), 100),
        ) {
            let (outer, batch, rows, depth, columns) = dims;
            let [transpose_a, transpose_b, repeat_a, repeat_b, constant_a, constant_b] = flags;
            let repeat_b = repeat_b && !repeat_a;
            let p = BatchMatMulParams {
                batch: Broadcast {
                    dims: [1, 1, 1, 1, outer as u32, batch as u32],
                    repeat_a: u32::from(repeat_a) << 5,
                    repeat_b: u32::from(repeat_b) << 4,
                },
                rows: rows as u32,
                depth: depth as u32,
                columns: columns as u32,
                transpose_a: transpose_a.into(),
                transpose_b: transpose_b.into(),
                product: Product {
                    a_zero_point: zero_points.0,
                    b_zero_point: zero_points.1,
                    multiplier: Multiplier { mantissa: 1 << 30, shift: 1 },
                    zero_point: 3,
                    min: -128,
                    max: 127,
                },
            };
            let (batch_a, batch_b) = (if repeat_a { 1 } else { batch }, if repeat_b { 1 } else { outer });
            let mut a: Vec<i8> = elements[..outer * batch_a * rows * depth].iter().map(|x| x >> 3).collect();
            let mut b: Vec<i8> = elements[10..10 + batch_b * batch * depth * columns].to_vec();
            let (read_a, read_b) = (a.clone(), b.clone());
            let mut expected = Vec::new();
            for o in 0..outer {
                for n in 0..batch {
                    let of_a = o * batch_a + if repeat_a { 0 } else { n };
                    let of_b = if repeat_b { 0 } else { o * batch } + n;
                    for i in 0..rows {
                        for j in 0..columns {
                            let sum: i64 = (0..depth)
                                .map(|k| {
                                    let x = if transpose_a { k * rows + i } else { i * depth + k };
                                    let y = if transpose_b { j * depth + k } else { k * columns + j };
                                    let x = read_a[of_a * rows * depth + x];
                                    let y = read_b[of_b * depth * columns + y];
                                    i64::from(i32::from(x) - zero_points.0) * i64::from(i32::from(y) - zero_points.1)
                                })
                                .sum();
                            expected.push((sum + 3).clamp(-128, 127) as i8);
                        }
                    }
                }
            }
            fn operand(elements: &mut [i8], constant: bool) -> Operand<'_> {
                let cells = Cell::from_mut(elements).as_slice_of_cells();
                Operand { view: TensorView::from_cells(cells), cells: if constant { &[] } else { cells } }
            }
            let mut scratch = vec![0u16; scratch_bytes(&p).unwrap() as usize / 2];
            let scratch: &mut [u8] = bytemuck::cast_slice_mut(&mut scratch);
            for run in [batch_matmul::<Portable>, batch_matmul::<Armv7em>] {
                let mut out = vec![0i8; expected.len()];
                run(
                    &p,
                    Rounding::Double,
                    operand(&mut a, constant_a),
                    operand(&mut b, constant_b),
                    Cell::from_mut(&mut *scratch).as_slice_of_cells(),
                    Cell::from_mut(&mut out[..]).as_slice_of_cells(),
                );
                prop_assert_eq!(&out, &expected);
            }
        }
    }
}
