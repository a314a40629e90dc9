//! Single operators on real numbers.

use std::collections::HashMap;

use ferrolite::eager::{Tensor, run_real};
use ferrolite::error::{Error, Result};
use ferrolite::graph::{
    Activation, BatchMatMul, Binary, BinaryKind, Conv2d, DepthwiseConv2d, FullyConnected, Op, Padding,
    Pool2d, PoolKind, Reduce, ReduceKind, Softmax, TransposeConv, UnaryKind, Window,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::raise;

/// An operand: name, shape, float32 elements, and whether it is known before the operator runs.
type Operand = (String, Vec<usize>, Vec<u8>, bool);

/// A shape, float32 elements, and the scale and zero point that they have.
type Answer<'py> = (Vec<usize>, Bound<'py, PyBytes>, Option<(f32, i32)>);

/// Computes an operator, by its name in lower case, on real numbers. `numbers` and `words` are its attributes; `given`
/// are scale and zero point of each operand and of the result, None where they follow from the numbers.
#[pyfunction]
pub fn op<'py>(
    py: Python<'py>,
    name: &str,
    operands: Vec<Operand>,
    given: Vec<Option<(f32, i32)>>,
    numbers: HashMap<String, Vec<f64>>,
    words: HashMap<String, String>,
) -> PyResult<Answer<'py>> {
    let compute = || {
        let attributes = Attributes { numbers: &numbers, words: &words };
        let op = operator(name, &operands, &attributes)?;
        let tensor = |(name, shape, bytes, constant): &Operand| {
            let real: Vec<f32> = bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            let tensor = Tensor::float(name, shape, &real);
            if *constant { tensor.constant() } else { tensor }
        };
        let tensors: Vec<Tensor> = operands.iter().map(tensor).collect();
        run_real(&op, &tensors.iter().collect::<Vec<_>>(), &given)
    };
    let answer = py.detach(compute).map_err(|error| raise(py, &error))?;
    let bytes: Vec<u8> = answer.real().iter().flat_map(|real| real.to_le_bytes()).collect();
    let quantization = answer.quantization.as_ref().and_then(|quantization| quantization.tensor());
    Ok((answer.shape, PyBytes::new(py, &bytes), quantization))
}

/// An operator's attributes, as Python gives them.
struct Attributes<'a> {
    numbers: &'a HashMap<String, Vec<f64>>,
    words: &'a HashMap<String, String>,
}

impl Attributes<'_> {
    fn number(&self, key: &str, default: f64) -> f64 {
        self.numbers.get(key).and_then(|list| list.first()).copied().unwrap_or(default)
    }

    fn flag(&self, key: &str) -> bool {
        self.number(key, 0.0) != 0.0
    }

    fn sizes(&self, key: &str) -> Vec<usize> {
        self.numbers.get(key).map_or(Vec::new(), |list| list.iter().map(|&n| n as usize).collect())
    }

    fn pair(&self, key: &str) -> [usize; 2] {
        match self.sizes(key)[..] {
            [both] => [both, both],
            [height, width] => [height, width],
            _ => [1, 1],
        }
    }

    fn activation(&self) -> Result<Activation> {
        Ok(match self.words.get("activation").map_or("none", String::as_str) {
            "none" => Activation::None,
            "relu" => Activation::Relu,
            "relu6" => Activation::Relu6,
            other => {
                return Err(Error::usage(format!("activation `{other}` is no clamp"))
                    .help("give `relu` or `relu6`; other functions are operators of their own"));
            }
        })
    }

    /// A window of `[kernel]` over an image of `[height, width]`.
    fn window(&self, image: [usize; 2], kernel: [usize; 2]) -> Result<Window> {
        let padding = match self.words.get("padding").map(String::as_str) {
            Some("valid") => [Padding::Valid; 2],
            Some("same") => [Padding::Same; 2],
            Some(other) => {
                return Err(Error::usage(format!("padding `{other}` is unknown"))
                    .help("give `valid`, `same`, or numbers: ((top, bottom), (left, right))"));
            }
            None => match self.sizes("padding")[..] {
                [top, bottom, left, right] => {
                    [Padding::Explicit(top, bottom), Padding::Explicit(left, right)]
                }
                _ => [Padding::Valid; 2],
            },
        };
        let (stride, dilation) = (self.pair("stride"), self.pair("dilation"));
        if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
            return Err(Error::usage("a stride, a dilation and a kernel's size are at least 1"));
        }
        Ok(Window::over(image, kernel, stride, dilation, padding))
    }
}

