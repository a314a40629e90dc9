//! Kernels of convolutions lose the rows and columns of taps that see nothing but padding, whatever the
//! output: of a 3x3 kernel over a signal of height 1, one row is left. Padding is the input's zero point, so
//! such taps add nothing to any sum, and neither does what the bias has to cancel of them.

use super::rewrite::add_constant;
use crate::graph::{Constant, Conv2d, DType, Graph, Node, Op, Value, Window};

/// Cuts kernels; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    for index in 0..graph.nodes.len() {
        let Some((window, weights)) = cut(graph, &graph.nodes[index]) else { continue };
        let Value { name, shape, quantization, constant: Some(constant), .. } = weights else { continue };
        let id = add_constant(graph, name, shape, constant, quantization);
        let node = &mut graph.nodes[index];
        if let Op::Conv2d(conv) = &mut node.op {
            conv.window = window;
            node.inputs[1] = Some(id);
            count += 1;
        }
    }
    count
}

/// The smaller window and its weights.
fn cut(graph: &Graph, node: &Node) -> Option<(Window, Value)> {
    let Op::Conv2d(Conv2d { window, .. }) = &node.op else { return None };
    let (input, weights) = (graph.value(node.input(0)?), graph.value(node.input(1)?));
    let output = graph.value(*node.outputs.first()?);
    let Some(Constant::I8(elements)) = &weights.constant else { return None };
    let (&[_, height, width, _], &[outputs, kernel_h, kernel_w, depth], &[_, out_h, out_w, _]) =
        (input.shape.as_slice(), weights.shape.as_slice(), output.shape.as_slice())
    else {
        return None;
    };
    let sound = input.dtype == DType::Int8
        && [kernel_h, kernel_w] == window.kernel
        && elements.len() == outputs * kernel_h * kernel_w * depth;
    if !sound {
        return None;
    }
    let [(top, bottom), (left, right)] =
        [(0, height, out_h), (1, width, out_w)].map(|(axis, size, out)| blind(window, axis, size, out));
    if [top, bottom, left, right] == [0; 4] {
        return None;
    }
    let (rows, columns) = (top..kernel_h - bottom, left..kernel_w - right);
    let mut kept = Vec::new();
    for filter in elements.chunks_exact(kernel_h * kernel_w * depth) {
        for row in rows.clone() {
            let row = &filter[row * kernel_w * depth..][..kernel_w * depth];
            kept.extend_from_slice(&row[columns.start * depth..columns.end * depth]);
        }
    }
    let [step_h, step_w] = window.dilation;
    let [before_h, before_w] = window.pad_before;
    let [after_h, after_w] = window.pad_after;
    let window = Window {
        kernel: [rows.len(), columns.len()],
        pad_before: [before_h - top * step_h, before_w - left * step_w],
        pad_after: [after_h - bottom * step_h, after_w - right * step_w],
        ..*window
    };
    let shape = vec![outputs, rows.len(), columns.len(), depth];
    Some((window, Value { shape, constant: Some(Constant::I8(kept)), ..weights.clone() }))
}

/// Taps along an axis that are in the padding before the image for the last output, and in that behind it for
/// the first one. At least one tap is left, and no padding becomes negative.
fn blind(window: &Window, axis: usize, size: usize, out: usize) -> (usize, usize) {
    let (kernel, step) = (window.kernel[axis], window.dilation[axis].max(1));
    let (before, after) = (window.pad_before[axis], window.pad_after[axis]);
    let last = out.saturating_sub(1).saturating_mul(window.stride[axis]);
    let first_seen = before.saturating_sub(last).div_ceil(step);
    let front = first_seen.min(before / step).min(kernel.saturating_sub(1));
    let end_seen = size.saturating_add(before).div_ceil(step);
    let back = kernel.saturating_sub(end_seen).min(after / step);
    (front, back.min(kernel.saturating_sub(front + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_that_see_only_padding_are_counted() {
        let counted = |kernel, stride, dilation, pads: (usize, usize), size, out| {
            let window = Window {
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [dilation; 2],
                pad_before: [pads.0; 2],
                pad_after: [pads.1; 2],
            };
            blind(&window, 0, size, out)
        };
        assert_eq!(counted(3, 1, 1, (1, 1), 1, 1), (1, 1));
        assert_eq!(counted(3, 1, 1, (1, 1), 2, 2), (0, 0));
        assert_eq!(counted(5, 1, 1, (2, 2), 2, 2), (1, 1));
        assert_eq!(counted(3, 2, 1, (0, 1), 2, 1), (0, 1));
        // Of taps two apart, the first and the last.
        assert_eq!(counted(3, 1, 2, (2, 2), 2, 2), (1, 1));
        // One is left, though it sees nothing.
        assert_eq!(counted(2, 1, 1, (4, 4), 1, 1), (1, 0));
    }
}
