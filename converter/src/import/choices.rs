//! Functions that contain a comparison: SELECT and CAST of the results of GREATER, LESS and similar layers,
//! in files of TensorFlow Lite and SavedModels.
//!
//! - `select(x > 0, a * x, b * (exp(x) - 1))` and other functions of one number. As in the pass `functions`,
//!   they are recognised by their values, not by their form: parameters are derived from a few points, and
//!   the candidate has to agree at all others.
//! - `select(i < 0, i + n, i)`, with which negative indices count from the end: it is removed, and negative
//!   indices are not looked up.
//! - `select(known, x, c)`, a mask: it becomes a product with zeros and ones and a sum.

use crate::graph::{
    Activation, Binary, BinaryKind, Compare, CompareKind, Constant, DType, Graph, LogicKind, Node, Op,
    UnaryKind, Value, ValueId,
};
use crate::passes::functions::binary;
use crate::reference::{broadcast_shape, unary};

/// The operators that a choice consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Select,
    Cast,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    And,
    Or,
    Not,
}

/// Points on either side of zero, `STEP` apart.
const POINTS: i32 = 400;
const STEP: f32 = 0.037;

/// Largest difference between two forms of a function in f32, relative for results above one.
const CLOSE: f32 = 4e-6;

/// Most layers of one function; a layer that is reached on several paths counts each time.
const MOST: usize = 64;

/// Turns such layers into one layer each, or into none. Layers that compute a part stay if other layers read
/// them.
pub(super) fn run(graph: &mut Graph, notes: &mut Vec<String>) {
    if graph.nodes.iter().all(|node| code(node).is_none()) {
        return;
    }
    let mut index = 0;
    while index < graph.nodes.len() {
        index += masked(graph, index).unwrap_or(0);
        translate(graph, index, notes);
        index += 1;
    }
}

fn translate(graph: &mut Graph, index: usize, notes: &mut Vec<String>) {
    let Some(&output) = graph.nodes[index].outputs.first() else { return };
    if let Some(indices) = from_the_end(graph, index) {
        let name = &graph.value(indices).name;
        notes.push(format!("`{name}`: indices count from zero; negative ones are not looked up"));
        graph.replace_uses(output, indices);
    } else if let Some((source, kind)) = function(graph, index) {
        let node = &mut graph.nodes[index];
        (node.op, node.inputs) = (Op::Unary(kind), vec![Some(source)]);
    }
}

