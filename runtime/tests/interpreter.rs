//! The interpreter's face, on a real model: the one that firmware uses, small enough for Miri.

use ferrolite_runtime::{
    AlignedBytes, Arena, Error, Eval, Interpreter, Model, Node, Observer, Step, include_model, ops,
};

/// `tests/models/sine/sine_int8_tf.tflite`, converted.
static SINE: AlignedBytes = include_model!("../../tests/models/sine/sine.ferro");

fn answer(net: &mut Interpreter<'_>, x: i8) -> i8 {
    net.input_mut::<i8>(0).unwrap()[0] = x;
    net.invoke().unwrap();
    net.output::<i8>(0).unwrap()[0]
}

#[test]
fn answers_follow_a_sine() {
    let model = Model::from_bytes(&SINE).unwrap();
    let mut arena = Arena::<256>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let (input, output) = (model.inputs()[0], model.outputs()[0]);
    for x in (-128..=127).step_by(51).map(|x| x as i8) {
        let real = input.scale * (i32::from(x) - input.zero_point) as f32;
        let sine = output.scale * (i32::from(answer(&mut net, x)) - output.zero_point) as f32;
        assert!((sine - real.sin()).abs() < 0.1, "sin({real}) = {sine}");
    }
}

#[test]
fn steps_and_observers_see_every_op() {
    struct Count(u16, u16);
    impl Observer for Count {
        fn before(&mut self, index: u16, _: &Node<'_>) {
            assert_eq!(index, self.0);
            self.0 += 1;
        }
        fn after(&mut self, _: u16, eval: &Eval<'_>) {
            assert!(!eval.output::<i8>(0).is_empty());
            self.1 += 1;
        }
    }
    let model = Model::from_bytes(&SINE).unwrap();
    let mut arena = Arena::<256>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let whole = answer(&mut net, 77);

    net.input_mut::<i8>(0).unwrap()[0] = 77;
    let mut steps = 1;
    while net.step().unwrap() != Step::Done {
        steps += 1;
    }
    assert_eq!((steps, net.output::<i8>(0).unwrap()[0]), (model.ops().len(), whole));

    let mut count = Count(0, 0);
    net.invoke_observed(&mut count).unwrap();
    assert_eq!((count.0, count.1), (steps as u16, steps as u16));
}

#[test]
fn one_arena_serves_two_interpreters_in_turn() {
    let model = Model::from_bytes(&SINE).unwrap();
    let mut arena = Arena::<256>::new();
    let first = answer(&mut Interpreter::new(&model, ops::ALL, &mut arena).unwrap(), 5);
    let second = answer(&mut Interpreter::new(&model, ops::ALL, &mut arena).unwrap(), 5);
    assert_eq!(first, second);
}

#[test]
fn mistakes_have_names_and_numbers() {
    let model = Model::from_bytes(&SINE).unwrap();
    let needed = model.arena_bytes() as u32;
    let mut arena = Arena::<256>::new();
    let error = Interpreter::new(&model, ops::ALL, &mut arena[..0]).err();
    assert_eq!(error, Some(Error::ArenaTooSmall { needed, found: 0 }));
    let error = Interpreter::new(&model, ops::ALL, &mut arena[1..]).err();
    assert_eq!(error, Some(Error::ArenaMisaligned));
    let error = Interpreter::new(&model, &[ops::SOFTMAX], &mut arena).err();
    assert!(matches!(error, Some(Error::UnsupportedOp { op: 0, .. })), "{error:?}");

    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    assert_eq!(net.input_mut::<u8>(0).err(), Some(Error::WrongType { index: 0 }));
    assert_eq!(net.output::<i8>(3).err(), Some(Error::NoSuchPort { index: 3 }));
}

#[test]
fn the_file_is_intact() {
    assert!(Model::from_bytes(&SINE).unwrap().checksum_matches());
}
