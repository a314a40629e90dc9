//! Visits the calls of a model, each after the calls whose results it reads, and builds the graph.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::calls::{Call, TensorRef};
use super::config::{items, size};
use super::container::Container;
use super::masking;
use super::network::{Layer, Network};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::graph::{DType, Graph, Op, ValueId};
use crate::import::build::Builder;
use crate::import::importer::ImportOptions;
use crate::import::refusal::Refusal;
use crate::unsupported::refuse_unsupported;

/// Most calls of layers in one model. Calls in nested models count each time, since models that call one
/// another twice grow as powers of two.
const MAX_CALLS: usize = 50_000;

/// What a call of a layer becomes.
pub type Translation = Result<Vec<ValueId>, Refusal>;

/// Builds one call of a layer, with this name.
pub type BuildCall = fn(&mut Run<'_>, &Layer, &str, &Call<ValueId>) -> Translation;

/// Which steps of a sequence are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Truth values, `[batch, steps]`.
    Known(ValueId),
    /// What nobody here knows how to compute.
    Unknown,
}

/// The other layout in which a value is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// A sequence `[n, w, c]`; the value is an image `[n, 1, w, c]`.
    Sequence,
    /// Channels before the image's dimensions; the value has channels last.
    ChannelsFirst,
}

/// A model under construction.
pub struct Run<'a> {
    /// The graph so far.
    pub builder: Builder,
    /// Major version of Keras.
    pub keras: u32,
    /// Notes, one sentence each.
    pub notes: Vec<String>,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
    /// The masks of values that have one.
    pub masked: HashMap<ValueId, Mask>,
    /// Stand for masks that nobody here knows how to compute.
    pub unknown: HashSet<ValueId>,
    weights: &'a Weights,
    options: &'a ImportOptions,
    build_call: BuildCall,
    /// For values that are shown in another layout: which layout, and the original value.
    views: HashMap<ValueId, (View, ValueId)>,
    /// Constants of layers, by their names; further calls of a layer use them again.
    constants: HashMap<String, ValueId>,
    calls: usize,
}

/// Builds the graph of a model; `build_call` builds a call of any layer.
pub fn build(
    name: &str,
    network: &Network,
    container: &Container,
    options: &ImportOptions,
    build_call: BuildCall,
) -> Result<(Graph, Vec<String>, Vec<String>)> {
    let names: Vec<&str> = network.inputs.iter().map(|input| input.layer.as_str()).collect();
    options.check_names(&names)?;
    let mut run = Run {
        builder: Builder::new(name),
        keras: container.keras,
        notes: Vec::new(),
        warnings: Vec::new(),
        masked: HashMap::new(),
        unknown: HashSet::new(),
        weights: &container.weights,
        options,
        build_call,
        views: HashMap::new(),
        constants: HashMap::new(),
        calls: 0,
    };
    let outcome = run.model(network);
    // Shapes may not fit after a layer that is not supported, and then the names of unsupported layers say
    // more.
    let outputs = outcome.map_err(|error| match refuse_unsupported(run.builder.graph()) {
        Err(refusal) => refusal,
        Ok(()) => error,
    })?;
    let mut graph = run.builder.finish(outputs);
    // Removes layouts that no layer used: sequences of images, and channels first of channels last.
    crate::passes::dead::run(&mut graph);
    unique_names(&mut graph);
    Ok((graph, run.notes, run.warnings))
}

/// Makes the names of values and nodes unique: if a name is taken, a number is appended.
fn unique_names(graph: &mut Graph) {
    let mut seen = HashSet::new();
    let fixed: Vec<ValueId> = graph.inputs.iter().chain(&graph.outputs).copied().collect();
    for &id in &fixed {
        seen.insert(graph.value(id).name.clone());
    }
    for index in 0..graph.values.len() {
        if fixed.contains(&ValueId(index)) {
            continue;
        }
        let name = graph.values[index].name.clone();
        let mut number = 1;
        let mut unique = name.clone();
        while !seen.insert(unique.clone()) {
            number += 1;
            unique = format!("{name}:{number}");
        }
        graph.values[index].name = unique;
    }
}

