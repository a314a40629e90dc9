//! Small graphs whose quantization can be checked by hand.

use super::*;
use crate::error::Error;
use crate::graph::{
    Activation, ArgMinMax, Binary, BinaryKind, Concat, Constant, Conv2d, DType, DepthwiseConv2d,
    FullyConnected, Gather, Node, Op, Pad, Quantization, Softmax, UnaryKind, Value, ValueId,
};

/// The elements of each input.
type Sample = Vec<Vec<f32>>;

/// Samples in memory.
struct Rows(Vec<Sample>);

impl Samples for Rows {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        Ok(self.0[index].clone())
    }
}

/// Builds graphs of float values.
#[derive(Default)]
struct Builder(Graph);

impl Builder {
    fn value(&mut self, name: &str, shape: &[usize], constant: Option<Constant>) -> ValueId {
        self.0.add_value(Value {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant,
        })
    }

    fn input(&mut self, name: &str, shape: &[usize]) -> ValueId {
        let id = self.value(name, shape, None);
        self.0.inputs.push(id);
        id
    }

    fn constant(&mut self, name: &str, shape: &[usize], data: &[f32]) -> ValueId {
        self.value(name, shape, Some(Constant::F32(data.to_vec())))
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], shape: &[usize]) -> ValueId {
        let output = self.value(name, shape, None);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.0.nodes.push(Node { name: name.into(), op, inputs, outputs: vec![output] });
        output
    }

    fn quantized(mut self, outputs: &[ValueId], samples: Vec<Sample>) -> Result<(Graph, Report)> {
        self.0.outputs = outputs.to_vec();
        quantize(&self.0, &Rows(samples), &Options::default())
    }
}

const DENSE: Op = Op::FullyConnected(FullyConnected { activation: Activation::None });
const CONCAT: Op = Op::Concat(Concat { axis: 1, activation: Activation::None });
const ADD: Op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });

fn params(graph: &Graph, id: ValueId) -> (f32, i32) {
    let value = graph.value(id);
    assert_eq!(value.dtype, DType::Int8, "{}", value.name);
    value.quantization.as_ref().and_then(Quantization::tensor).expect("per tensor")
}

fn integers(graph: &Graph, id: ValueId) -> Vec<i64> {
    graph.value(id).constant.as_ref().and_then(Constant::to_i64).expect("an integer constant")
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

#[test]
fn dense_layers_are_quantized_per_channel() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let weights = b.constant("w", &[3, 2], &[1.27, -0.635, 0.0, 0.0, 2.54e-6, 2.54e-6]);
    let bias = b.constant("b", &[3], &[1.0, -2.0, 3e6]);
    let y = b.node("dense", DENSE, &[x, weights, bias], &[1, 3]);
    let (graph, report) = b.quantized(&[y], vec![vec![vec![0.0, 2.55]]]).unwrap();

    assert_eq!(params(&graph, x), (0.01, -128));
    let scales = graph.value(weights).quantization.clone().unwrap();
    // The second channel is dead, and the third is coarse enough for its bias: 3e6 / 0.01 / 2^30.
    assert_eq!((scales.axis, scales.zero_point), (0, vec![0; 3]));
    assert_eq!(scales.scale[..2], [0.01, 0.01]);
    assert!((scales.scale[2] - 0.279_396_77).abs() < 1e-6);
    assert_eq!(integers(&graph, weights), [127, -64, 0, 0, 0, 0]);
    let biases = integers(&graph, bias);
    assert_eq!(biases[..2], [10_000, -20_000]);
    assert!((biases[2] - (1 << 30)).abs() <= 64, "{biases:?}");
    assert_eq!(graph.value(bias).dtype, DType::Int32);
    assert_eq!(graph.value(bias).quantization.as_ref().unwrap().scale[0], 0.01 * 0.01);
    assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    assert!(report.notes[0].contains("`dense`"));
    assert_eq!((report.samples, report.activations.len()), (1, 2));
}

