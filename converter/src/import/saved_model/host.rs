//! Arithmetic on tensors that are known at import: shapes that layers compute with, and weights.
//!
//! Integers are computed exactly, by TensorFlow's rules (division rounds down, broadcasting). Floats are
//! computed by the float reference, in a graph of that one node.

use std::rc::Rc;

use super::evaluate::{Evaluator, Translate};
use super::known::{Known, MOST, count, places, strides};
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::{Constant, DType};
use crate::import::build::Builder;
use crate::import::refusal::Refusal;
use crate::reference::Executor;

/// Computes a node whose operands are all known; `None` for operators that this file does not compute.
pub(super) fn compute(layer: &Layer<'_>) -> Result<Option<Tensor>, Refusal> {
    let known: Option<Vec<&Rc<Known>>> =
        layer.inputs.iter().map(|t| if let Tensor::Known(k) = t { Some(k) } else { None }).collect();
    let Some(operands) = known else { return Ok(None) };
    let result = match (layer.node.op.as_str(), operands.as_slice()) {
        ("Fill", [shape, value]) => Some(fill(layer, shape, value)?),
        ("Range", [start, limit, delta]) => range(layer, start, limit, delta)?,
        ("Cast", [x]) => Some(cast(layer, x)?),
        ("LogicalNot", [x]) => x.data.to_i64().map(|v| {
            let not: Vec<i64> = v.iter().map(|&b| i64::from(b == 0)).collect();
            Known::integers(&layer.name, x.shape.clone(), &not, DType::Bool)
        }),
        ("Neg" | "Abs" | "Square", [x]) => whole(x).map(|v| {
            let f: fn(i64) -> i64 = match layer.node.op.as_str() {
                "Neg" => i64::wrapping_neg,
                "Abs" => i64::wrapping_abs,
                _ => |x| x.wrapping_mul(x),
            };
            let v: Vec<i64> = v.into_iter().map(f).collect();
            Known::integers(&layer.name, x.shape.clone(), &v, x.dtype())
        }),
        ("Prod" | "Sum" | "Max" | "Min" | "All" | "Any", [x, axes]) => reduce(layer, x, axes)?,
        ("Where", [x]) => whole(x).map(|v| {
            let held = v.iter().enumerate().filter(|&(_, &b)| b != 0).map(|(number, _)| number);
            let steps: Vec<usize> = (0..x.shape.len()).map(|d| x.shape[d + 1..].iter().product()).collect();
            let place = |number: usize| steps.iter().zip(&x.shape).map(move |(s, n)| (number / s % n) as i64);
            let found: Vec<i64> = held.flat_map(place).collect();
            let rank = x.shape.len();
            let count = found.len().checked_div(rank).unwrap_or(0);
            Known::integers(&layer.name, vec![count, rank], &found, DType::Int64)
        }),
        ("Select" | "SelectV2", [condition, a, b]) => select(layer, condition, a, b)?,
        ("MatrixBandPart", [x, lower, upper]) => Some(band(layer, x, lower, upper)?),
        (op, [a, b]) => binary(layer, op, a, b)?,
        _ => None,
    };
    Ok(result.map(Tensor::Known))
}

/// The elements of an integer or boolean array.
fn whole(x: &Known) -> Option<Vec<i64>> {
    x.data.to_i64()
}

fn limited(shape: &[usize]) -> Result<(), Refusal> {
    match count(shape) {
        Some(n) if n <= MOST => Ok(()),
        _ => Err(format!("the absurd shape {shape:?}").into()),
    }
}

fn dimensions(values: Option<Vec<i64>>) -> Result<Vec<usize>, Refusal> {
    let dims: Option<Vec<usize>> =
        values.and_then(|v| v.into_iter().map(|d| usize::try_from(d).ok()).collect());
    dims.ok_or_else(|| "its shape is not one of positive integers".into())
}

fn fill(layer: &Layer<'_>, shape: &Known, value: &Known) -> Result<Rc<Known>, Refusal> {
    let shape = dimensions(shape.data.to_i64())?;
    limited(&shape)?;
    if value.data.len() != 1 {
        return Err("its value is not one number".into());
    }
    let n = shape.iter().product();
    Ok(value.pick(&layer.name, &vec![0; n], shape))
}

