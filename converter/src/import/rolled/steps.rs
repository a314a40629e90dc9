//! The nodes between two hidden states, and whether they are the same in all steps.

use std::collections::{HashMap, HashSet};

use super::chain::{Links, through_reshapes};
use crate::graph::{Graph, ValueId};

/// Most nodes of one step.
const MOST: usize = 400;

/// Steps that follow one another.
pub(super) struct Steps {
    /// The hidden state before each step, and after the last one.
    pub hidden: Vec<ValueId>,
    /// The cell state before each step, and after the last one, if there is one.
    pub cells: Option<Vec<ValueId>>,
    /// For each step, what stands for each value of the step that the others are compared with.
    pub same: Vec<HashMap<ValueId, ValueId>>,
    /// The step that the others are compared with, by its number.
    pub model: usize,
    /// What a step reads that no hidden state has a part in, but for constants, as values of that step.
    pub sides: Vec<ValueId>,
}

/// How many marks each value has on the longest way to it: a value that reads hidden state `t` is of the level `t + 1`.
fn levels(graph: &Graph, marks: &[ValueId]) -> Option<Vec<usize>> {
    let number: HashMap<ValueId, usize> = marks.iter().enumerate().map(|(t, &id)| (id, t)).collect();
    let mut levels = vec![0; graph.values.len()];
    for node in &graph.nodes {
        let of = |id: &ValueId| number.get(id).map_or(levels[id.0], |t| t + 1);
        let level = node.inputs.iter().flatten().map(of).max().unwrap_or(0);
        for output in &node.outputs {
            levels[output.0] = level;
            if number.get(output).is_some_and(|&t| t != level) {
                return None;
            }
        }
    }
    Some(levels)
}

/// Compares two steps.
struct Comparison<'a> {
    graph: &'a Graph,
    links: &'a Links,
    levels: &'a [usize],
    /// The levels of both.
    at: [usize; 2],
    same: HashMap<ValueId, ValueId>,
    /// States of the step before, and what is no state, as values of the first step.
    states: Vec<ValueId>,
    sides: Vec<ValueId>,
}

impl Comparison<'_> {
    fn of<'a>(graph: &'a Graph, links: &'a Links, levels: &'a [usize], at: [usize; 2]) -> Comparison<'a> {
        let (same, states, sides) = (HashMap::new(), Vec::new(), Vec::new());
        Comparison { graph, links, levels, at, same, states, sides }
    }

    /// Whether two values are computed in the same way.
    fn agree(&mut self, a: ValueId, b: ValueId) -> bool {
        if let Some(&known) = self.same.get(&a) {
            return known == b;
        }
        if self.same.len() > MOST {
            return false;
        }
        let graph = self.graph;
        let (x, y) = (graph.value(a), graph.value(b));
        if x.shape != y.shape || x.dtype != y.dtype {
            return false;
        }
        if x.constant.is_some() && self.levels[a.0] == 0 {
            return a == b || x.constant == y.constant;
        }
        self.same.insert(a, b);
        let [own, other] = self.at;
        match self.levels[a.0] {
            level if level == own => {}
            0 => {
                self.sides.push(a);
                return self.levels[b.0] == 0;
            }
            level if level + 1 == own => {
                self.states.push(a);
                return self.levels[b.0] + 1 == other;
            }
            _ => return false,
        }
        if self.levels[b.0] != other {
            return false;
        }
        let (Some((p, _, i)), Some((q, _, j))) = (self.links.writer(graph, a), self.links.writer(graph, b))
        else {
            return false;
        };
        i == j
            && p.op == q.op
            && p.inputs.len() == q.inputs.len()
            && p.inputs.iter().zip(&q.inputs).all(|pair| match pair {
                (Some(a), Some(b)) => self.agree(*a, *b),
                (None, None) => true,
                _ => false,
            })
    }
}

/// The steps between these hidden states.
pub(super) fn find(graph: &Graph, links: &Links, marks: &[ValueId]) -> Option<Steps> {
    let levels = levels(graph, marks)?;
    // What the third hidden state is made of is the model of all others.
    let (own, root) = (2, *marks.get(2)?);
    let mut model = Comparison::of(graph, links, &levels, [own, own]);
    if !model.agree(root, root) {
        return None;
    }
    let before = marks[1];
    let mut others = model.states.iter().copied().filter(|&id| id != before);
    let kept = others.next();
    if others.next().is_some() || !model.states.contains(&before) {
        return None;
    }
    let compare = |level: usize, made: ValueId| {
        let mut comparison = Comparison::of(graph, links, &levels, [own, level]);
        let agree = comparison.agree(root, made) && comparison.same.get(&before) == Some(&marks[level - 1]);
        agree.then_some(comparison.same)
    };
    let mut same = Vec::new();
    for (level, &mark) in marks.iter().enumerate().skip(1) {
        match compare(level, mark) {
            Some(step) => same.push(step),
            // The first step may be written in another way, or simplified because its states are zeros.
            None if level == 1 => {}
            None => return None,
        }
    }
    let first = marks.len() - 1 - same.len();
    // The last hidden state is no operand of the matrix, if no step follows.
    let last = marks.len();
    let (root_node, _, position) = links.writer(graph, root)?;
    let after = graph.nodes.iter().rev().find_map(|node| {
        let id = *node.outputs.get(position).filter(|_| node.op == root_node.op)?;
        (levels[id.0] == last).then(|| compare(last, id)).flatten().map(|step| (id, step))
    });
    let mut hidden = marks[first..].to_vec();
    if let Some((id, step)) = after {
        hidden.push(id);
        same.push(step);
    }
    let cells = match kept {
        None => None,
        Some(kept) => {
            // What it becomes in the model is what the step behind reads in its place.
            let next = *same.get(2 - first)?.get(&kept)?;
            let mut cells: Vec<ValueId> =
                same.iter().map(|step| step.get(&kept).copied()).collect::<Option<_>>()?;
            let made = |step: &HashMap<ValueId, ValueId>| step.get(&next).copied();
            if !cells.iter().skip(1).zip(&same).all(|(&cell, step)| made(step) == Some(cell)) {
                return None;
            }
            cells.push(made(same.last()?)?);
            Some(cells)
        }
    };
    let steps = Steps { hidden, cells, same, model: 1 - first, sides: model.sides };
    (steps.same.len() >= 2 && steps.is_closed(graph, links, &levels)).then_some(steps)
}

impl Steps {
    /// Whether only hidden states and the last cell state are read by others than the steps.
    fn is_closed(&self, graph: &Graph, links: &Links, levels: &[usize]) -> bool {
        let mut inside = HashSet::new();
        for step in &self.same {
            inside.extend(step.iter().filter(|(a, _)| levels[a.0] == 2).map(|(_, b)| *b));
        }
        let nodes: HashSet<usize> =
            inside.iter().filter_map(|&id| links.writer(graph, id)).map(|(_, index, _)| index).collect();
        let open: HashSet<ValueId> =
            self.hidden.iter().chain(self.cells.iter().flat_map(|cells| cells.last())).copied().collect();
        let is_inner = |id: &ValueId| {
            let readers = links.readers.get(id).map_or(&[][..], Vec::as_slice);
            !graph.is_output(*id) && readers.iter().all(|reader| nodes.contains(reader))
        };
        // A hidden state may have a shape of its own for those who read it.
        let bare: HashSet<ValueId> = open.iter().map(|&id| through_reshapes(graph, links, id)).collect();
        inside.iter().all(|id| open.contains(id) || bare.contains(id) || is_inner(id))
    }
}
