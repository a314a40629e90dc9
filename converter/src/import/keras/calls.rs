//! Calls of layers: the tensors and plain values that a layer is called with, in Keras 3's form (`args`,
//! `kwargs`, `__keras_tensor__`) and in that of Keras 2 (`["layer", node, tensor, {…}]`).

use serde_json::Value as Json;

use super::config::items;
use crate::error::{Error, Result};

/// The result of a layer's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRef {
    /// Name of the layer.
    pub layer: String,
    /// Index of the call.
    pub node: usize,
    /// Index of the result.
    pub tensor: usize,
    /// Its shape, if the file states it.
    pub shape: Option<Vec<Option<usize>>>,
}

/// An argument. `T` is the type of its tensors.
#[derive(Clone, Debug)]
pub enum Arg<T> {
    /// A tensor.
    Tensor(T),
    /// A list or tuple that contains tensors.
    List(Vec<Arg<T>>),
    /// Anything else.
    Plain(Json),
}

impl<T> Arg<T> {
    /// All tensors, in order.
    pub fn tensors<'a>(&'a self, found: &mut Vec<&'a T>) {
        match self {
            Arg::Tensor(tensor) => found.push(tensor),
            Arg::List(list) => list.iter().for_each(|arg| arg.tensors(found)),
            Arg::Plain(_) => {}
        }
    }

    /// All tensors, in order, to be changed.
    fn tensors_mut<'a>(&'a mut self, found: &mut Vec<&'a mut T>) {
        match self {
            Arg::Tensor(tensor) => found.push(tensor),
            Arg::List(list) => list.iter_mut().for_each(|arg| arg.tensors_mut(found)),
            Arg::Plain(_) => {}
        }
    }

    /// The same argument with other tensors.
    pub fn map<U>(&self, f: &mut impl FnMut(&T) -> Result<U>) -> Result<Arg<U>> {
        Ok(match self {
            Arg::Tensor(tensor) => Arg::Tensor(f(tensor)?),
            Arg::List(list) => Arg::List(list.iter().map(|arg| arg.map(f)).collect::<Result<_>>()?),
            Arg::Plain(value) => Arg::Plain(value.clone()),
        })
    }
}

/// One call of a layer.
#[derive(Clone, Debug)]
pub struct Call<T> {
    /// Arguments by position.
    pub args: Vec<Arg<T>>,
    /// Arguments by name.
    pub named: Vec<(String, Arg<T>)>,
}

impl<T> Default for Call<T> {
    fn default() -> Self {
        Call { args: Vec::new(), named: Vec::new() }
    }
}

impl<T> Call<T> {
    /// All tensors, in order.
    pub fn tensors(&self) -> Vec<&T> {
        let mut found = Vec::new();
        self.args.iter().chain(self.named.iter().map(|(_, arg)| arg)).for_each(|arg| arg.tensors(&mut found));
        found
    }

    /// All tensors, in order, to be changed.
    pub fn tensors_mut<'a>(&'a mut self, found: &mut Vec<&'a mut T>) {
        let named = self.named.iter_mut().map(|(_, arg)| arg);
        self.args.iter_mut().chain(named).for_each(|arg| arg.tensors_mut(found));
    }

    /// The argument with that name, or at that position.
    pub fn arg(&self, position: usize, name: &str) -> Option<&Arg<T>> {
        let named = self.named.iter().find(|(key, _)| key == name).map(|(_, arg)| arg);
        named.or_else(|| self.args.get(position)).filter(|arg| !matches!(arg, Arg::Plain(Json::Null)))
    }

    /// All tensors except those of the argument with that name.
    pub fn tensors_without(&self, name: &str) -> Vec<&T> {
        let mut found = Vec::new();
        let named = self.named.iter().filter(|(key, _)| key != name).map(|(_, arg)| arg);
        self.args.iter().chain(named).for_each(|arg| arg.tensors(&mut found));
        found
    }

    /// The same call with other tensors.
    pub fn map<U>(&self, f: &mut impl FnMut(&T) -> Result<U>) -> Result<Call<U>> {
        Ok(Call {
            args: self.args.iter().map(|arg| arg.map(f)).collect::<Result<_>>()?,
            named: self
                .named
                .iter()
                .map(|(name, arg)| Ok((name.clone(), arg.map(f)?)))
                .collect::<Result<_>>()?,
        })
    }
}

