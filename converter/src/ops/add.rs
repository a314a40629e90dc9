//! ADD and SUB.
//!
//! Both operands are brought to twice the larger of their scales, with 20 more bits, those of int16 with 15. The factors of
//! both operators are computed in double precision: older versions of TFLM computed those of SUB in
//! single precision, and answered otherwise on a tie now and then.
//! Source followed: TFLM `kernels/add_common.cc`, `kernels/sub_common.cc`.

use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{AddParams, Sum, Term};

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use super::stage;
use crate::error::Result;
use crate::graph::{Activation, DType, Node};

/// Lowers ADD, or SUB where `subtract` is set. The type of the result says which operator of the device it is.
pub(super) fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    subtract: bool,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let ((a_id, a), (b_id, b)) = (cx.input(node, 0)?, cx.input(node, 1)?);
    let (out_id, out) = cx.output(node, 0)?;
    // Bits that operands gain before they are scaled.
    let (dtype, code, bits) = match out.dtype {
        DType::Int16 => (DType::Int16, OpCode::AddInt16, 15),
        _ => (DType::Int8, OpCode::Add, 20),
    };
    let of = |id, value| stage::quantized(cx, node, id, value, dtype);
    let (a, b, out) = (of(a_id, a)?, of(b_id, b)?, of(out_id, out)?);
    let twice = 2.0 * a.scale.max(b.scale);
    let factors = [a.scale / twice, b.scale / twice, twice / (f64::from(1 << bits) * out.scale)];
    let [of_a, of_b, of_out] = factors.map(multiplier);
    if of_out.shift > 0 {
        return Err(cx.unsupported(
            node,
            format_args!(
                "the output's scale {} is less than 1/{} of its operands' scales",
                out.scale,
                1 << (bits - 1)
            ),
        ));
    }
    let (min, max) = stage::activation_range(activation, &out);
    let params = AddParams {
        shape: broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?,
        sum: Sum {
            a: Term { zero_point: a.zero_point, multiplier: of_a },
            b: Term { zero_point: b.zero_point, multiplier: of_b },
            sign: if subtract { -1 } else { 1 },
            multiplier: of_out,
            zero_point: out.zero_point,
            min,
            max,
        },
    };
    Ok(vec![Lowered::new(code, vec![a.id, b.id], vec![out.id], &params)])
}
