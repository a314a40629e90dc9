//! Memory of another size is another type.

use ferrolite_misuse::runtime::Arena;
use ferrolite_misuse::{SINE, sine};

fn main() {
    let mut memory = Arena::<16>::new();
    sine::bind(&SINE, &mut memory).unwrap();
}
