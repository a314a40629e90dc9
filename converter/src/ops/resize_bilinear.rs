//! RESIZE_BILINEAR in TFLM's integer arithmetic (`ResizeBilinearInteger` in
//! `reference/resize_bilinear.h`): positions are linear in the index, so two numbers per dimension
//! say all.

use ferrolite_graph::float::resize;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{ResizeBilinearFloatParams, ResizeBilinearParams};

use super::channels;
use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::reduce::expect_int8;
use super::tflite::{self, Writer};
use crate::error::Result;
use crate::graph::{Graph, Node, ResizeBilinear};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs =
    &[("RESIZE_BILINEAR", &[OpCode::ResizeBilinear, OpCode::ResizeBilinearUp, OpCode::ResizeBilinearFloat])];

impl Operator for ResizeBilinear {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.resized()
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![resize::bilinear(x.get(0), x.shape(), self.align_corners, self.half_pixel_centers)]
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower(cx, node, self.align_corners, self.half_pixel_centers)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &ResizeBilinear { align_corners, half_pixel_centers } = self;
        let options = tflite::options(Kind::ResizeBilinearOptions, move |fbb| {
            let args = schema::ResizeBilinearOptionsArgs { align_corners, half_pixel_centers };
            schema::ResizeBilinearOptions::create(fbb, &args)
        });
        tflite::resize(w, node, Code::RESIZE_BILINEAR, options)
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        channels::same(graph, node)
    }
}

/// Lowers RESIZE_BILINEAR.
pub fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    align_corners: bool,
    half_pixel_centers: bool,
) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    expect_int8(cx, node)?;
    if cx.quantization(node, input)? != cx.quantization(node, output)? {
        return Err(cx.unsupported(node, "input and output need the same scale and zero point"));
    }
    let (&[batches, in_h, in_w, channels], &[_, out_h, out_w, _]) = (&input.shape[..], &output.shape[..])
    else {
        return Err(cx.unsupported(node, format!("an input of shape {:?}", input.shape)));
    };
    let from_uint8 = cx.graph.from_uint8.contains(&output_id);
    let dims = [in_h, in_w, out_h, out_w];
    if from_uint8 && !is_fine(out_h, in_h, align_corners) | !is_fine(out_w, in_w, align_corners) {
        if dims.iter().any(|&dim| dim > 0xFFFF) {
            return Err(cx.unsupported(node, format!("from {in_h}x{in_w} to {out_h}x{out_w} pixels")));
        }
        let scale = |size: usize, out: usize| match align_corners && out > 1 {
            true => (size - 1) as f32 / (out - 1) as f32,
            false => size as f32 / out as f32,
        };
        let params = ResizeBilinearFloatParams {
            batches: cx.word(node, batches)?,
            in_h: cx.word(node, in_h)?,
            in_w: cx.word(node, in_w)?,
            out_h: cx.word(node, out_h)?,
            out_w: cx.word(node, out_w)?,
            channels: cx.word(node, channels)?,
            scale_h: scale(in_h, out_h),
            scale_w: scale(in_w, out_w),
            half_pixel_centers: half_pixel_centers.into(),
        };
        return Ok(vec![Lowered::new(OpCode::ResizeBilinearFloat, vec![input_id], vec![output_id], &params)]);
    }
    let axis = |out, size| {
        axis(out, size, align_corners, half_pixel_centers).ok_or_else(|| {
            cx.unsupported(
                node,
                format!("from {size} to {out} rows or columns: positions would leave the image"),
            )
        })
    };
    let ((scale_h, start_h), (scale_w, start_w)) = (axis(out_h, in_h)?, axis(out_w, in_w)?);
    let params = ResizeBilinearParams {
        batches: cx.word(node, batches)?,
        in_h: cx.word(node, in_h)?,
        in_w: cx.word(node, in_w)?,
        out_h: cx.word(node, out_h)?,
        out_w: cx.word(node, out_w)?,
        channels: cx.word(node, channels)?,
        scale_h,
        scale_w,
        start_h,
        start_w,
    };
    let code = if from_uint8 { OpCode::ResizeBilinearUp } else { OpCode::ResizeBilinear };
    Ok(vec![Lowered::new(code, vec![input_id], vec![output_id], &params)])
}

/// Whether all positions along a dimension are multiples of 1/1024 of a pixel: those of half-pixel centres lie at
/// halves of a step.
fn is_fine(out: usize, size: usize, align_corners: bool) -> bool {
    let (size, out) = if align_corners && out > 1 { (size - 1, out - 1) } else { (size, out) };
    out != 0 && (size * 512).is_multiple_of(out)
}

/// Step between output positions and the first of them, in 1/1024 of an input pixel; nothing where
/// the rounding of the step would lead positions out of the image, which takes thousands of pixels.
fn axis(out: usize, size: usize, align_corners: bool, half_pixel_centers: bool) -> Option<(i32, i32)> {
    let (out, size) = (i64::try_from(out).ok()?, i64::try_from(size).ok().filter(|&n| n <= 0xFFFF)?);
    let ratio = |size: i64, out: i64| (size * 1024 + out / 2).checked_div(out);
    let scale = if align_corners && out > 1 { ratio(size - 1, out - 1) } else { ratio(size, out) }?;
    let start = if half_pixel_centers { scale / 2 - 512 } else { 0 };
    let last = (out - 1).checked_mul(scale)?.checked_add(start)?;
    (last < size * 1024).then_some((i32::try_from(scale).ok()?, i32::try_from(start).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        assert_eq!(axis(4, 2, false, false), Some((512, 0)));
        assert_eq!(axis(4, 2, false, true), Some((512, -256)));
        assert_eq!(axis(4, 2, true, false), Some((341, 0)));
        assert_eq!(axis(1, 2, true, false), Some((2048, 0)));
        assert_eq!(axis(0, 2, false, false), None);
        assert_eq!(axis(4, 70_000, false, false), None);
    }
}
