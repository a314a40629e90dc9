//! RESIZE_NEAREST_NEIGHBOR: the input row of each output row and the input column of each output
//! column become a table, in TFLM's single precision (`reference/resize_nearest_neighbor.h`).

use ferrolite_graph::float::resize;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::ResizeNearestParams;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::{channels, types};
use crate::error::Result;
use crate::graph::{Graph, Node, ResizeNearest, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("RESIZE_NEAREST_NEIGHBOR", &[OpCode::ResizeNearest])];

impl Operator for ResizeNearest {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.resized()
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![resize::nearest(x.get(0), x.shape(), self.align_corners, self.half_pixel_centers)]
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower(cx, node, self.align_corners, self.half_pixel_centers)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &ResizeNearest { align_corners, half_pixel_centers } = self;
        let options = tflite::options(Kind::ResizeNearestNeighborOptions, move |fbb| {
            let args = schema::ResizeNearestNeighborOptionsArgs { align_corners, half_pixel_centers };
            schema::ResizeNearestNeighborOptions::create(fbb, &args)
        });
        tflite::resize(w, node, Code::RESIZE_NEAREST_NEIGHBOR, options)
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        channels::same(graph, node)
    }
}

/// Lowers RESIZE_NEAREST_NEIGHBOR.
pub fn lower(
    cx: &mut Lowering<'_>,
    node: &Node,
    align_corners: bool,
    half_pixel_centers: bool,
) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    if input.dtype != output.dtype || input.quantization != output.quantization {
        return Err(cx.unsupported(node, "input and output need the same type, scale and zero point"));
    }
    let (&[batches, in_h, in_w, channels], &[_, out_h, out_w, _]) = (&input.shape[..], &output.shape[..])
    else {
        return Err(cx.unsupported(node, format!("an input of shape {:?}", input.shape)));
    };
    let mut table = axis(cx, node, out_h, in_h, align_corners, half_pixel_centers)?;
    table.extend(axis(cx, node, out_w, in_w, align_corners, half_pixel_centers)?);
    let params = ResizeNearestParams {
        batches: cx.word(node, batches)?,
        in_h: cx.word(node, in_h)?,
        in_w: cx.word(node, in_w)?,
        out_h: cx.word(node, out_h)?,
        out_w: cx.word(node, out_w)?,
        pixel_bytes: cx.word(node, channels * input.dtype.size())?,
        table: cx.constants.add(&table, 2)?,
    };
    Ok(vec![Lowered::new(OpCode::ResizeNearest, vec![input_id], vec![output_id], &params)])
}

/// The input index of each output index along one dimension.
fn axis(
    cx: &Lowering<'_>,
    node: &Node,
    out: usize,
    size: usize,
    align_corners: bool,
    half_pixel_centers: bool,
) -> Result<Vec<u16>> {
    if size > 0xFFFF || out > 0xFFFF {
        return Err(cx.unsupported(node, "rows or columns are more than 65535"));
    }
    Ok((0..out).map(|i| nearest(i, size, out, align_corners, half_pixel_centers)).collect())
}

fn nearest(index: usize, size: usize, out: usize, align_corners: bool, half_pixel_centers: bool) -> u16 {
    let scale = match align_corners && out > 1 {
        true => (size - 1) as f32 / (out - 1) as f32,
        false => size as f32 / out as f32,
    };
    let offset = if half_pixel_centers { 0.5 } else { 0.0 };
    let position = (index as f32 + offset) * scale;
    let position = if align_corners { position.round() } else { position.floor() };
    (position as usize).min(size - 1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_differ_as_they_should() {
        let all = |size, out, align, half| -> Vec<u16> {
            (0..out).map(|i| nearest(i, size, out, align, half)).collect()
        };
        assert_eq!(all(2, 4, false, false), [0, 0, 1, 1]);
        assert_eq!(all(4, 2, false, false), [0, 2]);
        assert_eq!(all(4, 2, false, true), [1, 3]);
        assert_eq!(all(4, 2, true, false), [0, 3]);
        assert_eq!(all(3, 5, true, false), [0, 1, 1, 2, 2]);
    }
}
