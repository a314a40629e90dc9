//! TOPK_V2: the largest elements along the last dimension, and their places.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::TopKParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::{stage, types};
use crate::error::Result;
use crate::graph::{Constant, DType, Node, TopK, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("TOPK_V2", &[OpCode::TopK])];

impl Operator for TopK {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        let Some((&depth, lead)) = input.split_last() else { return Err(check.error("a scalar operand")) };
        check.ensure(self.count > 0 && self.count <= depth, || {
            format!("the {} largest of {depth} elements", self.count)
        })?;
        let expected = [lead, &[self.count]].concat();
        check
            .ensure(check.outputs.len() == 2 && check.outputs.iter().all(|&shape| *shape == expected), || {
                format!("results of shapes {:?} instead of twice {expected:?}", check.outputs)
            })
    }

    fn infer(&self, check: &Check<'_>) -> Result<Vec<usize>> {
        Err(check.unknown())
    }

    fn has_several_results(&self) -> bool {
        true
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        let &[values, places] = outputs else { return Err("it has not two results".into()) };
        types::one_type(inputs, &[values])?;
        types::same_quantization(inputs, &[values])?;
        match places.dtype {
            DType::Int32 | DType::Int64 => Ok(()),
            other => Err(format!("places of type {}", other.name())),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let input = x.get(0);
        let (mut values, mut places) = (Vec::new(), Vec::new());
        for row in input.data.chunks_exact(input.depth()) {
            let mut order: Vec<usize> = (0..row.len()).collect();
            // Sorting is stable: of equal elements the first one comes first.
            order.sort_by(|&a, &b| match self.largest {
                true => row[b].total_cmp(&row[a]),
                false => row[a].total_cmp(&row[b]),
            });
            values.extend(order.iter().take(self.count).map(|&at| row[at]));
            places.extend(order.iter().take(self.count).map(|&at| at as f32));
        }
        vec![values, places]
    }

    fn picks(&self) -> bool {
        true
    }

    fn commutes_with_clamps(&self) -> bool {
        // Clamped elements are equal, and have other places.
        false
    }

    fn selects(&self) -> bool {
        true
    }

    fn shares_quantization(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let (input, values) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
        if (input.scale, input.zero_point) != (values.scale, values.zero_point) {
            return Err(cx.unsupported(node, "input and output need the same scale and zero point"));
        }
        let (places, _) = cx.output(node, 1)?;
        let depth = input.value.shape.last().copied().unwrap_or(1);
        let params = TopKParams {
            rows: cx.word(node, input.value.elements() / depth)?,
            depth: cx.word(node, depth)?,
            count: cx.word(node, self.count)?,
            largest: self.largest.into(),
        };
        Ok(vec![Lowered::new(OpCode::TopK, vec![input.id], vec![values.id, places], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let int64 = node.outputs.get(1).is_some_and(|&id| w.graph.value(id).dtype == DType::Int64);
        if !self.largest || int64 {
            return Err(tflite::refuse(node, "the smallest elements, or places of int64, cannot be said"));
        }
        let count = w.constant(format!("{}/count", node.name), &[], Constant::I32(vec![self.count as i32]));
        tflite::with_constants(w, node, Code::TOPK_V2, 2, None, &[count])
    }
}
