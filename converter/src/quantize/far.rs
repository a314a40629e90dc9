//! Constants far outside of the data: bounds that never take effect, masks, padding that never wins a
//! maximum.
//!
//! Examples are `min(x, 1e6)`, a -1e9 that is added to scores that must lose, and a border of -inf before a
//! max pool. If the range of int8 includes such a number, one step is left for all other numbers. But none of
//! them needs to be in the range. Maxima, minima and everything that moves elements commute with a clamp, so
//! their operands may be clamped to the range of their results on the samples:
//!
//! ```text
//! max(x, c), result in [l, u]    max(clamp(x, l, u), clamp(c, l, u))     the same result
//! softmax, smallest winner w     clamp(x, w - margin, ..)                what is cut off weighs nothing
//! s + c, read clamped to [l, u]  s + clamp(c, l - max s, u - min s)      the same after the clamp
//! ```
//!
//! One run of the samples shows the ranges of all values. Then a walk back from the outputs gives each value
//! the range that its readers need. Constants are clamped to that range, and values that were too wide
//! because of them get *limits*: a range at whose ends they saturate. A constant that takes effect on a
//! sample lies inside and stays as it is. Any infinity that is left afterwards has no meaning, and is
//! refused.

use std::collections::HashMap;

use super::ask::{self, Answer, ask};
use super::range::{LARGEST_BOUND, Range, is_real};
use super::samples::{Samples, run};
use crate::error::Result;
use crate::graph::{Activation, BinaryKind, Constant, Graph, Node, Op, ValueId};
use crate::graph::{ArgMinMax, Binary, Pad, Softmax};
use crate::ops::{self, channel_axis};
use crate::parallel::by_worker;
use crate::passes;
use crate::reference::Executor;

/// Smaller constants in sums, products and biases (into which sums are folded) are not checked, because no
/// mask is so small.
const LEAST_MASK: f32 = 8.0;

/// A product is a mask if its range is this many times as wide as its readers need.
const WIDER: f32 = 4.0;

/// Facts about the ranges of values that the samples alone do not show.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Ranges at whose ends values saturate, by value.
    ends: HashMap<ValueId, Range>,
    /// Numbers that must be whole numbers of steps, by value.
    pub terms: HashMap<ValueId, f64>,
}

impl Limits {
    /// Whether no value saturates.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Cuts the ranges to the limits; both are by value.
    pub fn cut(&self, ranges: &mut [Range]) {
        for (id, limit) in &self.ends {
            if let Some(range) = ranges.get_mut(id.0) {
                *range = inside(*range, *limit);
            }
        }
    }
}

/// The part of a range that lies within another one.
pub fn inside(range: Range, limit: Range) -> Range {
    Range { min: range.min.max(limit.min), max: range.max.min(limit.max) }
}

/// Clamps the constants of a graph that lie outside of the range that the samples need, and folds padding
/// that never wins into max pools. Returns where values then have to saturate. Each constant must have one
/// reader.
pub fn tame(graph: &mut Graph, samples: &dyn Samples) -> Result<Limits> {
    let selects = graph.nodes.iter().any(|node| ops::of(&node.op).selects());
    if !graph.nodes.iter().any(|node| is_suspect(graph, node, selects)) {
        return Ok(Limits::default());
    }
    let seen = Seen::of(graph, samples)?;
    if passes::fold_pools(graph, &|id| f64::from(seen.ranges[id.0].min)) > 0 {
        passes::dead::run(graph);
    }
    let needs = Needs::of(graph, &seen);
    let mut touched = vec![false; graph.values.len()];
    for index in 0..graph.nodes.len() {
        let clamped = needs.clamp(graph, index);
        let node = &graph.nodes[index];
        let passes_on = ops::of(&node.op).commutes_with_clamps() || matches!(node.op, Op::Binary(_));
        let reads = node.inputs.iter().flatten().any(|id| touched[id.0]);
        if clamped || (passes_on && reads) {
            node.outputs.iter().for_each(|id| touched[id.0] = true);
        }
    }
    let ids = (0..graph.values.len()).map(ValueId).filter(|id| touched[id.0] && is_real(graph, *id));
    let limits = ids.map(|id| (id, needs.of_value(id)));
    let narrower = |(id, limit): &(ValueId, Range)| inside(seen.ranges[id.0], *limit) != seen.ranges[id.0];
    Ok(Limits { ends: limits.filter(narrower).collect(), ..Limits::default() })
}

