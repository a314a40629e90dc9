//! Scores of the models of scikit-learn: integers of a scale, which are the result where they are one of the model, and the
//! function behind them, of int16 so that classes whose scores are near stay apart.

use super::layer::Layer;
use crate::graph::{DType, Graph, Op, Quantization, Softmax, UnaryKind, ValueId};
use crate::import::refusal::{Refusal, unsupported};

/// The function behind the scores.
pub(super) enum Behind {
    /// None.
    None,
    /// The logistic function of each.
    Logistic,
    /// The softmax of all.
    Softmax,
}

/// As an attribute says it.
pub(super) fn behind(l: &Layer<'_>) -> Result<Behind, Refusal> {
    match l.text("post_transform", "NONE").as_str() {
        "NONE" => Ok(Behind::None),
        "LOGISTIC" => Ok(Behind::Logistic),
        "SOFTMAX" => Ok(Behind::Softmax),
        other => unsupported(format!("post_transform {other}")),
    }
}

/// Names of the classes, as texts.
pub(super) fn labels(l: &Layer<'_>) -> Vec<String> {
    let texts = l.texts("classlabels_strings");
    let numbers = ["classlabels_int64s", "classlabels_ints"].map(|name| l.int_list(name).unwrap_or_default());
    let numbers = numbers.iter().flatten().map(ToString::to_string);
    if texts.is_empty() { numbers.collect() } else { texts }
}

/// Scores as reals, which further layers may read.
pub(super) fn reals(l: &mut Layer<'_>, integers: ValueId) -> Result<ValueId, Refusal> {
    let reals = l.net.b.op(&l.name, Op::Dequantize, &[integers])?;
    l.net.scores.insert(reals, integers);
    Ok(reals)
}

/// A function of scores of int16.
pub(super) fn function(l: &mut Layer<'_>, x: ValueId, behind: &Behind) -> Result<ValueId, Refusal> {
    let op = match behind {
        Behind::None => return reals(l, x),
        Behind::Logistic => Op::Unary(UnaryKind::Logistic),
        Behind::Softmax => Op::Softmax(Softmax { beta: 1.0 }),
    };
    let y = int16(l, "function", op, x, 1.0 / 32768.0)?;
    reals(l, y)
}

/// Whether reals are those of a softmax, whose sum is 1 already.
pub(super) fn are_shares(l: &Layer<'_>, reals: ValueId) -> bool {
    let integers = l.net.scores.get(&reals);
    let softmax = |id: &ValueId| {
        let nodes = &l.net.b.graph().nodes;
        nodes.iter().any(|node| node.outputs.contains(id) && matches!(node.op, Op::Softmax(_)))
    };
    integers.is_some_and(softmax)
}

/// A layer whose result is int16 with this scale.
pub(super) fn int16(
    l: &mut Layer<'_>,
    part: &str,
    op: Op,
    x: ValueId,
    scale: f64,
) -> Result<ValueId, Refusal> {
    let name = l.part(part);
    let y = l.net.b.op(&name, op, &[x])?;
    let value = l.net.b.graph_mut().value_mut(y);
    value.dtype = DType::Int16;
    value.quantization = Some(Quantization::per_tensor(scale.max(f64::from(f32::MIN_POSITIVE)) as f32, 0));
    Ok(y)
}

/// Inputs that only trees and linear models read stay real numbers: the device takes these as they are.
pub(super) fn keep_reals(graph: &mut Graph) {
    let readers = |id: ValueId| graph.nodes.iter().filter(move |node| node.inputs.contains(&Some(id)));
    let as_they_are = |&id: &ValueId| {
        let all = readers(id).all(|node| matches!(node.op, Op::TreeEnsemble(_) | Op::LinearFeatures(_)));
        all && readers(id).next().is_some() && graph.value(id).dtype == DType::Float32 && !graph.is_output(id)
    };
    let reals: Vec<ValueId> = graph.inputs.iter().copied().filter(as_they_are).collect();
    graph.reals.extend(reals);
}