#[test]
fn depthwise_channels_lie_along_the_last_dimension() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 1, 2, 2]);
    let weights = b.constant("w", &[1, 1, 2, 2], &[1.27, 12.7, -0.5, 1.0]);
    let window = crate::graph::Window {
        kernel: [1, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
        pad_after: [0, 0],
    };
    let op = Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier: 1, activation: Activation::Relu });
    let y = b.node("depthwise", op, &[x, weights], &[1, 1, 1, 2]);
    let (graph, _) = b.quantized(&[y], vec![vec![vec![1.0; 4]]]).unwrap();
    let quantization = graph.value(weights).quantization.clone().unwrap();
    assert_eq!((quantization.axis, quantization.scale), (3, vec![0.01, 0.1]));
    assert_eq!(integers(&graph, weights), [127, 127, -50, 10]);
    assert_eq!(params(&graph, y).1, -128);
}

#[test]
fn what_moves_data_shares_its_quantization() {
    let mut b = Builder::default();
    let (p, q) = (b.input("p", &[1, 1]), b.input("q", &[1, 1]));
    let both = b.node("concat", CONCAT, &[p, q], &[1, 2]);
    let flat = b.node("reshape", Op::Reshape, &[both], &[2]);
    let pad = Op::Pad(Pad { amounts: vec![(1, 0)], value: Some(-5.1) });
    let padded = b.node("pad", pad, &[flat], &[3]);
    let samples = vec![vec![vec![-1.0], vec![0.5]], vec![vec![2.0], vec![10.2]]];
    let (graph, _) = b.quantized(&[padded], samples).unwrap();
    let shared = params(&graph, p);
    assert!((shared.0 - 15.3 / 255.0).abs() < 1e-6 && shared.1 == -43, "{shared:?}");
    for id in [q, both, flat, padded] {
        assert_eq!(params(&graph, id), shared);
    }
    assert!(matches!(graph.nodes[2].op, Op::Pad(Pad { value: Some(v), .. }) if v == -128.0));
    assert_eq!(names(&graph), ["CONCATENATION", "RESHAPE", "PADV2"]);
}

#[test]
fn prescribed_quantization_keeps_to_itself() {
    let softmax = Op::Softmax(Softmax { beta: 1.0 });
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let p = b.node("softmax", softmax.clone(), &[x], &[1, 2]);
    let flat = b.node("reshape", Op::Reshape, &[p], &[2]);
    let t = b.node("tanh", Op::Unary(UnaryKind::Tanh), &[x], &[1, 2]);
    let (graph, _) = b.quantized(&[flat, t], vec![vec![vec![100.0, -100.0]]]).unwrap();
    assert_eq!(params(&graph, flat), (1.0 / 256.0, -128));
    assert_eq!(params(&graph, t), (1.0 / 128.0, 0));
    assert_eq!(names(&graph), ["SOFTMAX", "RESHAPE", "TANH"]);

    // Joined with numbers beyond 0..1, it needs a conversion.
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let p = b.node("softmax", softmax, &[x], &[1, 2]);
    let both = b.node("concat", CONCAT, &[p, x], &[1, 4]);
    let (graph, _) = b.quantized(&[p, both], vec![vec![vec![-1.0, 1.55]]]).unwrap();
    assert_eq!(names(&graph), ["SOFTMAX", "QUANTIZE", "CONCATENATION"]);
    assert_eq!(params(&graph, p), (1.0 / 256.0, -128));
    assert_eq!(params(&graph, both), params(&graph, x));
    assert_eq!(graph.nodes[2].inputs[0], Some(graph.nodes[1].outputs[0]));
    assert_eq!(params(&graph, graph.nodes[1].outputs[0]), params(&graph, x));
}

