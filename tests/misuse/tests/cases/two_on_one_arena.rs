//! One memory serves one model at a time.

use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = sine::Memory::new();
    let mut one = sine::bind(&SINE, &mut memory).unwrap();
    let mut other = sine::bind(&SINE, &mut memory).unwrap();
    one.run(&[1]);
    other.run(&[1]);
}
