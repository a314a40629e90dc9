//! What is done takes no further step.

use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = sine::Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    let mut filling = net.begin();
    filling.keras_tensor_5()[0] = 1;
    let running = filling.start().unwrap();
    running.finish();
    running.step();
}