impl Call<TensorRef> {
    /// A call with one tensor: the first result of another layer's first call.
    pub fn of(layer: &str) -> Self {
        let tensor = TensorRef { layer: layer.into(), node: 0, tensor: 0, shape: None };
        Call { args: vec![Arg::Tensor(tensor)], named: Vec::new() }
    }

    /// Parses one entry of `inbound_nodes`.
    pub fn read(layer: &str, node: &Json) -> Result<Self> {
        let broken = || {
            Error::input(format!("layer `{layer}`: its `inbound_nodes` cannot be read"))
                .help("the file is damaged, or of a version of Keras that is not known")
        };
        if let Some(object) = node.as_object() {
            let args = object.get("args").and_then(items).ok_or_else(broken)?;
            let named = object.get("kwargs").and_then(Json::as_object).ok_or_else(broken)?;
            return Ok(Call {
                args: args.iter().map(new_form).collect(),
                named: named.iter().map(|(name, value)| (name.clone(), new_form(value))).collect(),
            });
        }
        let list = node.as_array().ok_or_else(broken)?;
        // A call with a single tensor may be written without a list around it.
        let single = [node.clone()];
        let entries = if list.first().is_some_and(Json::is_string) { &single[..] } else { list };
        let mut args = Vec::new();
        let mut named = Vec::new();
        for entry in entries {
            args.push(match old_tensor(entry) {
                Some(tensor) => Arg::Tensor(tensor),
                // `["_CONSTANT_VALUE", -1, value, {…}]`
                None => Arg::Plain(entry.get(2).ok_or_else(broken)?.clone()),
            });
            if let (true, Some(more)) = (named.is_empty(), entry.get(3).and_then(Json::as_object)) {
                named = more.iter().map(|(name, value)| (name.clone(), old_form(value))).collect();
            }
        }
        // Several tensors are one argument, a list.
        let args = if args.len() > 1 { vec![Arg::List(args)] } else { args };
        Ok(Call { args, named })
    }
}

/// `["layer", node, tensor]`, or with a fourth element.
pub fn old_tensor(value: &Json) -> Option<TensorRef> {
    let [layer, node, tensor, ..] = value.as_array()?.as_slice() else { return None };
    Some(TensorRef {
        layer: layer.as_str()?.into(),
        node: usize::try_from(node.as_u64()?).ok()?,
        tensor: usize::try_from(tensor.as_u64()?).ok()?,
        shape: None,
    })
}

/// All tensors of `input_layers` or `output_layers`, which are one, a list, or a dictionary (in the order of
/// its keys).
pub fn borders(value: Option<&Json>) -> Vec<TensorRef> {
    let Some(value) = value else { return Vec::new() };
    if let Some(tensor) = old_tensor(value) {
        return vec![tensor];
    }
    match (items(value), value.as_object()) {
        (Some(list), _) => list.iter().flat_map(|value| borders(Some(value))).collect(),
        (None, Some(map)) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            entries.into_iter().flat_map(|(_, value)| borders(Some(value))).collect()
        }
        _ => Vec::new(),
    }
}

fn new_form(value: &Json) -> Arg<TensorRef> {
    if value.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__") {
        let config = value.get("config");
        let tensor = config.and_then(|c| old_tensor(c.get("keras_history")?));
        if let Some(tensor) = tensor {
            let shape = config
                .and_then(|c| items(c.get("shape")?))
                .map(|dims| dims.iter().map(|d| d.as_u64().and_then(|d| usize::try_from(d).ok())).collect());
            return Arg::Tensor(TensorRef { shape, ..tensor });
        }
    }
    list_form(value, new_form)
}

fn old_form(value: &Json) -> Arg<TensorRef> {
    match old_tensor(value) {
        Some(tensor) => Arg::Tensor(tensor),
        None => list_form(value, old_form),
    }
}

/// A list that contains tensors, or a plain value.
fn list_form(value: &Json, read: fn(&Json) -> Arg<TensorRef>) -> Arg<TensorRef> {
    if let Some(list) = items(value) {
        let list: Vec<_> = list.iter().map(read).collect();
        if list.iter().any(|arg| !matches!(arg, Arg::Plain(_))) {
            return Arg::List(list);
        }
    }
    Arg::Plain(value.clone())
}
