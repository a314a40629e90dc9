//! ADD_N of int8 operands that share their quantization, in TFLM's arithmetic: operands are scaled by `2^19` and added
//! up, and the sum is scaled once. Of real numbers ADD_N is read as sums of two.
//! Source followed: TFLM `kernels/add_n.cc`, `reference/add_n.h`.

use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Broadcast, IntegersParams, RequantizeParams};

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Layout, Operator, RunAs};
use super::tflite::{self, Writer};
use super::{stage, types};
use crate::error::Result;
use crate::graph::{AddN, DType, Graph, Node, Value};
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("ADD_N", &[OpCode::Requantize, OpCode::Integers])];

/// Bits that operands gain: half of twice their scale, with 20 more bits.
const BITS: u32 = 19;

/// The device's number of a sum of integers.
const SUM: u32 = 0;

impl Operator for AddN {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let first = check.input(0)?;
        for position in 1..check.inputs.len() {
            check.ensure(check.input(position)? == first, || "operands of several shapes".into())?;
        }
        check.output(first)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::one_type(inputs, outputs)?;
        types::same_quantization(inputs, &[])
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let mut sum = vec![self.start; x.get(0).data.len()];
        for position in 0..x.node.inputs.len() {
            sum.iter_mut().zip(x.get(position).data).for_each(|(sum, x)| *sum += x);
        }
        vec![sum]
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let output = stage::int8_output(cx, node, 0)?;
        let count = cx.word(node, output.value.elements())?;
        let mut ops = Vec::new();
        let mut sum = None;
        let first = stage::int8_operand(cx, node, 0)?;
        let part = |cx: &mut Lowering<'_>, number: usize, word: &str| {
            let name = format!("{}/{word}_{number}", node.name);
            let (dtype, quantization) = (DType::Int32, None);
            cx.temporary(Value { name, dtype, quantization, constant: None, ..output.value.clone() })
        };
        for number in 0..node.inputs.len() {
            let operand = stage::int8_operand(cx, node, number)?;
            let wide = part(cx, number, "term");
            let params = RequantizeParams {
                input_zero_point: operand.zero_point,
                multiplier: multiplier(f64::from(1 << BITS)),
                zero_point: 0,
            };
            ops.push(Lowered::new(OpCode::Requantize, vec![operand.id], vec![wide], &params));
            sum = Some(match sum {
                None => wide,
                Some(before) => {
                    let after = part(cx, number, "sum");
                    let shape = Broadcast { dims: [1, 1, 1, 1, 1, count], repeat_a: 0, repeat_b: 0 };
                    let params = IntegersParams { shape, function: SUM };
                    ops.push(Lowered::new(OpCode::Integers, vec![before, wide], vec![after], &params));
                    after
                }
            });
        }
        let Some(sum) = sum else { return Err(cx.unsupported(node, "it has no operands")) };
        let twice = 2.0 * first.scale;
        let params = RequantizeParams {
            // TFLM's sums begin with the negative zero point.
            input_zero_point: first.zero_point << BITS,
            multiplier: multiplier(twice / (f64::from(1 << 20) * output.scale)),
            zero_point: output.zero_point,
        };
        ops.push(Lowered::new(OpCode::Requantize, vec![sum], vec![output.id], &params));
        Ok(ops)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        tflite::simple(w, node, Code::ADD_N, 1, None)
    }

    fn layout(&self, _: &Graph, _: &Node) -> Layout {
        Layout::Any
    }
}
