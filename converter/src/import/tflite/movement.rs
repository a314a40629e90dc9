//! Operators that move elements without computing with them. Their sizes, axes and permutations
//! come as constant tensors and leave as attributes.

use super::layer::{Layer, Reason, Translated, axis, options};
use super::windows::with_activation;
use crate::graph::{
    Concat, Constant, Gather, Op, Pack, Pad, ResizeBilinear, ResizeNearest, Split, Transpose, Unpack, Value,
};

/// PAD and PADV2: input, paddings `[rank, 2]`, and for PADV2 the value.
pub(super) fn pad(layer: &Layer<'_>, with_value: bool) -> Result<Translated, Reason> {
    let input = layer.input(0)?;
    let paddings = layer.integers(1, "paddings")?;
    if paddings.len() != 2 * input.shape.len() {
        return Err(format!("{} paddings for {} dimensions", paddings.len(), input.shape.len()));
    }
    let sizes = paddings.iter().map(|&p| usize::try_from(p)).collect::<Result<Vec<usize>, _>>();
    let sizes = sizes.map_err(|_| format!("negative paddings {paddings:?}"))?;
    let amounts: Vec<(usize, usize)> = sizes.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let padded = input.shape.iter().zip(&amounts).map(|(d, a)| d.checked_add(a.0)?.checked_add(a.1));
    let padded: Option<Vec<usize>> = padded.collect();
    layer.expect_output(&padded.ok_or("absurdly large paddings")?)?;
    let value = if with_value { Some(pad_value(layer.input(2)?, input)?) } else { None };
    Ok(Translated::new(Op::Pad(Pad { amounts, value }), &layer.inputs[..1]))
}

/// The element that PADV2 adds, in the representation of its input.
fn pad_value(value: &Value, input: &Value) -> Result<f64, Reason> {
    let Some(constant) = value.constant.as_ref().filter(|c| c.len() == 1 && c.dtype() == input.dtype) else {
        return Err("its padding value is not one constant of the input's type".into());
    };
    Ok(match constant {
        Constant::F32(v) => f64::from(v[0]),
        // Exact: the converter only takes 8-bit quantized tensors further.
        other => other.to_i64().map_or(0, |v| v[0]) as f64,
    })
}

/// CONCATENATION.
pub(super) fn concatenation(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_concatenation_options())?;
    let mut shape = layer.input(0)?.shape.clone();
    let axis = axis(o.axis().into(), shape.len())?;
    for position in 1..layer.inputs.len() {
        let other = &layer.input(position)?.shape;
        let fits = other.len() == shape.len() && (0..shape.len()).all(|d| d == axis || other[d] == shape[d]);
        if !fits {
            return Err(format!("shapes {shape:?} and {other:?} do not join along dimension {axis}"));
        }
        shape[axis] = shape[axis].saturating_add(other[axis]);
    }
    layer.expect_output(&shape)?;
    with_activation(layer, o.fused_activation_function(), |activation| {
        Op::Concat(Concat { axis, activation })
    })
}

/// GATHER: data, indices.
pub(super) fn gather(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let options = layer.operator.builtin_options_as_gather_options();
    let (at, batch_dims) = options.map_or((0, 0), |o| (o.axis(), o.batch_dims()));
    let (data, indices) = (&layer.input(0)?.shape, &layer.input(1)?.shape);
    let axis = axis(at.into(), data.len())?;
    // Negative numbers count from the indices' end.
    let from_end = if batch_dims < 0 { indices.len() as i64 } else { 0 };
    let batch_dims = usize::try_from(from_end + i64::from(batch_dims)).ok();
    let batch_dims = batch_dims.filter(|&n| n <= axis && n <= indices.len() && data[..n] == indices[..n]);
    let Some(batch_dims) = batch_dims else {
        return Err(format!("its batch dimensions do not fit data {data:?} and indices {indices:?}"));
    };
    let shape = [&data[..axis], &indices[batch_dims..], &data[axis + 1..]].concat();
    layer.expect_output(&shape)?;
    Ok(Translated::new(Op::Gather(Gather { axis, batch_dims }), layer.inputs))
}

/// SPLIT (axis, input) and SPLIT_V (input, sizes, axis): the results' shapes carry the sizes.
pub(super) fn split(layer: &Layer<'_>, data: usize, axis_operand: usize) -> Result<Translated, Reason> {
    let input = layer.input(data)?;
    let axis = axis(layer.integer(axis_operand, "axis")?, input.shape.len())?;
    let mut total = 0usize;
    for result in layer.results() {
        let same = |d: usize| d == axis || result.shape.get(d) == input.shape.get(d);
        if result.shape.len() != input.shape.len() || !(0..input.shape.len()).all(same) {
            return Err(format!("part {:?} of a tensor {:?}", result.shape, input.shape));
        }
        total = total.saturating_add(result.shape[axis]);
    }
    if total != input.shape[axis] {
        return Err(format!("parts of {total} elements of a dimension of {}", input.shape[axis]));
    }
    Ok(Translated::new(Op::Split(Split { axis }), &[layer.id(data)]))
}

