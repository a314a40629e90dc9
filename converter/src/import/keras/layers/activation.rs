//! Activation functions, by name in other layers, and as layers of their own.
//!
//! Keras 2 and Keras 3 differ in `hard_sigmoid`: Keras 2 has `0.2 x + 0.5`, Keras 3 `x / 6 + 0.5`.

use serde_json::Value as Json;

use super::context::{Context, one};
use super::masks;
use crate::error::Result;
use crate::graph::{BinaryKind, Op, Split, UnaryKind, ValueId};
use crate::import::keras::config::Config;
use crate::import::keras::run::Translation;
use crate::import::refusal::{Refusal, unsupported};

/// An activation.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// No activation.
    Linear,
    /// A function of one number.
    Unary(UnaryKind),
    /// Several functions of one number, applied in turn.
    Steps(&'static [Step]),
    /// Keras's relu with a threshold, and a slope below it.
    Relu { max: f32, slope: f32, threshold: f32 },
    /// Softmax over an axis.
    Softmax(i64),
    /// The logarithm of softmax.
    LogSoftmax(i64),
    /// GLU: the first half of an axis times the sigmoid of the second.
    Glu(i64),
}

/// One step of a function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Applies a function.
    Unary(UnaryKind),
    /// Adds a number.
    Add(f32),
    /// Multiplies by a number.
    Mul(f32),
}

/// The function that a value of a configuration names: by a string, as a function, or as a layer.
pub fn parse(value: Option<&Json>, keras: u32) -> Result<Function, Refusal> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Function::Linear) };
    if let Some(name) = value.as_str() {
        return by_name(name, keras);
    }
    let class = value.get("class_name").and_then(Json::as_str).unwrap_or_default();
    let config = value.get("config");
    if let Some(name) = config.and_then(Json::as_str) {
        return by_name(name, keras);
    }
    let config = Config::new(class, config);
    match layer_function(class, &config, keras)? {
        Some(function) => Ok(function),
        None => by_name(class, keras),
    }
}

fn by_name(name: &str, keras: u32) -> Result<Function, Refusal> {
    use UnaryKind as U;
    let name = name.rsplit('>').next().unwrap_or(name);
    // Functions of TensorFlow are stored under their names in TensorFlow's code.
    let unary = match name {
        "linear" | "identity" | "stop_gradient" | "guarantee_const" | "real" | "conj" => {
            return Ok(Function::Linear);
        }
        "softmax" | "softmax_v2" => return Ok(Function::Softmax(-1)),
        "log_softmax" | "log_softmax_v2" => return Ok(Function::LogSoftmax(-1)),
        "log1p" => return Ok(Function::Steps(&[Step::Add(1.0), Step::Unary(U::Log)])),
        "expm1" => return Ok(Function::Steps(&[Step::Unary(U::Exp), Step::Add(-1.0)])),
        "erfc" => return Ok(Function::Steps(&[Step::Unary(U::Erf), Step::Mul(-1.0), Step::Add(1.0)])),
        "abs" => U::Abs,
        "neg" | "negative" => U::Neg,
        "square" => U::Square,
        "sqrt" => U::Sqrt,
        "rsqrt" => U::Rsqrt,
        "reciprocal" => U::Reciprocal,
        "log" => U::Log,
        "sin" => U::Sin,
        "cos" => U::Cos,
        "erf" => U::Erf,
        "sign" => U::Sign,
        "floor" => U::Floor,
        "ceil" => U::Ceil,
        "round" | "rint" => U::Round,
        "glu" => return Ok(Function::Glu(-1)),
        "relu" => U::Relu,
        "relu6" => U::Relu6,
        "leaky_relu" => U::LeakyRelu { alpha: 0.2 },
        "elu" => U::Elu { alpha: 1.0 },
        "selu" => selu(),
        "celu" => U::Celu { alpha: 1.0 },
        "softplus" => U::Softplus,
        "softsign" => U::Softsign,
        "squareplus" => U::Squareplus { b: 4.0 },
        "soft_shrink" => U::SoftShrink { lambda: 0.5 },
        "hard_shrink" => U::HardShrink { lambda: 0.5 },
        "tanh_shrink" => U::TanhShrink,
        "sparse_plus" => U::SparsePlus,
        "sparse_sigmoid" => U::HardSigmoid { alpha: 0.5, beta: 0.5 },
        "silu" | "swish" => U::Silu,
        "gelu" => U::Gelu { approximate: false },
        "tanh" => U::Tanh,
        "sigmoid" => U::Logistic,
        "exponential" | "exp" => U::Exp,
        "hard_sigmoid" if keras < 3 => U::HardSigmoid { alpha: 0.2, beta: 0.5 },
        "hard_sigmoid" => U::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        "hard_silu" | "hard_swish" => U::HardSwish,
        "hard_tanh" => U::ReluN1To1,
        "mish" => U::Mish,
        "log_sigmoid" => U::LogSigmoid,
        _ => return unsupported(format!("the activation `{name}` is not known: {}", super::context::ROAD)),
    };
    Ok(Function::Unary(unary))
}

