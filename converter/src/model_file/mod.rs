//! A `.ferro` file on the host: reads it into aligned memory, verifies and describes it.
//!
//! ```
//! use ferrolite::model_file::{ModelFile, layers, outputs};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
//! let file = ModelFile::read(path.as_ref())?;
//! let model = file.model()?;
//! println!("{} bytes of flash, {} of RAM", file.bytes().len(), model.arena_bytes());
//! for layer in layers(&model) {
//!     println!("{} ({}): {} MACs, {} bytes of constants", layer.name, layer.op, layer.macs, layer.constant_bytes);
//! }
//! assert_eq!(outputs(&model)[0].shape, [1, 1]);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod constants;
mod contents;

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use ferrolite_runtime::kernels::policy;
use ferrolite_runtime::packing::Packing;
use ferrolite_runtime::params::{
    Conv2dParams, DepthwiseConv2dParams, FullyConnectedParams, Pool2dParams, SoftmaxParams,
};
use ferrolite_runtime::{DType, Model, Node, OpCode, OpSet, Port, Target, ops};
use ferrolite_schema::{self as schema, is_custom};

use crate::aligned::AlignedBuf;
use crate::data::InputSpec;
use crate::error::{Error, Result};
use crate::files;
use crate::unsupported::ROAD;

pub use contents::{contents, initial_state, replace};

/// Largest file that the format can hold.
const LIMIT: u64 = i32::MAX as u64;

/// A file with more work in one inference is refused: it would take about an hour on a PC.
const MOST_WORK: u64 = 1 << 43;

/// The bytes of a `.ferro` file, aligned as the reader requires.
#[derive(Clone)]
pub struct ModelFile {
    name: String,
    bytes: AlignedBuf,
    ops: OpSet,
    /// The program that is meant, of a file with several; the first where it is `None`.
    entry: Option<String>,
}

impl std::fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelFile({}, {} bytes)", self.name, self.bytes.len())
    }
}

