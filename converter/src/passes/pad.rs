//! A PAD before a window becomes padding of the window, which costs neither time nor memory: zeros before a
//! convolution, and numbers that can never be the maximum before a max pool.
//!
//! This is exact on quantized layers: a convolution reads padding as its input's zero point, the same integer
//! that PAD adds. Pooling ignores padding, which gives the same maximum if no element is smaller than what
//! PAD adds: the lowest integer, minus infinity, or zero after a rectifier.

use super::rewrite::Links;
use crate::graph::{
    Activation, Binary, Conv2d, DType, DepthwiseConv2d, Graph, Node, Op, Pad, Pool2d, PoolKind,
    TransposeConv, UnaryKind, ValueId, Window,
};

/// No real number in a network is smaller than this.
const LOWEST: f64 = -1e18;

/// Folds paddings; returns how often. The PAD itself is removed as a dead node.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    let links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        let Some((source, folded)) = folded(graph, &links, index, &zero) else { continue };
        let node = &mut graph.nodes[index];
        if let Op::Conv2d(Conv2d { window, .. }) | Op::DepthwiseConv2d(DepthwiseConv2d { window, .. }) =
            &mut node.op
        {
            *window = folded;
            node.inputs[0] = Some(source);
            count += 1;
        }
    }
    let lowest: Vec<f64> = (0..graph.values.len()).map(|id| lowest(graph, &links, ValueId(id))).collect();
    count + fold_pools(graph, &|id| lowest[id.0])
}

/// Folds paddings into max pools; returns how often. `lowest` gives a lower bound for the elements of a
/// value.
pub(crate) fn fold_pools(graph: &mut Graph, lowest: &dyn Fn(ValueId) -> f64) -> usize {
    let mut count = 0;
    let links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        if !matches!(graph.nodes[index].op, Op::Pool2d(Pool2d { kind: PoolKind::Max, .. })) {
            continue;
        }
        let loses = |graph: &Graph, source, value: Option<f64>| {
            value.unwrap_or_else(|| zero_of(graph, source)) <= lowest(source)
        };
        let Some((source, folded)) = folded(graph, &links, index, &loses) else { continue };
        let node = &mut graph.nodes[index];
        if let Op::Pool2d(Pool2d { window, .. }) = &mut node.op {
            *window = folded;
            node.inputs[0] = Some(source);
            count += 1;
        }
    }
    count
}

/// The number that represents zero in a tensor's own type.
fn zero_of(graph: &Graph, id: ValueId) -> f64 {
    let quantization = graph.value(id).quantization.as_ref();
    quantization.and_then(|q| q.tensor()).map_or(0.0, |(_, zero_point)| zero_point.into())
}

/// Whether a PAD of `source` adds zeros.
fn zero(graph: &Graph, source: ValueId, value: Option<f64>) -> bool {
    value.is_none_or(|value| value == zero_of(graph, source))
}

/// A lower bound for the elements of a value, in its own type.
fn lowest(graph: &Graph, links: &Links, id: ValueId) -> f64 {
    match graph.value(id).dtype {
        DType::Int8 => return f64::from(i8::MIN),
        DType::Float32 => {}
        _ => return f64::NEG_INFINITY,
    }
    let Some(node) = links.writer(id).map(|index| &graph.nodes[index]) else { return LOWEST };
    let clamp = match node.op {
        Op::Unary(UnaryKind::Relu | UnaryKind::Relu6 | UnaryKind::Logistic) | Op::Softmax(_) => 0.0,
        Op::Conv2d(Conv2d { activation, .. })
        | Op::DepthwiseConv2d(DepthwiseConv2d { activation, .. })
        | Op::TransposeConv(TransposeConv { activation, .. })
        | Op::Pool2d(Pool2d { activation, .. })
        | Op::Binary(Binary { activation, .. }) => activation_floor(activation),
        _ => LOWEST,
    };
    clamp.max(LOWEST)
}

fn activation_floor(activation: Activation) -> f64 {
    activation.range().0.into()
}

