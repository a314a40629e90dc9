//! Nodes with custom operators.

use super::layer::{Layer, Translation};
use super::net::{Net, Slot};
use super::proto::{Attribute as Proto, NodeProto};
use crate::graph::custom::{Attribute, Attributes, Source};
use crate::graph::{Custom, Op};
use crate::import::refusal::Refusal;

/// The custom operator of a node, if it has one.
pub(super) fn find(net: &Net, node: &NodeProto) -> Option<Custom> {
    let source = Source::Onnx { domain: &node.domain, op_type: &node.op_type };
    let named = node.attribute.iter().filter_map(|a| Some((a.name.clone(), attribute(a)?))).collect();
    net.custom.find(source, Attributes { named, ..Attributes::default() })
}

/// Translates a node; the operator determines the shapes of its results.
pub(super) fn translate(l: &mut Layer<'_>, operator: Custom) -> Translation {
    let mut inputs = Vec::with_capacity(l.inputs.len());
    for position in 0..l.inputs.len() {
        // Integers without a quantization keep their type.
        let known = l.known(position).filter(|_| operator.host().is_index(position));
        inputs.push(match known {
            Some(known) => Some(l.net.constant(&known)?),
            None if l.is_given(position) => Some(l.value(position)?),
            None => None,
        });
    }
    let shapes: Vec<Option<&[usize]>> = inputs.iter().map(|id| id.map(|id| l.net.b.shape(id))).collect();
    let shapes = operator.host().shapes(operator.attributes(), &shapes).map_err(Refusal::Unsupported)?;
    let ids = l.net.b.op_many(&l.name, Op::Custom(operator), inputs, shapes)?;
    Ok(ids.into_iter().map(Slot::Computed).collect())
}

/// An attribute, as custom operators get it. Old files do not state which field holds the value.
fn attribute(a: &Proto) -> Option<Attribute> {
    const FLOAT: i32 = 1;
    const INTEGER: i32 = 2;
    const TEXT: i32 = 3;
    const FLOATS: i32 = 6;
    const INTEGERS: i32 = 7;
    let kind = match a.kind {
        0 if !a.floats.is_empty() => FLOATS,
        0 if !a.ints.is_empty() => INTEGERS,
        0 if !a.s.is_empty() => TEXT,
        0 if a.f != 0.0 => FLOAT,
        0 if a.t.is_none() && a.strings.is_empty() => INTEGER,
        kind => kind,
    };
    Some(match kind {
        FLOAT => Attribute::Float(a.f.into()),
        INTEGER => Attribute::Integer(a.i),
        TEXT => Attribute::Text(String::from_utf8_lossy(&a.s).into_owned()),
        FLOATS => Attribute::Floats(a.floats.iter().map(|&x| x.into()).collect()),
        INTEGERS => Attribute::Integers(a.ints.clone()),
        _ => return None,
    })
}
