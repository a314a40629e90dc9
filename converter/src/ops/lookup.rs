//! Functions of one int8 number, as tables of 256 bytes.
//!
//! | function | arithmetic |
//! |---|---|
//! | RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, ABS, RSQRT, HARD_SWISH | TFLM's integers |
//! | LOGISTIC, TANH | gemmlowp's fixed point, as TFLM; float for unusual output scales |
//! | all others | float32, as TFLite's own tables: `quantize(f(dequantize(x)))` |
//!
//! Sources followed: TFLM `kernels/activations_common.cc`, `leaky_relu_common.cc`, `elementwise.cc`,
//! `hard_swish_common.cc`, `logistic_common.cc`, `tanh.cc`, `elu.cc`; TFLite `reference/hard_swish.h`,
//! `reference/integer_ops/{logistic,tanh}.h`.

use ferrolite_graph::float::elementwise;
use ferrolite_runtime::quant::{
    self, Multiplier, multiplier, requantize_double, rounding_divide_by_power_of_two,
};
use ferrolite_schema::OpCode;
use ferrolite_schema::params::LookupParams;

use super::check::Check;
use super::fixed_point;
use super::lowering::{Lowered, Lowering};
use super::operands::Operands;
use super::operator::{Operator, RunAs};
use super::stage::{self, Quantized};
use super::tflite::{self, Writer};
use crate::error::Result;
use crate::graph::{Activation, Constant, Graph, Node, UnaryKind, Value, ValueId};
use crate::reference::unary;

/// TensorFlow Lite's operators that become it, and what the device runs for them.
pub(super) const RUN_AS: RunAs = &[];

/// A function of one number that came as its results.
pub(super) struct Lookup;

impl Operator for Lookup {
    fn check(&self, check: &Check<'_>) -> Result<()> {
        let (input, table) = (check.input(0)?, check.input(1)?);
        check.ensure(table == [256], || format!("a table of shape {table:?} instead of [256]"))?;
        check.output(input)
    }

    fn eval(&self, x: &Operands<'_>) -> Vec<Vec<f32>> {
        let params = x.quantization(0).unwrap_or((1.0, 0));
        vec![elementwise::from_table(x.get(0).data, x.get(1).data, params)]
    }

    fn lower(&self, cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
        lower_table(cx, node)
    }

    fn write_tflite(&self, w: &mut Writer<'_>, node: &Node) -> Result<()> {
        let Some(id) = node.input(1) else { return Ok(()) };
        let table = w.value(id);
        tflite::look_up_in(w, node, table)
    }
}

/// An op that applies `function` to each element. The table is indexed by the input's bits.
pub(super) fn table(
    cx: &mut Lowering<'_>,
    input: ValueId,
    output: ValueId,
    function: impl Fn(i8) -> i8,
) -> Result<Lowered> {
    let table: Vec<i8> = (0..=u8::MAX).map(|bits| function(bits as i8)).collect();
    let params = LookupParams { table: cx.constants.add(&table, 1)? };
    Ok(Lowered::new(OpCode::Lookup, vec![input], vec![output], &params))
}

/// Lowers a function of one number.
pub(super) fn lower(cx: &mut Lowering<'_>, node: &Node, kind: UnaryKind) -> Result<Vec<Lowered>> {
    let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
    if input.value.elements() != output.value.elements() {
        return Err(cx.unsupported(
            node,
            format_args!("it makes {:?} of {:?}", output.value.shape, input.value.shape),
        ));
    }
    let function = function(kind, &input, &output);
    Ok(vec![table(cx, input.id, output.id, |x| function(x.into()).clamp(-128, 127) as i8)?])
}

/// Lowers a function whose results the graph holds.
pub(super) fn lower_table(cx: &mut Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
    let (_, value) = cx.input(node, 1)?;
    match &value.constant {
        Some(Constant::I8(results)) if results.len() == 256 => {
            let at = |x: i8| results.get(usize::from(x as u8 ^ 0x80)).copied().unwrap_or_default();
            Ok(vec![table(cx, input.id, output.id, at)?])
        }
        _ => Err(cx.unsupported(node, "its table is not a constant of 256 int8")),
    }
}

/// The 256 bytes of a node's table, indexed by the input's bits.
pub(super) fn unary_table(graph: &Graph, node: &Node, kind: UnaryKind) -> Result<Vec<i8>> {
    Lowering::alone(graph, |cx| {
        let (input, output) = (stage::int8_input(cx, node, 0)?, stage::int8_output(cx, node, 0)?);
        let function = function(kind, &input, &output);
        Ok((0..=u8::MAX).map(|bits| function(i32::from(bits as i8)).clamp(-128, 127) as i8).collect())
    })
}

