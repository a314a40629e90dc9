//! Outputs of one inference end with the next.

use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = sine::Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    let first = net.run(&[1]);
    let second = net.run(&[2]);
    assert_ne!(first, second);
}
