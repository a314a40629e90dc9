//! Operators that move elements, applied to arrays that are known at import.

use std::rc::Rc;

use super::host::broadcast_places;
use super::known::{Known, MOST, count, places, strides};
use super::library::Attributes;
use super::movement::{new_shape, permutation, repeated_shape, split_sizes};
use super::slices;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::Constant;
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Moves elements of known arrays; `None` for other operators or operands.
pub(super) fn known(layer: &Layer<'_>) -> Option<Translation> {
    let operands: Option<Vec<&Rc<Known>>> =
        layer.inputs.iter().map(|t| if let Tensor::Known(k) = t { Some(k) } else { None }).collect();
    let x = operands?;
    let one = |known: Result<Rc<Known>, Refusal>| Some(known.map(|k| vec![Tensor::Known(k)]));
    match (layer.node.op.as_str(), x.as_slice()) {
        ("Reshape" | "Squeeze" | "ExpandDims", [a, ..]) => {
            one(new_shape(layer, &a.shape).map(|shape| a.reshaped(shape)))
        }
        ("Transpose", [a, _]) => one(permutation(layer, a.shape.len()).map(|p| a.transposed(&p))),
        ("Slice" | "StridedSlice" | "ReverseV2", [a, ..]) => one(slices::view(layer, &a.shape).map(|view| {
            let own = strides(&a.shape);
            let start = view.begin.iter().zip(&own).map(|(b, s)| b * s).sum();
            let steps: Vec<isize> = view.stride.iter().zip(&own).map(|(&t, &s)| t * s as isize).collect();
            a.pick(&a.name, &places(start, &view.size, &steps), view.shape.clone())
        })),
        ("Pack", [a, ..]) => one(join(layer, &x, layer.node.int("axis", 0), a.shape.len() + 1, true)),
        ("ConcatV2", [values @ .., _]) if !values.is_empty() => {
            let axis = layer.integer(values.len(), "axis").map(|axis| (axis, values[0].shape.len()));
            one(axis.and_then(|(axis, rank)| join(layer, values, axis, rank, false)))
        }
        ("Unpack", [a]) => Some(unpack_known(layer, a)),
        ("Split" | "SplitV", _) => Some(split_known(layer)),
        ("GatherV2" | "Gather", [a, indices, ..]) => one(gather_known(layer, a, indices)),
        ("Tile" | "BroadcastTo", [a, _]) => one(repeated_shape(layer, &a.shape).and_then(|(_, shape)| {
            if layer.node.op == "BroadcastTo" {
                let at = broadcast_places(&a.shape, &shape)?;
                return Ok(a.pick(&a.name, &at, shape));
            }
            tile_known(a, shape)
        })),
        _ => None,
    }
}

/// Joins known arrays along an axis; for `Pack`, along a new one.
fn join(
    layer: &Layer<'_>,
    parts: &[&Rc<Known>],
    at: i64,
    rank: usize,
    new: bool,
) -> Result<Rc<Known>, Refusal> {
    let at = axis(at, rank)?;
    let shape_of = |part: &Known| {
        let mut shape = part.shape.clone();
        if new && at <= shape.len() {
            shape.insert(at, 1);
        }
        shape
    };
    let mut whole = shape_of(parts[0]);
    whole[at] = 0;
    let mut all: Option<Constant> = None;
    let mut order: Vec<(usize, usize)> = Vec::new();
    for part in parts {
        let shape = shape_of(part);
        let fits = shape.len() == rank && (0..rank).all(|d| d == at || shape[d] == whole[d]);
        if !fits || part.dtype() != parts[0].dtype() {
            return Err(damaged(format!("shapes {whole:?} and {shape:?} do not join")).into());
        }
        order.push((whole[at], shape[at]));
        whole[at] += shape[at];
        match &mut all {
            None => all = Some(part.data.clone()),
            Some(all) => append(all, &part.data),
        }
    }
    if count(&whole).is_none_or(|n| n > 4 * MOST) {
        return Err(format!("the absurd shape {whole:?}").into());
    }
    // The parts are concatenated; each contributes `inner` elements per step of the axis.
    let outer: usize = whole[..at].iter().product();
    let inner: usize = whole[at + 1..].iter().product();
    let mut picked = Vec::with_capacity(outer * inner * whole[at]);
    for row in 0..outer {
        for &(before, own) in &order {
            let start = before * outer * inner + row * own * inner;
            picked.extend(start..start + own * inner);
        }
    }
    let data = all.unwrap_or(Constant::F32(Vec::new()));
    let joined = Known { name: layer.name.clone(), shape: Vec::new(), data };
    Ok(joined.pick(&layer.name, &picked, whole))
}

