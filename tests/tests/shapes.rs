//! Layers of unusual shapes, each by itself, with random numbers: whatever passes turn them into, however
//! their weights are packed and whichever operator they get, the results are those of the portable kernels
//! with plain weights, on every kernel set.

mod common;

use common::{Net, SETS, first_difference};
use ferrolite::aligned::AlignedBuf;
use ferrolite::emit;
use ferrolite::graph::{
    Activation, BatchMatMul, Constant, Conv2d, DType, FullyConnected, Graph, Node, Op, Quantization,
    TransposeConv, Value, ValueId, Window,
};
use ferrolite::passes;
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::{Model, ops};
use ferrolite_schema::OpCode;
use std::collections::BTreeSet;

/// Layers of each kind.
const LAYERS: usize = 80;

fn activation(graph: &mut Graph, random: &mut Random, shape: Vec<usize>) -> ValueId {
    graph.add_value(Value {
        name: format!("t{}", graph.values.len()),
        shape,
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(0.05, i32::from(random.element()))),
        constant: None,
    })
}

fn constant(
    graph: &mut Graph,
    shape: Vec<usize>,
    constant: Constant,
    quantization: Option<Quantization>,
) -> ValueId {
    let dtype = constant.dtype();
    let name = format!("c{}", graph.values.len());
    graph.add_value(Value { name, shape, dtype, quantization, constant: Some(constant) })
}

/// Weights `[outputs, …]` whose sums of `depth` products fill the output's range, and biases.
fn weighted(graph: &mut Graph, random: &mut Random, shape: Vec<usize>, depth: usize) -> [ValueId; 2] {
    let outputs = shape[0];
    let count = shape.iter().product();
    let elements: Vec<i8> = (0..count).map(|_| (random.element() / 2).max(-127)).collect();
    let usual = 1.0 / (40.0 * (depth as f32).sqrt());
    let scales: Vec<f32> = (0..outputs).map(|_| usual * (0.5 + random.below(50) as f32 / 100.0)).collect();
    let quantization = match random.below(3) {
        0 => Quantization::per_tensor(scales[0], 0),
        _ => Quantization::per_channel(scales, 0),
    };
    let weights = constant(graph, shape, Constant::I8(elements), Some(quantization));
    let bias = (0..outputs).map(|_| i32::from(random.element()) * 16).collect();
    [weights, constant(graph, vec![outputs], Constant::I32(bias), None)]
}

fn finish(mut graph: Graph, op: Op, inputs: &[ValueId], output: ValueId) -> Graph {
    graph.inputs = inputs.iter().copied().filter(|&id| graph.value(id).constant.is_none()).collect();
    graph.outputs = vec![output];
    let inputs = inputs.iter().map(|&id| Some(id)).collect();
    graph.nodes.push(Node { name: "layer".into(), op, inputs, outputs: vec![output] });
    graph
}

/// Compiles a layer for all targets, as it is and rewritten by passes, and compares the results. Returns the
/// operators that ran.
fn check(graph: &Graph, random: &mut Random) -> BTreeSet<OpCode> {
    let what = || {
        let shapes: Vec<&[usize]> = graph.values.iter().map(|value| value.shape.as_slice()).collect();
        format!("{:?} of {shapes:?}", graph.nodes[0].op)
    };
    let options = emit::Options::default();
    let plain = emit::compile(graph, &options).unwrap_or_else(|error| panic!("{}: {error}", what())).bytes;
    let inputs: Vec<Vec<u8>> = graph
        .inputs
        .iter()
        .map(|&id| random.elements(graph.value(id).elements()).iter().map(|&x| x as u8).collect())
        .collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let wanted = Net::with(&AlignedBuf::from_bytes(&plain), ops::ALL).run(&inputs, &mut ());
    let mut rewritten = graph.clone();
    passes::optimise(&mut rewritten);
    let mut codes = BTreeSet::new();
    for set in SETS {
        for graph in [graph, &rewritten] {
            let options = emit::Options { target: set.target, ..emit::Options::default() };
            let file = AlignedBuf::from_bytes(&emit::compile(graph, &options).unwrap().bytes);
            let model = Model::from_bytes(&file).unwrap();
            codes.extend(model.ops().iter().filter_map(|op| OpCode::from_code(op.code)));
            let found = Net::with(&file, set.ops).run(&inputs, &mut ());
            if let Some(difference) = first_difference(&found.concat(), &wanted.concat()) {
                panic!("{}: {}: {difference}", set.name, what());
            }
        }
    }
    codes
}

