//! A model as types: the module that `convert --rust` has written for `tests/models/sine`, held against the untyped
//! interpreter. What must not compile is in `tests/misuse`.

#[path = "../../tests/models/sine/sine.rs"]
mod sine;

use std::sync::Mutex;
use std::thread;

use ferrolite_runtime::typed::{self, Fingerprint};
use ferrolite_runtime::{Error, Interpreter, Model, ops};
use sine::{Memory, Net, Step, input0, output0};

static SINE: sine::File = sine::File::new(include_bytes!("../../tests/models/sine/sine.ferro"));
static BYTES: &[u8] = include_bytes!("../../tests/models/sine/sine.ferro");

fn untyped(x: i8) -> i8 {
    static FILE: ferrolite_runtime::AlignedBytes =
        ferrolite_runtime::include_model!("../../tests/models/sine/sine.ferro");
    let mut arena = Memory::new();
    let mut net = Interpreter::new(&Model::from_bytes(&FILE).unwrap(), ops::ALL, &mut arena).unwrap();
    net.set_input(0, &[x]).unwrap();
    net.invoke().unwrap();
    net.output::<i8>(0).unwrap()[0]
}

fn stepped(net: &mut Net<'_>, x: i8) -> (usize, i8) {
    let mut filling = net.begin();
    filling.keras_tensor_5()[0] = x;
    let mut running = filling.start().unwrap();
    let mut steps = 1;
    loop {
        match running.step() {
            Step::More(rest) => running = rest,
            Step::Done(done) => return (steps, done.output_0()[0]),
        }
        steps += 1;
    }
}

#[test]
fn all_ways_to_run_give_the_same() {
    let mut memory = Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    for x in [-128, -1, 0, 77, 127] {
        let wanted = untyped(x);
        assert_eq!(net.run(&[x]), &[wanted]);
        assert_eq!(stepped(&mut net, x), (3, wanted));
        let mut filling = net.begin();
        *filling.keras_tensor_5() = [x];
        assert_eq!(filling.start().unwrap().finish().output_0(), &[wanted]);
    }
}

#[test]
fn an_input_that_was_not_asked_for_is_missing() {
    let mut memory = Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    net.run(&[5]);
    let missing = Error::InputMissing { index: 0 };
    assert_eq!(net.begin().start().err(), Some(missing));
    // What was asked for an inference that never started counts for none.
    net.begin().keras_tensor_5()[0] = 3;
    assert_eq!(net.begin().start().err(), Some(missing));
}

/// A model with more inputs than a word has bits: as its module would ask for them.
#[test]
fn any_number_of_inputs_is_kept_in_mind() {
    let mut memory = Memory::new();
    let file = &SINE_COPY.0;
    let (at, checksum) = Model::from_bytes(file).unwrap().checksum().unwrap();
    let fingerprint = Fingerprint { bytes: file.len(), checksum_at: at, checksum };
    let mut net = typed::Net::bind(file, fingerprint, ops::ALL, &mut memory).unwrap();
    macro_rules! take {
        ($filling:ident: $($index:literal)*) => {$( $filling.input::<i8, $index, 0, 1>()[0] = 1; )*};
    }
    let missing = |index| Some(Error::InputMissing { index });
    let mut filling = net.begin::<2>();
    take!(filling: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    assert_eq!(filling.start(34).err(), missing(32));
    let mut filling = net.begin::<2>();
    take!(filling: 33 32 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1);
    assert_eq!(filling.start(34).err(), missing(0));
    let mut filling = net.begin::<2>();
    take!(filling: 33 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    take!(filling: 32);
    assert!(filling.start(34).is_ok());
}

#[test]
fn an_inference_that_is_given_up_leaves_nothing() {
    let mut memory = Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap();
    for steps in 0..3 {
        let mut filling = net.begin();
        filling.keras_tensor_5()[0] = 100;
        let mut running = filling.start().unwrap();
        for _ in 0..steps {
            let Step::More(rest) = running.step() else { unreachable!("there are three ops") };
            running = rest;
        }
        // It ends here, and nothing tells the model: there is no destructor.
        let _ = running;
        assert_eq!(net.run(&[77]), &[untyped(77)], "after {steps} steps");
    }
}

#[test]
fn it_lives_in_a_static_and_moves_to_other_threads() {
    static NET: Mutex<Option<Net<'static>>> = Mutex::new(None);
    let memory: &'static mut Memory = Box::leak(Box::new(Memory::new()));
    *NET.lock().unwrap() = Some(sine::bind(&SINE, memory).unwrap());
    let there = thread::spawn(|| NET.lock().unwrap().as_mut().unwrap().run(&[77])[0]).join().unwrap();
    assert_eq!(there, untyped(77));
    let mut held = NET.lock().unwrap();
    assert_eq!(held.as_mut().unwrap().run(&[77]), &[there]);
}

#[test]
fn another_file_is_refused() {
    let mut memory = Memory::new();
    assert!(sine::bind_bytes(&SINE_COPY.0, &mut memory).is_ok());
    let mut other = AlignedCopy([0; sine::MODEL_BYTES]);
    other.0.copy_from_slice(BYTES);
    // Any word of the file may differ, but the checksum of such a file does.
    let at = Model::from_bytes(&SINE_COPY.0).unwrap().checksum().unwrap().0;
    other.0[at] ^= 1;
    assert_eq!(sine::bind_bytes(&other.0, &mut memory).err(), Some(Error::OtherModel));
    assert_eq!(sine::bind_bytes(&other.0[16..], &mut memory).err(), Some(Error::OtherModel));
    assert_eq!(sine::bind_bytes(&[], &mut memory).err(), Some(Error::OtherModel));
}

#[repr(align(16))]
struct AlignedCopy([u8; sine::MODEL_BYTES]);
static SINE_COPY: AlignedCopy = AlignedCopy(*include_bytes!("../../tests/models/sine/sine.ferro"));

#[test]
fn fingerprints_stay_within_the_file() {
    for (bytes, checksum_at) in [(8, 4), (8, 5), (8, usize::MAX), (0, 0), (3, 0)] {
        let fingerprint = Fingerprint { bytes, checksum_at, checksum: 0 };
        assert_eq!(fingerprint.fits(&[0; 8][..bytes]), (bytes, checksum_at) == (8, 4));
    }
}

#[test]
fn ports_quantize_as_their_operators_do() {
    const HALF: i8 = input0::quantize(0.5);
    assert_eq!((HALF, input0::quantize(f32::NEG_INFINITY), input0::quantize(1e9)), (-108, -128, 127));
    let back = output0::dequantize(output0::quantize(0.25));
    assert!((back - 0.25).abs() <= output0::SCALE / 2.0, "{back}");
    assert_eq!(input0::SHAPE.iter().product::<usize>(), input0::LEN);
}

#[test]
fn the_untyped_interpreter_takes_over() {
    let mut memory = Memory::new();
    let mut net = sine::bind(&SINE, &mut memory).unwrap().into_interpreter();
    assert_eq!(net.invoke(), Err(Error::InputMissing { index: 0 }));
    net.set_input(0, &[77i8]).unwrap();
    net.invoke().unwrap();
    assert_eq!(net.output::<i8>(0), Ok(&[untyped(77)][..]));
}