fn selu() -> UnaryKind {
    UnaryKind::Selu { alpha: 1.673_263_2, gamma: 1.050_701 }
}

/// The function of an activation layer; `None` for other layers.
fn layer_function(class: &str, config: &Config, keras: u32) -> Result<Option<Function>, Refusal> {
    Ok(Some(match class {
        "Activation" => return parse(config.get("activation"), keras).map(Some),
        "ReLU" => Function::Relu {
            max: config.f32_or("max_value", f32::INFINITY)?,
            slope: config.f32_or("negative_slope", 0.0)?,
            threshold: config.f32_or("threshold", 0.0)?,
        },
        "LeakyReLU" => {
            let alpha = config.f32_or("alpha", 0.3)?;
            Function::Unary(UnaryKind::LeakyRelu { alpha: config.f32_or("negative_slope", alpha)? })
        }
        "ELU" => Function::Unary(UnaryKind::Elu { alpha: config.f32_or("alpha", 1.0)? }),
        "ThresholdedReLU" => {
            Function::Unary(UnaryKind::Threshold { threshold: config.f32_or("theta", 1.0)?, value: 0.0 })
        }
        "Softmax" => match config.integers("axis")?.as_deref() {
            None => Function::Softmax(-1),
            Some(&[axis]) => Function::Softmax(axis),
            Some(_) => return unsupported("softmax over several axes"),
        },
        _ => return Ok(None),
    }))
}

/// A function of one number, for the cells of recurrent layers.
pub fn unary(value: Option<&Json>, keras: u32) -> Result<UnaryKind, Refusal> {
    match parse(value, keras)? {
        Function::Linear => Ok(UnaryKind::Clip { min: f32::NEG_INFINITY, max: f32::INFINITY }),
        Function::Unary(kind) => Ok(kind),
        Function::Relu { max, slope, threshold } => match relu(max, slope, threshold).as_deref() {
            Some(&[one]) => Ok(one),
            _ => unsupported("an activation of several parts in a recurrent layer"),
        },
        _ => unsupported("an activation over several elements in a recurrent layer"),
    }
}

/// Keras's relu as functions of one number, if that is possible.
fn relu(max: f32, slope: f32, threshold: f32) -> Option<Vec<UnaryKind>> {
    let below = UnaryKind::clip(f32::NEG_INFINITY, max);
    let first = match (slope == 0.0, threshold == 0.0) {
        (true, true) => return Some(vec![UnaryKind::clip(0.0, max)]),
        (false, true) => UnaryKind::LeakyRelu { alpha: slope },
        (true, false) => UnaryKind::Threshold { threshold, value: 0.0 },
        (false, false) => return None,
    };
    Some(if max == f32::INFINITY { vec![first] } else { vec![first, below] })
}

impl Context<'_, '_> {
    /// Name of the node before the activation that the configuration names; the layer's own name if there is
    /// no activation.
    pub(super) fn before_activation(&self, word: &str) -> String {
        match self.config().get("activation").filter(|value| value.as_str() != Some("linear")) {
            None => self.name.into(),
            Some(_) => self.part(word),
        }
    }

    /// Applies the activation that the configuration names.
    pub(super) fn activate(&mut self, x: ValueId) -> Result<ValueId, Refusal> {
        let function = parse(self.config().get("activation"), self.run.keras)?;
        self.apply(x, &function)
    }

