//! What fuzzing does with the bytes of a model file. The fuzz targets share it with the test `importers`,
//! which runs the seeds and some thousand changed copies of them with the stable compiler.
// Each target uses a part of it.
#![allow(dead_code)]

use std::path::Path;

use ferrolite::{import, passes, reference};

/// Graphs with more nodes than this are only imported, because the rest would take too long.
const NODES: usize = 400;
const ELEMENTS: usize = 1 << 16;

/// Imports a file with this name, and does what every command does next with the graph. An error is a valid
/// result.
pub fn import_file(name: &str, bytes: &[u8]) -> bool {
    import::load_bytes(name, bytes).is_ok_and(look_at)
}

/// Imports a SavedModel whose folder contains these bytes as `saved_model.pb`. The bytes choose one of
/// several signatures.
pub fn import_saved_model(folder: &Path, bytes: &[u8]) -> bool {
    if std::fs::write(folder.join("saved_model.pb"), bytes).is_err() {
        return false;
    }
    let error = match import::load(folder) {
        Ok(imported) => return look_at(imported),
        Err(error) => error.message,
    };
    let Some((_, list)) = error.split_once("several signatures:") else { return false };
    let names: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let place = bytes.iter().map(|&b| usize::from(b)).sum::<usize>() % names.len().max(1);
    let signature = names.get(place).map(|name| (*name).to_string());
    let options = import::ImportOptions { signature, ..Default::default() };
    import::load_with(folder, &options).is_ok_and(look_at)
}

fn look_at(imported: import::Imported) -> bool {
    let mut graph = imported.graph;
    let large = graph.values.iter().any(|value| {
        value.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > ELEMENTS)
    });
    if large || graph.nodes.len() > NODES || import::refuse_unsupported(&graph).is_err() {
        return true;
    }
    if reference::Executor::new(&graph).is_ok() {
        passes::optimise(&mut graph);
        assert!(reference::Executor::new(&graph).is_ok(), "the passes keep a sound graph sound");
    }
    true
}
