//! The graph as it grows, operator by operator of the file.

use std::cell::RefCell;
use std::collections::HashSet;

use ferrolite_runtime::quant;

use super::layer::{Layer, Place, Step};
use super::tensors::Tensors;
use super::variables::Variables;
use super::{arithmetic, dilation, known, logic, lookup, lstm, operators, svdf, types, uint8};
use crate::error::{Error, Result};
use crate::graph::custom::{Attributes, Registry, Source};
use crate::graph::{
    Constant, Custom, DType, Graph, Node, Op, Quantization, UnaryKind, Unsupported, Value, ValueId,
};
use crate::import::damaged::damaged;
use crate::import::{choices, conditions, masked};
use crate::ops;
use crate::tflite::{self as schema, BuiltinOperator as Code};

/// The graph as it grows, operator by operator.
pub(super) struct Builder {
    pub(super) graph: Graph,
    /// The value of each tensor of the subgraph that is read.
    pub(super) scope: Vec<ValueId>,
    /// Values that are known when the next operator runs.
    pub(super) defined: Vec<bool>,
    pub(super) faults: Vec<Option<String>>,
    pub(super) layer_names: Vec<String>,
    /// Dimensions that the file leaves open.
    pub(super) open: Vec<Vec<bool>>,
    /// What conversions make of constants.
    converted: HashSet<ValueId>,
    /// The author's variables.
    pub(super) variables: Variables,
    /// Operators of the user's own.
    custom: Registry,
}

impl Builder {
    /// A graph of the file's tensors, without operators.
    pub(super) fn new(
        graph: Graph,
        faults: Vec<Option<String>>,
        layer_names: Vec<String>,
        open: Vec<Vec<bool>>,
        (variables, custom): (Variables, Registry),
    ) -> Builder {
        let defined = vec![false; graph.values.len()];
        let scope = (0..graph.values.len()).map(ValueId).collect();
        let converted = HashSet::new();
        Builder { graph, scope, defined, faults, layer_names, open, converted, variables, custom }
    }

    /// Adds the tensors of another subgraph, and gives their values in the order of the file.
    pub(super) fn add_values(&mut self, tensors: Tensors, written: &HashSet<usize>) -> Vec<ValueId> {
        let start = self.graph.values.len();
        for (index, (value, fault)) in tensors.values.iter().zip(&tensors.faults).enumerate() {
            self.defined.push(value.constant.is_some() || (fault.is_some() && !written.contains(&index)));
        }
        let count = tensors.values.len();
        self.graph.four_bits.extend(tensors.small(start));
        self.graph.values.extend(tensors.values);
        self.faults.extend(tensors.faults);
        self.layer_names.extend(tensors.layer_names);
        self.open.extend(tensors.open);
        (start..start + count).map(ValueId).collect()
    }

    /// Checks the model's inputs and outputs, and marks what is known from the start. One of several signatures may be there
    /// for what it assigns.
    pub(super) fn define_borders(&mut self, written: &HashSet<usize>, may_be_mute: bool) -> Result<()> {
        for (index, value) in self.graph.values.iter().enumerate() {
            // Variables and constants of foreign kinds are there before any operator writes them;
            // layers that read them are unsupported, not damaged.
            let foreign = self.faults[index].is_some() && !written.contains(&index);
            self.defined[index] = value.constant.is_some() || foreign;
        }
        if self.graph.outputs.is_empty() && !may_be_mute {
            return Err(damaged("the model has no outputs"));
        }
        for &id in &self.graph.inputs {
            if std::mem::replace(&mut self.defined[id.0], true) {
                let name = &self.graph.value(id).name;
                return Err(damaged(format!("input `{name}` is a constant or listed twice")));
            }
        }
        for id in self.graph.inputs.iter().chain(&self.graph.outputs) {
            let value = self.graph.value(*id);
            if let Some(fault) = self.faults[id.0].as_ref() {
                let name = &value.name;
                return Err(Error::input(format!("tensor `{name}` at the border of the model: {fault}"))
                    .help("export the model with fixed shapes and inputs and outputs of float32, int8, uint8, int16, int32, int64 or bool"));
            }
        }
        Ok(())
    }

