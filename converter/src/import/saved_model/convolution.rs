//! Windows over images: convolutions and pooling, and the combination with SpaceToBatchND with which older
//! versions of TensorFlow express dilated ones.

use super::arithmetic::channels_first;
use super::evaluate::Evaluator;
use super::library::Attributes;
use super::movement;
use super::tensor::{Layer, Spaced, Tensor, Translation};
use crate::graph::{Conv2d, DepthwiseConv2d, Op, Padding, PoolKind, Slice, ValueId, Window};
use crate::import::refusal::Refusal;

/// A size of a window or a padding, small enough that sums and products of a few do not overflow.
fn amount(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|&v| v <= 1 << 20)
}

/// Height and width in an attribute that lists all four dimensions.
fn pair(layer: &Layer<'_>, name: &str) -> Result<[usize; 2], Refusal> {
    let list = match layer.node.ints(name) {
        Some(list) if !list.is_empty() => list.to_vec(),
        _ if name == "dilations" => vec![1; 4],
        _ => return Err(format!("no `{name}`").into()),
    };
    let sizes: Vec<usize> = list.iter().filter_map(|&v| amount(v).filter(|&v| v > 0)).collect();
    match (sizes.as_slice(), channels_first(layer)) {
        (&[1, h, w, 1], false) | (&[1, 1, h, w], true) => Ok([h, w]),
        _ => Err(format!("`{name}` of {list:?}").into()),
    }
}

fn paddings(layer: &Layer<'_>) -> Result<[Padding; 2], Refusal> {
    Ok(match layer.node.text("padding").unwrap_or_default() {
        "SAME" => [Padding::Same; 2],
        "VALID" => [Padding::Valid; 2],
        "EXPLICIT" => {
            let list = layer.node.ints("explicit_paddings").unwrap_or_default();
            let list: Vec<usize> = list.iter().filter_map(|&v| amount(v)).collect();
            match (list.as_slice(), channels_first(layer)) {
                (&[0, 0, t, b, l, r, 0, 0], false) | (&[0, 0, 0, 0, t, b, l, r], true) => {
                    [Padding::Explicit(t, b), Padding::Explicit(l, r)]
                }
                _ => return Err(format!("explicit paddings of {list:?}").into()),
            }
        }
        other => return Err(format!("padding `{other}`").into()),
    })
}

/// The image that a window moves over, and the effect of a SpaceToBatchND before it.
struct Image {
    value: ValueId,
    spaced: Option<Spaced>,
}

fn image(e: &mut Evaluator<'_>, layer: &Layer<'_>, tensor: &Tensor) -> Result<Image, Refusal> {
    let (value, spaced) = match tensor {
        Tensor::Spaced(spaced) if spaced.paddings.is_some() => (spaced.value, Some(spaced.clone())),
        other => (e.value(other)?, None),
    };
    if e.builder.shape(value).len() != 4 {
        return Err(format!("an image of shape {:?} instead of 4 dimensions", e.builder.shape(value)).into());
    }
    let value = if channels_first(layer) {
        e.builder.transpose(&format!("{}/to_nhwc", layer.name), value, &[0, 2, 3, 1])?
    } else {
        value
    };
    Ok(Image { value, spaced })
}

/// The geometry of a window with this kernel.
fn geometry(
    e: &Evaluator<'_>,
    layer: &Layer<'_>,
    image: &Image,
    kernel: [usize; 2],
) -> Result<Window, Refusal> {
    let &[_, height, width, _] = e.builder.shape(image.value) else { return Err("no image".into()) };
    let (stride, mut dilation, mut padding) =
        (pair(layer, "strides")?, pair(layer, "dilations")?, paddings(layer)?);
    if let Some(spaced) = &image.spaced {
        let (&[dh, dw], Some(&[ph, pw])) = (spaced.block.as_slice(), spaced.paddings.as_deref()) else {
            return Err("SpaceToBatchND over other dimensions than height and width".into());
        };
        if stride != [1, 1] || dilation != [1, 1] || padding != [Padding::Valid; 2] {
            return Err("strides, dilations or padding after SpaceToBatchND".into());
        }
        dilation = [dh, dw];
        padding = [Padding::Explicit(ph.0, ph.1), Padding::Explicit(pw.0, pw.1)];
    }
    Ok(Window::over([height, width], kernel, stride, dilation, padding))
}

