//! One node of the file during translation: its operands, its attributes, and the nodes that it adds to the
//! graph.

use std::collections::HashSet;
use std::rc::Rc;

use super::known::{Known, LARGEST};
use super::net::{Net, Slot};
use super::proto::{Attribute, NodeProto};
use crate::graph::ValueId;
use crate::import::damaged::damaged;
use crate::import::refusal::{Refusal, unsupported};

/// The translation of a node: one slot for each result, in the order of the file.
pub(super) type Translation = Result<Vec<Slot>, Refusal>;

/// One computed result.
pub(super) fn one(id: ValueId) -> Translation {
    Ok(vec![Slot::Computed(id)])
}

/// One known result.
pub(super) fn known(known: Known) -> Translation {
    Ok(vec![Slot::Known(Rc::new(known))])
}

/// A number of elements, steps or the like from the file. It may not be larger than any network needs.
pub(super) fn size(x: i64, what: &str) -> Result<usize, Refusal> {
    match usize::try_from(x).ok().filter(|&x| x < 1 << 24) {
        Some(x) => Ok(x),
        None => unsupported(format!("{what} {x}")),
    }
}

/// The index of a dimension, of `rank` dimensions; negative numbers count from the end.
pub(super) fn axis(x: i64, rank: usize) -> Result<usize, Refusal> {
    let rank = rank as i64;
    match x {
        x if (0..rank).contains(&x) => Ok(x as usize),
        x if (-rank..0).contains(&x) => Ok((x + rank) as usize),
        _ => Err(Refusal::Broken(damaged(format!("axis {x} of a tensor of {rank} dimensions")))),
    }
}

/// The indices of dimensions, each once and ascending.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    let mut axes = list.iter().map(|&x| axis(x, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// One node during translation.
pub(super) struct Layer<'a> {
    pub net: &'a mut Net,
    pub node: &'a NodeProto,
    /// The author's name of the node; no other node has it.
    pub name: String,
    pub inputs: Vec<Option<Slot>>,
    /// Results that are read.
    pub used: &'a HashSet<String>,
}

impl Layer<'_> {
    /// A name for an additional node of the layer.
    pub(super) fn part(&self, word: &str) -> String {
        format!("{}/{word}", self.name)
    }

    /// Version of the standard operator set.
    pub(super) fn opset(&self) -> i64 {
        self.net.opset
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    /// Whether the file gives an attribute of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer attribute.
    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    /// A real attribute.
    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    /// A list of integers.
    pub(super) fn int_list(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.ints.clone())
    }

    /// A list of real numbers.
    pub(super) fn float_list(&self, name: &str) -> Option<Vec<f32>> {
        self.attribute(name).map(|a| a.floats.clone())
    }

    /// A text.
    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.attribute(name).map_or(default.into(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let all = self.attribute(name).map(|a| a.strings.as_slice()).unwrap_or_default();
        all.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    }

    /// A tensor.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<Known>, Refusal> {
        let node = self.node;
        match node.attribute.iter().find(|a| a.name == name).and_then(|a| a.t.as_ref()) {
            None => Ok(None),
            Some(tensor) => {
                let mut known = self.net.tensor(tensor)?;
                known.name.clone_from(&self.name);
                Ok(Some(known))
            }
        }
    }

    /// Whether result number `position` is read.
    pub(super) fn is_used(&self, position: usize) -> bool {
        self.node.output.get(position).is_some_and(|name| !name.is_empty() && self.used.contains(name))
    }

    /// Whether a result has a name.
    pub(super) fn is_named(&self, position: usize) -> bool {
        self.node.output.get(position).is_some_and(|name| !name.is_empty())
    }

    /// Warns if inference mode is assumed: before operator set 7, `is_test` requests it, and by default does
    /// not.
    pub(super) fn assume_inference(&mut self) {
        if self.opset() < 7 && !self.has("is_test") {
            let text = format!(
                "layer `{}` ({}) does not say that the model is meant for inference, as operator set {} asks for \
                 by is_test: it is read so; if the model was exported in training mode, export it again",
                self.name,
                self.node.op_type,
                self.opset()
            );
            self.net.warn(text);
        }
    }

    /// Whether an operand is given.
    pub(super) fn is_given(&self, position: usize) -> bool {
        self.inputs.get(position).is_some_and(Option::is_some)
    }

    /// A required operand.
    pub(super) fn slot(&self, position: usize) -> Result<Slot, Refusal> {
        match self.inputs.get(position).cloned().flatten() {
            Some(slot) => Ok(slot),
            None => Err(Refusal::Broken(damaged(format!("operand {position} is missing")))),
        }
    }

    /// A required operand as a value of the graph.
    pub(super) fn value(&mut self, position: usize) -> Result<ValueId, Refusal> {
        let slot = self.slot(position)?;
        self.net.value(&slot)
    }

    /// The elements of an operand, if they are known.
    pub(super) fn known(&self, position: usize) -> Option<Rc<Known>> {
        match self.inputs.get(position)? {
            Some(Slot::Known(known)) => Some(known.clone()),
            _ => None,
        }
    }

    /// The elements of a required operand that must be known.
    pub(super) fn require(&self, position: usize, what: &str) -> Result<Rc<Known>, Refusal> {
        self.slot(position)?;
        match self.known(position) {
            Some(known) => Ok(known),
            None => unsupported(format!("its {what} is computed from data")),
        }
    }

    /// The integers of an operand that must be known; `None` if the operand is not given.
    pub(super) fn optional_ints(&self, position: usize, what: &str) -> Result<Option<Vec<i64>>, Refusal> {
        if !self.is_given(position) {
            return Ok(None);
        }
        match self.require(position, what)?.to_ints() {
            Some(ints) => Ok(Some(ints)),
            None => Err(Refusal::Broken(damaged(format!("its {what} is not of integers")))),
        }
    }

    /// The integers of a required operand that must be known.
    pub(super) fn ints(&self, position: usize, what: &str) -> Result<Vec<i64>, Refusal> {
        self.slot(position)?;
        Ok(self.optional_ints(position, what)?.unwrap_or_default())
    }

    /// Integers that are an attribute in older operator sets and an operand in newer ones.
    pub(super) fn ints_of(&self, attribute: &str, position: usize) -> Result<Option<Vec<i64>>, Refusal> {
        match self.int_list(attribute) {
            Some(list) => Ok(Some(list)),
            None => self.optional_ints(position, attribute),
        }
    }

    /// The shape of a required operand.
    pub(super) fn shape(&self, position: usize) -> Result<Vec<usize>, Refusal> {
        Ok(self.net.shape(&self.slot(position)?))
    }

    /// A constant of the graph.
    pub(super) fn floats(&mut self, word: &str, shape: &[usize], x: Vec<f32>) -> Result<ValueId, Refusal> {
        let name = self.part(word);
        Ok(self.net.b.float(&name, shape, x)?)
    }

    /// Refuses a result that is too large to be computed at import.
    pub(super) fn affordable(&self, shape: &[usize]) -> Result<(), Refusal> {
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        match elements.filter(|&n| n <= LARGEST.min(self.net.budget)) {
            Some(_) => Ok(()),
            None => unsupported(format!("its constant result of shape {shape:?} is too large")),
        }
    }
}