#[test]
fn constants_of_several_readers_are_quantized_for_each() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let c = b.constant("c", &[1, 2], &[0.5, -0.5]);
    let sum = b.node("sum", ADD, &[x, c], &[1, 2]);
    let both = b.node("both", CONCAT, &[x, c], &[1, 4]);
    let (graph, _) = b.quantized(&[sum, both], vec![vec![vec![-127.0, 128.0]]]).unwrap();
    let (first, second) = (graph.nodes[0].input(1).unwrap(), graph.nodes[1].input(1).unwrap());
    assert_eq!(params(&graph, second), (1.0, -1));
    assert_eq!(params(&graph, x), (1.0, -1));
    assert_eq!(integers(&graph, second), [0, -2]);
    assert!((params(&graph, first).0 - 1.0 / 255.0).abs() < 1e-9);
}

#[test]
fn dead_values_get_a_sane_scale() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let y = b.node("relu", Op::Unary(UnaryKind::Relu), &[x], &[1, 2]);
    let (graph, report) = b.quantized(&[y], vec![vec![vec![-1.0, -2.0]]]).unwrap();
    assert_eq!(params(&graph, y), (1.0, 0));
    assert_eq!(report.notes, ["`relu` is zero for all calibration samples"]);
}

#[test]
fn indices_stay_integers() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 3]);
    let y = b.node("argmax", Op::ArgMinMax(ArgMinMax { axis: 1, largest: true }), &[x], &[1]);
    b.0.value_mut(y).dtype = DType::Int32;
    assert!(crate::ops::is_float(&b.0), "it searches float");
    let (mut graph, _) = b.quantized(&[y], vec![vec![vec![1.0, 3.0, 2.0]]]).unwrap();
    assert_eq!((graph.value(y).dtype, &graph.value(y).quantization), (DType::Int32, &None));
    assert_eq!(params(&graph, x).1, -128);
    assert!(!crate::ops::is_float(&graph));
    float_borders(&mut graph);
    assert_eq!(names(&graph), ["QUANTIZE", "ARG_MAX"]);
}

#[test]
fn tables_share_the_quantization_of_what_is_looked_up() {
    let mut b = Builder::default();
    let ids = b.input("ids", &[1, 2]);
    b.0.value_mut(ids).dtype = DType::Int32;
    let table = b.constant("table", &[3, 2], &[-1.0, 0.5, 2.0, -4.0, 0.0, 1.1]);
    let op = Op::Gather(Gather { axis: 0, batch_dims: 0 });
    let rows = b.node("rows", op.clone(), &[table, ids], &[1, 2, 2]);
    let places = b.value("places", &[2], Some(Constant::I32(vec![1, 0])));
    b.0.value_mut(places).dtype = DType::Int32;
    let turned = b.node("turned", Op::Gather(Gather { axis: 2, batch_dims: 0 }), &[rows, places], &[1, 2, 2]);
    // Row 1 of the table is never looked up, but still counts in its range.
    let (mut graph, report) = b.quantized(&[turned], vec![vec![vec![0.0, 2.0]]]).unwrap();
    assert_eq!(names(&graph), ["GATHER", "GATHER"]);
    let shared = params(&graph, turned);
    assert_eq!(shared, (6.0 / 255.0, 42));
    assert_eq!([params(&graph, table), params(&graph, rows)], [shared; 2]);
    assert_eq!(integers(&graph, table), [0, 63, 127, -128, 42, 89]);
    assert_eq!(integers(&graph, places), [1, 0]);
    assert_eq!(graph.value(ids).dtype, DType::Int32);
    assert!(report.activations.iter().all(|activation| activation.name != "ids"));
    float_borders(&mut graph);
    assert_eq!(names(&graph), ["GATHER", "GATHER", "DEQUANTIZE"]);
}