fn range(
    layer: &Layer<'_>,
    start: &Known,
    limit: &Known,
    delta: &Known,
) -> Result<Option<Rc<Known>>, Refusal> {
    if let (Some(&[start]), Some(&[limit]), Some(&[step])) =
        (start.data.as_f32(), limit.data.as_f32(), delta.data.as_f32())
    {
        let n = ((limit - start) / step).ceil();
        if n.is_nan() || n > MOST as f32 {
            return Err("a range without an end".into());
        }
        let values: Vec<f32> = (0..n.max(0.0) as usize).map(|i| start + i as f32 * step).collect();
        return Ok(Some(Known::new(&layer.name, vec![values.len()], Constant::F32(values))));
    }
    let one = |k: &Known| whole(k).and_then(|v| v.first().copied());
    let (Some(start), Some(limit), Some(step)) = (one(start), one(limit), one(delta)) else {
        return Ok(None);
    };
    let span = limit.saturating_sub(start);
    let n = match step.signum() {
        0 => return Err("a range of step 0".into()),
        1 => span.max(0) as u64,
        _ => span.min(0).unsigned_abs(),
    };
    let n = usize::try_from(n.div_ceil(step.unsigned_abs())).unwrap_or(usize::MAX);
    limited(&[n])?;
    let values: Vec<i64> = (0..n as i64).map(|i| start.wrapping_add(i.wrapping_mul(step))).collect();
    Ok(Some(Known::integers(&layer.name, vec![n], &values, delta.dtype())))
}

fn cast(layer: &Layer<'_>, x: &Rc<Known>) -> Result<Rc<Known>, Refusal> {
    let target = layer.dtype("DstT", x.dtype())?;
    if target == x.dtype() {
        return Ok(x.clone());
    }
    let values: Vec<i64> = match &x.data {
        // The cast truncates towards zero.
        Constant::F32(v) if target == DType::Bool => v.iter().map(|&f| i64::from(f != 0.0)).collect(),
        Constant::F32(v) => v.iter().map(|&f| f as i64).collect(),
        data => data.to_i64().unwrap_or_default(),
    };
    Ok(Known::integers(&x.name, x.shape.clone(), &values, target))
}

/// For each element of a result of shape `to`, the index in an operand of shape `from` that broadcasts to it.
pub(super) fn broadcast_places(from: &[usize], to: &[usize]) -> Result<Vec<usize>, Refusal> {
    let missing = to.len().checked_sub(from.len()).ok_or("an operand of more dimensions than the result")?;
    let own = strides(from);
    let mut steps = vec![0isize; to.len()];
    for (i, (&size, &stride)) in from.iter().zip(&own).enumerate() {
        let wanted = to[missing + i];
        if size != wanted && size != 1 {
            return Err(format!("shapes {from:?} and {to:?} do not broadcast").into());
        }
        steps[missing + i] = if size == 1 { 0 } else { stride as isize };
    }
    limited(to)?;
    Ok(places(0, to, &steps))
}

fn common(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let dim = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |at| s[at]);
    (0..rank).map(|i| if dim(a, i) == 1 { dim(b, i) } else { dim(a, i) }).collect()
}

fn binary(layer: &Layer<'_>, op: &str, a: &Known, b: &Known) -> Result<Option<Rc<Known>>, Refusal> {
    if let (Some(x), Some(y)) = (a.data.as_f32(), b.data.as_f32()) {
        return compare(layer, op, (a, x), (b, y));
    }
    let (Some(x), Some(y)) = (whole(a), whole(b)) else { return Ok(None) };
    let (compute, logical): (fn(i64, i64) -> i64, bool) = match op {
        "Add" | "AddV2" => (i64::wrapping_add, false),
        "Sub" => (i64::wrapping_sub, false),
        "Mul" => (i64::wrapping_mul, false),
        "Maximum" => (i64::max, false),
        "Minimum" => (i64::min, false),
        "FloorDiv" | "Div" | "RealDiv" | "TruncateDiv" | "FloorMod" | "Mod" => {
            if y.contains(&0) {
                return Err("a division by zero".into());
            }
            let f: fn(i64, i64) -> i64 = match op {
                "FloorDiv" => |a, b| {
                    let q = a.wrapping_div(b);
                    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { q - 1 } else { q }
                },
                "FloorMod" => |a, b| {
                    let r = a.wrapping_rem(b);
                    if r != 0 && (r < 0) != (b < 0) { r.wrapping_add(b) } else { r }
                },
                "Mod" => i64::wrapping_rem,
                _ => i64::wrapping_div,
            };
            (f, false)
        }
        "Less" => (|a, b| i64::from(a < b), true),
        "LessEqual" => (|a, b| i64::from(a <= b), true),
        "Greater" => (|a, b| i64::from(a > b), true),
        "GreaterEqual" => (|a, b| i64::from(a >= b), true),
        "Equal" => (|a, b| i64::from(a == b), true),
        "NotEqual" => (|a, b| i64::from(a != b), true),
        "LogicalAnd" => (|a, b| a & b, true),
        "LogicalOr" => (|a, b| a | b, true),
        _ => return Ok(None),
    };
    let shape = common(&a.shape, &b.shape);
    let (at, bt) = (broadcast_places(&a.shape, &shape)?, broadcast_places(&b.shape, &shape)?);
    let pair = |i: usize, j: usize| Some(compute(*x.get(i)?, *y.get(j)?));
    let values: Vec<i64> = at.into_iter().zip(bt).map(|(i, j)| pair(i, j).unwrap_or_default()).collect();
    let dtype = if logical { DType::Bool } else { a.dtype() };
    Ok(Some(Known::integers(&layer.name, shape, &values, dtype)))
}

