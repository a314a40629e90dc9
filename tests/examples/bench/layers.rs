//! Prices single layers with random numbers on boards: how near each shape, and each kind of number, comes to the fast
//! path of its core.
//!
//! A layer is a line of words: `conv_2d 32x32x8 3x3/1 16` has an input of height, width and channels, a kernel of height
//! and width with its stride, and 16 output channels; `depthwise_conv_2d 16x16x24 5x5/2` and `fully_connected 1280 10`
//! have what they need of it, so does `transpose_conv 8x8x16 3x3/2 16`; `batch_matmul 4x16x32 8` multiplies 4 matrices
//! of 16 rows of 32 elements with 4 of 8 such rows. Further words: `valid` (no padding), `dilation=2`, `groups=4`, `multiplier=2`, `batch=2`,
//! `some=KIND` and `all=KIND`: one channel in eight, or all of them, have numbers beyond what is usual.

use anyhow::{Context, Result, anyhow, bail};
use ferrolite::board::{self, BatchItem, Board, RunOptions};
use ferrolite::emit::{self, Options};
use ferrolite::graph::{
    Activation, BatchMatMul, Constant, Conv2d, DType, DepthwiseConv2d, FullyConnected, Graph, Node, Op,
    Padding, Quantization, TransposeConv, Value, ValueId, Window,
};

/// The layers that are measured where none is named.
const LIST: &str = include_str!("layers.txt");

/// Scales of inputs and outputs.
const STEP: f32 = 0.05;

/// What is unusual about a channel's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A factor between 0.5 and 1: it is not shifted to the right.
    Multiplier,
    /// A bias above 2^30, half a step from two results: the input says which.
    Bias,
    /// Weights of -128.
    Weight,
    /// Weights of the largest magnitude, whose sum passes what half a word holds in long rows.
    Sum,
    /// A factor below 2^-23, with a bias half a step from two results.
    Shift,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    words: String,
    op: String,
    /// Batch, height, width and channels.
    input: [usize; 4],
    kernel: [usize; 2],
    stride: usize,
    dilation: usize,
    groups: usize,
    multiplier: usize,
    outputs: usize,
    valid: bool,
    some: Option<Kind>,
    all: Option<Kind>,
}

impl Layer {
    /// Reads a line of words.
    pub fn parse(text: &str) -> Result<Layer> {
        let bad = || anyhow!("`{text}` is no layer: `conv_2d 32x32x8 3x3/1 16` is one");
        let mut words = text.split_whitespace();
        let op = words.next().with_context(bad)?.to_string();
        let numbers = |word: &str| -> Result<Vec<usize>> {
            word.split(['x', '/']).map(|n| n.parse().with_context(bad)).collect()
        };
        let mut layer = Layer {
            words: text.trim().to_string(),
            op,
            input: [1; 4],
            kernel: [1; 2],
            stride: 1,
            dilation: 1,
            groups: 1,
            multiplier: 1,
            outputs: 0,
            valid: false,
            some: None,
            all: None,
        };
        let input = numbers(words.next().with_context(bad)?)?;
        for (place, n) in layer.input[4 - input.len().min(3)..].iter_mut().zip(input) {
            *place = n;
        }
        for word in words {
            match word.split_once('=') {
                Some(("dilation", n)) => layer.dilation = n.parse().with_context(bad)?,
                Some(("groups", n)) => layer.groups = n.parse().with_context(bad)?,
                Some(("multiplier", n)) => layer.multiplier = n.parse().with_context(bad)?,
                Some(("batch", n)) => layer.input[0] = n.parse().with_context(bad)?,
                Some(("some", kind)) => layer.some = Some(self::kind(kind)?),
                Some(("all", kind)) => layer.all = Some(self::kind(kind)?),
                Some(_) => return Err(bad()),
                None if word == "valid" => layer.valid = true,
                None => match numbers(word)?[..] {
                    [outputs] => layer.outputs = outputs,
                    [height, width, stride] => (layer.kernel, layer.stride) = ([height, width], stride),
                    _ => return Err(bad()),
                },
            }
        }
        if layer.op == "depthwise_conv_2d" {
            layer.outputs = layer.input[3] * layer.multiplier;
        }
        if layer.outputs == 0 || layer.input.contains(&0) {
            return Err(bad());
        }
        Ok(layer)
    }

