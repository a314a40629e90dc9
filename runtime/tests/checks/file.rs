//! A file of one op.

use ferrolite_runtime::{DType, OpCode};
use ferrolite_schema::generated as fb;
use ferrolite_schema::{FILE_ALIGNMENT, FORMAT_VERSION, RUNTIME_LEVEL};
use flatbuffers::FlatBufferBuilder;

/// An input or output of the op.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    pub dtype: DType,
    pub bytes: u32,
    /// Its offset in the constants, if it is one.
    pub constant: Option<u32>,
    /// Whether it is state.
    pub state: bool,
}

impl Operand {
    pub fn new(dtype: DType, elements: u32) -> Operand {
        Operand { dtype, bytes: elements * dtype.size() as u32, constant: None, state: false }
    }

    /// Whether it is an activation of the inference: neither constant nor state.
    fn is_activation(&self) -> bool {
        self.constant.is_none() && !self.state
    }

    pub fn int8(elements: u32) -> Operand {
        Operand::new(DType::Int8, elements)
    }
}

/// One op and everything that it needs.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub code: OpCode,
    pub params: Vec<u32>,
    /// Inputs, then outputs.
    pub operands: Vec<Operand>,
    pub inputs: usize,
    pub constants: Vec<u8>,
    pub scratch: u32,
    /// Whether the output lies over the first input.
    pub in_place: bool,
}

/// Bytes aligned to 16.
pub struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

/// The file of a case. Tensors follow one another, then come scratch memory and state.
pub fn aligned(case: &Case) -> Aligned {
    let mut builder = FlatBufferBuilder::new();
    // The builder puts what is created first at the end of the file.
    let constants = builder.create_vector(&case.constants);
    let (mut tensors, mut numbers) = (Vec::new(), vec![0u16; case.operands.len()]);
    let (mut end, mut state) = (0u32, 0u32);
    let mut add = |operand: &Operand, last_use: u16| {
        let place = if case.in_place && last_use == 1 { 0 } else { end };
        let (storage, offset) = match operand.constant {
            Some(offset) => (fb::Storage::Constant, offset),
            None if operand.state => (fb::Storage::State, state),
            None => (fb::Storage::Arena, place),
        };
        tensors.push(fb::Tensor::new(
            offset,
            operand.bytes,
            last_use,
            fb::DType(operand.dtype as u8),
            storage,
        ));
        let behind = offset.saturating_add(operand.bytes).checked_next_multiple_of(16);
        if operand.state {
            state = behind.unwrap_or(u32::MAX);
        } else if operand.constant.is_none() {
            end = behind.unwrap_or(u32::MAX).max(end);
        }
        tensors.len() as u16 - 1
    };
    let port = |number: u16, operand: &Operand| {
        let count = operand.bytes / operand.dtype.size() as u32;
        fb::Port::new(number.into(), 1, &[count, 1, 1, 1, 1, 1], 0.0, 0)
    };
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    // A model needs an input, even if all inputs of the op are constants or state.
    if case.operands[..case.inputs].iter().all(|operand| !operand.is_activation()) {
        let spare = Operand::int8(1);
        inputs.push(port(add(&spare, 0), &spare));
    }
    // The model's inputs have the first numbers, constants and state the last ones.
    let of = |activation: bool| {
        (0..case.operands.len()).filter(move |&index| case.operands[index].is_activation() == activation)
    };
    for index in of(true).chain(of(false)) {
        let operand = &case.operands[index];
        let is_input = index < case.inputs;
        numbers[index] = add(operand, if is_input { 0 } else { 1 });
        match operand.is_activation() {
            false => {}
            true if is_input => inputs.push(port(numbers[index], operand)),
            true => outputs.push(port(numbers[index], operand)),
        }
    }
    let place = match numbers[..] {
        [input, output] if case.inputs == 1 => u32::from(input) | u32::from(output) << 16,
        _ => 0,
    };
    let op = fb::Op::new(
        fb::OpCode(case.code as u16),
        case.inputs as u8,
        (case.operands.len() - case.inputs) as u8,
        place,
        0,
        case.params.len() as u32,
        end,
        case.scratch,
    );
    let work = end.saturating_add(case.scratch);
    let start = if state == 0 { work } else { work.checked_next_multiple_of(16).unwrap_or(u32::MAX) };
    let arena = start.saturating_add(state);
    for tensor in tensors.iter_mut().filter(|tensor| tensor.storage() == fb::Storage::State) {
        tensor.set_offset(tensor.offset().saturating_add(start));
    }
    let tensors = builder.create_vector(&tensors);
    let operands = builder.create_vector(&numbers);
    let ops = builder.create_vector(&[op]);
    let params = builder.create_vector(&case.params);
    let input_count = inputs.len() as u16;
    let ports = builder.create_vector(&[&inputs[..], &outputs].concat());
    let header = fb::Header::new(RUNTIME_LEVEL, arena, state, 0, 0, input_count, fb::Rounding::Double);
    let model = fb::Model::create(
        &mut builder,
        &fb::ModelArgs {
            format_version: FORMAT_VERSION,
            header: Some(&header),
            tensors: Some(tensors),
            operands: Some(operands),
            ops: Some(ops),
            params: Some(params),
            constants: Some(constants),
            ports: Some(ports),
            ..Default::default()
        },
    );
    fb::finish_model_buffer(&mut builder, model);
    align(builder.finished_data(), case.constants.len().next_multiple_of(4))
}

/// Inserts padding after the header, so that the constants at the end start at a multiple of 16.
fn align(bytes: &[u8], constants: usize) -> Aligned {
    let gap = (constants + FILE_ALIGNMENT - bytes.len() % FILE_ALIGNMENT) % FILE_ALIGNMENT;
    let len = bytes.len() + gap;
    let mut words = vec![0u128; len.div_ceil(16)];
    let all: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    let (header, rest) = bytes.split_at(8);
    let root = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) + gap as u32;
    all[..4].copy_from_slice(&root.to_le_bytes());
    all[4..8].copy_from_slice(&header[4..]);
    all[8 + gap..len].copy_from_slice(rest);
    Aligned { words, len }
}
