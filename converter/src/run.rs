//! Runs a model over a data set, on the host or on a board. The host runs the same interpreter as a device,
//! so the results are the same bytes.
//!
//! ```
//! use ferrolite::data::Dataset;
//! use ferrolite::model_file::{ModelFile, input_specs};
//! use ferrolite::run::{RunOptions, run};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine");
//! let file = ModelFile::read(format!("{folder}/sine.ferro").as_ref())?;
//! let model = file.model()?;
//! let data = Dataset::load(&format!("{folder}/sine_int8_tf.oracle.npz"), &input_specs(&model))?;
//! let (outputs, layers) = run(&model, &data, &RunOptions { layers: true, ..RunOptions::default() }, &())?;
//! println!("sample 0: {:?}; its first layer: {:?}", outputs.real(0, 0), layers[0].bytes);
//! # assert_eq!((outputs.samples.len(), layers.len()), (8, 3));
//! # Ok::<(), ferrolite::Error>(())
//! ```

use std::cell::Cell;
use std::ops::Range;

use ferrolite_runtime::{DType, Eval, Model, Node, Observer, OpCode, OpSet, Target, ops};
use ferrolite_schema::params::GatherParams;

use crate::aligned::AlignedBuf;
use crate::board::{self, HOST};
use crate::data::npz::NamedArray;
use crate::data::{Dataset, integers};
use crate::emit;
use crate::error::{Error, Result};
use crate::execute::{failed, infer, interpreter};
use crate::model_file::{self, PortFacts};
use crate::parallel::in_order;
use crate::progress::Progress;
use crate::reference::no_such_index;

/// Outputs of a model for some samples.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// The outputs in the author's order.
    pub ports: Vec<PortFacts>,
    /// For each sample, for each output, its bytes in the output's own type.
    pub samples: Vec<Vec<Vec<u8>>>,
}

impl RunOutput {
    /// The outputs as stored, in arrays `out0`, `out1`, … with a leading sample axis, followed by the real
    /// numbers that they represent, in arrays with the outputs' names. If a name is taken, `_real` is
    /// appended; if that is taken too, the output's number as well.
    pub fn arrays(&self) -> Vec<NamedArray> {
        let shape = |port: &PortFacts| [&[self.samples.len()], &port.shape[..]].concat();
        let stored = |(index, port): (usize, &PortFacts)| NamedArray {
            name: format!("out{index}"),
            dtype: port.dtype,
            shape: shape(port),
            bytes: self.samples.iter().flat_map(|outputs| outputs[index].iter().copied()).collect(),
        };
        let mut arrays: Vec<NamedArray> = self.ports.iter().enumerate().map(stored).collect();
        for (index, port) in self.ports.iter().enumerate() {
            // Integers without a scale represent themselves.
            let (dtype, bytes) = match port.quantization {
                None => (port.dtype, arrays[index].bytes.clone()),
                Some(_) => {
                    let real = (0..self.samples.len()).flat_map(|sample| self.real(sample, index));
                    (DType::Float32, real.flat_map(f32::to_le_bytes).collect())
                }
            };
            let taken = |name: &String| arrays.iter().any(|array| array.name == *name);
            let mut names = [port.name.clone(), format!("{}_real", port.name)].into_iter();
            let name = names.find(|name| !taken(name)).unwrap_or(format!("{}_real{index}", port.name));
            if !taken(&name) {
                arrays.push(NamedArray { name, dtype, shape: shape(port), bytes });
            }
        }
        arrays
    }

    /// One output of one sample as real numbers.
    pub fn real(&self, sample: usize, output: usize) -> Vec<f32> {
        let port = &self.ports[output];
        crate::data::dequantize(port.dtype, port.quantization, &self.samples[sample][output])
    }
}

/// How samples are run.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions<'a> {
    /// Name of the board: [`HOST`] or one of [`board::BOARDS`].
    pub board: &'a str,
    /// Each sample begins with the state that the one before left.
    pub sequence: bool,
    /// Also return every layer's outputs for the first sample.
    pub layers: bool,
    /// The operators that run on the host: the runtime's, and perhaps those of a
    /// [`Registry`](crate::graph::custom::Registry).
    pub ops: OpSet,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        RunOptions { board: HOST, sequence: false, layers: false, ops: ops::ALL }
    }
}