    /// Checks operator `number` of the subgraph: what it reads has been written, and nothing else has written its
    /// results. Gives its code, and a node that has its operands and results; its operator too, if it is the user's own.
    pub(super) fn begin<'f>(
        &mut self,
        model: &schema::Model<'f>,
        number: usize,
        operator: schema::Operator<'_>,
    ) -> Result<(schema::OperatorCode<'f>, Node)> {
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
        let custom = self.registered(&code, &operator);
        // Foreign custom operators have operands that are memory to work in: those of network processors do.
        if code.number() == Code::CUSTOM && custom.is_none() && !operators::is_detection(&code) {
            inputs.iter().flatten().for_each(|id| self.defined[id.0] = true);
        }
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
        let op = custom.map_or(Op::Reshape, Op::Custom);
        Ok((code, Node { name, op, inputs, outputs }))
    }

    /// The user's own operator that a custom one of the file is, if it is one.
    fn registered(&self, code: &schema::OperatorCode<'_>, operator: &schema::Operator<'_>) -> Option<Custom> {
        let name = code.custom_code().filter(|_| code.number() == Code::CUSTOM)?;
        let bytes = operator.custom_options().map_or(Vec::new(), |options| options.bytes().to_vec());
        self.custom.find(Source::TensorFlowLite(name), Attributes { bytes, ..Attributes::default() })
    }

    fn operands(
        &self,
        indices: Option<flatbuffers::Vector<'_, i32>>,
        number: usize,
    ) -> Result<Vec<Option<ValueId>>> {
        indices
            .into_iter()
            .flatten()
            .map(|index| match usize::try_from(index).ok().and_then(|index| self.scope.get(index)) {
                Some(&id) => Ok(Some(id)),
                None if index == -1 => Ok(None),
                None => Err(damaged(format!("operator {number} names tensor {index}, which does not exist"))),
            })
            .collect()
    }

    /// Adds `node` with the operator that the file means, or folds it away.
    pub(super) fn translate(
        &mut self,
        code: &schema::OperatorCode<'_>,
        operator: schema::Operator<'_>,
        mut node: Node,
    ) {
        let builtin = code.number();
        if self.densify(builtin, &node) || self.fold_weights(builtin, &node) {
            return;
        }
        // The states of these layers are their own business: nobody else reads them.
        let state = |at: usize| match builtin {
            Code::UNIDIRECTIONAL_SEQUENCE_LSTM => lstm::STATES.contains(&at),
            Code::BIDIRECTIONAL_SEQUENCE_LSTM => lstm::BOTH_STATES.contains(&at),
            Code::SVDF => at == svdf::STATE,
            _ => false,
        };
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
            open: &self.open,
            resolved: RefCell::default(),
        };
        if let Some((shape, constant)) = known::compute(builtin, &layer).filter(|_| fault.is_none()) {
            let value = self.graph.value_mut(node.outputs[0]);
            (value.shape, value.constant) = (shape, Some(constant));
            return;
        }
        let translated = match operators::translate(builtin, &layer) {
            // An unknown operator stays just that, whatever its tensors are.
            Err(reason) if reason.is_empty() => Err(operators::advice(builtin, code)),
            other => fault.map_or(other, Err),
        };
        let resolved = layer.resolved.into_inner();
        let translated = match translated {
            Ok(translated) => translated,
            Err(reason) => {
                node.op = Op::Unsupported(Unsupported { code: code.name(), reason });
                self.graph.nodes.push(node);
                return;
            }
        };
        if let Some(shape) = resolved {
            self.graph.value_mut(node.outputs[0]).shape = shape;
        }
        node.op = translated.op;
        node.inputs = translated.inputs;
        let mut made = Vec::new();
        for (position, part) in translated.stacked.into_iter().enumerate() {
            let id = self.value(Value {
                name: format!("{}/{}", node.name, part.word),
                shape: part.shape,
                dtype: part.constant.dtype(),
                quantization: part.quantization,
                constant: Some(part.constant),
            });
            if translated.steps.is_empty() {
                node.inputs[position + 1] = Some(id);
            }
            made.push(id);
        }
        let nodes = self.steps(node, translated.steps, &made);
        // Shapes that are computed from shapes are known as soon as those are.
        if self.fold_movement(&nodes) {
            return;
        }
        for mut node in nodes {
            let tail = match (translated.then, translated.through.clone()) {
                (Some(kind), _) => Some(self.split_off(&mut node, kind)),
                (None, Some((quantization, lowest))) => self.pass_through(&mut node, quantization, lowest),
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
    }

    /// A value that the file does not have.
    pub(super) fn value(&mut self, value: Value) -> ValueId {
        self.defined.push(true);
        self.faults.push(None);
        self.layer_names.push(value.name.clone());
        self.open.push(Vec::new());
        self.graph.add_value(value)
    }

    /// The nodes of a layer that takes several; the last one is `node`, with its name and its result.
    fn steps(&mut self, mut node: Node, steps: Vec<Step>, made: &[ValueId]) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        let count = steps.len();
        for (number, step) in steps.into_iter().enumerate() {
            let place = |place: &Place| match *place {
                Place::Operand(id) => id,
                Place::Made(at) => made.get(at).copied(),
                Place::Step(at) => nodes.get(at).and_then(|node| node.outputs.first().copied()),
            };
            let inputs: Vec<Option<ValueId>> = step.inputs.iter().map(place).collect();
            if number + 1 == count {
                (node.op, node.inputs) = (step.op, inputs);
                break;
            }
            let like = self.graph.value(node.outputs[0]);
            let name = format!("{}/{number}", node.name);
            let value = Value {
                name: name.clone(),
                shape: step.shape,
                dtype: like.dtype,
                quantization: like.quantization.clone(),
                constant: None,
            };
            let outputs = vec![self.value(value)];
            nodes.push(Node { name, op: step.op, inputs, outputs });
        }
        nodes.push(node);
        nodes
    }

    /// Elements of known integers, moved: the results are known, too.
    fn fold_movement(&mut self, nodes: &[Node]) -> bool {
        let [.., last] = nodes else { return false };
        let plain = |id: &ValueId| {
            let value = self.graph.value(*id);
            let integer = matches!(value.dtype, DType::Int32 | DType::Int64 | DType::Bool);
            integer && value.quantization.is_none()
        };
        let moves = |node: &Node| ops::of(&node.op).copies();
        if !last.outputs.iter().all(plain) || !nodes.iter().all(moves) {
            return false;
        }
        for node in nodes {
            let Some(results) = crate::passes::constants::evaluate(&self.graph, node) else { return false };
            for (&id, constant) in node.outputs.iter().zip(results) {
                self.graph.value_mut(id).constant = Some(constant);
            }
        }
        true
    }

    /// Constants that were sparse: they are dense already.
    fn densify(&mut self, code: Code, node: &Node) -> bool {
        let (Some(input), &[output]) = (node.input(0), node.outputs.as_slice()) else { return false };
        let (source, target) = (self.graph.value(input), self.graph.value(output));
        let known =
            source.constant.clone().filter(|_| source.shape == target.shape && source.dtype == target.dtype);
        let (Code::DENSIFY, Some(constant)) = (code, known) else { return false };
        let target = self.graph.value_mut(output);
        target.constant = Some(constant);
        // Elements of float16 are widened.
        self.faults[output.0] = None;
        true
    }

    /// Float copies of stored weights.
    fn fold_weights(&mut self, code: Code, node: &Node) -> bool {
        let (Some(input), &[output]) = (node.input(0), node.outputs.as_slice()) else { return false };
        let (source, target) = (self.graph.value(input), self.graph.value(output));
        if code != Code::DEQUANTIZE || source.shape != target.shape || target.dtype != DType::Float32 {
            return false;
        }
        // int8 with scales are the author's weights, which quantization keeps.
        let constant = source.constant.as_ref().filter(|c| match c {
            Constant::F32(_) => true,
            Constant::I8(_) => false,
            _ => source.quantization.is_some(),
        });
        let real = constant.map(|c| Constant::F32(c.to_real(source.quantization.as_ref(), &source.shape)));
        let folded = real.is_some();
        if folded {
            let target = self.graph.value_mut(output);
            (target.constant, target.quantization) = (real, None);
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
        let integers = Value {
            name: format!("{}/quantized", value.name),
            dtype: DType::Int8,
            quantization: Some(quantization),
            constant,
            ..value.clone()
        };
        let integers = self.value(integers);
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
        let before = self.value(before);
        let name = std::mem::replace(&mut node.name, self.graph.value(before).name.clone());
        node.outputs = vec![before];
        Node { name, op: Op::Unary(kind), inputs: vec![Some(before)], outputs: vec![output] }
    }

    /// The finished graph, with element types checked.
    pub(super) fn finish(mut self, notes: &mut Vec<String>, warnings: &mut Vec<String>) -> Result<Graph> {
        if let Some(id) = self.graph.outputs.iter().find(|id| !self.defined[id.0]) {
            return Err(damaged(format!("output `{}` is never written", self.graph.value(*id).name)));
        }
        uint8::run(&mut self.graph);
        lookup::run(&mut self.graph, warnings);
        arithmetic::warn_of_sums(&self.graph, warnings);
        dilation::run(&mut self.graph, notes);
        masked::run(&mut self.graph);
        choices::run(&mut self.graph, notes);
        conditions::run(&mut self.graph);
        logic::index_inputs(&mut self.graph, notes);
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
                node.op = Op::Unsupported(Unsupported { code: node.op.name().to_string(), reason });
            }
        }
        Ok(self.graph)
    }
}
