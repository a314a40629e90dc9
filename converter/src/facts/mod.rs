//! The contents of a model, for people and scripts: the facts that `ferrolite inspect` shows.
//!
//! A finished file ([`Facts::of_model`]) and a trained model in any supported format ([`Facts::of_import`])
//! have the same facts. A fact that only one of them has is null in JSON for the other. A trained model need
//! not be convertible: layers that prevent conversion are listed with the reason.
//!
//! ```
//! use ferrolite::facts::Facts;
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
//! let facts = Facts::read(format!("{folder}/mnist_cnn_float.tflite").as_ref(), &Default::default())?;
//! assert_eq!((facts.inputs[0].shape.as_slice(), facts.macs), (&[1, 28, 28, 1][..], 262_112));
//! assert!(facts.unsupported.is_empty() && facts.arena_bytes.is_none());
//! # Ok::<(), ferrolite::Error>(())
//! ```

mod convertible;

use std::path::Path;

use ferrolite_runtime::{Model, Target};
use serde::Serialize;

use crate::error::Result;
use crate::graph::{DType, Graph, ValueId};
use crate::import::{self, ImportOptions, Imported, UnsupportedLayer};
use crate::model_file::{self, MemoryFacts, ModelFile, PortFacts};
use crate::ops::{macs, path::paths};

/// The facts of a model. Scripts rely on the names of the first nine keys in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// Bytes of RAM for activations; only for a finished file.
    pub arena_bytes: Option<usize>,
    /// Size of the file.
    pub model_bytes: u64,
    /// Bytes of its constants.
    pub weight_bytes: u64,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// The core that a finished file is packed for.
    pub target: Option<String>,
    /// How a finished file's accumulators are scaled down.
    pub rounding: Option<&'static str>,
    /// Inputs in the author's order.
    pub inputs: Vec<PortJson>,
    /// Outputs in the author's order.
    pub outputs: Vec<PortJson>,
    /// Layers in the order of execution.
    pub ops: Vec<OpFacts>,
    /// Format of the file.
    pub format: String,
    /// Name of the model.
    pub name: String,
    /// The program that wrote a finished file.
    pub writer: Option<String>,
    /// SHA-256 of the trained model, in hexadecimal; empty where a file does not say.
    pub source_hash: String,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// Whether a finished file can check itself.
    pub self_test: bool,
    /// What one inference leaves to the next, under the author's names.
    pub variables: Vec<PortJson>,
    /// The programs of a file with several entry points, the first one's first, which all else here is about; none where it
    /// has but one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryJson>,
    /// The memories that a finished file's arena is divided among; empty for one.
    pub memories: Vec<MemoryJson>,
    /// Number of weights, biases and other constants of a trained model.
    pub parameters: Option<u64>,
    /// The layers that cannot be converted.
    pub unsupported: Vec<Refused>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// What the user should act on before relying on the result, one sentence each.
    pub warnings: Vec<String>,
}

/// An entry point in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntryJson {
    /// Its name.
    pub name: String,
    /// Inputs in the author's order.
    pub inputs: Vec<PortJson>,
    /// Outputs in the author's order.
    pub outputs: Vec<PortJson>,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// How many layers it has.
    pub layers: usize,
}

impl EntryJson {
    /// The entry points of a verified file.
    fn all(model: &Model<'_>) -> Vec<EntryJson> {
        let one = |index: usize| {
            let (entry, name) = (model.entry_at(index).ok()?, model.entry_name(index)?.to_string());
            let layers = model_file::layers(&entry);
            Some(EntryJson {
                name,
                inputs: model_file::inputs(&entry).into_iter().map(PortJson::from).collect(),
                outputs: model_file::outputs(&entry).into_iter().map(PortJson::from).collect(),
                macs: layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.macs)),
                layers: layers.len(),
            })
        };
        (0..model.entries()).filter_map(one).collect()
    }
}

/// A memory of the arena in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryJson {
    /// Its name.
    pub name: String,
    /// Bytes that the arena could have taken there, where the file says so.
    pub bytes: Option<u32>,
    /// Bytes that it takes.
    pub used: u32,
}

impl From<MemoryFacts> for MemoryJson {
    fn from(facts: MemoryFacts) -> MemoryJson {
        MemoryJson { name: facts.name, bytes: facts.limit, used: facts.used }
    }
}

/// An input or output in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PortJson {
    /// The author's name.
    pub name: String,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: &'static str,
    /// Real numbers per integer step, if the integers represent real numbers.
    pub scale: Option<f32>,
    /// The integer that represents zero.
    pub zero_point: Option<i32>,
}

impl From<PortFacts> for PortJson {
    fn from(facts: PortFacts) -> PortJson {
        PortJson {
            name: facts.name,
            shape: facts.shape,
            dtype: facts.dtype.name(),
            scale: facts.quantization.map(|(scale, _)| scale),
            zero_point: facts.quantization.map(|(_, zero_point)| zero_point),
        }
    }
}

