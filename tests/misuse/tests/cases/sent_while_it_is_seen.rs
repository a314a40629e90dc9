//! What an observer sees of an op stays in its thread: its memory is cells.

use ferrolite_misuse::runtime::{Eval, Observer};

struct Elsewhere;

impl Observer for Elsewhere {
    fn after(&mut self, _: u16, eval: &Eval<'_>) {
        std::thread::scope(|scope| {
            scope.spawn(|| eval.output::<i8>(0).len());
        });
    }
}

fn main() {}
