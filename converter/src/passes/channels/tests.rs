//! Random int8 networks with dead channels, computed with plain integer loops before and after: every int32
//! accumulator of the last layer and every output byte has to be the same.

use std::collections::HashMap;

use ferrolite_runtime::quant::{multiplier, quantize, requantize};
use ferrolite_runtime::{OpCode, Rounding, Target};

use super::super::rewrite::add_constant;
use super::super::testing::{Build, Random};
use super::*;
use crate::aligned::AlignedBuf;
use crate::emit;
use crate::execute::{infer, interpreter};
use crate::graph::{
    Activation, Binary, BinaryKind, Concat, Constant, Conv2d, DType, DepthwiseConv2d, FullyConnected, Node,
    Pad, Pool2d, PoolKind, Quantization, Reduce, ReduceKind, Slice, Split, Transpose, UnaryKind, Window,
};
use crate::import::load;
use crate::model_file;

/// A window over the image; `pad` on all sides.
fn window(kernel: usize, pad: usize) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [1; 2],
        dilation: [1; 2],
        pad_before: [pad; 2],
        pad_after: [pad; 2],
    }
}

/// A network under construction: a graph, and random numbers for it.
struct Net {
    build: Build,
    random: Random,
    /// Decides which channels are dead; without it, chance does.
    alike: Option<Random>,
}

impl Net {
    fn new(shape: &[usize], seed: u64) -> Net {
        let mut net = Net { build: Build::new(shape), random: Random(seed), alike: None };
        let input = net.build.input();
        net.quantize(input, 0.05, 7);
        net
    }

    fn quantize(&mut self, id: ValueId, scale: f32, zero_point: i32) {
        let value = self.build.graph.value_mut(id);
        value.dtype = DType::Int8;
        value.quantization = Some(Quantization::per_tensor(scale, zero_point));
    }

    /// Adds a layer whose output channels are dead one time in three: no weights, any bias.
    fn layer(&mut self, op: Op, input: ValueId, weights: &[usize], shape: &[usize]) -> ValueId {
        let axis = if matches!(op, Op::DepthwiseConv2d(_)) { 3 } else { 0 };
        let outputs = weights[axis];
        let inner: usize = weights[axis + 1..].iter().product();
        let dice = self.alike.as_mut().unwrap_or(&mut self.random);
        let dead: Vec<bool> = (0..outputs).map(|_| dice.below(3) == 0).collect();
        let data = (0..weights.iter().product::<usize>())
            .map(|i| if dead[i / inner % outputs] { 0 } else { self.random.below(255) as i8 })
            .collect();
        let scales = (0..outputs).map(|_| 0.004 + self.random.below(100) as f32 * 1e-5).collect();
        let bias = (0..outputs).map(|_| self.random.below(20000) as i32 - 10000).collect();
        let quantization = Some(Quantization::per_channel(scales, axis));
        let n = self.build.graph.nodes.len();
        let graph = &mut self.build.graph;
        let w = add_constant(graph, format!("w{n}"), weights.to_vec(), Constant::I8(data), quantization);
        let b = add_constant(graph, format!("b{n}"), vec![outputs], Constant::I32(bias), None);
        let output = self.build.node(op, &[input, w, b], shape);
        let zero_point = [-128, -5, 40][self.random.below(3)];
        self.quantize(output, 0.04, zero_point);
        output
    }

    /// A constant operand, one element per channel.
    fn vector(&mut self, channels: usize) -> ValueId {
        let data = (0..channels).map(|_| self.random.below(256) as u8 as i8).collect();
        let name = format!("v{}", self.build.graph.nodes.len());
        let quantization = Some(Quantization::per_tensor(0.03, -9));
        add_constant(&mut self.build.graph, name, vec![channels], Constant::I8(data), quantization)
    }

    /// Adds an operator without weights whose result has a quantization of its own.
    fn rescaled(&mut self, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let output = self.passing(op, inputs, shape);
        let zero_point = [-128, -20, 60][self.random.below(3)];
        self.quantize(output, 0.06, zero_point);
        output
    }

    /// Adds an operator without weights that keeps its input's quantization.
    fn passing(&mut self, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let output = self.build.node(op, inputs, shape);
        let quantization = self.build.graph.value(inputs[0]).quantization.clone();
        let value = self.build.graph.value_mut(output);
        (value.dtype, value.quantization) = (DType::Int8, quantization);
        output
    }
}

