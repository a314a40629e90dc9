//! TensorFlow SavedModel: a directory with `saved_model.pb` and the variables beside it, as Keras's
//! `model.export`, `tf.saved_model.save` and the `model.save` of Keras 2 write it.
//!
//! 1. `proto` parses the graph, its functions and signatures; `signature` chooses what is converted;
//! 2. `restore` finds the variable of each handle, and `bundle` and `table` read it; `state` finds those
//!    that the signature assigns, and `kept` and `assignments` make them the
//!    graph's state;
//! 3. `evaluate` visits the nodes from the outputs to the inputs, and enters functions where they are called;
//!    results that depend only on constants and shapes are computed (`known`, `host`), the others become
//!    layers (`operators` and the files that it names);
//! 4. loops over time with a constant number of steps run at import (`loops`, `lists`); if the body is a
//!    recurrent cell of Keras, the loop becomes one layer (`recurrent`, `cell`).
//!
//! A layer is named after its node, inputs and outputs after the signature's names.

mod arithmetic;
mod assignments;
mod blocks;
mod bundle;
mod cell;
mod convolution;
mod dense;
mod einsum;
mod evaluate;
mod frozen;
mod host;
mod json;
mod kept;
mod known;
mod library;
mod lists;
mod loops;
mod movement;
mod normalization;
mod operators;
mod places;
mod proto;
mod rearrange;
mod recurrent;
mod restore;
mod signature;
mod slices;
mod state;
mod table;
mod tensor;

#[cfg(test)]
mod saved_tests;
#[cfg(test)]
mod tests;

use crate::import::damaged::damaged;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};

use super::build::Builder;
use super::entries::{self, Face, Touched};
use super::importer::{ImportOptions, Imported, Importer};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::unsupported::unsupported_layers;
use evaluate::{Evaluator, Operators};
pub use frozen::FrozenImporter;
pub(super) use json::of_json;
use library::Library;

const FILE: &str = "saved_model.pb";

/// How the evaluator treats the operators of nodes.
const OPERATORS: Operators =
    Operators { control: loops::control, is_known: operators::is_known, translate: operators::translate };

/// Reads SavedModel directories.
pub struct SavedModelImporter;

impl Importer for SavedModelImporter {
    fn format(&self) -> &'static str {
        "TensorFlow SavedModel"
    }

    fn recognises(&self, path: &Path, _head: &[u8]) -> bool {
        path.file_name().is_some_and(|name| name == FILE)
            || path.join(FILE).is_file()
            || !versions(path).is_empty()
    }

    fn entries(&self, path: &Path, options: &ImportOptions) -> Result<Vec<(String, Imported)>> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
        let newest = versions(folder).pop().filter(|_| !folder.join(FILE).is_file());
        let inner = newest.as_ref().map_or(folder.to_path_buf(), |newest| folder.join(newest));
        let mut entries = entries_of(&inner, options).map_err(|e| e.context(path.display()))?;
        entries.iter_mut().for_each(|(_, imported)| imported.graph.name = model_name(folder));
        Ok(entries)
    }

    fn import(&self, path: &Path, options: &ImportOptions) -> Result<Imported> {
        let name = path.display().to_string();
        // The path may be that of the file in the directory.
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
        let versions = versions(folder);
        let Some(newest) = versions.last().filter(|_| !folder.join(FILE).is_file()) else {
            return import(folder, options).map_err(|e| e.context(&name));
        };
        let mut imported =
            import(&folder.join(newest), options).map_err(|e| e.context(format!("{name}/{newest}")))?;
        imported.graph.name = model_name(folder);
        let others = match versions.len() {
            1 => String::new(),
            count => format!(", the highest of {count}"),
        };
        imported.notes.push(format!("version {newest} of the model was converted{others}"));
        Ok(imported)
    }

    fn import_bytes(&self, name: &str, _bytes: &[u8], _options: &ImportOptions) -> Result<Imported> {
        Err(Error::input(format!("{name}: a SavedModel is a directory; its weights are in other files"))
            .help("give the path of the directory that holds saved_model.pb"))
    }
}

/// The file's message.
fn message(folder: &Path) -> Result<proto::SavedModel> {
    let bytes = crate::files::read(&folder.join(FILE))
        .map_err(|e| Error::input(format!("{FILE} cannot be read: {e}")).caused_by(e))?;
    proto::SavedModel::decode(bytes.as_slice())
        .map_err(|e| damaged(format!("{FILE} is not a sound SavedModel: {e}")).caused_by(e))
}

fn graph(meta: &proto::MetaGraph) -> Result<&proto::GraphDef> {
    meta.graph.as_ref().ok_or_else(|| damaged(format!("{FILE} holds no graph")))
}

/// An evaluator of a model that has read nothing yet.
fn begin<'m>(folder: &Path, meta: &'m proto::MetaGraph, library: &'m Library<'m>) -> Result<Evaluator<'m>> {
    let restore = meta.saver.as_ref().map_or("", |saver| saver.restore_op_name.as_str());
    let bundle = bundle::Bundle::open(folder)?;
    let variables = restore::Variables::new(bundle, library, meta.objects.as_ref(), restore);
    Ok(Evaluator::new(library, variables, Builder::new(model_name(folder)), OPERATORS))
}

