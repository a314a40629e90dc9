//! MaxPool, AveragePool and the global pools.

use super::layer::{Layer, Translation, one};
use super::net::Slot;
use crate::graph::{Op, Pad, Padding, PoolKind, ReduceKind, ValueId, Window};
use crate::import::refusal::{Refusal, unsupported};

/// MaxPool and AveragePool over one or two dimensions.
pub(super) fn pool(l: &mut Layer<'_>, kind: PoolKind) -> Translation {
    if l.is_used(1) {
        return unsupported("its second result, the places of the maxima, is read");
    }
    let x = l.value(0)?;
    let mut results = vec![Slot::Computed(pool_of(l, x, kind)?)];
    results.resize(l.node.output.len().max(1), Slot::Unknown);
    Ok(results)
}

/// The pool of a value with the layer's attributes.
pub(super) fn pool_of(l: &mut Layer<'_>, x: ValueId, kind: PoolKind) -> Result<ValueId, Refusal> {
    let rank = l.net.b.shape(x).len();
    let kernel: Option<Vec<usize>> =
        l.int_list("kernel_shape").unwrap_or_default().iter().map(|&k| usize::try_from(k).ok()).collect();
    let mut g = l.geometry(rank, &kernel.unwrap_or_default())?;
    if g.dilation != [1, 1] {
        return unsupported(format!("dilations {:?}", g.dilation));
    }
    let mut image = l.image_of(x)?;
    let window = l.window(image, &g);
    let beyond = match *l.net.b.shape(image) {
        [_, h, w, _] if l.int("ceil_mode", 0) == 1 => beyond([h, w], &window),
        _ => [0; 2],
    };
    let inside = l.int("count_include_pad", 0) == 1 && kind == PoolKind::Average;
    if inside && [window.pad_before, window.pad_after] != [[0; 2]; 2] {
        // Padding that counts is part of the image.
        let around = [0, 1].map(|d| (window.pad_before[d], window.pad_after[d]));
        let op = Op::Pad(Pad { amounts: vec![(0, 0), around[0], around[1], (0, 0)], value: None });
        let name = l.part("pad");
        image = l.net.b.op(&name, op, &[image])?;
        g.padding = [Padding::Valid; 2];
    }
    let mut window = l.window(image, &g);
    (0..2).for_each(|d| window.pad_after[d] += beyond[d]);
    let y = l.net.b.pool(&l.name, kind, image, window)?;
    l.as_in_file(y, rank)
}

/// What `ceil_mode` adds after the padding of an image; it never counts as part of the image. The last window
/// must begin inside of the image or of the padding before it, or it does not exist.
fn beyond(size: [usize; 2], window: &Window) -> [usize; 2] {
    [0, 1].map(|d| {
        let inside = size[d] + window.pad_before[d];
        let room = (inside + window.pad_after[d]).saturating_sub(window.kernel[d]);
        let mut last = room.div_ceil(window.stride[d]) * window.stride[d];
        if last >= inside {
            last = last.saturating_sub(window.stride[d]);
        }
        last.saturating_sub(room)
    })
}

/// Mean or maximum over all dimensions except batch and channels; the reduced dimensions keep size 1.
pub(super) fn global(l: &mut Layer<'_>, kind: ReduceKind) -> Translation {
    let x = l.value(0)?;
    one(global_of(l, x, kind)?)
}

/// The global pool of a value.
pub(super) fn global_of(l: &mut Layer<'_>, x: ValueId, kind: ReduceKind) -> Result<ValueId, Refusal> {
    let axes: Vec<usize> = (2..l.net.b.shape(x).len()).collect();
    Ok(l.net.b.reduce(&l.name, kind, x, &axes, true)?)
}
