//! Graphs in JSON, as TensorFlow.js keeps them: a `GraphDef` by protobuf's rules for JSON, whose constants are in a list of
//! weights, and whose layers have been fused for the browser.
//!
//! ```text
//! _FusedConv2D(x, w, b), fused_ops [BiasAdd, Relu]      Conv2D(x, w) -> BiasAdd(.., b) -> Relu(..)
//! ```
//! The parts are what the importer of SavedModels reads. Source: TensorFlow.js, `tfjs-converter/src/data/compiled_api.ts`
//! and `tfjs-converter/src/operations/executors/convolution_executor.ts`.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use super::bundle::Bundle;
use super::frozen;
use super::proto::{
    ArgDef, Attr, AttrList, AttrValue, Dim, FunctionDef, FunctionLibrary, GraphDef, NameAttrList, NodeDef,
    OpDef, Signature, TensorInfo, TensorProto, TensorShape,
};
use super::{Source, read};
use crate::error::{Error, Result};
use crate::graph::{Constant, Graph};
use crate::import::damaged::damaged;
use crate::import::importer::{ImportOptions, stem};
use crate::import::listed::Listed;

/// Reads a model from its `model.json` and its weights.
pub fn of_json(
    name: &str,
    model: &Json,
    listed: Vec<Listed>,
    options: &ImportOptions,
) -> Result<(Graph, Vec<String>, Vec<String>)> {
    let topology = model.get("modelTopology").unwrap_or(model);
    let weights: HashMap<String, Listed> =
        listed.into_iter().map(|array| (array.name.clone(), array)).collect();
    let nodes = nodes(topology.get("node"), &weights)?;
    let functions =
        topology.get("library").and_then(|library| library.get("function")).and_then(Json::as_array);
    let functions =
        functions.into_iter().flatten().map(|def| function(def, &weights)).collect::<Result<Vec<_>>>()?;
    let graph = GraphDef { nodes, library: Some(FunctionLibrary { functions }) };
    let stated =
        model.get("signature").or_else(|| model.get("userDefinedMetadata").and_then(|m| m.get("signature")));
    let stated = stated.map(|signature| Signature {
        inputs: infos(signature.get("inputs")),
        outputs: infos(signature.get("outputs")),
    });
    let signature =
        match stated.filter(|signature| !signature.inputs.is_empty() && !signature.outputs.is_empty()) {
            Some(signature) => signature,
            None => frozen::signature(&graph, options)?,
        };
    let source =
        Source { name: stem(name), graph: &graph, objects: None, restore: "", signature: &signature };
    read(&source, &|| Ok(Bundle::default()), options)
}

fn nodes(list: Option<&Json>, weights: &HashMap<String, Listed>) -> Result<Vec<NodeDef>> {
    let list = list.and_then(Json::as_array).into_iter().flatten();
    let nodes = list.map(|node| apart(node_of(node, weights)?)).collect::<Result<Vec<_>>>()?;
    Ok(nodes.concat())
}

fn text<'j>(json: &'j Json, key: &str) -> &'j str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// A node with its list of fused operators, if it has one.
fn node_of(json: &Json, weights: &HashMap<String, Listed>) -> Result<(NodeDef, Vec<String>)> {
    let (name, op) = (text(json, "name").to_string(), text(json, "op").to_string());
    if name.is_empty() || op.is_empty() {
        return Err(damaged("a node of the graph has no name or no operator"));
    }
    let inputs = json.get("input").and_then(Json::as_array).into_iter().flatten();
    let inputs = inputs.filter_map(|input| input.as_str().map(str::to_string)).collect();
    let mut attributes = BTreeMap::new();
    let mut fused = Vec::new();
    for (key, value) in json.get("attr").and_then(Json::as_object).into_iter().flatten() {
        if key == "fused_ops" {
            let list = value.get("list").and_then(|list| list.get("s")).and_then(Json::as_array);
            fused = list
                .into_iter()
                .flatten()
                .map(|item| String::from_utf8_lossy(&words(item)).into_owned())
                .collect();
        } else if let Some(attr) = attribute(value) {
            attributes.insert(key.clone(), AttrValue { value: Some(attr) });
        }
    }
    if op == "Const" {
        let array = weights.get(&name).ok_or_else(|| {
            Error::input(format!("the graph's constant `{name}` is not among the weights"))
                .help("save the model again with all of its weights")
        })?;
        let tensor = tensor(array);
        attributes.insert("dtype".into(), AttrValue { value: Some(Attr::Type(tensor.dtype)) });
        attributes.insert("value".into(), AttrValue { value: Some(Attr::Tensor(tensor)) });
    }
    Ok((NodeDef { name, op, inputs, attributes }, fused))
}

