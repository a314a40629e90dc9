//! AVERAGE_POOL_2D and MAX_POOL_2D: mean or maximum of each channel over the cells of a window that
//! lie inside the image.
//!
//! Nothing is gathered: the kernels walk the image where it lies, and the output may still lie over
//! it. Source followed: TFLM `kernels/pooling_common.cc`, `reference/integer_ops/pooling.h`.

use core::cell::Cell;

use ferrolite_schema::params::{Pool2dParams, Window};

use super::window;
use crate::error::Fault;
use crate::kernels::{Cells, Kernels};
use crate::node::{Node, check_clamp};
use crate::tensor::{TensorView, fill, runs};

#[inline]
pub(super) fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Pool2dParams = node.params()?;
    let w = &p.window;
    window::check_op(node, w, p.batches, p.channels, p.channels)?;
    check_clamp(p.min, p.max)?;
    if covers_all(w) { Ok(()) } else { Err(Fault::Parameters) }
}

/// Whether every window covers a cell: the first one with its last tap, the last one with its first. With dimensions and
/// strides that are checked, nothing overflows.
#[inline]
pub(super) fn covers_all(w: &Window) -> bool {
    let covers = |out: u32, stride: u32, kernel: u32, pad: u32, size: u32| {
        let last = out.wrapping_sub(1).wrapping_mul(stride);
        pad < kernel && last < size.wrapping_add(pad)
    };
    w.dilation_h == 1
        && w.dilation_w == 1
        && covers(w.out_h, w.stride_h, w.kernel_h, w.pad_top, w.in_h)
        && covers(w.out_w, w.stride_w, w.kernel_w, w.pad_left, w.in_w)
}

#[inline]
pub(super) fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    lead_of(node.checked_params()?)
}

/// A pixel is written while its own window is still read, channel by channel: that of a window that is
/// gathered first, and a pixel.
#[inline]
fn lead_of(p: &Pool2dParams) -> Option<u32> {
    if p.batches != 1 {
        return None;
    }
    window::lead(&p.window, p.channels, p.channels)?.checked_add(p.channels)
}

/// Average pooling of a batch of images. `input` is `[batches, in_h, in_w, channels]`, `out`
/// `[batches, out_h, out_w, channels]`.
pub fn average_pool_2d<K: Kernels>(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    pool(p, input, out, |cells, out| K::average_pool(cells, p.min, p.max, out));
}

/// The same with the kernel for many cells.
pub fn average_pool_2d_of_many<K: Kernels>(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    pool(p, input, out, |cells, out| K::average_pool_of_many(cells, p.min, p.max, out));
}

/// Maximum pooling of a batch of images; shapes as for [`average_pool_2d`].
pub fn max_pool_2d<K: Kernels>(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let longest = p.window.kernel_w.max(p.window.kernel_h);
    let few = p.channels < 4 && longest.saturating_mul(p.channels) <= COLUMNS as u32;
    // A Cortex-M0 has little flash.
    if few && !cfg!(kernels = "armv6m") {
        if p.window.in_w == 1 && p.window.out_w == 1 {
            max_pool_by_rows::<K>(&lying(p), input, out);
        } else {
            max_pool_by_rows::<K>(p, input, out);
        }
        return;
    }
    pool(p, input, out, |cells, out| K::max_pool(cells, p.min, p.max, out));
}

/// The same images, one pixel wide, as rows.
#[inline(never)]
fn lying(p: &Pool2dParams) -> Pool2dParams {
    let w = p.window;
    let window = Window {
        in_h: w.in_w,
        in_w: w.in_h,
        out_h: w.out_w,
        out_w: w.out_h,
        kernel_h: w.kernel_w,
        kernel_w: w.kernel_h,
        stride_h: w.stride_w,
        stride_w: w.stride_h,
        dilation_h: w.dilation_w,
        dilation_w: w.dilation_h,
        pad_top: w.pad_left,
        pad_left: w.pad_top,
    };
    Pool2dParams { window, ..*p }
}

/// Elements of a row that windows are over at a time.
const COLUMNS: usize = 64;

/// These, and room behind them to fill up a word.
type Columns = [Cell<i8>; COLUMNS + 4];

