//! Tests each operator on cases that are small enough to check by hand, and compares convolutions with the
//! plain sums that define them.

use super::*;
use crate::graph::{
    Activation, ArgMinMax, BatchMatMul, Binary, BinaryKind, Concat, Conv2d, Cumsum, DepthwiseConv2d,
    FullyConnected, Op, Pack, Pad, Pool2d, PoolKind, Reduce, ReduceKind, ResizeBilinear, ResizeNearest,
    Slice, Softmax, Split, Transpose, TransposeConv, UnaryKind, Unpack, Unsupported, Value, Window,
};

/// Operand: shape and elements.
type Operand<'a> = (&'a [usize], &'a [f32]);

fn value(name: &str, shape: &[usize]) -> Value {
    Value {
        name: name.into(),
        shape: shape.to_vec(),
        dtype: DType::Float32,
        quantization: None,
        constant: None,
    }
}

/// A graph of one node whose operands are all model inputs.
fn one_node(op: Op, inputs: &[&[usize]], outputs: &[&[usize]]) -> Graph {
    let mut graph = Graph::default();
    graph.inputs = inputs.iter().map(|shape| graph.add_value(value("in", shape))).collect();
    graph.outputs = outputs.iter().map(|shape| graph.add_value(value("out", shape))).collect();
    let inputs = graph.inputs.iter().copied().map(Some).collect();
    graph.nodes.push(Node { name: "layer".into(), op, inputs, outputs: graph.outputs.clone() });
    graph
}

fn try_run(op: Op, operands: &[Operand], outputs: &[&[usize]]) -> Result<Vec<Vec<f32>>> {
    let shapes: Vec<&[usize]> = operands.iter().map(|(shape, _)| *shape).collect();
    let graph = one_node(op, &shapes, outputs);
    let data: Vec<&[f32]> = operands.iter().map(|(_, data)| *data).collect();
    let results = Executor::new(&graph)?.run(&data)?;
    assert_eq!(execute_node(&graph, &graph.nodes[0], &data)?, results);
    Ok(results)
}

fn run(op: Op, operands: &[Operand], output: &[usize]) -> Vec<f32> {
    try_run(op, operands, &[output]).expect("runs").remove(0)
}

fn unary(kind: UnaryKind, x: &[f32]) -> Vec<f32> {
    run(Op::Unary(kind), &[(&[x.len()], x)], &[x.len()])
}

fn binary(kind: BinaryKind, a: Operand, b: Operand, shape: &[usize]) -> Vec<f32> {
    run(Op::Binary(Binary { kind, activation: Activation::None }), &[a, b], shape)
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!((x - y).abs() <= 1e-5 * y.abs().max(1.0), "element {i}: {found:?} != {expected:?}");
    }
}

/// Numbers in -1..1 that are the same on every run.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            f32::from((state >> 16) as u8 as i8) / 128.0
        })
        .collect()
}

