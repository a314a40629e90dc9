//! Calls, branches and loops: control flow that is resolved at import.
//!
//! A branch whose condition is computed is read both ways, and each result becomes a choice between what they make.
//!
//! A loop runs as often as its condition says, which must be known at import. The layers of its body then
//! follow one another, unless they are a recurrent cell (`recurrent`).

use super::assignments;
use super::evaluate::{Evaluator, MOST_ROUNDS};
use super::library::Attributes;
use super::proto::NodeDef;
use super::recurrent;
use super::tensor::{Layer, Tensor, holds};
use crate::error::Result;
use crate::graph::{Choose, DType, Op, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::Refusal;

/// Resolves control flow; `None` for all other operators.
pub(super) fn control<'m>(
    e: &mut Evaluator<'m>,
    node: &'m NodeDef,
    inputs: &[Tensor],
) -> Option<Result<Vec<Tensor>>> {
    match node.op.as_str() {
        "PartitionedCall" | "StatefulPartitionedCall" => Some(match node.function("f") {
            Some(function) => {
                let outer = e.scope.clone();
                // The nodes of `sequential/lstm/PartitionedCall` are those of `sequential/lstm`.
                if let Some((scope, _)) = node.name.rsplit_once('/') {
                    let said = outer.is_empty() || scope.starts_with(&*outer);
                    e.scope = if said { scope.to_string() } else { format!("{outer}/{scope}") };
                }
                let results = e.call(function, inputs);
                e.scope = outer;
                results
            }
            None => Err(damaged(format!("call `{}` names no function", node.name))),
        }),
        "While" | "StatelessWhile" => Some(run(e, node, inputs)),
        "If" | "StatelessIf" => Some(branch(e, node, inputs)),
        // In version 1, a call is a node whose operator is the function's name.
        op if e.library.functions.contains_key(op) => Some(e.call(op, inputs)),
        _ => None,
    }
}

fn refuse(e: &mut Evaluator<'_>, node: &NodeDef, inputs: &[Tensor], reason: &str) -> Result<Vec<Tensor>> {
    let layer = Layer { node, inputs, name: e.layer_name(&node.name) };
    e.unsupported(&layer, reason)
}

fn branch(e: &mut Evaluator<'_>, node: &NodeDef, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let names = (node.function("then_branch"), node.function("else_branch"));
    let (Some(yes), Some(no), Some((condition_operand, rest))) = (names.0, names.1, inputs.split_first())
    else {
        return Err(damaged(format!("branch `{}` lacks its functions or its condition", node.name)));
    };
    let condition = holds(Some(condition_operand));
    if let Some(holds) = condition {
        e.taken.entry(std::ptr::from_ref(node)).or_default()[usize::from(!holds)] = true;
    }
    match condition {
        Some(true) => e.call(yes, rest),
        Some(false) => e.call(no, rest),
        None => {
            let name = e.layer_name(&node.name);
            let layer = Layer { node, inputs, name };
            match deciding(e, condition_operand) {
                Ok(condition) => choose(e, &layer, condition, [yes, no], rest),
                Err(refusal) => {
                    let reason = refusal.reason()?;
                    e.unsupported(&layer, &reason)
                }
            }
        }
    }
}

/// The truth value that decides.
fn deciding(e: &mut Evaluator<'_>, condition: &Tensor) -> Result<ValueId, Refusal> {
    let id = match condition {
        Tensor::Value(id) if e.builder.graph().value(*id).dtype == DType::Bool => *id,
        _ => return Err("its condition is no truth value".into()),
    };
    let elements: usize = e.builder.shape(id).iter().product();
    if elements != 1 {
        return Err(format!("its condition has {elements} elements; one is supported").into());
    }
    Ok(id)
}

