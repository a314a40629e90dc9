//! Any bytes: the verifier refuses them, or the model that they contain runs in bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ferrolite_conformance::exercise(bytes);
});
