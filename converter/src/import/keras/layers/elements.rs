//! Operations of `keras.ops` that compare, choose, cast and rearrange elements.

use serde_json::Value as Json;

use super::context::{Context, ROAD, one};
use super::operands::{operand, plain, reduce, whole};
use crate::graph::{
    ArgMinMax, CompareKind, Constant, DType, Gather, LogicKind, Op, Pack, Pad, ReduceKind, Slice, Split,
    TopK, UnaryKind, ValueId,
};
use crate::import::keras::config::items;
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

/// Copies that one concatenation joins at most.
const MOST_COPIES: usize = 255;

/// Builds one call of an operation.
pub fn build(context: &mut Context) -> Translation {
    match context.layer.class.as_str() {
        "Greater" => compare(context, CompareKind::Greater),
        "GreaterEqual" => compare(context, CompareKind::GreaterEqual),
        "Less" => compare(context, CompareKind::Less),
        "LessEqual" => compare(context, CompareKind::LessEqual),
        "Equal" => compare(context, CompareKind::Equal),
        "NotEqual" => compare(context, CompareKind::NotEqual),
        "LogicalAnd" => logic(context, LogicKind::And),
        "LogicalOr" => logic(context, LogicKind::Or),
        "LogicalXor" => logic(context, LogicKind::Xor),
        "LogicalNot" => logic(context, LogicKind::Not),
        "Any" => reduce(context, ReduceKind::Max),
        "All" => reduce(context, ReduceKind::Min),
        "ZerosLike" => filled(context, false),
        "OnesLike" => filled(context, true),
        "Where" => choose(context),
        "Cast" => cast(context),
        "Argmax" => arg(context, true),
        "Argmin" => arg(context, false),
        "TopK" => top_k(context),
        "OneHot" => one_hot(context),
        "Take" => take(context),
        "Flip" => flip(context),
        "Roll" => roll(context),
        "Tile" => tile(context),
        "Repeat" => repeat(context),
        "Pad" => pad(context),
        "Stack" => stack(context),
        "Split" => split(context),
        "Moveaxis" => move_axis(context),
        "Swapaxes" => swap_axes(context),
        "Tril" => triangle(context, false),
        "Triu" => triangle(context, true),
        "Logsumexp" => log_sum_exp(context),
        _ => unsupported(format!("an operation of keras.ops: {ROAD}")),
    }
}

/// A dimension that an attribute names, which is not the batch.
fn axis(context: &Context, key: &str, rank: usize) -> Result<usize, crate::import::refusal::Refusal> {
    let axis = context.config().get(key).and_then(Json::as_i64);
    let Some(axis) = axis else { return unsupported("all dimensions at once") };
    match context.axis(axis, rank)? {
        0 => unsupported("along the batch"),
        axis => Ok(axis),
    }
}

fn compare(context: &mut Context, kind: CompareKind) -> Translation {
    let (a, b) = (operand(context, 0, "x1")?, operand(context, 1, "x2")?);
    for (number, other) in [(a, b), (b, a)] {
        whole(context.run.builder.graph_mut(), number, other);
    }
    one(context.run.builder.compare(context.name, kind, a, b))
}

fn logic(context: &mut Context, kind: LogicKind) -> Translation {
    let operands = context.inputs();
    if operands.iter().any(|&id| context.run.builder.graph().value(id).dtype != DType::Bool) {
        return unsupported("of numbers; truth values are supported");
    }
    one(context.run.builder.op(context.name, Op::Logic(kind), &operands))
}

/// Truth values or numbers that are all alike, in the shape of an operand.
fn filled(context: &mut Context, one_each: bool) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let elements = shape.iter().product();
    let dtype = context.config().get("dtype").or_else(|| plain(context, 1, "dtype")).and_then(Json::as_str);
    let elements = match (dtype, context.run.builder.graph().value(x).dtype) {
        (Some("bool"), _) | (None, DType::Bool) => Constant::Bool(vec![one_each; elements]),
        (Some("float32"), _) | (None, DType::Float32) => {
            Constant::F32(vec![if one_each { 1.0 } else { 0.0 }; elements])
        }
        _ => return unsupported("elements that are neither float32 nor truth values"),
    };
    one(context.run.builder.constant(context.name, &shape, elements))
}

