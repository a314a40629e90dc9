//! Checks a graph before it is executed.

use crate::error::{Error, Result};
use crate::graph::{Graph, Op, Unsupported, Value};
use crate::ops::check::{elements, error};

/// Refuses a graph with unsupported layers, and names all of them.
pub fn supported(graph: &Graph) -> Result<()> {
    let layers: Vec<String> = graph
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Unsupported(Unsupported { code, reason }) if reason.is_empty() => {
                Some(format!("`{}` ({code})", node.name))
            }
            Op::Unsupported(Unsupported { code, reason }) => {
                Some(format!("`{}` ({code}: {reason})", node.name))
            }
            _ => None,
        })
        .collect();
    if layers.is_empty() {
        return Ok(());
    }
    let count = layers.len();
    Err(Error::input(format!(
        "{count} layer{} not supported: {}",
        if count == 1 { " is" } else { "s are" },
        layers.join(", ")
    ))
    .help("replace them in the model by supported operators, or cut the model before them"))
}

/// Refuses a graph in which a value is read, or is an output, before anything has written it.
pub fn order(graph: &Graph) -> Result<()> {
    let inside = graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten().chain(&node.outputs));
    let ids = graph.sources().chain(graph.results()).chain(inside.copied());
    for id in ids {
        let value = graph.values.get(id.0).ok_or_else(|| {
            Error::input(format!("the model refers to value {} of {}", id.0, graph.values.len()))
        })?;
        if elements(&value.shape).is_none() {
            return Err(Error::input(format!("`{}` of shape {:?} is too large", value.name, value.shape)));
        }
    }
    let mut written: Vec<bool> = graph.values.iter().map(|value| value.constant.is_some()).collect();
    for id in graph.sources() {
        written[id.0] = true;
    }
    for node in &graph.nodes {
        if let Some(&id) = node.inputs.iter().flatten().find(|id| !written[id.0]) {
            let name = &graph.value(id).name;
            return Err(error(node, format!("it reads `{name}` before anything has written it")));
        }
        for id in &node.outputs {
            written[id.0] = true;
        }
    }
    match graph.results().find(|id| !written[id.0]) {
        Some(id) => {
            Err(Error::input(format!("no layer writes the model's output `{}`", graph.value(id).name)))
        }
        None => Ok(()),
    }
}

/// Refuses a constant whose number of elements or scales does not match its shape.
pub fn constant(value: &Value) -> Result<()> {
    let Some(constant) = &value.constant else { return Ok(()) };
    if elements(&value.shape) != Some(constant.len()) {
        return Err(Error::input(format!(
            "constant `{}` has shape {:?}, but {} elements",
            value.name,
            value.shape,
            constant.len()
        )));
    }
    match &value.quantization {
        Some(q) if q.scale.is_empty() || q.scale.len() != q.zero_point.len() => Err(Error::input(format!(
            "constant `{}` has {} scales and {} zero points",
            value.name,
            q.scale.len(),
            q.zero_point.len()
        ))),
        _ => Ok(()),
    }
}
