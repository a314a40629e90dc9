//! RESIZE_BILINEAR of TensorFlow 1's uint8, which is computed in float32: each output pixel is the weighted mean of four
//! input pixels, plus a half, truncated.
//!
//! Where positions are no multiples of 1/1024 of a pixel, the last bit of a product decides about half steps, so the
//! operations and their order are those of TFLite. Source followed: `reference/resize_bilinear.h`, `ResizeBilinear`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::ResizeBilinearFloatParams;

use super::{Operator, no_overlap, window};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::runs;

/// Beyond this, float32 has no fractions of a pixel.
const LARGEST: u32 = 0xFFFF;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::ResizeBilinearFloat as u16, check, eval, lead: no_overlap }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &ResizeBilinearFloatParams = node.params()?;
    let inputs = window::elements(p.batches, p.in_h, p.in_w, p.channels)?;
    let outputs = window::elements(p.batches, p.out_h, p.out_w, p.channels)?;
    let sizes = p.in_h.max(p.in_w).max(p.out_h).max(p.out_w);
    let scales = [p.scale_h, p.scale_w].iter().all(|&s| s >= 0.0 && s <= LARGEST as f32);
    if inputs == 0 || outputs == 0 || sizes > LARGEST || !scales || p.half_pixel_centers > 1 {
        return Err(Fault::Parameters);
    }
    node.expect_int8(inputs, outputs)
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params::<ResizeBilinearFloatParams>() {
        resize_bilinear_float(p, eval.input(0), eval.output(0));
    }
}

/// The two neighbours of a position, and its distance from the first.
#[inline(always)]
fn neighbours(index: u32, scale: f32, half: bool, size: u32) -> (usize, usize, f32) {
    let position = if half { (index as f32 + 0.5) * scale - 0.5 } else { index as f32 * scale };
    // Positions begin above -1; the conversion truncates.
    let whole = position as i32;
    let floor = if position < whole as f32 { whole.wrapping_sub(1) } else { whole };
    let ceiling = if position > floor as f32 { floor.wrapping_add(1) } else { floor };
    let last = (size as i32).wrapping_sub(1);
    let first = floor.max(0).min(last);
    (first as usize, ceiling.max(0).min(last) as usize, position - floor.max(0) as f32)
}

/// Resizes a batch of images. `input` is `[batches, in_h, in_w, channels]`, `out`
/// `[batches, out_h, out_w, channels]`.
pub fn resize_bilinear_float(p: &ResizeBilinearFloatParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    let half = p.half_pixel_centers != 0;
    let channels = (p.channels as usize).max(1);
    let row = channels.wrapping_mul(p.in_w as usize).max(1);
    let out_row = channels.wrapping_mul(p.out_w as usize).max(1);
    let images = runs(input, row.wrapping_mul(p.in_h as usize));
    for (image, out) in images.zip(runs(out, out_row.wrapping_mul(p.out_h as usize))) {
        for (y, out) in (0u32..).zip(out.chunks_exact(out_row)) {
            let (y0, y1, dy) = neighbours(y, p.scale_h, half, p.in_h);
            for (x, out) in (0u32..).zip(out.chunks_exact(channels)) {
                let (x0, x1, dx) = neighbours(x, p.scale_w, half, p.in_w);
                let pixel = |y: usize, x: usize| {
                    let start = y.wrapping_mul(row).wrapping_add(x.wrapping_mul(channels));
                    image.get(start..).unwrap_or(&[]).iter()
                };
                let upper = pixel(y0, x0).zip(pixel(y0, x1));
                let pixels = upper.zip(pixel(y1, x0).zip(pixel(y1, x1)));
                for (((a, b), (c, d)), out) in pixels.zip(out) {
                    let [a, b, c, d] = [a, b, c, d].map(|x| i32::from(x.get()).wrapping_add(128) as f32);
                    let sum = a * (1.0 - dy) * (1.0 - dx)
                        + c * dy * (1.0 - dx)
                        + b * (1.0 - dy) * dx
                        + d * dy * dx
                        + 0.5;
                    out.set((sum as i32).wrapping_sub(128) as i8);
                }
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, dim};

    let mut next = |most: usize| dim(random, most);
    let (batches, in_h, in_w, out_h, out_w, channels) =
        (next(2), next(5), next(5), next(7), next(7), next(4));
    let half_pixel_centers = random.below(2) as u32;
    let scale = |size: u32, out: u32| size as f32 / out as f32;
    let p = ResizeBilinearFloatParams {
        batches,
        in_h,
        in_w,
        out_h,
        out_w,
        channels,
        scale_h: scale(in_h, out_h),
        scale_w: scale(in_w, out_w),
        half_pixel_centers,
    };
    let case = Case::of(OpCode::ResizeBilinearFloat, &p, Constants::default());
    case.int8(random, batches * in_h * in_w * channels, batches * out_h * out_w * channels)
}
