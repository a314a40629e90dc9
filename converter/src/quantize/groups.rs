//! Which values share their quantization.
//!
//! TFLite computes some operators on integers directly, so their operands and results must have one scale and
//! zero point: all operators that copy elements, select among them (maxima, pooling) or average them. Such
//! values form groups. Some operators fix the quantization of their result (SOFTMAX, LOGISTIC, TANH,
//! LOG_SOFTMAX). If a fixed result does not fit its group, a QUANTIZE node is inserted between the two.
//!
//! Authors fix quantizations too: real numbers that pass through a pair of QUANTIZE and DEQUANTIZE (QDQ
//! models, fake-quantized ones) have the scale and zero point of the integers in between. The node that
//! computes them saturates at that range, whatever the samples showed.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::range::{Params, Range, is_real, params_for};
use crate::graph::{DType, Graph, Node, Op, Pad, Value, ValueId};
use crate::ops;

/// A QUANTIZE or DEQUANTIZE between real numbers and int8 that the author quantized. Both sides can use the
/// author's quantization, and the node becomes superfluous.
fn bridge(graph: &Graph, node: &Node) -> Option<(ValueId, ValueId)> {
    let (input, output) = (node.input(0)?, *node.outputs.first()?);
    let (real, integer) = match node.op {
        Op::Quantize => (input, output),
        Op::Dequantize => (output, input),
        _ => return None,
    };
    (is_real(graph, real) && preset(graph.value(integer)).is_some()).then_some((real, integer))
}

/// The quantization that the author gave to an int8 value.
fn preset(value: &Value) -> Option<Params> {
    value.quantization.as_ref().filter(|_| value.dtype == DType::Int8)?.tensor()
}

/// Groups of values as a union-find forest: the parent of each value.
struct Groups(Vec<usize>);

impl Groups {
    fn root(&self, mut index: usize) -> usize {
        while self.0[index] != index {
            index = self.0[index];
        }
        index
    }

    /// The smaller index becomes the root, so that the result does not depend on the order.
    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a.0), self.root(b.0));
        self.0[a.max(b)] = a.min(b);
    }

    /// The groups of a graph, without the bridges whose results are listed in `apart`.
    fn of(graph: &Graph, apart: &HashSet<ValueId>) -> Groups {
        let mut groups = Groups((0..graph.values.len()).collect());
        for node in &graph.nodes {
            if let Some((real, integer)) = bridge(graph, node) {
                if !node.outputs.iter().any(|output| apart.contains(output)) {
                    groups.join(real, integer);
                }
            } else if let Op::Recurrent(_) = node.op {
                // A hidden state is one tensor, whether it is given, at each step, or at the end.
                let states = node.input(5).into_iter().chain(node.outputs.get(1).copied());
                for state in states.filter(|&id| is_real(graph, id)) {
                    groups.join(state, node.outputs[0]);
                }
            } else if ops::of(&node.op).shares_quantization() {
                let ids = node.inputs.iter().flatten().chain(&node.outputs);
                let mut real = ids.copied().filter(|&id| is_real(graph, id));
                if let Some(first) = real.next() {
                    real.for_each(|id| groups.join(first, id));
                }
            }
        }
        for state in &graph.states {
            if is_real(graph, state.value) && is_real(graph, state.next) {
                groups.join(state.value, state.next);
            }
        }
        groups
    }
}

/// The choices of [`assign`].
pub struct Assignment {
    /// Scale and zero point of every value of real numbers, by value.
    pub params: Vec<Option<Params>>,
    /// The values whose parameters follow from the samples, in the order of the values.
    pub calibrated: Vec<ValueId>,
}