#[test]
fn unary_functions() {
    let x = [-4.0, -2.5, -1.0, -0.5, 0.0, 0.5, 1.5, 2.5, 7.0];
    assert_eq!(unary(UnaryKind::Relu, &x), [0., 0., 0., 0., 0., 0.5, 1.5, 2.5, 7.]);
    assert_eq!(unary(UnaryKind::Relu6, &x), [0., 0., 0., 0., 0., 0.5, 1.5, 2.5, 6.]);
    assert_eq!(unary(UnaryKind::ReluN1To1, &x), [-1., -1., -1., -0.5, 0., 0.5, 1., 1., 1.]);
    assert_eq!(unary(UnaryKind::Round, &x), [-4., -2., -1., 0., 0., 0., 2., 2., 7.]);
    assert_eq!(unary(UnaryKind::Ceil, &x), [-4., -2., -1., 0., 0., 1., 2., 3., 7.]);
    assert_eq!(unary(UnaryKind::Floor, &x), [-4., -3., -1., -1., 0., 0., 1., 2., 7.]);
    assert_eq!(unary(UnaryKind::Sign, &x), [-1., -1., -1., -1., 0., 1., 1., 1., 1.]);
    assert_eq!(unary(UnaryKind::Abs, &[-2., 3.]), [2., 3.]);
    assert_eq!(unary(UnaryKind::Neg, &[-2., 3.]), [2., -3.]);
    assert_eq!(unary(UnaryKind::Square, &[-2., 3.]), [4., 9.]);
    assert_eq!(unary(UnaryKind::Sqrt, &[4., 9.]), [2., 3.]);
    assert_eq!(unary(UnaryKind::Rsqrt, &[4., 16.]), [0.5, 0.25]);
    assert_eq!(unary(UnaryKind::LeakyRelu { alpha: 0.25 }, &[-2., 3.]), [-0.5, 3.]);
    assert_eq!(unary(UnaryKind::HardSwish, &[-4., -1.5, 0., 1., 3., 5.]), [0., -0.375, 0., 4. / 6., 3., 5.]);
    assert_close(&unary(UnaryKind::Elu { alpha: 1.0 }, &[-1., 2.]), &[-0.632_120_6, 2.]);
    assert_close(&unary(UnaryKind::Logistic, &[-1., 0., 2.]), &[0.268_941_43, 0.5, 0.880_797_1]);
    assert_close(&unary(UnaryKind::Tanh, &[-1., 0.5]), &[-0.761_594_2, 0.462_117_16]);
    assert_close(&unary(UnaryKind::Exp, &[-1., 2.]), &[0.367_879_45, 7.389_056]);
    assert_close(&unary(UnaryKind::Log, &[1., 10.]), &[0., std::f32::consts::LN_10]);
    assert_close(&unary(UnaryKind::Sin, &[0.5]), &[0.479_425_55]);
    assert_close(&unary(UnaryKind::Cos, &[0.5]), &[0.877_582_6]);
    let gelu = |approximate, x: &[f32]| unary(UnaryKind::Gelu { approximate }, x);
    assert_close(&gelu(false, &[-1., 0., 1., 3.]), &[-0.158_655_25, 0., 0.841_344_7, 2.995_950_2]);
    assert_close(&gelu(true, &[-1., 0., 1., 3.]), &[-0.158_808, 0., 0.841_192, 2.996_362_6]);
}

#[test]
fn binary_functions_broadcast() {
    let (a, b): (Operand, Operand) = ((&[2, 1], &[1., 4.]), (&[3], &[1., 2., 8.]));
    assert_eq!(binary(BinaryKind::Add, a, b, &[2, 3]), [2., 3., 9., 5., 6., 12.]);
    assert_eq!(binary(BinaryKind::Sub, a, b, &[2, 3]), [0., -1., -7., 3., 2., -4.]);
    assert_eq!(binary(BinaryKind::Mul, a, b, &[2, 3]), [1., 2., 8., 4., 8., 32.]);
    assert_eq!(binary(BinaryKind::Div, a, b, &[2, 3]), [1., 0.5, 0.125, 4., 2., 0.5]);
    assert_eq!(binary(BinaryKind::Maximum, a, b, &[2, 3]), [1., 2., 8., 4., 4., 8.]);
    assert_eq!(binary(BinaryKind::Minimum, a, b, &[2, 3]), [1., 1., 1., 1., 2., 4.]);
    assert_eq!(binary(BinaryKind::SquaredDifference, a, b, &[2, 3]), [0., 1., 49., 9., 4., 16.]);
    // A scalar on either side, five dimensions, and broadcasting in the middle.
    assert_eq!(binary(BinaryKind::Sub, (&[], &[1.]), (&[2], &[3., 5.]), &[2]), [-2., -4.]);
    assert_eq!(binary(BinaryKind::Sub, (&[1, 2], &[3., 5.]), (&[], &[1.]), &[1, 2]), [2., 4.]);
    let (a, b) = ([1., 2., 3., 4.], [10., 20.]);
    let out = binary(BinaryKind::Add, (&[2, 1, 1, 1, 2], &a), (&[2, 1, 1], &b), &[2, 1, 2, 1, 2]);
    assert_eq!(out, [11., 12., 21., 22., 13., 14., 23., 24.]);
    let op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::Relu6 });
    assert_eq!(run(op, &[(&[3], &[-5., 1., 5.]), (&[3], &[1., 1., 5.])], &[3]), [0., 2., 6.]);
    let op = Op::Prelu;
    assert_eq!(
        run(op, &[(&[2, 2], &[-1., 2., -3., -4.]), (&[2], &[0.5, 2.])], &[2, 2]),
        [-0.5, 2., -1.5, -8.]
    );
}

