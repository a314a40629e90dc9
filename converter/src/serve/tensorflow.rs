//! The REST interface of TensorFlow Serving: `GET /v1/models/M[/versions/V][/metadata]` and `POST …:predict`.
//!
//! A model has two signatures. `serving_default` takes and gives real numbers; `quantized` takes and gives the integers as
//! the model stores them. Both give the device's bytes, one of them scaled. Requests in rows (`instances`) and in columns
//! (`inputs`) are answered in kind; `{"b64": …}` stands for a sample's bytes. Source followed:
//! <https://www.tensorflow.org/tfx/serving/api_rest>.

use axum::http::StatusCode;
use axum::response::Response;
use ferrolite_runtime::DType;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::catalog::{Catalog, Served, find};
use super::engine::{Answer, Samples};
use super::failure::{self, Failure};
use super::options::MOST_SAMPLES;
use super::values::{Meaning, Tree, encode, encode_bytes, samples, write_json};
use crate::data::InputSpec;
use crate::hub::object::{Object, plainly};

/// The signature with real numbers, which TensorFlow calls so.
const REAL: &str = "serving_default";
/// The signature with stored integers.
const STORED: &str = "quantized";

/// The body of `:predict`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    signature_name: Option<String>,
    instances: Option<Rows>,
    inputs: Option<Tree>,
}

/// As many rows as one request may have.
struct Rows(Vec<Tree>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rows, D::Error> {
        deserializer.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of instances")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element()? {
            if rows.len() == MOST_SAMPLES {
                return Err(A::Error::custom(format!("more than {MOST_SAMPLES} instances in one request")));
            }
            rows.push(row);
        }
        Ok(Rows(rows))
    }
}

/// How a request was written, which its answer follows.
pub enum Form {
    /// `instances`: each sample for itself.
    Rows,
    /// `inputs`: all samples of a tensor together; whether there was an axis for them.
    Columns {
        /// An axis before the model's own counts samples.
        stacked: bool,
    },
}

/// A request that can be run.
pub struct Predict {
    /// In the inputs' own types.
    pub samples: Samples,
    meaning: Meaning,
    form: Form,
}

/// Reads the body of `:predict`.
pub fn read(served: &Served, body: &[u8]) -> Result<Predict, Failure> {
    let Object(body): Object<Body> = serde_json::from_slice(body).map_err(|e| {
        let why = plainly(&e);
        Failure::bad(format!(
            "the body is no request: {why}; send {{\"instances\": [...]}} or {{\"inputs\": ...}}"
        ))
    })?;
    let meaning = match body.signature_name.as_deref() {
        None | Some("" | REAL) => Meaning::Real,
        Some(STORED) => Meaning::Stored,
        Some(other) => {
            return Err(Failure::bad(format!(
                "there is no signature `{other}`: `{REAL}` has real numbers, `{STORED}` stored integers"
            )));
        }
    };
    let (samples, form) = match (body.instances, body.inputs) {
        (Some(Rows(rows)), None) if !rows.is_empty() => {
            let samples = rows.into_iter().enumerate().map(|(index, row)| {
                let parts = assign(served, row)?;
                let one = |(spec, tree): (&InputSpec, Tree)| match column(spec, tree, meaning)? {
                    (mut samples, false) => Ok(samples.remove(0)),
                    _ => Err(Failure::bad(format!(
                        "instance {index}: {}, and an instance is one sample",
                        spec.wants()
                    ))),
                };
                parts.into_iter().map(one).collect()
            });
            (samples.collect::<Result<Samples, Failure>>()?, Form::Rows)
        }
        (None, Some(tree)) => {
            let columns = assign(served, tree)?.into_iter().map(|(spec, tree)| column(spec, tree, meaning));
            let columns = columns.collect::<Result<Vec<(Vec<Vec<u8>>, bool)>, Failure>>()?;
            let counts: Vec<usize> = columns.iter().map(|(samples, _)| samples.len()).collect();
            if counts.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(Failure::bad(format!(
                    "the inputs have {counts:?} samples, and need as many each"
                )));
            }
            let stacked = columns.iter().any(|(_, stacked)| *stacked);
            (turned(columns.into_iter().map(|(samples, _)| samples)), Form::Columns { stacked })
        }
        (Some(_), None) => return Err(Failure::bad("`instances` is empty")),
        _ => return Err(Failure::bad("a request has either `instances` or `inputs`")),
    };
    Ok(Predict { samples, meaning, form })
}