/// Maximum pooling with few channels, some windows of a row at a time: first over the rows under them, then each element
/// and those behind it, for all elements at once. Outputs are written later than one by one, never earlier.
fn max_pool_by_rows<K: Kernels>(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let w = &p.window;
    let channels = p.channels as usize;
    let stride = (w.in_w as usize).wrapping_mul(channels);
    let out_row = (w.out_w as usize).wrapping_mul(channels);
    let image_size = (w.in_h as usize).wrapping_mul(stride);
    let columns: Columns = [const { Cell::new(0i8) }; COLUMNS + 4];
    for (image, out) in runs(input, image_size).zip(runs(out, out_row.wrapping_mul(w.out_h as usize))) {
        for (oy, out) in (0..).zip(runs(out, out_row)) {
            let (y, height) = span(oy, w.stride_h, w.kernel_h, w.pad_top, w.in_h);
            let (first, size) = (y.wrapping_mul(stride), height.wrapping_mul(stride));
            let rows = image.get(first..first.wrapping_add(size)).unwrap_or(&[]);
            windows::<K>(p, rows, &columns, out);
        }
    }
}

/// A row of windows over some rows of cells.
#[inline(never)]
fn windows<K: Kernels>(p: &Pool2dParams, rows: &[Cell<i8>], columns: &Columns, out: &[Cell<i8>]) {
    let w = &p.window;
    let channels = (p.channels as usize).max(1);
    // In elements: a row, a window, and from one window to the next.
    let elements = |cells: u32| (cells as usize).wrapping_mul(channels);
    let (row, width, step) = (elements(w.in_w), elements(w.kernel_w), elements(w.stride_w).max(1));
    // Windows of which all columns are held.
    let most = (COLUMNS.saturating_sub(width) / step).wrapping_add(1);
    let (mut start, mut rest) = (elements(w.pad_left).wrapping_neg() as isize, out);
    while !rest.is_empty() {
        let (out, behind) = rest.split_at_checked(most.wrapping_mul(channels)).unwrap_or((rest, &[]));
        let count = out.len().checked_div(channels).unwrap_or(0);
        let all = count.wrapping_sub(1).wrapping_mul(step).wrapping_add(width);
        let held_columns = columns.get(..all).unwrap_or(columns);
        // The padding before and behind the row.
        let (before, first) = (start.min(0).unsigned_abs().min(all), start.max(0) as usize);
        let held = row.saturating_sub(first).min(all.wrapping_sub(before));
        let (padding, inside) = held_columns.split_at_checked(before).unwrap_or((&[], held_columns));
        let (inside, more) = inside.split_at_checked(held).unwrap_or((inside, &[]));
        fill(padding, i8::MIN);
        fill(more, i8::MIN);
        let mut under = runs(rows, row).map(|row| TensorView::from_cells(row).range(first, held));
        if let Some(one) = under.next() {
            K::min_max(one, under.next().unwrap_or(one), true, inside);
        }
        for row in under {
            K::min_max(TensorView::from_cells(inside), row, true, inside);
        }
        across::<K>(columns, all, w.kernel_w as usize, channels);
        if channels == 1 {
            let largest = TensorView::from_cells(columns).every(0, step, count);
            out.iter().zip(largest).for_each(|(out, x)| out.set(x));
        } else {
            for (out, largest) in runs(out, channels).zip(columns.chunks(step)) {
                out.iter().zip(largest).for_each(|(out, x)| out.set(x.get()));
            }
        }
        if p.min > -128 || p.max < 127 {
            out.iter().for_each(|x| x.set(i32::from(x.get()).max(p.min).min(p.max) as i8));
        }
        rest = behind;
        start = start.wrapping_add(count.wrapping_mul(step) as isize);
    }
}

/// Makes each of so many elements the largest of `taps` that are `channels` elements apart, of which it is the first. Behind
/// the last that has so many, elements are any: whole words, where there is room, take less time than their parts.
#[inline(always)]
fn across<K: Kernels>(columns: &Columns, all: usize, taps: usize, channels: usize) {
    let mut done = 1usize;
    while done < taps {
        // The largest of twice as many; kernels read a word before they write it.
        let more = done.min(taps.wrapping_sub(done));
        done = done.wrapping_add(more);
        let left = all.saturating_sub(done.wrapping_sub(1).wrapping_mul(channels));
        let apart = more.wrapping_mul(channels);
        let left = (left.wrapping_add(3) & !3).min(columns.len().saturating_sub(apart));
        let view = TensorView::from_cells(columns);
        let behind = view.range(apart, left);
        K::min_max(view.range(0, left), behind, true, columns.get(..left).unwrap_or(&[]));
    }
}