#[test]
fn integer_division_truncates() {
    let op = Op::Binary(Binary { kind: BinaryKind::Div, activation: Activation::None });
    let mut graph = one_node(op, &[&[2], &[2]], &[&[2]]);
    graph.value_mut(ValueId(2)).dtype = DType::Int32;
    assert_eq!(Executor::new(&graph).unwrap().run(&[&[7., -7.], &[2., 2.]]).unwrap(), [[3., -3.]]);
}

#[test]
fn softmax_and_its_logarithm() {
    let x = [1., 2., 3., 1000., 1000., 999.];
    let softmax = run(Op::Softmax(Softmax { beta: 1.0 }), &[(&[2, 3], &x)], &[2, 3]);
    let expected = [0.090_030_57, 0.244_728_47, 0.665_240_94, 0.422_318_8, 0.422_318_8, 0.155_362_4];
    assert_close(&softmax, &expected);
    let log = run(Op::LogSoftmax, &[(&[2, 3], &x)], &[2, 3]);
    assert_close(&log, &expected.map(f32::ln));
    assert_close(
        &run(Op::Softmax(Softmax { beta: 2.0 }), &[(&[2], &[0., 1.])], &[2]),
        &[0.119_202_92, 0.880_797_1],
    );
}

#[test]
fn movement() {
    let x = [0., 1., 2., 3., 4., 5.];
    let op = Op::Pad(Pad { amounts: vec![(1, 0), (0, 2)], value: Some(9.0) });
    assert_eq!(run(op, &[(&[1, 2], &[1., 2.])], &[2, 4]), [9., 9., 9., 9., 1., 2., 9., 9.]);
    let op = Op::Slice(Slice { begin: vec![1, 2], size: vec![1, 2], stride: vec![1, -2] });
    assert_eq!(run(op, &[(&[2, 3], &x)], &[2]), [5., 3.]);
    let op = Op::Transpose(Transpose { permutation: vec![1, 0] });
    assert_eq!(run(op, &[(&[2, 3], &x)], &[3, 2]), [0., 3., 1., 4., 2., 5.]);
    let op = Op::Transpose(Transpose { permutation: vec![2, 0, 1] });
    assert_eq!(run(op, &[(&[1, 2, 3], &x)], &[3, 1, 2]), [0., 3., 1., 4., 2., 5.]);
    let op = Op::Concat(Concat { axis: 1, activation: Activation::None });
    assert_eq!(
        run(op, &[(&[2, 1], &[8., 9.]), (&[2, 2], &[1., 2., 3., 4.])], &[2, 3]),
        [8., 1., 2., 9., 3., 4.]
    );
    let parts = try_run(Op::Split(Split { axis: 1 }), &[(&[2, 3], &x)], &[&[2, 1], &[2, 2]]).unwrap();
    assert_eq!(parts, [vec![0., 3.], vec![1., 2., 4., 5.]]);
    assert_eq!(
        run(Op::Pack(Pack { axis: 1 }), &[(&[2], &[1., 2.]), (&[2], &[3., 4.])], &[2, 2]),
        [1., 3., 2., 4.]
    );
    let parts = try_run(Op::Unpack(Unpack { axis: 0 }), &[(&[2, 3], &x)], &[&[3], &[3]]).unwrap();
    assert_eq!(parts, [[0., 1., 2.], [3., 4., 5.]]);
    assert_eq!(run(Op::Reshape, &[(&[2, 3], &x)], &[6]), x);
    assert_eq!(run(Op::Quantize, &[(&[6], &x)], &[6]), x);
}

