//! Gather and related operators. Of the related ones, only shape arithmetic is supported.

use super::layer::{Layer, Translation, axis, known, one};
use super::movement::element;
use super::net::Slot;
use crate::graph::{Constant, Gather, GatherNd, Op, Slice};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Gather: the elements at the indices along an axis. The dimensions of the indices replace the axis.
pub(super) fn gather(l: &mut Layer<'_>) -> Translation {
    let (data, shape) = (l.slot(0)?, l.shape(0)?);
    let place = axis(l.int("axis", 0), shape.len())?;
    let size = shape[place];
    let Some(indices) = l.known(1) else {
        // This is a look-up at run time, where indices count from zero.
        let (x, indices) = (l.net.value(&data)?, l.value(1)?);
        if !l.net.is_integer(&Slot::Computed(indices)) {
            return unsupported("indices that are not integers");
        }
        return one(l.net.b.op(&l.name, Op::Gather(Gather { axis: place, batch_dims: 0 }), &[x, indices])?);
    };
    let Some(ints) = indices.to_ints() else {
        return Err(Refusal::Broken(damaged("its indices are not integers")));
    };
    let mut list = Vec::with_capacity(ints.len());
    for index in ints {
        let found = if index < 0 { index.saturating_add(size as i64) } else { index };
        match usize::try_from(found).ok().filter(|&i| i < size) {
            Some(index) => list.push(index),
            None => return Err(Refusal::Broken(damaged(format!("index {index} of {size} elements")))),
        }
    }
    if let Slot::Known(x) = &data {
        let x = x.clone();
        let mut result = shape.clone();
        result[place] = list.len();
        l.affordable(&result)?;
        return known(x.gathered(place, &list, &indices.shape));
    }
    // One element, or a run of them, is a slice.
    if let (&[index], true) = (list.as_slice(), indices.shape.is_empty()) {
        return Ok(vec![element(l, &data, place, index)?]);
    }
    let x = l.net.value(&data)?;
    let step = match list.as_slice() {
        [a, b, ..] => *b as isize - *a as isize,
        _ => 1,
    };
    let even = step != 0 && list.windows(2).all(|w| w[1] as isize - w[0] as isize == step);
    if indices.shape.len() == 1 && even && !list.is_empty() {
        let (mut begin, mut sizes, mut stride) = (vec![0; shape.len()], shape.clone(), vec![1; shape.len()]);
        (begin[place], sizes[place], stride[place]) = (list[0], list.len(), step);
        return one(l.net.b.op(&l.name, Op::Slice(Slice { begin, size: sizes, stride }), &[x])?);
    }
    let elements = Constant::I32(list.into_iter().map(|i| i as i32).collect());
    let name = l.part("indices");
    let indices = l.net.b.constant(&name, &indices.shape, elements)?;
    one(l.net.b.op(&l.name, Op::Gather(Gather { axis: place, batch_dims: 0 }), &[x, indices])?)
}

/// GatherND: data, indices of several coordinates, of which negative ones are not looked up.
pub(super) fn gather_nd(l: &mut Layer<'_>) -> Translation {
    let batch_dims = usize::try_from(l.int("batch_dims", 0)).unwrap_or_default();
    let (data, indices) = (l.value(0)?, l.value(1)?);
    if !l.net.is_integer(&Slot::Computed(indices)) {
        return unsupported("indices that are not integers");
    }
    one(l.net.b.look_up(&l.name, Op::GatherNd(GatherNd { batch_dims }), data, indices)?)
}

/// OneHot: indices, depth, the numbers for off and on.
pub(super) fn one_hot(l: &mut Layer<'_>) -> Translation {
    let (indices, shape) = (l.value(0)?, l.shape(0)?);
    if !l.net.is_integer(&Slot::Computed(indices)) {
        return unsupported("indices that are not integers");
    }
    let depth = l.require(1, "depth")?.scalar().filter(|&depth| depth >= 1.0);
    let values = l.require(2, "values")?;
    let (Some(depth), &[off, on]) = (depth, values.to_floats().as_slice()) else {
        return Err(Refusal::Broken(damaged("its depth or its values are not numbers")));
    };
    let place = match l.int("axis", -1) {
        -1 => shape.len(),
        place => axis(place, shape.len() + 1)?,
    };
    let whole = values.to_ints().is_some();
    let number = |x: f32| if whole { Constant::I32(vec![x as i32]) } else { Constant::F32(vec![x]) };
    let [on_name, off_name] = ["on", "off"].map(|word| l.part(word));
    let on = l.net.b.constant(&on_name, &[], number(on))?;
    let off = l.net.b.constant(&off_name, &[], number(off))?;
    one(l.net.b.one_hot(&l.name, indices, (depth as usize, place), [on, off], true)?)
}
