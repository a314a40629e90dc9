//! Valid ops: one of each operator, packing and kind of window. The constants end with the last one that is
//! used.

use bytemuck::{NoUninit, cast_slice};
use ferrolite_runtime::cases::Random;
use ferrolite_runtime::kernels::Policy;
use ferrolite_runtime::ops::{
    self, batch_matmul, conv_2d, conv_2d_winograd, depthwise_3x3, depthwise_conv_2d, transpose_conv,
};
use ferrolite_runtime::packing::{Packing, Shape};
use ferrolite_runtime::params::*;
use ferrolite_runtime::winograd::Filters;
use ferrolite_runtime::{DType, OpCode};
use ferrolite_schema::Storage;

use super::file::{Case, Operand};

const WINDOW: [&str; 12] = [
    "in_h",
    "in_w",
    "out_h",
    "out_w",
    "kernel_h",
    "kernel_w",
    "stride_h",
    "stride_w",
    "dilation_h",
    "dilation_w",
    "pad_top",
    "pad_left",
];

/// The name of a parameter word.
pub fn word_name(code: OpCode, index: usize) -> String {
    use OpCode::*;
    let windowed = matches!(
        code,
        Conv2d
            | Conv2dWinograd
            | Conv2dSegments
            | DepthwiseConv2d
            | Depthwise3x3
            | DepthwiseTaps
            | TransposeConv
            | AveragePool2d
            | AveragePoolUp
            | Conv2dWide
            | DepthwiseWide
            | MaxPool2d
    );
    match WINDOW.get(index).filter(|_| windowed) {
        Some(name) => (*name).into(),
        None => format!("word {index}"),
    }
}

/// The index of the parameter word that holds the packing of a layer with weights.
pub fn packing_word(code: OpCode) -> usize {
    match code {
        OpCode::FullyConnected => 3,
        OpCode::DepthwiseConv2d | OpCode::Depthwise3x3 | OpCode::DepthwiseTaps | OpCode::DepthwiseWide => 16,
        _ => 17,
    }
}

fn words<P: NoUninit>(params: P) -> Vec<u32> {
    cast_slice(&[params]).to_vec()
}

fn case(name: &str, code: OpCode, params: Vec<u32>, operands: Vec<Operand>, inputs: usize) -> Case {
    Case {
        name: name.into(),
        code,
        params,
        operands,
        inputs,
        constants: Vec::new(),
        scratch: 0,
        in_place: false,
    }
}

/// The positions of weights, biases and multipliers, with the one at index `last` at the end, and their total
/// size.
fn layout(weights: u32, channels: u32, last: usize) -> (u32, OutputStage, usize) {
    let sizes = [weights, 4 * channels, 8 * channels];
    let mut places = [0; 3];
    let mut end = 0;
    for index in (0..3).filter(|&index| index != last).chain([last]) {
        places[index] = end;
        end = (end + sizes[index]).next_multiple_of(if index == last { 1 } else { 4 });
    }
    let [weights, bias, multipliers] = places;
    let stage =
        OutputStage { bias, multipliers, multiplier_count: channels, zero_point: 0, min: -128, max: 127 };
    (weights, stage, end as usize)
}

/// A window that keeps the image's size.
fn same(height: u32, width: u32, kernel: u32) -> Window {
    Window {
        in_h: height,
        in_w: width,
        out_h: height,
        out_w: width,
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: kernel / 2,
        pad_left: kernel / 2,
    }
}

