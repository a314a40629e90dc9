//! The inference protocol of KServe, version 2, over REST: metadata and `infer`, in JSON and with the binary tensors of its
//! extension, which `tritonclient` uses. Source followed:
//! <https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md>, and Triton's
//! `protocol/extension_binary_data.md` and `extension_sequence.md`.
//!
//! | tensor sent as | input | meaning |
//! |---|---|---|
//! | its own type | any | as stored |
//! | FP32, FP64, FP16 | any | real numbers, quantized as `ferrolite run` does it |
//! | other integers | float, or integers without a scale | the same numbers |
//! | other integers | quantized | refused, since both readings are possible |
//!
//! Outputs come as stored, and as FP32 to who sent reals; an output's parameter `datatype` asks for one of the two.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use ferrolite_runtime::DType;
use half::f16;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::catalog::Served;
use super::engine::{Answer, Samples};
use super::failure::{self, Failure};
use super::tensorflow::{limited, stacked_shape, turned};
use super::values::{Meaning, Number, Tree, checked, encode, samples, write_json};
use crate::data::{InputSpec, integers};
use crate::hub::object::{Object, plainly};

/// Bytes of JSON before the binary tensors.
pub const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    id: Option<String>,
    #[serde(default, deserialize_with = "parameters")]
    parameters: Map<String, Value>,
    inputs: Vec<Object<Input>>,
    outputs: Option<Vec<Object<Output>>>,
}

/// Some clients write `null` where there are none.
fn parameters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    #[serde(default, deserialize_with = "parameters")]
    parameters: Map<String, Value>,
    data: Option<Tree>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    name: String,
    #[serde(default, deserialize_with = "parameters")]
    parameters: Map<String, Value>,
}

/// What a request says of its sequence.
pub struct Step {
    /// The sequence's name.
    pub id: String,
    /// It begins here.
    pub start: bool,
    /// It ends here.
    pub end: bool,
}

/// A request that can be run.
pub struct Infer {
    /// In the inputs' own types.
    pub samples: Samples,
    id: Option<String>,
    stacked: bool,
    /// Index, whether as stored, and whether in binary.
    outputs: Vec<(usize, Meaning, bool)>,
}

/// A request whose model is not looked at yet: which version answers may follow from its sequence.
pub struct Parsed<'b> {
    request: Request,
    /// The binary tensors, one after the other.
    binary: &'b [u8],
}

impl Parsed<'_> {
    /// The sequence that the request belongs to; `state` says whether the model has one.
    pub fn sequence(&self, state: bool) -> Result<Option<Step>, Failure> {
        step(&self.request.parameters, state)
    }
}

/// Parses the body of `infer`, whose JSON has `json_length` bytes where binary tensors follow.
pub fn parse(body: &[u8], json_length: Option<usize>) -> Result<Parsed<'_>, Failure> {
    let (head, binary) = split(body, json_length)?;
    let Object(request) = serde_json::from_slice(head).map_err(|e| {
        let why = plainly(&e);
        Failure::bad(format!(
            "the body is no request of KServe's version 2: {why}; send {{\"inputs\": [{{\"name\": …, \"shape\": …, \"datatype\": …, \"data\": …}}]}}"
        ))
    })?;
    Ok(Parsed { request, binary })
}

/// The JSON of a body, and the binary tensors behind it.
fn split(body: &[u8], json_length: Option<usize>) -> Result<(&[u8], &[u8]), Failure> {
    let length = json_length.unwrap_or(body.len());
    body.split_at_checked(length).ok_or_else(|| {
        Failure::bad(format!("{JSON_LENGTH} is {length}, and the body has {} bytes", body.len()))
    })
}