/// Runs a graph of the operators above; returns every layer's accumulators and the output.
fn execute(graph: &Graph, input: &[i8], rounding: Rounding) -> (Vec<Vec<i32>>, Vec<i8>) {
    let mut values: HashMap<ValueId, Vec<i8>> = HashMap::from([(graph.inputs[0], input.to_vec())]);
    let mut accumulators = Vec::new();
    for node in &graph.nodes {
        let x = &values[&node.input(0).unwrap()];
        let result = match &node.op {
            Op::Reshape => x.clone(),
            Op::Pool2d(Pool2d { window, .. }) => max_pool(graph, node, window, x),
            _ => {
                let sums = sums(graph, node, x);
                let bytes = scale_down(graph, node, &sums, rounding);
                accumulators.push(sums);
                bytes
            }
        };
        values.insert(node.outputs[0], result);
    }
    (accumulators, values[&graph.outputs[0]].clone())
}

fn sums(graph: &Graph, node: &Node, x: &[i8]) -> Vec<i32> {
    let (input, filter) = (graph.value(node.input(0).unwrap()), graph.value(node.input(1).unwrap()));
    let zero_point = input.quantization.as_ref().unwrap().zero_point[0];
    let Some(Constant::I8(w)) = &filter.constant else { panic!() };
    let bias = graph.constant(node.input(2)).unwrap().to_i64().unwrap();
    let shape = &graph.value(node.outputs[0]).shape;
    let outputs = *shape.last().unwrap();
    let count = shape.iter().product::<usize>();
    let tap = |q: i8, w: i8| i32::from(w) * (i32::from(q) - zero_point);
    let (window, multiplier) = match &node.op {
        Op::FullyConnected(_) => {
            let row = filter.shape[1];
            let dot = |i: usize| -> i32 {
                let (weights, x) = (&w[i % outputs * row..], &x[i / outputs * row..]);
                (0..row).map(|k| tap(x[k], weights[k])).sum()
            };
            return (0..count).map(|i| bias[i % outputs] as i32 + dot(i)).collect();
        }
        Op::Conv2d(Conv2d { window, .. }) => (window, None),
        Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, .. }) => (window, Some(*multiplier)),
        other => panic!("{other:?}"),
    };
    let (height, width, channels) = (input.shape[1], input.shape[2], input.shape[3]);
    let [kernel_h, kernel_w] = window.kernel;
    let one = |i: usize| {
        let (c, at) = (i % outputs, i / outputs);
        let (oy, ox) = (at / shape[2], at % shape[2]);
        let mut sum = bias[c] as i32;
        for (ky, kx) in (0..kernel_h).flat_map(|y| (0..kernel_w).map(move |x| (y, x))) {
            let (y, x_at) =
                ((oy + ky).wrapping_sub(window.pad_before[0]), (ox + kx).wrapping_sub(window.pad_before[1]));
            if y >= height || x_at >= width {
                continue;
            }
            let pixel = &x[(y * width + x_at) * channels..][..channels];
            let taps = ky * kernel_w + kx;
            if let Some(multiplier) = multiplier {
                sum += tap(pixel[c / multiplier], w[taps * outputs + c]);
            } else {
                let weights = &w[(c * kernel_h * kernel_w + taps) * channels..];
                sum += (0..channels).map(|k| tap(pixel[k], weights[k])).sum::<i32>();
            }
        }
        sum
    };
    (0..count).map(one).collect()
}

fn scale_down(graph: &Graph, node: &Node, sums: &[i32], rounding: Rounding) -> Vec<i8> {
    let quantization = |id: ValueId| graph.value(id).quantization.clone().unwrap();
    let (x, w, y) = (
        quantization(node.input(0).unwrap()),
        quantization(node.input(1).unwrap()),
        quantization(node.outputs[0]),
    );
    let activation = match node.op {
        Op::Conv2d(Conv2d { activation, .. }) | Op::DepthwiseConv2d(DepthwiseConv2d { activation, .. }) => {
            activation
        }
        _ => Activation::None,
    };
    let (scale, zero_point) = y.tensor().unwrap();
    let low = if activation == Activation::None { -128 } else { quantize(0.0, scale, zero_point, -128, 127) };
    let one = |(i, &sum): (usize, &i32)| {
        let weight_scale = w.scale[i % w.scale.len()];
        let real = f64::from(x.scale[0]) * f64::from(weight_scale) / f64::from(scale);
        (requantize(sum, multiplier(real), rounding) + zero_point).clamp(low, 127) as i8
    };
    sums.iter().enumerate().map(one).collect()
}

