//! Functions of one number that formats write as several layers become one layer, which the device looks up
//! in one table: GELU as `x * 0.5 * (1 + erf(x / sqrt 2))`, SiLU as `x * sigmoid(x)`, and the like.
//!
//! They are not recognised by the form in which they are written, because there are many. Layers that compute
//! element by element from one tensor and single numbers are a function of one number, and so are the
//! candidates. The candidate that agrees with the layers at all points of a grid is the function that they
//! compute. Float layers only.

use super::rewrite::Links;
use crate::graph::{Activation, Binary, BinaryKind, Constant, DType, Graph, Node, Op, UnaryKind, ValueId};
use crate::reference::unary;

/// Functions that formats without an operator of that name write in parts.
const CANDIDATES: &[UnaryKind] = &[
    UnaryKind::Gelu { approximate: false },
    UnaryKind::Gelu { approximate: true },
    UnaryKind::Silu,
    UnaryKind::HardSwish,
    UnaryKind::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
    UnaryKind::HardSigmoid { alpha: 0.2, beta: 0.5 },
    UnaryKind::Mish,
    UnaryKind::Softplus,
    UnaryKind::Softsign,
    UnaryKind::LogSigmoid,
    UnaryKind::Logistic,
    UnaryKind::TanhShrink,
];

/// Most layers that one function may consist of.
const MOST: usize = 12;

/// Points on either side of zero. They are `STEP` apart, so that all knees of the candidates lie on points or
/// between them.
const POINTS: i32 = 400;
const STEP: f32 = 0.037;

/// Points that are tried first.
const FIRST: [i32; 2] = [27, 81];

/// Largest difference between two forms of a function in f32, relative for results above one.
const CLOSE: f32 = 2e-6;

/// Replaces functions; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    let mut links = Links::of(graph);
    for index in (0..graph.nodes.len()).rev() {
        if let Some((source, kind)) = function(graph, &links, index) {
            graph.nodes[index].op = Op::Unary(kind);
            links.set_inputs(graph, index, &[source]);
            count += 1;
        }
    }
    count
}

/// The function of one tensor that the node at `index` and those before it compute together.
fn function(graph: &Graph, links: &Links, index: usize) -> Option<(ValueId, UnaryKind)> {
    let mut members = vec![index];
    let mut sources = operands(graph, &graph.nodes[index])?;
    let shape = &graph.value(*graph.nodes[index].outputs.first()?).shape;
    while members.len() < MOST {
        // The latest layer first: its operands are computed before it, so all paths are found.
        let (at, &latest) =
            sources.iter().filter_map(|id| Some((links.writer(*id)?, id))).max_by_key(|(at, _)| *at)?;
        let node = &graph.nodes[at];
        let inner = links.readers(latest).iter().all(|reader| members.contains(reader));
        if !inner || graph.is_output(latest) {
            return None;
        }
        sources.retain(|&id| id != latest);
        for id in operands(graph, node)? {
            if !sources.contains(&id) {
                sources.push(id);
            }
        }
        members.push(at);
        let &[source] = sources.as_slice() else { continue };
        if graph.value(source).shape != *shape {
            continue;
        }
        if let Some(kind) = candidate(graph, &members, source) {
            return Some((source, kind));
        }
    }
    None
}

/// The computed operands of a layer that works element by element with single numbers.
fn operands(graph: &Graph, node: &Node) -> Option<Vec<ValueId>> {
    let float = node.outputs.iter().all(|&id| graph.value(id).dtype == DType::Float32);
    if !float || !matches!(node.op, Op::Unary(_) | Op::Binary(Binary { activation: Activation::None, .. })) {
        return None;
    }
    let mut computed = Vec::new();
    for &id in node.inputs.iter().flatten() {
        match number(graph, id) {
            Some(_) => (),
            None if graph.value(id).constant.is_some() => return None,
            None if !computed.contains(&id) => computed.push(id),
            None => (),
        }
    }
    (!computed.is_empty()).then_some(computed)
}

/// The number in a constant of one element.
fn number(graph: &Graph, id: ValueId) -> Option<f32> {
    match graph.value(id).constant.as_ref().and_then(Constant::as_f32) {
        Some(&[one]) => Some(one),
        _ => None,
    }
}

/// The candidate that the layers compute from `source`.
fn candidate(graph: &Graph, members: &[usize], source: ValueId) -> Option<UnaryKind> {
    let mut order = members.to_vec();
    order.sort_unstable();
    let close = |a: f32, b: f32| (a - b).abs() <= CLOSE * b.abs().max(1.0);
    let mut left = CANDIDATES.to_vec();
    // Most layers are none of the candidates, so the points that distinguish best come first: points near
    // one, where rectifiers differ from the candidates, and the outermost, where the others do.
    for i in FIRST.into_iter().chain((0..=POINTS).rev()).flat_map(|i| [i, -i]) {
        let x = i as f32 * STEP;
        let y = compute(graph, &order, source, x)?;
        left.retain(|&kind| close(y, unary(kind, x)));
        if left.is_empty() {
            return None;
        }
    }
    left.first().copied()
}