/// Windows: pointwise, with padding, with strides, of one row, with more output than input.
fn windows() -> [(&'static str, Window); 6] {
    [
        ("pointwise", same(3, 5, 1)),
        ("3x3", same(4, 6, 3)),
        ("5x5 deep padding", Window { pad_top: 4, pad_left: 3, ..same(7, 5, 5) }),
        ("strides", Window { out_h: 3, out_w: 2, stride_h: 2, stride_w: 3, ..same(5, 6, 3) }),
        ("taller", Window { in_h: 4, in_w: 3, pad_top: 9, pad_left: 5, ..same(9, 8, 3) }),
        ("valid", Window { out_h: 4, out_w: 3, pad_top: 0, pad_left: 0, ..same(6, 5, 3) }),
    ]
}

fn conv(
    name: &str,
    window: Window,
    channels: (u32, u32),
    groups: u32,
    packing: Packing,
    last: usize,
) -> Case {
    let (in_channels, out_channels) = channels;
    let winograd = packing == Packing::WINOGRAD;
    let bytes = if winograd {
        4 * Filters::words(out_channels, in_channels).expect("fits")
    } else {
        let line = window.kernel_w * in_channels / groups;
        Shape { packing, channels: out_channels, lines: window.kernel_h, line }.bytes().expect("fits")
    };
    let (weights, stage, end) = layout(bytes, out_channels, last);
    let params = Conv2dParams {
        window,
        batches: 1,
        in_channels,
        out_channels,
        groups,
        input_zero_point: 5,
        packing: packing.tag(),
        weights,
        stage,
    };
    let (code, scratch) = match winograd {
        true => (OpCode::Conv2dWinograd, conv_2d_winograd::scratch_bytes(&params)),
        false => (OpCode::Conv2d, conv_2d::scratch_bytes(&params)),
    };
    let operands = images(&window, in_channels, out_channels);
    let name = format!("{} {name}, {:?}", code.name(), packing.order);
    let mut case = case(&name, code, words(params), operands, 1);
    (case.constants, case.scratch) = (vec![0; end], scratch.expect("fits"));
    case
}

/// The same op for two images.
fn of_two(mut case: Case) -> Case {
    case.name += ", two images";
    // The word after the window.
    case.params[12] = 2;
    case.operands.iter_mut().for_each(|operand| operand.bytes *= 2);
    case
}

fn images(window: &Window, in_channels: u32, out_channels: u32) -> Vec<Operand> {
    let w = window;
    vec![Operand::int8(w.in_h * w.in_w * in_channels), Operand::int8(w.out_h * w.out_w * out_channels)]
}

fn depthwise(
    name: &str,
    window: Window,
    channels: u32,
    multiplier: u32,
    packing: Packing,
    blocks: bool,
) -> Case {
    let taps = window.kernel_h * window.kernel_w;
    let shape = Shape { packing, channels: channels * multiplier, lines: 1, line: taps };
    let (weights, stage, end) = layout(shape.bytes().expect("fits"), channels * multiplier, 0);
    let params = DepthwiseConv2dParams {
        window,
        batches: 1,
        in_channels: channels,
        multiplier,
        input_zero_point: -128,
        packing: packing.tag(),
        weights,
        stage,
    };
    let (code, scratch) = match blocks {
        true => (OpCode::Depthwise3x3, depthwise_3x3::scratch_bytes(&params)),
        false => (OpCode::DepthwiseConv2d, depthwise_conv_2d::scratch_bytes(&params)),
    };
    let operands = images(&window, channels, channels * multiplier);
    let mut case =
        case(&format!("{} {name}, {:?}", code.name(), packing.order), code, words(params), operands, 1);
    (case.constants, case.scratch) = (vec![0; end], scratch.expect("fits"));
    case
}

fn dense(rows: u32, inputs: u32, outputs: u32, packing: Packing, last: usize) -> Case {
    let shape = Shape { packing, channels: outputs, lines: 1, line: inputs };
    let (weights, stage, end) = layout(shape.bytes().expect("fits"), outputs, last);
    let params = FullyConnectedParams { rows, inputs, outputs, packing: packing.tag(), weights, stage };
    let operands = vec![Operand::int8(rows * inputs), Operand::int8(rows * outputs)];
    let name = format!("fully_connected {rows}x{inputs}x{outputs}, {:?}", packing.order);
    let mut case = case(&name, OpCode::FullyConnected, words(params), operands, 1);
    case.constants = vec![0; end];
    case
}

fn transposed(name: &str, window: Window, channels: (u32, u32)) -> Case {
    let (in_channels, out_channels) = channels;
    let taps = window.kernel_h.max(window.stride_h) * window.kernel_w.max(window.stride_w);
    let phases = window.stride_h * window.stride_w;
    let (weights, mut stage, _) = layout(taps * in_channels * out_channels, out_channels, 1);
    stage.bias = stage.bias.next_multiple_of(4);
    let params = TransposeConvParams {
        window,
        batches: 1,
        in_channels,
        out_channels,
        input_zero_point: 127,
        packing: 0,
        weights,
        stage,
    };
    let code = OpCode::TransposeConv;
    let mut case = case(
        &format!("transpose_conv {name}"),
        code,
        words(params),
        images(&window, in_channels, out_channels),
        1,
    );
    case.constants = vec![0; (stage.bias + 4 * phases * out_channels) as usize];
    case.scratch = transpose_conv::scratch_bytes(&params).expect("fits");
    case
}

/// The packings of all targets. With chunks, the number of chunks is a number in the file.
fn packings(of: fn(&Policy) -> Packing) -> Vec<Packing> {
    let policies =
        [Policy::ARMV7EM, Policy::MVE, Policy::ARMV7M, Policy::ARMV6M, Policy::RV32IM, Policy::HOST];
    let mut packings: Vec<Packing> = policies.iter().map(of).collect();
    packings.sort_by_key(|packing| packing.tag());
    packings.dedup();
    packings.retain(|packing| *packing != Packing::PLAIN);
    let number = |packing| if packing == Packing::chunks(0) { Packing::chunks(3) } else { packing };
    packings.into_iter().map(number).collect()
}

pub fn plain_convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, (name, window)) in windows().into_iter().enumerate() {
        cases.push(conv(name, window, (3, 5), 1, Packing::PLAIN, index % 3));
        cases.push(conv(&format!("{name}, narrow"), window, (5, 3), 1, Packing::PLAIN, 0));
    }
    for window in [same(4, 4, 1), same(3, 5, 1), same(4, 3, 3)] {
        cases.push(of_two(conv("same", window, (3, 5), 1, Packing::PLAIN, 0)));
    }
    cases.push(conv("groups", same(3, 3, 3), (4, 6), 2, Packing::PLAIN, 0));
    cases.push(conv("groups of one", same(4, 2, 1), (3, 3), 3, Packing::PLAIN, 0));
    cases
}