/// float → QUANTIZE → int8 → DEQUANTIZE → LOG_SOFTMAX, as old converters write it.
#[test]
fn quantized_parts_keep_their_numbers() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let q = b.node("quantize", Op::Quantize, &[x], &[1, 2]);
    let r = b.node("reshape", Op::Reshape, &[q], &[1, 2]);
    for id in [q, r] {
        b.0.value_mut(id).dtype = DType::Int8;
        b.0.value_mut(id).quantization = Some(Quantization::per_tensor(0.125, 3));
    }
    let d = b.node("dequantize", Op::Dequantize, &[r], &[1, 2]);
    let y = b.node("log_softmax", Op::LogSoftmax, &[d], &[1, 2]);
    let (graph, _) = b.quantized(&[y], vec![vec![vec![1.0, 2.0]]]).unwrap();
    assert_eq!(names(&graph), ["RESHAPE", "LOG_SOFTMAX"]);
    assert_eq!(params(&graph, graph.nodes[0].input(0).unwrap()), (0.125, 3));
    assert_eq!(params(&graph, graph.nodes[1].input(0).unwrap()), (0.125, 3));
    assert_eq!(params(&graph, y), (16.0 / 256.0, 127));
}

#[test]
fn float_borders_keep_the_names() {
    let mut b = Builder::default();
    let x = b.input("x", &[1]);
    let y = b.node("y", Op::Unary(UnaryKind::Neg), &[x], &[1]);
    b.0.outputs = vec![y, y];
    let rows = Rows(vec![vec![vec![2.55]], vec![vec![0.0]]]);
    let options = Options { io: Io::Float, ..Options::default() };
    let (graph, _) = quantize(&b.0, &rows, &options).unwrap();
    assert_eq!(names(&graph), ["QUANTIZE", "NEG", "DEQUANTIZE"]);
    let border = |id: ValueId| (graph.value(id).name.as_str(), graph.value(id).dtype);
    assert_eq!(border(graph.inputs[0]), ("x", DType::Float32));
    assert_eq!(border(graph.outputs[0]), ("y", DType::Float32));
    assert_eq!(graph.outputs[0], graph.outputs[1]);
    assert_eq!(border(x), ("x_quantized", DType::Int8));
    let executor = Executor::new(&graph).unwrap();
    // 1.234 is rounded to the grid of 0.01; 3 is beyond the range.
    for (x, expected) in [(1.234, -1.23), (3.0, -2.55)] {
        let y = run_fake_quantized(&executor, &[&[x]]).unwrap()[0][0];
        assert!((y - expected).abs() < 1e-5, "{x} became {y}");
    }
}

/// Two dense layers, and samples that are the same on every run.
fn network() -> (Builder, ValueId, Vec<Sample>) {
    let mut state = 1u32;
    let mut noise = |count: usize| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            f32::from((state >> 16) as u8 as i8) / 128.0
        };
        (0..count).map(|_| next()).collect()
    };
    let mut b = Builder::default();
    let x = b.input("x", &[1, 16]);
    let (w1, w2) = (noise(8 * 16), noise(4 * 8));
    let (w1, w2) = (b.constant("w1", &[8, 16], &w1), b.constant("w2", &[4, 8], &w2));
    let bias = b.constant("bias", &[8], &noise(8));
    let hidden = Op::FullyConnected(FullyConnected { activation: Activation::Relu });
    let h = b.node("hidden", hidden, &[x, w1, bias], &[1, 8]);
    let y = b.node("out", DENSE, &[h, w2], &[1, 4]);
    let samples = (0..200).map(|_| vec![noise(16)]).collect();
    (b, y, samples)
}