fn operator(name: &str, operands: &[Operand], attributes: &Attributes<'_>) -> Result<Op> {
    let shape = |index: usize| operands.get(index).map_or(&[][..], |(_, shape, _, _)| &shape[..]);
    // Height and width of an image, or of a kernel `[outputs, height, width, inputs]`.
    let sides = |index: usize| match shape(index)[..] {
        [_, height, width, _] => Ok([height, width]),
        _ => Err(Error::input(format!(
            "{name}: an operand has the shape {:?}, four dimensions are needed; the first has {:?}",
            shape(index),
            shape(0)
        ))),
    };
    let binary = |kind| Ok(Op::Binary(Binary { kind, activation: attributes.activation()? }));
    let pool = |kind| {
        let window = attributes.window(sides(0)?, attributes.pair("size"))?;
        Ok(Op::Pool2d(Pool2d { kind, window, activation: attributes.activation()? }))
    };
    let reduce = |kind| {
        let axes = attributes.sizes("axes");
        Ok(Op::Reduce(Reduce { kind, axes, keep_dims: attributes.flag("keep_dims") }))
    };
    match name {
        "conv_2d" => {
            let window = attributes.window(sides(0)?, sides(1)?)?;
            Ok(Op::Conv2d(Conv2d { window, activation: attributes.activation()? }))
        }
        "depthwise_conv_2d" => {
            let window = attributes.window(sides(0)?, sides(1)?)?;
            let multiplier = attributes.number("multiplier", 1.0) as usize;
            Ok(Op::DepthwiseConv2d(DepthwiseConv2d {
                window,
                multiplier,
                activation: attributes.activation()?,
            }))
        }
        "transpose_conv" => {
            let window = attributes.window(attributes.pair("result"), sides(1)?)?;
            Ok(Op::TransposeConv(TransposeConv { window, activation: attributes.activation()? }))
        }
        "fully_connected" => Ok(Op::FullyConnected(FullyConnected { activation: attributes.activation()? })),
        "batch_matmul" => Ok(Op::BatchMatMul(BatchMatMul {
            transpose_a: attributes.flag("transpose_a"),
            transpose_b: attributes.flag("transpose_b"),
        })),
        "add" => binary(BinaryKind::Add),
        "sub" => binary(BinaryKind::Sub),
        "mul" => binary(BinaryKind::Mul),
        "div" => binary(BinaryKind::Div),
        "maximum" => binary(BinaryKind::Maximum),
        "minimum" => binary(BinaryKind::Minimum),
        "squared_difference" => binary(BinaryKind::SquaredDifference),
        "average_pool_2d" => pool(PoolKind::Average),
        "max_pool_2d" => pool(PoolKind::Max),
        "mean" => reduce(ReduceKind::Mean),
        "sum" => reduce(ReduceKind::Sum),
        "reduce_max" => reduce(ReduceKind::Max),
        "reduce_min" => reduce(ReduceKind::Min),
        "softmax" => Ok(Op::Softmax(Softmax { beta: attributes.number("beta", 1.0) as f32 })),
        "log_softmax" => Ok(Op::LogSoftmax),
        "l2_normalization" => Ok(Op::L2Normalization),
        "prelu" => Ok(Op::Prelu),
        _ => unary(name, attributes).map(Op::Unary),
    }
}

/// The function of one number with this name.
fn unary(name: &str, attributes: &Attributes<'_>) -> Result<UnaryKind> {
    let alpha = |default| attributes.number("alpha", default) as f32;
    Ok(match name {
        "relu" => UnaryKind::Relu,
        "relu6" => UnaryKind::Relu6,
        "leaky_relu" => UnaryKind::LeakyRelu { alpha: alpha(0.2) },
        "elu" => UnaryKind::Elu { alpha: alpha(1.0) },
        "gelu" => UnaryKind::Gelu { approximate: attributes.flag("approximate") },
        "silu" => UnaryKind::Silu,
        "softplus" => UnaryKind::Softplus,
        "mish" => UnaryKind::Mish,
        "logistic" => UnaryKind::Logistic,
        "tanh" => UnaryKind::Tanh,
        "hard_swish" => UnaryKind::HardSwish,
        "abs" => UnaryKind::Abs,
        "neg" => UnaryKind::Neg,
        "exp" => UnaryKind::Exp,
        "log" => UnaryKind::Log,
        "sqrt" => UnaryKind::Sqrt,
        "rsqrt" => UnaryKind::Rsqrt,
        "square" => UnaryKind::Square,
        "sin" => UnaryKind::Sin,
        "cos" => UnaryKind::Cos,
        "ceil" => UnaryKind::Ceil,
        "floor" => UnaryKind::Floor,
        "round" => UnaryKind::Round,
        "sign" => UnaryKind::Sign,
        _ => return Err(Error::internal(format!("operator `{name}` is unknown"))),
    })
}