/// The signatures that work on the same variables; none where fewer than two do.
fn entries_of(folder: &Path, options: &ImportOptions) -> Result<Vec<(String, Imported)>> {
    // What is wrong with a model is said where it is read.
    let Ok(model) = message(folder) else { return Ok(Vec::new()) };
    let Ok(meta) = signature::serving(&model.meta_graphs) else { return Ok(Vec::new()) };
    let signatures = signature::usable(meta);
    let Some(graph) = meta.graph.as_ref().filter(|_| signatures.len() > 1) else { return Ok(Vec::new()) };
    let library = Library::new(graph);
    let Ok(idle) = begin(folder, meta, &library) else { return Ok(Vec::new()) };
    if signatures.iter().all(|(_, one)| state::assigned(&idle, one).is_empty()) {
        return Ok(Vec::new());
    }
    let (mut touched, mut left_out) = (Vec::new(), Vec::new());
    for &(name, serve) in &signatures {
        let options = options_of(options, name, serve);
        let begin = || begin(folder, meta, &library);
        match evaluate_with_states(&begin, serve, &options, BTreeSet::new()) {
            Ok((evaluator, _, states)) if unsupported_layers(evaluator.builder.graph()).is_empty() => {
                let assigned = state::assigned(&evaluator, serve).into_iter().collect();
                let read = evaluator.variables.all_read().into_iter().chain(states).collect();
                touched.push((name, Touched { assigned, read }));
            }
            // Such as those for training.
            _ => left_out.push(format!("`{name}`")),
        }
    }
    let is_whole = |one: &proto::Signature| !one.inputs.is_empty() && !one.outputs.is_empty();
    let faces: Vec<Face<'_>> =
        signatures.iter().map(|&(name, one)| Face { name, is_whole: is_whole(one) }).collect();
    let Some((shared, members)) = entries::members(&faces, &touched) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in members {
        let Some((_, serve)) = signatures.iter().find(|(other, _)| *other == name) else { continue };
        let imported = import_sharing(folder, &options_of(options, &name, serve), &shared)?;
        found.push((name, imported));
    }
    entries::without_doubles(&mut found);
    entries::largest_first(&mut found);
    if let (Some((_, first)), false) = (found.first_mut(), left_out.is_empty()) {
        let names = left_out.join(", ");
        first.notes.push(format!("signatures that cannot be converted were left out: {names}"));
    }
    Ok(found)
}

/// The options for one signature: shapes and values that are given for inputs of others are none of its own.
fn options_of(of: &ImportOptions, name: &str, signature: &proto::Signature) -> ImportOptions {
    let mut options = ImportOptions { signature: Some(name.into()), ..of.clone() };
    options.input_shapes.retain(|(input, _)| signature.inputs.contains_key(input));
    options.input_values.retain(|(input, _)| signature.inputs.contains_key(input));
    options
}

/// Reads a module that is called with one tensor of this shape.
///
/// # Errors
/// When it cannot be read, or takes another number of tensors.
pub(in crate::import) fn called_with(folder: &Path, shape: &[usize]) -> Result<Imported> {
    let model = message(folder)?;
    let meta = signature::serving(&model.meta_graphs)?;
    let (_, serve) = signature::choose(meta, &ImportOptions::default())?;
    let input_shapes: Vec<_> = serve.inputs.keys().map(|name| (name.clone(), shape.to_vec())).collect();
    if input_shapes.len() != 1 {
        return Err(Error::input(format!("it takes {} tensors", input_shapes.len()))
            .help("save the whole model with tf.saved_model.save"));
    }
    import(folder, &ImportOptions { input_shapes, ..ImportOptions::default() })
}

fn import(folder: &Path, options: &ImportOptions) -> Result<Imported> {
    import_sharing(folder, options, &BTreeSet::new())
}

/// Reads a signature, of which variables that others assign are state, too.
fn import_sharing(folder: &Path, options: &ImportOptions, shared: &BTreeSet<String>) -> Result<Imported> {
    let model = message(folder)?;
    let meta = signature::serving(&model.meta_graphs)?;
    let graph = graph(meta)?;
    let (chosen, serve) = signature::choose(meta, options)?;
    let source = Source {
        name: model_name(folder),
        graph,
        objects: meta.objects.as_ref(),
        restore: meta.saver.as_ref().map_or("", |saver| saver.restore_op_name.as_str()),
        signature: serve,
    };
    let (graph, mut notes, warnings) =
        read_sharing(&source, &|| bundle::Bundle::open(folder), options, shared)?;
    if chosen != "serving_default" && options.signature.is_none() {
        notes.push(format!("the only signature, `{chosen}`, was converted"));
    }
    let source_hash =
        hash(folder).map_err(|e| Error::input(format!("cannot be read completely: {e}")).caused_by(e))?;
    Ok(Imported { graph, format: SavedModelImporter.format(), source_hash, notes, warnings })
}

