//! Operators that move elements, and those that return shapes. For known tensors, the result is known.

use super::known::Known;
use super::layer::{Layer, Translation, axes, axis, known, one, size};
use super::net::Slot;
use crate::graph::{Constant, Op, Pad, Slice, Split, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Most parts of a repetition; longer ones are refused.
const REPEATS: usize = 64;

fn broken<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(damaged(what)))
}

/// A slot in another shape with the same number of elements.
pub(super) fn reshaped(l: &mut Layer<'_>, slot: &Slot, shape: &[usize]) -> Translation {
    match slot {
        Slot::Known(x) if x.elements.len() == shape.iter().product::<usize>() => known(x.reshaped(shape)),
        Slot::Known(x) => broken(format!("from shape {:?} to {shape:?}", x.shape)),
        _ => {
            let x = l.net.value(slot)?;
            one(l.net.b.reshape(&l.name, x, shape)?)
        }
    }
}

/// A part of a slot; it must lie inside.
fn sliced(
    l: &mut Layer<'_>,
    name: &str,
    slot: &Slot,
    begin: Vec<usize>,
    size: Vec<usize>,
    stride: Vec<isize>,
) -> Result<Slot, Refusal> {
    match slot {
        Slot::Known(x) => {
            l.affordable(&size)?;
            Ok(Slot::Known(x.sliced(&begin, &size, &stride).into()))
        }
        _ if size.contains(&0) => unsupported("its result is empty"),
        _ => {
            let x = l.net.value(slot)?;
            Ok(Slot::Computed(l.net.b.op(name, Op::Slice(Slice { begin, size, stride }), &[x])?))
        }
    }
}

/// The element at `index` of a dimension, which is removed.
pub(super) fn element(l: &mut Layer<'_>, slot: &Slot, axis: usize, index: usize) -> Result<Slot, Refusal> {
    let mut shape = l.net.shape(slot);
    let (mut begin, stride) = (vec![0; shape.len()], vec![1; shape.len()]);
    begin[axis] = index;
    shape[axis] = 1;
    let name = l.part("slice");
    let part = sliced(l, &name, slot, begin, shape.clone(), stride)?;
    shape.remove(axis);
    Ok(reshaped(l, &part, &shape)?.pop().unwrap_or(Slot::Unknown))
}

/// Dropout; it has no effect at inference.
pub(super) fn dropout(l: &mut Layer<'_>) -> Translation {
    let none = match l.known(1) {
        Some(ratio) => ratio.scalar() == Some(0.0),
        None => l.has("ratio") && l.float("ratio", 0.5) == 0.0,
    };
    let training = match l.is_given(2) {
        true => l.require(2, "training mode")?.scalar() != Some(0.0),
        false => l.opset() < 7 && l.has("is_test") && l.int("is_test", 0) == 0,
    };
    if training && !none {
        return unsupported("it is in training mode; export the model for inference");
    }
    if l.is_used(1) {
        return unsupported("its mask is read");
    }
    if !none {
        l.assume_inference();
    }
    identity(l)
}

/// Identity.
pub(super) fn identity(l: &mut Layer<'_>) -> Translation {
    let mut results = vec![l.slot(0)?];
    results.resize(l.node.output.len().max(1), Slot::Unknown);
    Ok(results)
}

/// Constant, in all its forms.
pub(super) fn constant(l: &mut Layer<'_>) -> Translation {
    if let Some(tensor) = l.tensor("value")? {
        return known(tensor);
    }
    let name = l.name.clone();
    let list = |elements: Constant| Known::new(name.clone(), vec![elements.len()], elements);
    let scalar = |elements: Constant| Known::new(name.clone(), Vec::new(), elements);
    known(if l.has("value_float") {
        scalar(Constant::F32(vec![l.float("value_float", 0.0)]))
    } else if l.has("value_int") {
        scalar(Constant::I64(vec![l.int("value_int", 0)]))
    } else if let Some(floats) = l.float_list("value_floats") {
        list(Constant::F32(floats))
    } else if let Some(ints) = l.int_list("value_ints") {
        list(Constant::I64(ints))
    } else if l.has("value_string") || l.has("value_strings") {
        return Ok(vec![Slot::Cut]);
    } else {
        return unsupported("a sparse constant");
    })
}

