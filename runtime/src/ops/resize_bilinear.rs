//! RESIZE_BILINEAR: each output pixel is the weighted mean of four input pixels.
//!
//! ```text
//! position = y * scale_h + start_h            in 1/1024 of a pixel
//! y0 = max(position / 1024, 0)                y1 = min((position + 1023) / 1024, in_h - 1)
//! out = (sum of four elements times their weights) / 2^20, rounded
//! ```
//! Divisions truncate. Weights are `position - 1024 * y0` and what it lacks to 1024; they leave
//! `0 ..= 1024` only at the borders, where both neighbours are the same pixel.
//! Source followed: TFLM `ResizeBilinearInteger` in `reference/resize_bilinear.h`.

use core::cell::Cell;

use ferrolite_schema::params::ResizeBilinearParams;
use ferrolite_schema::{OpCode, Rounding};

use super::{Operator, no_overlap, window};
use crate::error::Fault;
use crate::kernels::resize::{ONE, neighbours, part};
use crate::kernels::{Between, Kernels};
use crate::node::{Eval, Node};
use crate::tensor::runs;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::ResizeBilinear as u16, check, eval: eval::<K>, lead: no_overlap }
}

pub(super) fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ResizeBilinearParams = node.params()?;
    let inputs = window::elements(p.batches, p.in_h, p.in_w, p.channels)?;
    let outputs = window::elements(p.batches, p.out_h, p.out_w, p.channels)?;
    if inputs == 0 || outputs == 0 {
        return Err(Fault::Parameters);
    }
    check_axis(p.out_h, p.in_h, p.scale_h, p.start_h)?;
    check_axis(p.out_w, p.in_w, p.scale_w, p.start_w)?;
    node.expect_int8(inputs, outputs)
}

/// Checks that positions begin not more than one pixel before the image and end within its last pixel,
/// so that neighbours exist and nothing overflows.
fn check_axis(out: u32, size: u32, scale: i32, start: i32) -> Result<(), Fault> {
    let last = (i64::from(out) - 1) * i64::from(scale) + i64::from(start);
    let end = i64::from(size) * i64::from(ONE);
    if size <= 0xFFFF && scale >= 0 && start > -ONE && last < end { Ok(()) } else { Err(Fault::Parameters) }
}

fn eval<K: Kernels>(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ResizeBilinearParams>() {
        resize_bilinear::<K>(p, eval.node().rounding(), eval.input(0), eval.output(0));
    }
}

/// Resizes a batch of images. `input` is `[batches, in_h, in_w, channels]`, `out`
/// `[batches, out_h, out_w, channels]`.
pub fn resize_bilinear<K: Kernels>(
    p: &ResizeBilinearParams,
    rounding: Rounding,
    input: &[Cell<i8>],
    out: &[Cell<i8>],
) {
    let channels = (p.channels as usize).max(1);
    let row = channels.wrapping_mul(p.in_w as usize).max(1);
    let out_row = channels.wrapping_mul(p.out_w as usize).max(1);
    let last = (p.in_h as i32).wrapping_sub(1);
    let images = runs(input, row.wrapping_mul(p.in_h as usize));
    for (image, out) in images.zip(runs(out, out_row.wrapping_mul(p.out_h as usize))) {
        let mut y = p.start_h;
        for out in runs(out, out_row) {
            let (y0, y1, dy) = neighbours(y, last);
            let rows = [part(image, y0, row), part(image, y1, row)];
            let between = Between { rows, dy, channels, start: p.start_w, step: p.scale_w, width: p.in_w };
            K::resize_row(&between, rounding, out);
            y = y.wrapping_add(p.scale_h);
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, Random, dim};

    let mut next = |most: usize| dim(random, most);
    let (batches, in_h, in_w, out_h, out_w, channels) =
        (next(2), next(5), next(5), next(7), next(7), next(7));
    // Now and then twice as large, and of whole words.
    let twice = random.below(3) == 0;
    let (out_h, out_w) = if twice { (2 * in_h, 2 * in_w) } else { (out_h, out_w) };
    let channels = if random.below(3) == 0 { 4 * channels } else { channels };
    let scale = |size: u32, out: u32| (size * 1024 / out) as i32;
    let (scale_h, scale_w) = (scale(in_h, out_h), scale(in_w, out_w));
    let start = |random: &mut Random, scale: i32| [0, (scale - 1024) / 2][random.below(2)].min(0);
    let (start_h, start_w) = (start(random, scale_h), start(random, scale_w));
    let p = ResizeBilinearParams {
        batches,
        in_h,
        in_w,
        out_h,
        out_w,
        channels,
        scale_h,
        scale_w,
        start_h,
        start_w,
    };
    let case = Case::of(OpCode::ResizeBilinear, &p, Constants::default()).rounding(random);
    case.int8(random, batches * in_h * in_w * channels, batches * out_h * out_w * channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Portable;

    #[test]
    fn doubles_a_row() {
        // Scale 1/2, no half-pixel centres: every other pixel is a mean, the last one repeats.
        let p = ResizeBilinearParams {
            batches: 1,
            in_h: 1,
            in_w: 2,
            out_h: 1,
            out_w: 4,
            channels: 1,
            scale_h: 1024,
            scale_w: 512,
            start_h: 0,
            start_w: 0,
        };
        for (input, rounding, expected) in [
            ([-3i8, -2], Rounding::Double, [-3i8, -3, -2, -2]),
            ([-3, -2], Rounding::Single, [-3, -2, -2, -2]),
            ([3, 2], Rounding::Double, [3, 3, 2, 2]),
            ([-128, 127], Rounding::Double, [-128, -1, 127, 127]),
        ] {
            let (mut input, mut out) = (input, [0i8; 4]);
            resize_bilinear::<Portable>(
                &p,
                rounding,
                Cell::from_mut(&mut input[..]).as_slice_of_cells(),
                Cell::from_mut(&mut out[..]).as_slice_of_cells(),
            );
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn axes_that_leave_the_image_are_refused() {
        assert!(check_axis(4, 2, 512, -256).is_ok());
        assert!(check_axis(4, 2, 512, -1024).is_err());
        assert!(check_axis(5, 2, 512, 0).is_err());
        assert!(check_axis(u32::MAX, 2, i32::MAX, 0).is_err());
        assert!(check_axis(4, 2, -512, 0).is_err());
        assert!(check_axis(4, 0, 0, 0).is_err());
    }
}
