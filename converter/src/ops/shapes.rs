//! The checks of a node, and the shape that follows from its operands.

use std::cell::RefCell;

use super::check::{Check, elements, error};
use super::of;
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};

/// Checks a node's operands, attributes and results against one another.
pub fn check_node(graph: &Graph, node: &Node) -> Result<()> {
    let shape = |id: ValueId| -> Result<&[usize]> {
        let value = graph
            .values
            .get(id.0)
            .ok_or_else(|| error(node, format!("it refers to value {} of {}", id.0, graph.values.len())))?;
        match elements(&value.shape) {
            Some(n) if n > 0 => Ok(&value.shape),
            Some(_) => Err(error(node, format!("`{}` of shape {:?} is empty", value.name, value.shape))),
            None => Err(error(node, format!("`{}` of shape {:?} is too large", value.name, value.shape))),
        }
    };
    let inputs = node.inputs.iter().map(|&id| id.map(shape).transpose()).collect::<Result<Vec<_>>>()?;
    let outputs = node.outputs.iter().map(|&id| shape(id)).collect::<Result<Vec<_>>>()?;
    let count = outputs.len();
    if count == 0 || (count > 1 && !of(&node.op).has_several_results()) {
        return Err(error(node, format!("it has {count} outputs")));
    }
    of(&node.op).check(&Check { node, inputs, outputs, inferred: None })
}

/// The shape of a node's (first) result, from those of its operands; only of operators whose operands
/// and attributes say it: not of RESHAPE, TRANSPOSE_CONV, SPLIT, UNPACK and RESIZE.
pub fn infer_shape(node: &Node, inputs: &[Option<&[usize]>]) -> Result<Vec<usize>> {
    let inputs = inputs.to_vec();
    let check = Check { node, inputs, outputs: Vec::new(), inferred: Some(RefCell::default()) };
    let shape = of(&node.op).infer(&check)?;
    match elements(&shape) {
        Some(n) if n > 0 => Ok(shape),
        _ => Err(error(node, format!("its result of shape {shape:?} is empty or too large"))),
    }
}
