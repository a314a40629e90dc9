//! TensorFlow Lite: `.tflite` files of schema version 3.
//!
//! The file is a FlatBuffer, whose schema is `crate::tflite`. The steps:
//!
//! 1. the flatbuffers verifier proves that every offset stays inside the file; a file whose numbers are not
//!    aligned is copied before (`align`);
//! 2. `tensors` turns tensors into values, and decodes constants, sparse ones too (`sparse`);
//!    the subgraph to read is the first, or that of the signature asked for (`signatures`);
//! 3. each operator is translated (`operators`), with its axes, paddings and sizes resolved; what is
//!    computed from shapes is computed now (`known`), and gives the dimensions that the file leaves open;
//!    what cannot be translated becomes `Op::Unsupported` with a reason;
//!    of an IF both subgraphs are read in its place (`branches`);
//! 4. uint8 that layers compute with is moved to int8 (`uint8`);
//! 5. what takes several operators becomes one layer: `lookup` finds int8 layers that are a table of 256
//!    results, `dilation` convolutions with gaps, `super::choices` functions with a comparison in them;
//! 6. `types` widens the weights of hybrid layers and checks element types.
//!
//! Value `i` of the graph is tensor `i` of the file, further values follow behind; a node is named
//! after its (first) output tensor. Semantics follow TFLite's kernels as TFLM runs them.

mod align;
mod arithmetic;
mod assignments;
mod branches;
mod builder;
mod constants;
mod copies;
mod detection;
mod dilation;
mod flexbuffer;
mod float_svdf;
mod known;
mod layer;
mod lists;
mod logic;
mod lookup;
mod lstm;
mod movement;
mod operators;
mod places;
mod signatures;
mod slices;
mod sparse;
mod svdf;
mod tensors;
mod types;
mod uint8;
mod variables;
mod windows;

#[cfg(test)]
mod loop_tests;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use flatbuffers::InvalidFlatbuffer;
use sha2::{Digest, Sha256};

use super::damaged::{DAMAGED, damaged};
use super::importer::{ImportOptions, Imported, Importer, stem};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::tflite as schema;
use branches::Branches;
use builder::Builder;
use tensors::Whose;
use variables::Variables;

/// Reads `.tflite` files.
pub struct TfliteImporter;

impl Importer for TfliteImporter {
    fn format(&self) -> &'static str {
        "TensorFlow Lite"
    }

    fn recognises(&self, _path: &Path, head: &[u8]) -> bool {
        head.get(4..8) == Some(b"TFL3")
    }

    fn entries(&self, path: &Path, options: &ImportOptions) -> Result<Vec<(String, Imported)>> {
        // A file that cannot be read is refused where the model itself is.
        let Ok(bytes) = crate::files::read(path) else { return Ok(Vec::new()) };
        signatures::entries(&path.display().to_string(), &bytes, options)
    }

    fn import_bytes(&self, name: &str, bytes: &[u8], options: &ImportOptions) -> Result<Imported> {
        Ok(import_one(name, bytes, options, &BTreeSet::new())?.0)
    }
}

/// Reads one signature, of which variables that others assign are state, too; and what it does with variables.
fn import_one(
    name: &str,
    bytes: &[u8],
    options: &ImportOptions,
    shared: &BTreeSet<String>,
) -> Result<(Imported, signatures::Found)> {
    let read = with_model(bytes, |model| import(name, model, bytes, options, shared));
    let Read { graph, notes, warnings, found } = read.map_err(|e| e.context(name))?;
    let inputs: Vec<&str> = graph.inputs.iter().map(|&id| graph.value(id).name.as_str()).collect();
    options.check_names(&inputs).map_err(|e| e.context(name))?;
    for &id in &graph.inputs {
        let value = graph.value(id);
        let shape: Vec<Option<usize>> = value.shape.iter().copied().map(Some).collect();
        options.input_shape(&value.name, &shape).map_err(|e| e.context(name))?;
    }
    let source_hash = Sha256::digest(bytes).into();
    let format = TfliteImporter.format();
    Ok((Imported { graph, format, source_hash, notes, warnings }, found))
}

/// What a file says.
struct Read {
    graph: Graph,
    notes: Vec<String>,
    warnings: Vec<String>,
    found: signatures::Found,
}