#[test]
fn reductions() {
    let x = [1., 2., 3., 4., 8., 6.];
    let reduce = |kind, axes: &[usize], shape: &[usize]| {
        let keep_dims = shape.len() == 2;
        run(Op::Reduce(Reduce { kind, axes: axes.to_vec(), keep_dims }), &[(&[2, 3], &x)], shape)
    };
    assert_eq!(reduce(ReduceKind::Mean, &[1], &[2]), [2., 6.]);
    assert_eq!(reduce(ReduceKind::Sum, &[0], &[1, 3]), [5., 10., 9.]);
    assert_eq!(reduce(ReduceKind::Max, &[0, 1], &[]), [8.]);
    assert_eq!(reduce(ReduceKind::Min, &[1], &[2, 1]), [1., 4.]);
    // Of equal elements, the first one wins.
    let ties = [1., 5., 5., 2., 2., 2.];
    let arg = |axis, largest| Op::ArgMinMax(ArgMinMax { axis, largest });
    assert_eq!(run(arg(1, true), &[(&[2, 3], &ties)], &[2]), [1., 0.]);
    assert_eq!(run(arg(0, false), &[(&[2, 3], &ties)], &[3]), [0., 1., 1.]);
}

#[test]
fn resizing() {
    let x: Operand = (&[1, 2, 2, 1], &[0., 1., 2., 3.]);
    let bilinear = |align_corners, half_pixel_centers| {
        run(Op::ResizeBilinear(ResizeBilinear { align_corners, half_pixel_centers }), &[x], &[1, 1, 4, 1])
    };
    assert_eq!(bilinear(false, false), [0., 0.5, 1., 1.]);
    assert_close(&bilinear(true, false), &[0., 1. / 3., 2. / 3., 1.]);
    // A row halfway between two rows.
    assert_close(&bilinear(false, true), &[1., 1.25, 1.75, 2.]);
    let nearest = |align_corners, half_pixel_centers, width: usize| {
        let op = Op::ResizeNearest(ResizeNearest { align_corners, half_pixel_centers });
        let x: Operand = (&[1, 1, 5, 1], &[0., 1., 2., 3., 4.]);
        run(op, &[x], &[1, 1, width, 1])
    };
    assert_eq!(nearest(false, false, 3), [0., 1., 3.]);
    assert_eq!(nearest(true, false, 3), [0., 2., 4.]);
    assert_eq!(nearest(false, true, 3), [0., 2., 4.]);
    assert_eq!(nearest(false, false, 8), [0., 0., 1., 1., 2., 3., 3., 4.]);
}

#[test]
fn pooling_leaves_padding_out() {
    let window =
        Window { kernel: [2, 2], stride: [1, 2], dilation: [1, 1], pad_before: [1, 0], pad_after: [0, 1] };
    let pool = |kind, activation| {
        let x: Operand = (&[1, 2, 3, 1], &[1., 2., 3., -4., -5., -6.]);
        run(Op::Pool2d(Pool2d { kind, window, activation }), &[x], &[1, 2, 2, 1])
    };
    assert_eq!(pool(PoolKind::Average, Activation::None), [1.5, 3., -1.5, -1.5]);
    assert_eq!(pool(PoolKind::Max, Activation::None), [2., 3., 2., 3.]);
    assert_eq!(pool(PoolKind::Average, Activation::Relu), [1.5, 3., 0., 0.]);
}

