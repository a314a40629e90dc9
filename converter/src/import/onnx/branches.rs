//! If: the nodes of both branches are read in its place, and each of its results becomes a choice between what they
//! make. A branch reads the tensors around it by their names. Where the condition is known, the branch that it takes
//! is all that is read.

use std::collections::HashSet;
use std::rc::Rc;

use super::layer::{Layer, Translation};
use super::net::{Net, Slot};
use super::order;
use super::proto::{GraphProto, NodeProto, TensorProto};
use crate::error::Result;
use crate::graph::{Choose, DType, Op, Quantization, ValueId};
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// Names of all tensors that a node reads, those in its branches included.
pub(super) fn read(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    for graph in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
        names.extend(graph.node.iter().flat_map(read));
        names.extend(graph.output.iter().map(|output| output.name.as_str()));
    }
    names
}

/// All tensors that a graph holds, in its branches as well.
pub(super) fn tensors(graph: &GraphProto) -> Vec<&TensorProto> {
    let mut all: Vec<&TensorProto> = graph.initializer.iter().collect();
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        all.extend(&attribute.t);
        all.extend(attribute.g.iter().flat_map(tensors));
    }
    all
}

/// Translates If.
pub(super) fn choose(l: &mut Layer<'_>) -> Translation {
    let condition = match l.slot(0)? {
        Slot::Known(known) => match known.to_ints().as_deref() {
            Some(&[truth]) => return side(l, truth != 0),
            _ => return Err(Refusal::Broken(damaged("its condition is not one truth value"))),
        },
        Slot::Computed(id) if l.net.b.graph().value(id).dtype == DType::Bool => id,
        slot => return Ok(vec![slot; l.node.output.len()]),
    };
    let elements: usize = l.net.b.shape(condition).iter().product();
    if elements != 1 {
        return unsupported(format!("its condition has {elements} elements; one is supported"));
    }
    let block = l.net.block;
    l.net.block += 1;
    let (yes, no) = (side(l, true)?, side(l, false)?);
    let mut results = Vec::with_capacity(yes.len());
    for (position, sides) in yes.into_iter().zip(no).enumerate() {
        results.push(result(l, position, condition, sides.into(), block)?);
    }
    Ok(results)
}

/// The results of a branch.
fn side(l: &mut Layer<'_>, holds: bool) -> Translation {
    let name = if holds { "then_branch" } else { "else_branch" };
    let graph = l.node.attribute.iter().find(|attribute| attribute.name == name);
    let Some(graph) = graph.and_then(|attribute| attribute.g.as_ref()) else {
        return Err(Refusal::Broken(damaged(format!("it has no `{name}`"))));
    };
    if graph.output.len() != l.node.output.len() {
        let text = format!("its `{name}` has {} outputs, it has {}", graph.output.len(), l.node.output.len());
        return Err(Refusal::Broken(damaged(text)));
    }
    Ok(l.net.branch(graph)?)
}

impl Net {
    /// Reads a branch, whose tensors nobody outside of it knows.
    fn branch(&mut self, graph: &GraphProto) -> Result<Vec<Slot>> {
        let outside = self.slots.clone();
        for tensor in &graph.initializer {
            let known = self.tensor(tensor)?;
            self.slots.insert(tensor.name.clone(), Slot::Known(Rc::new(known)));
        }
        let nodes = order(graph)?;
        let outputs = graph.output.iter().map(|output| output.name.clone());
        let used: HashSet<String> =
            nodes.iter().flat_map(|node| read(node)).map(str::to_string).chain(outputs).collect();
        for node in nodes {
            self.node(node, &used)?;
        }
        let inside = std::mem::replace(&mut self.slots, outside);
        let result = |name: &String| {
            inside
                .get(name)
                .cloned()
                .ok_or_else(|| damaged(format!("nothing writes a branch's output `{name}`")))
        };
        graph.output.iter().map(|output| result(&output.name)).collect()
    }
}

/// One result.
fn result(
    l: &mut Layer<'_>,
    position: usize,
    condition: ValueId,
    sides: [Slot; 2],
    block: usize,
) -> Result<Slot, Refusal> {
    for slot in &sides {
        if matches!(slot, Slot::Unknown | Slot::Cut) {
            return Ok(slot.clone());
        }
    }
    let [yes, no] = [l.net.value(&sides[0])?, l.net.value(&sides[1])?];
    let of = |id: ValueId| {
        let value = l.net.b.graph().value(id);
        (value.shape.clone(), value.dtype, value.quantization.clone(), l.net.unsigned.contains(&id))
    };
    let (shape, dtype, quantization, unsigned) = of(yes);
    let other = of(no);
    if other.0 != shape {
        return unsupported(format!(
            "its branches give shapes {shape:?} and {:?}; one is supported",
            other.0
        ));
    }
    if (dtype, &quantization, unsigned) != (other.1, &other.2, other.3) {
        return unsupported("its branches give other types or scales; one is supported");
    }
    let name = if position == 0 { l.name.clone() } else { l.part(&position.to_string()) };
    let id = l.net.b.op_shaped(&name, Op::Choose(Choose { block }), &[condition, yes, no], &shape)?;
    keep(l.net, id, quantization, unsigned);
    Ok(Slot::Computed(id))
}

/// Integers that stand for reals still do.
fn keep(net: &mut Net, id: ValueId, quantization: Option<Quantization>, unsigned: bool) {
    net.b.graph_mut().value_mut(id).quantization = quantization;
    if unsigned {
        net.unsigned.insert(id);
    }
}
