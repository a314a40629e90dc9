//! Random ops for tests: one op of an operator, of any shape that its check accepts, small, with random numbers for
//! which the outputs depend on all of the inputs.
//!
//! Each operator's file has a function `case`, and `ops::case` makes one of any operator: whoever adds an operator
//! adds it there, beside the kernel, and all tests of all operators have it. What they share is here. The feature
//! `cases` compiles them; nothing that is linked into firmware has it.

pub mod packed;

use std::format;
use std::string::String;
use std::vec::Vec;

use bytemuck::Pod;
use ferrolite_schema::params::{Broadcast, Multiplier, OutputStage, Product, Window};
use ferrolite_schema::{DType, OpCode, Rounding, Storage, Target};

use crate::packing::{Order, Packing, Shape};

/// Random numbers, the same in each run.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// A number of `0 .. end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// A number of `1 ..= most`.
    pub fn up_to(&mut self, most: usize) -> usize {
        1 + self.below(most)
    }

    /// Elements of which a third are extremes.
    pub fn element(&mut self) -> i8 {
        match self.below(3) {
            0 => [i8::MIN, i8::MAX, -127][self.below(3)],
            _ => self.next() as i8,
        }
    }

    /// So many of them.
    pub fn elements(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.element()).collect()
    }
}

/// An operand and its data.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Its type.
    pub dtype: DType,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Where it lies.
    pub storage: Storage,
}

/// One op with all that it needs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operator.
    pub code: OpCode,
    /// Its parameters, for messages.
    pub what: String,
    /// Their words.
    pub params: Vec<u32>,
    /// What parameters that are offsets refer to.
    pub constants: Vec<u8>,
    /// In their order.
    pub inputs: Vec<Operand>,
    /// Both inputs are one tensor.
    pub twice: bool,
    /// Types and sizes in bytes.
    pub outputs: Vec<(DType, u32)>,
    /// Bytes of scratch memory.
    pub scratch: u32,
    /// The model's.
    pub rounding: Rounding,
}

impl Case {
    /// Whether an operator has ops that are programs by themselves, so that `ops::case` makes them: a skip is about
    /// the ops behind it, an assignment about what the state is then.
    pub fn is_alone(code: OpCode) -> bool {
        ![OpCode::SkipIf, OpCode::Assign].contains(&code)
    }

    /// With these parameters, and without operands yet.
    pub fn of<P: Pod + core::fmt::Debug>(code: OpCode, params: &P, constants: Constants) -> Case {
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
    pub fn int8(self, random: &mut Random, input: u32, output: u32) -> Case {
        self.input(random, DType::Int8, input).output(DType::Int8, output)
    }

    /// With one more input, of random bytes.
    pub fn input(mut self, random: &mut Random, dtype: DType, bytes: u32) -> Case {
        let data = random.elements(bytes as usize).into_iter().map(|x| x as u8).collect();
        self.inputs.push(Operand { dtype, data, storage: Storage::Arena });
        self
    }

    /// With one more output.
    pub fn output(mut self, dtype: DType, bytes: u32) -> Case {
        self.outputs.push((dtype, bytes));
        self
    }

    /// With so much scratch memory.
    pub fn scratch(self, bytes: Option<u32>) -> Case {
        Case { scratch: bytes.expect("it is small"), ..self }
    }

    /// With any rounding.
    pub fn rounding(self, random: &mut Random) -> Case {
        Case { rounding: [Rounding::Double, Rounding::Single][random.below(2)], ..self }
    }
}

/// The constants of a file.
#[derive(Clone, Debug, Default)]
pub struct Constants(pub Vec<u8>);

impl Constants {
    /// Adds some, and says where they start.
    pub fn push<T: Pod>(&mut self, elements: &[T]) -> u32 {
        self.0.resize(self.0.len().next_multiple_of(16), 0);
        let offset = self.0.len();
        self.0.extend_from_slice(bytemuck::cast_slice(elements));
        offset as u32
    }

    /// An output stage for sums of `depth` products, whose outputs are of any size and seldom at a limit.
    pub fn stage(&mut self, random: &mut Random, depth: u32, channels: u32) -> OutputStage {
        self.stage_with_biases(random, depth, channels, channels)
    }

