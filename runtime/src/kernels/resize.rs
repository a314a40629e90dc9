//! Rows of RESIZE_BILINEAR: between two rows of pixels, each pixel is the weighted mean of four.

use core::cell::Cell;

use ferrolite_schema::Rounding;

use crate::tensor::runs;

/// Fixed-point positions count 1/1024 of a pixel.
pub(crate) const ONE: i32 = 1 << 10;

/// Two rows of an image, and the places between them.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// The upper and the lower row, `width * channels` elements each.
    pub rows: [&'a [Cell<i8>]; 2],
    /// The weight of the lower row in 1/1024; that of the upper is what it lacks to 1024. -512 to 1536.
    pub dy: i32,
    /// Elements of a pixel.
    pub channels: usize,
    /// The position of the first pixel in 1/1024 of a pixel, above -1024.
    pub start: i32,
    /// How far it is to the next, not negative.
    pub step: i32,
    /// Pixels of a row, at least one; all positions are before its end.
    pub width: u32,
}

/// The two neighbours of a position, and the weight of the second.
#[inline(always)]
pub(crate) fn neighbours(position: i32, last: i32) -> (usize, usize, i32) {
    // Divisions truncate: what is below zero is above -1 pixel.
    let first = position.max(0) >> 10;
    let second = (position.wrapping_add(ONE - 1) >> 10).min(last);
    (first as usize, second as usize, position.wrapping_sub(first << 10))
}

/// The `index`-th part of `size` elements.
#[inline(always)]
pub(crate) fn part(cells: &[Cell<i8>], index: usize, size: usize) -> &[Cell<i8>] {
    let start = index.wrapping_mul(size);
    cells.get(start..start.wrapping_add(size)).unwrap_or(&[])
}

/// See [`Kernels::resize_row`](super::Kernels::resize_row).
pub(super) fn portable(between: &Between<'_>, rounding: Rounding, out: &[Cell<i8>]) {
    match rounding {
        Rounding::Double => row::<true>(between, out),
        Rounding::Single => row::<false>(between, out),
    }
}

/// A row of pixels between two rows, of which the second has weight `dy`.
#[inline(never)]
fn row<const DOUBLE: bool>(between: &Between<'_>, out: &[Cell<i8>]) {
    let &Between { rows, dy, .. } = between;
    let channels = between.channels.max(1);
    let last = (between.width as i32).wrapping_sub(1);
    let mut x = between.start;
    for out in runs(out, channels) {
        let (x0, x1, dx) = neighbours(x, last);
        x = x.wrapping_add(between.step);
        // At most 1536 * 1536 each; the sum of all four terms stays far below 2^31.
        let both = dx.wrapping_mul(dy);
        let (only_x, only_y) =
            (dx.wrapping_mul(ONE).wrapping_sub(both), dy.wrapping_mul(ONE).wrapping_sub(both));
        let neither = (ONE * ONE).wrapping_sub(only_x).wrapping_sub(dy.wrapping_mul(ONE));
        let [a, b] = rows.map(|row| part(row, x0, channels));
        let [c, d] = rows.map(|row| part(row, x1, channels));
        let pixels = a.iter().zip(b).zip(c).zip(d);
        for ((((a, b), c), d), out) in pixels.zip(out) {
            let product = |x: &Cell<i8>, weight: i32| i32::from(x.get()).wrapping_mul(weight);
            let (left, right) = (product(a, neither).wrapping_add(product(b, only_y)), product(c, only_x));
            out.set(round::<DOUBLE>(left.wrapping_add(right).wrapping_add(product(d, both))));
        }
    }
}

/// `sum / 2^20`: ties away from zero with double rounding, upwards with single.
#[inline(always)]
fn round<const DOUBLE: bool>(sum: i32) -> i8 {
    let less = if DOUBLE { sum >> 31 } else { 0 };
    (sum.wrapping_add(less).wrapping_add(1 << 19) >> 20) as i8
}