impl<'a> Run<'a> {
    /// Builds the whole model: its inputs, its layers, its outputs.
    fn model(&mut self, network: &Network) -> Result<Vec<ValueId>> {
        let mut inputs = Vec::new();
        for input in &network.inputs {
            let layer = network.layers.iter().find(|layer| layer.name == input.layer);
            let layer = layer
                .filter(|layer| layer.class == "InputLayer")
                .ok_or_else(|| Error::input(format!("the model's input `{}` is not a layer", input.layer)))?;
            inputs.push(self.input(layer)?);
        }
        let results = self.network(network, "", &inputs)?;
        let mut outputs = Vec::new();
        for (mut id, tensor) in results.into_iter().zip(&network.outputs) {
            let graph = self.builder.graph();
            if graph.inputs.contains(&id) || outputs.contains(&id) {
                // Each output is a value of its own.
                let shape = self.builder.shape(id).to_vec();
                id = self.builder.op_shaped(&tensor.layer, Op::Reshape, &[id], &shape)?;
            }
            let name = match tensor.tensor {
                0 => tensor.layer.clone(),
                number => format!("{}:{number}", tensor.layer),
            };
            let taken = outputs.iter().any(|&id| self.builder.graph().value(id).name == name);
            if !taken {
                self.builder.rename(id, &name);
            }
            outputs.push(id);
        }
        Ok(outputs)
    }

    fn input(&mut self, layer: &Layer) -> Result<ValueId> {
        let config = &layer.config;
        let shape = config.get("batch_shape").or_else(|| config.get("batch_input_shape"));
        let shape = shape.and_then(items).ok_or_else(|| {
            Error::input(format!("the shape of the input `{}` is not in the file", layer.name)).help(
                "build the model before it is saved: call it once, or give it an `Input(shape=…)` layer",
            )
        })?;
        let dimensions: Vec<Option<usize>> = shape.iter().map(size).collect();
        let shape = self.options.input_shape(&layer.name, &dimensions)?;
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if elements.is_none_or(|n| n == 0 || n > 1 << 31) {
            return Err(Error::input(format!("input `{}`: its shape is {shape:?}", layer.name)));
        }
        let dtype = match config.str_or("dtype", "float32")? {
            "int32" | "int64" | "uint8" | "int8" | "int16" | "uint32" => DType::Int32,
            "float32" | "float16" | "bfloat16" | "float64" => DType::Float32,
            other => {
                return Err(Error::input(format!("input `{}`: elements of type {other}", layer.name))
                    .help("inputs are float32 or integers"));
            }
        };
        Ok(self.builder.input(&layer.name, &shape, dtype))
    }

    /// Builds the layers of a model whose inputs are given. Names begin with `prefix`.
    pub fn network(&mut self, network: &Network, prefix: &str, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        if inputs.len() != network.inputs.len() {
            return Err(Error::input(format!(
                "a model of {} inputs is called with {}",
                network.inputs.len(),
                inputs.len()
            )));
        }
        let mut order = Order::of(network)?;
        let masks = masking::only_masks(network);
        let mut values: HashMap<(usize, usize), Vec<ValueId>> = HashMap::new();
        for (tensor, &id) in network.inputs.iter().zip(inputs) {
            values.insert((order.layer(tensor)?, 0), vec![id]);
        }
        while let Some((index, node)) = order.next() {
            let layer = &network.layers[index];
            if layer.class == "InputLayer" {
                if !values.contains_key(&(index, 0)) {
                    return Err(Error::input(format!(
                        "layer `{}` is an input that the model does not list",
                        layer.name
                    )));
                }
                continue;
            }
            let call = &layer.calls[node];
            let resolved = call.map(&mut |tensor: &TensorRef| {
                let found = values.get(&(order.layer(tensor)?, tensor.node));
                let found = found.and_then(|results| results.get(tensor.tensor)).copied();
                found.ok_or_else(|| {
                    Error::input(format!(
                        "layer `{}` takes result {} of `{}`, which does not exist",
                        layer.name, tensor.tensor, tensor.layer
                    ))
                })
            })?;
            if masks.contains(layer.name.as_str()) {
                // A mask that cannot be computed matters only if a layer reads it.
                let name = format!("{prefix}{}", layer.name);
                let unknown = |id: &&ValueId| self.unknown.contains(id);
                let results = match resolved.tensors().into_iter().find(unknown) {
                    Some(&unknown) => vec![unknown],
                    None => self.call(layer, &name, &resolved).or_else(|_| self.unknown(&name))?,
                };
                values.insert((index, node), results);
                order.done(index, node);
                continue;
            }
            let name = match node {
                0 => format!("{prefix}{}", layer.name),
                _ => format!("{prefix}{}/call_{node}", layer.name),
            };
            let results = match self.call(layer, &name, &resolved) {
                Ok(results) => results,
                Err(refusal) => {
                    let reason = refusal.reason()?;
                    let operands: Vec<ValueId> = resolved.tensors().into_iter().copied().collect();
                    let shapes =
                        order.shapes(index, node, operands.first().map(|&id| self.builder.shape(id)));
                    self.builder.unsupported(&name, &layer.class, &reason, &operands, shapes)
                }
            };
            values.insert((index, node), results);
            order.done(index, node);
        }
        let output = |tensor: &TensorRef| {
            let found = values.get(&(order.layer(tensor)?, tensor.node));
            found.and_then(|results| results.get(tensor.tensor)).copied().ok_or_else(|| {
                Error::input(format!("the output `{}` is computed by no call, or by itself", tensor.layer))
                    .help("the calls of the model's layers form a cycle, or the file is damaged")
            })
        };
        network.outputs.iter().map(output).collect()
    }

