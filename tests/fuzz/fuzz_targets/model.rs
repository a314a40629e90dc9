//! Any bytes at all: the verifier refuses them, or the model that they hold runs in bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ferrolite_conformance::exercise(bytes);
});
