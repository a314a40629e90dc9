//! Inputs have a length.

use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = sine::Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    net.run(&[1, 2]);
}