fn step(parameters: &Map<String, Value>, state: bool) -> Result<Option<Step>, Failure> {
    let (start, end) = (flag(parameters, "sequence_start")?, flag(parameters, "sequence_end")?);
    let found = parameters.get("sequence_id").unwrap_or(&Value::Null);
    let id = match found {
        Value::Null => None,
        Value::String(id) if id.len() > 128 => {
            return Err(Failure::bad("sequence_id has more than 128 bytes"));
        }
        Value::String(id) => Some(id.clone()).filter(|id| !id.is_empty()),
        // Triton's word for none.
        Value::Number(id) => Some(id.to_string()).filter(|_| id.as_u64() != Some(0)),
        other => return Err(Failure::bad(format!("sequence_id is a number or a text, not {other}"))),
    };
    match id {
        Some(id) => Ok(Some(Step { id, start, end })),
        None if start || end => {
            let word = if start { "sequence_start" } else { "sequence_end" };
            let there =
                if found.is_null() { "no sequence_id".into() } else { format!("the sequence_id {found}") };
            Err(Failure::bad(format!(
                "{word} is true with {there}, which names no sequence; send a sequence_id: a number other than 0, or a text"
            )))
        }
        // A client that has lost its sequence's name must not get the answers of a model's first state.
        None if state && !found.is_null() => Err(Failure::bad(format!(
            "sequence_id is {found}, which names no sequence, and the model has a state; send a number other than 0 or a text, or leave sequence_id out to begin with the model's first state"
        ))),
        None => Ok(None),
    }
}

fn flag(parameters: &Map<String, Value>, name: &str) -> Result<bool, Failure> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Failure::bad(format!("parameter {name} is true or false, not {other}"))),
    }
}

/// Turns a request into the model's own types.
pub fn read(served: &Served, parsed: Parsed<'_>) -> Result<Infer, Failure> {
    let Parsed { request, mut binary } = parsed;
    let mut columns: Vec<Option<Vec<Vec<u8>>>> = served.inputs.iter().map(|_| None).collect();
    let (mut stacked, mut real) = (false, false);
    for Object(input) in request.inputs {
        let names: Vec<&str> = served.inputs.iter().map(|spec| spec.name.as_str()).collect();
        let Some(index) = names.iter().position(|name| *name == input.name) else {
            return Err(Failure::bad(format!(
                "there is no input `{}`; the model's inputs are {}",
                input.name,
                names.join(", ")
            )));
        };
        let spec = &served.inputs[index];
        let bytes = match size_parameter(&input.parameters)? {
            None => None,
            Some(size) => Some(binary.split_off(..size).ok_or_else(|| {
                Failure::bad(format!("input `{}`: binary_data_size {size} is more than is left", input.name))
            })?),
        };
        let (count, own_axis) = limited(samples(spec, &input.shape)?)?;
        stacked |= own_axis;
        real |= input.datatype.starts_with("FP") && spec.quantization.is_some();
        if columns[index].replace(tensor(spec, &input, bytes, count)?).is_some() {
            return Err(Failure::bad(format!("input `{}` is there twice", input.name)));
        }
    }
    if !binary.is_empty() {
        return Err(Failure::bad(format!("{} bytes behind the JSON belong to no input", binary.len())));
    }
    let missing = columns.iter().position(Option::is_none).map(|index| &served.inputs[index].name);
    if let Some(name) = missing {
        return Err(Failure::bad(format!("input `{name}` is missing")));
    }
    let columns: Vec<Vec<Vec<u8>>> = columns.into_iter().flatten().collect();
    let counts: Vec<usize> = columns.iter().map(Vec::len).collect();
    if counts.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Failure::bad(format!("the inputs have {counts:?} samples, and need as many each")));
    }
    let meaning = if real { Meaning::Real } else { Meaning::Stored };
    let binary_output = flag(&request.parameters, "binary_data_output")?;
    let outputs = match request.outputs.filter(|list| !list.is_empty()) {
        None => (0..served.outputs.len()).map(|index| (index, meaning, binary_output)).collect(),
        Some(list) => {
            let asked = list.iter().map(|Object(output)| asked(served, output, meaning, binary_output));
            asked.collect::<Result<_, Failure>>()?
        }
    };
    Ok(Infer { samples: turned(columns.into_iter()), id: request.id, stacked, outputs })
}

fn size_parameter(parameters: &Map<String, Value>) -> Result<Option<usize>, Failure> {
    let Some(size) = parameters.get("binary_data_size") else { return Ok(None) };
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
    size.map(Some).ok_or_else(|| Failure::bad("binary_data_size is a number of bytes"))
}

