//! An int8 layer with weights in integer arithmetic: computes which integers its output channels can hold,
//! from those that its input channels can hold.

use ferrolite_runtime::Rounding;
use ferrolite_runtime::quant::{multiplier, quantize, requantize};

use crate::graph::{
    Constant, Conv2d, DType, DepthwiseConv2d, FullyConnected, Graph, Node, Op, Value, Window,
};
use crate::ops::pack::{SHARED_ACCUMULATOR, SHIFTS};

/// Lowest and highest integer of a channel.
pub(super) type Range = (i32, i32);

/// The range of int8.
pub(super) const FULL: Range = (-128, 127);

/// The strictest bound on accumulators of all orders of weights, exclusive.
const USUAL_SUM: i64 = SHARED_ACCUMULATOR;

/// The factor of a channel whose numbers are free: exact, and an int8 difference times its reciprocal is small.
const USUAL_FACTOR: f64 = 1.0 / 256.0;

/// The integer that a channel always holds, if there is one.
pub(super) fn constant(ranges: &[Range], channel: usize) -> Option<i32> {
    ranges.get(channel).filter(|(low, high)| low == high).map(|&(low, _)| low)
}

/// An int8 layer with weights, prepared for integer arithmetic.
pub(super) struct Layer<'a> {
    pub weights: &'a [i8],
    pub bias: Vec<i64>,
    /// Zero point of the input.
    pub zero_point: i32,
    /// Whether windows extend beyond the image.
    pub padded: bool,
    pub channels: usize,
    pub outputs: usize,
    /// The taps inside the image, for each kind of position that a window can have.
    taps: Vec<Vec<usize>>,
    op: &'a Op,
    input_scale: f32,
    /// Whether scales of input and weights are multiplied in float32.
    single: bool,
    weight_scales: &'a [f32],
    output: (f32, i32),
    clamp: Range,
}

impl<'a> Layer<'a> {
    /// `None` for float layers and for layers that the pass does not handle: grouped convolutions, weights
    /// with a zero point, operands without quantization.
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
        if channels == 0 || outputs == 0 {
            return None;
        }
        let (activation, taps) = match &node.op {
            Op::Conv2d(Conv2d { window, activation }) if weights.shape.last() == Some(&channels) => {
                (activation, taps(window, input, output)?)
            }
            Op::DepthwiseConv2d(DepthwiseConv2d { window, activation, .. }) => {
                (activation, taps(window, input, output)?)
            }
            Op::FullyConnected(FullyConnected { activation })
                if weights.shape.last()?.is_multiple_of(channels) =>
            {
                (activation, vec![(0..weights.shape.last()? / channels).collect()])
            }
            _ => return None,
        };
        let all = elements.len()
            / if matches!(node.op, Op::DepthwiseConv2d(_)) { outputs } else { outputs * channels };
        let padded = taps.iter().any(|taps| taps.len() != all);
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
        // As lowering does it (`ops::stage`).
        let from_uint8 = node.outputs.iter().any(|id| graph.from_uint8.contains(id));
        let single = scales == 1 && (from_uint8 || matches!(node.op, Op::FullyConnected(_)));
        let (low, high) = activation.range();
        let bound = |real| quantize(real, scale, output_zero_point, FULL.0, FULL.1);
        (bias.len() == outputs).then_some(Layer {
            weights: elements,
            bias,
            zero_point,
            padded,
            channels,
            outputs,
            taps,
            op: &node.op,
            input_scale,
            single,
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
            Op::DepthwiseConv2d(DepthwiseConv2d { multiplier, .. }) => {
                (i % self.outputs, i % self.outputs / (*multiplier).max(1))
            }
            _ => (i / (self.weights.len() / self.outputs).max(1), i % self.channels),
        }
    }

    /// Which input channels have a weight that is not zero.
    pub(super) fn reads(&self) -> Vec<bool> {
        let mut reads = vec![false; self.channels];
        for (i, _) in self.weights.iter().enumerate().filter(|(_, w)| **w != 0) {
            reads[self.place(i).1] = true;
        }
        reads
    }

    /// What one step of an input channel adds to each accumulator of a convolution or dense layer. `None` if
    /// that depends on the window's position.
    pub(super) fn contribution(&self, channel: usize) -> Option<Vec<i64>> {
        let row = self.weights.len() / self.outputs;
        let sum = |output: usize, taps: &[usize]| -> i64 {
            taps.iter().map(|t| i64::from(self.weights[output * row + t * self.channels + channel])).sum()
        };
        let (first, others) = self.taps.split_first()?;
        let one = |output| {
            let wanted = sum(output, first);
            others.iter().all(|taps| sum(output, taps) == wanted).then_some(wanted)
        };
        (0..self.outputs).map(one).collect()
    }

