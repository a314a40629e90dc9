//! Reductions over axes, CumSum, ArgMax and ArgMin.

use super::known::Known;
use super::layer::{Layer, Translation, axes, axis, known, one, size};
use super::net::Slot;
use crate::graph::{ArgMinMax, Constant, Cumsum, Op, ReduceKind, TopK, UnaryKind};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// ONNX's reductions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Mean,
    Sum,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

/// A reduction. Its axes are an attribute or, in newer operator sets, an operand.
pub(super) fn reduce(l: &mut Layer<'_>, kind: Kind) -> Translation {
    let (slot, keep) = (l.slot(0)?, l.int("keepdims", 1) != 0);
    let rank = l.net.shape(&slot).len();
    let list = l.ints_of("axes", 1)?.unwrap_or_default();
    if list.is_empty() && l.int("noop_with_empty_axes", 0) != 0 {
        return Ok(vec![slot]);
    }
    let axes = if list.is_empty() { (0..rank).collect() } else { axes(&list, rank)? };
    if let Slot::Known(x) = &slot {
        return known(compute(l, kind, x, &axes, keep)?);
    }
    if l.net.is_integer(&slot) {
        return unsupported("it computes with integers that depend on the input");
    }
    let x = l.net.value(&slot)?;
    let (before, reduction, after) = match kind {
        Kind::Mean => (None, ReduceKind::Mean, None),
        Kind::Sum => (None, ReduceKind::Sum, None),
        Kind::Max => (None, ReduceKind::Max, None),
        Kind::Min => (None, ReduceKind::Min, None),
        Kind::L1 => (Some(UnaryKind::Abs), ReduceKind::Sum, None),
        Kind::L2 => (Some(UnaryKind::Square), ReduceKind::Sum, Some(UnaryKind::Sqrt)),
        Kind::SumSquare => (Some(UnaryKind::Square), ReduceKind::Sum, None),
        Kind::LogSum => (None, ReduceKind::Sum, Some(UnaryKind::Log)),
        Kind::LogSumExp => (Some(UnaryKind::Exp), ReduceKind::Sum, Some(UnaryKind::Log)),
        Kind::Prod => return one(l.net.b.product(&l.name, x, &axes, keep)?),
    };
    let mut y = x;
    if let Some(function) = before {
        let name = l.part("each");
        y = l.net.b.unary(&name, function, y)?;
    }
    let name = if after.is_some() { l.part("sum") } else { l.name.clone() };
    y = l.net.b.reduce(&name, reduction, y, &axes, keep)?;
    if let Some(function) = after {
        y = l.net.b.unary(&l.name, function, y)?;
    }
    one(y)
}

/// The reduction of known elements.
fn compute(l: &Layer<'_>, kind: Kind, x: &Known, axes: &[usize], keep: bool) -> Result<Known, Refusal> {
    let kept: Vec<usize> = (0..x.shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let shape: Vec<usize> = match keep {
        true => {
            x.shape.iter().enumerate().map(|(axis, &n)| if axes.contains(&axis) { 1 } else { n }).collect()
        }
        false => kept.iter().map(|&axis| x.shape[axis]).collect(),
    };
    let run: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    if run == 0 {
        return unsupported("a reduction of no elements");
    }
    // What is reduced to one number lies together.
    let turned = x.transposed(&[&kept[..], axes].concat());
    let elements = match turned.to_ints() {
        Some(ints) => {
            let results: Option<Vec<i64>> =
                ints.chunks_exact(run).map(|run| of_integers(kind, run)).collect();
            match results {
                Some(results) => Constant::I64(results),
                None => {
                    return unsupported("a reduction that is not computed for integers, or that overflows");
                }
            }
        }
        None => {
            let reals: Vec<f64> = turned.to_floats().into_iter().map(f64::from).collect();
            Constant::F32(reals.chunks_exact(run).map(|run| of_reals(kind, run) as f32).collect())
        }
    };
    Ok(Known::new(l.name.clone(), shape, elements))
}

fn of_integers(kind: Kind, run: &[i64]) -> Option<i64> {
    let sum = run.iter().try_fold(0i64, |a, &b| a.checked_add(b));
    match kind {
        Kind::Sum => sum,
        Kind::Prod => run.iter().try_fold(1i64, |a, &b| a.checked_mul(b)),
        Kind::Max => run.iter().copied().max(),
        Kind::Min => run.iter().copied().min(),
        Kind::Mean => sum.and_then(|sum| sum.checked_div(run.len() as i64)),
        _ => None,
    }
}

fn of_reals(kind: Kind, run: &[f64]) -> f64 {
    let reals = || run.iter().copied();
    match kind {
        Kind::Mean => reals().sum::<f64>() / run.len() as f64,
        Kind::Sum => reals().sum(),
        Kind::Max => reals().fold(f64::NEG_INFINITY, f64::max),
        Kind::Min => reals().fold(f64::INFINITY, f64::min),
        Kind::Prod => reals().product(),
        Kind::L1 => reals().map(f64::abs).sum(),
        Kind::L2 => reals().map(|x| x * x).sum::<f64>().sqrt(),
        Kind::SumSquare => reals().map(|x| x * x).sum(),
        Kind::LogSum => reals().sum::<f64>().ln(),
        Kind::LogSumExp => reals().map(f64::exp).sum::<f64>().ln(),
    }
}

/// The index of the largest or smallest element along an axis; of several equal elements, the first one.
pub(super) fn arg(l: &mut Layer<'_>, largest: bool) -> Translation {
    if l.int("select_last_index", 0) != 0 {
        return unsupported("select_last_index: of equal elements only the first is found");
    }
    let (x, mut shape) = (l.value(0)?, l.shape(0)?);
    let axis = axis(l.int("axis", 0), shape.len())?;
    let op = Op::ArgMinMax(ArgMinMax { axis, largest });
    let keep = l.int("keepdims", 1) != 0;
    let name = if keep { l.part("index") } else { l.name.clone() };
    let y = l.net.b.op(&name, op, &[x])?;
    shape[axis] = 1;
    one(if keep { l.net.b.reshape(&l.name, y, &shape)? } else { y })
}

/// TopK: input, count. Its elements are in order, which `sorted` 0 allows.
pub(super) fn top_k(l: &mut Layer<'_>) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let axis = axis(l.int("axis", -1), shape.len())?;
    let count = match l.ints_of("k", 1)?.as_deref() {
        Some(&[count]) => size(count, "count")?,
        _ => return Err(Refusal::Broken(damaged("its count is not one number"))),
    };
    let op = TopK { count, largest: l.int("largest", 1) != 0 };
    let found = l.net.b.top_k(&l.name, x, axis, op)?;
    Ok(found.into_iter().map(Slot::Computed).collect())
}

/// CumSum.
pub(super) fn running_sums(l: &mut Layer<'_>) -> Translation {
    let (x, rank) = (l.value(0)?, l.shape(0)?.len());
    let Some(&[place]) = l.require(1, "axis")?.to_ints().as_deref() else {
        return unsupported("running sums along several axes");
    };
    let axis = axis(place, rank)?;
    let (exclusive, reverse) = (l.int("exclusive", 0) != 0, l.int("reverse", 0) != 0);
    one(l.net.b.op(&l.name, Op::Cumsum(Cumsum { axis, exclusive, reverse, start: 0 }), &[x])?)
}
