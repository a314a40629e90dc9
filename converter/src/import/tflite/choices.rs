//! Functions with a comparison in them: SELECT and CAST of what GREATER, LESS and their like say.
//!
//! - `select(x > 0, a * x, b * (exp(x) - 1))` and other functions of one number. As in the pass `functions`, not
//!   the form that they are written in counts, but their values: parameters are read off at a few points,
//!   and the candidate has to agree at all others.
//! - `select(i < 0, i + n, i)`, by which indices count from the end: those that do are not looked up.

use super::schema::BuiltinOperator as Code;
use crate::graph::{Activation, BinaryKind, Constant, DType, Graph, Node, Op, UnaryKind, ValueId};
use crate::passes::functions::binary;
use crate::reference::unary;

/// Points on either side of zero, `STEP` apart.
const POINTS: i32 = 400;
const STEP: f32 = 0.037;

/// Largest difference between two ways to write a function in f32, relative above one.
const CLOSE: f32 = 4e-6;

/// Layers of one function, at most: one way to a number may be taken twice.
const MOST: usize = 64;

/// Turns such layers into one layer each, or into none. Layers that compute a part stay, for whoever else
/// reads them.
pub(super) fn run(graph: &mut Graph, notes: &mut Vec<String>) {
    for index in 0..graph.nodes.len() {
        let Some(&output) = graph.nodes[index].outputs.first() else { continue };
        if let Some(indices) = from_the_end(graph, index) {
            let name = &graph.value(indices).name;
            notes.push(format!("`{name}`: indices count from zero; negative ones are not looked up"));
            graph.replace_uses(output, indices);
            continue;
        }
        if let Some((source, kind)) = function(graph, index) {
            let node = &mut graph.nodes[index];
            (node.op, node.inputs) = (Op::Unary(kind), vec![Some(source)]);
        }
    }
}

/// The built-in operator of a layer that is not translated.
fn code(node: &Node) -> Option<Code> {
    let Op::Unsupported { code, .. } = &node.op else { return None };
    [
        Code::SELECT,
        Code::SELECT_V2,
        Code::CAST,
        Code::GREATER,
        Code::GREATER_EQUAL,
        Code::LESS,
        Code::LESS_EQUAL,
    ]
    .into_iter()
    .find(|known| known.variant_name() == Some(code.as_str()))
}

fn producer(graph: &Graph, id: ValueId) -> Option<&Node> {
    graph.nodes.iter().find(|node| node.outputs.contains(&id))
}

/// The one number that a constant holds, once or everywhere.
fn number(graph: &Graph, id: ValueId) -> Option<f32> {
    match graph.value(id).constant.as_ref()? {
        Constant::F32(all) => all.first().copied().filter(|first| all.iter().all(|x| x == first)),
        other => match other.to_i64()?.as_slice() {
            &[one] => Some(one as f32),
            _ => None,
        },
    }
}

/// The indices of `select(i < 0, i + n, i)`, or of `select(i >= 0, i, i + n)`.
fn from_the_end(graph: &Graph, index: usize) -> Option<ValueId> {
    let node = &graph.nodes[index];
    let output = graph.value(*node.outputs.first()?);
    if !matches!(code(node)?, Code::SELECT | Code::SELECT_V2) || output.dtype == DType::Float32 {
        return None;
    }
    let condition = producer(graph, node.input(0)?)?;
    let (indices, moved) = match code(condition)? {
        Code::LESS => (node.input(2)?, node.input(1)?),
        Code::GREATER_EQUAL => (node.input(1)?, node.input(2)?),
        _ => return None,
    };
    let sum = producer(graph, moved)?;
    let add = matches!(sum.op, Op::Binary { kind: BinaryKind::Add, activation: Activation::None });
    let other = sum.inputs.iter().flatten().find(|&&id| id != indices)?;
    let fits = condition.input(0) == Some(indices)
        && number(graph, condition.input(1)?) == Some(0.0)
        && sum.inputs.contains(&Some(indices))
        && number(graph, *other).is_some_and(|n| n > 0.0)
        && graph.value(indices).shape == output.shape;
    (add && fits).then_some(indices)
}

