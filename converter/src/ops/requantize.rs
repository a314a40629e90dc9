//! QUANTIZE of integers. From 8 bits to 8 bits the 256 results go into a table, whichever of the
//! types are signed; other widths keep their multiplier.

use ferrolite_runtime::quant;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::RequantizeParams;

use super::lookup;
use super::lowering::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::{DType, Node, Value};

/// Refuses what is no integer of at most 32 bits.
pub(super) fn expect_integer(cx: &Lowering<'_>, node: &Node, value: &Value) -> Result<()> {
    match value.dtype {
        DType::Int8 | DType::UInt8 | DType::Int16 | DType::Int32 => Ok(()),
        other => Err(cx.unsupported(
            node,
            format!("`{}` is {}; int8, uint8, int16 and int32 are supported", value.name, other.name()),
        )),
    }
}

/// Lowers QUANTIZE of integers.
pub fn lower(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    expect_integer(cx, node, input)?;
    expect_integer(cx, node, output)?;
    let (input_scale, input_zero_point) = cx.quantization(node, input)?;
    let (output_scale, zero_point) = cx.quantization(node, output)?;
    let multiplier = quant::multiplier(input_scale / output_scale);
    let params = RequantizeParams { input_zero_point, multiplier, zero_point };
    if input.dtype.size() > 1 || output.dtype.size() > 1 {
        return Ok(vec![Lowered::new(OpCode::Requantize, vec![input_id], vec![output_id], &params)]);
    }
    let rounding = cx.rounding;
    let (min, max) = if output.dtype == DType::UInt8 { (0, 255) } else { (-128, 127) };
    let requantized = |bits: i8| {
        let x = if input.dtype == DType::UInt8 { i32::from(bits as u8) } else { bits.into() };
        let scaled = quant::requantize(x.wrapping_sub(input_zero_point), multiplier, rounding);
        scaled.wrapping_add(zero_point).clamp(min, max) as i8
    };
    Ok(vec![lookup::table(cx, input_id, output_id, requantized)?])
}
