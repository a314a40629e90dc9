//! Slice, StridedSlice with its masks, and ReverseV2.

use super::arithmetic::axes_of;
use super::evaluate::Evaluator;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::{Op, Slice};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// A part of a tensor: for each dimension the first element, the number of elements and the step; and the
/// shape of the result, in which dimensions may be removed or added.
pub(super) struct View {
    pub begin: Vec<usize>,
    pub size: Vec<usize>,
    pub stride: Vec<isize>,
    pub shape: Vec<usize>,
}

/// The part that a node takes of a tensor of this shape.
pub(super) fn view(layer: &Layer<'_>, shape: &[usize]) -> Result<View, Refusal> {
    match layer.node.op.as_str() {
        "Slice" => plain(layer, shape),
        "ReverseV2" => reversed(layer, shape),
        _ => strided(layer, shape),
    }
}

fn plain(layer: &Layer<'_>, shape: &[usize]) -> Result<View, Refusal> {
    let (begin, size) = (layer.integers(1, "begin")?, layer.integers(2, "size")?);
    let wrong = || Refusal::Broken(damaged(format!("a slice at {begin:?} of size {size:?} of {shape:?}")));
    if begin.len() != shape.len() || size.len() != shape.len() {
        return Err(wrong());
    }
    let (mut begins, mut sizes) = (Vec::new(), Vec::new());
    for d in 0..shape.len() {
        let start = usize::try_from(begin[d]).ok().filter(|&b| b <= shape[d]).ok_or_else(wrong)?;
        let rest = shape[d] - start;
        let taken = if size[d] == -1 { Some(rest) } else { usize::try_from(size[d]).ok() };
        begins.push(start);
        sizes.push(taken.filter(|&n| n <= rest).ok_or_else(wrong)?);
    }
    Ok(View { begin: begins, shape: sizes.clone(), stride: vec![1; sizes.len()], size: sizes })
}

fn reversed(layer: &Layer<'_>, shape: &[usize]) -> Result<View, Refusal> {
    let axes = axes_of(layer.known(1, "axes")?, shape.len())?;
    let backwards = |d: usize| axes.contains(&d) && shape[d] > 0;
    Ok(View {
        begin: (0..shape.len()).map(|d| if backwards(d) { shape[d] - 1 } else { 0 }).collect(),
        size: shape.to_vec(),
        stride: (0..shape.len()).map(|d| if backwards(d) { -1 } else { 1 }).collect(),
        shape: shape.to_vec(),
    })
}

/// StridedSlice: each entry of begin, end and strides applies to one dimension of the input, except for a new
/// dimension, and for the ellipsis, which stands for all dimensions that remain.
fn strided(layer: &Layer<'_>, shape: &[usize]) -> Result<View, Refusal> {
    let [begin, end] = [layer.integers(1, "begin")?, layer.integers(2, "end")?];
    let strides = layer.integers(3, "strides")?;
    let mask = |name: &str| {
        let bits = layer.node.int(name, 0);
        move |i: usize| i < 64 && bits >> i & 1 == 1
    };
    let (begin_mask, end_mask) = (mask("begin_mask"), mask("end_mask"));
    let (ellipsis, new_axis, shrink) =
        (mask("ellipsis_mask"), mask("new_axis_mask"), mask("shrink_axis_mask"));
    if end.len() != begin.len() || strides.len() != begin.len() {
        return Err(damaged("begin, end and strides of different lengths").into());
    }
    let listed = (0..begin.len()).filter(|&i| !ellipsis(i) && !new_axis(i)).count();
    let mut view = View { begin: vec![], size: vec![], stride: vec![], shape: vec![] };
    let whole = |view: &mut View, until: usize| {
        while view.begin.len() < until.min(shape.len()) {
            let d = view.begin.len();
            view.begin.push(0);
            view.size.push(shape[d]);
            view.stride.push(1);
            view.shape.push(shape[d]);
        }
    };
    for i in 0..begin.len() {
        if ellipsis(i) {
            let until = view.begin.len() + shape.len().saturating_sub(listed);
            whole(&mut view, until);
            continue;
        }
        if new_axis(i) {
            view.shape.push(1);
            continue;
        }
        let Some(&size) = shape.get(view.begin.len()) else {
            return Err(damaged(format!("{listed} slices of {} dimensions", shape.len())).into());
        };
        let (n, step) = (size as i64, strides[i]);
        if shrink(i) {
            let at = axis(begin[i], size)?;
            view.begin.push(at);
            view.size.push(1);
            view.stride.push(1);
            continue;
        }
        if step == 0 {
            return Err(damaged("a stride of 0").into());
        }
        // The range in which begin and end may lie, forwards and backwards.
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |at: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(low, high);
        let first = if begin_mask(i) { if step > 0 { 0 } else { n - 1 } } else { place(begin[i]) };
        let last = if end_mask(i) { if step > 0 { n } else { -1 } } else { place(end[i]) };
        let span = if step > 0 { last - first } else { first - last };
        let taken = span.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
        let stride = isize::try_from(step).map_err(|_| "an absurd stride")?;
        view.begin.push(usize::try_from(first).unwrap_or(0));
        view.size.push(taken as usize);
        view.stride.push(stride);
        view.shape.push(taken as usize);
    }
    whole(&mut view, shape.len());
    Ok(view)
}

/// Slice, StridedSlice and ReverseV2 of a computed tensor.
pub(super) fn take(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let view = view(layer, e.builder.shape(x))?;
    let all = view.size == e.builder.shape(x) && view.stride.iter().all(|&s| s == 1);
    if all {
        return Ok(vec![Tensor::Value(e.builder.reshape(&layer.name, x, &view.shape)?)]);
    }
    if view.size.contains(&0) {
        return Err(format!("an empty slice of {:?}", e.builder.shape(x)).into());
    }
    let shape = view.size.clone();
    let slice = Op::Slice(Slice { begin: view.begin, size: view.size, stride: view.stride });
    if view.shape == shape {
        return Ok(vec![Tensor::Value(e.builder.op(&layer.name, slice, &[x])?)]);
    }
    let y = e.builder.op_shaped(&layer.name, slice, &[x], &view.shape)?;
    Ok(vec![Tensor::Value(y)])
}
