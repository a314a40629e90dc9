//! ONNX: `.onnx` files.
//!
//! The file is a protocol buffer; `proto` holds the messages that are read. The steps:
//!
//! 1. `tensors` decodes initializers, also those in files beside the model;
//! 2. nodes are put into an order in which every tensor is written before it is read; only those are
//!    taken that the model's outputs need;
//! 3. each node is translated (`operators`) into the graph that grows (`net`). What is known when the model is read, shapes above all,
//!    is computed now (`known`); what cannot be translated becomes `Op::Unsupported` with a reason;
//! 4. quantized models (QDQ and QLinear operators) keep their numbers: an activation that is
//!    quantized passes through QUANTIZE and DEQUANTIZE, weights are integers behind DEQUANTIZE. Where scales are
//!    found at run time, layers are those of the float network (`dynamic`).
//!
//! ONNX images are `[n, c, h, w]`, the graph's `[n, h, w, c]`: layers over images stand between two
//! TRANSPOSEs, and the pass `transposes` removes these again. Inputs and outputs keep the author's shape.

mod arithmetic;
mod attention;
mod branches;
mod choice;
mod comparisons;
mod convolution;
mod custom;
mod dense;
mod dynamic;
mod einsum;
mod functions;
mod indices;
mod known;
mod layer;
mod learning;
mod movement;
mod net;
mod normalization;
mod older;
mod operators;
mod places;
mod pooling;
mod proto;
mod quantized;
mod recurrent;
mod reductions;
mod resize;
mod scalers;
mod scores;
mod tensors;
mod trees;
mod versions;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use prost::Message;
use sha2::{Digest, Sha256};

use super::build::Builder;
use super::damaged::{DAMAGED, damaged};
use super::importer::{ImportOptions, Imported, Importer, stem};
use crate::error::{Error, Result};
use crate::graph::{DType, Graph, Op, Pool2d, Quantization, Transpose, ValueId};
use crate::ops;
use crate::unsupported::unsupported_layers;
use known::Known;
use layer::Layer;
use net::{Net, Slot};
use proto::{Dimension, GraphProto, ModelProto, NodeProto, ValueInfo};
use versions::{OperatorSets, STANDARD};

/// Elements that may be computed at import, over the whole model.
const BUDGET: usize = 1 << 25;

/// Reads `.onnx` files.
pub struct OnnxImporter;

impl Importer for OnnxImporter {
    fn format(&self) -> &'static str {
        "ONNX"
    }

    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
        // The format's version, a small number, then the producer's name.
        let marked = matches!(head, [0x08, 1..=32, 0x12, ..]);
        !head.is_empty() && (named || marked)
    }

    fn import(&self, path: &Path, options: &ImportOptions) -> Result<Imported> {
        let name = path.display().to_string();
        let bytes = crate::files::read(path)
            .map_err(|e| Error::input(format!("{name}: cannot be read: {e}")).caused_by(e))?;
        let folder = path.parent();
        import(&name, &bytes, folder, options).map_err(|e| e.context(name))
    }

    fn beside(&self, path: &Path) -> Vec<PathBuf> {
        let model = crate::files::read(path).ok().and_then(|bytes| ModelProto::decode(&bytes[..]).ok());
        let Some(graph) = model.and_then(|model| model.graph) else { return Vec::new() };
        let entries = branches::tensors(&graph).into_iter().flat_map(|tensor| &tensor.external_data);
        let names: HashSet<&str> =
            entries.filter(|entry| entry.key == "location").map(|entry| entry.value.as_str()).collect();
        let folder = path.parent().unwrap_or(Path::new(""));
        names.into_iter().map(|name| folder.join(name)).collect()
    }

    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
        import(name, bytes, None, options).map_err(|e| e.context(name))
    }
}