/// 2x2 with stride 2, without padding.
fn max_pool(graph: &Graph, node: &Node, window: &Window, x: &[i8]) -> Vec<i8> {
    assert_eq!((window.kernel, window.stride), ([2, 2], [2, 2]));
    let (input, output) = (&graph.value(node.input(0).unwrap()).shape, &graph.value(node.outputs[0]).shape);
    let at = |y: usize, column: usize, c: usize| x[(y * input[2] + column) * input[3] + c];
    let one = |i: usize| {
        let (c, column, row) = (i % output[3], i / output[3] % output[2], i / output[3] / output[2]);
        let cells = [(0, 0), (0, 1), (1, 0), (1, 1)];
        cells.into_iter().map(|(y, k)| at(2 * row + y, 2 * column + k, c)).max().unwrap()
    };
    (0..output.iter().product()).map(one).collect()
}

/// conv 1x1 → depthwise → conv → pool → reshape → dense → dense, padded or not.
fn random_network(seed: u64, pad: usize) -> Graph {
    let mut net = Net::new(&[1, 6, 6, 3], seed);
    let activation = [Activation::None, Activation::Relu][net.random.below(2)];
    let size = 4 + 2 * pad;
    let x = net.build.input();
    let conv = |window| Op::Conv2d(Conv2d { window, activation });
    let x = net.layer(conv(window(1, 0)), x, &[8, 1, 1, 3], &[1, 6, 6, 8]);
    let depthwise =
        Op::DepthwiseConv2d(DepthwiseConv2d { window: window(3, pad), multiplier: 2, activation });
    let x = net.layer(depthwise, x, &[1, 3, 3, 16], &[1, size, size, 16]);
    let x = net.layer(conv(window(3, 1)), x, &[9, 3, 3, 16], &[1, size, size, 9]);
    let pool = Window { stride: [2, 2], ..window(2, 0) };
    let pool = Op::Pool2d(Pool2d { kind: PoolKind::Max, window: pool, activation: Activation::None });
    let half = size / 2;
    let x = net.passing(pool, &[x], &[1, half, half, 9]);
    let x = net.passing(Op::Reshape, &[x], &[1, half * half * 9]);
    let dense = || Op::FullyConnected(FullyConnected { activation: Activation::None });
    let x = net.layer(dense(), x, &[7, half * half * 9], &[1, 7]);
    let x = net.layer(dense(), x, &[5, 7], &[1, 5]);
    net.build.finish(x)
}

#[test]
fn accumulators_and_outputs_stay_what_they_were() {
    let mut folded = 0;
    for seed in 0..60 {
        let before = random_network(seed, seed as usize % 2);
        let mut after = before.clone();
        folded += run(&mut after);
        assert_eq!(run(&mut after), 0, "one run finds everything");
        let mut random = Random(seed ^ 99);
        for rounding in [Rounding::Double, Rounding::Single] {
            let input: Vec<i8> = (0..6 * 6 * 3).map(|_| random.below(256) as u8 as i8).collect();
            let (old_sums, old) = execute(&before, &input, rounding);
            let (new_sums, new) = execute(&after, &input, rounding);
            assert_eq!(old_sums.last(), new_sums.last(), "seed {seed}");
            assert_eq!(old, new, "seed {seed}");
        }
    }
    assert!(folded > 150, "only {folded} channels");
}

#[test]
fn padding_keeps_constants_other_than_the_zero_point() {
    // With `middle`, the second layer's kernel has only its middle tap, which never meets the padding.
    for (bias, pad, middle, folds) in
        [(0, 1, false, 4), (5000, 1, false, 0), (5000, 0, false, 4), (5000, 1, true, 4)]
    {
        let mut net = Net::new(&[1, 4, 4, 2], 3);
        let conv = |pad| Op::Conv2d(Conv2d { window: window(3, pad), activation: Activation::None });
        let input = net.build.input();
        let x = net.layer(conv(1), input, &[8, 3, 3, 2], &[1, 4, 4, 8]);
        let size = 2 + 2 * pad;
        let y = net.layer(conv(pad), x, &[3, 3, 3, 8], &[1, size, size, 3]);
        let mut graph = net.build.finish(y);
        // The only dead channels are the first four of the first layer.
        for (node, dead) in [(0, 4 * 18), (1, 0)] {
            let [w, b] = [1, 2].map(|position| graph.nodes[node].input(position).unwrap());
            let count = graph.value(w).elements();
            let weight = |i| if i < dead || (node == 1 && middle && i / 8 % 9 != 4) { 0 } else { 50 };
            graph.value_mut(w).constant = Some(Constant::I8((0..count).map(weight).collect()));
            let count = graph.value(b).elements();
            graph.value_mut(b).constant = Some(Constant::I32(vec![bias; count]));
        }
        let before = graph.clone();
        assert_eq!(run(&mut graph), folds, "bias {bias}, pad {pad}");
        let name = &graph.nodes[0].name;
        assert_eq!(name.ends_with("/active"), folds > 0, "{name}");
        assert_eq!(on_device(&before, 5), on_device(&graph, 5), "bias {bias}, pad {pad}");
    }
}

