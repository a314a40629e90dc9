//! A dense layer reads its input as rows, whatever its dimensions are, so a RESHAPE before it that keeps the
//! rows is bypassed. Float layers only: integer layers stay as the author wrote them.

use super::rewrite::Links;
use crate::graph::{DType, Graph, Op, ValueId};

/// Bypasses reshapes; returns how often.
pub(super) fn run(graph: &mut Graph) -> usize {
    let links = Links::of(graph);
    (0..graph.nodes.len()).filter(|&index| pass_by(graph, &links, index).is_some()).count()
}

fn pass_by(graph: &mut Graph, links: &Links, index: usize) -> Option<()> {
    let node = &graph.nodes[index];
    let input = node.input(0).filter(|_| matches!(node.op, Op::FullyConnected(_)))?;
    let before = &graph.nodes[links.writer(input)?];
    let source = before.input(0).filter(|_| before.op == Op::Reshape)?;
    let row = |id: ValueId| graph.value(id).shape.last().copied();
    if graph.value(input).dtype != DType::Float32 || row(source) != row(input) {
        return None;
    }
    graph.nodes[index].inputs[0] = Some(source);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::FullyConnected;
    use crate::reference::Executor;

    #[test]
    fn dense_layers_read_rows_of_any_shape() {
        for (between, changes) in [([1, 3], 1), ([3, 1], 0)] {
            let mut b = Build::new(&[1, 1, 1, 3]);
            let (input, weights) = (b.input(), b.constant(&[2, between[1]], |i| i as f32));
            let x = b.node(Op::Reshape, &[input], &between);
            let op = Op::FullyConnected(FullyConnected { activation: crate::graph::Activation::None });
            let y = b.node(op, &[x, weights], &[between[0], 2]);
            let mut graph = b.finish(y);
            let before = Executor::new(&graph).unwrap().run(&[&[1.0, 2.0, 3.0]]).unwrap();
            assert_eq!(run(&mut graph), changes);
            assert_eq!(graph.nodes[1].input(0) == Some(input), changes == 1);
            assert_eq!(Executor::new(&graph).unwrap().run(&[&[1.0, 2.0, 3.0]]).unwrap(), before);
        }
    }
}
