//! Which integers each channel of each activation can hold, whatever the input is.
//!
//! The range of an accumulator is the sum over its taps of `w * (q - zero_point)` at the worst ends
//! of the channel's range; a padded tap reads the zero point, which therefore widens the range that
//! a padded window sees. Scaling down is monotone, so an output channel is constant exactly when
//! both ends of its range give the same integer.

use ferrolite_runtime::Rounding;
use ferrolite_runtime::quant::{multiplier, quantize, requantize};

use crate::graph::{Activation, Constant, DType, Graph, Node, Op, Value, ValueId};

/// Lowest and highest integer of a channel.
pub(super) type Range = (i32, i32);

/// Anything that int8 holds.
const FULL: Range = (-128, 127);

/// The ranges of each value's channels (its last dimension); empty where they were not followed.
pub(super) fn channels(graph: &Graph) -> Vec<Vec<Range>> {
    let mut ranges: Vec<Vec<Range>> = vec![Vec::new(); graph.values.len()];
    for node in &graph.nodes {
        let (Some(input), &[output]) = (node.input(0), node.outputs.as_slice()) else { continue };
        let found = match &node.op {
            Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::FullyConnected { .. } => {
                Layer::new(graph, node).map(|layer| layer.outputs(&ranges[input.0]))
            }
            // The mean or maximum of equal integers is that integer; padding does not take part.
            Op::Pool2d { activation: Activation::None, .. }
                if graph.value(input).quantization == graph.value(output).quantization =>
            {
                Some(ranges[input.0].clone())
            }
            _ => None,
        };
        ranges[output.0] = found.unwrap_or_default();
    }
    ranges
}

/// The integer that a channel always holds.
pub(super) fn constant(ranges: &[Range], channel: usize) -> Option<i32> {
    ranges.get(channel).filter(|(low, high)| low == high).map(|&(low, _)| low)
}

/// An int8 layer with weights, ready for integer arithmetic.
pub(super) struct Layer<'a> {
    pub weights: &'a [i8],
    pub bias: Vec<i64>,
    /// Zero point of the input.
    pub zero_point: i32,
    /// Whether windows reach beyond the image.
    pub padded: bool,
    pub channels: usize,
    pub outputs: usize,
    op: &'a Op,
    input_scale: f32,
    weight_scales: &'a [f32],
    output: (f32, i32),
    clamp: Range,
}

