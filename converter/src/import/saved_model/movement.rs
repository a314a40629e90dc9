//! Operators that move elements without computing with them. `rearrange` applies them to known arrays.

use super::arithmetic::axes_of;
use super::assignments;
use super::evaluate::Evaluator;
use super::known::{Known, MOST, count};
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::{
    Gather, GatherNd, Op, Pack, Pad, ResizeBilinear, ResizeNearest, Slice, Split, Unpack, ValueId,
};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// The shape of the result of Reshape, Squeeze or ExpandDims.
pub(super) fn new_shape(layer: &Layer<'_>, old: &[usize]) -> Result<Vec<usize>, Refusal> {
    match layer.node.op.as_str() {
        "Squeeze" => {
            let listed =
                layer.node.ints("squeeze_dims").or_else(|| layer.node.ints("axis")).unwrap_or_default();
            let axes: Vec<usize> = listed.iter().map(|&a| axis(a, old.len())).collect::<Result<_, _>>()?;
            if axes.iter().any(|&a| old[a] != 1) {
                return Err(damaged(format!("dimensions {axes:?} of {old:?} are not 1")).into());
            }
            let drop = |d: usize| if axes.is_empty() { old[d] == 1 } else { axes.contains(&d) };
            Ok((0..old.len()).filter(|&d| !drop(d)).map(|d| old[d]).collect())
        }
        "ExpandDims" => {
            let at = axis(layer.integer(1, "axis")?, old.len() + 1)?;
            let mut shape = old.to_vec();
            shape.insert(at, 1);
            Ok(shape)
        }
        _ => {
            let wanted = layer.integers(1, "shape")?;
            let elements: usize = old.iter().product();
            let mut shape = Vec::with_capacity(wanted.len());
            for &d in &wanted {
                let d = if d == -1 {
                    1
                } else {
                    usize::try_from(d).map_err(|_| format!("the shape {wanted:?}"))?
                };
                shape.push(d);
            }
            let rest = count(&shape).filter(|&n| n > 0);
            if let (Some(open), Some(rest)) = (wanted.iter().position(|&d| d == -1), rest) {
                shape[open] = elements / rest;
            }
            if count(&shape) != Some(elements) || wanted.iter().filter(|&&d| d == -1).count() > 1 {
                return Err(damaged(format!("shape {old:?} becomes {wanted:?}")).into());
            }
            Ok(shape)
        }
    }
}

pub(super) fn reshape(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let shape = new_shape(layer, e.builder.shape(x))?;
    Ok(vec![Tensor::Value(e.builder.reshape(&layer.name, x, &shape)?)])
}

pub(super) fn permutation(layer: &Layer<'_>, rank: usize) -> Result<Vec<usize>, Refusal> {
    let permutation = axes_of(layer.known(1, "permutation")?, rank)?;
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(damaged(format!("permutation {permutation:?} of {rank} dimensions")).into());
    }
    Ok(permutation)
}

pub(super) fn transpose(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let order = permutation(layer, e.builder.shape(x).len())?;
    Ok(vec![Tensor::Value(e.builder.transpose(&layer.name, x, &order)?)])
}

/// How often each dimension repeats, and the shape of the result.
pub(super) fn repeated_shape(
    layer: &Layer<'_>,
    shape: &[usize],
) -> Result<(Vec<usize>, Vec<usize>), Refusal> {
    let listed = layer.integers(1, "size")?;
    let listed: Option<Vec<usize>> = listed.into_iter().map(|v| usize::try_from(v).ok()).collect();
    let listed = listed.ok_or("negative sizes")?;
    let (times, result): (Vec<usize>, Vec<usize>) = if layer.node.op == "Tile" {
        if listed.len() != shape.len() {
            return Err(damaged(format!("{} factors of {} dimensions", listed.len(), shape.len())).into());
        }
        let result = listed.iter().zip(shape).map(|(t, s)| t.saturating_mul(*s)).collect();
        (listed, result)
    } else {
        let missing = listed.len().checked_sub(shape.len());
        let missing = missing.ok_or("an operand of more dimensions than the result")?;
        let own = |d: usize| if d < missing { 1 } else { shape[d - missing] };
        if (0..listed.len()).any(|d| own(d) != 1 && own(d) != listed[d]) {
            return Err(damaged(format!("shape {shape:?} becomes {listed:?}")).into());
        }
        ((0..listed.len()).map(|d| if own(d) == 1 { listed[d] } else { 1 }).collect(), listed)
    };
    match count(&result) {
        Some(n) if n <= MOST => Ok((times, result)),
        _ => Err(format!("the absurd shape {result:?}").into()),
    }
}

