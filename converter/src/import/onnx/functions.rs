//! Functions of one number, Softmax, and casts.

use super::known::Known;
use super::layer::{Layer, Translation, axis, known, one};
use super::net::Slot;
use super::tensors::{dtype, types};
use crate::graph::{BinaryKind, Constant, DType, Op, Softmax, UnaryKind, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// The operators that are a function of one number, possibly with attributes.
pub(super) fn find(op: &str) -> Option<fn(&mut Layer<'_>) -> Translation> {
    const NAMES: &[&str] = &[
        "Relu",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Celu",
        "ThresholdedRelu",
        "Shrink",
        "HardSigmoid",
        "HardSwish",
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Softsign",
        "Mish",
        "Gelu",
        "Swish",
        "Erf",
        "Reciprocal",
        "Abs",
        "Neg",
        "Exp",
        "Log",
        "Sqrt",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Acosh",
        "Atanh",
        "Ceil",
        "Floor",
        "Round",
        "Sign",
    ];
    NAMES.contains(&op).then_some(unary)
}

/// The function of a node, with the defaults of the specification.
pub(super) fn kind(l: &Layer<'_>) -> Result<UnaryKind, Refusal> {
    let alpha = |default: f32| l.float("alpha", default);
    Ok(match l.node.op_type.as_str() {
        "Relu" => UnaryKind::Relu,
        "LeakyRelu" | "QLinearLeakyRelu" => UnaryKind::LeakyRelu { alpha: alpha(0.01) },
        "Elu" => UnaryKind::Elu { alpha: alpha(1.0) },
        "Selu" => UnaryKind::Selu { alpha: alpha(1.673_263_2), gamma: l.float("gamma", 1.050_701) },
        "Celu" => UnaryKind::Celu { alpha: alpha(1.0) },
        "ThresholdedRelu" => UnaryKind::Threshold { threshold: alpha(1.0), value: 0.0 },
        "Shrink" => match (l.float("lambd", 0.5), l.float("bias", 0.0)) {
            (lambda, 0.0) => UnaryKind::HardShrink { lambda },
            (lambda, bias) if lambda == bias => UnaryKind::SoftShrink { lambda },
            (lambda, bias) => return unsupported(format!("lambd {lambda} with bias {bias}")),
        },
        "HardSigmoid" => UnaryKind::HardSigmoid { alpha: alpha(0.2), beta: l.float("beta", 0.5) },
        "HardSwish" => UnaryKind::HardSwish,
        "Sigmoid" | "QLinearSigmoid" => UnaryKind::Logistic,
        "Tanh" => UnaryKind::Tanh,
        "Softplus" => UnaryKind::Softplus,
        "Softsign" => UnaryKind::Softsign,
        "Mish" => UnaryKind::Mish,
        "Gelu" => match l.text("approximate", "none").as_str() {
            "none" => UnaryKind::Gelu { approximate: false },
            "tanh" => UnaryKind::Gelu { approximate: true },
            other => return unsupported(format!("approximate {other}")),
        },
        "Swish" if alpha(1.0) == 1.0 => UnaryKind::Silu,
        "Swish" => return unsupported(format!("alpha {}", alpha(1.0))),
        "Erf" => UnaryKind::Erf,
        "Reciprocal" => UnaryKind::Reciprocal,
        "Abs" => UnaryKind::Abs,
        "Neg" => UnaryKind::Neg,
        "Exp" => UnaryKind::Exp,
        "Log" => UnaryKind::Log,
        "Sqrt" => UnaryKind::Sqrt,
        "Sin" => UnaryKind::Sin,
        "Cos" => UnaryKind::Cos,
        "Tan" => UnaryKind::Tan,
        "Asin" => UnaryKind::Asin,
        "Acos" => UnaryKind::Acos,
        "Atan" => UnaryKind::Atan,
        "Sinh" => UnaryKind::Sinh,
        "Cosh" => UnaryKind::Cosh,
        "Asinh" => UnaryKind::Asinh,
        "Acosh" => UnaryKind::Acosh,
        "Atanh" => UnaryKind::Atanh,
        "Ceil" => UnaryKind::Ceil,
        "Floor" => UnaryKind::Floor,
        "Round" => UnaryKind::Round,
        "Sign" => UnaryKind::Sign,
        other => return unsupported(format!("no function {other}")),
    })
}

/// A function of one number.
pub(super) fn unary(l: &mut Layer<'_>) -> Translation {
    let (slot, kind) = (l.slot(0)?, kind(l)?);
    if let Slot::Known(x) = &slot {
        return known(apply(l, kind, x)?);
    }
    if l.net.is_integer(&slot) {
        return unsupported("it computes with integers that depend on the input");
    }
    let x = l.net.value(&slot)?;
    one(l.net.b.unary(&l.name, kind, x)?)
}

/// Applies the function to known numbers; integers stay integers.
fn apply(l: &Layer<'_>, kind: UnaryKind, x: &Known) -> Result<Known, Refusal> {
    let elements = match x.to_ints() {
        Some(ints) => {
            let all: Option<Vec<i64>> = ints
                .into_iter()
                .map(|x| match kind {
                    UnaryKind::Neg => x.checked_neg(),
                    UnaryKind::Abs => x.checked_abs(),
                    UnaryKind::Sign => Some(x.signum()),
                    UnaryKind::Relu => Some(x.max(0)),
                    _ => None,
                })
                .collect();
            match all {
                Some(all) => Constant::I64(all),
                None => return unsupported("of integers"),
            }
        }
        None => Constant::F32(x.to_floats().into_iter().map(|x| crate::reference::unary(kind, x)).collect()),
    };
    Ok(Known::new(l.name.clone(), x.shape.clone(), elements))
}

/// Clip with bounds as attributes (before operator set 11) or operands.
pub(super) fn clip(l: &mut Layer<'_>) -> Translation {
    let mut bounds = [f32::NEG_INFINITY, f32::INFINITY];
    for (position, name) in ["min", "max"].into_iter().enumerate() {
        if l.has(name) {
            bounds[position] = l.float(name, bounds[position]);
        } else if l.is_given(position + 1) {
            let bound = l.require(position + 1, "bound")?;
            match bound.scalar() {
                Some(x) => bounds[position] = x,
                None => return Err(Refusal::Broken(damaged(format!("its {name} is not a scalar")))),
            }
        }
    }
    // If the bounds cross, the upper one counts.
    bounds[0] = bounds[0].min(bounds[1]);
    // Exporters write this for "none".
    if bounds[0] <= f32::MIN {
        bounds[0] = f32::NEG_INFINITY;
    }
    if bounds[1] >= f32::MAX {
        bounds[1] = f32::INFINITY;
    }
    let slot = l.slot(0)?;
    if let Slot::Known(x) = &slot {
        if let Some(ints) = x.to_ints() {
            let [low, high] = bounds.map(|b| b as i64);
            let elements = ints.into_iter().map(|x| x.max(low).min(high)).collect();
            return known(Known::new(l.name.clone(), x.shape.clone(), Constant::I64(elements)));
        }
        return known(apply(l, UnaryKind::clip(bounds[0], bounds[1]), x)?);
    }
    if l.net.is_integer(&slot) {
        return unsupported("it computes with integers that depend on the input");
    }
    let x = l.net.value(&slot)?;
    if bounds == [f32::NEG_INFINITY, f32::INFINITY] {
        return one(x);
    }
    one(l.net.b.unary(&l.name, UnaryKind::clip(bounds[0], bounds[1]), x)?)
}

/// Softmax. Before operator set 13, all dimensions from `axis` on are merged into one.
pub(super) fn softmax(l: &mut Layer<'_>) -> Translation {
    let x = l.value(0)?;
    one(over_axis(l, x, Op::Softmax(Softmax { beta: 1.0 }))?)
}

/// LogSoftmax, like Softmax.
pub(super) fn log_softmax(l: &mut Layer<'_>) -> Translation {
    let x = l.value(0)?;
    one(over_axis(l, x, Op::LogSoftmax)?)
}

/// An operator over the layer's axis, by the rule of the operator set.
pub(super) fn over_axis(l: &mut Layer<'_>, x: ValueId, op: Op) -> Result<ValueId, Refusal> {
    let shape = l.net.b.shape(x).to_vec();
    let newer = l.opset() >= 13;
    let place = l.int("axis", if newer { -1 } else { 1 });
    // An axis after the last dimension means one element in each row.
    let place = if !newer && place == shape.len() as i64 { shape.len() } else { axis(place, shape.len())? };
    let rest: usize = shape.get(place + 1..).unwrap_or_default().iter().product();
    if newer || rest == 1 && place + 1 == shape.len() {
        return Ok(l.net.b.over_last(&l.name, op, x, place)?);
    }
    let (before, after) = shape.split_at(place);
    let flat = [before.iter().product(), after.iter().product()];
    let name = l.part("flat");
    let rows = l.net.b.reshape(&name, x, &flat)?;
    let name = l.part("rows");
    let y = l.net.b.op(&name, op, &[rows])?;
    Ok(l.net.b.reshape(&l.name, y, &shape)?)
}

/// Gelu and BiasGelu, by the error function, and FastGelu, by the tanh form. The last two have a bias.
pub(super) fn gelu_of_microsoft(l: &mut Layer<'_>) -> Translation {
    let mut x = l.value(0)?;
    if l.is_given(1) {
        let bias = l.value(1)?;
        let name = l.part("bias");
        x = l.net.b.binary(&name, BinaryKind::Add, x, bias)?;
    }
    let approximate = l.node.op_type == "FastGelu";
    one(l.net.b.unary(&l.name, UnaryKind::Gelu { approximate }, x)?)
}

/// QuickGelu: `x * sigmoid(alpha * x)`.
pub(super) fn quick_gelu(l: &mut Layer<'_>) -> Translation {
    let (x, alpha) = (l.value(0)?, l.float("alpha", 1.702));
    let [scale, gate] = ["scale", "gate"].map(|word| l.part(word));
    let scaled = l.net.b.binary_scalar(&scale, BinaryKind::Mul, x, alpha)?;
    let gated = l.net.b.unary(&gate, UnaryKind::Logistic, scaled)?;
    one(l.net.b.binary(&l.name, BinaryKind::Mul, x, gated)?)
}

/// Cast. Known elements change their type; for computed ones, only casts without effect are removed.
pub(super) fn cast(l: &mut Layer<'_>) -> Translation {
    let slot = l.slot(0)?;
    let to = match l.node.op_type.as_str() {
        // Before operator set 6, the type is a string.
        "Cast" if l.opset() < 6 => types::number(&l.text("to", "")).unwrap_or(0),
        "Cast" => l.int("to", 0),
        _ => match l.slot(1)? {
            Slot::Known(known) if known.stored.is_some_and(is_narrow) => types::INT4,
            Slot::Computed(id) if l.net.kinds.get(&id).copied().is_some_and(is_narrow) => types::INT4,
            Slot::Known(known) if known.to_ints().is_none() => types::FLOAT,
            Slot::Computed(id) if l.net.b.graph().value(id).dtype == DType::Float32 => types::FLOAT,
            _ => types::INT64,
        },
    };
    if to == types::STRING {
        return Ok(vec![Slot::Cut]);
    }
    if is_narrow(to) {
        return unsupported(format!("to {}: what is beyond its range has no agreed value", types::name(to)));
    }
    let Some(target) = dtype(to) else { return unsupported(format!("to {}", types::name(to))) };
    match &slot {
        Slot::Known(x) => known(convert(x, target)),
        Slot::Computed(id) => {
            let value = l.net.b.graph().value(*id);
            let floats = [value.dtype, target].map(|t| t == DType::Float32);
            let number = |t: DType| t != DType::Float32 && t != DType::Bool;
            if floats == [true, true] || number(value.dtype) && number(target) && value.quantization.is_none()
            {
                return Ok(vec![slot]);
            }
            // An integer input that is cast to reals at once becomes an input of reals.
            let graph = l.net.b.graph();
            let fresh = graph.inputs.contains(id)
                && !graph.nodes.iter().any(|n| n.inputs.contains(&Some(*id)))
                && number(value.dtype);
            if fresh && floats[1] {
                let kind = format!("{:?}", value.dtype).to_lowercase();
                let text = format!("input `{}` of {kind} is read as real numbers", value.name);
                l.net.b.graph_mut().value_mut(*id).dtype = DType::Float32;
                l.net.note(text);
                return Ok(vec![slot]);
            }
            // Integers of 64 bits are those of 32 on a device.
            let target = if target == DType::Int64 { DType::Int32 } else { target };
            one(l.net.b.cast(&l.name, *id, target)?)
        }
        Slot::Unknown | Slot::Cut => Ok(vec![slot]),
    }
}

/// Integers of less than a byte.
fn is_narrow(number: i64) -> bool {
    [types::INT4, types::UINT4].contains(&number)
}

/// Known elements in another type, as a cast in C does.
fn convert(x: &Known, target: DType) -> Known {
    let ints = || x.to_ints().unwrap_or_else(|| x.to_floats().into_iter().map(|x| x as i64).collect());
    let elements = match target {
        DType::Float32 => Constant::F32(x.to_floats()),
        DType::Bool => Constant::Bool(x.to_floats().into_iter().map(|x| x != 0.0).collect()),
        DType::Int8 => Constant::I8(ints().into_iter().map(|x| x as i8).collect()),
        DType::UInt8 => Constant::U8(ints().into_iter().map(|x| x as u8).collect()),
        DType::Int16 => Constant::I16(ints().into_iter().map(|x| x as i16).collect()),
        DType::Int32 => Constant::I32(ints().into_iter().map(|x| x as i32).collect()),
        DType::Int64 => Constant::I64(ints()),
    };
    Known::new(x.name.clone(), x.shape.clone(), elements)
}
