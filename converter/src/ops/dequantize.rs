//! DEQUANTIZE: integers become floats, at the border of a model.

use ferrolite_graph::float::elementwise;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::DequantizeParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{requantize, types};
use crate::error::Result;
use crate::graph::{DType, Graph, Node, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("DEQUANTIZE", &[OpCode::Dequantize])];

/// Integers to float32.
pub(super) struct Dequantize;

impl Operator for Dequantize {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        if outputs[0].dtype != DType::Float32 {
            return Err(format!("a result of type {}", outputs[0].dtype.name()));
        }
        if inputs[0].constant.is_some() { Ok(()) } else { types::per_tensor(inputs[0]) }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![match x.node.input(0) {
            Some(integers) => elementwise::saturated(x.get(0).data, x.graph.value(integers)),
            None => x.get(0).data.to_vec(),
        }]
    }

    fn converts(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower(cx, node)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        tflite::simple(w, node, Code::DEQUANTIZE, 2, None)
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn scores(&self) -> Scores {
        Scores::Operand
    }
}

/// Lowers DEQUANTIZE.
pub fn lower(cx: &Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    requantize::expect_integer(cx, node, input)?;
    if output.dtype != DType::Float32 {
        return Err(cx.unsupported(node, format!("to {}; float32 is supported", output.dtype.name())));
    }
    let (_, zero_point) = cx.quantization(node, input)?;
    let scale = input.quantization.as_ref().map_or(1.0, |q| q.scale[0]);
    let params = DequantizeParams { scale, zero_point };
    Ok(vec![Lowered::new(OpCode::Dequantize, vec![input_id], vec![output_id], &params)])
}
