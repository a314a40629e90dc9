//! `--streaming`: a model over a window, and its form over the signal, answer the same bytes.

mod common;

use common::Net;
use ferrolite::aligned::AlignedBuf;
use ferrolite::convert::streaming;
use ferrolite::graph::{
    Activation, Binary, BinaryKind, Constant, Conv2d, FullyConnected, Graph, Node, Op, Pad, Pool2d, PoolKind,
    Reduce, ReduceKind, Slice, UnaryKind, Value, ValueId, Window,
};
use ferrolite::quantize::{self, Samples};
use ferrolite::{emit, passes};
use ferrolite_runtime::DType;
use ferrolite_runtime::cases::Random;

/// A network over a window, built layer by layer.
struct Build {
    graph: Graph,
    random: Random,
}

impl Build {
    fn new(input: &[usize]) -> Build {
        let mut build = Build { graph: Graph::default(), random: Random(7) };
        let input = build.value("signal", input, None);
        build.graph.inputs.push(input);
        build
    }

    fn input(&self) -> ValueId {
        self.graph.inputs[0]
    }

    fn value(&mut self, name: &str, shape: &[usize], constant: Option<Constant>) -> ValueId {
        let name = format!("{name}{}", self.graph.values.len());
        let shape = shape.to_vec();
        self.graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant })
    }

    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let count = shape.iter().product();
        let data = (0..count).map(|_| self.random.below(2001) as f32 / 4000.0 - 0.25).collect();
        self.value("weights", shape, Some(Constant::F32(data)))
    }

    fn shape(&self, id: ValueId) -> Vec<usize> {
        self.graph.value(id).shape.clone()
    }

    fn node(&mut self, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let output = self.value(&op.name().to_lowercase(), shape, None);
        let name = self.graph.value(output).name.clone();
        let inputs = inputs.iter().copied().map(Some).collect();
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
        output
    }

    /// A convolution with so many channels, and RELU.
    fn conv(&mut self, x: ValueId, channels: usize, window: Window) -> ValueId {
        let shape = self.shape(x);
        let filter = self.weights(&[channels, window.kernel[0], window.kernel[1], shape[3]]);
        let bias = self.weights(&[channels]);
        let side = |d: usize| {
            let reach = (window.kernel[d] - 1) * window.dilation[d] + 1;
            (shape[d + 1] + window.pad_before[d] + window.pad_after[d] - reach) / window.stride[d] + 1
        };
        let op = Op::Conv2d(Conv2d { window, activation: Activation::Relu });
        self.node(op, &[x, filter, bias], &[1, side(0), side(1), channels])
    }

    fn pool(&mut self, x: ValueId, kind: PoolKind, kernel: [usize; 2]) -> ValueId {
        let shape = self.shape(x);
        let window = Window { stride: kernel, ..valid(kernel) };
        let op = Op::Pool2d(Pool2d { kind, window, activation: Activation::None });
        self.node(op, &[x], &[1, shape[1] / kernel[0], shape[2] / kernel[1], shape[3]])
    }

    /// All elements, through a dense layer.
    fn dense(&mut self, x: ValueId, units: usize) -> ValueId {
        let count = self.shape(x).iter().product();
        let flat = self.node(Op::Reshape, &[x], &[1, count]);
        let weights = self.weights(&[units, count]);
        self.node(
            Op::FullyConnected(FullyConnected { activation: Activation::None }),
            &[flat, weights],
            &[1, units],
        )
    }

    /// Some frames of `[1, 1, frames, channels]`, from one on.
    fn frames(&mut self, x: ValueId, first: usize, count: usize) -> ValueId {
        let shape = self.shape(x);
        let size = vec![1, 1, count, shape[3]];
        let op = Op::Slice(Slice { begin: vec![0, 0, first, 0], size: size.clone(), stride: vec![1; 4] });
        self.node(op, &[x], &size)
    }

    fn finish(mut self, outputs: &[ValueId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph
    }
}

fn valid(kernel: [usize; 2]) -> Window {
    Window { kernel, stride: [1, 1], dilation: [1, 1], pad_before: [0, 0], pad_after: [0, 0] }
}

/// Random samples of a graph's inputs.
struct Noise(Vec<usize>);

impl Samples for Noise {
    fn len(&self) -> usize {
        24
    }