/// A choice whose condition is known, between computed numbers and known ones, becomes `x * mask + values`.
/// Returns how many layers were inserted before it.
fn masked(graph: &mut Graph, index: usize) -> Option<usize> {
    let node = &graph.nodes[index];
    let (&output, name) = (node.outputs.first()?, node.name.clone());
    let out = graph.value(output);
    let (shape, real) = (out.shape.clone(), out.dtype == DType::Float32 && out.quantization.is_none());
    if code(node)? != Code::Select || !real {
        return None;
    }
    let condition = graph.value(node.input(0)?);
    let (chosen, mask_shape) = (condition.constant.as_ref()?.to_i64()?, condition.shape.clone());
    let (yes, no) = (node.input(1)?, node.input(2)?);
    if broadcast_shape(&mask_shape, &shape).as_ref() != Some(&shape) {
        return None;
    }
    for (all, id) in [(true, yes), (false, no)] {
        if chosen.iter().all(|&c| (c != 0) == all) && graph.value(id).shape == shape {
            // It becomes a copy, so that an output of the model keeps its name.
            let node = &mut graph.nodes[index];
            (node.op, node.inputs) = (Op::Reshape, vec![Some(id)]);
            return Some(0);
        }
    }
    let known = |id: ValueId| Some(graph.value(id).constant.as_ref()?.as_f32()?.to_vec());
    let (data, constant, values, keep) = match (known(yes), known(no)) {
        (None, Some(values)) => (yes, no, values, true),
        (Some(values), None) => (no, yes, values, false),
        _ => return None,
    };
    let data_shape = graph.value(data).shape.clone();
    let wide = broadcast_shape(&graph.value(constant).shape, &mask_shape)?;
    let mask: Vec<f32> = chosen.iter().map(|&c| if (c != 0) == keep { 1.0 } else { 0.0 }).collect();
    let (spread_mask, spread_values) =
        (spread(&mask, &mask_shape, &wide)?, spread(&values, &graph.value(constant).shape, &wide)?);
    let values: Vec<f32> =
        spread_mask.iter().zip(spread_values).map(|(&m, x)| if m == 0.0 { x } else { 0.0 }).collect();
    if values.iter().any(|x| x.is_nan()) {
        return None;
    }
    let product_shape = broadcast_shape(&data_shape, &mask_shape)?;
    if broadcast_shape(&product_shape, &wide).as_ref() != Some(&shape) {
        return None;
    }
    let mut add = |part: &str, shape: Vec<usize>, constant: Option<Vec<f32>>| {
        let (name, constant) = (format!("{name}/{part}"), constant.map(Constant::F32));
        graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant })
    };
    let mask = add("mask", mask_shape, Some(mask));
    let values = add("values", wide, Some(values));
    let product = add("mul", product_shape, None);
    let binary = |kind| Op::Binary(Binary { kind, activation: Activation::None });
    let node = &mut graph.nodes[index];
    (node.op, node.inputs) = (binary(BinaryKind::Add), vec![Some(product), Some(values)]);
    let name = format!("{name}/mul");
    let (op, inputs) = (binary(BinaryKind::Mul), vec![Some(data), Some(mask)]);
    graph.nodes.insert(index, Node { name, op, inputs, outputs: vec![product] });
    Some(1)
}

/// The elements of a tensor that broadcasts to a shape.
pub(super) fn spread<T: Copy>(elements: &[T], from: &[usize], to: &[usize]) -> Option<Vec<T>> {
    let lead = to.len().checked_sub(from.len())?;
    let count = to.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    if broadcast_shape(from, to)? != to {
        return None;
    }
    let place = |mut i: usize| {
        let (mut place, mut stride) = (0, 1);
        for d in (0..to.len()).rev() {
            let own = if d < lead { 1 } else { from[d - lead] };
            if own > 1 {
                place += i % to[d] * stride;
            }
            stride *= own;
            i /= to[d];
        }
        place
    };
    (0..count).map(|i| elements.get(place(i)).copied()).collect()
}

/// What a layer is to a choice.
fn code(node: &Node) -> Option<Code> {
    Some(match &node.op {
        Op::Select => Code::Select,
        Op::Cast(_) => Code::Cast,
        Op::Compare(Compare { kind, .. }) => match kind {
            CompareKind::Less => Code::Less,
            CompareKind::LessEqual => Code::LessEqual,
            CompareKind::Greater => Code::Greater,
            CompareKind::GreaterEqual => Code::GreaterEqual,
            CompareKind::Equal | CompareKind::NotEqual => return None,
        },
        Op::Logic(LogicKind::And) => Code::And,
        Op::Logic(LogicKind::Or) => Code::Or,
        Op::Logic(LogicKind::Not) => Code::Not,
        _ => return None,
    })
}

fn producer(graph: &Graph, id: ValueId) -> Option<&Node> {
    graph.nodes.iter().find(|node| node.outputs.contains(&id))
}

/// The number in a constant whose elements are all equal.
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
    if code(node)? != Code::Select || output.dtype == DType::Float32 {
        return None;
    }
    let condition = producer(graph, node.input(0)?)?;
    let (indices, moved) = match code(condition)? {
        Code::Less => (node.input(2)?, node.input(1)?),
        Code::GreaterEqual => (node.input(1)?, node.input(2)?),
        _ => return None,
    };
    let sum = producer(graph, moved)?;
    let add = matches!(sum.op, Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None }));
    let other = sum.inputs.iter().flatten().find(|&&id| id != indices)?;
    let fits = condition.input(0) == Some(indices)
        && number(graph, condition.input(1)?) == Some(0.0)
        && sum.inputs.contains(&Some(indices))
        && number(graph, *other).is_some_and(|n| n > 0.0)
        && graph.value(indices).shape == output.shape;
    (add && fits).then_some(indices)
}