/// Makes infinite bounds, masks and padding finite, for graphs whose ranges are known without samples.
pub fn bound(graph: &mut Graph) {
    let whole = Range { min: -LARGEST_BOUND, max: LARGEST_BOUND };
    for index in 0..graph.nodes.len() {
        if let Op::Pad(Pad { value: Some(value), .. }) = &mut graph.nodes[index].op {
            *value = clamp(*value as f32, whole).into();
        }
        let node = &graph.nodes[index];
        if matches!(node.op, Op::Concat(_) | Op::Pack(_) | Op::Select | Op::Binary(_)) {
            // A product with infinity is no mask, since zero times infinity is NaN.
            let product = matches!(node.op, Op::Binary(Binary { kind: BinaryKind::Mul, .. }));
            let ids = node.inputs.iter().flatten().copied().filter(|&id| !product || is_finite(graph, id));
            let ids: Vec<ValueId> = ids.collect();
            for id in ids {
                clamp_constant(graph, id, |_| whole);
            }
        }
    }
}

/// Whether a constant has no infinity.
fn is_finite(graph: &Graph, id: ValueId) -> bool {
    let elements = graph.value(id).constant.as_ref().and_then(Constant::as_f32);
    elements.is_some_and(|elements| elements.iter().all(|x| x.is_finite()))
}

/// Whether a node has a constant that may lie far outside of the data. `selecting` says whether anything in
/// the graph can be computed with less of its range.
fn is_suspect(graph: &Graph, node: &Node, selecting: bool) -> bool {
    let reaches = |id: ValueId, least: f32| {
        let constant = graph.value(id).constant.as_ref().and_then(Constant::as_f32);
        constant.is_some_and(|elements| elements.iter().any(|x| x.abs() >= least))
    };
    let any = |least| node.inputs.iter().flatten().any(|&id| reaches(id, least));
    match &node.op {
        Op::Pad(Pad { value, .. }) => value.is_some_and(|value| value != 0.0),
        Op::Binary(Binary { kind: BinaryKind::Maximum | BinaryKind::Minimum, .. }) => any(0.0),
        Op::Concat(_) | Op::Pack(_) | Op::Select => selecting && any(LEAST_MASK),
        Op::Binary(_) => selecting && any(LEAST_MASK),
        op => {
            selecting && channel_axis(op).is_some() && node.input(2).is_some_and(|id| reaches(id, LEAST_MASK))
        }
    }
}

/// The ranges of values, infinities included.
#[derive(Clone)]
struct Seen {
    ranges: Vec<Range>,
    /// For the operands of ARG_MAX, ARG_MIN and SOFTMAX: the smallest of the largest elements of all rows,
    /// and the largest of the smallest.
    winners: HashMap<ValueId, (f32, f32)>,
}

impl Seen {
    fn of(graph: &Graph, samples: &dyn Samples) -> Result<Seen> {
        let axes: HashMap<ValueId, usize> = graph.nodes.iter().filter_map(|n| row_axis(graph, n)).collect();
        let fresh = || Seen { ranges: vec![Range::default(); graph.values.len()], winners: HashMap::new() };
        let executor = Executor::new(graph)?;
        let mut seen = ask(samples, ("reach", graph, &[]), fresh(), || {
            let parts = by_worker(0..samples.len(), fresh, |seen, sample| {
                run(&executor, samples, sample, &mut |id, data| {
                    seen.ranges[id.0] = seen.ranges[id.0].union(reach(data));
                    if let Some(&axis) = axes.get(&id) {
                        seen.rows(id, &graph.value(id).shape, axis, data);
                    }
                })
                .map(drop)
            })?;
            let mut seen = fresh();
            parts.into_iter().for_each(|part| seen.add(part));
            Ok(seen)
        })?;
        for (range, value) in seen.ranges.iter_mut().zip(&graph.values) {
            if let Some(elements) = value.constant.as_ref().and_then(Constant::as_f32) {
                *range = reach(elements);
            }
        }
        Ok(seen)
    }