impl ModelFile {
    /// Reads a file. It is not verified yet; [`model`](ModelFile::model) does that.
    pub fn read(path: &Path) -> Result<ModelFile> {
        let name = path.display().to_string();
        let cannot = |why: String| {
            Error::input(format!("{name}: cannot be read: {why}"))
                .help("give a .ferro file, as `ferrolite convert` writes it")
        };
        let mut bytes = Vec::new();
        let file = files::open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => cannot("there is no such file".into()).caused_by(e),
            _ => cannot(e.to_string()).caused_by(e),
        })?;
        file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|e| cannot(e.to_string()).caused_by(e))?;
        Ok(ModelFile::from_bytes(name, &bytes))
    }

    /// Whether a file is a `.ferro` file, or claims to be one by its name.
    pub fn claims(path: &Path) -> bool {
        let mut head = Vec::new();
        let read = files::open(path).and_then(|file| file.take(8).read_to_end(&mut head));
        let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("ferro"));
        named || (read.is_ok() && head.get(4..8) == Some(b"FERO"))
    }

    /// A file in memory; `name` is its name in errors.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> ModelFile {
        ModelFile { name: name.into(), bytes: AlignedBuf::from_bytes(bytes), ops: ops::ALL, entry: None }
    }

    /// Sets the operators that run the file, if it needs more than the runtime's: those of a
    /// [`Registry`](crate::graph::custom::Registry).
    #[must_use]
    pub fn with_operators(mut self, ops: OpSet) -> ModelFile {
        self.ops = ops;
        self
    }

    /// Chooses a program of a file with several entry points, which [`model`](ModelFile::model) then gives; `None` for the
    /// first one.
    #[must_use]
    pub fn with_entry(mut self, name: Option<String>) -> ModelFile {
        self.entry = name;
        self
    }

    /// The names of the file's entry points, the first one's first; empty where it has but one program.
    ///
    /// # Errors
    /// As [`model`](ModelFile::model).
    pub fn entries(&self) -> Result<Vec<String>> {
        let first = ModelFile { entry: None, ..self.clone() };
        let model = first.model()?;
        let names = (0..model.entries()).map(|index| model.entry_name(index).unwrap_or_default().to_string());
        Ok(names.collect())
    }

    /// The operators that run the file.
    pub fn operators(&self) -> OpSet {
        self.ops
    }

    /// The bytes, aligned to 16.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the file in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Verifies the file: its records, every op, and its checksum. Custom operators that are not among
    /// [`operators`](ModelFile::operators) are not checked: such a file can be described, but not run.
    pub fn model(&self) -> Result<Model<'_>> {
        let bytes = self.bytes();
        if bytes.is_empty() {
            return Err(Error::input(format!("{}: the file is empty", self.name))
                .help("write it again with `ferrolite convert`"));
        }
        let model = Model::from_bytes(bytes).map_err(|error| self.refused(error))?;
        model.check_memories().map_err(|error| self.refused(error))?;
        check_ops(&model, self.ops).map_err(|error| {
            Error::input(format!("{}: {error}", self.name))
                .help("the file is damaged or of another version; convert the model again")
                .caused_by(error)
        })?;
        if model.work() > MOST_WORK {
            return Err(Error::input(format!(
                "{}: one inference takes up to {} steps, more than {MOST_WORK}",
                self.name,
                model.work()
            ))
            .help("the file is damaged or not to be trusted; convert the model again"));
        }
        if !model.checksum_matches() {
            return Err(Error::input(format!("{}: the checksum does not fit the contents", self.name))
                .help("the file is damaged; copy it again or convert the model again"));
        }
        self.chosen(model)
    }

    /// The program that is meant, when all of them have been verified.
    fn chosen<'a>(&self, model: Model<'a>) -> Result<Model<'a>> {
        let mut chosen = None;
        for index in 0..model.entries() {
            let entry = model.entry_at(index).map_err(|error| self.refused(error))?;
            let name = model.entry_name(index).unwrap_or_default();
            entry.check_memories().map_err(|error| self.refused(error))?;
            check_ops(&entry, self.ops).map_err(|error| {
                Error::input(format!("{}: entry `{name}`: {error}", self.name))
                    .help("the file is damaged or of another version; convert the model again")
                    .caused_by(error)
            })?;
            if entry.work() > MOST_WORK {
                return Err(Error::input(format!("{}: entry `{name}` takes too many steps", self.name))
                    .help("the file is damaged or not to be trusted; convert the model again"));
            }
            if self.entry.as_deref() == Some(name) {
                chosen = Some(entry);
            }
        }
        match (&self.entry, chosen) {
            (None, _) => Ok(model),
            (Some(_), Some(entry)) => Ok(entry),
            (Some(wanted), None) => {
                let names: Vec<String> = (0..model.entries())
                    .filter_map(|i| Some(format!("`{}`", model.entry_name(i)?)))
                    .collect();
                let has = if names.is_empty() { "it has one program".into() } else { names.join(", ") };
                Err(Error::input(format!("{}: there is no entry `{wanted}`: {has}", self.name))
                    .help("`ferrolite inspect` lists the entries of a file"))
            }
        }
    }

    fn refused(&self, error: schema::Error) -> Error {
        let help = match error {
            schema::Error::NotAModel if self.bytes().get(4..8) == Some(b"TFL3") => {
                "this is a TensorFlow Lite model: `ferrolite convert` makes a .ferro file of it"
            }
            schema::Error::NotAModel => "give a .ferro file, as `ferrolite convert` writes it",
            schema::Error::Version { found } if found > schema::FORMAT_VERSION => {
                "a newer ferrolite wrote it: update this one, or convert the model again with this one"
            }
            schema::Error::Version { .. } => {
                "an older ferrolite wrote it: make a new file with `ferrolite convert MODEL -o FILE.ferro`"
            }
            schema::Error::RuntimeTooOld { .. } => {
                "update ferrolite, or convert the model again with this one"
            }
            _ => "the file is damaged or of another version; convert the model again",
        };
        Error::input(format!("{}: {error}", self.name)).help(help).caused_by(error)
    }
}

/// Checks every op whose operator is known, and that all unknown ones are custom operators.
fn check_ops(model: &Model<'_>, ops: OpSet) -> Result<(), ferrolite_runtime::Error> {
    for (index, op) in model.ops().iter().enumerate() {
        let index = index as u16;
        match ops.iter().find(|operator| operator.code == op.code) {
            Some(operator) => {
                ferrolite_runtime::check_op(&Node::new(model, op), operator.check, operator.lead)
                    .map_err(|fault| ferrolite_runtime::Error::Op { op: index, fault })?
            }
            None if is_custom(op.code) => {}
            None => return Err(ferrolite_runtime::Error::UnsupportedOp { op: index, code: op.code }),
        }
    }
    Ok(())
}