    fn kind(&self, channel: usize) -> Option<Kind> {
        self.all.or(self.some.filter(|_| channel % 8 == 5))
    }

    /// The layer as a model.
    pub fn graph(&self) -> Result<Graph> {
        let mut graph = Graph { name: self.op.clone(), ..Graph::default() };
        let [batch, height, width, depth] = self.input;
        let [kernel_h, kernel_w] = self.kernel;
        let padding = if self.valid { Padding::Valid } else { Padding::Same };
        let (stride, dilation) = ([self.stride; 2], [self.dilation; 2]);
        let window = Window::over([height, width], self.kernel, stride, dilation, [padding; 2]);
        let size = |axis: usize| {
            let padded = self.input[axis + 1] + window.pad_before[axis] + window.pad_after[axis];
            let reach = (self.kernel[axis] - 1) * self.dilation;
            Some((padded.checked_sub(reach + 1)?) / self.stride + 1)
        };
        let too_large = || format!("{}: the kernel is larger than the image", self.words);
        let activation = Activation::None;
        let image = vec![batch, height, width, depth];
        let outputs = self.outputs;
        let shape = |axis| size(axis).with_context(too_large);
        // The axis of the channels is the first but for depthwise layers.
        let (op, input, weights, output) = match self.op.as_str() {
            "conv_2d" => (
                Op::Conv2d(Conv2d { window, activation }),
                image,
                vec![outputs, kernel_h, kernel_w, depth / self.groups],
                vec![batch, shape(0)?, shape(1)?, outputs],
            ),
            "depthwise_conv_2d" => (
                Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier: self.multiplier, activation }),
                image,
                vec![1, kernel_h, kernel_w, outputs],
                vec![batch, shape(0)?, shape(1)?, outputs],
            ),
            "fully_connected" => (
                Op::FullyConnected(FullyConnected { activation }),
                vec![batch, depth],
                vec![outputs, depth],
                vec![batch, outputs],
            ),
            "transpose_conv" => {
                let [height, width] = [height, width].map(|n| n * self.stride);
                // What SAME crops of a kernel that reaches beyond its stride, before and behind.
                let (pad, behind) = self.cropped();
                let window = Window { pad_before: pad, pad_after: behind, ..window };
                (
                    Op::TransposeConv(TransposeConv { window, activation }),
                    image,
                    vec![outputs, kernel_h, kernel_w, depth],
                    vec![batch, height, width, outputs],
                )
            }
            "batch_matmul" => return Ok(self.product(graph)),
            other => bail!(
                "there is no layer {other}: conv_2d, depthwise_conv_2d, fully_connected, transpose_conv, \
                 batch_matmul"
            ),
        };
        let axis = if self.op == "depthwise_conv_2d" { 3 } else { 0 };
        let (weights, scales, bias) = self.numbers(weights.iter().product(), axis == 3);
        let shape_of_weights = weights.0;
        let quantization = Some(Quantization::per_channel(scales, axis));
        let weights =
            constant(&mut graph, "weights", shape_of_weights, Constant::I8(weights.1), quantization);
        let bias = constant(&mut graph, "bias", vec![outputs], Constant::I32(bias), None);
        let x = activation_value(&mut graph, "x", input, 3);
        let y = activation_value(&mut graph, "y", output, -4);
        let inputs = vec![Some(x), Some(weights), Some(bias)];
        graph.nodes.push(Node { name: self.op.clone(), op, inputs, outputs: vec![y] });
        graph.inputs.push(x);
        graph.outputs.push(y);
        Ok(graph)
    }

    fn cropped(&self) -> ([usize; 2], [usize; 2]) {
        let all = self.kernel.map(|kernel| kernel.saturating_sub(self.stride));
        (all.map(|n| n / 2), all.map(|n| n - n / 2))
    }

    /// The product of two activations: `height x width x channels` is as many matrices of so many rows with so
    /// many elements, and as many columns come out as outputs are asked for.
    fn product(&self, mut graph: Graph) -> Graph {
        let [_, matrices, rows, depth] = self.input;
        let a = activation_value(&mut graph, "a", vec![matrices, rows, depth], 3);
        let b = activation_value(&mut graph, "b", vec![matrices, self.outputs, depth], 5);
        let y = activation_value(&mut graph, "y", vec![matrices, rows, self.outputs], -4);
        let op = Op::BatchMatMul(BatchMatMul { transpose_a: false, transpose_b: true });
        let inputs = vec![Some(a), Some(b)];
        graph.nodes.push(Node { name: self.op.clone(), op, inputs, outputs: vec![y] });
        (graph.inputs, graph.outputs) = (vec![a, b], vec![y]);
        graph
    }

    /// Weights with their shape, a scale and a bias for each channel.
    #[expect(clippy::type_complexity, reason = "three lists that are taken apart at once")]
    fn numbers(&self, elements: usize, interleaved: bool) -> ((Vec<usize>, Vec<i8>), Vec<f32>, Vec<i32>) {
        let mut state = 1u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let taps = elements / self.outputs;
        let channel = |i: usize| if interleaved { i % self.outputs } else { i / taps };
        let weights = (0..elements).map(|i| match self.kind(channel(i)) {
            Some(Kind::Weight) if below(2) == 0 => -128,
            Some(Kind::Sum) => [-127i8, 127][below(2)],
            // The sum of three is nearly a bell, as real weights are.
            _ => ((below(85) + below(85) + below(85)) as i32 - 126) as i8,
        });
        let weights: Vec<i8> = weights.collect();
        // Results of about three standard deviations fill the range of the output.
        let usual = 40.0 / (43.0 * 70.0 * (taps as f32).sqrt());
        let (mut scales, mut bias) = (Vec::new(), Vec::new());
        for channel in 0..self.outputs {
            let usual = usual * (0.8 + below(40) as f32 / 100.0);
            let (scale, number) = match self.kind(channel) {
                Some(Kind::Multiplier) => (0.5 + below(49) as f32 / 100.0, below(200) as i32 - 100),
                Some(Kind::Bias) => ((-23f32).exp2(), (128 << 23) + (1 << 22)),
                Some(Kind::Shift) => ((-24f32).exp2(), (60 << 24) + (1 << 23)),
                _ => (usual, below(2000) as i32 - 1000),
            };
            scales.push(scale);
            bias.push(number);
        }
        let [_, _, _, depth] = self.input;
        let [kernel_h, kernel_w] = self.kernel;
        let shape = match self.op.as_str() {
            "conv_2d" | "transpose_conv" => vec![self.outputs, kernel_h, kernel_w, depth / self.groups],
            "depthwise_conv_2d" => vec![1, kernel_h, kernel_w, self.outputs],
            _ => vec![self.outputs, depth],
        };
        ((shape, weights), scales, bias)
    }
}