    /// Applies a function.
    pub(super) fn apply(&mut self, x: ValueId, function: &Function) -> Result<ValueId, Refusal> {
        let name = self.name;
        match *function {
            Function::Linear => Ok(x),
            Function::Unary(kind) => self.chain(x, &[kind]),
            Function::Steps(steps) => {
                let mut y = x;
                for (place, step) in steps.iter().enumerate() {
                    let part = if place + 1 == steps.len() {
                        name.into()
                    } else {
                        self.part(&format!("step_{place}"))
                    };
                    let builder = &mut self.run.builder;
                    y = match *step {
                        Step::Unary(kind) => builder.unary(&part, kind, y)?,
                        Step::Add(number) => builder.binary_scalar(&part, BinaryKind::Add, y, number)?,
                        Step::Mul(number) => builder.binary_scalar(&part, BinaryKind::Mul, y, number)?,
                    };
                }
                Ok(y)
            }
            Function::Relu { max, slope, threshold } => match relu(max, slope, threshold) {
                Some(kinds) => self.chain(x, &kinds),
                None => self.relu(x, max, slope, threshold),
            },
            Function::Softmax(axis) => {
                let axis = self.axis(axis, self.shape(x).len())?;
                Ok(self.run.builder.softmax(name, x, axis)?)
            }
            Function::LogSoftmax(axis) => {
                let axis = self.axis(axis, self.shape(x).len())?;
                Ok(self.run.builder.over_last(name, Op::LogSoftmax, x, axis)?)
            }
            Function::Glu(axis) => {
                let mut half = self.shape(x);
                let axis = self.axis(axis, half.len())?;
                if !half[axis].is_multiple_of(2) {
                    return Err(self.broken(format!("glu of {} channels", half[axis])).into());
                }
                half[axis] /= 2;
                let split = Op::Split(Split { axis });
                let parts = vec![half.clone(), half];
                let parts = self.run.builder.op_many(&self.part("split"), split, vec![Some(x)], parts)?;
                let gate = self.run.builder.unary(&self.part("sigmoid"), UnaryKind::Logistic, parts[1])?;
                Ok(self.run.builder.binary(name, BinaryKind::Mul, parts[0], gate)?)
            }
        }
    }

    fn chain(&mut self, x: ValueId, kinds: &[UnaryKind]) -> Result<ValueId, Refusal> {
        let (name, first) = (self.name, self.part("activation"));
        let y = self.run.as_it_lies(name, &[x], &mut |run, operands| {
            let mut y = operands[0];
            for (place, &kind) in kinds.iter().enumerate() {
                let last = place + 1 == kinds.len();
                y = run.builder.unary(if last { name } else { &first }, kind, y)?;
            }
            Ok(y)
        })?;
        Ok(y)
    }

    /// `x` above the threshold, up to `max`; below it `slope * (x - threshold)`.
    fn relu(&mut self, x: ValueId, max: f32, slope: f32, threshold: f32) -> Result<ValueId, Refusal> {
        let name = self.name;
        let above = UnaryKind::Threshold { threshold, value: 0.0 };
        let above = self.run.builder.unary(&self.part("above"), above, x)?;
        let above = match max {
            f32::INFINITY => above,
            _ => {
                let clip = UnaryKind::clip(f32::NEG_INFINITY, max);
                self.run.builder.unary(&self.part("max"), clip, above)?
            }
        };
        let builder = &mut self.run.builder;
        let below = builder.binary_scalar(&format!("{name}/shift"), BinaryKind::Sub, x, threshold)?;
        let clip = UnaryKind::clip(f32::NEG_INFINITY, 0.0);
        let below = builder.unary(&format!("{name}/below"), clip, below)?;
        let below = builder.binary_scalar(&format!("{name}/slope"), BinaryKind::Mul, below, slope)?;
        Ok(builder.binary(name, BinaryKind::Add, above, below)?)
    }
}

/// A layer that is an activation.
pub fn layer(context: &mut Context) -> Translation {
    let x = context.input()?;
    if context.layer.class == "PReLU" {
        return prelu(context, x);
    }
    let function = layer_function(&context.layer.class, context.config(), context.run.keras)?;
    if let (Some(mask), Some(Function::Softmax(axis))) = (context.mask, &function) {
        let axis = context.axis(*axis, context.shape(x).len())?;
        return masks::softmax(context, x, mask, axis);
    }
    Ok(vec![context.apply(x, &function.unwrap_or(Function::Linear))?])
}

fn prelu(context: &mut Context, x: ValueId) -> Translation {
    let input = context.shape(x);
    let mut shape = input.get(1..).unwrap_or_default().to_vec();
    for axis in context.config().integers("shared_axes")?.unwrap_or_default() {
        let place = context.axis(axis, input.len())?;
        if let Some(size) = place.checked_sub(1).and_then(|place| shape.get_mut(place)) {
            *size = 1;
        }
    }
    let slope = context.variable("alpha", &shape)?;
    one(context.run.builder.op(context.name, Op::Prelu, &[x, slope]))
}
