//! Graphs of TensorFlow 1: frozen ones (`.pb`, a `GraphDef` whose variables are constants), and checkpoints (`.meta`, a
//! graph with its variables in `.index` and `.data-…` beside it).
//!
//! Nothing in such a file says what goes in and out. `--inputs` and `--outputs` do; without them, the inputs are the
//! placeholders, and the outputs the tensors that no node reads. Whatever an input is computed from is left out, so a
//! graph that begins with reading a recording or a picture can begin behind that.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use prost::Message;
use sha2::{Digest, Sha256};

use super::bundle::Bundle;
use super::library::{Attributes, reference};
use super::proto::{Attr, GraphDef, MetaGraph, NodeDef, Signature, TensorInfo};
use super::{Source, read};
use crate::error::{Error, Result};
use crate::import::damaged::damaged;
use crate::import::importer::{ImportOptions, Imported, Importer, stem};

/// TensorFlow's number of float32.
const FLOAT: i32 = 1;

/// Most names in a cure.
const SHOWN: usize = 6;

/// Reads `.pb` files, and the `.meta` files of checkpoints.
pub struct FrozenImporter;

impl Importer for FrozenImporter {
    fn format(&self) -> &'static str {
        "TensorFlow 1 graph"
    }

    fn recognises(&self, path: &Path, _head: &[u8]) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        (name.ends_with(".pb") && name != super::FILE) || name.ends_with(".meta")
    }

    fn takes_ports(&self) -> bool {
        true
    }

    fn beside(&self, path: &Path) -> Vec<PathBuf> {
        checkpoint(path).map_or_else(Vec::new, |prefix| Bundle::files(&prefix))
    }

    fn import(&self, path: &Path, options: &ImportOptions) -> Result<Imported> {
        let name = path.display().to_string();
        let bytes = crate::files::read(path)
            .map_err(|e| Error::input(format!("{name}: cannot be read: {e}")).caused_by(e))?;
        let mut hash = Sha256::new_with_prefix(&bytes);
        for file in self.beside(path) {
            let content = crate::files::read(&file)
                .map_err(|e| Error::input(format!("{}: cannot be read: {e}", file.display())).caused_by(e))?;
            hash.update(content);
        }
        import(&name, &bytes, checkpoint(path).as_deref(), hash.finalize().into(), options)
    }

    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
        import(name, bytes, None, Sha256::digest(bytes).into(), options)
    }
}

/// The path of a checkpoint without `.meta`.
fn checkpoint(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    name.strip_suffix(".meta").map(|prefix| path.with_file_name(prefix))
}

fn import(
    name: &str,
    bytes: &[u8],
    checkpoint: Option<&Path>,
    source_hash: [u8; 32],
    options: &ImportOptions,
) -> Result<Imported> {
    let unsound = |e: prost::DecodeError| damaged(format!("{name} is not a sound graph: {e}")).caused_by(e);
    let meta = if name.to_lowercase().ends_with(".meta") {
        MetaGraph::decode(bytes).map_err(unsound)?
    } else {
        MetaGraph { graph: Some(GraphDef::decode(bytes).map_err(unsound)?), ..MetaGraph::default() }
    };
    let graph = meta.graph.as_ref().filter(|graph| !graph.nodes.is_empty());
    let graph = graph.ok_or_else(|| damaged(format!("{name} holds no graph")))?;
    let signature = signature(graph, options).map_err(|e| e.context(name))?;
    let source = Source {
        name: stem(name),
        graph,
        objects: None,
        restore: meta.saver.as_ref().map_or("", |saver| saver.restore_op_name.as_str()),
        signature: &signature,
    };
    let open = || checkpoint.map_or_else(|| Ok(Bundle::default()), Bundle::with_prefix);
    let (graph, notes, warnings) = read(&source, &open, options).map_err(|e| e.context(name))?;
    Ok(Imported { graph, format: FrozenImporter.format(), source_hash, notes, warnings })
}

/// What goes in and out.
pub(super) fn signature(graph: &GraphDef, options: &ImportOptions) -> Result<Signature> {
    let info = |word: &str, tensor: &str| -> Result<(String, TensorInfo)> {
        let wanted = reference(tensor).map_or(tensor, |(node, ..)| node);
        let node = graph.nodes.iter().find(|node| node.name == wanted).ok_or_else(|| {
            Error::input(format!("{word}: the graph has no node `{wanted}`")).help(names(graph, word))
        })?;
        let dtype =
            ["dtype", "T", "output_type", "DstT"].iter().find_map(|name| match node.attribute(name) {
                Some(Attr::Type(number)) => Some(*number),
                _ => None,
            });
        let shape = match node.attribute("shape") {
            // Placeholders without a shape say `[]`, or nothing.
            Some(Attr::Shape(shape)) if !shape.dims.is_empty() => Some(shape.clone()),
            _ => None,
        };
        let name = if tensor.contains(':') { tensor.into() } else { format!("{tensor}:0") };
        Ok((wanted.into(), TensorInfo { name, dtype: dtype.unwrap_or(FLOAT), shape }))
    };
    let inputs: Vec<String> = match options.inputs.is_empty() {
        false => options.inputs.clone(),
        true => {
            graph.nodes.iter().filter(|node| node.op == "Placeholder").map(|node| node.name.clone()).collect()
        }
    };
    let outputs: Vec<String> = match options.outputs.is_empty() {
        false => options.outputs.clone(),
        true => ends(graph).map(|node| node.name.clone()).collect(),
    };
    for (what, found, word) in [("no placeholder", &inputs, "--inputs"), ("no result", &outputs, "--outputs")]
    {
        if found.is_empty() {
            return Err(Error::input(format!(
                "the graph has {what}, so it does not say what goes in and out"
            ))
            .help(format!("name the tensors: {word} NAME")));
        }
    }
    Ok(Signature {
        inputs: inputs.iter().map(|name| info("--inputs", name)).collect::<Result<_>>()?,
        outputs: outputs.iter().map(|name| info("--outputs", name)).collect::<Result<_>>()?,
    })
}

/// Names of nodes that a graph may begin or end with, as a cure for a wrong one.
fn names(graph: &GraphDef, word: &str) -> String {
    let (all, what): (Vec<&NodeDef>, _) = match word {
        "--inputs" => {
            (graph.nodes.iter().filter(|node| node.op == "Placeholder").collect(), "the placeholders are")
        }
        _ => (ends(graph).collect(), "no other node reads"),
    };
    let shown: Vec<&str> = all.iter().take(SHOWN).map(|node| node.name.as_str()).collect();
    match (shown.is_empty(), all.len() - shown.len()) {
        (true, _) => format!("give {word} the names of nodes of the graph"),
        (false, 0) => format!("give {word} the names of nodes; {what} {}", shown.join(", ")),
        (false, more) => {
            format!("give {word} the names of nodes; {what} {} and {more} more", shown.join(", "))
        }
    }
}

/// The nodes that compute something that no other node reads.
fn ends(graph: &GraphDef) -> impl Iterator<Item = &NodeDef> {
    let read: HashSet<&str> = graph
        .nodes
        .iter()
        .flat_map(|node| &node.inputs)
        .filter_map(|input| reference(input).map(|(node, ..)| node))
        .collect();
    const SILENT: [&str; 8] =
        ["Const", "NoOp", "Placeholder", "Assert", "SaveV2", "RestoreV2", "Assign", "AssignVariableOp"];
    let silent = |node: &NodeDef| SILENT.contains(&node.op.as_str()) || node.op.ends_with("Summary");
    graph.nodes.iter().filter(move |node| !read.contains(node.name.as_str()) && !silent(node))
}