#[test]
fn quantized_networks_stay_close() {
    let (mut b, y, samples) = network();
    b.0.outputs = vec![y];
    let (graph, _) = quantize(&b.0, &Rows(samples.clone()), &Options::default()).unwrap();
    let (float, int8) = (Executor::new(&b.0).unwrap(), Executor::new(&graph).unwrap());
    let (mut signal, mut noise) = (0.0, 0.0);
    for sample in &samples {
        let expected = float.run(&[&sample[0]]).unwrap();
        let found = run_fake_quantized(&int8, &[&sample[0]]).unwrap();
        for (x, y) in expected[0].iter().zip(&found[0]) {
            signal += x * x;
            noise += (x - y) * (x - y);
        }
    }
    assert!(signal / noise > 1000.0, "less than 30 dB: {signal} to {noise}");
    assert!(noise > 0.0);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let results: Vec<String> = [1, 2, 7]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut b, y, samples) = network();
            b.0.outputs = vec![y];
            let samples = Rows(samples);
            let ways = Calibration::METHODS.into_iter().chain([Calibration::Auto]);
            let quantized = ways.map(|calibration| {
                let all = calibration != Calibration::Auto;
                let options = Options {
                    calibration,
                    clip_weights: all,
                    correct_bias: all,
                    equalize: all,
                    ..Options::default()
                };
                quantize(&b.0, &samples, &options).unwrap()
            });
            pool.install(|| format!("{:?}", quantized.collect::<Vec<_>>()))
        })
        .collect();
    assert!(results.iter().all(|result| *result == results[0]));
}

/// The mean error of each result of a dense layer, over samples whose mean is far from zero.
#[test]
fn biases_take_mean_errors_back() {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        (state >> 16 & 0xff) as f32 / 255.0
    };
    let mut b = Builder::default();
    let x = b.input("x", &[1, 64]);
    let weights: Vec<f32> =
        (0..8 * 64).map(|i| (next() - 0.5) * if i % 64 == 0 { 20.0 } else { 1.0 }).collect();
    let weights = b.constant("w", &[8, 64], &weights);
    let y = b.node("y", DENSE, &[x, weights], &[1, 8]);
    b.0.outputs = vec![y];
    let samples = Rows((0..300).map(|_| vec![(0..64).map(|_| next()).collect()]).collect());
    let mean_errors = |correct_bias| -> f64 {
        let options = Options { calibration: Calibration::MinMax, correct_bias, ..Options::default() };
        let (graph, _) = quantize(&b.0, &samples, &options).unwrap();
        let (float, int8) = (Executor::new(&b.0).unwrap(), Executor::new(&graph).unwrap());
        let mut sums = [0.0; 8];
        for sample in &samples.0 {
            let wanted = float.run(&[&sample[0]]).unwrap();
            let found = run_fake_quantized(&int8, &[&sample[0]]).unwrap();
            for ((sum, x), y) in sums.iter_mut().zip(&wanted[0]).zip(&found[0]) {
                *sum += f64::from(y - x) / 300.0;
            }
        }
        sums.iter().map(|sum| sum * sum).sum()
    };
    let (before, after) = (mean_errors(false), mean_errors(true));
    assert!(after < before / 10.0, "{before} became {after}");
}

/// The channels' ranges differ by a factor of a thousand: without equalisation the small ones are lost.
#[test]
fn channels_are_equalized() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 1, 1, 2]);
    let window = crate::graph::Window {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
        pad_after: [0, 0],
    };
    let first = b.constant("w1", &[2, 1, 1, 2], &[1000.0, 0.0, 0.0, 1.0]);
    let second = b.constant("w2", &[1, 1, 1, 2], &[0.001, 1.0]);
    let conv = Op::Conv2d(Conv2d { window, activation: Activation::Relu });
    let h = b.node("h", conv, &[x, first], &[1, 1, 1, 2]);
    let op = Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier: 1, activation: Activation::None });
    let y = b.node("y", op, &[h, second], &[1, 1, 1, 2]);
    b.0.outputs = vec![y];
    let samples = Rows((0..50).map(|i| vec![vec![i as f32 / 49.0, (49 - i) as f32 / 49.0]]).collect());
    let judge = judge::Judge::of_outputs(&b.0, &samples).unwrap();
    let score = |equalize| {
        let options = Options { calibration: Calibration::MinMax, equalize, ..Options::default() };
        let (quantized, _) = quantize(&b.0, &samples, &options).unwrap();
        (judge.score(&quantized).unwrap().decibels(), quantized)
    };
    let ((plain, _), (equalized, graph)) = (score(false), score(true));
    assert!(plain < 6.0 && equalized > 40.0, "{plain} dB, {equalized} dB");
    assert_eq!(graph.value(h).name, "h_equalized");
    let (_, report) = quantize(&b.0, &samples, &Options::default()).unwrap();
    assert!(report.options.equalize, "{}", report.options);

    // A RELU6 between the two does not commute with factors.
    b.0.nodes[0].op = Op::Conv2d(Conv2d { window, activation: Activation::Relu6 });
    let options = Options { equalize: true, calibration: Calibration::MinMax, ..Options::default() };
    assert_eq!(quantize(&b.0, &samples, &options).unwrap().0.value(h).name, "h");
}

