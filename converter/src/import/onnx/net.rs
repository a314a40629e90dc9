//! The graph as it grows, and what the tensors of the file have become in it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use sha2::Sha256;

use super::known::Known;
use super::proto::TensorProto;
use super::tensors::{self, Outside};
use super::versions::OperatorSets;
use crate::error::{Error, Result};
use crate::graph::custom::Registry;
use crate::graph::{Constant, DType, Op, Quantization, ValueId};
use crate::import::build::Builder;
use crate::import::refusal::{Refusal, unsupported};

/// A tensor of the file, as far as it has got.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// Its elements are known now.
    Known(Rc<Known>),
    /// The device computes it.
    Computed(ValueId),
    /// The result of a layer that cannot be computed, whose shape nobody knows.
    Unknown,
    /// Labels, maps and the like, which are no tensors of numbers; outputs made of them are left out.
    Cut,
}

/// The graph as it grows, node by node.
pub(super) struct Net {
    pub b: Builder,
    pub slots: HashMap<String, Slot>,
    pub opset: i64,
    pub sets: OperatorSets,
    /// Elements that may still be computed at import.
    pub budget: usize,
    pub folder: Option<PathBuf>,
    pub hash: Sha256,
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
    /// Values of int8 that are uint8 in the file.
    pub unsigned: HashSet<ValueId>,
    /// Values of uint8, and what they are as int8.
    pub signed: HashMap<ValueId, ValueId>,
    /// Integers of scales that are found at run time, and the reals that they stand for.
    pub dynamic: HashMap<ValueId, ValueId>,
    /// Scores of trees as reals, and the integers that they are.
    pub scores: HashMap<ValueId, ValueId>,
    /// The element types of inputs, as the file says them.
    pub kinds: HashMap<ValueId, i64>,
    /// Names of layers that are taken.
    pub names: HashSet<String>,
    /// Results of the file's nodes that only SOFTMAX reads.
    pub only_softmax: HashSet<String>,
    /// Operators of the user's own.
    pub custom: Registry,
    /// Number of the next IF.
    pub block: usize,
}

impl Net {
    /// Decodes a tensor of the file.
    pub(super) fn tensor(&mut self, tensor: &TensorProto) -> Result<Known> {
        let mut outside = Outside { folder: self.folder.as_deref(), hash: &mut self.hash };
        tensors::read(tensor, &mut outside)
    }

    /// Says once what a person should know.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Says once what a person should act on.
    pub(super) fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// The shape of a slot.
    pub(super) fn shape(&self, slot: &Slot) -> Vec<usize> {
        match slot {
            Slot::Known(known) => known.shape.clone(),
            Slot::Computed(id) => self.b.shape(*id).to_vec(),
            Slot::Unknown | Slot::Cut => Vec::new(),
        }
    }

    /// A slot as a value of the graph. Integers that stand for reals go through DEQUANTIZE.
    pub(super) fn value(&mut self, slot: &Slot) -> Result<ValueId, Refusal> {
        match slot {
            Slot::Computed(id) => Ok(*id),
            // Only weights and biases have a scale for each channel, and they are read as such.
            Slot::Known(known) if !known.shared_scale() => Ok(self.constant(&known.real())?),
            Slot::Known(known) => Ok(self.constant(known)?),
            // Layers with such operands are not translated.
            Slot::Unknown | Slot::Cut => unsupported("its operand is unknown"),
        }
    }

    /// A bias as a value of the graph: known integers keep their scales.
    pub(super) fn bias(&mut self, slot: &Slot) -> Result<ValueId, Refusal> {
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
            Slot::Unknown | Slot::Cut => false,
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