/// The error for a model that needs a custom operator, with what to do.
pub(crate) fn missing(model: &Model<'_>, error: ferrolite_runtime::Error) -> Option<Error> {
    let index = match error {
        ferrolite_runtime::Error::UnsupportedOp { op, code } if is_custom(code) => op,
        ferrolite_runtime::Error::Op { op, fault: ferrolite_runtime::Fault::Name } => op,
        _ => return None,
    };
    let layer = layers(model).into_iter().nth(index.into())?;
    let what = "it is a custom operator, which is not registered here";
    Some(Error::layer(&layer.name, &layer.op, what).help(ROAD).caused_by(error))
}

/// The facts about one input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct PortFacts {
    /// The author's name; `in0` or `out0` if the file has none.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Scale and zero point, if integers represent real numbers.
    pub quantization: Option<(f32, i32)>,
}

impl From<PortFacts> for InputSpec {
    fn from(facts: PortFacts) -> InputSpec {
        let PortFacts { name, shape, dtype, quantization } = facts;
        InputSpec { name, shape, dtype, quantization }
    }
}

/// A memory that the arena is divided among.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFacts {
    /// Its name; `memory0` where the file has none.
    pub name: String,
    /// Bytes that the arena could have taken there, where the file says so.
    pub limit: Option<u32>,
    /// Bytes that it takes.
    pub used: u32,
}

/// The memories that the arena is divided among, the fastest first; none where there is one for all.
pub fn memories(model: &Model<'_>) -> Vec<MemoryFacts> {
    let facts = |(index, &used): (usize, &u32)| {
        let (name, limit) = model.names().memory(index).unzip();
        let name = name.filter(|name| !name.is_empty()).map_or(format!("memory{index}"), str::to_string);
        MemoryFacts { name, limit, used }
    };
    model.memories().iter().enumerate().map(facts).collect()
}

/// The inputs of a model, in the author's order.
pub fn inputs(model: &Model<'_>) -> Vec<PortFacts> {
    ports(model, model.inputs(), "in", |index| model.input_name(index))
}

/// The outputs of a model, in the author's order.
pub fn outputs(model: &Model<'_>) -> Vec<PortFacts> {
    ports(model, model.outputs(), "out", |index| model.output_name(index))
}

/// The variables of a model: what outlives an inference under the author's name.
pub fn variables(model: &Model<'_>) -> Vec<PortFacts> {
    ports(model, model.variables(), "variable", |index| model.variable_name(index))
}

/// The inputs as specifications that a data set has to fit.
pub fn input_specs(model: &Model<'_>) -> Vec<InputSpec> {
    inputs(model).into_iter().map(InputSpec::from).collect()
}

/// The range of real numbers that each input was calibrated for: that of its integers, or of the integers
/// that a float input is converted to; `None` if the file does not contain it.
pub fn input_ranges(model: &Model<'_>) -> Vec<Option<(f32, f32)>> {
    let range = |(port, facts): (&Port, PortFacts)| {
        let (dtype, quantization) = match facts.quantization {
            Some(quantization) => (facts.dtype, quantization),
            None => {
                let (tensor, quantization) = model.ops().iter().find_map(|op| {
                    let operands = model.operands(op);
                    let reads = op.code == OpCode::Quantize as u16
                        && operands.first().copied().map(u32::from) == Some(port.tensor);
                    let [scale, zero_point] = *model.params(op) else { return None };
                    let params = (f32::from_bits(scale), zero_point as i32);
                    operands.get(1).filter(|_| reads).map(|&tensor| (usize::from(tensor), params))
                })?;
                (tensor_dtype(model, tensor), quantization)
            }
        };
        InputSpec { name: facts.name, shape: facts.shape, dtype, quantization: Some(quantization) }
            .real_range()
    };
    model.inputs().iter().zip(inputs(model)).map(range).collect()
}