/// x → Q → DQ → dense → Q → DQ, with weights and bias after DEQUANTIZE, as tools write it.
fn authored() -> (Builder, [ValueId; 4]) {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let integers = |b: &mut Builder, id: ValueId, quantization, constant: Option<Constant>| {
        let value = b.0.value_mut(id);
        value.dtype = constant.as_ref().map_or(DType::Int8, Constant::dtype);
        (value.quantization, value.constant) = (Some(quantization), constant);
    };
    let xq = b.node("xq", Op::Quantize, &[x], &[1, 2]);
    integers(&mut b, xq, Quantization::per_tensor(0.5, 3), None);
    let xd = b.node("xd", Op::Dequantize, &[xq], &[1, 2]);
    let w = b.value("w", &[2, 2], None);
    let weights = Constant::I8(vec![1, -128, 3, 100]);
    integers(&mut b, w, Quantization::per_channel(vec![0.25, 0.125], 0), Some(weights));
    let wd = b.node("wd", Op::Dequantize, &[w], &[2, 2]);
    let bias = b.value("bias", &[2], None);
    // Beyond 2^24, where float32 would round.
    let biases = Constant::I32(vec![(1 << 24) + 1, -7]);
    integers(&mut b, bias, Quantization::per_channel(vec![0.125, 0.0625], 0), Some(biases));
    let bd = b.node("bd", Op::Dequantize, &[bias], &[2]);
    let y = b.node("y", DENSE, &[xd, wd, bd], &[1, 2]);
    let yq = b.node("yq", Op::Quantize, &[y], &[1, 2]);
    integers(&mut b, yq, Quantization::per_tensor(2.0, -5), None);
    let yd = b.node("yd", Op::Dequantize, &[yq], &[1, 2]);
    b.0.outputs = vec![yd];
    (b, [x, y, yd, wd])
}

#[test]
fn what_the_author_quantized_is_kept() {
    let (b, [x, _, yd, _]) = authored();
    // Samples far beyond the author's range change nothing.
    let samples = Rows(vec![vec![vec![1e6, -1e6]]; 50]);
    for samples in [&NoSamples as &dyn Samples, &samples] {
        let (graph, report) = quantize(&b.0, samples, &Options::default()).unwrap();
        assert_eq!(names(&graph), ["FULLY_CONNECTED"]);
        let node = &graph.nodes[0];
        assert_eq!(params(&graph, graph.inputs[0]), (0.5, 3));
        assert_eq!(graph.value(graph.inputs[0]).name, graph.value(x).name);
        assert_eq!(params(&graph, graph.outputs[0]), (2.0, -5));
        assert_eq!(graph.value(graph.outputs[0]).name, b.0.value(yd).name);
        assert_eq!(integers(&graph, node.input(1).unwrap()), [1, -128, 3, 100]);
        assert_eq!(integers(&graph, node.input(2).unwrap()), [(1 << 24) + 1, -7]);
        assert_eq!(report.samples, 0);
    }
}