/// The operand of the PAD that the windowed layer at `index` reads, and the window that does both, if what is
/// added `fits`.
fn folded(
    graph: &Graph,
    links: &Links,
    index: usize,
    fits: &dyn Fn(&Graph, ValueId, Option<f64>) -> bool,
) -> Option<(ValueId, Window)> {
    let node: &Node = &graph.nodes[index];
    let (Op::Conv2d(Conv2d { window, .. })
    | Op::DepthwiseConv2d(DepthwiseConv2d { window, .. })
    | Op::Pool2d(Pool2d { window, .. })) = &node.op
    else {
        return None;
    };
    let padded = node.input(0)?;
    let pad = &graph.nodes[links.writer(padded)?];
    let Op::Pad(Pad { amounts, value }) = &pad.op else { return None };
    let source = pad.input(0)?;
    let (before, after) = (graph.value(source), graph.value(padded));
    if before.quantization != after.quantization
        || before.dtype != after.dtype
        || !fits(graph, source, *value)
    {
        return None;
    }
    let &[(0, 0), rows, columns, (0, 0)] = amounts.as_slice() else { return None };
    let mut window = *window;
    for (i, (first, last)) in [rows, columns].into_iter().enumerate() {
        window.pad_before[i] += first;
        window.pad_after[i] += last;
        // Kernels may rely on every window overlapping the image.
        let effective = (window.kernel[i] - 1) * window.dilation[i] + 1;
        if window.pad_before[i] >= effective || window.pad_after[i] >= effective {
            return None;
        }
    }
    Some((source, window))
}

#[cfg(test)]
mod tests {
    use super::super::dead;
    use super::super::testing::{Build, random_inputs};
    use super::*;
    use crate::reference::Executor;

    fn padded_conv(amounts: [(usize, usize); 4], value: Option<f64>) -> Graph {
        let mut b = Build::new(&[1, 6, 6, 2]);
        let weights = b.constant(&[3, 3, 3, 2], |i| (i as f32 * 0.7).sin());
        let dims = [1, 6, 6, 2];
        let shape: Vec<usize> = (0..4).map(|i| dims[i] + amounts[i].0 + amounts[i].1).collect();
        let x = b.node(Op::Pad(Pad { amounts: amounts.to_vec(), value }), &[b.input()], &shape);
        let window = Window {
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let out = [1, (shape[1] - 3) / 2 + 1, (shape[2] - 3) / 2 + 1, 3];
        let x = b.node(Op::Conv2d(Conv2d { window, activation: Activation::None }), &[x, weights], &out);
        b.finish(x)
    }

    #[test]
    fn zero_padding_moves_into_the_window() {
        let before = padded_conv([(0, 0), (0, 1), (2, 1), (0, 0)], None);
        let mut graph = before.clone();
        assert_eq!((run(&mut graph), dead::run(&mut graph)), (1, 1));
        let input = random_inputs(&graph, 3);
        let results = [&before, &graph].map(|g| Executor::new(g).unwrap().run(&[&input[0]]).unwrap());
        assert_eq!(results[0], results[1]);
    }

    /// A PAD of one element on all sides, then a maximum of 3x3. If `clamped`, a rectifier comes first.
    fn padded_pool(value: Option<f64>, clamped: bool) -> Graph {
        let mut b = Build::new(&[1, 4, 5, 2]);
        let op = Op::Unary(if clamped { UnaryKind::Relu } else { UnaryKind::Neg });
        let x = b.node(op, &[b.input()], &[1, 4, 5, 2]);
        let pad = Op::Pad(Pad { amounts: vec![(0, 0), (1, 1), (1, 1), (0, 0)], value });
        let x = b.node(pad, &[x], &[1, 6, 7, 2]);
        let window = Window {
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let op = Op::Pool2d(Pool2d { kind: PoolKind::Max, window, activation: Activation::None });
        let x = b.node(op, &[x], &[1, 2, 3, 2]);
        b.finish(x)
    }

    #[test]
    fn what_loses_moves_into_a_max_pool() {
        let cases = [
            (Some(f64::NEG_INFINITY), false, 1),
            (Some(f64::from(f32::MIN)), false, 1),
            (None, true, 1),
            (Some(0.0), true, 1),
            (Some(-1.0), true, 1),
            // The padding may be the maximum.
            (None, false, 0),
            (Some(-1e9), false, 0),
            (Some(0.5), true, 0),
        ];
        for (value, clamped, count) in cases {
            let before = padded_pool(value, clamped);
            let mut graph = before.clone();
            assert_eq!((run(&mut graph), dead::run(&mut graph)), (count, count), "{value:?}, {clamped}");
            let input = random_inputs(&graph, 3);
            let results = [&before, &graph].map(|g| Executor::new(g).unwrap().run(&[&input[0]]).unwrap());
            assert_eq!(results[0], results[1], "{value:?}, {clamped}");
        }
    }

    #[test]
    fn other_padding_stays() {
        let amounts = [(0, 0), (0, 1), (0, 1), (0, 0)];
        assert_eq!(run(&mut padded_conv(amounts, Some(0.0))), 1);
        assert_eq!(run(&mut padded_conv(amounts, Some(1.0))), 0);
        assert_eq!(run(&mut padded_conv([(0, 0), (0, 3), (0, 0), (0, 0)], None)), 0);
    }
}
