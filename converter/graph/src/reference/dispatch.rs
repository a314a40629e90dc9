//! From an operator with its attributes to the function that computes it.

use ferrolite_runtime::quant;

use super::{Tensor, elementwise, matmul, movement, recurrent, reduce, resize, window};
use crate::graph::{
    Activation, ArgMax, ArgMin, BatchMatMul, Binary, Concat, Conv2d, DType, DepthwiseConv2d, FullyConnected,
    Gather, Graph, Node, Op, Pack, Pad, Pool2d, QuantizeScaled, Reduce, ResizeBilinear, ResizeNearest, Slice,
    Softmax, Split, Transpose, TransposeConv, Unpack,
};

/// Executes a node that [`check::node`](super::check::node) has accepted, on operands of the
/// shapes that the graph says.
pub fn execute(graph: &Graph, node: &Node, operands: &[Option<Tensor>]) -> Vec<Vec<f32>> {
    let operand = |position: usize| {
        operands.get(position).copied().flatten().expect("the check has seen every required operand")
    };
    let bias = || operands.get(2).copied().flatten().map(|bias| bias.data);
    let out_shape = || graph.value(node.outputs[0]).shape.as_slice();
    let out_lengths = || node.outputs.iter().map(|&id| graph.value(id).elements()).collect::<Vec<_>>();
    let all = || operands.iter().flatten().map(|operand| operand.data).collect::<Vec<_>>();
    let one = match &node.op {
        Op::Conv2d(Conv2d { window, activation }) => {
            let out = window::conv2d(operand(0), operand(1), bias(), window, out_shape());
            clamped(out, *activation)
        }
        Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation }) => {
            let out = window::depthwise(operand(0), operand(1), bias(), window, *multiplier, out_shape());
            clamped(out, *activation)
        }
        Op::TransposeConv(TransposeConv { window, activation }) => {
            let out = window::transpose_conv(operand(0), operand(1), bias(), window, out_shape());
            clamped(out, *activation)
        }
        Op::FullyConnected(FullyConnected { activation }) => {
            clamped(matmul::fully_connected(operand(0), operand(1), bias()), *activation)
        }
        Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b }) => {
            matmul::batch_matmul(operand(0), operand(1), *transpose_a, *transpose_b, out_shape())
        }
        Op::Pool2d(Pool2d { kind, window, activation }) => {
            clamped(window::pool(operand(0), *kind, window, out_shape()), *activation)
        }
        Op::Binary(Binary { kind, activation }) => {
            let out = graph.value(node.outputs[0]);
            let integers = out.dtype != DType::Float32 && out.quantization.is_none();
            let out = elementwise::binary(*kind, operand(0), operand(1), &out.shape, integers);
            clamped(out, *activation)
        }
        Op::Unary(kind) => operand(0).data.iter().map(|&x| elementwise::unary(*kind, x)).collect(),
        Op::Softmax(Softmax { beta }) => elementwise::softmax(operand(0).data, depth(operand(0)), *beta),
        Op::LogSoftmax => elementwise::log_softmax(operand(0).data, depth(operand(0))),
        Op::Prelu => elementwise::prelu(operand(0), operand(1)),
        Op::Pad(Pad { amounts, value }) => {
            let quantization = node.input(0).and_then(|id| graph.value(id).quantization.as_ref());
            let value = match (value, quantization.and_then(|q| q.tensor())) {
                (None, _) => 0.0,
                (Some(q), Some((scale, zero_point))) => {
                    (f64::from(scale) * (q - f64::from(zero_point))) as f32
                }
                (Some(value), None) => *value as f32,
            };
            movement::pad(operand(0), amounts, value, out_shape())
        }
        Op::Reduce(Reduce { kind, axes, .. }) => reduce::reduce(operand(0), *kind, axes),
        Op::Concat(Concat { axis, activation }) => {
            let outer = out_shape()[..*axis].iter().product();
            clamped(movement::concat(&all(), outer), *activation)
        }
        Op::Pack(Pack { axis }) => movement::concat(&all(), out_shape()[..*axis].iter().product()),
        Op::Split(Split { axis }) | Op::Unpack(Unpack { axis }) => {
            let outer = operand(0).shape[..*axis].iter().product();
            return movement::split(operand(0).data, outer, &out_lengths());
        }
        Op::Slice(Slice { begin, size, stride }) => movement::slice(operand(0), begin, size, stride),
        Op::Transpose(Transpose { permutation }) => movement::transpose(operand(0), permutation),
        Op::Reshape => operand(0).data.to_vec(),
        Op::Quantize => elementwise::saturated(operand(0).data, graph.value(node.outputs[0])),
        Op::QuantizeScaled(QuantizeScaled { factor, term }) => {
            let scaled: Vec<f32> =
                operand(0).data.iter().map(|&x| (factor * f64::from(x) + term) as f32).collect();
            elementwise::saturated(&scaled, graph.value(node.outputs[0]))
        }
        Op::Dequantize => match node.input(0) {
            Some(integers) => elementwise::saturated(operand(0).data, graph.value(integers)),
            None => operand(0).data.to_vec(),
        },
        Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers }) => {
            resize::nearest(operand(0), out_shape(), *align_corners, *half_pixel_centers)
        }
        Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers }) => {
            resize::bilinear(operand(0), out_shape(), *align_corners, *half_pixel_centers)
        }
        Op::ArgMax(ArgMax { axis }) => reduce::arg_extreme(operand(0), *axis, true),
        Op::ArgMin(ArgMin { axis }) => reduce::arg_extreme(operand(0), *axis, false),
        Op::Recurrent(layer) => {
            let optional = |position: usize| operands.get(position).copied().flatten().map(|o| o.data);
            let [sequence, hidden, cell] = recurrent::run(
                layer,
                &recurrent::Operands {
                    input: operand(0),
                    weights: operand(1),
                    recurrent: operand(2),
                    bias: optional(3),
                    recurrent_bias: optional(4),
                    hidden: optional(5),
                    cell: optional(6),
                },
            );
            return vec![sequence, hidden, cell];
        }
        Op::Gather(Gather { axis, batch_dims }) => {
            movement::look_up(operand(0), *axis, *batch_dims, operand(1))
        }
        Op::Lookup => {
            let quantization = node.input(0).and_then(|id| graph.value(id).quantization.as_ref());
            let (scale, zero_point) = quantization.and_then(|q| q.tensor()).unwrap_or((1.0, 0));
            let place = |x: f32| (quant::quantize(x, scale, zero_point, -128, 127) + 128) as usize;
            operand(0).data.iter().map(|&x| operand(1).data[place(x)]).collect()
        }
        Op::Unsupported(_) => unreachable!("the check refuses unsupported operators"),
    };
    vec![one]
}

/// Size of the last dimension.
fn depth(tensor: Tensor) -> usize {
    tensor.shape.last().copied().unwrap_or(1)
}

/// The fused activation. NaN passes through, so that whoever looks for it finds it.
fn clamped(mut data: Vec<f32>, activation: Activation) -> Vec<f32> {
    if activation != Activation::None {
        let (low, high) = activation.range();
        for x in &mut data {
            *x = x.clamp(low, high);
        }
    }
    data
}
