//! Comparisons of a tensor with one constant: a function of one number whose results are truth values, so that the
//! device looks them up. They are the conditions of IF.
//!
//! TFLM compares int8 operands after scaling both, with 8 more bits, by their own scales; a constant that is real, as
//! in a model that Ferrolite has quantized, is compared with the number that an operand stands for.
//! Sources followed: TFLM `kernels/comparisons.cc`, TFLite `reference/comparisons.h`.

use ferrolite_runtime::quant::{multiplier, requantize_double};
use ferrolite_schema::{DType, OpCode};

use super::check::Check;
use super::lookup;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::tflite::{self, Writer};
use super::{stage, types};
use crate::error::Result;
use crate::graph::{Compare, Constant, Node, Value};

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[
    ("EQUAL", &[OpCode::Lookup]),
    ("GREATER", &[OpCode::Lookup]),
    ("GREATER_EQUAL", &[OpCode::Lookup]),
    ("LESS", &[OpCode::Lookup]),
    ("LESS_EQUAL", &[OpCode::Lookup]),
    ("NOT_EQUAL", &[OpCode::Lookup]),
];

/// Bits that operands gain before they are scaled, in TFLM.
const BITS: u32 = 8;

impl Operator for Compare {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, constant) = (check.input(0)?, check.input(1)?);
        check.ensure(constant.iter().product::<usize>() == 1, || {
            format!("it compares with {constant:?} elements; one is supported")
        })?;
        check.output(input)
    }

    fn check_types(&self, inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
        types::same_type(inputs, &[])?;
        if !types::is_data(inputs[0]) || outputs.iter().any(|value| value.dtype != DType::Bool) {
            return Err(format!("it compares {}", inputs[0].dtype.name()));
        }
        inputs.iter().try_for_each(|value| types::per_tensor(value))
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let constant = x.get(1).data.first().copied().unwrap_or_default();
        let truth = |&x: &f32| f32::from(u8::from(self.kind.holds(x, constant)));
        vec![x.get(0).data.iter().map(truth).collect()]
    }

    fn write_tflite(&self, _: &mut Writer<'_>, node: &Node) -> Result<()> {
        Err(tflite::refuse(node, "the condition of an IF is not written"))
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        let input = stage::int8_input(cx, node, 0)?;
        let ((_, constant), (output_id, output)) = (cx.input(node, 1)?, cx.output(node, 0)?);
        if output.dtype != DType::Bool {
            return Err(cx.unsupported(node, format_args!("its result is {}", output.dtype.name())));
        }
        let scaled = |x: i32, (scale, zero_point): (f64, i32)| {
            requantize_double(x.wrapping_sub(zero_point) << BITS, multiplier(scale))
        };
        let truth: Box<dyn Fn(i8) -> bool> = match &constant.constant {
            Some(Constant::F32(real)) if real.len() == 1 => {
                let (real, scale, zero_point) = (real[0], input.scale as f32, input.zero_point);
                Box::new(move |x| self.kind.holds(scale * (i32::from(x) - zero_point) as f32, real))
            }
            Some(Constant::I8(integer)) if integer.len() == 1 => {
                let right = scaled(integer[0].into(), cx.quantization(node, constant)?);
                let left = (input.scale, input.zero_point);
                Box::new(move |x| self.kind.holds(scaled(x.into(), left), right))
            }
            _ => {
                return Err(cx.unsupported(
                    node,
                    format_args!(
                        "it compares with `{}`; a constant of float32 or int8 is supported",
                        constant.name
                    ),
                ));
            }
        };
        Ok(vec![lookup::table(cx, input.id, output_id, |x| truth(x).into())?])
    }
}