/// ConstantOfShape: one value in a known shape.
pub(super) fn constant_of_shape(l: &mut Layer<'_>) -> Translation {
    let shape = lengths(&l.ints(0, "shape")?)?;
    l.affordable(&shape)?;
    let value = match l.tensor("value")? {
        Some(value) if value.elements.len() == 1 => value.reshaped(&[]),
        Some(value) => return broken(format!("a value of {} elements", value.elements.len())),
        None => Known::new(l.name.clone(), Vec::new(), Constant::F32(vec![0.0])),
    };
    known(value.broadcast(&shape))
}

/// Sizes, none of which may be negative.
fn lengths(list: &[i64]) -> Result<Vec<usize>, Refusal> {
    list.iter().map(|&x| size(x, "size")).collect()
}

/// Shape: of all dimensions, or of `start..end`.
pub(super) fn shape(l: &mut Layer<'_>) -> Translation {
    let shape: Vec<i64> = l.shape(0)?.iter().map(|&d| d as i64).collect();
    let rank = shape.len() as i64;
    let place = |x: i64| (if x < 0 { x.saturating_add(rank) } else { x }).clamp(0, rank) as usize;
    let (start, end) = (place(l.int("start", 0)), place(l.int("end", rank)));
    let part = shape.get(start..end).unwrap_or_default().to_vec();
    known(Known::ints(&l.name, part))
}

/// Size: the number of elements.
pub(super) fn size_of(l: &mut Layer<'_>) -> Translation {
    let count: usize = l.shape(0)?.iter().product();
    known(Known::new(l.name.clone(), Vec::new(), Constant::I64(vec![count as i64])))
}

/// Range of known numbers.
pub(super) fn range(l: &mut Layer<'_>) -> Translation {
    let (start, limit, delta) = (l.require(0, "start")?, l.require(1, "limit")?, l.require(2, "delta")?);
    let [Some(a), Some(b), Some(d)] = [&start, &limit, &delta].map(|k| k.scalar().map(f64::from)) else {
        return broken("its operands are not scalars");
    };
    let count = ((b - a) / d).ceil().max(0.0);
    if !count.is_finite() || count > super::known::LARGEST as f64 {
        return unsupported(format!("a range of {count} numbers"));
    }
    let count = count as usize;
    l.affordable(&[count])?;
    let elements = match (start.to_ints(), delta.to_ints()) {
        (Some(a), Some(d)) => {
            Constant::I64((0..count as i64).map(|i| a[0].wrapping_add(i.wrapping_mul(d[0]))).collect())
        }
        _ => Constant::F32((0..count).map(|i| (a + i as f64 * d) as f32).collect()),
    };
    known(Known::new(l.name.clone(), vec![count], elements))
}

/// Reshape to a known shape. 0 keeps a dimension, and -1 gets the elements that remain.
pub(super) fn reshape(l: &mut Layer<'_>) -> Translation {
    let (slot, old) = (l.slot(0)?, l.shape(0)?);
    let wanted = match l.int_list("shape") {
        Some(shape) => shape,
        None => l.ints(1, "shape")?,
    };
    let keeps = l.int("allowzero", 0) == 0;
    let total: usize = old.iter().product();
    let (mut shape, mut open) = (Vec::with_capacity(wanted.len()), None);
    for (d, &x) in wanted.iter().enumerate() {
        shape.push(match x {
            0 if keeps => match old.get(d) {
                Some(&size) => size,
                None => return broken(format!("shape {wanted:?} for an input of shape {old:?}")),
            },
            -1 if open.replace(d).is_none() => 1,
            x => size(x, "size")?,
        });
    }
    if let Some(open) = open {
        let rest = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(0);
        if rest == 0 || !total.is_multiple_of(rest) {
            return broken(format!("shape {wanted:?} for an input of shape {old:?}"));
        }
        shape[open] = total / rest;
    }
    reshaped(l, &slot, &shape)
}

