//! AVERAGE_POOL_2D and MAX_POOL_2D: mean or maximum of each channel over the cells of a window that
//! lie inside the image.
//!
//! Nothing is gathered: the kernels walk the image where it lies, and the output may still lie over
//! it. Source followed: TFLM `kernels/pooling_common.cc`, `reference/integer_ops/pooling.h`.

use core::cell::Cell;

use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Pool2dParams, Window};

use super::{Operator, window};
use crate::error::Fault;
use crate::kernels::{Cells, Kernels};
use crate::node::{Eval, Node, check_clamp};

/// AVERAGE_POOL_2D with the kernels `K`.
pub const fn average_operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::AveragePool2d, check, eval: eval_average::<K>, lead }
}

/// MAX_POOL_2D with the kernels `K`.
pub const fn max_operator<K: Kernels>() -> Operator {
    Operator { code: OpCode::MaxPool2d, check, eval: eval_max::<K>, lead }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &Pool2dParams = node.params()?;
    let w = &p.window;
    window::check(w)?;
    check_clamp(p.min, p.max)?;
    // Every window covers a cell: the first one with its last tap, the last one with its first.
    let covers = |out: u32, stride: u32, kernel: u32, pad: u32, size: u32| {
        let last = out.saturating_sub(1).saturating_mul(stride);
        pad < kernel && last < size.saturating_add(pad)
    };
    if w.dilation_h != 1
        || w.dilation_w != 1
        || !covers(w.out_h, w.stride_h, w.kernel_h, w.pad_top, w.in_h)
        || !covers(w.out_w, w.stride_w, w.kernel_w, w.pad_left, w.in_w)
    {
        return Err(Fault::Parameters);
    }
    if p.batches == 0 || p.channels == 0 {
        return Err(Fault::Parameters);
    }
    node.expect_int8(
        window::elements(p.batches, w.in_h, w.in_w, p.channels)?,
        window::elements(p.batches, w.out_h, w.out_w, p.channels)?,
    )
}

/// Before output pixel `q` is computed, `q` pixels have been written, and the first cell that is
/// still to be read is the first of its window: `output + q <= input + first(q)`, in pixels.
/// Within a pixel the kernels keep that order channel by channel.
fn lead(node: &Node<'_>, _: usize) -> Option<u32> {
    let p: &Pool2dParams = node.params().ok()?;
    let w = &p.window;
    // Rows and columns contribute independently: q = oy * out_w + ox, first = iy * in_w + ix.
    let most = |out: u32, written: u32, stride: u32, pad: u32, read: u32| {
        let ahead = |o: u32| {
            let first = o.wrapping_mul(stride).saturating_sub(pad);
            i64::from(o).wrapping_mul(written.into()).wrapping_sub(i64::from(first).wrapping_mul(read.into()))
        };
        (0..out).map(ahead).fold(0, i64::max)
    };
    let rows = most(w.out_h, w.out_w, w.stride_h, w.pad_top, w.in_w);
    let columns = most(w.out_w, 1, w.stride_w, w.pad_left, 1);
    // A later image of the batch starts as much further ahead as the images before it have grown.
    let image = |h: u32, w: u32| i64::from(h).wrapping_mul(w.into());
    let growth = image(w.out_h, w.out_w).wrapping_sub(image(w.in_h, w.in_w)).max(0);
    let images = growth.checked_mul(p.batches.saturating_sub(1).into())?;
    let pixels = rows.checked_add(columns)?.checked_add(images)?;
    u32::try_from(pixels.checked_mul(p.channels.into())?).ok()
}

fn eval_average<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    average_pool_2d::<K>(p, eval.input(0), eval.output(0));
}

fn eval_max<K: Kernels>(eval: &Eval<'_>) {
    let Ok(p) = eval.node().params() else { return };
    max_pool_2d::<K>(p, eval.input(0), eval.output(0));
}

/// Average pooling of a batch of images. `input` is `[batches, in_h, in_w, channels]`, `out`
/// `[batches, out_h, out_w, channels]`.
pub fn average_pool_2d<K: Kernels>(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    pool(p, input, out, |cells, out| K::average_pool(cells, p.min, p.max, out));
}

/// Maximum pooling of a batch of images; shapes as for [`average_pool_2d`].
pub fn max_pool_2d<K: Kernels>(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>]) {
    pool(p, input, out, |cells, out| K::max_pool(cells, p.min, p.max, out));
}

/// First cell and number of cells of a window inside the image, along one dimension.
fn span(o: u32, stride: u32, kernel: u32, pad: u32, size: u32) -> (usize, usize) {
    let start = o.wrapping_mul(stride);
    let first = start.saturating_sub(pad);
    let end = start.wrapping_add(kernel).saturating_sub(pad).min(size);
    (first as usize, end.saturating_sub(first) as usize)
}

fn pool(p: &Pool2dParams, input: &[Cell<i8>], out: &[Cell<i8>], kernel: impl Fn(&Cells<'_>, &[Cell<i8>])) {
    let Window { in_h, in_w, out_h, out_w, .. } = p.window;
    let w = &p.window;
    let channels = p.channels.max(1) as usize;
    let stride = (in_w as usize).wrapping_mul(channels);
    let row = (out_w as usize).wrapping_mul(channels).max(1);
    let images = input.chunks_exact((in_h as usize).wrapping_mul(stride).max(1));
    for (image, out) in images.zip(out.chunks_exact((out_h as usize).wrapping_mul(row).max(1))) {
        for (oy, out) in (0..).zip(out.chunks_exact(row)) {
            let (y, height) = span(oy, w.stride_h, w.kernel_h, w.pad_top, in_h);
            for (ox, out) in (0..).zip(out.chunks_exact(channels)) {
                let (x, width) = span(ox, w.stride_w, w.kernel_w, w.pad_left, in_w);
                let first = y.wrapping_mul(stride).wrapping_add(x.wrapping_mul(channels));
                let image = image.get(first..).unwrap_or(&[]);
                kernel(&Cells { image, height, width, channels, stride }, out);
            }
        }
    }
}
