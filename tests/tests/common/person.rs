//! A model like those that detect a person in a picture, with channels that training killed: MobileNet v1
//! with a quarter of the width, for 96x96 pixels of three colours, in int8, with random weights.
//!
//! A given share of the channels between two layers is dead. Weight decay leaves two kinds of dead channels,
//! and so does this model: channels whose pointwise and depthwise filters are both zero, with any bias, and
//! channels of which only the pointwise filter is zero, with a bias that the activation clamps.

use ferrolite::graph::{
    Activation, Constant, Conv2d, DType, DepthwiseConv2d, FullyConnected, Graph, Node, Op, Pool2d, PoolKind,
    Quantization, Softmax, Value, ValueId, Window,
};

/// Step of an activation: 0 to 6 in 256 integers.
const STEP: f32 = 6.0 / 255.0;

/// Output channels and stride of the thirteen pairs of depthwise and pointwise layers.
const PAIRS: [(usize, usize); 13] = [
    (16, 1),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (128, 2),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (128, 1),
    (256, 2),
    (256, 1),
];

/// The model with this share of its inner channels dead.
pub fn graph(dead_percent: usize) -> Graph {
    let mut net =
        Builder { graph: Graph { name: "person".into(), ..Graph::default() }, random: 1, dead_percent };
    let mut x = net.value("image", vec![1, 96, 96, 3], 1.0 / 128.0, 0);
    net.graph.inputs.push(x);
    let mut dead = net.dead(8);
    x = net.conv("conv_0", x, 3, 2, &dead);
    for (index, (channels, stride)) in PAIRS.into_iter().enumerate() {
        x = net.depthwise(&format!("depthwise_{}", index + 1), x, stride, &dead);
        dead = net.dead(channels);
        x = net.conv(&format!("pointwise_{}", index + 1), x, 1, 1, &dead);
    }
    let window = window([3, 3], 1, 0, 0);
    let pool = Op::Pool2d(Pool2d { kind: PoolKind::Average, window, activation: Activation::None });
    let y = net.value("pool", vec![1, 1, 1, 256], STEP, -128);
    let x = net.node("pool", pool, vec![x], y);
    let y = net.value("flat", vec![1, 256], STEP, -128);
    let x = net.node("flat", Op::Reshape, vec![x], y);
    let live = vec![Life::Live; 2];
    let weights = net.weights("scores", vec![2, 256], 256, 0, &live, &[true; 2]);
    let y = net.value("scores", vec![1, 2], 0.01, 0);
    let x = net.node(
        "scores",
        Op::FullyConnected(FullyConnected { activation: Activation::None }),
        vec![x, weights.0, weights.1],
        y,
    );
    let y = net.value("softmax", vec![1, 2], 1.0 / 256.0, -128);
    let x = net.node("softmax", Op::Softmax(Softmax { beta: 1.0 }), vec![x], y);
    net.graph.outputs.push(x);
    net.graph
}

/// The state of a channel.
#[derive(Clone, Copy, PartialEq)]
enum Life {
    Live,
    /// Its pointwise filter is zero, and its bias is below zero.
    Clamped,
    /// Both of its filters are zero, with any bias.
    Gone,
}

struct Builder {
    graph: Graph,
    random: u64,
    dead_percent: usize,
}

fn window(kernel: [usize; 2], stride: usize, before: usize, after: usize) -> Window {
    Window { kernel, stride: [stride; 2], dilation: [1; 2], pad_before: [before; 2], pad_after: [after; 2] }
}