/// One layer in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpFacts {
    /// Place in the order of execution.
    pub index: usize,
    /// The author's name.
    pub name: String,
    /// The operator, by TFLite's name.
    pub op: String,
    /// The operator of the device; only for a finished file.
    pub kernel: Option<&'static str>,
    /// The way that the kernels of the file's target take through it; only for a finished file.
    pub path: Option<String>,
    /// Why that is not the fastest way, and what it costs; `None` where it is.
    pub slow_because: Option<String>,
    /// About how many times as long as the fastest way it takes, where that is known.
    pub slow_factor: Option<f64>,
    /// Multiply-accumulate operations of one inference.
    pub macs: u64,
    /// Shape of each output.
    pub outputs: Vec<Vec<usize>>,
    /// Scratch memory in bytes; only for a finished file.
    pub scratch_bytes: Option<u64>,
    /// Bytes of its constants.
    pub constant_bytes: u64,
}

/// The layer with the most work, in JSON: what `step` of the runtime takes longest for, and so how long other tasks of a
/// program wait at most between two of them. How long that is, `bench` counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LongestStep {
    /// Place in the order of execution.
    pub index: usize,
    /// The author's name.
    pub name: String,
    /// The operator, by TFLite's name.
    pub op: String,
    /// Its multiply-accumulate operations.
    pub macs: u64,
    /// Their share of all.
    pub share: f64,
}

/// A layer that cannot be converted, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The author's name.
    pub name: String,
    /// The operator, by the source format's name.
    pub op: String,
    /// Why it cannot be converted.
    pub reason: String,
}

impl From<UnsupportedLayer> for Refused {
    fn from(UnsupportedLayer { name, op, reason }: UnsupportedLayer) -> Refused {
        let reason = if reason.is_empty() { "the operator is not supported".into() } else { reason };
        Refused { name, op, reason }
    }
}

impl Facts {
    /// The layer with the most multiply-accumulate operations, the first of several; `None` where no layer has any.
    pub fn longest_step(&self) -> Option<LongestStep> {
        let longest = self.ops.iter().rev().max_by_key(|op| op.macs).filter(|op| op.macs > 0)?;
        let OpFacts { index, name, op, macs, .. } = longest.clone();
        Some(LongestStep { index, name, op, macs, share: macs as f64 / self.macs.max(1) as f64 })
    }

    /// The facts of a file in any supported format, a finished file or a trained model. The options specify
    /// what a trained model's file leaves open.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is no model.
    pub fn read(path: &Path, options: &ImportOptions) -> Result<Facts> {
        if ModelFile::claims(path) {
            return Ok(Facts::of_model(&ModelFile::read(path)?.model()?));
        }
        let entries = import::entries(path, options)?;
        let Some((_, first)) = entries.first() else {
            return Ok(Facts::of_import(&import::load_with(path, options)?, size(path)));
        };
        let of = |(name, imported): &(String, Imported)| {
            let Facts { inputs, outputs, macs, ops, .. } = Facts::of_import(imported, 0);
            EntryJson { name: name.clone(), inputs, outputs, macs, layers: ops.len() }
        };
        Ok(Facts { entries: entries.iter().map(of).collect(), ..Facts::of_import(first, size(path)) })
    }