/// A comparison of floats.
fn compare(
    layer: &Layer<'_>,
    op: &str,
    (a, x): (&Known, &[f32]),
    (b, y): (&Known, &[f32]),
) -> Result<Option<Rc<Known>>, Refusal> {
    let holds: fn(f32, f32) -> bool = match op {
        "Less" => |a, b| a < b,
        "LessEqual" => |a, b| a <= b,
        "Greater" => |a, b| a > b,
        "GreaterEqual" => |a, b| a >= b,
        "Equal" => |a, b| a == b,
        "NotEqual" => |a, b| a != b,
        _ => return Ok(None),
    };
    let shape = common(&a.shape, &b.shape);
    let (at, bt) = (broadcast_places(&a.shape, &shape)?, broadcast_places(&b.shape, &shape)?);
    let pair = |i: usize, j: usize| Some(i64::from(holds(*x.get(i)?, *y.get(j)?)));
    let values: Vec<i64> = at.into_iter().zip(bt).map(|(i, j)| pair(i, j).unwrap_or_default()).collect();
    Ok(Some(Known::integers(&layer.name, shape, &values, DType::Bool)))
}

/// MatrixBandPart: sets elements outside of a band of diagonals to zero. A negative width includes that whole
/// side.
fn band(layer: &Layer<'_>, x: &Known, lower: &Known, upper: &Known) -> Result<Rc<Known>, Refusal> {
    let one = |k: &Known| whole(k).and_then(|v| v.first().copied());
    let (Some(lower), Some(upper), [.., rows, columns]) = (one(lower), one(upper), x.shape.as_slice()) else {
        return Err("a band of a tensor that is not a matrix".into());
    };
    let inside = |i: usize| {
        let (row, column) = ((i / columns % rows) as i64, (i % columns) as i64);
        (lower < 0 || row - column <= lower) && (upper < 0 || column - row <= upper)
    };
    // An index beyond the end gives zero.
    let places: Vec<usize> = (0..x.data.len()).map(|i| if inside(i) { i } else { usize::MAX }).collect();
    Ok(x.pick(&layer.name, &places, x.shape.clone()))
}

fn select(layer: &Layer<'_>, condition: &Known, a: &Known, b: &Known) -> Result<Option<Rc<Known>>, Refusal> {
    let Some(c) = whole(condition) else { return Ok(None) };
    let shape = common(&condition.shape, &common(&a.shape, &b.shape));
    let [ct, at, bt] = [condition, a, b].map(|k| broadcast_places(&k.shape, &shape));
    let (ct, at, bt) = (ct?, at?, bt?);
    if let (Some(x), Some(y)) = (a.data.as_f32(), b.data.as_f32()) {
        let holds = |i: usize| ct.get(i).and_then(|&at| c.get(at)).is_some_and(|&c| c != 0);
        let get = |v: &[f32], i: usize| v.get(i).copied().unwrap_or_default();
        let values = (0..ct.len()).map(|i| if holds(i) { get(x, at[i]) } else { get(y, bt[i]) }).collect();
        return Ok(Some(Known::new(&layer.name, shape, Constant::F32(values))));
    }
    let (Some(x), Some(y)) = (whole(a), whole(b)) else { return Ok(None) };
    let get = |v: &[i64], i: usize| v.get(i).copied().unwrap_or_default();
    let values: Vec<i64> =
        (0..ct.len()).map(|i| if get(&c, ct[i]) != 0 { get(&x, at[i]) } else { get(&y, bt[i]) }).collect();
    Ok(Some(Known::integers(&layer.name, shape, &values, a.dtype())))
}

