//! Sliding windows: what convolutions and poolings share.
//!
//! ```text
//!  input row    iy = oy * stride_h - pad_top  + ky * dilation_h
//!  input column ix = ox * stride_w - pad_left + kx * dilation_w
//! ```
//! Taps outside the image are padding. A convolution *gathers* the taps of a pixel into a
//! patch in scratch memory, padding filled with the input's zero point, and leaves the rest to a kernel
//! that knows no borders.

use core::cell::Cell;

use ferrolite_schema::params::Window;

use crate::error::Fault;
use crate::kernels::TILE;
use crate::node::Node;
use crate::tensor::{copy, runs};

/// Checks that dimensions are in `1 ..= 65536`, strides and dilations in `1 ..= 4096`, and paddings at most
/// 65535: positions fit an i32, and a product of two dimensions minus one 32 bits.
#[inline(always)]
pub fn check(window: &Window) -> Result<(), Fault> {
    let w = window;
    // Zero becomes a number with all bits.
    let less_one = |dim: u32| dim.wrapping_sub(1);
    let images = less_one(w.in_h) | less_one(w.in_w) | less_one(w.out_h) | less_one(w.out_w);
    let kernel = less_one(w.kernel_h) | less_one(w.kernel_w);
    let steps = less_one(w.stride_h) | less_one(w.stride_w) | less_one(w.dilation_h) | less_one(w.dilation_w);
    if (images | kernel | w.pad_top | w.pad_left) >> 16 | steps >> 12 == 0 {
        Ok(())
    } else {
        Err(Fault::Parameters)
    }
}

/// Checks the window of an op from int8 images to int8 images, and the sizes of its operands.
#[inline(never)]
pub fn check_op(
    node: &Node<'_>,
    w: &Window,
    batches: u32,
    in_channels: u32,
    out_channels: u32,
) -> Result<(), Fault> {
    check(w)?;
    node.expect_int8_inline(
        elements(batches, w.in_h, w.in_w, in_channels)?,
        elements(batches, w.out_h, w.out_w, out_channels)?,
    )
}

/// `batches * height * width * channels`, or a fault where that overflows.
pub fn elements(batches: u32, height: u32, width: u32, channels: u32) -> Result<u32, Fault> {
    batches
        .checked_mul(height)
        .and_then(|n| n.checked_mul(width))
        .and_then(|n| n.checked_mul(channels))
        .ok_or(Fault::Parameters)
}

/// Whether output pixel `p` reads input pixel `p` and nothing else. Kernels and strides are not 0.
pub fn is_pointwise(window: &Window) -> bool {
    let w = window;
    w.kernel_h | w.kernel_w | w.stride_h | w.stride_w == 1
        && w.pad_top | w.pad_left == 0
        && w.in_h == w.out_h
        && w.in_w == w.out_w
}

/// An image in memory, of `in_h` rows and `in_w` columns of `pixel` elements.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The elements.
    pub cells: &'a [Cell<i8>],
    /// Elements of a pixel.
    pub pixel: usize,
    /// First element that is gathered of each pixel (a group's first channel).
    pub first: usize,
    /// Elements that are gathered of each pixel.
    pub channels: usize,
    /// What padding is filled with.
    pub zero_point: i8,
}

/// The images of a batch and of its output, of `in_pixel` and `out_pixel` elements a pixel.
pub fn images<'a, 'b, T>(
    window: &Window,
    input: &'a [Cell<T>],
    in_pixel: usize,
    out: &'b [Cell<T>],
    out_pixel: usize,
) -> impl Iterator<Item = (&'a [Cell<T>], &'b [Cell<T>])> {
    let size = |h: u32, w: u32, pixel: usize| (h as usize).wrapping_mul(w as usize).wrapping_mul(pixel);
    let images = runs(input, size(window.in_h, window.in_w, in_pixel));
    images.zip(runs(out, size(window.out_h, window.out_w, out_pixel)))
}

/// Copies elements to every `step`-th place of `target`.
#[inline(never)]
pub fn spread(source: &[Cell<i8>], target: &[Cell<i8>], step: usize) {
    if step == 1 {
        copy(source, target);
    } else {
        // The one other step in use, as a constant.
        for (source, target) in source.iter().zip(target.iter().step_by(TILE)) {
            target.set(source.get());
        }
    }
}