/// Makes an output channel of a layer constant, by numbers that keep a layer from its packing.
fn make_unusual(graph: &mut Graph, node: usize, channel: usize, random: &mut Random) {
    let [w, b] = [1, 2].map(|position| graph.nodes[node].input(position).unwrap());
    let set_bias = |graph: &mut Graph, to: i32| {
        let Some(Constant::I32(bias)) = &mut graph.value_mut(b).constant else { panic!("a bias") };
        bias[channel] = to;
    };
    match random.below(4) {
        // A bias beyond all sums, upwards or downwards.
        0 => set_bias(graph, (1 << 30) - random.below(1000) as i32),
        1 => set_bias(graph, random.below(1000) as i32 - (1 << 30)),
        // A multiplier that scales everything away: too small for a shift, or smaller than any multiplier.
        2 => scale_of(graph, w, channel, 1e-11),
        _ => scale_of(graph, w, channel, 1e-8),
    }
    if random.below(2) == 0 {
        let depthwise = matches!(graph.nodes[node].op, Op::DepthwiseConv2d(_));
        let value = graph.value_mut(w);
        let outputs = value.shape[if depthwise { 3 } else { 0 }];
        let Some(Constant::I8(weights)) = &mut value.constant else { panic!("weights") };
        let row = weights.len() / outputs;
        weights[if depthwise { channel } else { channel * row }] = -128;
    }
}

fn scale_of(graph: &mut Graph, weights: ValueId, channel: usize, scale: f32) {
    graph.value_mut(weights).quantization.as_mut().unwrap().scale[channel] = scale;
}

/// The kinds of weights that a file for a Cortex-M4 has, of layers whose channels are not left alone.
fn kinds_of_weights(graph: &Graph) -> Vec<model_file::Weights> {
    let options = emit::Options { target: Target::CortexM4, ..emit::Options::default() };
    let file = AlignedBuf::from_bytes(&emit::compile(graph, &options).unwrap().bytes);
    let model = ferrolite_schema::Model::from_bytes(&file).unwrap();
    let linked = model_file::operators(&model, Target::CortexM4).into_iter();
    linked.filter(|linked| linked.code != OpCode::StridedCopy).map(|linked| linked.weights).collect()
}

/// One to three constant channels stay, since channels go in fours; whatever their numbers, layers are packed.
#[test]
fn constant_channels_that_stay_keep_no_layer_from_its_packing() {
    let mut kept = 0;
    for seed in 0..48 {
        let mut net = Net::new(&[1, 6, 6, 8], seed);
        // No channel is dead but those below.
        let conv = |kernel| Op::Conv2d(Conv2d { window: window(kernel, 0), activation: Activation::None });
        let depthwise = Op::DepthwiseConv2d(DepthwiseConv2d {
            window: window(3, 0),
            multiplier: 1,
            activation: Activation::None,
        });
        let dense = Op::FullyConnected(FullyConnected { activation: Activation::None });
        let x = net.build.input();
        let x = net.layer(conv(1), x, &[8, 1, 1, 8], &[1, 6, 6, 8]);
        let x = net.layer(depthwise, x, &[1, 3, 3, 8], &[1, 4, 4, 8]);
        let x = net.layer(conv(3), x, &[8, 3, 3, 8], &[1, 2, 2, 8]);
        let x = net.passing(Op::Reshape, &[x], &[1, 32]);
        let x = net.layer(dense, x, &[8, 32], &[1, 8]);
        let mut graph = net.build.finish(x);
        let mut random = Random(seed ^ 31);
        for node in 0..graph.nodes.len() {
            let Some(w) = graph.nodes[node].input(1) else { continue };
            let Some(Constant::I8(weights)) = &mut graph.value_mut(w).constant else { panic!("weights") };
            weights.iter_mut().for_each(|w| *w = if *w == 0 { 3 } else { (*w).max(-127) });
        }
        let usual = graph.clone();
        for node in 0..graph.nodes.len() {
            if graph.nodes[node].input(1).is_some() && random.below(3) > 0 {
                for _ in 0..1 + random.below(3) {
                    let channel = random.below(8);
                    make_unusual(&mut graph, node, channel, &mut random);
                }
            }
        }
        let before = graph.clone();
        kept += usize::from(kinds_of_weights(&before) != kinds_of_weights(&usual));
        run(&mut graph);
        assert_eq!(run(&mut graph), 0, "seed {seed}: one run finds everything");
        assert_eq!(on_device(&before, seed), on_device(&graph, seed), "seed {seed}");
        assert_eq!(kinds_of_weights(&graph), kinds_of_weights(&usual), "seed {seed}");
    }
    assert!(kept > 20, "only {kept} networks had something to gain");
}

