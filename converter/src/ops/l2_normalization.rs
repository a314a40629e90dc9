//! L2_NORMALIZATION over the last dimension. Source followed: TFLM `kernels/l2norm.cc`.

use ferrolite_runtime::ops::l2_normalization::MOST;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::L2NormalizationParams;

use super::check::Check;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::stage;
use super::tflite::{self, Writer};
use crate::error::Result;
use crate::graph::Node;
use crate::tflite as schema;
use crate::tflite::{ActivationFunctionType, BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[("L2_NORMALIZATION", &[OpCode::L2Normalization])];

/// Scale and zero point of every result.
const RESULT: (f32, i32) = (1.0 / 128.0, 0);

/// Shorter rows are divided by this, as TensorFlow Lite's kernel does.
const SHORTEST: f32 = 1e-6;

/// The operator, which has no attributes.
pub(super) struct L2Normalization;

impl Operator for L2Normalization {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let input = check.input(0)?;
        check.ensure(!input.is_empty(), || "a scalar operand".into())?;
        check.output(input)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let input = x.get(0);
        let mut out = input.data.to_vec();
        for row in out.chunks_exact_mut(input.depth()) {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(SHORTEST);
            row.iter_mut().for_each(|x| *x /= length);
        }
        vec![out]
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
                    "its result has scale {} and zero point {}; 1/128 and 0 are supported",
                    output.scale, output.zero_point
                ),
            ));
        }
        let (&depth, rows) = input.value.shape.split_last().unwrap_or((&1, &[]));
        if depth > MOST as usize {
            return Err(cx.unsupported(node, format_args!("rows of {depth}; up to {MOST} are supported")));
        }
        let params = L2NormalizationParams {
            rows: cx.word(node, rows.iter().product())?,
            depth: cx.word(node, depth)?,
            input_zero_point: input.zero_point,
        };
        Ok(vec![Lowered::new(OpCode::L2Normalization, vec![input.id], vec![output.id], &params)])
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let options = tflite::options(Kind::L2NormOptions, |fbb| {
            let fused_activation_function = ActivationFunctionType::NONE;
            schema::L2NormOptions::create(fbb, &schema::L2NormOptionsArgs { fused_activation_function })
        });
        tflite::simple(w, node, Code::L2_NORMALIZATION, 2, Some(options))
    }
}
