//! TensorFlow Lite: `.tflite` files of schema version 3.
//!
//! The file is a FlatBuffer; `schema.fbs` is the part of its schema that is read here, and
//! `generated.rs` is what `flatc --rust` makes of that. The steps:
//!
//! 1. the flatbuffers verifier proves that every offset stays inside the file;
//! 2. `tensors` turns tensors into values, and decodes constants;
//! 3. each operator is translated (`operators`), with its axes, paddings and sizes resolved;
//!    what cannot be translated becomes `Op::Unsupported` with a reason;
//! 4. `lookup` finds int8 layers that are a table of 256 results;
//! 5. `types` widens the weights of hybrid layers and checks element types.
//!
//! Value `i` of the graph is tensor `i` of the file, further values follow behind; a node is named
//! after its (first) output tensor. Semantics follow TFLite's kernels as TFLM runs them.

mod arithmetic;
mod constants;
// Unsafe as all generated flatbuffers readers are; sound behind the verifier, which `import` runs.
#[allow(unsafe_code, missing_docs, unused, deprecated, mismatched_lifetime_syntaxes)]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks)]
#[rustfmt::skip]
mod generated;
mod layer;
mod lookup;
mod lstm;
mod movement;
mod operators;
mod slices;
mod tensors;
mod types;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;

use ferrolite_runtime::quant;
use flatbuffers::VerifierOptions;
pub(crate) use generated::tflite as schema;
use sha2::{Digest, Sha256};

use super::{ImportOptions, Imported, Importer};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, Node, Op, Quantization, UnaryKind, Value, ValueId};
use layer::Layer;
use schema::BuiltinOperator as Code;

/// What to do about a file that contradicts itself.
const DAMAGED: &str = "the file is damaged: export the model again, or check that it was copied completely";

/// Bounds on the verifier's work, far above what real models need.
const VERIFIER: VerifierOptions = VerifierOptions {
    max_depth: 64,
    max_tables: 1_000_000,
    max_apparent_size: 1 << 31,
    ignore_missing_null_terminator: false,
};

/// Reads `.tflite` files.
pub struct TfliteImporter;

impl Importer for TfliteImporter {
    fn format(&self) -> &'static str {
        "TensorFlow Lite"
    }

    fn recognises(&self, _path: &Path, head: &[u8]) -> bool {
        head.get(4..8) == Some(b"TFL3")
    }

    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
        let (graph, notes) = import(name, bytes).map_err(|e| e.context(name))?;
        let inputs: Vec<&str> = graph.inputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
        options.check_names(&inputs).map_err(|e| e.context(name))?;
        for &id in &graph.inputs {
            let value = graph.value(id);
            let shape: Vec<Option<usize>> = value.shape.iter().copied().map(Some).collect();
            options.input_shape(&value.name, &shape).map_err(|e| e.context(name))?;
        }
        let source_hash = Sha256::digest(bytes).into();
        Ok(Imported { graph, format: self.format(), source_hash, notes, warnings: Vec::new() })
    }
}

/// What a file says of itself; none where it says nothing or is no sound model.
pub(crate) fn description(file: &[u8]) -> Option<&str> {
    schema::root_as_model_with_opts(&VERIFIER, file).ok()?.description()
}

fn import(name: &str, file: &[u8]) -> Result<(Graph, Vec<String>)> {
    let model = schema::root_as_model_with_opts(&VERIFIER, file).map_err(|e| {
        // The verifier's first line names the fault; the rest is a trace through the tables.
        let what = e.to_string().lines().next().unwrap_or_default().to_string();
        Error::input(format!("is not a sound TensorFlow Lite model: {what}")).help(DAMAGED)
    })?;
    if model.version() != 3 {
        return Err(Error::input(format!("has schema version {}, supported is 3", model.version()))
            .help("export the model with a TensorFlow of 2018 or later"));
    }
    let subgraphs: Vec<schema::SubGraph<'_>> = model.subgraphs().into_iter().flatten().collect();
    let Some(subgraph) = subgraphs.first() else { return Err(damaged("has no subgraph")) };
    let operators: Vec<schema::Operator<'_>> = subgraph.operators().into_iter().flatten().collect();

    let mut written: HashSet<usize> = HashSet::new();
    for index in operators.iter().filter_map(|o| o.outputs()).chain(subgraph.inputs()).flatten() {
        written.extend(usize::try_from(index));
    }
    let tensors = tensors::read(&model, subgraph, file, &written)?;
    let graph = Graph {
        name: super::stem(name),
        inputs: ids(subgraph.inputs(), &tensors, "the model's inputs")?,
        outputs: ids(subgraph.outputs(), &tensors, "the model's outputs")?,
        values: tensors.values,
        nodes: Vec::with_capacity(operators.len()),
        ..Graph::default()
    };
    let mut notes = Vec::new();
    if subgraphs.len() > 1 {
        notes.push(format!("the file has {} subgraphs; only the first is read", subgraphs.len()));
    }
    let faults = tensors.faults;
    let mut builder = Builder {
        defined: vec![false; graph.values.len()],
        graph,
        faults,
        layer_names: tensors.layer_names,
        converted: HashSet::new(),
    };
    builder.define_borders(&written)?;
    for (number, operator) in operators.into_iter().enumerate() {
        builder.add(&model, number, operator)?;
    }
    let graph = builder.finish(&mut notes)?;
    Ok((graph, notes))
}

