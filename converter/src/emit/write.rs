//! Writes the FlatBuffers file.
//!
//! The same program gives the same bytes. FlatBuffers are built from their end, so the constants,
//! entered first and padded to a multiple of 16, end the file; a file whose size is a multiple of 16
//! then has them aligned. The CRC is entered when all other bytes are known.

use crc::{CRC_32_ISO_HDLC, Crc};
use ferrolite_schema::generated as fb;
use ferrolite_schema::{FILE_ALIGNMENT, FORMAT_VERSION, RUNTIME_LEVEL, Target};
use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use super::options::{Memory, Options};
use super::plan::Plan;
use super::program::{Border, Home, Program};
use crate::error::{Error, Result};
use crate::graph::Value;

type Builder<'a> = FlatBufferBuilder<'a>;
type Strings<'a> = WIPOffset<Vector<'a, ForwardsUOffset<&'a str>>>;

/// Input and output bytes of the self-test.
pub(super) struct SelfTest {
    pub input: Vec<u8>,
    pub output: Vec<u8>,
}

/// A program of a file, its place in memory, and its name where there are several.
pub(super) struct Part<'a> {
    pub name: &'a str,
    pub program: &'a Program,
    pub plan: &'a Plan,
}

/// The bytes of a file with one program.
pub(super) fn write(
    program: &Program,
    plan: &Plan,
    options: &Options,
    self_test: Option<&SelfTest>,
) -> Result<Vec<u8>> {
    write_all(&[Part { name: "", program, plan }], options, self_test)
}

/// The bytes of a file whose programs share their constants, those of the last one, and their memory.
pub(super) fn write_all(
    parts: &[Part<'_>],
    options: &Options,
    self_test: Option<&SelfTest>,
) -> Result<Vec<u8>> {
    let (Some((first, others)), Some(last)) = (parts.split_first(), parts.last()) else {
        return Err(Error::internal("a file without a program"));
    };
    let mut fbb = Builder::new();
    let mut constants = last.program.constants.bytes().to_vec();
    constants.resize(constants.len().next_multiple_of(FILE_ALIGNMENT), 0);
    let constants = fbb.create_vector(&constants);
    let mut shared = Shared { constants, is_root: false, entries: None, entry_names: None };
    if !others.is_empty() {
        let tables = others.iter().map(|part| table(&mut fbb, part, options, &shared, None));
        let tables = tables.collect::<Result<Vec<_>>>()?;
        shared.entries = Some(fbb.create_vector(&tables));
        shared.entry_names = Some(strings(&mut fbb, parts.iter().map(|part| part.name)));
    }
    shared.is_root = true;
    let model = table(&mut fbb, first, options, &shared, self_test)?;
    fb::finish_model_buffer(&mut fbb, model);
    let mut bytes = fbb.finished_data().to_vec();
    align_end(&mut bytes);
    enter_checksum(&mut bytes)?;
    Ok(bytes)
}

/// What the tables of a file's programs have in common.
#[derive(Clone, Copy)]
struct Shared<'a> {
    constants: WIPOffset<Vector<'a, u8>>,
    /// Whether it is the root that is written, which has all that is said of the file as a whole.
    is_root: bool,
    entries: Option<WIPOffset<Vector<'a, ForwardsUOffset<fb::Model<'a>>>>>,
    entry_names: Option<Strings<'a>>,
}