/// First cell and number of cells of a window inside the image, along one dimension.
pub(super) fn span(o: u32, stride: u32, kernel: u32, pad: u32, size: u32) -> (usize, usize) {
    let start = o.wrapping_mul(stride);
    let first = start.saturating_sub(pad);
    let end = start.wrapping_add(kernel).saturating_sub(pad).min(size);
    (first as usize, end.saturating_sub(first) as usize)
}

#[inline(always)]
pub(super) fn pool(
    p: &Pool2dParams,
    input: &[Cell<i8>],
    out: &[Cell<i8>],
    kernel: impl Fn(&Cells<'_>, &[Cell<i8>]),
) {
    let w = &p.window;
    let channels = p.channels as usize;
    let stride = (w.in_w as usize).wrapping_mul(channels);
    let image_size = (w.in_h as usize).wrapping_mul(stride);
    let (mut image, mut rest) = (input, out);
    let (mut oy, mut ox) = (0, 0);
    let rows = |oy: u32| span(oy, w.stride_h, w.kernel_h, w.pad_top, w.in_h);
    let (mut y, mut height) = rows(0);
    while let Some((out, behind)) = rest.split_at_checked(channels.max(1)) {
        let (x, width) = span(ox, w.stride_w, w.kernel_w, w.pad_left, w.in_w);
        let first = y.wrapping_mul(stride).wrapping_add(x.wrapping_mul(channels));
        let cells = image.get(first..).unwrap_or(&[]);
        kernel(&Cells { image: cells, height, width, channels, stride }, out);
        rest = behind;
        ox += 1;
        if ox == w.out_w {
            (oy, ox) = (oy + 1, 0);
            if oy == w.out_h {
                image = image.get(image_size..).unwrap_or(&[]);
                oy = 0;
            }
            (y, height) = rows(oy);
        }
    }
}

/// Any op of the operator, for tests. Each window covers a cell of the image.
#[cfg(feature = "cases")]
pub(super) fn case(code: ferrolite_schema::OpCode, random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, sizes};

    let p = any(random, (-128, 127));
    let (input, output) = sizes(&p.window, p.batches, p.channels, p.channels);
    Case::of(code, &p, Constants::default()).int8(random, input, output)
}

