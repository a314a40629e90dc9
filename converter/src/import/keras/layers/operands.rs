//! Operands of `keras.ops`, and what several operations do with them.

use serde_json::Value as Json;

use super::context::{Context, one};
use crate::graph::{Constant, DType, Graph, ReduceKind, ValueId};
use crate::import::keras::calls::Arg;
use crate::import::keras::config::number;
use crate::import::keras::run::Translation;
use crate::import::refusal::{Refusal, unsupported};

/// An argument that is not a tensor, by position or name.
pub(super) fn plain<'c>(context: &'c Context, position: usize, name: &str) -> Option<&'c Json> {
    match context.call.arg(position, name) {
        Some(Arg::Plain(value)) => Some(value),
        _ => None,
    }
}

/// An operand that is a tensor or a number.
pub(super) fn operand(context: &mut Context, position: usize, name: &str) -> Result<ValueId, Refusal> {
    match context.call.arg(position, name) {
        Some(&Arg::Tensor(id)) => Ok(id),
        Some(Arg::Plain(value)) => match number(value) {
            Some(x) => {
                let word = context.part(&format!("value_{position}"));
                Ok(context.run.builder.float(&word, &[1], vec![x])?)
            }
            None => unsupported("an operand that is neither a tensor nor a number"),
        },
        _ => Err(context.broken("an operand is missing").into()),
    }
}

/// Makes a constant of whole real numbers, which is compared with integers, one of integers.
pub(super) fn whole(graph: &mut Graph, number: ValueId, other: ValueId) {
    if graph.value(other).dtype != DType::Int32 {
        return;
    }
    let value = graph.value_mut(number);
    if let Some(Constant::F32(reals)) = &value.constant
        && reals.iter().all(|x| x.fract() == 0.0 && x.abs() < 1e9)
    {
        value.constant = Some(Constant::I32(reals.iter().map(|&x| x as i32).collect()));
        value.dtype = DType::Int32;
    }
}

/// A reduction along the dimensions that an attribute names, never over the batch.
pub(super) fn reduce(context: &mut Context, kind: ReduceKind) -> Translation {
    let x = context.input()?;
    let rank = context.shape(x).len();
    let axes = match context.config().get("axis") {
        None => (0..rank).collect(),
        Some(_) => context.axes(rank, -1)?,
    };
    if axes.contains(&0) {
        return unsupported("a reduction over the batch");
    }
    let keep = context.config().bool_or("keepdims", false)?;
    one(context.run.builder.reduce(context.name, kind, x, &axes, keep))
}