fn choose(context: &mut Context) -> Translation {
    let condition = context.input()?;
    let (a, b) = (operand(context, 1, "x1")?, operand(context, 2, "x2")?);
    one(context.run.builder.select(context.name, condition, a, b))
}

fn cast(context: &mut Context) -> Translation {
    let x = context.input()?;
    let to = match context.config().str_or("dtype", "float32")? {
        "float32" | "float16" | "bfloat16" | "float64" => DType::Float32,
        "int32" | "int64" => DType::Int32,
        "bool" => DType::Bool,
        other => return unsupported(format!("to {other}")),
    };
    if context.run.builder.graph().value(x).dtype == to {
        return Ok(vec![x]);
    }
    one(context.run.builder.cast(context.name, x, to))
}

fn arg(context: &mut Context, largest: bool) -> Translation {
    let x = context.input()?;
    let mut shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let op = Op::ArgMinMax(ArgMinMax { axis, largest });
    if !context.config().bool_or("keepdims", false)? {
        return one(context.run.builder.op(context.name, op, &[x]));
    }
    shape[axis] = 1;
    let word = context.part("place");
    let place = context.run.builder.op(&word, op, &[x])?;
    one(context.run.builder.reshape(context.name, place, &shape))
}

fn top_k(context: &mut Context) -> Translation {
    let x = context.input()?;
    let last = context.shape(x).len().saturating_sub(1);
    let op = TopK { count: context.config().usize("k")?, largest: true };
    Ok(context.run.builder.top_k(context.name, x, last, op)?)
}

fn one_hot(context: &mut Context) -> Translation {
    let x = context.input()?;
    if context.run.builder.graph().value(x).dtype == DType::Float32 {
        return unsupported("numbers that are no integers");
    }
    let depth = context.config().usize("num_classes")?;
    let rank = context.shape(x).len() + 1;
    let axis = context.axes(rank, -1)?.first().copied().unwrap_or(rank - 1);
    let [on, off] = ["on", "off"].map(|word| context.part(word));
    let on = context.run.builder.float(&on, &[], vec![1.0])?;
    let off = context.run.builder.float(&off, &[], vec![0.0])?;
    one(context.run.builder.one_hot(context.name, x, (depth, axis), [on, off], false))
}

/// The integers of an argument and its shape: a number, or a list.
fn integers(value: &Json) -> Option<(Vec<i64>, Vec<usize>)> {
    let value = value.get("config").and_then(|config| config.get("value")).unwrap_or(value);
    match (value.as_i64(), items(value)) {
        (Some(one), _) => Some((vec![one], Vec::new())),
        (None, Some(list)) => {
            let list: Option<Vec<i64>> = list.iter().map(Json::as_i64).collect();
            list.map(|list| (list.clone(), vec![list.len()]))
        }
        _ => None,
    }
}

fn take(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let Some((indices, listed)) = plain(context, 1, "indices").and_then(integers) else {
        return unsupported("indices that are not a list of integers");
    };
    let size = shape[axis] as i64;
    let indices: Vec<i32> = indices.iter().map(|&i| if i < 0 { i + size } else { i } as i32).collect();
    if indices.iter().any(|&index| i64::from(index) >= size || index < 0) {
        return Err(context.broken(format!("indices {indices:?} of a dimension of {size}")).into());
    }
    let word = context.part("indices");
    let indices = context.run.builder.constant(&word, &listed, Constant::I32(indices))?;
    one(context.run.builder.op(context.name, Op::Gather(Gather { axis, batch_dims: 0 }), &[x, indices]))
}

