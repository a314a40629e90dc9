//! Nor does a slice of an input outlive the writing.

use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = sine::Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    let mut filling = net.begin();
    let input = filling.keras_tensor_5();
    let running = filling.start().unwrap();
    input[0] = 2;
    running.finish();
}
