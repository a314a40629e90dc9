//! What an observer sees of an op stays in its thread: its memory is cells.

use ferrolite_misuse::runtime::{Eval, Observer};

struct Elsewhere;

fn send<T: Send>(_: T) {}

impl Observer for Elsewhere {
    fn after(&mut self, _: u16, eval: &Eval<'_>) {
        send(eval.output::<i8>(0));
    }
}

fn main() {}
