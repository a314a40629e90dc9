//! ADD and SUB.
//!
//! Both operands are brought to twice the larger of their scales, with 20 more bits. TFLM computes
//! the factors of ADD in double precision and those of SUB in single precision; so does this.
//! Source followed: TFLM `kernels/add_common.cc`, `kernels/sub_common.cc`.

use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{AddParams, Sum, Term};

use super::broadcast::broadcast;
use super::stage;
use crate::emit::{Lowered, Lowering};
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
    let factors = if subtract { single_factors } else { double_factors };
    let [of_a, of_b, of_out] = factors(a.scale, b.scale, out.scale).map(multiplier);
    if of_out.shift > 0 {
        return Err(cx.unsupported(
            node,
            format_args!("the output's scale {} is less than a millionth of its operands' scales", out.scale),
        ));
    }
    let (min, max) = stage::activation_range(activation, &out);
    let params = AddParams {
        shape: broadcast(cx, node, a.value, b.value, out.value)?,
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

/// Factors of both operands and of the output for ADD.
fn double_factors(a: f64, b: f64, out: f64) -> [f64; 3] {
    let twice = 2.0 * a.max(b);
    [a / twice, b / twice, twice / (f64::from(1 << LEFT_SHIFT) * out)]
}

/// Factors of both operands and of the output for SUB; scales are float32 numbers.
fn single_factors(a: f64, b: f64, out: f64) -> [f64; 3] {
    let (a, b, out) = (a as f32, b as f32, out as f32);
    let twice = 2.0 * a.max(b);
    [a / twice, b / twice, twice / ((1 << LEFT_SHIFT) as f32 * out)].map(f64::from)
}