fn import(name: &str, bytes: &[u8], folder: Option<&Path>, options: &ImportOptions) -> Result<Imported> {
    let model = ModelProto::decode(bytes)
        .map_err(|e| Error::input(format!("is not a sound ONNX model: {e}")).help(DAMAGED).caused_by(e))?;
    let sets = OperatorSets::of(&model)?;
    let Some(file) = model.graph else { return Err(damaged("has no graph")) };
    if !file.sparse_initializer.is_empty() {
        return Err(Error::input("has sparse initializers, which are not supported")
            .help("export the model with dense weights"));
    }
    let mut hash = Sha256::new();
    hash.update(bytes);
    let mut net = Net {
        b: Builder::new(stem(name)),
        slots: HashMap::new(),
        opset: sets.standard(),
        warnings: sets.newer(),
        sets,
        budget: BUDGET,
        folder: folder.map(Path::to_path_buf),
        hash,
        notes: Vec::new(),
        unsigned: HashSet::new(),
        signed: HashMap::new(),
        dynamic: HashMap::new(),
        scores: HashMap::new(),
        kinds: HashMap::new(),
        names: HashSet::new(),
        only_softmax: only_softmax(&file),
        custom: options.custom.clone(),
        block: 0,
    };
    let finished = net.read(&file, options).and_then(|()| net.finish(&file));
    let (mut graph, net) =
        finished.map_err(|error| if error.help.is_empty() { error.help(DAMAGED) } else { error })?;
    let Finished { notes, warnings, hash } = net;
    dynamic::sweep(&mut graph);
    Ok(Imported { graph, format: "ONNX", source_hash: hash.finalize().into(), notes, warnings })
}

/// What stands beside the finished graph.
struct Finished {
    notes: Vec<String>,
    warnings: Vec<String>,
    hash: Sha256,
}

/// Results that SOFTMAX reads and nothing else does.
fn only_softmax(file: &GraphProto) -> HashSet<String> {
    let mut softmax: HashSet<String> = HashSet::new();
    let mut others: HashSet<&str> = file.output.iter().map(|o| o.name.as_str()).collect();
    for node in &file.node {
        for input in &node.input {
            if node.op_type == "Softmax" {
                softmax.insert(input.clone());
            } else {
                others.insert(input);
            }
        }
    }
    softmax.retain(|name| !others.contains(name.as_str()));
    softmax
}

/// The nodes that the outputs need, each after those whose results it reads.
fn order(file: &GraphProto) -> Result<Vec<&NodeProto>> {
    let mut writers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in file.node.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if writers.insert(output, index).is_some() {
                return Err(damaged(format!("the tensor `{output}` is written twice")));
            }
        }
    }
    let needs = |index: usize| {
        let inputs = branches::read(&file.node[index]).into_iter();
        inputs.filter_map(|name| writers.get(name).copied()).collect::<Vec<usize>>()
    };
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; file.node.len()];
    let mut sorted = Vec::new();
    // Depth first, with a stack of its own: a long chain must not exhaust the thread's.
    let mut roots: Vec<usize> =
        file.output.iter().filter_map(|o| writers.get(o.name.as_str()).copied()).collect();
    roots.sort_unstable();
    for root in roots {
        let mut stack = vec![(root, false)];
        while let Some((index, left)) = stack.pop() {
            if left {
                marks[index] = Mark::Done;
                sorted.push(index);
                continue;
            }
            match marks[index] {
                Mark::Done => continue,
                Mark::Open => {
                    let name = &file.node[index].name;
                    return Err(damaged(format!("the graph has a cycle through node `{name}`")));
                }
                Mark::New => {}
            }
            marks[index] = Mark::Open;
            stack.push((index, true));
            for writer in needs(index) {
                match marks[writer] {
                    Mark::New => stack.push((writer, false)),
                    // On the path from the root, unless it only waits on the stack.
                    Mark::Open => {
                        let name = &file.node[writer].name;
                        return Err(damaged(format!("the graph has a cycle through node `{name}`")));
                    }
                    Mark::Done => {}
                }
            }
        }
    }
    // The author's order, where it is one already.
    let mut position = vec![0; file.node.len()];
    sorted.iter().enumerate().for_each(|(place, &index)| position[index] = place);
    let mut authored = sorted.clone();
    authored.sort_unstable();
    let mut seen: HashSet<usize> = HashSet::new();
    let sound = authored.iter().all(|&index| {
        let ready = needs(index).iter().all(|writer| seen.contains(writer));
        seen.insert(index);
        ready
    });
    let list = if sound { authored } else { sorted };
    Ok(list.into_iter().map(|index| &file.node[index]).collect())
}

/// A size that the file says.
fn known(dimension: &Dimension) -> Option<usize> {
    dimension.dim_value.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0)
}

