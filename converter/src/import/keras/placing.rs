//! Finds the variables of a model in its file.

use std::collections::HashMap;

use super::layers;
use super::network::{Layer, Network, Variable, snake_case};
use super::weights::Weights;
use crate::error::{Error, Result};

impl Network {
    /// Sets the paths of all variables in a `.keras` file, for a model whose path is `base`.
    pub fn place(&mut self, base: &str, weights: &Weights) {
        // Late versions of Keras 2 named the list after a Python attribute.
        const LISTS: [&str; 3] = ["layers", "_layer_checkpoint_dependencies", "_layers"];
        let path = |list: &str| join(base, list);
        let list = LISTS.iter().find(|list| weights.has_group(&path(list))).unwrap_or(&LISTS[0]);
        let mut used = HashMap::<String, usize>::new();
        for layer in &mut self.layers {
            let is_model = layer.network.is_some() && layer.class == "Model";
            let name = unique(&mut used, if is_model { "Functional" } else { &layer.class });
            layer.place(&join(&path(list), &name), weights);
        }
    }

    /// Sets the paths of all variables in an `.h5` file.
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
            // Variables that training does not change come last.
            let (mut ordered, rest): (Vec<_>, Vec<_>) =
                variables.into_iter().partition(|(trainable, _)| *trainable);
            ordered.extend(rest);
            if !known {
                // A layer that Ferrolite does not know has an unknown number of variables. It will be
                // reported, and the variables of its neighbours do not matter then.
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
            // Keras 3 uses the public name of a private attribute, if there is one.
            let public = place.strip_prefix('_').and_then(|rest| rest.split('/').next());
            let public = public.filter(|folder| weights.has_group(&join(base, folder)));
            let place = if public.is_some() { place.trim_start_matches('_') } else { place };
            variable.path = Some(join(base, place));
        }
        // Members of a list have the names of their classes.
        let is_list = self.class == "StackedRNNCells";
        let mut used = HashMap::<String, usize>::new();
        for (attribute, child) in &mut self.children {
            let own = join(base, attribute);
            let place = if is_list { join(&own, &unique(&mut used, &child.class)) } else { own };
            child.place(&place, weights);
        }
        if let Some(network) = &mut self.network {
            network.place(base, weights);
        }
    }

    /// Collects the variables of a layer and of the layers in it. Returns false if one of those layers is not
    /// known.
    pub(super) fn variables_in_order<'a>(
        &'a mut self,
        trainable: bool,
        found: &mut Vec<(bool, &'a mut Variable)>,
    ) -> bool {
        let trainable = trainable && self.config.bool_or("trainable", true).unwrap_or(true);
        let mut known = self.network.is_some() || self.operation || layers::is_known(&self.class);
        // A layer that Keras has quantized has other variables; it will be reported, too.
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

/// The name of a member of a list, by its class and those before it.
fn unique(used: &mut HashMap<String, usize>, class: &str) -> String {
    let name = snake_case(class);
    let count = used.entry(name.clone()).or_default();
    let unique = if *count == 0 { name } else { format!("{name}_{count}") };
    *count += 1;
    unique
}

fn join(base: &str, name: &str) -> String {
    if base.is_empty() { name.into() } else { format!("{base}/{name}") }
}
