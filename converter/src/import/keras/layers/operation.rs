//! Operations of `keras.ops`, which a functional model of Keras 3 stores as if they were layers: `x + 1` is
//! an `Add`, `x[:, 0]` a `GetItem`.

use serde_json::Value as Json;

use super::activation;
use super::activation::Function;
use super::context::{Context, one};
use super::elements;
use super::operands::{operand, plain, reduce};
use crate::error::Result;
use crate::graph::{BatchMatMul, BinaryKind, Cumsum, Op, ReduceKind, Slice, UnaryKind};
use crate::import::keras::config::{items, number};
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

/// Builds one call of an operation.
pub fn build(context: &mut Context) -> Translation {
    use BinaryKind as B;
    use ReduceKind as R;
    use UnaryKind as U;
    match context.layer.class.as_str() {
        "Add" => binary(context, B::Add),
        "Subtract" => binary(context, B::Sub),
        "Multiply" => binary(context, B::Mul),
        "Divide" | "TrueDivide" => binary(context, B::Div),
        "Maximum" => binary(context, B::Maximum),
        "Minimum" => binary(context, B::Minimum),
        "Mean" => reduce(context, R::Mean),
        "Sum" => reduce(context, R::Sum),
        "Max" | "Amax" => reduce(context, R::Max),
        "Min" | "Amin" => reduce(context, R::Min),
        "Cumsum" => running_sums(context),
        "Reshape" => reshape(context),
        "Transpose" => transpose(context),
        "ExpandDims" => expand(context),
        "Squeeze" => squeeze(context),
        "GetItem" => item(context),
        "Concatenate" => concatenate(context),
        "Matmul" => {
            let operands = context.inputs();
            let op = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: false });
            one(context.run.builder.op(context.name, op, &operands))
        }
        "Absolute" | "Abs" => unary(context, U::Abs),
        "Negative" => unary(context, U::Neg),
        "Exp" => unary(context, U::Exp),
        "Log" => unary(context, U::Log),
        "Sqrt" => unary(context, U::Sqrt),
        "Rsqrt" => unary(context, U::Rsqrt),
        "Square" => unary(context, U::Square),
        "Reciprocal" => unary(context, U::Reciprocal),
        "Sin" => unary(context, U::Sin),
        "Cos" => unary(context, U::Cos),
        "Floor" => unary(context, U::Floor),
        "Ceil" => unary(context, U::Ceil),
        "Sign" => unary(context, U::Sign),
        "Erf" => unary(context, U::Erf),
        "Clip" => {
            let bound = |name: &str, default: f32| -> Result<f32> {
                let given = plain(context, usize::MAX, name).and_then(number);
                Ok(given.or(context.config().f32(name)?).unwrap_or(default))
            };
            let (min, max) = (bound("x_min", f32::NEG_INFINITY)?, bound("x_max", f32::INFINITY)?);
            unary(context, U::clip(min, max))
        }
        "Softmax" | "LogSoftmax" => {
            let axis = context.config().integers("axis")?.and_then(|axes| axes.first().copied());
            let axis = axis.unwrap_or(-1);
            let softmax = context.layer.class == "Softmax";
            let function = if softmax { Function::Softmax(axis) } else { Function::LogSoftmax(axis) };
            let x = context.input()?;
            Ok(vec![context.apply(x, &function)?])
        }
        "LeakyRelu" => {
            let alpha = context.config().f32_or("negative_slope", 0.2)?;
            unary(context, U::LeakyRelu { alpha })
        }
        "Gelu" => {
            let approximate = context.config().bool_or("approximate", true)?;
            unary(context, U::Gelu { approximate })
        }
        class @ ("Relu" | "Relu6" | "Selu" | "Silu" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign"
        | "HardSigmoid" | "HardSilu" | "HardTanh" | "LogSigmoid" | "TanhShrink" | "SparsePlus"
        | "SparseSigmoid") => {
            let x = context.input()?;
            let function = activation::parse(Some(&Json::String(snake(class))), context.run.keras)?;
            Ok(vec![context.apply(x, &function)?])
        }
        // What `compute_mask` of Attention does with a mask.
        "ConvertToTensor" if context.config().get("dtype").is_none_or(Json::is_null) => {
            Ok(vec![context.input()?])
        }
        "FloorDivide" => binary(context, B::FloorDiv),
        "Mod" | "Remainder" => binary(context, B::FloorMod),
        _ => elements::build(context),
    }
}

/// Turns `HardSigmoid` into `hard_sigmoid`.
fn snake(class: &str) -> String {
    let mut name = String::new();
    for letter in class.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn unary(context: &mut Context, kind: UnaryKind) -> Translation {
    let x = context.input()?;
    Ok(vec![context.apply(x, &Function::Unary(kind))?])
}

/// A function of two tensors, or of a tensor and a number.
fn binary(context: &mut Context, kind: BinaryKind) -> Translation {
    let a = operand(context, 0, "x1")?;
    let b = operand(context, 1, "x2")?;
    one(context.run.builder.binary(context.name, kind, a, b))
}

fn running_sums(context: &mut Context) -> Translation {
    let x = context.input()?;
    let rank = context.shape(x).len();
    let axis = match context.config().get("axis") {
        Some(axis) if !axis.is_null() => context.axes(rank, -1)?,
        _ => return unsupported("running sums over all dimensions at once"),
    };
    let &[axis] = axis.as_slice() else { return unsupported("running sums along several dimensions") };
    if axis == 0 {
        return unsupported("running sums over the batch");
    }
    let op = Op::Cumsum(Cumsum { axis, exclusive: false, reverse: false, start: 0 });
    one(context.run.builder.op(context.name, op, &[x]))
}

fn reshape(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let listed = |value: &Json| -> Option<Vec<i64>> {
        // The batch is written as null.
        let batch = shape.first().map_or(1, |&n| n as i64);
        items(value)?.iter().map(|d| if d.is_null() { Some(batch) } else { d.as_i64() }).collect()
    };
    let target = context.config().get("newshape").or_else(|| plain(context, 1, "newshape")).and_then(listed);
    let target = target.ok_or_else(|| context.broken("its shape is not a list of numbers"))?;
    let target = context.resolve(&target, shape.iter().product())?;
    one(context.run.builder.reshape(context.name, x, &target))
}

fn transpose(context: &mut Context) -> Translation {
    let x = context.input()?;
    let rank = context.shape(x).len();
    let permutation = match context.config().get("axes") {
        None => (0..rank).rev().collect(),
        Some(_) => context.config().sizes_list("axes")?,
    };
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(context.broken(format!("axes {permutation:?} of {rank} dimensions")).into());
    }
    one(context.run.builder.transpose(context.name, x, &permutation))
}

