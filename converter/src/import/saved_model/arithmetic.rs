//! Operators that compute element by element, over axes, or on rows.

use super::evaluate::Evaluator;
use super::known::Known;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::{ArgMinMax, BinaryKind, Cumsum, DType, Op, ReduceKind, Softmax, UnaryKind, ValueId};
use crate::import::choices;
use crate::import::refusal::Refusal;
use crate::reference::broadcast_shape;

pub(super) fn unary(e: &mut Evaluator<'_>, layer: &Layer<'_>, kind: UnaryKind) -> Translation {
    let x = e.value(layer.input(0)?)?;
    Ok(vec![Tensor::Value(e.builder.unary(&layer.name, kind, x)?)])
}

pub(super) fn binary(e: &mut Evaluator<'_>, layer: &Layer<'_>, kind: BinaryKind) -> Translation {
    let (a, b) = (e.value(layer.input(0)?)?, e.value(layer.input(1)?)?);
    // The result has the type of the first operand. A constant operand has the same type.
    Ok(vec![Tensor::Value(e.builder.binary(&layer.name, kind, a, b)?)])
}

/// Whether the channels are the second dimension instead of the last one.
pub(super) fn channels_first(layer: &Layer<'_>) -> bool {
    layer.node.text("data_format").is_some_and(|format| format.starts_with("NC"))
}

/// BiasAdd: adds the bias along the channels.
pub(super) fn bias_add(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let rank = e.builder.shape(x).len();
    let bias = match layer.input(1)? {
        Tensor::Known(bias) if channels_first(layer) && rank > 2 => {
            let mut shape = vec![1; rank - 1];
            shape[0] = bias.data.len();
            e.constant(bias, "bias of channels first", |bias| bias.reshaped(shape))?
        }
        other => e.value(other)?,
    };
    Ok(vec![Tensor::Value(e.builder.binary(&layer.name, BinaryKind::Add, x, bias)?)])
}

/// Pow with a constant exponent.
pub(super) fn power(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let exponent = layer.known(1, "exponent")?;
    let exponents = exponent.data.to_real(None, &exponent.shape);
    let &[exponent] = exponents.as_slice() else { return Err("an exponent for each element".into()) };
    let kind = match exponent {
        1.0 => return Ok(vec![Tensor::Value(x)]),
        2.0 => UnaryKind::Square,
        0.5 => UnaryKind::Sqrt,
        -0.5 => UnaryKind::Rsqrt,
        -1.0 => UnaryKind::Reciprocal,
        exponent => UnaryKind::Pow { exponent },
    };
    Ok(vec![Tensor::Value(e.builder.unary(&layer.name, kind, x)?)])
}

/// ClipByValue: x, lower bound, upper bound.
pub(super) fn clip(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let bound = |position| -> Result<f32, Refusal> {
        let known = layer.known(position, "bound")?;
        match known.data.to_real(None, &known.shape).as_slice() {
            &[one] => Ok(one),
            _ => Err("a bound for each element".into()),
        }
    };
    let kind = UnaryKind::clip(bound(1)?, bound(2)?);
    Ok(vec![Tensor::Value(e.builder.unary(&layer.name, kind, x)?)])
}

/// Erfc, as `1 - erf(x)`.
pub(super) fn erfc(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let erf = e.builder.unary(&format!("{}/erf", layer.name), UnaryKind::Erf, x)?;
    let one = e.builder.float(&format!("{}/one", layer.name), &[1], vec![1.0])?;
    Ok(vec![Tensor::Value(e.builder.binary(&layer.name, BinaryKind::Sub, one, erf)?)])
}

/// `exp(x) - 1`.
pub(super) fn expm1(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let exp = e.builder.unary(&format!("{}/exp", layer.name), UnaryKind::Exp, x)?;
    Ok(vec![Tensor::Value(e.builder.binary_scalar(&layer.name, BinaryKind::Sub, exp, 1.0)?)])
}

/// `log(1 + x)`.
pub(super) fn log1p(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let sum = e.builder.binary_scalar(&format!("{}/add", layer.name), BinaryKind::Add, x, 1.0)?;
    Ok(vec![Tensor::Value(e.builder.unary(&layer.name, UnaryKind::Log, sum)?)])
}

/// A comparison. For integers, only Less with zero is supported, which Keras computes before a look-up.
pub(super) fn compare(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (a, b) = (layer.input(0)?, layer.input(1)?);
    if let (Tensor::Value(x), Tensor::Known(zero), "Less") = (a, b, layer.node.op.as_str())
        && is_index(e.builder.graph().value(*x).dtype)
        && zero.data.to_i64().as_deref() == Some(&[0])
    {
        return Ok(vec![Tensor::Negative(*x)]);
    }
    let real = |tensor: &Tensor| match tensor {
        Tensor::Value(id) => e.builder.graph().value(*id).dtype == DType::Float32,
        Tensor::Known(known) => known.dtype() == DType::Float32,
        _ => false,
    };
    if !real(a) || !real(b) || !is_computed(&[a, b]) {
        return Err(choices::COMPARED.into());
    }
    let operands = [e.value(a)?, e.value(b)?];
    Ok(vec![Tensor::Truth(part_of_choice(e, layer, choices::COMPARED, &operands, DType::Bool)?)])
}

/// LogicalAnd, LogicalOr, LogicalNot of comparisons.
pub(super) fn logical(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    if !layer.inputs.iter().any(|tensor| matches!(tensor, Tensor::Truth(_))) {
        return Err(choices::COMPARED.into());
    }
    let operands: Vec<_> = layer.inputs.iter().map(|tensor| truth(e, tensor)).collect::<Result<_, _>>()?;
    Ok(vec![Tensor::Truth(part_of_choice(e, layer, choices::COMPARED, &operands, DType::Bool)?)])
}

