//! Any bytes as the graph of a SavedModel: the result is an error, or a consistent graph.
#![no_main]

#[path = "../importers.rs"]
mod importers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("ferrolite-fuzz-{}", std::process::id()));
    if std::fs::create_dir_all(&folder).is_ok() {
        importers::import_saved_model(&folder, bytes);
    }
});
