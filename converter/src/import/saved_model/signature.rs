//! The signature that is converted, and the inputs and outputs that it names.

use crate::import::damaged::damaged;
use std::collections::HashMap;

use super::evaluate::Evaluator;
use super::known::{self, Known};
use super::library::{Body, reference};
use super::proto::{MetaGraph, Signature, TensorInfo};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::graph::{DType, Op, ValueId};
use crate::import::importer::ImportOptions;

/// The number of TensorFlow's type for strings.
const STRING: i32 = 7;

/// The graph for serving; a model may contain other graphs, for training.
pub(super) fn serving(graphs: &[MetaGraph]) -> Result<&MetaGraph> {
    let serves = |graph: &&MetaGraph| graph.info.iter().any(|i| i.tags.iter().any(|t| t == "serve"));
    graphs.iter().find(serves).or(graphs.first()).ok_or_else(|| damaged("saved_model.pb holds no graph"))
}

/// The signatures that are functions, by name. One without outputs is not a function but the node that initialises the model.
pub(super) fn usable(graph: &MetaGraph) -> Vec<(&str, &Signature)> {
    graph
        .signatures
        .iter()
        .filter(|(name, s)| !s.outputs.is_empty() && name.as_str() != "__saved_model_init_op")
        .map(|(name, signature)| (name.as_str(), signature))
        .collect()
}

/// The signature that the options name, else the only one or `serving_default`.
pub(super) fn choose<'m>(graph: &'m MetaGraph, options: &ImportOptions) -> Result<(&'m str, &'m Signature)> {
    let usable = usable(graph);
    let names: Vec<String> = usable.iter().map(|(name, _)| format!("`{name}`")).collect();
    let names = names.join(", ");
    if usable.is_empty() {
        return Err(Error::input("the SavedModel has no signature, so nothing says what goes in and out")
            .help("save it with one: `model.export(...)`, or `tf.saved_model.save(model, path, signatures=...)`"));
    }
    if let Some(wanted) = &options.signature {
        return usable.iter().copied().find(|(name, _)| name == wanted).ok_or_else(|| {
            Error::input(format!("the SavedModel has no signature `{wanted}`; it has {names}"))
                .help("give one of these names to `--signature`")
        });
    }
    let default = usable.iter().copied().find(|(name, _)| *name == "serving_default");
    match (default, usable.as_slice()) {
        (Some(one), _) | (None, &[one]) => Ok(one),
        _ => Err(Error::input(format!("the SavedModel has several signatures: {names}"))
            .help("choose one, as in `--signature NAME`")),
    }
}

/// Adds the inputs of the model; returns the tensor for each node that is fed.
pub(super) fn inputs<'m>(
    evaluator: &mut Evaluator<'m>,
    signature: &'m Signature,
    options: &ImportOptions,
) -> Result<HashMap<&'m str, Tensor>> {
    let names: Vec<&str> = signature.inputs.keys().map(String::as_str).collect();
    options.check_names(&names)?;
    let mut feeds = HashMap::new();
    for (name, info) in &signature.inputs {
        let (shape, dtype) = (shape(name, info, options)?, dtype(name, info)?);
        let tensor = match options.value(name, &shape, dtype, None)? {
            Some(elements) => Tensor::Known(Known::new(name, shape, elements)),
            None => Tensor::Value(evaluator.builder.input(name, &shape, dtype)),
        };
        let Some((node, _, _)) = reference(&info.name) else {
            return Err(damaged(format!("input `{name}` names no tensor")));
        };
        feeds.insert(node, tensor);
    }
    Ok(feeds)
}

fn shape(name: &str, info: &TensorInfo, options: &ImportOptions) -> Result<Vec<usize>> {
    let Some(shape) = info.shape.as_ref().filter(|s| !s.unknown_rank) else {
        let given = options.input_shapes.iter().find(|(input, _)| input == name);
        return given.map(|(_, shape)| shape.clone()).ok_or_else(|| {
            Error::input(format!("input `{name}` has no shape at all in the file"))
                .help(format!("give it, as in `--input-shape {name}=1,28,28,1`"))
        });
    };
    let dims: Vec<Option<usize>> = shape.dims.iter().map(|d| usize::try_from(d.size).ok()).collect();
    let shape = options.input_shape(name, &dims)?;
    match known::count(&shape) {
        Some(n) if n > 0 => Ok(shape),
        _ => Err(damaged(format!("input `{name}` has the shape {shape:?}"))),
    }
}

fn dtype(name: &str, info: &TensorInfo) -> Result<DType> {
    known::dtype(info.dtype).ok_or_else(|| {
        Error::input(format!("input `{name}` is of {}", known::dtype_name(info.dtype)))
            .help("choose a signature whose inputs are numbers, or export the model without its string preprocessing")
    })
}

/// Evaluates the outputs of the model, and gives them their names in the signature.
pub(super) fn outputs<'m>(
    evaluator: &mut Evaluator<'m>,
    graph: &'m Body<'m>,
    signature: &'m Signature,
    feeds: HashMap<&'m str, Tensor>,
) -> Result<Vec<ValueId>> {
    let (words, numbers): (Vec<_>, Vec<_>) =
        signature.outputs.iter().partition(|(_, info)| info.dtype == STRING);
    for (name, _) in words {
        evaluator.notes.push(format!("output `{name}` is text: it was left out"));
    }
    let wanted: Vec<&str> = numbers.iter().map(|(_, info)| info.name.as_str()).collect();
    let tensors = evaluator.evaluate(graph, feeds, &wanted)?;
    let mut ids: Vec<ValueId> = Vec::with_capacity(tensors.len());
    for ((name, _), tensor) in numbers.into_iter().zip(tensors) {
        let id = match tensor {
            Tensor::Value(id) | Tensor::Lost(id) => id,
            Tensor::Spaced(spaced) => match super::blocks::space_to_batch(&mut evaluator.builder, &spaced) {
                Ok(id) => id,
                Err(_) => return Err(damaged(format!("output `{name}` is an image taken apart"))),
            },
            Tensor::Known(_) => {
                let note = "does not depend on the model's inputs: it was left out";
                evaluator.notes.push(format!("output `{name}` {note}"));
                continue;
            }
            _ => return Err(damaged(format!("output `{name}` is not an array of numbers"))),
        };
        let taken = ids.contains(&id) || evaluator.builder.graph().inputs.contains(&id);
        let id = if taken {
            // If a tensor has two names, a copy makes sure that both are kept.
            let shape = evaluator.builder.shape(id).to_vec();
            evaluator.builder.op_shaped(name, Op::Reshape, &[id], &shape)?
        } else {
            id
        };
        evaluator.builder.rename(id, name);
        ids.push(id);
    }
    Ok(ids)
}

/// The error when none of a signature's outputs remains.
pub(super) fn no_output(signature: &Signature) -> Error {
    let names: Vec<String> = signature.outputs.keys().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    Error::input(format!("no output depends on the model's inputs and is of numbers: {names}"))
        .help("choose another signature, or export the model with the outputs of its layers")
}
