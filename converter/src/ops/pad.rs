//! PAD and PADV2: elements around those of the input.

use ferrolite_graph::float::movement;
use ferrolite_schema::OpCode;

use super::channels::Ties;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::strided_copy::{Copy, loops, strides};
use super::tflite::{self, Writer};
use super::view::View;
use super::{channels, strided_copy, types};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, Pad, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("PAD", &[OpCode::StridedCopy]), ("PADV2", &[OpCode::StridedCopy])];

impl Operator for Pad {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, amounts) = (check.input(0)?, &self.amounts);
        check.ensure(amounts.len() == input.len(), || {
            format!("{} paddings for {} dimensions", amounts.len(), input.len())
        })?;
        let sum = |(&n, &(a, b)): (&usize, &(usize, usize))| n.checked_add(a)?.checked_add(b);
        let shape: Option<Vec<usize>> = input.iter().zip(amounts).map(sum).collect();
        check.output(&shape.ok_or_else(|| check.error("its padding is beyond reason"))?)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let value = match (self.value, x.quantization(0)) {
            (None, _) => 0.0,
            (Some(q), Some((scale, zero_point))) => (f64::from(scale) * (q - f64::from(zero_point))) as f32,
            (Some(value), None) => value as f32,
        };
        vec![movement::pad(x.get(0), &self.amounts, value, x.shape())]
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn copies(&self) -> bool {
        // It adds the zero point, too.
        false
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let ((_, input), (_, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        let out_strides = strides(&output.shape);
        let target =
            self.amounts.iter().zip(&out_strides).map(|(&(before, _), &s)| before * s as usize).sum();
        let loops = loops(&input.shape, &strides(&input.shape), &out_strides);
        let zero_point = input.quantization.as_ref().and_then(|q| q.tensor()).map_or(0, |(_, zero)| zero);
        let fill = self.value.unwrap_or_else(|| zero_point.into());
        strided_copy::lower(cx, node, &[Copy { target, ..Copy::new(loops) }], Some(fill))
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let Pad { amounts, value } = self;
        let Some(id) = node.input(0) else { return Ok(()) };
        let quantization = w.graph.value(id).quantization.clone();
        let ends = (w.value(id), w.value(node.outputs[0]));
        tflite::pad_operator(w, &node.name, ends, amounts, value.map(|v| (v as i8, quantization)));
        Ok(())
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn under(&self, view: &View) -> Option<Op> {
        Some(Op::Pad(Pad { amounts: view.map(&self.amounts, (0, 0)), value: self.value }))
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let (input, &output) = (node.input(0)?, node.outputs.first()?);
        let count = channels::channels(graph, input);
        Some(channels::run(input, output, self.amounts.last()?.0, count).collect())
    }
}