/// Writes `len` zero points to every `step`-th place of `target`.
#[inline(never)]
fn pad(zero_point: i8, len: usize, target: &[Cell<i8>], step: usize) {
    for cell in target.iter().step_by(step.max(1)).take(len) {
        cell.set(zero_point);
    }
}

/// Copies the taps of output pixel `(oy, ox)` to every `step`-th place of `patch` (1 or [`TILE`]),
/// `channels` elements per tap in the order of kernel rows and columns.
pub fn gather(window: &Window, image: &Image<'_>, oy: u32, ox: u32, patch: &[Cell<i8>], step: usize) {
    let (kernel_w, channels) = (window.kernel_w as usize, image.channels);
    let x0 = (ox * window.stride_w) as i32 - window.pad_left as i32;
    let y0 = (oy * window.stride_h) as i32 - window.pad_top as i32;
    let last = x0 + ((window.kernel_w - 1) * window.dilation_w) as i32;
    // The taps of one kernel row lie side by side in the image.
    let together = window.dilation_w == 1 && channels == image.pixel && x0 >= 0 && last < window.in_w as i32;
    let row = kernel_w.wrapping_mul(channels);
    let mut y = y0;
    for patch in patch.chunks(row.wrapping_mul(step).max(1)).take(window.kernel_h as usize) {
        let line = (y as usize).wrapping_mul(window.in_w as usize);
        if y < 0 || y >= window.in_h as i32 {
            pad(image.zero_point, row, patch, step);
        } else if together {
            let start = line.wrapping_add(x0 as usize).wrapping_mul(channels);
            spread(image.cells.get(start..start.wrapping_add(row)).unwrap_or(&[]), patch, step);
        } else {
            let mut x = x0;
            for patch in patch.chunks(channels.wrapping_mul(step).max(1)) {
                if x < 0 || x >= window.in_w as i32 {
                    pad(image.zero_point, channels, patch, step);
                } else {
                    let start =
                        line.wrapping_add(x as usize).wrapping_mul(image.pixel).wrapping_add(image.first);
                    spread(image.cells.get(start..start.wrapping_add(channels)).unwrap_or(&[]), patch, step);
                }
                x += window.dilation_w as i32;
            }
        }
        y += window.dilation_h as i32;
    }
}

/// The lead of an op that walks output pixels in raster order and reads the taps of some of them
/// before it writes any of these: the most that the bytes written before some pixel are ahead of the
/// first byte that this pixel or a later one reads.
///
/// Where an output pixel stands over its own input pixel and is no larger, what is written before the first pixel
/// that moves on decides: the padding.
#[inline(always)]
pub fn lead(window: &Window, in_pixel: u32, out_pixel: u32) -> Option<u32> {
    let w = window;
    let stands = w.stride_h | w.stride_w == 1 && w.out_h == w.in_h && w.out_w == w.in_w;
    if stands && out_pixel <= in_pixel && w.pad_top < w.in_h && w.pad_left < w.in_w {
        // Within the input, whose size is known to fit 32 bits.
        return Some(w.pad_top.wrapping_mul(w.in_w).wrapping_add(w.pad_left).wrapping_mul(out_pixel));
    }
    lead_of_any(window, in_pixel, out_pixel)
}

/// Along a row, what is written grows by a pixel each step and what is read stands still under the padding and moves
/// by a stride behind it: the largest distance is at the last pixel that stands still or the first that moves, or at
/// the end of the row. Down the rows the same holds.
#[cold]
#[inline]
fn lead_of_any(w: &Window, in_pixel: u32, out_pixel: u32) -> Option<u32> {
    let (down, along) = (w.pad_top.checked_div(w.stride_h)?, w.pad_left.checked_div(w.stride_w)?);
    let mut lead = 0;
    for oy in [down, down.wrapping_add(1), u32::MAX] {
        for ox in [along, along.wrapping_add(1), u32::MAX] {
            lead = ahead(w, in_pixel, out_pixel, oy, ox).max(lead);
        }
    }
    Some(lead)
}

