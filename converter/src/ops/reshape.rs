//! RESHAPE, SQUEEZE, EXPAND_DIMS, …: the same elements in the same order.

use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{channels, strided_copy, types};
use crate::error::Result;
use crate::graph::{Graph, Node, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("RESHAPE", &[OpCode::StridedCopy]),
    ("SQUEEZE", &[OpCode::StridedCopy]),
    ("EXPAND_DIMS", &[OpCode::StridedCopy]),
];

/// The same elements in the same order, which is no op at all on the device.
pub(super) struct Reshape;

impl Operator for Reshape {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, found) = (check.input(0)?, check.outputs[0]);
        check.ensure(input.iter().product::<usize>() == found.iter().product::<usize>(), || {
            format!("from shape {input:?} to {found:?}")
        })
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![x.get(0).data.to_vec()]
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        strided_copy::alias(cx, node)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let shape = w.graph.value(node.outputs[0]).shape.clone();
        let shape = w.integers(format!("{}/shape", node.name), shape);
        tflite::with_constants(w, node, Code::RESHAPE, 1, None, &[shape])
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let (input, &output) = (node.input(0)?, node.outputs.first()?);
        // The result's rows hold whole pixels.
        let (pixel, count) = (channels::channels(graph, input), channels::channels(graph, output));
        let whole = pixel != 0 && count.is_multiple_of(pixel);
        whole.then(|| (0..count).map(|c| ((input, c % pixel), (output, c))).collect())
    }

    fn scores(&self) -> Scores {
        Scores::Operand
    }
}
