//! TRANSPOSE: the dimensions in another order.

use ferrolite_graph::float::movement;
use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::strided_copy::{Copy, loops, strides};
use super::tflite::{self, Writer};
use super::{channels, strided_copy, types};
use crate::error::Result;
use crate::graph::{Graph, Node, Transpose, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("TRANSPOSE", &[OpCode::StridedCopy])];

impl Operator for Transpose {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, permutation) = (check.input(0)?, &self.permutation);
        let mut sorted = permutation.clone();
        sorted.sort_unstable();
        check.ensure(sorted.iter().copied().eq(0..input.len()), || {
            format!("permutation {permutation:?} of {} dimensions", input.len())
        })?;
        check.output(&permutation.iter().map(|&p| input[p]).collect::<Vec<_>>())
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![movement::transpose(x.get(0), &self.permutation)]
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((_, input), (_, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        let steps = strides(&input.shape);
        let source: Vec<isize> = self.permutation.iter().map(|&d| steps[d]).collect();
        let loops = loops(&output.shape, &source, &strides(&output.shape));
        strided_copy::lower(cx, node, &[Copy::new(loops)], None)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let permutation = w.integers(format!("{}/permutation", node.name), self.permutation.iter().copied());
        tflite::with_constants(w, node, Code::TRANSPOSE, 2, None, &[permutation])
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let kept = self.permutation.last().is_some_and(|&axis| channels::is_last(graph, node, axis));
        if kept { channels::same(graph, node) } else { None }
    }

    fn scores(&self) -> Scores {
        Scores::Operand
    }
}
