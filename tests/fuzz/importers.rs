//! What fuzzing does with the bytes of a model file; shared by the fuzz targets and by the test `importers`, which runs
//! the seeds and some thousand changed copies of them with the stable compiler.

use std::path::Path;

use ferrolite::{import, passes, reference};

/// Graphs with more work than this are only imported: fuzzing is after mistakes, not after patience.
const NODES: usize = 400;
const ELEMENTS: usize = 1 << 16;

/// Imports a file of this name, and does what every command does with a graph next. An error is an answer.
pub fn import_file(name: &str, bytes: &[u8]) -> bool {
    import::load_bytes(name, bytes).is_ok_and(|imported| look_at(imported))
}

/// Imports a SavedModel whose folder holds these bytes as `saved_model.pb`.
pub fn import_saved_model(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::write(folder.join("saved_model.pb"), bytes).is_ok()
        && import::load(folder).is_ok_and(|imported| look_at(imported))
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