/// Tile and BroadcastTo of computed tensors: concatenated copies.
pub(super) fn repeat(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let (times, result) = repeated_shape(layer, e.builder.shape(x))?;
    // No model that fits a microcontroller has so many copies.
    if times.iter().any(|&t| t > 4096 || t == 0) {
        return Err(format!("{times:?} copies").into());
    }
    let rank = e.builder.shape(x).len();
    let mut shape = vec![1; result.len() - rank];
    shape.extend(e.builder.shape(x));
    let mut y = e.builder.reshape(&format!("{}/expanded", layer.name), x, &shape)?;
    for (axis, &n) in times.iter().enumerate().filter(|(_, n)| **n > 1) {
        y = e.builder.concat(&format!("{}/axis_{axis}", layer.name), &vec![y; n], axis)?;
    }
    if y != x {
        e.builder.name_last(&layer.name, y);
    }
    Ok(vec![Tensor::Value(y)])
}

/// ConcatV2: the inputs, then the axis.
pub(super) fn concat(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let Some(last) = layer.inputs.len().checked_sub(1).filter(|&n| n > 0) else {
        return Err(damaged("nothing to join").into());
    };
    let at = layer.integer(last, "axis")?;
    let inputs: Vec<ValueId> = layer.inputs[..last].iter().map(|t| e.value(t)).collect::<Result<_, _>>()?;
    let at = axis(at, e.builder.shape(inputs[0]).len())?;
    Ok(vec![Tensor::Value(e.builder.concat(&layer.name, &inputs, at)?)])
}

pub(super) fn pack(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let inputs: Vec<ValueId> = layer.inputs.iter().map(|t| e.value(t)).collect::<Result<_, _>>()?;
    let Some(&first) = inputs.first() else { return Err(damaged("nothing to stack").into()) };
    let axis = axis(layer.node.int("axis", 0), e.builder.shape(first).len() + 1)?;
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, Op::Pack(Pack { axis }), &inputs)?)])
}

pub(super) fn unpack(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let mut shape = e.builder.shape(x).to_vec();
    let axis = axis(layer.node.int("axis", 0), shape.len())?;
    let n = shape.remove(axis);
    let ids = e.builder.op_many(&layer.name, Op::Unpack(Unpack { axis }), vec![Some(x)], vec![shape; n])?;
    Ok(ids.into_iter().map(Tensor::Value).collect())
}

/// The axis of Split and SplitV, and the size of each part.
pub(super) fn split_sizes(
    layer: &Layer<'_>,
    shape: &[usize],
    axis_operand: usize,
) -> Result<(usize, Vec<usize>), Refusal> {
    let at = axis(layer.integer(axis_operand, "axis")?, shape.len())?;
    let whole = shape[at];
    if layer.node.op == "Split" {
        let n = usize::try_from(layer.node.int("num_split", 0)).unwrap_or(0);
        if n == 0 || !whole.is_multiple_of(n) {
            return Err(damaged(format!("{n} equal parts of a dimension of {whole}")).into());
        }
        return Ok((at, vec![whole / n; n]));
    }
    let listed = layer.integers(1, "sizes")?;
    let known: i64 = listed.iter().filter(|&&s| s >= 0).fold(0, |a, &s| a.saturating_add(s));
    let open = whole as i64 - known;
    let sizes: Option<Vec<usize>> =
        listed.iter().map(|&s| usize::try_from(if s == -1 { open } else { s }).ok()).collect();
    match sizes {
        Some(sizes) if sizes.iter().try_fold(0usize, |a, &s| a.checked_add(s)) == Some(whole) => {
            Ok((at, sizes))
        }
        _ => Err(damaged(format!("parts {listed:?} of a dimension of {whole}")).into()),
    }
}

