//! Layers that are a special case of another operator, which is less work for the device:
//!
//! - DEPTHWISE_CONV_2D of one input channel is a CONV_2D: all its outputs read the same pixels, and a matrix
//!   product gathers them once.
//! - CONV_2D with a group for each input channel is a DEPTHWISE_CONV_2D.
//! - CONV_2D whose kernel covers the whole image is a FULLY_CONNECTED of the flattened image, which reads the
//!   image in place. A 1x1 kernel after a global pooling is the common case. If no other layer is dense and
//!   this one is a very small part of the work, it stays, because linking another kernel costs more than it
//!   gains (person_detect on Cortex-M4: 6 thousand of 42 million instructions for 1.5 KB of flash).
//!
//! Accumulators and factors are the same numbers, and so are the results. Reports still name the operator
//! that the author wrote (`Graph::kind`).

use ferrolite_runtime::quant::multiplier;

use super::rewrite::add_constant;
use crate::graph::{
    Constant, Conv2d, DType, DepthwiseConv2d, FullyConnected, Graph, Node, Op, Quantization, Value,
};

/// The least share of a model's work that justifies a kernel of its own.
const TRIFLE: f64 = 0.02;

/// Replaces layers; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Some((op, weights)) = as_conv(graph, node)
            .or_else(|| as_depthwise(graph, node))
            .or_else(|| as_dense(graph, node).filter(|_| is_worth_it(graph, node)))
        else {
            continue;
        };
        if let Some(&output) = node.outputs.first() {
            let kind = graph.kind(node).to_owned();
            graph.authored.insert(output, kind);
        }
        let Value { name, shape, quantization, constant: Some(constant), .. } = weights else { continue };
        let id = add_constant(graph, name, shape, constant, quantization);
        let node = &mut graph.nodes[index];
        node.op = op;
        node.inputs[1] = Some(id);
        count += 1;
    }
    count
}

/// Whether a dense layer in place of this convolution justifies linking the kernel.
fn is_worth_it(graph: &Graph, node: &Node) -> bool {
    // Multiply-accumulates: the elements of the weights times the results that each contributes to.
    let work = |node: &Node| -> Option<f64> {
        let (filter, output) = (graph.value(node.input(1)?), graph.value(*node.outputs.first()?));
        match node.op {
            Op::Conv2d(_) => {
                Some(filter.elements() as f64 * output.elements() as f64 / *output.shape.last()? as f64)
            }
            Op::DepthwiseConv2d(DepthwiseConv2d { window, .. }) => {
                Some((window.kernel[0] * window.kernel[1] * output.elements()) as f64)
            }
            _ => None,
        }
    };
    let all: f64 = graph.nodes.iter().filter_map(work).sum();
    let linked = graph.nodes.iter().any(|node| matches!(node.op, Op::FullyConnected(_)));
    linked || work(node).is_some_and(|own| own >= TRIFLE * all)
}

/// Input, weights and result of an int8 layer.
fn operands<'a>(graph: &'a Graph, node: &Node) -> Option<(&'a Value, &'a Value, &'a [i8], &'a Value)> {
    let (input, weights) = (graph.value(node.input(0)?), graph.value(node.input(1)?));
    let output = graph.value(*node.outputs.first()?);
    let Some(Constant::I8(elements)) = &weights.constant else { return None };
    let int8 = input.dtype == DType::Int8 && output.dtype == DType::Int8;
    let whole = elements.len() == weights.elements() && !elements.is_empty();
    (int8 && whole && input.constant.is_none()).then_some((input, weights, elements, output))
}