/// Both branches, and a choice for each result.
fn choose(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    condition: ValueId,
    functions: [&str; 2],
    arguments: &[Tensor],
) -> Result<Vec<Tensor>> {
    let block = e.blocks;
    e.blocks += 1;
    let before = e.kept.now();
    let yes = e.call(functions[0], arguments)?;
    let after_yes = e.kept.now();
    e.kept.back(&before);
    let no = e.call(functions[1], arguments)?;
    let after_no = e.kept.now();
    if yes.len() != no.len() {
        let text = format!("the branches of `{}` have {} and {} results", layer.name, yes.len(), no.len());
        return Err(damaged(text).about(&layer.name));
    }
    let mut results = Vec::with_capacity(yes.len());
    let count = yes.len();
    for (position, sides) in yes.into_iter().zip(no).enumerate() {
        match choice(e, layer, position, condition, sides.into(), block) {
            Ok(tensor) => results.push(tensor),
            Err(refusal) => {
                let reason = refusal.reason()?;
                return e.unsupported(layer, &reason);
            }
        }
    }
    // What the branches assigned to variables is a choice, too.
    let differing = assignments::differing(e, [after_yes, after_no]);
    let chosen = differing.and_then(|all| {
        let number = |(number, (handle, sides))| {
            Ok((handle, choice(e, layer, count + number, condition, sides, block)?))
        };
        all.into_iter().enumerate().map(number).collect::<Result<Vec<(String, Tensor)>, Refusal>>()
    });
    match chosen {
        Ok(chosen) => chosen.into_iter().for_each(|(handle, tensor)| e.kept.set(&handle, tensor)),
        Err(refusal) => {
            let reason = refusal.reason()?;
            let lost = e.unsupported(layer, &reason)?;
            e.kept.lose(&lost);
            return Ok(lost);
        }
    }
    Ok(results)
}

/// One result.
fn choice(
    e: &mut Evaluator<'_>,
    layer: &Layer<'_>,
    position: usize,
    condition: ValueId,
    sides: [Tensor; 2],
    block: usize,
) -> Result<Tensor, Refusal> {
    if let Some(lost) = sides.iter().find(|side| matches!(side, Tensor::Lost(_) | Tensor::Opaque)) {
        return Ok(lost.clone());
    }
    let [yes, no] = [e.value(&sides[0])?, e.value(&sides[1])?];
    let [(shape, dtype), other] = [yes, no].map(|id| {
        let value = e.builder.graph().value(id);
        (value.shape.clone(), value.dtype)
    });
    if (&shape, dtype) != (&other.0, other.1) {
        let of = |(shape, dtype): (Vec<usize>, DType)| format!("{} {shape:?}", dtype.name());
        return Err(
            format!("its branches give {} and {}; one is supported", of((shape, dtype)), of(other)).into()
        );
    }
    let name = if position == 0 { layer.name.clone() } else { format!("{}/{position}", layer.name) };
    let id = e.builder.op_shaped(&name, Op::Choose(Choose { block }), &[condition, yes, no], &shape)?;
    Ok(Tensor::Value(id))
}

fn run<'m>(e: &mut Evaluator<'m>, node: &'m NodeDef, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let (Some(condition), Some(body)) = (node.function("cond"), node.function("body")) else {
        return Err(damaged(format!("loop `{}` lacks its functions", node.name)));
    };
    if let Some(lost) = inputs.iter().find(|t| matches!(t, Tensor::Lost(_))) {
        return Ok(vec![lost.clone()]);
    }
    // A round that assigns variables is more than a cell.
    let library = e.library;
    if !e.kept.assigns(library, body, 0)
        && let Some(results) = recurrent::recognise(e, node, inputs)?
    {
        return Ok(results);
    }
    let mut variables = inputs.to_vec();
    let suffix = e.suffix.clone();
    for round in 0..=MOST_ROUNDS {
        let again = e.call(condition, &variables)?;
        match holds(again.first()) {
            Some(true) => (),
            Some(false) => {
                e.suffix = suffix;
                return Ok(variables);
            }
            None => {
                e.suffix = suffix;
                return refuse(e, node, inputs, "a loop whose number of rounds other layers compute");
            }
        }
        e.suffix = format!("{suffix}/step_{round}");
        variables = e.call(body, &variables)?;
    }
    e.suffix = suffix;
    refuse(e, node, inputs, &format!("a loop of more than {MOST_ROUNDS} rounds"))
}