/// An output that a request asks for.
fn asked(
    served: &Served,
    output: &Output,
    meaning: Meaning,
    binary: bool,
) -> Result<(usize, Meaning, bool), Failure> {
    let names: Vec<&str> = served.outputs.iter().map(|port| port.name.as_str()).collect();
    let index = names.iter().position(|name| *name == output.name).ok_or_else(|| {
        let names = names.join(", ");
        Failure::bad(format!("there is no output `{}`; the model's outputs are {names}", output.name))
    })?;
    let port = &served.outputs[index];
    if output.parameters.get("classification").is_some_and(|count| count.as_u64() != Some(0)) {
        return Err(Failure::bad("classification is not offered: ask for the scores, and take the largest"));
    }
    let meaning = match output.parameters.get("datatype").and_then(Value::as_str) {
        None => meaning,
        Some("FP32") => Meaning::Real,
        Some(own) if own == name(port.dtype) => Meaning::Stored,
        Some(other) => {
            return Err(Failure::bad(format!(
                "output `{}` comes as {} or FP32, not as {other}",
                port.name,
                name(port.dtype)
            )));
        }
    };
    let binary = match output.parameters.contains_key("binary_data") {
        true => flag(&output.parameters, "binary_data")?,
        false => binary,
    };
    Ok((index, meaning, binary))
}

/// The samples of one input.
fn tensor(
    spec: &InputSpec,
    input: &Input,
    bytes: Option<&[u8]>,
    count: usize,
) -> Result<Vec<Vec<u8>>, Failure> {
    let own = input.datatype == name(spec.dtype);
    let float = input.datatype.starts_with("FP");
    let size = size_of(&input.datatype).ok_or_else(|| {
        Failure::bad(format!(
            "input `{}`: the type {} is not taken; {}",
            spec.name,
            input.datatype,
            takes(spec)
        ))
    })?;
    if !own && !float && spec.quantization.is_some() {
        return Err(Failure::bad(format!(
            "input `{}`: integers of type {} are not taken, since they could be stored or real numbers; {}",
            spec.name,
            input.datatype,
            takes(spec)
        )));
    }
    let meaning = if own { Meaning::Stored } else { Meaning::Real };
    let elements = spec.elements().saturating_mul(count);
    let wrong = |found: usize, what: &str| {
        Failure::bad(format!(
            "input `{}`: {elements} elements of {what} are needed, {found} were sent",
            spec.name
        ))
    };
    let numbers = match (bytes, &input.data) {
        (Some(bytes), None) if bytes.len() != elements.saturating_mul(size) => {
            return Err(wrong(bytes.len() / size, &input.datatype));
        }
        (Some(bytes), None) if own => {
            checked(spec, bytes)?;
            return Ok(bytes.chunks(bytes.len() / count).map(<[u8]>::to_vec).collect());
        }
        (Some(bytes), None) => elements_of(&input.datatype, bytes),
        // Truth values are numbers only where the type says so.
        (None, Some(Tree::Numbers { numbers, .. })) if input.datatype == "BOOL" => {
            let number = |&number: &Number| match number {
                Number::Flag(flag) => Number::Whole(flag.into()),
                number => number,
            };
            numbers.iter().map(number).collect()
        }
        (None, Some(Tree::Numbers { numbers, .. })) => numbers.clone(),
        (None, Some(_)) => {
            return Err(Failure::bad(format!("input `{}`: `data` is a list of numbers", spec.name)));
        }
        (None, None) => {
            return Err(Failure::bad(format!("input `{}`: `data` is missing", spec.name)));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::bad(format!("input `{}` has both `data` and binary_data_size", spec.name)));
        }
    };
    if numbers.len() != elements {
        return Err(wrong(numbers.len(), &input.datatype));
    }
    numbers.chunks(elements / count).map(|sample| encode(spec, sample, meaning)).collect()
}

/// What an input takes, for messages.
fn takes(spec: &InputSpec) -> String {
    match spec.dtype {
        DType::Float32 => "send FP32".to_string(),
        dtype => format!("send {} as stored, or FP32 for real numbers", name(dtype)),
    }
}

/// Bytes of an element.
fn size_of(datatype: &str) -> Option<usize> {
    Some(match datatype {
        "BOOL" | "INT8" | "UINT8" => 1,
        "INT16" | "UINT16" | "FP16" => 2,
        "INT32" | "UINT32" | "FP32" => 4,
        "INT64" | "UINT64" | "FP64" => 8,
        _ => return None,
    })
}

