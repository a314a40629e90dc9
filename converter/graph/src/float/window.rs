//! Sliding windows over NHWC images: convolutions and pooling.
//!
//! A convolution is a matrix product: the pixels under each window become one row ("im2col"; in NHWC the taps
//! of one kernel row are adjacent and are copied at once), and the filter's output channels are the columns.
//! A 1x1 convolution of stride 1 needs no copy. Rows are made in blocks that stay in the second-level cache.
//! Depthwise convolutions reuse too little data for this, so they are computed directly, with channels
//! innermost so that the loop vectorises.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayView4, ArrayViewMut2, Axis, Slice};

use super::Tensor;
use crate::graph::{PoolKind, Window};

/// Elements of the im2col block: 256 KB.
const BLOCK: usize = 1 << 16;

/// Channels whose sums a depthwise convolution keeps in registers.
const LANES: usize = 16;

/// Batch, height, width and channels.
fn nhwc(shape: &[usize]) -> [usize; 4] {
    [shape[0], shape[1], shape[2], shape[3]]
}

/// One row of `bias`, or zeros, per pixel.
fn filled(bias: Option<&[f32]>, pixels: usize, channels: usize) -> Vec<f32> {
    match bias {
        Some(bias) => bias.repeat(pixels),
        None => vec![0.0; pixels * channels],
    }
}

/// The kernel taps `lo..hi` that lie on one of `size` pixels, for output index `out`, and the pixel of tap 0
/// (negative in the padding). Works along one dimension (0 = height, 1 = width).
fn taps(window: &Window, dim: usize, out: usize, size: usize) -> (isize, std::ops::Range<usize>) {
    let dilation = window.dilation[dim];
    let origin = (out * window.stride[dim]) as isize - window.pad_before[dim] as isize;
    let lo = if origin < 0 { origin.unsigned_abs().div_ceil(dilation) } else { 0 };
    let hi = if origin >= size as isize {
        0
    } else {
        // The last tap satisfies origin + t * dilation <= size - 1.
        (((size as isize - 1 - origin) as usize) / dilation + 1).min(window.kernel[dim])
    };
    (origin, lo.min(hi)..hi)
}

/// CONV_2D. It is grouped if the filter's depth is a fraction of the input's.
pub fn conv2d(
    input: Tensor,
    filter: Tensor,
    bias: Option<&[f32]>,
    window: &Window,
    out_shape: &[usize],
) -> Vec<f32> {
    let [_, h, w, channels] = nhwc(input.shape);
    let [_, out_h, out_w, out_channels] = nhwc(out_shape);
    let depth = filter.shape[3];
    let groups = channels / depth;
    let group_out = out_channels / groups;
    let pixels = out_shape[0] * out_h * out_w;
    let k = window.kernel[0] * window.kernel[1] * depth;
    let mut out = filled(bias, pixels, out_channels);
    let filter = view(filter.data, out_channels, k);
    let pointwise = window.kernel == [1, 1]
        && window.stride == [1, 1]
        && window.pad_before == [0, 0]
        && window.pad_after == [0, 0];
    let rows = if pointwise { pixels } else { (BLOCK / k).clamp(16, 4096).min(pixels) };
    let mut columns = if pointwise { Vec::new() } else { vec![0.0; rows * k] };
    for first in (0..pixels).step_by(rows) {
        let count = rows.min(pixels - first);
        let out_block = &mut out[first * out_channels..(first + count) * out_channels];
        let mut out_block = view_mut(out_block, count, out_channels);
        for group in 0..groups {
            let from = group * depth;
            let block = if pointwise {
                let mut block = view(input.data, pixels, channels);
                block.slice_axis_inplace(Axis(1), Slice::from(from..from + depth));
                block
            } else {
                for (row, pixel) in columns.chunks_exact_mut(k).zip(first..first + count) {
                    let (b, oy, ox) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
                    let image = &input.data[b * h * w * channels..][..h * w * channels];
                    im2col_row(row, image, [h, w, channels], from, depth, window, [oy, ox]);
                }
                view(&columns[..count * k], count, k)
            };
            let range = Slice::from(group * group_out..(group + 1) * group_out);
            let filters = filter.slice_axis(Axis(0), range);
            let mut out_block = out_block.slice_axis_mut(Axis(1), range);
            general_mat_mul(1.0, &block, &filters.t(), 1.0, &mut out_block);
        }
    }
    out
}

