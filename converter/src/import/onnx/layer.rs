//! One node of the file while it is translated: its operands, its attributes, and what it adds to the
//! graph.

use std::collections::HashSet;
use std::rc::Rc;

use super::known::{Known, LARGEST};
use super::proto::{Attribute, NodeProto};
use super::{Net, Slot};
use crate::error::Error;
use crate::graph::{Constant, DType, Op, Quantization, ValueId};

/// Why a node is not translated.
#[derive(Debug)]
pub(super) enum Fault {
    /// A form that Ferrolite cannot compute; the reason is for people.
    Unsupported(String),
    /// The file contradicts itself.
    Broken(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Broken(error)
    }
}

/// What a node became: one slot per result, in the order of the file.
pub(super) type Translated = Result<Vec<Slot>, Fault>;

/// A form that is not supported.
pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Unsupported(reason.into()))
}

/// One computed result.
pub(super) fn one(id: ValueId) -> Translated {
    Ok(vec![Slot::Computed(id)])
}

/// One known result.
pub(super) fn known(known: Known) -> Translated {
    Ok(vec![Slot::Known(Rc::new(known))])
}

/// A number of elements, steps or the like from the file: no larger than any network needs.
pub(super) fn size(x: i64, what: &str) -> Result<usize, Fault> {
    match usize::try_from(x).ok().filter(|&x| x < 1 << 24) {
        Some(x) => Ok(x),
        None => unsupported(format!("{what} {x}")),
    }
}

/// A dimension's number, of `rank` dimensions; negative ones count from the end.
pub(super) fn axis(x: i64, rank: usize) -> Result<usize, Fault> {
    let rank = rank as i64;
    match x {
        x if (0..rank).contains(&x) => Ok(x as usize),
        x if (-rank..0).contains(&x) => Ok((x + rank) as usize),
        _ => Err(Fault::Broken(super::damaged(format!("axis {x} of a tensor of {rank} dimensions")))),
    }
}

/// Dimensions, each of them once, ascending.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut axes = list.iter().map(|&x| axis(x, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// One node under translation.
pub(super) struct Layer<'a> {
    pub net: &'a mut Net,
    pub node: &'a NodeProto,
    /// The author's name for it; no other node has it.
    pub name: String,
    pub inputs: Vec<Option<Slot>>,
    /// Results that something reads.
    pub used: &'a HashSet<String>,
}

impl Layer<'_> {
    /// A name for a node beside the one that has the layer's.
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
    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<Known>, Fault> {
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

    /// Whether something reads result number `position`.
    pub(super) fn is_used(&self, position: usize) -> bool {
        self.node.output.get(position).is_some_and(|name| !name.is_empty() && self.used.contains(name))
    }

    /// Whether a result has a name.
    pub(super) fn is_named(&self, position: usize) -> bool {
        self.node.output.get(position).is_some_and(|name| !name.is_empty())
    }

    /// Tells where inference is taken for granted: before operator set 7 `is_test` asks for it, by default in vain.
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
    pub(super) fn slot(&self, position: usize) -> Result<Slot, Fault> {
        match self.inputs.get(position).cloned().flatten() {
            Some(slot) => Ok(slot),
            None => Err(Fault::Broken(super::damaged(format!("operand {position} is missing")))),
        }
    }

    /// A required operand as a value of the graph.
    pub(super) fn value(&mut self, position: usize) -> Result<ValueId, Fault> {
        let slot = self.slot(position)?;
        self.net.value(&slot)
    }

    /// The elements of an operand, where they are known.
    pub(super) fn known(&self, position: usize) -> Option<Rc<Known>> {
        match self.inputs.get(position)? {
            Some(Slot::Known(known)) => Some(known.clone()),
            _ => None,
        }
    }

    /// The elements of a required operand that must be known.
    pub(super) fn require(&self, position: usize, what: &str) -> Result<Rc<Known>, Fault> {
        self.slot(position)?;
        match self.known(position) {
            Some(known) => Ok(known),
            None => unsupported(format!("its {what} is computed from data")),
        }
    }

    /// The integers of an operand that must be known; none where it is not given.
    pub(super) fn optional_ints(&self, position: usize, what: &str) -> Result<Option<Vec<i64>>, Fault> {
        if !self.is_given(position) {
            return Ok(None);
        }
        match self.require(position, what)?.to_ints() {
            Some(ints) => Ok(Some(ints)),
            None => Err(Fault::Broken(super::damaged(format!("its {what} is not of integers")))),
        }
    }

    /// The integers of a required operand that must be known.
    pub(super) fn ints(&self, position: usize, what: &str) -> Result<Vec<i64>, Fault> {
        self.slot(position)?;
        Ok(self.optional_ints(position, what)?.unwrap_or_default())
    }

    /// Integers that are an attribute in older operator sets and an operand in newer ones.
    pub(super) fn ints_of(&self, attribute: &str, position: usize) -> Result<Option<Vec<i64>>, Fault> {
        match self.int_list(attribute) {
            Some(list) => Ok(Some(list)),
            None => self.optional_ints(position, attribute),
        }
    }

    /// The shape of a required operand.
    pub(super) fn shape(&self, position: usize) -> Result<Vec<usize>, Fault> {
        Ok(self.net.shape(&self.slot(position)?))
    }

    /// A constant of the graph.
    pub(super) fn floats(&mut self, word: &str, shape: &[usize], x: Vec<f32>) -> Result<ValueId, Fault> {
        let name = self.part(word);
        Ok(self.net.b.float(&name, shape, x)?)
    }

    /// Refuses a result that is too large to be computed at import.
    pub(super) fn affordable(&self, shape: &[usize]) -> Result<(), Fault> {
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        match elements.filter(|&n| n <= LARGEST.min(self.net.budget)) {
            Some(_) => Ok(()),
            None => unsupported(format!("its constant result of shape {shape:?} is too large")),
        }
    }
}