/// How far what is written before an output pixel is ahead of what it reads first. Pixels outside the image are the
/// last ones of their row or column. What it reads may lie in a later row; that row's pixels say more then.
#[cold]
#[inline]
fn ahead(w: &Window, in_pixel: u32, out_pixel: u32, oy: u32, ox: u32) -> u32 {
    let (oy, ox) = (oy.min(w.out_h.wrapping_sub(1)), ox.min(w.out_w.wrapping_sub(1)));
    let read = |o: u32, stride: u32, pad: u32| o.wrapping_mul(stride).saturating_sub(pad);
    let y = read(oy, w.stride_h, w.pad_top).wrapping_mul(w.in_w).wrapping_mul(in_pixel);
    let x = read(ox, w.stride_w, w.pad_left).wrapping_mul(in_pixel);
    let written = oy.wrapping_mul(w.out_w).wrapping_add(ox).wrapping_mul(out_pixel);
    written.saturating_sub(y.saturating_add(x))
}

/// The lead of a convolution that reads all rows under a row of outputs before it writes any of it: the
/// most that the rows written are ahead of the first row that is still to be read.
///
/// Where neither rows nor their number grow, and each window reaches its own row, nothing is ahead.
#[inline(always)]
pub fn band_lead(window: &Window, in_pixel: u32, out_pixel: u32) -> Option<u32> {
    let (in_row, out_row) = rows(window, in_pixel, out_pixel);
    if stays_behind(window, in_row, out_row) { Some(0) } else { lead_of_rows(window, in_row, out_row) }
}

/// Elements of a row of the input and of the output, which are known to fit 32 bits.
#[inline(always)]
pub fn rows(window: &Window, in_pixel: u32, out_pixel: u32) -> (u32, u32) {
    (window.in_w.wrapping_mul(in_pixel), window.out_w.wrapping_mul(out_pixel))
}

/// Whether neither rows nor their number grow, and each window reaches its own row: then [`band_lead`] is 0.
#[inline(always)]
pub fn stays_behind(w: &Window, in_row: u32, out_row: u32) -> bool {
    w.kernel_h > w.pad_top && w.out_h <= w.in_h && out_row <= in_row
}

