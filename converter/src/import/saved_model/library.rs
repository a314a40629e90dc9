//! Graphs and functions by name, and the references in the inputs of their nodes.

use std::collections::HashMap;

use super::known::{self, Known};
use super::proto::{Attr, FunctionDef, GraphDef, NodeDef, TensorProto};
use crate::graph::DType;

/// Deepest nesting of function calls.
pub(super) const DEEPEST: usize = 48;

/// The nodes of a graph or of a function.
#[derive(Default)]
pub(super) struct Body<'m> {
    pub nodes: HashMap<&'m str, &'m NodeDef>,
    /// The function's parameters, in their order.
    pub parameters: Vec<&'m str>,
    /// The function's results, in their order, as references.
    pub results: Vec<&'m str>,
}

/// A whole model: the outer graph and its functions.
pub(super) struct Library<'m> {
    pub graph: Body<'m>,
    pub functions: HashMap<&'m str, Body<'m>>,
}

impl<'m> Library<'m> {
    pub(super) fn new(graph: &'m GraphDef) -> Library<'m> {
        let functions = graph.library.iter().flat_map(|library| &library.functions);
        Library {
            graph: Body { nodes: by_name(&graph.nodes), ..Body::default() },
            functions: functions.filter_map(function).collect(),
        }
    }
}

fn by_name(nodes: &[NodeDef]) -> HashMap<&str, &NodeDef> {
    nodes.iter().map(|node| (node.name.as_str(), node)).collect()
}

fn function(def: &FunctionDef) -> Option<(&str, Body<'_>)> {
    let signature = def.signature.as_ref()?;
    let results = signature.outputs.iter().map(|o| def.results.get(&o.name).map_or("", String::as_str));
    let body = Body {
        nodes: by_name(&def.nodes),
        parameters: signature.inputs.iter().map(|i| i.name.as_str()).collect(),
        results: results.collect(),
    };
    Some((signature.name.as_str(), body))
}

/// Parses a reference to a tensor: the node, the name of its result, and an index. `None` for a control
/// dependency.
///
/// In functions, a result has a name before its index, and the index counts within that name.
pub(super) fn reference(text: &str) -> Option<(&str, &str, usize)> {
    if text.starts_with('^') {
        return None;
    }
    let mut parts = text.split(':');
    let node = parts.next().unwrap_or_default();
    let (second, third) = (parts.next(), parts.next());
    Some(match (second, third) {
        (None, _) => (node, "", 0),
        (Some(index), None) => match index.parse() {
            Ok(index) => (node, "", index),
            Err(_) => (node, index, 0),
        },
        (Some(result), Some(index)) => (node, result, index.parse().unwrap_or(usize::MAX)),
    })
}

/// The index of the first tensor of a named result; few operators have several named results.
pub(super) fn first_of(op: &str, result: &str) -> usize {
    let names: &[&str] = match op {
        "FusedBatchNorm" | "FusedBatchNormV2" | "FusedBatchNormV3" => {
            &["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"]
        }
        "TopK" | "TopKV2" => &["values", "indices"],
        "TensorListPopBack" => &["output_handle", "tensor"],
        "MaxPoolWithArgmax" => &["output", "argmax"],
        "SparseSoftmaxCrossEntropyWithLogits" => &["loss", "backprop"],
        _ => &[],
    };
    names.iter().position(|&name| name == result).unwrap_or(0)
}

/// The attributes of a node. The file may leave out attributes with their default value, so every method
/// takes the default.
pub(super) trait Attributes {
    fn attribute(&self, name: &str) -> Option<&Attr>;

    fn text(&self, name: &str) -> Option<&str> {
        let Attr::Text(bytes) = self.attribute(name)? else { return None };
        std::str::from_utf8(bytes).ok()
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(Attr::Int(value)) = self.attribute(name) { *value } else { default }
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        if let Some(Attr::Float(value)) = self.attribute(name) { *value } else { default }
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        if let Some(Attr::Bool(value)) = self.attribute(name) { *value } else { default }
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        if let Some(Attr::List(list)) = self.attribute(name) { Some(&list.ints) } else { None }
    }

    fn function(&self, name: &str) -> Option<&str> {
        if let Some(Attr::Function(f)) = self.attribute(name) { Some(&f.name) } else { None }
    }

    fn tensor(&self, name: &str) -> Option<&TensorProto> {
        if let Some(Attr::Tensor(tensor)) = self.attribute(name) { Some(tensor) } else { None }
    }

    fn type_number(&self, name: &str) -> Option<i32> {
        if let Some(Attr::Type(number)) = self.attribute(name) { Some(*number) } else { None }
    }

    fn dtype(&self, name: &str, default: DType) -> Result<DType, String> {
        let Some(number) = self.type_number(name) else { return Ok(default) };
        known::dtype(number).ok_or_else(|| format!("elements of {}", known::dtype_name(number)))
    }

    /// The shapes of the results, if the file has them and no dimension other than the batch is open.
    fn shapes(&self) -> Option<Vec<Vec<usize>>> {
        let Some(Attr::List(list)) = self.attribute("_output_shapes") else { return None };
        let shape = |s: &super::proto::TensorShape| -> Option<Vec<usize>> {
            let dims = s.dims.iter().enumerate();
            let known = dims.map(|(i, d)| if i == 0 && d.size < 0 { Ok(1) } else { usize::try_from(d.size) });
            known.collect::<Result<_, _>>().ok().filter(|_| !s.unknown_rank)
        };
        list.shapes.iter().map(shape).collect()
    }
}

impl Attributes for NodeDef {
    fn attribute(&self, name: &str) -> Option<&Attr> {
        self.attributes.get(name)?.value.as_ref()
    }
}

/// The constant of a `Const` node.
pub(super) fn constant(node: &NodeDef) -> Result<std::rc::Rc<Known>, String> {
    known::from_proto(&node.name, node.tensor("value").ok_or("no value")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_nodes_and_results() {
        assert_eq!(reference("^init"), None);
        assert_eq!(reference("x"), Some(("x", "", 0)));
        assert_eq!(reference("x:2"), Some(("x", "", 2)));
        assert_eq!(reference("call:output:3"), Some(("call", "output", 3)));
        assert_eq!(first_of("FusedBatchNormV3", "batch_variance"), 2);
    }
}