#[test]
fn what_the_author_left_open_is_asked_for() {
    // A function without a range of its own between the layer and the author's quantization.
    let (mut b, [_, y, ..]) = authored();
    let z = b.value("z", &[1, 2], None);
    let node = Node {
        name: "z".into(),
        op: Op::Unary(UnaryKind::HardSwish),
        inputs: vec![Some(y)],
        outputs: vec![z],
    };
    let quantizes = b.0.nodes.iter().position(|node| node.name == "yq").unwrap();
    b.0.nodes[quantizes].inputs[0] = Some(z);
    b.0.nodes.insert(quantizes, node);
    let error = quantize(&b.0, &NoSamples, &Options::default()).unwrap_err();
    assert_eq!(error.message, "no samples were given, and the model does not say the range of `y`");
    let samples = Rows(vec![vec![vec![1.0, -1.0]]; 50]);
    let (graph, report) = quantize(&b.0, &samples, &Options::default()).unwrap();
    assert_eq!(report.samples, 50);
    assert_eq!(params(&graph, graph.outputs[0]), (2.0, -5));
    assert_eq!(integers(&graph, graph.nodes[0].input(1).unwrap()), [1, -128, 3, 100]);
}

#[test]
fn weights_that_cannot_be_kept_are_quantized_again() {
    let (mut b, [.., wd]) = authored();
    let w = b.0.nodes.iter().find(|node| node.outputs[0] == wd).unwrap().input(0).unwrap();
    let value = b.0.value_mut(w);
    value.dtype = DType::UInt8;
    value.constant = Some(Constant::U8(vec![128, 255, 0, 129]));
    value.quantization = Some(Quantization::per_tensor(0.1, 128));
    let (graph, _) = quantize(&b.0, &NoSamples, &Options::default()).unwrap();
    assert_eq!(names(&graph), ["FULLY_CONNECTED"]);
    assert_eq!(integers(&graph, graph.nodes[0].input(1).unwrap()), [0, 127, -127, 1]);
}

/// Values with quantizations of their own are joined by one operator that copies. Its result keeps its
/// author's quantization, and the values are converted.
#[test]
fn authored_parts_are_converted_where_they_meet() {
    let mut b = Builder::default();
    let mut parts = Vec::new();
    for (name, scale) in [("p", 0.5), ("q", 0.25)] {
        let x = b.input(name, &[1, 1]);
        let q = b.node(&format!("{name}q"), Op::Quantize, &[x], &[1, 1]);
        b.0.value_mut(q).dtype = DType::Int8;
        b.0.value_mut(q).quantization = Some(Quantization::per_tensor(scale, 1));
        parts.push(b.node(&format!("{name}d"), Op::Dequantize, &[q], &[1, 1]));
    }
    let both = b.node("both", CONCAT, &parts, &[1, 2]);
    let q = b.node("q", Op::Quantize, &[both], &[1, 2]);
    b.0.value_mut(q).dtype = DType::Int8;
    b.0.value_mut(q).quantization = Some(Quantization::per_tensor(0.75, 2));
    let d = b.node("d", Op::Dequantize, &[q], &[1, 2]);
    b.0.outputs = vec![d];
    let (graph, _) = quantize(&b.0, &NoSamples, &Options::default()).unwrap();
    assert_eq!(names(&graph), ["QUANTIZE", "QUANTIZE", "CONCATENATION"]);
    assert_eq!(params(&graph, graph.inputs[1]), (0.25, 1));
    assert_eq!(params(&graph, graph.outputs[0]), (0.75, 2));
    assert_eq!(params(&graph, graph.nodes[0].outputs[0]), (0.75, 2));
}

