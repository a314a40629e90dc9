//! What variables keep is taken where it lies: a SLICE of neighbouring elements, or a RESHAPE, before the end of an
//! inference is no layer. A window over a stream keeps the end of what a CONCATENATION made of its old and new elements.

use crate::graph::{Graph, Node, Op, Slice};

/// Removes what only variables read; returns how often a variable skips a layer.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    if graph.states.is_empty() {
        return count;
    }
    let producers = graph.producers();
    for number in 0..graph.states.len() {
        // Nodes come after those that they read, so this ends.
        while let Some(&at) = producers.get(&graph.states[number].next) {
            let node = &graph.nodes[at];
            let Some((source, first)) = node.input(0).zip(first_element(graph, node)) else { break };
            let (from, to) = (graph.value(source), graph.value(node.outputs[0]));
            if from.constant.is_some() || from.dtype != to.dtype || from.quantization != to.quantization {
                break;
            }
            let state = &mut graph.states[number];
            (state.next, state.from) = (source, state.from + first);
            count += 1;
        }
    }
    super::dead::run(graph);
    count
}

/// Where the result of a node begins in its operand, if its elements are neighbours there, in the same order.
fn first_element(graph: &Graph, node: &Node) -> Option<usize> {
    let Op::Slice(Slice { begin, size, stride }) = &node.op else {
        return (node.op == Op::Reshape).then_some(0);
    };
    let shape = &graph.value(node.input(0)?).shape;
    // Of one dimension a part; of those before it one index each, of those behind all.
    let part = shape.iter().zip(size).position(|(&whole, &taken)| taken != whole && taken != 1);
    let part = part.unwrap_or_else(|| size.iter().take_while(|&&taken| taken == 1).count());
    let before = size.iter().take(part).all(|&taken| taken == 1);
    let behind = shape.iter().zip(size).skip(part + 1).all(|(whole, taken)| whole == taken);
    let steps = size.iter().zip(stride).all(|(&taken, &step)| taken == 1 || step == 1);
    if !before || !behind || !steps {
        return None;
    }
    Some(shape.iter().zip(begin).fold(0, |first, (&whole, &begin)| first * whole + begin))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Activation, Concat, Constant, DType, State, Value};
    use crate::reference::Executor;

    fn first(shape: &[usize], begin: &[usize], size: &[usize], stride: &[isize]) -> Option<usize> {
        let mut b = Build::new(shape);
        let op = Op::Slice(Slice { begin: begin.to_vec(), size: size.to_vec(), stride: stride.to_vec() });
        let y = b.node(op, &[b.input()], size);
        let graph = b.finish(y);
        first_element(&graph, &graph.nodes[0])
    }

    #[test]
    fn neighbours_are_found() {
        assert_eq!(first(&[1, 5, 1, 4], &[0, 2, 0, 0], &[1, 3, 1, 4], &[1, 1, 1, 1]), Some(8));
        assert_eq!(first(&[3, 5, 4], &[1, 2, 0], &[1, 2, 4], &[1, 1, 1]), Some(28));
        assert_eq!(first(&[3, 5, 4], &[1, 2, 1], &[1, 1, 2], &[1, 1, 1]), Some(29));
        assert_eq!(first(&[3, 5, 4], &[1, 2, 3], &[1, 1, 1], &[1, -1, 2]), Some(31));
        assert_eq!(first(&[3, 5, 4], &[1, 0, 0], &[2, 5, 4], &[1, 1, 1]), Some(20));
        // Parts of several dimensions, steps, the other order.
        assert_eq!(first(&[3, 5, 4], &[0, 0, 0], &[2, 3, 4], &[1, 1, 1]), None);
        assert_eq!(first(&[3, 5, 4], &[0, 0, 0], &[3, 1, 4], &[1, 1, 1]), None);
        assert_eq!(first(&[3, 5, 4], &[0, 0, 0], &[1, 3, 2], &[1, 1, 1]), None);
        assert_eq!(first(&[1, 5], &[0, 0], &[1, 3], &[1, 2]), None);
        assert_eq!(first(&[1, 5], &[0, 4], &[1, 5], &[1, -1]), None);
    }

    #[test]
    fn a_window_is_cut_where_it_is_kept() {
        let mut b = Build::new(&[1, 2, 3]);
        let value = Value {
            name: "old".into(),
            shape: vec![1, 4, 3],
            dtype: DType::Float32,
            quantization: None,
            constant: None,
        };
        let old = b.graph.add_value(value);
        let x = b.input();
        let both =
            b.node(Op::Concat(Concat { axis: 1, activation: Activation::None }), &[old, x], &[1, 6, 3]);
        let slice = Slice { begin: vec![0, 2, 0], size: vec![1, 4, 3], stride: vec![1; 3] };
        let next = b.node(Op::Slice(slice), &[both], &[1, 4, 3]);
        let initial = Constant::F32((0..12).map(|i| i as f32).collect());
        b.graph.states.push(State { name: "window".into(), value: old, initial, next, from: 0 });
        let mut graph = b.finish(both);
        let before = graph.clone();
        assert_eq!(run(&mut graph), 1);
        assert_eq!((graph.nodes.len(), graph.states[0].from), (1, 6));
        let answers = |graph: &Graph| {
            let executor = Executor::new(graph).unwrap();
            let mut states = executor.start();
            (0..5)
                .map(|round| {
                    let x: Vec<f32> = (0..6).map(|i| (100 * round + i) as f32).collect();
                    executor.run_next(&mut states, &[&x], &mut |_, _| ()).unwrap().concat()
                })
                .collect::<Vec<_>>()
        };
        let found = answers(&graph);
        assert_eq!(found, answers(&before));
        assert_eq!(found[3][..6], [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]);
    }
}
