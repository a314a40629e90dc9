//! The order of execution where branches are skipped.
//!
//! ```text
//!  nodes of the graph        steps of the program
//!  a, b, c, d, choose        a  skip{ b }  skip{ c d }  choose
//! ```
//! A branch's nodes follow one another, so that one op skips all of them; both branches of an IF stand right before its
//! results, that for true first. All else keeps the graph's order. A graph without IF keeps it altogether.

use std::collections::{BTreeSet, HashMap};

use ferrolite_runtime::ops::skip_if::LEVELS;

use crate::graph::{Choose, Graph, Op, ValueId};
use crate::ops::branches::{Branch, branches};

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The node of this number.
    Node(usize),
    /// Nodes that are skipped where they are not in the branch that is taken.
    Skip(Skip),
}

/// The nodes of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    /// What decides.
    pub condition: ValueId,
    /// The truth value that skips.
    pub when: bool,
    /// One more than the largest level in both branches of the IF; 1 where there is none.
    pub level: u32,
    /// A node of the IF.
    pub of: usize,
    /// The nodes, and skips among them.
    pub steps: Vec<Step>,
}

/// All nodes of a graph.
pub(super) fn schedule(graph: &Graph) -> Vec<Step> {
    let branches = branches(graph);
    let all: Vec<usize> = (0..graph.nodes.len()).collect();
    if branches.iter().all(Vec::is_empty) {
        return all.into_iter().map(Step::Node).collect();
    }
    let producers = graph.producers();
    let order = Order { graph, branches, producers };
    // Where results of one IF need one another, its branches cannot follow one another: then all of them are computed.
    order.steps(&all, 0).unwrap_or_else(|| all.iter().copied().map(Step::Node).collect())
}

struct Order<'g> {
    graph: &'g Graph,
    branches: Vec<Vec<Branch>>,
    producers: HashMap<ValueId, usize>,
}

/// Nodes that come together: one, or those of an IF with its results.
struct Part {
    nodes: Vec<usize>,
    block: Option<usize>,
}

