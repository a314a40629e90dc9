// Entry points by their names, beside the untyped interpreter.

use ferrolite_runtime::{Interpreter, Model};
use model::entries;

const X: [[i8; 4]; 3] = [[1, -2, 3, 100], [7, 7, -7, 7], [0, 64, -64, 127]];
const PUSH: entries::push::input0::Array = [120, -120, 60, 5];

/// Calls by name, and calls by type.
fn main() {
    static FILE: Aligned<[u8; model::MODEL_BYTES]> = Aligned(*include_bytes!("model.ferro"));
    let root = Model::from_bytes(&FILE.0).unwrap();
    let mut arena = model::Memory::new();
    let mut untyped = Interpreter::new(&root, model::OPS, &mut arena).unwrap();
    let mut by_name = |name: &str, input: Option<&[i8]>| -> Vec<i8> {
        let entry = untyped.entry(name).unwrap();
        untyped.enter(&entry).unwrap();
        if let Some(input) = input {
            untyped.set_input(0, input).unwrap();
        }
        untyped.invoke().unwrap();
        untyped.output_bytes(0).unwrap().iter().map(|&byte| byte as i8).collect()
    };

    let mut memory = model::Memory::new();
    let mut net = model::bind(&MODEL, &mut memory).unwrap();
    assert_eq!(model::ENTRIES, ["step", "peek", "push", "reset"]);
    let fresh = *net.run_peek();
    for round in 0..3 {
        for x in &X {
            assert_eq!(net.run(x)[..], by_name("step", Some(x)));
            assert_eq!(net.run_peek()[..], by_name("peek", None));
            assert_eq!(net.run_step(x)[..], by_name("step", Some(x)));
        }
        assert_ne!(*net.run_peek(), fresh, "a step changes the state");
        assert_eq!(net.run_push(&PUSH)[..], by_name("push", Some(&PUSH)));
        // In place, after another program.
        let mut filling = net.begin();
        *filling.x() = X[round];
        assert_eq!(filling.start().unwrap().finish().y()[..], by_name("step", Some(&X[round])));
        net.run_reset();
        by_name("reset", None);
        assert_eq!(*net.run_peek(), fresh, "as before the first step");
    }
    // The state of all is saved and restored as one.
    net.run(&X[0]);
    let (after, mut state) = (*net.run_peek(), [0; model::STATE]);
    net.save(&mut state);
    net.reset();
    assert_eq!(*net.run_peek(), fresh);
    net.restore(&state);
    assert_eq!(*net.run_peek(), after);
}

#[repr(align(16))]
struct Aligned<T>(T);