/// Little-endian elements as numbers.
fn elements_of(datatype: &str, bytes: &[u8]) -> Vec<Number> {
    let whole = |dtype| integers(dtype, bytes).into_iter().map(Number::Whole).collect();
    let unsigned = |size: usize| {
        let number = |b: &[u8]| b.iter().rev().fold(0u64, |q, &b| q << 8 | u64::from(b));
        let numbers = bytes.chunks_exact(size).map(number);
        numbers.map(|q| i64::try_from(q).map_or(Number::Real(q as f64), Number::Whole)).collect()
    };
    match datatype {
        "INT8" => whole(DType::Int8),
        "INT16" => whole(DType::Int16),
        "INT32" => whole(DType::Int32),
        "INT64" => whole(DType::Int64),
        "UINT16" => unsigned(2),
        "UINT32" => unsigned(4),
        "UINT64" => unsigned(8),
        "FP16" => {
            let (halves, _) = bytes.as_chunks::<2>();
            halves.iter().map(|&b| Number::Real(f16::from_le_bytes(b).to_f64())).collect()
        }
        "FP32" => {
            let (floats, _) = bytes.as_chunks::<4>();
            floats.iter().map(|&b| Number::Real(f32::from_le_bytes(b).into())).collect()
        }
        "FP64" => {
            let (floats, _) = bytes.as_chunks::<8>();
            floats.iter().map(|&b| Number::Real(f64::from_le_bytes(b))).collect()
        }
        _ => unsigned(1),
    }
}

/// The answer to `infer`.
pub fn answer(served: &Served, request: &Infer, answer: &Answer) -> Response {
    let (mut outputs, mut binary) = (String::new(), Vec::new());
    let count = answer.samples.len();
    for (place, &(index, meaning, in_binary)) in request.outputs.iter().enumerate() {
        let port = &served.outputs[index];
        let stored: Vec<u8> =
            answer.samples.iter().flat_map(|outputs| outputs[index].iter().copied()).collect();
        let real = meaning == Meaning::Real && port.quantization.is_some();
        let shape = json!(stacked_shape(port, count, request.stacked));
        outputs.push_str(if place == 0 { "" } else { "," });
        let name_json = Value::from(port.name.as_str());
        let datatype = if real { "FP32" } else { name(port.dtype) };
        outputs += &format!("{{\"name\":{name_json},\"datatype\":\"{datatype}\",\"shape\":{shape},");
        if in_binary {
            let bytes = match real {
                true => port.dequantize(&stored).into_iter().flat_map(f32::to_le_bytes).collect(),
                false => stored,
            };
            outputs += &format!("\"parameters\":{{\"binary_data_size\":{}}}}}", bytes.len());
            binary.extend(bytes);
        } else {
            let elements = port.elements() * count;
            outputs += "\"data\":";
            write_json(&mut outputs, port, &[elements], &stored, meaning);
            outputs.push('}');
        }
    }
    let model = Value::from(served.name.as_str());
    let mut text = format!("{{\"model_name\":{model},\"model_version\":\"{}\",", served.version);
    if let Some(id) = &request.id {
        text += &format!("\"id\":{},", Value::from(id.as_str()));
    }
    text += &format!("\"outputs\":[{outputs}]}}");
    if !request.outputs.iter().any(|&(_, _, binary)| binary) {
        return failure::json(StatusCode::OK, text);
    }
    let length = text.len();
    let mut body = text.into_bytes();
    body.extend(binary);
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(JSON_LENGTH, HeaderValue::from(length));
    response
}

/// What a model takes and gives.
pub fn metadata(served: &Served, versions: &[u64]) -> Response {
    let port = |spec: &InputSpec| {
        let mut shape: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
        if let Some(first @ 1) = shape.first_mut() {
            *first = -1;
        }
        let parameters = match spec.quantization {
            Some((scale, zero_point)) => json!({ "scale": scale, "zero_point": zero_point }),
            None => json!({}),
        };
        json!({ "name": spec.name, "datatype": name(spec.dtype), "shape": shape, "parameters": parameters })
    };
    let ports = |list: &[InputSpec]| list.iter().map(port).collect::<Vec<Value>>();
    let versions: Vec<String> = versions.iter().map(u64::to_string).collect();
    let text = json!({
        "name": served.name,
        "versions": versions,
        "platform": "ferrolite",
        "inputs": ports(&served.inputs),
        "outputs": ports(&served.outputs),
        "parameters": { "labels": served.labels, "state_bytes": served.initial_state.len() },
    });
    failure::json(StatusCode::OK, text.to_string())
}

/// A type by KServe's name.
fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::Int8 => "INT8",
        DType::UInt8 => "UINT8",
        DType::Int16 => "INT16",
        DType::Int32 => "INT32",
        DType::Int64 => "INT64",
        DType::Bool => "BOOL",
        DType::Float32 => "FP32",
    }
}
