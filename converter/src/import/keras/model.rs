//! Parses the JSON of a model: its layers and their calls.
//!
//! A Sequential model becomes a functional one whose layers are called in turn, so that there is only one
//! form.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::calls::{Call, TensorRef, borders};
use super::config::{Config, items};
use super::layers;
use super::network::{Layer, Network, snake_case};
use crate::error::{Error, Result};

/// Parses the JSON of a model.
pub fn read(json: &Json, keras: u32) -> Result<Network> {
    let class = class_of(json).unwrap_or_default();
    read_network(class, json, keras)?.ok_or_else(|| {
        Error::input(format!("holds a model of the class `{class}`, whose layers the file does not list"))
            .help("subclassed models say in Python what they do: export a SavedModel or a .tflite instead")
    })
}

fn class_of(json: &Json) -> Option<&str> {
    json.get("class_name")?.as_str()
}

/// A model from its JSON; `None` if the JSON is something else.
fn read_network(class: &str, json: &Json, keras: u32) -> Result<Option<Network>> {
    let Some(config) = json.get("config") else { return Ok(None) };
    // Early Keras 2 wrote a Sequential model's config as a bare list of layers.
    let Some(list) = config.get("layers").or(Some(config)).and_then(items) else { return Ok(None) };
    if class == "Sequential" {
        return read_sequential(json, config, list, keras).map(Some);
    }
    if config.get("output_layers").is_none() {
        return Ok(None);
    }
    let layers = list.iter().map(|layer| read_layer(layer, keras)).collect::<Result<Vec<_>>>()?;
    let mut network = Network {
        layers,
        inputs: borders(config.get("input_layers")),
        outputs: borders(config.get("output_layers")),
    };
    network.count_calls_from_zero(keras);
    if network.outputs.is_empty() {
        return Err(Error::input("the model has no outputs"));
    }
    Ok(Some(network))
}

fn read_sequential(json: &Json, config: &Json, list: &[Json], keras: u32) -> Result<Network> {
    let mut layers = list.iter().map(|layer| read_layer(layer, keras)).collect::<Result<Vec<_>>>()?;
    let mut seen = HashSet::new();
    for (place, layer) in layers.iter_mut().enumerate() {
        if !seen.insert(layer.name.clone()) && !layers::is_known(&layer.class) {
            layer.name = format!("{}_{place}", layer.name);
        }
    }
    let Some(first) = layers.first() else { return Err(Error::input("the model has no layers")) };
    if first.class != "InputLayer" {
        // If there is no input layer, the shape is in the first layer or beside the model.
        let within = list.first().and_then(|layer| layer.get("config"));
        let shape = [
            within.and_then(|c| c.get("batch_input_shape")),
            within.and_then(|c| c.get("batch_shape")),
            config.get("build_input_shape"),
            json.get("build_config").and_then(|c| c.get("input_shape")),
        ];
        // A model at the beginning has an input of its own.
        let inner = first.network.as_ref().and_then(|network| {
            let input = network.inputs.first()?;
            let layer = network.layers.iter().find(|layer| layer.name == input.layer)?;
            layer.config.get("batch_shape").or_else(|| layer.config.get("batch_input_shape"))
        });
        let shape = shape.into_iter().chain([inner]).flatten().find(|shape| !shape.is_null()).cloned();
        let name = format!("{}_input", first.name);
        let dtype = within.and_then(|c| c.get("dtype")?.as_str()).unwrap_or("float32");
        let config = serde_json::json!({ "batch_shape": shape, "dtype": dtype });
        let config = Config::new(&name, Some(&config));
        layers.insert(0, Layer { class: "InputLayer".into(), name, config, ..Layer::default() });
    }
    let names: Vec<String> = layers.iter().map(|layer| layer.name.clone()).collect();
    for (layer, before) in layers.iter_mut().skip(1).zip(&names) {
        layer.calls = vec![Call::of(before)];
    }
    let border = |name: Option<&String>| {
        name.map(|name| TensorRef { layer: name.clone(), node: 0, tensor: 0, shape: None })
            .into_iter()
            .collect()
    };
    Ok(Network { inputs: border(names.first()), outputs: border(names.last()), layers })
}

