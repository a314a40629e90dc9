//! PRELU. A float one is taken apart by a pass; what is int8 in the file runs as TFLM does.
//! Source followed: TFLM `kernels/prelu_common.cc`.

use ferrolite_graph::float::elementwise;
use ferrolite_graph::float::strided::broadcast_shape;
use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::PreluParams;

use super::broadcast::broadcast;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::stage;
use super::tflite::{self, Writer};
use crate::error::Result;
use crate::graph::{Graph, Node};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("PRELU", &[OpCode::Prelu])];

/// Negative elements times a slope of their own.
pub(super) struct Prelu;

impl Operator for Prelu {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (x, slope) = (check.input(0)?, check.input(1)?);
        check.ensure(broadcast_shape(x, slope).as_deref() == Some(x), || {
            format!("a slope of shape {slope:?} for an input of {x:?}")
        })?;
        check.output(x)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::prelu(x.get(0), x.get(1))]
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let (input, slopes) = (stage::int8_operand(cx, node, 0)?, stage::int8_operand(cx, node, 1)?);
        let out = stage::int8_output(cx, node, 0)?;
        let params = PreluParams {
            shape: broadcast(cx, node, &input.value.shape, &slopes.value.shape, &out.value.shape)?,
            input_zero_point: input.zero_point,
            slope_zero_point: slopes.zero_point,
            above: multiplier(input.scale / out.scale),
            below: multiplier(input.scale * slopes.scale / out.scale),
            zero_point: out.zero_point,
        };
        Ok(vec![Lowered::new(OpCode::Prelu, vec![input.id, slopes.id], vec![out.id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        tflite::simple(w, node, Code::PRELU, 1, None)
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn broadcasts(&self) -> bool {
        true
    }
}