    /// The same with another number of biases.
    pub fn stage_with_biases(
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

    /// An output stage that suits a packing: of a general one it is any that the converter makes.
    pub fn stage_for(
        &mut self,
        random: &mut Random,
        packing: Packing,
        depth: u32,
        channels: u32,
    ) -> OutputStage {
        if !packing.general {
            return self.stage(random, depth, channels);
        }
        let numbers = random.any_channels(channels as usize);
        OutputStage {
            bias: self.push(&numbers.bias),
            multipliers: self.push(&numbers.multipliers),
            multiplier_count: numbers.multipliers.len() as u32,
            zero_point: numbers.zero_point,
            min: numbers.bounds.0,
            max: numbers.bounds.1,
        }
    }

    /// Packed or plain weights.
    pub fn weights(&mut self, random: &mut Random, shape: Shape) -> u32 {
        if shape.packing == Packing::PLAIN {
            let count = shape.channels * shape.lines * shape.line;
            return self.push(&random.elements(count as usize));
        }
        let words = random.padded_matrix(shape).words;
        self.push(&words)
    }

    /// Packed weights of some groups, one behind the other.
    pub fn groups(&mut self, random: &mut Random, shape: Shape, groups: u32) -> u32 {
        let size = shape.bytes().map_or(0, |bytes| bytes as usize / 4);
        let mut words = std::vec::Vec::new();
        for _ in 0..groups {
            words.extend_from_slice(&random.padded_matrix(shape).words[..size]);
        }
        self.push(&words)
    }
}

/// A factor between half of `2^shift` and all of it.
pub fn factor(random: &mut Random, shift: i32) -> Multiplier {
    Multiplier { mantissa: (1 << 30) + random.below(1 << 30) as i32, shift }
}

/// Any int8 number.
pub fn zero_point(random: &mut Random) -> i32 {
    random.element().into()
}

/// A number of `1 ..= most`.
pub fn dim(random: &mut Random, most: usize) -> u32 {
    random.up_to(most) as u32
}

/// Plain weights, or the packing of any target for some kind of layer.
pub fn packing(random: &mut Random, of: fn(Target) -> Packing) -> Packing {
    let packing = of(Target::ALL[random.below(Target::ALL.len())]);
    match packing.order {
        Order::Chunks => Packing::chunks(random.up_to(20) as u8),
        _ => packing,
    }
}

/// The same for kinds of layers that also have general packings.
pub fn any_packing(random: &mut Random, of: fn(Target) -> Packing) -> Packing {
    let packing = packing(random, of);
    match packing.order {
        _ if random.below(3) != 0 => packing,
        // Enough for the rows of cases, with a chunk for each weight.
        Order::Chunks => Packing::chunks(8 + random.up_to(4) as u8).general(),
        _ => packing.general(),
    }
}

/// Any window over small images, sensible or not; of every four, one reads its own pixel only and one keeps the
/// image's size.
pub fn window(random: &mut Random) -> Window {
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

/// Elements of the images that a window reads and makes.
pub fn sizes(window: &Window, batches: u32, in_channels: u32, out_channels: u32) -> (u32, u32) {
    let w = window;
    (batches * w.in_h * w.in_w * in_channels, batches * w.out_h * w.out_w * out_channels)
}

/// How many images: one, more often than not.
pub fn batches(random: &mut Random) -> u32 {
    if random.below(2) == 0 { 1 } else { dim(random, 3) }
}

/// Any shape of at most 81 elements, and the elements of both operands.
pub fn broadcast(random: &mut Random) -> (Broadcast, u32, [u32; 2]) {
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
pub fn two_operands(case: Case, random: &mut Random, [a, b]: [u32; 2], output: u32) -> Case {
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

/// With two int16 operands, of which one may be a constant, or which are one tensor.
pub fn int16_operands(case: Case, random: &mut Random, [a, b]: [u32; 2], output: u32) -> Case {
    let case = case.input(random, DType::Int16, 2 * a).input(random, DType::Int16, 2 * b);
    let mut case = case.output(DType::Int16, 2 * output);
    match random.below(4) {
        0 => case.inputs[0].storage = Storage::Constant,
        1 => case.inputs[1].storage = Storage::Constant,
        2 if a == b => case.twice = true,
        _ => {}
    }
    case
}

/// The arithmetic of a product, whose outputs are of any size.
pub fn product(random: &mut Random, shift: i32) -> Product {
    Product {
        a_zero_point: zero_point(random),
        b_zero_point: zero_point(random),
        multiplier: factor(random, shift),
        zero_point: zero_point(random) / 8,
        min: -128,
        max: 127,
    }
}

/// Types of integers that borders may have.
pub const INTEGERS: [DType; 4] = [DType::Int8, DType::UInt8, DType::Int16, DType::Int32];