    /// The facts of a verified file.
    pub fn of_model(model: &Model<'_>) -> Facts {
        // A file for a core that this version does not know is judged as one for none.
        let paths = paths(model, model.target().unwrap_or(Target::Portable));
        let ops: Vec<OpFacts> = model_file::layers(model)
            .into_iter()
            .zip(paths)
            .map(|(layer, path)| OpFacts {
                index: layer.index,
                name: layer.name,
                op: layer.op,
                kernel: Some(layer.code),
                path: Some(path.name),
                slow_because: path.slow.as_ref().map(ToString::to_string),
                slow_factor: path.slow.and_then(|slow| slow.factor),
                macs: layer.macs,
                outputs: layer.outputs,
                scratch_bytes: Some(layer.scratch_bytes),
                constant_bytes: layer.constant_bytes,
            })
            .collect();
        let names = model.names();
        Facts {
            arena_bytes: Some(model.arena_bytes()),
            model_bytes: model.bytes().len() as u64,
            weight_bytes: model.constants().len() as u64,
            macs: ops.iter().fold(0, |sum, op| sum.saturating_add(op.macs)),
            target: Some(model.target_name().into()),
            rounding: Some(model.rounding().name()),
            inputs: model_file::inputs(model).into_iter().map(PortJson::from).collect(),
            outputs: model_file::outputs(model).into_iter().map(PortJson::from).collect(),
            ops,
            format: "Ferrolite".into(),
            name: names.model().unwrap_or_default().to_string(),
            writer: Some(names.writer().unwrap_or_default().to_string()),
            source_hash: hexadecimal(model.source_hash()),
            labels: (0..).map_while(|class| names.label(class)).map(str::to_string).collect(),
            self_test: model.self_test().is_some(),
            variables: model_file::variables(model).into_iter().map(PortJson::from).collect(),
            entries: EntryJson::all(model),
            memories: model_file::memories(model).into_iter().map(MemoryJson::from).collect(),
            parameters: None,
            unsupported: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The facts of a trained model; `bytes` is the size of its file. Whether its layers can be converted is
    /// found out by trying; float models are calibrated with made-up samples.
    pub fn of_import(imported: &Imported, bytes: u64) -> Facts {
        let graph = &imported.graph;
        let ops: Vec<OpFacts> = graph
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| OpFacts {
                index,
                name: node.name.clone(),
                op: graph.kind(node).to_string(),
                kernel: None,
                path: None,
                slow_because: None,
                slow_factor: None,
                macs: macs(graph, node),
                outputs: node.outputs.iter().map(|&id| graph.value(id).shape.clone()).collect(),
                scratch_bytes: None,
                constant_bytes: constants(graph, node.inputs.iter().copied().flatten())
                    .fold(0, |sum, (bytes, _)| sum.saturating_add(bytes)),
            })
            .collect();
        let mut used: Vec<ValueId> = graph.used_values().into_iter().collect();
        used.sort();
        let (weight_bytes, parameters) = constants(graph, used.into_iter())
            .fold((0u64, 0u64), |(bytes, count), (b, c)| (bytes.saturating_add(b), count.saturating_add(c)));
        let (unsupported, remark) = convertible::refused(graph);
        Facts {
            arena_bytes: None,
            model_bytes: bytes,
            weight_bytes,
            macs: ops.iter().fold(0, |sum, op| sum.saturating_add(op.macs)),
            target: None,
            rounding: None,
            inputs: graph.inputs.iter().map(|&id| port(graph, id)).collect(),
            outputs: graph.outputs.iter().map(|&id| port(graph, id)).collect(),
            ops,
            format: imported.format.to_string(),
            name: graph.name.clone(),
            writer: None,
            source_hash: hexadecimal(&imported.source_hash),
            labels: Vec::new(),
            self_test: false,
            variables: graph
                .states
                .iter()
                .map(|state| PortJson { name: state.name.clone(), ..port(graph, state.value) })
                .collect(),
            entries: Vec::new(),
            memories: Vec::new(),
            parameters: Some(parameters),
            unsupported,
            notes: imported.notes.iter().cloned().chain(remark).collect(),
            warnings: imported.warnings.clone(),
        }
    }
}

fn port(graph: &Graph, id: ValueId) -> PortJson {
    let value = graph.value(id);
    PortJson::from(PortFacts {
        name: value.name.clone(),
        shape: value.shape.clone(),
        dtype: value.dtype,
        quantization: value.quantization.as_ref().and_then(|q| q.tensor()),
    })
}

/// Bytes and number of elements of each constant among some values.
fn constants(graph: &Graph, ids: impl Iterator<Item = ValueId>) -> impl Iterator<Item = (u64, u64)> {
    ids.filter_map(|id| graph.values.get(id.0)).filter_map(|value| {
        let count = value.constant.as_ref()?.len() as u64;
        Some((count * DType::size(value.dtype) as u64, count))
    })
}

/// Bytes of a file, or of all files of a directory.
fn size(path: &Path) -> u64 {
    let Ok(facts) = std::fs::metadata(path) else { return 0 };
    if !facts.is_dir() {
        return facts.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    // Links are not followed, because they may form cycles.
    let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
    entries.fold(0, |sum, entry| sum.saturating_add(size(&entry.path())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::load;
    use crate::model_file::layers;

    #[test]
    fn the_longest_step_has_most_work() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn/mnist_cnn_float.tflite");
        let mut facts = Facts::read(path.as_ref(), &ImportOptions::default()).unwrap();
        let step = facts.longest_step().unwrap();
        assert_eq!(Some(step.macs), facts.ops.iter().map(|op| op.macs).max());
        assert_eq!(step.share, step.macs as f64 / facts.macs as f64);
        let first = facts.ops.iter().position(|op| op.macs == step.macs);
        assert_eq!(Some(step.index), first);
        facts.ops.iter_mut().for_each(|op| op.macs = 0);
        assert_eq!(facts.longest_step(), None);
    }

    #[test]
    fn work_is_what_the_converter_counts() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/models/fashion_dsres/fashion_dsres_int8_tf.tflite"
        );
        let graph = load(path.as_ref()).unwrap().graph;
        let converted = crate::convert::convert(path.as_ref(), &Default::default(), &()).unwrap();
        let model = converted.file.model().unwrap();
        let found: u64 = graph.nodes.iter().map(|node| macs(&graph, node)).sum();
        assert!(found > 100_000);
        assert_eq!(found, layers(&model).iter().map(|layer| layer.macs).sum::<u64>());
    }
}