/// The result of a layer over an image, in the author's layout, and still split by SpaceToBatchND if the
/// image was.
fn result(e: &mut Evaluator<'_>, layer: &Layer<'_>, image: &Image, y: ValueId) -> Translation {
    if let Some(spaced) = &image.spaced {
        return Ok(vec![Tensor::Spaced(Spaced { value: y, paddings: None, block: spaced.block.clone() })]);
    }
    let y = if channels_first(layer) {
        e.builder.name_last(&format!("{}/nhwc", layer.name), y);
        e.builder.transpose(&layer.name, y, &[0, 3, 1, 2])?
    } else {
        y
    };
    Ok(vec![Tensor::Value(y)])
}

/// The two spatial sizes of a TensorFlow filter, `[height, width, …]`.
fn filter_size(shape: &[usize]) -> Result<[usize; 2], Refusal> {
    match shape {
        &[h, w, _, _] => Ok([h, w]),
        other => Err(format!("a filter of shape {other:?} instead of 4 dimensions").into()),
    }
}

/// Conv2D: image, filter `[height, width, in / groups, out]`.
pub(super) fn conv_2d(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let filter = layer.known(1, "filter")?;
    let kernel = filter_size(&filter.shape)?;
    let image = image(e, layer, layer.input(0)?)?;
    let window = geometry(e, layer, &image, kernel)?;
    let filter = e.constant(filter, "filter", |f| f.transposed(&[3, 0, 1, 2]))?;
    let y = e.builder.conv2d(&layer.name, image.value, filter, None, window)?;
    result(e, layer, &image, y)
}

/// DepthwiseConv2dNative: image, filter `[height, width, in, multiplier]`.
pub(super) fn depthwise(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let filter = layer.known(1, "filter")?;
    let [h, w] = filter_size(&filter.shape)?;
    let channels = filter.shape[2] * filter.shape[3];
    let image = image(e, layer, layer.input(0)?)?;
    let window = geometry(e, layer, &image, [h, w])?;
    let filter = e.constant(filter, "depthwise filter", |f| f.reshaped(vec![1, h, w, channels]))?;
    let y = e.builder.depthwise_conv2d(&layer.name, image.value, filter, None, window)?;
    result(e, layer, &image, y)
}

/// Conv2DBackpropInput: size of the result, filter `[height, width, out, in]`, image. It is the gradient of a
/// convolution, which Keras calls Conv2DTranspose.
pub(super) fn transposed(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let filter = layer.known(1, "filter")?;
    let kernel = filter_size(&filter.shape)?;
    let sizes = layer.integers(0, "size")?;
    let first = channels_first(layer);
    let size = match (sizes.as_slice(), first) {
        (&[_, h, w, _], false) | (&[_, _, h, w], true) | (&[h, w], _) => [h, w],
        _ => return Err(format!("a size of {sizes:?}").into()),
    };
    let [Ok(height), Ok(width)] = size.map(|s| amount(s).ok_or(())) else {
        return Err(format!("a size of {sizes:?}").into());
    };
    let image = image(e, layer, layer.input(2)?)?;
    if image.spaced.is_some() {
        return Err("a transposed convolution after SpaceToBatchND".into());
    }
    let window = Window::over(
        [height, width],
        kernel,
        pair(layer, "strides")?,
        pair(layer, "dilations")?,
        paddings(layer)?,
    );
    let filter = e.constant(filter, "transposed filter", |f| f.transposed(&[2, 0, 1, 3]))?;
    let y = e.builder.transpose_conv(&layer.name, image.value, filter, None, window, [height, width])?;
    result(e, layer, &image, y)
}

/// MaxPool and AvgPool.
pub(super) fn pool(e: &mut Evaluator<'_>, layer: &Layer<'_>, kind: PoolKind) -> Translation {
    let kernel = pair(layer, "ksize")?;
    let image = image(e, layer, layer.input(0)?)?;
    if image.spaced.is_some() {
        return Err("pooling after SpaceToBatchND".into());
    }
    let window = geometry(e, layer, &image, kernel)?;
    let y = e.builder.pool(&layer.name, kind, image.value, window)?;
    result(e, layer, &image, y)
}

/// Block sizes, and amounts before and after.
type Blocks = (Vec<usize>, Vec<(usize, usize)>);

/// The blocks and the pairs of amounts of SpaceToBatchND and its inverse.
fn blocks(layer: &Layer<'_>) -> Result<Blocks, Refusal> {
    let positive = |v: Vec<i64>| v.into_iter().map(amount).collect::<Option<Vec<usize>>>();
    let block = positive(layer.integers(1, "block shape")?).filter(|b| !b.contains(&0));
    let amounts = positive(layer.integers(2, "amounts")?);
    match (block, amounts) {
        (Some(block), Some(amounts)) if amounts.len() == 2 * block.len() => {
            Ok((block, amounts.chunks_exact(2).map(|a| (a[0], a[1])).collect()))
        }
        _ => Err("blocks or amounts that are invalid".into()),
    }
}

