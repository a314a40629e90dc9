//! Any bytes as a file `net.tflite`: the result is an error, or a consistent graph.
#![no_main]

#[path = "../importers.rs"]
mod importers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    importers::import_file("net.tflite", bytes);
});
