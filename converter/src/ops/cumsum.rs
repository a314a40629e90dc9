//! CUMSUM: running sums along one dimension. The dimensions before and behind it are merged.
//!
//! TFLM scales each step of the operand by `2^19` before it adds, so that 4,096 of them overflow: where the output can
//! say larger sums, fewer bits are taken, which TFLM could not answer.
//! Source followed: TFLM `kernels/cumsum.cc`, `reference/cumsum.h`.

use ferrolite_graph::float::reduce::running_sums;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::CumsumParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::stage;
use super::tflite::{self, Writer};
use super::view::View;
use crate::error::Result;
use crate::graph::{Constant, Cumsum, Graph, Node, Op};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// Bits that a step of the operand gains before sums are scaled, in TFLM.
const BITS: i32 = 19;

/// Elements that sums are made of at most: they fit 32 bits.
const MOST: usize = 1 << 22;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("CUMSUM", &[OpCode::Cumsum])];

impl Operator for Cumsum {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        check.axis(self.axis, input.len())?;
        check.output(input)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let scale = x.quantization(0).map_or(0.0, |(scale, _)| scale);
        let start = f64::from(self.start) * f64::from(scale);
        vec![running_sums(x.get(0), self.axis, self.exclusive, self.reverse, start)]
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn allows(&self, _: &Graph, _: &Node, view: &View) -> bool {
        view.place(self.axis).is_some()
    }

    fn under(&self, view: &View) -> Option<Op> {
        Some(Op::Cumsum(Cumsum { axis: view.place(self.axis)?, ..self.clone() }))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
        let shape = &input.value.shape;
        let product = |dims: &[usize]| cx.word(node, dims.iter().product());
        if shape[self.axis] > MOST {
            return Err(cx.unsupported(
                node,
                format_args!("it sums {} elements; up to {MOST} are supported", shape[self.axis]),
            ));
        }
        // Steps of the operand that all 256 numbers of the output, and one more, span.
        let spanned = (257.0 * output.scale / input.scale).ceil();
        let shift = (0..=BITS).rev().find(|&bits| f64::from(i32::MAX >> bits) >= spanned);
        let scaled = shift.map(|bits| (bits, input.scale / output.scale / f64::from(1 << bits)));
        let Some((shift, factor)) = scaled.filter(|(_, factor)| *factor < 1.0) else {
            return Err(cx.unsupported(
                node,
                format_args!(
                    "its input has scale {}, its output {}: they are too far from one another",
                    input.scale, output.scale
                ),
            ));
        };
        let params = CumsumParams {
            outer: product(&shape[..self.axis])?,
            count: product(&shape[self.axis..=self.axis])?,
            inner: product(&shape[self.axis + 1..])?,
            exclusive: self.exclusive.into(),
            reverse: self.reverse.into(),
            start: self.start,
            input_zero_point: input.zero_point,
            shift: shift as u32,
            multiplier: multiplier(factor),
            zero_point: output.zero_point,
        };
        Ok(vec![Lowered::new(OpCode::Cumsum, vec![input.id], vec![output.id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let zero_point = |id| Some(w.graph.value(id).quantization.as_ref()?.tensor()?.1);
        let begins = -node.input(0).and_then(zero_point).unwrap_or(0);
        if begins != self.start {
            return Err(tflite::refuse(
                node,
                &format!(
                    "TensorFlow Lite Micro begins its sums with {begins} steps, and this layer with {}: it cannot be said",
                    self.start
                ),
            ));
        }
        let (exclusive, reverse) = (self.exclusive, self.reverse);
        let options = tflite::options(Kind::CumsumOptions, move |fbb| {
            schema::CumsumOptions::create(fbb, &schema::CumsumOptionsArgs { exclusive, reverse })
        });
        let axis = w.constant(format!("{}/axis", node.name), &[], Constant::I32(vec![self.axis as i32]));
        tflite::with_constants(w, node, Code::CUMSUM, 1, Some(options), &[axis])
    }
}