fn reduce(layer: &Layer<'_>, x: &Known, axes: &Known) -> Result<Option<Rc<Known>>, Refusal> {
    let (Some(values), Some(listed)) = (whole(x), whole(axes)) else { return Ok(None) };
    let rank = x.shape.len();
    let axes: Vec<usize> = listed.iter().map(|&a| axis(a, rank)).collect::<Result<_, _>>()?;
    let (start, f): (i64, fn(i64, i64) -> i64) = match layer.node.op.as_str() {
        "Prod" => (1, i64::wrapping_mul),
        "Sum" => (0, i64::wrapping_add),
        "Max" => (i64::MIN, i64::max),
        "Min" => (i64::MAX, i64::min),
        "All" => (1, |a, b| a & b),
        _ => (0, |a, b| a | b),
    };
    let kept: Vec<usize> = (0..rank).map(|d| if axes.contains(&d) { 1 } else { x.shape[d] }).collect();
    let own = strides(&kept);
    let steps: Vec<isize> = (0..rank).map(|d| if axes.contains(&d) { 0 } else { own[d] as isize }).collect();
    let mut sums = vec![start; kept.iter().product()];
    for (value, place) in values.iter().zip(places(0, &x.shape, &steps)) {
        if let Some(sum) = sums.get_mut(place) {
            *sum = f(*sum, *value);
        }
    }
    let keep = layer.node.flag("keep_dims", false);
    let shape = (0..rank).filter(|d| keep || !axes.contains(d)).map(|d| kept[d]).collect();
    Ok(Some(Known::integers(&layer.name, shape, &sums, x.dtype())))
}

/// Computes a node of known floats with the float reference, from the layers that `translate` makes of it.
pub(super) fn compute_floats(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    translate: Translate,
) -> Option<Translation> {
    let all_known = layer.inputs.iter().all(|t| matches!(t, Tensor::Known(_)));
    let real = layer.inputs.iter().any(|t| matches!(t, Tensor::Known(k) if k.dtype() == DType::Float32));
    if !all_known || !real {
        return None;
    }
    let mut inside = Layer { node: layer.node, inputs: layer.inputs, name: layer.name.clone() };
    let mut fault = None;
    let (tensors, builder) = e.aside(Builder::new(""), |e| match translate(e, &mut inside) {
        Ok(tensors) => Ok(tensors),
        Err(Refusal::Broken(error)) => Err(error),
        Err(other) => {
            fault = Some(other);
            Ok(Vec::new())
        }
    });
    Some(match (fault, tensors) {
        (Some(fault), _) => Err(fault),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(tensors)) => run(&layer.name, builder, tensors),
    })
}

/// Runs a graph without inputs and returns its values.
fn run(name: &str, builder: Builder, tensors: Vec<Tensor>) -> Translation {
    let ids = tensors.iter().filter_map(|t| if let Tensor::Value(id) = t { Some(*id) } else { None });
    let graph = builder.finish(ids.collect());
    if let Some(large) = graph.values.iter().find(|v| count(&v.shape).is_none_or(|n| n > 4 * MOST)) {
        return Err(format!("the absurd shape {:?}", large.shape).into());
    }
    let results = Executor::new(&graph)?.run(&[])?;
    let mut results = results.into_iter();
    let known = |tensor: Tensor| match tensor {
        Tensor::Value(id) => {
            let (value, data) = (graph.value(id), results.next().unwrap_or_default());
            let data = match value.dtype {
                DType::Float32 => Constant::F32(data),
                DType::Int64 => Constant::I64(data.iter().map(|&x| x as i64).collect()),
                _ => Constant::I32(data.iter().map(|&x| x as i32).collect()),
            };
            Tensor::Known(Known::new(name, value.shape.clone(), data))
        }
        other => other,
    };
    Ok(tensors.into_iter().map(known).collect())
}
