//! Pooling, padding, cropping and resizing of images and sequences.

use super::context::{Context, one};
use super::masks;
use crate::error::Result;
use crate::graph::{Op, Pad, PoolKind, ReduceKind, ResizeBilinear, ResizeNearest, Slice, ValueId};
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

/// Maximum or average over windows.
pub fn pool<const N: usize>(context: &mut Context) -> Translation {
    let x = context.enter::<N>()?;
    let kernel = context.pair::<N>("pool_size", 2)?;
    let stride = match context.config().get("strides") {
        Some(_) => context.pair::<N>("strides", 1)?,
        None => kernel,
    };
    let window = context.window::<N>(x, kernel, stride)?;
    let maximum = context.layer.class.starts_with("Max");
    let kind = if maximum { PoolKind::Max } else { PoolKind::Average };
    let y = context.run.builder.pool(context.name, kind, x, window)?;
    one(context.leave::<N>(y))
}

/// Maximum or average over the whole image.
pub fn global(context: &mut Context) -> Translation {
    let x = context.input()?;
    let maximum = context.layer.class.starts_with("GlobalMax");
    let kind = if maximum { ReduceKind::Max } else { ReduceKind::Mean };
    let keep = context.config().bool_or("keepdims", false)?;
    let rank = context.shape(x).len();
    if rank != if context.layer.class.ends_with("1D") { 3 } else { 4 } {
        return Err(context.broken(format!("an input of shape {:?}", context.shape(x))).into());
    }
    let mask = if maximum || rank != 3 { None } else { masks::read(context, x)? };
    if let Some(mask) = mask {
        if context.config().channels_first()? {
            return unsupported("a mask with channels first");
        }
        return masks::mean(context, x, mask, keep);
    }
    let axes: Vec<usize> = if context.config().channels_first()? {
        if !keep {
            // The result is the same if the input is read with channels last.
            let last = context.run.channels_last(context.name, x)?;
            let axes: Vec<usize> = (1..rank - 1).collect();
            return one(context.run.builder.reduce(context.name, kind, last, &axes, false));
        }
        (2..rank).collect()
    } else {
        (1..rank - 1).collect()
    };
    one(context.run.builder.reduce(context.name, kind, x, &axes, keep))
}

/// ZeroPadding: adds zeros around the image.
pub fn pad<const N: usize>(context: &mut Context) -> Translation {
    let x = context.enter::<N>()?;
    let mut amounts = vec![(0, 0); 4];
    amounts[3 - N..3].copy_from_slice(&context.config().amounts::<N>("padding", 1)?);
    let y = context.run.builder.op(context.name, Op::Pad(Pad { amounts, value: None }), &[x])?;
    one(context.leave::<N>(y))
}

/// Cropping.
pub fn crop<const N: usize>(context: &mut Context) -> Translation {
    let x = context.enter::<N>()?;
    let amounts = context.config().amounts::<N>("cropping", if N == 1 { 1 } else { 0 })?;
    let (mut begin, mut size) = (vec![0; 4], context.shape(x));
    for (d, (before, after)) in (3 - N..3).zip(amounts) {
        let rest = before.checked_add(after).and_then(|cut| size[d].checked_sub(cut)).filter(|&n| n > 0);
        size[d] = rest.ok_or_else(|| context.broken(format!("it crops all of {:?}", context.shape(x))))?;
        begin[d] = before;
    }
    let y =
        context.run.builder.op(context.name, Op::Slice(Slice { begin, size, stride: vec![1; 4] }), &[x])?;
    one(context.leave::<N>(y))
}

/// UpSampling: enlarges by whole factors.
pub fn upsample<const N: usize>(context: &mut Context) -> Translation {
    let x = context.enter::<N>()?;
    let factors = context.pair::<N>("size", 2)?;
    let op = match context.config().str_or("interpolation", "nearest")? {
        "nearest" => Op::ResizeNearest(ResizeNearest { align_corners: false, half_pixel_centers: false }),
        "bilinear" => Op::ResizeBilinear(ResizeBilinear { align_corners: false, half_pixel_centers: true }),
        other => return unsupported(format!("interpolation `{other}`")),
    };
    let y = resize(context, op, x, factors)?;
    one(context.leave::<N>(y))
}

fn resize(context: &mut Context, op: Op, x: ValueId, factors: [usize; 2]) -> Result<ValueId> {
    let mut shape = context.shape(x);
    for (size, factor) in shape[1..3].iter_mut().zip(factors) {
        let larger = size.checked_mul(factor).filter(|&n| n > 0);
        *size = larger.ok_or_else(|| context.broken(format!("it makes {size} times {factor} pixels")))?;
    }
    context.run.builder.op_shaped(context.name, op, &[x], &shape)
}
