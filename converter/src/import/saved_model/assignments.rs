//! Reads and assignments of variables that are state, while a graph is read; see `kept`.

use super::evaluate::Evaluator;
use super::kept::{Held, Moment, is_effect};
use super::tensor::{Layer, Tensor, Translation};
use crate::error::Error;
use crate::graph::{BinaryKind, Constant, DType, State, ValueId};
use crate::import::refusal::Refusal;

/// What a variable is: a constant, unless it is state.
pub(super) fn read(e: &mut Evaluator<'_>, handle: &str) -> Result<Tensor, Refusal> {
    match e.kept.all.get(handle).cloned() {
        None => Ok(Tensor::Known(e.variables.read(handle)?)),
        Some(Held { current: Some(current), .. }) => Ok(current),
        Some(_) => Ok(Tensor::Value(first(e, handle)?)),
    }
}

/// What a variable is when an inference begins.
fn first(e: &mut Evaluator<'_>, handle: &str) -> Result<ValueId, Refusal> {
    if let Some(first) = e.kept.all.get(handle).and_then(|held| held.first) {
        return Ok(first);
    }
    let known = e.variables.read(handle)?;
    let dtype = if known.dtype() == DType::Int64 { DType::Int32 } else { known.dtype() };
    let id = e.builder.value(handle, &known.shape, dtype);
    if let Some(held) = e.kept.all.get_mut(handle) {
        held.first = Some(id);
    }
    Ok(id)
}

/// Runs a node that changes a variable; `None` for all others.
pub(super) fn effect(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Option<Translation> {
    let op = layer.node.op.as_str();
    let handle = match layer.inputs.first() {
        Some(Tensor::Variable(handle)) if is_effect(op) => handle.clone(),
        _ => return None,
    };
    // Those that nothing reads are no state.
    if !e.kept.has(&handle) {
        return Some(Ok(Vec::new()));
    }
    Some(assign(e, layer, &handle))
}

fn assign(e: &mut Evaluator<'_>, layer: &Layer<'_>, handle: &str) -> Translation {
    let tensor = match (layer.node.op.as_str(), layer.input(1)?) {
        (_, Tensor::Lost(id)) => Tensor::Lost(*id),
        ("AssignVariableOp", tensor @ (Tensor::Known(_) | Tensor::Value(_))) => tensor.clone(),
        (op @ ("AssignAddVariableOp" | "AssignSubVariableOp"), term) => match read(e, handle)? {
            lost @ Tensor::Lost(_) => lost,
            before => {
                let kind = if op == "AssignAddVariableOp" { BinaryKind::Add } else { BinaryKind::Sub };
                let (a, b) = (e.value(&before)?, e.value(term)?);
                Tensor::Value(e.builder.binary(&layer.name, kind, a, b)?)
            }
        },
        _ => {
            let reason =
                format!("it changes variable `{handle}` in a way that is not supported: assign all of it");
            let lost = e.unsupported(layer, &reason)?;
            lost.into_iter().next().ok_or("it has no result")?
        }
    };
    e.kept.set(handle, tensor);
    Ok(Vec::new())
}

/// What both branches of a condition left of each variable, where that differs, with what it was before in place of
/// nothing.
pub(super) fn differing(
    e: &mut Evaluator<'_>,
    branches: [Moment; 2],
) -> Result<Vec<(String, [Tensor; 2])>, Refusal> {
    let mut found = Vec::new();
    let [yes, no] = branches;
    for ((handle, yes), no) in yes.into_iter().zip(no.into_values()) {
        let same = match (&yes, &no) {
            (None, None) => true,
            (Some(Tensor::Value(a)), Some(Tensor::Value(b))) => a == b,
            _ => false,
        };
        let mut side = |tensor: Option<Tensor>| match tensor {
            Some(tensor) => Ok(tensor),
            None => first(e, &handle).map(Tensor::Value),
        };
        if same {
            if let Some(tensor) = yes {
                e.kept.set(&handle, tensor);
            }
        } else {
            let sides = [side(yes)?, side(no)?];
            found.push((handle, sides));
        }
    }
    Ok(found)
}

/// Enters the variables that inferences read before they assign them among the graph's states.
pub(super) fn finish(e: &mut Evaluator<'_>) -> Result<(), Error> {
    for (handle, mut held) in e.kept.all.clone() {
        if e.kept.complete {
            let value = match first(e, &handle) {
                Ok(value) => value,
                Err(refusal) => {
                    let reason = refusal.reason()?;
                    e.builder.unsupported(&handle, "ReadVariableOp", &reason, &[], vec![vec![1]]);
                    continue;
                }
            };
            held = Held { first: Some(value), current: held.current.or(Some(Tensor::Value(value))) };
        }
        let (Some(value), Some(current)) = (held.first, held.current) else { continue };
        let next = match &current {
            Tensor::Lost(id) => Ok(*id),
            other => e.value(other),
        };
        let initial = e.variables.read(&handle);
        let (next, initial) = match (next, initial) {
            (Ok(next), Ok(initial)) => (next, initial),
            (Err(refusal), _) | (_, Err(refusal)) => {
                let reason = refusal.reason()?;
                e.builder.unsupported(&handle, "AssignVariableOp", &reason, &[], vec![vec![1]]);
                continue;
            }
        };
        let initial = match &initial.data {
            Constant::I64(long) => Constant::I32(long.iter().map(|&x| x as i32).collect()),
            other => other.clone(),
        };
        let graph = e.builder.graph();
        let (from, to) = (graph.value(value), graph.value(next));
        let is_lost = matches!(current, Tensor::Lost(_));
        if !is_lost && (from.elements(), from.dtype) != (to.elements(), to.dtype) {
            let reason = format!(
                "it is assigned a tensor of another size or type: {:?} for {:?}",
                to.shape, from.shape
            );
            e.builder.unsupported(&handle, "AssignVariableOp", &reason, &[value, next], vec![vec![1]]);
            continue;
        }
        e.builder.graph_mut().states.push(State { name: handle, value, initial, next, from: 0 });
    }
    Ok(())
}
