//! SPLIT and SPLIT_V.

use ferrolite_graph::float::movement;
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
use crate::graph::{Constant, Graph, Node, Op, Split, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("SPLIT", &[OpCode::StridedCopy]), ("SPLIT_V", &[OpCode::StridedCopy])];

impl Operator for Split {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, axis) = (check.input(0)?, self.axis);
        check.axis(axis, input.len())?;
        let mut rest = input[axis];
        for part in &check.outputs {
            let mut expected = input.to_vec();
            expected[axis] = part.get(axis).copied().unwrap_or(0);
            check.ensure(*part == expected && expected[axis] <= rest, || {
                format!("a part of shape {part:?} of {input:?}")
            })?;
            rest -= expected[axis];
        }
        check.ensure(rest == 0, || format!("its parts leave {rest} of {input:?} over"))
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let input = x.get(0);
        movement::split(input.data, input.shape[..self.axis].iter().product(), &x.lengths())
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let copies = strided_copy::parted(cx, node, self.axis, false)?;
        strided_copy::lower(cx, node, &copies, None)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let &Split { axis } = self;
        let parts: Vec<usize> = node.outputs.iter().map(|&id| w.graph.value(id).shape[axis]).collect();
        let num_splits = parts.len() as i32;
        let Some(id) = node.input(0) else { return Ok(()) };
        let input = w.value(id);
        if parts.windows(2).all(|pair| pair[0] == pair[1]) {
            let options = tflite::options(Kind::SplitOptions, move |fbb| {
                schema::SplitOptions::create(fbb, &schema::SplitOptionsArgs { num_splits })
            });
            let axis = w.constant(format!("{}/axis", node.name), &[], Constant::I32(vec![axis as i32]));
            return tflite::push(w, node, Code::SPLIT, 2, options, vec![axis, input]);
        }
        // SPLIT_V says the same in one operator, but TFLM reads its sizes from an operand with options of their
        // own; slices are the same bytes moved.
        let shape = w.graph.value(id).shape.clone();
        let mut begin = vec![0; shape.len()];
        for (position, part) in parts.into_iter().enumerate() {
            let mut size = shape.clone();
            size[axis] = part;
            let output = w.value(node.outputs[position]);
            let name = format!("{}/{position}", node.name);
            tflite::strided_slice(w, &name, (input, output), &begin, &size, &vec![1; shape.len()]);
            begin[axis] += part;
        }
        Ok(())
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn allows(&self, _: &Graph, _: &Node, view: &View) -> bool {
        view.place(self.axis).is_some()
    }

    fn under(&self, view: &View) -> Option<Op> {
        Some(Op::Split(Split { axis: view.place(self.axis)? }))
    }

    fn ties(&self, graph: &Graph, node: &Node) -> Option<Ties> {
        let input = node.input(0)?;
        let mut begin = 0;
        let mut ties = Vec::new();
        for &part in &node.outputs {
            let count = channels::channels(graph, part);
            ties.extend((0..count).map(|c| ((input, begin + c), (part, c))));
            begin += if channels::is_last(graph, node, self.axis) { count } else { 0 };
        }
        Some(ties)
    }
}
