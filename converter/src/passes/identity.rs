//! Removes nodes that change nothing, and merges neighbours that undo or repeat one another: a RESHAPE to the
//! same shape, a CONCATENATION of one operand, a PAD by nothing, a TRANSPOSE that keeps the order, a SLICE of
//! everything, QUANTIZE between equal quantizations, DEQUANTIZE followed by QUANTIZE, RESHAPE after RESHAPE,
//! TRANSPOSE after TRANSPOSE.

use super::rewrite::Links;
use crate::graph::{Activation, Concat, DType, Graph, Node, Op, Pad, Slice, Transpose, ValueId};

/// Removes and merges nodes; returns how often.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    let mut links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        let removed = match same_as(graph, &links, &graph.nodes[index]) {
            Some(source) => links.bypass(graph, index, source),
            None => false,
        };
        count += usize::from(removed || skip_predecessor(graph, &mut links, index));
    }
    links.sweep(graph);
    count
}

/// The value that equals the node's result in shape, type, quantization and every element.
fn same_as(graph: &Graph, links: &Links, node: &Node) -> Option<ValueId> {
    let (source, &[result]) = (node.input(0)?, node.outputs.as_slice()) else { return None };
    let source = match &node.op {
        Op::Reshape => source,
        Op::Concat(Concat { activation: Activation::None, .. }) if node.inputs.len() == 1 => source,
        Op::Pad(Pad { amounts, .. }) if amounts.iter().all(|&a| a == (0, 0)) => source,
        Op::Transpose(Transpose { permutation }) if permutation.iter().copied().eq(0..permutation.len()) => {
            source
        }
        Op::Slice(Slice { stride, .. }) if stride.iter().all(|&s| s == 1) => source,
        Op::Split(_) => source,
        // Integers that pass through float and back with the same scale and zero point do not change: the
        // product is off by far less than half a step.
        Op::Quantize if graph.value(source).dtype == DType::Float32 => {
            let before = &graph.nodes[links.writer(source)?];
            matches!(before.op, Op::Dequantize).then(|| before.input(0))??
        }
        // Requantizing by a factor of exactly one changes no integer.
        Op::Quantize => source,
        _ => return None,
    };
    let (a, b) = (graph.value(source), graph.value(result));
    let same = a.shape == b.shape && a.dtype == b.dtype && a.quantization == b.quantization;
    (same && a.constant.is_none()).then_some(source)
}

/// RESHAPE of a RESHAPE and TRANSPOSE of a TRANSPOSE read the first one's operand themselves; the first one
/// is removed if no other node reads it.
fn skip_predecessor(graph: &mut Graph, links: &mut Links, index: usize) -> bool {
    let node = &graph.nodes[index];
    let Some(source) = node.input(0).filter(|_| matches!(node.op, Op::Reshape | Op::Transpose(_))) else {
        return false;
    };
    let Some(before) = links.writer(source).map(|at| &graph.nodes[at]) else { return false };
    let op = match (&before.op, &node.op) {
        (Op::Reshape, Op::Reshape) => Op::Reshape,
        (
            Op::Transpose(Transpose { permutation: first }),
            Op::Transpose(Transpose { permutation: second }),
        ) => Op::Transpose(Transpose { permutation: second.iter().map(|&i| first[i]).collect() }),
        _ => return false,
    };
    let Some(origin) = before.input(0) else { return false };
    graph.nodes[index].op = op;
    links.set_input(graph, index, 0, origin);
    true
}