    /// The result of an operation that is not known, and is part of a mask.
    fn unknown(&mut self, name: &str) -> Result<Vec<ValueId>> {
        let id = self.builder.float(name, &[1], vec![0.0])?;
        self.unknown.insert(id);
        Ok(vec![id])
    }

    /// Builds one call of a layer.
    pub fn call(&mut self, layer: &Layer, name: &str, call: &Call<ValueId>) -> Translation {
        self.calls += 1;
        if self.calls > MAX_CALLS {
            return Err(Error::input(format!("the model calls layers more than {MAX_CALLS} times"))
                .help("models within models multiply: save a smaller model")
                .into());
        }
        (self.build_call)(self, layer, name, call)
    }

    /// The elements of a layer's variable, whose shape must be `shape`.
    pub fn variable(&self, layer: &Layer, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let variable = layer.variables.iter().find(|variable| variable.name == name);
        match variable.and_then(|variable| variable.path.as_ref()) {
            Some(path) => self.weights.read(&layer.name, name, path, shape),
            None => {
                Err(Error::input(format!("layer `{}`: its variable `{name}` is not in the file", layer.name))
                    .about(&layer.name))
            }
        }
    }

    /// A constant that is made once for a layer, however often the layer is called.
    pub fn once(
        &mut self,
        layer: &Layer,
        name: &str,
        shape: &[usize],
        elements: impl FnOnce(&Self) -> Result<Vec<f32>>,
    ) -> Result<ValueId> {
        // The same variables may be needed in several shapes.
        let place = layer.variables.first().and_then(|variable| variable.path.clone()).unwrap_or_default();
        let key = format!("{place} {name} {shape:?}");
        if let (false, Some(&id)) = (place.is_empty(), self.constants.get(&key)) {
            return Ok(id);
        }
        let elements = elements(self)?;
        let id = self.builder.float(&format!("{}/{name}", layer.name), shape, elements)?;
        self.constants.insert(key, id);
        Ok(id)
    }

    /// A sequence `[n, w, c]` as the image `[n, 1, w, c]`.
    pub fn image(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        if let Some(&(View::Sequence, image)) = self.views.get(&x) {
            return Ok(image);
        }
        let &[n, w, c] = self.builder.shape(x) else {
            return Err(Error::input(format!(
                "layer `{name}`: an input of shape {:?}, expected 3 dimensions",
                self.builder.shape(x)
            ))
            .about(name));
        };
        self.builder.reshape(&format!("{name}/expand_dims"), x, &[n, 1, w, c])
    }

    /// An image `[n, 1, w, c]` as the sequence `[n, w, c]`.
    pub fn sequence(&mut self, name: &str, image: ValueId) -> Result<ValueId> {
        let &[n, 1, w, c] = self.builder.shape(image) else {
            return Err(Error::input(format!(
                "layer `{name}`: {:?} is not a sequence",
                self.builder.shape(image)
            ))
            .about(name));
        };
        let x = self.builder.reshape(&format!("{name}/squeeze"), image, &[n, w, c])?;
        self.views.insert(x, (View::Sequence, image));
        Ok(x)
    }

    /// A value with channels first as one with channels last.
    pub fn channels_last(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        if let Some(&(View::ChannelsFirst, last)) = self.views.get(&x) {
            return Ok(last);
        }
        let rank = self.builder.shape(x).len();
        let permutation: Vec<usize> =
            (0..rank).map(|d| if d == 0 { 0 } else { d % (rank - 1) + 1 }).collect();
        self.builder.transpose(&format!("{name}/channels_last"), x, &permutation)
    }

    /// A value with channels last as one with channels first.
    pub fn channels_first(&mut self, name: &str, last: ValueId) -> Result<ValueId> {
        let rank = self.builder.shape(last).len();
        let permutation: Vec<usize> = (0..rank).map(|d| if d < 2 { d * (rank - 1) } else { d - 1 }).collect();
        let x = self.builder.transpose(&format!("{name}/channels_first"), last, &permutation)?;
        self.views.insert(x, (View::ChannelsFirst, last));
        Ok(x)
    }

