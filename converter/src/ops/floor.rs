//! FLOOR_DIV and FLOOR_MOD of quantized real numbers: both operands become integers of one fine scale, of which the
//! device's arithmetic of plain integers makes the quotient, or what remains, exactly.

use ferrolite_runtime::quant::{multiplier, requantize_double};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{IntegersParams, RequantizeParams};

use super::broadcast::broadcast;
use super::integers::Function;
use super::lowering::{Lowered, Lowering};
use super::stage::{self, Quantized};
use crate::error::Result;
use crate::graph::{BinaryKind, Constant, DType, Node, Value};

/// Bits that numbers of the larger scale gain.
const BITS: i32 = 16;

/// Lowers the node.
pub(super) fn lower(cx: &mut Lowering<'_>, node: &Node, kind: BinaryKind) -> Result<Vec<Lowered>> {
    let (a, b) = (stage::int8_operand(cx, node, 0)?, stage::int8_operand(cx, node, 1)?);
    let out = stage::int8_output(cx, node, 0)?;
    let shape = broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?;
    let fine = a.scale.max(b.scale) / f64::from(1 << BITS);
    let mut ops = Vec::new();
    let mut wide = |word: &str, from: &Quantized<'_>, constant: Option<Constant>| {
        let name = format!("{}/{word}", node.name);
        let (dtype, quantization) = (DType::Int32, None);
        cx.temporary(Value { name, dtype, quantization, constant, ..from.value.clone() })
    };
    let mut widen = |word: &str, from: &Quantized<'_>| {
        let multiplier = multiplier(from.scale / fine);
        if let Some(Constant::I8(elements)) = &from.value.constant {
            let scaled = |&x: &i8| requantize_double(i32::from(x).wrapping_sub(from.zero_point), multiplier);
            return wide(word, from, Some(Constant::I32(elements.iter().map(scaled).collect())));
        }
        let to = wide(word, from, None);
        let params = RequantizeParams { input_zero_point: from.zero_point, multiplier, zero_point: 0 };
        ops.push(Lowered::new(OpCode::Requantize, vec![from.id], vec![to], &params));
        to
    };
    let (x, y) = (widen("dividend", &a), widen("divisor", &b));
    let found = wide("found", &out, None);
    // Quotients are whole numbers; what remains has the scale of the operands.
    let scale = if kind == BinaryKind::FloorDiv { 1.0 } else { fine };
    let narrow = RequantizeParams {
        input_zero_point: 0,
        multiplier: multiplier(scale / out.scale),
        zero_point: out.zero_point,
    };
    let params = IntegersParams { shape, function: kind.number().0 };
    ops.push(Lowered::new(OpCode::Integers, vec![x, y], vec![found], &params));
    ops.push(Lowered::new(OpCode::Requantize, vec![found], vec![out.id], &narrow));
    Ok(ops)
}
