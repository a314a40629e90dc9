//! RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR over the two spatial dimensions, with TFLite's
//! coordinate rules (`resize_nearest_neighbor.h`, `resize_bilinear.h` of its reference kernels).

use super::Tensor;

/// Input pixels per output pixel.
fn scale(size: usize, out_size: usize, align_corners: bool) -> f32 {
    if align_corners && out_size > 1 {
        (size - 1) as f32 / (out_size - 1) as f32
    } else {
        size as f32 / out_size as f32
    }
}

/// The input pixel that an output pixel copies.
fn nearest_source(out: usize, size: usize, scale: f32, align_corners: bool, half_pixel: bool) -> usize {
    let offset = if half_pixel { 0.5 } else { 0.0 };
    let source = (out as f32 + offset) * scale;
    let source = if align_corners { source.round() } else { source.floor() };
    (source.max(0.0) as usize).min(size - 1)
}

/// RESIZE_NEAREST_NEIGHBOR
pub fn nearest(input: Tensor, out_shape: &[usize], align_corners: bool, half_pixel: bool) -> Vec<f32> {
    let [batch, h, w, channels] = [0, 1, 2, 3].map(|d| input.shape[d]);
    let (out_h, out_w) = (out_shape[1], out_shape[2]);
    let (scale_y, scale_x) = (scale(h, out_h, align_corners), scale(w, out_w, align_corners));
    let mut out = Vec::with_capacity(out_shape.iter().product());
    for b in 0..batch {
        for oy in 0..out_h {
            let y = nearest_source(oy, h, scale_y, align_corners, half_pixel);
            for ox in 0..out_w {
                let x = nearest_source(ox, w, scale_x, align_corners, half_pixel);
                out.extend_from_slice(&input.data[((b * h + y) * w + x) * channels..][..channels]);
            }
        }
    }
    out
}

/// The two input pixels between which an output pixel lies, and the weight of the second one.
fn neighbours(out: usize, size: usize, scale: f32, half_pixel: bool) -> (usize, usize, f32) {
    let source = if half_pixel { (out as f32 + 0.5) * scale - 0.5 } else { out as f32 * scale };
    let low = (source.floor().max(0.0) as usize).min(size - 1);
    let high = (source.ceil().max(0.0) as usize).min(size - 1);
    (low, high, source - low as f32)
}

/// RESIZE_BILINEAR
pub fn bilinear(input: Tensor, out_shape: &[usize], align_corners: bool, half_pixel: bool) -> Vec<f32> {
    let [batch, h, w, channels] = [0, 1, 2, 3].map(|d| input.shape[d]);
    let (out_h, out_w) = (out_shape[1], out_shape[2]);
    let (scale_y, scale_x) = (scale(h, out_h, align_corners), scale(w, out_w, align_corners));
    let mut out = Vec::with_capacity(out_shape.iter().product());
    for b in 0..batch {
        let pixel = |y: usize, x: usize| &input.data[((b * h + y) * w + x) * channels..][..channels];
        for oy in 0..out_h {
            let (y0, y1, dy) = neighbours(oy, h, scale_y, half_pixel);
            for ox in 0..out_w {
                let (x0, x1, dx) = neighbours(ox, w, scale_x, half_pixel);
                let corners = [pixel(y0, x0), pixel(y1, x0), pixel(y0, x1), pixel(y1, x1)];
                out.extend((0..channels).map(|c| {
                    let [tl, bl, tr, br] = corners.map(|corner| corner[c]);
                    tl * (1.0 - dy) * (1.0 - dx) + bl * dy * (1.0 - dx) + tr * (1.0 - dy) * dx + br * dy * dx
                }));
            }
        }
    }
    out
}