pub fn packed_convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, packing) in packings(|policy| policy.conv).into_iter().enumerate() {
        for (index, (name, window)) in windows().into_iter().enumerate() {
            // All windows with one packing, and two of them with each of the others.
            if number == 0 || index < 2 {
                cases.push(conv(name, window, (3, 5), 1, packing, (index + number) % 3));
            }
        }
        if number == 0 {
            for window in [same(4, 4, 1), same(3, 5, 1), same(4, 3, 3)] {
                cases.push(of_two(conv("same", window, (3, 5), 1, packing, 0)));
                cases.push(of_two(conv("narrow", window, (5, 3), 1, packing, 0)));
            }
        }
    }
    cases
}

pub fn depthwise_convolutions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, window) in windows() {
        cases.push(depthwise(name, window, 6, 1, Packing::PLAIN, false));
        cases.push(depthwise(&format!("{name}, twice"), window, 2, 2, Packing::PLAIN, false));
    }
    cases.push(of_two(depthwise("same", same(3, 2, 3), 4, 1, Packing::PLAIN, false)));
    cases.push(of_two(depthwise("same", same(3, 2, 3), 4, 1, Packing::blocks(1, 1, 1), false)));
    for (number, packing) in packings(|policy| policy.depthwise).into_iter().enumerate() {
        for (index, (name, window)) in windows().into_iter().enumerate() {
            if number == 0 || index == 1 {
                cases.push(depthwise(name, window, 6, 1, packing, false));
            }
        }
    }
    cases
}

pub fn dense_layers() -> Vec<Case> {
    let mut cases = vec![dense(3, 1, 1, Packing::PLAIN, 2), dense(1, 7, 5, Packing::PLAIN, 0)];
    for packing in packings(|policy| policy.dense) {
        cases.push(dense(1, 7, 5, packing, 0));
        cases.push(dense(2, 8, 8, packing, 1));
    }
    cases
}

