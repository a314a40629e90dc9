//! One op of each operator, of any shape that its check accepts: small, with random numbers for which the outputs
//! depend on all of the inputs.

use bytemuck::Pod;
use ferrolite_runtime::kernels::policy;
use ferrolite_runtime::ops::{
    batch_matmul, conv_2d, conv_2d_winograd, delay_line, depthwise_3x3, depthwise_conv_2d, transpose_conv,
};
use ferrolite_runtime::packing::{Order, Packing, Shape};
use ferrolite_runtime::params::{
    AddParams, ArgMinMaxParams, BatchMatMulParams, Broadcast, Conv2dParams, CopyDim, CopySegment,
    CumsumParams, DelayLineParams, DepthwiseConv2dParams, DequantizeParams, FullyConnectedParams,
    GatherParams, LookupParams, MinMaxParams, MulParams, Multiplier, OutputStage, Pool2dParams, Product,
    QuantizeParams, ReduceDim, ReduceMinMaxParams, ReduceParams, Reduction, RequantizeParams,
    ResizeBilinearParams, ResizeNearestParams, SoftmaxParams, StridedCopyParams, Sum, Term,
    TransposeConvParams, Window,
};
use ferrolite_runtime::{DType, OpCode, Rounding, Target, winograd};

use ferrolite_schema::Storage;

use super::packed::Random;

/// An operand and its data.
#[derive(Clone, Debug)]
pub struct Operand {
    pub dtype: DType,
    pub data: Vec<u8>,
    pub storage: Storage,
}

/// One op with all that it needs.
#[derive(Clone, Debug)]
pub struct Case {
    pub code: OpCode,
    /// Its parameters, for messages.
    pub what: String,
    pub params: Vec<u32>,
    pub constants: Vec<u8>,
    pub inputs: Vec<Operand>,
    /// Both inputs are one tensor.
    pub twice: bool,
    /// Types and sizes in bytes.
    pub outputs: Vec<(DType, u32)>,
    pub scratch: u32,
    pub rounding: Rounding,
}

impl Case {
    /// Any op of an operator. Whoever adds an operator adds its cases here.
    pub fn new(code: OpCode, random: &mut Random) -> Case {
        match code {
            OpCode::Conv2d => conv(random),
            OpCode::DepthwiseConv2d => depthwise(random),
            OpCode::FullyConnected => dense(random),
            OpCode::TransposeConv => transposed(random),
            OpCode::BatchMatMul => matmul(random),
            OpCode::AveragePool2d | OpCode::MaxPool2d => pool(code, random),
            OpCode::Add => add(random),
            OpCode::Mul => mul(random),
            OpCode::MinMax => min_max(random),
            OpCode::Lookup => lookup(random),
            OpCode::Softmax => softmax(random),
            OpCode::StridedCopy => copy(random),
            OpCode::Reduce | OpCode::ReduceMinMax => reduce(code, random),
            OpCode::ResizeNearest => nearest(random),
            OpCode::ResizeBilinear => bilinear(random),
            OpCode::Quantize => quantize(random),
            OpCode::Dequantize => dequantize(random),
            OpCode::ArgMinMax => arg_min_max(random),
            OpCode::Requantize => requantize(random),
            OpCode::Conv2dWinograd => conv_by_tiles(random),
            OpCode::Depthwise3x3 => depthwise_by_blocks(random),
            OpCode::Gather => gather(random),
            OpCode::DelayLine => delay_line(random),
            OpCode::Cumsum => cumsum(random),
        }
    }

    fn of<P: Pod + std::fmt::Debug>(code: OpCode, params: &P, constants: Constants) -> Case {
        Case {
            code,
            what: format!("{params:?}"),
            params: bytemuck::cast_slice(bytemuck::bytes_of(params)).to_vec(),
            constants: constants.0,
            inputs: Vec::new(),
            twice: false,
            outputs: Vec::new(),
            scratch: 0,
            rounding: Rounding::Double,
        }
    }