/// Writes `depth` channels, starting with channel `from`, of the pixels under one window as `[kh, kw,
/// depth]`.
fn im2col_row(
    row: &mut [f32],
    image: &[f32],
    [h, w, channels]: [usize; 3],
    from: usize,
    depth: usize,
    window: &Window,
    [oy, ox]: [usize; 2],
) {
    let (y0, y_taps) = taps(window, 0, oy, h);
    let (x0, x_taps) = taps(window, 1, ox, w);
    let kernel_row = window.kernel[1] * depth;
    if y_taps.len() != window.kernel[0] || x_taps.len() != window.kernel[1] {
        row.fill(0.0);
    }
    for ky in y_taps {
        let y = (y0 + (ky * window.dilation[0]) as isize) as usize;
        let row = &mut row[ky * kernel_row..][..kernel_row];
        if depth == channels && window.dilation[1] == 1 && !x_taps.is_empty() {
            let x = (x0 + x_taps.start as isize) as usize;
            let len = x_taps.len() * depth;
            row[x_taps.start * depth..][..len].copy_from_slice(&image[(y * w + x) * channels..][..len]);
            continue;
        }
        for kx in x_taps.clone() {
            let x = (x0 + (kx * window.dilation[1]) as isize) as usize;
            let pixel = &image[(y * w + x) * channels + from..][..depth];
            row[kx * depth..][..depth].copy_from_slice(pixel);
        }
    }
}

/// DEPTHWISE_CONV_2D: channel `c` of the output reads channel `c / multiplier`.
pub fn depthwise(
    input: Tensor,
    filter: Tensor,
    bias: Option<&[f32]>,
    window: &Window,
    multiplier: usize,
    out_shape: &[usize],
) -> Vec<f32> {
    let [_, h, w, channels] = nhwc(input.shape);
    let [_, out_h, out_w, out_channels] = nhwc(out_shape);
    let mut out = filled(bias, out_shape[0] * out_h * out_w, out_channels);
    // The offsets of the pixels and of the weights of those taps that are inside the image.
    let mut inside: Vec<(usize, usize)> = Vec::with_capacity(window.kernel.iter().product());
    for (pixel, sums) in out.chunks_exact_mut(out_channels).enumerate() {
        let (b, oy, ox) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
        let image = &input.data[b * h * w * channels..][..h * w * channels];
        let (y0, y_taps) = taps(window, 0, oy, h);
        let (x0, x_taps) = taps(window, 1, ox, w);
        inside.clear();
        for ky in y_taps {
            let y = (y0 + (ky * window.dilation[0]) as isize) as usize;
            for kx in x_taps.clone() {
                let x = (x0 + (kx * window.dilation[1]) as isize) as usize;
                inside.push(((y * w + x) * channels, (ky * window.kernel[1] + kx) * out_channels));
            }
        }
        if multiplier == 1 {
            depthwise_pixel(sums, image, filter.data, &inside);
            continue;
        }
        for &(pixel, weights) in &inside {
            let (pixel, weights) = (&image[pixel..][..channels], &filter.data[weights..][..out_channels]);
            let groups = sums.chunks_exact_mut(multiplier).zip(weights.chunks_exact(multiplier));
            for ((sums, weights), x) in groups.zip(pixel) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += x * weight;
                }
            }
        }
    }
    out
}

/// Adds the taps of one pixel. Sums of [`LANES`] channels stay in registers over all taps.
fn depthwise_pixel(sums: &mut [f32], image: &[f32], weights: &[f32], taps: &[(usize, usize)]) {
    let (blocks, rest) = sums.as_chunks_mut::<LANES>();
    let mut first = 0;
    for block in blocks {
        let mut sums = *block;
        for &(x, w) in taps {
            let (x, w) = (&image[x + first..][..LANES], &weights[w + first..][..LANES]);
            for i in 0..LANES {
                sums[i] += x[i] * w[i];
            }
        }
        *block = sums;
        first += LANES;
    }
    if rest.is_empty() {
        return;
    }
    for &(x, w) in taps {
        for ((sum, x), w) in rest.iter_mut().zip(&image[x + first..]).zip(&weights[w + first..]) {
            *sum += x * w;
        }
    }
}

