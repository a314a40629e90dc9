//! Masks of sequences: how layers make them, pass them on and read them. [`masking`](super::super::masking) says which
//! layers do what.
//!
//! A mask is a value of truth values `[batch, steps]`: false where a step is left out. Sources: `compute_mask` of the
//! layers of Keras 3.15 (`layers/core/masking.py`, `layers/core/embedding.py`, `layers/merging`, `layers/rnn`), and of
//! TensorFlow 2.15 for models of Keras 2, where merging layers join masks by `and`.

use super::context::{Context, one};
use crate::error::Result;
use crate::graph::{BinaryKind, CompareKind, Constant, DType, LogicKind, Op, ReduceKind, ValueId};
use crate::import::keras::masking::Rule;
use crate::import::keras::run::{Mask, Translation};
use crate::import::refusal::{Refusal, unsupported};

/// Masking: steps whose features all are `mask_value` become zeros, and are left out by what reads the mask.
pub fn masking(context: &mut Context) -> Translation {
    let x = context.input()?;
    let shape = context.shape(x);
    if shape.len() < 2 {
        return Err(context.broken(format!("an input of shape {shape:?}")).into());
    }
    let truth = truth(context, x)?;
    let zero = context.part("zero");
    let zero = context.run.builder.float(&zero, &[1], vec![0.0])?;
    one(context.run.builder.select(context.name, truth, x, zero))
}

/// Truth values `[batch, steps, 1]`: which steps have a feature that is not `mask_value`.
fn truth(context: &mut Context, x: ValueId) -> Result<ValueId, Refusal> {
    let value = match context.config().get("mask_value") {
        None => 0.0,
        Some(value) => match value.as_f64() {
            Some(value) => value as f32,
            None => return unsupported("a `mask_value` that is no number"),
        },
    };
    let words = ["mask_value", "differs", "computed"].map(|word| context.part(word));
    let axis = context.shape(x).len() - 1;
    let builder = &mut context.run.builder;
    let value = builder.float(&words[0], &[1], vec![value])?;
    let differs = builder.compare(&words[1], CompareKind::NotEqual, x, value)?;
    Ok(builder.reduce(&words[2], ReduceKind::Max, differs, &[axis], true)?)
}

/// The mask that a call was given in so many words.
pub fn given(context: &Context, id: ValueId) -> Mask {
    let truth = context.run.builder.graph().value(id).dtype == DType::Bool;
    if truth && !context.run.unknown.contains(&id) { Mask::Known(id) } else { Mask::Unknown }
}

/// The mask of a layer's operand, where it reads one.
pub fn read(context: &mut Context, x: ValueId) -> Result<Option<ValueId>, Refusal> {
    let shape = context.shape(x);
    match context.mask {
        None => Ok(None),
        Some(Mask::Known(id)) if shape.get(..2) == Some(context.run.builder.shape(id)) => Ok(Some(id)),
        Some(Mask::Known(id)) => {
            let found = context.run.builder.shape(id).to_vec();
            unsupported(format!("a mask of shape {found:?} for an input of shape {shape:?}"))
        }
        Some(Mask::Unknown) => unsupported("its mask is computed by operations that are not known here"),
    }
}

/// The masks of a layer's results.
pub fn of_results(
    context: &mut Context,
    rule: Rule,
    masks: &[Option<Mask>],
    results: &[ValueId],
) -> Result<Vec<Option<Mask>>> {
    let first = masks.first().copied().flatten();
    let mut of_results = vec![None; results.len()];
    match rule {
        Rule::Drops => {}
        Rule::Makes => {
            let made =
                if context.layer.class == "Masking" { of_masking(context)? } else { of_indices(context)? };
            of_results.fill(Some(made));
        }
        Rule::Passes => of_results.fill(first),
        Rule::Reads if is_recurrent(context) => {
            of_results.iter_mut().take(sequences(context)?).for_each(|mask| *mask = first)
        }
        // The queries' mask is that of their answers.
        Rule::Reads if is_attention(context) => {
            of_results.iter_mut().take(1).for_each(|mask| *mask = first);
        }
        Rule::Reads => {}
        Rule::PassesIfAll if context.run.keras >= 3 && masks.contains(&None) => {}
        Rule::PassesIfAll => of_results.fill(joined(context, masks)?),
        Rule::PassesIfAny => of_results.fill(concatenated(context, masks)?),
    }
    Ok(of_results)
}

