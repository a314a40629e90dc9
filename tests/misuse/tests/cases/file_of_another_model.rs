//! A model takes its own file.

use ferrolite_misuse::runtime::include_model;
use ferrolite_misuse::sine;

include_model!(static MODEL = "../../../models/sine/sine.ferro");

fn main() {
    let mut memory = sine::Memory::new();
    sine::bind(&MODEL, &mut memory).unwrap();
}
