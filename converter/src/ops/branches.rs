//! Which nodes are in which branch of an IF: those whose results lead nowhere else.
//!
//! A graph holds the nodes of both branches in one list, and one CHOOSE for each result of an IF. A node is in a branch
//! where every way from it to a result of the model goes through the same operand of CHOOSE nodes of the same IF;
//! what both branches read, or something else reads as well, is in none.

use std::collections::HashMap;

use super::choose::{CONDITION, TAKEN_BY};
use crate::graph::{Choose, Graph, Node, Op, ValueId};

/// One side of an IF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Number of the IF.
    pub block: usize,
    /// What decides.
    pub condition: ValueId,
    /// The truth value that takes this side.
    pub holds: bool,
}

/// Of each node the branches that it is in, the outermost first: its results matter only where all of them are taken.
pub(crate) fn branches(graph: &Graph) -> Vec<Vec<Branch>> {
    let mut all = vec![Vec::new(); graph.nodes.len()];
    if !graph.nodes.iter().any(|node| matches!(node.op, Op::Choose(_))) {
        return all;
    }
    // Of each value what all its readers, as far as they have been met, are in.
    let mut read: HashMap<ValueId, Vec<Branch>> = graph.results().map(|id| (id, Vec::new())).collect();
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let mut results = node.outputs.iter().filter_map(|id| read.get(id));
        // What has no reader leads nowhere.
        let mut path = results.next().cloned().unwrap_or_default();
        results.for_each(|other| keep_shared(&mut path, other));
        for (position, id) in node.inputs.iter().enumerate() {
            let Some(id) = *id else { continue };
            let through: Vec<Branch> = path.iter().copied().chain(branch(node, position)).collect();
            keep_shared(read.entry(id).or_insert_with(|| through.clone()), &through);
        }
        all[index] = path;
    }
    all
}

/// Keeps the branches at the start of `path` that both share.
fn keep_shared(path: &mut Vec<Branch>, other: &[Branch]) {
    let same = path.iter().zip(other).take_while(|(a, b)| a == b).count();
    path.truncate(same);
}

/// The branch that an operand of a node ends.
fn branch(node: &Node, position: usize) -> Option<Branch> {
    let (&Op::Choose(Choose { block }), Some(condition)) = (&node.op, node.input(CONDITION)) else {
        return None;
    };
    let holds = TAKEN_BY.iter().position(|&taken| taken == position)? == 1;
    Some(Branch { block, condition, holds })
}