/// Any pooling with this clamp, for tests.
#[cfg(feature = "cases")]
pub(super) fn any(random: &mut crate::cases::Random, (min, max): (i32, i32)) -> Pool2dParams {
    use crate::cases::{batches, dim};

    let mut line = || {
        let (size, kernel, stride) = (dim(random, 7), dim(random, 4), dim(random, 3));
        let pad = random.below(kernel as usize) as u32;
        (size, dim(random, ((size + pad - 1) / stride + 1) as usize), kernel, stride, pad)
    };
    let ((in_h, out_h, kernel_h, stride_h, pad_top), (in_w, out_w, kernel_w, stride_w, pad_left)) =
        (line(), line());
    let window = Window {
        in_h,
        in_w,
        out_h,
        out_w,
        kernel_h,
        kernel_w,
        stride_h,
        stride_w,
        dilation_h: 1,
        dilation_w: 1,
        pad_top,
        pad_left,
    };
    let (batches, channels) = (batches(random), dim(random, 9));
    Pool2dParams { window, batches, channels, min, max }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::kernels::Portable;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn cells(elements: &mut [i8]) -> &[Cell<i8>] {
        Cell::from_mut(elements).as_slice_of_cells()
    }

    /// A row of windows over `size` cells that each cover one: out, kernel, stride, padding.
    fn line(size: u32) -> impl Strategy<Value = (u32, u32, u32, u32)> {
        (1u32..5, 1u32..4).prop_flat_map(move |(kernel, stride)| {
            (Just(kernel), Just(stride), 0..kernel).prop_flat_map(move |(kernel, stride, pad)| {
                let most = (size + pad - 1) / stride + 1;
                (1..=most, Just(kernel), Just(stride), Just(pad))
            })
        })
    }

    fn cases() -> impl Strategy<Value = Pool2dParams> {
        (1u32..7, 1u32..7).prop_flat_map(|(in_h, in_w)| {
            (line(in_h), line(in_w), 1u32..3, 1u32..10).prop_map(move |(h, w, batches, channels)| {
                let window = Window {
                    in_h,
                    in_w,
                    out_h: h.0,
                    out_w: w.0,
                    kernel_h: h.1,
                    kernel_w: w.1,
                    stride_h: h.2,
                    stride_w: w.2,
                    dilation_h: 1,
                    dilation_w: 1,
                    pad_top: h.3,
                    pad_left: w.3,
                };
                Pool2dParams { window, batches, channels, min: -100, max: 90 }
            })
        })
    }

    /// Both poolings of one output element by definition, in floating point.
    fn by_definition(p: &Pool2dParams, input: &[i8], index: usize) -> [i8; 2] {
        let (w, channels) = (&p.window, p.channels as usize);
        let (channel, pixel) = (index % channels, index / channels);
        let (ox, row) = (pixel as u32 % w.out_w, pixel as u32 / w.out_w);
        let (oy, batch) = (row % w.out_h, row / w.out_h);
        let mut under = Vec::new();
        for ky in 0..w.kernel_h {
            for kx in 0..w.kernel_w {
                let y = i64::from(oy * w.stride_h + ky) - i64::from(w.pad_top);
                let x = i64::from(ox * w.stride_w + kx) - i64::from(w.pad_left);
                if (0..i64::from(w.in_h)).contains(&y) && (0..i64::from(w.in_w)).contains(&x) {
                    let cell = (i64::from(batch * w.in_h) + y) * i64::from(w.in_w) + x;
                    under.push(f64::from(input[cell as usize * channels + channel]));
                }
            }
        }
        let mean = under.iter().sum::<f64>() / under.len() as f64;
        let largest = under.iter().copied().fold(f64::MIN, f64::max);
        [mean.round(), largest].map(|real| real.clamp(-100.0, 90.0) as i8)
    }

    proptest! {
        /// The formula of `schema/FORMAT.md`, 5.3, pixel by pixel.
        #[test]
        fn leads_are_those_of_the_format(p in cases()) {
            let w = &p.window;
            let first = |q: u32| {
                let y = (q / w.out_w * w.stride_h).saturating_sub(w.pad_top);
                let x = (q % w.out_w * w.stride_w).saturating_sub(w.pad_left);
                (y * w.in_w + x) * p.channels
            };
            let (mut lead, mut read) = (0, u32::MAX);
            for q in (0..w.out_h * w.out_w).rev() {
                read = read.min(first(q));
                lead = lead.max((q * p.channels).saturating_sub(read));
            }
            prop_assert_eq!(lead_of(&p), (p.batches == 1).then_some(lead + p.channels));
        }

        #[test]
        fn pools_as_defined_and_in_place(p in cases(), seed: u32) {
            let w = &p.window;
            let size = |h: u32, w: u32| (p.batches * h * w * p.channels) as usize;
            let (count, out_count) = (size(w.in_h, w.in_w), size(w.out_h, w.out_w));
            let mut state = seed;
            let mut input: Vec<i8> = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as i8
                })
                .collect();
            let expected: Vec<[i8; 2]> = (0..out_count).map(|i| by_definition(&p, &input, i)).collect();
            let lead = lead_of(&p).map(|lead| lead as usize);
            let pools = [average_pool_2d::<Portable>, max_pool_2d::<Portable>];
            for (kind, pool) in pools.into_iter().enumerate() {
                let expected: Vec<i8> = expected.iter().map(|both| both[kind]).collect();
                let mut out = vec![0i8; out_count];
                pool(&p, cells(&mut input), cells(&mut out));
                prop_assert_eq!(&out, &expected);
                // The output as close before the input as its lead allows, if it allows any overlap.
                let Some(lead) = lead else { continue };
                let mut memory = vec![0i8; (lead + count).max(out_count)];
                memory[lead..lead + count].copy_from_slice(&input);
                let memory_cells = cells(&mut memory);
                pool(&p, &memory_cells[lead..lead + count], &memory_cells[..out_count]);
                prop_assert_eq!(&memory[..out_count], &expected[..]);
            }
        }
    }
}