/// Runs all samples on the host or a board. Returns their outputs and, if `layers` is set, the first sample's
/// layers as [`run_layers`] does.
///
/// # Errors
/// When a sample does not fit the model, the board is unknown, its firmware cannot be built, or the model
/// does not fit it.
pub fn run(
    model: &Model<'_>,
    data: &Dataset,
    options: &RunOptions<'_>,
    progress: &dyn Progress,
) -> Result<(RunOutput, Vec<NamedArray>)> {
    if options.board == HOST {
        progress.begin("running", data.len());
        let outputs = run_host(model, data, options, &|| progress.step());
        progress.end();
        let layers = if options.layers { run_layers(model, options.ops, data, 0)? } else { Vec::new() };
        return Ok((outputs?, layers));
    }
    let board = board::find(options.board)?;
    let inputs = (0..data.len()).map(|sample| Ok(raw(model, data, sample)?.concat()));
    let inputs = inputs.collect::<Result<Vec<Vec<u8>>>>()?;
    let settings = board::RunOptions {
        layers: options.layers,
        sequence: options.sequence,
        entry: model_file::entry_number(model),
        ..Default::default()
    };
    // The length is not known, because the board answers when all samples are done.
    progress.begin("running", 0);
    let answer = board::run(board, model.bytes(), &inputs, settings);
    progress.end();
    let answer = answer?;
    let mut written = vec![None; model.ops().len()];
    for layer in answer.layers {
        if let Some(place) = written.get_mut(layer.index) {
            *place = Some(layer.output);
        }
    }
    let layers = layer_arrays(model, written).into_iter().flatten().collect();
    Ok((split_outputs(model, answer.outputs), layers))
}

/// Runs all samples on the host, with the operators of `options`. Each sample starts from fresh state; in a
/// sequence, it begins with the state that the one before left. `done` is called after each sample.
pub fn run_host(
    model: &Model<'_>,
    data: &Dataset,
    options: &RunOptions<'_>,
    done: &(dyn Fn() + Sync),
) -> Result<RunOutput> {
    let ops = options.ops;
    for_host(model, ops, data.len(), |model| {
        if !options.sequence {
            return run_range(model, ops, data, 0..data.len(), done);
        }
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        let mut net = interpreter(model, ops, &mut memory)?;
        let one = |sample| infer(&mut net, &raw(model, data, sample)?, &mut ()).inspect(|_| done());
        let samples = (0..data.len()).map(one).collect::<Result<_>>()?;
        Ok(RunOutput { ports: model_file::outputs(model), samples })
    })
}

/// Runs all samples on the host like [`run_host`], from this state instead of the model's own; also returns what the
/// state is after the last sample.
///
/// # Errors
/// Like [`run_host`], and if the state has another size than the model's.
pub fn run_from(
    model: &Model<'_>,
    data: &Dataset,
    options: &RunOptions<'_>,
    before: &[u8],
) -> Result<(RunOutput, Vec<u8>)> {
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(model, options.ops, &mut memory)?;
    let mut samples = Vec::new();
    for sample in 0..data.len() {
        if sample == 0 || !options.sequence {
            net.restore(before).map_err(failed)?;
        }
        samples.push(infer(&mut net, &raw(model, data, sample)?, &mut ())?);
    }
    let after = net.state().map_err(failed)?.to_vec();
    Ok((RunOutput { ports: model_file::outputs(model), samples }, after))
}

/// One inference of inputs in the model's own types, an element of `inputs` for each, from this state or, where it is
/// `None`, from the model's own. Returns the outputs in their own types, and what the state is then.
///
/// # Errors
/// If the inputs or the state have another number of bytes than the model's, or an input has an index that names nothing.
pub fn once(
    model: &Model<'_>,
    ops: OpSet,
    inputs: &[Vec<u8>],
    before: Option<&[u8]>,
) -> Result<(Vec<Vec<u8>>, Vec<u8>)> {
    if inputs.len() != model.inputs().len() {
        let (wanted, given) = (model.inputs().len(), inputs.len());
        return Err(Error::input(format!("the model has {wanted} inputs, {given} were given"))
            .help("give one array for each input, in the model's order"));
    }
    check_indices(model, inputs)?;
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(model, ops, &mut memory)?;
    if let Some(before) = before {
        net.restore(before).map_err(failed)?;
    }
    let outputs = infer(&mut net, inputs, &mut ())?;
    let after = net.state().map_err(failed)?.to_vec();
    Ok((outputs, after))
}