/// TRANSPOSE: input, permutation.
pub(super) fn transpose(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let input = layer.input(0)?;
    let rank = input.shape.len();
    let permutation = layer.integers(1, "permutation")?;
    let permutation: Vec<usize> = permutation.iter().map(|&p| axis(p, rank)).collect::<Result<_, _>>()?;
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("permutation {permutation:?} of {rank} dimensions"));
    }
    let shape: Vec<usize> = permutation.iter().map(|&p| input.shape[p]).collect();
    layer.expect_output(&shape)?;
    Ok(Translated::new(Op::Transpose(Transpose { permutation }), &layer.inputs[..1]))
}

/// RESHAPE, SQUEEZE and EXPAND_DIMS. The result's own shape says everything, so a shape that is
/// computed at run time (from a batch size, say) does no harm.
pub(super) fn reshape(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let (input, output) = (layer.input(0)?, layer.output()?);
    if input.elements() != output.elements() {
        let shape = open_shape(layer, input.elements(), &output.shape);
        shape
            .and_then(|shape| layer.expect_output(&shape).ok())
            .ok_or_else(|| format!("shape {:?} becomes {:?}", input.shape, output.shape))?;
    }
    Ok(Translated::new(Op::Reshape, &layer.inputs[..1]))
}

/// The shape of so many elements, where the file leaves dimensions open: as the operand of RESHAPE says, or
/// what is left for the only one that is open.
fn open_shape(layer: &Layer<'_>, elements: usize, declared: &[usize]) -> Option<Vec<usize>> {
    let open = layer.open_dimensions();
    let listed = layer.integers(1, "shape").ok().filter(|listed| listed.len() == declared.len());
    let fixed = |(d, &size): (usize, &usize)| {
        let is_open = open.get(d).copied().unwrap_or(false);
        let said = listed.as_ref().and_then(|listed| usize::try_from(listed[d]).ok());
        if is_open { said } else { Some(size) }
    };
    let sizes: Vec<Option<usize>> = declared.iter().enumerate().map(fixed).collect();
    let rest = sizes.iter().flatten().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    if sizes.iter().filter(|size| size.is_none()).count() > 1 {
        return None;
    }
    let shape: Vec<usize> =
        sizes.iter().map(|size| size.or_else(|| elements.checked_div(rest))).collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    (count == Some(elements)).then_some(shape)
}

/// PACK: inputs of one shape, stacked along a new axis.
pub(super) fn pack(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_pack_options())?;
    let mut shape = layer.input(0)?.shape.clone();
    for position in 1..layer.inputs.len() {
        if layer.input(position)?.shape != shape {
            return Err("operands of different shapes".into());
        }
    }
    let axis = axis(o.axis().into(), shape.len() + 1)?;
    shape.insert(axis, layer.inputs.len());
    layer.expect_output(&shape)?;
    Ok(Translated::new(Op::Pack(Pack { axis }), layer.inputs))
}

/// UNPACK: one result for each index along an axis.
pub(super) fn unpack(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let o = options(layer.operator.builtin_options_as_unpack_options())?;
    let mut shape = layer.input(0)?.shape.clone();
    let axis = axis(o.axis().into(), shape.len())?;
    let count = shape.remove(axis);
    if count != layer.outputs.len() || layer.results().any(|result| result.shape != shape) {
        return Err(format!("{} results from a dimension of {count}", layer.outputs.len()));
    }
    Ok(Translated::new(Op::Unpack(Unpack { axis }), &layer.inputs[..1]))
}

/// EMBEDDING_LOOKUP: indices, table.
pub(super) fn embedding_lookup(layer: &Layer<'_>) -> Result<Translated, Reason> {
    let (indices, table) = (layer.input(0)?, layer.input(1)?);
    let rows = table.shape.get(1..).ok_or("a table without dimensions")?;
    layer.expect_output(&[&indices.shape, rows].concat())?;
    let op = Op::Gather(Gather { axis: 0, batch_dims: 0 });
    Ok(Translated::new(op, &[layer.id(1), layer.id(0)]))
}

/// RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: input, size `[height, width]`.
pub(super) fn resize(layer: &Layer<'_>, bilinear: bool) -> Result<Translated, Reason> {
    let input = super::layer::dims4(layer.input(0)?, "input")?;
    let size = layer.integers(1, "size")?;
    let size: Vec<usize> = size.iter().filter_map(|&s| usize::try_from(s).ok()).collect();
    let &[height, width] = size.as_slice() else {
        return Err("its size is not two positive numbers".into());
    };
    layer.expect_output(&[input[0], height, width, input[3]])?;
    let (align_corners, half_pixel_centers) = if bilinear {
        let o = options(layer.operator.builtin_options_as_resize_bilinear_options())?;
        (o.align_corners(), o.half_pixel_centers())
    } else {
        let o = options(layer.operator.builtin_options_as_resize_nearest_neighbor_options())?;
        (o.align_corners(), o.half_pixel_centers())
    };
    if align_corners && half_pixel_centers {
        return Err("align_corners and half_pixel_centers exclude each other".into());
    }
    let op = if bilinear {
        Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers })
    } else {
        Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers })
    };
    Ok(Translated::new(op, &layer.inputs[..1]))
}
