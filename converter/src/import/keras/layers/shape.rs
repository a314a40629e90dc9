//! Layers that move data: Flatten, Reshape, Permute, RepeatVector, Embedding; and TimeDistributed, which
//! turns steps into a batch.

use super::context::{Context, one};
use super::operands::whole;
use crate::graph::{DType, Gather, Op, ResizeNearest, ValueId};
use crate::import::keras::calls::{Arg, Call};
use crate::import::keras::run::Translation;
use crate::import::refusal::unsupported;

/// Flatten: merges all dimensions except the batch.
pub fn flatten(context: &mut Context) -> Translation {
    let mut x = context.input()?;
    if context.config().channels_first()? && context.shape(x).len() > 2 {
        x = context.run.channels_last(context.name, x)?;
    }
    let shape = context.shape(x);
    let rest: usize = shape.iter().skip(1).product();
    let flat = [shape.first().copied().unwrap_or(1), rest];
    one(context.run.builder.reshape(context.name, x, &flat))
}

/// Reshape. One dimension of the new shape may be -1.
pub fn reshape(context: &mut Context) -> Translation {
    let x = context.input()?;
    let target = context.config().integers("target_shape")?.unwrap_or_default();
    let shape = context.shape(x);
    let batch = shape.first().copied().unwrap_or(1);
    let target = context.resolve(&target, shape.iter().skip(1).product())?;
    let target: Vec<usize> = std::iter::once(batch).chain(target).collect();
    one(context.run.builder.reshape(context.name, x, &target))
}

impl Context<'_, '_> {
    /// The shape with its -1 replaced, so that it has this number of elements.
    pub(super) fn resolve(&self, target: &[i64], elements: usize) -> crate::Result<Vec<usize>> {
        let wrong = || self.broken(format!("shape {target:?} for {elements} elements"));
        let known = target
            .iter()
            .filter(|&&d| d != -1)
            .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
            .filter(|&n| n > 0)
            .ok_or_else(wrong)?;
        let open = target.iter().filter(|&&d| d == -1).count();
        if open > 1 || !elements.is_multiple_of(known) || (open == 0 && known != elements) {
            return Err(wrong());
        }
        Ok(target.iter().map(|&d| usize::try_from(d).unwrap_or(elements / known)).collect())
    }
}

/// Permute: the dimensions in another order. The batch stays.
pub fn permute(context: &mut Context) -> Translation {
    let x = context.input()?;
    let rank = context.shape(x).len();
    let order = context.config().sizes_list("dims")?;
    let permutation: Vec<usize> = std::iter::once(0).chain(order).collect();
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(context.broken(format!("dims {permutation:?} of {rank} dimensions")).into());
    }
    one(context.run.builder.transpose(context.name, x, &permutation))
}

/// RepeatVector: repeats a vector once for each step.
pub fn repeat(context: &mut Context) -> Translation {
    let x = context.input()?;
    let &[batch, features] = context.shape(x).as_slice() else {
        return Err(context.broken(format!("an input of shape {:?}", context.shape(x))).into());
    };
    let steps = context.config().usize("n")?;
    let image = context.run.builder.reshape(&context.part("expand_dims"), x, &[batch, 1, 1, features])?;
    let op = Op::ResizeNearest(ResizeNearest { align_corners: false, half_pixel_centers: false });
    let shape = [batch, 1, steps, features];
    let y = context.run.builder.op_shaped(context.name, op, &[image], &shape)?;
    one(context.run.sequence(context.name, y))
}

/// Embedding: looks up rows of a table by number.
pub fn embedding(context: &mut Context) -> Translation {
    let x = context.input()?;
    if context.run.builder.graph().value(x).dtype == DType::Float32 {
        // In Keras, the input of an Embedding may be float, and is then rounded.
        if !context.run.builder.graph().inputs.contains(&x) {
            return unsupported("indices that are computed as real numbers");
        }
        let graph = context.run.builder.graph_mut();
        graph.value_mut(x).dtype = DType::Int32;
        // What a mask compares the indices with.
        let compared: Vec<ValueId> = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Compare(_)) && node.inputs.contains(&Some(x)))
            .flat_map(|node| node.inputs.iter().flatten().copied())
            .collect();
        compared.into_iter().for_each(|number| whole(graph, number, x));
        let input = context.run.builder.graph().value(x).name.clone();
        context.run.notes.push(format!("input `{input}` holds the indices of an embedding: it is int32"));
    }
    let (rows, columns) = (context.config().usize("input_dim")?, context.config().usize("output_dim")?);
    let table = context.variable("embeddings", &[rows, columns])?;
    one(context.run.builder.op(context.name, Op::Gather(Gather { axis: 0, batch_dims: 0 }), &[table, x]))
}

/// TimeDistributed: applies a layer to each step, by turning the steps into a batch.
pub fn time_distributed(context: &mut Context) -> Translation {
    let x = context.input()?;
    let Some((_, inner)) = context.layer.children.first() else {
        return Err(context.broken("it wraps no layer").into());
    };
    let shape = context.shape(x);
    let &[batch, steps, ref rest @ ..] = shape.as_slice() else {
        return Err(context.broken(format!("an input of shape {shape:?}")).into());
    };
    let call = |x| Call { args: vec![Arg::Tensor(x)], named: Vec::new() };
    // Dense works over the last dimension, whatever dimensions precede it.
    if inner.class == "Dense" {
        return context.run.call(inner, context.name, &call(x));
    }
    let merged: Vec<usize> = std::iter::once(batch * steps).chain(rest.iter().copied()).collect();
    let merged = context.run.builder.reshape(&context.part("steps"), x, &merged)?;
    let results = context.run.call(inner, &context.part(&inner.name), &call(merged))?;
    let mut apart = Vec::new();
    for y in results {
        let shape = context.shape(y);
        let shape: Vec<usize> = [batch, steps].into_iter().chain(shape.into_iter().skip(1)).collect();
        apart.push(context.run.builder.reshape(context.name, y, &shape)?);
    }
    Ok(apart)
}
