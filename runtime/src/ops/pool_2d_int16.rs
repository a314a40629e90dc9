//! AVERAGE_POOL_2D and MAX_POOL_2D of int16: mean or maximum of each channel over the cells of a window that lie inside
//! the image.
//!
//! Source followed: TFLM `kernels/pooling_common.cc`, `reference/integer_ops/pooling.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::Pool2dInt16Params;

use super::int16::{self, check_clamp};
use super::window::images;
use super::{Operator, no_overlap, pool_2d, window};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::tensor::runs;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Pool2dInt16 as u16, check, eval, lead: no_overlap }
}

#[inline]
fn check(node: &Node<'_>) -> Result<(), Fault> {
    let Pool2dInt16Params { pool: p, largest } = node.params()?;
    let w = &p.window;
    window::check(w)?;
    int16::expect(
        node,
        window::elements(p.batches, w.in_h, w.in_w, p.channels)?,
        window::elements(p.batches, w.out_h, w.out_w, p.channels)?,
    )?;
    check_clamp(p.min, p.max)?;
    if *largest > 1 || !pool_2d::covers_all(w) { Err(Fault::Parameters) } else { Ok(()) }
}

fn eval(eval: &Eval<'_>) {
    if let Ok(p) = eval.node().params() {
        pool_2d_int16(p, eval.input(0), eval.output(0));
    }
}

/// Pools a batch of images. `input` is `[batches, in_h, in_w, channels]`, `out` `[batches, out_h, out_w, channels]`.
pub fn pool_2d_int16(p: &Pool2dInt16Params, input: &[Cell<i16>], out: &[Cell<i16>]) {
    let Pool2dInt16Params { pool: p, largest } = p;
    let (w, channels) = (&p.window, p.channels as usize);
    let row = (w.in_w as usize).wrapping_mul(channels);
    for (image, out) in images(w, input, channels, out, channels) {
        let (mut oy, mut ox) = (0, 0);
        for pixel in runs(out, channels) {
            let (y, height) = pool_2d::span(oy, w.stride_h, w.kernel_h, w.pad_top, w.in_h);
            let (x, width) = pool_2d::span(ox, w.stride_w, w.kernel_w, w.pad_left, w.in_w);
            let count = height.wrapping_mul(width) as i32;
            for (channel, place) in pixel.iter().enumerate() {
                let first = y.wrapping_mul(row).wrapping_add(x.wrapping_mul(channels)).wrapping_add(channel);
                let (mut sum, mut most) = (0i32, i32::from(i16::MIN));
                let mut line = first;
                for _ in 0..height {
                    let mut at = line;
                    for _ in 0..width {
                        let element = image.get(at).map_or(0, Cell::get).into();
                        sum = sum.wrapping_add(element);
                        most = most.max(element);
                        at = at.wrapping_add(channels);
                    }
                    line = line.wrapping_add(row);
                }
                let half = if sum > 0 { count / 2 } else { (count / 2).wrapping_neg() };
                let mean = sum.wrapping_add(half).checked_div(count).unwrap_or(0);
                let y = if *largest == 1 { most } else { mean };
                place.set(y.max(p.min).min(p.max) as i16);
            }
            ox += 1;
            if ox == w.out_w {
                (oy, ox) = (oy + 1, 0);
            }
        }
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, sizes};
    use ferrolite_schema::DType;

    let pool = pool_2d::any(random, (i16::MIN.into(), i16::MAX.into()));
    let (input, output) = sizes(&pool.window, pool.batches, pool.channels, pool.channels);
    let p = Pool2dInt16Params { pool, largest: random.below(2) as u32 };
    let case = Case::of(OpCode::Pool2dInt16, &p, Constants::default());
    case.input(random, DType::Int16, 2 * input).output(DType::Int16, 2 * output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolite_schema::params::{Pool2dParams, Window};

    #[test]
    fn only_cells_inside_count() {
        // Two rows and columns, with a row of padding above and a column to the left.
        let window = Window {
            in_h: 2,
            in_w: 2,
            out_h: 2,
            out_w: 2,
            kernel_h: 2,
            kernel_w: 2,
            stride_h: 1,
            stride_w: 1,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_left: 1,
        };
        let pool = Pool2dParams { window, batches: 1, channels: 1, min: -30_000, max: 30_000 };
        let run = |largest| {
            let (mut x, mut out) = ([32_767i16, -32_767, -2, 32_765], [0i16; 4]);
            let [x, cells] = [&mut x, &mut out].map(|x| Cell::from_mut(&mut x[..]).as_slice_of_cells());
            pool_2d_int16(&Pool2dInt16Params { pool, largest }, x, cells);
            out
        };
        // Half of 0, of 32,765, and a quarter of 32,763: halves are rounded away from zero.
        assert_eq!(run(0), [30_000, 0, 16_383, 8_191]);
        assert_eq!(run(1), [30_000; 4]);
    }
}
