//! The signatures of a file: subgraphs with a name of their own, and names for what goes in and out.
//!
//! A model runs its first subgraph where nobody chooses one, as in TensorFlow Lite Micro. Signatures that work on the same
//! variables become entry points of one file.

use std::collections::BTreeSet;

use super::import_one;
use crate::error::{Error, Result};
use crate::import::entries::{self, Face, Touched};
use crate::import::importer::{ImportOptions, Imported};
use crate::tflite as schema;
use crate::unsupported::unsupported_layers;

/// A subgraph with a name.
#[derive(Clone, Copy)]
pub(super) struct Signature<'f> {
    pub(super) name: &'f str,
    pub(super) subgraph: usize,
    pub(super) table: schema::SignatureDef<'f>,
}

/// The signatures of a file that have a name of their own and a subgraph, in its order.
pub(super) fn list<'f>(model: &schema::Model<'f>) -> Vec<Signature<'f>> {
    let subgraphs = model.subgraphs().map_or(0, |all| all.len());
    let mut found: Vec<Signature<'f>> = Vec::new();
    for table in model.signature_defs().into_iter().flatten() {
        let (Some(name), subgraph) = (table.signature_key(), table.subgraph_index() as usize) else {
            continue;
        };
        if subgraph < subgraphs && found.iter().all(|other| other.name != name) {
            found.push(Signature { name, subgraph, table });
        }
    }
    found
}

/// The subgraph to read, and the signature that names its inputs and outputs.
pub(super) fn choose<'f>(
    model: &schema::Model<'f>,
    options: &ImportOptions,
) -> Result<(usize, Option<schema::SignatureDef<'f>>)> {
    let all = list(model);
    let Some(name) = &options.signature else {
        let first = model.signature_defs().into_iter().flatten().find(|table| table.subgraph_index() == 0);
        return Ok((0, first));
    };
    if let Some(found) = all.iter().find(|signature| signature.name == name) {
        return Ok((found.subgraph, Some(found.table)));
    }
    Err(match all.is_empty() {
        true => Error::input(format!("there is no signature `{name}`: the file names none"))
            .help("leave `--signature` out"),
        false => {
            let names: Vec<String> = all.iter().map(|signature| format!("`{}`", signature.name)).collect();
            Error::input(format!("there is no signature `{name}`: the file has {}", names.join(", ")))
                .help("give one of them with `--signature NAME`")
        }
    })
}

/// What a note says of the signatures that are not read; nothing where there are no others.
pub(super) fn note(model: &schema::Model<'_>, read: usize, chosen: bool) -> Option<String> {
    let all = list(model);
    let others: Vec<String> =
        all.iter().filter(|one| one.subgraph != read).map(|one| format!("`{}`", one.name)).collect();
    let own = all.iter().find(|one| one.subgraph == read);
    match (own, chosen || others.is_empty()) {
        (Some(own), false) => Some(format!(
            "the signature `{}` was converted, which the file has first; `--signature NAME` converts another one: {}",
            own.name,
            others.join(", ")
        )),
        _ => None,
    }
}

/// The signatures that work on the same variables, each with a graph, as
/// [`Importer::entries`](crate::import::importer::Importer::entries) says.
pub(super) fn entries(name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Vec<(String, Imported)>> {
    // What is wrong with a file is said where it is read.
    let Ok(names) = super::with_model(bytes, |model| {
        let faces = list(model).into_iter().filter_map(|signature| {
            let subgraph = model.subgraphs()?.get(signature.subgraph);
            let has = |list: Option<flatbuffers::Vector<'_, i32>>| list.is_some_and(|list| !list.is_empty());
            Some((signature.name.to_string(), has(subgraph.inputs()) && has(subgraph.outputs())))
        });
        Ok(faces.collect::<Vec<(String, bool)>>())
    }) else {
        return Ok(Vec::new());
    };
    if names.len() < 2 {
        return Ok(Vec::new());
    }
    let (mut touched, mut left_out) = (Vec::new(), Vec::new());
    for (signature, _) in &names {
        match import_one(name, bytes, &options_of(options, signature, name, bytes), &BTreeSet::new()) {
            Ok((imported, found)) if unsupported_layers(&imported.graph).is_empty() => {
                touched.push((signature.as_str(), found));
            }
            _ => left_out.push(format!("`{signature}`")),
        }
    }
    let faces: Vec<Face<'_>> =
        names.iter().map(|(name, is_whole)| Face { name, is_whole: *is_whole }).collect();
    let Some((shared, members)) = entries::members(&faces, &touched) else { return Ok(Vec::new()) };
    // Variables without a name, or with one name in two containers, are told apart by their place in one subgraph only.
    let short: BTreeSet<&str> = shared.iter().filter_map(|key| Some(key.split_once('/')?.1)).collect();
    if short.len() < shared.len() || short.contains("") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for signature in members {
        let options = options_of(options, &signature, name, bytes);
        let (imported, _) = import_one(name, bytes, &options, &shared)?;
        found.push((signature, imported));
    }
    entries::without_doubles(&mut found);
    let short = short.into_iter().map(String::from).collect();
    entries::complete(&mut found, &short);
    entries::largest_first(&mut found);
    if let (Some((_, first)), false) = (found.first_mut(), left_out.is_empty()) {
        let names = left_out.join(", ");
        first.notes.push(format!("signatures that cannot be converted were left out: {names}"));
    }
    Ok(found)
}

/// The options for one signature: shapes and values that are given for inputs of others are none of its own.
fn options_of(of: &ImportOptions, signature: &str, name: &str, bytes: &[u8]) -> ImportOptions {
    let mut options = ImportOptions { signature: Some(signature.into()), ..of.clone() };
    if !(options.input_shapes.is_empty() && options.input_values.is_empty()) {
        let plain = ImportOptions { input_shapes: Vec::new(), input_values: Vec::new(), ..options.clone() };
        let graph = import_one(name, bytes, &plain, &BTreeSet::new()).map(|(imported, _)| imported.graph);
        if let Ok(graph) = graph {
            let names: Vec<&str> = graph.inputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
            options.input_shapes.retain(|(input, _)| names.contains(&input.as_str()));
            options.input_values.retain(|(input, _)| names.contains(&input.as_str()));
        }
    }
    options
}

/// What a graph has done with variables.
pub(super) type Found = Touched;