/// A layer from its JSON.
fn read_layer(json: &Json, keras: u32) -> Result<Layer> {
    let broken = |what: &str| {
        Error::input(format!("a layer of the model has no {what}"))
            .help("the file is damaged: save the model again, or check that it was copied completely")
    };
    let class = class_of(json).ok_or_else(|| broken("`class_name`"))?;
    let config = json.get("config").ok_or_else(|| broken("`config`"))?;
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
    let name = text(json.get("name")).or_else(|| text(config.get("name")));
    // A layer of the author's own class may have no name.
    let name = name.or_else(|| (!layers::is_known(class)).then(|| snake_case(class)));
    let name = name.ok_or_else(|| broken("name"))?;
    let module = text(json.get("module")).unwrap_or_default();
    // A .h5 file says no module; every layer has these keys, and no operation does.
    let no_layer = || ["trainable", "dtype", "layers"].iter().all(|key| config.get(key).is_none());
    let operation = match json.get("module") {
        Some(_) => module.contains(".ops."),
        None => keras >= 3 && no_layer() && (class == "Concatenate" || !layers::is_known(class)),
    };
    let mut layer = Layer {
        class: class.into(),
        operation,
        config: Config::new(&name, Some(config)),
        name,
        ..Layer::default()
    };
    if let Some(nodes) = json.get("inbound_nodes").and_then(items) {
        layer.calls = nodes.iter().map(|node| Call::read(&layer.name, node)).collect::<Result<_>>()?;
    }
    layer.network = read_network(class, json, keras)?;
    if layer.network.is_none() {
        layer.children = wrapped(&layer, config, keras)?;
        layer.variables = layers::variables(&layer)?;
    }
    Ok(layer)
}

/// The layers that a wrapper contains.
fn wrapped(layer: &Layer, config: &Json, keras: u32) -> Result<Vec<(&'static str, Layer)>> {
    let inner = || {
        let inner = config.get("layer").ok_or_else(|| {
            Error::input(format!("layer `{}`: it wraps a layer, and the file does not say which", layer.name))
        })?;
        read_layer(inner, keras)
    };
    match layer.class.as_str() {
        "TimeDistributed" => Ok(vec![("layer", inner()?)]),
        "Bidirectional" => {
            let forward = inner()?;
            let backward = match config.get("backward_layer").filter(|layer| !layer.is_null()) {
                Some(json) => read_layer(json, keras)?,
                None => {
                    let reverse = forward.config.bool_or("go_backwards", false)?;
                    let config = forward.config.with("go_backwards", Json::Bool(!reverse));
                    Layer { config, ..forward.clone() }
                }
            };
            Ok(vec![("forward_layer", forward), ("backward_layer", backward)])
        }
        "RNN" => Ok(match config.get("cell") {
            Some(cell) => vec![("cell", read_layer(cell, keras)?)],
            None => Vec::new(),
        }),
        "StackedRNNCells" => {
            let cells = config.get("cells").and_then(items);
            cells.into_iter().flatten().map(|cell| Ok(("cells", read_layer(cell, keras)?))).collect()
        }
        _ => Ok(Vec::new()),
    }
}

impl Network {
    /// A nested model with an input was called once when it was made, and Keras counts that as call 0: Keras
    /// 3 if an output of the outer model refers to it, Keras 2 always. Here, the outer model's calls count
    /// from 0.
    fn count_calls_from_zero(&mut self, keras: u32) {
        let models: HashMap<String, usize> = self
            .layers
            .iter()
            .filter(|layer| layer.network.is_some() && (keras < 3 || layer.class != "Sequential"))
            .map(|layer| (layer.name.clone(), layer.calls.len()))
            .collect();
        if keras >= 3 {
            for output in self.outputs.iter_mut().filter(|output| models.contains_key(&output.layer)) {
                output.node = output.node.saturating_sub(1);
            }
            return;
        }
        let mut references: Vec<&mut TensorRef> = self.outputs.iter_mut().collect();
        for call in self.layers.iter_mut().flat_map(|layer| &mut layer.calls) {
            call.tensors_mut(&mut references);
        }
        // References exist to every call, so the last one tells whether the count is shifted.
        let shifted: HashSet<String> = references
            .iter()
            .filter(|tensor| models.get(&tensor.layer).is_some_and(|&calls| tensor.node >= calls))
            .map(|tensor| tensor.layer.clone())
            .collect();
        for tensor in references.into_iter().filter(|tensor| shifted.contains(&tensor.layer)) {
            tensor.node = tensor.node.saturating_sub(1);
        }
    }
}
