//! Operators whose elements go to places that the model knows: ScatterNd, TensorScatterUpdate, ReverseSequence, Roll,
//! DepthToSpace, SpaceToDepth, and SpaceToBatchND and BatchToSpaceND where no convolution stands between them.

use super::blocks::rearranged;
use super::evaluate::Evaluator;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation, axis};
use crate::graph::{Op, Slice, ValueId};
use crate::import::damaged::damaged;
use crate::import::places::{reversed, rows};
use crate::import::refusal::{Refusal, unsupported};

/// Adds the look-up of runs of some values.
fn pick(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    sources: &[ValueId],
    run: usize,
    picks: Vec<usize>,
    shape: &[usize],
) -> Translation {
    match picks.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>() {
        Ok(picks) => Ok(vec![Tensor::Value(e.builder.pick(&layer.name, sources, run, picks, shape)?)]),
        Err(_) => unsupported("it is too large"),
    }
}

/// ScatterNd (indices, updates, shape), into zeroes, and TensorScatterUpdate (data, indices, updates).
pub(super) fn scatter(e: &mut Evaluator<'_>, layer: &Layer<'_>, updates_data: bool) -> Translation {
    let (at, from) = if updates_data { (1, 2) } else { (0, 1) };
    let indices = layer.known(at, "indices")?.shape.clone();
    let places = layer.integers(at, "indices")?;
    let updates = e.value(layer.input(from)?)?;
    let shape = match updates_data {
        true => {
            let data = e.value(layer.input(0)?)?;
            e.builder.shape(data).to_vec()
        }
        false => {
            let shape = layer.integers(2, "shape")?;
            shape.iter().map(|&dim| usize::try_from(dim).unwrap_or_default()).collect()
        }
    };
    let Some((&coordinates, lead)) = indices.split_last().filter(|&(&n, _)| n > 0 && n <= shape.len()) else {
        return Err(damaged(format!("indices of shape {indices:?} into {shape:?}")).into());
    };
    if e.builder.shape(updates) != [lead, &shape[coordinates..]].concat() {
        return Err(damaged(format!("updates of shape {:?} into {shape:?}", e.builder.shape(updates))).into());
    }
    let (outer, run) = (&shape[..coordinates], shape[coordinates..].iter().product::<usize>());
    let found = rows(&places, outer, false)?;
    let count: usize = outer.iter().product();
    let mut picks: Vec<usize> = if updates_data { (0..count).collect() } else { vec![0; count] };
    // Zeroes are one run, before the updates.
    let first = if updates_data { count } else { 1 };
    let mut seen = vec![false; count];
    for (number, row) in found.into_iter().enumerate() {
        if std::mem::replace(&mut seen[row], true) {
            return unsupported("several updates of one place");
        }
        picks[row] = first + number;
    }
    let data = match updates_data {
        true => e.value(layer.input(0)?)?,
        false => e.builder.float(&format!("{}/zero", layer.name), &[run], vec![0.0; run])?,
    };
    pick(e, layer, &[data, updates], run, picks, &shape)
}

/// ReverseSequence: data, lengths.
pub(super) fn reverse_sequence(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let shape = e.builder.shape(x).to_vec();
    let time = axis(layer.node.int("seq_dim", 0), shape.len())?;
    let batch = axis(layer.node.int("batch_dim", 0), shape.len())?;
    let lengths = layer.integers(1, "lengths")?;
    if time == batch || lengths.len() != shape[batch] {
        return Err(damaged(format!("{} lengths for shape {shape:?}", lengths.len())).into());
    }
    let inner = time.max(batch) + 1;
    let picks = reversed(&shape[..inner], time, batch, &lengths);
    pick(e, layer, &[x], shape[inner..].iter().product(), picks, &shape)
}