/// The results of a function of an int8 tensor, from -128 on, in another quantization than that of the layer's
/// result: scale and zero point. `None` where the input has not one of its own.
pub(crate) fn unary_results(kind: UnaryKind, input: &Value, output: (f32, i32)) -> Option<Vec<i8>> {
    let (scale, zero_point) = input.quantization.as_ref()?.tensor()?;
    let int8 = |(scale, zero_point): (f32, i32)| Quantized {
        id: ValueId(0),
        value: input,
        scale: scale.into(),
        zero_point,
    };
    let function = function(kind, &int8((scale, zero_point)), &int8(output));
    Some((i8::MIN..=i8::MAX).map(|x| function(x.into()).clamp(-128, 127) as i8).collect())
}

/// From stored integer to stored integer, not yet clamped to int8.
type Function = Box<dyn Fn(i32) -> i32>;

fn function(kind: UnaryKind, input: &Quantized<'_>, output: &Quantized<'_>) -> Function {
    let (zero, out_zero) = (input.zero_point, output.zero_point);
    let float = |f: fn(f32) -> f32| float_function(f, input, output);
    match kind {
        UnaryKind::Relu => clamp(Activation::Relu, input, output),
        UnaryKind::Relu6 => clamp(Activation::Relu6, input, output),
        UnaryKind::ReluN1To1 => clamp(Activation::ReluN1To1, input, output),
        UnaryKind::LeakyRelu { alpha } => {
            let above = multiplier(input.scale / output.scale);
            let below = signed_multiplier(input.scale * f64::from(alpha) / output.scale);
            Box::new(move |x| {
                let x = x - zero;
                out_zero.saturating_add(requantize_double(x, if x >= 0 { above } else { below }))
            })
        }
        UnaryKind::Abs => {
            let factor = multiplier(input.scale / output.scale);
            Box::new(move |x| requantize_double((x - zero).abs(), factor).saturating_add(out_zero))
        }
        UnaryKind::Rsqrt | UnaryKind::RsqrtOrZero => rsqrt(input, output),
        UnaryKind::HardSwish => {
            hard_swish(input, output).unwrap_or_else(|| float(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0))
        }
        UnaryKind::Logistic if output.scale == 1.0 / 256.0 && out_zero == -128 => {
            saturating(input, |x| rounding_divide_by_power_of_two(fixed_point::logistic(x), 23) - 128)
        }
        UnaryKind::Logistic => float(|x| 1.0 / (1.0 + libm::expf(-x))),
        UnaryKind::Tanh if output.scale == 1.0 / 128.0 && out_zero == 0 => {
            saturating(input, |x| rounding_divide_by_power_of_two(fixed_point::tanh(x), 24))
        }
        UnaryKind::Tanh => float(libm::tanhf),
        UnaryKind::Elu { alpha } => {
            float_function(move |x| if x < 0.0 { alpha * (exp(x) - 1.0) } else { x }, input, output)
        }
        UnaryKind::Gelu { approximate: false } => {
            float(|x| 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)))
        }
        UnaryKind::Gelu { approximate: true } => float(|x| {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + libm::tanhf(inner))
        }),
        UnaryKind::Exp => float(exp),
        // At and below zero the logarithm is taken for as small as the output can say.
        UnaryKind::Log => float(|x| if x > 0.0 { libm::logf(x) } else { f32::NEG_INFINITY }),
        UnaryKind::Sqrt => float(|x| x.max(0.0).sqrt()),
        UnaryKind::Neg => float(|x| -x),
        UnaryKind::Square => float(|x| x * x),
        UnaryKind::Sin => float(libm::sinf),
        UnaryKind::Cos => float(libm::cosf),
        // Rounding may lead out of where a function is defined; its border is taken there.
        UnaryKind::Asin => float(|x| libm::asinf(x.clamp(-1.0, 1.0))),
        UnaryKind::Acos => float(|x| libm::acosf(x.clamp(-1.0, 1.0))),
        UnaryKind::Atanh => float(|x| libm::atanhf(x.clamp(-1.0, 1.0))),
        UnaryKind::Acosh => float(|x| libm::acoshf(x.max(1.0))),
        // What rounds to zero here need not be zero: the largest output, as RSQRT has it.
        UnaryKind::ReciprocalOrZero => float(|x| 1.0 / x),
        UnaryKind::Ceil => float(f32::ceil),
        UnaryKind::Floor => float(f32::floor),
        UnaryKind::Round => float(f32::round_ties_even),
        UnaryKind::Sign => float(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        UnaryKind::Selu { .. }
        | UnaryKind::Celu { .. }
        | UnaryKind::Threshold { .. }
        | UnaryKind::Clip { .. }
        | UnaryKind::SoftShrink { .. }
        | UnaryKind::HardShrink { .. }
        | UnaryKind::HardSigmoid { .. }
        | UnaryKind::Affine { .. }
        | UnaryKind::ScaledTanh { .. }
        | UnaryKind::Squareplus { .. }
        | UnaryKind::Pow { .. }
        | UnaryKind::Silu
        | UnaryKind::Softplus
        | UnaryKind::Softsign
        | UnaryKind::Mish
        | UnaryKind::LogSigmoid
        | UnaryKind::SparsePlus
        | UnaryKind::TanhShrink
        | UnaryKind::Erf
        | UnaryKind::Tan
        | UnaryKind::Atan
        | UnaryKind::Sinh
        | UnaryKind::Cosh
        | UnaryKind::Asinh
        | UnaryKind::Reciprocal => float_function(move |x| unary(kind, x), input, output),
    }
}