    fn rows(&mut self, id: ValueId, shape: &[usize], axis: usize, data: &[f32]) {
        let (count, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        for block in data.chunks_exact((count * inner).max(1)) {
            for first in 0..inner {
                let row = block.iter().skip(first).step_by(inner).copied();
                let ends = (f32::INFINITY, f32::NEG_INFINITY);
                let (low, high) = row.fold(ends, |(low, high), x| (low.min(x), high.max(x)));
                self.row(id, high, low);
            }
        }
    }

    fn row(&mut self, id: ValueId, largest: f32, smallest: f32) {
        let (low, high) = self.winners.entry(id).or_insert((f32::INFINITY, f32::NEG_INFINITY));
        (*low, *high) = (low.min(largest + 0.0), high.max(smallest + 0.0));
    }
}

impl Answer for Seen {
    fn to_words(&self) -> Vec<u64> {
        let mut winners: Vec<_> = self.winners.iter().collect();
        winners.sort_by_key(|(id, _)| id.0);
        let winners = winners.into_iter().flat_map(|(id, &(low, high))| [id.0 as u64, ask::pair(low, high)]);
        self.ranges.iter().map(ask::word).chain(winners).collect()
    }

    fn of_words(&self, words: &[u64]) -> Option<Seen> {
        let (ranges, winners) = words.split_at_checked(self.ranges.len())?;
        let pairs = winners.chunks(2).map(|words| match words {
            &[id, ends] if (id as usize) < self.ranges.len() => {
                Some((ValueId(id as usize), ask::unpair(ends)))
            }
            _ => None,
        });
        Some(Seen { ranges: ranges.iter().map(ask::range).collect(), winners: pairs.collect::<Option<_>>()? })
    }

    fn add(&mut self, other: Seen) {
        self.ranges.iter_mut().zip(other.ranges).for_each(|(range, other)| *range = range.union(other));
        other.winners.into_iter().for_each(|(id, (low, high))| self.row(id, low, high));
    }
}

/// The rows in which SOFTMAX, ARG_MAX or ARG_MIN compares elements: the operand, and the axis.
fn row_axis(graph: &Graph, node: &Node) -> Option<(ValueId, usize)> {
    let input = node.input(0)?;
    match node.op {
        Op::ArgMinMax(ArgMinMax { axis, .. }) => Some((input, axis)),
        Op::Softmax(_) => Some((input, graph.value(input).shape.len().checked_sub(1)?)),
        _ => None,
    }
}

/// The range of numbers, zero included; NaN is ignored.
fn reach(data: &[f32]) -> Range {
    let range = |range: Range, &x: &f32| Range { min: range.min.min(x), max: range.max.max(x) };
    let Range { min, max } = data.iter().fold(Range::default(), range);
    // Adding zero turns -0 into 0: which of the two comes first must not matter.
    Range { min: min + 0.0, max: max + 0.0 }
}

fn clamp(x: f32, limit: Range) -> f32 {
    if x.is_nan() { x } else { x.max(limit.min).min(limit.max) }
}

/// Clamps the elements of a float constant, each to a range of its own; returns whether any changed.
fn clamp_constant(graph: &mut Graph, id: ValueId, limit: impl Fn(usize) -> Range) -> bool {
    let Some(Constant::F32(elements)) = &mut graph.value_mut(id).constant else { return false };
    let mut changed = false;
    for (index, x) in elements.iter_mut().enumerate() {
        let clamped = clamp(*x, limit(index));
        changed |= clamped != *x && !x.is_nan();
        *x = clamped;
    }
    changed
}

/// The range of each value that its readers need.
struct Needs<'s> {
    seen: &'s Seen,
    asked: Vec<Option<Range>>,
}

