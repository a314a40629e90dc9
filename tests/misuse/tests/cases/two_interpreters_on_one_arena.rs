//! Neither do two untyped interpreters share one.

use ferrolite_misuse::runtime::{Arena, Interpreter, Model, include_model, ops};

fn main() {
    let file = include_model!("../../../models/sine/sine.ferro");
    let model = Model::from_bytes(&file).unwrap();
    let mut arena = Arena::<28>::new();
    let mut one = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let mut other = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    one.invoke().unwrap();
    other.invoke().unwrap();
}