/// The convolution that equals a depthwise convolution of a single input channel.
fn as_conv(graph: &Graph, node: &Node) -> Option<(Op, Value)> {
    let Op::DepthwiseConv2d(DepthwiseConv2d { window, activation, .. }) = &node.op else { return None };
    let (input, weights, elements, _) = operands(graph, node)?;
    let &[1, height, width, outputs] = weights.shape.as_slice() else { return None };
    if input.shape.len() != 4 || input.shape[3] != 1 {
        return None;
    }
    // `[taps, outputs]` to `[outputs, taps]`.
    let turned = (0..outputs).flat_map(|c| elements.iter().skip(c).step_by(outputs).copied());
    let quantization = weights.quantization.clone()?;
    if !quantization.is_per_tensor() && quantization.axis != 3 {
        return None;
    }
    let weights = Value {
        shape: vec![outputs, height, width, 1],
        constant: Some(Constant::I8(turned.collect())),
        quantization: Some(Quantization { axis: 0, ..quantization }),
        ..weights.clone()
    };
    Some((Op::Conv2d(Conv2d { window: *window, activation: *activation }), weights))
}

/// The depthwise convolution that equals one with a group for each of several input channels.
fn as_depthwise(graph: &Graph, node: &Node) -> Option<(Op, Value)> {
    let Op::Conv2d(Conv2d { window, activation }) = &node.op else { return None };
    let (input, weights, elements, _) = operands(graph, node)?;
    let (&[_, _, _, channels], &[outputs, height, width, 1]) =
        (input.shape.as_slice(), weights.shape.as_slice())
    else {
        return None;
    };
    if channels < 2 || outputs % channels != 0 {
        return None;
    }
    let quantization = weights.quantization.clone()?;
    if !quantization.is_per_tensor() && quantization.axis != 0 {
        return None;
    }
    // `[outputs, taps]` to `[taps, outputs]`.
    let taps = height * width;
    let turned = (0..taps).flat_map(|tap| elements.iter().skip(tap).step_by(taps).copied());
    let weights = Value {
        shape: vec![1, height, width, outputs],
        constant: Some(Constant::I8(turned.collect())),
        quantization: Some(Quantization { axis: 3, ..quantization }),
        ..weights.clone()
    };
    let (window, multiplier, activation) = (*window, outputs / channels, *activation);
    Some((Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation }), weights))
}

/// The dense layer that equals a convolution over the whole image.
fn as_dense(graph: &Graph, node: &Node) -> Option<(Op, Value)> {
    let Op::Conv2d(Conv2d { window, activation }) = &node.op else { return None };
    let (input, weights, _, output) = operands(graph, node)?;
    let (&[_, height, width, channels], &[outputs, kernel_h, kernel_w, depth], &[_, 1, 1, _]) =
        (input.shape.as_slice(), weights.shape.as_slice(), output.shape.as_slice())
    else {
        return None;
    };
    let covers = [kernel_h, kernel_w] == [height, width]
        && (window.pad_before, window.pad_after) == ([0; 2], [0; 2])
        && (window.dilation == [1; 2] || window.kernel == [1; 2])
        && depth == channels;
    if !covers {
        return None;
    }
    let quantization = weights.quantization.clone()?;
    let scales = match quantization.scale[..] {
        // With one scale, a dense layer computes its multiplier in float32, and a convolution does not. With
        // one scale for each channel, it gets the convolution's multiplier.
        [scale] if outputs > 1 => Quantization::per_channel(vec![scale; outputs], 0),
        [scale] => {
            let [input, output] = [input, output].map(|v| v.quantization.as_ref()?.tensor());
            let ((from, _), (to, _)) = (input?, output?);
            let factors = [f64::from(from) * f64::from(scale), f64::from(from * scale)];
            let [conv, dense] = factors.map(|factor| multiplier(factor / f64::from(to)));
            if conv != dense {
                return None;
            }
            quantization.clone()
        }
        _ if quantization.axis == 0 => quantization.clone(),
        _ => return None,
    };
    // Weights with zero points are refused later, by the author's operator.
    if quantization.zero_point.iter().any(|&zero| zero != 0) {
        return None;
    }
    let weights = Value {
        shape: vec![outputs, kernel_h * kernel_w * depth],
        quantization: Some(scales),
        ..weights.clone()
    };
    Some((Op::FullyConnected(FullyConnected { activation: *activation }), weights))
}