#[cfg(test)]
mod tests {
    use super::super::dead;
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Quantization, UnaryKind};

    /// Runs the pass on `abs -> op -> neg` and returns the operators that remain.
    fn left(op: Op, between: &[usize]) -> Vec<String> {
        let mut b = Build::new(&[2, 3]);
        let x = b.node(Op::Unary(UnaryKind::Abs), &[b.input()], &[2, 3]);
        let x = b.node(op, &[x], between);
        let x = b.node(Op::Unary(UnaryKind::Neg), &[x], between);
        let mut graph = b.finish(x);
        run(&mut graph);
        graph.nodes.iter().map(|n| n.op.name().to_string()).collect()
    }

    #[test]
    fn what_changes_nothing_goes_and_the_rest_stays() {
        let none = ["ABS", "NEG"];
        assert_eq!(left(Op::Reshape, &[2, 3]), none);
        assert_eq!(left(Op::Concat(Concat { axis: 0, activation: Activation::None }), &[2, 3]), none);
        assert_eq!(left(Op::Pad(Pad { amounts: vec![(0, 0); 2], value: None }), &[2, 3]), none);
        assert_eq!(left(Op::Transpose(Transpose { permutation: vec![0, 1] }), &[2, 3]), none);
        let slice = |size: [usize; 2], stride: isize| {
            Op::Slice(Slice {
                begin: vec![if stride < 0 { 1 } else { 0 }, 0],
                size: size.to_vec(),
                stride: vec![stride, 1],
            })
        };
        assert_eq!(left(slice([2, 3], 1), &[2, 3]), none);
        assert_eq!(left(slice([2, 3], -1), &[2, 3]).len(), 3);
        assert_eq!(left(slice([1, 3], 1), &[1, 3]).len(), 3);
        assert_eq!(left(Op::Reshape, &[3, 2]).len(), 3);
        assert_eq!(left(Op::Transpose(Transpose { permutation: vec![1, 0] }), &[3, 2]).len(), 3);
    }

    #[test]
    fn two_transposes_merge_and_may_vanish() {
        let mut b = Build::new(&[2, 3, 4]);
        let x = b.node(Op::Transpose(Transpose { permutation: vec![2, 0, 1] }), &[b.input()], &[4, 2, 3]);
        let x = b.node(Op::Transpose(Transpose { permutation: vec![1, 2, 0] }), &[x], &[2, 3, 4]);
        let x = b.node(Op::Unary(UnaryKind::Neg), &[x], &[2, 3, 4]);
        let mut graph = b.finish(x);
        while run(&mut graph) + dead::run(&mut graph) > 0 {}
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].input(0), Some(graph.inputs[0]));
    }

    #[test]
    fn results_of_the_model_keep_their_value() {
        let mut b = Build::new(&[2]);
        let x = b.node(Op::Unary(UnaryKind::Abs), &[b.input()], &[2]);
        let y = b.node(Op::Reshape, &[x], &[2]);
        let mut graph = b.finish(y);
        assert_eq!(run(&mut graph), 1);
        assert_eq!((graph.nodes[0].outputs[0], graph.outputs[0]), (y, y));
        // Between input and output no other node can write the result, so the node stays.
        let mut b = Build::new(&[2]);
        let y = b.node(Op::Reshape, &[b.input()], &[2]);
        let mut graph = b.finish(y);
        assert_eq!(run(&mut graph), 0);
    }

    #[test]
    fn a_float_island_of_nothing_goes() {
        for (scale, nodes) in [(0.5, 2), (0.25, 4)] {
            let mut b = Build::new(&[2]);
            let int8 = |b: &mut Build, id: ValueId, scale| {
                b.graph.value_mut(id).dtype = DType::Int8;
                b.graph.value_mut(id).quantization = Some(Quantization::per_tensor(scale, 3));
            };
            let a = b.node(Op::Quantize, &[b.input()], &[2]);
            let f = b.node(Op::Dequantize, &[a], &[2]);
            let q = b.node(Op::Quantize, &[f], &[2]);
            let y = b.node(Op::Unary(UnaryKind::Tanh), &[q], &[2]);
            int8(&mut b, a, 0.5);
            int8(&mut b, q, scale);
            int8(&mut b, y, 0.01);
            let mut graph = b.finish(y);
            run(&mut graph);
            dead::run(&mut graph);
            assert_eq!(graph.nodes.len(), nodes);
        }
    }
}