impl<'s> Needs<'s> {
    /// Walks back from the outputs.
    fn of(graph: &Graph, seen: &'s Seen) -> Needs<'s> {
        let mut needs = Needs { seen, asked: vec![None; graph.values.len()] };
        for id in graph.results() {
            needs.ask(id, seen.ranges[id.0]);
        }
        for node in graph.nodes.iter().rev() {
            for (position, id) in node.inputs.iter().enumerate() {
                let Some(id) = *id else { continue };
                needs.ask(id, needs.of_operand(graph, node, position, id));
            }
        }
        needs
    }

    fn ask(&mut self, id: ValueId, range: Range) {
        let asked = &mut self.asked[id.0];
        *asked = Some(asked.map_or(range, |asked| asked.union(range)));
    }

    /// The range that all readers of a value need.
    fn of_value(&self, id: ValueId) -> Range {
        let seen = self.seen.ranges[id.0];
        self.asked[id.0].map_or(seen, |asked| inside(seen, asked))
    }

    /// The range that is needed of a node's results.
    fn of_results(&self, node: &Node) -> Range {
        node.outputs.iter().fold(Range::default(), |all, &id| all.union(self.of_value(id)))
    }

    /// The range of one operand that a node needs.
    fn of_operand(&self, graph: &Graph, node: &Node, position: usize, id: ValueId) -> Range {
        let seen = self.seen.ranges[id.0];
        let wanted = match node.op {
            ref op if ops::of(op).is_index(position) => seen,
            ref op if ops::of(op).commutes_with_clamps() => self.of_results(node),
            Op::Softmax(_) | Op::ArgMinMax(_) => self.of_row(graph, node, id),
            Op::Binary(Binary { kind, activation: Activation::None }) => {
                self.of_term(graph, node, kind, position)
            }
            _ => seen,
        };
        let sound = |x: f32| x.is_finite() && x.abs() <= LARGEST_BOUND;
        match sound(wanted.min) && sound(wanted.max) {
            true => Range { min: wanted.min.min(0.0), max: wanted.max.max(0.0) },
            false => seen,
        }
    }

    /// The range of an operand that is compared in rows: elements that lose may lie just far enough below the
    /// winner that they do not count.
    fn of_row(&self, graph: &Graph, node: &Node, id: ValueId) -> Range {
        let seen = self.seen.ranges[id.0];
        let Some(&(low, high)) = self.seen.winners.get(&id) else { return seen };
        match node.op {
            Op::Softmax(Softmax { beta }) if beta > 0.0 => {
                // All losers of a row together weigh less than half a step of SOFTMAX's result, 1/512.
                let keys = graph.value(id).shape.last().copied().unwrap_or(1);
                Range { min: low - (512.0 * keys as f32).ln() / beta, ..seen }
            }
            // The distance of some steps keeps a loser from becoming equal to the winner.
            Op::ArgMinMax(ArgMinMax { largest: true, .. }) => {
                Range { min: low - (seen.max - low) / 32.0, ..seen }
            }
            Op::ArgMinMax(_) => Range { max: high + (high - seen.min) / 32.0, ..seen },
            _ => seen,
        }
    }

    /// The range of one operand that a sum, a difference or a product needs, if that operand is a mask.
    fn of_term(&self, graph: &Graph, node: &Node, kind: BinaryKind, position: usize) -> Range {
        let (Some(a), Some(b)) = (node.input(0), node.input(1)) else { return Range::default() };
        let (own, other) = if position == 0 { (a, b) } else { (b, a) };
        let [seen, beside] = [own, other].map(|id| self.seen.ranges[id.0]);
        let constant = |id| graph.value(id).constant.is_some();
        let span = |range: Range| range.max - range.min;
        let is_mask = match (constant(own), constant(other)) {
            (true, false) => true,
            (false, false) => span(seen) > span(beside),
            _ => false,
        };
        let need = self.of_results(node);
        match (kind, position) {
            _ if !is_mask => seen,
            (BinaryKind::Add, _) => Range { min: need.min - beside.max, max: need.max - beside.min },
            (BinaryKind::Sub, 0) => Range { min: need.min + beside.min, max: need.max + beside.max },
            (BinaryKind::Sub, _) => Range { min: beside.min - need.max, max: beside.max - need.min },
            // A mask that is computed: the product saturates even for the factor's smallest step.
            (BinaryKind::Mul, _) if constant(own) && self.is_too_wide(node) => {
                let largest = need.max.max(-need.min) * 255.0 / span(beside);
                Range { min: -largest, max: largest }
            }
            _ => seen,
        }
    }

    /// Whether a node's results are far wider than their readers need.
    fn is_too_wide(&self, node: &Node) -> bool {
        let seen = node.outputs.iter().fold(Range::default(), |all, id| all.union(self.seen.ranges[id.0]));
        let need = self.of_results(node);
        seen.max - seen.min > WIDER * (need.max - need.min)
    }

    /// Clamps the constants of a node to the range that it needs; returns whether its results change.
    fn clamp(&self, graph: &mut Graph, index: usize) -> bool {
        let node = graph.nodes[index].clone();
        if !node.outputs.iter().any(|&id| is_real(graph, id)) {
            return false;
        }
        let mut changed = false;
        match &node.op {
            Op::Pad(Pad { value: Some(value), .. }) if node.input(0).is_some_and(|id| is_real(graph, id)) => {
                let clamped = clamp(*value as f32, self.of_results(&node));
                changed = clamped != *value as f32;
                if let Op::Pad(Pad { value, .. }) = &mut graph.nodes[index].op {
                    *value = Some(clamped.into());
                }
            }
            Op::Concat(_) | Op::Pack(_) | Op::Select | Op::Binary(_) => {
                for (position, id) in node.inputs.iter().enumerate() {
                    let Some(id) = *id else { continue };
                    let limit = self.of_operand(graph, &node, position, id);
                    changed |= clamp_constant(graph, id, |_| limit);
                }
                let product = matches!(node.op, Op::Binary(Binary { kind: BinaryKind::Mul, .. }));
                changed |= product && self.is_too_wide(&node);
            }
            op => {
                if let Some(axis) = channel_axis(op) {
                    changed = self.clamp_bias(graph, &node, axis).unwrap_or(false);
                }
            }
        }
        changed
    }

    /// Clamps a mask that was folded into a bias. The most that the products of a channel can reach takes the
    /// place of the other operand's range.
    fn clamp_bias(&self, graph: &mut Graph, node: &Node, axis: usize) -> Option<bool> {
        let (input, weights, bias) = (node.input(0)?, node.input(1)?, node.input(2)?);
        let (need, range) = (self.of_results(node), self.seen.ranges[input.0]);
        let largest = range.max.max(-range.min);
        let weights = graph.value(weights);
        let (inner, elements) =
            (weights.shape.iter().skip(axis + 1).product::<usize>(), weights.constant.as_ref()?);
        let mut sums = vec![0.0f32; *weights.shape.get(axis)?];
        let channels = sums.len();
        for (i, weight) in elements.to_real(weights.quantization.as_ref(), &weights.shape).iter().enumerate()
        {
            sums[i / inner.max(1) % channels] += weight.abs() * largest;
        }
        let sound = largest.is_finite() && sums.iter().all(|sum| sum.is_finite());
        let limit = |c: usize| Range {
            min: need.min - sums.get(c).copied().unwrap_or(0.0),
            max: need.max + sums.get(c).copied().unwrap_or(0.0),
        };
        Some(sound && clamp_constant(graph, bias, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Node, Pool2d, PoolKind, Reduce, ReduceKind, Transpose, Value, Window};

    /// Samples of one input.
    struct Rows(Vec<Vec<f32>>);

    impl Samples for Rows {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
            Ok(vec![self.0[index].clone()])
        }
    }

    fn value(graph: &mut Graph, name: &str, shape: &[usize], constant: Option<&[f32]>) -> ValueId {
        let constant = constant.map(|elements| Constant::F32(elements.to_vec()));
        let (name, shape) = (name.to_string(), shape.to_vec());
        graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant })
    }

