//! RESHAPE, SQUEEZE, EXPAND_DIMS, …: the same elements in the same order.

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::Operator;
use super::tflite::{self, Writer};
use super::{strided_copy, types};
use crate::error::Result;
use crate::graph::{Node, Value};
use crate::tflite::BuiltinOperator as Code;

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
}
