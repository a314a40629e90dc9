//! Nor does an untyped interpreter.

use ferrolite_misuse::runtime::{Arena, Interpreter, Model, include_model, ops};

fn main() {
    let file = include_model!("../../../models/sine/sine.ferro");
    let model = Model::from_bytes(&file).unwrap();
    let mut net = {
        let mut arena = Arena::<28>::new();
        Interpreter::new(&model, ops::ALL, &mut arena).unwrap()
    };
    net.invoke().unwrap();
}