fn ports<'a>(
    model: &Model<'a>,
    ports: &[Port],
    prefix: &str,
    name: impl Fn(usize) -> Option<&'a str>,
) -> Vec<PortFacts> {
    let facts = |(index, port): (usize, &Port)| PortFacts {
        name: name(index).filter(|n| !n.is_empty()).map_or(format!("{prefix}{index}"), str::to_string),
        shape: shape(port),
        dtype: tensor_dtype(model, port.tensor as usize),
        quantization: quantization(port),
    };
    ports.iter().enumerate().map(facts).collect()
}

/// The dimensions of an input or output.
pub(crate) fn shape(port: &Port) -> Vec<usize> {
    port.shape().iter().map(|&d| d as usize).collect()
}

/// Scale and zero point of an input or output, if it has them.
pub(crate) fn quantization(port: &Port) -> Option<(f32, i32)> {
    (port.scale > 0.0 && port.scale.is_finite()).then_some((port.scale, port.zero_point))
}

/// Element type of a tensor; a verified model has no unknown ones.
pub(crate) fn tensor_dtype(model: &Model<'_>, tensor: usize) -> DType {
    model.tensors().get(tensor).and_then(|t| t.dtype()).unwrap_or(DType::Int8)
}

/// The facts about one op of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Index in the program.
    pub index: usize,
    /// The author's name of the layer.
    pub name: String,
    /// The operator: TFLite's name if the file has it, else the runtime's.
    pub op: String,
    /// The runtime's name of the operator that is executed.
    pub code: &'static str,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// Shape of each output; flat if the file does not contain it.
    pub outputs: Vec<Vec<usize>>,
    /// Scratch memory in bytes.
    pub scratch_bytes: u64,
    /// Bytes of its weights, biases, multipliers and tables. Constants that layers share count for the first
    /// one.
    pub constant_bytes: u64,
    /// Bytes of its record and parameters in the program.
    pub program_bytes: u64,
}

/// The ops of a model, with unique names.
pub fn layers(model: &Model<'_>) -> Vec<Layer> {
    let names = model.names();
    let mut seen = std::collections::HashSet::new();
    let mut layers = Vec::with_capacity(model.ops().len());
    let constants = constants::constant_bytes(model);
    for ((index, op), constant_bytes) in model.ops().iter().enumerate().zip(constants) {
        let code = code_name(op.code);
        let mut name = match names.op(index) {
            Some(name) if !name.is_empty() => name.to_string(),
            _ => format!("{code}_{index}"),
        };
        if !seen.insert(name.clone()) {
            // Writing to a string does not fail.
            let _ = write!(name, "#{index}");
            seen.insert(name.clone());
        }
        let outputs = model.operands(op).iter().skip(op.inputs.into());
        layers.push(Layer {
            index,
            name,
            op: names.op_kind(index).filter(|k| !k.is_empty()).unwrap_or(code).to_string(),
            code,
            macs: names.op_macs(index).unwrap_or(0),
            outputs: outputs.map(|&tensor| tensor_shape(model, tensor.into())).collect(),
            scratch_bytes: op.scratch_bytes.into(),
            constant_bytes,
            program_bytes: size_of_val(op) as u64 + 4 * u64::from(op.params_words),
        });
    }
    layers
}

/// The runtime's name of an op's code.
fn code_name(code: u16) -> &'static str {
    match OpCode::from_code(code) {
        Some(code) => code.name(),
        None if is_custom(code) => "custom",
        None => "unknown",
    }
}

/// Shape of a tensor inside the model from the file's debug section, if it fits the tensor's size; else the
/// number of its elements.
pub fn tensor_shape(model: &Model<'_>, tensor: usize) -> Vec<usize> {
    let dtype = tensor_dtype(model, tensor);
    let elements = model.tensors().get(tensor).map_or(0, |t| t.bytes as usize / dtype.size());
    let named = model.names().tensor_port(tensor).map(shape);
    named.filter(|s| crate::data::npy::elements(s) == Some(elements)).unwrap_or_else(|| vec![elements])
}

/// The weights that an operator of a firmware can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weights {
    /// Any weights, or the operator has none.
    Any,
    /// Plain weights: the operators of `ops::plain`.
    Plain,
    /// Weights packed for its core: the operators of `ops::tuned`.
    Tuned,
    /// The same, and such with any numbers: the operators of `ops::general`.
    General,
    /// Weights of four bits: the operators of `ops::nibbles`.
    Nibbles,
    /// No weights, and little to do: the operators of `ops::small`.
    Small,
}

