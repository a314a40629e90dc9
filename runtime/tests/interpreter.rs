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
    net.input_mut::<i8>(0).unwrap()[0] = 77;
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

/// On this model a second run without its input once answered -1 after 1: the output lies over the input.
#[test]
fn no_order_of_calls_gives_what_is_stale() {
    let model = Model::from_bytes(&SINE).unwrap();
    let mut arena = Arena::<256>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    let missing = Error::InputMissing { index: 0 };
    assert_eq!(net.output::<i8>(0), Err(Error::NoOutput));
    assert_eq!((net.invoke(), net.step()), (Err(missing), Err(missing)));

    // Asked for in a wrong type, it has not been written.
    assert!(net.input_mut::<u8>(0).is_err());
    assert_eq!(net.invoke(), Err(missing));
    net.set_input(0, &[77i8]).unwrap();
    assert_eq!(net.output_bytes(0), Err(Error::NoOutput));
    net.invoke().unwrap();
    let whole = net.output::<i8>(0).unwrap()[0];
    assert_eq!(
        (net.invoke(), net.step(), net.output_bytes(0)),
        (Err(missing), Err(missing), Ok(&[whole as u8][..]))
    );

    // The next input ends the time of the output, which may lie there.
    assert_eq!(net.input_bytes_mut(0).unwrap().len(), 1);
    assert_eq!(net.output::<i8>(0), Err(Error::NoOutput));
    net.set_input(0, &[77i8]).unwrap();
    assert_eq!(net.step(), Ok(Step::Ran(0)));
    let running = Error::Running { op: 1 };
    assert_eq!(net.input_mut::<i8>(0), Err(running));
    assert_eq!(net.input_bytes_mut(0), Err(running));
    assert_eq!(net.set_input(0, &[1i8]), Err(running));
    assert_eq!(net.output::<i8>(0), Err(running));
    assert_eq!(net.invoke(), Err(running));
    assert_eq!(net.state(), Err(running));
    assert_eq!(net.save(&mut []), Err(running));
    while net.step() != Ok(Step::Done) {}
    assert_eq!(net.output::<i8>(0), Ok(&[whole][..]));

    // What is given up begins with its inputs.
    let ways: [fn(&mut Interpreter<'_>); 2] = [|net| net.reset(), |net| net.restore(&[]).unwrap()];
    for give_up in ways {
        net.set_input(0, &[3i8]).unwrap();
        net.step().unwrap();
        give_up(&mut net);
        assert_eq!((net.step(), net.output::<i8>(0)), (Err(missing), Err(Error::NoOutput)));
        assert_eq!(answer(&mut net, 77), whole);
    }
    // And reset between inferences keeps what was written.
    net.set_input(0, &[77i8]).unwrap();
    net.reset();
    net.invoke().unwrap();
    assert_eq!(net.output::<i8>(0), Ok(&[whole][..]));
}

#[test]
fn ports_have_names_and_lengths() {
    let model = Model::from_bytes(&SINE).unwrap();
    let mut arena = Arena::<256>::new();
    let mut net = Interpreter::new(&model, ops::ALL, &mut arena).unwrap();
    assert_eq!(net.input_index(model.input_name(0).unwrap()), Ok(0));
    assert_eq!(net.output_index(model.output_name(0).unwrap()), Ok(0));
    assert_eq!(
        (net.input_index("?"), net.output_index("")),
        (Err(Error::NoSuchName), Err(Error::NoSuchName))
    );
    let wrong = Err(Error::WrongLength { index: 0, needed: 1, found: 2 });
    assert_eq!(net.set_input(0, &[1i8, 2]), wrong);
}

/// It lives in a `static`, with the model that it was made of gone, and moves to another thread.
#[test]
fn an_interpreter_owns_what_it_needs_and_may_be_sent() {
    static NET: std::sync::Mutex<Option<Interpreter<'static>>> = std::sync::Mutex::new(None);
    let arena: &'static mut Arena<256> = Box::leak(Box::new(Arena::new()));
    let net = Interpreter::new(&Model::from_bytes(&SINE).unwrap(), ops::ALL, arena).unwrap();
    *NET.lock().unwrap() = Some(net);
    let there = std::thread::spawn(|| answer(NET.lock().unwrap().as_mut().unwrap(), 77)).join().unwrap();
    let mut held = NET.lock().unwrap();
    let net = held.as_mut().unwrap();
    assert_eq!(answer(net, 77), there);
    assert!(format!("{net:?}").contains("ops: 3"), "{net:?}");
}

#[test]
fn errors_have_sources() {
    use core::error::Error as _;
    let refused = Error::from(Model::from_bytes(&[0; 32]).unwrap_err());
    assert_eq!(refused.source().unwrap().to_string(), refused.to_string());
    let op = Error::Op { op: 3, fault: ferrolite_runtime::Fault::Packing };
    assert_eq!(op.to_string(), format!("op 3: {}", op.source().unwrap()));
    assert!(Error::NoOutput.source().is_none());
}

#[test]
fn the_file_is_intact() {
    assert!(Model::from_bytes(&SINE).unwrap().checksum_matches());
}