fn damaged(what: impl Into<String>) -> Error {
    Error::input(what).help(DAMAGED)
}

/// Tensor indices as ids, all of which exist.
fn ids(
    indices: Option<flatbuffers::Vector<'_, i32>>,
    tensors: &tensors::Tensors,
    whose: &str,
) -> Result<Vec<ValueId>> {
    indices
        .into_iter()
        .flatten()
        .map(|index| {
            usize::try_from(index)
                .ok()
                .filter(|&i| i < tensors.values.len())
                .map(ValueId)
                .ok_or_else(|| damaged(format!("{whose} name tensor {index}, which does not exist")))
        })
        .collect()
}

/// The graph as it grows, operator by operator.
struct Builder {
    graph: Graph,
    /// Values that are known when the next operator runs.
    defined: Vec<bool>,
    faults: Vec<Option<String>>,
    layer_names: Vec<String>,
    /// What conversions make of constants.
    converted: HashSet<ValueId>,
}

impl Builder {
    /// Checks the model's inputs and outputs, and marks what is known from the start.
    fn define_borders(&mut self, written: &HashSet<usize>) -> Result<()> {
        for (index, value) in self.graph.values.iter().enumerate() {
            // Variables and constants of foreign kinds are there before any operator writes them;
            // layers that read them are unsupported, not damaged.
            let foreign = self.faults[index].is_some() && !written.contains(&index);
            self.defined[index] = value.constant.is_some() || foreign;
        }
        if self.graph.outputs.is_empty() {
            return Err(damaged("the model has no outputs"));
        }
        for &id in &self.graph.inputs {
            if std::mem::replace(&mut self.defined[id.0], true) {
                let name = &self.graph.value(id).name;
                return Err(damaged(format!("input `{name}` is a constant or listed twice")));
            }
        }
        for id in self.graph.inputs.iter().chain(&self.graph.outputs) {
            if let Some(fault) = &self.faults[id.0] {
                let name = &self.graph.value(*id).name;
                return Err(Error::input(format!("tensor `{name}` at the border of the model: {fault}"))
                    .help("export the model with fixed shapes and inputs and outputs of float32, int8, uint8, int16 or int32"));
            }
        }
        Ok(())
    }

    /// Translates operator `number` of the file.
    fn add(
        &mut self,
        model: &schema::Model<'_>,
        number: usize,
        operator: schema::Operator<'_>,
    ) -> Result<()> {
        let codes = model.operator_codes();
        let code = codes.filter(|c| (operator.opcode_index() as usize) < c.len());
        let Some(code) = code.map(|c| c.get(operator.opcode_index() as usize)) else {
            return Err(damaged(format!("operator {number} has no operator code")));
        };
        let outputs = self.operands(operator.outputs(), number)?;
        let Some(outputs) = outputs.into_iter().collect::<Option<Vec<ValueId>>>() else {
            return Err(damaged(format!("operator {number} has a result without a tensor")));
        };
        let inputs = self.operands(operator.inputs(), number)?;
        let name =
            outputs.first().map_or_else(|| format!("operator_{number}"), |id| self.layer_names[id.0].clone());
        if let Some(id) = inputs.iter().flatten().find(|id| !self.defined[id.0]) {
            let read = &self.graph.value(*id).name;
            return Err(damaged(format!(
                "layer `{name}` reads tensor `{read}`, which nothing has written before"
            )));
        }
        for id in &outputs {
            if std::mem::replace(&mut self.defined[id.0], true) {
                let written = &self.graph.value(*id).name;
                return Err(damaged(format!(
                    "layer `{name}` writes tensor `{written}`, which is an input, a constant or written before"
                )));
            }
        }
        self.translate(&code, operator, Node { name, op: Op::Reshape, inputs, outputs });
        Ok(())
    }

