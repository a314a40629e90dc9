//! Helpers that the tests of whole models share: they find models, compile them, run raw bytes and read
//! arrays.
// Each test binary uses only a part of it.
#![allow(dead_code)]

pub mod apart;
pub mod branching;
pub mod gru;
pub mod program;
pub mod stream;

use std::path::{Path, PathBuf};

use ferrolite::aligned::AlignedBuf;
use ferrolite::data::npz::Npz;
use ferrolite::emit::{self, Emitted, Winograd};
use ferrolite::graph::Graph;
use ferrolite::{import, passes};
use ferrolite_runtime::kernels::{Armv6m, Armv7em, Armv7m, Mve, Native, Portable, Rv32im};
use ferrolite_runtime::{Interpreter, Model, Observer, OpCode, OpSet, Operator, Target, ops};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the workspace").into()
}

/// All files below a folder with this extension, in the order of their names.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What an operator of the runtime computes.
pub fn code_of(operator: &Operator) -> OpCode {
    OpCode::from_code(operator.code).expect("one of the runtime's")
}

/// Quantized models that Ferrolite does not run, and a word from the reason that it gives.
pub const REFUSED: &[(&str, &str)] =
    &[("audio_preprocessor_int8", "SignalWindow"), ("mnist_lenet_300_100", "float")];

/// Quantized models among the shared ones.
pub fn quantized_models() -> Vec<PathBuf> {
    let Some(folder) = ferrolite_shared::models() else { return Vec::new() };
    let mut models = files(&folder.join("real"), ".tflite");
    models.extend(files(&folder.join("trained"), ".tflite"));
    models.retain(|path| !stem(path).contains("float"));
    models
}

/// The file's name without its extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

/// The file beside a model that has its name and this extension.
pub fn beside(model: &Path, ending: &str) -> PathBuf {
    model.with_file_name(format!("{}.{ending}", stem(model)))
}

/// The graph of a model file, with or without the passes.
pub fn graph(path: &Path, optimised: bool) -> Result<Graph, String> {
    let mut graph = import::load(path).map_err(|error| error.message)?.graph;
    if optimised {
        passes::optimise(&mut graph);
    }
    Ok(graph)
}

/// The `.ferro` file of a model file, with or without the passes.
pub fn compile(path: &Path, optimised: bool) -> Result<Emitted, String> {
    compile_for(path, optimised, Target::Portable)
}

/// The same, packed for a target.
pub fn compile_for(path: &Path, optimised: bool, target: Target) -> Result<Emitted, String> {
    compile_with(path, optimised, target, Winograd::default())
}

/// The same, with a choice about Winograd's algorithm.
pub fn compile_with(
    path: &Path,
    optimised: bool,
    target: Target,
    winograd: Winograd,
) -> Result<Emitted, String> {
    let options = emit::Options { target, winograd, ..emit::Options::default() };
    emit::compile(&graph(path, optimised)?, &options).map_err(|error| error.message)
}

/// Files for a target, run by a kernel set on the host.
pub struct Set {
    /// For messages.
    pub name: &'static str,
    /// What the files are packed for.
    pub target: Target,
    /// The operators with the set's kernels.
    pub ops: OpSet,
}

/// Files of a model for a target: with direct convolutions, and with Winograd's algorithm wherever possible,
/// if it is anywhere; each with a word for messages.
pub fn files_for(
    path: &Path,
    optimised: bool,
    target: Target,
) -> Vec<(&'static str, Result<Emitted, String>)> {
    let file = |winograd| compile_with(path, optimised, target, winograd);
    let direct = ("", file(Winograd::Never));
    match file(Winograd::Always) {
        Ok(tiled) if tiled.op_codes.contains(&OpCode::Conv2dWinograd) => vec![direct, (", tiles", Ok(tiled))],
        _ => vec![direct],
    }
}

/// The kernel sets that the host can run, with those of other cores emulated, and the portable set with files
/// that were packed for another core.
pub const SETS: &[Set] = &[
    Set { name: "portable", target: Target::Portable, ops: &ops::all::<Portable>() },
    Set { name: "armv7em", target: Target::CortexM4, ops: &ops::all::<Armv7em>() },
    Set { name: "mve", target: Target::CortexM55, ops: &ops::all::<Mve>() },
    Set { name: "portable, packed for cortex-m4", target: Target::CortexM4, ops: &ops::all::<Portable>() },
    Set { name: "portable, packed for cortex-m55", target: Target::CortexM55, ops: &ops::all::<Portable>() },
    Set { name: "armv7m", target: Target::CortexM3, ops: &ops::all::<Armv7m>() },
    Set { name: "portable, packed for cortex-m3", target: Target::CortexM3, ops: &ops::all::<Portable>() },
    Set { name: "armv6m", target: Target::CortexM0, ops: &ops::all::<Armv6m>() },
    Set { name: "portable, packed for cortex-m0", target: Target::CortexM0, ops: &ops::all::<Portable>() },
    Set { name: "armv7em, not packed", target: Target::Portable, ops: &ops::all::<Armv7em>() },
    Set { name: "rv32im", target: Target::RiscV32, ops: &ops::all::<Rv32im>() },
    Set { name: "host", target: Target::Host, ops: &ops::all::<Native>() },
    Set { name: "portable, packed for host", target: Target::Host, ops: &ops::all::<Portable>() },
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    Set { name: "avx2", target: Target::Host, ops: &ops::all::<ferrolite_runtime::kernels::Avx2>() },
    Set { name: "host, not packed", target: Target::Portable, ops: &ops::all::<Native>() },
    Set { name: "portable, packed for riscv32", target: Target::RiscV32, ops: &ops::all::<Portable>() },
];