/// Chooses the parameters of every value of real numbers. Inserts QUANTIZE nodes where a fixed quantization
/// does not fit a group, and extends `ranges` with the values that this adds. The `terms` become whole
/// numbers of steps of their values, if that costs little.
pub fn assign(graph: &mut Graph, ranges: &mut Vec<Range>, terms: &HashMap<ValueId, f64>) -> Assignment {
    let mut apart = HashSet::new();
    // First, integers are separated from their readers only; a value that a node writes takes its author's
    // quantization unless it still does not fit.
    let found = conflicts(graph, ranges, &apart);
    separate(graph, ranges, &found);
    take_apart(graph, &found, &Op::Dequantize, &mut apart);
    let found = conflicts(graph, ranges, &apart);
    take_apart(graph, &found, &Op::Quantize, &mut apart);
    let fixed = fixed_values(graph);
    let groups = Groups::of(graph, &apart);
    let mut by_root: BTreeMap<usize, Group> = BTreeMap::new();
    let derived = derived(graph);
    for (index, value) in graph.values.iter().enumerate() {
        let group = by_root.entry(groups.root(index)).or_default();
        group.fixed = group.fixed.or(fixed.get(&index).copied());
        group.term = group.term.or(terms.get(&ValueId(index)).copied());
        if value.dtype == DType::Float32 {
            group.range = group.range.union(ranges[index]);
            group.open |= value.constant.is_none() && !derived.contains(&ValueId(index));
        }
    }
    for node in graph.nodes.iter().filter(|node| node.outputs.iter().any(|id| apart.contains(id))) {
        if let (Op::Dequantize, Some((real, integer))) = (&node.op, bridge(graph, node)) {
            let params = preset(graph.value(integer));
            by_root.entry(groups.root(real.0)).or_default().read.extend(params);
        }
    }
    let group = |index: usize| &by_root[&groups.root(index)];
    let params = (0..graph.values.len())
        .map(|index| is_real(graph, ValueId(index)).then(|| group(index).params()))
        .collect();
    let written = graph.nodes.iter().flat_map(|node| node.outputs.iter().copied());
    let mut calibrated: Vec<ValueId> = graph.sources().chain(written).collect();
    calibrated.retain(|&id| is_real(graph, id) && group(id.0).is_calibrated());
    Assignment { params, calibrated }
}

/// The facts about a group of values that share their quantization.
#[derive(Default)]
struct Group {
    /// The union of their ranges, as far as these are known.
    range: Range,
    /// The parameters that one of them must have.
    fixed: Option<Params>,
    /// Parameters of authored integers that are converted on their way into the group.
    read: Vec<Params>,
    /// Whether one of them gets numbers from outside of the group.
    open: bool,
    /// A number that must be a whole number of steps.
    term: Option<f64>,
}

impl Group {
    fn is_calibrated(&self) -> bool {
        self.fixed.is_none() && (self.open || self.read.is_empty())
    }

    fn params(&self) -> Params {
        match (self.fixed, &self.read[..]) {
            (Some(fixed), _) => fixed,
            (None, [first, rest @ ..]) if !self.is_calibrated() => {
                match rest.iter().all(|other| other == first) {
                    true => *first,
                    false => {
                        let ranges = self.read.iter().map(|&(scale, zero)| Range::representable(scale, zero));
                        ranges.fold(Range::default(), Range::union).asymmetric()
                    }
                }
            }
            _ => {
                let params = self.term.and_then(|term| params_for(self.range, term));
                params.unwrap_or_else(|| self.range.asymmetric())
            }
        }
    }
}

/// The values whose parameters are prescribed.
fn fixed_values(graph: &Graph) -> BTreeMap<usize, Params> {
    let mut fixed: BTreeMap<usize, Params> =
        graph.values.iter().enumerate().filter_map(|(i, value)| Some((i, preset(value)?))).collect();
    for state in graph.states.iter().filter(|state| is_real(graph, state.value)) {
        let shared = graph.shared_states.get(&state.name);
        fixed.extend(shared.and_then(|shared| Some((state.value.0, shared.quantization?))));
    }
    for node in &graph.nodes {
        let prescribed = ops::of(&node.op).prescribed().zip(node.outputs.first());
        if let Some((params, output)) = prescribed.filter(|&(_, &id)| is_real(graph, id)) {
            fixed.insert(output.0, params);
        }
    }
    fixed
}