/// The table of a program.
fn table<'a>(
    fbb: &mut Builder<'a>,
    part: &Part<'_>,
    options: &Options,
    shared: &Shared<'a>,
    self_test: Option<&SelfTest>,
) -> Result<WIPOffset<fb::Model<'a>>> {
    let &Part { program, plan, .. } = part;
    let &Shared { constants, is_root, entries, entry_names } = shared;
    let (ops, operands, params) = ops(fbb, program, plan)?;
    let tensors: Vec<fb::Tensor> = program
        .tensors
        .iter()
        .zip(&plan.tensors)
        .map(|(tensor, &place)| {
            let (storage, offset) = match tensor.home {
                Home::Arena => (fb::Storage::Arena, place),
                Home::Constants(offset) => (fb::Storage::Constant, offset),
                Home::State(offset) => (fb::Storage::State, plan.state_start() + offset),
            };
            let dtype = fb::DType(tensor.value.dtype as u8);
            fb::Tensor::new(offset, tensor.bytes, tensor.last_use as u16, dtype, storage)
        })
        .collect();
    let tensors = fbb.create_vector(&tensors);
    let ports = [ports(&program.inputs)?, ports(&program.outputs)?].concat();
    let ports = fbb.create_vector(&ports);
    let input_names = strings(fbb, program.inputs.iter().map(|port| port.value.name.as_str()));
    let output_names = strings(fbb, program.outputs.iter().map(|port| port.value.name.as_str()));
    let (mut variables, mut variable_names) = (None, None);
    if !program.variables.is_empty() {
        variables = Some(fbb.create_vector(&self::ports(&program.variables)?));
        let names = program.variables.iter().map(|variable| variable.value.name.as_str());
        variable_names = Some(strings(fbb, names));
    }
    let target_name = (is_root && options.target != Target::Portable)
        .then(|| fbb.create_shared_string(options.target.name()));
    let source_hash =
        (is_root && !options.source_hash.is_empty()).then(|| fbb.create_vector(&options.source_hash));
    let metadata = (is_root && !options.strip).then(|| metadata(fbb, options));
    let debug = (!options.strip).then(|| debug(fbb, program, plan, options));
    let self_test = self_test.map(|test| {
        let (input, output) = (fbb.create_vector(&test.input), fbb.create_vector(&test.output));
        fb::SelfTest::create(fbb, &fb::SelfTestArgs { input: Some(input), output: Some(output) })
    });
    let memories: Vec<u32> = plan.memories.iter().map(|&(_, bytes)| bytes).collect();
    let memories = (is_root && !memories.is_empty()).then(|| fbb.create_vector(&memories));
    let checksum = fb::Checksum::new(0);
    let header = fb::Header::new(
        RUNTIME_LEVEL,
        plan.whole_bytes(program),
        program.state_bytes,
        program.initial_bytes,
        options.target as u16,
        program.inputs.len() as u16,
        fb::Rounding(options.rounding as u32),
    );
    Ok(fb::Model::create(
        fbb,
        &fb::ModelArgs {
            format_version: FORMAT_VERSION,
            header: Some(&header),
            tensors: Some(tensors),
            operands: Some(operands),
            ops: Some(ops),
            params: Some(params),
            constants: Some(constants),
            ports: Some(ports),
            target_name,
            input_names: Some(input_names),
            output_names: Some(output_names),
            source_hash,
            checksum: is_root.then_some(&checksum),
            metadata,
            self_test,
            debug,
            memories,
            variables,
            variable_names,
            entry_names,
            entries,
        },
    ))
}

/// Makes the size a multiple of 16 by padding behind the header (root offset, identifier), so that
/// what was aligned to the end is aligned to the start. Only the root offset is counted from there.
pub(super) fn align_end(bytes: &mut Vec<u8>) {
    const HEADER: usize = 8;
    let padding = bytes.len().next_multiple_of(FILE_ALIGNMENT) - bytes.len();
    let root = root(bytes) + padding as u32;
    bytes[..4].copy_from_slice(&root.to_le_bytes());
    bytes.splice(HEADER..HEADER, std::iter::repeat_n(0, padding));
}

fn root(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Enters the CRC of the file, whose field holds zero until then.
fn enter_checksum(bytes: &mut [u8]) -> Result<()> {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes);
    let start = root(bytes) as usize;
    // A table starts with the distance back to its vtable, which holds the place of each field.
    let vtable = start - bytemuck::pod_read_unaligned::<i32>(&bytes[start..start + 4]) as usize;
    let entry = vtable + usize::from(fb::Model::VT_CHECKSUM);
    let at = start + usize::from(bytemuck::pod_read_unaligned::<u16>(&bytes[entry..entry + 2]));
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

type OpVectors<'a> = (WIPOffset<Vector<'a, fb::Op>>, WIPOffset<Vector<'a, u16>>, WIPOffset<Vector<'a, u32>>);

fn ops<'a>(fbb: &mut Builder<'a>, program: &Program, plan: &Plan) -> Result<OpVectors<'a>> {
    let mut operands: Vec<u16> = Vec::new();
    let mut params: Vec<u32> = Vec::new();
    let mut records = Vec::new();
    for (op, &scratch) in program.ops.iter().zip(&plan.scratch) {
        let lowered = &op.lowered;
        let count = |operands: &[usize]| {
            u8::try_from(operands.len()).map_err(|_| {
                Error::input(format!(
                    "layer `{}` has {} inputs or outputs; at most 255 are supported",
                    op.name,
                    operands.len()
                ))
            })
        };
        let ids: Vec<u16> = op.inputs.iter().chain(&op.outputs).map(|&tensor| tensor as u16).collect();
        let place = match (&op.inputs[..], &ids[..]) {
            // One input and one output are in the record.
            (&[_], &[input, output]) => u32::from(input) | u32::from(output) << 16,
            _ => {
                operands.extend(&ids);
                (operands.len() - ids.len()) as u32
            }
        };
        records.push(fb::Op::new(
            fb::OpCode(lowered.code),
            count(&op.inputs)?,
            count(&op.outputs)?,
            place,
            params.len() as u32,
            lowered.params.len() as u32,
            scratch,
            lowered.scratch_bytes,
        ));
        params.extend(&lowered.params);
    }
    Ok((fbb.create_vector(&records), fbb.create_vector(&operands), fbb.create_vector(&params)))
}