#[test]
fn refusals() {
    let error = |change: &dyn Fn(&mut Vec<Sample>)| -> Error {
        let (b, y, mut samples) = network();
        change(&mut samples);
        b.quantized(&[y], samples).unwrap_err()
    };
    let found = error(&|samples| {
        samples[150][0][3] = f32::NAN;
        samples[61][0][0] = f32::INFINITY;
    });
    assert_eq!(found.message, "calibration sample 61: input `x` contains inf");
    assert!(!found.help.is_empty());
    // Sums that overflow inside the network.
    let found = error(&|samples| samples[7][0].fill(9e17));
    assert!(found.message.starts_with("calibration sample 7: layer `hidden` (FULLY_CONNECTED)"), "{found}");
    let found = error(&|samples| samples.clear());
    assert_eq!(
        found.message,
        "no samples were given, and the model does not say the range of `x`, `hidden`, `out`"
    );
    let found = error(&|samples| samples[0][0].truncate(3));
    assert!(found.message.contains("sample 0: input `x` has 16 elements"), "{found}");

    let (mut b, y, samples) = network();
    let weights = b.0.nodes[1].input(1).unwrap();
    b.0.value_mut(weights).constant = Some(Constant::F32(vec![f32::NAN; 32]));
    let found = b.quantized(&[y], samples).unwrap_err();
    assert!(found.message.contains("NaN"), "{found}");

    let mut b = Builder::default();
    let (x, w) = (b.input("x", &[1, 2]), b.input("w", &[1, 2]));
    let y = b.node("product", DENSE, &[x, w], &[1, 1]);
    let found = b.quantized(&[y], vec![vec![vec![1.0; 2]; 2]]).unwrap_err();
    assert!(found.message.contains("`product` (FULLY_CONNECTED): its weights `w` are computed"), "{found}");
}

/// A causal mask of -1e9 does not widen the range of the scores.
#[test]
fn masked_scores_keep_their_steps() {
    let mut b = Builder::default();
    let x = b.input("scores", &[1, 2, 3]);
    let mask = b.constant("mask", &[2, 3], &[0.0, -1e9, -1e9, 0.0, 0.0, -1e9]);
    let sum = b.node("masked", ADD, &[x, mask], &[1, 2, 3]);
    let rows = b.node("rows", Op::Reshape, &[sum], &[2, 3]);
    let y = b.node("softmax", Op::Softmax(Softmax { beta: 1.0 }), &[rows], &[2, 3]);
    let samples = vec![vec![vec![-2.0, 1.0, 0.5, 1.5, 2.0, -1.0]]; 2];
    let (graph, _) = b.quantized(&[y], samples).unwrap();
    let margin = (512.0f32 * 3.0).ln();
    assert_eq!(params(&graph, sum), Range { min: -2.0 - margin, max: 2.0 }.asymmetric());
    assert_eq!(params(&graph, rows), params(&graph, sum));
    assert_eq!(integers(&graph, mask), [127, -128, -128, 127, 127, -128]);
}

/// If an optimiser removed a rectifier because the author's integers end at zero, its effect remains.
#[test]
fn authored_integers_saturate_in_calibration() {
    let mut b = Builder::default();
    let x = b.input("x", &[1, 2]);
    let integers = b.value("q", &[1, 2], None);
    let value = b.0.value_mut(integers);
    (value.dtype, value.quantization) = (DType::Int8, Some(Quantization::per_tensor(0.01, -128)));
    b.0.nodes.push(Node {
        name: "quantize".into(),
        op: Op::Quantize,
        inputs: vec![Some(x)],
        outputs: vec![integers],
    });
    let real = b.node("dequantize", Op::Dequantize, &[integers], &[1, 2]);
    let w = b.constant("w", &[1, 2], &[1.0, -1.0]);
    let y = b.node("y", DENSE, &[real, w], &[1, 1]);
    let samples = vec![vec![vec![-100.0, 2.0]], vec![vec![1.5, -50.0]]];
    let (graph, _) = b.quantized(&[y], samples).unwrap();
    let (scale, _) = params(&graph, y);
    assert!((scale - 3.5 / 255.0).abs() < 1e-6, "{scale}");
}