/// A slice along one dimension.
fn part(
    context: &mut Context,
    word: &str,
    x: ValueId,
    axis: usize,
    (from, count, step): (usize, usize, isize),
) -> Result<ValueId, crate::error::Error> {
    let shape = context.shape(x);
    let (mut begin, mut size, mut stride) = (vec![0; shape.len()], shape.clone(), vec![1; shape.len()]);
    (begin[axis], size[axis], stride[axis]) = (from, count, step);
    let name = if word.is_empty() { context.name.to_string() } else { context.part(word) };
    context.run.builder.op(&name, Op::Slice(Slice { begin, size, stride }), &[x])
}

fn flip(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let step = if shape[axis] > 1 { -1 } else { 1 };
    one(part(context, "", x, axis, (shape[axis] - 1, shape[axis], step)))
}

fn roll(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let Some(shift) = context.config().get("shift").and_then(Json::as_i64) else {
        return unsupported("several shifts");
    };
    let size = shape[axis];
    let by = shift.rem_euclid(size as i64) as usize;
    if by == 0 {
        return Ok(vec![x]);
    }
    let end = part(context, "end", x, axis, (size - by, by, 1))?;
    let start = part(context, "start", x, axis, (0, size - by, 1))?;
    one(context.run.builder.concat(context.name, &[end, start], axis))
}

/// `times` copies behind one another along a dimension.
fn copies(
    context: &mut Context,
    x: ValueId,
    axis: usize,
    times: usize,
) -> Result<ValueId, crate::error::Error> {
    if !(1..=MOST_COPIES).contains(&times) {
        return Err(context.broken(format!("{times} copies; 1 to {MOST_COPIES} are supported")));
    }
    let word = context.part(&format!("copies_{axis}"));
    context.run.builder.concat(&word, &vec![x; times], axis)
}

fn tile(context: &mut Context) -> Translation {
    let mut x = context.input()?;
    let repeats = context.config().sizes_list("repeats")?;
    let shape = context.shape(x);
    if repeats.len() != shape.len() || repeats.first() != Some(&1) {
        return unsupported(format!("{repeats:?} copies of shape {shape:?}"));
    }
    for (axis, &times) in repeats.iter().enumerate() {
        x = copies(context, x, axis, times)?;
    }
    context.run.builder.name_last(context.name, x);
    Ok(vec![x])
}

fn repeat(context: &mut Context) -> Translation {
    let x = context.input()?;
    let mut shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let Some(times) = context.config().get("repeats").and_then(Json::as_u64) else {
        return unsupported("other numbers of copies for each element");
    };
    let mut apart = shape.clone();
    apart.insert(axis + 1, 1);
    let word = context.part("elements");
    let elements = context.run.builder.reshape(&word, x, &apart)?;
    let all = copies(context, elements, axis + 1, times as usize)?;
    shape[axis] *= times as usize;
    one(context.run.builder.reshape(context.name, all, &shape))
}

fn pad(context: &mut Context) -> Translation {
    let mut x = context.input()?;
    let pair = |value: &Json| match items(value)?.as_slice() {
        [before, after] => Some((before.as_u64()? as usize, after.as_u64()? as usize)),
        _ => None,
    };
    let amounts = context.config().get("pad_width").and_then(items);
    let amounts: Option<Vec<(usize, usize)>> = amounts.and_then(|all| all.iter().map(pair).collect());
    let rank = context.shape(x).len();
    let Some(amounts) = amounts.filter(|all| all.len() == rank && all[0] == (0, 0)) else {
        return unsupported("amounts that are not a pair for each dimension");
    };
    let skipped = match context.config().str_or("mode", "constant")? {
        "constant" => {
            let value = plain(context, usize::MAX, "constant_values").and_then(Json::as_f64).unwrap_or(0.0);
            let op = Op::Pad(Pad { amounts, value: Some(value).filter(|&value| value != 0.0) });
            return one(context.run.builder.op(context.name, op, &[x]));
        }
        "reflect" => 1,
        "symmetric" => 0,
        other => return unsupported(format!("mode `{other}`")),
    };
    for (axis, &both) in amounts.iter().enumerate().filter(|&(_, &both)| both != (0, 0)) {
        let word = context.part(&format!("axis_{axis}"));
        x = context.run.builder.mirror(&word, x, axis, both, skipped)?;
    }
    context.run.builder.name_last(context.name, x);
    Ok(vec![x])
}