impl<'a> Layer<'a> {
    /// `None` for float layers and for forms that the pass does not handle: grouped convolutions,
    /// weights with a zero point, operands without quantization.
    pub(super) fn new(graph: &'a Graph, node: &'a Node) -> Option<Layer<'a>> {
        let (input, weights, output) =
            (graph.value(node.input(0)?), graph.value(node.input(1)?), graph.value(*node.outputs.first()?));
        let int8 = |value: &Value| value.dtype == DType::Int8;
        let Some(Constant::I8(elements)) = &weights.constant else { return None };
        if !int8(input) || !int8(output) || elements.is_empty() {
            return None;
        }
        let channels = *input.shape.last()?;
        let outputs = *output.shape.last()?;
        let (activation, padded) = match &node.op {
            Op::Conv2d { window, activation } if weights.shape.last() == Some(&channels) => {
                (activation, window.pad_before != [0, 0] || window.pad_after != [0, 0])
            }
            Op::DepthwiseConv2d { window, activation, .. } => {
                (activation, window.pad_before != [0, 0] || window.pad_after != [0, 0])
            }
            Op::FullyConnected { activation } if weights.shape.last()?.is_multiple_of(channels) => {
                (activation, false)
            }
            _ => return None,
        };
        let quantization = weights.quantization.as_ref()?;
        let scales = quantization.scale.len();
        if quantization.zero_point.iter().any(|&z| z != 0) || ![1, outputs].contains(&scales) {
            return None;
        }
        let bias = match node.input(2) {
            None => vec![0; outputs],
            Some(id) => match graph.constant(Some(id))? {
                Constant::I32(bias) => bias.iter().map(|&b| b.into()).collect(),
                _ => return None,
            },
        };
        let (input_scale, zero_point) = input.quantization.as_ref()?.tensor()?;
        let (scale, output_zero_point) = output.quantization.as_ref()?.tensor()?;
        let (low, high) = activation.range();
        let bound = |real| quantize(real, scale, output_zero_point, FULL.0, FULL.1);
        (bias.len() == outputs && channels > 0).then_some(Layer {
            weights: elements,
            bias,
            zero_point,
            padded,
            channels,
            outputs,
            op: &node.op,
            input_scale,
            weight_scales: &quantization.scale,
            output: (scale, output_zero_point),
            clamp: (
                if low.is_finite() { bound(low) } else { FULL.0 },
                if high.is_finite() { bound(high) } else { FULL.1 },
            ),
        })
    }

    /// Output and input channel of weight `i`.
    pub(super) fn place(&self, i: usize) -> (usize, usize) {
        match self.op {
            Op::DepthwiseConv2d { multiplier, .. } => {
                (i % self.outputs, i % self.outputs / (*multiplier).max(1))
            }
            _ => (i / (self.weights.len() / self.outputs).max(1), i % self.channels),
        }
    }

    /// Which input channels have a weight other than zero.
    pub(super) fn reads(&self) -> Vec<bool> {
        let mut reads = vec![false; self.channels];
        for (i, _) in self.weights.iter().enumerate().filter(|(_, w)| **w != 0) {
            reads[self.place(i).1] = true;
        }
        reads
    }

    /// The ranges of the results' channels.
    fn outputs(&self, inputs: &[Range]) -> Vec<Range> {
        let mut accumulators: Vec<(i64, i64)> = self.bias.iter().map(|&b| (b, b)).collect();
        for (i, &weight) in self.weights.iter().enumerate() {
            let (output, channel) = self.place(i);
            let (mut low, mut high) = inputs.get(channel).copied().unwrap_or(FULL);
            if self.padded {
                (low, high) = (low.min(self.zero_point), high.max(self.zero_point));
            }
            let ends = [low, high].map(|q| i64::from(weight) * i64::from(q - self.zero_point));
            accumulators[output].0 += ends[0].min(ends[1]);
            accumulators[output].1 += ends[0].max(ends[1]);
        }
        let scaled = accumulators.into_iter().enumerate();
        scaled.map(|(output, range)| self.scale_down(output, range).unwrap_or(self.clamp)).collect()
    }

    /// The integers that an accumulator's range becomes, where that holds for either rounding.
    fn scale_down(&self, output: usize, (low, high): (i64, i64)) -> Option<Range> {
        let weight_scale = self.weight_scales[if self.weight_scales.len() == 1 { 0 } else { output }];
        let real = f64::from(self.input_scale) * f64::from(weight_scale) / f64::from(self.output.0);
        let factor = multiplier(real);
        let bounds = |rounding| {
            let end = |accumulator: i64| {
                // A left shift must not wrap, or the scaling would not be monotone.
                let shifted = accumulator.checked_mul(1 << factor.shift.clamp(0, 30))?;
                i32::try_from(shifted).ok()?;
                let scaled = requantize(accumulator as i32, factor, rounding);
                Some(scaled.saturating_add(self.output.1).clamp(self.clamp.0, self.clamp.1))
            };
            Some((end(low)?, end(high)?))
        };
        let (double, single) = (bounds(Rounding::Double)?, bounds(Rounding::Single)?);
        Some((double.0.min(single.0), double.1.max(single.1)))
    }
}

/// Nodes that read a value, with the operand's position.
pub(super) fn readers(graph: &Graph, id: ValueId) -> impl Iterator<Item = (usize, usize)> + '_ {
    graph.nodes.iter().enumerate().flat_map(move |(index, node)| {
        let positions = node.inputs.iter().enumerate().filter(move |(_, input)| **input == Some(id));
        positions.map(move |(position, _)| (index, position))
    })
}