/// Roll: data, shifts, axes; what leaves at one end enters at the other.
pub(super) fn roll(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let mut x = e.value(layer.input(0)?)?;
    let shape = e.builder.shape(x).to_vec();
    let (shifts, axes) = (layer.integers(1, "shifts")?, layer.integers(2, "axes")?);
    for (number, (shift, place)) in shifts.into_iter().zip(axes).enumerate() {
        let place = axis(place, shape.len())?;
        let size = shape[place];
        let by = shift.rem_euclid(size as i64) as usize;
        if by == 0 {
            continue;
        }
        let mut part = |word: &str, from: usize, count: usize| {
            let (mut begin, mut sizes) = (vec![0; shape.len()], shape.clone());
            (begin[place], sizes[place]) = (from, count);
            let op = Op::Slice(Slice { begin, size: sizes, stride: vec![1; shape.len()] });
            e.builder.op(&format!("{}/{word}_{number}", layer.name), op, &[x])
        };
        let (end, start) = (part("end", size - by, by)?, part("start", 0, size - by)?);
        x = e.builder.concat(&format!("{}/rolled_{number}", layer.name), &[end, start], place)?;
    }
    e.builder.name_last(&layer.name, x);
    Ok(vec![Tensor::Value(x)])
}

/// DepthToSpace, and SpaceToDepth, the inverse: blocks of channels are blocks of pixels.
pub(super) fn depth_and_space(e: &mut Evaluator<'_>, layer: &Layer<'_>, to_space: bool) -> Translation {
    if layer.node.text("data_format").is_some_and(|format| format.starts_with("NC")) {
        return unsupported("channels before pixels");
    }
    let x = e.value(layer.input(0)?)?;
    let block = usize::try_from(layer.node.int("block_size", 0)).unwrap_or_default();
    let fault = |shape: &[usize]| Refusal::from(damaged(format!("blocks of {block} for shape {shape:?}")));
    let shape = e.builder.shape(x).to_vec();
    let &[n, h, w, c] = &shape[..] else { return Err(fault(&shape)) };
    let (apart, order, result) = match to_space {
        true => {
            let depth = c.checked_div(block * block).filter(|depth| depth * block * block == c);
            let depth = depth.ok_or_else(|| fault(&shape))?;
            ([n, h, w, block, block, depth], [0, 1, 3, 2, 4, 5], [n, h * block, w * block, depth])
        }
        false => {
            if block == 0 || h % block != 0 || w % block != 0 {
                return Err(fault(&shape));
            }
            let (h, w) = (h / block, w / block);
            ([n, h, block, w, block, c], [0, 1, 3, 2, 4, 5], [n, h, w, block * block * c])
        }
    };
    Ok(vec![Tensor::Value(rearranged(&mut e.builder, &layer.name, x, &apart, &order, &result)?)])
}

/// BatchToSpaceND of any value: blocks and crops.
pub(super) fn batch_to_space(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    block: &[usize],
    crops: &[(usize, usize)],
) -> Translation {
    let x = e.value(layer.input(0)?)?;
    let shape = e.builder.shape(x).to_vec();
    let (spatial, parts) = (block.len(), block.iter().product::<usize>());
    if shape.len() <= spatial || parts == 0 || !shape[0].is_multiple_of(parts) {
        return Err(damaged(format!("blocks of {block:?} for shape {shape:?}")).into());
    }
    let batch = shape[0] / parts;
    let mut apart = block.to_vec();
    apart.push(batch);
    apart.extend(&shape[1..]);
    let (mut order, mut whole) = (vec![spatial], vec![batch]);
    for d in 0..spatial {
        order.extend([spatial + 1 + d, d]);
        whole.push(shape[d + 1] * block[d]);
    }
    order.extend(2 * spatial + 1..apart.len());
    whole.extend(&shape[spatial + 1..]);
    let name = format!("{}/whole", layer.name);
    let joined = rearranged(&mut e.builder, &name, x, &apart, &order, &whole)?;
    let mut begin = vec![0; whole.len()];
    let mut size = whole.clone();
    for (d, &(before, after)) in crops.iter().enumerate() {
        let left =
            before.checked_add(after).and_then(|n| whole[d + 1].checked_sub(n)).filter(|&left| left > 0);
        begin[d + 1] = before;
        size[d + 1] = left.ok_or_else(|| format!("crops of {crops:?} from the shape {whole:?}"))?;
    }
    let op = Op::Slice(Slice { begin, size, stride: vec![1; whole.len()] });
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[joined])?)])
}