    /// The ranges of the output channels.
    pub(super) fn outputs(&self, inputs: &[Range]) -> Vec<Range> {
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

    /// Whether each output channel's weights have a scale of their own.
    pub(super) fn has_own_scales(&self) -> bool {
        self.weight_scales.len() != 1
    }

    /// Which output channels have numbers that the fast kernels of every core take: the scale is a usual one, the
    /// accumulator is far from every bound, and no weight is the one that has no counterpart.
    pub(super) fn usual(&self) -> Vec<bool> {
        let steps = i64::from(self.zero_point.abs()) + 128;
        let mut most: Vec<i64> = self.bias.iter().map(|bias| bias.abs()).collect();
        for (i, &weight) in self.weights.iter().enumerate() {
            let most = &mut most[self.place(i).0];
            *most += if weight == -128 { USUAL_SUM } else { i64::from(weight).abs() * steps };
        }
        let shift = |output: usize| {
            let scale = self.weight_scales[if self.has_own_scales() { output } else { 0 }];
            multiplier(self.factor(scale)).shift
        };
        let usual = |(output, most)| most < USUAL_SUM && SHIFTS.contains(&shift(output));
        most.into_iter().enumerate().map(usual).collect()
    }

    /// The scale of the weights, where channels have their own, and the bias with which an output channel without
    /// weights gives this integer, in either rounding; both are what every kernel takes.
    pub(super) fn numbers_of(&self, constant: i32) -> Option<(Option<f32>, i32)> {
        let own = self
            .has_own_scales()
            .then(|| (f64::from(self.output.0) / f64::from(self.input_scale) * USUAL_FACTOR) as f32);
        let factor = self.factor(own.unwrap_or(self.weight_scales[0]));
        let wanted = f64::from(constant - self.output.1);
        let bias = (wanted / factor).round();
        // A factor of zero makes the quotient infinite, or no number.
        if !bias.is_finite() || bias.abs() >= USUAL_SUM as f64 {
            return None;
        }
        let bias = bias as i32;
        let m = multiplier(factor);
        let gives = |rounding| {
            let scaled = requantize(bias, m, rounding).saturating_add(self.output.1);
            SHIFTS.contains(&m.shift) && scaled.clamp(self.clamp.0, self.clamp.1) == constant
        };
        (gives(Rounding::Double) && gives(Rounding::Single)).then_some((own, bias))
    }

    /// The factors of the accumulators, for weights of this scale.
    fn factor(&self, weight_scale: f32) -> f64 {
        let product = match self.single {
            true => f64::from(self.input_scale * weight_scale),
            false => f64::from(self.input_scale) * f64::from(weight_scale),
        };
        product / f64::from(self.output.0)
    }

    /// The range of integers that an accumulator's range is scaled down to, which must hold for both
    /// roundings.
    fn scale_down(&self, output: usize, (low, high): (i64, i64)) -> Option<Range> {
        let weight_scale = self.weight_scales[if self.weight_scales.len() == 1 { 0 } else { output }];
        let factor = multiplier(self.factor(weight_scale));
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

/// The taps inside the image, for each kind of position that a window can have: in the middle, at an edge, in
/// a corner.
fn taps(window: &Window, input: &Value, output: &Value) -> Option<Vec<Vec<usize>>> {
    let lines = |axis: usize| -> Option<Vec<Vec<usize>>> {
        let (size, count) = (*input.shape.get(axis + 1)?, *output.shape.get(axis + 1)?);
        let mut kinds: Vec<Vec<usize>> = (0..count)
            .map(|o| {
                let inside = |k: &usize| {
                    let at = o * window.stride[axis] + k * window.dilation[axis];
                    at.checked_sub(window.pad_before[axis]).is_some_and(|at| at < size)
                };
                (0..window.kernel[axis]).filter(inside).collect()
            })
            .collect();
        kinds.sort();
        kinds.dedup();
        Some(kinds)
    };
    let (rows, columns) = (lines(0)?, lines(1)?);
    let kinds = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
    let taps = kinds.map(|(row, column)| {
        row.iter().flat_map(|y| column.iter().map(move |x| y * window.kernel[1] + x)).collect()
    });
    Some(taps.collect())
}