impl Order<'_> {
    /// The steps of nodes that share their first `depth` branches; none where there is no such order.
    fn steps(&self, nodes: &[usize], depth: usize) -> Option<Vec<Step>> {
        let mut parts: Vec<Part> = Vec::new();
        let mut blocks: HashMap<usize, usize> = HashMap::new();
        // The part of each node.
        let mut place: HashMap<usize, usize> = HashMap::new();
        for &node in nodes {
            let block = self.block(node, depth);
            let known = block.and_then(|block| blocks.get(&block).copied());
            let part = known.unwrap_or_else(|| {
                parts.push(Part { nodes: Vec::new(), block });
                parts.len() - 1
            });
            blocks.extend(block.map(|block| (block, part)));
            parts[part].nodes.push(node);
            place.insert(node, part);
        }
        let mut steps = Vec::with_capacity(nodes.len());
        for part in self.sorted(&parts, &place)? {
            match parts[part].block {
                None => steps.extend(parts[part].nodes.iter().copied().map(Step::Node)),
                Some(block) => self.branches_of(block, &parts[part].nodes, depth, &mut steps)?,
            }
        }
        Some(steps)
    }

    /// The IF that a node belongs to, at this depth: in a branch of it, or as one of its results.
    fn block(&self, node: usize, depth: usize) -> Option<usize> {
        match (self.branches[node].get(depth), &self.graph.nodes[node].op) {
            (Some(branch), _) => Some(branch.block),
            (None, &Op::Choose(Choose { block })) => Some(block),
            _ => None,
        }
    }

    /// The parts in an order in which everything is computed before it is read: as close to that of the graph as can be.
    fn sorted(&self, parts: &[Part], place: &HashMap<usize, usize>) -> Option<Vec<usize>> {
        let mut readers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); parts.len()];
        let mut missing = vec![0usize; parts.len()];
        for (part, nodes) in parts.iter().enumerate() {
            let read = nodes.nodes.iter().flat_map(|&node| self.graph.nodes[node].inputs.iter().flatten());
            for writer in read.filter_map(|id| place.get(self.producers.get(id)?)) {
                if *writer != part && readers[*writer].insert(part) {
                    missing[part] += 1;
                }
            }
        }
        // By the last node, which of an IF is a result.
        let key = |part: usize| (parts[part].nodes.last().copied(), part);
        let mut ready: BTreeSet<_> = (0..parts.len()).filter(|&part| missing[part] == 0).map(key).collect();
        let mut sorted = Vec::with_capacity(parts.len());
        while let Some((_, part)) = ready.pop_first() {
            sorted.push(part);
            for &reader in &readers[part] {
                missing[reader] -= 1;
                if missing[reader] == 0 {
                    ready.insert(key(reader));
                }
            }
        }
        (sorted.len() == parts.len()).then_some(sorted)
    }

    /// The branches of an IF, and its results.
    fn branches_of(&self, block: usize, nodes: &[usize], depth: usize, steps: &mut Vec<Step>) -> Option<()> {
        let results = |node: &&usize| self.branches[**node].len() == depth;
        let of = *nodes.iter().find(results)?;
        let mut sides = Vec::new();
        for holds in [true, false] {
            let inside = |node: &usize| {
                let branch = self.branches[*node].get(depth);
                branch.is_some_and(|branch| branch.block == block && branch.holds == holds)
            };
            let side: Vec<usize> = nodes.iter().copied().filter(inside).collect();
            let condition = side.first().map(|&node| self.branches[node][depth].condition);
            sides.extend(condition.map(|condition| Some((condition, holds, self.steps(&side, depth + 1)?))));
        }
        let sides: Vec<_> = sides.into_iter().collect::<Option<_>>()?;
        let level = 1 + sides.iter().map(|(_, _, steps)| highest(steps)).max().unwrap_or(0);
        for (condition, holds, inner) in sides {
            match level <= LEVELS {
                true => steps.push(Step::Skip(Skip { condition, when: !holds, level, of, steps: inner })),
                // Too deep: it is computed in any case.
                false => steps.extend(inner),
            }
        }
        steps.extend(nodes.iter().filter(results).copied().map(Step::Node));
        Some(())
    }
}