/// A graph, and what is known of it.
struct Source<'m> {
    /// The model's name.
    name: String,
    graph: &'m proto::GraphDef,
    objects: Option<&'m proto::SavedObjects>,
    /// The node that restores the variables, or an empty text.
    restore: &'m str,
    signature: &'m proto::Signature,
}

/// Reads a graph, with notes and warnings.
fn read(
    source: &Source<'_>,
    open: &dyn Fn() -> Result<bundle::Bundle>,
    options: &ImportOptions,
) -> Result<(Graph, Vec<String>, Vec<String>)> {
    read_sharing(source, open, options, &BTreeSet::new())
}

/// The same; these variables are state, too.
fn read_sharing(
    source: &Source<'_>,
    open: &dyn Fn() -> Result<bundle::Bundle>,
    options: &ImportOptions,
    shared: &BTreeSet<String>,
) -> Result<(Graph, Vec<String>, Vec<String>)> {
    let (library, serve) = (Library::new(source.graph), source.signature);
    let begin = || {
        let variables = restore::Variables::new(open()?, &library, source.objects, source.restore);
        Ok::<_, Error>(Evaluator::new(&library, variables, Builder::new(source.name.clone()), OPERATORS))
    };

    let (mut evaluator, outputs, states) = evaluate_with_states(&begin, serve, options, shared.clone())?;
    if !states.is_empty() {
        evaluator.kept.complete = !shared.is_empty();
        assignments::finish(&mut evaluator)?;
    }
    let warnings = state::refuse(&mut evaluator, serve);
    // If an output seems to be a constant, the reason may be a variable that is assigned, which is reported
    // instead. One of several signatures may be there for what it assigns.
    if outputs.is_empty() && shared.is_empty() && unsupported_layers(evaluator.builder.graph()).is_empty() {
        return Err(signature::no_output(serve));
    }
    let mut notes = evaluator.notes;
    let mut graph = evaluator.builder.finish(outputs);
    super::masked::run(&mut graph);
    super::choices::run(&mut graph, &mut notes);
    super::conditions::run(&mut graph);
    // If there are layers that cannot be converted, they all stay, even if their results are not read, so
    // that they are reported.
    if unsupported_layers(&graph).is_empty() {
        crate::passes::dead::run(&mut graph);
    }
    Ok((graph, notes, warnings))
}

/// Evaluates a signature with the variables that are state: those given, and those that it assigns and its outputs read. The
/// latter are known when all that the outputs need has been read, which may be more once some variable is no constant.
fn evaluate_with_states<'m>(
    begin: &dyn Fn() -> Result<Evaluator<'m>>,
    signature: &'m proto::Signature,
    options: &ImportOptions,
    mut states: BTreeSet<String>,
) -> Result<(Evaluator<'m>, Vec<ValueId>, BTreeSet<String>)> {
    loop {
        let mut evaluator = begin()?;
        if !states.is_empty() {
            evaluator.kept = kept::Kept::of(states.iter().cloned().collect());
        }
        let outputs = evaluate(&mut evaluator, signature, options)?;
        let before = states.len();
        states.extend(state::kept(&evaluator, signature));
        if states.len() == before {
            return Ok((evaluator, outputs, states));
        }
    }
}

/// Evaluates a signature, and returns its outputs.
fn evaluate<'m>(
    evaluator: &mut Evaluator<'m>,
    signature: &'m proto::Signature,
    options: &ImportOptions,
) -> Result<Vec<ValueId>> {
    let library = evaluator.library;
    let feeds = signature::inputs(evaluator, signature, options)?;
    signature::outputs(evaluator, &library.graph, signature, feeds)
}

/// The versions of a model in a folder, as TensorFlow Serving stores them: subfolders whose names are
/// numbers, in ascending order.
fn versions(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join(FILE).is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    names.sort_by(|a, b| {
        let digits = |name: &str| name.trim_start_matches('0').len();
        let by_value = || a.trim_start_matches('0').cmp(b.trim_start_matches('0'));
        digits(a).cmp(&digits(b)).then_with(by_value).then_with(|| a.cmp(b))
    });
    names
}

/// The directory's name, or the name of its parent if it is called `saved_model`.
fn model_name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let mut names = folder.iter().rev().map(|part| part.to_string_lossy().into_owned());
    let own = names.next().unwrap_or_default();
    let name = if own == "saved_model" { names.next().unwrap_or(own) } else { own };
    if name.is_empty() || name == "/" { "model".into() } else { name }
}

/// SHA-256 of the model's files, in the order of their names.
fn hash(folder: &Path) -> std::io::Result<[u8; 32]> {
    let mut files: Vec<PathBuf> = vec![folder.join(FILE)];
    if let Ok(entries) = std::fs::read_dir(folder.join("variables")) {
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("variables.") && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut sum = Sha256::new();
    for file in files {
        sum.update(crate::files::read(&file)?);
    }
    Ok(sum.finalize().into())
}
