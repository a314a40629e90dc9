//! Writes a quantized graph as a standard TensorFlow Lite file, schema version 3, which TensorFlow
//! Lite Micro, LiteRT and viewers such as Netron read.
//!
//! The model is the same as in a `.ferro` file: TFLM's bytes on it equal Ferrolite's. What TFLite cannot
//! say in one operator becomes several (`operators`): paddings that are neither SAME nor VALID, and
//! functions of one number without an int8 kernel in TFLM, which look up their table.
//!
//! ```no_run
//! use ferrolite::convert::{ConvertOptions, prepare};
//!
//! let options = ConvertOptions { calibrate: Some("samples.npz".into()), ..ConvertOptions::default() };
//! let prepared = prepare("kws.keras".as_ref(), &options, &())?;
//! std::fs::write("kws.tflite", ferrolite::emit::tflite(&prepared.graph)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use flatbuffers::WIPOffset;

use super::write::align_end;
use crate::error::{Error, Result};
use crate::graph::{DType, Graph};
use crate::ops::tflite::{Fbb, Record, Tensor, Writer, refuse};
use crate::ops::{self, check_node};
use crate::tflite as schema;

/// Alignment of constants, as the schema demands.
const ALIGNMENT: usize = 16;

/// The bytes of a `.tflite` file that computes what the graph computes.
///
/// # Errors
/// Names the layer that TensorFlow Lite cannot express, and why; refuses a graph that is still float.
pub fn tflite(graph: &Graph) -> Result<Vec<u8>> {
    if ops::is_float(graph) {
        return Err(Error::input(format!("{}: only quantized models are written as .tflite", graph.name))
            .help("quantize the model first"));
    }
    if let Some(state) = graph.states.first() {
        let what = format!("{}: variable `{}` is not written as .tflite", graph.name, state.name);
        return Err(Error::input(what).help("write a .ferro file, which keeps variables"));
    }
    let mut writer = Writer::new(graph);
    for &id in &graph.inputs {
        writer.value(id);
    }
    for node in &graph.nodes {
        check_node(graph, node)?;
        if node.outputs.iter().any(|id| graph.from_uint8.contains(id)) {
            return Err(refuse(node, "it was uint8, which rounds and scales in another way than int8"));
        }
        ops::of(&node.op).write_tflite(&mut writer, node)?;
    }
    Ok(finish(writer))
}

/// The file: buffers first, which FlatBuffers place last.
fn finish(mut w: Writer<'_>) -> Vec<u8> {
    let outputs: Vec<i32> = w.graph.outputs.iter().map(|&id| w.value(id)).collect();
    let inputs: Vec<i32> = w.graph.inputs.iter().map(|&id| w.value(id)).collect();
    let fbb = &mut Fbb::new();

    // Buffer 0 is empty by the format's convention: tensors that are computed name it.
    let mut buffers = vec![schema::Buffer::create(fbb, &schema::BufferArgs::default())];
    let mut buffer_of = Vec::with_capacity(w.tensors.len());
    for tensor in &w.tensors {
        let Some(data) = &tensor.data else {
            buffer_of.push(0);
            continue;
        };
        align_vector(fbb, data.len());
        let data = Some(fbb.create_vector(data));
        buffer_of.push(buffers.len() as u32);
        buffers.push(schema::Buffer::create(fbb, &schema::BufferArgs { data, ..Default::default() }));
    }
    let buffers = fbb.create_vector(&buffers);

    let tensors: Vec<_> =
        w.tensors.iter().zip(buffer_of).map(|(tensor, buffer)| write_tensor(fbb, tensor, buffer)).collect();
    let tensors = fbb.create_vector(&tensors);

    let mut codes: Vec<(schema::BuiltinOperator, i32)> = Vec::new();
    let operators: Vec<_> =
        w.records.iter().map(|operator| write_operator(fbb, operator, &mut codes)).collect();
    let operators = fbb.create_vector(&operators);
    let codes: Vec<_> = codes
        .into_iter()
        .map(|(builtin_code, version)| {
            let deprecated_builtin_code = builtin_code.0.min(127) as i8;
            let args = schema::OperatorCodeArgs {
                deprecated_builtin_code,
                custom_code: None,
                version,
                builtin_code,
            };
            schema::OperatorCode::create(fbb, &args)
        })
        .collect();
    let codes = fbb.create_vector(&codes);

    let signature = signature(&w, fbb, &inputs, &outputs);
    let (inputs, outputs) = (Some(fbb.create_vector(&inputs)), Some(fbb.create_vector(&outputs)));
    let (tensors, operators) = (Some(tensors), Some(operators));
    let name = Some(fbb.create_string("main"));
    let subgraph =
        schema::SubGraph::create(fbb, &schema::SubGraphArgs { tensors, inputs, outputs, operators, name });
    let subgraphs = fbb.create_vector(&[subgraph]);
    let description = fbb.create_string(concat!("Ferrolite ", env!("CARGO_PKG_VERSION")));
    let signatures = fbb.create_vector(&[signature]);
    let model = schema::Model::create(
        fbb,
        &schema::ModelArgs {
            version: 3,
            operator_codes: Some(codes),
            subgraphs: Some(subgraphs),
            description: Some(description),
            buffers: Some(buffers),
            signature_defs: Some(signatures),
            ..Default::default()
        },
    );
    schema::finish_model_buffer(fbb, model);
    let mut bytes = fbb.finished_data().to_vec();
    align_end(&mut bytes);
    bytes
}

