//! What the lowering of one node works with, and what it makes.

use std::collections::{HashMap, HashSet};

use bytemuck::Pod;
use ferrolite_runtime::Rounding;
use ferrolite_runtime::kernels::Policy;
use ferrolite_schema::OpCode;

use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Value, ValueId};

/// The constants of the file under construction. Equal runs of bytes are stored once.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Constants {
    /// Constants that begin with those of a file.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Constants {
        Constants { bytes: bytes.to_vec(), known: HashMap::new() }
    }

    /// Stores elements at a multiple of `align` (4 for 32-bit elements, up to 16) and returns their
    /// offset.
    pub fn add<T: Pod>(&mut self, elements: &[T], align: usize) -> Result<u32> {
        let bytes: &[u8] = bytemuck::cast_slice(elements);
        if let Some(&offset) = self.known.get(bytes)
            && (offset as usize).is_multiple_of(align)
        {
            return Ok(offset);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        let offset = u32::try_from(self.bytes.len())
            .ok()
            .filter(|offset| *offset < 1 << 30)
            .ok_or_else(|| Error::input("the model has more than 1 GiB of constants"))?;
        self.bytes.extend_from_slice(bytes);
        self.known.insert(bytes.to_vec(), offset);
        Ok(offset)
    }

    /// All bytes stored so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The state of the file under construction.
#[derive(Debug, Default)]
pub struct States {
    /// What it begins with.
    pub initial: Vec<u8>,
    /// Where each value of it lies.
    pub places: HashMap<ValueId, u32>,
}

/// One op of the device, made from a node of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    /// What it computes: the number of an [`OpCode`], or the code of an operator of the user's own.
    pub code: u16,
    /// Activations and constant tensors that it reads, in operand order.
    pub inputs: Vec<ValueId>,
    /// Activations that it writes, in operand order.
    pub outputs: Vec<ValueId>,
    /// Parameter words: the op's struct from `ferrolite_schema::params`.
    pub params: Vec<u32>,
    /// Scratch memory that it needs.
    pub scratch_bytes: u32,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// Variables among its inputs are read and written where they lie.
    pub keeps: bool,
}

impl Lowered {
    /// An op with one struct of parameters, no scratch memory and no MACs.
    pub fn new<P: Pod>(code: OpCode, inputs: Vec<ValueId>, outputs: Vec<ValueId>, params: &P) -> Lowered {
        Self::with_list(code, inputs, outputs, std::slice::from_ref(params))
    }

    /// An op whose parameters are a list of structs.
    pub fn with_list<P: Pod>(
        code: OpCode,
        inputs: Vec<ValueId>,
        outputs: Vec<ValueId>,
        params: &[P],
    ) -> Lowered {
        let params = bytemuck::cast_slice(params).to_vec();
        Lowered { code: code as u16, inputs, outputs, params, scratch_bytes: 0, macs: 0, keeps: false }
    }

    /// Reads and writes variables where they lie.
    #[must_use]
    pub fn keeping(mut self, keeps: bool) -> Lowered {
        self.keeps = keeps;
        self
    }

    /// Sets the scratch memory.
    #[must_use]
    pub fn scratch(mut self, bytes: u32) -> Lowered {
        self.scratch_bytes = bytes;
        self
    }

    /// Whether its output must lie exactly over its input, both of one size, unless something reads the input
    /// later: no other overlap is allowed.
    pub fn in_place(&self) -> bool {
        self.code == OpCode::Depthwise3x3 as u16
    }

    /// Sets the number of multiply-accumulate operations.
    #[must_use]
    pub fn macs(mut self, macs: u64) -> Lowered {
        self.macs = macs;
        self
    }
}

/// The graph and the file under construction, as the lowering of one node sees them.
pub struct Lowering<'a> {
    /// The quantized graph.
    pub graph: &'a Graph,
    /// Constants of the file.
    pub constants: &'a mut Constants,
    /// Values that lowerings made for themselves.
    pub(crate) temporaries: &'a mut Vec<Value>,
    /// Values that are state.
    pub(crate) states: &'a mut States,
    /// How the file's accumulators are scaled down.
    pub rounding: Rounding,
    /// What the kernels of the target read fast.
    pub policy: Policy,
    /// Which convolutions are made by tiles.
    pub(crate) winograd: &'a mut Tiled,
}