/// Split (axis, input) and SplitV (input, sizes, axis).
pub(super) fn split(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    data: usize,
    axis_operand: usize,
) -> Translation {
    let x = e.value(layer.input(data)?)?;
    let shape = e.builder.shape(x).to_vec();
    let (axis, sizes) = split_sizes(layer, &shape, axis_operand)?;
    if sizes.len() == 1 {
        return Ok(vec![Tensor::Value(x)]);
    }
    let shapes = sizes.iter().map(|&size| {
        let mut part = shape.clone();
        part[axis] = size;
        part
    });
    let ids = e.builder.op_many(&layer.name, Op::Split(Split { axis }), vec![Some(x)], shapes.collect())?;
    Ok(ids.into_iter().map(Tensor::Value).collect())
}

/// Pad and PadV2: input, amounts `[rank, 2]`, and for PadV2 the value.
pub(super) fn pad(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let amounts = layer.integers(1, "amounts")?;
    let amounts: Option<Vec<usize>> = amounts.into_iter().map(|a| usize::try_from(a).ok()).collect();
    let amounts: Vec<(usize, usize)> =
        amounts.ok_or("negative amounts")?.chunks_exact(2).map(|a| (a[0], a[1])).collect();
    let shape = e.builder.shape(x);
    let padded: Option<Vec<usize>> =
        shape.iter().zip(&amounts).map(|(d, a)| d.checked_add(a.0)?.checked_add(a.1)).collect();
    if amounts.len() != shape.len() || padded.and_then(|s| count(&s)).is_none_or(|n| n > MOST) {
        return Err(format!("paddings of {amounts:?} around {shape:?}").into());
    }
    let value = match layer.inputs.get(2) {
        Some(_) => {
            let known = layer.known(2, "value")?;
            known.data.to_real(None, &[]).first().map(|&v| f64::from(v)).filter(|&v| v != 0.0)
        }
        None => None,
    };
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, Op::Pad(Pad { amounts, value }), &[x])?)])
}

/// MirrorPad (data, amounts), one dimension after the other.
pub(super) fn mirror_pad(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let mut x = e.value(layer.input(0)?)?;
    let amounts = layer.integers(1, "amounts")?;
    let amounts: Option<Vec<usize>> = amounts.into_iter().map(|a| usize::try_from(a).ok()).collect();
    let amounts = amounts.filter(|a| a.len() == 2 * e.builder.shape(x).len()).ok_or("its amounts")?;
    let skipped = match layer.node.text("mode").unwrap_or_default() {
        "REFLECT" => 1,
        "SYMMETRIC" => 0,
        mode => return Err(format!("the mode `{mode}`").into()),
    };
    let last = amounts.chunks_exact(2).rposition(|pair| pair != [0, 0]);
    for (axis, pair) in amounts.chunks_exact(2).enumerate().filter(|(_, pair)| *pair != [0, 0]) {
        let name =
            if Some(axis) == last { layer.name.clone() } else { format!("{}/axis_{axis}", layer.name) };
        x = e.builder.mirror(&name, x, axis, (pair[0], pair[1]), skipped)?;
    }
    Ok(vec![Tensor::Value(x)])
}