/// The parts of a fused node; the last one has its name.
fn apart((node, fused): (NodeDef, Vec<String>)) -> Result<Vec<NodeDef>> {
    let first = match node.op.as_str() {
        "_FusedConv2D" => "Conv2D",
        "FusedDepthwiseConv2dNative" => "DepthwiseConv2dNative",
        "_FusedMatMul" => "MatMul",
        _ => return Ok(vec![node]),
    };
    let mut further = node.inputs.iter().skip(2).filter(|input| !input.starts_with('^'));
    let mut parts = vec![NodeDef {
        name: node.name.clone(),
        op: first.into(),
        inputs: node.inputs.iter().take(2).cloned().collect(),
        attributes: node.attributes.clone(),
    }];
    for operator in fused.iter().filter(|operator| operator.as_str() != "NoOp") {
        let before = parts.len() - 1;
        parts[before].name = format!("{}/{}", node.name, parts[before].op);
        let mut inputs = vec![parts[before].name.clone()];
        if operator == "BiasAdd" {
            inputs.push(
                further.next().cloned().ok_or_else(|| {
                    damaged(format!("node `{}` adds a bias that it does not name", node.name))
                })?,
            );
        }
        let mut attributes = BTreeMap::new();
        if let Some(alpha) = node.attributes.get("leakyrelu_alpha").filter(|_| operator == "LeakyRelu") {
            attributes.insert("alpha".to_string(), alpha.clone());
        }
        if let Some(format) = node.attributes.get("data_format").filter(|_| operator == "BiasAdd") {
            attributes.insert("data_format".to_string(), format.clone());
        }
        parts.push(NodeDef { name: node.name.clone(), op: operator.clone(), inputs, attributes });
    }
    Ok(parts)
}

fn function(json: &Json, weights: &HashMap<String, Listed>) -> Result<FunctionDef> {
    let arguments = |key: &str| {
        let list =
            json.get("signature").and_then(|s| s.get(key)).and_then(Json::as_array).into_iter().flatten();
        list.map(|argument| ArgDef { name: text(argument, "name").into() }).collect()
    };
    let signature = OpDef {
        name: json.get("signature").map_or("", |signature| text(signature, "name")).into(),
        inputs: arguments("inputArg"),
        outputs: arguments("outputArg"),
    };
    let results = json.get("ret").and_then(Json::as_object).into_iter().flatten();
    let results =
        results.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect();
    Ok(FunctionDef { signature: Some(signature), nodes: nodes(json.get("nodeDef"), weights)?, results })
}

fn infos(ports: Option<&Json>) -> BTreeMap<String, TensorInfo> {
    let ports = ports.and_then(Json::as_object).into_iter().flatten();
    let info = |(key, port): (&String, &Json)| {
        let name = match text(port, "name") {
            "" => format!("{key}:0"),
            name if name.contains(':') => name.into(),
            name => format!("{name}:0"),
        };
        // The ending that TensorFlow gives to tensors is no part of a port's name.
        let key = key.split(':').next().unwrap_or_default().to_string();
        (key, TensorInfo { name, dtype: dtype(port.get("dtype")), shape: port.get("tensorShape").map(shape) })
    };
    ports.map(info).collect()
}