/// SpaceToBatchND. It is recorded until the convolution after it shows which dilation is meant.
pub(super) fn space_to_batch(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let value = e.value(layer.input(0)?)?;
    let (block, paddings) = blocks(layer)?;
    Ok(vec![Tensor::Spaced(Spaced { value, block, paddings: Some(paddings) })])
}

/// Squeeze and ExpandDims of an image that SpaceToBatchND has split, for one dimension only, whose block size
/// is 1.
pub(super) fn reshape(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let Tensor::Spaced(spaced) = layer.input(0)? else { return Err("no image taken apart".into()) };
    let old = e.builder.shape(spaced.value).to_vec();
    let new = movement::new_shape(layer, &old)?;
    let value = e.builder.reshape(&layer.name, spaced.value, &new)?;
    let (mut block, mut paddings) = (spaced.block.clone(), spaced.paddings.clone());
    // A row becomes an image of height 1, or the reverse.
    match (old.len(), new.len()) {
        (3, 4) if new[1] == 1 && block.len() == 1 => {
            block.insert(0, 1);
            if let Some(paddings) = &mut paddings {
                paddings.insert(0, (0, 0));
            }
        }
        (4, 3)
            if old[1] == 1 && new[1] == old[2] && block.len() == 2 && block[0] == 1 && paddings.is_none() =>
        {
            block.remove(0);
        }
        _ => return Err(format!("an image taken apart of shape {old:?} becomes {new:?}").into()),
    }
    Ok(vec![Tensor::Spaced(Spaced { value, block, paddings })])
}

/// BatchToSpaceND after such a convolution. What it crops need not be padded.
pub(super) fn batch_to_space(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (own, crops) = blocks(layer)?;
    let Tensor::Spaced(Spaced { value, block, paddings: None }) = layer.input(0)? else {
        return super::places::batch_to_space(e, layer, &own, &crops);
    };
    if own != *block {
        return Err(format!("blocks of {own:?} put together of blocks of {block:?}").into());
    }
    let mut shape = e.builder.shape(*value).to_vec();
    if shape.len() < crops.len() + 1 {
        return Err("BatchToSpaceND over more dimensions than there are".into());
    }
    let mut begin = vec![0; shape.len()];
    for (d, &(before, after)) in crops.iter().enumerate() {
        let left = before.checked_add(after).and_then(|n| shape[d + 1].checked_sub(n)).filter(|&s| s > 0);
        begin[d + 1] = before;
        shape[d + 1] = left.ok_or_else(|| format!("crops of {crops:?} from the shape {shape:?}"))?;
    }
    if crops.iter().all(|&c| c == (0, 0)) || pad_less(e, *value, &crops, &shape).is_some() {
        return Ok(vec![Tensor::Value(*value)]);
    }
    let op = Op::Slice(Slice { begin, size: shape.clone(), stride: vec![1; shape.len()] });
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[*value])?)])
}

/// Reduces the padding after the image in the convolution that computes `value` (an image or a row), so that
/// elements that are cropped are not computed.
fn pad_less(e: &mut Evaluator<'_>, value: ValueId, crops: &[(usize, usize)], shape: &[usize]) -> Option<()> {
    if crops.iter().any(|&(before, _)| before > 0) {
        return None;
    }
    let graph = e.builder.graph_mut();
    let at = graph.nodes.iter().rposition(|node| node.outputs == [value])?;
    let (at, image, crop) = match (&graph.nodes[at].op, crops) {
        (Op::Reshape, &[(_, right)]) => {
            let source = graph.nodes[at].input(0)?;
            (graph.nodes.iter().rposition(|node| node.outputs == [source])?, source, [0, right])
        }
        (_, &[(_, bottom), (_, right)]) => (at, value, [bottom, right]),
        _ => return None,
    };
    let (Op::Conv2d(Conv2d { window, .. }) | Op::DepthwiseConv2d(DepthwiseConv2d { window, .. })) =
        &mut graph.nodes[at].op
    else {
        return None;
    };
    window.pad_after = [window.pad_after[0].checked_sub(crop[0])?, window.pad_after[1].checked_sub(crop[1])?];
    for (less, size) in crop.iter().zip(&mut graph.value_mut(image).shape[1..]) {
        *size -= less;
    }
    graph.value_mut(value).shape = shape.to_vec();
    Some(())
}