    fn operands(
        &self,
        indices: Option<flatbuffers::Vector<'_, i32>>,
        number: usize,
    ) -> Result<Vec<Option<ValueId>>> {
        let known = self.layer_names.len();
        indices
            .into_iter()
            .flatten()
            .map(|index| match usize::try_from(index) {
                Ok(i) if i < known => Ok(Some(ValueId(i))),
                _ if index == -1 => Ok(None),
                _ => Err(damaged(format!("operator {number} names tensor {index}, which does not exist"))),
            })
            .collect()
    }

    /// Adds `node` with the operator that the file means, or folds it away.
    fn translate(&mut self, code: &schema::OperatorCode<'_>, operator: schema::Operator<'_>, mut node: Node) {
        let builtin = builtin(code);
        if self.fold(builtin, &node) {
            return;
        }
        // An LSTM's states are its own business: nobody else reads them.
        let state = |at: usize| builtin == Code::UNIDIRECTIONAL_SEQUENCE_LSTM && lstm::STATES.contains(&at);
        let operands = node.inputs.iter().enumerate().filter(|(at, _)| !state(*at));
        let touched = operands.filter_map(|(_, id)| id.as_ref()).chain(&node.outputs);
        let fault = touched
            .filter_map(|id| Some((id, self.faults[id.0].as_ref()?)))
            .map(|(id, fault)| format!("tensor `{}`: {fault}", self.graph.value(*id).name))
            .next();
        let layer = Layer {
            operator,
            values: &self.graph.values,
            inputs: &node.inputs,
            outputs: &node.outputs,
            converted: &self.converted,
        };
        let translated = match operators::translate(builtin, &layer) {
            // An unknown operator stays just that, whatever its tensors are.
            Err(reason) if reason.is_empty() => Err(reason),
            other => fault.map_or(other, Err),
        };
        match translated {
            Ok(translated) => {
                node.op = translated.op;
                node.inputs = translated.inputs;
                for (position, part) in translated.stacked.into_iter().enumerate() {
                    let id = self.graph.add_value(Value {
                        name: format!("{}/{}", node.name, part.word),
                        shape: part.shape,
                        dtype: DType::Float32,
                        quantization: None,
                        constant: Some(Constant::F32(part.data)),
                    });
                    self.defined.push(true);
                    self.faults.push(None);
                    node.inputs[position + 1] = Some(id);
                }
                let tail = match (translated.then, translated.through) {
                    (Some(kind), _) => Some(self.split_off(&mut node, kind)),
                    (None, Some((quantization, lowest))) => {
                        self.pass_through(&mut node, quantization, lowest)
                    }
                    (None, None) => None,
                };
                for node in std::iter::once(&node).chain(&tail) {
                    let known =
                        |id: ValueId| self.converted.contains(&id) || self.graph.constant(Some(id)).is_some();
                    if matches!(node.op, Op::Quantize | Op::Dequantize) && node.input(0).is_some_and(known) {
                        self.converted.extend(&node.outputs);
                    }
                }
                self.graph.nodes.push(node);
                self.graph.nodes.extend(tail);
            }
            Err(reason) => {
                node.op = Op::Unsupported { code: code_name(code), reason };
                self.graph.nodes.push(node);
            }
        }
    }

    /// Operators whose result is known now: float copies of stored weights, and shapes.
    fn fold(&mut self, code: Code, node: &Node) -> bool {
        let (Some(input), &[output]) = (node.input(0), node.outputs.as_slice()) else { return false };
        let (source, target) = (self.graph.value(input), self.graph.value(output));
        let constant = match code {
            // int8 with scales are the author's weights, which quantization keeps.
            Code::DEQUANTIZE if source.shape == target.shape && target.dtype == DType::Float32 => source
                .constant
                .as_ref()
                .filter(|c| match c {
                    Constant::F32(_) => true,
                    Constant::I8(_) => false,
                    _ => source.quantization.is_some(),
                })
                .map(|c| Constant::F32(c.to_real(source.quantization.as_ref(), &source.shape))),
            Code::SHAPE if target.shape == [source.shape.len()] && self.faults[input.0].is_none() => {
                let dims = source.shape.iter();
                match target.dtype {
                    DType::Int32 => Some(Constant::I32(dims.map(|&d| d as i32).collect())),
                    DType::Int64 => Some(Constant::I64(dims.map(|&d| d as i64).collect())),
                    _ => None,
                }
            }
            _ => None,
        };
        let folded = constant.is_some();
        if folded {
            let target = self.graph.value_mut(output);
            target.constant = constant;
            target.quantization = None;
        }
        folded
    }