pub fn convolutions_by_tiles() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, height, width, channels) in
        [("narrow", 4, 5, (8, 6)), ("wide", 3, 20, (4, 4)), ("eight", 5, 8, (4, 2)), ("nine", 5, 9, (4, 8))]
    {
        cases.push(conv(name, same(height, width, 3), channels, 1, Packing::WINOGRAD, 0));
    }
    let off_centre = Window { pad_top: 2, pad_left: 0, ..same(4, 11, 3) };
    cases.push(conv("off centre", off_centre, (4, 4), 1, Packing::WINOGRAD, 2));
    let smaller = Window { out_h: 2, out_w: 9, pad_top: 0, pad_left: 1, ..same(4, 9, 3) };
    cases.push(conv("smaller", smaller, (4, 4), 1, Packing::WINOGRAD, 1));
    for (name, out_h, out_w) in [("taller", 7, 6), ("broader", 5, 8), ("larger", 6, 7), ("lower", 3, 8)] {
        let window = Window { out_h, out_w, pad_top: 2, pad_left: 2, ..same(5, 6, 3) };
        cases.push(conv(name, window, (8, 4), 1, Packing::WINOGRAD, 0));
    }
    cases.push(of_two(conv("same", same(4, 4, 3), (4, 4), 1, Packing::WINOGRAD, 0)));
    cases
}

pub fn depthwise_by_strips() -> Vec<Case> {
    let off_centre = Window { pad_top: 2, pad_left: 0, ..same(4, 5, 3) };
    [("same", same(3, 2, 3), 4), ("off centre", off_centre, 8)]
        .map(|(name, window, channels)| depthwise(name, window, channels, 1, depthwise_3x3::PACKING, true))
        .into()
}

pub fn transposed_convolutions() -> Vec<Case> {
    let grows = Window { in_h: 3, in_w: 2, out_h: 6, out_w: 6, stride_h: 2, stride_w: 3, ..same(3, 2, 3) };
    let steps = Window {
        in_h: 2,
        in_w: 3,
        out_h: 6,
        out_w: 5,
        stride_h: 3,
        stride_w: 1,
        pad_top: 0,
        ..same(2, 3, 2)
    };
    vec![transposed("grows", grows, (3, 2)), transposed("steps above the kernel", steps, (1, 4))]
}

pub fn pools() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, window) in windows() {
        // Every window must overlap the image.
        if window.pad_top >= window.kernel_h {
            continue;
        }
        let params = Pool2dParams { window, batches: 1, channels: 3, min: -128, max: 127 };
        for code in [OpCode::AveragePool2d, OpCode::MaxPool2d] {
            cases.push(case(
                &format!("{} {name}", code.name()),
                code,
                words(params),
                images(&window, 3, 3),
                1,
            ));
        }
    }
    let last = Window { out_h: 3, pad_top: 2, in_h: 4, stride_h: 2, ..same(4, 4, 3) };
    let params = Pool2dParams { window: last, batches: 1, channels: 1, min: 0, max: 6 };
    cases.push(case("max_pool_2d last cell", OpCode::MaxPool2d, words(params), images(&last, 1, 1), 1));
    let two = Pool2dParams { window: same(2, 2, 1), batches: 2, channels: 1, min: -5, max: -5 };
    let operands = vec![Operand::int8(8); 2];
    cases.push(case("average_pool_2d of two images", OpCode::AveragePool2d, words(two), operands, 1));
    cases
}

