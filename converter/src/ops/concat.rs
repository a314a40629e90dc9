//! CONCATENATION.

use ferrolite_graph::float::{elementwise, movement};
use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use super::view::View;
use super::{channels, strided_copy, types};
use crate::error::Result;
use crate::graph::{Activation, Concat, Graph, Node, Op, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("CONCATENATION", &[OpCode::StridedCopy])];

impl Operator for Concat {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (first, axis) = (check.input(0)?, self.axis);
        check.axis(axis, first.len())?;
        let mut shape = first.to_vec();
        shape[axis] = 0;
        for position in 0..check.node.inputs.len() {
            let mut input = check.input(position)?.to_vec();
            check.ensure(input.len() == shape.len(), || {
                format!("operands of shapes {first:?} and {input:?}")
            })?;
            shape[axis] += input[axis];
            input[axis] = shape[axis];
            check.ensure(input == shape, || format!("operand {position} has another shape"))?;
        }
        check.output(&shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        match self.activation {
            Activation::None => types::same_type(inputs, outputs),
            _ => types::one_type(inputs, outputs),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let outer = x.shape()[..self.axis].iter().product();
        vec![elementwise::clamped(movement::concat(&x.all(), outer), self.activation)]
    }

    fn only_moves_data(&self) -> bool {
        self.activation == Activation::None
    }

    fn commutes_with_clamps(&self) -> bool {
        true
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        if self.activation != Activation::None {
            return Err(cx.unsupported(node, "a fused activation is not supported"));
        }
        let copies = strided_copy::joined(cx, node, self.axis, false)?;
        strided_copy::lower(cx, node, &copies, None)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let (axis, fused) = (self.axis as i32, tflite::fused(self.activation));
        let options = tflite::options(Kind::ConcatenationOptions, move |fbb| {
            let args = schema::ConcatenationOptionsArgs { axis, fused_activation_function: fused };
            schema::ConcatenationOptions::create(fbb, &args)
        });
        tflite::simple(w, node, Code::CONCATENATION, 2, Some(options))
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn allows(&self, _: &Graph, _: &Node, view: &View) -> bool {
        view.place(self.axis).is_some()
    }

    fn under(&self, view: &View) -> Option<Op> {
        Some(Op::Concat(Concat { axis: view.place(self.axis)?, activation: self.activation }))
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let &output = node.outputs.first()?;
        let mut begin = 0;
        let mut ties = Vec::new();
        for &id in node.inputs.iter().flatten() {
            if graph.value(id).constant.is_some() {
                return None;
            }
            let count = channels::channels(graph, id);
            ties.extend(channels::run(id, output, begin, count));
            begin += if channels::is_last(graph, node, self.axis) { count } else { 0 };
        }
        Some(ties)
    }
}
