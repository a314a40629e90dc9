//! PACK and UNPACK: tensors side by side along a new dimension, and back.

use ferrolite_graph::float::movement;
use ferrolite_schema::OpCode;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::{strided_copy, types};
use crate::error::Result;
use crate::graph::{Node, Pack, Unpack, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("PACK", &[OpCode::StridedCopy]), ("UNPACK", &[OpCode::StridedCopy])];

impl Operator for Pack {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let first = check.input(0)?;
        check.axis(self.axis, first.len() + 1)?;
        for position in 0..check.node.inputs.len() {
            let same = check.input(position)? == first;
            check.ensure(same, || format!("operand {position} has another shape"))?;
        }
        let mut shape = first.to_vec();
        shape.insert(self.axis, check.node.inputs.len());
        check.output(&shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![movement::concat(&x.all(), x.shape()[..self.axis].iter().product())]
    }

    fn only_moves_data(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let copies = strided_copy::joined(cx, node, self.axis, true)?;
        strided_copy::lower(cx, node, &copies, None)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let (axis, values_count) = (self.axis as i32, node.inputs.len() as i32);
        let options = tflite::options(Kind::PackOptions, move |fbb| {
            schema::PackOptions::create(fbb, &schema::PackOptionsArgs { values_count, axis })
        });
        tflite::simple(w, node, Code::PACK, 2, Some(options))
    }
}

impl Operator for Unpack {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        check.axis(self.axis, input.len())?;
        let mut part = input.to_vec();
        let count = part.remove(self.axis);
        let found = check.outputs.len();
        check.ensure(found == count && check.outputs.iter().all(|&out| out == part), || {
            format!("{found} outputs of an input of shape {input:?}")
        })
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
        let copies = strided_copy::parted(cx, node, self.axis, true)?;
        strided_copy::lower(cx, node, &copies, None)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let (axis, num) = (self.axis as i32, node.outputs.len() as i32);
        let options = tflite::options(Kind::UnpackOptions, move |fbb| {
            schema::UnpackOptions::create(fbb, &schema::UnpackOptionsArgs { num, axis })
        });
        tflite::simple(w, node, Code::UNPACK, 2, Some(options))
    }
}