pub fn elementwise() -> Vec<Case> {
    let mut cases = Vec::new();
    let multiplier = Multiplier { mantissa: 1 << 30, shift: -3 };
    let term = Term { zero_point: 3, multiplier };
    let sum = Sum { a: term, b: term, sign: 1, multiplier, zero_point: -4, min: -128, max: 127 };
    let product =
        Product { a_zero_point: 1, b_zero_point: -1, multiplier, zero_point: 2, min: -128, max: 127 };
    for (name, repeat_a, repeat_b, a, b) in [
        ("equal", 0, 0, 24, 24),
        ("row", 0, 0b10000, 24, 6),
        ("crossed", 0b100000, 0b011000, 8, 3),
        ("single", 0b1, 0b1, 24, 24),
    ] {
        let shape = Broadcast { dims: [1, 1, 1, 2, 4, 3], repeat_a, repeat_b };
        let operands = vec![Operand::int8(a), Operand::int8(b), Operand::int8(24)];
        let name = |code: OpCode| format!("{} {name}", code.name());
        let mut add = |code: OpCode, params: Vec<u32>| {
            cases.push(case(&name(code), code, params, operands.clone(), 2));
        };
        add(OpCode::Add, words(AddParams { shape, sum }));
        let sum = Weighted { factor_a: 1 << 29, factor_b: -(1 << 28), term: 1 << 21, min: -128, max: 127 };
        add(OpCode::WeightedSum, words(WeightedSumParams { shape, sum }));
        add(OpCode::Mul, words(MulParams { shape, product }));
        add(OpCode::MinMax, words(MinMaxParams { shape, maximum: 1 }));
    }
    let batch = Broadcast { dims: [1, 1, 1, 1, 2, 3], repeat_a: 0, repeat_b: 0b10000 };
    let matmul =
        BatchMatMulParams { batch, rows: 2, depth: 5, columns: 4, transpose_a: 0, transpose_b: 1, product };
    let operands = vec![Operand::int8(60), Operand::int8(60), Operand::int8(48)];
    let mut matmul_case = case("batch_matmul", OpCode::BatchMatMul, words(matmul), operands, 2);
    matmul_case.scratch = batch_matmul::scratch_bytes(&matmul).expect("fits");
    cases.push(matmul_case);
    cases
}

pub fn functions() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lookup = case("lookup", OpCode::Lookup, vec![16], vec![Operand::int8(9); 2], 1);
    lookup.constants = vec![0; 16 + 256];
    cases.push(lookup);
    let softmax = SoftmaxParams { rows: 2, depth: 7, table: 4, entries: 256 };
    let mut softmax = case("softmax", OpCode::Softmax, words(softmax), vec![Operand::int8(14); 2], 1);
    softmax.constants = vec![0; 4 + 4 * 256];
    cases.push(softmax);
    for depth in [8190, 8191] {
        let params = SoftmaxParams { rows: 1, depth, table: 0, entries: 9 };
        let operands = vec![Operand::int8(depth); 2];
        let mut deep = case(&format!("softmax of {depth}"), OpCode::Softmax, words(params), operands, 1);
        deep.constants = vec![0; 36];
        cases.push(deep);
    }
    cases
}

pub fn conversions() -> Vec<Case> {
    let mut cases = Vec::new();
    let of = |dtype: DType| Operand::new(dtype, 6);
    let multiplier = Multiplier { mantissa: 1 << 30, shift: 1 };
    let params = RequantizeParams { input_zero_point: 1, multiplier, zero_point: 2 };
    for (from, to) in [(DType::Int8, DType::Int8), (DType::Int8, DType::Int32), (DType::Int16, DType::UInt8)]
    {
        let name = format!("requantize {from:?} to {to:?}");
        cases.push(case(&name, OpCode::Requantize, words(params), vec![of(from), of(to)], 1));
    }
    let (scale, zero_point) = (0.5, 3);
    for dtype in [DType::Int8, DType::Int32] {
        let name = format!("{dtype:?}");
        let (real, integer) = (of(DType::Float32), of(dtype));
        let params = words(QuantizeParams { scale, zero_point });
        cases.push(case(&format!("quantize {name}"), OpCode::Quantize, params, vec![real, integer], 1));
        let params = words(DequantizeParams { scale, zero_point });
        cases.push(case(&format!("dequantize {name}"), OpCode::Dequantize, params, vec![integer, real], 1));
    }
    for dtype in [DType::Int32, DType::Int64] {
        let params = ArgMinMaxParams { outer: 2, count: 3, inner: 4, largest: 1 };
        let operands = vec![Operand::int8(24), Operand::new(dtype, 8)];
        cases.push(case(&format!("arg_min_max {dtype:?}"), OpCode::ArgMinMax, words(params), operands, 1));
    }
    cases
}