/// The exponential rounded to float32, the same on every host.
fn exp(x: f32) -> f32 {
    libm::exp(x.into()) as f32
}

/// As TFLite makes its tables, in float32.
fn float_function(
    f: impl Fn(f32) -> f32 + 'static,
    input: &Quantized<'_>,
    output: &Quantized<'_>,
) -> Function {
    let (scale, zero, out_zero) = (input.scale as f32, input.zero_point, output.zero_point);
    let inverse = 1.0 / output.scale as f32;
    Box::new(move |x| {
        let real = f(scale * (x - zero) as f32);
        // The conversion saturates.
        ((real * inverse).round() + out_zero as f32) as i32
    })
}

/// RELU and its kind: requantized and clamped.
fn clamp(activation: Activation, input: &Quantized<'_>, output: &Quantized<'_>) -> Function {
    let (zero, out_zero) = (input.zero_point, output.zero_point);
    let factor = multiplier(input.scale / output.scale);
    let (min, max) = stage::activation_range(activation, output);
    Box::new(move |x| out_zero.saturating_add(requantize_double(x - zero, factor)).clamp(min, max))
}

fn signed_multiplier(real: f64) -> Multiplier {
    let magnitude = multiplier(real.abs());
    let mantissa = if real < 0.0 { -magnitude.mantissa } else { magnitude.mantissa };
    Multiplier { mantissa, ..magnitude }
}

/// Inputs rescaled to Q4.27, where they are in its range; all others saturate.
fn saturating(input: &Quantized<'_>, f: fn(i32) -> i32) -> Function {
    const INTEGER_BITS: i32 = 4;
    let zero = input.zero_point;
    let real = input.scale * f64::from(1 << (31 - INTEGER_BITS));
    let factor = multiplier(real);
    let (_, shift) = libm::frexp(real);
    let reach = f64::from((1 << INTEGER_BITS) - 1) * f64::from(1 << (31 - INTEGER_BITS));
    let radius = (reach / libm::exp2(shift.into())).floor() as i32;
    Box::new(move |x| {
        let x = x - zero;
        if x <= -radius {
            -128
        } else if x >= radius {
            127
        } else {
            f(requantize_double(x, factor))
        }
    })
}

/// Reciprocal roots of the integers, rescaled. TFLM refuses to run where a number is negative; here
/// it counts as zero, whose root is the largest output.
fn rsqrt(input: &Quantized<'_>, output: &Quantized<'_>) -> Function {
    /// Keeps the roots integer in between.
    const SHIFT: i32 = 20;
    let (zero, out_zero) = (input.zero_point, output.zero_point);
    let factor = multiplier(1.0 / (input.scale.sqrt() * output.scale));
    let factor = Multiplier { shift: (factor.shift - SHIFT).max(-31), ..factor };
    Box::new(move |x| {
        if x <= zero {
            return 127;
        }
        let (mantissa, shift) = quant::inverse_sqrt(x - zero);
        let root = requantize_double(1, Multiplier { mantissa, shift: shift + SHIFT });
        requantize_double(root, factor).saturating_add(out_zero)
    })
}

