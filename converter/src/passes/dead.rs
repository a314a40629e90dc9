//! Removes nodes whose results no node reads. Nodes without results are kept: they are unsupported, and
//! errors have to name them.

use crate::graph::Graph;

/// Removes dead nodes; returns how many.
pub(crate) fn run(graph: &mut Graph) -> usize {
    let before = graph.nodes.len();
    let mut read = vec![false; graph.values.len()];
    graph.results().for_each(|id| read[id.0] = true);
    // Nodes come before those that read them, so a walk from the end sees every reader first.
    let mut kept = Vec::with_capacity(before);
    for node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        if node.outputs.is_empty() || node.outputs.iter().any(|id| read[id.0]) {
            node.inputs.iter().flatten().for_each(|id| read[id.0] = true);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
    before - graph.nodes.len()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Op, UnaryKind};

    #[test]
    fn chains_that_end_nowhere_go() {
        let mut b = Build::new(&[2]);
        let kept = b.node(Op::Unary(UnaryKind::Abs), &[b.input()], &[2]);
        let dead = b.node(Op::Unary(UnaryKind::Neg), &[kept], &[2]);
        b.node(Op::Unary(UnaryKind::Exp), &[dead], &[2]);
        let mut graph = b.finish(kept);
        assert_eq!(run(&mut graph), 2);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(run(&mut graph), 0);
    }
}