/// Sizes of dimensions that the file leaves open under a name, which stands for one size wherever it occurs: those that
/// are given for one input, and 1 for a batch.
fn named_sizes<'f>(inputs: &[&'f ValueInfo], options: &ImportOptions) -> HashMap<&'f str, usize> {
    let dimensions = |input: &'f ValueInfo| {
        let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        tensor.and_then(|tensor| tensor.shape.as_ref()).map_or(&[][..], |shape| &shape.dim)
    };
    let given = |input: &ValueInfo| options.input_shapes.iter().find(|(name, _)| *name == input.name);
    let mut sizes = HashMap::new();
    for &input in inputs {
        for (dimension, &size) in
            dimensions(input).iter().zip(given(input).iter().flat_map(|(_, shape)| shape))
        {
            if known(dimension).is_none() && !dimension.dim_param().is_empty() {
                sizes.entry(dimension.dim_param()).or_insert(size);
            }
        }
    }
    // What is given for a later input counts, too.
    for &input in inputs {
        let batch = dimensions(input).first().map_or("", Dimension::dim_param);
        if given(input).is_none() && batch.to_lowercase().contains("batch") {
            sizes.entry(batch).or_insert(1);
        }
    }
    sizes
}

impl Net {
    /// Inputs, initializers and nodes.
    fn read(&mut self, file: &GraphProto, options: &ImportOptions) -> Result<()> {
        let nodes = order(file)?;
        let read: HashSet<&str> = nodes.iter().flat_map(|node| branches::read(node)).collect();
        for tensor in &file.initializer {
            // What nothing reads may be large and is left alone.
            let output = file.output.iter().any(|o| o.name == tensor.name);
            if read.contains(tensor.name.as_str()) || output {
                let known = self.tensor(tensor)?;
                self.slots.insert(tensor.name.clone(), Slot::Known(Rc::new(known)));
            }
        }
        // Old files list weights among the inputs, too.
        let stored: HashSet<&str> = file.initializer.iter().map(|t| t.name.as_str()).collect();
        let inputs: Vec<&ValueInfo> =
            file.input.iter().filter(|i| !stored.contains(i.name.as_str())).collect();
        let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
        options.check_names(&names)?;
        let sizes = named_sizes(&inputs, options);
        for input in inputs {
            self.input(input, &sizes, options)?;
        }
        let used: HashSet<String> =
            read.iter().map(ToString::to_string).chain(file.output.iter().map(|o| o.name.clone())).collect();
        for node in nodes {
            self.node(node, &used)?;
        }
        Ok(())
    }

    fn input(
        &mut self,
        input: &ValueInfo,
        sizes: &HashMap<&str, usize>,
        options: &ImportOptions,
    ) -> Result<()> {
        let name = &input.name;
        let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let Some((tensor, shape)) = tensor.and_then(|t| Some((t, t.shape.as_ref()?))) else {
            return Err(Error::input(format!("input `{name}` is no tensor with a shape"))
                .help("export the model with tensors as inputs"));
        };
        let Some(dtype) = tensors::dtype(tensor.elem_type.into()) else {
            let kind = tensors::types::name(tensor.elem_type.into());
            return Err(Error::input(format!("input `{name}` has elements of {kind}"))
                .help("export the model with inputs of float or integers"));
        };
        let given = options.input_shapes.iter().any(|(other, _)| other == name);
        let dimensions: Vec<Option<usize>> = shape
            .dim
            .iter()
            .map(|d| known(d).or_else(|| sizes.get(d.dim_param()).copied().filter(|_| !given)))
            .collect();
        let shape = options.input_shape(name, &dimensions)?;
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if elements.is_none_or(|n| n > 1 << 28) {
            return Err(damaged(format!("input `{name}` has shape {shape:?}")));
        }
        if let Some(elements) = options.value(name, &shape, dtype, None)? {
            let known =
                Known { stored: Some(tensor.elem_type.into()), ..Known::new(name.clone(), shape, elements) };
            self.slots.insert(name.clone(), Slot::Known(Rc::new(known)));
            return Ok(());
        }
        let id = self.b.input(name, &shape, dtype);
        self.kinds.insert(id, tensor.elem_type.into());
        if self.slots.insert(name.clone(), Slot::Computed(id)).is_some() {
            return Err(damaged(format!("input `{name}` is listed twice")));
        }
        Ok(())
    }