/// A window over an image of this size, and the size of its output.
fn window(random: &mut Random, size: [usize; 2], kernel: [usize; 2], dilated: bool) -> (Window, [usize; 2]) {
    let mut numbers = |most: usize| [random.up_to(most), random.up_to(most)];
    let (stride, dilation) = (numbers(2), if dilated { numbers(3) } else { [1; 2] });
    let (mut before, mut after) = (numbers(4).map(|n| n - 1), numbers(4).map(|n| n - 1));
    let mut out = [1; 2];
    for axis in 0..2 {
        let reach = (kernel[axis] - 1) * dilation[axis] + 1;
        let missing = reach.saturating_sub(size[axis] + before[axis] + after[axis]);
        before[axis] += missing / 2;
        after[axis] += missing - missing / 2;
        out[axis] = (size[axis] + before[axis] + after[axis] - reach) / stride[axis] + 1;
    }
    (Window { kernel, stride, dilation, pad_before: before, pad_after: after }, out)
}

/// A convolution whose sizes are made by these functions.
fn convolution(
    random: &mut Random,
    size: fn(&mut Random) -> [usize; 2],
    kernel: fn(&mut Random) -> [usize; 2],
    groups: usize,
    dilated: bool,
) -> Graph {
    let mut graph = Graph { name: "shapes".into(), ..Graph::default() };
    let (size, kernel) = (size(random), kernel(random));
    let batches = if random.below(4) == 0 { 2 } else { 1 };
    let (window, out) = window(random, size, kernel, dilated);
    let (depth, outputs) = (random.up_to(9), groups * random.up_to(9));
    let x = activation(&mut graph, random, vec![batches, size[0], size[1], groups * depth]);
    let shape = vec![outputs, kernel[0], kernel[1], depth];
    let [weights, bias] = weighted(&mut graph, random, shape, kernel[0] * kernel[1] * depth);
    let y = activation(&mut graph, random, vec![batches, out[0], out[1], outputs]);
    let activation = [Activation::None, Activation::Relu][random.below(2)];
    finish(graph, Op::Conv2d(Conv2d { window, activation }), &[x, weights, bias], y)
}

#[test]
fn dilated_and_grouped_convolutions_are_as_plain_ones() {
    let mut random = Random(1);
    let mut codes = BTreeSet::new();
    for number in 0..LAYERS {
        let groups = if number % 3 == 0 { 1 } else { random.up_to(4) };
        let size = |random: &mut Random| [random.up_to(9), random.up_to(19)];
        let kernel = |random: &mut Random| [random.up_to(3), random.up_to(4)];
        let graph = convolution(&mut random, size, kernel, groups, number % 3 != 1);
        codes.extend(check(&graph, &mut random));
    }
    assert!(codes.contains(&OpCode::Conv2dSegments) && codes.contains(&OpCode::DepthwiseConv2d), "{codes:?}");
}

#[test]
fn convolutions_along_one_dimension_are_as_plain_ones() {
    let mut random = Random(2);
    let mut codes = BTreeSet::new();
    for number in 0..LAYERS {
        // Some are so long that a row of them is not kept whole.
        let size: fn(&mut Random) -> [usize; 2] = match number % 4 {
            0 => |random| [random.up_to(50), 1],
            1 => |random| [1, random.up_to(50)],
            2 => |random| [1100 + random.below(9), 1],
            _ => |random| [1, 1100 + random.below(9)],
        };
        let kernel: fn(&mut Random) -> [usize; 2] = match number % 4 {
            0 | 2 => |random| [random.up_to(9), [1, 3][random.below(2)]],
            _ => |random| [[1, 3][random.below(2)], random.up_to(9)],
        };
        let graph = convolution(&mut random, size, kernel, 1, number % 3 == 0);
        codes.extend(check(&graph, &mut random));
    }
    assert!(codes.contains(&OpCode::Conv2dSegments) && codes.contains(&OpCode::Conv2d), "{codes:?}");
}