/// SelectV2, with a comparison or a known condition. If it makes negative indices count from the end, indices
/// are assumed not to be negative.
pub(super) fn select(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (condition, a, b) = (layer.input(0)?, layer.input(1)?, layer.input(2)?);
    if let (Tensor::Negative(x), Tensor::Value(y)) = (condition, b)
        && x == y
    {
        let name = e.builder.graph().value(*x).name.clone();
        e.notes.push(format!("`{name}`: indices count from zero; negative ones are not looked up"));
        return Ok(vec![Tensor::Value(*x)]);
    }
    if !matches!(condition, Tensor::Truth(_) | Tensor::Known(_)) || !is_computed(&[condition, a, b]) {
        return Err(choices::CHOSEN.into());
    }
    let operands = [truth(e, condition)?, e.value(a)?, e.value(b)?];
    let graph = e.builder.graph();
    if operands[1..].iter().any(|id| graph.value(*id).dtype != DType::Float32) {
        return Err(choices::CHOSEN.into());
    }
    Ok(vec![Tensor::Value(part_of_choice(e, layer, choices::CHOSEN, &operands, DType::Float32)?)])
}

/// Whether an operand depends on the model's inputs.
fn is_computed(operands: &[&Tensor]) -> bool {
    operands.iter().any(|tensor| matches!(tensor, Tensor::Value(_) | Tensor::Truth(_)))
}

/// Truth values as a value of the graph.
fn truth(e: &mut Evaluator<'_>, tensor: &Tensor) -> Result<ValueId, Refusal> {
    match tensor {
        Tensor::Truth(id) => Ok(*id),
        Tensor::Known(_) => e.value(tensor),
        _ => Err(choices::COMPARED.into()),
    }
}

/// Adds a layer that stays in the graph until `choices` recognises the function that it is a part of.
fn part_of_choice(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    reason: &str,
    operands: &[ValueId],
    dtype: DType,
) -> Result<ValueId, Refusal> {
    let mut shape = Vec::new();
    for &id in operands {
        shape = broadcast_shape(&shape, e.builder.shape(id)).ok_or("operands that do not broadcast")?;
    }
    let made = e.builder.unsupported(&layer.name, &layer.node.op, reason, operands, vec![shape]);
    let &[id] = made.as_slice() else { return Err(reason.into()) };
    e.builder.graph_mut().value_mut(id).dtype = dtype;
    Ok(id)
}

pub(super) fn softmax(e: &mut Evaluator<'_>, layer: &Layer<'_>, log: bool) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let op = if log { Op::LogSoftmax } else { Op::Softmax(Softmax { beta: 1.0 }) };
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[x])?)])
}

pub(super) fn reduce(e: &mut Evaluator<'_>, layer: &Layer<'_>, kind: ReduceKind) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let rank = e.builder.shape(x).len();
    let axes = layer.integers(1, "axes")?;
    let axes: Vec<usize> = axes.into_iter().map(|a| axis(a, rank)).collect::<Result<_, _>>()?;
    if axes.is_empty() {
        return Ok(vec![Tensor::Value(x)]);
    }
    let keep = layer.node.flag("keep_dims", false);
    Ok(vec![Tensor::Value(e.builder.reduce(&layer.name, kind, x, &axes, keep)?)])
}

pub(super) fn arg(e: &mut Evaluator<'_>, layer: &Layer<'_>, largest: bool) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let axis = axis(layer.integer(1, "axis")?, e.builder.shape(x).len())?;
    let op = Op::ArgMinMax(ArgMinMax { axis, largest });
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[x])?)])
}

pub(super) fn cumsum(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let axis = axis(layer.integer(1, "axis")?, e.builder.shape(x).len())?;
    let (exclusive, reverse) = (layer.node.flag("exclusive", false), layer.node.flag("reverse", false));
    let op = Op::Cumsum(Cumsum { axis, exclusive, reverse, start: 0 });
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[x])?)])
}

/// Cast of a tensor that is not known at import.
pub(super) fn cast(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    if let Tensor::Truth(id) = layer.input(0)? {
        let to = layer.dtype("DstT", DType::Float32)?;
        if to != DType::Float32 {
            return Err(choices::COMPARED.into());
        }
        return Ok(vec![Tensor::Value(part_of_choice(e, layer, choices::COMPARED, &[*id], to)?)]);
    }
    let x = e.value(layer.input(0)?)?;
    let (from, to) = (e.builder.graph().value(x).dtype, layer.dtype("DstT", DType::Float32)?);
    if from == to || (is_index(from) && is_index(to)) {
        return Ok(vec![Tensor::Value(x)]);
    }
    let graph = e.builder.graph();
    let fresh = graph.inputs.contains(&x) && graph.nodes.iter().all(|n| !n.inputs.contains(&Some(x)));
    if fresh && is_index(to) {
        // Keras declares the indices of an Embedding as float inputs and casts them first.
        let name = graph.value(x).name.clone();
        e.notes.push(format!("input `{name}` holds indices: it is taken as {to:?} rather than {from:?}"));
        e.builder.graph_mut().value_mut(x).dtype = DType::Int32;
        return Ok(vec![Tensor::Value(x)]);
    }
    Err(format!("a conversion from {from:?} to {to:?} of computed elements").into())
}

fn is_index(dtype: DType) -> bool {
    matches!(dtype, DType::Int32 | DType::Int64)
}

/// The axes of a constant operand, counted from the front.
pub(super) fn axes_of(known: &Known, rank: usize) -> Result<Vec<usize>, Refusal> {
    known.data.to_i64().unwrap_or_default().into_iter().map(|a| axis(a, rank)).collect()
}
