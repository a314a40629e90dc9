//! SELECT, SELECT_V2 and WHERE with three operands: elements keep their bits, so that both values and the result have one
//! quantization.

use ferrolite_graph::float::elementwise;
use ferrolite_graph::float::strided::broadcast_shape;
use ferrolite_schema::params::SelectParams;
use ferrolite_schema::{DType, OpCode};

use super::broadcast::merged;
use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use super::types;
use crate::error::Result;
use crate::graph::{Graph, Node, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("SELECT_V2", &[OpCode::Select])];

/// Position of the truth values.
const CONDITION: usize = 0;

/// The operator, which has no attributes.
pub(super) struct Select;

impl Operator for Select {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (condition, x, y) = (check.input(CONDITION)?, check.input(1)?, check.input(2)?);
        let shape = broadcast_shape(x, y).and_then(|shape| broadcast_shape(condition, &shape));
        check.output(
            &shape.ok_or_else(|| {
                check.error(format!("shapes {condition:?}, {x:?} and {y:?} do not broadcast"))
            })?,
        )
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        let (condition, values) = inputs.split_first().ok_or("its condition is missing")?;
        if condition.dtype != DType::Bool {
            return Err(format!("a condition of type {}", condition.dtype.name()));
        }
        types::same_type(values, outputs)?;
        types::same_quantization(values, outputs)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::select(x.get(CONDITION), x.get(1), x.get(2), x.shape())]
    }

    fn picks(&self) -> bool {
        true
    }

    fn is_index(&self, position: usize) -> bool {
        position == CONDITION
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let operands = [cx.input(node, CONDITION)?, cx.input(node, 1)?, cx.input(node, 2)?];
        let (output_id, output) = cx.output(node, 0)?;
        let [(_, condition), (_, x), (_, y)] = operands;
        self.check_types(&[condition, x, y], &[output]).map_err(|reason| cx.unsupported(node, reason))?;
        let shapes = [&condition.shape[..], &x.shape, &y.shape];
        let (mut dims, repeat) = merged(cx, node, shapes, &output.shape)?;
        let mut run = cx.word(node, output.dtype.size())?;
        // What one truth value chooses, and lies side by side in both.
        const INNERMOST: u32 = 1 << 5;
        if repeat.map(|mask| mask & INNERMOST != 0) == [true, false, false] {
            run = cx.word(node, run as usize * dims[5] as usize)?;
            dims[5] = 1;
        }
        let params = SelectParams { dims, repeat, run };
        let inputs = operands.iter().map(|(id, _)| *id).collect();
        Ok(vec![Lowered::new(OpCode::Select, inputs, vec![output_id], &params)])
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "a choice by truth values is not written"))
    }
}