    fn sample(&self, index: usize) -> ferrolite::Result<Vec<Vec<f32>>> {
        let mut random = Random(index as u64 + 1);
        let mut real = |count: usize| (0..count).map(|_| random.below(2001) as f32 / 500.0 - 2.0).collect();
        Ok(self.0.iter().map(|&count| real(count)).collect())
    }
}

fn int8(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    passes::optimise(&mut graph);
    let noise = Noise(graph.inputs.iter().map(|&id| graph.value(id).elements()).collect());
    let options = quantize::Options { calibration: quantize::Calibration::MinMax, ..Default::default() };
    let (mut graph, _) = quantize::quantize(&graph, &noise, &options).expect("it is quantized");
    passes::optimise(&mut graph);
    graph
}

fn macs(graph: &Graph) -> u64 {
    graph.nodes.iter().map(|node| ferrolite::ops::macs(graph, node)).sum()
}

/// Runs both forms on one signal; returns how many of the multiplications are left.
fn same(float: &Graph, axis: usize, hop: usize) -> f64 {
    let windows = int8(float);
    let (stream, _) = streaming(&windows).expect("it goes on with a stream");
    let files = [&windows, &stream].map(|graph| {
        AlignedBuf::from_bytes(&emit::compile(graph, &Default::default()).expect("a file").bytes)
    });
    let shapes = [&windows, &stream].map(|graph| graph.value(graph.inputs[0]).shape.clone());
    let frames = shapes[0][axis];
    assert_eq!((shapes[1][axis], &shapes[1][..axis]), (hop, &shapes[0][..axis]));
    assert_eq!(stream.value(stream.inputs[0]).name, windows.value(windows.inputs[0]).name);
    let names =
        |graph: &Graph| graph.outputs.iter().map(|&id| graph.value(id).name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&stream), names(&windows));

    let zero =
        windows.value(windows.inputs[0]).quantization.as_ref().and_then(|q| q.tensor()).map_or(0, |t| t.1);
    let frame: usize = shapes[0][axis + 1..].iter().product();
    let rows: usize = shapes[0][..axis].iter().product();
    let mut window = vec![zero as i8 as u8; rows * frames * frame];
    let (mut whole, mut going) = (Net::new(&files[0]), Net::new(&files[1]).sequence());
    let mut random = Random(3);
    let mut answers = Vec::new();
    for round in 0..frames / hop + 5 {
        let mut new = Vec::new();
        for row in window.chunks_mut(frames * frame) {
            row.copy_within(hop * frame.., 0);
            let start = (frames - hop) * frame;
            row[start..].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            new.extend(row[start..].to_vec());
        }
        let wanted = whole.run(&[&window], &mut ());
        assert_eq!(going.run(&[&new], &mut ()), wanted, "round {round}");
        answers.push(wanted);
    }
    answers.dedup();
    assert!(answers.len() > 5, "the answers say nothing");
    macs(&stream) as f64 / macs(&windows) as f64
}

#[test]
fn one_dimension_with_strides_and_pools() {
    let mut b = Build::new(&[1, 1, 50, 6]);
    let x = b.conv(b.input(), 8, valid([1, 5]));
    let x = b.conv(x, 8, Window { stride: [1, 2], ..valid([1, 3]) });
    let x = b.pool(x, PoolKind::Max, [1, 2]);
    let x = b.conv(x, 12, valid([1, 3]));
    let y = b.dense(x, 5);
    let share = same(&b.finish(&[y]), 2, 4);
    assert!(share < 0.2, "{share}");
}

#[test]
fn images_over_time() {
    // Time is the first side, frequencies the second, which is padded.
    let mut b = Build::new(&[1, 30, 10, 1]);
    let x = b.conv(b.input(), 6, Window { pad_before: [0, 1], pad_after: [0, 1], ..valid([4, 3]) });
    let x = b.conv(x, 6, Window { stride: [1, 2], ..valid([3, 3]) });
    let x = b.pool(x, PoolKind::Average, [1, 2]);
    let shape = b.shape(x);
    let op = Reduce { kind: ReduceKind::Mean, axes: vec![1, 2], keep_dims: false };
    let x = b.node(Op::Reduce(op), &[x], &[1, shape[3]]);
    let y = b.dense(x, 3);
    let share = same(&b.finish(&[y]), 1, 1);
    assert!(share < 0.06, "{share}");
}