pub fn movement() -> Vec<Case> {
    let mut cases = Vec::new();
    let [one, none] = [CopyDim { count: 1, source_stride: 0, target_stride: 0 }; 2];
    let head = [0u32, 0, 0];
    let whole = CopySegment { input: 0, output: 0, run: 12, source: 0, target: 0, dims: [one; 5] };
    let turned = CopySegment {
        run: 1,
        source: 9,
        target: 0,
        dims: [
            none,
            one,
            one,
            CopyDim { count: 3, source_stride: 1, target_stride: 4 },
            CopyDim { count: 4, source_stride: -3, target_stride: 1 },
        ],
        ..whole
    };
    for (name, segments) in [
        ("whole", vec![whole]),
        ("turned", vec![turned]),
        (
            "halves",
            vec![CopySegment { run: 6, ..whole }, CopySegment { run: 6, source: 6, target: 6, ..whole }],
        ),
    ] {
        let params = [&head[..], cast_slice(&segments)].concat();
        cases.push(case(
            &format!("strided_copy {name}"),
            OpCode::StridedCopy,
            params,
            vec![Operand::int8(12); 2],
            1,
        ));
    }
    let dim = |count: u32, stride: u32| ReduceDim { count, stride };
    let shape =
        Reduction { kept: [dim(1, 0), dim(2, 12), dim(3, 1)], reduced: [dim(1, 0), dim(1, 7), dim(4, 3)] };
    let reduced = vec![Operand::int8(24), Operand::int8(6)];
    let multiplier = Multiplier { mantissa: 1 << 30, shift: -31 };
    let params = words(ReduceParams { shape, bias: 7, multiplier, zero_point: 9 });
    cases.push(case("reduce", OpCode::Reduce, params, reduced.clone(), 1));
    let params = words(ReduceMinMaxParams { shape, largest: 0 });
    cases.push(case("reduce_min_max", OpCode::ReduceMinMax, params, reduced, 1));
    let gather = GatherParams { batch: 2, outer: 3, count: 4, run: 5, indices: 2 };
    let operands = vec![Operand::int8(120), Operand::new(DType::Int32, 4), Operand::int8(60)];
    cases.push(case("gather", OpCode::Gather, words(gather), operands.clone(), 2));
    let mut fixed = case("gather from constants", OpCode::Gather, words(gather), operands, 2);
    (fixed.operands[0].constant, fixed.operands[1].constant) = (Some(0), Some(120));
    fixed.constants = vec![0; 136];
    cases.push(fixed);
    let delay = DelayLineParams { step: 6, window: 20 };
    let operands = vec![Operand::int8(6), Operand::int8(24), Operand::int8(20)];
    let mut delay = case("delay_line", OpCode::DelayLine, words(delay), operands, 2);
    delay.operands[1].state = true;
    cases.push(delay);
    let params =
        ResizeNearestParams { batches: 2, in_h: 2, in_w: 3, out_h: 3, out_w: 4, pixel_bytes: 2, table: 2 };
    let operands = vec![Operand::int8(24), Operand::int8(48)];
    let mut nearest = case("resize_nearest", OpCode::ResizeNearest, words(params), operands, 1);
    nearest.constants = cast_slice(&[0u16, 0, 1, 1, 0, 2, 2, 1]).to_vec();
    cases.push(nearest);
    let params = ResizeBilinearParams {
        batches: 1,
        in_h: 2,
        in_w: 3,
        out_h: 4,
        out_w: 5,
        channels: 2,
        scale_h: 512,
        scale_w: 614,
        start_h: -256,
        start_w: 0,
    };
    let operands = vec![Operand::int8(12), Operand::int8(40)];
    cases.push(case("resize_bilinear", OpCode::ResizeBilinear, words(params), operands, 1));
    let params = ResizeBilinearParams {
        in_h: 1,
        in_w: 1,
        channels: 1,
        scale_h: 0,
        scale_w: 0,
        start_h: -1023,
        ..params
    };
    let operands = vec![Operand::int8(1), Operand::int8(20)];
    cases.push(case("resize_bilinear of a pixel", OpCode::ResizeBilinear, words(params), operands, 1));
    cases
}

