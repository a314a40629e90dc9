//! Which frames of its operand a layer reads for a frame of its result.
//!
//! A frame is what a tensor has at one index of the dimension that counts time. A layer goes frame by frame where all
//! frames of its result are computed in one way, from neighbouring frames:
//!
//! ```text
//! frame j of the result reads frames j * stride + first .. + reach of the operand
//! ```
//! Frames before the first are padding.

use crate::graph::{Graph, Node, Op};

/// How a layer goes frame by frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frames {
    /// The dimension of the result that counts time.
    pub axis: usize,
    /// Distance of the frames that neighbouring results begin with.
    pub stride: usize,
    /// The frame that the first result begins with.
    pub first: isize,
    /// Number of frames that a result reads.
    pub reach: usize,
}

impl Frames {
    /// The frames of the operand that the results `from..to` read, as far as there are any.
    pub(super) fn read(self, from: usize, to: usize) -> (isize, isize) {
        let start = |frame: usize| (frame * self.stride) as isize + self.first;
        (start(from), start(to.saturating_sub(1)) + self.reach as isize)
    }
}

/// How a node reads the operand at `position`, whose dimension `axis` counts time; `None` where it does not go frame by
/// frame.
pub(super) fn frames(graph: &Graph, node: &Node, position: usize, axis: usize) -> Option<Frames> {
    let shape = &graph.value(node.input(position)?).shape;
    let result = &graph.value(*node.outputs.first()?).shape;
    let alike = |axis: usize| Frames { axis, stride: 1, first: 0, reach: 1 };
    // The same dimension, counted from the last.
    let from_the_end = || (axis + result.len()).checked_sub(shape.len()).map(alike);
    match &node.op {
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::Pool2d(_) => {
            let window = match &node.op {
                Op::Conv2d(op) => op.window,
                Op::DepthwiseConv2d(op) => op.window,
                Op::Pool2d(op) => op.window,
                _ => return None,
            };
            let side = axis.checked_sub(1).filter(|&side| side < 2 && position == 0)?;
            Some(Frames {
                axis,
                stride: window.stride[side],
                first: -(window.pad_before[side] as isize),
                reach: (window.kernel[side] - 1) * window.dilation[side] + 1,
            })
        }
        Op::Unary(_) | Op::Quantize | Op::QuantizeScaled(_) | Op::Dequantize => from_the_end(),
        Op::Lookup | Op::Compare(_) if position == 0 => from_the_end(),
        Op::Binary(_) | Op::Prelu => from_the_end(),
        Op::Softmax(_) | Op::LogSoftmax => from_the_end().filter(|_| axis + 1 < shape.len()),
        Op::Pad(pad) => Some(Frames { first: -(pad.amounts.get(axis)?.0 as isize), ..alike(axis) }),
        Op::Slice(slice) => {
            let stride = usize::try_from(*slice.stride.get(axis)?).ok().filter(|&stride| stride > 0)?;
            let first = *slice.begin.get(axis)? as isize;
            Some(Frames { axis: moved(&slice.size, axis, result)?, stride, first, reach: 1 })
        }
        Op::Reshape => moved(shape, axis, result).map(alike),
        Op::FullyConnected(_) if position == 0 => {
            let weights = &graph.value(node.input(1)?).shape;
            let (&[units, columns], inner) = (&weights[..], shape[axis + 1..].iter().product::<usize>())
            else {
                return None;
            };
            if inner == 0 || !inner.is_multiple_of(columns) {
                return None;
            }
            let axis = moved(shape, axis, result)?;
            let found: usize = result[axis + 1..].iter().product();
            (found == inner / columns * units).then_some(alike(axis))
        }
        Op::Transpose(op) => op.permutation.iter().position(|&from| from == axis).map(alike),
        Op::Reduce(op) if !op.axes.contains(&axis) => {
            let dropped = if op.keep_dims { 0 } else { op.axes.iter().filter(|&&a| a < axis).count() };
            Some(alike(axis - dropped))
        }
        Op::Concat(op) => (op.axis != axis).then_some(alike(axis)),
        Op::Split(op) => (op.axis != axis).then_some(alike(axis)),
        _ => None,
    }
}

/// Whether an operand without time is the same in all frames of a result.
pub(super) fn is_still(graph: &Graph, node: &Node, position: usize, axis: usize) -> bool {
    let Some(id) = node.input(position) else { return true };
    let value = graph.value(id);
    if value.constant.is_none() {
        return false;
    }
    match node.op {
        // The part of a broadcast that every frame gets.
        Op::Binary(_) | Op::Prelu => {
            let rank = graph.value(node.outputs[0]).shape.len();
            let own = (axis + value.shape.len()).checked_sub(rank);
            own.is_none_or(|own| value.shape.get(own) == Some(&1))
        }
        Op::Concat(_) => false,
        _ => true,
    }
}

/// Where a dimension is after the others have been divided in another way.
fn moved(from: &[usize], axis: usize, to: &[usize]) -> Option<usize> {
    let outer: usize = from[..axis].iter().product();
    (0..to.len()).find(|&at| to[at] == from[axis] && to[..at].iter().product::<usize>() == outer)
}

/// The operator for `count` frames of its result, which reads all frames of its operand, whose dimension `axis` counts
/// time, and has no padding there.
pub(super) fn shortened(op: &Op, axis: usize, count: usize) -> Op {
    let mut op = op.clone();
    let window = match &mut op {
        Op::Conv2d(op) => Some(&mut op.window),
        Op::DepthwiseConv2d(op) => Some(&mut op.window),
        Op::Pool2d(op) => Some(&mut op.window),
        _ => None,
    };
    if let (Some(window), Some(side)) = (window, axis.checked_sub(1)) {
        (window.pad_before[side], window.pad_after[side]) = (0, 0);
    }
    match &mut op {
        Op::Pad(pad) => pad.amounts[axis] = (0, 0),
        Op::Slice(slice) => (slice.begin[axis], slice.size[axis]) = (0, count),
        _ => {}
    }
    op
}
