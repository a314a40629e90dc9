//! Blocks of pixels that change places.

use super::tensor::Spaced;
use crate::graph::{Op, Pad, ValueId};
use crate::import::build::Builder;
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Reshape, transpose, reshape.
pub(super) fn rearranged(
    builder: &mut Builder,
    name: &str,
    x: ValueId,
    apart: &[usize],
    order: &[usize],
    result: &[usize],
) -> Result<ValueId, Refusal> {
    let apart = builder.reshape(&format!("{name}/blocks"), x, apart)?;
    let turned = builder.transpose(&format!("{name}/turned"), apart, order)?;
    Ok(builder.reshape(name, turned, result)?)
}

/// The value of an image that SpaceToBatchND has taken apart, for who does not know of that.
pub(super) fn space_to_batch(builder: &mut Builder, spaced: &Spaced) -> Result<ValueId, Refusal> {
    let Spaced { mut value, block, paddings } = spaced.clone();
    let name = builder.graph().value(value).name.clone();
    if let Some(paddings) = paddings.filter(|paddings| paddings.iter().any(|&amounts| amounts != (0, 0))) {
        let mut amounts = vec![(0, 0)];
        amounts.extend(paddings);
        amounts.resize(builder.shape(value).len(), (0, 0));
        let op = Op::Pad(Pad { amounts, value: None });
        value = builder.op(&format!("{name}/padded"), op, &[value])?;
    }
    let shape = builder.shape(value).to_vec();
    let spatial = block.len();
    let fits = shape.len() > spatial && (0..spatial).all(|d| shape[d + 1].is_multiple_of(block[d]));
    if !fits {
        return Err(damaged(format!("blocks of {block:?} for shape {shape:?}")).into());
    }
    let rest = &shape[spatial + 1..];
    let (mut apart, mut result) = (vec![shape[0]], vec![shape[0] * block.iter().product::<usize>()]);
    for d in 0..spatial {
        apart.extend([shape[d + 1] / block[d], block[d]]);
        result.push(shape[d + 1] / block[d]);
    }
    apart.extend(rest);
    result.extend(rest);
    // The places within blocks first, then the batch.
    let mut order: Vec<usize> = (0..spatial).map(|d| 2 * d + 2).collect();
    order.push(0);
    order.extend((0..spatial).map(|d| 2 * d + 1));
    order.extend(2 * spatial + 1..apart.len());
    rearranged(builder, &format!("{name}/parts"), value, &apart, &order, &result)
}
