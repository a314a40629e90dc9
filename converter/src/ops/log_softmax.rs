//! LOG_SOFTMAX over the last dimension. A float one is taken apart by a pass; what is int8 in the file runs as TFLM does.
//! Sources followed: TFLM `kernels/log_softmax.cc`, TFLite `quantization_util.cc` (`PreprocessLogSoftmaxScalingExp`).

use ferrolite_graph::float::elementwise;
use ferrolite_runtime::ops::log_softmax::MAX_DEPTH;
use ferrolite_runtime::quant::{multiplier, rounding_divide_by_power_of_two as divide};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{LogSoftmaxParams, Multiplier};

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::{softmax, stage};
use crate::error::Result;
use crate::graph::Node;
use crate::tflite::BuiltinOperator as Code;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("LOG_SOFTMAX", &[OpCode::LogSoftmax])];

/// Scale and zero point of every result.
const RESULT: (f32, i32) = (16.0 / 256.0, 127);

/// `x - max - ln(sum(exp(x - max)))` over the last dimension.
pub(super) struct LogSoftmax;

impl Operator for LogSoftmax {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::log_softmax(x.get(0).data, x.get(0).depth())]
    }

    fn prescribed(&self) -> Option<(f32, i32)> {
        Some(RESULT)
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
        if (output.scale as f32, output.zero_point) != RESULT {
            return Err(cx.unsupported(
                node,
                format_args!(
                    "its result has scale {} and zero point {}; 1/16 and 127 are supported",
                    output.scale, output.zero_point
                ),
            ));
        }
        let shape = &input.value.shape;
        let depth = shape.last().copied().unwrap_or(1);
        if depth == 0 || depth > MAX_DEPTH as usize || *shape != output.value.shape {
            return Err(cx.unsupported(
                node,
                format_args!(
                    "it makes {:?} of {shape:?}; equal shapes and rows of 1 to {MAX_DEPTH} elements are supported",
                    output.value.shape
                ),
            ));
        }
        // A shift of 0 has no reciprocal in TFLM.
        let exponentials = softmax::exponentials(1.0, input.scale).filter(|found| found.factor.shift > 0);
        let Some(softmax::Exponentials { factor, table }) = exponentials else {
            return Err(cx.unsupported(
                node,
                format_args!("the input's scale {} is too small for Q5.26", input.scale),
            ));
        };
        let reverse = f64::from(1u32 << (31 - factor.shift)) / f64::from(factor.mantissa);
        // A sum has 12 bits before the point.
        let table: Vec<i32> = table.into_iter().map(|exponential| divide(exponential, 12)).collect();
        let params = LogSoftmaxParams {
            rows: cx.word(node, input.value.elements() / depth)?,
            depth: cx.word(node, depth)?,
            entries: cx.word(node, table.len())?,
            table: cx.constants.add(&table, 4)?,
            // With a shift of 31 only the maximum itself counts.
            multiplier: Multiplier { shift: factor.shift.min(30), ..factor },
            reverse: multiplier(reverse),
        };
        Ok(vec![Lowered::new(OpCode::LogSoftmax, vec![input.id], vec![output.id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        tflite::simple(w, node, Code::LOG_SOFTMAX, 2, None)
    }

    fn scores(&self) -> Scores {
        Scores::Own
    }
}