impl Builder {
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.random >> 33) as usize % bound
    }

    /// The states of `channels` channels; the dead ones are at random positions.
    fn dead(&mut self, channels: usize) -> Vec<Life> {
        let mut lives = vec![Life::Live; channels];
        for number in 0..channels * self.dead_percent / 100 {
            let start = self.below(channels);
            let free = (start..start + channels).map(|c| c % channels).find(|&c| lives[c] == Life::Live);
            lives[free.unwrap_or(0)] = if number % 4 == 0 { Life::Clamped } else { Life::Gone };
        }
        lives
    }

    fn value(&mut self, name: &str, shape: Vec<usize>, scale: f32, zero_point: i32) -> ValueId {
        self.graph.add_value(Value {
            name: name.into(),
            shape,
            dtype: DType::Int8,
            quantization: Some(Quantization::per_tensor(scale, zero_point)),
            constant: None,
        })
    }

    fn node(&mut self, name: &str, op: Op, inputs: Vec<ValueId>, output: ValueId) -> ValueId {
        let inputs = inputs.into_iter().map(Some).collect();
        self.graph.nodes.push(Node { name: name.into(), op, inputs, outputs: vec![output] });
        output
    }

    /// Random weights and biases for sums of `taps` products. Scales spread the results beyond the clamp.
    fn weights(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        taps: usize,
        axis: usize,
        lives: &[Life],
        filters: &[bool],
    ) -> (ValueId, ValueId) {
        let outputs = shape[axis];
        let inner: usize = shape[axis + 1..].iter().product();
        // The elements of a filter add up to about zero; otherwise its mean would dominate its results.
        let numbers: Vec<i32> = (0..=shape.iter().product()).map(|_| self.below(127) as i32 - 63).collect();
        let elements = numbers.windows(2).enumerate();
        let elements = elements
            .map(|(i, pair)| if filters[i / inner % outputs] { (pair[0] - pair[1]) as i8 } else { 0 });
        let elements = elements.collect();
        let scale = 8.0 / (73.0 * 70.0 * STEP * (taps as f32).sqrt());
        let scales: Vec<f32> = (0..outputs).map(|_| scale * (0.8 + self.below(40) as f32 / 100.0)).collect();
        let bias = lives.iter().zip(&scales).map(|(life, scale)| {
            let unit = (1.0 / (scale * STEP)) as i32;
            let random = self.below(2001) as i32 - 1000;
            if *life == Life::Clamped { -unit } else { unit / 1000 * random }
        });
        let bias = Constant::I32(bias.collect());
        let constant = |name: String, shape, constant: Constant, quantization| Value {
            name,
            shape,
            dtype: constant.dtype(),
            quantization,
            constant: Some(constant),
        };
        let quantization = Some(Quantization::per_channel(scales, axis));
        let weights = constant(format!("{name}/weights"), shape, Constant::I8(elements), quantization);
        let bias = constant(format!("{name}/bias"), vec![outputs], bias, None);
        (self.graph.add_value(weights), self.graph.add_value(bias))
    }

    fn conv(&mut self, name: &str, x: ValueId, kernel: usize, stride: usize, lives: &[Life]) -> ValueId {
        let [_, height, _, depth] = self.graph.value(x).shape[..] else { unreachable!("an image") };
        let shape = vec![lives.len(), kernel, kernel, depth];
        let filters: Vec<bool> = lives.iter().map(|&life| life == Life::Live).collect();
        let (weights, bias) = self.weights(name, shape, kernel * kernel * depth, 0, lives, &filters);
        // SAME: for an even number of pixels and a stride of 2, only the far side is padded.
        let window = window([kernel; 2], stride, 0, kernel / 2);
        let y = self.value(name, vec![1, height / stride, height / stride, lives.len()], STEP, -128);
        self.node(
            name,
            Op::Conv2d(Conv2d { window, activation: Activation::Relu6 }),
            vec![x, weights, bias],
            y,
        )
    }

    fn depthwise(&mut self, name: &str, x: ValueId, stride: usize, lives: &[Life]) -> ValueId {
        let [_, height, _, channels] = self.graph.value(x).shape[..] else { unreachable!("an image") };
        let filters: Vec<bool> = lives.iter().map(|&life| life != Life::Gone).collect();
        let lives: Vec<Life> =
            lives.iter().map(|&l| if l == Life::Clamped { Life::Live } else { l }).collect();
        let (weights, bias) = self.weights(name, vec![1, 3, 3, channels], 9, 3, &lives, &filters);
        let window = window([3, 3], stride, 2 - stride, 1);
        let y = self.value(name, vec![1, height / stride, height / stride, channels], STEP, -128);
        let op =
            Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier: 1, activation: Activation::Relu6 });
        self.node(name, op, vec![x, weights, bias], y)
    }
}