/// Number of samples from which packing the weights again pays off.
const WORTH_PACKING: usize = 8;

/// Calls `work` with the model. For many samples, its weights are first packed for this machine's kernels,
/// which is faster and changes no result.
pub(crate) fn for_host<R>(
    model: &Model<'_>,
    ops: OpSet,
    samples: usize,
    work: impl FnOnce(&Model<'_>) -> Result<R>,
) -> Result<R> {
    #[cfg(target_arch = "x86_64")]
    let fast = std::is_x86_feature_detected!("avx2");
    // Kernels for other hosts read plain weights.
    #[cfg(not(target_arch = "x86_64"))]
    let fast = false;
    let missing = || model.ops().iter().any(|op| ops.iter().all(|operator| operator.code != op.code));
    if !fast || samples < WORTH_PACKING || model.target() == Some(Target::Host) || missing() {
        return work(model);
    }
    match emit::repack(model, ops, Target::Host)? {
        Some(file) => work(&Model::from_bytes(&file).map_err(|error| failed(error.into()))?),
        None => work(model),
    }
}

/// Runs some of the samples, each from fresh state.
pub(crate) fn run_range(
    model: &Model<'_>,
    ops: OpSet,
    data: &Dataset,
    range: Range<usize>,
    done: &(dyn Fn() + Sync),
) -> Result<RunOutput> {
    let memory = || AlignedBuf::zeroed(model.arena_bytes());
    let samples = in_order(range, memory, |memory, sample| {
        let mut net = interpreter(model, ops, memory)?;
        infer(&mut net, &raw(model, data, sample)?, &mut ()).inspect(|_| done())
    })?;
    Ok(RunOutput { ports: model_file::outputs(model), samples })
}

/// A sample in the inputs' own types, whose indices are within their tables.
pub(crate) fn raw(model: &Model<'_>, data: &Dataset, sample: usize) -> Result<Vec<Vec<u8>>> {
    let inputs = data.raw(sample)?;
    check_indices(model, &inputs).map_err(|error| error.context(format!("sample {sample}")))?;
    Ok(inputs)
}

/// Refuses inputs, in their own types, with an index out of range; a device would take the nearest.
///
/// # Errors
/// If an operator looks up what its table does not have.
pub fn check_indices(model: &Model<'_>, inputs: &[Vec<u8>]) -> Result<()> {
    for (index, op) in model.ops().iter().enumerate().filter(|(_, op)| op.code == OpCode::Gather as u16) {
        let Ok(params) = Node::new(model, op).params::<GatherParams>() else { continue };
        let read = model.operands(op).get(1).copied().map(u32::from);
        let ports = model.inputs().iter().zip(inputs);
        for (_, bytes) in ports.filter(|(port, _)| Some(port.tensor) == read) {
            let mut numbers = integers(DType::Int32, bytes).into_iter();
            if let Some(wrong) = numbers.find(|number| !(0..i64::from(params.count)).contains(number)) {
                let layer = model.names().op(index).unwrap_or("gather");
                return Err(no_such_index(layer, wrong, params.count as usize));
            }
        }
    }
    Ok(())
}

/// Every layer's outputs for one sample: an array for each, named like the layer; further outputs
/// of a layer are named `layer:1`, `layer:2`, …. Layers of a branch that is not taken have none.
pub fn run_layers(model: &Model<'_>, ops: OpSet, data: &Dataset, sample: usize) -> Result<Vec<NamedArray>> {
    Ok(layers_of(model, ops, &raw(model, data, sample)?)?.into_iter().flatten().collect())
}

/// Like [`run_layers`], for inputs that are already in the model's own types, op by op.
pub fn layers_of(model: &Model<'_>, ops: OpSet, inputs: &[Vec<u8>]) -> Result<Vec<Vec<NamedArray>>> {
    let mut recorder = Recorder { outputs: vec![None; model.ops().len()] };
    let mut memory = AlignedBuf::zeroed(model.arena_bytes());
    let mut net = interpreter(model, ops, &mut memory)?;
    infer(&mut net, inputs, &mut recorder)?;

    Ok(layer_arrays(model, recorder.outputs))
}

/// Arrays of what each op wrote, none for an op that did not run; `written` has an op's outputs one after the other.
pub fn layer_arrays(model: &Model<'_>, written: Vec<Option<Vec<u8>>>) -> Vec<Vec<NamedArray>> {
    let ops = model_file::layers(model).into_iter().zip(model.ops()).zip(written);
    ops.map(|((layer, op), written)| {
        let mut arrays = Vec::new();
        let Some(written) = written else { return arrays };
        let tensors = model.operands(op).iter().skip(op.inputs.into());
        let mut rest = &written[..];
        for ((position, shape), &tensor) in layer.outputs.into_iter().enumerate().zip(tensors) {
            let size = model.tensors().get(usize::from(tensor)).map_or(0, |t| t.bytes as usize);
            let bytes = rest.split_off(..size.min(rest.len())).unwrap_or_default();
            arrays.push(NamedArray {
                name: if position == 0 { layer.name.clone() } else { format!("{}:{position}", layer.name) },
                dtype: model_file::tensor_dtype(model, tensor.into()),
                shape,
                bytes: bytes.to_vec(),
            });
        }
        arrays
    })
    .collect()
}

/// The outputs of samples, from bytes that hold all outputs of a sample one after the other.
pub fn split_outputs(model: &Model<'_>, samples: Vec<Vec<u8>>) -> RunOutput {
    let ports = model_file::outputs(model);
    let sizes: Vec<usize> =
        ports.iter().map(|port| port.shape.iter().product::<usize>() * port.dtype.size()).collect();
    let split = |bytes: Vec<u8>| {
        let mut rest = &bytes[..];
        sizes
            .iter()
            .map(|&size| rest.split_off(..size.min(rest.len())).unwrap_or_default().to_vec())
            .collect()
    };
    RunOutput { samples: samples.into_iter().map(split).collect(), ports }
}

/// Records what every op wrote, its outputs one after the other.
struct Recorder {
    /// By the ops' numbers; of those that did not run nothing.
    outputs: Vec<Option<Vec<u8>>>,
}

impl Observer for Recorder {
    fn after(&mut self, index: u16, eval: &Eval<'_>) {
        let outputs = 0..eval.node().outputs();
        let written = outputs.flat_map(|o| eval.output::<u8>(o).iter().map(Cell::get)).collect();
        if let Some(place) = self.outputs.get_mut(usize::from(index)) {
            *place = Some(written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_numbers_stand_beside_what_is_stored() {
        let port = |name: &str, dtype, quantization| PortFacts {
            name: name.into(),
            shape: vec![1, 2],
            dtype,
            quantization,
        };
        let ports = vec![
            port("score", DType::Int8, Some((0.5, 1))),
            port("out0", DType::Int8, Some((2.0, 0))),
            port("score", DType::Int8, Some((1.0, 0))),
            port("score", DType::UInt8, None),
        ];
        let sample = vec![vec![3, 255], vec![1, 2], vec![4, 5], vec![6, 7]];
        let output = RunOutput { ports, samples: vec![sample] };
        let arrays = output.arrays();
        let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        let real = ["score", "out0_real", "score_real", "score_real3"];
        assert_eq!(names, [&["out0", "out1", "out2", "out3"][..], &real].concat());
        let floats = |index: usize| crate::data::dequantize(DType::Float32, None, &arrays[index].bytes);
        assert_eq!((arrays[0].bytes.as_slice(), floats(4)), (&[3, 255][..], vec![1.0, -1.0]));
        assert_eq!(floats(5), [2.0, 4.0]);
        // An output without a scale stays as it is.
        assert_eq!((arrays[7].dtype, arrays[7].bytes.as_slice()), (DType::UInt8, &[6, 7][..]));
    }
}