/// TRANSPOSE_CONV: each input pixel adds its multiple of the kernel to the output at `pixel * stride -
/// pad_before`. Results outside of the output are dropped. There is one product for each kernel tap.
pub fn transpose_conv(
    input: Tensor,
    filter: Tensor,
    bias: Option<&[f32]>,
    window: &Window,
    out_shape: &[usize],
) -> Vec<f32> {
    let [batch, h, w, channels] = nhwc(input.shape);
    let [_, out_h, out_w, out_channels] = nhwc(out_shape);
    let [kernel_h, kernel_w] = window.kernel;
    let mut out = filled(bias, batch * out_h * out_w, out_channels);
    let pixels = view(input.data, batch * h * w, channels);
    let filter = ArrayView4::from_shape((out_channels, kernel_h, kernel_w, channels), filter.data)
        .expect("the filter's shape was checked");
    let mut product = vec![0.0; batch * h * w * out_channels];
    let target = |i: usize, tap: usize, dim: usize, size: usize| {
        (i * window.stride[dim] + tap * window.dilation[dim])
            .checked_sub(window.pad_before[dim])
            .filter(|&o| o < size)
    };
    for ky in 0..kernel_h {
        for kx in 0..kernel_w {
            let tap = filter.index_axis_move(Axis(1), ky).index_axis_move(Axis(1), kx);
            let mut result = view_mut(&mut product, batch * h * w, out_channels);
            general_mat_mul(1.0, &pixels, &tap.t(), 0.0, &mut result);
            for (pixel, row) in product.chunks_exact(out_channels).enumerate() {
                let (b, y, x) = (pixel / (h * w), pixel / w % h, pixel % w);
                let place = target(y, ky, 0, out_h).zip(target(x, kx, 1, out_w));
                let Some((oy, ox)) = place else { continue };
                let sums = &mut out[((b * out_h + oy) * out_w + ox) * out_channels..];
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += x;
                }
            }
        }
    }
    out
}

/// AVERAGE_POOL_2D, over the pixels inside the image, and MAX_POOL_2D.
pub fn pool(input: Tensor, kind: PoolKind, window: &Window, out_shape: &[usize]) -> Vec<f32> {
    let [_, h, w, channels] = nhwc(input.shape);
    let [_, out_h, out_w, _] = nhwc(out_shape);
    let start = if kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 };
    let mut out = vec![start; out_shape.iter().product()];
    for (pixel, cells) in out.chunks_exact_mut(channels).enumerate() {
        let (b, oy, ox) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
        let image = &input.data[b * h * w * channels..][..h * w * channels];
        let (y0, y_taps) = taps(window, 0, oy, h);
        let (x0, x_taps) = taps(window, 1, ox, w);
        let count = (y_taps.len() * x_taps.len()) as f32;
        for ky in y_taps {
            let y = (y0 + ky as isize) as usize;
            let x = (x0 + x_taps.start as isize) as usize;
            let row = &image[(y * w + x) * channels..][..x_taps.len() * channels];
            for pixel in row.chunks_exact(channels) {
                match kind {
                    PoolKind::Average => {
                        for (cell, x) in cells.iter_mut().zip(pixel) {
                            *cell += x;
                        }
                    }
                    PoolKind::Max => {
                        for (cell, &x) in cells.iter_mut().zip(pixel) {
                            *cell = if x > *cell { x } else { *cell };
                        }
                    }
                }
            }
        }
        if kind == PoolKind::Average {
            for cell in cells {
                *cell /= count;
            }
        }
    }
    out
}

/// A slice as a row-major matrix.
pub fn view(data: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), data).expect("lengths were checked before execution")
}

/// A slice as a row-major matrix to write to.
pub fn view_mut(data: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), data).expect("lengths were checked before execution")
}