/// Flatten: a matrix whose columns begin at `axis`.
pub(super) fn flatten(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    let rank = shape.len();
    let place = match l.int("axis", 1) {
        x if x == rank as i64 => rank,
        x => axis(x, rank)?,
    };
    let (rows, columns) = shape.split_at(place);
    reshaped(l, &slot, &[rows.iter().product(), columns.iter().product()])
}

/// Squeeze: removes dimensions of size 1.
pub(super) fn squeeze(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    let gone = match l.ints_of("axes", 1)? {
        Some(list) => axes(&list, shape.len())?,
        None => (0..shape.len()).filter(|&d| shape[d] == 1).collect(),
    };
    if gone.iter().any(|&d| shape[d] != 1) {
        return broken(format!("dimensions {gone:?} of shape {shape:?} are not all of size 1"));
    }
    let left: Vec<usize> = (0..shape.len()).filter(|d| !gone.contains(d)).map(|d| shape[d]).collect();
    reshaped(l, &slot, &left)
}

/// Unsqueeze: inserts dimensions of size 1 at positions in the result.
pub(super) fn unsqueeze(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    let Some(list) = l.ints_of("axes", 1)? else { return broken("its axes are missing") };
    let rank = shape.len() + list.len();
    let new = axes(&list, rank)?;
    if new.len() != list.len() {
        return broken(format!("axes {list:?}"));
    }
    let mut old = shape.iter().copied();
    let wide: Vec<usize> =
        (0..rank).map(|d| if new.contains(&d) { 1 } else { old.next().unwrap_or(1) }).collect();
    reshaped(l, &slot, &wide)
}