    /// Whether a value is shown with channels first although it has channels last.
    pub fn is_channels_first(&self, x: ValueId) -> bool {
        matches!(self.views.get(&x), Some((View::ChannelsFirst, _)))
    }

    /// Applies a function that works element by element, or on the channels, to the original values, so that
    /// no change of layout separates neighbouring layers. All operands must have the same layout.
    pub fn as_it_lies(
        &mut self,
        name: &str,
        operands: &[ValueId],
        f: &mut dyn FnMut(&mut Self, &[ValueId]) -> Result<ValueId>,
    ) -> Result<ValueId> {
        let first = operands.first().and_then(|x| self.views.get(x)).map(|&(view, _)| view);
        let lying: Option<Vec<ValueId>> = first.and_then(|first| {
            operands
                .iter()
                .map(|x| self.views.get(x).filter(|(view, _)| *view == first).map(|&(_, id)| id))
                .collect()
        });
        let (Some(view), Some(lying)) = (first, lying) else { return f(self, operands) };
        let y = self.as_it_lies(name, &lying, f)?;
        match view {
            View::Sequence => self.sequence(name, y),
            View::ChannelsFirst => self.channels_first(name, y),
        }
    }
}

/// The order of calls: a call comes once its operands are computed, and otherwise in the file's order.
struct Order<'a> {
    by_name: HashMap<&'a str, usize>,
    ready: BinaryHeap<Reverse<(usize, usize)>>,
    /// Number of operands that each call still waits for.
    waiting: HashMap<(usize, usize), usize>,
    /// The calls that wait for each call.
    readers: HashMap<(usize, usize), Vec<(usize, usize)>>,
    /// Shapes of results, if the calls that read them state them.
    shapes: HashMap<(usize, usize), BTreeMap<usize, Vec<usize>>>,
}

impl<'a> Order<'a> {
    fn of(network: &'a Network) -> Result<Order<'a>> {
        let mut by_name = HashMap::new();
        for (index, layer) in network.layers.iter().enumerate() {
            if by_name.insert(layer.name.as_str(), index).is_some() {
                return Err(Error::input(format!("two layers are called `{}`", layer.name)));
            }
        }
        let mut order = Order {
            by_name,
            ready: BinaryHeap::new(),
            waiting: HashMap::new(),
            readers: HashMap::new(),
            shapes: HashMap::new(),
        };
        for (index, layer) in network.layers.iter().enumerate() {
            for (node, call) in layer.calls.iter().enumerate() {
                let mut operands = HashSet::new();
                for tensor in call.tensors() {
                    let source = (order.layer(tensor)?, tensor.node);
                    if let Some(shape) = &tensor.shape {
                        let shape = shape.iter().map(|d| d.unwrap_or(1)).collect();
                        order.shapes.entry(source).or_default().insert(tensor.tensor, shape);
                    }
                    let is_input = network.layers[source.0].class == "InputLayer";
                    if !is_input && operands.insert(source) {
                        order.readers.entry(source).or_default().push((index, node));
                    }
                }
                match operands.len() {
                    0 => order.ready.push(Reverse((index, node))),
                    count => {
                        order.waiting.insert((index, node), count);
                    }
                }
            }
        }
        Ok(order)
    }

    fn layer(&self, tensor: &TensorRef) -> Result<usize> {
        self.by_name.get(tensor.layer.as_str()).copied().ok_or_else(|| {
            Error::input(format!("a call takes a result of the layer `{}`, which is not there", tensor.layer))
        })
    }

    fn next(&mut self) -> Option<(usize, usize)> {
        self.ready.pop().map(|Reverse(call)| call)
    }

    fn done(&mut self, index: usize, node: usize) {
        for reader in self.readers.remove(&(index, node)).unwrap_or_default() {
            if let Some(count) = self.waiting.get_mut(&reader) {
                *count -= 1;
                if *count == 0 {
                    self.ready.push(Reverse(reader));
                }
            }
        }
    }

    /// Shapes of the results of a call that became no nodes.
    fn shapes(&self, index: usize, node: usize, operand: Option<&[usize]>) -> Vec<Vec<usize>> {
        let said = self.shapes.get(&(index, node));
        let count = said.and_then(|said| said.keys().max()).map_or(1, |&last| last + 1).min(64);
        let fallback = operand.unwrap_or(&[1]).to_vec();
        (0..count)
            .map(|tensor| {
                said.and_then(|said| said.get(&tensor)).cloned().unwrap_or_else(|| fallback.clone())
            })
            .collect()
    }
}