    /// An operator, its constant and the shape of its result.
    type Layer<'a> = (Op, Option<&'a [f32]>, &'a [usize]);

    /// A graph with one input of `shape` and a chain of layers, each with its constant and the shape of its
    /// result. Also returns the results of the layers.
    fn chain(shape: &[usize], layers: &[Layer<'_>]) -> (Graph, Vec<ValueId>) {
        let mut graph = Graph::default();
        let mut x = value(&mut graph, "x", shape, None);
        graph.inputs = vec![x];
        let mut results = Vec::new();
        for (index, (op, constant, shape)) in layers.iter().enumerate() {
            let name = format!("{index}");
            let constant = constant.map(|c| value(&mut graph, "c", &[c.len()], Some(c)));
            let y = value(&mut graph, &name, shape, None);
            let inputs = [Some(x), constant].into_iter().filter(|id| id.is_some()).collect();
            graph.nodes.push(Node { name, op: op.clone(), inputs, outputs: vec![y] });
            results.push(y);
            x = y;
        }
        graph.outputs = vec![x];
        (graph, results)
    }

    /// Tames a graph, checks that its outputs for the samples stay the same once values saturate at their
    /// limits, and returns both.
    fn tamed(mut graph: Graph, rows: &[&[f32]]) -> (Graph, Limits) {
        let before = graph.clone();
        let samples = Rows(rows.iter().map(|row| row.to_vec()).collect());
        let limits = tame(&mut graph, &samples).unwrap();
        for row in rows {
            let wanted = Executor::new(&before).unwrap().run(&[row]).unwrap();
            let executor = Executor::new(&graph).unwrap();
            let found = executor.run_transformed(&[row], &mut |id, data| {
                if let Some(limit) = limits.ends.get(&id) {
                    data.iter_mut().for_each(|x| *x = clamp(*x, *limit));
                }
            });
            for (a, b) in wanted.concat().iter().zip(found.unwrap().concat()) {
                assert!((a - b).abs() <= 1.0 / 512.0, "{wanted:?}");
            }
        }
        (graph, limits)
    }

    fn constant(graph: &Graph, node: usize) -> Vec<f32> {
        graph.constant(graph.nodes[node].input(1)).and_then(Constant::as_f32).unwrap().to_vec()
    }

    fn binary(kind: BinaryKind) -> Op {
        Op::Binary(Binary { kind, activation: Activation::None })
    }

    const ROWS: [&[f32]; 2] = [&[-1.0, 2.0, 3.0, -4.0], &[0.5, 1.0, -2.0, 4.0]];

    #[test]
    fn bounds_come_as_near_as_the_data() {
        let cases: [(BinaryKind, &[f32], &[f32]); 6] = [
            (BinaryKind::Minimum, &[1e6], &[4.0]),
            (BinaryKind::Minimum, &[f32::INFINITY, 1.5, 1e9, 4.5], &[4.0, 1.5, 4.0, 4.0]),
            (BinaryKind::Maximum, &[-1e4], &[-4.0]),
            (BinaryKind::Maximum, &[f32::MIN], &[-4.0]),
            // These constants take effect.
            (BinaryKind::Minimum, &[2.5], &[2.5]),
            (BinaryKind::Minimum, &[-1e4], &[-1e4]),
        ];
        for (kind, far, near) in cases {
            let (graph, _) = chain(&[1, 4], &[(binary(kind), Some(far), &[1, 4])]);
            let (graph, limits) = tamed(graph, &ROWS);
            assert_eq!(constant(&graph, 0), near);
            assert!(limits.is_empty());
        }
    }

    #[test]
    fn masks_lose_nearby() {
        let reduce = |kind| Op::Reduce(Reduce { kind, axes: vec![1], keep_dims: true });
        let cases: [(Op, &[usize], f32); 5] = [
            (reduce(ReduceKind::Max), &[1, 1], -1e9),
            (reduce(ReduceKind::Max), &[1, 1], f32::NEG_INFINITY),
            (reduce(ReduceKind::Min), &[1, 1], f32::INFINITY),
            (Op::ArgMinMax(ArgMinMax { axis: 1, largest: true }), &[1], -1e9),
            (Op::Softmax(Softmax { beta: 1.0 }), &[1, 4], f32::NEG_INFINITY),
        ];
        for (reader, shape, far) in cases {
            let mask = [0.0, far, far, 0.0];
            let op = reader.clone();
            let layers = [(binary(BinaryKind::Add), Some(&mask[..]), &[1, 4][..]), (reader, None, shape)];
            let (graph, results) = chain(&[1, 4], &layers);
            let (graph, limits) = tamed(graph, &ROWS);
            let nearer = constant(&graph, 0);
            assert!(nearer.iter().all(|x| x.abs() < 20.0) && nearer[0] == 0.0, "{op:?}: {nearer:?}");
            let limit = limits.ends[&results[0]];
            assert!(limit.max - limit.min < 16.0, "{op:?}: {limit:?}");
        }
    }

    #[test]
    fn masks_pass_through_what_moves_elements() {
        let mask = [-1e9, 0.0, 0.0, -1e9];
        let layers = [
            (binary(BinaryKind::Add), Some(&mask[..]), &[1, 4][..]),
            (Op::Reshape, None, &[2, 2][..]),
            (Op::Transpose(Transpose { permutation: vec![1, 0] }), None, &[2, 2][..]),
            (Op::Reduce(Reduce { kind: ReduceKind::Max, axes: vec![0, 1], keep_dims: false }), None, &[][..]),
        ];
        let (graph, results) = chain(&[1, 4], &layers);
        let (graph, limits) = tamed(graph.clone(), &ROWS);
        assert_eq!(constant(&graph, 0), [-4.0, 0.0, 0.0, -4.0]);
        assert!(results[..3].iter().all(|id| limits.ends[id] == Range { min: 0.0, max: 3.0 }));
        // A value that another layer reads without clamping keeps its range.
        let (mut graph, results) = chain(&[1, 4], &layers);
        graph.outputs.push(results[0]);
        let (graph, limits) = tamed(graph, &ROWS[..1]);
        assert_eq!((constant(&graph, 0), limits.is_empty()), (mask.to_vec(), true));
    }

    #[test]
    fn computed_masks_saturate() {
        // max(x + (x's first half as a mask) * -1e9)
        let mut graph = Graph::default();
        let (x, m) = (value(&mut graph, "x", &[1, 2], None), value(&mut graph, "m", &[1, 2], None));
        let c = value(&mut graph, "c", &[1], Some(&[-1e9]));
        let [far, sum] = ["far", "sum"].map(|name| value(&mut graph, name, &[1, 2], None));
        let y = value(&mut graph, "y", &[1, 1], None);
        let node = |op, inputs: &[ValueId], y: ValueId| Node {
            name: format!("{}", y.0),
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![y],
        };
        graph.nodes = vec![
            node(binary(BinaryKind::Mul), &[m, c], far),
            node(binary(BinaryKind::Add), &[x, far], sum),
            node(Op::Reduce(Reduce { kind: ReduceKind::Max, axes: vec![1], keep_dims: true }), &[sum], y),
        ];
        (graph.inputs, graph.outputs) = (vec![x, m], vec![y]);
        struct Pairs;
        impl Samples for Pairs {
            fn len(&self) -> usize {
                2
            }
            fn sample(&self, index: usize) -> Result<Vec<Vec<f32>>> {
                Ok(vec![vec![2.0, 3.0], vec![index as f32, 1.0 - index as f32]])
            }
        }
        let limits = tame(&mut graph, &Pairs).unwrap();
        assert_eq!(limits.ends[&sum], Range { min: 0.0, max: 3.0 });
        assert_eq!(limits.ends[&far], Range { min: -3.0, max: 0.0 });
        assert_eq!(constant(&graph, 0), [-3.0 * 255.0]);
    }

    #[test]
    fn pad_values_end_where_they_lose() {
        let window = |kernel| Window {
            kernel: [1, kernel],
            stride: [1, 1],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let pool = |kernel| {
            Op::Pool2d(Pool2d { kind: PoolKind::Max, window: window(kernel), activation: Activation::None })
        };
        let pad = |value| Op::Pad(Pad { amounts: vec![(0, 0), (0, 0), (1, 1), (0, 0)], value: Some(value) });
        let of = |value, kernel: usize| {
            let layers =
                [(pad(value), None, &[1, 1, 6, 1][..]), (pool(kernel), None, &[1, 1, 7 - kernel, 1])];
            tamed(chain(&[1, 1, 4, 1], &layers).0, &ROWS).0
        };
        // The padding becomes the window's own.
        assert_eq!(of(-1e9, 2).nodes.len(), 1);
        // A padding value that wins stays.
        let kept = of(-0.5, 2);
        assert_eq!(kept.nodes[0].op, pad(-0.5));
        // A window that contains only padding gives the padding value itself.
        let alone = of(-1e3, 1);
        assert_eq!(alone.nodes[0].op, pad(-1e3));
    }

    #[test]
    fn without_samples_infinities_saturate() {
        let far = [f32::NEG_INFINITY, f32::NAN, 1.0, f32::MAX];
        let (mut graph, _) = chain(&[1, 4], &[(binary(BinaryKind::Maximum), Some(&far), &[1, 4])]);
        bound(&mut graph);
        let found = constant(&graph, 0);
        assert_eq!((found[0], found[2], found[3]), (-1e18, 1.0, 1e18));
        assert!(found[1].is_nan());
    }
}
