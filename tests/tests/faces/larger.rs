use ferrolite_runtime::{Error, Interpreter, Model, ops};
use model::{Memory, Step, input0, input1};

static FILE: ferrolite_runtime::AlignedBytes = ferrolite_runtime::include_model!("model.ferro");

fn main() {
    let a: input0::Array = core::array::from_fn(|at| (at * 31 % 256) as u8 as i8);
    let b: input1::Array = core::array::from_fn(|at| (at * 77 % 256) as u8 as i8);

    let mut arena = Memory::new();
    let mut untyped = Interpreter::new(&Model::from_bytes(&FILE).unwrap(), ops::ALL, &mut arena).unwrap();
    untyped.set_input(1, &b).unwrap();
    assert_eq!(untyped.invoke(), Err(Error::InputMissing { index: 0 }));
    untyped.set_input(0, &a).unwrap();
    untyped.invoke().unwrap();
    let wanted = untyped.output::<i8>(0).unwrap();

    let mut memory = Memory::new();
    let mut net = model::bind(&MODEL, &mut memory).unwrap();
    assert_eq!(net.run(&a, &b)[..], *wanted);
    // In any order, and all.
    let mut filling = net.begin();
    *filling.in1() = b;
    *filling.in0() = a;
    let mut running = filling.start().unwrap();
    let done = loop {
        match running.step() {
            Step::More(rest) => running = rest,
            Step::Done(done) => break done,
        }
    };
    assert_eq!(done.out0()[..], *wanted);
    let mut filling = net.begin();
    *filling.in0() = a;
    assert_eq!(filling.start().err(), Some(Error::InputMissing { index: 1 }));
}