#[test]
fn matrix_products() {
    let op = |activation| Op::FullyConnected(FullyConnected { activation });
    let weights: Operand = (&[2, 3], &[1., 2., 3., -1., -2., -3.]);
    let x: Operand = (&[2, 3], &[1., 1., 1., 0., 1., 2.]);
    assert_eq!(run(op(Activation::None), &[x, weights, (&[2], &[10., 0.])], &[2, 2]), [16., -6., 18., -8.]);
    assert_eq!(run(op(Activation::Relu), &[(&[3], &[1., 1., 1.]), weights], &[1, 2]), [6., 0.]);
    // More inputs than one vector register can hold.
    let (a, b) = (noise(37, 1), noise(37, 2));
    let sum: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
    assert_close(&run(op(Activation::None), &[(&[1, 37], &a), (&[1, 37], &b)], &[1, 1]), &[sum]);

    let a = [1., 2., 3., 4., 5., 6.];
    let b = [1., 0., 0., 1., 2., 0., 0., 2., 1., 1., 1., 1.];
    for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
        let a_shape: &[usize] = if transpose_a { &[2, 3] } else { &[3, 2] };
        let (at, bt) = (usize::from(transpose_a), usize::from(transpose_b));
        let found = run(
            Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b }),
            &[(a_shape, &a), (&[3, 1, 2, 2], &b)],
            &[3, 1, 3, 2],
        );
        let mut expected = Vec::new();
        for matrix in b.chunks_exact(4) {
            for (m, n) in (0..3).flat_map(|m| (0..2).map(move |n| (m, n))) {
                let x = |k: usize| if at == 1 { a[k * 3 + m] } else { a[m * 2 + k] };
                let y = |k: usize| if bt == 1 { matrix[n * 2 + k] } else { matrix[k * 2 + n] };
                expected.push(x(0) * y(0) + x(1) * y(1));
            }
        }
        assert_eq!(found, expected);
    }
}

/// A geometry for comparisons with the definition.
struct Case {
    name: &'static str,
    image: [usize; 4],
    groups: usize,
    out_channels: usize,
    window: Window,
}

fn cases() -> Vec<Case> {
    let window = |kernel, stride, dilation, pad_before, pad_after| Window {
        kernel,
        stride,
        dilation,
        pad_before,
        pad_after,
    };
    let case = |name, image, groups, out_channels, window| Case { name, image, groups, out_channels, window };
    vec![
        case("1x1", [2, 3, 4, 5], 1, 7, window([1, 1], [1, 1], [1, 1], [0, 0], [0, 0])),
        case("1x1 of stride 2", [1, 5, 4, 3], 1, 2, window([1, 1], [2, 2], [1, 1], [0, 0], [0, 0])),
        case("1x1, grouped", [1, 3, 3, 6], 3, 6, window([1, 1], [1, 1], [1, 1], [0, 0], [0, 0])),
        case("3x3, padded", [2, 5, 6, 3], 1, 4, window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1])),
        case("3x3, uneven padding", [1, 6, 6, 2], 1, 3, window([3, 3], [2, 2], [1, 1], [0, 0], [1, 1])),
        case("dilated", [1, 9, 8, 2], 1, 3, window([3, 2], [1, 2], [2, 3], [2, 1], [1, 3])),
        case("stride > kernel", [1, 7, 7, 2], 1, 2, window([2, 2], [3, 3], [1, 1], [0, 0], [0, 0])),
        case("kernel = image", [1, 4, 1, 3], 1, 5, window([4, 1], [1, 1], [1, 1], [0, 0], [0, 0])),
        case("padding > image", [1, 1, 2, 1], 1, 1, window([3, 5], [1, 1], [1, 1], [2, 4], [2, 4])),
        case("grouped", [1, 4, 4, 4], 2, 6, window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1])),
        case("depthwise", [1, 5, 5, 3], 3, 3, window([3, 3], [1, 1], [1, 1], [1, 1], [1, 1])),
        case("multiplier 2", [2, 5, 5, 3], 3, 6, window([3, 3], [2, 1], [1, 1], [1, 0], [1, 2])),
        case("several blocks", [1, 70, 9, 64], 1, 2, window([3, 9], [1, 1], [1, 1], [1, 4], [1, 4])),
    ]
}

