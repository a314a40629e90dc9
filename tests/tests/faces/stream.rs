use ferrolite_runtime::{Interpreter, Model, ops};
use model::{Memory, Outputs, STATE, Step, input0, output0, output1};

static FILE: ferrolite_runtime::AlignedBytes = ferrolite_runtime::include_model!("model.ferro");

fn sample(number: usize) -> input0::Array {
    core::array::from_fn(|at| ((number * input0::LEN + at) * 73 % 256) as u8 as i8)
}

fn copied(outputs: Outputs<'_>) -> (output0::Array, output1::Array) {
    (*outputs.out0, *outputs.out1)
}

fn main() {
    let mut arena = Memory::new();
    let mut untyped = Interpreter::new(&Model::from_bytes(&FILE).unwrap(), ops::ALL, &mut arena).unwrap();
    let wanted: Vec<_> = (0..9)
        .map(|number| {
            untyped.set_input(0, &sample(number)).unwrap();
            untyped.invoke().unwrap();
            let output = |index| untyped.output::<i8>(index).unwrap().try_into().unwrap();
            (output(0), untyped.output::<i8>(1).unwrap().try_into().unwrap())
        })
        .collect::<Vec<(output0::Array, output1::Array)>>();

    let mut memory = Memory::new();
    let mut net = model::bind(&MODEL, &mut memory).unwrap();
    let mut saved = [0; STATE];
    for (number, wanted) in wanted.iter().enumerate() {
        if number == 5 {
            net.save(&mut saved);
        }
        assert_eq!(copied(net.run(&sample(number))), *wanted, "sample {number}");
    }
    net.restore(&saved);
    assert_eq!(copied(net.run(&sample(5))), wanted[5], "restored");
    net.reset();
    assert_eq!(copied(net.run(&sample(0))), wanted[0], "reset");

    // Given up with half of the state written, it is reset.
    let mut filling = net.begin();
    *filling.in0() = sample(1);
    let Step::More(running) = filling.start().unwrap().step() else { panic!("there are two ops") };
    let _ = running;
    net.save(&mut saved);
    assert_eq!(copied(net.run(&sample(0))), wanted[0], "given up");
    net.restore(&saved);
    assert_eq!(copied(net.run(&sample(0))), wanted[0], "saved after it was given up");
}