/// [`band_lead`] of any window with rows of these sizes.
#[cold]
#[inline]
pub fn lead_of_rows(w: &Window, in_row: u32, out_row: u32) -> Option<u32> {
    // What is written grows evenly with the row. What is read stands still under the padding above, moves, and stands
    // still behind the image: what is ahead is largest where it begins to move, or at the end.
    let end = w.out_h.wrapping_sub(1);
    let moves = w.pad_top.saturating_sub(w.kernel_h).checked_div(w.stride_h)?;
    let mut lead = 0u32;
    for oy in [moves, moves.wrapping_add(1), end.wrapping_sub(1)] {
        // Behind the last row nothing is read any more.
        if oy < end {
            let unread = oy.wrapping_mul(w.stride_h).wrapping_add(w.kernel_h).saturating_sub(w.pad_top);
            let read = unread.min(w.in_h).wrapping_mul(in_row);
            lead = lead.max((oy + 1).wrapping_mul(out_row).saturating_sub(read));
        }
    }
    Some(lead)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use core::ops::Range;
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    const WINDOW: Window = Window {
        in_h: 2,
        in_w: 3,
        out_h: 2,
        out_w: 3,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 1,
        pad_left: 1,
    };

    #[test]
    fn gathers_with_padding() {
        let mut image = [1i8, 2, 3, 4, 5, 6];
        let cells = Cell::from_mut(&mut image[..]).as_slice_of_cells();
        let image = Image { cells, pixel: 1, first: 0, channels: 1, zero_point: -9 };
        let mut patch = [0i8; 9];
        let patch_cells = Cell::from_mut(&mut patch[..]).as_slice_of_cells();
        gather(&WINDOW, &image, 0, 0, patch_cells, 1);
        assert_eq!(patch, [-9, -9, -9, -9, 1, 2, -9, 4, 5]);
        let patch_cells = Cell::from_mut(&mut patch[..]).as_slice_of_cells();
        gather(&WINDOW, &image, 1, 1, patch_cells, 1);
        assert_eq!(patch, [1, 2, 3, 4, 5, 6, -9, -9, -9]);
    }

    #[test]
    fn lead_is_a_row_and_a_pixel_for_a_3x3_window() {
        let window = Window { in_h: 10, in_w: 5, out_h: 10, out_w: 5, ..WINDOW };
        assert_eq!(lead(&window, 8, 8), Some((5 + 1) * 8));
    }

    /// By definition: for each pixel, what is written before it against what it or a later one reads.
    fn lead_by_definition(w: &Window, in_pixel: u32, out_pixel: u32) -> u32 {
        let pixels = w.out_h * w.out_w;
        let first = |p: u32| {
            let taps = (0..w.kernel_h).flat_map(|ky| (0..w.kernel_w).map(move |kx| (ky, kx)));
            let inside = |at: i32, size: u32| u32::try_from(at).ok().filter(|&at| at < size);
            taps.filter_map(|(ky, kx)| {
                let y = (p / w.out_w * w.stride_h + ky * w.dilation_h) as i32 - w.pad_top as i32;
                let x = (p % w.out_w * w.stride_w + kx * w.dilation_w) as i32 - w.pad_left as i32;
                Some((inside(y, w.in_h)? * w.in_w + inside(x, w.in_w)?) * in_pixel)
            })
            .min()
            .unwrap_or(u32::MAX)
        };
        let (mut lead, mut read) = (0, u32::MAX);
        for p in (1..pixels).rev() {
            read = read.min(first(p));
            lead = lead.max((p * out_pixel).saturating_sub(read));
        }
        lead
    }

    proptest! {
        #[test]
        fn no_pixel_is_overwritten_before_it_is_read(
            (in_h, in_w, out_h, out_w) in (1u32..8, 1u32..8, 1u32..8, 1u32..8),
            (kernel_h, kernel_w) in (1u32..4, 1u32..4),
            (stride_h, stride_w, dilation_h, dilation_w) in (1u32..4, 1u32..4, 1u32..3, 1u32..3),
            (pad_top, pad_left) in (0u32..4, 0u32..4),
            (in_pixel, out_pixel) in (1u32..9, 1u32..9),
        ) {
            let window = Window {
                in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w,
                pad_top, pad_left,
            };
            let found = lead(&window, in_pixel, out_pixel).unwrap();
            prop_assert!(found >= lead_by_definition(&window, in_pixel, out_pixel));
            // Without dilation and with padding below the kernel's size it is exact.
            if dilation_h == 1 && dilation_w == 1 && pad_top == 0 && pad_left == 0
                && (out_h - 1) * stride_h < in_h && (out_w - 1) * stride_w < in_w
            {
                prop_assert_eq!(found, lead_by_definition(&window, in_pixel, out_pixel));
            }
        }
    }

    /// What an operator does before it writes some bytes of its output, and which these are.
    struct Step {
        /// Bytes of the input that are read.
        reads: Vec<Range<u32>>,
        /// Bytes of the output that are written.
        writes: Range<u32>,
    }

    /// Whether every byte of the input is read before an output that starts `lead` bytes before it has taken its
    /// place: byte by byte, in the order of the steps.
    fn survives(steps: &[Step], in_bytes: u32, out_bytes: u32, lead: u32) -> bool {
        let mut memory = std::vec![None; out_bytes.max(lead + in_bytes) as usize];
        for i in 0..in_bytes {
            memory[(lead + i) as usize] = Some(i);
        }
        for step in steps {
            let mut reads = step.reads.iter().flat_map(|range| range.clone());
            if reads.any(|i| memory[(lead + i) as usize] != Some(i)) {
                return false;
            }
            memory[step.writes.start as usize..step.writes.end as usize].fill(None);
        }
        true
    }

    /// The rows of the image that enter the ring for a row of outputs, where all before `next` have been seen.
    fn new_rows(w: &Window, oy: u32, next: &mut u32) -> Vec<u32> {
        let first = oy * w.stride_h;
        let rows = (*next).max(first)..first + w.kernel_h;
        *next = (*next).max(rows.end);
        rows.filter_map(|row| row.checked_sub(w.pad_top)).filter(|&y| y < w.in_h).collect()
    }

    /// A depthwise convolution writes a row of outputs at once.
    fn steps_by_rows(w: &Window, in_pixel: u32, out_pixel: u32) -> Vec<Step> {
        let (in_row, out_row) = (w.in_w * in_pixel, w.out_w * out_pixel);
        let mut next = 0;
        let step = |oy: u32| {
            let rows = new_rows(w, oy, &mut next).into_iter();
            let reads = rows.map(|y| y * in_row..(y + 1) * in_row).collect();
            Step { reads, writes: oy * out_row..(oy + 1) * out_row }
        };
        (0..w.out_h).map(step).collect()
    }

    /// A convolution writes a tile of pixels at once, which may stand in several rows.
    fn steps_by_tiles(w: &Window, in_pixel: u32, out_pixel: u32) -> Vec<Step> {
        let in_row = w.in_w * in_pixel;
        let pixels = w.out_h * w.out_w;
        let mut next = 0;
        let step = |start: u32| {
            let end = (start + TILE as u32).min(pixels);
            let mut reads = Vec::new();
            for pixel in start..end {
                let rows = new_rows(w, pixel / w.out_w, &mut next).into_iter();
                reads.extend(rows.map(|y| y * in_row..(y + 1) * in_row));
            }
            Step { reads, writes: start * out_pixel..end * out_pixel }
        };
        (0..pixels).step_by(TILE).map(step).collect()
    }

    /// The formula of `schema/FORMAT.md`, 5.1, row by row.
    fn band_lead_by_rows(w: &Window, in_pixel: u32, out_pixel: u32) -> u32 {
        let ahead = |oy: u32| {
            let unread = (oy * w.stride_h + w.kernel_h).saturating_sub(w.pad_top).min(w.in_h);
            ((oy + 1) * w.out_w * out_pixel).saturating_sub(unread * w.in_w * in_pixel)
        };
        (0..w.out_h - 1).map(ahead).max().unwrap_or(0)
    }

    /// The formula of `schema/FORMAT.md`, 5.1, pixel by pixel.
    fn lead_by_pixels(w: &Window, in_pixel: u32, out_pixel: u32) -> u32 {
        let first = |q: u32| {
            let y = (q / w.out_w * w.stride_h).saturating_sub(w.pad_top);
            let x = (q % w.out_w * w.stride_w).saturating_sub(w.pad_left);
            (y * w.in_w + x) * in_pixel
        };
        let (mut lead, mut read) = (0, u32::MAX);
        for q in (0..w.out_h * w.out_w).rev() {
            read = read.min(first(q));
            lead = lead.max((q * out_pixel).saturating_sub(read));
        }
        lead
    }

    prop_compose! {
        /// Any window over small images, sensible or not, and the sizes of its pixels.
        fn windows()(
            (in_h, in_w, out_h, out_w) in (1u32..10, 1u32..6, 1u32..10, 1u32..6),
            (kernel_h, kernel_w, stride_h, stride_w) in (1u32..6, 1u32..6, 1u32..5, 1u32..5),
            (pad_top, pad_left) in (0u32..7, 0u32..7),
            (in_pixel, out_pixel) in (1u32..7, 1u32..7),
        ) -> (Window, u32, u32) {
            let window = Window {
                in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, ..WINDOW
            };
            (window, in_pixel, out_pixel)
        }
    }

    prop_compose! {
        /// A window that keeps the image's size, as most do, and those sizes.
        fn standing_windows()(
            (mut window, in_pixel, out_pixel) in windows(),
        ) -> (Window, u32, u32) {
            (window.out_h, window.out_w, window.stride_h, window.stride_w) = (window.in_h, window.in_w, 1, 1);
            (window, in_pixel, out_pixel)
        }
    }

    prop_compose! {
        /// A window that differs from those in one size or stride.
        fn nearly_standing_windows()(
            (mut window, in_pixel, out_pixel) in standing_windows(),
            (other, number) in (0usize..4, 1u32..7),
        ) -> (Window, u32, u32) {
            let w = &mut window;
            *[&mut w.out_h, &mut w.out_w, &mut w.stride_h, &mut w.stride_w][other] = number;
            (window, in_pixel, out_pixel)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6000, ..ProptestConfig::default() })]

        #[test]
        fn leads_are_those_of_the_format(
            (window, in_pixel, out_pixel) in
                prop_oneof![windows(), standing_windows(), nearly_standing_windows()],
        ) {
            let found = band_lead(&window, in_pixel, out_pixel);
            prop_assert_eq!(found, Some(band_lead_by_rows(&window, in_pixel, out_pixel)));
            let found = lead(&window, in_pixel, out_pixel);
            prop_assert_eq!(found, Some(lead_by_pixels(&window, in_pixel, out_pixel)));
        }

        #[test]
        fn no_row_is_overwritten_before_it_is_in_the_ring(
            (window, in_pixel, out_pixel) in prop_oneof![windows(), standing_windows()],
            more in 0u32..9,
        ) {
            let w = &window;
            let lead = band_lead(w, in_pixel, out_pixel).unwrap();
            let (in_bytes, out_bytes) = (w.in_h * w.in_w * in_pixel, w.out_h * w.out_w * out_pixel);
            let rows = steps_by_rows(w, in_pixel, out_pixel);
            for steps in [&rows, &steps_by_tiles(w, in_pixel, out_pixel)] {
                prop_assert!(survives(steps, in_bytes, out_bytes, lead));
                prop_assert!(survives(steps, in_bytes, out_bytes, lead + more));
            }
            // Where every row is read, each by the first window that can, no smaller one is enough.
            let all_rows = (w.out_h - 1) * w.stride_h + w.kernel_h > w.pad_top;
            let to_the_end = w.out_h == 1 || (w.out_h - 2) * w.stride_h + w.kernel_h < w.in_h + w.pad_top;
            if lead > 0 && w.stride_h <= w.kernel_h && all_rows && to_the_end {
                prop_assert!(!survives(&rows, in_bytes, out_bytes, lead - 1));
            }
        }
    }

    /// What is read behind the largest number is far ahead of all that is written.
    #[test]
    fn places_beyond_32_bits_are_not_at_the_start() {
        let window =
            Window { in_w: 1 << 16, stride_h: 3, stride_w: 1 << 15, pad_top: 0, pad_left: 0, ..WINDOW };
        // Row 3 begins at byte 3 * 2^30 of the input, and the pixel 2^30 bytes behind.
        assert_eq!(ahead(&window, 1 << 14, 8, 1, 2), 0);
    }

    #[test]
    fn pointwise_is_a_pixel_for_a_pixel() {
        let pointwise = Window { kernel_h: 1, kernel_w: 1, pad_top: 0, pad_left: 0, ..WINDOW };
        assert!(is_pointwise(&pointwise));
        for other in [
            Window { kernel_h: 2, ..pointwise },
            Window { kernel_w: 2, ..pointwise },
            Window { stride_h: 2, ..pointwise },
            Window { stride_w: 2, ..pointwise },
            Window { pad_top: 1, ..pointwise },
            Window { pad_left: 1, ..pointwise },
            // Rows or columns that are cut off, or filled up with padding.
            Window { out_h: 1, ..pointwise },
            Window { out_h: 3, ..pointwise },
            Window { out_w: 2, ..pointwise },
            Window { out_w: 4, ..pointwise },
        ] {
            assert!(!is_pointwise(&other), "{other:?}");
        }
    }

    #[test]
    fn absurd_windows_are_refused() {
        assert!(check(&WINDOW).is_ok());
        assert!(check(&Window { stride_h: 0, ..WINDOW }).is_err());
        assert!(check(&Window { in_h: 70_000, ..WINDOW }).is_err());
        assert!(check(&Window { out_h: 60_000, stride_h: 60_000, ..WINDOW }).is_err());
        assert!(check(&Window { pad_top: u32::MAX, ..WINDOW }).is_err());
    }
}