#[test]
fn time_behind_channels() {
    // The frames of a row do not follow those of the row before: each row is kept by itself.
    let mut b = Build::new(&[1, 3, 24, 2]);
    let x = b.conv(b.input(), 4, Window { pad_before: [1, 0], pad_after: [1, 0], ..valid([3, 3]) });
    let x = b.conv(x, 4, valid([3, 2]));
    let y = b.dense(x, 4);
    let share = same(&b.finish(&[y]), 2, 1);
    assert!(share < 0.2, "{share}");
}

#[test]
fn causal_layers_with_gaps_and_a_residual() {
    let mut b = Build::new(&[1, 1, 40, 4]);
    let causal =
        |dilation: usize| Window { dilation: [1, dilation], pad_before: [0, 2 * dilation], ..valid([1, 3]) };
    let first = b.conv(b.input(), 8, causal(1));
    let x = b.conv(first, 8, causal(2));
    let op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::Relu });
    let x = b.node(op, &[x, first], &[1, 1, 40, 8]);
    let x = b.conv(x, 8, causal(4));
    let x = b.node(Op::Unary(UnaryKind::Tanh), &[x], &[1, 1, 40, 8]);
    let last = b.frames(x, 39, 1);
    let y = b.dense(last, 4);
    let share = same(&b.finish(&[y]), 2, 1);
    assert!(share < 0.05, "{share}");
}

#[test]
fn cropped_residuals_and_outputs_over_time() {
    let mut b = Build::new(&[1, 1, 32, 4]);
    let first = b.conv(b.input(), 6, valid([1, 3]));
    let x = b.conv(first, 6, valid([1, 5]));
    let cropped = b.frames(first, 4, 26);
    let op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
    let x = b.node(op, &[x, cropped], &[1, 1, 26, 6]);
    let pooled = b.pool(x, PoolKind::Max, [1, 2]);
    let y = b.dense(pooled, 4);
    // An answer for each frame of the window is one, too.
    let share = same(&b.finish(&[y, x]), 2, 2);
    assert!(share < 0.2, "{share}");
}

#[test]
fn padding_in_a_layer_of_its_own() {
    let mut b = Build::new(&[1, 1, 20, 3]);
    let pad = Pad { amounts: vec![(0, 0), (0, 0), (2, 0), (0, 0)], value: None };
    let x = b.node(Op::Pad(pad), &[b.input()], &[1, 1, 22, 3]);
    let x = b.conv(x, 5, valid([1, 3]));
    let last = b.frames(x, 12, 8);
    let y = b.dense(last, 4);
    let share = same(&b.finish(&[y]), 2, 1);
    assert!(share < 0.5, "{share}");
}

/// What sees zeros at the window's end is computed for the whole window, from what goes on before it.
#[test]
fn layers_that_pad_the_end_see_the_whole_window() {
    let mut b = Build::new(&[1, 1, 24, 4]);
    let x = b.conv(b.input(), 16, valid([1, 5]));
    let x = b.conv(x, 4, Window { pad_before: [0, 1], pad_after: [0, 1], ..valid([1, 3]) });
    let y = b.dense(x, 4);
    let graph = b.finish(&[y]);
    let share = same(&graph, 2, 1);
    assert!((0.3..0.8).contains(&share), "{share}");
}

#[test]
fn nothing_to_keep_is_refused() {
    let mut b = Build::new(&[1, 1, 24, 4]);
    let same = Window { pad_before: [0, 1], pad_after: [0, 1], ..valid([1, 3]) };
    let x = b.conv(b.input(), 8, same);
    let y = b.dense(x, 4);
    let graph = int8(&b.finish(&[y]));
    let error = streaming(&graph).expect_err("all of it depends on the window's end");
    assert!(error.message.contains("CONV_2D") && error.help.contains("valid"), "{error:?}");
}

#[test]
fn the_shared_watch_model_goes_on_with_its_signal() {
    let Some(path) = ferrolite_shared::found("models/trained/watch_conv1d/watch_conv1d_int8_tf.tflite")
    else {
        return;
    };
    let graph = common::graph(&path, true).expect("it is read");
    match streaming(&graph) {
        Ok((stream, note)) => assert!(macs(&stream) < macs(&graph), "{note}"),
        Err(error) => assert!(error.help.contains("causal"), "{error:?}"),
    }
}
