//! Functions of single elements, of pairs of elements with broadcasting, and of rows.

use ferrolite_runtime::quant;

use super::Tensor;
use super::strided::{broadcast, walk};
use crate::graph::{Activation, BinaryKind, DType, UnaryKind, Value};

/// The value of a unary function; NaN where the function is undefined. Functions for which TFLite has no int8
/// kernel use `libm`, so that the tables computed from them are the same on every host.
pub fn unary(kind: UnaryKind, x: f32) -> f32 {
    match kind {
        UnaryKind::Relu => x.clamp(0.0, f32::INFINITY),
        UnaryKind::Relu6 => x.clamp(0.0, 6.0),
        UnaryKind::ReluN1To1 => x.clamp(-1.0, 1.0),
        UnaryKind::LeakyRelu { alpha } => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        UnaryKind::Elu { alpha } => {
            if x < 0.0 {
                alpha * libm::expm1f(x)
            } else {
                x
            }
        }
        UnaryKind::Selu { alpha, gamma } => gamma * unary(UnaryKind::Elu { alpha }, x),
        UnaryKind::Celu { alpha } => {
            if x < 0.0 {
                alpha * libm::expm1f(x / alpha)
            } else {
                x
            }
        }
        // Comparisons are written so that NaN passes through.
        UnaryKind::Threshold { threshold, value } => {
            if x <= threshold {
                value
            } else {
                x
            }
        }
        UnaryKind::Clip { min, max } => {
            if x < min {
                min
            } else if x > max {
                max
            } else {
                x
            }
        }
        UnaryKind::SoftShrink { lambda } => {
            if x > lambda {
                x - lambda
            } else if x < -lambda {
                x + lambda
            } else {
                x * 0.0
            }
        }
        UnaryKind::HardShrink { lambda } => {
            if x.abs() <= lambda {
                0.0
            } else {
                x
            }
        }
        UnaryKind::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
        UnaryKind::Affine { alpha, beta } => alpha * x + beta,
        UnaryKind::ScaledTanh { alpha, beta } => alpha * libm::tanhf(beta * x),
        UnaryKind::Squareplus { b } => 0.5 * (x + (x * x + b).sqrt()),
        UnaryKind::Pow { exponent } => libm::powf(x, exponent),
        UnaryKind::Silu => x / (1.0 + libm::expf(-x)),
        UnaryKind::Softplus => softplus(x),
        UnaryKind::Softsign => x / (1.0 + x.abs()),
        UnaryKind::Mish => x * libm::tanhf(softplus(x)),
        UnaryKind::LogSigmoid => -softplus(-x),
        UnaryKind::SparsePlus => {
            if x <= -1.0 {
                0.0
            } else if x < 1.0 {
                (x + 1.0) * (x + 1.0) / 4.0
            } else {
                x
            }
        }
        UnaryKind::TanhShrink => x - libm::tanhf(x),
        UnaryKind::Erf => libm::erff(x),
        UnaryKind::Reciprocal => 1.0 / x,
        UnaryKind::Gelu { approximate: false } => {
            0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
        }
        UnaryKind::Gelu { approximate: true } => {
            // sqrt(2 / pi)
            let factor = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
            0.5 * x * (1.0 + (factor * (x + 0.044715 * x * x * x)).tanh())
        }
        UnaryKind::Logistic => 1.0 / (1.0 + (-x).exp()),
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        UnaryKind::Abs => x.abs(),
        UnaryKind::Neg => -x,
        UnaryKind::Exp => x.exp(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Rsqrt => 1.0 / x.sqrt(),
        UnaryKind::Square => x * x,
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Tan => libm::tanf(x),
        UnaryKind::Asin => libm::asinf(x),
        UnaryKind::Acos => libm::acosf(x),
        UnaryKind::Atan => libm::atanf(x),
        UnaryKind::Sinh => libm::sinhf(x),
        UnaryKind::Cosh => libm::coshf(x),
        UnaryKind::Asinh => libm::asinhf(x),
        UnaryKind::Acosh => libm::acoshf(x),
        UnaryKind::Atanh => libm::atanhf(x),
        UnaryKind::RsqrtOrZero if x == 0.0 => 0.0,
        UnaryKind::RsqrtOrZero => 1.0 / x.sqrt(),
        UnaryKind::ReciprocalOrZero if x == 0.0 => 0.0,
        UnaryKind::ReciprocalOrZero => 1.0 / x,
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
    }
}

/// The values of a unary function.
pub fn map(kind: UnaryKind, x: &[f32]) -> Vec<f32> {
    x.iter().map(|&x| unary(kind, x)).collect()
}

/// Applies the fused activation. NaN passes through, so that a later check finds it.
pub fn clamped(mut data: Vec<f32>, activation: Activation) -> Vec<f32> {
    if activation != Activation::None {
        let (low, high) = activation.range();
        for x in &mut data {
            *x = x.clamp(low, high);
        }
    }
    data
}

/// `factor * x + term` of each element.
pub fn scaled(data: &[f32], factor: f64, term: f64) -> Vec<f32> {
    data.iter().map(|&x| (factor * f64::from(x) + term) as f32).collect()
}

/// Looks each element up in a table by the int8 that represents it. The table begins with the entry of -128.
pub fn from_table(data: &[f32], table: &[f32], (scale, zero_point): (f32, i32)) -> Vec<f32> {
    let place = |x: f32| (quant::quantize(x, scale, zero_point, -128, 127) + 128) as usize;
    data.iter().map(|&x| table[place(x)]).collect()
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + libm::log1pf(libm::expf(-x.abs()))
}

/// A binary function with broadcasting. With `integers`, DIV truncates, and what is divided by zero is zero.
pub fn binary(kind: BinaryKind, a: Tensor, b: Tensor, out_shape: &[usize], integers: bool) -> Vec<f32> {
    match kind {
        BinaryKind::Add => zip(a, b, out_shape, |a, b| a + b),
        BinaryKind::Sub => zip(a, b, out_shape, |a, b| a - b),
        BinaryKind::Mul => zip(a, b, out_shape, |a, b| a * b),
        BinaryKind::Div if integers => {
            zip(a, b, out_shape, |a, b| if b == 0.0 { 0.0 } else { (a / b).trunc() })
        }
        BinaryKind::Div => zip(a, b, out_shape, |a, b| a / b),
        BinaryKind::Maximum => zip(a, b, out_shape, |a, b| if a > b { a } else { b }),
        BinaryKind::Minimum => zip(a, b, out_shape, |a, b| if a < b { a } else { b }),
        BinaryKind::SquaredDifference => zip(a, b, out_shape, |a, b| (a - b) * (a - b)),
        BinaryKind::FloorDiv => {
            zip(a, b, out_shape, |a, b| if b == 0.0 && integers { 0.0 } else { (a / b).floor() })
        }
        BinaryKind::FloorMod => {
            zip(a, b, out_shape, |a, b| if b == 0.0 && integers { 0.0 } else { floor_mod(a, b) })
        }
    }
}

/// What is left of a quotient that is rounded down. Of an infinite divisor the quotient is 0, or just below.
fn floor_mod(a: f32, b: f32) -> f32 {
    if !b.is_infinite() || !a.is_finite() {
        return a - b * (a / b).floor();
    }
    if a == 0.0 || (a < 0.0) == (b < 0.0) { a } else { b }
}

/// A number in another type, as a cast in C: real numbers lose what is behind the point, integers their upper bits.
pub fn cast(x: f32, to: DType) -> f32 {
    let whole = x as i64;
    match to {
        DType::Float32 => x,
        DType::Bool => f32::from(u8::from(x != 0.0)),
        DType::Int8 => f32::from(whole as i8),
        DType::UInt8 => f32::from(whole as u8),
        DType::Int16 => f32::from(whole as i16),
        DType::Int32 => whole as i32 as f32,
        DType::Int64 => whole as f32,
    }
}

/// Limits real numbers to the range of a value's integers, for elements that are converted to or from them.
/// Numbers are not rounded. Other values leave the elements unchanged.
pub fn saturated(data: &[f32], value: &Value) -> Vec<f32> {
    let (Some((low, high)), Some(quantization)) = (integers(value.dtype), &value.quantization) else {
        return data.to_vec();
    };
    let inner = match quantization.is_per_tensor() {
        true => data.len().max(1),
        false => value.shape.iter().skip(quantization.axis + 1).product::<usize>().max(1),
    };
    let params: Vec<(f32, i32)> =
        quantization.scale.iter().copied().zip(quantization.zero_point.iter().copied()).collect();
    let mut out = data.to_vec();
    for (block, &(scale, zero_point)) in out.chunks_mut(inner).zip(params.iter().cycle()) {
        let [low, high] = [low, high].map(|end| scale * (end - zero_point as f32));
        block.iter_mut().for_each(|x| *x = x.max(low).min(high));
    }
    out
}

/// The smallest and the largest integer of a type to which layers are quantized; `None` for other types.
pub fn integers(dtype: DType) -> Option<(f32, f32)> {
    match dtype {
        DType::Int8 => Some((-128.0, 127.0)),
        DType::UInt8 => Some((0.0, 255.0)),
        DType::Int16 => Some((-32768.0, 32767.0)),
        _ => None,
    }
}

/// PRELU: negative elements times their slope.
pub fn prelu(x: Tensor, slope: Tensor) -> Vec<f32> {
    zip(x, slope, x.shape, |x, slope| if x < 0.0 { x * slope } else { x })
}

/// Elements of `x` where the condition is not zero, else of `y`, all broadcast to `out_shape`.
pub fn select(condition: Tensor, x: Tensor, y: Tensor, out_shape: &[usize]) -> Vec<f32> {
    let strides = [condition.shape, x.shape, y.shape].map(|shape| broadcast(shape, out_shape));
    let [of_condition, of_x, of_y] = &strides;
    let mut out = Vec::with_capacity(out_shape.iter().product());
    walk(out_shape, [0; 3], [of_condition, of_x, of_y], |[c, i, j]| {
        let holds = condition.data[c as usize] != 0.0;
        out.push(if holds { x.data[i as usize] } else { y.data[j as usize] });
    });
    out
}

/// Applies `f` to the pairs that `a` and `b` form when both are broadcast to `out_shape`.
pub fn zip(a: Tensor, b: Tensor, out_shape: &[usize], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    if a.shape == b.shape {
        return a.data.iter().zip(b.data).map(|(&a, &b)| f(a, b)).collect();
    }
    let (a_strides, b_strides) = (broadcast(a.shape, out_shape), broadcast(b.shape, out_shape));
    // The shapes differ, so the output has at least one dimension.
    let (&count, outer) = out_shape.split_last().unwrap_or((&1, &[]));
    let last = outer.len();
    let (a_step, b_step) = (
        a_strides.get(last).copied().unwrap_or(0) as usize,
        b_strides.get(last).copied().unwrap_or(0) as usize,
    );
    let mut out = Vec::with_capacity(out_shape.iter().product());
    walk(outer, [0, 0], [&a_strides[..last], &b_strides[..last]], |[i, j]| {
        let (i, j) = (i as usize, j as usize);
        match (a_step, b_step) {
            (1, 1) => {
                let pairs = a.data[i..i + count].iter().zip(&b.data[j..j + count]);
                out.extend(pairs.map(|(&a, &b)| f(a, b)));
            }
            (1, 0) => out.extend(a.data[i..i + count].iter().map(|&a| f(a, b.data[j]))),
            (0, 1) => out.extend(b.data[j..j + count].iter().map(|&b| f(a.data[i], b))),
            _ => out.extend(std::iter::repeat_n(f(a.data[i], b.data[j]), count)),
        }
    });
    out
}

/// SOFTMAX over rows of `depth` elements: `exp(beta * (x - max))`, divided by its sum.
pub fn softmax(data: &[f32], depth: usize, beta: f32) -> Vec<f32> {
    let mut out = data.to_vec();
    for row in out.chunks_exact_mut(depth) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for x in row.iter_mut() {
            *x = (beta * (*x - max)).exp();
            sum += *x;
        }
        for x in row {
            *x /= sum;
        }
    }
    out
}

/// LOG_SOFTMAX over rows of `depth` elements.
pub fn log_softmax(data: &[f32], depth: usize) -> Vec<f32> {
    let mut out = data.to_vec();
    for row in out.chunks_exact_mut(depth) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_sum = row.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
        for x in row {
            *x = *x - max - log_sum;
        }
    }
    out
}
