//! Operators that compute element by element, over axes, or on rows.

use super::evaluate::Evaluator;
use super::known::Known;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::{
    ArgMinMax, BinaryKind, CompareKind, Cumsum, DType, LogicKind, Op, ReduceKind, Softmax, TopK, UnaryKind,
    ValueId,
};
use crate::import::refusal::{Refusal, unsupported};

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

/// A comparison, of numbers or of truth values.
pub(super) fn compare(e: &mut Evaluator<'_>, layer: &Layer<'_>, kind: CompareKind) -> Translation {
    let (a, b) = (e.value(layer.input(0)?)?, e.value(layer.input(1)?)?);
    Ok(vec![Tensor::Value(e.builder.compare(&layer.name, kind, a, b)?)])
}

/// OneHot: indices, depth, the numbers for on and off.
pub(super) fn one_hot(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let indices = e.value(layer.input(0)?)?;
    let depth = usize::try_from(layer.integer(1, "depth")?).map_err(|_| "a depth below zero")?;
    let rank = e.builder.shape(indices).len();
    let place = match layer.node.int("axis", -1) {
        -1 => rank,
        place => axis(place, rank + 1)?,
    };
    let (on, off) = (e.value(layer.input(2)?)?, e.value(layer.input(3)?)?);
    Ok(vec![Tensor::Value(e.builder.one_hot(&layer.name, indices, (depth, place), [on, off], false)?)])
}

/// LogicalAnd, LogicalOr, LogicalNot.
pub(super) fn logical(e: &mut Evaluator<'_>, layer: &Layer<'_>, kind: LogicKind) -> Translation {
    let operands: Vec<ValueId> =
        layer.inputs.iter().map(|tensor| e.value(tensor)).collect::<Result<_, _>>()?;
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, Op::Logic(kind), &operands)?)])
}

/// SelectV2, and Select, in which a vector as the condition chooses rows.
pub(super) fn select(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let [mut condition, a, b] = [0, 1, 2].map(|position| layer.input(position).cloned());
    // One choice for all elements; what is not chosen may be what nobody knows.
    if let Ok(Tensor::Known(known)) = &condition {
        let truth: Vec<bool> = known.data.to_real(None, &[]).iter().map(|&x| x != 0.0).collect();
        let (chosen, other) = if truth.first() == Some(&true) { (&a, &b) } else { (&b, &a) };
        let shape =
            |tensor: &Result<Tensor, Refusal>| tensor.as_ref().ok().and_then(|tensor| e.shape(tensor));
        let own = shape(chosen).unwrap_or_default();
        let dims = known.shape.iter().rev().zip(own.iter().rev());
        let fits =
            known.shape.len() <= own.len() && dims.into_iter().all(|(&dim, &own)| dim == 1 || dim == own);
        let same = shape(other).is_none_or(|other| other == own);
        if let (true, Ok(chosen)) = (fits && same && truth.windows(2).all(|pair| pair[0] == pair[1]), chosen)
        {
            return Ok(vec![chosen.clone()]);
        }
    }
    let (a, b) = (e.value(&a?)?, e.value(&b?)?);
    let shape = e.builder.shape(a).to_vec();
    if let (Ok(Tensor::Known(known)), "Select") = (&condition, layer.node.op.as_str())
        && known.shape.len() == 1
        && shape.len() > 1
    {
        condition = Ok(Tensor::Known(known.reshaped(rows_of(&known.shape, shape.len()))));
    }
    let mut condition = e.value(&condition?)?;
    let rows = e.builder.shape(condition).to_vec();
    if layer.node.op == "Select" && rows.len() == 1 && shape.len() > 1 {
        let name = format!("{}/rows", layer.name);
        condition = e.builder.reshape(&name, condition, &rows_of(&rows, shape.len()))?;
    }
    Ok(vec![Tensor::Value(e.builder.select(&layer.name, condition, a, b)?)])
}