/// An attribute, if it is of a kind that is read.
fn attribute(json: &Json) -> Option<Attr> {
    let object = json.as_object()?;
    let (kind, value) = object.iter().next()?;
    Some(match kind.as_str() {
        "s" => Attr::Text(words(value)),
        "i" => Attr::Int(integer(value)?),
        "f" => Attr::Float(value.as_f64()? as f32),
        "b" => Attr::Bool(value.as_bool()?),
        "type" => Attr::Type(dtype(Some(value))),
        "shape" => Attr::Shape(shape(value)),
        "func" => Attr::Function(NameAttrList { name: text(value, "name").into() }),
        "list" => {
            let items = |key: &str| value.get(key).and_then(Json::as_array).into_iter().flatten();
            Attr::List(AttrList {
                ints: items("i").filter_map(integer).collect(),
                shapes: items("shape").map(shape).collect(),
                functions: items("func").map(|f| NameAttrList { name: text(f, "name").into() }).collect(),
            })
        }
        _ => return None,
    })
}

/// A number that JSON may write as text, because it may have 64 bits.
fn integer(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
}

/// Bytes: base64, or a list of their numbers.
fn words(json: &Json) -> Vec<u8> {
    match json {
        Json::Array(numbers) => numbers.iter().filter_map(|n| n.as_u64().map(|n| n as u8)).collect(),
        Json::String(text) => base64(text).unwrap_or_else(|| text.clone().into_bytes()),
        _ => Vec::new(),
    }
}

/// RFC 4648, with padding or without.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let digits: Option<Vec<u8>> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes = digits?;
    let group = |digits: &[u8]| {
        let bits =
            digits.iter().fold(0u32, |bits, &digit| bits << 6 | u32::from(digit)) << (6 * (4 - digits.len()));
        bits.to_be_bytes()[1..digits.len()].to_vec()
    };
    Some(bytes.chunks(4).flat_map(group).collect())
}

fn shape(json: &Json) -> TensorShape {
    let dims = json.get("dim").and_then(Json::as_array).into_iter().flatten();
    let size = |dim: &Json| Dim { size: dim.get("size").and_then(integer).unwrap_or(-1) };
    let unknown_rank = json.get("unknownRank").and_then(Json::as_bool).unwrap_or(false);
    TensorShape { dims: dims.map(size).collect(), unknown_rank }
}

/// TensorFlow's number of a type, from its name or itself.
fn dtype(json: Option<&Json>) -> i32 {
    match json {
        Some(Json::Number(number)) => number.as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
        Some(Json::String(name)) => match name.trim_start_matches("DT_") {
            "FLOAT" | "float32" => 1,
            "DOUBLE" => 2,
            "INT32" | "int32" => 3,
            "UINT8" => 4,
            "INT16" => 5,
            "INT8" => 6,
            "STRING" => 7,
            "COMPLEX64" => 8,
            "INT64" => 9,
            "BOOL" | "bool" => 10,
            "HALF" => 19,
            "RESOURCE" => 20,
            "VARIANT" => 21,
            _ => 0,
        },
        _ => 1,
    }
}

/// An array as a constant of a graph.
fn tensor(array: &Listed) -> TensorProto {
    let dtype = match &array.data {
        Constant::F32(_) => 1,
        Constant::I32(_) => 3,
        Constant::U8(_) => 4,
        Constant::I16(_) => 5,
        Constant::I8(_) => 6,
        Constant::I64(_) => 9,
        Constant::Bool(_) => 10,
    };
    let dims = array.shape.iter().map(|&size| Dim { size: size as i64 }).collect();
    let shape = Some(TensorShape { dims, unknown_rank: false });
    TensorProto { dtype, shape, content: array.data.to_le_bytes(), ..TensorProto::default() }
}