/// Transpose. Without a permutation, the order of the dimensions is reversed.
pub(super) fn transpose(l: &mut Layer<'_>) -> Translation {
    let (slot, rank) = (l.slot(0)?, l.shape(0)?.len());
    let permutation = match l.int_list("perm") {
        Some(list) => list.iter().map(|&x| axis(x, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return broken(format!("permutation {permutation:?} of {rank} dimensions"));
    }
    match &slot {
        Slot::Known(x) => {
            let x = x.clone();
            l.affordable(&x.shape)?;
            known(x.transposed(&permutation))
        }
        _ => {
            let x = l.net.value(&slot)?;
            one(l.net.b.transpose(&l.name, x, &permutation)?)
        }
    }
}

/// Concat along an axis.
pub(super) fn concat(l: &mut Layer<'_>) -> Translation {
    let mut slots = Vec::with_capacity(l.inputs.len());
    for position in 0..l.inputs.len() {
        slots.push(l.slot(position)?);
    }
    let shapes: Vec<Vec<usize>> = slots.iter().map(|s| l.net.shape(s)).collect();
    let Some(first) = shapes.first() else { return broken("no operands") };
    let axis = axis(l.int("axis", 1), first.len())?;
    let fits = |shape: &Vec<usize>| {
        shape.len() == first.len() && (0..first.len()).all(|d| d == axis || shape[d] == first[d])
    };
    if !shapes.iter().all(fits) {
        return broken(format!("operands of shapes {shapes:?} along axis {axis}"));
    }
    let parts: Vec<&Known> =
        slots.iter().filter_map(|s| if let Slot::Known(k) = s { Some(&**k) } else { None }).collect();
    if parts.len() == slots.len() {
        for shape in &shapes {
            l.affordable(shape)?;
        }
        if let Some(result) = Known::concatenated(&parts, axis) {
            return known(result);
        }
    }
    let mut ids = Vec::with_capacity(slots.len());
    for slot in &slots {
        ids.push(l.net.value(slot)?);
    }
    one(l.net.b.concat(&l.name, &ids, axis)?)
}

/// Split into parts of given or equal sizes.
pub(super) fn split(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    let axis = axis(l.int("axis", 0), shape.len())?;
    let total = shape[axis];
    let sizes = match l.ints_of("split", 1)? {
        Some(list) => lengths(&list)?,
        None => {
            let parts = l.node.output.len().max(1);
            let each = total.div_ceil(parts);
            (0..parts).map(|i| each.min(total.saturating_sub(i * each))).collect()
        }
    };
    if sizes.iter().sum::<usize>() != total || sizes.len() != l.node.output.len() || sizes.contains(&0) {
        return broken(format!("parts of {sizes:?} of {total} elements for {} results", l.node.output.len()));
    }
    let part = |size: usize| {
        let mut part = shape.clone();
        part[axis] = size;
        part
    };
    match &slot {
        Slot::Known(x) => {
            let (mut from, mut results) = (0, Vec::new());
            for size in sizes {
                let mut begin = vec![0; shape.len()];
                begin[axis] = from;
                results.push(Slot::Known(x.sliced(&begin, &part(size), &vec![1; shape.len()]).into()));
                from += size;
            }
            Ok(results)
        }
        _ if sizes.len() == 1 => Ok(vec![slot]),
        _ => {
            let x = l.net.value(&slot)?;
            let parts = sizes.into_iter().map(part).collect();
            let ids = l.net.b.op_many(&l.name, Op::Split(Split { axis }), vec![Some(x)], parts)?;
            Ok(ids.into_iter().map(Slot::Computed).collect())
        }
    }
}

/// Slice: starts, ends, axes and steps as attributes (before operator set 10) or operands.
pub(super) fn slice(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    let starts = l.ints_of("starts", 1)?.unwrap_or_default();
    let ends = l.ints_of("ends", 2)?.unwrap_or_default();
    let list = l.ints_of("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = l.optional_ints(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), list.len(), steps.len()] != [starts.len(); 3] {
        return broken("starts, ends, axes and steps of different lengths");
    }
    let (mut begin, mut size, mut stride) = (vec![0; shape.len()], shape.clone(), vec![1isize; shape.len()]);
    for (((&start, &end), &place), &step) in starts.iter().zip(&ends).zip(&list).zip(&steps) {
        let d = axis(place, shape.len())?;
        let n = shape[d] as i64;
        let from_end = |x: i64| if x < 0 { x.saturating_add(n) } else { x };
        let (from, count) = match step {
            0 => return broken("a step of zero"),
            1.. => {
                let (from, to) = (from_end(start).clamp(0, n), from_end(end).clamp(0, n));
                (from, (to - from).max(0).saturating_add(step - 1) / step)
            }
            _ => {
                let (from, to) = (from_end(start).clamp(-1, n - 1), from_end(end).clamp(-1, n - 1));
                let back = step.checked_neg().unwrap_or(i64::MAX);
                (from, (from - to).max(0).saturating_add(back - 1) / back)
            }
        };
        begin[d] = if count == 0 { 0 } else { usize::try_from(from).unwrap_or(0) };
        size[d] = usize::try_from(count).unwrap_or(0);
        // A single element needs no step.
        stride[d] = if count <= 1 { 1 } else { isize::try_from(step).unwrap_or(1) };
    }
    let name = l.name.clone();
    Ok(vec![sliced(l, &name, &slot, begin, size, stride)?])
}

/// Expand: a tensor repeated along dimensions of size 1.
pub(super) fn expand(l: &mut Layer<'_>) -> Translation {
    let (slot, old) = (l.slot(0)?, l.shape(0)?);
    let wanted = lengths(&l.ints(1, "shape")?)?;
    let Some(shape) = crate::reference::broadcast_shape(&old, &wanted) else {
        return broken(format!("from shape {old:?} to {wanted:?}"));
    };
    if let Slot::Known(x) = &slot {
        let x = x.clone();
        l.affordable(&shape)?;
        return known(x.broadcast(&shape));
    }
    let lead = shape.len() - old.len();
    let wide = [vec![1; lead], old].concat();
    let repeats: Vec<usize> = wide.iter().zip(&shape).map(|(&a, &b)| if a == b { 1 } else { b }).collect();
    let x = l.net.value(&slot)?;
    let name = l.part("wide");
    let x = l.net.b.reshape(&name, x, &wide)?;
    one(repeated(l, x, &repeats)?)
}

/// Tile: a tensor repeated as a whole along dimensions.
pub(super) fn tile(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    let mut repeats = lengths(&l.ints(1, "repeats")?)?;
    // Before operator set 6, the operands are one number, and the axis that it applies to.
    if l.opset() < 6 && l.is_given(2) {
        let place = l.ints(2, "axis")?.first().copied().unwrap_or(0);
        let (count, place) = (repeats.first().copied().unwrap_or(1), axis(place, shape.len())?);
        repeats = (0..shape.len()).map(|d| if d == place { count } else { 1 }).collect();
    }
    if repeats.len() != shape.len() || repeats.contains(&0) {
        return broken(format!("repeats {repeats:?} for a tensor of shape {shape:?}"));
    }
    if let Slot::Known(x) = &slot {
        let x = x.clone();
        let result: Vec<usize> = shape.iter().zip(&repeats).map(|(a, b)| a.saturating_mul(*b)).collect();
        l.affordable(&result)?;
        return known(x.tiled(&repeats));
    }
    let x = l.net.value(&slot)?;
    one(repeated(l, x, &repeats)?)
}

/// Repeats a value `repeats` times along each dimension.
fn repeated(l: &mut Layer<'_>, mut x: ValueId, repeats: &[usize]) -> Result<ValueId, Refusal> {
    let last = repeats.iter().rposition(|&n| n > 1);
    for (axis, &count) in repeats.iter().enumerate().filter(|(_, n)| **n > 1) {
        if count > REPEATS {
            return unsupported(format!("it repeats its input {count} times; up to {REPEATS} are supported"));
        }
        let name = if Some(axis) == last { l.name.clone() } else { l.part(&format!("repeat_{axis}")) };
        x = l.net.b.concat(&name, &vec![x; count], axis)?;
    }
    Ok(x)
}

/// Pad with a constant, by reflection, or with the elements at the border. Negative amounts crop.
pub(super) fn pad(l: &mut Layer<'_>) -> Translation {
    let (slot, shape) = (l.slot(0)?, l.shape(0)?);
    // The first operator set has another name for it.
    let pads = match l.int_list("paddings") {
        Some(list) => Some(list),
        None => l.ints_of("pads", 1)?,
    };
    let Some(pads) = pads else { return broken("its pads are missing") };
    let places = match l.optional_ints(3, "axes")? {
        Some(list) => list.iter().map(|&x| axis(x, shape.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * places.len() {
        return broken(format!("pads of {} numbers for {} dimensions", pads.len(), places.len()));
    }
    let mut amounts = vec![(0i64, 0i64); shape.len()];
    for (i, &d) in places.iter().enumerate() {
        amounts[d] = (pads[i], pads[places.len() + i]);
        size(pads[i].max(0), "padding")?;
        size(pads[places.len() + i].max(0), "padding")?;
    }
    let mut x = l.net.value(&slot)?;
    // Crop first.
    if amounts.iter().any(|&(a, b)| a < 0 || b < 0) {
        let cut = |x: i64| x.min(0).unsigned_abs() as usize;
        let begin: Vec<usize> = amounts.iter().map(|&(a, _)| cut(a)).collect();
        let sizes =
            shape.iter().zip(&amounts).map(|(&n, &(a, b))| n.saturating_sub(cut(a)).saturating_sub(cut(b)));
        let sizes: Vec<usize> = sizes.collect();
        if sizes.contains(&0) {
            return broken(format!("pads {pads:?} leave nothing of shape {shape:?}"));
        }
        let name = l.part("cut");
        x = l.net.b.op(&name, Op::Slice(Slice { begin, size: sizes, stride: vec![1; shape.len()] }), &[x])?;
    }
    let amounts: Vec<(usize, usize)> =
        amounts.iter().map(|&(a, b)| (a.max(0) as usize, b.max(0) as usize)).collect();
    let mode = l.text("mode", "constant");
    match mode.as_str() {
        "constant" => {
            let mut value = l.float("value", 0.0);
            if l.is_given(2) {
                value = l.require(2, "value")?.scalar().unwrap_or(0.0);
            }
            let value = if value == 0.0 { None } else { Some(f64::from(value)) };
            one(l.net.b.op(&l.name, Op::Pad(Pad { amounts, value }), &[x])?)
        }
        "reflect" | "edge" => {
            for (axis, (before, after)) in amounts.into_iter().enumerate().filter(|(_, a)| *a != (0, 0)) {
                x = mirrored(l, x, axis, before, after, mode == "reflect")?;
            }
            Ok(vec![Slot::Computed(x)])
        }
        mode => unsupported(format!("mode {mode}; supported are constant, reflect and edge")),
    }
}

/// A dimension extended by its mirror image (without the border element) or by its border element.
fn mirrored(
    l: &mut Layer<'_>,
    x: ValueId,
    axis: usize,
    before: usize,
    after: usize,
    reflect: bool,
) -> Result<ValueId, Refusal> {
    let shape = l.net.b.shape(x).to_vec();
    let n = shape[axis];
    if reflect && (before >= n || after >= n) {
        return broken(format!("a reflection of {before} and {after} elements of {n}"));
    }
    if !reflect && before.max(after) > REPEATS {
        return unsupported(format!("a border of {} elements", before.max(after)));
    }
    let mut parts = Vec::new();
    let part = |l: &mut Layer<'_>, from: usize, count: usize, step: isize| -> Result<ValueId, Refusal> {
        let (mut begin, mut size, mut stride) = (vec![0; shape.len()], shape.clone(), vec![1; shape.len()]);
        (begin[axis], size[axis]) = (from, count);
        stride[axis] = if count > 1 { step } else { 1 };
        let name = l.part(&format!("border_{axis}_{from}_{count}"));
        Ok(l.net.b.op(&name, Op::Slice(Slice { begin, size, stride }), &[x])?)
    };
    if before > 0 {
        if reflect {
            parts.push(part(l, before, before, -1)?);
        } else {
            let border = part(l, 0, 1, 1)?;
            parts.extend(vec![border; before]);
        }
    }
    parts.push(x);
    if after > 0 {
        if reflect {
            parts.push(part(l, n - 2, after, -1)?);
        } else {
            let border = part(l, n - 1, 1, 1)?;
            parts.extend(vec![border; after]);
        }
    }
    let name = l.part(&format!("axis_{axis}"));
    Ok(l.net.b.concat(&name, &parts, axis)?)
}

/// DepthToSpace: blocks of channels become blocks of pixels.
pub(super) fn depth_to_space(l: &mut Layer<'_>) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let block = size(l.int("blocksize", 0), "blocksize")?;
    let &[n, c, h, w] = shape.as_slice() else { return broken(format!("an input of shape {shape:?}")) };
    let Some(depth) = c.checked_div(block * block).filter(|d| d * block * block == c && *d > 0) else {
        return broken(format!("blocks of {block} for {c} channels"));
    };
    let (split, permutation) = match l.text("mode", "DCR").as_str() {
        "DCR" => ([n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3]),
        mode => return unsupported(format!("mode {mode}")),
    };
    one(rearranged(l, x, &split, &permutation, &[n, depth, h * block, w * block])?)
}

/// SpaceToDepth, the inverse.
pub(super) fn space_to_depth(l: &mut Layer<'_>) -> Translation {
    let (x, shape) = (l.value(0)?, l.shape(0)?);
    let block = size(l.int("blocksize", 0), "blocksize")?;
    let &[n, c, h, w] = shape.as_slice() else { return broken(format!("an input of shape {shape:?}")) };
    if block == 0 || h % block != 0 || w % block != 0 {
        return broken(format!("blocks of {block} in an image of {h}x{w}"));
    }
    let split = [n, c, h / block, block, w / block, block];
    let permutation = match l.text("mode", "DCR").as_str() {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        mode => return unsupported(format!("mode {mode}")),
    };
    one(rearranged(l, x, &split, &permutation, &[n, c * block * block, h / block, w / block])?)
}

/// Reshape, transpose, reshape.
fn rearranged(
    l: &mut Layer<'_>,
    x: ValueId,
    split: &[usize],
    permutation: &[usize],
    shape: &[usize],
) -> Result<ValueId, Refusal> {
    let [blocks, turned] = ["blocks", "transpose"].map(|word| l.part(word));
    let x = l.net.b.reshape(&blocks, x, split)?;
    let x = l.net.b.transpose(&turned, x, permutation)?;
    Ok(l.net.b.reshape(&l.name, x, shape)?)
}