/// The shape of a vector that belongs to the first of so many dimensions.
fn rows_of(vector: &[usize], rank: usize) -> Vec<usize> {
    let mut shape = vec![1; rank];
    shape[0] = vector[0];
    shape
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

/// Prod: the product over some axes.
pub(super) fn product(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let rank = e.builder.shape(x).len();
    let axes = layer.integers(1, "axes")?;
    let axes: Vec<usize> = axes.into_iter().map(|a| axis(a, rank)).collect::<Result<_, _>>()?;
    if axes.is_empty() {
        return Ok(vec![Tensor::Value(x)]);
    }
    let keep = layer.node.flag("keep_dims", false);
    Ok(vec![Tensor::Value(e.builder.product(&layer.name, x, &axes, keep)?)])
}

/// DivNoNan: a quotient, which is 0 where the divisor is.
pub(super) fn div_no_nan(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (a, b) = (e.value(layer.input(0)?)?, e.value(layer.input(1)?)?);
    if e.builder.graph().value(a).dtype != DType::Float32 {
        return unsupported("a quotient of integers");
    }
    let word = |word: &str| format!("{}/{word}", layer.name);
    let inverse = e.builder.unary(&word("inverse"), UnaryKind::ReciprocalOrZero, b)?;
    // In integers, what rounds to 0 has the largest inverse; here it has none.
    let zero = e.builder.float(&word("zero"), &[1], vec![0.0])?;
    let is_zero = e.builder.compare(&word("is_zero"), CompareKind::Equal, b, zero)?;
    let none = e.builder.float(&word("none"), &[1], vec![0.0])?;
    let inverse = e.builder.select(&word("or_zero"), is_zero, none, inverse)?;
    Ok(vec![Tensor::Value(e.builder.binary(&layer.name, BinaryKind::Mul, a, inverse)?)])
}

pub(super) fn arg(e: &mut Evaluator<'_>, layer: &Layer<'_>, largest: bool) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let axis = axis(layer.integer(1, "axis")?, e.builder.shape(x).len())?;
    let op = Op::ArgMinMax(ArgMinMax { axis, largest });
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[x])?)])
}

pub(super) fn add_n(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let mut sum = e.value(layer.input(0)?)?;
    for (number, operand) in layer.inputs.iter().enumerate().skip(1) {
        let operand = e.value(operand)?;
        sum = e.builder.binary(&format!("{}/sum_{number}", layer.name), BinaryKind::Add, sum, operand)?;
    }
    e.builder.name_last(&layer.name, sum);
    Ok(vec![Tensor::Value(sum)])
}

pub(super) fn top_k(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let count = layer.integer(1, "count")?;
    let Ok(count) = usize::try_from(count) else { return unsupported(format!("{count} elements")) };
    let axis = e.builder.shape(x).len().saturating_sub(1);
    let found = e.builder.top_k(&layer.name, x, axis, TopK { count, largest: true })?;
    Ok(found.into_iter().map(Tensor::Value).collect())
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
    let x = e.value(layer.input(0)?)?;
    let (from, to) = (e.builder.graph().value(x).dtype, layer.dtype("DstT", DType::Float32)?);
    if from == to || (is_index(from) && is_index(to)) {
        return Ok(vec![Tensor::Value(x)]);
    }
    let graph = e.builder.graph();
    let fresh = graph.inputs.contains(&x) && graph.nodes.iter().all(|n| !n.inputs.contains(&Some(x)));
    if fresh && from == DType::Float32 && is_index(to) {
        // Keras declares the indices of an Embedding as float inputs and casts them first.
        let name = graph.value(x).name.clone();
        e.notes.push(format!("input `{name}` holds indices: it is taken as {to:?} rather than {from:?}"));
        e.builder.graph_mut().value_mut(x).dtype = DType::Int32;
        return Ok(vec![Tensor::Value(x)]);
    }
    // Integers of 64 bits are those of 32 on a device.
    let to = if to == DType::Int64 { DType::Int32 } else { to };
    Ok(vec![Tensor::Value(e.builder.cast(&layer.name, x, to)?)])
}

fn is_index(dtype: DType) -> bool {
    matches!(dtype, DType::Int32 | DType::Int64)
}

/// The axes of a constant operand, counted from the front.
pub(super) fn axes_of(known: &Known, rank: usize) -> Result<Vec<usize>, Refusal> {
    known.data.to_i64().unwrap_or_default().into_iter().map(|a| axis(a, rank)).collect()
}