/// The result of the layers in `order` when `source` is `x`.
fn compute(graph: &Graph, order: &[usize], source: ValueId, x: f32) -> Option<f32> {
    let mut values: Vec<(ValueId, f32)> = vec![(source, x)];
    for &at in order {
        let node = &graph.nodes[at];
        let operand = |position: usize| {
            let id = node.input(position)?;
            number(graph, id).or_else(|| values.iter().find(|(v, _)| *v == id).map(|(_, x)| *x))
        };
        let result = match node.op {
            Op::Unary(kind) => unary(kind, operand(0)?),
            Op::Binary(Binary { kind, .. }) => binary(kind, operand(0)?, operand(1)?),
            _ => return None,
        };
        values.push((*node.outputs.first()?, result));
    }
    values.last().map(|(_, y)| *y)
}

/// A function of two numbers.
pub(crate) fn binary(kind: BinaryKind, a: f32, b: f32) -> f32 {
    match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Sub => a - b,
        BinaryKind::Mul => a * b,
        BinaryKind::Div => a / b,
        BinaryKind::Maximum => a.max(b),
        BinaryKind::Minimum => a.min(b),
        BinaryKind::SquaredDifference => (a - b) * (a - b),
        BinaryKind::FloorDiv => (a / b).floor(),
        BinaryKind::FloorMod => a - b * (a / b).floor(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;

    fn binary_op(kind: BinaryKind) -> Op {
        Op::Binary(Binary { kind, activation: Activation::None })
    }

    /// The operators that remain of a function of `x`.
    fn left(write: impl Fn(&mut Build, ValueId) -> ValueId) -> Vec<Op> {
        let mut b = Build::new(&[1, 6]);
        let input = b.input();
        let x = b.node(Op::Unary(UnaryKind::Sin), &[input], &[1, 6]);
        let y = write(&mut b, x);
        let mut graph = b.finish(y);
        run(&mut graph);
        super::super::dead::run(&mut graph);
        graph.nodes.into_iter().skip(1).map(|node| node.op).collect()
    }

    #[test]
    fn functions_are_known_in_any_form() {
        let silu = left(|b, x| {
            let s = b.node(Op::Unary(UnaryKind::Logistic), &[x], &[1, 6]);
            b.node(binary_op(BinaryKind::Mul), &[x, s], &[1, 6])
        });
        assert_eq!(silu, [Op::Unary(UnaryKind::Silu)]);
        let gelu = left(|b, x| {
            let (half, root, one) =
                (b.constant(&[1], |_| 0.5), b.constant(&[1], |_| 0.5f32.sqrt()), b.constant(&[1], |_| 1.0));
            let scaled = b.node(binary_op(BinaryKind::Mul), &[x, root], &[1, 6]);
            let erf = b.node(Op::Unary(UnaryKind::Erf), &[scaled], &[1, 6]);
            let sum = b.node(binary_op(BinaryKind::Add), &[erf, one], &[1, 6]);
            let halved = b.node(binary_op(BinaryKind::Mul), &[half, x], &[1, 6]);
            b.node(binary_op(BinaryKind::Mul), &[halved, sum], &[1, 6])
        });
        assert_eq!(gelu, [Op::Unary(UnaryKind::Gelu { approximate: false })]);
        let hard = left(|b, x| {
            let (three, sixth) = (b.constant(&[1], |_| 3.0), b.constant(&[1], |_| 1.0 / 6.0));
            let sum = b.node(binary_op(BinaryKind::Add), &[x, three], &[1, 6]);
            let clamped = b.node(Op::Unary(UnaryKind::Relu6), &[sum], &[1, 6]);
            let gate = b.node(binary_op(BinaryKind::Mul), &[clamped, sixth], &[1, 6]);
            b.node(binary_op(BinaryKind::Mul), &[x, gate], &[1, 6])
        });
        assert_eq!(hard, [Op::Unary(UnaryKind::HardSwish)]);
    }

    #[test]
    fn other_functions_and_shared_parts_stay() {
        let other = left(|b, x| {
            let s = b.node(Op::Unary(UnaryKind::Tanh), &[x], &[1, 6]);
            b.node(binary_op(BinaryKind::Mul), &[x, s], &[1, 6])
        });
        assert_eq!(other.len(), 2);
        let channels = left(|b, x| {
            let (s, factor) =
                (b.node(Op::Unary(UnaryKind::Logistic), &[x], &[1, 6]), b.constant(&[6], |i| i as f32));
            let scaled = b.node(binary_op(BinaryKind::Mul), &[s, factor], &[1, 6]);
            b.node(binary_op(BinaryKind::Mul), &[x, scaled], &[1, 6])
        });
        assert_eq!(channels.len(), 3);
    }
}