    /// With an int8 input and an int8 output of these sizes.
    fn int8(self, random: &mut Random, input: u32, output: u32) -> Case {
        self.input(random, DType::Int8, input).output(DType::Int8, output)
    }

    /// With one more input, of random bytes.
    fn input(mut self, random: &mut Random, dtype: DType, bytes: u32) -> Case {
        let data = random.elements(bytes as usize).into_iter().map(|x| x as u8).collect();
        self.inputs.push(Operand { dtype, data, storage: Storage::Arena });
        self
    }

    fn output(mut self, dtype: DType, bytes: u32) -> Case {
        self.outputs.push((dtype, bytes));
        self
    }

    fn scratch(self, bytes: Option<u32>) -> Case {
        Case { scratch: bytes.expect("it is small"), ..self }
    }

    fn rounding(self, random: &mut Random) -> Case {
        Case { rounding: [Rounding::Double, Rounding::Single][random.below(2)], ..self }
    }
}

/// The constants of a file.
#[derive(Default)]
struct Constants(Vec<u8>);

impl Constants {
    fn push<T: Pod>(&mut self, elements: &[T]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(16), 0);
        let offset = self.0.len();
        self.0.extend_from_slice(bytemuck::cast_slice(elements));
        offset as u32
    }

    /// An output stage for sums of `depth` products, whose outputs are of any size and seldom at a limit.
    fn stage(&mut self, random: &mut Random, depth: u32, channels: u32) -> OutputStage {
        self.stage_with_biases(random, depth, channels, channels)
    }

    fn stage_with_biases(
        &mut self,
        random: &mut Random,
        depth: u32,
        channels: u32,
        biases: u32,
    ) -> OutputStage {
        let bias: Vec<i32> = (0..biases).map(|_| i32::from(random.element()) * 16).collect();
        let count = if random.below(3) == 0 { 1 } else { channels };
        let multipliers: Vec<Multiplier> =
            (0..count).map(|_| factor(random, -7 - depth.ilog2().div_ceil(2) as i32)).collect();
        OutputStage {
            bias: self.push(&bias),
            multipliers: self.push(&multipliers),
            multiplier_count: count,
            zero_point: i32::from(random.element()) / 8,
            min: -128,
            max: 127,
        }
    }

    /// Packed or plain weights.
    fn weights(&mut self, random: &mut Random, shape: Shape) -> u32 {
        if shape.packing == Packing::PLAIN {
            let count = shape.channels * shape.lines * shape.line;
            return self.push(&random.elements(count as usize));
        }
        let words = random.padded_matrix(shape).words;
        self.push(&words)
    }
}

/// A factor between half of `2^shift` and all of it.
fn factor(random: &mut Random, shift: i32) -> Multiplier {
    Multiplier { mantissa: (1 << 30) + random.below(1 << 30) as i32, shift }
}

fn zero_point(random: &mut Random) -> i32 {
    random.element().into()
}

/// A number of `1 ..= most`.
fn dim(random: &mut Random, most: usize) -> u32 {
    random.up_to(most) as u32
}

/// Plain weights, or the packing of any target for some kind of layer.
fn packing(random: &mut Random, of: fn(Target) -> Packing) -> Packing {
    let packing = of(Target::ALL[random.below(Target::ALL.len())]);
    match packing.order {
        Order::Chunks => Packing::chunks(random.up_to(20) as u8),
        _ => packing,
    }
}