/// The function of one tensor that ends with the node at `index`, where a comparison is a part of it.
fn function(graph: &Graph, index: usize) -> Option<(ValueId, UnaryKind)> {
    let node = &graph.nodes[index];
    let &output = node.outputs.first()?;
    let float = graph.value(output).dtype == DType::Float32 && graph.value(output).quantization.is_none();
    let starts = match &node.op {
        Op::Unsupported { .. } => matches!(code(node)?, Code::SELECT | Code::SELECT_V2),
        // Keras's ThresholdedReLU is x times (x > theta) as a number.
        Op::Binary { kind: BinaryKind::Mul, activation: Activation::None } => true,
        _ => false,
    };
    if !float || !starts {
        return None;
    }
    let (compared, threshold) = comparison(graph, output, MOST)?;
    // What is compared may be the tensor itself, or be computed from it.
    let mut source = compared;
    loop {
        let is_part = |id: ValueId| graph.value(id).shape == graph.value(output).shape;
        let known: Option<Vec<f32>> = (-POINTS..=POINTS)
            .map(|i| value(graph, output, source, i as f32 * STEP, &mut { MOST }))
            .collect();
        if let Some(found) = known.filter(|_| is_part(source))
            && let Some(kind) = candidate(&found, threshold)
        {
            return Some((source, kind));
        }
        let before = producer(graph, source)?;
        if !matches!(before.op, Op::Unary(_) | Op::Binary { .. }) {
            return None;
        }
        let mut computed = before.inputs.iter().flatten().filter(|id| number(graph, **id).is_none());
        source = *computed.next()?;
    }
}

/// What the nearest comparison behind a value compares with a number, and the number.
fn comparison(graph: &Graph, id: ValueId, depth: usize) -> Option<(ValueId, f32)> {
    let node = producer(graph, id)?;
    let depth = depth.checked_sub(1)?;
    match (&node.op, code(node)) {
        (_, Some(Code::GREATER | Code::GREATER_EQUAL | Code::LESS | Code::LESS_EQUAL)) => {
            let operands: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
            let &[a, b] = operands.as_slice() else { return None };
            match (number(graph, a), number(graph, b)) {
                (None, Some(threshold)) => Some((a, threshold)),
                (Some(threshold), None) => Some((b, threshold)),
                _ => None,
            }
        }
        (_, Some(Code::SELECT | Code::SELECT_V2 | Code::CAST)) => comparison(graph, node.input(0)?, depth),
        (Op::Binary { kind: BinaryKind::Mul, .. }, _) => {
            let mut casts = node.inputs.iter().flatten().copied();
            casts.find_map(|id| {
                let is_cast = producer(graph, id).and_then(code) == Some(Code::CAST);
                is_cast.then(|| comparison(graph, id, depth)).flatten()
            })
        }
        _ => None,
    }
}