/// Samples of inputs from inputs of samples.
pub fn turned(columns: impl Iterator<Item = Vec<Vec<u8>>>) -> Samples {
    let mut samples: Samples = Vec::new();
    for column in columns {
        samples.resize_with(column.len(), Vec::new);
        for (sample, bytes) in samples.iter_mut().zip(column) {
            sample.push(bytes);
        }
    }
    samples
}

/// The part of a request for each input.
fn assign(served: &Served, tree: Tree) -> Result<Vec<(&InputSpec, Tree)>, Failure> {
    let wanted = || {
        let names: Vec<String> = served.inputs.iter().map(|spec| format!("`{}`", spec.name)).collect();
        format!("the model's inputs are {}", names.join(", "))
    };
    let mut named = match (tree, &served.inputs[..]) {
        (Tree::Named(named), _) => named,
        (tree, [only]) => return Ok(vec![(only, tree)]),
        (_, _) => {
            return Err(Failure::bad(format!("a model of several inputs takes them by name; {}", wanted())));
        }
    };
    let mut parts = Vec::new();
    for spec in &served.inputs {
        let Some(place) = named.iter().position(|(name, _)| *name == spec.name) else {
            return Err(Failure::bad(format!("input `{}` is missing; {}", spec.name, wanted())));
        };
        parts.push((spec, named.swap_remove(place).1));
    }
    match named.first() {
        Some((name, _)) => Err(Failure::bad(format!("there is no input `{name}`; {}", wanted()))),
        None => Ok(parts),
    }
}

/// The samples of one input, and whether they were stacked along an axis of their own.
fn column(spec: &InputSpec, tree: Tree, meaning: Meaning) -> Result<(Vec<Vec<u8>>, bool), Failure> {
    match tree {
        Tree::Numbers { shape, numbers } => {
            let (count, stacked) = limited(samples(spec, &shape)?)?;
            let all = numbers.chunks(numbers.len() / count).map(|sample| encode(spec, sample, meaning));
            Ok((all.collect::<Result<_, _>>()?, stacked))
        }
        Tree::Bytes { shape, items } => {
            let ((1, _) | (_, [_])) = (items.len(), &shape[..]) else {
                return Err(Failure::bad(format!("{}: \"b64\" stands for a whole sample", spec.wants())));
            };
            limited((items.len(), true))?;
            let all = items.iter().map(|bytes| encode_bytes(spec, bytes, meaning));
            Ok((all.collect::<Result<_, _>>()?, !shape.is_empty()))
        }
        Tree::Named(_) => Err(Failure::bad(format!("{}, not an object", spec.wants()))),
    }
}

/// Refuses more samples than one request may have.
pub fn limited((count, stacked): (usize, bool)) -> Result<(usize, bool), Failure> {
    match count {
        0..=MOST_SAMPLES => Ok((count, stacked)),
        _ => Err(Failure::bad(format!("{count} samples in one request; {MOST_SAMPLES} are the most"))),
    }
}

/// What a sample of a port has behind its batch of one.
fn row_shape(port: &InputSpec) -> &[usize] {
    port.shape.strip_prefix(&[1]).unwrap_or(&port.shape)
}

/// The shape of a port for all samples.
pub fn stacked_shape(port: &InputSpec, count: usize, stacked: bool) -> Vec<usize> {
    match stacked || count > 1 {
        true => [&[count], row_shape(port)].concat(),
        false => port.shape.clone(),
    }
}