fn is_recurrent(context: &Context) -> bool {
    ["LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional"].contains(&context.layer.class.as_str())
}

fn is_attention(context: &Context) -> bool {
    ["Attention", "MultiHeadAttention"].contains(&context.layer.class.as_str())
}

/// Below any score of attention: what is left out.
const LOW: f32 = -1e9;

/// The truth values of a mask in another shape of as many elements.
pub fn shaped(context: &mut Context, mask: Mask, shape: &[usize], word: &str) -> Result<ValueId, Refusal> {
    let Mask::Known(id) = mask else {
        return unsupported("its mask is computed by operations that are not known here");
    };
    let found = context.shape(id);
    if found.iter().product::<usize>() != shape.iter().product::<usize>() {
        return unsupported(format!("a mask of shape {found:?}, where {shape:?} is needed"));
    }
    let name = context.part(word);
    Ok(context.run.builder.reshape(&name, id, shape)?)
}

/// Both masks, or the only one.
pub fn both(context: &mut Context, a: Option<ValueId>, b: ValueId, word: &str) -> Result<ValueId> {
    let name = context.part(word);
    match a {
        None => Ok(b),
        Some(a) => context.run.builder.op(&name, Op::Logic(LogicKind::And), &[a, b]),
    }
}

/// Scores, far below all others where a mask leaves them out: what SOFTMAX makes of them is 0, unless it leaves out all.
pub fn lowered(context: &mut Context, scores: ValueId, mask: ValueId) -> Result<ValueId> {
    let words = ["low", "masked"].map(|word| context.part(word));
    let low = context.run.builder.float(&words[0], &[1], vec![LOW])?;
    context.run.builder.select(&words[1], mask, scores, low)
}

/// Softmax over the elements that a mask does not leave out, which are 0. The mask is aligned with the last dimensions.
pub fn softmax(context: &mut Context, x: ValueId, mask: Mask, axis: usize) -> Translation {
    let shape = context.shape(x);
    let mut wanted = vec![1; shape.len()];
    if let Mask::Known(id) = mask {
        let found = context.shape(id);
        let aligned = wanted.iter_mut().rev().zip(found.iter().rev()).map(|(to, &from)| *to = from).count();
        let fits = wanted.iter().zip(&shape).all(|(&a, &b)| a == 1 || a == b);
        if aligned != found.len() || !fits {
            return unsupported(format!(
                "it reads a mask of shape {found:?} for an input of shape {shape:?}"
            ));
        }
    }
    let mask = shaped(context, mask, &wanted, "mask")?;
    let scores = lowered(context, x, mask)?;
    let words = ["softmax", "zero"].map(|word| context.part(word));
    if context.run.keras < 3 {
        return one(context.run.builder.softmax(context.name, scores, axis));
    }
    let y = context.run.builder.softmax(&words[0], scores, axis)?;
    let zero = context.run.builder.float(&words[1], &[1], vec![0.0])?;
    one(context.run.builder.select(context.name, mask, y, zero))
}

/// How many results of a recurrent layer are sequences.
fn sequences(context: &Context) -> Result<usize> {
    let wrapped = context.layer.children.first().filter(|_| context.layer.class == "Bidirectional");
    let config = wrapped.map_or(context.config(), |(_, inner)| &inner.config);
    Ok(match config.bool_or("return_sequences", false)? {
        false => 0,
        true if wrapped.is_some() && context.config().str_or("merge_mode", "")?.is_empty() => 2,
        true => 1,
    })
}

/// The mask of a Masking layer.
fn of_masking(context: &mut Context) -> Result<Mask> {
    let x = context.input()?;
    // The truth values that the layer itself has used.
    let name = context.part("computed");
    let graph = context.run.builder.graph();
    let computed = graph.nodes.iter().rfind(|node| node.name == name).map(|node| node.outputs[0]);
    let Some(computed) = computed else { return Ok(Mask::Unknown) };
    let shape = context.shape(x);
    let name = context.part("mask");
    Ok(Mask::Known(context.run.builder.reshape(&name, computed, &shape[..shape.len() - 1])?))
}

