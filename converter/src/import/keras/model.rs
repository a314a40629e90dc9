//! The layers of a model, their calls, and where their variables lie.
//!
//! A Sequential model becomes a functional one whose layers are called in turn, so that there is one form.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::calls::{Call, TensorRef, borders};
use super::config::{Config, items};
use super::layers;
use super::weights::Weights;
use crate::error::{Error, Result};

/// A model, or a model that is a layer of another one.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// All layers, in the file's order.
    pub layers: Vec<Layer>,
    /// The inputs, which are results of `InputLayer`s.
    pub inputs: Vec<TensorRef>,
    /// The outputs.
    pub outputs: Vec<TensorRef>,
}

/// A layer.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Its class, such as `Conv2D`.
    pub class: String,
    /// Whether it is one of `keras.ops` rather than a layer.
    pub operation: bool,
    /// The author's name for it.
    pub name: String,
    /// Its configuration.
    pub config: Config,
    /// Its own variables, in the order of Keras.
    pub variables: Vec<Variable>,
    /// The layers that it wraps, by the attribute that holds them.
    pub children: Vec<(&'static str, Layer)>,
    /// The model that it is.
    pub network: Option<Network>,
    /// Its calls.
    pub calls: Vec<Call<TensorRef>>,
}

/// A variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// What Keras calls it.
    pub name: &'static str,
    /// Where it lies below the layer in a `.keras` file.
    pub place: String,
    /// Whether training changes it; those that it does not come last in an `.h5` file.
    pub trainable: bool,
    /// Its path in the file.
    pub path: Option<String>,
}

/// Reads the JSON of a model.
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

/// A model from its JSON; none where it is something else.
fn read_network(class: &str, json: &Json, keras: u32) -> Result<Option<Network>> {
    let Some(config) = json.get("config") else { return Ok(None) };
    // Early Keras 2 wrote the list of a Sequential model's layers by itself.
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
        // Without an input of its own, the shape stands at the first layer or beside the model.
        let within = list.first().and_then(|layer| layer.get("config"));
        let shape = [
            within.and_then(|c| c.get("batch_input_shape")),
            within.and_then(|c| c.get("batch_shape")),
            config.get("build_input_shape"),
            json.get("build_config").and_then(|c| c.get("input_shape")),
        ];
        let shape = shape.into_iter().flatten().find(|shape| !shape.is_null()).cloned();
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
    // A layer of the author's own class may not say its name.
    let name = name.or_else(|| (!layers::is_known(class)).then(|| snake_case(class)));
    let name = name.ok_or_else(|| broken("name"))?;
    let module = text(json.get("module")).unwrap_or_default();
    let mut layer = Layer {
        class: class.into(),
        operation: module.contains(".ops."),
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

/// The layers that a wrapper holds.
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
        _ => Ok(Vec::new()),
    }
}

