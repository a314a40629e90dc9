//! States that a model has as inputs and outputs, tied by the user: an output is the input of the next inference.

use super::importer::Imported;
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, State, Value, ValueId};

/// Makes each pair of an input and an output a state, under the input's name. All begin with zeros.
///
/// # Errors
/// If the model has no such input or output, if the two are of different types, sizes or scales, and if the model would
/// have no other input, or no other output.
pub(super) fn tie(mut imported: Imported, pairs: &[(String, String)]) -> Result<Imported> {
    for (input, output) in pairs {
        let graph = &mut imported.graph;
        let value = graph.inputs.remove(find(graph, &graph.inputs, "input", input)?);
        let next = graph.outputs.remove(find(graph, &graph.outputs, "output", output)?);
        let initial = check(graph, (value, next))?;
        graph.states.push(State { name: input.clone(), value, initial, next, from: 0 });
    }
    let graph = &imported.graph;
    for (ids, what) in [(&graph.inputs, "input"), (&graph.outputs, "output")] {
        if ids.is_empty() && !pairs.is_empty() {
            let help = "tie only what one inference leaves to the next";
            return Err(Error::input(format!("with these states the model has no {what} left")).help(help));
        }
    }
    Ok(imported)
}

/// The position of a border.
fn find(graph: &Graph, ids: &[ValueId], what: &str, name: &str) -> Result<usize> {
    let names: Vec<&str> = ids.iter().map(|&id| graph.value(id).name.as_str()).collect();
    names.iter().position(|found| *found == name).ok_or_else(|| {
        let left = if names.is_empty() { "none".to_string() } else { format!("`{}`", names.join("`, `")) };
        Error::input(format!("a state has the {what} `{name}`, but the model's {what}s are {left}"))
            .help("write `--state INPUT=OUTPUT` with names that `ferrolite inspect` shows, each once")
    })
}

/// The zeros that a state begins with, if both are of one kind.
fn check(graph: &Graph, (value, next): (ValueId, ValueId)) -> Result<Constant> {
    let (from, to) = (graph.value(value), graph.value(next));
    let refuse = |what: String| {
        Err(Error::input(format!("`{}` and `{}` cannot be one state: {what}", from.name, to.name))
            .help("an output becomes an input only if both have the same elements"))
    };
    if from.elements() != to.elements() {
        return refuse(format!("their shapes are {:?} and {:?}", from.shape, to.shape));
    }
    if from.dtype != to.dtype {
        return refuse(format!("their types are {} and {}", from.dtype.name(), to.dtype.name()));
    }
    if from.quantization != to.quantization {
        let scale = |value: &Value| {
            let found = value.quantization.as_ref().and_then(|q| q.tensor());
            found.map_or("none".into(), |(scale, zero_point)| format!("{scale} with zero point {zero_point}"))
        };
        return refuse(format!("their scales are {} and {}", scale(from), scale(to)));
    }
    zeros(from).map_or_else(|| refuse("they have no zero".into()), Ok)
}

/// The elements that stand for zero.
pub(crate) fn zeros(value: &Value) -> Option<Constant> {
    let quantized = value.quantization.as_ref().map(|q| q.tensor());
    let zero_point = quantized.map_or(Some(0), |tensor| tensor.map(|(_, zero_point)| zero_point))?;
    let count = value.elements();
    Some(match value.dtype {
        DType::Float32 => Constant::F32(vec![0.0; count]),
        DType::Int8 => Constant::I8(vec![zero_point as i8; count]),
        DType::UInt8 => Constant::U8(vec![zero_point as u8; count]),
        DType::Int16 => Constant::I16(vec![zero_point as i16; count]),
        DType::Int32 => Constant::I32(vec![0; count]),
        DType::Int64 => Constant::I64(vec![0; count]),
        DType::Bool => Constant::Bool(vec![false; count]),
    })
}