/// The answer to `:predict`.
pub fn answer(served: &Served, request: &Predict, answer: &Answer) -> Response {
    let mut out = String::new();
    let key = |out: &mut String, name: &str| {
        *out += &Value::from(name).to_string();
        out.push(':');
    };
    let list = |out: &mut String, first: bool| out.push_str(if first { "" } else { "," });
    match request.form {
        Form::Rows => {
            out += "{\"predictions\":[";
            for (index, outputs) in answer.samples.iter().enumerate() {
                list(&mut out, index == 0);
                if let ([port], [bytes]) = (&served.outputs[..], &outputs[..]) {
                    write_json(&mut out, port, row_shape(port), bytes, request.meaning);
                    continue;
                }
                out.push('{');
                for (place, (port, bytes)) in served.outputs.iter().zip(outputs).enumerate() {
                    list(&mut out, place == 0);
                    key(&mut out, &port.name);
                    write_json(&mut out, port, row_shape(port), bytes, request.meaning);
                }
                out.push('}');
            }
            out += "]}";
        }
        Form::Columns { stacked } => {
            out += "{\"outputs\":";
            let single = served.outputs.len() == 1;
            out.push_str(if single { "" } else { "{" });
            for (place, port) in served.outputs.iter().enumerate() {
                list(&mut out, place == 0);
                if !single {
                    key(&mut out, &port.name);
                }
                let bytes: Vec<u8> =
                    answer.samples.iter().flat_map(|outputs| outputs[place].iter().copied()).collect();
                let shape = stacked_shape(port, answer.samples.len(), stacked);
                write_json(&mut out, port, &shape, &bytes, request.meaning);
            }
            out.push_str(if single { "}" } else { "}}" });
        }
    }
    failure::json(StatusCode::OK, out)
}

/// The state of a model's versions, or of one.
pub fn status(catalog: &Catalog, name: &str, version: Option<&str>) -> Result<Response, Failure> {
    let models = catalog.models();
    let all: Vec<u64> = match version {
        Some(_) => vec![catalog.find(name, version)?.version],
        None => find(&models, name)?.served.keys().rev().copied().collect(),
    };
    let one = |version: u64| {
        let status = json!({ "error_code": "OK", "error_message": "" });
        json!({ "version": version.to_string(), "state": "AVAILABLE", "status": status })
    };
    let all: Vec<Value> = all.into_iter().map(one).collect();
    Ok(failure::json(StatusCode::OK, json!({ "model_version_status": all }).to_string()))
}

/// What a model's signatures take and give.
pub fn metadata(served: &Served) -> Response {
    let ports = |list: &[InputSpec], meaning: Meaning| {
        let entry = |spec: &InputSpec| {
            let mut sizes: Vec<String> = spec.shape.iter().map(usize::to_string).collect();
            if spec.shape.first() == Some(&1) {
                sizes[0] = "-1".into();
            }
            let dims: Vec<Value> = sizes.iter().map(|size| json!({ "size": size, "name": "" })).collect();
            let real = meaning == Meaning::Real && spec.quantization.is_some();
            let dtype = if real { "DT_FLOAT" } else { name(spec.dtype) };
            let shape = json!({ "dim": dims, "unknown_rank": false });
            (spec.name.clone(), json!({ "dtype": dtype, "tensor_shape": shape, "name": spec.name }))
        };
        Value::Object(list.iter().map(entry).collect())
    };
    let signature = |meaning| {
        json!({
            "inputs": ports(&served.inputs, meaning),
            "outputs": ports(&served.outputs, meaning),
            "method_name": "tensorflow/serving/predict",
        })
    };
    let signatures = json!({ REAL: signature(Meaning::Real), STORED: signature(Meaning::Stored) });
    let spec = json!({ "name": served.name, "signature_name": "", "version": served.version.to_string() });
    let text = json!({
        "model_spec": spec,
        "metadata": { "signature_def": { "signature_def": signatures } },
    });
    failure::json(StatusCode::OK, text.to_string())
}

/// A type by TensorFlow's name.
fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::Int8 => "DT_INT8",
        DType::UInt8 => "DT_UINT8",
        DType::Int16 => "DT_INT16",
        DType::Int32 => "DT_INT32",
        DType::Int64 => "DT_INT64",
        DType::Bool => "DT_BOOL",
        DType::Float32 => "DT_FLOAT",
    }
}
