//! Keras models whose variables are a list of named arrays: TensorFlow.js keeps them so.
//!
//! A name is that of the layer and of the variable, `conv1/kernel`, with what is between them for layers in layers:
//! `bidirectional/forward_lstm/lstm_cell/kernel`. A layer's variables are found by its name, and within that by the
//! variable's; where that leaves a doubt, by their order.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::container::{Container, major};
use super::network::{Layer, Network};
use super::weights::Weights;
use super::{layers, model, run};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::import::importer::{ImportOptions, stem};
use crate::import::listed::Listed;

/// Reads a model from its topology and its weights.
pub fn of_list(
    name: &str,
    topology: &Json,
    listed: Vec<Listed>,
    options: &ImportOptions,
) -> Result<(Graph, Vec<String>, Vec<String>)> {
    let version = topology.get("keras_version").and_then(Json::as_str).unwrap_or("2");
    // What TensorFlow.js saves itself has the layers of Keras 2.
    let keras = if version.starts_with("tfjs") { 2 } else { major(version)? };
    let model = topology.get("model_config").unwrap_or(topology).clone();
    let names: Vec<String> = listed.iter().map(|array| array.name.clone()).collect();
    let mut network = model::read(&model, keras)?;
    network.place_in_list(&names)?;
    let container = Container { model, weights: Weights::of_list(listed), keras, by_name: true };
    run::build(&stem(name), &network, &container, options, layers::call)
}

impl Network {
    /// Sets the paths of all variables to names of a list.
    fn place_in_list(&mut self, names: &[String]) -> Result<()> {
        for layer in &mut self.layers {
            match &mut layer.network {
                Some(network) => network.place_in_list(names)?,
                None => layer.place_in_list(names)?,
            }
        }
        Ok(())
    }
}

impl Layer {
    fn place_in_list(&mut self, names: &[String]) -> Result<()> {
        let name = self.name.clone();
        let mut variables = Vec::new();
        let known = self.variables_in_order(true, &mut variables);
        if variables.is_empty() || !known {
            // A layer that is not known is reported later.
            return Ok(());
        }
        let of_layer = |listed: &&String| {
            let parts: Vec<&str> = listed.split('/').collect();
            parts.len() > 1 && parts[..parts.len() - 1].contains(&name.as_str())
        };
        let mut own: Vec<&String> = names.iter().filter(of_layer).collect();
        // The layer's own name may stand behind that of another one; the first place wins.
        if own.len() > variables.len() {
            own.retain(|listed| listed.starts_with(&format!("{name}/")));
        }
        if own.len() != variables.len() {
            let expected: Vec<&str> = variables.iter().map(|(_, variable)| variable.name).collect();
            return Err(Error::input(format!(
                "layer `{name}`: the file has {} weights for it, but it has {}: {}",
                own.len(),
                expected.len(),
                expected.join(", ")
            ))
            .help("save the model again with all of its weights"));
        }
        let mut by_end: HashMap<&str, Vec<&String>> = HashMap::new();
        for &listed in &own {
            by_end.entry(end(listed)).or_default().push(listed);
        }
        let by_name: Option<Vec<String>> = variables
            .iter()
            .map(|(_, variable)| match by_end.get(variable.name).map(Vec::as_slice) {
                Some([one]) => Some((*one).clone()),
                _ => None,
            })
            .collect();
        // Variables that training does not change come last.
        let (trained, fixed): (Vec<usize>, Vec<usize>) = (0..variables.len()).partition(|&i| variables[i].0);
        let order: Vec<usize> = trained.into_iter().chain(fixed).collect();
        for (place, index) in order.into_iter().enumerate() {
            let path = by_name.as_ref().map_or_else(|| own[place].clone(), |names| names[index].clone());
            variables[index].1.path = Some(path);
        }
        Ok(())
    }
}

/// A variable's own name: `kernel` of `conv1/kernel`, and of `conv1/kernel_1` and `conv1/kernel:0`.
fn end(listed: &str) -> &str {
    let own = listed.rsplit('/').next().unwrap_or_default();
    let own = own.split(':').next().unwrap_or_default();
    match own.rsplit_once('_') {
        Some((before, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => own,
    }
}