/// The fixed values of groups that they do not fit, because the group has several with different parameters,
/// or because another source of the group needs a wider range. Values that the sharing operators compute from
/// fixed values have already saturated, and values that the author quantizes will.
fn conflicts(graph: &Graph, ranges: &[Range], apart: &HashSet<ValueId>) -> HashSet<ValueId> {
    let fixed = fixed_values(graph);
    let groups = Groups::of(graph, apart);
    let derived = derived(graph);
    let mut authored = HashSet::new();
    for node in graph.nodes.iter().filter(|node| node.op == Op::Quantize) {
        if let (Some((real, _)), Some(output)) = (bridge(graph, node), node.outputs.first())
            && !apart.contains(output)
        {
            authored.insert(groups.root(real.0));
        }
    }
    let mut members: BTreeMap<usize, (Range, Vec<ValueId>)> = BTreeMap::new();
    for (index, &value_range) in ranges.iter().enumerate() {
        let root = groups.root(index);
        let (range, fixed_here) = members.entry(root).or_default();
        if fixed.contains_key(&index) {
            fixed_here.push(ValueId(index));
        } else if !derived.contains(&ValueId(index)) && !authored.contains(&root) {
            *range = range.union(value_range);
        }
    }
    members
        .into_values()
        .filter(|(range, ids)| {
            let Some(first) = ids.first() else { return false };
            let (scale, zero_point) = fixed[&first.0];
            let same = ids.iter().all(|id| fixed[&id.0] == (scale, zero_point));
            !same || !Range::representable(scale, zero_point).holds(*range, scale)
        })
        .flat_map(|(_, ids)| ids)
        .collect()
}

/// Results whose elements, or their means, come only from operands of the same group.
fn derived(graph: &Graph) -> HashSet<ValueId> {
    let mut derived = HashSet::new();
    for node in &graph.nodes {
        let adds_elements = matches!(node.op, Op::Pad(Pad { value: Some(_), .. }));
        if (ops::of(&node.op).shares_quantization() && !adds_elements) || bridge(graph, node).is_some() {
            derived.extend(&node.outputs);
        }
    }
    derived
}

/// Takes fixed values that a node computes out of their groups: a QUANTIZE node is inserted before each
/// reader that shares its operands' quantization.
fn separate(graph: &mut Graph, ranges: &mut Vec<Range>, fixed: &HashSet<ValueId>) {
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        if bridge(graph, &node).is_none() && ops::of(&node.op).shares_quantization() {
            for input in &mut node.inputs {
                let Some(id) = input.filter(|id| fixed.contains(id) && is_real(graph, *id)) else {
                    continue;
                };
                let name = format!("{}_requantized", graph.value(id).name);
                let copy = Value { name: name.clone(), ..graph.value(id).clone() };
                let copy = graph.add_value(copy);
                ranges.push(ranges[id.0]);
                nodes.push(Node { name, op: Op::Quantize, inputs: vec![Some(id)], outputs: vec![copy] });
                *input = Some(copy);
            }
        }
        nodes.push(node);
    }
    // What a state keeps shares its scale with what it begins with.
    for number in 0..graph.states.len() {
        let id = graph.states[number].next;
        if fixed.contains(&id) && is_real(graph, id) {
            let name = format!("{}_requantized", graph.value(id).name);
            let copy = graph.add_value(Value { name: name.clone(), ..graph.value(id).clone() });
            ranges.push(ranges[id.0]);
            nodes.push(Node { name, op: Op::Quantize, inputs: vec![Some(id)], outputs: vec![copy] });
            graph.states[number].next = copy;
        }
    }
    graph.nodes = nodes;
}

/// Adds the results of the bridges of one kind, to or from these integers, to `apart`, so that these bridges
/// stay.
fn take_apart(graph: &Graph, fixed: &HashSet<ValueId>, kind: &Op, apart: &mut HashSet<ValueId>) {
    for node in graph.nodes.iter().filter(|node| node.op == *kind) {
        if bridge(graph, node).is_some_and(|(_, integer)| fixed.contains(&integer)) {
            apart.extend(&node.outputs);
        }
    }
}