#[test]
fn transposed_convolutions_are_as_plain_ones() {
    let mut random = Random(3);
    for _ in 0..LAYERS {
        let mut graph = Graph { name: "shapes".into(), ..Graph::default() };
        let batches = if random.below(4) == 0 { 2 } else { 1 };
        let mut two = |most: usize| [random.up_to(most), random.up_to(most)];
        let (size, kernel, stride, pad, more) = (two(6), two(5), two(3), two(3), two(2));
        let (depth, outputs) = (random.up_to(9), random.up_to(9));
        let out = [0, 1].map(|axis| {
            let all = (size[axis] - 1) * stride[axis] + kernel[axis] + more[axis] - 1;
            all.saturating_sub(2 * (pad[axis] - 1)).max(1)
        });
        let pads = pad.map(|n| n - 1);
        let window = Window { kernel, stride, dilation: [1; 2], pad_before: pads, pad_after: pads };
        let x = activation(&mut graph, &mut random, vec![batches, size[0], size[1], depth]);
        let shape = vec![outputs, kernel[0], kernel[1], depth];
        let [weights, bias] = weighted(&mut graph, &mut random, shape, kernel[0] * kernel[1] * depth);
        let y = activation(&mut graph, &mut random, vec![batches, out[0], out[1], outputs]);
        let op = Op::TransposeConv(TransposeConv { window, activation: Activation::None });
        check(&finish(graph, op, &[x, weights, bias], y), &mut random);
    }
}

/// Rows of a dense layer are the pixels of a convolution where there are enough of them.
#[test]
fn dense_layers_of_rows_are_as_plain_ones() {
    let mut random = Random(5);
    let mut codes = BTreeSet::new();
    for number in 0..LAYERS {
        let mut graph = Graph { name: "shapes".into(), ..Graph::default() };
        let (rows, depth, outputs) = (random.up_to(25), random.up_to(40), random.up_to(20));
        let x = activation(&mut graph, &mut random, vec![rows, depth]);
        let [weights, bias] = weighted(&mut graph, &mut random, vec![outputs, depth], depth);
        if number % 3 == 0 {
            // A weight that only general packings hold.
            let value = graph.value_mut(weights);
            if let Some(Constant::I8(elements)) = &mut value.constant {
                elements.fill(-128);
            }
        }
        let y = activation(&mut graph, &mut random, vec![rows, outputs]);
        let activation = [Activation::None, Activation::Relu][random.below(2)];
        let op = Op::FullyConnected(FullyConnected { activation });
        codes.extend(check(&finish(graph, op, &[x, weights, bias], y), &mut random));
    }
    assert!(codes.contains(&OpCode::FullyConnected) && codes.contains(&OpCode::Conv2d), "{codes:?}");
}

#[test]
fn products_of_matrices_are_as_portable_ones() {
    let mut random = Random(4);
    for number in 0..LAYERS {
        let mut graph = Graph { name: "shapes".into(), ..Graph::default() };
        let (matrices, rows, depth, columns) =
            (random.up_to(3), random.up_to(9), random.up_to(40), random.up_to(9));
        let mut flag = || random.below(2) == 0;
        let (transpose_a, transpose_b) = (flag(), flag());
        let shape = |turned: bool, first: usize, second: usize| {
            if turned { vec![matrices, second, first] } else { vec![matrices, first, second] }
        };
        let a = activation(&mut graph, &mut random, shape(transpose_a, rows, depth));
        let b = activation(&mut graph, &mut random, shape(transpose_b, depth, columns));
        // With the zero point 0 a constant for all matrices is a dense layer.
        if number % 4 == 0 {
            let elements = random.elements(graph.value(b).elements());
            let value = graph.value_mut(b);
            value.constant = Some(Constant::I8(elements));
            if number % 8 == 0 {
                value.quantization = Some(Quantization::per_tensor(0.004, 0));
            }
        }
        let y = activation(&mut graph, &mut random, vec![matrices, rows, columns]);
        let scale = 0.05 * (depth as f32).sqrt() * 0.05 * 1500.0;
        graph.value_mut(y).quantization = Some(Quantization::per_tensor(scale, 3));
        let op = Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b });
        check(&finish(graph, op, &[a, b], y), &mut random);
    }
}
