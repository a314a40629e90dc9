//! Weights of four bits: a dense layer that keeps two weights in a byte gives TFLM's bytes, on the host and on a board,
//! and takes half the flash; nothing but a dense layer may have them.

mod common;

use common::{Net, compile_for, root, samples};
use ferrolite::aligned::AlignedBuf;
use ferrolite::board::{self, RunOptions};
use ferrolite::data::npz::Npz;
use ferrolite::model_file::{self, Weights};
use ferrolite_runtime::params::FullyConnectedParams;
use ferrolite_runtime::{Error, Fault, Interpreter, Model, Node, OpCode, Operator, Target, check, ops};
use ferrolite_schema::Packing;

/// A vector of a dense layer of 131 inputs and 10 outputs, for a Cortex-M4.
fn wide() -> (AlignedBuf, std::path::PathBuf) {
    let path = root().join("tests/vectors/fully_connected/int4_wide");
    let file = compile_for(&path.with_extension("tflite"), true, Target::CortexM4).expect("it is converted");
    (AlignedBuf::from_bytes(&file.bytes), path.with_extension("npz"))
}

#[test]
fn a_dense_layer_keeps_its_weights_packed() {
    let (file, npz) = wide();
    let model = Model::from_bytes(&file).expect("a sound file");
    let params: &FullyConnectedParams = Node::new(&model, &model.ops()[0]).params().expect("a dense layer");
    assert_eq!((params.packing, params.inputs, params.outputs), (Packing::NIBBLES, 131, 10));
    // 655 bytes of weights, the biases, a multiplier, and what aligns them.
    let layer = model_file::layers(&model).remove(0);
    assert!((655 + 48..655 + 80).contains(&layer.constant_bytes), "{} bytes", layer.constant_bytes);
    let linked = model_file::operators(&model, Target::CortexM4);
    assert_eq!(linked.len(), 1);
    assert_eq!(
        (linked[0].weights, linked[0].to_string().as_str()),
        (Weights::Nibbles, "nibbles::FULLY_CONNECTED")
    );
    // The operator that is named runs it, those for bytes refuse it.
    const NIBBLES: &[Operator] = &[ops::nibbles::FULLY_CONNECTED];
    const PLAIN: &[Operator] = &[ops::plain::FULLY_CONNECTED];
    let refused = Err(Error::Op { op: 0, fault: Fault::Packing });
    assert_eq!((check(&model, NIBBLES), check(&model, PLAIN)), (Ok(()), refused));

    let mut answers = Npz::open(&npz).expect("answers");
    let samples = samples(&model, &mut answers, "in", "out", usize::MAX).expect("samples");
    for ops in [ops::ALL, NIBBLES] {
        let mut net = Net::with(&file, ops);
        for sample in &samples {
            assert_eq!(net.run(&[&sample.input], &mut ()).concat(), sample.wanted);
        }
    }
    let status =
        board::list().into_iter().find(|status| status.board.name == "qemu-cortex-m4").expect("a board");
    if !(status.qemu_installed && status.target_installed) {
        let required = std::env::var("FERROLITE_REQUIRE_BOARDS").is_ok_and(|value| value == "1");
        assert!(!required, "qemu-cortex-m4 is not installed, but all boards are required");
        println!("skipped: qemu-cortex-m4 is not installed");
        return;
    }
    let inputs: Vec<Vec<u8>> = samples.iter().map(|sample| sample.input.clone()).collect();
    let run = board::run(status.board, file.as_ref(), &inputs, RunOptions::default()).expect("it runs");
    let wanted: Vec<Vec<u8>> = samples.iter().map(|sample| sample.wanted.clone()).collect();
    assert_eq!(run.outputs, wanted);
    println!("{} instructions of 1,310 products", run.instructions);
}

/// The file with a word of the first op's parameters changed.
fn changed(file: &AlignedBuf, word: usize, value: u32) -> AlignedBuf {
    let model = Model::from_bytes(file).expect("a sound file");
    let at = model.params(&model.ops()[0])[word..].as_ptr().addr() - file.as_ptr().addr();
    let mut bytes = file.to_vec();
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    AlignedBuf::from_bytes(&bytes)
}

#[test]
fn what_is_not_there_is_refused() {
    let (file, _) = wide();
    let fault = |file: &AlignedBuf| {
        let model = Model::from_bytes(file).expect("its records are sound");
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        match Interpreter::new(&model, ops::ALL, &mut memory) {
            Ok(_) => None,
            Err(Error::Op { fault, .. }) => Some(fault),
            Err(other) => panic!("{other:?}"),
        }
    };
    let constants = Model::from_bytes(&file).expect("a sound file").constants().len() as u32;
    assert_eq!(fault(&file), None);
    // Word 4 is where the weights start: the last place at which all of them are there, and the next one.
    assert_eq!(fault(&changed(&file, 4, constants - 655)), None);
    assert_eq!(fault(&changed(&file, 4, constants - 654)), Some(Fault::Constants));
    assert_eq!(fault(&changed(&file, 4, u32::MAX)), Some(Fault::Constants));
    // Tags that say something of channels or groups as well are none.
    for tag in [0x108, 0x1_0008, 0x100_0008, 9, 0xFF] {
        assert_eq!(fault(&changed(&file, 3, tag)), Some(Fault::Packing), "{tag:#x}");
    }
    // As whole bytes there are too few.
    assert_eq!(fault(&changed(&file, 3, 0)), Some(Fault::Constants));
    for (word, value) in [(0, 0), (1, 0), (2, 0), (0, 2), (1, 130), (1, u32::MAX), (2, 1 << 31)] {
        assert!(fault(&changed(&file, word, value)).is_some(), "word {word} is {value}");
    }
    // A convolution has none.
    let path = root().join("tests/models/mnist_cnn/mnist_cnn_int8_tf.tflite");
    let conv = compile_for(&path, true, Target::Portable).expect("it is converted");
    let conv = AlignedBuf::from_bytes(&conv.bytes);
    let model = Model::from_bytes(&conv).expect("a sound file");
    assert_eq!(model.ops()[0].code, OpCode::Conv2d as u16);
    assert_eq!(fault(&changed(&conv, 17, Packing::NIBBLES)), Some(Fault::Packing));
}