/// The largest level of skips among steps; 0 where there are none.
fn highest(steps: &[Step]) -> u32 {
    let levels = steps.iter().map(|step| match step {
        Step::Node(_) => 0,
        Step::Skip(skip) => skip.level,
    });
    levels.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Node, UnaryKind, Value};

    /// A graph of functions and choices: each node has its operands, and the number of its IF if it is a choice. Value
    /// `i` is an input for `i` below `inputs`, then the result of node `i - inputs`.
    fn graph(inputs: usize, nodes: &[(&[usize], Option<usize>)], outputs: &[usize]) -> Graph {
        let mut graph = Graph::default();
        for number in 0..inputs + nodes.len() {
            let dtype = if number < 2 { DType::Bool } else { DType::Float32 };
            let (name, shape) = (number.to_string(), vec![1]);
            graph.add_value(Value { name, shape, dtype, quantization: None, constant: None });
        }
        for (number, (operands, block)) in nodes.iter().enumerate() {
            let op = match *block {
                Some(block) => Op::Choose(Choose { block }),
                None => Op::Unary(UnaryKind::Abs),
            };
            let inputs_of = operands.iter().map(|&id| Some(ValueId(id))).collect();
            let outputs = vec![ValueId(inputs + number)];
            graph.nodes.push(Node { name: number.to_string(), op, inputs: inputs_of, outputs });
        }
        graph.inputs = (0..inputs).map(ValueId).collect();
        graph.outputs = outputs.iter().copied().map(ValueId).collect();
        graph
    }

    /// Steps in words: numbers of nodes, and of skips the condition's value, `!` where it skips when true, the level.
    fn words(steps: &[Step]) -> String {
        let word = |step: &Step| match step {
            Step::Node(node) => node.to_string(),
            Step::Skip(skip) => {
                let not = if skip.when { "!" } else { "" };
                format!("{not}c{}@{}[{}]", skip.condition.0, skip.level, words(&skip.steps))
            }
        };
        steps.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_graph_without_if_keeps_its_order() {
        let graph = graph(3, &[(&[2], None), (&[2], None), (&[3], None)], &[4, 5]);
        assert_eq!(words(&schedule(&graph)), "0 1 2");
    }

    #[test]
    fn branches_stand_before_their_results() {
        // Nodes of both branches in turn; node 2 is read by both, node 4 by nobody else.
        let nodes: &[(&[usize], Option<usize>)] = &[
            (&[2], None),          // 3: then
            (&[2], None),          // 4: else
            (&[2], None),          // 5: both
            (&[3], None),          // 6: then
            (&[4], None),          // 7: else
            (&[2], None),          // 8: after
            (&[0, 6, 7], Some(4)), // 9
            (&[0, 5, 5], Some(4)), // 10
            (&[9], None),          // 11
        ];
        let found = words(&schedule(&graph(3, nodes, &[11, 10, 8])));
        assert_eq!(found, "2 5 c0@1[0 3] !c0@1[1 4] 6 7 8");
    }

    #[test]
    fn what_else_is_read_is_in_no_branch() {
        let nodes: &[(&[usize], Option<usize>)] =
            &[(&[2], None), (&[3], None), (&[2], None), (&[0, 4, 5], Some(0))];
        // The first node is an output, too.
        assert_eq!(words(&schedule(&graph(3, nodes, &[6, 3]))), "0 c0@1[1] !c0@1[2] 3");
        // One branch is empty.
        let nodes: &[(&[usize], Option<usize>)] = &[(&[2], None), (&[0, 2, 3], Some(0))];
        assert_eq!(words(&schedule(&graph(3, nodes, &[4]))), "!c0@1[0] 1");
    }

    #[test]
    fn branches_nest_and_follow_one_another() {
        let nodes: &[(&[usize], Option<usize>)] = &[
            (&[2], None),          // 3: inner then
            (&[1, 3, 2], Some(1)), // 4: inner
            (&[4], None),          // 5: then
            (&[2], None),          // 6: else
            (&[0, 5, 6], Some(0)), // 7: outer
            (&[7], None),          // 8: then of the second
            (&[0, 8, 7], Some(2)), // 9
        ];
        let found = words(&schedule(&graph(3, nodes, &[9])));
        assert_eq!(found, "c0@2[c1@1[0] 1 2] !c0@2[3] 4 c0@1[5] 6");
    }

    #[test]
    fn what_cannot_be_in_order_is_computed_in_any_case() {
        // Results of one IF that need one another, by what is in no branch.
        let nodes: &[(&[usize], Option<usize>)] = &[
            (&[2], None),          // 3: then
            (&[0, 3, 2], Some(0)), // 4
            (&[4], None),          // 5
            (&[0, 5, 2], Some(0)), // 6
        ];
        assert_eq!(words(&schedule(&graph(3, nodes, &[6, 5]))), "0 1 2 3");
        // IFs within IFs, deeper than a file can say.
        let mut nodes: Vec<(Vec<usize>, Option<usize>)> = Vec::new();
        let mut last = 2;
        for block in 0..20 {
            nodes.push((vec![last], None));
            nodes.push((vec![0, 3 + 2 * block, 2], Some(block)));
            last = 4 + 2 * block;
        }
        let nodes: Vec<(&[usize], Option<usize>)> =
            nodes.iter().map(|(operands, block)| (&operands[..], *block)).collect();
        let steps = schedule(&graph(3, &nodes, &[last]));
        assert_eq!(highest(&steps), LEVELS);
        let count = |steps: &[Step]| words(steps).matches('c').count();
        assert_eq!(count(&steps), LEVELS as usize);
    }
}