/// A convolution that could be made this way.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its result.
    pub output: ValueId,
    /// Cycles of a Cortex-M4 that it saves, as far as is known without measuring; may be negative.
    pub saved: i64,
    /// Bytes of flash that it adds.
    pub bytes: u64,
}

/// Convolutions made by Winograd's algorithm, and those that could be.
#[derive(Debug, Default)]
pub(crate) struct Tiled {
    /// Whether the target has kernels for it.
    pub possible: bool,
    /// Results of those that are.
    pub chosen: HashSet<ValueId>,
    /// All that could be: lowering enters them.
    pub candidates: Vec<Candidate>,
}

impl<'a> Lowering<'a> {
    /// Lowers something of a graph by itself, for whoever wants its numbers and no file.
    pub(crate) fn alone<R>(graph: &Graph, lower: impl FnOnce(&mut Lowering<'_>) -> R) -> R {
        lower(&mut Lowering {
            graph,
            constants: &mut Constants::default(),
            temporaries: &mut Vec::new(),
            states: &mut States::default(),
            rounding: Rounding::Double,
            policy: Policy::PLAIN,
            winograd: &mut Tiled::default(),
        })
    }

    /// The operand at `position`, or an error that names the layer.
    pub fn input(&self, node: &Node, position: usize) -> Result<(ValueId, &'a Value)> {
        let id = node.input(position).ok_or_else(|| {
            Error::input(format!("layer `{}`: operand {position} is missing", node.name)).about(&node.name)
        })?;
        Ok((id, self.graph.value(id)))
    }

    /// The result at `position`, or an error that names the layer.
    pub fn output(&self, node: &Node, position: usize) -> Result<(ValueId, &'a Value)> {
        let id = node.outputs.get(position).copied();
        let id = id.ok_or_else(|| {
            Error::input(format!("layer `{}`: result {position} is missing", node.name)).about(&node.name)
        })?;
        Ok((id, self.graph.value(id)))
    }

    /// A value between two ops of one layer.
    pub fn temporary(&mut self, value: Value) -> ValueId {
        self.temporaries.push(value);
        ValueId(self.graph.values.len() + self.temporaries.len() - 1)
    }

    /// A value that is kept from one inference to the next, and what it is before the first one.
    pub fn state<T: Pod>(&mut self, value: Value, initial: &[T]) -> Result<ValueId> {
        let id = self.temporary(value);
        let bytes = &mut self.states.initial;
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let place = u32::try_from(bytes.len()).map_err(|_| Error::input("the model has too much state"))?;
        bytes.extend_from_slice(bytemuck::cast_slice(initial));
        self.states.places.insert(id, place);
        Ok(id)
    }

    /// Scale and zero point of a per-tensor quantized value, or an error that names the layer.
    pub fn quantization(&self, node: &Node, value: &Value) -> Result<(f64, i32)> {
        let (scale, zero_point) = value.quantization.as_ref().and_then(|q| q.tensor()).ok_or_else(|| {
            Error::input(format!(
                "layer `{}`: tensor `{}` has no per-tensor quantization, which {} needs",
                node.name,
                value.name,
                node.op.name()
            ))
            .about(&node.name)
        })?;
        Ok((scale.into(), zero_point))
    }

    /// An error that names a layer and what of it is not supported.
    pub fn unsupported(&self, node: &Node, what: impl std::fmt::Display) -> Error {
        Error::layer(&node.name, node.op.name(), what)
    }

    /// A dimension or count as the file stores it, or an error that names the layer.
    pub fn word(&self, node: &Node, number: usize) -> Result<u32> {
        u32::try_from(number)
            .map_err(|_| self.unsupported(node, format!("{number} is too large for the file")))
    }
}
