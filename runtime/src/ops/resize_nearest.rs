//! RESIZE_NEAREST_NEIGHBOR: each output pixel is a copy of one input pixel, of any element type. The
//! converter tabulates which. Source followed: TFLM `reference/resize_nearest_neighbor.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::ResizeNearestParams;

use super::{Operator, no_overlap, window};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::{TensorView, copy_run, runs};

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::ResizeNearest as u16, check, eval, lead: no_overlap }
}

/// The input row of each output row, and the input column of each output column.
fn table<'a>(node: &Node<'a>, p: &ResizeNearestParams) -> Result<(&'a [u16], &'a [u16]), Fault> {
    let count = p.out_h.checked_add(p.out_w).ok_or(Fault::Parameters)?;
    let table: &[u16] = node.constants(p.table, count)?;
    table.split_at_checked(p.out_h as usize).ok_or(Fault::Constants)
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ResizeNearestParams = node.params()?;
    node.expect_operands(1, 1)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    let same_type = input.dtype == output.dtype && input.in_arena();
    if !same_type {
        return Err(Fault::Operands);
    }
    let inputs = window::elements(p.batches, p.in_h, p.in_w, p.pixel_bytes)?;
    let outputs = window::elements(p.batches, p.out_h, p.out_w, p.pixel_bytes)?;
    if inputs != input.bytes || outputs != output.bytes {
        return Err(Fault::Sizes);
    }
    let (rows, columns) = table(node, p)?;
    let inside = |table: &[u16], size: u32| table.iter().all(|&index| u32::from(index) < size);
    if inside(rows, p.in_h) && inside(columns, p.in_w) { Ok(()) } else { Err(Fault::Parameters) }
}

#[inline]
fn eval(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params::<ResizeNearestParams>() else { return };
    if let Ok((rows, columns)) = table(eval.node(), p) {
        resize_nearest(p, rows, columns, eval.input(0), eval.output(0));
    }
}

/// Resizes a batch of images, given as bytes. `input` is `[batches, in_h, in_w, pixel_bytes]`, `out`
/// `[batches, out_h, out_w, pixel_bytes]`; `rows` has `out_h` numbers below `in_h`, `columns` `out_w`
/// below `in_w`.
#[inline]
pub fn resize_nearest(
    p: &ResizeNearestParams,
    rows: &[u16],
    columns: &[u16],
    input: &[Cell<u8>],
    out: &[Cell<u8>],
) {
    let pixel = (p.pixel_bytes as usize).max(1);
    let row_bytes = pixel.wrapping_mul(p.in_w as usize).max(1);
    let image_bytes = row_bytes.wrapping_mul(p.in_h as usize).max(1);
    let out_row_bytes = pixel.wrapping_mul(columns.len()).max(1);
    let mut out_rows = runs(out, out_row_bytes);
    for image in runs(input, image_bytes) {
        // The input row that the output row before was made of, and that one.
        let mut before = (None, &[][..]);
        // `rows` comes first: a zip that ends takes nothing from its second half.
        for (&row, out) in rows.iter().zip(&mut out_rows) {
            if before.0 == Some(row) {
                copy_run(TensorView::from_cells(before.1), out);
                continue;
            }
            before = (Some(row), out);
            let row = part(image, row, row_bytes);
            match pixel {
                1 => pixels::<1>(row, columns, out),
                2 => pixels::<2>(row, columns, out),
                3 => pixels::<3>(row, columns, out),
                _ => {
                    for (&column, out) in columns.iter().zip(runs(out, pixel)) {
                        copy_run(TensorView::from_cells(part(row, column, pixel)), out);
                    }
                }
            }
        }
    }
}

/// A row of pixels of `N` bytes.
#[inline(always)]
fn pixels<const N: usize>(row: &[Cell<u8>], columns: &[u16], out: &[Cell<u8>]) {
    let (row, _) = row.as_chunks::<N>();
    let (out, _) = out.as_chunks::<N>();
    for (&column, out) in columns.iter().zip(out) {
        if let Some(pixel) = row.get(usize::from(column)) {
            for (pixel, out) in pixel.iter().zip(out) {
                out.set(pixel.get());
            }
        }
    }
}

/// The `index`-th part of `size` elements.
#[inline(always)]
fn part(cells: &[Cell<u8>], index: u16, size: usize) -> &[Cell<u8>] {
    let start = usize::from(index).wrapping_mul(size);
    cells.get(start..start.wrapping_add(size)).unwrap_or(&[])
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};
    use ferrolite_schema::DType;
    use std::vec::Vec;

    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let mut next = |most: usize| dim(random, most);
    let (batches, in_h, in_w, out_h, out_w, pixel) = (next(2), next(5), next(5), next(5), next(5), next(3));
    let pixel_bytes = pixel * dtype.size() as u32;
    let rows = (0..out_h).map(|y| (y * in_h / out_h) as u16);
    let table: Vec<u16> = rows.chain((0..out_w).map(|x| (x * in_w / out_w) as u16)).collect();
    let mut constants = Constants::default();
    let table = constants.push(&table);
    let p = ResizeNearestParams { batches, in_h, in_w, out_h, out_w, pixel_bytes, table };
    let (input, output) = (batches * in_h * in_w * pixel_bytes, batches * out_h * out_w * pixel_bytes);
    Case::of(OpCode::ResizeNearest, &p, constants).input(random, dtype, input).output(dtype, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_pixels_of_each_image() {
        let p = ResizeNearestParams {
            batches: 2,
            in_h: 1,
            in_w: 2,
            out_h: 2,
            out_w: 3,
            pixel_bytes: 2,
            table: 0,
        };
        let mut input = [1u8, 2, 3, 4, 5, 6, 7, 8];
        let mut out = [0u8; 24];
        resize_nearest(
            &p,
            &[0, 0],
            &[1, 0, 0],
            Cell::from_mut(&mut input[..]).as_slice_of_cells(),
            Cell::from_mut(&mut out[..]).as_slice_of_cells(),
        );
        assert_eq!(out, [3, 4, 1, 2, 1, 2, 3, 4, 1, 2, 1, 2, 7, 8, 5, 6, 5, 6, 7, 8, 5, 6, 5, 6]);
    }
}