    /// Makes `node` write int8, and returns the DEQUANTIZE that writes its result. Of a constant the int8 are
    /// known, and `node` itself becomes the DEQUANTIZE.
    fn pass_through(&mut self, node: &mut Node, quantization: Quantization, lowest: i32) -> Option<Node> {
        let output = node.outputs[0];
        let (scale, zero_point) = quantization.tensor()?;
        let integer = |&x: &f32| quant::quantize(x, scale, zero_point, lowest, 127) as i8;
        let known = self.graph.constant(node.input(0)).and_then(Constant::as_f32);
        let constant = known.map(|real| Constant::I8(real.iter().map(integer).collect()));
        let is_known = constant.is_some();
        let value = self.graph.value(output);
        let integers = self.graph.add_value(Value {
            name: format!("{}/quantized", value.name),
            dtype: DType::Int8,
            quantization: Some(quantization),
            constant,
            ..value.clone()
        });
        self.defined.push(true);
        self.faults.push(None);
        if is_known {
            (node.op, node.inputs) = (Op::Dequantize, vec![Some(integers)]);
            return None;
        }
        let name = std::mem::replace(&mut node.name, self.graph.value(integers).name.clone());
        node.outputs = vec![integers];
        Some(Node { name, op: Op::Dequantize, inputs: vec![Some(integers)], outputs: vec![output] })
    }

    /// A function that TFLite fuses and the graph does not becomes a node behind `node`.
    fn split_off(&mut self, node: &mut Node, kind: UnaryKind) -> Node {
        let output = node.outputs[0];
        let value = self.graph.value(output);
        let before =
            Value { name: format!("{}/before_{:?}", value.name, kind).to_lowercase(), ..value.clone() };
        let before = self.graph.add_value(before);
        self.defined.push(true);
        self.faults.push(None);
        let name = std::mem::replace(&mut node.name, self.graph.value(before).name.clone());
        node.outputs = vec![before];
        Node { name, op: Op::Unary(kind), inputs: vec![Some(before)], outputs: vec![output] }
    }

    /// The finished graph, with element types checked.
    fn finish(mut self, notes: &mut Vec<String>) -> Result<Graph> {
        if let Some(id) = self.graph.outputs.iter().find(|id| !self.defined[id.0]) {
            return Err(damaged(format!("output `{}` is never written", self.graph.value(*id).name)));
        }
        lookup::run(&mut self.graph);
        // Layers that computed a shape or an axis have lost their reader: it is an attribute now.
        crate::passes::dead::run(&mut self.graph);
        let widened = types::widen_hybrid_weights(&mut self.graph);
        if !widened.is_empty() {
            notes.push(format!(
                "hybrid model: the int8 weights of {} tensors were widened to float32: {}",
                widened.len(),
                widened.join(", ")
            ));
        }
        for index in 0..self.graph.nodes.len() {
            if let Err(reason) = types::check(&self.graph, &self.graph.nodes[index]) {
                let node = &mut self.graph.nodes[index];
                node.op = Op::Unsupported { code: node.op.name().to_string(), reason };
            }
        }
        Ok(self.graph)
    }
}

/// The operator's number: files before schema 3a only have the one-byte field.
fn builtin(code: &schema::OperatorCode<'_>) -> Code {
    Code(code.builtin_code().0.max(code.deprecated_builtin_code().into()))
}

/// The operator's name in the schema, `custom NAME` for custom operators.
fn code_name(code: &schema::OperatorCode<'_>) -> String {
    let number = builtin(code);
    if number == Code::CUSTOM {
        let name: String =
            code.custom_code().unwrap_or("without a name").chars().filter(|c| !c.is_control()).collect();
        return format!("custom {name}");
    }
    number.variant_name().map_or_else(|| format!("operator {}", number.0), str::to_string)
}
