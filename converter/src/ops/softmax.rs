//! SOFTMAX: the exponentials of all differences from a row's maximum are computed here, in gemmlowp's
//! fixed point, bit for bit as TFLM computes them at each inference.
//!
//! Source followed: TFLM `kernels/softmax_common.cc`, TFLite `quantization_util.cc`
//! (`PreprocessSoftmaxScaling`, `CalculateInputRadius`), gemmlowp `fixedpoint.h`.

use ferrolite_graph::float::elementwise;
use ferrolite_runtime::ops::softmax::MAX_DEPTH;
use ferrolite_runtime::quant::{multiplier, saturating_rounding_doubling_high_mul as multiply};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{Multiplier, SoftmaxParams};

use super::check::Check;
use super::fixed_point::exp_on_negative_values;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs, Scores};
use super::tflite::{self, Writer};
use super::types;
use super::{int16, stage};
use crate::error::Result;
use crate::graph::{DType, Node, Softmax, Value};
use crate::tflite as schema;
use crate::tflite::{BuiltinOperator as Code, BuiltinOptions as Kind};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs =
    &[("SOFTMAX", &[OpCode::Softmax, OpCode::SoftmaxInt16, OpCode::SoftmaxFromInt16])];

impl Operator for Softmax {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        check.output(check.input(0)?)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        match (inputs[0].dtype, outputs[0].dtype) {
            (DType::Int8, DType::Int16) => {
                types::per_tensor(inputs[0])?;
                types::per_tensor(outputs[0])
            }
            _ => types::one_type_or_int16(inputs, outputs),
        }
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        vec![elementwise::softmax(x.get(0).data, x.get(0).depth(), self.beta)]
    }

    fn selects(&self) -> bool {
        true
    }

    fn prescribed(&self) -> Option<(f32, i32)> {
        Some((1.0 / 256.0, -128))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        match cx.input(node, 0)?.1.dtype {
            DType::Int16 => int16::softmax(cx, node, self.beta),
            _ => lower(cx, node, self.beta),
        }
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let beta = self.beta;
        let options = tflite::options(Kind::SoftmaxOptions, move |fbb| {
            schema::SoftmaxOptions::create(fbb, &schema::SoftmaxOptionsArgs { beta })
        });
        tflite::simple(w, node, Code::SOFTMAX, 2, Some(options))
    }

    fn scores(&self) -> Scores {
        Scores::Own
    }
}

/// Integer bits of a difference, Q5.26.
const INTEGER_BITS: u32 = 5;

/// Lowers a softmax over the last dimension.
pub(super) fn lower(cx: &mut Lowering<'_>, node: &Node, beta: f32) -> Result<Vec<Lowered>> {
    let input = stage::int8_input(cx, node, 0)?;
    let (id, value) = cx.output(node, 0)?;
    let (code, dtype, steps, zero_point) = match value.dtype {
        DType::Int16 => (OpCode::SoftmaxInt16, DType::Int16, 65_536.0, -32_768),
        _ => (OpCode::Softmax, DType::Int8, 256.0, -128),
    };
    let output = stage::quantized(cx, node, id, value, dtype)?;
    // TFLM takes a scale of int16 that is a thousandth off.
    let tolerance = if dtype == DType::Int16 { 0.001 } else { 0.0 };
    if (output.scale * steps - 1.0).abs() > tolerance || output.zero_point != zero_point {
        return Err(cx.unsupported(
            node,
            format_args!(
                "its output has scale {} and zero point {}; 1/{steps} and {zero_point} are supported",
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
    let table = table(beta, input.scale).ok_or_else(|| {
        cx.unsupported(
            node,
            format_args!("the input's scale {} times beta {beta} is too small for Q5.26", input.scale),
        )
    })?;
    let params = SoftmaxParams {
        rows: cx.word(node, input.value.elements() / depth)?,
        depth: cx.word(node, depth)?,
        entries: cx.word(node, table.len())?,
        table: cx.constants.add(&table, 4)?,
    };
    Ok(vec![Lowered::new(code, vec![input.id], vec![output.id], &params)])
}

/// `exp(-scale * beta * d)` in Q0.31 for the differences `d` that count, at most 256; `None` where
/// the product of scale and beta is below the resolution of a difference.
fn table(beta: f32, scale: f64) -> Option<Vec<i32>> {
    Some(exponentials(beta, scale)?.table)
}

/// How differences from a row's maximum are scaled, and their exponentials.
pub(super) struct Exponentials {
    /// From steps of the input to Q5.26; shifts may be 31.
    pub factor: Multiplier,
    /// In Q0.31, for the differences that count.
    pub table: Vec<i32>,
}

/// The same with the factor.
pub(super) fn exponentials(beta: f32, scale: f64) -> Option<Exponentials> {
    let fraction_bits = 31 - INTEGER_BITS;
    let real = f64::from(beta) * scale * f64::from(1 << fraction_bits);
    // `multiplier` stops at shifts of 30, TFLM's softmax at 31: half the factor, and one more.
    let factor = multiplier(real.min((1u64 << 31) as f64 - 1.0) / 2.0);
    let shift = factor.shift + 1;
    if !(real > 1.0 && shift >= 0) {
        return None;
    }
    // The largest difference that stays in range when it is scaled.
    let radius = f64::from((1 << INTEGER_BITS) - 1) * f64::from(1 << fraction_bits) / (1u64 << shift) as f64;
    let last = radius.floor().min(255.0) as i32;
    let scaled = |d: i32| multiply(d.wrapping_neg().wrapping_shl(shift as u32), factor.mantissa);
    let table = (0..=last).map(|d| exp_on_negative_values(scaled(d), INTEGER_BITS)).collect();
    Some(Exponentials { factor: Multiplier { shift, ..factor }, table })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_end_where_differences_stop_counting() {
        // The shifts are 23 and 26: 31 * 2^26 / 2^shift differences stay in range.
        assert_eq!(table(1.0, 0.1).unwrap().len(), 1 + 248);
        assert_eq!(table(1.0, 0.5).unwrap().len(), 1 + 31);
        assert_eq!(table(1.0, 0.01).unwrap().len(), 256);
        assert_eq!(table(1.0, 1e6).unwrap(), [i32::MAX]);
        assert_eq!(table(1.0, 1e-9), None);
        assert_eq!(table(-1.0, 0.1), None);
        assert_eq!(table(f32::NAN, 0.1), None);
        let table = table(2.0, 0.05).unwrap();
        assert!(table.windows(2).all(|pair| pair[0] >= pair[1]), "decreasing");
        let tenth = f64::from(table[10]) / (1u64 << 31) as f64;
        assert!((tenth - (-1f64).exp()).abs() < 1e-6, "{tenth}");
    }
}
