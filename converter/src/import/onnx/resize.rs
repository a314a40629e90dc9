//! Resize and Upsample over the two spatial dimensions.
//!
//! ONNX has many rules for the position in the input of a pixel of the result; the graph has three. A layer
//! is supported if, for its sizes, its rule gives the same positions as one of the three.

use super::layer::{Layer, Translation, one, size};
use crate::graph::{Op, ResizeBilinear, ResizeNearest};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Resize since operator set 10: input, optional roi, optional scales, optional sizes.
pub(super) fn resize(l: &mut Layer<'_>) -> Translation {
    let old = l.opset() < 11;
    let rule = if old { "asymmetric".into() } else { l.text("coordinate_transformation_mode", "half_pixel") };
    let nearest = if old { "floor".into() } else { l.text("nearest_mode", "round_prefer_floor") };
    let scales = if old { 1 } else { 2 };
    translate(l, scales, 3, &rule, &nearest)
}

/// Upsample: input, and scales, which are an operand or, before operator set 9, an attribute.
pub(super) fn upsample(l: &mut Layer<'_>) -> Translation {
    translate(l, 1, usize::MAX, "asymmetric", "floor")
}

fn translate(l: &mut Layer<'_>, scales: usize, sizes: usize, rule: &str, nearest: &str) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let rank = shape.len();
    if !(3..=4).contains(&rank) {
        return unsupported(format!("an input of shape {shape:?}; supported are images"));
    }
    if l.int("antialias", 0) != 0 {
        return unsupported("antialias");
    }
    let places: Vec<usize> = match l.int_list("axes") {
        Some(list) => list.iter().map(|&a| super::layer::axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let mut out = shape.clone();
    let mut factor = vec![1.0f64; rank];
    let given = |position: usize| l.known(position).is_some_and(|k| !k.elements.is_empty());
    if sizes != usize::MAX && given(sizes) {
        if l.text("keep_aspect_ratio_policy", "stretch") != "stretch" {
            return unsupported("keep_aspect_ratio_policy");
        }
        let list = l.ints(sizes, "sizes")?;
        for (&d, &n) in places.iter().zip(&list) {
            out[d] = size(n, "size")?;
            factor[d] = out[d] as f64 / shape[d] as f64;
        }
    } else {
        let list = match l.float_list("scales") {
            Some(list) => list,
            // This is the form of the first operator set.
            None if l.has("height_scale") && rank == 4 => {
                let [height, width] = ["height_scale", "width_scale"].map(|name| l.float(name, 1.0));
                vec![1.0, 1.0, height, width]
            }
            None => l.require(scales, "scales")?.to_floats(),
        };
        if list.len() != places.len() {
            return Err(Refusal::Broken(damaged(format!("{} scales", list.len()))));
        }
        for (&d, &scale) in places.iter().zip(&list) {
            factor[d] = f64::from(scale);
            out[d] = size((shape[d] as f64 * factor[d]).floor() as i64, "size")?;
        }
    }
    if out[..2] != shape[..2] || out.contains(&0) {
        return unsupported(format!("from shape {shape:?} to {out:?}; only height and width may change"));
    }
    // The first operator set calls the mode `bilinear`.
    let mode = match l.text("mode", "nearest") {
        mode if mode == "bilinear" => "linear".into(),
        mode => mode,
    };
    // The position in the input of each pixel of the result.
    let place = |x: usize, d: usize| -> Option<f64> {
        let (x, scale, n, m) = (x as f64, factor[d], shape[d] as f64, out[d] as f64);
        Some(match rule {
            "half_pixel" => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => {
                if out[d] > 1 {
                    (x + 0.5) / scale - 0.5
                } else {
                    0.0
                }
            }
            "half_pixel_symmetric" => {
                let adjusted = m / (scale * n);
                n / 2.0 * (1.0 - adjusted) + (x + 0.5) / scale - 0.5
            }
            "tf_half_pixel_for_nn" => (x + 0.5) / scale,
            "asymmetric" => x / scale,
            "align_corners" if out[d] == 1 => 0.0,
            "align_corners" => x * (n - 1.0) / (m - 1.0),
            _ => return None,
        })
    };
    if place(0, 2).is_none() {
        return unsupported(format!("coordinate_transformation_mode {rule}"));
    }
    let round = |x: f64| match nearest {
        "round_prefer_floor" => (x - 0.5).ceil(),
        "round_prefer_ceil" => (x + 0.5).floor(),
        "ceil" => x.ceil(),
        _ => x.floor(),
    };
    let last = |d: usize| shape[d] as f64 - 1.0;
    let op = match mode.as_str() {
        "nearest" => {
            let found = FLAGS.into_iter().find(|&flags| {
                (2..rank).all(|d| {
                    (0..out[d]).all(|x| {
                        let wanted = round(place(x, d).unwrap_or(0.0)).clamp(0.0, last(d));
                        nearest_here(x, shape[d], out[d], flags) == wanted
                    })
                })
            });
            found.map(|(align_corners, half_pixel_centers)| {
                Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers })
            })
        }
        "linear" => {
            let found = FLAGS.into_iter().find(|&flags| {
                (2..rank).all(|d| {
                    (0..out[d]).all(|x| {
                        let wanted = place(x, d).unwrap_or(0.0).clamp(0.0, last(d));
                        (linear_here(x, shape[d], out[d], flags).clamp(0.0, last(d)) - wanted).abs() < 1e-4
                    })
                })
            });
            found.map(|(align_corners, half_pixel_centers)| {
                Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers })
            })
        }
        mode => return unsupported(format!("mode {mode}; supported are nearest and linear")),
    };
    let Some(op) = op else {
        return unsupported(format!(
            "mode {mode} by the rule {rule} ({nearest}) from shape {shape:?} to {out:?} names other pixels than \
             align_corners, half_pixel or asymmetric do"
        ));
    };
    let image = l.image_of(x)?;
    let (n, c) = (shape[0], shape[1]);
    let wide = if rank == 3 { [n, 1, out[2], c] } else { [n, out[2], out[3], c] };
    let y = l.net.b.op_shaped(&l.name, op, &[image], &wide)?;
    one(l.as_in_file(y, rank)?)
}

/// `align_corners` and `half_pixel_centers` of the graph's operators.
const FLAGS: [(bool, bool); 3] = [(false, true), (true, false), (false, false)];

/// Input pixels per pixel of the result, by the rule of the graph's operators.
fn step(n: usize, m: usize, align_corners: bool) -> f64 {
    if align_corners && m > 1 { (n as f64 - 1.0) / (m as f64 - 1.0) } else { n as f64 / m as f64 }
}

fn nearest_here(x: usize, n: usize, m: usize, (align_corners, half_pixel): (bool, bool)) -> f64 {
    let source = (x as f64 + if half_pixel { 0.5 } else { 0.0 }) * step(n, m, align_corners);
    let source = if align_corners { source.round() } else { source.floor() };
    source.clamp(0.0, n as f64 - 1.0)
}

fn linear_here(x: usize, n: usize, m: usize, (align_corners, half_pixel): (bool, bool)) -> f64 {
    let scale = step(n, m, align_corners);
    if half_pixel { (x as f64 + 0.5) * scale - 0.5 } else { x as f64 * scale }
}