#[cfg(test)]
mod tests {
    use ferrolite_schema::Rounding;

    use super::super::testing::{Build, Random};
    use super::*;
    use crate::aligned::AlignedBuf;
    use crate::emit;
    use crate::graph::{Activation, Window};

    /// A layer with random weights, and factors near the ends of the range in which both forms round the same
    /// way.
    fn layer(
        op: Op,
        input: &[usize],
        weights: &[usize],
        output: &[usize],
        per_channel: bool,
        seed: u64,
    ) -> Graph {
        let mut random = Random(seed);
        let mut b = Build::new(input);
        let axis = if matches!(op, Op::DepthwiseConv2d(_)) { 3 } else { 0 };
        let channels = weights[axis];
        let data = (0..weights.iter().product::<usize>()).map(|_| random.below(255) as i8).collect();
        let mut scale = || 0.001 + random.below(1 << 20) as f32 * 1e-9;
        let quantization = if per_channel {
            Quantization::per_channel((0..channels).map(|_| scale()).collect(), axis)
        } else {
            Quantization::per_tensor(scale(), 0)
        };
        let scales = [scale(), scale()];
        let w =
            add_constant(&mut b.graph, "w".into(), weights.to_vec(), Constant::I8(data), Some(quantization));
        let bias = Constant::I32((0..channels).map(|_| random.below(2000) as i32 - 1000).collect());
        let bias = add_constant(&mut b.graph, "b".into(), vec![channels], bias, None);
        let input = b.input();
        let y = b.node(op, &[input, w, bias], output);
        for (id, scale) in [input, y].into_iter().zip([40.0, 60.0].iter().zip(scales).map(|(a, b)| a * b)) {
            let value = b.graph.value_mut(id);
            (value.dtype, value.quantization) =
                (DType::Int8, Some(Quantization::per_tensor(scale, random.below(256) as i32 - 128)));
        }
        b.finish(y)
    }

    /// The output for a random input, and the operator that the file shows.
    fn answer(graph: &Graph, rounding: Rounding, seed: u64) -> (Vec<Vec<u8>>, String) {
        let options = emit::Options { rounding, ..emit::Options::default() };
        let emitted = emit::compile(graph, &options).unwrap();
        let file = AlignedBuf::from_bytes(&emitted.bytes);
        let model = ferrolite_schema::Model::from_bytes(&file).unwrap();
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        let mut net = crate::execute::interpreter(&model, graph.op_set(), &mut memory).unwrap();
        let mut random = Random(seed);
        let input = (0..graph.value(graph.inputs[0]).bytes()).map(|_| random.below(256) as u8).collect();
        let answer = crate::execute::infer(&mut net, &[input], &mut ()).unwrap();
        (answer, format!("{} {}", emitted.ops[0].name, emitted.ops[0].kind))
    }

    fn window(kernel: [usize; 2], stride: usize, pad: usize, dilation: usize) -> Window {
        Window {
            kernel,
            stride: [stride; 2],
            dilation: [dilation; 2],
            pad_before: [pad; 2],
            pad_after: [pad; 2],
        }
    }