/// Two ops of each operator that has none in the families above, made by the operator's own file.
pub fn others(listed: &[Case]) -> Vec<Case> {
    let rest = OpCode::ALL.iter().filter(|&&code| listed.iter().all(|case| case.code != code));
    let rest = rest.filter(|&&code| ferrolite_runtime::cases::Case::is_alone(code));
    let cases = rest.flat_map(|&code| [1, 2].map(|number| (code, number))).map(|(code, number)| {
        let any = ops::case(code, &mut Random(1000 * number + code as u64));
        let (mut constants, mut operands) = (any.constants, Vec::new());
        for input in &any.inputs {
            let mut operand = Operand::new(input.dtype, 0);
            operand.bytes = input.data.len() as u32;
            operand.state = input.storage == Storage::State;
            if input.storage == Storage::Constant {
                constants.resize(constants.len().next_multiple_of(16), 0);
                operand.constant = Some(constants.len() as u32);
                constants.extend(&input.data);
            }
            operands.push(operand);
        }
        operands
            .extend(any.outputs.iter().map(|&(dtype, bytes)| Operand { bytes, ..Operand::new(dtype, 0) }));
        let name = format!("{} {number}", code.name());
        let found = case(&name, code, any.params, operands, any.inputs.len());
        Case { constants, scratch: any.scratch, ..found }
    });
    cases.collect()
}

