//! LOGICAL_AND, LOGICAL_OR, LOGICAL_NOT, and XOR of ONNX: functions of truth values.

use ferrolite_graph::float::elementwise;
use ferrolite_graph::float::strided::broadcast_shape;
use ferrolite_schema::params::LookupParams;
use ferrolite_schema::{DType, OpCode};

use super::check::Check;
use super::integers;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use crate::error::Result;
use crate::graph::{Graph, LogicKind, Node, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("LOGICAL_AND", &[OpCode::Integers]),
    ("LOGICAL_OR", &[OpCode::Integers]),
    ("LOGICAL_NOT", &[OpCode::Lookup]),
];

impl Operator for LogicKind {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let a = check.input(0)?;
        if !self.is_binary() {
            return check.output(a);
        }
        let b = check.input(1)?;
        let shape = broadcast_shape(a, b)
            .ok_or_else(|| check.error(format!("shapes {a:?} and {b:?} do not broadcast")))?;
        check.output(&shape)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        match inputs.iter().chain(outputs).find(|value| value.dtype != DType::Bool) {
            None => Ok(()),
            Some(value) => {
                Err(format!("`{}` is {}; truth values are asked for", value.name, value.dtype.name()))
            }
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let truth = |a: f32, b: f32| f32::from(u8::from(self.holds(a != 0.0, b != 0.0)));
        let a = x.get(0);
        let b = if self.is_binary() { x.get(1) } else { a };
        vec![elementwise::zip(a, b, x.shape(), truth)]
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        if self.is_binary() {
            return integers::lower(cx, node, *self);
        }
        let ((input, _), (output, _)) = (cx.input(node, 0)?, cx.output(node, 0)?);
        let table: Vec<u8> = (0..=u8::MAX).map(|byte| u8::from(byte == 0)).collect();
        let params = LookupParams { table: cx.constants.add(&table, 1)? };
        Ok(vec![Lowered::new(OpCode::Lookup, vec![input], vec![output], &params)])
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "truth values are not written"))
    }
}