    #[test]
    fn the_other_operator_gives_the_same_bytes() {
        let activation = Activation::None;
        let depthwise =
            |window, multiplier| Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation });
        let conv = |window| Op::Conv2d(Conv2d { window, activation });
        type Case = (&'static str, Op, &'static [usize], &'static [usize], &'static [usize], &'static str);
        let cases: &[Case] = &[
            (
                "padded",
                depthwise(window([3, 3], 2, 1, 1), 5),
                &[2, 7, 7, 1],
                &[1, 3, 3, 5],
                &[2, 4, 4, 5],
                "CONV_2D",
            ),
            (
                "dilated",
                depthwise(window([2, 2], 1, 0, 3), 8),
                &[1, 6, 5, 1],
                &[1, 2, 2, 8],
                &[1, 3, 2, 8],
                "CONV_2D",
            ),
            (
                "alone",
                depthwise(window([2, 3], 1, 0, 1), 1),
                &[1, 4, 4, 1],
                &[1, 2, 3, 1],
                &[1, 3, 2, 1],
                "CONV_2D",
            ),
            (
                "a pixel",
                depthwise(window([3, 2], 1, 0, 1), 4),
                &[2, 3, 2, 1],
                &[1, 3, 2, 4],
                &[2, 1, 1, 4],
                "FULLY_CONNECTED",
            ),
            (
                "point",
                conv(window([1, 1], 1, 0, 1)),
                &[3, 1, 1, 9],
                &[6, 1, 1, 9],
                &[3, 1, 1, 6],
                "FULLY_CONNECTED",
            ),
            (
                "whole",
                conv(window([4, 3], 2, 0, 1)),
                &[2, 4, 3, 5],
                &[7, 4, 3, 5],
                &[2, 1, 1, 7],
                "FULLY_CONNECTED",
            ),
            (
                "two channels",
                depthwise(window([1, 1], 1, 0, 1), 1),
                &[1, 2, 2, 2],
                &[1, 1, 1, 2],
                &[1, 2, 2, 2],
                "DEPTHWISE_CONV_2D",
            ),
            ("groups", conv(window([2, 2], 1, 0, 1)), &[1, 2, 2, 4], &[4, 2, 2, 2], &[1, 1, 1, 4], "CONV_2D"),
            (
                "padded whole",
                conv(window([3, 3], 3, 1, 1)),
                &[1, 3, 3, 2],
                &[2, 3, 3, 2],
                &[1, 1, 1, 2],
                "CONV_2D",
            ),
        ];
        for (name, op, input, weights, output, becomes) in cases {
            for (seed, per_channel) in (0..20).map(|seed| (seed, seed % 2 == 0)) {
                let before = layer(op.clone(), input, weights, output, per_channel, seed);
                let mut after = before.clone();
                while run(&mut after) > 0 {}
                assert_eq!(after.nodes[0].op.name(), *becomes, "{name}");
                for rounding in [Rounding::Double, Rounding::Single] {
                    assert_eq!(
                        answer(&before, rounding, seed),
                        answer(&after, rounding, seed),
                        "{name}, seed {seed}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_trifle_is_not_worth_a_kernel() {
        let point = |inputs| {
            let op = Op::Conv2d(Conv2d { window: window([1, 1], 1, 0, 1), activation: Activation::None });
            layer(op, &[1, 1, 1, inputs], &[4, 1, 1, inputs], &[1, 1, 1, 4], true, 1)
        };
        let mut graph = point(8);
        let large = layer(
            Op::Conv2d(Conv2d { window: window([3, 3], 1, 1, 1), activation: Activation::None }),
            &[1, 8, 8, 8],
            &[8, 3, 3, 8],
            &[1, 8, 8, 8],
            true,
            2,
        );
        let first = graph.values.len();
        graph.values.extend(large.values);
        let mut node = large.nodes[0].clone();
        node.inputs.iter_mut().flatten().chain(&mut node.outputs).for_each(|id| id.0 += first);
        graph.nodes.push(node);
        assert_eq!((run(&mut graph), run(&mut point(8))), (0, 1));
    }

    #[test]
    fn one_output_of_one_scale_only_where_the_factor_is_the_same() {
        let op = || Op::Conv2d(Conv2d { window: window([1, 1], 1, 0, 1), activation: Activation::None });
        let mut rewritten = 0;
        for seed in 0..100 {
            let before = layer(op(), &[1, 1, 1, 40], &[1, 1, 1, 40], &[1, 1, 1, 1], false, seed);
            let mut after = before.clone();
            rewritten += run(&mut after);
            assert_eq!(answer(&before, Rounding::Double, seed), answer(&after, Rounding::Double, seed));
        }
        assert!((1..100).contains(&rewritten), "{rewritten}");
    }
}