/// Invalid ops, each with the letter of its fault. Their sizes agree.
pub fn unsound() -> Vec<(Case, char)> {
    let large = |kernel_h, kernel_w| Window { kernel_h, kernel_w, pad_top: 0, pad_left: 0, ..same(1, 1, 1) };
    // An op that overflows has small weights: as many as its size would be after the overflow.
    let changed = |mut case: Case, window: Window, channels: &[u32], elements: [u32; 2]| {
        case.name = format!("{} with {window:?} and {channels:?} channels", case.name);
        case.params[..12].copy_from_slice(cast_slice(&[window]));
        case.params[13..13 + channels.len()].copy_from_slice(channels);
        case.operands = elements.map(Operand::int8).to_vec();
        case.scratch = 1 << 16;
        case
    };
    let mut cases = Vec::new();
    for (inputs, outputs) in [(2, 4), (5, 4), (6, 4), (4, 3), (1, 2)] {
        cases.push((conv("odd channels", same(3, 3, 3), (inputs, outputs), 1, Packing::WINOGRAD, 0), 'p'));
    }
    let strips = depthwise_3x3::PACKING;
    for channels in [1, 2, 5, 6, 7] {
        cases.push((depthwise("odd channels", same(3, 3, 3), channels, 1, strips, true), 'p'));
    }
    let small = Window { out_h: 2, ..same(3, 4, 3) };
    cases.push((depthwise("lower", small, 4, 1, strips, true), 'p'));
    cases.push((depthwise("narrower", Window { out_w: 3, ..same(3, 4, 3) }, 4, 1, strips, true), 'p'));
    cases.push((depthwise("of one column", same(3, 1, 3), 4, 1, strips, true), 'p'));
    cases.push((of_two(depthwise("same", same(3, 3, 3), 4, 1, strips, true)), 'p'));

    let plain = conv("of a pixel", same(1, 1, 1), (1, 1), 1, Packing::PLAIN, 0);
    let most = 1 << 16;
    cases.push((changed(plain.clone(), large(most, most), &[1, 1], [1, 1]), 'p'));
    cases.push((changed(plain.clone(), large(most, 1), &[most, 1], [most, 1]), 'p'));
    cases.push((changed(plain, large(256, 256), &[256, 256], [256, 256]), 'p'));
    for packing in [Packing::filled(4, 16, 1), Packing::pairs(2, 2), Packing::blocks(4, 1, 1)] {
        let packed = conv("of a pixel", same(1, 1, 1), (1, 1), 1, packing, 0);
        cases.push((changed(packed.clone(), large(1, most), &[most, 1], [most, 1]), 'p'));
        cases.push((changed(packed.clone(), large(most, 1), &[most, 1], [most, 1]), 'p'));
        cases.push((changed(packed, large(256, 256), &[256, 256], [256, 256]), 'p'));
    }
    let plain = depthwise("of a pixel", same(1, 1, 1), 1, 1, Packing::PLAIN, false);
    cases.push((changed(plain.clone(), large(most, most), &[1, 1], [1, 1]), 'p'));
    cases.push((changed(plain.clone(), large(most, 256), &[256, 1], [256, 256]), 'p'));
    cases.push((changed(plain, large(1, 1), &[most, most], [most, 1]), 'p'));
    let packed = depthwise("of a pixel", same(1, 1, 1), 1, 1, Packing::blocks(1, 1, 1), false);
    cases.push((changed(packed.clone(), large(most, most), &[1, 1], [1, 1]), 'p'));
    cases.push((changed(packed, large(most, 256), &[256, 1], [256, 256]), 'p'));
    // The size is checked before the place.
    let packed = conv("of a pixel", same(1, 1, 1), (1, 1), 1, Packing::blocks(4, 1, 1), 0);
    let mut nowhere = changed(packed, large(1, most), &[most, 1], [most, 1]);
    nowhere.params[18] = u32::MAX;
    cases.push((nowhere, 'p'));
    // Nine weights for each of so many channels are 2^32 + 32 bytes, which are counted in words.
    let many = 477_218_592;
    let mut strip = depthwise("of many", same(1, 2, 3), 4, 1, strips, true);
    strip.params[13] = many;
    strip.operands = vec![Operand::int8(2 * many); 2];
    strip.in_place = true;
    cases.push((strip, 'c'));
    let turned = transposed("of a pixel", same(1, 1, 1), (1, 1));
    cases.push((changed(turned.clone(), large(most, most), &[1, 1], [1, 1]), 'p'));
    cases.push((changed(turned.clone(), large(most, 1), &[most, 1], [most, 1]), 'p'));
    cases.push((changed(turned, large(256, 256), &[256, 256], [256, 256]), 'p'));

    let mut wide = dense(1, 1, 1, Packing::PLAIN, 0);
    (wide.params[1], wide.params[2]) = (most, most);
    wide.operands = vec![Operand::int8(most); 2];
    cases.push((wide, 'p'));

    // Rings of packed convolutions whose rows, or whose number of rows, overflow.
    let packed = conv("of a pixel", same(1, 1, 1), (1, 1), 1, Packing::blocks(4, 1, 1), 0);
    let broad = |kernel_h, kernel_w, stride_w| Window { out_w: most, stride_w, ..large(kernel_h, kernel_w) };
    for (window, channels) in [(broad(1, 1, 4096), 17), (broad(most, 1, 1), 1), (broad(1, 4095, 4096), 16)] {
        let mut wide = changed(packed.clone(), window, &[channels, 1], [channels, most]);
        wide.constants.resize(1 << 20, 0);
        wide.scratch = 1 << 29;
        cases.push((wide, 'p'));
    }

    // There are no multipliers: they would be after the last constant.
    let mut none = dense(1, 4, 4, Packing::PLAIN, 0);
    (none.params[6], none.params[7]) = (none.constants.len() as u32, 0);
    cases.push((none, 'p'));

    let many = (1 << 29) + 8;
    let params = words(ArgMinMaxParams { outer: 1, count: 1, inner: many, largest: 1 });
    let operands = vec![Operand::int8(many), Operand::new(DType::Int64, 8)];
    cases.push((case("arg_min_max of many", OpCode::ArgMinMax, params, operands, 1), 's'));
    cases
}