impl Network {
    /// A model with an input has been called once when it was made, and Keras counts that as call 0: Keras 3
    /// where an output of the outer model refers to it, Keras 2 everywhere. Here the outer model's calls
    /// count from 0.
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
        // Every call is referred to, so the last one tells.
        let shifted: HashSet<String> = references
            .iter()
            .filter(|tensor| models.get(&tensor.layer).is_some_and(|&calls| tensor.node >= calls))
            .map(|tensor| tensor.layer.clone())
            .collect();
        for tensor in references.into_iter().filter(|tensor| shifted.contains(&tensor.layer)) {
            tensor.node = tensor.node.saturating_sub(1);
        }
    }

    /// Notes the paths of all variables in a `.keras` file, for a model that lies at `base`.
    pub fn place(&mut self, base: &str, weights: &Weights) {
        // Late versions of Keras 2 called the list by its Python name.
        const LISTS: [&str; 3] = ["layers", "_layer_checkpoint_dependencies", "_layers"];
        let path = |list: &str| join(base, list);
        let list = LISTS.iter().find(|list| weights.has_group(&path(list))).unwrap_or(&LISTS[0]);
        let mut used = HashMap::<String, usize>::new();
        for layer in &mut self.layers {
            let name = snake_case(if layer.network.is_some() && layer.class == "Model" {
                "Functional"
            } else {
                &layer.class
            });
            let count = used.entry(name.clone()).or_default();
            let unique = if *count == 0 { name } else { format!("{name}_{count}") };
            *count += 1;
            layer.place(&join(&path(list), &unique), weights);
        }
    }

    /// Notes the paths of all variables in an `.h5` file.
    pub fn place_by_name(&mut self, weights: &Weights) -> Result<()> {
        const ROOT: &str = "model_weights";
        for layer in &mut self.layers {
            let name = layer.name.clone();
            let mut variables = Vec::new();
            let known = layer.variables_in_order(true, &mut variables);
            if variables.is_empty() {
                continue;
            }
            let group = join(ROOT, &name);
            if !weights.has_group(&group) {
                return Err(Error::input(format!("layer `{name}`: the file has no group `{group}`"))
                    .help("the file is damaged: save the model again"));
            }
            let names = weights.words(&group, "weight_names")?;
            // Those that training does not change come last.
            let (mut ordered, rest): (Vec<_>, Vec<_>) =
                variables.into_iter().partition(|(trainable, _)| *trainable);
            ordered.extend(rest);
            if !known {
                // A layer that Ferrolite does not know has an unknown number of variables; it will be
                // named, and its neighbours' variables are of no use.
                continue;
            }
            if names.len() != ordered.len() {
                let expected: Vec<&str> = ordered.iter().map(|(_, variable)| variable.name).collect();
                return Err(Error::input(format!(
                    "layer `{name}`: the file has {} variables for it ({}), but it has {}: {}",
                    names.len(),
                    names.join(", "),
                    expected.len(),
                    expected.join(", ")
                ))
                .help("the file is damaged: save the model again"));
            }
            for ((_, variable), name) in ordered.into_iter().zip(names) {
                variable.path = Some(join(&group, &name));
            }
        }
        Ok(())
    }
}

impl Layer {
    fn place(&mut self, base: &str, weights: &Weights) {
        for variable in &mut self.variables {
            let place = &variable.place;
            // Keras 3 calls a private attribute by its public name, once it has one.
            let public = place.strip_prefix('_').and_then(|rest| rest.split('/').next());
            let public = public.filter(|folder| weights.has_group(&join(base, folder)));
            let place = if public.is_some() { place.trim_start_matches('_') } else { place };
            variable.path = Some(join(base, place));
        }
        for (attribute, child) in &mut self.children {
            child.place(&join(base, attribute), weights);
        }
        if let Some(network) = &mut self.network {
            network.place(base, weights);
        }
    }

    /// Gathers the variables of the layer and those within, and whether training changes them. False
    /// where a layer within is not known.
    fn variables_in_order<'a>(
        &'a mut self,
        trainable: bool,
        found: &mut Vec<(bool, &'a mut Variable)>,
    ) -> bool {
        let trainable = trainable && self.config.bool_or("trainable", true).unwrap_or(true);
        let mut known = self.network.is_some() || self.operation || layers::is_known(&self.class);
        // One that Keras has quantized has other variables; it will be named too.
        known &= layers::quantized(&self.config).is_none();
        for variable in &mut self.variables {
            found.push((trainable && variable.trainable, variable));
        }
        for (_, child) in &mut self.children {
            known &= child.variables_in_order(trainable, found);
        }
        for layer in self.network.iter_mut().flat_map(|network| &mut network.layers) {
            known &= layer.variables_in_order(trainable, found);
        }
        known
    }
}

fn join(base: &str, name: &str) -> String {
    if base.is_empty() { name.into() } else { format!("{base}/{name}") }
}

/// A class's name as Keras writes it in paths: `Conv2D` is `conv2d`, `ReLU` is `re_lu`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut snake = String::new();
    for (place, &letter) in letters.iter().enumerate() {
        let lower = |place: Option<usize>| {
            place.and_then(|place| letters.get(place)).is_some_and(char::is_ascii_lowercase)
        };
        let starts = lower(Some(place + 1)) || lower(place.checked_sub(1));
        if place > 0 && letter.is_ascii_uppercase() && starts {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn classes_are_written_as_keras_writes_them() {
        for (class, snake) in [
            ("Conv2D", "conv2d"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("LSTM", "lstm"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("Conv1DTranspose", "conv1d_transpose"),
            ("RNN", "rnn"),
            ("UpSampling2D", "up_sampling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("RMSNormalization", "rms_normalization"),
        ] {
            assert_eq!(snake_case(class), snake);
        }
    }
}
