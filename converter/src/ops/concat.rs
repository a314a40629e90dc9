//! CONCATENATION.

use ferrolite_graph::float::{elementwise, movement};

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::Operator;
use super::tflite::{self, Writer};
use super::{strided_copy, types};
use crate::error::Result;
use crate::graph::{Activation, Concat, Node, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

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
}
