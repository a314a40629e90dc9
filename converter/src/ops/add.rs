//! ADD and SUB.
//!
//! Both operands are brought to twice the larger of their scales, with 20 more bits. The factors of
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
use crate::graph::{Activation, Node};

/// Bits that operands gain before they are scaled.
const LEFT_SHIFT: u32 = 20;

/// Lowers ADD, or SUB where `subtract` is set.
pub(super) fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    subtract: bool,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (a, b) = (stage::int8_operand(cx, node, 0)?, stage::int8_operand(cx, node, 1)?);
    let out = stage::int8_output(cx, node, 0)?;
    let twice = 2.0 * a.scale.max(b.scale);
    let factors = [a.scale / twice, b.scale / twice, twice / (f64::from(1 << LEFT_SHIFT) * out.scale)];
    let [of_a, of_b, of_out] = factors.map(multiplier);
    if of_out.shift > 0 {
        return Err(cx.unsupported(
            node,
            format_args!("the output's scale {} is less than a millionth of its operands' scales", out.scale),
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
    Ok(vec![Lowered::new(OpCode::Add, vec![a.id, b.id], vec![out.id], &params)])
}
