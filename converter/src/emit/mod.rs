//! From a quantized graph to a `.ferro` file.
//!
//! ```text
//! Graph --lower--> Program --plan--> Program with offsets --write--> bytes
//! ```
//! Lowering (`crate::ops`, one file per operator) turns each node into ops of the device with finished
//! numbers. Planning gives every tensor and scratch buffer its place in one arena. Writing makes the
//! FlatBuffers file. The result is read again by the verifier and the operators of the runtime: what
//! [`compile`] returns, a device accepts.
//!
//! ```
//! use ferrolite::emit::{Metadata, Options, compile};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine_int8_tf.tflite");
//! let mut graph = ferrolite::import::load(path.as_ref())?.graph;
//! ferrolite::passes::optimise(&mut graph);
//! let metadata = Metadata { name: "sine".into(), licence: "Apache-2.0".into(), ..Metadata::default() };
//! let emitted = compile(&graph, &Options { metadata, ..Options::default() })?;
//! assert_eq!(emitted.ops.len(), 3);
//! println!("{} bytes, arena of {}", emitted.bytes.len(), emitted.arena_bytes);
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod choice;
mod early;
mod entries;
mod known;
mod memories;
mod options;
mod plan;
mod program;
mod refused;
mod repack;
mod schedule;
mod states;
#[cfg(test)]
mod tests;
mod tflite;
mod write;

use ferrolite_runtime::{Node, OpSet, check};
use ferrolite_schema::{Model, OpCode, is_custom};

pub use self::tflite::tflite;
pub use entries::compile_entries;
pub use options::{Memory, Metadata, Options, Winograd};
pub(crate) use refused::refused;
pub(crate) use repack::repack;

use crate::aligned::AlignedBuf;
use crate::error::{Error, Result};
use crate::execute::{infer, interpreter};
use crate::graph::Graph;
use plan::{Leads, Plan};
use program::{Home, Program};
use write::{SelfTest, write};

/// A finished file, and what reports say of it.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The `.ferro` file.
    pub bytes: Vec<u8>,
    /// A file of the same program in which no tensor shares memory with another: it gives the same answers.
    pub apart: Vec<u8>,
    /// Bytes of arena that it needs.
    pub arena_bytes: usize,
    /// Bytes of its constants: weights, biases, multipliers, tables.
    pub weight_bytes: usize,
    /// Its ops, in the order of execution.
    pub ops: Vec<OpFact>,
    /// Its tensors, in the order of their indices.
    pub tensors: Vec<TensorFact>,
    /// Bytes of its constants that Winograd's algorithm added, at most.
    pub winograd_bytes: u64,
    /// Codes of the operators that it uses, ascending: the op set that a program must link, but for operators of the
    /// user's own.
    pub op_codes: Vec<OpCode>,
}

impl Emitted {
    /// Multiply-accumulate operations of one inference.
    pub fn macs(&self) -> u64 {
        self.ops.iter().map(|op| op.macs).sum()
    }
}

/// One op of a finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpFact {
    /// Unique name, that of the author's layer.
    pub name: String,
    /// TFLite name of the layer's operator.
    pub kind: String,
    /// What the device runs: the number of an [`OpCode`], or the code of an operator of the user's own.
    pub code: u16,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// First byte of its scratch memory in the arena.
    pub scratch: u32,
    /// Size of its scratch memory.
    pub scratch_bytes: u32,
    /// Indices of the tensors that it reads.
    pub inputs: Vec<usize>,
    /// Indices of the tensors that it writes.
    pub outputs: Vec<usize>,
}

/// One tensor of a finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorFact {
    /// The author's name.
    pub name: String,
    /// Whether it lies among the constants.
    pub constant: bool,
    /// First byte, in the arena or the constants.
    pub offset: u32,
    /// Size in bytes.
    pub bytes: u32,
    /// Index of the op that writes it; `None` for inputs and constants.
    pub writer: Option<usize>,
    /// Index of the last op that reads it; the number of ops for a model output.
    pub last_use: usize,
}

/// Makes the file of a quantized graph.
///
/// # Errors
/// When the graph is float, when layers cannot be lowered (all of them are named), when the file would
/// exceed what the format holds, and when the self-test's input has the wrong size.
pub fn compile(graph: &Graph, options: &Options) -> Result<Emitted> {
    if crate::ops::is_float(graph) {
        return Err(Error::input(format!("model `{}` is float: its layers compute in float32", graph.name))
            .help("quantize it first: give calibration data (`--calibrate DATA`)"));
    }
    let known = known::computed(graph, options);
    let mut program = Program::build(known.as_ref().unwrap_or(graph), options)?;
    early::write_early(&mut program);
    let apart = apart(&program, options)?;
    let (leads, work) = ask(&program, &apart)?;
    let plan = match options.memories.is_empty() {
        true => plan::plan(&program, &leads),
        false => memories::plan_in(&program, &leads, &work, &options.memories)?,
    };
    let bytes = write(&program, &plan, options, None)?;
    let file = AlignedBuf::from_bytes(&bytes);
    let model = accepted(&file, &program)?;
    let Some(input) = &options.self_test else { return Ok(emitted(bytes, apart, &program, &plan)) };
    let test = SelfTest { input: input.clone(), output: answer(&model, program.set, input)? };
    let bytes = write(&program, &plan, options, Some(&test))?;
    accepted(&AlignedBuf::from_bytes(&bytes), &program)?;
    Ok(emitted(bytes, apart, &program, &plan))
}

/// The file of a program in which nothing overlaps.
fn apart(program: &Program, options: &Options) -> Result<Vec<u8>> {
    let plan = plan::disjoint(program)
        .ok_or_else(|| Error::input("the model's activations together are larger than 1 GiB"))?;
    write(program, &plan, &Options { strip: true, ..options.clone() }, None)
}

