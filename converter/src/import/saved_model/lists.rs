//! Lists of tensors, in which loops over time keep their inputs and results. They exist only at import:
//! reading an item is a slice of the tensor that the list was made of, and stacking the items is a PACK.

use std::rc::Rc;

use super::evaluate::Evaluator;
use super::known::{Known, count, strides};
use super::tensor::{Layer, List, Tensor, Translation};
use crate::graph::{Constant, DType, Op, Pack, Slice};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Most items of a list; a loop with more steps is not a model for a microcontroller.
const LONGEST: usize = 1 << 14;

impl List {
    pub(super) fn len(&self, e: &Evaluator<'_>) -> usize {
        match self {
            List::Rows(id) => e.builder.shape(*id).first().copied().unwrap_or(0),
            List::Items(items) => items.len(),
        }
    }
}

/// Translates an operator on lists.
pub(super) fn list(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let one = |list: List| Ok(vec![Tensor::List(Rc::new(list))]);
    match layer.node.op.as_str() {
        "TensorListReserve" => {
            let n = usize::try_from(layer.integer(1, "length")?).ok().filter(|&n| n <= LONGEST);
            one(List::Items(vec![None; n.ok_or("a list of absurd length")?]))
        }
        "TensorListFromTensor" => match layer.input(0)? {
            Tensor::Known(known) => one(List::Items(rows(known)?)),
            other => {
                let id = e.value(other)?;
                if e.builder.shape(id).is_empty() {
                    return Err(damaged("a list of the rows of a scalar").into());
                }
                one(List::Rows(id))
            }
        },
        "TensorListLength" => {
            let n = operand(layer)?.len(e) as i64;
            Ok(vec![Tensor::Known(Known::integers(&layer.name, vec![], &[n], DType::Int32))])
        }
        "TensorListGetItem" => get(e, layer),
        "TensorListSetItem" => {
            let (list, at) = item(e, layer)?;
            let mut items = match &*list {
                List::Items(items) => items.clone(),
                List::Rows(_) => return Err("an item of its input is replaced".into()),
            };
            e.charge(items.len());
            items[at] = Some(layer.input(2)?.clone());
            one(List::Items(items))
        }
        "TensorListStack" => stack(e, layer),
        _ => Err(Refusal::Unknown),
    }
}

fn operand<'a>(layer: &Layer<'a>) -> Result<&'a Rc<List>, Refusal> {
    match layer.input(0)? {
        Tensor::List(list) => Ok(list),
        _ => Err("a list of another kind".into()),
    }
}

/// The list, and the index of one of its items.
fn item(e: &Evaluator<'_>, layer: &Layer<'_>) -> Result<(Rc<List>, usize), Refusal> {
    let list = operand(layer)?.clone();
    let at = layer.integer(1, "index")?;
    let n = list.len(e);
    let inside = usize::try_from(at).ok().filter(|&at| at < n);
    let outside = || Refusal::Broken(damaged(format!("item {at} of a list of {n}")));
    Ok((list, inside.ok_or_else(outside)?))
}

/// The rows of a known array.
fn rows(known: &Rc<Known>) -> Result<Vec<Option<Tensor>>, Refusal> {
    let Some((&n, row)) = known.shape.split_first().filter(|(n, _)| **n <= LONGEST) else {
        return Err("a list of absurd length".into());
    };
    let step = strides(&known.shape)[0];
    let part = |i: usize| {
        let places: Vec<usize> = (i * step..(i + 1) * step).collect();
        Some(Tensor::Known(known.pick(&known.name, &places, row.to_vec())))
    };
    Ok((0..n).map(part).collect())
}

fn get(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (list, at) = item(e, layer)?;
    match &*list {
        List::Items(items) => match items.get(at).cloned().flatten() {
            Some(tensor) => Ok(vec![tensor]),
            None => Ok(vec![zero(layer, 2, None)?]),
        },
        List::Rows(id) => {
            let shape = e.builder.shape(*id).to_vec();
            let (mut begin, mut size) = (vec![0; shape.len()], shape.clone());
            (begin[0], size[0]) = (at, 1);
            let op = Op::Slice(Slice { begin, size, stride: vec![1; shape.len()] });
            Ok(vec![Tensor::Value(e.builder.op_shaped(&layer.name, op, &[*id], &shape[1..])?)])
        }
    }
}

/// An item that was never set. It has the shape of another item, or the one in the operand at `position`.
fn zero(layer: &Layer<'_>, position: usize, like: Option<Vec<usize>>) -> Result<Tensor, Refusal> {
    let says = || -> Option<Vec<usize>> {
        let dims = layer.integers(position, "shape").ok()?;
        dims.into_iter().map(|d| usize::try_from(d).ok()).collect()
    };
    let shape = like.or_else(says).filter(|s| count(s).is_some_and(|n| n <= 1 << 20));
    let shape = shape.ok_or("an item that was never set, of unknown shape")?;
    let n = shape.iter().product();
    Ok(Tensor::Known(Known::new(&layer.name, shape, Constant::F32(vec![0.0; n]))))
}

fn stack(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let list = operand(layer)?.clone();
    let items = match &*list {
        List::Rows(id) => return Ok(vec![Tensor::Value(*id)]),
        List::Items(items) => items,
    };
    let like = items.iter().flatten().find_map(|t| e.shape(t));
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let tensor = match item {
            Some(tensor) => tensor.clone(),
            None => zero(layer, 1, like.clone())?,
        };
        if let Tensor::Lost(id) = tensor {
            return Ok(vec![Tensor::Lost(id)]);
        }
        ids.push(e.value(&tensor)?);
    }
    let Some(&first) = ids.first() else { return Err("an empty list is stacked".into()) };
    if ids.len() == 1 {
        let mut shape = vec![1];
        shape.extend(e.builder.shape(first));
        return Ok(vec![Tensor::Value(e.builder.reshape(&layer.name, first, &shape)?)]);
    }
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, Op::Pack(Pack { axis: 0 }), &ids)?)])
}