/// Verifies a file, and hands it on.
fn with_model<T>(file: &[u8], f: impl FnOnce(&schema::Model<'_>) -> Result<T>) -> Result<T> {
    let mut copy = None;
    let mut verified = schema::verified(file);
    if let Err(InvalidFlatbuffer::Unaligned { .. }) = verified {
        copy = align::aligned(file);
    }
    if let Some(copy) = &copy {
        verified = schema::verified(copy);
    }
    let model = verified.map_err(|e| {
        // The verifier's first line names the fault; the rest is a trace through the tables.
        let what = e.to_string().lines().next().unwrap_or_default().to_string();
        Error::input(format!("is not a sound TensorFlow Lite model: {what}")).help(DAMAGED).caused_by(e)
    })?;
    if model.version() != 3 {
        return Err(Error::input(format!("has schema version {}, supported is 3", model.version()))
            .help("export the model with a TensorFlow of 2018 or later"));
    }
    f(&model)
}

/// Reads the subgraph that the options choose, of which `shared` variables are state in any case. `file` is the file's bytes.
fn import(
    name: &str,
    model: &schema::Model<'_>,
    file: &[u8],
    options: &ImportOptions,
    shared: &BTreeSet<String>,
) -> Result<Read> {
    let subgraphs: Vec<schema::SubGraph<'_>> = model.subgraphs().into_iter().flatten().collect();
    let (number, signature) = signatures::choose(model, options)?;
    let Some(subgraph) = subgraphs.get(number) else { return Err(damaged("has no subgraph")) };
    let operators: Vec<schema::Operator<'_>> = subgraph.operators().into_iter().flatten().collect();

    let mut written: HashSet<usize> = HashSet::new();
    for index in operators.iter().filter_map(|o| o.outputs()).chain(subgraph.inputs()).flatten() {
        written.extend(usize::try_from(index));
    }
    let tensors = tensors::read(model, subgraph, file, &written, Whose::Model(signature))?;
    let mut outputs = ids(subgraph.outputs(), &tensors, "the model's outputs")?;
    if !options.cut.is_empty() {
        outputs = options.cut.iter().map(|name| named(&tensors, name)).collect::<Result<_>>()?;
        let mut seen = HashSet::new();
        outputs.retain(|&id| seen.insert(id));
    }
    let graph = Graph {
        name: stem(name),
        inputs: ids(subgraph.inputs(), &tensors, "the model's inputs")?,
        outputs,
        four_bits: tensors.small(0).into_iter().collect(),
        values: tensors.values,
        nodes: Vec::with_capacity(operators.len()),
        ..Graph::default()
    };
    let (mut notes, mut warnings) = (Vec::new(), Vec::new());
    let variables = Variables::of(model);
    let mut builder = Builder::new(
        graph,
        tensors.faults,
        tensors.layer_names,
        tensors.open,
        (variables, options.custom.clone()),
    );
    builder.define_borders(&written, !shared.is_empty())?;
    let mut branches = Branches::of(model, file, number);
    for (place, operator) in operators.into_iter().enumerate() {
        branches.add(&mut builder, place, operator)?;
    }
    let unread = subgraphs.len() - branches.read();
    if let Some(note) = signatures::note(model, number, options.signature.is_some()) {
        notes.push(note);
    } else if unread > 0 && options.signature.is_none() {
        let are = if unread == 1 { "is" } else { "are" };
        notes.push(format!("the file has {} subgraphs, of which {unread} {are} not read", subgraphs.len()));
    }
    let found = builder.variables.touched();
    builder.finish_variables(&mut notes, shared);
    let graph = builder.finish(&mut notes, &mut warnings)?;
    Ok(Read { graph, notes, warnings, found })
}

/// The tensor that the model is cut at.
fn named(tensors: &tensors::Tensors, name: &str) -> Result<ValueId> {
    let computed = tensors.values.iter().filter(|value| value.constant.is_none());
    let found = tensors.values.iter().position(|value| value.name == name);
    let found = found.or_else(|| tensors.layer_names.iter().position(|other| other == name));
    found.map(ValueId).ok_or_else(|| super::cut::unknown(name, computed.map(|value| value.name.as_str())))
}

/// Tensor indices as ids, all of which exist.
fn ids(
    indices: Option<flatbuffers::Vector<'_, i32>>,
    tensors: &tensors::Tensors,
    whose: &str,
) -> Result<Vec<ValueId>> {
    indices
        .into_iter()
        .flatten()
        .map(|index| {
            usize::try_from(index)
                .ok()
                .filter(|&i| i < tensors.values.len())
                .map(ValueId)
                .ok_or_else(|| damaged(format!("{whose} name tensor {index}, which does not exist")))
        })
        .collect()
}