/// Asks every operator how far its output may lie over its inputs, and how many steps it takes. The operators read
/// parameters from a file, so they get one in which nothing overlaps.
fn ask(program: &Program, apart: &[u8]) -> Result<(Leads, Vec<u64>)> {
    ask_entry(program, apart, 0)
}

/// The same of one of several programs.
fn ask_entry(program: &Program, apart: &[u8], entry: usize) -> Result<(Leads, Vec<u64>)> {
    let file = AlignedBuf::from_bytes(apart);
    let model = accepted_entry(&file, program, entry)?;
    let leads = |op: &ferrolite_schema::Op| {
        let node = Node::new(&model, op);
        let operator = program.set.iter().find(|operator| operator.code == op.code);
        (0..node.inputs()).map(|i| operator.and_then(|operator| (operator.lead)(&node, i))).collect()
    };
    let work = model.ops().iter().map(|op| model.op_work(op)).collect();
    Ok((model.ops().iter().map(leads).collect(), work))
}

/// The file as a device reads it. A refusal is a mistake of the converter, but for one limit.
fn accepted<'a>(file: &'a [u8], program: &Program) -> Result<Model<'a>> {
    accepted_entry(file, program, 0)
}

/// The same of one of several programs.
fn accepted_entry<'a>(file: &'a [u8], program: &Program, entry: usize) -> Result<Model<'a>> {
    let layer = |op: u16| program.ops.get(usize::from(op)).map_or("the outputs", |op| op.name.as_str());
    let bug = |error: ferrolite_runtime::Error, op: Option<u16>| {
        let place = op.map_or(String::new(), |op| format!(" (layer `{}`)", layer(op)));
        Error::internal(format!("the converter made a file that the runtime refuses: {error}{place}"))
            .caused_by(error)
    };
    let verified = Model::from_bytes(file)
        .and_then(|model| if entry == 0 { Ok(model) } else { model.entry_at(entry) })
        .and_then(|model| model.check_memories().map(|()| model));
    let model = verified.map_err(|error| match error {
        ferrolite_schema::Error::TooManySteps { op } => Error::input(format!(
            "too many tensors hold data for too long at layer `{}`: for more than {} ops and tensors, all together",
            layer(op),
            ferrolite_schema::MAX_STEPS,
        ))
        .help("simplify the model's branches, or split it in two"),
        error => bug(error.into(), None),
    })?;
    check(&model, program.set).map_err(|error| {
        let op = match error {
            ferrolite_runtime::Error::Op { op, .. } | ferrolite_runtime::Error::UnsupportedOp { op, .. } => {
                Some(op)
            }
            _ => None,
        };
        if let Some(named) =
            op.and_then(|op| program.ops.get(usize::from(op))).filter(|op| is_custom(op.lowered.code))
        {
            let (name, operator) = (&named.name, &named.kind);
            let what = "its device side refuses what its host side prepared";
            return Error::layer(name, operator, format_args!("{what}: {error}"))
                .help("let `check` of the one accept what `prepare` of the other makes")
                .caused_by(error);
        }
        bug(error, op)
    })?;
    Ok(model)
}

/// What the model answers to raw input bytes.
fn answer(model: &Model<'_>, ops: OpSet, input: &[u8]) -> Result<Vec<u8>> {
    let needed: usize =
        model.inputs().iter().map(|port| model.tensors()[port.tensor as usize].bytes as usize).sum();
    if input.len() != needed {
        return Err(Error::input(format!(
            "the self-test's input has {} bytes, the model's inputs have {needed}",
            input.len()
        )));
    }
    let mut rest = input;
    let inputs: Vec<_> = model
        .inputs()
        .iter()
        .map(|port| {
            let (bytes, behind) = rest.split_at(model.tensors()[port.tensor as usize].bytes as usize);
            rest = behind;
            bytes.to_vec()
        })
        .collect();
    let mut arena = AlignedBuf::zeroed(model.arena_bytes());
    let outputs = interpreter(model, ops, &mut arena).and_then(|mut net| infer(&mut net, &inputs, &mut ()));
    Ok(outputs.map_err(|error| error.context("the self-test cannot run"))?.concat())
}

fn emitted(bytes: Vec<u8>, apart: Vec<u8>, program: &Program, plan: &Plan) -> Emitted {
    let ops: Vec<OpFact> = program
        .ops
        .iter()
        .zip(&plan.scratch)
        .map(|(op, &scratch)| OpFact {
            name: op.name.clone(),
            kind: op.kind.clone(),
            code: op.lowered.code,
            macs: op.lowered.macs,
            scratch,
            scratch_bytes: op.lowered.scratch_bytes,
            inputs: op.inputs.clone(),
            outputs: op.outputs.clone(),
        })
        .collect();
    let tensors = program
        .tensors
        .iter()
        .zip(&plan.tensors)
        .map(|(tensor, &offset)| TensorFact {
            name: tensor.value.name.clone(),
            constant: matches!(tensor.home, Home::Constants(_)),
            offset: match tensor.home {
                Home::Arena => offset,
                Home::Constants(at) => at,
                Home::State(at) => plan.state_start() + at,
            },
            bytes: tensor.bytes,
            writer: tensor.writer,
            last_use: tensor.last_use,
        })
        .collect();
    let mut op_codes: Vec<OpCode> = ops.iter().filter_map(|op| OpCode::from_code(op.code)).collect();
    op_codes.sort();
    op_codes.dedup();
    Emitted {
        bytes,
        apart,
        arena_bytes: plan.whole_bytes(program) as usize,
        weight_bytes: program.constants.bytes().len(),
        winograd_bytes: program.winograd_bytes,
        ops,
        tensors,
        op_codes,
    }
}