fn kind(word: &str) -> Result<Kind> {
    Ok(match word {
        "multiplier" => Kind::Multiplier,
        "bias" => Kind::Bias,
        "weight" => Kind::Weight,
        "sum" => Kind::Sum,
        "shift" => Kind::Shift,
        other => bail!("there is no kind `{other}`: multiplier, bias, weight, sum, shift"),
    })
}

fn constant(
    graph: &mut Graph,
    name: &str,
    shape: Vec<usize>,
    constant: Constant,
    quantization: Option<Quantization>,
) -> ValueId {
    let dtype = constant.dtype();
    graph.add_value(Value { name: name.into(), shape, dtype, quantization, constant: Some(constant) })
}

fn activation_value(graph: &mut Graph, name: &str, shape: Vec<usize>, zero_point: i32) -> ValueId {
    let quantization = Some(Quantization::per_tensor(STEP, zero_point));
    graph.add_value(Value { name: name.into(), shape, dtype: DType::Int8, quantization, constant: None })
}

/// Prints a table of the layers for each board.
pub fn run(boards: &[&'static Board], words: &[String]) -> Result<()> {
    let listed = LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let layers: Vec<Layer> = match words {
        [] => listed.map(Layer::parse).collect::<Result<_>>()?,
        words => words.iter().map(|words| Layer::parse(words)).collect::<Result<_>>()?,
    };
    for board in boards {
        println!("{}", table(board, &layers)?);
    }
    Ok(())
}

fn table(board: &'static Board, layers: &[Layer]) -> Result<String> {
    let target = crate::measure::target(board)?;
    let mut files = Vec::new();
    for layer in layers {
        let mut graph = layer.graph()?;
        ferrolite::passes::optimise(&mut graph);
        let options = Options { target, ..Options::default() };
        let emitted = emit::compile(&graph, &options).map_err(crate::measure::message);
        files.push(emitted.with_context(|| layer.words.clone())?);
    }
    let inputs: Vec<Vec<Vec<u8>>> = layers.iter().map(input).collect();
    let options = RunOptions { cycles: board.timing.is_some(), layers: true, ..RunOptions::default() };
    let items: Vec<BatchItem<'_>> = files
        .iter()
        .zip(&inputs)
        .map(|(file, inputs)| BatchItem { model: &file.bytes, inputs, options })
        .collect();
    let runs = board::run_batch(board, &items).map_err(crate::measure::message)?;
    let mut text = format!("{}: per MAC of the layer as it was given\n", board.name);
    let modelled = board.timing.is_some();
    text += if modelled { "cycles  " } else { "" };
    text += "instructions  arena  stack  layer -> op\n";
    for ((layer, file), run) in layers.iter().zip(&files).zip(runs) {
        let model = ferrolite::aligned::AlignedBuf::from_bytes(&file.bytes);
        let model = ferrolite_runtime::Model::from_bytes(&model).map_err(|error| anyhow!("{error}"))?;
        let used = ferrolite::model_file::operators(&model, target);
        let used: Vec<String> = used.iter().map(|linked| format!("{linked:?}")).collect();
        match run {
            Ok(run) => {
                let macs = layer.macs().max(1) as f64;
                let instructions: u64 = run.layers.iter().map(|layer| layer.instructions).sum();
                let cycles: Option<u64> =
                    run.layers.iter().map(|layer| layer.modelled.map(|cost| cost.cycles)).sum();
                if modelled {
                    text += &cycles.map_or_else(
                        || "     -  ".into(),
                        |cycles| format!("{:6.2}  ", cycles as f64 / macs),
                    );
                }
                text += &format!(
                    "{:12.3}  {:5}  {:5}  ",
                    instructions as f64 / macs,
                    run.arena_bytes,
                    run.stack_bytes
                );
                text += &format!("{} -> {}\n", layer.words, used.join(", "));
            }
            Err(error) => text += &format!("{}: {}\n", layer.words, error.message),
        }
    }
    Ok(text)
}

impl Layer {
    /// The operator, by the runtime's name.
    pub fn op(&self) -> &str {
        &self.op
    }

    /// Multiply-accumulate operations of the layer as it was given.
    pub fn macs(&self) -> u64 {
        let [batch, height, width, depth] = self.input.map(|n| n as u64);
        let taps = (self.kernel[0] * self.kernel[1]) as u64;
        if self.op == "fully_connected" {
            return batch * depth * self.outputs as u64;
        }
        if self.op == "batch_matmul" {
            return height * width * depth * self.outputs as u64;
        }
        if self.op == "transpose_conv" {
            return batch * height * width * taps * depth * self.outputs as u64;
        }
        let size = |size: u64, kernel: usize| {
            let reach = ((kernel - 1) * self.dilation) as u64;
            let size = if self.valid { size.saturating_sub(reach) } else { size };
            size.div_ceil(self.stride as u64)
        };
        let pixels = batch * size(height, self.kernel[0]) * size(width, self.kernel[1]);
        let depth = if self.op == "conv_2d" { depth / self.groups as u64 } else { 1 };
        pixels * taps * depth * self.outputs as u64
    }
}

/// One random sample.
pub fn input(layer: &Layer) -> Vec<Vec<u8>> {
    let mut state = 7u32;
    let elements: usize = layer.input.iter().product();
    let [_, matrices, _, depth] = layer.input;
    let second = if layer.op == "batch_matmul" { matrices * layer.outputs * depth } else { 0 };
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    vec![(0..elements + second).map(|_| random()).collect()]
}