/// The runtime's outputs for some random inputs, with both roundings.
fn on_device(graph: &Graph, seed: u64) -> Vec<Vec<Vec<u8>>> {
    let mut answers = Vec::new();
    for rounding in [Rounding::Double, Rounding::Single] {
        let options = emit::Options { rounding, ..emit::Options::default() };
        let file = AlignedBuf::from_bytes(&emit::compile(graph, &options).unwrap().bytes);
        let model = ferrolite_schema::Model::from_bytes(&file).unwrap();
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        let mut net = interpreter(&model, graph.op_set(), &mut memory).unwrap();
        let mut random = Random(seed);
        for _ in 0..4 {
            let inputs = graph.inputs.iter().map(|&id| graph.value(id).bytes());
            let inputs: Vec<Vec<u8>> =
                inputs.map(|n| (0..n).map(|_| random.below(256) as u8).collect()).collect();
            answers.push(infer(&mut net, &inputs, &mut ()).unwrap());
        }
    }
    answers
}

/// A random network of layers and branches of all kinds that pass channels on.
fn random_branches(seed: u64) -> Graph {
    let mut net = Net::new(&[1, 6, 6, 3], seed);
    let activation = [Activation::None, Activation::Relu][net.random.below(2)];
    let conv = |window| Op::Conv2d(Conv2d { window, activation });
    let binary = |kind| Op::Binary(Binary { kind, activation: Activation::None });
    let input = net.build.input();
    let image = |c: usize| [1, 6, 6, c];
    // Both sides of a residual connection lose the same channels, or some of them.
    net.alike = Some(Random(seed ^ 7));
    let mut x = net.layer(conv(window(3, 1)), input, &[12, 3, 3, 3], &image(12));
    for _ in 0..2 + net.random.below(4) {
        let choice = net.random.below(11);
        let same = net.random.below(2) == 0;
        net.alike = same.then_some(Random(seed ^ 7));
        let y = net.layer(conv(window(1, 0)), x, &[12, 1, 1, 12], &image(12));
        x = match choice {
            0 => net.passing(binary(BinaryKind::Add), &[x, y], &image(12)),
            1 => {
                let kind = [BinaryKind::Sub, BinaryKind::Mul][net.random.below(2)];
                net.rescaled(binary(kind), &[y, x], &image(12))
            }
            2 => {
                let vector = net.vector(12);
                let kind = [BinaryKind::Add, BinaryKind::Mul][net.random.below(2)];
                net.rescaled(binary(kind), &[y, vector], &image(12))
            }
            3 => {
                let kinds = [UnaryKind::Logistic, UnaryKind::Abs, UnaryKind::Relu, UnaryKind::HardSwish];
                let kind = kinds[net.random.below(kinds.len())];
                net.rescaled(Op::Unary(kind), &[y], &image(12))
            }
            4 => {
                let depthwise =
                    Op::DepthwiseConv2d(DepthwiseConv2d { window: window(3, 1), multiplier: 1, activation });
                net.layer(depthwise, y, &[1, 3, 3, 12], &image(12))
            }
            5 => {
                let pool = Window { pad_after: [1; 2], ..window(2, 0) };
                let kind = [PoolKind::Average, PoolKind::Max][net.random.below(2)];
                let pool = Op::Pool2d(Pool2d { kind, window: pool, activation: Activation::None });
                net.passing(pool, &[y], &image(12))
            }
            6 => {
                // Channels of two layers are concatenated and split again.
                let other = net.layer(conv(window(1, 0)), x, &[8, 1, 1, 12], &image(8));
                let as_y = net.build.graph.value(y).quantization.clone();
                net.build.graph.value_mut(other).quantization = as_y;
                let concat = Op::Concat(Concat { axis: 3, activation: Activation::None });
                let both = net.passing(concat, &[other, y], &image(20));
                if net.random.below(2) == 0 {
                    net.passing(Op::Split(Split { axis: 3 }), &[both], &image(8));
                    let quantization = net.build.graph.value(both).quantization.clone();
                    let second = net.build.value(format!("second_{}", both.0), &image(12));
                    let value = net.build.graph.value_mut(second);
                    (value.dtype, value.quantization) = (DType::Int8, quantization);
                    net.build.graph.nodes.last_mut().unwrap().outputs.push(second);
                    x = second;
                    continue;
                }
                net.layer(conv(window(3, 1)), both, &[12, 3, 3, 20], &image(12))
            }
            7 => {
                let backwards = Op::Slice(Slice {
                    begin: vec![0, 5, 0, 0],
                    size: image(12).to_vec(),
                    stride: vec![1, -1, 1, 1],
                });
                net.passing(backwards, &[y], &image(12))
            }
            8 => net.passing(Op::Transpose(Transpose { permutation: vec![0, 2, 1, 3] }), &[y], &image(12)),
            9 => {
                let narrow = net.layer(conv(window(1, 0)), x, &[8, 1, 1, 12], &image(8));
                let amounts = vec![(0, 0), (0, 0), (0, 0), (1, 3)];
                let value = [None, Some(5.0)][net.random.below(2)];
                let wide = net.passing(Op::Pad(Pad { amounts, value }), &[narrow], &image(12));
                net.rescaled(binary(BinaryKind::Add), &[wide, y], &image(12))
            }
            _ => {
                let amounts = vec![(0, 0), (1, 0), (0, 1), (0, 0)];
                let padded = net.passing(Op::Pad(Pad { amounts, value: None }), &[y], &[1, 7, 7, 12]);
                net.layer(conv(window(2, 0)), padded, &[12, 2, 2, 12], &image(12))
            }
        };
    }
    let mean =
        Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: net.random.below(2) == 0 });
    let shape: &[usize] =
        if let Op::Reduce(Reduce { keep_dims: true, .. }) = mean { &[1, 1, 1, 12] } else { &[1, 12] };
    let x = match net.random.below(3) {
        0 => net.rescaled(mean, &[x], shape),
        1 => net.passing(Op::Reshape, &[x], &[1, 36 * 12]),
        _ => x,
    };
    let inputs = [36 * 12, 12][usize::from(net.build.graph.value(x).elements() == 12)];
    let dense = Op::FullyConnected(FullyConnected { activation: Activation::None });
    let y = net.layer(dense, x, &[5, inputs], &[1, 5]);
    net.build.finish(y)
}