impl Net {
    /// The shape of a slot.
    pub(super) fn shape(&self, slot: &Slot) -> Vec<usize> {
        match slot {
            Slot::Known(known) => known.shape.clone(),
            Slot::Computed(id) => self.b.shape(*id).to_vec(),
            Slot::Compared(c) => {
                let [a, b] = c.sides.each_ref().map(|side| self.shape(side));
                crate::reference::broadcast_shape(&a, &b).unwrap_or_default()
            }
            Slot::Unknown | Slot::Cut => Vec::new(),
        }
    }

    /// A slot as a value of the graph. Integers that stand for reals go through DEQUANTIZE.
    pub(super) fn value(&mut self, slot: &Slot) -> Result<ValueId, Fault> {
        match slot {
            Slot::Computed(id) => Ok(*id),
            // Only weights and biases have a scale for each channel, and they are read as such.
            Slot::Known(known) if !known.shared_scale() => Ok(self.constant(&known.real())?),
            Slot::Known(known) => Ok(self.constant(known)?),
            Slot::Compared(c) => {
                unsupported(format!("`{}` ({}) compares numbers that depend on the input", c.layer, c.op))
            }
            // Layers with such operands are not translated.
            Slot::Unknown | Slot::Cut => unsupported("its operand is unknown"),
        }
    }

    /// A bias as a value of the graph: known integers keep their scales.
    pub(super) fn bias(&mut self, slot: &Slot) -> Result<ValueId, Fault> {
        match slot {
            Slot::Known(known) => Ok(self.constant(known)?),
            slot => self.value(slot),
        }
    }

    /// A known tensor as a value of the graph.
    pub(super) fn constant(&mut self, known: &Known) -> Result<ValueId, Error> {
        if let Some(id) = known.value.get() {
            return Ok(id);
        }
        let mut id = self.b.constant(&known.name, &known.shape, known.elements.clone())?;
        if let Some(quantization) = &known.quantization {
            self.b.graph_mut().value_mut(id).quantization = Some(quantization.clone());
            id = self.b.op(&format!("{}/dequantize", known.name), Op::Dequantize, &[id])?;
        }
        known.value.set(Some(id));
        Ok(id)
    }

    /// Whether a slot holds integers that do not stand for reals.
    pub(super) fn is_integer(&self, slot: &Slot) -> bool {
        match slot {
            Slot::Known(known) => known.quantization.is_none() && known.elements.dtype() != DType::Float32,
            Slot::Computed(id) => {
                let value = self.b.graph().value(*id);
                value.quantization.is_none() && value.dtype != DType::Float32
            }
            Slot::Unknown | Slot::Cut | Slot::Compared(_) => false,
        }
    }

    /// Integers for reals, as the graph holds them: int8 in place of uint8.
    pub(super) fn to_int8(elements: &Constant, zero_point: i32) -> (Constant, i32) {
        match elements {
            Constant::U8(v) => {
                (Constant::I8(v.iter().map(|&x| (x ^ 0x80) as i8).collect()), zero_point - 128)
            }
            other => (other.clone(), zero_point),
        }
    }

    /// A known tensor of integers with the quantization that makes them reals.
    pub(super) fn with_quantization(known: &Known, quantization: Quantization) -> Known {
        let mut quantization = quantization;
        if let Constant::U8(_) = known.elements {
            quantization.zero_point.iter_mut().for_each(|z| *z -= 128);
        }
        let (elements, _) = Net::to_int8(&known.elements, 0);
        Known {
            quantization: Some(quantization),
            ..Known::new(known.name.clone(), known.shape.clone(), elements)
        }
    }
}
