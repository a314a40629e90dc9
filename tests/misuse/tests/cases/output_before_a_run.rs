//! An inference that has not run has no outputs.

use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = sine::Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    let filling = net.begin();
    let before = filling.output_0()[0];
    let running = filling.start().unwrap();
    let between = running.output_0()[0];
}