/// The mask of an Embedding with `mask_zero`.
fn of_indices(context: &mut Context) -> Result<Mask> {
    let x = context.input()?;
    let words = ["padding", "mask"].map(|word| context.part(word));
    let builder = &mut context.run.builder;
    let zero = builder.constant(&words[0], &[1], Constant::I32(vec![0]))?;
    Ok(Mask::Known(builder.compare(&words[1], CompareKind::NotEqual, x, zero)?))
}

/// The mask of a layer that works element by element on several operands.
fn joined(context: &mut Context, masks: &[Option<Mask>]) -> Result<Option<Mask>> {
    let mut joined: Option<ValueId> = None;
    let kind = if context.run.keras >= 3 { LogicKind::Or } else { LogicKind::And };
    for (number, mask) in masks.iter().flatten().enumerate() {
        let &Mask::Known(id) = mask else { return Ok(Some(Mask::Unknown)) };
        joined = Some(match joined {
            None => id,
            Some(before) if before == id => id,
            Some(before) if context.shape(before) == context.shape(id) => {
                let name = context.part(&format!("mask_{number}"));
                context.run.builder.op(&name, Op::Logic(kind), &[before, id])?
            }
            Some(_) => return Ok(Some(Mask::Unknown)),
        });
    }
    Ok(joined.map(Mask::Known))
}

/// The mask of a Concatenate.
fn concatenated(context: &mut Context, masks: &[Option<Mask>]) -> Result<Option<Mask>> {
    if masks.iter().all(Option::is_none) {
        return Ok(None);
    }
    let inputs = context.inputs();
    let rank = context.shape(context.input()?).len();
    let axis = context.axes(rank, -1)?.first().copied().unwrap_or_default();
    if axis + 1 == rank {
        // An operand without a mask counts as computed everywhere.
        let everywhere = context.run.keras >= 3 && masks.contains(&None);
        return if everywhere { Ok(None) } else { joined(context, masks) };
    }
    let mut parts = Vec::new();
    for (number, (&x, mask)) in inputs.iter().zip(masks).enumerate() {
        parts.push(match mask {
            Some(Mask::Known(id)) => *id,
            Some(Mask::Unknown) => return Ok(Some(Mask::Unknown)),
            None => {
                let shape = context.shape(x);
                let shape = &shape[..rank - 1];
                let name = context.part(&format!("unmasked_{number}"));
                let all = Constant::Bool(vec![true; shape.iter().product()]);
                context.run.builder.constant(&name, shape, all)?
            }
        });
    }
    if parts.iter().any(|&part| context.shape(part).len() + 1 != rank) {
        return Ok(Some(Mask::Unknown));
    }
    let name = context.part("mask");
    Ok(Some(Mask::Known(context.run.builder.concat(&name, &parts, axis)?)))
}

/// The mean over the steps that a mask does not leave out.
pub fn mean(context: &mut Context, x: ValueId, mask: ValueId, keep: bool) -> Translation {
    let &[batch, steps, _] = context.shape(x).as_slice() else {
        return Err(context.broken("its input is not a sequence").into());
    };
    let words = ["each", "zero", "kept", "sum", "one", "ones", "count"].map(|word| context.part(word));
    let builder = &mut context.run.builder;
    let each = builder.reshape(&words[0], mask, &[batch, steps, 1])?;
    let zero = builder.float(&words[1], &[1], vec![0.0])?;
    let kept = builder.select(&words[2], each, x, zero)?;
    let sum = builder.reduce(&words[3], ReduceKind::Sum, kept, &[1], keep)?;
    let one_each = builder.float(&words[4], &[1], vec![1.0])?;
    let zero = builder.float(&words[1], &[1], vec![0.0])?;
    let ones = builder.select(&words[5], each, one_each, zero)?;
    let count = builder.reduce(&words[6], ReduceKind::Sum, ones, &[1], keep)?;
    one(builder.binary(context.name, BinaryKind::Div, sum, count))
}