/// Any window over small images, sensible or not; of every four, one reads its own pixel only and one keeps the
/// image's size.
fn window(random: &mut Random) -> Window {
    let mut next = |most: usize| dim(random, most);
    let mut window = Window {
        in_h: next(7),
        in_w: next(6),
        out_h: next(7),
        out_w: next(6),
        kernel_h: next(4),
        kernel_w: next(4),
        stride_h: next(3),
        stride_w: next(3),
        dilation_h: 1,
        dilation_w: 1,
        pad_top: next(6) - 1,
        pad_left: next(6) - 1,
    };
    let kind = random.below(4);
    if kind < 2 {
        (window.out_h, window.out_w, window.stride_h, window.stride_w) = (window.in_h, window.in_w, 1, 1);
    }
    if kind == 0 {
        (window.kernel_h, window.kernel_w, window.pad_top, window.pad_left) = (1, 1, 0, 0);
    }
    window
}

fn sizes(window: &Window, batches: u32, in_channels: u32, out_channels: u32) -> (u32, u32) {
    let w = window;
    (batches * w.in_h * w.in_w * in_channels, batches * w.out_h * w.out_w * out_channels)
}

fn batches(random: &mut Random) -> u32 {
    if random.below(2) == 0 { 1 } else { dim(random, 3) }
}