/// CONV_2D as the sum that defines it; the filter is `[out, kh, kw, channels / groups]`.
fn plain_conv(case: &Case, x: &[f32], filter: &[f32], bias: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let ([n, h, w, c], Window { kernel, stride, dilation, pad_before, pad_after }) =
        (case.image, case.window);
    let out = |size: usize, d: usize| {
        (size + pad_before[d] + pad_after[d] - (kernel[d] - 1) * dilation[d] - 1) / stride[d] + 1
    };
    let shape = vec![n, out(h, 0), out(w, 1), case.out_channels];
    let depth = c / case.groups;
    let mut result = Vec::new();
    for index in 0..shape.iter().product() {
        let o = index % shape[3];
        let (ox, oy) = (index / shape[3] % shape[2], index / shape[3] / shape[2] % shape[1]);
        let b = index / shape[3] / shape[2] / shape[1];
        let group = o / (case.out_channels / case.groups);
        let mut sum = bias[o];
        for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
            let y = (oy * stride[0] + ky * dilation[0]).wrapping_sub(pad_before[0]);
            let x_ = (ox * stride[1] + kx * dilation[1]).wrapping_sub(pad_before[1]);
            if y < h && x_ < w {
                for i in 0..depth {
                    sum += x[((b * h + y) * w + x_) * c + group * depth + i]
                        * filter[((o * kernel[0] + ky) * kernel[1] + kx) * depth + i];
                }
            }
        }
        result.push(sum);
    }
    (shape, result)
}

#[test]
fn convolutions_are_their_definition() {
    for case in cases() {
        let (c, window) = (case.image[3], case.window);
        let depth = c / case.groups;
        let taps = window.kernel[0] * window.kernel[1];
        let x = noise(case.image.iter().product(), 1);
        let filter = noise(case.out_channels * taps * depth, 2);
        let bias = noise(case.out_channels, 3);
        let (shape, expected) = plain_conv(&case, &x, &filter, &bias);
        let filter_shape = [case.out_channels, window.kernel[0], window.kernel[1], depth];
        let operands: [Operand; 3] =
            [(&case.image, &x), (&filter_shape, &filter), (&[case.out_channels], &bias)];
        let found = run(Op::Conv2d(Conv2d { window, activation: Activation::None }), &operands, &shape);
        println!("{}", case.name);
        assert_close(&found, &expected);
        if case.groups == c {
            // The same as a depthwise convolution, whose filter is [1, kh, kw, out].
            let moved: Vec<f32> = (0..filter.len())
                .map(|i| filter[i % case.out_channels * taps + i / case.out_channels])
                .collect();
            let filter_shape = [1, window.kernel[0], window.kernel[1], case.out_channels];
            let operands: [Operand; 3] =
                [(&case.image, &x), (&filter_shape, &moved), (&[case.out_channels], &bias)];
            let multiplier = case.out_channels / c;
            let op =
                Op::DepthwiseConv2d(DepthwiseConv2d { window, multiplier, activation: Activation::None });
            assert_close(&run(op, &operands, &shape), &expected);
        }
    }
}

