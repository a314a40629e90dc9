//! Programs that are written record by record: the file contains exactly what a test specifies, valid or not.

use ferrolite_conformance::AlignedBuf;
use ferrolite_runtime::{DType, Model, OpCode, Rounding, Target};
use ferrolite_schema::generated as fb;
use ferrolite_schema::{FILE_ALIGNMENT, FORMAT_VERSION, RUNTIME_LEVEL, Storage};
use flatbuffers::FlatBufferBuilder;

/// A run of bytes in the arena, in the constants or in the state.
#[derive(Clone, Copy, Debug)]
pub struct Tensor {
    pub dtype: DType,
    pub offset: u32,
    pub bytes: u32,
    pub last_use: u16,
    pub storage: Storage,
}

impl Tensor {
    /// A tensor in the arena.
    pub fn new(dtype: DType, offset: u32, bytes: u32, last_use: u16) -> Tensor {
        Tensor { dtype, offset, bytes, last_use, storage: Storage::Arena }
    }
}

/// One op.
#[derive(Clone, Debug)]
pub struct Op {
    pub code: OpCode,
    pub inputs: Vec<u16>,
    pub outputs: Vec<u16>,
    pub params: Vec<u32>,
    /// First byte and size of its scratch memory.
    pub scratch: (u32, u32),
}

/// A whole program. The first tensors are its inputs.
#[derive(Clone, Debug)]
pub struct Program {
    /// Bytes of working memory.
    pub arena_bytes: u32,
    /// Bytes of state after them, and how many of them are initialised from the start of the constants.
    pub state_bytes: u32,
    pub initial_bytes: u32,
    pub tensors: Vec<Tensor>,
    pub ops: Vec<Op>,
    pub constants: Vec<u8>,
    pub inputs: u16,
    pub outputs: Vec<u16>,
    pub rounding: Rounding,
    pub target: Target,
}

impl Program {
    /// The file.
    pub fn file(&self) -> AlignedBuf {
        self.file_in(&[])
    }

    /// The file, with its arena in memories of these sizes.
    pub fn file_in(&self, memories: &[u32]) -> AlignedBuf {
        // Data at the file's end is aligned if the file's size is a multiple of 16.
        let sizes = (0..FILE_ALIGNMENT).step_by(4).map(|hash| self.with_hash(hash, memories));
        let whole = sizes.into_iter().find(|bytes| bytes.len() % FILE_ALIGNMENT == 0);
        AlignedBuf::copy_of(&whole.expect("sizes are multiples of 4"))
    }

    /// The file with a hash of so many bytes.
    fn with_hash(&self, hash: usize, memories: &[u32]) -> Vec<u8> {
        let mut fbb = FlatBufferBuilder::new();
        let mut constants = self.constants.clone();
        constants.resize(constants.len().next_multiple_of(FILE_ALIGNMENT), 0);
        let constants = fbb.create_vector(&constants);
        let (mut records, mut operands, mut params) = (Vec::new(), Vec::<u16>::new(), Vec::<u32>::new());
        for op in &self.ops {
            let place = match (&op.inputs[..], &op.outputs[..]) {
                (&[input], &[output]) => u32::from(input) | u32::from(output) << 16,
                _ => operands.len() as u32,
            };
            if op.inputs.len() != 1 || op.outputs.len() != 1 {
                operands.extend(op.inputs.iter().chain(&op.outputs).copied());
            }
            records.push(fb::Op::new(
                fb::OpCode(op.code as u16),
                op.inputs.len() as u8,
                op.outputs.len() as u8,
                place,
                params.len() as u32,
                op.params.len() as u32,
                op.scratch.0,
                op.scratch.1,
            ));
            params.extend(&op.params);
        }
        let (ops, operands, params) =
            (fbb.create_vector(&records), fbb.create_vector(&operands), fbb.create_vector(&params));
        let tensor = |tensor: &Tensor| {
            let storage = fb::Storage(tensor.storage as u8);
            let dtype = fb::DType(tensor.dtype as u8);
            fb::Tensor::new(tensor.offset, tensor.bytes, tensor.last_use, dtype, storage)
        };
        let tensors: Vec<fb::Tensor> = self.tensors.iter().map(tensor).collect();
        let tensors = fbb.create_vector(&tensors);
        let port = |&id: &u16| {
            let tensor = &self.tensors[usize::from(id)];
            let elements = tensor.bytes / tensor.dtype.size() as u32;
            fb::Port::new(id.into(), 1, &[elements, 1, 1, 1, 1, 1], 0.0, 0)
        };
        let inputs: Vec<fb::Port> = (0..self.inputs).map(|id| port(&id)).collect();
        let outputs: Vec<fb::Port> = self.outputs.iter().map(port).collect();
        let ports = fbb.create_vector(&[inputs, outputs].concat());
        let names = fbb.create_vector::<flatbuffers::WIPOffset<&str>>(&[]);
        let source_hash = fbb.create_vector(&vec![0u8; hash]);
        let memories = (!memories.is_empty()).then(|| fbb.create_vector(memories));
        let header = fb::Header::new(
            RUNTIME_LEVEL,
            self.arena_bytes + self.state_bytes,
            self.state_bytes,
            self.initial_bytes,
            self.target as u16,
            self.inputs,
            fb::Rounding(self.rounding as u32),
        );
        let model = fb::Model::create(
            &mut fbb,
            &fb::ModelArgs {
                format_version: FORMAT_VERSION,
                header: Some(&header),
                tensors: Some(tensors),
                operands: Some(operands),
                ops: Some(ops),
                params: Some(params),
                constants: Some(constants),
                ports: Some(ports),
                input_names: Some(names),
                output_names: Some(names),
                source_hash: Some(source_hash),
                // Without one: a reader that looks at it would refuse a wrong one.
                checksum: None,
                memories,
                ..Default::default()
            },
        );
        fb::finish_model_buffer(&mut fbb, model);
        fbb.finished_data().to_vec()
    }
}

/// The position of a tensor's record in a model's file; its first word is the offset.
pub fn record(file: &[u8], tensor: u16) -> usize {
    let model = Model::from_bytes(file).expect("a sound file");
    std::ptr::from_ref(&model.tensors()[usize::from(tensor)]).addr() - file.as_ptr().addr()
}