fn conv(random: &mut Random) -> Case {
    let (mut window, batches) = (window(random), batches(random));
    let packing = packing(random, |target| policy(target).conv);
    let (mut groups, mut in_channels, mut out_channels) = (1, dim(random, 8), dim(random, 8));
    if packing == Packing::PLAIN {
        if random.below(3) == 0 {
            groups = dim(random, 3);
            (in_channels, out_channels) = (groups * dim(random, 3), groups * dim(random, 3));
        }
        (window.dilation_h, window.dilation_w) = (dim(random, 2), dim(random, 2));
    }
    let line = window.kernel_w * in_channels / groups;
    let shape = Shape { packing, channels: out_channels, lines: window.kernel_h, line };
    let mut constants = Constants::default();
    let p = Conv2dParams {
        window,
        batches,
        in_channels,
        out_channels,
        groups,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        weights: constants.weights(random, shape),
        stage: constants.stage(random, window.kernel_h * line, out_channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2d, &p, constants).int8(random, input, output);
    case.scratch(conv_2d::scratch_bytes(&p))
}

fn conv_by_tiles(random: &mut Random) -> Case {
    let (kept, batches) = (window(random), batches(random));
    let [kernel_h, kernel_w] = [3; 2];
    let window = Window { kernel_h, kernel_w, stride_h: 1, stride_w: 1, ..kept };
    // Also rows of more than one step of tiles.
    let window = if random.below(2) == 0 { Window { in_w: 19, out_w: 19, ..window } } else { window };
    let (in_channels, out_channels) = (4 * dim(random, 2), 2 * dim(random, 4));
    let mut constants = Constants::default();
    let (mut filters, _) = random.filters(in_channels, out_channels);
    // Anything in place of the zeroes that fill up the channels.
    for output in 0..out_channels {
        for input in in_channels..winograd::padded_inputs(in_channels).expect("it is small") {
            for slot in 0..winograd::SLOTS {
                let at = winograd::place(in_channels, output, slot, input);
                filters[at / 2] |= (random.next() & 0xFFFF) << (16 * (at % 2));
            }
        }
    }
    let p = Conv2dParams {
        window,
        batches,
        in_channels,
        out_channels,
        groups: 1,
        input_zero_point: zero_point(random),
        packing: Packing::WINOGRAD.tag(),
        weights: constants.push(&filters),
        stage: constants.stage(random, 9 * in_channels, out_channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::Conv2dWinograd, &p, constants).int8(random, input, output);
    case.scratch(conv_2d_winograd::scratch_bytes(&p))
}

fn depthwise(random: &mut Random) -> Case {
    let (mut window, batches) = (window(random), batches(random));
    let packing = packing(random, |target| policy(target).depthwise);
    let (in_channels, mut multiplier) = (dim(random, 9), 1);
    if packing == Packing::PLAIN {
        multiplier = dim(random, 3);
        (window.dilation_h, window.dilation_w) = (dim(random, 2), dim(random, 2));
    }
    let taps = window.kernel_h * window.kernel_w;
    let channels = in_channels * multiplier;
    let mut constants = Constants::default();
    let p = DepthwiseConv2dParams {
        window,
        batches,
        in_channels,
        multiplier,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        weights: constants.weights(random, Shape { packing, channels, lines: 1, line: taps }),
        stage: constants.stage(random, taps, channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, channels);
    let case = Case::of(OpCode::DepthwiseConv2d, &p, constants).int8(random, input, output);
    case.scratch(depthwise_conv_2d::scratch_bytes(&p))
}

fn depthwise_by_blocks(random: &mut Random) -> Case {
    let (in_h, in_w, channels) = (dim(random, 6), 1 + dim(random, 7), 4 * dim(random, 4));
    let [pad_top, pad_left] = [(); 2].map(|_| random.below(3) as u32);
    let window = Window {
        in_h,
        in_w,
        out_h: in_h,
        out_w: in_w,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top,
        pad_left,
    };
    let mut constants = Constants::default();
    let packing = depthwise_3x3::PACKING;
    let p = DepthwiseConv2dParams {
        window,
        batches: 1,
        in_channels: channels,
        multiplier: 1,
        input_zero_point: zero_point(random),
        packing: packing.tag(),
        weights: constants.weights(random, Shape { packing, channels, lines: 1, line: 9 }),
        stage: constants.stage(random, 9, channels),
    };
    let bytes = in_h * in_w * channels;
    let case = Case::of(OpCode::Depthwise3x3, &p, constants).int8(random, bytes, bytes);
    case.scratch(depthwise_3x3::scratch_bytes(&p))
}

fn dense(random: &mut Random) -> Case {
    let (rows, inputs, outputs) = (dim(random, 3), dim(random, 20), dim(random, 20));
    let packing = packing(random, |target| policy(target).dense);
    let mut constants = Constants::default();
    let p = FullyConnectedParams {
        rows,
        inputs,
        outputs,
        packing: packing.tag(),
        weights: constants.weights(random, Shape { packing, channels: outputs, lines: 1, line: inputs }),
        stage: constants.stage(random, inputs, outputs),
    };
    Case::of(OpCode::FullyConnected, &p, constants).int8(random, rows * inputs, rows * outputs)
}

fn transposed(random: &mut Random) -> Case {
    let (window, batches) = (window(random), batches(random));
    let (in_channels, out_channels) = (dim(random, 5), dim(random, 5));
    let taps = window.kernel_h.max(window.stride_h) * window.kernel_w.max(window.stride_w);
    let phases = window.stride_h * window.stride_w;
    let mut constants = Constants::default();
    let weights = random.elements((taps * in_channels * out_channels) as usize);
    let depth = taps * in_channels;
    let p = TransposeConvParams {
        window,
        batches,
        in_channels,
        out_channels,
        input_zero_point: zero_point(random),
        packing: 0,
        weights: constants.push(&weights),
        stage: constants.stage_with_biases(random, depth, out_channels, phases * out_channels),
    };
    let (input, output) = sizes(&window, batches, in_channels, out_channels);
    let case = Case::of(OpCode::TransposeConv, &p, constants).int8(random, input, output);
    case.rounding(random).scratch(transpose_conv::scratch_bytes(&p))
}

/// Each window covers a cell of the image.
fn pool(code: OpCode, random: &mut Random) -> Case {
    let mut line = || {
        let (size, kernel, stride) = (dim(random, 7), dim(random, 4), dim(random, 3));
        let pad = random.below(kernel as usize) as u32;
        (size, dim(random, ((size + pad - 1) / stride + 1) as usize), kernel, stride, pad)
    };
    let ((in_h, out_h, kernel_h, stride_h, pad_top), (in_w, out_w, kernel_w, stride_w, pad_left)) =
        (line(), line());
    let window = Window {
        in_h,
        in_w,
        out_h,
        out_w,
        kernel_h,
        kernel_w,
        stride_h,
        stride_w,
        dilation_h: 1,
        dilation_w: 1,
        pad_top,
        pad_left,
    };
    let (batches, channels) = (batches(random), dim(random, 9));
    let p = Pool2dParams { window, batches, channels, min: -128, max: 127 };
    let (input, output) = sizes(&window, batches, channels, channels);
    Case::of(code, &p, Constants::default()).int8(random, input, output)
}

/// Any shape of at most 81 elements, and the elements of both operands.
fn broadcast(random: &mut Random) -> (Broadcast, u32, [u32; 2]) {
    let mut left = 4;
    let dims = [(); 6].map(|_| {
        let dim = if left > 0 && random.below(2) == 0 { dim(random, 3) } else { 1 };
        left -= usize::from(dim > 1);
        dim
    });
    let (mut repeat_a, mut repeat_b) = (random.next() & 63, random.next() & 63);
    match random.below(4) {
        // The most common: one operand has the output's shape, or both have.
        0 => (repeat_a, repeat_b) = (0, 0),
        1 => repeat_a = 0,
        2 => repeat_b = 0,
        _ => repeat_b &= !repeat_a,
    }
    let elements = |mask: u32| {
        let kept = dims.iter().enumerate().filter(|(axis, _)| mask & (1 << axis) == 0);
        kept.map(|(_, &dim)| dim).product()
    };
    (Broadcast { dims, repeat_a, repeat_b }, dims.iter().product(), [elements(repeat_a), elements(repeat_b)])
}

/// With two int8 operands, of which one may be a constant, or which are one tensor.
fn two_operands(case: Case, random: &mut Random, [a, b]: [u32; 2], output: u32) -> Case {
    let mut case = case.input(random, DType::Int8, a).input(random, DType::Int8, b);
    case = case.output(DType::Int8, output);
    match random.below(4) {
        0 => case.inputs[0].storage = Storage::Constant,
        1 => case.inputs[1].storage = Storage::Constant,
        2 if a == b => case.twice = true,
        _ => {}
    }
    case
}

fn add(random: &mut Random) -> Case {
    let (shape, output, operands) = broadcast(random);
    let one = Multiplier { mantissa: 1 << 30, shift: 0 };
    let mut term = || {
        let multiplier = if random.below(2) == 0 { one } else { factor(random, 0) };
        Term { zero_point: zero_point(random), multiplier }
    };
    let (a, b) = (term(), term());
    let sign = [1, -1][random.below(2)];
    let (multiplier, zero_point) = (factor(random, -19), zero_point(random));
    let p = AddParams { shape, sum: Sum { a, b, sign, multiplier, zero_point, min: -128, max: 127 } };
    let case = Case::of(OpCode::Add, &p, Constants::default()).rounding(random);
    two_operands(case, random, operands, output)
}

fn product(random: &mut Random, shift: i32) -> Product {
    Product {
        a_zero_point: zero_point(random),
        b_zero_point: zero_point(random),
        multiplier: factor(random, shift),
        zero_point: zero_point(random) / 8,
        min: -128,
        max: 127,
    }
}

fn mul(random: &mut Random) -> Case {
    let (shape, output, operands) = broadcast(random);
    let p = MulParams { shape, product: product(random, -7) };
    let case = Case::of(OpCode::Mul, &p, Constants::default()).rounding(random);
    two_operands(case, random, operands, output)
}

fn min_max(random: &mut Random) -> Case {
    let (shape, output, operands) = broadcast(random);
    let p = MinMaxParams { shape, maximum: random.below(2) as u32 };
    two_operands(Case::of(OpCode::MinMax, &p, Constants::default()), random, operands, output)
}

fn matmul(random: &mut Random) -> Case {
    let (batch, batches, [of_a, of_b]) = broadcast(random);
    let (rows, depth, columns) = (dim(random, 3), dim(random, 9), dim(random, 3));
    let mut flag = || random.below(2) as u32;
    let (transpose_a, transpose_b) = (flag(), flag());
    let p = BatchMatMulParams {
        batch,
        rows,
        depth,
        columns,
        transpose_a,
        transpose_b,
        product: product(random, -8),
    };
    let case = Case::of(OpCode::BatchMatMul, &p, Constants::default()).rounding(random);
    let operands = [of_a * rows * depth, of_b * depth * columns];
    let case = two_operands(case, random, operands, batches * rows * columns);
    case.scratch(batch_matmul::scratch_bytes(&p))
}

fn lookup(random: &mut Random) -> Case {
    let mut constants = Constants::default();
    let turn = random.next() as u8;
    // Each byte has an answer of its own.
    let table: Vec<u8> = (0..=255u8).map(|x| x.wrapping_mul(77).wrapping_add(turn)).collect();
    let p = LookupParams { table: constants.push(&table) };
    let bytes = dim(random, 70);
    let mut byte = || [DType::Int8, DType::UInt8, DType::Bool][random.below(3)];
    let (from, to) = (byte(), byte());
    Case::of(OpCode::Lookup, &p, constants).input(random, from, bytes).output(to, bytes)
}

fn softmax(random: &mut Random) -> Case {
    let (rows, depth) = (dim(random, 4), dim(random, 20));
    let step = random.up_to(100) as f64 / 2000.0;
    let exp = |d: u32| ((-f64::from(d) * step).exp() * 2f64.powi(31)).min(2147483647.0) as i32;
    let mut constants = Constants::default();
    let entries = dim(random, 256);
    let table: Vec<i32> = (0..entries).map(exp).collect();
    let p = SoftmaxParams { rows, depth, table: constants.push(&table), entries };
    Case::of(OpCode::Softmax, &p, constants).int8(random, rows * depth, rows * depth)
}

/// Boxes of bytes, of any element type.
fn copy(random: &mut Random) -> Case {
    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let element = dtype.size() as u32;
    let (rows, columns, parts) = (dim(random, 5), element * dim(random, 5), dim(random, 3));
    let pattern = [(); 2].map(|_| random.next());
    let fill = u32::from(random.below(8) == 0);
    let box_of = |run: u32, dims: &[(u32, u32, u32)]| {
        let mut all = [CopyDim { count: 1, source_stride: 0, target_stride: 0 }; 5];
        for (dim, &(count, source, target)) in all.iter_mut().rev().zip(dims.iter().rev()) {
            *dim = CopyDim { count, source_stride: source as i32, target_stride: target as i32 };
        }
        CopySegment { run, dims: all, ..CopySegment::default() }
    };
    let bytes = rows * columns;
    let (mut inputs, mut outputs) = (vec![bytes], vec![bytes]);
    let segments = match random.below(5) {
        // All of it.
        0 | 1 => vec![box_of(bytes, &[])],
        // Rows become columns.
        2 => vec![box_of(element, &[(columns / element, element, rows * element), (rows, columns, element)])],
        // Rows side by side.
        3 => {
            inputs = vec![bytes; parts as usize];
            outputs = vec![bytes * parts];
            let part = |i: u32| {
                let part = box_of(columns, &[(rows, columns, columns * parts)]);
                CopySegment { input: i, target: i * columns, ..part }
            };
            (0..parts).map(part).collect()
        }
        // And back.
        _ => {
            inputs = vec![bytes * parts];
            outputs = vec![bytes; parts as usize];
            let part = |i: u32| {
                let part = box_of(columns, &[(rows, columns * parts, columns)]);
                CopySegment { output: i, source: i * columns, ..part }
            };
            (0..parts).map(part).collect()
        }
    };
    let p = StridedCopyParams { fill, pattern };
    let mut case = Case::of(OpCode::StridedCopy, &p, Constants::default());
    case.what = format!("{p:?} {segments:?}");
    case.params.extend_from_slice(bytemuck::cast_slice(&segments));
    for bytes in inputs {
        case = case.input(random, dtype, bytes);
    }
    outputs.into_iter().fold(case, |case, bytes| case.output(dtype, bytes))
}

fn reduce(code: OpCode, random: &mut Random) -> Case {
    let dims = [(); 3].map(|_| dim(random, 5));
    let mask = random.below(8);
    let none = ReduceDim { count: 1, stride: 0 };
    let mut shape = Reduction { kept: [none; 3], reduced: [none; 3] };
    let (mut stride, mut inputs, mut outputs) = (1, 1, 1);
    for axis in (0..3).rev() {
        let own = ReduceDim { count: dims[axis], stride };
        if mask & (1 << axis) == 0 {
            shape.kept[axis] = own;
            outputs *= dims[axis];
        } else {
            shape.reduced[axis] = own;
        }
        stride *= dims[axis];
        inputs *= dims[axis];
    }
    let case = if code == OpCode::Reduce {
        let multiplier = factor(random, -((inputs / outputs).ilog2() as i32));
        let p =
            ReduceParams { shape, bias: zero_point(random), multiplier, zero_point: zero_point(random) / 4 };
        Case::of(code, &p, Constants::default()).rounding(random)
    } else {
        let p = ReduceMinMaxParams { shape, largest: random.below(2) as u32 };
        Case::of(code, &p, Constants::default())
    };
    case.int8(random, inputs, outputs)
}

fn nearest(random: &mut Random) -> Case {
    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let mut next = |most: usize| dim(random, most);
    let (batches, in_h, in_w, out_h, out_w, pixel) = (next(2), next(5), next(5), next(5), next(5), next(3));
    let pixel_bytes = pixel * dtype.size() as u32;
    let rows = (0..out_h).map(|y| (y * in_h / out_h) as u16);
    let table: Vec<u16> = rows.chain((0..out_w).map(|x| (x * in_w / out_w) as u16)).collect();
    let mut constants = Constants::default();
    let table = constants.push(&table);
    let p = ResizeNearestParams { batches, in_h, in_w, out_h, out_w, pixel_bytes, table };
    let (input, output) = (batches * in_h * in_w * pixel_bytes, batches * out_h * out_w * pixel_bytes);
    Case::of(OpCode::ResizeNearest, &p, constants).input(random, dtype, input).output(dtype, output)
}

fn bilinear(random: &mut Random) -> Case {
    let mut next = |most: usize| dim(random, most);
    let (batches, in_h, in_w, out_h, out_w, channels) =
        (next(2), next(5), next(5), next(7), next(7), next(4));
    let scale = |size: u32, out: u32| (size * 1024 / out) as i32;
    let (scale_h, scale_w) = (scale(in_h, out_h), scale(in_w, out_w));
    let start = |random: &mut Random, scale: i32| [0, (scale - 1024) / 2][random.below(2)].min(0);
    let (start_h, start_w) = (start(random, scale_h), start(random, scale_w));
    let p = ResizeBilinearParams {
        batches,
        in_h,
        in_w,
        out_h,
        out_w,
        channels,
        scale_h,
        scale_w,
        start_h,
        start_w,
    };
    let case = Case::of(OpCode::ResizeBilinear, &p, Constants::default()).rounding(random);
    case.int8(random, batches * in_h * in_w * channels, batches * out_h * out_w * channels)
}

const INTEGERS: [DType; 4] = [DType::Int8, DType::UInt8, DType::Int16, DType::Int32];

fn quantize(random: &mut Random) -> Case {
    let p = QuantizeParams { scale: 0.05, zero_point: zero_point(random) };
    let (elements, to) = (dim(random, 20), INTEGERS[random.below(4)]);
    let mut case = Case::of(OpCode::Quantize, &p, Constants::default());
    let reals: Vec<f32> = (0..elements).map(|_| f32::from(random.element()) * 0.07).collect();
    let data = bytemuck::cast_slice(&reals).to_vec();
    case.inputs.push(Operand { dtype: DType::Float32, data, storage: Storage::Arena });
    case.output(to, elements * to.size() as u32)
}

fn dequantize(random: &mut Random) -> Case {
    let p = DequantizeParams { scale: 0.05, zero_point: zero_point(random) };
    let (elements, from) = (dim(random, 20), INTEGERS[random.below(4)]);
    let case = Case::of(OpCode::Dequantize, &p, Constants::default());
    case.input(random, from, elements * from.size() as u32).output(DType::Float32, 4 * elements)
}

fn requantize(random: &mut Random) -> Case {
    let p = RequantizeParams {
        input_zero_point: zero_point(random),
        multiplier: factor(random, 0),
        zero_point: zero_point(random) / 8,
    };
    let mut integer = || INTEGERS[random.below(4)];
    let (from, to, elements) = (integer(), integer(), dim(random, 20));
    let case = Case::of(OpCode::Requantize, &p, Constants::default()).rounding(random);
    case.input(random, from, elements * from.size() as u32).output(to, elements * to.size() as u32)
}

fn arg_min_max(random: &mut Random) -> Case {
    let (outer, count, inner) = (dim(random, 4), dim(random, 9), dim(random, 4));
    let p = ArgMinMaxParams { outer, count, inner, largest: random.below(2) as u32 };
    let to = [DType::Int32, DType::Int64][random.below(2)];
    let case = Case::of(OpCode::ArgMinMax, &p, Constants::default());
    case.input(random, DType::Int8, outer * count * inner).output(to, outer * inner * to.size() as u32)
}

fn delay_line(random: &mut Random) -> Case {
    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let step = dim(random, 5) * dtype.size() as u32;
    let window = step + (dim(random, 20) - 1) * dtype.size() as u32;
    let p = DelayLineParams { step, window };
    let case = Case::of(OpCode::DelayLine, &p, Constants::default()).input(random, dtype, step);
    let state = delay_line::state_bytes(&p).expect("it is small");
    // The place behind the ring is any, too.
    let mut case = case.input(random, DType::Int8, state);
    case.inputs[1].storage = Storage::State;
    case.output(dtype, window)
}

fn cumsum(random: &mut Random) -> Case {
    let (outer, count, inner) = (dim(random, 3), dim(random, 9), dim(random, 4));
    let p = CumsumParams {
        outer,
        count,
        inner,
        exclusive: random.below(2) as u32,
        reverse: random.below(2) as u32,
        start: zero_point(random),
        input_zero_point: zero_point(random),
        shift: 19,
        multiplier: factor(random, -19),
        zero_point: zero_point(random),
    };
    let elements = outer * count * inner;
    let case = Case::of(OpCode::Cumsum, &p, Constants::default()).rounding(random);
    case.int8(random, elements, elements)
}

fn gather(random: &mut Random) -> Case {
    let dtype = DType::ALL[random.below(DType::ALL.len())];
    let mut next = |most: usize| dim(random, most);
    let (batch, outer, count, indices) = (next(2), next(3), next(5), next(5));
    let run = next(4) * dtype.size() as u32;
    let p = GatherParams { batch, outer, count, run, indices };
    let case = Case::of(OpCode::Gather, &p, Constants::default());
    let mut case = case.input(random, dtype, batch * outer * count * run);
    let numbers: Vec<i32> =
        (0..batch * indices).map(|_| random.below(count as usize + 2) as i32 - 1).collect();
    let data = bytemuck::cast_slice(&numbers).to_vec();
    // At most one of both: a program has an input.
    case.inputs.push(Operand { dtype: DType::Int32, data, storage: Storage::Arena });
    if let Some(operand) = case.inputs.get_mut(random.below(3)) {
        operand.storage = Storage::Constant;
    }
    case.output(dtype, batch * outer * indices * run)
}
