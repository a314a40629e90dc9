//! Where with a condition that depends on the input: a choice between two functions of the same number, such
//! as Softplus above and below a threshold.
//!
//! Where it is such a function, the device looks it up; every other choice is a SELECT. On a grid of points, either one of the two operands always equals the choice, or one of a few known functions does.

use super::layer::Layer;
use crate::graph::{Activation, Binary, BinaryKind, Compare, CompareKind, Graph, Op, UnaryKind, ValueId};
use crate::import::refusal::Refusal;
use crate::passes::functions::binary;
use crate::reference::unary;

/// Largest difference between two forms of a function, relative for results above one. It is not smaller
/// because beyond its threshold, Softplus is only about equal to the number itself.
const CLOSE: f32 = 1e-4;

/// Most layers between the number and the operands of the choice.
const DEPTH: usize = 12;

/// What Where is whose condition is a comparison, if both of its operands together are one function of a number.
pub(super) fn choose(
    l: &mut Layer<'_>,
    condition: ValueId,
    [yes, no]: [ValueId; 2],
) -> Result<Option<ValueId>, Refusal> {
    let graph = l.net.b.graph();
    let writer = graph.nodes.iter().rev().find(|node| node.outputs.contains(&condition));
    let Some(&Op::Compare(Compare { kind, .. })) = writer.map(|node| &node.op) else { return Ok(None) };
    let sides = writer.and_then(|node| node.input(0).zip(node.input(1)));
    let Some((left, right)) = sides else { return Ok(None) };
    let choice = Choice { graph, kind, left, right, yes, no };
    Ok(match choice.found() {
        Some(Found::Value(id)) => Some(id),
        Some(Found::Function(source, kind)) => Some(l.net.b.unary(&l.name, kind, source)?),
        Some(Found::Scaled(source, kind, factor)) => {
            let name = l.part("function");
            let y = l.net.b.unary(&name, kind, source)?;
            Some(l.net.b.binary_scalar(&l.name, BinaryKind::Mul, y, factor)?)
        }
        None => None,
    })
}

/// An equivalent of a choice.
enum Found {
    /// One of the two operands.
    Value(ValueId),
    /// A function of a value.
    Function(ValueId, UnaryKind),
    /// A function of a value times a factor.
    Scaled(ValueId, UnaryKind, f32),
}

/// The choice: `yes` if the comparison holds, else `no`.
struct Choice<'a> {
    graph: &'a Graph,
    kind: CompareKind,
    left: ValueId,
    right: ValueId,
    yes: ValueId,
    no: ValueId,
}

impl Choice<'_> {
    fn found(&self) -> Option<Found> {
        let compared = if self.number(self.right).is_some() { self.left } else { self.right };
        self.sources(compared).into_iter().find_map(|source| self.found_from(source, compared))
    }

    /// The equivalent of the choice as a function of `source`.
    fn found_from(&self, source: ValueId, compared: ValueId) -> Option<Found> {
        let shape = &self.graph.value(source).shape;
        let whole = |id: ValueId| self.graph.value(id).shape == *shape;
        if !whole(compared) || ![self.yes, self.no].into_iter().any(whole) {
            return None;
        }
        let mut rows = Vec::new();
        for x in points(self.number(self.right).or_else(|| self.number(self.left))) {
            let at = |id| self.at(id, source, x, 0);
            let (left, right, yes, no) = (at(self.left)?, at(self.right)?, at(self.yes)?, at(self.no)?);
            let holds = self.kind.holds(left, right);
            rows.push(Row { compared: at(compared)?, x, yes, no, result: if holds { yes } else { no } });
        }
        if whole(self.no) && rows.iter().all(|r| close(r.no, r.result)) {
            return Some(Found::Value(self.no));
        }
        if whole(self.yes) && rows.iter().all(|r| close(r.yes, r.result)) {
            return Some(Found::Value(self.yes));
        }
        for kind in self.candidates() {
            if rows.iter().all(|r| close(unary(kind, r.x), r.result)) {
                return Some(Found::Function(source, kind));
            }
        }
        // `softplus(beta * x) / beta`, where `beta * x` is compared.
        let beta = rows.iter().find(|r| r.x == 1.0)?.compared;
        let soft = |r: &Row| unary(UnaryKind::Softplus, r.compared) / beta;
        let scaled = beta != 0.0 && rows.iter().all(|r| close(soft(r), r.result));
        scaled.then_some(Found::Scaled(compared, UnaryKind::Softplus, 1.0 / beta))
    }

    /// Functions that frameworks write as a choice.
    fn candidates(&self) -> Vec<UnaryKind> {
        let mut all = vec![UnaryKind::Softplus, UnaryKind::Relu, UnaryKind::Elu { alpha: 1.0 }];
        all.push(UnaryKind::Selu { alpha: 1.673_263_2, gamma: 1.050_701 });
        if let Some(threshold) = self.number(self.right).or_else(|| self.number(self.left)) {
            for value in [self.no, self.yes].into_iter().filter_map(|id| self.number(id)) {
                all.push(UnaryKind::Threshold { threshold, value });
            }
        }
        all
    }

    /// A constant of one element.
    fn number(&self, id: ValueId) -> Option<f32> {
        match self.graph.value(id).constant.as_ref()?.as_f32()? {
            [x] => Some(*x),
            _ => None,
        }
    }

    /// A value and those that it is a function of, the nearest first.
    fn sources(&self, id: ValueId) -> Vec<ValueId> {
        let mut all = vec![id];
        while let (Some(&last), true) = (all.last(), all.len() < DEPTH) {
            let node = self.graph.nodes.iter().rev().find(|node| node.outputs.contains(&last));
            let Some(node) = node.filter(|node| elementwise(&node.op)) else { break };
            let mut computed = node.inputs.iter().flatten().filter(|id| self.number(**id).is_none());
            match (computed.next(), computed.next()) {
                (Some(&id), None) => all.push(id),
                _ => break,
            }
        }
        all
    }

    /// The element of a value when that of `source` is `x`.
    fn at(&self, id: ValueId, source: ValueId, x: f32, depth: usize) -> Option<f32> {
        if id == source {
            return Some(x);
        }
        if let Some(number) = self.number(id) {
            return Some(number);
        }
        let node = self.graph.nodes.iter().rev().find(|node| node.outputs.contains(&id))?;
        if depth == DEPTH || !elementwise(&node.op) {
            return None;
        }
        let operand = |position: usize| self.at(node.input(position)?, source, x, depth + 1);
        Some(match node.op {
            Op::Unary(kind) => unary(kind, operand(0)?),
            Op::Binary(Binary { kind, .. }) => binary(kind, operand(0)?, operand(1)?),
            _ => return None,
        })
    }
}

/// The operands and the result of a choice at one point.
struct Row {
    x: f32,
    compared: f32,
    yes: f32,
    no: f32,
    result: f32,
}

fn elementwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Binary(Binary { activation: Activation::None, .. }))
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= CLOSE * b.abs().max(1.0)
}

/// The points at which functions are compared: densely around zero and the threshold, and some far out.
fn points(threshold: Option<f32>) -> Vec<f32> {
    let mut all: Vec<f32> = (-800..=800).map(|i| i as f32 * 0.037).collect();
    all.extend(threshold.into_iter().flat_map(|t| [t - 0.01, t, t + 0.01]));
    all.extend((0..20).map(|i| 1.5f32.powi(i)).flat_map(|x| [x, -x]));
    all
}