/// An element of `id` where that of `source` is `x`; truth values are 0 and 1. `budget` bounds the layers
/// that are walked.
fn value(graph: &Graph, id: ValueId, source: ValueId, x: f32, budget: &mut usize) -> Option<f32> {
    if id == source {
        return Some(x);
    }
    if let Some(number) = number(graph, id) {
        return Some(number);
    }
    *budget = budget.checked_sub(1)?;
    let node = producer(graph, id)?;
    let mut operand = |position: usize| value(graph, node.input(position)?, source, x, budget);
    let truth = |x: bool| if x { 1.0 } else { 0.0 };
    Some(match (&node.op, code(node)) {
        (&Op::Unary(kind), _) => unary(kind, operand(0)?),
        (&Op::Binary { kind, activation: Activation::None }, _) => binary(kind, operand(0)?, operand(1)?),
        (_, Some(Code::SELECT | Code::SELECT_V2)) => {
            let (condition, a, b) = (operand(0)?, operand(1)?, operand(2)?);
            if condition != 0.0 { a } else { b }
        }
        (_, Some(Code::CAST)) if graph.value(node.input(0)?).dtype == DType::Bool => operand(0)?,
        (_, Some(Code::GREATER)) => truth(operand(0)? > operand(1)?),
        (_, Some(Code::GREATER_EQUAL)) => truth(operand(0)? >= operand(1)?),
        (_, Some(Code::LESS)) => truth(operand(0)? < operand(1)?),
        (_, Some(Code::LESS_EQUAL)) => truth(operand(0)? <= operand(1)?),
        _ => return None,
    })
}

/// The function that has these values at the points, where `threshold` is what its layers compare with.
fn candidate(found: &[f32], threshold: f32) -> Option<UnaryKind> {
    let points: Vec<f32> = (-POINTS..=POINTS).map(|i| i as f32 * STEP).collect();
    let ((&low, &high), (&first, &last)) =
        (points.first().zip(points.last())?, found.first().zip(found.last())?);
    let gamma = last / high;
    let depth = -first / (1.0 - low.exp());
    let kinds = [
        UnaryKind::Relu,
        UnaryKind::Relu6,
        UnaryKind::Abs,
        UnaryKind::Elu { alpha: depth },
        UnaryKind::Selu { alpha: depth / gamma, gamma },
        UnaryKind::LeakyRelu { alpha: first / low },
        UnaryKind::Celu { alpha: -first },
        UnaryKind::Softplus,
        UnaryKind::Softsign,
        UnaryKind::Silu,
        UnaryKind::Logistic,
        UnaryKind::LogSigmoid,
        UnaryKind::SparsePlus,
        UnaryKind::HardSigmoid { alpha: 0.5, beta: 0.5 },
        UnaryKind::HardSigmoid { alpha: 0.2, beta: 0.5 },
        UnaryKind::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        UnaryKind::SoftShrink { lambda: threshold.abs() },
        UnaryKind::HardShrink { lambda: threshold.abs() },
        UnaryKind::Threshold { threshold, value: first },
    ];
    let close = |a: f32, b: f32| (a - b).abs() <= CLOSE * b.abs().max(1.0);
    let agrees = |kind: &UnaryKind| {
        points.iter().zip(found).all(|(&x, &y)| y.is_finite() && close(unary(*kind, x), y))
    };
    kinds.into_iter().find(agrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(f: impl Fn(f32) -> f32, threshold: f32) -> Option<UnaryKind> {
        let values: Vec<f32> = (-POINTS..=POINTS).map(|i| f(i as f32 * STEP)).collect();
        candidate(&values, threshold)
    }

    #[test]
    fn parameters_are_read_off() {
        let selu = found(|x| if x > 0.0 { 1.0507 * x } else { 1.7581 * (x.exp() - 1.0) }, 0.0);
        let Some(UnaryKind::Selu { alpha, gamma }) = selu else { panic!("{selu:?}") };
        assert!((gamma - 1.0507).abs() < 1e-5 && (alpha * gamma - 1.7581).abs() < 1e-5);
        assert_eq!(
            found(|x| if x > 1.5 { x } else { 0.0 }, 1.5),
            Some(UnaryKind::Threshold { threshold: 1.5, value: 0.0 })
        );
        assert_eq!(
            found(|x| if x.abs() > 0.5 { x } else { 0.0 }, 0.5),
            Some(UnaryKind::HardShrink { lambda: 0.5 })
        );
        assert_eq!(found(|x| if x > 0.0 { x } else { x * x }, 0.0), None);
        assert_eq!(found(|x| if x > 0.0 { x } else { x / 0.0 }, 0.0), None);
    }
}