/// A transposed convolution is the adjoint of the convolution: `<conv(x), y> = <x, transposed(y)>`.
#[test]
fn transposed_convolution_is_the_adjoint() {
    for case in cases().into_iter().filter(|case| case.groups == 1) {
        let window = case.window;
        let [_, h, w, c] = case.image;
        let [kh, kw] = window.kernel;
        let x = noise(case.image.iter().product(), 1);
        let filter = noise(case.out_channels * kh * kw * c, 2);
        let (shape, conv) = plain_conv(&case, &x, &filter, &vec![0.0; case.out_channels]);
        let y = noise(conv.len(), 4);
        // [out, kh, kw, in] of the convolution is [in, kh, kw, out] of the transposed one.
        let mut moved = Vec::new();
        for (i, tap) in (0..c).flat_map(|i| (0..kh * kw).map(move |tap| (i, tap))) {
            moved.extend((0..case.out_channels).map(|o| filter[(o * kh * kw + tap) * c + i]));
        }
        let back = run(
            Op::TransposeConv(TransposeConv { window, activation: Activation::None }),
            &[(&shape, &y), (&[c, kh, kw, case.out_channels], &moved)],
            &[shape[0], h, w, c],
        );
        let dot = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
        };
        println!("{}", case.name);
        assert_close(&[dot(&x, &back) / 16.0], &[dot(&conv, &y) / 16.0]);
    }
    let window =
        Window { kernel: [1, 2], stride: [1, 2], dilation: [1, 1], pad_before: [0, 1], pad_after: [0, 0] };
    let x: Operand = (&[1, 1, 2, 1], &[1., 10.]);
    let op = Op::TransposeConv(TransposeConv { window, activation: Activation::Relu6 });
    let found = run(op, &[x, (&[1, 1, 2, 1], &[1., -2.]), (&[1], &[3.])], &[1, 1, 3, 1]);
    assert_eq!(found, [1., 6., 0.]);
}

#[test]
fn quantized_graphs_run_on_real_numbers() {
    let mut graph = Graph::default();
    let quantized = |graph: &mut Graph, shape: &[usize], constant, quantization| {
        let dtype = DType::Int8;
        graph.add_value(Value { dtype, quantization, constant, ..value("q", shape) })
    };
    let per_tensor = |scale, zero_point| Some(Quantization::per_tensor(scale, zero_point));
    let x = quantized(&mut graph, &[1, 1], None, per_tensor(0.5, 10));
    let weights = Some(Constant::I8(vec![2, 3]));
    let scales = Quantization::per_channel(vec![0.25, 0.5], 0);
    let weights = quantized(&mut graph, &[2, 1], weights, Some(scales));
    let bias = graph.add_value(Value {
        dtype: DType::Int32,
        constant: Some(Constant::I32(vec![8, 8])),
        ..value("bias", &[2])
    });
    let y = quantized(&mut graph, &[1, 2], None, per_tensor(0.1, 0));
    let padded = quantized(&mut graph, &[1, 3], None, per_tensor(0.1, 0));
    let node = |op, inputs, output| Node { name: "layer".into(), op, inputs, outputs: vec![output] };
    let dense = Op::FullyConnected(FullyConnected { activation: Activation::None });
    graph.nodes.push(node(dense, vec![Some(x), Some(weights), Some(bias)], y));
    let pad = Op::Pad(Pad { amounts: vec![(0, 0), (1, 0)], value: Some(20.0) });
    graph.nodes.push(node(pad, vec![Some(y)], padded));
    graph.inputs = vec![x];
    graph.outputs = vec![padded];
    let outputs = Executor::new(&graph).unwrap().run(&[&[4.0]]).unwrap();
    // 4 * 0.5 + 8 * 0.125 and 4 * 1.5 + 8 * 0.25
    assert_close(&outputs[0], &[2.0, 3.0, 8.0]);
}

#[test]
fn observation_and_change() {
    let mut graph = one_node(Op::Unary(UnaryKind::Neg), &[&[2]], &[&[2]]);
    let twice = graph.add_value(value("twice", &[2]));
    let (first, out) = (graph.inputs[0], graph.outputs[0]);
    let op = Op::Unary(UnaryKind::Abs);
    graph.nodes.push(Node { name: "abs".into(), op, inputs: vec![Some(out)], outputs: vec![twice] });
    graph.outputs = vec![twice, first];
    let executor = Executor::new(&graph).unwrap();
    let mut seen = Vec::new();
    let outputs =
        executor.run_observed(&[&[1., 2.]], &mut |id, data| seen.push((id, data.to_vec()))).unwrap();
    assert_eq!(seen, [(first, vec![1., 2.]), (out, vec![-1., -2.]), (twice, vec![1., 2.])]);
    assert_eq!(outputs, [[1., 2.], [1., 2.]]);
    let outputs = executor
        .run_transformed(&[&[1., 2.]], &mut |id, data| {
            if id == out {
                data[0] = -7.0;
            }
        })
        .unwrap();
    assert_eq!(outputs[0], [7., 2.]);
}