/// An operator that a firmware links: a constant of `ferrolite_runtime::ops`, displayed by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Linked {
    /// The operator's code.
    pub code: OpCode,
    /// The weights that it can run.
    pub weights: Weights,
}

impl From<OpCode> for Linked {
    fn from(code: OpCode) -> Linked {
        Linked { code, weights: Weights::Any }
    }
}

impl std::fmt::Display for Linked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let module = match self.weights {
            Weights::Any => "",
            Weights::Plain => "plain::",
            Weights::Tuned => "tuned::",
            Weights::General => "general::",
            Weights::Nibbles => "nibbles::",
            Weights::Small => "small::",
        };
        write!(f, "{module}{}", self.code.name().to_uppercase())
    }
}

/// Whether a firmware with this op does better with less code than with more speed.
fn is_small(code: OpCode, node: &Node<'_>) -> bool {
    match code {
        OpCode::Softmax => node.params::<SoftmaxParams>().is_ok_and(|p| p.depth <= 64),
        OpCode::AveragePool2d => {
            let cells = |p: &Pool2dParams| u64::from(p.window.kernel_h) * u64::from(p.window.kernel_w);
            node.params().is_ok_and(|p| cells(p) >= 16)
        }
        _ => false,
    }
}

/// The number of a program among those of its file; 0 for the first, and where there is but one.
pub fn entry_number(model: &Model<'_>) -> usize {
    let is = |&index: &usize| {
        model.entry_at(index).is_ok_and(|entry| core::ptr::eq(entry.ops().as_ptr(), model.ops().as_ptr()))
    };
    // Programs without ops are told apart by where their borders lie.
    let same_ports = |&index: &usize| {
        let ports = |model: &Model<'_>| (model.inputs().as_ptr(), model.outputs().as_ptr());
        model.entry_at(index).is_ok_and(|entry| ports(&entry) == ports(model))
    };
    (1..model.entries()).filter(is).find(same_ports).unwrap_or(0)
}

/// The operators that a model needs on a core, with all of its entries, each once, ordered by code.
pub fn operators(model: &Model<'_>, core: Target) -> Vec<Linked> {
    let policy = policy(core);
    let mut linked: Vec<Linked> = Vec::new();
    let others: Vec<Model<'_>> =
        (0..model.entries()).filter_map(|index| model.entry_at(index).ok()).collect();
    let programs = std::iter::once(model).chain(&others);
    for (model, op) in programs.flat_map(|model| model.ops().iter().map(move |op| (model, op))) {
        let Some(code) = OpCode::from_code(op.code) else { continue };
        let node = Node::new(model, op);
        let (found, wanted) = match code {
            OpCode::Conv2dWinograd => {
                (node.params::<Conv2dParams>().map(|p| p.packing).ok(), Packing::WINOGRAD)
            }
            OpCode::Conv2d | OpCode::Conv2dSegments => {
                (node.params::<Conv2dParams>().map(|p| p.packing).ok(), policy.conv)
            }
            OpCode::DepthwiseConv2d => {
                (node.params::<DepthwiseConv2dParams>().map(|p| p.packing).ok(), policy.depthwise)
            }
            OpCode::FullyConnected => {
                (node.params::<FullyConnectedParams>().map(|p| p.packing).ok(), policy.dense)
            }
            _ => (None, Packing::PLAIN),
        };
        let weights = match found.and_then(Packing::from_tag) {
            None if is_small(code, &node) => Weights::Small,
            None if found == Some(Packing::NIBBLES) => Weights::Nibbles,
            Some(Packing::PLAIN) => Weights::Plain,
            Some(packing) if packing.is_a(wanted) => Weights::Tuned,
            Some(packing) if packing.is_a(wanted.general()) => match code {
                OpCode::Conv2d | OpCode::Conv2dSegments | OpCode::FullyConnected => Weights::General,
                _ => Weights::Any,
            },
            _ => Weights::Any,
        };
        match linked.iter_mut().find(|other| other.code == code) {
            Some(other) if other.weights != weights => {
                other.weights = match (other.weights, weights) {
                    (Weights::Tuned, Weights::General) | (Weights::General, Weights::Tuned) => {
                        Weights::General
                    }
                    _ => Weights::Any,
                }
            }
            Some(_) => {}
            None => linked.push(Linked { code, weights }),
        }
    }
    linked.sort();
    linked
}