fn ports(borders: &[Border]) -> Result<Vec<fb::Port>> {
    borders
        .iter()
        .map(|border| {
            if border.value.shape.len() > 6 {
                return Err(Error::input(format!(
                    "tensor `{}` has {} dimensions; inputs and outputs have at most 6",
                    border.value.name,
                    border.value.shape.len()
                )));
            }
            Ok(port(border.tensor, &border.value))
        })
        .collect()
}

/// Shape and quantization of a tensor. Of more than 6 dimensions the outer ones are counted as one.
fn port(tensor: usize, value: &Value) -> fb::Port {
    let (outer, shape) = value.shape.split_at(value.shape.len().saturating_sub(6));
    let mut dims = [1u32; 6];
    for (dim, &size) in dims.iter_mut().zip(shape) {
        *dim = size as u32;
    }
    dims[0] *= outer.iter().product::<usize>() as u32;
    let (scale, zero_point) = value.quantization.as_ref().and_then(|q| q.tensor()).unwrap_or((0.0, 0));
    fb::Port::new(tensor as u32, shape.len() as u32, &dims, scale, zero_point)
}

fn strings<'a, 's>(fbb: &mut Builder<'a>, texts: impl Iterator<Item = &'s str>) -> Strings<'a> {
    let offsets: Vec<_> = texts.map(|text| fbb.create_shared_string(text)).collect();
    fbb.create_vector(&offsets)
}

fn debug<'a>(
    fbb: &mut Builder<'a>,
    program: &Program,
    plan: &Plan,
    options: &Options,
) -> WIPOffset<fb::Debug<'a>> {
    let memories: Vec<&Memory> =
        plan.memories.iter().filter_map(|&(number, _)| options.memories.get(number)).collect();
    let memory_names =
        (!memories.is_empty()).then(|| strings(fbb, memories.iter().map(|memory| memory.name.as_str())));
    let limits: Vec<u32> = memories.iter().map(|memory| memory.bytes).collect();
    let memory_limits = (!limits.is_empty()).then(|| fbb.create_vector(&limits));
    let op_names = strings(fbb, program.ops.iter().map(|op| op.name.as_str()));
    let op_kinds = strings(fbb, program.ops.iter().map(|op| op.kind.as_str()));
    let macs: Vec<u64> = program.ops.iter().map(|op| op.lowered.macs).collect();
    let op_macs = fbb.create_vector(&macs);
    let tensor_names = strings(fbb, program.tensors.iter().map(|tensor| tensor.value.name.as_str()));
    let ports: Vec<fb::Port> =
        program.tensors.iter().enumerate().map(|(index, tensor)| port(index, &tensor.value)).collect();
    let tensor_ports = fbb.create_vector(&ports);
    fb::Debug::create(
        fbb,
        &fb::DebugArgs {
            op_names: Some(op_names),
            op_kinds: Some(op_kinds),
            op_macs: Some(op_macs),
            tensor_names: Some(tensor_names),
            tensor_ports: Some(tensor_ports),
            memory_names,
            memory_limits,
        },
    )
}

fn metadata<'a>(fbb: &mut Builder<'a>, options: &Options) -> WIPOffset<fb::Metadata<'a>> {
    let facts = &options.metadata;
    let text = |text: &str, fbb: &mut Builder<'a>| (!text.is_empty()).then(|| fbb.create_shared_string(text));
    let name = text(&facts.name, fbb);
    let description = text(&facts.description, fbb);
    let author = text(&facts.author, fbb);
    let licence = text(&facts.licence, fbb);
    let writer = text(concat!("ferrolite ", env!("CARGO_PKG_VERSION")), fbb);
    let labels = (!facts.labels.is_empty()).then(|| strings(fbb, facts.labels.iter().map(String::as_str)));
    fb::Metadata::create(fbb, &fb::MetadataArgs { name, description, author, licence, labels, writer })
}