/// HARD_SWISH in 16-bit fixed point; `None` where the output's scale is so small that TFLM refuses.
fn hard_swish(input: &Quantized<'_>, output: &Quantized<'_>) -> Option<Function> {
    let (zero, out_zero) = (input.zero_point, output.zero_point);
    let fine_scale = (1.0 / 128.0) * input.scale as f32;
    let to_output = multiplier((fine_scale / output.scale as f32).into());
    // 3 stands at 2^15.
    let to_reluish = multiplier((fine_scale / (3.0 / 32768.0)).into());
    if to_output.shift > 0 {
        return None;
    }
    let (out_mantissa, reluish_mantissa) = (high_half(to_output), high_half(to_reluish));
    Some(Box::new(move |x| {
        let fine = (x - zero) * 128;
        let on_output_scale = high_mul_16(fine, out_mantissa);
        // max(min(x / 3, 1), -1) in Q0.15; a left shift saturates only with its last bit.
        let left = to_reluish.shift.max(0) as u32;
        let mut reluish =
            high_mul_16(saturate_16(i64::from(fine) << left.saturating_sub(1)), reluish_mantissa);
        if left > 0 {
            reluish = saturate_16(i64::from(reluish) * 2);
        }
        if to_reluish.shift < 0 {
            reluish = rounding_divide_by_power_of_two(reluish, to_reluish.shift.unsigned_abs());
        }
        // To [0, 1], and a product that rounds towards zero.
        let gate = (reluish + (1 << 15)) >> 1;
        let product = gate * on_output_scale / (1 << 15);
        rounding_divide_by_power_of_two(product, to_output.shift.unsigned_abs()) + out_zero
    }))
}

/// A mantissa rounded to its upper 16 bits.
fn high_half(multiplier: Multiplier) -> i32 {
    multiplier.mantissa.saturating_add(1 << 15) >> 16
}

/// `a b / 2^15` for 16-bit numbers, rounded to nearest, ties upwards.
fn high_mul_16(a: i32, b: i32) -> i32 {
    saturate_16(((a * b + (1 << 14)) >> 15).into())
}