    /// Translates one node.
    fn node(&mut self, node: &NodeProto, used: &HashSet<String>) -> Result<()> {
        let first = node.output.iter().find(|o| !o.is_empty()).map_or("", String::as_str);
        let mut name = if node.name.is_empty() { first.to_string() } else { node.name.clone() };
        while !self.names.insert(name.clone()) {
            name = format!("{name}/{first}");
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for input in &node.input {
            let slot = self.slots.get(input);
            if slot.is_none() && !input.is_empty() {
                return Err(damaged(format!("node `{name}` reads `{input}`, which nothing writes")));
            }
            inputs.push(slot.cloned());
        }
        let given = || inputs.iter().flatten();
        let results = if given().any(|slot| matches!(slot, Slot::Cut)) {
            vec![Slot::Cut; node.output.len()]
        } else if given().any(|slot| matches!(slot, Slot::Unknown)) && operators::is_known(self, node) {
            vec![Slot::Unknown; node.output.len()]
        } else {
            let before = self.b.graph().nodes.len();
            let told = self.sets.attributes(&name, node);
            let translated = told.and_then(|told| {
                told.into_iter().for_each(|text| self.warn(text));
                let mut layer = Layer { net: self, node, name: name.clone(), inputs: inputs.clone(), used };
                operators::translate(&mut layer)
            });
            match translated {
                Ok(results) => {
                    self.settle(before);
                    self.pay(&results)?;
                    results
                }
                Err(refusal) => {
                    let reason = refusal.reason().map_err(|error| {
                        let what = format!("layer `{name}` ({})", node.op_type);
                        if error.named_layer() == Some(&name) { error } else { error.context(what) }
                    })?;
                    let read: Vec<ValueId> = given()
                        .filter_map(|slot| if let Slot::Computed(id) = slot { Some(*id) } else { None })
                        .collect();
                    // What was begun goes again.
                    self.b.graph_mut().nodes.truncate(before);
                    let code = match node.domain.as_str() {
                        domain if STANDARD.contains(&domain) => node.op_type.clone(),
                        domain if operators::is_vendors(domain) => format!("{domain} {}", node.op_type),
                        domain => format!("custom {domain}.{}", node.op_type),
                    };
                    self.b.unsupported(&name, &code, &reason, &read, vec![vec![1]; node.output.len().max(1)]);
                    vec![Slot::Unknown; node.output.len()]
                }
            }
        };
        for (output, slot) in node.output.iter().zip(results) {
            if output.is_empty() {
                continue;
            }
            if let Slot::Computed(id) = slot {
                self.rename(id, output);
            }
            self.slots.insert(output.clone(), slot);
        }
        Ok(())
    }

    /// Calls a value that a node has computed by the file's name for it.
    fn rename(&mut self, id: ValueId, name: &str) {
        let is_input = self.b.graph().inputs.contains(&id);
        let value = self.b.graph().value(id);
        if !is_input && value.constant.is_none() && !self.slots.contains_key(&value.name) {
            self.b.rename(id, name);
        }
    }

    /// Takes new known results from what may be computed at import.
    fn pay(&mut self, results: &[Slot]) -> Result<()> {
        for slot in results {
            // Others are operands that pass through.
            let Slot::Known(known) = slot else { continue };
            if Rc::strong_count(known) == 1 {
                self.budget = self.budget.checked_sub(known.elements.len()).ok_or_else(|| {
                    Error::input(format!("its constant layers make more than {BUDGET} numbers"))
                        .help("simplify the model before its export: its constants fill any memory")
                })?;
            }
        }
        Ok(())
    }

    /// Integers that stand for reals still do behind layers that move or select them.
    fn settle(&mut self, from: usize) {
        let graph = self.b.graph_mut();
        for index in from..graph.nodes.len() {
            let node = &graph.nodes[index];
            let selects = ops::of(&node.op).only_moves_data()
                || matches!(
                    node.op,
                    Op::Pool2d(Pool2d { kind: crate::graph::PoolKind::Max, .. }) | Op::Gather(_)
                );
            let source = node.input(0).map(|id| graph.value(id));
            let Some(quantization) = source.and_then(|v| v.quantization.clone()).filter(|_| selects) else {
                continue;
            };
            let unsigned = node.input(0).is_some_and(|id| self.unsigned.contains(&id));
            for id in node.outputs.clone() {
                let value = graph.value_mut(id);
                if value.dtype != DType::Float32 {
                    value.quantization = Some(quantization.clone());
                    if unsigned {
                        self.unsigned.insert(id);
                    }
                }
            }
        }
    }

    /// The finished graph with what is to be said of it.
    fn finish(mut self, file: &GraphProto) -> Result<(Graph, Finished)> {
        if file.output.is_empty() {
            return Err(damaged("the model has no outputs"));
        }
        let (mut outputs, mut cut) = (Vec::new(), Vec::new());
        for output in &file.output {
            let name = &output.name;
            match self.slots.get(name).cloned() {
                None => return Err(damaged(format!("nothing writes the model's output `{name}`"))),
                Some(Slot::Cut) => cut.push(name.clone()),
                Some(Slot::Unknown) => outputs.push(self.b.value(name, &[1], DType::Float32)),
                Some(slot @ (Slot::Computed(_) | Slot::Known(_))) => {
                    let id = self.net_output(&slot, name, &outputs)?;
                    outputs.push(id);
                }
            }
        }
        if outputs.is_empty() {
            return Err(Error::input(format!("its outputs ({}) are no numbers", cut.join(", ")))
                .help("export the model with its scores or probabilities as outputs"));
        }
        if !cut.is_empty() {
            self.note(format!("left out the outputs {}: they hold labels, not numbers", cut.join(", ")));
        }
        let images = self.turned_inputs();
        if !images.is_empty() {
            self.note(format!(
                "{} keeps the model's layout [n, c, h, w], for which a TRANSPOSE stays at the border; data in the \
                 layout of the model file fits as it is",
                images.join(", ")
            ));
        }
        let Net { b, notes, warnings, hash, .. } = self;
        let mut graph = b.finish(outputs);
        // Layers that cannot be computed lead nowhere, and have to be named all the same.
        if unsupported_layers(&graph).is_empty() {
            crate::passes::dead::run(&mut graph);
            scores::keep_reals(&mut graph);
        }
        Ok((graph, Finished { notes, warnings, hash }))
    }

    /// Names of inputs whose images change their layout for the first layer.
    fn turned_inputs(&self) -> Vec<String> {
        let graph = self.b.graph();
        let turned = |id: ValueId| {
            let shape = &graph.value(id).shape;
            // Of one channel, or one row and column, both layouts are the same.
            let same = shape.get(1) == Some(&1) || shape.iter().skip(2).all(|&d| d == 1);
            let turn = |node: &crate::graph::Node| {
                node.input(0) == Some(id)
                    && matches!(&node.op, Op::Transpose(Transpose { permutation }) if *permutation == [0, 2, 3, 1])
            };
            !same && graph.nodes.iter().any(turn)
        };
        graph
            .inputs
            .iter()
            .filter(|&&id| turned(id))
            .map(|&id| format!("`{}`", graph.value(id).name))
            .collect()
    }

    /// Integers that are uint8 in the file as such again, for a model's output.
    fn as_unsigned(&mut self, id: ValueId) -> Result<ValueId> {
        let inner = self.b.graph().value(id).clone();
        let Some((scale, zero)) = inner.quantization.as_ref().and_then(Quantization::tensor) else {
            return Ok(id);
        };
        let graph = self.b.graph();
        // The output has its name; integers that are nothing else have another.
        if !graph.inputs.contains(&id) && inner.constant.is_none() {
            self.b.rename(id, &format!("{}/int8", inner.name));
        }
        let y = self.b.op(&inner.name, Op::Quantize, &[id])?;
        let value = self.b.graph_mut().value_mut(y);
        value.dtype = DType::UInt8;
        value.quantization = Some(Quantization::per_tensor(scale, zero + 128));
        Ok(y)
    }

    /// Scores of trees as the integers that they are, for a model's output; other values stay as they are.
    fn scores(&mut self, id: ValueId, name: &str) -> ValueId {
        let Some(&integers) = self.scores.get(&id) else { return id };
        // The reals may be what other layers read, by another name.
        self.b.rename(id, &format!("{name}/reals"));
        integers
    }

    /// The value of a model's output, by its name and no other output's.
    fn net_output(&mut self, slot: &Slot, name: &str, taken: &[ValueId]) -> Result<ValueId> {
        let id = match self.value(slot) {
            Ok(id) => id,
            Err(refusal) => return Err(Error::input(refusal.reason()?)),
        };
        let id = match self.unsigned.contains(&id) {
            true => self.as_unsigned(id)?,
            false => self.scores(id, name),
        };
        let value = self.b.graph().value(id);
        let own = !taken.contains(&id) && !self.b.graph().inputs.contains(&id) && value.constant.is_none();
        if own {
            self.b.rename(id, name);
            return Ok(id);
        }
        let shape = value.shape.clone();
        let copy = self.b.op_shaped(name, Op::Reshape, &[id], &shape)?;
        self.settle(self.b.graph().nodes.len().saturating_sub(1));
        Ok(copy)
    }
}
