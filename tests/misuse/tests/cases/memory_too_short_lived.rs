//! A model does not outlive its memory.

use ferrolite_misuse::{SINE, sine};

fn bind() -> sine::Net<'static> {
    let mut memory = sine::Memory::new();
    sine::bind(&SINE, &mut memory).unwrap()
}

fn main() {
    bind().run(&[1]);
}