fn stack(context: &mut Context) -> Translation {
    let operands = context.inputs();
    let rank = context.shape(context.input()?).len() + 1;
    let axis = axis(context, "axis", rank)?;
    one(context.run.builder.op(context.name, Op::Pack(Pack { axis }), &operands))
}

fn split(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let size = shape[axis];
    let ends: Option<Vec<usize>> = match context.config().get("indices_or_sections") {
        Some(value) => match (value.as_u64().map(|n| n as usize), items(value)) {
            (Some(n), _) if n > 0 && size.is_multiple_of(n) => {
                Some((1..=n).map(|k| k * (size / n)).collect())
            }
            (None, Some(list)) => {
                let ends: Option<Vec<usize>> = list.iter().map(|end| Some(end.as_u64()? as usize)).collect();
                ends.map(|ends| ends.into_iter().chain([size]).collect())
            }
            _ => None,
        },
        None => None,
    };
    let ordered = |ends: &Vec<usize>| {
        ends.first() > Some(&0) && ends.windows(2).all(|pair| pair[0] < pair[1]) && ends.last() == Some(&size)
    };
    let Some(ends) = ends.filter(ordered) else {
        return unsupported(format!("parts of a dimension of {size} that are not given"));
    };
    if let [_] = ends[..] {
        return Ok(vec![x]);
    }
    let mut from = 0;
    let shapes = ends.iter().map(|&end| {
        let mut part = shape.clone();
        part[axis] = end - from;
        from = end;
        part
    });
    let shapes = shapes.collect();
    Ok(context.run.builder.op_many(context.name, Op::Split(Split { axis }), vec![Some(x)], shapes)?)
}

fn move_axis(context: &mut Context) -> Translation {
    let x = context.input()?;
    let rank = context.shape(x).len();
    let (from, to) = (axis(context, "source", rank)?, axis(context, "destination", rank)?);
    let mut order: Vec<usize> = (0..rank).filter(|&d| d != from).collect();
    order.insert(to, from);
    one(context.run.builder.transpose(context.name, x, &order))
}

fn swap_axes(context: &mut Context) -> Translation {
    let x = context.input()?;
    let rank = context.shape(x).len();
    let (a, b) = (axis(context, "axis1", rank)?, axis(context, "axis2", rank)?);
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(a, b);
    one(context.run.builder.transpose(context.name, x, &order))
}

fn triangle(context: &mut Context, upper: bool) -> Translation {
    let x = context.input()?;
    let diagonal = context.config().get("k").and_then(Json::as_i64).unwrap_or(0);
    one(context.run.builder.triangle(context.name, x, diagonal, upper))
}

/// The logarithm of the sum of exponentials, of differences from the largest element.
fn log_sum_exp(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axis = axis(context, "axis", shape.len())?;
    let [most, below, each, all, log] =
        ["most", "below", "each", "all", "log"].map(|word| context.part(word));
    let b = &mut context.run.builder;
    let most = b.reduce(&most, ReduceKind::Max, x, &[axis], true)?;
    let below = b.binary(&below, crate::graph::BinaryKind::Sub, x, most)?;
    let each = b.unary(&each, UnaryKind::Exp, below)?;
    let all = b.reduce(&all, ReduceKind::Sum, each, &[axis], true)?;
    let log = b.unary(&log, UnaryKind::Log, all)?;
    let sum = format!("{}/sum", context.name);
    let sum = b.binary(&sum, crate::graph::BinaryKind::Add, log, most)?;
    let mut result = shape;
    match context.config().bool_or("keepdims", false)? {
        true => result[axis] = 1,
        false => {
            result.remove(axis);
        }
    }
    one(context.run.builder.reshape(context.name, sum, &result))
}