/// The default signature, with which LiteRT finds inputs and outputs by name.
fn signature(
    w: &Writer<'_>,
    fbb: &mut Fbb,
    inputs: &[i32],
    outputs: &[i32],
) -> WIPOffset<schema::SignatureDef<'static>> {
    let maps = |fbb: &mut Fbb, tensors: &[i32]| {
        let maps: Vec<_> = tensors
            .iter()
            .map(|&tensor| {
                let name = Some(fbb.create_shared_string(&w.tensors[tensor as usize].name));
                schema::TensorMap::create(fbb, &schema::TensorMapArgs { name, tensor_index: tensor as u32 })
            })
            .collect();
        fbb.create_vector(&maps)
    };
    let (inputs, outputs) = (Some(maps(fbb, inputs)), Some(maps(fbb, outputs)));
    let signature_key = Some(fbb.create_string("serving_default"));
    let args = schema::SignatureDefArgs { inputs, outputs, signature_key, subgraph_index: 0 };
    schema::SignatureDef::create(fbb, &args)
}

/// Makes the next vector of `bytes` bytes start at a multiple of [`ALIGNMENT`], counted from the end of
/// the file, by empty vectors before it.
fn align_vector(fbb: &mut Fbb, bytes: usize) {
    const LENGTH: usize = 4;
    // Each empty vector takes four bytes once the place is aligned to four.
    for _ in 0..=ALIGNMENT / LENGTH {
        let end = (fbb.unfinished_data().len() + bytes).next_multiple_of(LENGTH);
        if end.is_multiple_of(ALIGNMENT) {
            return;
        }
        fbb.create_vector::<u8>(&[]);
    }
}

fn write_tensor(fbb: &mut Fbb, tensor: &Tensor, buffer: u32) -> WIPOffset<schema::Tensor<'static>> {
    let shape: Vec<i32> = tensor.shape.iter().map(|&d| d as i32).collect();
    let shape = Some(fbb.create_vector(&shape));
    let name = Some(fbb.create_string(&tensor.name));
    let quantization = tensor.quantization.as_ref().map(|q| {
        let scale = Some(fbb.create_vector(&q.scale));
        let zero_point: Vec<i64> = q.zero_point.iter().map(|&z| z.into()).collect();
        let zero_point = Some(fbb.create_vector(&zero_point));
        let quantized_dimension = if q.is_per_tensor() { 0 } else { q.axis as i32 };
        let args = schema::QuantizationParametersArgs {
            scale,
            zero_point,
            quantized_dimension,
            ..Default::default()
        };
        schema::QuantizationParameters::create(fbb, &args)
    });
    let type_ = match tensor.dtype {
        DType::Float32 => schema::TensorType::FLOAT32,
        DType::Int8 => schema::TensorType::INT8,
        DType::UInt8 => schema::TensorType::UINT8,
        DType::Int16 => schema::TensorType::INT16,
        DType::Int32 => schema::TensorType::INT32,
        DType::Int64 => schema::TensorType::INT64,
        DType::Bool => schema::TensorType::BOOL,
    };
    let args =
        schema::TensorArgs { shape, type_, buffer, name, quantization, has_rank: true, ..Default::default() };
    schema::Tensor::create(fbb, &args)
}

fn write_operator(
    fbb: &mut Fbb,
    operator: &Record,
    codes: &mut Vec<(schema::BuiltinOperator, i32)>,
) -> WIPOffset<schema::Operator<'static>> {
    let code = (operator.code, operator.version);
    let opcode_index = codes.iter().position(|&known| known == code).unwrap_or_else(|| {
        codes.push(code);
        codes.len() - 1
    }) as u32;
    let options = operator.options.as_ref().map(|options| options(fbb));
    let (inputs, outputs) =
        (Some(fbb.create_vector(&operator.inputs)), Some(fbb.create_vector(&operator.outputs)));
    schema::Operator::create(
        fbb,
        &schema::OperatorArgs {
            opcode_index,
            inputs,
            outputs,
            builtin_options_type: options.map_or(schema::BuiltinOptions::NONE, |(kind, _)| kind),
            builtin_options: options.map(|(_, table)| table),
            ..Default::default()
        },
    )
}