/// The function of one tensor that ends with the node at `index`, if a comparison is a part of it.
fn function(graph: &Graph, index: usize) -> Option<(ValueId, UnaryKind)> {
    let node = &graph.nodes[index];
    let &output = node.outputs.first()?;
    let float = graph.value(output).dtype == DType::Float32 && graph.value(output).quantization.is_none();
    let starts = match &node.op {
        Op::Select => true,
        // Keras's ThresholdedReLU is x times (x > theta) cast to a number.
        Op::Binary(Binary { kind: BinaryKind::Mul, activation: Activation::None }) => true,
        _ => false,
    };
    if !float || !starts {
        return None;
    }
    let (compared, threshold) = comparison(graph, output, MOST)?;
    // The operand of the comparison may be the tensor itself, or be computed from it.
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
        if !matches!(before.op, Op::Unary(_) | Op::Binary(_)) {
            return None;
        }
        let mut computed = before.inputs.iter().flatten().filter(|id| number(graph, **id).is_none());
        source = *computed.next()?;
    }
}

/// The nearest comparison before a value with a number: its other operand, and the number.
fn comparison(graph: &Graph, id: ValueId, depth: usize) -> Option<(ValueId, f32)> {
    let node = producer(graph, id)?;
    let depth = depth.checked_sub(1)?;
    match (&node.op, code(node)) {
        (_, Some(Code::Greater | Code::GreaterEqual | Code::Less | Code::LessEqual)) => {
            let operands: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
            let &[a, b] = operands.as_slice() else { return None };
            match (number(graph, a), number(graph, b)) {
                (None, Some(threshold)) => Some((a, threshold)),
                (Some(threshold), None) => Some((b, threshold)),
                _ => None,
            }
        }
        (_, Some(Code::Select | Code::Cast | Code::And | Code::Or | Code::Not)) => {
            comparison(graph, node.input(0)?, depth)
        }
        (Op::Binary(Binary { kind: BinaryKind::Mul, .. }), _) => {
            let mut casts = node.inputs.iter().flatten().copied();
            casts.find_map(|id| {
                let is_cast = producer(graph, id).and_then(code) == Some(Code::Cast);
                is_cast.then(|| comparison(graph, id, depth)).flatten()
            })
        }
        _ => None,
    }
}

/// An element of `id` when that of `source` is `x`; truth values are 0 and 1. `budget` limits the layers that
/// are visited.
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
        (&Op::Binary(Binary { kind, activation: Activation::None }), _) => {
            binary(kind, operand(0)?, operand(1)?)
        }
        (_, Some(Code::Select)) => {
            let (condition, a, b) = (operand(0)?, operand(1)?, operand(2)?);
            if condition != 0.0 { a } else { b }
        }
        (_, Some(Code::Cast)) if graph.value(node.input(0)?).dtype == DType::Bool => operand(0)?,
        (_, Some(Code::Greater)) => truth(operand(0)? > operand(1)?),
        (_, Some(Code::GreaterEqual)) => truth(operand(0)? >= operand(1)?),
        (_, Some(Code::Less)) => truth(operand(0)? < operand(1)?),
        (_, Some(Code::LessEqual)) => truth(operand(0)? <= operand(1)?),
        (_, Some(Code::And)) => operand(0)?.min(operand(1)?),
        (_, Some(Code::Or)) => operand(0)?.max(operand(1)?),
        (_, Some(Code::Not)) => 1.0 - operand(0)?,
        _ => return None,
    })
}

/// The function that has these values at the points. `threshold` is the number in its comparison.
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
