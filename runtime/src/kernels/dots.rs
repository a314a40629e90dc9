//! One vector of 16-bit elements times the rows of a matrix of bytes, scaled down: a row, or a column, of BATCH_MATMUL.

use core::cell::Cell;

use ferrolite_schema::Rounding;
use ferrolite_schema::params::Product;

use crate::quant::requantize;

/// The rows of a matrix, and what their products with a vector become.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Elements, those of the first row in front. A row is as long as the vector.
    pub cells: &'a [Cell<i8>],
    /// Rows, and elements from one to the next.
    pub count: usize,
    pub stride: usize,
    /// What is taken off each product.
    pub less: i32,
    /// The rest, but for zero points of operands.
    pub product: &'a Product,
    pub rounding: Rounding,
    /// Elements of the output from one result to the next.
    pub out_stride: usize,
}

impl Rows<'_> {
    /// Whether the rows are inside the matrix and the results inside `out`, at least one.
    #[cfg(any(kernels = "armv7em", kernels = "mve"))]
    #[inline(always)]
    pub(super) fn fit(&self, x: &[Cell<i16>], out: &[Cell<i8>]) -> bool {
        let end = |stride: usize, len: usize| {
            let last = self.count.checked_sub(1)?.checked_mul(stride)?;
            last.checked_add(len)
        };
        end(self.stride, x.len()).is_some_and(|end| end <= self.cells.len())
            && end(self.out_stride, 1).is_some_and(|end| end <= out.len())
    }
}

/// Products of a vector with four others, where in each whole group of four elements of `x`, the second and the third
/// have changed places.
#[cfg(kernels = "armv7em")]
pub(super) fn swapped(x: &[Cell<i16>], y: [&[Cell<i8>]; 4]) -> [i32; 4] {
    let whole = x.len() & !3;
    y.map(|y| {
        let products = x.iter().enumerate().map(|(k, x)| {
            let place = if k < whole && (k ^ (k >> 1)) & 1 != 0 { k ^ 3 } else { k };
            let y = y.get(place).map_or(0, Cell::get);
            i32::from(x.get()).wrapping_mul(i32::from(y))
        });
        products.fold(0i32, i32::wrapping_add)
    })
}

/// See [`Kernels::dot_rows`](super::Kernels::dot_rows); `dots` makes the products of four rows.
#[inline(always)]
pub(super) fn dot_rows(
    x: &[Cell<i16>],
    rows: &Rows<'_>,
    out: &[Cell<i8>],
    dots: impl Fn(&[Cell<i16>], [&[Cell<i8>]; 4]) -> [i32; 4],
) {
    let &Rows { cells, count, stride, less, product, rounding, out_stride } = rows;
    let (mut rest, mut places, mut left) = (cells, out, count);
    while left != 0 {
        // Those that are not there are the last one again.
        let row = |next: usize| {
            let row = rest.get(next.min(left.wrapping_sub(1)).wrapping_mul(stride)..);
            row.and_then(|row| row.get(..x.len())).unwrap_or(&[])
        };
        for dot in dots(x, [row(0), row(1), row(2), row(3)]).iter().take(left) {
            if let Some(out) = places.first() {
                let sum = dot.wrapping_sub(less);
                let y = requantize(sum, product.multiplier, rounding).wrapping_add(product.zero_point);
                out.set(y.max(product.min).min(product.max) as i8);
            }
            places = places.get(out_stride..).unwrap_or(&[]);
        }
        rest = rest.get(stride.wrapping_mul(4)..).unwrap_or(&[]);
        left = left.saturating_sub(4);
    }
}