fn saturate_16(x: i64) -> i32 {
    x.clamp(i16::MIN.into(), i16::MAX.into()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Quantization};

    /// A function and what it is in real numbers.
    type Kind = (UnaryKind, fn(f64) -> f64);

    const KINDS: &[Kind] = &[
        (UnaryKind::Relu, |x| x.max(0.0)),
        (UnaryKind::Relu6, |x| x.clamp(0.0, 6.0)),
        (UnaryKind::ReluN1To1, |x| x.clamp(-1.0, 1.0)),
        (UnaryKind::LeakyRelu { alpha: 0.25 }, |x| x.max(0.25 * x)),
        (UnaryKind::Elu { alpha: 1.0 }, |x| if x < 0.0 { x.exp_m1() } else { x }),
        (UnaryKind::Gelu { approximate: false }, |x| 0.5 * x * (1.0 + libm::erf(x / 2f64.sqrt()))),
        (UnaryKind::Gelu { approximate: true }, |x| {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }),
        (UnaryKind::Logistic, |x| 1.0 / (1.0 + (-x).exp())),
        (UnaryKind::Tanh, f64::tanh),
        (UnaryKind::HardSwish, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        (UnaryKind::Abs, f64::abs),
        (UnaryKind::Neg, |x| -x),
        (UnaryKind::Exp, f64::exp),
        (UnaryKind::Log, f64::ln),
        (UnaryKind::Sqrt, |x| x.max(0.0).sqrt()),
        (UnaryKind::Rsqrt, |x| if x > 0.0 { 1.0 / x.sqrt() } else { f64::INFINITY }),
        (UnaryKind::Square, |x| x * x),
        (UnaryKind::Sin, f64::sin),
        (UnaryKind::Cos, f64::cos),
        (UnaryKind::Tan, f64::tan),
        (UnaryKind::Asin, |x| x.clamp(-1.0, 1.0).asin()),
        (UnaryKind::Acos, |x| x.clamp(-1.0, 1.0).acos()),
        (UnaryKind::Atan, f64::atan),
        (UnaryKind::Sinh, f64::sinh),
        (UnaryKind::Cosh, f64::cosh),
        (UnaryKind::Asinh, f64::asinh),
        (UnaryKind::Acosh, |x| x.max(1.0).acosh()),
        (UnaryKind::Atanh, |x| x.clamp(-1.0, 1.0).atanh()),
        (UnaryKind::RsqrtOrZero, |x| if x > 0.0 { 1.0 / x.sqrt() } else { f64::INFINITY }),
        (UnaryKind::ReciprocalOrZero, |x| 1.0 / x),
        (UnaryKind::Ceil, f64::ceil),
        (UnaryKind::Floor, f64::floor),
        (UnaryKind::Round, f64::round_ties_even),
        (UnaryKind::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        (UnaryKind::Selu { alpha: 1.67, gamma: 1.05 }, |x| {
            if x < 0.0 { 1.05 * 1.67 * x.exp_m1() } else { 1.05 * x }
        }),
        (UnaryKind::Celu { alpha: 2.0 }, |x| if x < 0.0 { 2.0 * (x / 2.0).exp_m1() } else { x }),
        (UnaryKind::Threshold { threshold: 0.5, value: -0.25 }, |x| if x > 0.5 { x } else { -0.25 }),
        (UnaryKind::Clip { min: -0.5, max: 2.0 }, |x| x.clamp(-0.5, 2.0)),
        (UnaryKind::SoftShrink { lambda: 0.5 }, |x| x.signum() * (x.abs() - 0.5).max(0.0)),
        (UnaryKind::HardShrink { lambda: 0.5 }, |x| if x.abs() > 0.5 { x } else { 0.0 }),
        (UnaryKind::HardSigmoid { alpha: 0.2, beta: 0.5 }, |x| (0.2 * x + 0.5).clamp(0.0, 1.0)),
        (UnaryKind::Squareplus { b: 4.0 }, |x| 0.5 * (x + (x * x + 4.0).sqrt())),
        (UnaryKind::Pow { exponent: 3.0 }, |x| x.powi(3)),
        (UnaryKind::Silu, |x| x / (1.0 + (-x).exp())),
        (UnaryKind::Softplus, |x| x.exp().ln_1p()),
        (UnaryKind::Softsign, |x| x / (1.0 + x.abs())),
        (UnaryKind::Mish, |x| x * x.exp().ln_1p().tanh()),
        (UnaryKind::LogSigmoid, |x| -(-x).exp().ln_1p()),
        (UnaryKind::SparsePlus, |x| {
            if x <= -1.0 {
                0.0
            } else if x < 1.0 {
                (x + 1.0).powi(2) / 4.0
            } else {
                x
            }
        }),
        (UnaryKind::TanhShrink, |x| x - x.tanh()),
        (UnaryKind::Erf, libm::erf),
        (UnaryKind::Reciprocal, |x| 1.0 / x),
    ];

    #[test]
    fn every_table_is_within_a_step_of_its_function() {
        let value = Value {
            name: String::new(),
            shape: vec![1],
            dtype: DType::Int8,
            quantization: Some(Quantization::per_tensor(1.0, 0)),
            constant: None,
        };
        let int8 = |scale: f64, zero_point| Quantized { id: ValueId(0), value: &value, scale, zero_point };
        for (kind, real) in KINDS {
            for (scale, zero, out_scale, out_zero) in
                [(0.0625, 3, 0.0625, 3), (0.03125, -128, 0.0625, -100), (0.125, 10, 0.125, -20)]
            {
                let table = function(*kind, &int8(scale, zero), &int8(out_scale, out_zero));
                for x in -128..=127 {
                    let exact = real(scale * f64::from(x - zero));
                    // A logarithm of a negative number is no number; it counts as that of zero.
                    let exact = if exact.is_nan() { f64::NEG_INFINITY } else { exact };
                    let wanted = (exact / out_scale + f64::from(out_zero)).clamp(-128.0, 127.0);
                    let found = f64::from(table(x).clamp(-128, 127));
                    assert!((found - wanted).abs() <= 1.01, "{kind:?}({x}) = {found}, not {wanted}");
                }
            }
        }
    }

    #[test]
    fn absurd_scales_do_no_harm() {
        let value = Value {
            name: String::new(),
            shape: vec![1],
            dtype: DType::Int8,
            quantization: None,
            constant: None,
        };
        let scales = [f64::from(f32::MIN_POSITIVE), 1e-20, 1.0, 1e20, f64::from(f32::MAX)];
        for (kind, _) in KINDS {
            for scale in scales {
                for out_scale in scales.into_iter().chain([1.0 / 256.0, 1.0 / 128.0]) {
                    for zero_point in [-128, 0, 127] {
                        let end = |scale| Quantized { id: ValueId(0), value: &value, scale, zero_point };
                        let table = function(*kind, &end(scale), &end(out_scale));
                        for x in -128..=127 {
                            table(x);
                        }
                    }
                }
            }
        }
    }
}