/// A model that runs on raw bytes.
pub struct Net<'a> {
    model: Model<'a>,
    arena: AlignedBuf,
    ops: OpSet,
    /// What the last run left, if runs are one sequence.
    state: Option<Vec<u8>>,
}

impl<'a> Net<'a> {
    /// Reads a file that starts at a multiple of 16.
    pub fn new(file: &'a AlignedBuf) -> Net<'a> {
        Net::with(file, ops::ALL)
    }

    /// The same, with another set of operators.
    pub fn with(file: &'a AlignedBuf, ops: OpSet) -> Net<'a> {
        let model = Model::from_bytes(file).expect("the converter's files are accepted");
        let arena = AlignedBuf::zeroed(model.arena_bytes());
        Net { model, arena, ops, state: None }
    }

    /// The same, with runs that are one sequence.
    pub fn sequence(self) -> Net<'a> {
        let mut state = self.model.initial_state().to_vec();
        state.resize(self.model.state_bytes(), 0);
        Net { state: Some(state), ..self }
    }

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }

    /// Outputs for some inputs, in port order.
    pub fn run(&mut self, inputs: &[&[u8]], observer: &mut impl Observer) -> Vec<Vec<u8>> {
        // Bytes that an earlier run left behind must not matter.
        self.arena.fill(0x5A);
        let mut net = Interpreter::new(&self.model, self.ops, &mut self.arena).expect("the model is sound");
        if let Some(state) = &self.state {
            net.restore(state).expect("it has this size");
        }
        for (index, bytes) in inputs.iter().enumerate() {
            net.input_bytes_mut(index).expect("an input").copy_from_slice(bytes);
        }
        net.invoke_observed(observer).expect("the model is sound");
        if let Some(state) = &mut self.state {
            net.save(state).expect("it has this size");
        }
        let outputs = 0..self.model.outputs().len();
        outputs.map(|index| net.output_bytes(index).expect("an output").to_vec()).collect()
    }
}

/// Bytes of all inputs of a sample, and the expected bytes of all outputs, one after the other in port order.
pub struct Sample {
    pub input: Vec<u8>,
    pub wanted: Vec<u8>,
}

/// At most `limit` samples of the arrays `{inputs}0`, … and `{outputs}0`, …; none if there are no such
/// arrays.
pub fn samples(
    model: &Model<'_>,
    npz: &mut Npz,
    inputs: &str,
    outputs: &str,
    limit: usize,
) -> Result<Vec<Sample>, String> {
    if npz.header(&format!("{outputs}0")).is_none() {
        return Ok(Vec::new());
    }
    let mut read = |name: &str, count: usize| -> Result<Vec<_>, String> {
        (0..count).map(|i| npz.read(&format!("{name}{i}")).map_err(|error| error.message)).collect()
    };
    let (inputs, wanted) = (read(inputs, model.inputs().len())?, read(outputs, model.outputs().len())?);
    let count = wanted.first().map_or(0, |array| array.rows()).min(limit);
    let sample = |row: usize| Sample {
        input: inputs.iter().flat_map(|array| array.row_bytes(row).to_vec()).collect(),
        wanted: wanted.iter().flat_map(|array| array.row_bytes(row).to_vec()).collect(),
    };
    Ok((0..count).map(sample).collect())
}

/// Whether the arrays of outputs with this name are of one interpreter that ran all samples: those of vectors, and shared
/// ones that say so.
pub fn is_sequence(outputs: &str) -> bool {
    outputs == "out" || outputs.contains("seq")
}

/// Runs every sample of the arrays `{inputs}0`, `{inputs}1`, … and compares with `{outputs}0`, ….
/// `Ok` is the number of samples.
pub fn compare(file: &[u8], ops: OpSet, npz: &Path, inputs: &str, outputs: &str) -> Result<usize, String> {
    let file = AlignedBuf::from_bytes(file);
    let net = Net::with(&file, ops);
    let mut net = if is_sequence(outputs) { net.sequence() } else { net };
    let mut npz = Npz::open(npz).map_err(|error| error.message)?;
    let (ins, outs) = (net.model().inputs().len(), net.model().outputs().len());
    let mut read = |name: &str, count: usize| -> Result<Vec<_>, String> {
        (0..count).map(|i| npz.read(&format!("{name}{i}")).map_err(|error| error.message)).collect()
    };
    let (inputs, wanted) = (read(inputs, ins)?, read(outputs, outs)?);
    let samples = wanted[0].rows();
    for sample in 0..samples {
        let rows: Vec<&[u8]> = inputs.iter().map(|array| array.row_bytes(sample)).collect();
        let found = net.run(&rows, &mut ());
        for (port, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            if let Some(difference) = first_difference(found, wanted.row_bytes(sample)) {
                return Err(format!("sample {sample}, output {port}: {difference}"));
            }
        }
    }
    Ok(samples)
}

/// The first position at which two byte strings differ, and the number of differences.
pub fn first_difference(found: &[u8], wanted: &[u8]) -> Option<String> {
    if found.len() != wanted.len() {
        return Some(format!("{} bytes instead of {}", found.len(), wanted.len()));
    }
    let differs: Vec<usize> = (0..found.len()).filter(|&i| found[i] != wanted[i]).collect();
    let &at = differs.first()?;
    Some(format!(
        "{} of {} bytes differ, the first at {at}: {} instead of {}",
        differs.len(),
        found.len(),
        found[at] as i8,
        wanted[at] as i8
    ))
}