fn expand(context: &mut Context) -> Translation {
    let x = context.input()?;
    let mut shape = context.shape(x);
    let mut axes = context.axes(shape.len() + 1, -1)?;
    axes.sort_unstable();
    for axis in axes {
        shape.insert(axis.min(shape.len()), 1);
    }
    one(context.run.builder.reshape(context.name, x, &shape))
}

fn squeeze(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let axes = match context.config().get("axis") {
        None => (1..shape.len()).filter(|&d| shape[d] == 1).collect(),
        Some(_) => context.axes(shape.len(), -1)?,
    };
    let rest: Vec<usize> = (0..shape.len()).filter(|d| !axes.contains(d)).map(|d| shape[d]).collect();
    one(context.run.builder.reshape(context.name, x, &rest))
}

fn concatenate(context: &mut Context) -> Translation {
    let operands = context.inputs();
    let rank = context.shape(context.input()?).len();
    let axis = context.axes(rank, -1)?.first().copied().unwrap_or(0);
    one(context.run.builder.concat(context.name, &operands, axis))
}

/// The elements that an index selects along a dimension.
struct Taken {
    begin: usize,
    size: usize,
    stride: isize,
    /// Whether the index removes the dimension.
    dropped: bool,
}

/// `x[…]` with numbers and slices.
fn item(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    let Some(key) = plain(context, 1, "key") else {
        return unsupported("an index that is computed");
    };
    let keys = match items(key) {
        Some(list) => list.clone(),
        None => vec![key.clone()],
    };
    let is_ellipsis = |key: &Json| key.get("class_name").and_then(Json::as_str) == Some("__ellipsis__");
    if keys.iter().any(Json::is_null) {
        return unsupported("an index that adds a dimension");
    }
    let given = keys.iter().filter(|key| !is_ellipsis(key)).count();
    let whole = |n: usize| Taken { begin: 0, size: n, stride: 1, dropped: false };
    let mut taken: Vec<Taken> = Vec::new();
    for key in &keys {
        if is_ellipsis(key) {
            let skipped = shape.len().saturating_sub(given);
            taken.extend(shape.iter().skip(taken.len()).take(skipped).map(|&n| whole(n)));
            continue;
        }
        let n = *shape.get(taken.len()).ok_or_else(|| context.broken("more indices than dimensions"))?;
        let range = index(key, n).ok_or_else(|| context.broken(format!("index {key} of {n} elements")))?;
        taken.push(range);
    }
    taken.extend(shape.iter().skip(taken.len()).map(|&n| whole(n)));
    let result: Vec<usize> = taken.iter().filter(|t| !t.dropped).map(|t| t.size).collect();
    let op = Op::Slice(Slice {
        begin: taken.iter().map(|t| t.begin).collect(),
        size: taken.iter().map(|t| t.size).collect(),
        stride: taken.iter().map(|t| t.stride).collect(),
    });
    one(context.run.builder.op_shaped(context.name, op, &[x], &result))
}

/// The elements that a number or a slice selects among `n`, by Python's rules; `None` if there are none.
fn index(key: &Json, n: usize) -> Option<Taken> {
    let n = i64::try_from(n).ok()?;
    if let Some(place) = key.as_i64() {
        let begin = usize::try_from(if place < 0 { place + n } else { place }).ok()?;
        return (begin < n as usize).then_some(Taken { begin, size: 1, stride: 1, dropped: true });
    }
    let config = key.get("config")?;
    let bound = |name: &str| config.get(name).and_then(Json::as_i64);
    let step = bound("step").unwrap_or(1);
    let wrap = |place: i64| if place < 0 { place + n } else { place };
    let (begin, count) = if step > 0 {
        let begin = wrap(bound("start").unwrap_or(0)).clamp(0, n);
        let end = wrap(bound("stop").unwrap_or(n)).clamp(0, n);
        (begin, (end - begin).max(0).checked_add(step - 1)? / step)
    } else {
        let begin = wrap(bound("start").unwrap_or(n - 1)).clamp(-1, n - 1);
        let end = bound("stop").map_or(-1, |stop| wrap(stop).clamp(-1, n - 1));
        (
            begin,
            (begin - end).max(0).checked_sub(step.checked_add(1)?)?
                / step.checked_neg().filter(|&s| s > 0)?,
        )
    };
    let size = usize::try_from(count).ok().filter(|&count| count > 0)?;
    Some(Taken {
        begin: usize::try_from(begin).ok()?,
        size,
        stride: isize::try_from(step).ok()?,
        dropped: false,
    })
}
