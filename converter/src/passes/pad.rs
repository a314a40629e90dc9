//! A PAD with zeros in front of a convolution becomes padding of its windows, which costs neither
//! time nor memory.
//!
//! Exact on quantized layers: a convolution reads padding as its input's zero point, the very
//! integer that PAD adds. Pooling reads padding as "not there" and is left alone.

use super::rewrite::producer;
use crate::graph::{Graph, Op, ValueId, Window};

/// Folds paddings; returns how often. The PAD itself goes with the dead nodes.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    for index in 0..graph.nodes.len() {
        let Some((source, folded)) = folded(graph, index) else { continue };
        let node = &mut graph.nodes[index];
        if let Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } = &mut node.op {
            *window = folded;
            node.inputs[0] = Some(source);
            count += 1;
        }
    }
    count
}

/// The operand of the PAD that the convolution at `index` reads, and the window that does both.
fn folded(graph: &Graph, index: usize) -> Option<(ValueId, Window)> {
    let node = &graph.nodes[index];
    let (Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. }) = &node.op else { return None };
    let padded = node.input(0)?;
    let pad = &graph.nodes[producer(graph, padded)?];
    let Op::Pad { amounts, value } = &pad.op else { return None };
    let source = pad.input(0)?;
    let (before, after) = (graph.value(source), graph.value(padded));
    if before.quantization != after.quantization || before.dtype != after.dtype {
        return None;
    }
    let zero = before
        .quantization
        .as_ref()
        .and_then(|q| q.tensor())
        .map_or(0.0, |(_, zero_point)| zero_point.into());
    if value.is_some_and(|value| value != zero) {
        return None;
    }
    let &[(0, 0), rows, columns, (0, 0)] = amounts.as_slice() else { return None };
    let mut window = *window;
    for (i, (first, last)) in [rows, columns].into_iter().enumerate() {
        window.pad_before[i] += first;
        window.pad_after[i] += last;
        // Kernels may rely on every window touching the image.
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
    use crate::graph::Activation;
    use crate::reference::Executor;

    fn padded_conv(amounts: [(usize, usize); 4], value: Option<f64>) -> Graph {
        let mut b = Build::new(&[1, 6, 6, 2]);
        let weights = b.constant(&[3, 3, 3, 2], |i| (i as f32 * 0.7).sin());
        let dims = [1, 6, 6, 2];
        let shape: Vec<usize> = (0..4).map(|i| dims[i] + amounts[i].0 + amounts[i].1).collect();
        let x = b.node(Op::Pad { amounts: amounts.to_vec(), value }, &[b.input()], &shape);
        let window = Window {
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            pad_before: [0, 0],
            pad_after: [0, 0],
        };
        let out = [1, (shape[1] - 3) / 2 + 1, (shape[2] - 3) / 2 + 1, 3];
        let x = b.node(Op::Conv2d { window, activation: Activation::None }, &[x, weights], &out);
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

    #[test]
    fn other_padding_stays() {
        let amounts = [(0, 0), (0, 1), (0, 1), (0, 0)];
        assert_eq!(run(&mut padded_conv(amounts, Some(0.0))), 1);
        assert_eq!(run(&mut padded_conv(amounts, Some(1.0))), 0);
        assert_eq!(run(&mut padded_conv([(0, 0), (0, 3), (0, 0), (0, 0)], None)), 0);
    }
}