#[test]
fn branches_answer_what_they_did() {
    let (mut folded, mut shrunk) = (0, std::collections::BTreeSet::new());
    for seed in 0..300 {
        let before = random_branches(seed);
        let mut after = before.clone();
        folded += run(&mut after);
        assert_eq!(run(&mut after), 0, "one run finds everything");
        assert_eq!(on_device(&before, seed), on_device(&after, seed), "seed {seed}: {:?}", after.nodes);
        let names = after.nodes.iter().filter(|node| node.name.ends_with("/active"));
        shrunk.extend(names.map(|node| node.op.name().to_owned()));
    }
    println!("{folded} channels, in {shrunk:?}");
    let all = [
        "ABS",
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "HARD_SWISH",
        "LOGISTIC",
        "MAX_POOL_2D",
        "MEAN",
        "MUL",
        "PAD",
        "RELU",
        "RESHAPE",
        "SPLIT",
        "STRIDED_SLICE",
        "SUB",
        "TRANSPOSE",
    ];
    for op in all {
        assert!(shrunk.contains(op), "no {op} became smaller");
    }
    assert!(folded > 2000, "only {folded} channels");
}

#[test]
fn real_models_lose_channels() {
    let Some(folder) = ferrolite_shared::models() else { return };
    let before = load(&folder.join("real/tinyengine_vww.tflite")).unwrap().graph;
    let mut graph = before.clone();
    let count = run(&mut graph);
    let weights = |g: &Graph| -> usize {
        let used = g.used_values();
        used.iter().filter(|id| g.constant(Some(**id)).is_some()).map(|&id| g.value(id).bytes()).sum()
    };
    println!("tinyengine_vww: {count} channels, {} -> {} bytes", weights(&before), weights(&graph));
    assert!(count > 100 && weights(&graph) < weights(&before));
}
