//! Any bytes at all as a file `net.onnx`: an error, or a graph that hangs together.
#![no_main]

#[path = "../importers.rs"]
mod importers;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    importers::import_file("net.onnx", bytes);
});
