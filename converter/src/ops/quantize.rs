//! QUANTIZE: floats become integers on the device; integers become others by a table (8 bits to 8
//! bits) or by `requantize`.

use ferrolite_graph::float::elementwise;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::QuantizeParams;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{channels, requantize, types};
use crate::error::Result;
use crate::graph::{DType, Graph, Node, QuantizeScaled, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("QUANTIZE", &[OpCode::Quantize, OpCode::Requantize, OpCode::Lookup])];

/// Any number representation to the integers of the result's quantization.
pub(super) struct Quantize;

impl Operator for Quantize {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::per_tensor(outputs[0])?;
        types::per_tensor(inputs[0])
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::saturated(x.get(0).data, x.result())]
    }

    fn converts(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower(cx, node)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let from_float = node.input(0).is_some_and(|id| w.graph.value(id).dtype == DType::Float32);
        tflite::simple(w, node, Code::QUANTIZE, if from_float { 1 } else { 2 }, None)
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let bytes = graph.value(node.input(0)?).dtype.size() == 1;
        if bytes { channels::same(graph, node) } else { None }
    }

    fn scores(&self) -> Scores {
        Scores::Operand
    }
}

impl Operator for QuantizeScaled {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let scaled = elementwise::scaled(x.get(0).data, self.factor, self.term);
        vec![elementwise::saturated(&scaled, x.result())]
    }

    fn converts(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower_scaled(cx, node, self.factor, self.term)
    }

    fn scores(&self) -> Scores {
        Scores::Operand
    }
}

/// Lowers QUANTIZE.
pub fn lower(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    if input.dtype != DType::Float32 {
        return requantize::lower(cx, node);
    }
    requantize::expect_integer(cx, node, output)?;
    let (_, zero_point) = cx.quantization(node, output)?;
    // The device divides by the scale as it is stored, in single precision, as TFLM does.
    let scale = output.quantization.as_ref().map_or(1.0, |q| q.scale[0]);
    let params = QuantizeParams { scale, zero_point };
    Ok(vec![Lowered::new(OpCode::Quantize, vec![input_id], vec![output_id], &params)])
}

/// Lowers QUANTIZE of `factor * x + term`: the scale and the zero point take both.
pub fn lower_scaled(cx: &mut Lowering<'_>, node: &Node, factor: f64, term: f64) -> Result<Vec<Lowered>> {
    let ((input_id, _), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    requantize::expect_integer(cx, node, output)?;
    let (scale, zero_point) = cx.quantization(node, output)?;
    let steps = (term / scale).round() as i32;
    let params =
        QuantizeParams { scale: (scale / factor) as f32, zero_point: zero_point.saturating_add(steps) };
    Ok(vec![Lowered::new(OpCode::Quantize, vec![input_id], vec![output_id], &params)])
}