fn append(all: &mut Constant, more: &Constant) {
    match (all, more) {
        (Constant::F32(a), Constant::F32(b)) => a.extend(b),
        (Constant::I8(a), Constant::I8(b)) => a.extend(b),
        (Constant::U8(a), Constant::U8(b)) => a.extend(b),
        (Constant::I16(a), Constant::I16(b)) => a.extend(b),
        (Constant::I32(a), Constant::I32(b)) => a.extend(b),
        (Constant::I64(a), Constant::I64(b)) => a.extend(b),
        (Constant::Bool(a), Constant::Bool(b)) => a.extend(b),
        // `join` has checked that the types are equal.
        _ => (),
    }
}

fn part(known: &Known, axis: usize, begin: usize, size: usize, keep: bool) -> Rc<Known> {
    let own = strides(&known.shape);
    let mut shape = known.shape.clone();
    shape[axis] = size;
    let steps: Vec<isize> = own.iter().map(|&s| s as isize).collect();
    let at = places(begin * own[axis], &shape, &steps);
    if !keep {
        shape.remove(axis);
    }
    known.pick(&known.name, &at, shape)
}

fn unpack_known(layer: &Layer<'_>, a: &Known) -> Translation {
    let at = axis(layer.node.int("axis", 0), a.shape.len())?;
    Ok((0..a.shape[at]).map(|i| Tensor::Known(part(a, at, i, 1, false))).collect())
}

fn split_known(layer: &Layer<'_>) -> Translation {
    let (data, axis_operand) = if layer.node.op == "Split" { (1, 0) } else { (0, 2) };
    let a = layer.known(data, "input")?;
    let (at, sizes) = split_sizes(layer, &a.shape, axis_operand)?;
    let mut begin = 0;
    let parts = sizes.into_iter().map(|size| {
        begin += size;
        Tensor::Known(part(a, at, begin - size, size, true))
    });
    Ok(parts.collect())
}

fn gather_known(layer: &Layer<'_>, a: &Known, indices: &Known) -> Result<Rc<Known>, Refusal> {
    let at = if layer.inputs.len() > 2 { layer.integer(2, "axis")? } else { 0 };
    let at = axis(at, a.shape.len())?;
    if layer.node.int("batch_dims", 0) != 0 {
        return Err("a look-up per batch element".into());
    }
    let listed = indices.data.to_i64().ok_or("indices that are not integers")?;
    let size = a.shape[at];
    let inside = |&i: &i64| usize::try_from(i).ok().filter(|&i| i < size);
    let listed: Option<Vec<usize>> = listed.iter().map(inside).collect();
    let listed =
        listed.ok_or_else(|| Refusal::Broken(damaged(format!("indices beyond a dimension of {size}"))))?;
    let outer: usize = a.shape[..at].iter().product();
    let inner: usize = a.shape[at + 1..].iter().product();
    let mut shape = a.shape[..at].to_vec();
    shape.extend(&indices.shape);
    shape.extend(&a.shape[at + 1..]);
    if count(&shape).is_none_or(|n| n > MOST.max(a.data.len())) {
        return Err(format!("the absurd shape {shape:?}").into());
    }
    let mut picked = Vec::new();
    for row in 0..outer {
        for &i in &listed {
            let start = (row * size + i) * inner;
            picked.extend(start..start + inner);
        }
    }
    Ok(a.pick(&a.name, &picked, shape))
}

fn tile_known(a: &Known, shape: Vec<usize>) -> Result<Rc<Known>, Refusal> {
    let own = strides(&a.shape);
    let mut at = vec![0usize];
    for (d, &size) in shape.iter().enumerate() {
        let (dim, stride) = (a.shape[d].max(1), own[d]);
        at = at.iter().flat_map(|&base| (0..size).map(move |i| base + (i % dim) * stride)).collect();
    }
    Ok(a.pick(&a.name, &at, shape))
}
