//! ARG_MAX and ARG_MIN: the dimensions before and behind the searched one are merged.

use ferrolite_graph::float::reduce::arg_extreme;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::ArgMinMaxParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use super::view::View;
use crate::error::Result;
use crate::graph::{ArgMinMax, Constant, DType, Graph, Node, Op, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("ARG_MAX", &[OpCode::ArgMinMax]), ("ARG_MIN", &[OpCode::ArgMinMax])];

impl Operator for ArgMinMax {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, axis) = (check.input(0)?, self.axis);
        check.axis(axis, input.len())?;
        let (found, expected): (usize, usize) =
            (check.outputs[0].iter().product(), input.iter().product::<usize>() / input[axis]);
        check.ensure(found == expected, || format!("its output has {found} elements"))
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        let mut shape = check.inputs.first().copied().flatten().ok_or_else(|| check.unknown())?.to_vec();
        check.axis(self.axis, shape.len())?;
        shape.remove(self.axis);
        Ok(shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        let (searched, result) = (inputs[0], outputs[0]);
        if !types::is_data(searched) || !matches!(result.dtype, DType::Int32 | DType::Int64) {
            return Err(format!("{} searched, {} returned", searched.dtype.name(), result.dtype.name()));
        }
        Ok(())
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![arg_extreme(x.get(0), self.axis, self.largest)]
    }

    fn selects(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let &ArgMinMax { axis, largest } = self;
        let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        if input.dtype != DType::Int8 || !matches!(output.dtype, DType::Int32 | DType::Int64) {
            let (from, to) = (input.dtype.name(), output.dtype.name());
            return Err(cx.unsupported(
                node,
                format!("from {from} to {to}; from int8 to int32 or int64 is supported"),
            ));
        }
        let (outer, rest) = input.shape.split_at(axis.min(input.shape.len()));
        let [count, inner @ ..] = rest else {
            return Err(cx.unsupported(node, format!("axis {axis} of an input of shape {:?}", input.shape)));
        };
        let params = ArgMinMaxParams {
            outer: cx.word(node, outer.iter().product())?,
            count: cx.word(node, *count)?,
            inner: cx.word(node, inner.iter().product())?,
            largest: largest.into(),
        };
        Ok(vec![Lowered::new(OpCode::ArgMinMax, vec![input_id], vec![output_id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let output_type = tflite::index_type(w, node);
        let (code, options) = if self.largest {
            let options = tflite::options(Kind::ArgMaxOptions, move |fbb| {
                schema::ArgMaxOptions::create(fbb, &schema::ArgMaxOptionsArgs { output_type })
            });
            (Code::ARG_MAX, options)
        } else {
            let options = tflite::options(Kind::ArgMinOptions, move |fbb| {
                schema::ArgMinOptions::create(fbb, &schema::ArgMinOptionsArgs { output_type })
            });
            (Code::ARG_MIN, options)
        };
        let axis = w.constant(format!("{}/axis", node.name), &[], Constant::I32(vec![self.axis as i32]));
        tflite::with_constants(w, node, code, 2, Some(options), &[axis])
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Operand
    }

    fn allows(&self, graph: &Graph, node: &Node, view: &View) -> bool {
        let (Some(input), Some(&output)) = (node.input(0), node.outputs.first()) else { return false };
        let (input, output) = (&graph.value(input).shape, &graph.value(output).shape);
        let new = view.0.contains(&None);
        view.place(self.axis).is_some() && !new && view.keeps_rest(input, &[self.axis], output)
    }

    fn under(&self, view: &View) -> Option<Op> {
        Some(Op::ArgMinMax(ArgMinMax { axis: view.place(self.axis)?, largest: self.largest }))
    }
}