/// GatherV2 (data, indices, axis) and ResourceGather (variable, indices).
pub(super) fn gather(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let data = match layer.input(0)? {
        Tensor::Variable(handle) => assignments::read(e, handle)?,
        other => other.clone(),
    };
    let at = if layer.node.op == "GatherV2" { layer.integer(2, "axis")? } else { 0 };
    let data = e.value(&data)?;
    let axis = axis(at, e.builder.shape(data).len())?;
    let Ok(batch_dims) = usize::try_from(layer.node.int("batch_dims", 0)) else {
        return Err("batch dimensions that are counted from the end".into());
    };
    if batch_dims != 0 {
        let indices = e.value(layer.input(1)?)?;
        let op = Op::Gather(Gather { axis, batch_dims });
        return Ok(vec![Tensor::Value(e.builder.look_up(&layer.name, op, data, indices)?)]);
    }
    if let Tensor::Known(indices) = layer.input(1)? {
        return pick(e, layer, data, indices, axis);
    }
    let indices = e.value(layer.input(1)?)?;
    Ok(vec![Tensor::Value(e.builder.op(
        &layer.name,
        Op::Gather(Gather { axis, batch_dims: 0 }),
        &[data, indices],
    )?)])
}

/// GatherNd: data, indices of several coordinates.
pub(super) fn gather_nd(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (data, indices) = (e.value(layer.input(0)?)?, e.value(layer.input(1)?)?);
    let op = Op::GatherNd(GatherNd { batch_dims: layer.node.int("batch_dims", 0).max(0) as usize });
    Ok(vec![Tensor::Value(e.builder.look_up(&layer.name, op, data, indices)?)])
}

/// The slices of computed data at known indices, concatenated.
fn pick(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    data: ValueId,
    indices: &Known,
    axis: usize,
) -> Translation {
    let shape = e.builder.shape(data).to_vec();
    let inside = |&i: &i64| usize::try_from(i).ok().filter(|&i| i < shape[axis]);
    let listed = indices.data.to_i64().unwrap_or_default();
    let listed: Option<Vec<usize>> = listed.iter().map(inside).collect();
    let listed = listed
        .filter(|l| !l.is_empty() && l.len() <= 4096)
        .ok_or_else(|| format!("the indices {:?} of a dimension of {}", indices.data, shape[axis]))?;
    let mut parts = Vec::new();
    let mut rest = listed.as_slice();
    while let Some(&first) = rest.first() {
        // Consecutive indices become one slice.
        let run = rest.iter().enumerate().take_while(|(n, i)| **i == first + n).count();
        let (mut begin, mut size) = (vec![0; shape.len()], shape.clone());
        (begin[axis], size[axis]) = (first, run);
        let name = format!("{}/from_{first}", layer.name);
        parts.push(e.builder.op(
            &name,
            Op::Slice(Slice { begin, size, stride: vec![1; shape.len()] }),
            &[data],
        )?);
        rest = &rest[run..];
    }
    let joined = e.builder.concat(&format!("{}/joined", layer.name), &parts, axis)?;
    let mut result = shape[..axis].to_vec();
    result.extend(&indices.shape);
    result.extend(&shape[axis + 1..]);
    let y = e.builder.reshape(&layer.name, joined, &result)?;
    e.builder.name_last(&layer.name, y);
    Ok(vec![Tensor::Value(y)])
}

/// ResizeNearestNeighbor and ResizeBilinear: image, size `[height, width]`.
pub(super) fn resize(e: &mut Evaluator<'_>, layer: &Layer<'_>, bilinear: bool) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let size = layer.integers(1, "size")?;
    let size: Vec<usize> = size.iter().filter_map(|&s| usize::try_from(s).ok().filter(|&s| s > 0)).collect();
    let (&[n, _, _, c], &[height, width]) = (e.builder.shape(x), size.as_slice()) else {
        return Err("a size that is not two positive numbers, or no image".into());
    };
    if count(&[n, height, width, c]).is_none_or(|n| n > MOST) {
        return Err(format!("an image of {height} by {width}").into());
    }
    let align_corners = layer.node.flag("align_corners", false);
    let half_pixel_centers = layer.node.flag("half_pixel_centers", false);
    let op = if bilinear {
        Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers })
    } else {
        Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers })
    };
    Ok(vec![Tensor::Value(e.builder.op_shaped(&layer.name, op, &[x], &[n, height, width, c])?)])
}