#[test]
fn refusals() {
    let refused = |op: Op, operands: &[Operand], output: &[usize], expected: &str| {
        let message = try_run(op, operands, &[output]).unwrap_err().message;
        assert!(message.contains(expected), "{message:?} does not contain {expected:?}");
    };
    let x: Operand = (&[1, 2, 2, 1], &[0.0; 4]);
    let window =
        Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad_before: [0, 0], pad_after: [0, 0] };
    let conv = Op::Conv2d(Conv2d { window, activation: Activation::None });
    refused(
        conv.clone(),
        &[x, (&[1, 3, 3, 1], &[0.0; 9])],
        &[1, 1, 1, 1],
        "does not fit into an image of 2x2",
    );
    refused(conv, &[x, (&[1, 3, 3, 2], &[0.0; 18])], &[1, 1, 1, 1], "a filter of depth 2");
    let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
    refused(add, &[(&[2], &[0.; 2]), (&[3], &[0.; 3])], &[3], "do not broadcast");
    let slice = Op::Slice(Slice { begin: vec![1], size: vec![2], stride: vec![1] });
    refused(slice, &[(&[2], &[0.; 2])], &[2], "layer `layer` (STRIDED_SLICE)");
    let far = Op::Slice(Slice { begin: vec![0], size: vec![2], stride: vec![isize::MIN] });
    refused(far, &[(&[2], &[0.; 2])], &[2], "STRIDED_SLICE");
    refused(Op::Reshape, &[(&[2], &[0.; 2])], &[usize::MAX, 2], "too large");
    refused(Op::Unary(UnaryKind::Abs), &[(&[0], &[])], &[0], "empty");

    let mut graph = one_node(Op::Reshape, &[&[1]], &[&[1]]);
    assert!(Executor::new(&graph).unwrap().run(&[&[1.0, 2.0]]).unwrap_err().message.contains("`in`"));
    let unsupported =
        |reason: &str| Op::Unsupported(Unsupported { code: "custom Foo".into(), reason: reason.into() });
    graph.nodes[0].op = unsupported("");
    let outputs = vec![graph.add_value(value("late", &[1]))];
    let inputs = vec![Some(graph.outputs[0])];
    graph.nodes.push(Node { name: "second".into(), op: unsupported("bad"), inputs, outputs });
    let message = Executor::new(&graph).err().unwrap().message;
    assert_eq!(message, "2 layers are not supported: `layer` (custom Foo), `second` (custom Foo: bad)");
    graph.nodes[0].op = Op::Reshape;
    graph.nodes.swap(0, 1);
    graph.nodes[0].op = Op::Reshape;
    assert!(Executor::new(&graph).err().unwrap().message.contains("before anything has written it"));
}

#[test]
fn running_sums() {
    let x: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let of = |axis, exclusive, reverse| {
        let op = Op::Cumsum(Cumsum { axis, exclusive, reverse, start: 0 });
        run(op, &[(&[2, 3], &x)], &[2, 3])
    };
    assert_eq!(of(1, false, false), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    assert_eq!(of(0, false, false), [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
    assert_eq!(of(1, true, false), [0.0, 1.0, 3.0, 0.0, 4.0, 9.0]);
    assert_eq!(of(1, false, true), [6.0, 5.0, 3.0, 15.0, 11.0, 6.0]);
    assert_eq!(of(0, true, true), [4.0, 5.0, 6.0, 0.0, 0.0, 0.0]);
    let op = Op::Cumsum(Cumsum { axis: 2, exclusive: false, reverse: false, start: 0 });
    assert!(try_run(op, &[(&[2, 3], &x)], &[&[2, 3]]).unwrap_err().message.contains("axis 2"));
}
